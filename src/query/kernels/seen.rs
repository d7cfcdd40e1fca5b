//! Different values of each of some ids: the last few that were seen, in one number.
//! Knows bits, ids and values of 16 bits.
#![allow(unsafe_code)] // the dispatch by level

use storage::container::Bits;

use super::level::at_levels;
use super::spans::{rank, set_before};

/// Up to so many different values are told apart.
pub const SEEN_MAX: i64 = 4;

/// A lane for each value.
const LANES: u64 = 0x0001_0001_0001_0001;

at_levels! {
    /// Sees rows, each `id << 16 | value` with an id that is set in `bits` and a value that is not 0; `seen` has a place
    /// for each id set, by rank, at first 0.
    pub fn see(bits: &Bits, rows: &[u32], seen: &mut [u64]) {
        let before = set_before(bits);
        for row in rows {
            let (rank, value) = (rank(bits, &before, (row >> 16) as u16), u64::from(row & 0xFFFF));
            if let Some(seen) = seen.get_mut(usize::from(rank)) {
                *seen = with(*seen, value);
            }
        }
    }
}

/// How many different values were seen; of [`SEEN_MAX`] or more, that.
#[inline(always)]
pub fn seen_count(seen: u64) -> i64 {
    (i64::from(64 - seen.leading_zeros()) + 15) / 16
}

/// The values seen, and one more: the latest is lowest. What was pushed out was the first of many.
#[inline(always)]
fn with(seen: u64, value: u64) -> u64 {
    let other = seen ^ (value * LANES);
    // A lane that is 0 has this very value.
    let is_old = other.wrapping_sub(LANES) & !other & (LANES << 15) != 0;
    if is_old { seen } else { seen << 16 | value }
}

#[cfg(test)]
mod tests {
    use super::super::at_each_level;
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use storage::ids::CHUNK_WORDS;

    #[test]
    fn few_different_values_are_counted_as_by_sets() {
        let mut state = 9u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for round in 0..20 {
            let ids = if round == 0 { 65_536 } else { 1 + below(3_000) };
            let mut bits = [0; CHUNK_WORDS];
            let mut wanted: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
            for _ in 0..ids {
                let id = if round == 0 { wanted.len() as u16 } else { below(65_536) as u16 };
                bits[usize::from(id) / 64] |= 1 << (id % 64);
                wanted.entry(id).or_default();
            }
            let known: Vec<u16> = wanted.keys().copied().collect();
            let rows: Vec<u32> = (0..20_000)
                .map(|_| {
                    let (id, value) = (known[below(known.len() as u64) as usize], 65_535 - below(6) as u16 * 13_107);
                    let value = value.max(1);
                    wanted.get_mut(&id).expect("known").insert(value);
                    u32::from(id) << 16 | u32::from(value)
                })
                .collect();
            at_each_level(|level| {
                let mut seen = vec![0; known.len()];
                see(&bits, &rows, &mut seen);
                let counts = wanted.values().map(|values| (values.len() as i64).min(SEEN_MAX));
                assert!(counts.eq(seen.iter().map(|seen| seen_count(*seen))), "{level:?}");
            });
        }
    }
}
