//! Values by profile: rows of a chunk in any order, put together for those of whom it matters.
//! Knows places of a chunk and numbers; what they come to is the caller's.

use storage::container::Bits;

use super::pages::UNKNOWN;
use super::rows::Gathered;
use crate::query::kernels;

/// Calls `each` with every candidate that has rows, ascending, and the values of its rows, in no order.
pub(super) fn for_each_group(
    candidates: &Bits,
    rows: &Gathered,
    groups: &mut Groups,
    mut each: impl FnMut(u16, &mut [i64]),
) {
    let Groups { ids, ranks, next, grouped, .. } = groups;
    ids.clear();
    kernels::push_bits(candidates, kernels::count(candidates), ids);
    ranks.clear();
    kernels::push_ranks(candidates, &rows.lows, ranks);
    // Where the values of each begin; while they are put there, where the next one goes.
    next.clear();
    next.resize(ids.len() + 1, 0);
    ranks.iter().for_each(|rank| next[usize::from(*rank) + 1] += 1);
    for rank in 0..ids.len() {
        next[rank + 1] += next[rank];
    }
    grouped.resize(rows.lows.len(), 0);
    for (rank, value) in ranks.iter().zip(&rows.columns[0]) {
        let place = &mut next[usize::from(*rank)];
        grouped[*place as usize] = *value;
        *place += 1;
    }
    let mut start = 0;
    for (low, end) in ids.iter().zip(next) {
        if *end > start {
            each(*low, &mut grouped[start as usize..*end as usize]);
        }
        start = *end;
    }
}

/// Buffers of [`for_each_group`] and [`Groups::push_few_different`].
#[derive(Default)]
pub(super) struct Groups {
    ids: Vec<u16>,
    /// `owner << 16 | value`.
    rows: Vec<u32>,
    /// By rank: the last few different values.
    seen: Vec<u64>,
    /// By row: its owner's rank among the candidates.
    ranks: Vec<u16>,
    next: Vec<u32>,
    grouped: Vec<i64>,
}

impl Groups {
    /// An empty buffer of rows, to be given to [`Groups::push_few_different`].
    pub(super) fn take_rows(&mut self) -> Vec<u32> {
        self.rows.clear();
        std::mem::take(&mut self.rows)
    }

    /// Appends, ascending, the candidates whose rows have as many different values as pass, where the number of those does
    /// not matter beyond [`kernels::SEEN_MAX`]. A row is `owner << 16 | value`, and its value not 0.
    pub(super) fn push_few_different(
        &mut self,
        candidates: &Bits,
        mut rows: Vec<u32>,
        passes: impl Fn(i64) -> bool,
        out: &mut Vec<u16>,
    ) {
        let Groups { ids, seen, .. } = self;
        ids.clear();
        kernels::push_bits(candidates, kernels::count(candidates), ids);
        let kept = keep_of(candidates, &mut rows);
        seen.clear();
        seen.resize(ids.len(), 0);
        kernels::see(candidates, &rows[..kept], seen);
        let passing = ids.iter().zip(seen).filter(|(_, seen)| **seen > 0 && passes(kernels::seen_count(**seen)));
        out.extend(passing.map(|(id, _)| *id));
        self.rows = rows;
    }
}

/// Keeps the rows of candidates, and gives their number. Nothing hangs on a branch: whatever is not kept is overwritten.
fn keep_of(candidates: &Bits, rows: &mut [u32]) -> usize {
    let mut kept = 0usize;
    for at in 0..rows.len() {
        let row = rows[at];
        rows[kept] = row;
        kept = kept.wrapping_add((candidates[(row >> 22) as usize] >> (row >> 16 & 63) & 1) as usize);
    }
    kept
}

/// How many different known values there are; puts them in any order.
pub(super) fn distinct_count(values: &mut [i64]) -> i64 {
    // Few are compared faster than sorted.
    if values.len() <= 8 {
        let is_old =
            |at: usize| values[..at].iter().fold(values[at] == UNKNOWN, |old, value| old | (*value == values[at]));
        return (0..values.len()).map(|at| i64::from(!is_old(at))).sum();
    }
    values.sort_unstable();
    values.chunk_by(|a, b| a == b).filter(|equal| equal[0] != UNKNOWN).count() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::ids::CHUNK_WORDS;

    #[test]
    fn values_are_put_together_whatever_their_order() {
        let rows = Gathered::of(vec![9, 4, 9, 4, 60_000, 9], vec![vec![1, 2, 3, 2, UNKNOWN, 1]]);
        let mut found = Vec::new();
        // Nobody has rows of 5.
        let mut candidates = [0; CHUNK_WORDS];
        [4usize, 5, 9, 60_000].iter().for_each(|low| candidates[low / 64] |= 1 << (low % 64));
        for_each_group(&candidates, &rows, &mut Groups::default(), |low, values| {
            values.sort_unstable();
            found.push((low, values.to_vec(), distinct_count(values)));
        });
        assert_eq!(found, [(4, vec![2, 2], 1), (9, vec![1, 1, 3], 2), (60_000, vec![UNKNOWN], 0)]);
    }

    #[test]
    fn different_values_are_counted_as_by_a_set() {
        for count in 0..40i64 {
            let mut values: Vec<i64> = (0..count).map(|n| if n % 5 == 0 { UNKNOWN } else { n * n % 7 }).collect();
            let wanted: std::collections::HashSet<i64> = values.iter().copied().filter(|v| *v != UNKNOWN).collect();
            assert_eq!(distinct_count(&mut values), wanted.len() as i64, "{count}");
        }
    }
}
