//! Rows of an event in one stripe: which of them pass a condition, and the columns of those that do, profile by profile.
//! Knows segments, pages and kernels; what rows come to is `behaviour`'s matter, and everyone's who lists or sums them.

use std::ops::Range as Span;

use storage::View;
use storage::column::{Codes, ColumnView, Page};
use storage::container::Bits;
use storage::ids::{CHUNK_PAGES, CHUNK_PROFILES, CHUNK_WORDS, PAGE_PROFILES, PAGE_WORDS};

use storage::segment::SegmentView;

use super::first_of;
use super::sets::ChunkSet;
use crate::query::error::Result;
use crate::query::kernels::{self, PageBits};
use crate::query::number::Range;
use crate::query::plan::{ColumnTest, EventRows, RowColumn, RowTest};

/// Stands for an unknown value of a gathered row.
pub(crate) const UNKNOWN: i64 = i64::MIN;

const ALL: PageBits = [u64::MAX; PAGE_WORDS];

/// A condition over the rows of one event, resolved against one stripe.
pub(crate) struct RowsRun<'a> {
    segments: Vec<SegmentRun<'a>>,
}

struct SegmentRun<'a> {
    view: SegmentView<'a>,
    test: RunTest<'a>,
}

enum RunTest<'a> {
    All,
    Nothing,
    And(Vec<RunTest<'a>>),
    Or(Vec<RunTest<'a>>),
    Not(Box<RunTest<'a>>),
    Column(ColumnView<'a>, &'a ColumnTest),
    /// Days that are kept.
    From(ColumnView<'a>, ColumnTest),
}

/// Rows of a chunk that passed, by profile and time, those of one time in order of acceptance.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Whose, as places in the chunk.
    pub(crate) lows: Vec<u16>,
    /// The columns asked for, [`UNKNOWN`] where a value is.
    pub(crate) columns: Vec<Vec<i64>>,
    /// When; only filled where it takes an order of several segments.
    at: Vec<i64>,
}

impl<'a> RowsRun<'a> {
    /// Resolves a condition; `None` where the stripe has no rows.
    ///
    /// # Errors
    /// Damage of the store.
    pub(crate) fn open(view: &'a View, rows: &'a EventRows, stripe: usize) -> Result<Option<RowsRun<'a>>> {
        let kept_from = view.schema().events[rows.event.0 as usize].kept_from;
        let Some(part) = view.event(rows.event).stripe(stripe) else { return Ok(None) };
        let mut segments = Vec::new();
        for segment in part.segments() {
            let view = segment.open()?;
            let kept = kept_from.map(|day| Range { low: day.into(), high: i64::MAX });
            let kept = kept.map(|days| RunTest::From(view.day(), ColumnTest::Range(days)));
            let test = match (resolve(&view, &rows.test), kept) {
                (RunTest::Nothing, _) => continue,
                (test, None) => test,
                (test, Some(kept)) => RunTest::And(vec![kept, test]),
            };
            segments.push(SegmentRun { view, test });
        }
        Ok((!segments.is_empty()).then_some(RowsRun { segments }))
    }

    /// Rows of a chunk, those that do not pass included.
    pub(crate) fn row_count(&self, chunk: usize) -> u32 {
        self.segments.iter().map(|segment| segment.rows_of_chunk(chunk).len() as u32).sum()
    }

    /// Calls `each` with every page of a chunk's rows that has some that pass, with those, and with the page of owners.
    pub(super) fn for_each_page(&self, chunk: usize, mut each: impl FnMut(&Page<'a>, &PageBits)) {
        for segment in &self.segments {
            let owners = segment.view.owners();
            segment.for_each_page(chunk, |page, bits| each(&owners.page(page), bits));
        }
    }

    /// As [`RowsRun::for_each_page`], with the page of a column between.
    pub(super) fn for_each_page_of(
        &self,
        chunk: usize,
        column: RowColumn,
        mut each: impl FnMut(&Page<'a>, &Page<'a>, &PageBits),
    ) {
        for segment in &self.segments {
            let (owners, values) = (segment.view.owners(), column_of(&segment.view, column));
            segment.for_each_page(chunk, |page, bits| each(&owners.page(page), &values.page(page), bits));
        }
    }

    /// As [`RowsRun::for_each_page_of`], the last page of each segment first.
    pub(super) fn for_each_page_of_back(
        &self,
        chunk: usize,
        column: RowColumn,
        mut each: impl FnMut(&Page<'a>, &Page<'a>, &PageBits),
    ) {
        for segment in &self.segments {
            let (owners, values) = (segment.view.owners(), column_of(&segment.view, column));
            let pages = segment.pages_of_chunk(chunk).rev();
            segment.for_each_of(pages, chunk, |page, bits| each(&owners.page(page), &values.page(page), bits));
        }
    }

    /// Marks whoever has rows that pass in a segment other than the one with the most rows; `None` where nobody can.
    pub(super) fn mark_beside(&self, chunk: usize, out: &mut Bits) -> Option<()> {
        let of_chunk = |segment: &SegmentRun<'_>| segment.rows_of_chunk(chunk).len();
        let most = (0..self.segments.len()).max_by_key(|at| of_chunk(&self.segments[*at]))?;
        out.fill(0);
        let mut places = Places::default();
        for (segment, _) in self.segments.iter().zip(0..).filter(|(_, at)| *at != most) {
            let owners = segment.view.owners();
            segment.for_each_page(chunk, |page, bits| {
                let mark = |low: u16| out[usize::from(low) / 64] |= 1 << (low % 64);
                for_each_owner(&owners.page(page), bits, &mut places, mark);
            });
        }
        Some(())
    }

    /// Whether the rows of a chunk, in order of their profiles and times, lie in one segment.
    pub(super) fn is_in_order(&self, chunk: usize) -> bool {
        self.segments.iter().filter(|segment| !segment.rows_of_chunk(chunk).is_empty()).count() < 2
    }

    /// Appends the rows of a chunk that pass, of all profiles or of some.
    pub(crate) fn gather(&self, chunk: usize, among: Option<&ChunkSet>, columns: &[RowColumn], out: &mut Gathered) {
        out.clear(columns.len());
        let mut contributing = 0;
        let several = self.segments.len() > 1;
        for segment in &self.segments {
            let before = out.lows.len();
            match among {
                Some(ChunkSet::Ids(ids)) if (ids.len() as u32) < segment.rows_of_chunk(chunk).len() as u32 / 64 => {
                    segment.gather_of(chunk, ids, columns, several, out);
                }
                among => segment.gather_all(chunk, among, columns, several, out),
            }
            contributing += usize::from(out.lows.len() > before);
        }
        if contributing > 1 {
            out.sort();
        }
    }
}

impl SegmentRun<'_> {
    fn rows_of_chunk(&self, chunk: usize) -> Span<u32> {
        self.view.rows_of_pages(chunk * CHUNK_PAGES, (chunk + 1) * CHUNK_PAGES)
    }

    fn pages_of_chunk(&self, chunk: usize) -> Span<usize> {
        let rows = self.rows_of_chunk(chunk);
        match rows.is_empty() {
            true => 0..0,
            false => (rows.start / PAGE_PROFILES) as usize..(rows.end - 1) as usize / PAGE_PROFILES as usize + 1,
        }
    }

    /// Calls `each` with the number of every page that has rows of the chunk that pass, and with those.
    fn for_each_page(&self, chunk: usize, each: impl FnMut(usize, &PageBits)) {
        self.for_each_of(self.pages_of_chunk(chunk), chunk, each);
    }

    fn for_each_of(&self, pages: impl Iterator<Item = usize>, chunk: usize, mut each: impl FnMut(usize, &PageBits)) {
        let rows = self.rows_of_chunk(chunk);
        let mut bits = ALL;
        for page in pages {
            self.test.mark(page, &mut bits);
            let first = page as u32 * PAGE_PROFILES;
            if rows.start > first || rows.end < first + PAGE_PROFILES {
                keep_between(&mut bits, rows.start.saturating_sub(first), rows.end - first);
            }
            if bits.iter().any(|word| *word != 0) {
                each(page, &bits);
            }
        }
    }

    fn gather_all(
        &self,
        chunk: usize,
        among: Option<&ChunkSet>,
        columns: &[RowColumn],
        with_at: bool,
        out: &mut Gathered,
    ) {
        let owners = self.view.owners();
        let read: Vec<ColumnView<'_>> = columns.iter().map(|column| column_of(&self.view, *column)).collect();
        let members = among.map(Members::of);
        let mut places = Places::default();
        self.for_each_page(chunk, |page, bits| {
            let owner_page = owners.page(page);
            let mut count = kernels::write_places(bits, &mut places.0);
            if let Some(members) = &members {
                count = keep_members(&owner_page, members, &mut places.0, count);
            }
            let places = &places.0[..count];
            push_lows(&owner_page, places, &mut out.lows);
            for (column, values) in read.iter().zip(&mut out.columns) {
                push_values(&column.page(page), places, values);
            }
            if with_at {
                push_values(&self.view.at().page(page), places, &mut out.at);
            }
        });
    }

    /// Profile by profile, for few of them.
    fn gather_of(&self, chunk: usize, ids: &[u16], columns: &[RowColumn], with_at: bool, out: &mut Gathered) {
        let read: Vec<ColumnView<'_>> = columns.iter().map(|column| column_of(&self.view, *column)).collect();
        for low in ids {
            for row in self.view.rows_of(first_of(chunk) + u32::from(*low)) {
                if self.test.passes(row) {
                    out.lows.push(*low);
                    let values = read.iter().zip(&mut out.columns);
                    values.for_each(|(column, values)| values.push(column.value(row).unwrap_or(UNKNOWN)));
                    if with_at {
                        out.at.push(self.view.at().value(row).unwrap_or(UNKNOWN));
                    }
                }
            }
        }
    }
}

/// Who counts, looked up row by row.
enum Members<'a> {
    Bits(&'a Bits),
    Ids(Box<Bits>),
}

impl<'a> Members<'a> {
    fn of(set: &'a ChunkSet) -> Members<'a> {
        match set {
            ChunkSet::Bits(bits) => Members::Bits(bits),
            ChunkSet::Ids(_) => {
                let mut bits = Box::new([0; CHUNK_WORDS]);
                kernels::fill(set.as_container(), &mut bits);
                Members::Ids(bits)
            }
        }
    }

    fn bits(&self) -> &Bits {
        match self {
            Members::Bits(bits) => bits,
            Members::Ids(bits) => bits,
        }
    }
}

impl Gathered {
    fn clear(&mut self, columns: usize) {
        self.lows.clear();
        self.at.clear();
        self.columns.resize_with(columns, Vec::new);
        self.columns.iter_mut().for_each(Vec::clear);
    }

    /// Rows of several segments, one after the other, become those of one.
    fn sort(&mut self) {
        let mut order: Vec<u32> = (0..self.lows.len() as u32).collect();
        // Older segments come first, and equal rows stay as they are.
        order.sort_by_key(|row| (self.lows[*row as usize], self.at[*row as usize]));
        self.lows = order.iter().map(|row| self.lows[*row as usize]).collect();
        for values in &mut self.columns {
            *values = order.iter().map(|row| values[*row as usize]).collect();
        }
    }

    /// The rows of each profile: its place in the chunk, and which of the rows are its own.
    pub(crate) fn for_each_profile(&self, mut each: impl FnMut(u16, Span<usize>)) {
        let mut start = 0;
        for group in self.lows.chunk_by(|a, b| a == b) {
            each(group[0], start..start + group.len());
            start += group.len();
        }
    }
}

// A place in a chunk is the low half of a place in the stripe.
const _: () = assert!(CHUNK_PROFILES == 1 << 16);

/// Where the places of the rows that pass are written, page by page.
pub(super) struct Places(kernels::PagePlaces);

impl Default for Places {
    fn default() -> Places {
        Places([0; PAGE_PROFILES as usize + 32])
    }
}

/// Calls `each` with the owner (as a place in the chunk) and the value, or [`UNKNOWN`], of some rows of a page. The widths
/// of the codes are looked at once.
#[inline(always)]
pub(super) fn for_each_row(
    owners: &Page<'_>,
    values: &Page<'_>,
    rows: &PageBits,
    places: &mut Places,
    each: impl FnMut(u16, i64),
) {
    by_widths::<false>(owners, values, rows, places, each);
}

/// As [`for_each_row`], the last row first.
#[inline(always)]
pub(super) fn for_each_row_back(
    owners: &Page<'_>,
    values: &Page<'_>,
    rows: &PageBits,
    places: &mut Places,
    each: impl FnMut(u16, i64),
) {
    by_widths::<true>(owners, values, rows, places, each);
}

#[inline(always)]
fn by_widths<const BACK: bool>(
    owners: &Page<'_>,
    values: &Page<'_>,
    rows: &PageBits,
    places: &mut Places,
    each: impl FnMut(u16, i64),
) {
    let base = (owners.base as u64).wrapping_sub(1) as u16;
    match owners.codes {
        Codes::U16(codes) => {
            by_width::<BACK>(values, rows, places, |slot| base.wrapping_add(codes[slot]), each);
        }
        _ => by_width::<BACK>(values, rows, places, |slot| base.wrapping_add(owners.code(slot) as u16), each),
    }
}

#[inline(always)]
fn by_width<const BACK: bool>(
    values: &Page<'_>,
    rows: &PageBits,
    places: &mut Places,
    low: impl Fn(usize) -> u16,
    mut each: impl FnMut(u16, i64),
) {
    let base = values.base.wrapping_sub(1);
    let value = |code: u64| if code == 0 { UNKNOWN } else { base.wrapping_add(code as i64) };
    match values.codes {
        Codes::Constant(code) => for_each_slot::<BACK>(rows, places, |slot| each(low(slot), value(code))),
        Codes::U8(codes) => for_each_slot::<BACK>(rows, places, |slot| each(low(slot), value(codes[slot].into()))),
        Codes::U16(codes) => for_each_slot::<BACK>(rows, places, |slot| each(low(slot), value(codes[slot].into()))),
        Codes::U32(codes) => for_each_slot::<BACK>(rows, places, |slot| each(low(slot), value(codes[slot].into()))),
        Codes::U64(codes) => for_each_slot::<BACK>(rows, places, |slot| each(low(slot), value(codes[slot]))),
    }
}

/// Calls `each` with the owner of every one of some rows of a page.
#[inline(always)]
pub(super) fn for_each_owner(owners: &Page<'_>, rows: &PageBits, places: &mut Places, mut each: impl FnMut(u16)) {
    let base = (owners.base as u64).wrapping_sub(1) as u16;
    match owners.codes {
        Codes::U16(codes) => for_each_slot::<false>(rows, places, |slot| each(base.wrapping_add(codes[slot]))),
        _ => for_each_slot::<false>(rows, places, |slot| each(base.wrapping_add(owners.code(slot) as u16))),
    }
}

/// Places set in the bits of a page. They are written down first: a loop over a list of them is not mispredicted.
#[inline(always)]
fn for_each_slot<const BACK: bool>(rows: &PageBits, places: &mut Places, mut each: impl FnMut(usize)) {
    const LAST: usize = PAGE_PROFILES as usize - 1;
    if rows.iter().all(|word| *word == u64::MAX) {
        match BACK {
            true => (0..=LAST).rev().for_each(each),
            false => (0..=LAST).for_each(each),
        }
        return;
    }
    let count = kernels::write_places(rows, &mut places.0);
    // The mask tells the compiler what the page promises.
    match BACK {
        true => places.0[..count].iter().rev().for_each(|slot| each(usize::from(*slot) & LAST)),
        false => places.0[..count].iter().for_each(|slot| each(usize::from(*slot) & LAST)),
    }
}

/// Keeps the places of members' rows, and gives their number.
fn keep_members(owners: &Page<'_>, members: &Members<'_>, places: &mut kernels::PagePlaces, count: usize) -> usize {
    let base = (owners.base as u64).wrapping_sub(1) as u16;
    let bits = members.bits();
    match owners.codes {
        Codes::U16(codes) => keep_places(bits, places, count, |slot| base.wrapping_add(codes[slot])),
        _ => keep_places(bits, places, count, |slot| base.wrapping_add(owners.code(slot) as u16)),
    }
}

#[inline(always)]
fn keep_places(bits: &Bits, places: &mut kernels::PagePlaces, count: usize, low: impl Fn(usize) -> u16) -> usize {
    let mut kept = 0;
    for at in 0..count {
        let (slot, owner) = (places[at], low(usize::from(places[at])));
        places[kept] = slot;
        kept = usize::wrapping_add(kept, (bits[usize::from(owner) / 64] >> (owner % 64) & 1) as usize);
    }
    kept
}

fn push_lows(owners: &Page<'_>, places: &[u16], lows: &mut Vec<u16>) {
    let base = (owners.base as u64).wrapping_sub(1) as u16;
    match owners.codes {
        Codes::U16(codes) => lows.extend(places.iter().map(|slot| base.wrapping_add(codes[usize::from(*slot)]))),
        _ => lows.extend(places.iter().map(|slot| base.wrapping_add(owners.code(usize::from(*slot)) as u16))),
    }
}

fn push_values(page: &Page<'_>, places: &[u16], values: &mut Vec<i64>) {
    let base = page.base.wrapping_sub(1);
    let value = |code: u64| if code == 0 { UNKNOWN } else { base.wrapping_add(code as i64) };
    let slots = places.iter().map(|slot| usize::from(*slot));
    match page.codes {
        Codes::Constant(code) => values.extend(slots.map(|_| value(code))),
        Codes::U8(codes) => values.extend(slots.map(|slot| value(codes[slot].into()))),
        Codes::U16(codes) => values.extend(slots.map(|slot| value(codes[slot].into()))),
        Codes::U32(codes) => values.extend(slots.map(|slot| value(codes[slot].into()))),
        Codes::U64(codes) => values.extend(slots.map(|slot| value(codes[slot]))),
    }
}

fn column_of<'a>(view: &SegmentView<'a>, column: RowColumn) -> ColumnView<'a> {
    match column {
        RowColumn::Day => view.day(),
        RowColumn::At => view.at(),
        RowColumn::Property(property) => view.property(property),
    }
}

fn resolve<'a>(view: &SegmentView<'a>, test: &'a RowTest) -> RunTest<'a> {
    match test {
        RowTest::All => RunTest::All,
        RowTest::Nothing => RunTest::Nothing,
        RowTest::And(tests) => RunTest::And(tests.iter().map(|test| resolve(view, test)).collect()),
        RowTest::Or(tests) => RunTest::Or(tests.iter().map(|test| resolve(view, test)).collect()),
        RowTest::Not(test) => RunTest::Not(Box::new(resolve(view, test))),
        RowTest::Column(column, test) => RunTest::Column(column_of(view, *column), test),
    }
}

/// Clears the bits before one place and from another on.
fn keep_between(bits: &mut PageBits, from: u32, to: u32) {
    for (word, first) in bits.iter_mut().zip((0..).step_by(64)) {
        if from > first {
            *word &= u64::MAX.checked_shl(from - first).unwrap_or(0);
        }
        if to < first + 64 {
            *word &= if to > first { u64::MAX >> (first + 64 - to) } else { 0 };
        }
    }
}

impl RunTest<'_> {
    /// Marks the rows of a page that pass.
    fn mark(&self, page: usize, out: &mut PageBits) {
        match self {
            RunTest::All => out.fill(u64::MAX),
            RunTest::Nothing => out.fill(0),
            RunTest::Column(column, test) => test.mark(&column.page(page), out),
            RunTest::From(column, test) => test.mark(&column.page(page), out),
            RunTest::Not(inner) => {
                inner.mark(page, out);
                out.iter_mut().for_each(|word| *word = !*word);
            }
            RunTest::And(tests) => {
                let mut more = ALL;
                for (at, test) in tests.iter().enumerate() {
                    if at == 0 {
                        test.mark(page, out);
                        continue;
                    }
                    if out.iter().all(|word| *word == 0) {
                        return;
                    }
                    test.mark(page, &mut more);
                    out.iter_mut().zip(&more).for_each(|(word, more)| *word &= more);
                }
            }
            RunTest::Or(tests) => {
                let mut more = ALL;
                out.fill(0);
                for test in tests {
                    test.mark(page, &mut more);
                    out.iter_mut().zip(&more).for_each(|(word, more)| *word |= more);
                }
            }
        }
    }

    /// Whether one row passes.
    fn passes(&self, row: u32) -> bool {
        match self {
            RunTest::All => true,
            RunTest::Nothing => false,
            RunTest::Column(column, test) => column.value(row).is_some_and(|value| test.passes(value)),
            RunTest::From(column, test) => column.value(row).is_some_and(|value| test.passes(value)),
            RunTest::Not(inner) => !inner.passes(row),
            RunTest::And(tests) => tests.iter().all(|test| test.passes(row)),
            RunTest::Or(tests) => tests.iter().any(|test| test.passes(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_between_are_kept() {
        for (from, to) in [(0, 4096), (0, 0), (1, 4095), (63, 65), (64, 128), (100, 101), (4095, 4096), (7, 7)] {
            let mut bits = ALL;
            keep_between(&mut bits, from, to);
            for slot in 0..4096u32 {
                let is = bits[slot as usize / 64] >> (slot % 64) & 1 == 1;
                assert_eq!(is, (from..to).contains(&slot), "{slot} of {from}..{to}");
            }
        }
    }
}
