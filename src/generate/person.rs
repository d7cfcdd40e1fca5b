//! Who a person is: what is drawn once for each and what profile and purchases both follow from.
//! A pure function of seed, size of the population and number of the person. Knows no frame.

use super::random::{Random, exp};
use super::tables::{Tables, WOMEN};

/// The day on which all this is true, 2026-11-01, in days since 1970: ages are of that day, nothing is later.
pub const AS_OF: i32 = 20_758;
/// First day on which anyone signed up: 2016-01-01.
const FIRST_DAY: i32 = 16_801;
/// Days before [`AS_OF`] of which purchases are listed one by one.
pub(super) const WINDOW_DAYS: i32 = 730;
/// Oldest age.
const AGE_MAX: u32 = 100;

/// Purposes of random streams, so that a draw more in one moves nothing in another.
pub(super) const STREAM_PERSON: u32 = 0;
pub(super) const STREAM_PURCHASES: u32 = 1;
pub(super) const STREAM_TAGS: u32 = 2;
pub(super) const STREAM_INTERESTS: u32 = 3;
pub(super) const STREAM_PHONES: u32 = 4;
pub(super) const STREAM_VISITS: u32 = 5;

/// What is true of a person, whether or not the brand knows it.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) is_man: bool,
    pub(super) age: u32,
    /// Days since 1970.
    pub(super) birthday: i32,
    pub(super) city: u32,
    /// How much more than others this person spends: about normal.
    pub(super) wealth: f64,
    pub(super) signup: i32,
    /// Last day on which the person might have bought.
    pub(super) last_active: i32,
    /// Purchases a person makes in a full window, were she active all the time; 0 for those who never buy.
    pub(super) rate: f64,
}

impl Person {
    pub(super) fn new(tables: &Tables, seed: u64, profiles: u32, number: u32) -> Self {
        let mut random = Random::new(seed, number, STREAM_PERSON);
        let is_man = !random.chance(WOMEN);
        let age = (tables.age_band.draw(&mut random) * 5 + random.below(5)).min(AGE_MAX);
        let age = if age == 99 && random.chance(0.3) { AGE_MAX } else { age };
        let birthday = birthday(age, &mut random);
        let city = tables.city.draw(&mut random);
        let in_large_city = if city < 15 { 0.35 } else { 0.0 };
        let wealth = random.normal() * 0.9 + in_large_city + if (25..60).contains(&age) { 0.15 } else { -0.2 };
        let signup = signup(number, profiles, &mut random);
        let member_days = AS_OF - 1 - signup;
        let last_active = if random.chance(0.45) {
            AS_OF - 1
        } else {
            // Most who leave do so early.
            let part = random.unit();
            signup + (f64::from(member_days) * part * part) as i32
        };
        let buys = random.chance(0.82);
        let rate = if buys { exp(1.42 + 1.1 * random.normal() + 0.25 * wealth) } else { 0.0 };
        Person { is_man, age, birthday, city, wealth, signup, last_active, rate }
    }
}

/// Days since 1970 of a date.
pub(super) fn day(year: i32, month: i32, day: i32) -> i32 {
    // Howard Hinnant, days_from_civil.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A birthday of someone who is `age` on 2026-11-01.
fn birthday(age: u32, random: &mut Random) -> i32 {
    let first = day(2025 - age as i32, 11, 2);
    let last = day(2026 - age as i32, 11, 1);
    first + random.below((last - first + 1) as u32) as i32
}

/// The day of signing up: later for higher numbers, more and more of them as the brand grows.
fn signup(number: u32, profiles: u32, random: &mut Random) -> i32 {
    let place = (f64::from(number) + 0.5) / f64::from(profiles.max(1));
    // place^0.625, of square roots alone.
    let grown = place.sqrt() * place.sqrt().sqrt().sqrt();
    let span = f64::from(AS_OF - 1 - FIRST_DAY);
    let jitter = random.below(41) as i32 - 20;
    (FIRST_DAY + (span * grown) as i32 + jitter).clamp(FIRST_DAY, AS_OF - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_right() {
        assert_eq!(day(2026, 11, 1), AS_OF);
        assert_eq!(day(2016, 1, 1), FIRST_DAY);
        assert_eq!(day(1970, 1, 1), 0);
        assert_eq!(day(2000, 2, 29), 11_016);
    }

    #[test]
    fn birthdays_agree_with_ages() {
        let mut random = Random::new(5, 0, 0);
        for age in 0..=AGE_MAX {
            for _ in 0..50 {
                let born = birthday(age, &mut random);
                let had_birthdays = (0..=AGE_MAX as i32 + 1).rev().find(|n| {
                    // The n-th birthday of someone born on that day, as days go.
                    let year = (1900..=2026).rev().find(|y| day(*y, 1, 1) <= born).unwrap();
                    let of_year = born - day(year, 1, 1);
                    let leap = |y: i32| day(y + 1, 1, 1) - day(y, 1, 1) == 366;
                    let shift = match (leap(year), leap(year + n)) {
                        (true, false) if of_year > 58 => -1,
                        (false, true) if of_year > 58 => 1,
                        _ => 0,
                    };
                    day(year + n, 1, 1) + of_year + shift <= AS_OF
                });
                assert!(born <= AS_OF && had_birthdays == Some(age as i32), "born {born}, {age}: {had_birthdays:?}");
            }
        }
    }

    #[test]
    fn people_sign_up_in_about_the_order_of_their_numbers() {
        let tables = Tables::new();
        let days: Vec<i32> = (0..1000).map(|n| Person::new(&tables, 1, 1000, n).signup).collect();
        assert!(days.windows(50).all(|w| w[49] >= w[0] - 40));
        assert!(days[0] < FIRST_DAY + 60 && days[999] > AS_OF - 60);
    }
}
