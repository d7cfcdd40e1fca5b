//! Behaviours in one stripe: whose rows come to something, and who has rows one after the other.
//! Knows rows of a chunk as they are gathered; knows no segments.
//!
//! Few things need the rows of a profile together. Counts take a counter for each profile of the chunk, in one byte
//! where that is enough; sums, bounds, the first and the last an amount for each. What needs more is gathered.

use storage::column::{Codes, NUMBER_MAX, Page};
use storage::container::{Bits, ContainerRef};
use storage::ids::{CHUNK_PROFILES, CHUNK_WORDS, PAGE_PROFILES, PAGE_WORDS, STRIPE_CHUNKS};

use super::rows::{Gathered, Places, RowsRun, UNKNOWN, for_each_owner, for_each_row, for_each_row_back};
use super::sets::{ChunkSet, Scratch};
use crate::query::kernels;
use crate::query::number::{ExactRange, MeanBounds, Range};
use crate::query::plan::{Amount, Behaviour, ColumnTest, InOrder, RowColumn};

/// Sets of at most so many are kept as ids.
const IDS_MAX: u32 = 2048;

/// What an amount is held against.
enum Verdict<'a> {
    /// A sum; of no rows it is 0.
    Sum(Range),
    /// A value; of no rows there is none.
    Value(&'a ColumnTest),
}

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
            None => self.by_amounts(chunk, scratch).unwrap_or_else(|| {
                let mut ids = scratch.ids();
                let among = self.with_enough_values(chunk, scratch);
                self.push_gathered(chunk, among.as_ref(), &mut ids);
                among.into_iter().for_each(|set| scratch.recycle(set));
                compact(ids, scratch)
            }),
        };
        among_live(set, self.live[chunk], scratch)
    }

    /// Who can have enough different values, having as many that follow another one; `None` where that leaves nobody out.
    fn with_enough_values(&self, chunk: usize, scratch: &mut Scratch) -> Option<ChunkSet> {
        let Amount::Distinct(column, ColumnTest::Range(range)) = &self.behaviour.amount else { return None };
        if !(2..=255).contains(&range.low) || self.behaviour.negated {
            return None;
        }
        let (mut counters, mut places) = (scratch.counters(), Places::default());
        // Of equal values that follow each other one counts: each different value is counted where it is met first.
        let mut before = (0, UNKNOWN);
        self.rows.for_each_page_of(chunk, *column, |owners, values, rows| {
            for_each_row(owners, values, rows, &mut places, |low, value| {
                let is_other = (value != UNKNOWN) & ((low, value) != before);
                before = (low, value);
                let counter = &mut counters[usize::from(low)];
                *counter = counter.saturating_add(u8::from(is_other));
            });
        });
        let mut bits = scratch.bits();
        mark_counts(&counters, range.low as u64, 255, &mut bits);
        scratch.recycle_counters(counters);
        Some(ChunkSet::Bits(bits))
    }

    /// An amount for each profile of the chunk; `None` where that does not do.
    fn by_amounts(&self, chunk: usize, scratch: &mut Scratch) -> Option<ChunkSet> {
        let (rows, mut places) = (&self.rows, Places::default());
        let (test, amounts) = match &self.behaviour.amount {
            Amount::Sum(column, ranges) => {
                let [range] = ranges[..] else { return None };
                let mut amounts = scratch.amounts(0);
                let mut sums = Sums::default();
                rows.for_each_page_of(chunk, *column, |owners, values, of_page| {
                    if sums.fit(values) {
                        for_each_row(owners, values, of_page, &mut places, |low, value| {
                            let known = if value == UNKNOWN { 0 } else { value };
                            let amount = &mut amounts[usize::from(low)];
                            *amount = amount.wrapping_add(known);
                        });
                    }
                });
                let is_beyond = range.low > i64::MAX.into() || range.high < i64::MIN.into();
                if sums.are_wide || is_beyond {
                    scratch.recycle_amounts(amounts);
                    return None;
                }
                let bound = |bound: i128| bound.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                (Verdict::Sum(Range { low: bound(range.low), high: bound(range.high) }), amounts)
            }
            Amount::Mean(column, ranges) => return self.by_means(chunk, *column, ranges, scratch),
            Amount::Least(column, test) => {
                let mut amounts = scratch.amounts(i64::MAX);
                rows.for_each_page_of(chunk, *column, |owners, values, of_page| {
                    for_each_row(owners, values, of_page, &mut places, |low, value| {
                        let amount = &mut amounts[usize::from(low)];
                        *amount = if value == UNKNOWN { *amount } else { value.min(*amount) };
                    });
                });
                (Verdict::Value(test), amounts)
            }
            Amount::Most(column, test) => {
                let mut amounts = scratch.amounts(UNKNOWN);
                rows.for_each_page_of(chunk, *column, |owners, values, of_page| {
                    for_each_row(owners, values, of_page, &mut places, |low, value| {
                        let amount = &mut amounts[usize::from(low)];
                        *amount = value.max(*amount);
                    });
                });
                (Verdict::Value(test), amounts)
            }
            Amount::Last(column, test) => {
                let mut amounts = scratch.amounts(UNKNOWN);
                rows.for_each_page_of(chunk, *column, |owners, values, of_page| {
                    for_each_row(owners, values, of_page, &mut places, |low, value| amounts[usize::from(low)] = value);
                });
                self.put_in_order(chunk, *column, <[i64]>::last, &mut amounts, scratch);
                (Verdict::Value(test), amounts)
            }
            Amount::First(column, test) => {
                let mut amounts = scratch.amounts(UNKNOWN);
                rows.for_each_page_of_back(chunk, *column, |owners, values, of_page| {
                    let put = |low, value| amounts[usize::from(low)] = value;
                    for_each_row_back(owners, values, of_page, &mut places, put);
                });
                self.put_in_order(chunk, *column, <[i64]>::first, &mut amounts, scratch);
                (Verdict::Value(test), amounts)
            }
            Amount::Count(_) | Amount::Distinct(..) => return None,
        };
        let set = self.judge(&test, &amounts, scratch);
        scratch.recycle_amounts(amounts);
        Some(set)
    }

    /// Amounts of those who have rows in several segments, from their rows in order.
    fn put_in_order(
        &self,
        chunk: usize,
        column: RowColumn,
        which: fn(&[i64]) -> Option<&i64>,
        amounts: &mut [i64],
        scratch: &mut Scratch,
    ) {
        if self.rows.is_in_order(chunk) {
            return;
        }
        let mut beside = scratch.bits();
        if self.rows.mark_beside(chunk, &mut beside).is_some() {
            let set = match kernels::count(&beside) {
                0 => return scratch.recycle(ChunkSet::Bits(beside)),
                count if count <= IDS_MAX => {
                    let mut ids = scratch.ids();
                    kernels::push_bits(&beside, count, &mut ids);
                    scratch.recycle(ChunkSet::Bits(beside));
                    ChunkSet::Ids(ids)
                }
                _ => ChunkSet::Bits(beside),
            };
            let mut rows = Gathered::default();
            self.rows.gather(chunk, Some(&set), &[column], &mut rows);
            rows.for_each_profile(|low, of_profile| {
                amounts[usize::from(low)] = which(&rows.columns[0][of_profile]).copied().unwrap_or(UNKNOWN);
            });
            scratch.recycle(set);
        }
    }

    /// A sum and a count for each profile of the chunk.
    fn by_means(
        &self,
        chunk: usize,
        column: RowColumn,
        ranges: &[ExactRange],
        scratch: &mut Scratch,
    ) -> Option<ChunkSet> {
        let (mut amounts, mut counts, mut sums) = (scratch.amounts(0), scratch.amounts(0), Sums::default());
        let mut places = Places::default();
        self.rows.for_each_page_of(chunk, column, |owners, values, of_page| {
            if sums.fit(values) {
                for_each_row(owners, values, of_page, &mut places, |low, value| {
                    let (known, low) = (value != UNKNOWN, usize::from(low));
                    amounts[low] = amounts[low].wrapping_add(if known { value } else { 0 });
                    counts[low] = counts[low].wrapping_add(known.into());
                });
            }
        });
        let set = (!sums.are_wide).then(|| {
            let mut bits = scratch.bits();
            let bounds = match ranges {
                [range] => range.mean_bounds(sums.most, u64::from(self.rows.row_count(chunk))),
                _ => None,
            };
            match bounds {
                Some(MeanBounds { low, high }) => {
                    const PAGE: usize = PAGE_PROFILES as usize;
                    let pages = amounts.chunks_exact(PAGE).zip(counts.chunks_exact(PAGE));
                    for (words, (sums, counts)) in bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut().zip(pages) {
                        kernels::means(sums, counts, low, high, words);
                    }
                }
                None => {
                    bits.fill(0);
                    for ((sum, count), slot) in amounts.iter().zip(&counts).zip(0..) {
                        let passes =
                            *count > 0 && ranges.iter().any(|range| range.contains((*sum).into(), (*count).into()));
                        bits[slot / 64] |= u64::from(passes) << (slot % 64);
                    }
                }
            }
            ChunkSet::Bits(bits)
        });
        scratch.recycle_amounts(amounts);
        scratch.recycle_amounts(counts);
        set
    }

    /// Whose amount passes.
    fn judge(&self, verdict: &Verdict<'_>, amounts: &[i64], scratch: &mut Scratch) -> ChunkSet {
        let mut bits = scratch.bits();
        let pages = bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut().zip(amounts.chunks_exact(PAGE_PROFILES as usize));
        // Amounts of those who have none lie beyond all values.
        let within = |range: Range| (range.low.max(-NUMBER_MAX), range.high.min(NUMBER_MAX));
        for (words, amounts) in pages {
            let mut mark = |low: i64, high: i64| match low <= high {
                true => kernels::range_i64(amounts, low, high.wrapping_sub(low) as u64, words),
                false => words.fill(0),
            };
            match verdict {
                Verdict::Sum(range) => {
                    mark(range.low, range.high);
                    if self.behaviour.negated {
                        // Whoever has no rows has a sum of 0, which passes.
                        words.iter_mut().for_each(|word| *word = !*word);
                    }
                }
                Verdict::Value(ColumnTest::Range(range)) => {
                    let (low, high) = within(*range);
                    mark(low, high);
                }
                Verdict::Value(test) => {
                    words.fill(0);
                    for (amount, slot) in amounts.iter().zip(0..) {
                        let is_known = (-NUMBER_MAX..=NUMBER_MAX).contains(amount);
                        words[slot / 64] |= u64::from(is_known && test.passes(*amount)) << (slot % 64);
                    }
                }
            }
        }
        ChunkSet::Bits(bits)
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
            Amount::Count(ColumnTest::Range(range))
                if range.low <= 255 && (range.high < 255 || range.high > 1 << 32) =>
            {
                Some(*range)
            }
            _ => None,
        }
    }

    fn by_counters(&self, chunk: usize, range: Range, scratch: &mut Scratch) -> ChunkSet {
        let mut bits = scratch.bits();
        let has_any = range.low <= 1 && range.high > 255 && !self.behaviour.negated;
        if has_any {
            mark_owners(&self.rows, chunk, &mut bits, scratch);
            return ChunkSet::Bits(bits);
        }
        let (mut counters, mut places) = (scratch.counters(), Places::default());
        self.rows.for_each_page(chunk, |owners, rows| {
            for_each_owner(owners, rows, &mut places, |low| {
                let counter = &mut counters[usize::from(low)];
                *counter = counter.saturating_add(1);
            });
        });
        let (low, high) = (range.low.max(1) as u64, range.high.clamp(0, 255) as u64);
        mark_counts(&counters, low, high, &mut bits);
        if self.behaviour.negated {
            let mut any = scratch.bits();
            mark_counts(&counters, 1, 255, &mut any);
            bits.iter_mut().zip(any.iter()).for_each(|(word, any)| *word = any & !*word);
            scratch.recycle(ChunkSet::Bits(any));
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
                for value in known() {
                    // Few values are compared faster than sorted.
                    if distinct.len() < 16 && !distinct.contains(&value) || distinct.len() >= 16 {
                        distinct.push(value);
                    }
                }
                if distinct.len() >= 16 {
                    distinct.sort_unstable();
                    distinct.dedup();
                }
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
        let candidates = self.with_all_steps(chunk, scratch);
        self.push(chunk, Some(&candidates), &mut ids);
        scratch.recycle(candidates);
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

    /// Who has a row of every step, in whatever order.
    fn with_all_steps(&self, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let mut all = scratch.bits();
        let mut one = scratch.bits();
        for (step, at) in self.steps.iter().zip(0..) {
            let bits = if at == 0 { &mut all } else { &mut one };
            mark_owners(step, chunk, bits, scratch);
            if at > 0 {
                kernels::and_assign(&mut all, &one);
            }
        }
        scratch.recycle(ChunkSet::Bits(one));
        ChunkSet::Bits(all)
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
        let mut places = Vec::new();
        steps[0].for_each_profile(|low, first| {
            spans[0] = first;
            for (rows, span) in steps.iter().zip(&mut spans).skip(1) {
                let mut start = span.end;
                while rows.lows.get(start).is_some_and(|other| *other < low) {
                    start += 1;
                }
                let mut end = start;
                while rows.lows.get(end) == Some(&low) {
                    end += 1;
                }
                *span = start..end;
            }
            if spans.iter().any(|span| span.is_empty()) {
                return;
            }
            let times = |step: usize| &steps[step].columns[0][spans[step].clone()];
            if one_after_the_other(steps.len(), &times, &mut places, self.in_order.within_s) {
                ids.push(low);
            }
        });
    }
}

/// Whether there is a time of each step, each later than the one before, and the last at most `within_s` after the first.
/// Each step's times ascend. For a first one, the earliest that can follow, step by step, ends earliest; and a later
/// first one never lets an earlier one follow: so each list is walked through once.
fn one_after_the_other<'t>(
    steps: usize,
    times_of: &dyn Fn(usize) -> &'t [i64],
    places: &mut Vec<usize>,
    within_s: Option<i64>,
) -> bool {
    places.clear();
    places.resize(steps, 0);
    for first in times_of(0) {
        let mut time = *first;
        for (step, place) in places.iter_mut().enumerate().skip(1) {
            let times = times_of(step);
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

/// Marks whoever has a row that passes: a byte each, which is written without being read.
fn mark_owners(rows: &RowsRun<'_>, chunk: usize, bits: &mut Bits, scratch: &mut Scratch) {
    let (mut counters, mut places) = (scratch.counters(), Places::default());
    rows.for_each_page(chunk, |owners, rows| {
        for_each_owner(owners, rows, &mut places, |low| counters[usize::from(low)] = 1);
    });
    mark_counts(&counters, 1, 1, bits);
    scratch.recycle_counters(counters);
}

/// Marks whose counter lies in a range; none of an empty one.
fn mark_counts(counters: &[u8], low: u64, high: u64, bits: &mut Bits) {
    let pages = bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut();
    for (words, counts) in pages.zip(counters.chunks_exact(PAGE_PROFILES as usize)) {
        let page = Page { base: 0, max_code: 255, codes: Codes::U8(counts) };
        if low <= high {
            kernels::range(&page, low, high, words);
        } else {
            words.fill(0);
        }
    }
}

/// Whether the sum of any of the values seen so far stays within 64 bits.
#[derive(Default)]
struct Sums {
    most: u128,
    are_wide: bool,
}

impl Sums {
    /// Whether it still does with a page of values.
    fn fit(&mut self, values: &Page<'_>) -> bool {
        let largest = u128::from(values.base.unsigned_abs()) + u128::from(values.max_code);
        self.most += largest * u128::from(PAGE_PROFILES);
        self.are_wide |= self.most >= 1 << 63;
        !self.are_wide
    }
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
            let found_now = one_after_the_other(steps.len(), &|step| steps[step], &mut Vec::new(), within_s);
            assert_eq!(found_now, wanted, "{steps:?} {within_s:?}");
            found += u32::from(wanted);
        }
        assert!(found > 2_000, "{found}");
    }
}
