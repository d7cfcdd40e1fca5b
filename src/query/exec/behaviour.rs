//! Behaviours in one stripe: whose rows come to something.
//! Knows rows of a chunk as they are gathered; knows no segments.
//!
//! Few things need the rows of a profile together. Counts take a counter for each profile of the chunk, in one byte
//! where that is enough; sums and bounds an amount for each, looked at for those alone who have rows where they are few;
//! the first and the last are found at the ends of each profile's rows. Different values are put together for those who
//! can have enough of them.

use storage::column::{Codes, NUMBER_MAX, Page};
use storage::container::{Bits, ContainerRef};
use storage::ids::{CHUNK_PROFILES, CHUNK_WORDS, PAGE_PROFILES, PAGE_WORDS, STRIPE_CHUNKS};

use super::by_profile::{distinct_count, for_each_group};
use super::pages::{Places, UNKNOWN, ValuePage};
use super::rows::{Gathered, RowsRun};
use super::sets::{Amounts, ChunkSet, Counters, Scratch, of_each};
use super::spans::End;
use crate::query::kernels::{self, PageBits};
use crate::query::number::{ExactRange, MeanBounds, Range};
use crate::query::plan::{Amount, Behaviour, ColumnTest, RowColumn};

/// Sets of at most so many are kept as ids.
const IDS_MAX: u32 = 2048;

/// The amounts of at most so many rows' profiles are looked at one by one, of more all of the chunk's.
const FEW_ROWS_MAX: usize = 1 << 14;

/// Up to so many rows of one profile are counted by looking at the rows before each.
const COUNTED_BY_SPANS_MAX: i64 = 16;

const PAGE: usize = PAGE_PROFILES as usize;

/// How the values of a column become one amount.
struct Fold<F> {
    column: RowColumn,
    /// Of no value.
    start: i64,
    add: F,
}

/// A sum of few bits, which stops at the largest.
trait SmallSum: Copy + Default {
    /// One for each profile of a chunk, all 0.
    fn buffers(scratch: &mut Scratch) -> &mut Vec<Box<[Self; CHUNK_PROFILES as usize]>>;
    /// With a value added.
    fn plus(self, value: u32) -> Self;
    /// Marks the sums of a page that lie in a range; the largest stands for all beyond, too.
    fn mark(sums: &[Self], range: Range, out: &mut PageBits);
}

impl SmallSum for u16 {
    fn buffers(scratch: &mut Scratch) -> &mut Vec<Box<[u16; CHUNK_PROFILES as usize]>> {
        &mut scratch.sums_16
    }

    #[inline(always)]
    fn plus(self, value: u32) -> u16 {
        self.saturating_add(value.min(u16::MAX.into()) as u16)
    }

    fn mark(sums: &[u16], range: Range, out: &mut PageBits) {
        let bound = |bound: i64| bound.clamp(0, u16::MAX.into()) as u16;
        kernels::range_u16(sums, bound(range.low), bound(range.high) - bound(range.low), out);
    }
}

impl SmallSum for u32 {
    fn buffers(scratch: &mut Scratch) -> &mut Vec<Box<[u32; CHUNK_PROFILES as usize]>> {
        &mut scratch.sums_32
    }

    #[inline(always)]
    fn plus(self, value: u32) -> u32 {
        self.saturating_add(value)
    }

    fn mark(sums: &[u32], range: Range, out: &mut PageBits) {
        let bound = |bound: i64| bound.clamp(0, u32::MAX.into()) as u32;
        kernels::range_u32(sums, bound(range.low), bound(range.high) - bound(range.low), out);
    }
}

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

impl BehaviourLeaf<'_> {
    pub(super) fn upper(&self, chunk: usize) -> u32 {
        self.rows.row_count(chunk)
    }

    pub(super) fn bits_ns(&self, chunk: usize) -> u64 {
        3000 + self.rows.rows_ns(chunk)
    }

    /// Everyone of a chunk who is in it.
    pub(super) fn eval(&self, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let set = match self.count_range() {
            Some(range) => self.by_counters(chunk, range, scratch),
            None => self.by_amounts(chunk, scratch).unwrap_or_else(|| {
                let mut ids = scratch.ids();
                self.push_gathered(chunk, None, &mut ids, scratch);
                compact(ids, scratch)
            }),
        };
        among_live(set, self.live[chunk], scratch)
    }

    /// Who has as many different values as are asked for: of those who have as many values at all.
    fn by_distinct(&self, chunk: usize, column: RowColumn, test: &ColumnTest, scratch: &mut Scratch) -> ChunkSet {
        let least = match test {
            ColumnTest::Range(range) => range.low.clamp(1, 255) as u64,
            _ => 1,
        };
        let (mut counters, mut candidates) = (scratch.counters(), scratch.bits());
        let (mut ids, mut groups) = (scratch.ids(), scratch.groups());
        let (first, last) = self.rows.bounds(chunk, column);
        if last.checked_sub(first).is_some_and(|span| span < u16::MAX.into()) && are_few_counted(test) {
            let mut rows = groups.take_rows();
            self.rows.for_each_value_page(chunk, column, |page| page.push_small(first, &mut rows, &mut counters));
            mark_counts(&counters, least, 255, &mut candidates);
            groups.push_few_different(&candidates, rows, |count| test.passes(count), &mut ids);
        } else {
            let mut rows = scratch.rows();
            rows.clear(1);
            self.rows.for_each_value_page(chunk, column, |page| page.push(&mut rows.lows, &mut rows.columns[0]));
            for low in &rows.lows {
                let counter = &mut counters[usize::from(*low)];
                *counter = counter.saturating_add(1);
            }
            mark_counts(&counters, least, 255, &mut candidates);
            keep_members(&candidates, &mut rows);
            for_each_group(&candidates, &rows, &mut groups, |low, values| {
                if test.passes(distinct_count(values)) {
                    ids.push(low);
                }
            });
            scratch.recycle_rows(rows);
        }
        scratch.recycle_counters(counters);
        scratch.recycle_groups(groups);
        scratch.recycle(ChunkSet::Bits(candidates));
        compact(ids, scratch)
    }

    /// An amount for each profile of the chunk; `None` where that does not do.
    fn by_amounts(&self, chunk: usize, scratch: &mut Scratch) -> Option<ChunkSet> {
        match &self.behaviour.amount {
            Amount::Sum(column, ranges) => {
                let [range] = ranges[..] else { return None };
                if range.low > i64::MAX.into() || range.high < i64::MIN.into() {
                    return None;
                }
                let bound = |bound: i128| bound.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                let range = Range { low: bound(range.low), high: bound(range.high) };
                self.by_small_sums(chunk, *column, range, scratch).or_else(|| {
                    let fold = Fold { column: *column, start: 0, add: i64::wrapping_add };
                    self.by_fold(chunk, fold, &Verdict::Sum(range), scratch)
                })
            }
            Amount::Mean(column, ranges) => self.by_means(chunk, *column, ranges, scratch),
            Amount::Distinct(column, test) if !self.behaviour.negated => {
                Some(self.by_distinct(chunk, *column, test, scratch))
            }
            Amount::Least(column, test) => {
                let fold = Fold { column: *column, start: i64::MAX, add: i64::min };
                self.by_fold(chunk, fold, &Verdict::Value(test), scratch)
            }
            Amount::Most(column, test) => {
                let fold = Fold { column: *column, start: UNKNOWN, add: i64::max };
                self.by_fold(chunk, fold, &Verdict::Value(test), scratch)
            }
            Amount::First(column, test) => Some(self.by_end(chunk, *column, test, End::First, scratch)),
            Amount::Last(column, test) => Some(self.by_end(chunk, *column, test, End::Last, scratch)),
            Amount::Count(_) | Amount::Distinct(..) => None,
        }
    }

    /// Whose sum passes, in as few bits each as the bounds need: sums stop rather than overflow. `None` where values are
    /// negative, or a bound or a value needs more than 32 bits.
    fn by_small_sums(&self, chunk: usize, column: RowColumn, range: Range, scratch: &mut Scratch) -> Option<ChunkSet> {
        // The largest sum stands for itself and all beyond.
        let is_below = |most: i64| range.low < most && (range.high < most || range.high == i64::MAX);
        if range.high < range.low.max(0) {
            return None;
        }
        if is_below(u16::MAX.into()) {
            return self.by_sums_of::<u16>(chunk, column, range, scratch);
        }
        is_below(u32::MAX.into()).then(|| self.by_sums_of::<u32>(chunk, column, range, scratch)).flatten()
    }

    fn by_sums_of<S: SmallSum>(
        &self,
        chunk: usize,
        column: RowColumn,
        range: Range,
        scratch: &mut Scratch,
    ) -> Option<ChunkSet> {
        let mut sums = S::buffers(scratch).pop().unwrap_or_else(|| of_each(S::default()));
        let (mut do_fit, mut places) = (true, Places::default());
        let all = &mut *sums;
        self.rows.for_each_code_page(chunk, column, |owners, codes, rows| {
            let page = ValuePage { owners, codes, places: places.of(rows) };
            let bounds = page.bounds();
            do_fit &= bounds.0 >= 0 && bounds.1 < u32::MAX.into();
            let base = (codes.base as u32).wrapping_sub(1);
            page.for_each_code(|low, code| {
                let sum = &mut all[usize::from(low)];
                *sum = sum.plus(if code == 0 { 0 } else { base.wrapping_add(code as u32) });
            });
        });
        let mut bits = scratch.bits();
        for (words, sums) in bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut().zip(sums.chunks_exact_mut(PAGE)) {
            S::mark(sums, range, words);
            if self.behaviour.negated {
                // Whoever has no rows has a sum of 0, which passes.
                words.iter_mut().for_each(|word| *word = !*word);
            }
            // While they are in the cache.
            sums.fill(S::default());
        }
        S::buffers(scratch).push(sums);
        let set = ChunkSet::Bits(bits);
        if !do_fit {
            scratch.recycle(set);
            return None;
        }
        Some(set)
    }

    /// Whose values, added to a start, come to what passes; `None` where they need more than 64 bits.
    #[inline(always)]
    fn by_fold(
        &self,
        chunk: usize,
        fold: Fold<impl Fn(i64, i64) -> i64>,
        verdict: &Verdict<'_>,
        scratch: &mut Scratch,
    ) -> Option<ChunkSet> {
        let (mut sums, mut amounts, mut lows) = (Sums::default(), scratch.amounts(fold.start), scratch.ids());
        self.rows.for_each_value_page(chunk, fold.column, |page| {
            sums.add(page);
            page.for_each(|low, value| {
                let amount = &mut amounts[usize::from(low)];
                *amount = (fold.add)(*amount, value);
            });
            if lows.len() <= FEW_ROWS_MAX {
                page.push_owners(&mut lows);
            }
        });
        let are_few = lows.len() <= FEW_ROWS_MAX;
        let set = (!sums.are_wide()).then(|| match are_few {
            true => self.judge_few(verdict, &amounts, &lows, scratch),
            false => self.judge(verdict, &amounts, scratch),
        });
        match are_few {
            true => lows.iter().for_each(|low| amounts[usize::from(*low)] = fold.start),
            false => amounts.fill(fold.start),
        }
        scratch.recycle_amounts(fold.start, amounts);
        scratch.recycle(ChunkSet::Ids(lows));
        set
    }

    /// Whose first or last row has a value that passes.
    fn by_end(&self, chunk: usize, column: RowColumn, test: &ColumnTest, end: End, scratch: &mut Scratch) -> ChunkSet {
        let mut ids = scratch.ids();
        if let Some(rows) = self.rows.most_by_profile(chunk) {
            rows.push_by_end(chunk, column, test, end, scratch, &mut ids);
        }
        let mut beside = scratch.bits();
        if self.rows.is_in_order(chunk) || !self.rows.mark_beside(chunk, scratch, &mut beside) {
            scratch.recycle(ChunkSet::Bits(beside));
            return compact(ids, scratch);
        }
        // Of those who have rows in several segments, all are looked at.
        let mut bits = scratch.filled(ContainerRef::Array(&ids));
        kernels::and_not_assign(&mut bits, &beside);
        let (beside, mut rows) = (ChunkSet::Bits(beside), scratch.rows());
        self.rows.gather(chunk, Some(&beside), &[column], &mut rows);
        rows.for_each_profile(|low, of_profile| {
            let values = &rows.columns[0][of_profile];
            let value = if end == End::First { values.first() } else { values.last() };
            let passes = value.is_some_and(|value| *value != UNKNOWN && test.passes(*value));
            bits[usize::from(low) / 64] |= u64::from(passes) << (low % 64);
        });
        scratch.recycle_rows(rows);
        scratch.recycle(beside);
        scratch.recycle(ChunkSet::Ids(ids));
        ChunkSet::Bits(bits)
    }

    /// A sum and a count in one number for each profile of the chunk; `None` where they do not fit.
    fn by_means(
        &self,
        chunk: usize,
        column: RowColumn,
        ranges: &[ExactRange],
        scratch: &mut Scratch,
    ) -> Option<ChunkSet> {
        let (mut means, mut sums) = (scratch.amounts(0), Sums::default());
        self.rows.for_each_value_page(chunk, column, |page| {
            sums.add(page);
            page.for_each(|low, value| {
                let mean = &mut means[usize::from(low)];
                *mean = mean.wrapping_add(value.wrapping_add(1 << kernels::MEAN_SUM_BITS));
            });
        });
        let do_fit = !sums.are_negative
            && sums.most < 1 << kernels::MEAN_SUM_BITS
            && self.rows.row_count(chunk) < 1 << (63 - kernels::MEAN_SUM_BITS);
        let bounds = match ranges {
            [range] => range.mean_bounds(sums.most, u64::from(self.rows.row_count(chunk))),
            _ => None,
        };
        let passes = |mean: i64| {
            let (sum, count) = kernels::sum_and_count(mean);
            count > 0 && ranges.iter().any(|range| range.contains(sum.into(), count.into()))
        };
        let mut bits = scratch.bits();
        let pages = bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut().zip(means.as_chunks_mut::<PAGE>().0);
        for (words, means) in pages {
            match bounds {
                Some(MeanBounds { low, high }) if do_fit => kernels::means(means, low, high, words),
                _ => {
                    words.fill(0);
                    let passing = (0..PAGE).filter(|slot| do_fit && passes(means[*slot]));
                    passing.for_each(|slot| words[slot / 64] |= 1 << (slot % 64));
                }
            }
            // While they are in the cache.
            means.fill(0);
        }
        scratch.recycle_amounts(0, means);
        let set = ChunkSet::Bits(bits);
        if !do_fit {
            scratch.recycle(set);
            return None;
        }
        Some(set)
    }

    /// Whose amount passes, of those who have some of a few rows.
    fn judge_few(&self, verdict: &Verdict<'_>, amounts: &Amounts, lows: &[u16], scratch: &mut Scratch) -> ChunkSet {
        let mut bits = scratch.bits();
        bits.fill(0);
        match verdict {
            Verdict::Sum(range) => {
                let passes = |amount: i64| range.contains(amount) != self.behaviour.negated;
                mark_few(amounts, lows, passes, &mut bits);
            }
            // There are values of everyone who has rows.
            Verdict::Value(ColumnTest::Range(range)) => {
                mark_few(amounts, lows, |amount| range.contains(amount) != self.behaviour.negated, &mut bits);
            }
            Verdict::Value(test) => {
                mark_few(amounts, lows, |amount| test.passes(amount) != self.behaviour.negated, &mut bits);
            }
        }
        if lows.len() as u32 > IDS_MAX {
            return ChunkSet::Bits(bits);
        }
        let mut ids = scratch.ids();
        kernels::push_bits(&bits, kernels::count(&bits), &mut ids);
        scratch.recycle(ChunkSet::Bits(bits));
        ChunkSet::Ids(ids)
    }

    /// Whose amount passes.
    fn judge(&self, verdict: &Verdict<'_>, amounts: &Amounts, scratch: &mut Scratch) -> ChunkSet {
        let mut bits = scratch.bits();
        let pages = bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut().zip(amounts.chunks_exact(PAGE));
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
        self.push_gathered(chunk, Some(&candidates), &mut passing, scratch);
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
        let (mut bits, least) = (scratch.bits(), range.low.max(1));
        if range.high > 255
            && !self.behaviour.negated
            && least <= COUNTED_BY_SPANS_MAX
            && let Some(rows) = self.rows.all_by_profile(chunk)
        {
            scratch.recycle(ChunkSet::Bits(bits));
            let mut ids = scratch.ids();
            rows.push_by_count(chunk, least as usize, scratch, &mut ids);
            return compact(ids, scratch);
        }
        let mut counters = scratch.counters();
        self.rows.for_each_owner(chunk, scratch, |low| {
            let counter = &mut counters[usize::from(low)];
            *counter = counter.saturating_add(1);
        });
        let (low, high) = (least as u64, range.high.clamp(0, 255) as u64);
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

    fn push_gathered(&self, chunk: usize, among: Option<&ChunkSet>, ids: &mut Vec<u16>, scratch: &mut Scratch) {
        let mut rows = scratch.rows();
        self.rows.gather(chunk, among, self.column().as_slice(), &mut rows);
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
        scratch.recycle_rows(rows);
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
                test.passes(distinct_count(distinct))
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

/// Whether numbers of different values beyond a few all pass, or none of them.
fn are_few_counted(test: &ColumnTest) -> bool {
    let ColumnTest::Range(range) = test else { return false };
    range.low <= kernels::SEEN_MAX && (range.high < kernels::SEEN_MAX || range.high > 1 << 32)
}

/// Keeps the rows of members, of one column, without a branch: whatever is not kept is overwritten.
fn keep_members(members: &Bits, rows: &mut Gathered) {
    let (lows, values) = (&mut rows.lows, &mut rows.columns[0]);
    let mut kept = 0usize;
    for at in 0..lows.len().min(values.len()) {
        let (low, value) = (lows[at], values[at]);
        (lows[kept], values[kept]) = (low, value);
        kept = kept.wrapping_add((members[usize::from(low) / 64] >> (low % 64) & 1) as usize);
    }
    lows.truncate(kept);
    values.truncate(kept);
}

/// Marks, of some, whose amount passes.
#[inline(always)]
fn mark_few(amounts: &Amounts, lows: &[u16], passes: impl Fn(i64) -> bool, bits: &mut Bits) {
    for low in lows {
        bits[usize::from(*low) / 64] |= u64::from(passes(amounts[usize::from(*low)])) << (low % 64);
    }
}

/// Marks whose counter lies in a range; none of an empty one.
fn mark_counts(counters: &Counters, low: u64, high: u64, bits: &mut Bits) {
    let pages = bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut();
    for (words, counts) in pages.zip(counters.chunks_exact(PAGE)) {
        let page = Page { base: 0, max_code: 255, codes: Codes::U8(counts) };
        if low <= high {
            kernels::range(&page, low, high, words);
        } else {
            words.fill(0);
        }
    }
}

/// What the values seen so far can come to.
#[derive(Default)]
struct Sums {
    /// At most so much, or so much below zero.
    most: u128,
    are_negative: bool,
}

impl Sums {
    fn add(&mut self, values: &ValuePage<'_, '_>) {
        let (least, most) = values.bounds();
        let largest = u128::from(least.unsigned_abs().max(most.unsigned_abs()));
        self.most += largest * values.len() as u128;
        self.are_negative |= least < 0;
    }

    /// Whether some sum may need more than 64 bits.
    fn are_wide(&self) -> bool {
        self.most >= 1 << 63
    }
}

/// Sorted ids as ids or bits.
pub(super) fn compact(ids: Vec<u16>, scratch: &mut Scratch) -> ChunkSet {
    if ids.len() as u32 <= IDS_MAX {
        return ChunkSet::Ids(ids);
    }
    let bits = scratch.filled(ContainerRef::Array(&ids));
    scratch.recycle(ChunkSet::Ids(ids));
    ChunkSet::Bits(bits)
}

/// Rows of the erased stay until the next store snapshot.
pub(super) fn among_live(set: ChunkSet, live: ContainerRef<'_>, scratch: &mut Scratch) -> ChunkSet {
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

    /// Whether a sum of some values passes, kept in few bits.
    fn passes<S: SmallSum>(values: &[u32], range: Range) -> bool {
        let mut sums = vec![S::default(); PAGE];
        sums[77] = values.iter().fold(S::default(), |sum, value| sum.plus(*value));
        let mut bits = [0; PAGE_WORDS];
        S::mark(&sums, range, &mut bits);
        bits[77 / 64] >> (77 % 64) & 1 == 1
    }

    #[test]
    fn sums_that_stop_pass_as_those_that_do_not() {
        let all = |values: &[u32], low: i64, high: i64| {
            let (range, most) = (Range { low, high }, i64::from(u16::MAX));
            let sum: i64 = values.iter().map(|value| i64::from(*value)).sum();
            let wanted = (low..=high).contains(&sum);
            assert_eq!(passes::<u32>(values, range), wanted, "{values:?} {range:?}");
            if low < most && (high < most || high == i64::MAX) {
                assert_eq!(passes::<u16>(values, range), wanted, "{values:?} {range:?}");
            }
        };
        for sum in [0u32, 1, 9_999, 10_000, 65_533, 65_534, 65_535, 65_536, 70_000, u32::MAX - 1] {
            for low in [1, 10_000, 65_534, 65_535, 65_536, i64::from(u32::MAX) - 1] {
                for high in [10_000, 65_534, 65_535, i64::from(u32::MAX) - 1, i64::MAX] {
                    if low <= high {
                        all(&[sum], low, high);
                        all(&[sum / 3, sum - sum / 3], low, high);
                        all(&[u32::MAX - 1, sum], low, high);
                    }
                }
            }
        }
    }
}
