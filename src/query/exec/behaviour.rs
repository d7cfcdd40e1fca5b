//! Behaviours in one stripe: whose rows come to something, and who has rows one after the other.
//! Knows rows of a chunk as they are gathered; knows no segments.
//!
//! Counts need no gathering: a counter for each profile of the chunk, in one byte where that is enough.

use storage::container::{Bits, ContainerRef};
use storage::column::{Codes, Page};
use storage::ids::{CHUNK_PROFILES, CHUNK_WORDS, PAGE_PROFILES, PAGE_WORDS, STRIPE_CHUNKS};

use super::rows::{Gathered, RowsRun, UNKNOWN, low_of};
use super::sets::{ChunkSet, Scratch};
use crate::query::gather::{PageMembers, for_each_code};
use crate::query::kernels;
use crate::query::number::Range;
use crate::query::plan::{Amount, Behaviour, ColumnTest, InOrder, RowColumn};

/// Sets of at most so many are kept as ids.
const IDS_MAX: u32 = 2048;

/// A behaviour, resolved.
pub(super) struct BehaviourLeaf<'a> {
    pub(super) rows: RowsRun<'a>,
    pub(super) behaviour: &'a Behaviour,
    pub(super) live: [ContainerRef<'a>; STRIPE_CHUNKS],
}

/// Steps in order, resolved.
pub(super) struct InOrderLeaf<'a> {
    pub(super) steps: Vec<RowsRun<'a>>,
    pub(super) in_order: &'a InOrder,
    pub(super) live: [ContainerRef<'a>; STRIPE_CHUNKS],
}

impl BehaviourLeaf<'_> {
    pub(super) fn upper(&self, chunk: usize) -> u32 {
        self.rows.row_count(chunk)
    }

    pub(super) fn bits_ns(&self, chunk: usize) -> u64 {
        3000 + u64::from(self.rows.row_count(chunk)) / 2
    }

    /// Everyone of a chunk who is in it.
    pub(super) fn eval(&self, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let set = match self.count_range() {
            Some(range) => self.by_counters(chunk, range, scratch),
            None => {
                let mut ids = scratch.ids();
                self.push_gathered(chunk, None, &mut ids);
                compact(ids, scratch)
            }
        };
        among_live(set, self.live[chunk], scratch)
    }

    /// Keeps the candidates who are in it, or those who are not.
    pub(super) fn filter(&self, chunk: usize, keep: bool, ids: &mut Vec<u16>, scratch: &mut Scratch) {
        let candidates = ChunkSet::Ids(std::mem::take(ids));
        let mut passing = scratch.ids();
        self.push_gathered(chunk, Some(&candidates), &mut passing);
        let ChunkSet::Ids(mut left) = candidates else { return };
        scratch.retain(ContainerRef::Array(&passing), keep, &mut left);
        scratch.recycle(ChunkSet::Ids(passing));
        *ids = left;
    }

    /// The counts that pass as one range, where they do and small counters can tell.
    fn count_range(&self) -> Option<Range> {
        match &self.behaviour.amount {
            Amount::Count(ColumnTest::Range(range)) if range.low <= 255 && (range.high < 255 || range.high > 1 << 32) => {
                Some(*range)
            }
            _ => None,
        }
    }

    fn by_counters(&self, chunk: usize, range: Range, scratch: &mut Scratch) -> ChunkSet {
        let mut bits = scratch.bits();
        bits.fill(0);
        let has_any = range.low <= 1 && range.high > 255 && !self.behaviour.negated;
        if has_any {
            self.rows.for_each_page(chunk, |owners, rows| {
                // Rows of one profile and of its neighbours follow each other: their word is written once.
                let (mut at, mut word) = (0, 0u64);
                for_each_code(owners, PageMembers::Bits(rows), |code| {
                    let low = usize::from(low_of(owners, code));
                    if low / 64 != at {
                        bits[at] |= word;
                        (at, word) = (low / 64, 0);
                    }
                    word |= 1 << (low % 64);
                });
                bits[at] |= word;
            });
            return ChunkSet::Bits(bits);
        }
        let mut counters = scratch.counters();
        self.rows.for_each_page(chunk, |owners, rows| {
            for_each_code(owners, PageMembers::Bits(rows), |code| {
                let counter = &mut counters[usize::from(low_of(owners, code))];
                *counter = counter.saturating_add(1);
            });
        });
        let (low, high) = (range.low.max(1) as u64, range.high.clamp(0, 255) as u64);
        let mut marks = [0; PAGE_WORDS];
        let pages = bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut();
        for (words, counts) in pages.zip(counters.chunks_exact(PAGE_PROFILES as usize)) {
            let page = Page { base: 0, max_code: 255, codes: Codes::U8(counts) };
            marks.fill(0);
            if low <= high {
                kernels::range(&page, low, high, &mut marks);
            }
            if self.behaviour.negated {
                kernels::range(&page, 1, 255, words);
                words.iter_mut().zip(&marks).for_each(|(word, mark)| *word &= !mark);
            } else {
                words.copy_from_slice(&marks);
            }
        }
        scratch.recycle_counters(counters);
        ChunkSet::Bits(bits)
    }

    fn push_gathered(&self, chunk: usize, among: Option<&ChunkSet>, ids: &mut Vec<u16>) {
        let mut rows = Gathered::default();
        let column = self.column();
        self.rows.gather(chunk, among, column.as_slice(), &mut rows);
        let none = Vec::new();
        let values = rows.columns.first().unwrap_or(&none);
        let mut distinct = Vec::new();
        rows.for_each_profile(|low, of_profile| {
            let count = of_profile.len() as i64;
            let values = values.get(of_profile).unwrap_or_default();
            if self.comes_to(count, values, &mut distinct) != self.behaviour.negated {
                ids.push(low);
            }
        });
    }

    fn column(&self) -> Option<RowColumn> {
        match &self.behaviour.amount {
            Amount::Count(_) => None,
            Amount::Distinct(column, _)
            | Amount::Least(column, _)
            | Amount::Most(column, _)
            | Amount::First(column, _)
            | Amount::Last(column, _)
            | Amount::Sum(column, _)
            | Amount::Mean(column, _) => Some(*column),
        }
    }

    /// Whether the rows of one profile, at least one, come to what is asked.
    fn comes_to(&self, count: i64, values: &[i64], distinct: &mut Vec<i64>) -> bool {
        let known = || values.iter().copied().filter(|value| *value != UNKNOWN);
        let passes = |value: Option<i64>, test: &ColumnTest| value.is_some_and(|value| test.passes(value));
        match &self.behaviour.amount {
            Amount::Count(test) => test.passes(count),
            Amount::Distinct(_, test) => {
                distinct.clear();
                distinct.extend(known());
                distinct.sort_unstable();
                distinct.dedup();
                test.passes(distinct.len() as i64)
            }
            Amount::Least(_, test) => passes(known().min(), test),
            Amount::Most(_, test) => passes(known().max(), test),
            Amount::First(_, test) => passes(values.first().copied().filter(|value| *value != UNKNOWN), test),
            Amount::Last(_, test) => passes(values.last().copied().filter(|value| *value != UNKNOWN), test),
            Amount::Sum(_, ranges) => {
                let sum = known().map(i128::from).sum();
                ranges.iter().any(|range| range.contains(sum))
            }
            Amount::Mean(_, ranges) => {
                let (sum, count) = known().fold((0, 0), |(sum, count), value| (sum + i128::from(value), count + 1));
                count > 0 && ranges.iter().any(|range| range.contains(sum, count))
            }
        }
    }
}

impl InOrderLeaf<'_> {
    pub(super) fn upper(&self, chunk: usize) -> u32 {
        self.steps.iter().map(|step| step.row_count(chunk)).min().unwrap_or(0)
    }

    pub(super) fn bits_ns(&self, chunk: usize) -> u64 {
        self.steps.iter().map(|step| 3000 + u64::from(step.row_count(chunk))).sum()
    }

    pub(super) fn eval(&self, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let mut ids = scratch.ids();
        self.push(chunk, None, &mut ids);
        let set = compact(ids, scratch);
        among_live(set, self.live[chunk], scratch)
    }

    pub(super) fn filter(&self, chunk: usize, keep: bool, ids: &mut Vec<u16>, scratch: &mut Scratch) {
        let candidates = ChunkSet::Ids(std::mem::take(ids));
        let mut passing = scratch.ids();
        self.push(chunk, Some(&candidates), &mut passing);
        let ChunkSet::Ids(mut left) = candidates else { return };
        scratch.retain(ContainerRef::Array(&passing), keep, &mut left);
        scratch.recycle(ChunkSet::Ids(passing));
        *ids = left;
    }

    fn push(&self, chunk: usize, among: Option<&ChunkSet>, ids: &mut Vec<u16>) {
        let mut steps: Vec<Gathered> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut rows = Gathered::default();
            step.gather(chunk, among, &[RowColumn::At], &mut rows);
            if rows.lows.is_empty() {
                return;
            }
            steps.push(rows);
        }
        // Where each later step's rows of the present profile begin and end.
        let mut spans = vec![0..0; steps.len()];
        steps[0].for_each_profile(|low, first| {
            spans[0] = first;
            for (rows, span) in steps.iter().zip(&mut spans).skip(1) {
                let start = span.end + rows.lows[span.end..].iter().take_while(|other| **other < low).count();
                let own = rows.lows[start..].iter().take_while(|other| **other == low).count();
                *span = start..start + own;
            }
            let times = |step: usize| &steps[step].columns[0][spans[step].clone()];
            if one_after_the_other(&(0..steps.len()).map(times).collect::<Vec<_>>(), self.in_order.within_s) {
                ids.push(low);
            }
        });
    }
}

/// Whether there is a time of each step, each later than the one before, and the last at most `within_s` after the first.
/// Each step's times ascend. For a first one, the earliest that can follow, step by step, ends earliest; and a later
/// first one never lets an earlier one follow: so each list is walked through once.
fn one_after_the_other(steps: &[&[i64]], within_s: Option<i64>) -> bool {
    let Some((firsts, rest)) = steps.split_first() else { return false };
    let mut places = vec![0; rest.len()];
    for first in *firsts {
        let mut time = *first;
        for (times, place) in rest.iter().zip(&mut places) {
            while times.get(*place).is_some_and(|later| *later <= time) {
                *place += 1;
            }
            match times.get(*place) {
                Some(later) => time = *later,
                None => return false,
            }
        }
        if within_s.is_none_or(|within_s| time - first <= within_s) {
            return true;
        }
    }
    false
}

/// Sorted ids as ids or bits.
fn compact(ids: Vec<u16>, scratch: &mut Scratch) -> ChunkSet {
    if ids.len() as u32 <= IDS_MAX {
        return ChunkSet::Ids(ids);
    }
    let bits = scratch.filled(ContainerRef::Array(&ids));
    scratch.recycle(ChunkSet::Ids(ids));
    ChunkSet::Bits(bits)
}

/// Rows of the erased stay until the next store snapshot.
fn among_live(set: ChunkSet, live: ContainerRef<'_>, scratch: &mut Scratch) -> ChunkSet {
    if live.cardinality() == CHUNK_PROFILES {
        return set;
    }
    match set {
        ChunkSet::Ids(mut ids) => {
            scratch.retain(live, true, &mut ids);
            ChunkSet::Ids(ids)
        }
        ChunkSet::Bits(mut bits) => {
            const _: () = assert!(CHUNK_WORDS == CHUNK_PROFILES as usize / 64);
            match live {
                ContainerRef::Bits(live, _) => kernels::and_assign(&mut bits, live),
                other => {
                    let live: Box<Bits> = scratch.filled(other);
                    kernels::and_assign(&mut bits, &live);
                    scratch.recycle(ChunkSet::Bits(live));
                }
            }
            ChunkSet::Bits(bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries every combination.
    fn naive(steps: &[&[i64]], within_s: Option<i64>) -> bool {
        fn follow(steps: &[&[i64]], first: i64, before: i64, within_s: Option<i64>) -> bool {
            let Some((times, rest)) = steps.split_first() else { return true };
            let fits = |time: i64| time > before && within_s.is_none_or(|within_s| time - first <= within_s);
            times.iter().any(|time| fits(*time) && follow(rest, first, *time, within_s))
        }
        steps[0].iter().any(|first| follow(&steps[1..], *first, *first, within_s))
    }

    #[test]
    fn steps_in_order_are_found_as_by_trying_everything() {
        let mut state = 7u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut found = 0;
        for _ in 0..20_000 {
            let lists: Vec<Vec<i64>> = (0..2 + below(3))
                .map(|_| {
                    let mut times: Vec<i64> = (0..below(6)).map(|_| below(12) as i64).collect();
                    times.sort_unstable();
                    times
                })
                .collect();
            let steps: Vec<&[i64]> = lists.iter().map(|list| &list[..]).collect();
            let within_s = (below(3) > 0).then(|| below(9) as i64);
            let wanted = naive(&steps, within_s);
            assert_eq!(one_after_the_other(&steps, within_s), wanted, "{steps:?} {within_s:?}");
            found += u32::from(wanted);
        }
        assert!(found > 2_000, "{found}");
    }
}
