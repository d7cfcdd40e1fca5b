//! What a person bought: each purchase of the last two years, and a sum of the years before.
//! Knows people; knows no frame.

use super::person::{AS_OF, Person, STREAM_PURCHASES, WINDOW_DAYS};
use super::random::{Random, exp};
use super::tables::{STORE_COUNT, Tables};
use super::words;

/// Most purchases of one person that are listed.
const PURCHASES_MAX: u32 = 400;
/// Seconds that clocks in Shanghai are ahead of UTC; it has known no other time since 1991.
const ZONE_SECONDS: i64 = 8 * 3600;
const DAY_SECONDS: i64 = 86_400;
/// The 11.11 weeks of the window, by their first and last day (8 to 11 November of 2024 and 2025).
const SALES: [(i32, i32); 2] = [(20_035, 20_038), (20_400, 20_403)];
/// Place of "mall" and "street" in [`words::SHOPS`]: purchases there have a store.
const SHOPS_WITH_COUNTER: std::ops::RangeInclusive<u32> = 2..=3;

/// One purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purchase {
    /// Seconds since 1970, UTC.
    pub(super) at: i64,
    pub(super) category: u32,
    pub(super) store: Option<u32>,
    /// Place in [`words::SHOPS`].
    pub(super) shop: u32,
    /// Hundredths.
    pub(super) amount: i64,
    pub(super) coupon: Option<u32>,
}

/// What a person ever bought, in sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) orders: i64,
    /// Hundredths.
    pub(super) spend: i64,
    /// Day of the last purchase.
    pub(super) last: Option<i32>,
}

/// Fills `list` with the person's purchases by time, and sums them up with those before the window.
pub(super) fn purchases_of(
    tables: &Tables,
    seed: u64,
    number: u32,
    person: &Person,
    list: &mut Vec<Purchase>,
) -> Lifetime {
    list.clear();
    let mut lifetime = Lifetime::default();
    if person.rate == 0.0 {
        return lifetime;
    }
    let mut random = Random::new(seed, number, STREAM_PURCHASES);
    let window_start = AS_OF - WINDOW_DAYS;
    let taste = Taste::new(tables, person, &mut random);
    let early_days = person.last_active.min(window_start - 1) - person.signup;
    if early_days > 0 {
        lifetime.orders = count(person.rate, early_days, &mut random).into();
        if lifetime.orders > 0 {
            let middle = exp(8.4 + 0.45 * person.wealth) * (0.5 + random.unit());
            lifetime.spend = lifetime.orders * middle as i64;
            lifetime.last = Some(person.signup + 1 + random.below(early_days as u32) as i32);
        }
    }
    let start = person.signup.max(window_start);
    let days = person.last_active - start + 1;
    if days > 0 {
        for _ in 0..count(person.rate, days, &mut random) {
            list.push(taste.purchase(start, days as u32, &mut random));
        }
        list.sort_by_key(|purchase| purchase.at);
    }
    if let Some(last) = list.last() {
        lifetime.orders += list.len() as i64;
        lifetime.spend += list.iter().map(|purchase| purchase.amount).sum::<i64>();
        lifetime.last = Some(day_of(last.at));
    }
    lifetime
}

/// The day of a moment, in Shanghai.
pub(super) fn day_of(at: i64) -> i32 {
    (at + ZONE_SECONDS).div_euclid(DAY_SECONDS) as i32
}

/// A moment of a day in Shanghai, at an hour when people buy.
pub(super) fn moment(tables: &Tables, day: i32, random: &mut Random) -> i64 {
    let second = i64::from(tables.hour.draw(random) * 3600 + random.below(3600));
    i64::from(day) * DAY_SECONDS + second - ZONE_SECONDS
}

fn count(rate: f64, days: i32, random: &mut Random) -> u32 {
    let mean = rate * f64::from(days) / f64::from(WINDOW_DAYS);
    ((mean + random.unit()) as u32).min(PURCHASES_MAX)
}

/// What and where a person likes to buy.
struct Taste<'a> {
    tables: &'a Tables,
    favourites: [u32; 2],
    shop: u32,
    store: u32,
    wealth: f64,
}

impl<'a> Taste<'a> {
    fn new(tables: &'a Tables, person: &Person, random: &mut Random) -> Self {
        let young = person.age < 35;
        let shop = match random.below(100) {
            0..=29 if young => 0,
            0..=14 => 0,
            15..=44 => 1,
            45..=69 => 2,
            70..=91 => 3,
            92..=97 => 4,
            _ => 5,
        };
        // A city has stores of its own, the large ones more of them.
        let stores_of_city = 1 + 40 / (person.city + 1);
        let store = (person.city * 7 + random.below(stores_of_city)) % STORE_COUNT;
        let favourites = [tables.category.draw(random), tables.category.draw(random)];
        Taste { tables, favourites, shop, store, wealth: person.wealth }
    }

    fn purchase(&self, start: i32, days: u32, random: &mut Random) -> Purchase {
        let mut day = start + random.below(days) as i32;
        let mut is_sale = false;
        if random.chance(0.07) {
            let (first, last) = SALES[random.below(2) as usize];
            if first >= start && last < start + days as i32 {
                day = first + random.below((last - first + 1) as u32) as i32;
                is_sale = true;
            }
        }
        let at = moment(self.tables, day, random);
        let category = match random.below(100) {
            0..=29 => self.favourites[0],
            30..=49 => self.favourites[1],
            _ => self.tables.category.draw(random),
        };
        let shop = if random.chance(0.65) { self.shop } else { random.below(words::SHOPS.len() as u32) };
        let store = SHOPS_WITH_COUNTER.contains(&shop).then(|| match random.chance(0.8) {
            true => self.store,
            false => random.below(STORE_COUNT),
        });
        let log = self.tables.price_logs[category as usize] + 0.3 * self.wealth + 0.45 * random.normal();
        let amount = (exp(log) as i64).max(50) / 10 * 10;
        let coupon = random.chance(if is_sale { 0.5 } else { 0.15 }).then(|| self.tables.coupon.draw(random));
        Purchase { at, category, store, shop, amount, coupon }
    }
}

#[cfg(test)]
mod tests {
    use super::super::person::day;
    use super::*;

    #[test]
    fn sales_are_the_weeks_before_singles_day() {
        assert_eq!(SALES[0], (day(2024, 11, 8), day(2024, 11, 11)));
        assert_eq!(SALES[1], (day(2025, 11, 8), day(2025, 11, 11)));
    }

    #[test]
    fn purchases_are_in_time_and_add_up() {
        let tables = Tables::new();
        let (mut list, mut total) = (Vec::new(), 0);
        for number in 0..20_000 {
            let person = Person::new(&tables, 3, 20_000, number);
            let lifetime = purchases_of(&tables, 3, number, &person, &mut list);
            total += list.len();
            assert!(list.is_sorted_by_key(|p| p.at));
            for purchase in &list {
                let day = day_of(purchase.at);
                assert!((AS_OF - WINDOW_DAYS..AS_OF).contains(&day));
                assert!((person.signup..=person.last_active).contains(&day));
                assert!(purchase.amount > 0);
            }
            assert!(lifetime.orders >= list.len() as i64);
            assert!(lifetime.spend >= list.iter().map(|p| p.amount).sum::<i64>());
            assert_eq!(lifetime.orders == 0, lifetime.last.is_none());
        }
        let mean = total as f64 / 20_000.0;
        assert!((2.5..3.5).contains(&mean), "{mean}");
    }
}
