//! What the population is drawn from: weights and dictionaries, made once. Knows shares; knows no single person.

use std::sync::Arc;

use super::random::{Random, Weighted, exp, ln};
use super::words;

/// Interests there are.
pub(super) const INTEREST_COUNT: usize = 200;
/// Age bands that interests go by: under 18, 18–24, 25–34, 35–49, 50–64, from 65.
pub(super) const BAND_COUNT: usize = 6;
/// Share of people of whom no interests are known.
pub(super) const INTERESTS_UNKNOWN: f64 = 0.12;
/// Share of women.
pub(super) const WOMEN: f64 = 0.57;
/// Weight of each five years of age from 0 on.
const AGES: [f64; 20] =
    [0.3, 0.3, 0.5, 2.5, 9.5, 13.5, 14.0, 12.5, 10.5, 8.5, 7.5, 6.0, 4.5, 3.4, 2.5, 1.7, 1.0, 0.6, 0.2, 0.06];
/// Weight of each hour of the day for purchases.
const HOURS: [f64; 24] = [
    1.0, 0.5, 0.3, 0.2, 0.2, 0.4, 1.2, 3.0, 4.5, 5.0, 5.5, 6.0, 7.0, 5.5, 4.5, 4.5, 5.0, 6.0, 7.5, 8.5, 9.0, 8.0, 5.0,
    2.5,
];

/// A dictionary as frames share it.
pub(super) type Dictionary = Arc<Vec<Box<str>>>;

/// Weights and dictionaries.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) cities: Dictionary,
    pub(super) provinces: Dictionary,
    /// For each city its province.
    pub(super) province_of: Vec<u32>,
    pub(super) city: Weighted,
    pub(super) age_band: Weighted,
    pub(super) hour: Weighted,
    pub(super) source: Weighted,
    pub(super) occupation: Weighted,
    pub(super) category: Weighted,
    pub(super) coupon: Weighted,
    pub(super) interests: Dictionary,
    /// 32-bit limits of the interests, by woman or man, age band and interest.
    pub(super) interest_limits: [[Vec<u32>; BAND_COUNT]; 2],
    pub(super) stores: Dictionary,
    pub(super) categories: Dictionary,
    /// Natural logarithm of each category's middle price in cents.
    pub(super) price_logs: Vec<f64>,
}

impl Tables {
    pub(super) fn new() -> Self {
        let (cities, province_of) = ranked_cities();
        let (interests, interest_limits) = interest_tables();
        Tables {
            city: Weighted::new(&zipf(cities.len(), 2.7, 1.07)),
            cities: dictionary(cities),
            provinces: dictionary(words::PROVINCES.iter().map(|(name, _)| *name)),
            province_of,
            age_band: Weighted::new(&AGES),
            hour: Weighted::new(&HOURS),
            source: Weighted::new(&zipf(words::SOURCES.len(), 1.0, 1.1)),
            // Students and the retired are not drawn but follow from age.
            occupation: Weighted::new(&[vec![0.0, 0.0], zipf(words::OCCUPATIONS.len() - 2, 4.0, 0.9)].concat()),
            category: Weighted::new(&zipf(words::CATEGORIES.len(), 3.0, 0.9)),
            coupon: Weighted::new(&zipf(words::COUPONS.len(), 1.0, 0.7)),
            interests: dictionary(interests),
            interest_limits,
            stores: Arc::new((1..=STORE_COUNT).map(|n| format!("S{n:03}").into()).collect()),
            categories: dictionary(words::CATEGORIES.iter().map(|(name, _)| *name)),
            price_logs: words::CATEGORIES.iter().map(|(_, price)| ln(price * 100.0)).collect(),
        }
    }
}

/// Shops with a counter.
pub(super) const STORE_COUNT: u32 = 600;

/// A dictionary of words.
pub(super) fn dictionary<'a>(words: impl IntoIterator<Item = &'a str>) -> Dictionary {
    Arc::new(words.into_iter().map(Into::into).collect())
}

fn zipf(count: usize, shift: f64, power: f64) -> Vec<f64> {
    (0..count).map(|rank| exp(-power * ln(rank as f64 + shift.max(1.0)))).collect()
}

/// Cities from most to least people, each with the place of its province.
fn ranked_cities() -> (Vec<&'static str>, Vec<u32>) {
    let mut ranked: Vec<(usize, usize, &str, u32)> = Vec::new();
    for (province, (_, cities)) in words::PROVINCES.iter().enumerate() {
        for (place, city) in cities.iter().enumerate() {
            let largest = words::LARGEST_CITIES.iter().position(|c| c == city).unwrap_or(usize::MAX);
            ranked.push((largest, place, city, province as u32));
        }
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, _, city, province)| (city, province)).unzip()
}

/// The share of people who are to have the interest of a rank: 30 % for the first, 0.01 % for the last.
pub(super) fn interest_share(rank: usize) -> f64 {
    let place = rank as f64 / (INTEREST_COUNT - 1) as f64;
    let bent = if place == 0.0 { 0.0 } else { exp(-0.7 * ln(1.0 / place)) };
    0.3 * exp(-ln(3000.0) * bent)
}

/// The age band of an age.
pub(super) fn band_of(age: u32) -> usize {
    [18, 25, 35, 50, 65].iter().take_while(|from| age >= **from).count()
}

/// Interests by rank, and how likely each is for whom.
fn interest_tables() -> (Vec<&'static str>, [[Vec<u32>; BAND_COUNT]; 2]) {
    let mut all: Vec<(&str, f64, Option<usize>)> = words::INTERESTS
        .iter()
        .flat_map(|(lean, band, words)| words.iter().map(move |word| (*word, *lean, *band)))
        .collect();
    // Ranks mix the groups; the order is the same for every seed.
    let mut random = Random::new(0, 0, 0);
    for at in (1..all.len()).rev() {
        all.swap(at, random.below(at as u32 + 1) as usize);
    }
    let shares = band_shares();
    let mut limits: [[Vec<u32>; BAND_COUNT]; 2] = Default::default();
    for (rank, (_, lean, band)) in all.iter().enumerate() {
        let leaning = |man: usize, at: usize| {
            let by_gender = if man == 0 { 1.0 + lean } else { 1.0 - lean };
            let distance = band.map_or(0, |band| band.abs_diff(at)) as f64;
            by_gender * exp(-0.45 * distance)
        };
        let mean: f64 = (0..2)
            .flat_map(|man| (0..BAND_COUNT).map(move |at| (man, at)))
            .map(|(man, at)| [WOMEN, 1.0 - WOMEN][man] * shares[at] * leaning(man, at))
            .sum();
        for (man, limits) in limits.iter_mut().enumerate() {
            for (at, limits) in limits.iter_mut().enumerate() {
                let share = interest_share(rank) / (1.0 - INTERESTS_UNKNOWN) * leaning(man, at) / mean;
                limits.push((share.min(0.95) * 4_294_967_296.0) as u32);
            }
        }
    }
    (all.into_iter().map(|(word, ..)| word).collect(), limits)
}

/// The share of people in each age band.
fn band_shares() -> [f64; BAND_COUNT] {
    let total: f64 = AGES.iter().sum();
    let mut shares = [0.0; BAND_COUNT];
    for (at, weight) in AGES.iter().enumerate() {
        for year in 0..5 {
            shares[band_of(at as u32 * 5 + year)] += weight / total / 5.0;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_distinct_and_as_many_as_promised() {
        let tables = Tables::new();
        for (words, count) in [(&tables.cities, 340), (&tables.interests, 200), (&tables.provinces, 31)] {
            assert_eq!(words.len(), count);
            assert_eq!(words.iter().collect::<HashSet<_>>().len(), count);
        }
        assert_eq!(&*tables.cities[2], "Hangzhou");
        assert_eq!(&*tables.provinces[tables.province_of[2] as usize], "Zhejiang");
        assert!(words::LARGEST_CITIES.iter().all(|city| tables.cities.iter().any(|c| **c == **city)));
    }

    #[test]
    fn interests_go_from_thirty_percent_to_one_in_ten_thousand() {
        assert!((interest_share(0) - 0.3).abs() < 1e-9);
        assert!((interest_share(INTEREST_COUNT - 1) - 0.0001).abs() < 1e-9);
    }
}
