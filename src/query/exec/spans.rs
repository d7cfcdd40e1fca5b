//! Rows as they lie profile by profile: whose first or last one passes, and which rows of several steps can follow each
//! other at all. Knows bits of pages; what rows come to is the caller's.

use std::ops::Range as Span;

use storage::column::{Codes, Page};
use storage::ids::{PAGE_PROFILES, PAGE_WORDS};

use super::first_of;
use super::pages::{ALL, PAGE, Places, for_each_owner, push_lows};
use super::row_test::column_of;
use super::rows::{Ordered, RowsRun};
use super::sets::{ChunkSet, Scratch};
use crate::query::kernels::{self, PageBits};
use crate::query::plan::{ColumnTest, RowColumn};

/// Which of a profile's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

/// Rows of fewer profiles are sought one by one.
const SOUGHT_MAX: usize = 32;

/// Of so many rows of a page the owners are read, of fewer they are told by the number of their span.
const READ_MIN: u32 = PAGE_PROFILES / 4;

impl Ordered<'_> {
    /// The owner of each span of a chunk, where that is kept: in far fewer bytes than the owners of all rows.
    fn span_owners(&self, chunk: usize, scratch: &mut Scratch) -> Option<Vec<u16>> {
        let bits = self.view.owner_bits(chunk)?;
        let mut owners = scratch.ids();
        kernels::push_bits(bits, kernels::count(bits), &mut owners);
        Some(owners)
    }

    /// Appends the rows of each of some profiles of a chunk: none where one has none.
    pub(super) fn push_rows_of(&self, chunk: usize, ids: &[u16], out: &mut Vec<Span<u32>>) {
        let owners = self.view.owner_bits(chunk).filter(|_| ids.len() >= SOUGHT_MAX);
        let Some(owners) = owners else {
            out.extend(ids.iter().map(|low| self.view.rows_of(first_of(chunk) + u32::from(*low))));
            return;
        };
        let known = out.len();
        out.resize(known + ids.len(), 0..0);
        let has_rows = |low: &u16| owners[usize::from(*low) / 64] >> (low % 64) & 1 == 1;
        let places: Vec<usize> = (0..ids.len()).filter(|at| has_rows(&ids[*at])).collect();
        let with_rows: Vec<u16> = places.iter().map(|at| ids[*at]).collect();
        let mut spans = Vec::with_capacity(with_rows.len());
        kernels::push_ranks(owners, &with_rows, &mut spans);
        let (end, mut before, mut at) = (self.rows[chunk].end, 0, 0);
        let (mut of_page, mut bounds) = (Vec::new(), Vec::new());
        // Whose rows go on beyond the page.
        let mut open: Option<usize> = None;
        for page in self.pages(chunk) {
            let (starts, first) = (self.starts(chunk, page), page as u32 * PAGE_PROFILES);
            let count = kernels::and_count_page(&starts, &starts);
            if count > 0
                && let Some(open) = open.take()
            {
                let row = starts.iter().zip(0u32..).find(|(word, _)| **word != 0);
                out[open].end = row.map_or(end, |(word, at)| first + at * 64 + word.trailing_zeros());
            }
            of_page.clear();
            let here = spans[at..].iter().map(|span| u32::from(*span).saturating_sub(before));
            of_page.extend(here.take_while(|span| *span < count).map(|span| span as u16));
            bounds.clear();
            kernels::push_span_bounds(&starts, &of_page, &mut bounds);
            for (place, [begins, ends]) in places[at..].iter().zip(&bounds) {
                let is_open = *ends == kernels::NO_ROW;
                let to = if is_open { end } else { first + u32::from(*ends) };
                out[known + place] = first + u32::from(*begins)..to;
                open = is_open.then_some(known + place);
            }
            at += bounds.len();
            before += count;
        }
    }

    /// The rows of a page that are the chunk's and the first of their profile.
    fn starts(&self, chunk: usize, page: usize) -> PageBits {
        let mut starts = self.view.span_starts(page);
        self.keep_of_chunk(chunk, page, &mut starts);
        starts
    }

    /// Appends the owners of the rows at some places of a page: told by the number of their span, where the owners of a
    /// chunk's spans are known, of which so many begin before the page; else read.
    fn push_owners(
        &self,
        page: usize,
        places: &[u16],
        (owners, before, starts): (Option<&Vec<u16>>, usize, &PageBits),
        ids: &mut Vec<u16>,
    ) {
        match owners {
            Some(owners) => kernels::push_span_owners(places, starts, before, owners, ids),
            None => push_lows(&self.view.owners().page(page), places, ids),
        }
    }

    /// Calls `each` with the owner of every row of a chunk that passes.
    #[inline(always)]
    pub(super) fn for_each_owner(&self, chunk: usize, scratch: &mut Scratch, mut each: impl FnMut(u16)) {
        let owners = self.span_owners(chunk, scratch);
        let (mut before, mut places, mut lows, mut rows) = (0, Places::default(), scratch.ids(), ALL);
        for page in self.pages(chunk) {
            self.mark(chunk, page, &mut rows);
            let count = kernels::and_count_page(&rows, &rows);
            match &owners {
                Some(owners) if count < READ_MIN => {
                    let starts = self.starts(chunk, page);
                    lows.clear();
                    kernels::push_span_owners(places.list(&rows), &starts, before, owners, &mut lows);
                    lows.iter().for_each(|low| each(*low));
                    before += kernels::and_count_page(&starts, &starts) as usize;
                }
                _ => {
                    for_each_owner(&self.view.owners().page(page), &rows, &mut places, &mut each);
                    if owners.is_some() {
                        before += kernels::and_count_page(&self.starts(chunk, page), &ALL) as usize;
                    }
                }
            }
        }
        owners.into_iter().chain([lows]).for_each(|ids| scratch.recycle(ChunkSet::Ids(ids)));
    }

    /// Appends whose first or last row that passes has a value that passes, too; ascending.
    pub(super) fn push_by_end(
        &self,
        chunk: usize,
        column: RowColumn,
        test: &ColumnTest,
        end: End,
        scratch: &mut Scratch,
        ids: &mut Vec<u16>,
    ) {
        let (owners, values) = (self.span_owners(chunk, scratch), column_of(&self.view, column));
        let [mut rows, mut passing, mut others] = [ALL; 3];
        let (mut carry, mut places) = (false, Places::default());
        // Spans that begin before the present page.
        let mut before = if end == End::First { 0 } else { owners.as_ref().map_or(0, Vec::len) };
        let pages = self.pages(chunk);
        for at in 0..pages.len() {
            let page = if end == End::First { pages.start + at } else { pages.end - 1 - at };
            self.mark(chunk, page, &mut rows);
            let starts = self.starts(chunk, page);
            let next_is_start = self.view.is_span_start((page as u32 + 1) * PAGE_PROFILES);
            let spans = kernels::and_count_page(&starts, &starts) as usize;
            before = if end == End::First { before } else { before.saturating_sub(spans) };
            let first_span = before;
            before = if end == End::First { before + spans } else { before };
            if rows.iter().all(|word| *word == 0) {
                carry &= spans == 0 && !(end == End::Last && next_is_start);
                continue;
            }
            match end {
                End::First => kernels::after(&rows, &starts, &mut carry, &mut others),
                End::Last => kernels::before(&rows, &starts, next_is_start, &mut carry, &mut others),
            }
            test.mark(&values.page(page), &mut passing);
            let of_ends = rows.iter().zip(&others).map(|(rows, others)| rows & !others);
            passing.iter_mut().zip(of_ends).for_each(|(word, ends)| *word &= ends);
            let known = ids.len();
            self.push_owners(page, places.list(&passing), (owners.as_ref(), first_span, &starts), ids);
            if end == End::Last {
                ids[known..].reverse();
            }
        }
        if end == End::Last {
            ids.reverse();
        }
        owners.into_iter().for_each(|owners| scratch.recycle(ChunkSet::Ids(owners)));
    }

    /// Appends who has at least so many rows that pass; ascending. Each look at a page finds those with one more before.
    pub(super) fn push_by_count(&self, chunk: usize, least: usize, scratch: &mut Scratch, ids: &mut Vec<u16>) {
        let owners = self.span_owners(chunk, scratch);
        let (mut rows, mut before, mut places) = (ALL, 0, Places::default());
        // The last of them is of those found already.
        let mut carries = vec![false; least];
        for page in self.pages(chunk) {
            self.mark(chunk, page, &mut rows);
            let starts = self.starts(chunk, page);
            let spans = kernels::and_count_page(&starts, &starts) as usize;
            if rows.iter().all(|word| *word == 0) {
                carries.iter_mut().for_each(|carry| *carry &= spans == 0);
                before += spans;
                continue;
            }
            let (mut found, mut after) = (rows, ALL);
            let (of_found, of_counts) = carries.split_last_mut().expect("at least one row is asked for");
            for carry in of_counts {
                kernels::after(&found, &starts, carry, &mut after);
                found.iter_mut().zip(rows.iter().zip(&after)).for_each(|(found, (rows, after))| *found = rows & after);
            }
            kernels::after(&found, &starts, of_found, &mut after);
            found.iter_mut().zip(&after).for_each(|(found, after)| *found &= !after);
            self.push_owners(page, places.list(&found), (owners.as_ref(), before, &starts), ids);
            before += spans;
        }
        owners.into_iter().for_each(|owners| scratch.recycle(ChunkSet::Ids(owners)));
    }
}

/// The rows of steps in order, where all of them are of one segment.
pub(super) struct Possible<'r, 'a> {
    steps: Vec<&'r Ordered<'a>>,
    chunk: usize,
    /// By page of the chunk's: where the rows of a profile begin.
    starts: Vec<PageBits>,
    /// By step, then page.
    rows: Vec<Vec<PageBits>>,
}

impl<'r, 'a> Possible<'r, 'a> {
    /// `None` where a step's rows of the chunk lie in several segments, or in another one than those of the first.
    pub(super) fn of(steps: &'r [RowsRun<'a>], chunk: usize) -> Option<Possible<'r, 'a>> {
        let (_, number) = steps.first()?.only_by_profile(chunk)?;
        let in_it = |step: &'r RowsRun<'a>| step.only_by_profile(chunk).filter(|(_, other)| *other == number);
        let steps = steps.iter().map(|step| Some(in_it(step)?.0)).collect::<Option<Vec<_>>>()?;
        let pages = steps[0].pages(chunk);
        let mut starts = vec![[0; PAGE_WORDS]; pages.len()];
        let mut rows: Vec<_> = steps.iter().map(|_| vec![[0; PAGE_WORDS]; pages.len()]).collect();
        for (page, at) in pages.zip(0..) {
            starts[at] = steps[0].starts(chunk, page);
            steps.iter().zip(&mut rows).for_each(|(step, rows)| step.mark(chunk, page, &mut rows[at]));
        }
        Some(Possible { steps, chunk, starts, rows })
    }

    /// Leaves of each step's rows those alone that have one of the step before them before themselves, and one of the step
    /// after them after. Times of rows may still be equal, or too far apart.
    pub(super) fn prune(&mut self) {
        let Possible { starts, rows, .. } = self;
        let (mut carries, mut found) = (vec![false; rows.len()], ALL);
        for (starts, at) in starts.iter().zip(0..) {
            for number in 1..rows.len() {
                kernels::after(&rows[number - 1][at], starts, &mut carries[number], &mut found);
                keep(&mut rows[number][at], &found);
            }
        }
        carries.fill(false);
        let mut next_is_start = true;
        for (at, starts) in starts.iter().enumerate().rev() {
            for number in (1..rows.len()).rev() {
                kernels::before(&rows[number][at], starts, next_is_start, &mut carries[number], &mut found);
                keep(&mut rows[number - 1][at], &found);
            }
            next_is_start = starts[0] & 1 == 1;
        }
    }

    /// Leaves of all steps the rows of some profiles alone.
    pub(super) fn keep_members(&mut self, ids: &[u16]) {
        let mut rows_of = Vec::with_capacity(ids.len());
        self.steps[0].push_rows_of(self.chunk, ids, &mut rows_of);
        let first = self.steps[0].pages(self.chunk).start as u32 * PAGE_PROFILES;
        let mut some = vec![[0; PAGE_WORDS]; self.starts.len()];
        for rows in rows_of.into_iter().filter(|rows| !rows.is_empty()) {
            let place = (rows.start - first) as usize;
            some[place / PAGE][place % PAGE / 64] |= 1 << (place % 64);
        }
        self.keep_profiles_of(&some);
    }

    /// Appends the moments of a step's rows; they ascend.
    pub(super) fn push_moments(&self, step: usize, out: &mut Vec<u64>) {
        let (rows, mut places) = (self.steps[step], Places::default());
        for (page, bits) in rows.pages(self.chunk).zip(&self.rows[step]) {
            if bits.iter().any(|word| *word != 0) {
                rows.row_page(page, bits, &mut places).push_moments(out);
            }
        }
    }

    /// Every row of the first step and the nearest one of the second that has none of either between. The nearest two rows
    /// in order are such a pair, unless some are of the same second.
    pub(super) fn pairs(&self, scratch: &mut Scratch) -> Pairs {
        let of_step = self.steps[0];
        let (owners, times) = (of_step.span_owners(self.chunk, scratch), of_step.view.at());
        let mut rows = vec![[0; PAGE_WORDS]; self.starts.len()];
        let (mut lows, mut nearest, mut seconds) = (scratch.ids(), scratch.ids(), Vec::new());
        let (mut walk, mut places, mut spans) = (AfterFirsts::default(), Places::default(), 0);
        // The last row of the first step before the page.
        let mut last_first = None;
        for (page, at) in of_step.pages(self.chunk).zip(0..) {
            let (starts, firsts, times) = (&self.starts[at], &self.rows[0][at], times.page(page));
            walk.mark(firsts, &self.rows[1][at], starts, &mut rows[at]);
            let places = places.list(&rows[at]);
            nearest.clear();
            kernels::push_nearest_before(places, firsts, &mut nearest);
            push_between(&times, places, &nearest, last_first, &mut seconds);
            of_step.push_owners(page, places, (owners.as_ref(), spans, starts), &mut lows);
            spans += kernels::and_count_page(starts, starts) as usize;
            last_first = last_of(firsts).and_then(|place| times.value(place)).or(last_first);
        }
        owners.into_iter().chain([nearest]).for_each(|ids| scratch.recycle(ChunkSet::Ids(ids)));
        Pairs { rows, lows, seconds }
    }

    /// Leaves of all steps the rows of those profiles alone that have one of some rows.
    pub(super) fn keep_profiles_of(&mut self, some: &[PageBits]) {
        let Possible { starts, rows, .. } = self;
        let (mut carry, mut found) = (false, ALL);
        let mut spans = some.to_vec();
        for (span, (some, starts)) in spans.iter_mut().zip(some.iter().zip(starts.iter())) {
            kernels::after(some, starts, &mut carry, &mut found);
            span.iter_mut().zip(&found).for_each(|(word, found)| *word |= found);
        }
        let mut next_is_start = true;
        carry = false;
        for (span, (some, starts)) in spans.iter_mut().zip(some.iter().zip(starts.iter())).rev() {
            kernels::before(some, starts, next_is_start, &mut carry, &mut found);
            span.iter_mut().zip(&found).for_each(|(word, found)| *word |= found);
            next_is_start = starts[0] & 1 == 1;
        }
        rows.iter_mut().for_each(|rows| rows.iter_mut().zip(&spans).for_each(|(rows, span)| keep(rows, span)));
    }
}

/// A walk over pages for the rows of the second step before which the nearest row of either step is one of the first.
#[derive(Default)]
struct AfterFirsts {
    carry: bool,
    /// Whether the last row before the page is one of the second step alone.
    last_ends: bool,
}

impl AfterFirsts {
    fn mark(&mut self, firsts: &PageBits, seconds: &PageBits, starts: &PageBits, out: &mut PageBits) {
        let mut ends = *starts;
        for (end, (first, second)) in ends.iter_mut().zip(firsts.iter().zip(seconds)) {
            // Beyond a row of the second step alone nothing goes on from the first.
            let second_alone = second & !first;
            *end |= second_alone << 1 | u64::from(self.last_ends);
            self.last_ends = second_alone >> 63 == 1;
        }
        kernels::after(firsts, &ends, &mut self.carry, out);
        keep(out, seconds);
    }
}

/// Appends how long after the row before it each of some rows of a page is; of which the first alone may have that row on
/// a page before, whose time is known then.
fn push_between(times: &Page<'_>, rows: &[u16], before: &[u16], last: Option<i64>, out: &mut Vec<i64>) {
    let (mut rows, mut before) = (rows, before);
    if let (Some((row, later)), Some((&kernels::NO_ROW, earlier))) = (rows.split_first(), before.split_first()) {
        let time = times.value(usize::from(*row));
        out.push(time.zip(last).map_or(i64::MAX, |(time, last)| time.wrapping_sub(last)));
        (rows, before) = (later, earlier);
    }
    let pairs = rows.iter().zip(before).map(|(row, before)| (usize::from(*row) % PAGE, usize::from(*before) % PAGE));
    match times.codes {
        Codes::U32(times) => {
            out.extend(pairs.map(|(row, before)| i64::from(times[row]).wrapping_sub(times[before].into())));
        }
        _ => out.extend(pairs.map(|(row, before)| (times.code(row) as i64).wrapping_sub(times.code(before) as i64))),
    }
}

/// The last row of a page that is marked.
fn last_of(rows: &PageBits) -> Option<usize> {
    let word = rows.iter().rposition(|word| *word != 0)?;
    Some(word * 64 + rows[word].ilog2() as usize)
}

/// Rows of two steps, each with the nearest before it.
pub(super) struct Pairs {
    /// The later ones, by page.
    rows: Vec<PageBits>,
    /// Whose they are; ascending.
    lows: Vec<u16>,
    /// How long after the other; never negative.
    seconds: Vec<i64>,
}

impl Pairs {
    /// Appends who has a pair of different seconds that are at most so many apart; ascending.
    pub(super) fn push_within(&self, within_s: i64, ids: &mut Vec<u16>) {
        let before = ids.len();
        ids.resize(before + self.lows.len(), 0);
        // Nothing hangs on a branch: whoever does not pass is overwritten. No place of a chunk is beyond its last.
        let (mut kept, mut last) = (before, u32::MAX);
        for (low, seconds) in self.lows.iter().zip(&self.seconds) {
            let is_new = (*seconds > 0) & (*seconds <= within_s) & (last != u32::from(*low));
            ids[kept] = *low;
            kept = kept.wrapping_add(is_new.into());
            last = if is_new { u32::from(*low) } else { last };
        }
        ids.truncate(kept);
    }

    /// The later rows of the pairs that are at most so many seconds apart; `None` where there are none.
    pub(super) fn rows_within(&self, within_s: i64) -> Option<Vec<PageBits>> {
        if self.seconds.iter().all(|seconds| *seconds > within_s) {
            return None;
        }
        let (mut places, mut at) = (Places::default(), 0);
        let within = self.rows.iter().map(|rows| {
            let mut bits = [0; PAGE_WORDS];
            let places = places.list(rows);
            for (place, seconds) in places.iter().zip(&self.seconds[at..]) {
                bits[usize::from(place / 64)] |= u64::from(*seconds <= within_s) << (place % 64);
            }
            at += places.len();
            bits
        });
        Some(within.collect())
    }

    /// Gives its buffer back.
    pub(super) fn recycle(self, scratch: &mut Scratch) {
        scratch.recycle(ChunkSet::Ids(self.lows));
    }
}

fn keep(rows: &mut PageBits, among: &PageBits) {
    rows.iter_mut().zip(among).for_each(|(word, among)| *word &= among);
}
