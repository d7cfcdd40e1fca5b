//! Rows of an event in one stripe: which of them pass a condition, and the columns of those that do, profile by profile.
//! Knows segments, pages and kernels; what rows come to is `behaviour`'s matter, and everyone's who lists or sums them.

use std::ops::Range as Span;

use storage::View;
use storage::column::{Codes, ColumnView, Page};
use storage::container::Bits;
use storage::ids::{CHUNK_WORDS, PAGE_PROFILES, STRIPE_CHUNKS};

use storage::segment::SegmentView;

use super::owners::owners;
use super::pages::{ALL, PAGE, Places, UNKNOWN, ValuePage, keep_between, push_lows, push_values};
use super::row_test::{self, RunTest, Window, column_of};
use super::sets::{ChunkSet, Scratch};
use super::{Share, StripeNode};
use crate::query::error::Result;
use crate::query::kernels::{self, PageBits};
use crate::query::number::Range;
use crate::query::plan::{EventRows, RowColumn, RowTest};

/// A condition over the rows of one event, resolved against one stripe.
pub(crate) struct RowsRun<'a> {
    segments: Vec<SegmentRun<'a>>,
}

/// The rows of one segment: by profile and time; and by day, where the condition leaves a window of days.
struct SegmentRun<'a> {
    /// Among the segments of the stripe.
    number: usize,
    /// Whether all its rows are of days that are kept.
    is_whole: bool,
    by_profile: Ordered<'a>,
    by_day: Option<Ordered<'a>>,
}

/// Rows in one order.
pub(super) struct Ordered<'a> {
    pub(super) view: SegmentView<'a>,
    test: RunTest<'a>,
    /// By chunk, those that can pass.
    pub(super) rows: [Span<u32>; STRIPE_CHUNKS],
}

/// In which order rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Whatever reads the fewest; seconds are unknown.
    Any,
    /// By profile and time.
    ByProfile,
}

/// Rows of a page that pass.
pub(crate) struct RowPage<'p, 'a> {
    view: &'p SegmentView<'a>,
    page: usize,
    places: &'p [u16],
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
    /// Resolves a condition for a share of a stripe; `None` where the stripe has no rows.
    ///
    /// # Errors
    /// Damage of the store.
    pub(crate) fn open(view: &'a View, rows: &'a EventRows, share: &Share) -> Result<Option<RowsRun<'a>>> {
        let kept_from = view.schema().events[rows.event.0 as usize].kept_from.map(i64::from);
        let Some(part) = view.event(rows.event).stripe(share.stripe) else { return Ok(None) };
        let mut segments = Vec::new();
        for (segment, number) in part.segments().zip(0..) {
            let view = segment.open()?;
            let kept = kept_from.filter(|day| view.has_days_before(*day)).map(|low| Range { low, high: i64::MAX });
            let test = row_test::all_of(&view, std::iter::once(&rows.test), kept);
            if matches!(test, RunTest::Nothing) {
                continue;
            }
            let by_day = Window::of(&rows.test, kept).zip(view.by_day()).map(|(window, view)| Ordered {
                test: row_test::all_of(&view, window.rest.into_iter(), None),
                rows: of_share(share, |chunk| view.rows_of_days(chunk, window.days.low, window.days.high)),
                view,
            });
            let of_chunks = of_share(share, |chunk| view.rows_of_chunk(chunk));
            let by_profile = Ordered { view, test, rows: of_chunks };
            segments.push(SegmentRun { number, is_whole: kept.is_none(), by_profile, by_day });
        }
        Ok((!segments.is_empty()).then_some(RowsRun { segments }))
    }

    /// Rows of a chunk that are looked at, those that do not pass included.
    pub(crate) fn row_count(&self, chunk: usize) -> u32 {
        self.segments.iter().map(|segment| segment.ordered(Order::Any, chunk).rows[chunk].len() as u32).sum()
    }

    /// Calls `each` with the owner of every row of a chunk that passes; in any order.
    #[inline(always)]
    pub(super) fn for_each_owner(&self, chunk: usize, scratch: &mut Scratch, mut each: impl FnMut(u16)) {
        for segment in &self.segments {
            segment.ordered(Order::Any, chunk).for_each_owner(chunk, scratch, &mut each);
        }
    }

    /// Bounds of the values of a chunk's pages; the first is the larger where there are none.
    pub(super) fn bounds(&self, chunk: usize, column: RowColumn) -> (i64, i64) {
        let mut bounds = (i64::MAX, i64::MIN);
        for segment in &self.segments {
            let rows = segment.ordered(order_for(Order::Any, &[column]), chunk);
            let column = column_of(&rows.view, column);
            if let Some((first, last)) = column.bounds(rows.pages(chunk)) {
                bounds = (bounds.0.min(first), bounds.1.max(last));
            }
        }
        bounds
    }

    /// Calls `each`, page by page, with the owners and codes of a page that has some that are known, and with the rows of
    /// the chunk that pass, known or not; in any order.
    #[inline(always)]
    pub(super) fn for_each_code_page(
        &self,
        chunk: usize,
        column: RowColumn,
        mut each: impl FnMut(Page<'a>, Page<'a>, &PageBits),
    ) {
        for segment in &self.segments {
            let rows = segment.ordered(order_for(Order::Any, &[column]), chunk);
            let (owners, column) = (rows.view.owners(), column_of(&rows.view, column));
            rows.for_each_page(chunk, |page, rows| {
                let codes = column.page(page);
                if codes.max_code > 0 {
                    each(owners.page(page), codes, rows);
                }
            });
        }
    }

    /// Calls `each`, page by page, with the rows of a chunk that pass and have a known value; in any order.
    pub(crate) fn for_each_value_page(
        &self,
        chunk: usize,
        column: RowColumn,
        mut each: impl FnMut(&ValuePage<'_, 'a>),
    ) {
        let (mut places, mut known) = (Places::default(), ALL);
        self.for_each_code_page(chunk, column, |owners, codes, rows| {
            // Of many rows the unknown are left out by vectors, of few one by one.
            if kernels::and_count_page(rows, rows) * 16 > PAGE_PROFILES {
                kernels::range(&codes, 1, codes.max_code, &mut known);
                known.iter_mut().zip(rows).for_each(|(word, rows)| *word &= rows);
                return each(&ValuePage { owners, codes, places: places.of(&known) });
            }
            let count = kernels::write_places(rows, &mut places.0);
            let mut kept = 0usize;
            for at in 0..count {
                let slot = places.0[at];
                places.0[kept] = slot;
                kept = kept.wrapping_add((codes.code(usize::from(slot)) != 0).into());
            }
            each(&ValuePage { owners, codes, places: Some(&places.0[..kept]) });
        });
    }

    /// Time of looking at all rows of a chunk and their owners.
    pub(super) fn rows_ns(&self, chunk: usize) -> u64 {
        self.segments.iter().map(|segment| segment.ordered(Order::Any, chunk).rows_ns(chunk)).sum()
    }

    /// Takes the segments out that say themselves who has rows that pass; `test` is the condition.
    pub(super) fn take_owners(&mut self, test: &'a RowTest, share: &Share) -> Vec<StripeNode<'a>> {
        let mut nodes = Vec::new();
        self.segments.retain(|segment| {
            let rows_ns = || share.chunks.clone().map(|chunk| segment.ordered(Order::Any, chunk).rows_ns(chunk)).sum();
            let node = segment.is_whole.then(|| owners(&segment.by_profile.view, test, share, rows_ns())).flatten();
            let stays = node.is_none();
            nodes.extend(node);
            stays
        });
        nodes
    }

    /// Whether there are rows left.
    pub(super) fn has_segments(&self) -> bool {
        !self.segments.is_empty()
    }

    /// Marks whoever has rows that pass in a segment other than the one with the most rows; says whether there can be any.
    pub(super) fn mark_beside(&self, chunk: usize, scratch: &mut Scratch, out: &mut Bits) -> bool {
        let Some(most) = self.most_rows(chunk) else { return false };
        out.fill(0);
        for (segment, _) in self.segments.iter().zip(0..).filter(|(_, at)| *at != most) {
            let mark = |low: u16| out[usize::from(low) / 64] |= 1 << (low % 64);
            segment.ordered(Order::Any, chunk).for_each_owner(chunk, scratch, mark);
        }
        true
    }

    /// The segment with the most rows of a chunk.
    fn most_rows(&self, chunk: usize) -> Option<usize> {
        (0..self.segments.len()).max_by_key(|at| self.segments[*at].by_profile.rows[chunk].len())
    }

    /// The rows of the segment with the most rows of a chunk, by profile and time.
    pub(super) fn most_by_profile(&self, chunk: usize) -> Option<&Ordered<'a>> {
        self.most_rows(chunk).map(|at| &self.segments[at].by_profile)
    }

    /// The rows of a chunk by profile and time, where they lie in one segment, and its number.
    pub(super) fn only_by_profile(&self, chunk: usize) -> Option<(&Ordered<'a>, usize)> {
        let mut all = self.segments.iter().filter(|segment| !segment.by_profile.rows[chunk].is_empty());
        let only = all.next()?;
        all.next().is_none().then_some((&only.by_profile, only.number))
    }

    /// The same, where looking at all of them is no more than looking at those of a window by day.
    pub(super) fn all_by_profile(&self, chunk: usize) -> Option<&Ordered<'a>> {
        let (rows, _) = self.only_by_profile(chunk)?;
        self.segments.iter().any(|segment| std::ptr::eq(segment.ordered(Order::Any, chunk), rows)).then_some(rows)
    }

    /// Whether the rows of a chunk, in order of their profiles and times, lie in one segment.
    pub(super) fn is_in_order(&self, chunk: usize) -> bool {
        self.segments.iter().filter(|segment| !segment.by_profile.rows[chunk].is_empty()).count() < 2
    }

    /// Calls `each` with the rows of a chunk that pass, of all profiles or of some, page by page, segment by segment, for
    /// some columns to be read.
    pub(crate) fn for_each_row_page(
        &self,
        chunk: usize,
        among: Option<&ChunkSet>,
        columns: &[RowColumn],
        order: Order,
        mut each: impl FnMut(&RowPage<'_, 'a>),
    ) {
        let members = among.map(Members::of);
        for segment in &self.segments {
            segment.ordered(order_for(order, columns), chunk).for_each_row_page(chunk, members.as_ref(), &mut each);
        }
    }

    /// Appends the moments of the rows of a chunk that pass, of all profiles or of some; they ascend.
    pub(super) fn gather_moments(&self, chunk: usize, among: Option<&ChunkSet>, out: &mut Vec<u64>) {
        let members = among.map(Members::of);
        let mut contributing = 0;
        for SegmentRun { by_profile: rows, .. } in &self.segments {
            let before = out.len();
            match among {
                Some(ChunkSet::Ids(ids)) if ids.len() < rows.rows[chunk].len() / 64 => {
                    let mut few = Gathered::default();
                    few.clear(1);
                    rows.gather_of(chunk, ids, &[RowColumn::At], false, &mut few);
                    out.extend(few.lows.iter().zip(&few.columns[0]).map(|(low, at)| moment_of(*low, *at)));
                }
                _ => rows.for_each_row_page(chunk, members.as_ref(), &mut |page| page.push_moments(out)),
            }
            contributing += usize::from(out.len() > before);
        }
        if contributing > 1 {
            out.sort_unstable();
        }
    }

    /// Appends the rows of a chunk that pass, of all profiles or of some, by profile and time.
    pub(crate) fn gather(&self, chunk: usize, among: Option<&ChunkSet>, columns: &[RowColumn], out: &mut Gathered) {
        out.clear(columns.len());
        let mut contributing = 0;
        let several = self.segments.len() > 1;
        let members = among.map(Members::of);
        for SegmentRun { by_profile: rows, .. } in &self.segments {
            let before = out.lows.len();
            match among {
                Some(ChunkSet::Ids(ids)) if ids.len() < rows.rows[chunk].len() / 64 => {
                    rows.gather_of(chunk, ids, columns, several, out);
                }
                _ => rows.for_each_row_page(chunk, members.as_ref(), &mut |page| {
                    page.push_lows(&mut out.lows);
                    for (column, values) in columns.iter().zip(&mut out.columns) {
                        page.push_values(*column, values);
                    }
                    if several {
                        page.push_values(RowColumn::At, &mut out.at);
                    }
                }),
            }
            contributing += usize::from(out.lows.len() > before);
        }
        if contributing > 1 {
            out.sort();
        }
    }
}

/// Bits of a moment: seconds within ±2^38, and one more that keeps profiles apart.
pub(super) const MOMENT_BITS: u32 = 41;
const MOMENT_BIAS: i64 = 1 << 38;

/// Who and when in one number, which ascends by profile and time; between moments of two profiles lie more than 2^40.
#[inline(always)]
pub(super) fn moment_of(low: u16, at: i64) -> u64 {
    u64::from(low) << MOMENT_BITS | at.wrapping_add(MOMENT_BIAS) as u64
}

/// Whose moment it is.
#[inline(always)]
pub(super) fn owner_of(moment: u64) -> u16 {
    (moment >> MOMENT_BITS) as u16
}

/// The rows of a share's chunks; of others of its stripe none.
fn of_share(share: &Share, rows: impl Fn(usize) -> Span<u32>) -> [Span<u32>; STRIPE_CHUNKS] {
    std::array::from_fn(|chunk| if share.chunks.contains(&chunk) { rows(chunk) } else { 0..0 })
}

/// The order for some columns: rows by day have no seconds.
fn order_for(order: Order, columns: &[RowColumn]) -> Order {
    if columns.contains(&RowColumn::At) { Order::ByProfile } else { order }
}

impl<'a> SegmentRun<'a> {
    fn ordered(&self, order: Order, chunk: usize) -> &Ordered<'a> {
        match &self.by_day {
            // In a wide window rows by profile are as few, and their profiles closer together.
            Some(by_day)
                if order == Order::Any && by_day.rows[chunk].len() * 2 <= self.by_profile.rows[chunk].len() =>
            {
                by_day
            }
            _ => &self.by_profile,
        }
    }
}

impl<'a> Ordered<'a> {
    /// Time of looking at all rows of a chunk and their owners: two and a half for each that passes.
    fn rows_ns(&self, chunk: usize) -> u64 {
        u64::from(self.rows[chunk].len() as u32) * if matches!(self.test, RunTest::All) { 5 } else { 2 } / 2
    }

    /// The pages that have rows of a chunk.
    pub(super) fn pages(&self, chunk: usize) -> Span<usize> {
        let rows = &self.rows[chunk];
        match rows.is_empty() {
            true => 0..0,
            false => (rows.start / PAGE_PROFILES) as usize..(rows.end - 1) as usize / PAGE_PROFILES as usize + 1,
        }
    }

    /// Calls `each` with the number of every page that has rows of the chunk that pass, and with those.
    fn for_each_page(&self, chunk: usize, mut each: impl FnMut(usize, &PageBits)) {
        let mut bits = ALL;
        for page in self.pages(chunk) {
            self.mark(chunk, page, &mut bits);
            if bits.iter().any(|word| *word != 0) {
                each(page, &bits);
            }
        }
    }

    /// Marks the rows of a page that are the chunk's and pass.
    pub(super) fn mark(&self, chunk: usize, page: usize, out: &mut PageBits) {
        self.test.mark(page, out);
        self.keep_of_chunk(chunk, page, out);
    }

    /// Leaves of the rows of a page the chunk's alone.
    pub(super) fn keep_of_chunk(&self, chunk: usize, page: usize, out: &mut PageBits) {
        let (rows, first) = (&self.rows[chunk], page as u32 * PAGE_PROFILES);
        if rows.start > first || rows.end < first + PAGE_PROFILES {
            keep_between(out, rows.start.saturating_sub(first), rows.end - first);
        }
    }

    /// Some rows of a page.
    pub(super) fn row_page<'p>(&'p self, page: usize, rows: &PageBits, places: &'p mut Places) -> RowPage<'p, 'a> {
        let count = kernels::write_places(rows, &mut places.0);
        RowPage { view: &self.view, page, places: &places.0[..count] }
    }

    fn for_each_row_page(&self, chunk: usize, among: Option<&Members<'_>>, each: &mut impl FnMut(&RowPage<'_, 'a>)) {
        let owners = self.view.owners();
        let mut places = Places::default();
        self.for_each_page(chunk, |page, bits| {
            let mut count = kernels::write_places(bits, &mut places.0);
            if let Some(members) = among {
                count = keep_members(&owners.page(page), members, &mut places.0, count);
            }
            if count > 0 {
                each(&RowPage { view: &self.view, page, places: &places.0[..count] });
            }
        });
    }

    /// Profile by profile, for few of them.
    fn gather_of(&self, chunk: usize, ids: &[u16], columns: &[RowColumn], with_at: bool, out: &mut Gathered) {
        let at = with_at.then_some(RowColumn::At);
        let read: Vec<ColumnView<'_>> =
            columns.iter().chain(&at).map(|column| column_of(&self.view, *column)).collect();
        let mut into: Vec<&mut Vec<i64>> = out.columns.iter_mut().chain(with_at.then_some(&mut out.at)).collect();
        let mut rows_of = Vec::with_capacity(ids.len());
        self.push_rows_of(chunk, ids, &mut rows_of);
        // Rows ascend, and a whole page is marked as fast as a few of its rows are looked at.
        let (mut page, mut passing, mut pages) = (usize::MAX, ALL, Vec::new());
        for (low, rows) in ids.iter().zip(rows_of) {
            for row in rows {
                let slot = row as usize % PAGE;
                if page != row as usize / PAGE {
                    page = row as usize / PAGE;
                    self.mark(chunk, page, &mut passing);
                    pages.clear();
                    pages.extend(read.iter().map(|column| column.page(page)));
                }
                if passing[slot / 64] >> (slot % 64) & 1 == 1 {
                    out.lows.push(*low);
                    let values = pages.iter().zip(&mut into);
                    values.for_each(|(page, values)| values.push(page.value(slot).unwrap_or(UNKNOWN)));
                }
            }
        }
    }
}

impl RowPage<'_, '_> {
    /// Appends their owners, as places in the chunk.
    pub(crate) fn push_lows(&self, lows: &mut Vec<u16>) {
        push_lows(&self.view.owners().page(self.page), self.places, lows);
    }

    /// Appends who did it when.
    pub(super) fn push_moments(&self, out: &mut Vec<u64>) {
        let (owners, at) = (self.view.owners().page(self.page), self.view.at().page(self.page));
        let (low_base, at_base) = ((owners.base as u64).wrapping_sub(1) as u16, at.base.wrapping_sub(1));
        let moment = |low: u16, at: u64| moment_of(low_base.wrapping_add(low), at_base.wrapping_add(at as i64));
        let slots = self.places.iter().map(|slot| usize::from(*slot));
        match (owners.codes, at.codes) {
            (Codes::U16(lows), Codes::U32(seconds)) => {
                out.extend(slots.map(|slot| moment(lows[slot], seconds[slot].into())));
            }
            _ => out.extend(slots.map(|slot| moment(owners.code(slot) as u16, at.code(slot)))),
        }
    }

    /// Appends their values of a column, [`UNKNOWN`] where one is.
    pub(crate) fn push_values(&self, column: RowColumn, values: &mut Vec<i64>) {
        push_values(&column_of(self.view, column).page(self.page), self.places, values);
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
    /// Rows of a test.
    #[cfg(test)]
    pub(super) fn of(lows: Vec<u16>, columns: Vec<Vec<i64>>) -> Gathered {
        Gathered { lows, columns, at: Vec::new() }
    }

    pub(crate) fn clear(&mut self, columns: usize) {
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
