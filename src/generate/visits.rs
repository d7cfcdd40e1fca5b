//! What a person looked at and put into the cart: some of it before a purchase, the rest for nothing.
//! Knows people and their purchases; knows no frame.

use super::person::{AS_OF, Person, STREAM_VISITS, WINDOW_DAYS};
use super::purchases::{Purchase, day_of, moment};
use super::random::{Random, exp};
use super::tables::Tables;

/// Most looks around of one person that come to nothing.
const IDLE_MAX: f64 = 200.0;
/// Longest time from look to purchase.
const LEAD_SECONDS: u32 = 2 * 86_400;

/// A look at a product, or its way into the cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    /// Seconds since 1970, UTC.
    pub(super) at: i64,
    /// Put into the cart, not only looked at.
    pub(super) is_cart: bool,
    pub(super) category: u32,
    /// Place in [`super::words::SHOPS`]: app, mini program or web.
    pub(super) shop: u32,
    /// Hundredths.
    pub(super) price: i64,
}

/// Fills `list` with a person's visits by time.
pub(super) fn visits_of(
    tables: &Tables,
    seed: u64,
    number: u32,
    person: &Person,
    purchases: &[Purchase],
    list: &mut Vec<Visit>,
) {
    list.clear();
    let mut random = Random::new(seed, number, STREAM_VISITS);
    let first_day = person.signup.max(AS_OF - WINDOW_DAYS);
    for purchase in purchases {
        if random.chance(0.5) {
            let lead = 600 + random.below(LEAD_SECONDS);
            let visit = Visit {
                at: purchase.at - i64::from(lead),
                is_cart: false,
                category: purchase.category,
                shop: online(&mut random),
                price: purchase.amount,
            };
            list.push(visit);
            if random.chance(0.8) {
                list.push(Visit { at: visit.at + 1 + i64::from(random.below(lead - 1)), is_cart: true, ..visit });
            }
        }
    }
    let days = (person.last_active - first_day + 1).max(0) as u32;
    let idle = person.rate.max(0.6) * 0.9 * f64::from(days) / f64::from(WINDOW_DAYS) + random.unit();
    for _ in 0..idle.min(IDLE_MAX) as u32 {
        let day = first_day + random.below(days) as i32;
        let category = tables.category.draw(&mut random);
        let log = tables.price_logs[category as usize] + 0.5 * random.normal();
        let visit = Visit {
            at: moment(tables, day, &mut random),
            is_cart: false,
            category,
            shop: online(&mut random),
            price: (exp(log) as i64).max(50) / 10 * 10,
        };
        list.push(visit);
        if random.chance(0.12) {
            list.push(Visit { at: visit.at + 30 + i64::from(random.below(600)), is_cart: true, ..visit });
        }
    }
    list.retain(|visit| (first_day..AS_OF).contains(&day_of(visit.at)));
    list.sort_by_key(|visit| visit.at);
}

fn online(random: &mut Random) -> u32 {
    let (app, mini_program, web) = (0, 1, 4);
    [app, app, mini_program, mini_program, mini_program, web][random.below(6) as usize]
}

#[cfg(test)]
mod tests {
    use super::super::purchases::purchases_of;
    use super::*;

    #[test]
    fn visits_are_in_time_and_within_the_window() {
        let tables = Tables::new();
        let (mut purchases, mut list, mut total) = (Vec::new(), Vec::new(), 0);
        for number in 0..10_000 {
            let person = Person::new(&tables, 3, 10_000, number);
            purchases_of(&tables, 3, number, &person, &mut purchases);
            visits_of(&tables, 3, number, &person, &purchases, &mut list);
            total += list.len();
            assert!(list.is_sorted_by_key(|visit| visit.at));
            assert!(list.iter().all(|v| (person.signup.max(AS_OF - WINDOW_DAYS)..AS_OF).contains(&day_of(v.at))));
        }
        let mean = total as f64 / 10_000.0;
        assert!((3.0..8.0).contains(&mean), "{mean}");
    }
}
