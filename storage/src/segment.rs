//! Rows of one event in one stripe, sorted by profile and time, in columns of pages; one form in packs and on the heap.
//! Knows rows as numbers; what a property's number means is the schema's matter.
//!
//! ```text
//!   part    = rows:u32 columns:u29 owners:u1 spans:u1 folded:u1 starts[257]:u32 pad8 (at:u64 length:u64){places}
//!             pad64 column{places}
//!   column  = a part of `column`, over rows instead of profiles, padded to 64 bytes
//!   columns = owner (place in the stripe) · at (second) · day · key (fingerprint) · one a property, by number
//!   places  = columns · bits of the rows that are the first of their profile (before format 4: none);
//!             of a folded part also: the same columns of the rows by day, and the bits of their owners; and (before
//!             format 5: none) each profile's first and last day, by place in the stripe, and a part of `bitmaps` for
//!             each property: the owners of its values, empty where those are not kept
//! ```
//! `starts` says with which row each page of 4,096 profiles begins. Rows of one profile and second stand in the order
//! of acceptance. Rows beyond the last pad its page: their codes mean nothing.
//!
//! A folded part has its rows a second time, those of each chunk by day (of one day: as they stand by profile), without
//! seconds and keys: a window of days is one stretch of each chunk's rows. Owners' bits say who has rows at all.

use std::sync::Arc;

use crate::bitmaps::{self, BitmapsView};
use crate::codec::{pad_to, put_u32, put_u64};
use crate::column::{ColumnView, encode_values};
use crate::container::Bits;
use crate::error::Result;
use crate::ids::{CHUNK_PAGES, PAGE_PROFILES, PAGE_WORDS, STRIPE_CHUNKS, STRIPE_PAGES, STRIPE_PROFILES};
use crate::pack::{PART_ALIGN, Part};
use crate::schema::PropertyId;

const HEADER_BYTES: usize = (8 + (STRIPE_PAGES + 1) * 4).next_multiple_of(8);
/// Columns before the properties.
pub(crate) const OWN_COLUMNS: usize = 4;
pub(crate) const OWNER: usize = 0;
pub(crate) const AT: usize = 1;
pub(crate) const DAY: usize = 2;
pub(crate) const KEY: usize = 3;
/// Set in the number of columns of a folded part.
const FOLDED: u32 = 1 << 31;
/// Set in the number of columns of a part that says where the rows of each profile begin.
const SPANS: u32 = 1 << 30;
/// Set in the number of columns of a folded part that says whose the rows of each value, and of which days, are.
const OWNERS: u32 = 1 << 29;

/// Rows of one event in one stripe, mapped or on the heap.
#[derive(Debug, Clone)]
pub enum Segment {
    /// As a store snapshot has it.
    Mapped(Arc<Part>),
    /// On the heap, in whole words so that columns are aligned.
    Owned(Arc<Vec<u64>>),
}

/// Verified rows, ready to read.
#[derive(Debug, Clone)]
pub struct SegmentView<'a> {
    rows: u32,
    starts: &'a [u32],
    pub(crate) columns: Vec<ColumnView<'a>>,
    /// By page of rows; empty where they are not kept.
    span_starts: &'a [[u64; PAGE_WORDS]],
    /// The same columns of the rows by day; empty where they do not lie so, too.
    by_day: Vec<ColumnView<'a>>,
    /// By chunk; empty where they are not kept.
    owner_bits: &'a [Bits],
    owners: Option<Owners<'a>>,
}

/// What a folded part says of the owners of its rows.
#[derive(Debug, Clone, Copy)]
struct Owners<'a> {
    part: &'a [u8],
    first_day: ColumnView<'a>,
    last_day: ColumnView<'a>,
    /// One a property.
    places: &'a [[u64; 2]],
}

/// Rows on their way into a segment, column by column; sorted by owner and time, equal ones in order of acceptance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) owners: Vec<i64>,
    pub(crate) at: Vec<i64>,
    pub(crate) day: Vec<i64>,
    /// Empty where no row has one; else [`UNKNOWN_VALUE`] for none.
    pub(crate) keys: Vec<i64>,
    /// By number; empty where no row has a value.
    pub(crate) properties: Vec<Vec<i64>>,
}

impl Segment {
    /// A segment on the heap.
    pub(crate) fn of_rows(rows: &Rows) -> Segment {
        let columns = [&rows.owners, &rows.at, &rows.day, &rows.keys].into_iter().chain(&rows.properties);
        let count = rows.owners.len();
        let encoded: Vec<Vec<u8>> = columns
            .map(|values| match values.len() {
                0 => Vec::new(),
                _ => encode_values(count, &mut |from, out| {
                    out.extend_from_slice(&values[from..count.min(from + PAGE_PROFILES as usize)]);
                }),
            })
            .collect();
        let owners = || rows.owners.iter().map(|owner| *owner as u32);
        Segment::owned(&assemble(&starts_of(owners()), &encoded, &span_starts_of(owners()), None))
    }

    pub(crate) fn owned(bytes: &[u8]) -> Segment {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Segment::Owned(Arc::new(words))
    }

    /// The mapped part, if it is one.
    pub fn part(&self) -> Option<&Arc<Part>> {
        match self {
            Segment::Mapped(part) => Some(part),
            Segment::Owned(_) => None,
        }
    }

    /// Bytes on the heap.
    pub fn owned_bytes(&self) -> usize {
        match self {
            Segment::Mapped(_) => 0,
            Segment::Owned(words) => words.len() * 8,
        }
    }

    /// Whether it is the very same one.
    pub(crate) fn is(&self, other: &Segment) -> bool {
        match (self, other) {
            (Segment::Mapped(a), Segment::Mapped(b)) => Arc::ptr_eq(a, b),
            (Segment::Owned(a), Segment::Owned(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Verifies the part (once) and gives what can be read.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn open(&self) -> Result<SegmentView<'_>> {
        let bytes = match self {
            Segment::Mapped(part) => part.bytes_checked(check_part)?,
            Segment::Owned(words) => bytemuck::cast_slice(words),
        };
        Ok(read_part(bytes).unwrap_or(SegmentView {
            rows: 0,
            starts: &[0; STRIPE_PAGES + 1],
            columns: Vec::new(),
            span_starts: &[],
            by_day: Vec::new(),
            owner_bits: &[],
            owners: None,
        }))
    }
}

impl<'a> SegmentView<'a> {
    /// How many rows it has.
    pub fn row_count(&self) -> u32 {
        self.rows
    }

    pub(crate) fn column(&self, number: usize) -> ColumnView<'a> {
        self.columns.get(number).copied().unwrap_or(ColumnView::UNKNOWN)
    }

    /// Whose each row is, as places in the stripe: ascending.
    pub fn owners(&self) -> ColumnView<'a> {
        self.column(OWNER)
    }

    /// Which rows of a page are the first of their profile; rows beyond the last are.
    pub fn span_starts(&self, page: usize) -> [u64; PAGE_WORDS] {
        self.span_starts.get(page).copied().unwrap_or_else(|| {
            let mut bits = [0; PAGE_WORDS];
            let rows = (page as u32 * PAGE_PROFILES..).zip(0..PAGE_PROFILES as usize);
            rows.for_each(|(row, slot)| bits[slot / 64] |= u64::from(self.is_span_start(row)) << (slot % 64));
            bits
        })
    }

    /// Whether a row is the first of its profile; rows beyond the last are.
    pub fn is_span_start(&self, row: u32) -> bool {
        match self.span_starts.get((row / PAGE_PROFILES) as usize) {
            Some(bits) => bits[(row % PAGE_PROFILES / 64) as usize] >> (row % 64) & 1 == 1,
            None => row == 0 || row >= self.rows || self.owners().value(row) != self.owners().value(row - 1),
        }
    }

    /// The second of each row, since 1970-01-01T00:00:00Z.
    pub fn at(&self) -> ColumnView<'a> {
        self.column(AT)
    }

    /// The day of each row in the space's zone, since 1970-01-01.
    pub fn day(&self) -> ColumnView<'a> {
        self.column(DAY)
    }

    /// The fingerprint of each row's key, where it has one.
    pub(crate) fn key(&self) -> ColumnView<'a> {
        self.column(KEY)
    }

    /// A property of each row.
    pub fn property(&self, property: PropertyId) -> ColumnView<'a> {
        self.column(OWN_COLUMNS + property.0 as usize)
    }

    /// The same rows in another order, where they lie so, too: those of each chunk by day, those of one day by profile
    /// and time. Seconds are all unknown there, and rows of one profile do not stand together.
    pub fn by_day(&self) -> Option<SegmentView<'a>> {
        let columns = self.by_day.clone();
        (!columns.is_empty()).then(|| SegmentView {
            columns,
            span_starts: &[],
            by_day: Vec::new(),
            owner_bits: &[],
            owners: None,
            ..self.clone()
        })
    }

    /// Of rows by day: the rows of a chunk whose days lie in a range.
    pub fn rows_of_days(&self, chunk: usize, low: i64, high: i64) -> std::ops::Range<u32> {
        let rows = self.rows_of_chunk(chunk);
        let days = self.day();
        let first = first_not(&days, rows.clone(), |day| day < low);
        first..first_not(&days, first..rows.end, |day| day <= high)
    }

    /// Who of a chunk has rows, where that is kept; of rows by day it is not.
    pub fn owner_bits(&self, chunk: usize) -> Option<&'a Bits> {
        self.owner_bits.get(chunk)
    }

    /// Whether any row's day is before another.
    pub fn has_days_before(&self, day: i64) -> bool {
        let days = self.day();
        days.bounds(0..days.page_count()).is_some_and(|(first, _)| first < day)
    }

    /// The first day of each profile that has rows, by place in the stripe, where that is kept.
    pub fn first_day(&self) -> Option<ColumnView<'a>> {
        self.owners.map(|owners| owners.first_day)
    }

    /// The last day of each profile that has rows, by place in the stripe, where that is kept.
    pub fn last_day(&self) -> Option<ColumnView<'a>> {
        self.owners.map(|owners| owners.last_day)
    }

    /// Who has a row with which value of a property, where that is kept: of the values before [`OWNED_VALUES_MAX`], and of
    /// any value as [`KNOWN`](crate::ids::KNOWN).
    pub fn owners_of_values(&self, property: PropertyId) -> Option<BitmapsView<'a>> {
        let owners = self.owners?;
        BitmapsView::over(slice(owners.part, owners.places.get(property.0 as usize)?)?)
    }

    /// Rows of the profiles of a chunk.
    pub fn rows_of_chunk(&self, chunk: usize) -> std::ops::Range<u32> {
        self.rows_of_pages(chunk * CHUNK_PAGES, (chunk + 1) * CHUNK_PAGES)
    }

    /// Rows of the profiles from one page of the stripe to before another.
    pub fn rows_of_pages(&self, from: usize, to: usize) -> std::ops::Range<u32> {
        self.starts[from]..self.starts[to]
    }

    /// Rows of a place in the stripe. A few cache lines.
    pub fn rows_of(&self, in_stripe: u32) -> std::ops::Range<u32> {
        let page = (in_stripe / PAGE_PROFILES) as usize;
        let rows = self.rows_of_pages(page, page + 1);
        let first = self.first_at_or_after(rows.clone(), in_stripe);
        let owners = self.owners();
        let mut end = first;
        while end < rows.end && owners.value(end) == Some(in_stripe.into()) {
            end += 1;
            // Whoever has very many rows is not walked through.
            if end - first == 32 {
                end = self.first_at_or_after(end..rows.end, in_stripe + 1);
                break;
            }
        }
        first..end
    }

    /// The first of some rows whose owner is not before a place in the stripe.
    pub fn first_at_or_after(&self, rows: std::ops::Range<u32>, in_stripe: u32) -> u32 {
        let owners = self.owners();
        first_not(&owners, rows, |owner| owner < in_stripe.into())
    }
}

/// The first of some rows whose value is not before, where values ascend. Of pages that lie all before or all beyond it
/// only the bounds are read.
fn first_not(column: &ColumnView<'_>, rows: std::ops::Range<u32>, is_before: impl Fn(i64) -> bool) -> u32 {
    let whole = rows.start.div_ceil(PAGE_PROFILES)..rows.end / PAGE_PROFILES;
    let most = |page: u32| {
        let page = column.page(page as usize);
        page.base.saturating_add_unsigned(page.max_code.saturating_sub(1))
    };
    let from = partition(whole.clone(), |page| is_before(most(page)));
    let to = partition(from..whole.end, |page| is_before(column.page(page as usize).base));
    let from = if from > whole.start { from * PAGE_PROFILES } else { rows.start };
    let to = if to < whole.end { to * PAGE_PROFILES } else { rows.end };
    partition(from..to, |row| column.value(row).is_some_and(&is_before))
}

/// The first of some numbers that is not before, where those that are come first.
fn partition(rows: std::ops::Range<u32>, is_before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

pub(crate) fn starts_of(owners: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut starts = vec![0u32; STRIPE_PAGES + 1];
    let mut rows = 0;
    for owner in owners {
        starts[(owner / PAGE_PROFILES) as usize + 1] += 1;
        rows += 1;
    }
    for page in 0..STRIPE_PAGES {
        starts[page + 1] += starts[page];
    }
    debug_assert_eq!(starts[STRIPE_PAGES], rows);
    starts
}

/// Which rows are the first of their profile, page by page; so are those beyond the last.
pub(crate) fn span_starts_of(owners: impl Iterator<Item = u32>) -> Vec<[u64; PAGE_WORDS]> {
    let (mut pages, mut before) = (Vec::new(), None);
    for (owner, row) in owners.zip(0usize..) {
        let slot = row % PAGE_PROFILES as usize;
        if slot == 0 {
            pages.push([u64::MAX; PAGE_WORDS]);
        }
        if let (Some(page), true) = (pages.last_mut(), before == Some(owner)) {
            page[slot / 64] &= !(1 << (slot % 64));
        }
        before = Some(owner);
    }
    pages
}

/// What a folded part has beside its rows by profile.
pub(crate) struct Folded {
    /// Columns.
    pub(crate) by_day: Vec<Vec<u8>>,
    /// Bits of all, first and last days, and bitmaps of values, one a property.
    pub(crate) of_owners: Vec<Vec<u8>>,
}

/// The part; of a folded one with its columns by day and what it says of owners.
pub(crate) fn assemble(
    starts: &[u32],
    columns: &[Vec<u8>],
    span_starts: &[[u64; PAGE_WORDS]],
    folded: Option<&Folded>,
) -> Vec<u8> {
    let (by_day, of_owners) = folded.map_or((&[][..], &[][..]), |folded| (&folded.by_day, &folded.of_owners));
    let spans: &[u8] = bytemuck::cast_slice(span_starts);
    let by_profile = columns.iter().map(|c| &c[..]).chain([spans]);
    let all: Vec<&[u8]> = by_profile.chain(by_day.iter().chain(of_owners).map(|c| &c[..])).collect();
    let mut at = (HEADER_BYTES + all.len() * 16).next_multiple_of(PART_ALIGN);
    let mut out = Vec::with_capacity(at + all.iter().map(|c| c.len().next_multiple_of(PART_ALIGN)).sum::<usize>());
    put_u32(&mut out, starts[STRIPE_PAGES]);
    put_u32(&mut out, columns.len() as u32 | SPANS | if folded.is_some() { FOLDED | OWNERS } else { 0 });
    starts.iter().for_each(|start| put_u32(&mut out, *start));
    pad_to(&mut out, 8);
    for column in &all {
        put_u64(&mut out, at as u64);
        put_u64(&mut out, column.len() as u64);
        at += column.len().next_multiple_of(PART_ALIGN);
    }
    for column in all {
        pad_to(&mut out, PART_ALIGN);
        out.extend_from_slice(column);
    }
    out
}

fn read_part(bytes: &[u8]) -> Option<SegmentView<'_>> {
    let head: &[u32] = bytemuck::try_cast_slice(bytes.get(..8 + (STRIPE_PAGES + 1) * 4)?).ok()?;
    let (rows, count) = (head[0], (head[1] & !(FOLDED | SPANS | OWNERS)) as usize);
    let [spans, folded, kept] = [SPANS, FOLDED, OWNERS].map(|flag| usize::from(head[1] & flag != 0));
    let properties = count.saturating_sub(OWN_COLUMNS);
    let place_count = count + spans + folded * (count + 1) + kept * (properties + 2);
    let places = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(place_count.checked_mul(16)?)?)?;
    let places: &[[u64; 2]] = bytemuck::try_cast_slice(places).ok()?;
    let part = |place: &[u64; 2]| slice(bytes, place);
    let column = |place| ColumnView::over(part(place)?);
    let (columns, rest) = places.split_at(count);
    let (span_starts, rest) = rest.split_at(spans);
    let (by_day, rest) = rest.split_at(folded * count);
    let (owner_bits, rest) = rest.split_at(folded);
    let owners = match rest {
        [first_day, last_day, places @ ..] => {
            Some(Owners { part: bytes, first_day: column(first_day)?, last_day: column(last_day)?, places })
        }
        _ => None,
    };
    Some(SegmentView {
        rows,
        starts: &head[2..],
        columns: columns.iter().map(column).collect::<Option<Vec<_>>>()?,
        span_starts: bits(span_starts.first().map(part))?,
        by_day: by_day.iter().map(column).collect::<Option<Vec<_>>>()?,
        owner_bits: bits(owner_bits.first().map(part))?,
        owners,
    })
}

fn slice<'a>(bytes: &'a [u8], [at, length]: &[u64; 2]) -> Option<&'a [u8]> {
    let at = usize::try_from(*at).ok()?;
    bytes.get(at..at.checked_add(usize::try_from(*length).ok()?)?)
}

/// Bits where a part has a place for them, and no bits where it has none.
fn bits<const WORDS: usize>(part: Option<Option<&[u8]>>) -> Option<&[[u64; WORDS]]>
where
    [u64; WORDS]: bytemuck::Pod,
{
    part.map_or(Some(&[]), |bytes| bytemuck::try_cast_slice(bytes?).ok())
}

fn check_part(bytes: &[u8]) -> Result<(), String> {
    let view = read_part(bytes).ok_or("columns of rows that do not fit")?;
    let sound = view.starts.is_sorted() && view.starts[0] == 0 && view.starts[STRIPE_PAGES] == view.rows;
    if !sound || view.columns.len() < OWN_COLUMNS {
        return Err("rows that do not add up".into());
    }
    let pages = view.rows.div_ceil(PAGE_PROFILES) as usize;
    let fits = |column: &ColumnView<'_>| column.page_count() <= pages && column.is_sound();
    let is_full = |column: &ColumnView<'_>| column.page_count() == pages;
    if !view.columns.iter().all(fits) || !view.columns[..KEY].iter().all(is_full) {
        return Err("columns that do not have a page for all rows".into());
    }
    let by_day = &view.by_day;
    let is_by_day_full = by_day.is_empty() || is_full(&by_day[OWNER]) && is_full(&by_day[DAY]);
    if !is_by_day_full || !by_day.iter().all(fits) {
        return Err("columns by day that do not have a page for all rows".into());
    }
    let are_places = |column: &ColumnView<'_>| {
        let bounds = column.bounds(0..column.page_count());
        bounds.is_none_or(|(first, last)| first >= 0 && last < i64::from(STRIPE_PROFILES))
    };
    if !are_places(&view.column(OWNER)) || !by_day.iter().take(1).all(are_places) {
        return Err("owners outside of the stripe".into());
    }
    if ![0, pages].contains(&view.span_starts.len()) {
        return Err("bits of first rows that are not those of all rows".into());
    }
    if ![0, STRIPE_CHUNKS].contains(&view.owner_bits.len()) {
        return Err("bits of owners that are not those of a stripe".into());
    }
    let Some(owners) = &view.owners else { return Ok(()) };
    let is_of_stripe = |column: &ColumnView<'_>| column.page_count() <= STRIPE_PAGES && column.is_sound();
    if ![owners.first_day, owners.last_day].iter().all(is_of_stripe) {
        return Err("first and last days that are not those of a stripe".into());
    }
    let of_values = owners.places.iter().map(|place| slice(bytes, place).ok_or("owners of values outside of the part"));
    of_values.into_iter().try_for_each(|part| match part? {
        [] => Ok(()),
        part => bitmaps::check_part(part),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::UNKNOWN_VALUE;
    use crate::fold::{fold, merge_owned};
    use crate::ids::{CHUNK_PROFILES, KNOWN, ValueId};
    use crate::owners::OWNED_VALUES_MAX;
    use crate::schema::{Tag, TagType};
    use proptest::prelude::*;

    /// Owner, second, a property.
    type Row = (u32, i64, Option<i64>);

    fn segment(rows: &[Row]) -> Segment {
        let mut sorted = rows.to_vec();
        sorted.sort_by_key(|(owner, at, _)| (*owner, *at));
        let column = |of: &dyn Fn(&Row) -> i64| sorted.iter().map(of).collect::<Vec<i64>>();
        Segment::of_rows(&Rows {
            owners: column(&|row| row.0.into()),
            at: column(&|row| row.1),
            day: column(&|row| row.1.div_euclid(86_400)),
            keys: Vec::new(),
            properties: vec![column(&|row| row.2.unwrap_or(UNKNOWN_VALUE))],
        })
    }

    fn rows_of(segment: &Segment) -> Vec<Row> {
        let view = segment.open().unwrap();
        let value = |column: ColumnView<'_>, row| column.value(row);
        (0..view.row_count())
            .map(|row| {
                let owner = value(view.owners(), row).unwrap() as u32;
                (owner, value(view.at(), row).unwrap(), value(view.property(PropertyId(0)), row))
            })
            .collect()
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let owner = prop_oneof![0u32..6, 4_090u32..4_100, 0u32..1 << 20];
        let at = prop_oneof![0i64..5, -(1i64 << 38) + 1..(1i64 << 38)];
        proptest::collection::vec((owner, at, proptest::option::of(-1_000i64..1_000_000)), 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn merged_rows_are_all_rows_in_order_of_profile_time_and_acceptance(
            batches in proptest::collection::vec(rows(), 1..5),
        ) {
            let segments: Vec<Segment> = batches.iter().map(|rows| segment(rows)).collect();
            let merged = merge_owned(&segments.iter().collect::<Vec<_>>(), &|_, _| true).unwrap().unwrap();
            let mut wanted: Vec<Row> = batches.concat();
            wanted.sort_by_key(|(owner, at, _)| (*owner, *at));
            prop_assert_eq!(&rows_of(&merged), &wanted);
            let view = merged.open().unwrap();
            prop_assert_eq!(check_part(bytes_of(&merged)), Ok(()));
            for (owner, ..) in &wanted {
                let rows = view.rows_of(*owner);
                prop_assert!(rows.clone().all(|row| wanted[row as usize].0 == *owner));
                prop_assert_eq!(rows.len(), wanted.iter().filter(|row| row.0 == *owner).count());
            }
            let unmarked = SegmentView { span_starts: &[], ..view.clone() };
            for page in 0..wanted.len().div_ceil(PAGE_PROFILES as usize) {
                prop_assert_eq!(view.span_starts(page), unmarked.span_starts(page));
            }
            for row in 0..wanted.len() + 2 {
                let is_first = row == 0 || row >= wanted.len() || wanted[row].0 != wanted[row - 1].0;
                prop_assert_eq!(view.is_span_start(row as u32), is_first);
                prop_assert_eq!(unmarked.is_span_start(row as u32), is_first);
            }
            prop_assert!(view.rows_of(77_777).all(|row| wanted[row as usize].0 == 77_777));
            let odd = merge_owned(&[&merged], &|owner, _| owner % 2 == 1).unwrap();
            let left: Vec<Row> = wanted.into_iter().filter(|row| row.0 % 2 == 1).collect();
            prop_assert_eq!(odd.map_or(Vec::new(), |odd| rows_of(&odd)), left);
        }
    }

    fn bytes_of(segment: &Segment) -> &[u8] {
        match segment {
            Segment::Owned(words) => bytemuck::cast_slice(words),
            Segment::Mapped(_) => &[],
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn folded_rows_lie_by_day_too_and_say_whose_they_are(
            batches in proptest::collection::vec(rows(), 1..4), low in -20_000i64..20_000, span in 0i64..4_000_000,
        ) {
            let segments: Vec<Segment> = batches.iter().map(|rows| segment(rows)).collect();
            let property = Tag { name: "property".into(), tag_type: TagType::Category };
            let folded = fold(&segments.iter().collect::<Vec<_>>(), &[property], &|_, _| true).unwrap().unwrap();
            let folded = Segment::owned(&folded);
            prop_assert_eq!(check_part(bytes_of(&folded)), Ok(()));
            let mut wanted: Vec<Row> = batches.concat();
            wanted.sort_by_key(|(owner, at, _)| (*owner, *at));
            prop_assert_eq!(&rows_of(&folded), &wanted);
            let day_of = |at: i64| at.div_euclid(86_400);
            wanted.sort_by_key(|(owner, at, _)| (owner / CHUNK_PROFILES, day_of(*at)));
            let view = folded.open().unwrap();
            let by_day = view.by_day().unwrap();
            for (row, (owner, at, value)) in (0..).zip(&wanted) {
                prop_assert_eq!(by_day.owners().value(row), Some(i64::from(*owner)));
                prop_assert_eq!(by_day.day().value(row), Some(day_of(*at)));
                prop_assert_eq!(by_day.property(PropertyId(0)).value(row), *value);
            }
            for chunk in 0..STRIPE_CHUNKS {
                let of_chunk = |(owner, ..): &&Row| *owner as usize / CHUNK_PROFILES as usize == chunk;
                let within = wanted.iter().filter(of_chunk).filter(|row| (low..=low + span).contains(&day_of(row.1)));
                let found = by_day.rows_of_days(chunk, low, low + span);
                prop_assert_eq!(found.len(), within.count());
                prop_assert!(found.into_iter().all(|row| (low..=low + span).contains(&day_of(wanted[row as usize].1))));
                let mut owners: Vec<u32> = wanted.iter().filter(of_chunk).map(|(owner, ..)| *owner).collect();
                owners.sort_unstable();
                owners.dedup();
                let bits = view.owner_bits(chunk).unwrap();
                prop_assert_eq!(bits.iter().map(|word| word.count_ones() as usize).sum::<usize>(), owners.len());
                let is_set = |low: u32| bits[low as usize / 64] >> (low % 64) & 1 == 1;
                prop_assert!(owners.iter().all(|owner| is_set(owner % CHUNK_PROFILES)));
            }
            let first_day = view.first_day().unwrap();
            let last_day = view.last_day().unwrap();
            for (owner, ..) in &wanted {
                let days = || wanted.iter().filter(|row| row.0 == *owner).map(|row| day_of(row.1));
                prop_assert_eq!(first_day.value(*owner), days().min());
                prop_assert_eq!(last_day.value(*owner), days().max());
            }
            prop_assert!(wanted.iter().any(|row| row.0 == 77_777) || first_day.value(77_777).is_none());
            // Nor does anyone beside them have days, beyond the last least of all.
            for owner in wanted.iter().flat_map(|row| [row.0 + 1, row.0 + 2]).filter(|owner| *owner < 1 << 20) {
                let has_rows = wanted.iter().any(|row| row.0 == owner);
                prop_assert_eq!([first_day, last_day].map(|day| day.value(owner).is_some()), [has_rows; 2]);
            }
            prop_assert!(view.has_days_before(i64::MAX) && !view.has_days_before(day_of(-(1 << 38))));
            if let Some(owners) = view.owners_of_values(PropertyId(0)) {
                prop_assert_eq!(owners.verify_deep(), Ok(()));
                let mut pairs: Vec<(u32, u32)> = Vec::new();
                for (owner, _, value) in wanted.iter().filter(|row| row.2.is_some()) {
                    pairs.push((KNOWN.0, *owner));
                    pairs.extend(value.and_then(|v| u32::try_from(v).ok()).map(|value| (value, *owner)));
                }
                pairs.retain(|(value, _)| *value < OWNED_VALUES_MAX || *value == KNOWN.0);
                pairs.sort_unstable();
                pairs.dedup();
                prop_assert!(pairs.iter().all(|(value, owner)| owners.value(ValueId(*value)).contains(*owner)));
                prop_assert_eq!(owners.values().map(|(_, count)| count as usize).sum::<usize>(), pairs.len());
            } else {
                prop_assert!(wanted.iter().all(|row| row.2.is_none()));
            }
            prop_assert!(segments[0].open().unwrap().by_day().is_none());
            prop_assert!(segments[0].open().unwrap().first_day().is_none());
        }
    }

    #[test]
    fn properties_that_no_row_or_only_some_segments_have_are_folded() {
        let of = |owners: &[i64], last: Vec<i64>| {
            Segment::of_rows(&Rows {
                owners: owners.to_vec(),
                at: vec![3 * 86_400; owners.len()],
                day: vec![3; owners.len()],
                keys: Vec::new(),
                properties: vec![Vec::new(), Vec::new(), last],
            })
        };
        let segments = [of(&[1, 5], Vec::new()), of(&[2, 5], vec![7, UNKNOWN_VALUE])];
        let properties = [TagType::Category, TagType::Flag, TagType::Category]
            .map(|tag_type| Tag { name: "property".into(), tag_type });
        for tags in [&properties[..], &properties[..1], &[]] {
            let folded = fold(&segments.each_ref(), tags, &|_, _| true).unwrap().unwrap();
            let folded = Segment::owned(&folded);
            assert_eq!(check_part(bytes_of(&folded)), Ok(()));
            let view = folded.open().unwrap();
            let values =
                |property| (0..4).map(|row| view.property(PropertyId(property)).value(row)).collect::<Vec<_>>();
            assert_eq!(
                (values(0), values(1), values(2)),
                (vec![None; 4], vec![None; 4], vec![None, Some(7), None, None])
            );
            let owners = |property| view.owners_of_values(PropertyId(property)).map(|all| all.value(ValueId(7)));
            assert!(owners(0).is_none() && owners(1).is_none());
            assert_eq!(owners(2).map(|of_seven| of_seven.contains(2)), (tags.len() == 3).then_some(true));
        }
    }

    #[test]
    fn one_profile_may_have_very_many_rows() {
        let rows: Vec<Row> = (0..10_000).map(|n| (7, n, Some(n))).chain([(6, 0, None), (8, 1, Some(1))]).collect();
        let segment = segment(&rows);
        let view = segment.open().unwrap();
        assert_eq!((view.rows_of(6), view.rows_of(7), view.rows_of(8)), (0..1, 1..10_001, 10_001..10_002));
        assert_eq!(view.rows_of(9), 10_002..10_002);
    }
}
