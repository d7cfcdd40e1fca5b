//! Rows as they lie profile by profile: whose first or last one passes, and which rows of several steps can follow each
//! other at all. Knows bits of pages; what rows come to is the caller's.

use storage::ids::{PAGE_PROFILES, PAGE_WORDS};

use super::row_test::column_of;
use super::rows::{ALL, Ordered, Places, RowsRun, for_each_owner};
use crate::query::kernels::{self, PageBits};
use crate::query::plan::{ColumnTest, RowColumn};

/// Which of a profile's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

impl Ordered<'_> {
    /// Appends whose first or last row that passes has a value that passes, too; ascending.
    pub(super) fn push_by_end(&self, chunk: usize, column: RowColumn, test: &ColumnTest, end: End, ids: &mut Vec<u16>) {
        let (owners, values) = (self.view.owners(), column_of(&self.view, column));
        let [mut rows, mut passing, mut others] = [ALL; 3];
        let (mut carry, mut places) = (false, Places::default());
        let pages = self.pages(chunk);
        for at in 0..pages.len() {
            let page = if end == End::First { pages.start + at } else { pages.end - 1 - at };
            self.mark(chunk, page, &mut rows);
            let starts = self.view.span_starts(page);
            let next_is_start = self.view.is_span_start((page as u32 + 1) * PAGE_PROFILES);
            if rows.iter().all(|word| *word == 0) {
                carry &= starts.iter().all(|word| *word == 0) && !(end == End::Last && next_is_start);
                continue;
            }
            match end {
                End::First => kernels::after(&rows, &starts, &mut carry, &mut others),
                End::Last => kernels::before(&rows, &starts, next_is_start, &mut carry, &mut others),
            }
            test.mark(&values.page(page), &mut passing);
            let of_ends = rows.iter().zip(&others).map(|(rows, others)| rows & !others);
            passing.iter_mut().zip(of_ends).for_each(|(word, ends)| *word &= ends);
            let before = ids.len();
            for_each_owner(&owners.page(page), &passing, &mut places, |low| ids.push(low));
            if end == End::Last {
                ids[before..].reverse();
            }
        }
        if end == End::Last {
            ids.reverse();
        }
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
        let starts = pages.clone().map(|page| steps[0].view.span_starts(page)).collect();
        let mut rows = vec![vec![[0; PAGE_WORDS]; pages.len()]; steps.len()];
        for (page, at) in pages.zip(0..) {
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

    /// Appends the moments of a step's rows; they ascend.
    pub(super) fn push_moments(&self, step: usize, out: &mut Vec<u64>) {
        let (rows, mut places) = (self.steps[step], Places::default());
        for (page, bits) in rows.pages(self.chunk).zip(&self.rows[step]) {
            if bits.iter().any(|word| *word != 0) {
                rows.row_page(page, bits, &mut places).push_moments(out);
            }
        }
    }

    /// Appends who has a row of the second of two steps within so many seconds of one of the first; `false` where that
    /// takes more than looking at rows that follow each other. Of rows of either step, of which none is of both, the
    /// nearest two in order are next to each other: a time for each such pair is enough, unless some times are equal.
    pub(super) fn push_pairs(&self, within_s: i64, ids: &mut Vec<u16>) -> bool {
        let [firsts, seconds] = &self.rows[..] else { return false };
        let both = firsts.as_flattened().iter().zip(seconds.as_flattened());
        if both.fold(0, |any, (first, second)| any | first & second) != 0 {
            return false;
        }
        let seconds = self.after_firsts();
        let firsts = self.before_seconds(&seconds);
        let (rows, mut places) = (self.steps[0], Places::default());
        let (mut lows, mut began, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for (page, (first, second)) in rows.pages(self.chunk).zip(firsts.iter().zip(&seconds)) {
            rows.row_page(page, first, &mut places).push_values(RowColumn::At, &mut began);
            let page = rows.row_page(page, second, &mut places);
            page.push_values(RowColumn::At, &mut ended);
            page.push_lows(&mut lows);
        }
        let before = ids.len();
        ids.resize(before + lows.len(), 0);
        // No place of a chunk is beyond its last. Nothing hangs on a branch: whoever does not pass is overwritten.
        let (mut kept, mut last, mut are_equal) = (before, u32::MAX, false);
        for (low, (began, ended)) in lows.iter().zip(began.iter().zip(&ended)) {
            let seconds = ended.wrapping_sub(*began);
            are_equal |= seconds == 0;
            let is_new = (seconds <= within_s) & (last != u32::from(*low));
            ids[kept] = *low;
            kept = kept.wrapping_add(is_new.into());
            last = if is_new { u32::from(*low) } else { last };
        }
        ids.truncate(if are_equal { before } else { kept });
        !are_equal
    }

    /// Of the second step's rows, those that have one of the first before them with no other of the second between.
    fn after_firsts(&self) -> Vec<PageBits> {
        let (mut carry, mut last_is_second, mut found) = (false, false, ALL);
        let pages = self.starts.iter().zip(self.rows[0].iter().zip(&self.rows[1]));
        let kept = pages.map(|(starts, (first, second))| {
            let mut ends = *starts;
            for (end, second) in ends.iter_mut().zip(second) {
                *end |= second << 1 | u64::from(last_is_second);
                last_is_second = second >> 63 == 1;
            }
            kernels::after(first, &ends, &mut carry, &mut found);
            keep(&mut found, second);
            found
        });
        kept.collect()
    }

    /// Of the first step's rows, those that have one of some seconds after them with no other of the first between.
    fn before_seconds(&self, seconds: &[PageBits]) -> Vec<PageBits> {
        let (mut carry, mut next_is_start, mut found) = (false, true, ALL);
        let pages = self.starts.iter().zip(self.rows[0].iter().zip(seconds));
        let kept = pages.rev().map(|(starts, (first, second))| {
            let mut ends = *starts;
            ends.iter_mut().zip(first).for_each(|(end, first)| *end |= first);
            kernels::before(second, &ends, next_is_start, &mut carry, &mut found);
            next_is_start = ends[0] & 1 == 1;
            keep(&mut found, first);
            found
        });
        let mut kept: Vec<PageBits> = kept.collect();
        kept.reverse();
        kept
    }
}

fn keep(rows: &mut PageBits, among: &PageBits) {
    rows.iter_mut().zip(among).for_each(|(word, among)| *word &= among);
}
