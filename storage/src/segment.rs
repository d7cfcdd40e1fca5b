//! Rows of one event in one stripe, sorted by profile and time, in columns of pages; one form in packs and on the heap.
//! Knows rows as numbers; what a property's number means is the schema's matter.
//!
//! ```text
//!   part    = rows:u32 columns:u32 starts[257]:u32 pad8 (at:u64 length:u64){columns} pad64 column{columns}
//!   column  = a part of `column`, over rows instead of profiles, padded to 64 bytes
//!   columns = owner (place in the stripe) · at (second) · day · key (fingerprint) · one a property, by number
//! ```
//! `starts` says with which row each page of 4,096 profiles begins. Rows of one profile and second stand in the order
//! of acceptance. Rows beyond the last pad its page: their codes mean nothing.

use std::sync::Arc;

use crate::codec::{pad_to, put_u32, put_u64};
use crate::column::{ColumnView, UNKNOWN_VALUE, encode_values};
use crate::error::Result;
use crate::ids::{PAGE_PROFILES, STRIPE_PAGES};
use crate::pack::{PART_ALIGN, Part};
use crate::schema::PropertyId;

const HEADER_BYTES: usize = (8 + (STRIPE_PAGES + 1) * 4).next_multiple_of(8);
/// Columns before the properties.
const OWN_COLUMNS: usize = 4;
const OWNER: usize = 0;
const AT: usize = 1;
const DAY: usize = 2;
const KEY: usize = 3;
/// Moments stay within ±2^38 s: years 0001 to 9999 do.
const AT_BITS: u32 = 39;

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
    columns: Vec<ColumnView<'a>>,
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
                _ => encode_values(count, &mut |from, out| out.extend_from_slice(&values[from..])),
            })
            .collect();
        Segment::owned(&assemble(&starts_of(rows.owners.iter().map(|owner| *owner as u32)), &encoded))
    }

    fn owned(bytes: &[u8]) -> Segment {
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
        Ok(read_part(bytes).unwrap_or(SegmentView { rows: 0, starts: &[0; STRIPE_PAGES + 1], columns: Vec::new() }))
    }
}

impl<'a> SegmentView<'a> {
    /// How many rows it has.
    pub fn row_count(&self) -> u32 {
        self.rows
    }

    fn column(&self, number: usize) -> ColumnView<'a> {
        self.columns.get(number).copied().unwrap_or(ColumnView::UNKNOWN)
    }

    /// Whose each row is, as places in the stripe: ascending.
    pub fn owners(&self) -> ColumnView<'a> {
        self.column(OWNER)
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
        let (mut low, mut high) = (rows.start, rows.end);
        while low < high {
            let middle = low.midpoint(high);
            if owners.value(middle).is_some_and(|owner| owner < in_stripe.into()) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// One segment of the rows of several, without those that `keep` (owner, day) drops; older ones first where profile
/// and time are equal. `None` where no row is left.
///
/// # Errors
/// [`crate::Error::Corrupt`] from a segment.
pub(crate) fn merge(segments: &[&Segment], keep: &dyn Fn(u32, i64) -> bool) -> Result<Option<Vec<u8>>> {
    let views = segments.iter().map(|segment| segment.open()).collect::<Result<Vec<_>>>()?;
    let order = merged_order(&views, keep);
    if order.is_empty() {
        return Ok(None);
    }
    let columns = views.iter().map(|view| view.columns.len()).max().unwrap_or(0);
    let mut encoded = Vec::with_capacity(columns);
    for number in 0..columns {
        let sources: Vec<ColumnView<'_>> = views.iter().map(|view| view.column(number)).collect();
        if sources.iter().all(|source| source.page_count() == 0) {
            encoded.push(Vec::new());
            continue;
        }
        encoded.push(encode_values(order.len(), &mut |from, out| {
            let page = &order[from..order.len().min(from + PAGE_PROFILES as usize)];
            let value = |(segment, row): &(u32, u32)| sources[*segment as usize].value(*row).unwrap_or(UNKNOWN_VALUE);
            out.extend(page.iter().map(value));
        }));
    }
    let owner_of = |(segment, row): &(u32, u32)| views[*segment as usize].owners().value(*row).unwrap_or(0) as u32;
    Ok(Some(assemble(&starts_of(order.iter().map(owner_of)), &encoded)))
}

/// As [`merge`], kept on the heap.
///
/// # Errors
/// As [`merge`].
pub(crate) fn merge_owned(segments: &[&Segment], keep: &dyn Fn(u32, i64) -> bool) -> Result<Option<Segment>> {
    Ok(merge(segments, keep)?.map(|bytes| Segment::owned(&bytes)))
}

/// Which row of which segment comes when.
fn merged_order(views: &[SegmentView<'_>], keep: &dyn Fn(u32, i64) -> bool) -> Vec<(u32, u32)> {
    let rank = |segment: usize, row: u32| {
        let view = &views[segment];
        let (owner, at) = (view.owners().value(row).unwrap_or(0), view.at().value(row).unwrap_or(0));
        (row < view.rows).then(|| (owner as u64) << AT_BITS | (at + (1 << (AT_BITS - 1))) as u64)
    };
    let mut heads: Vec<(u32, Option<u64>)> = (0..views.len()).map(|segment| (0, rank(segment, 0))).collect();
    let mut order = Vec::with_capacity(views.iter().map(|view| view.rows as usize).sum());
    loop {
        let mut next: Option<(usize, u64)> = None;
        for (segment, (_, rank)) in heads.iter().enumerate() {
            if let Some(rank) = rank
                && next.is_none_or(|(_, least)| *rank < least)
            {
                next = Some((segment, *rank));
            }
        }
        let Some((segment, least)) = next else { return order };
        let row = heads[segment].0;
        let day = views[segment].day().value(row).unwrap_or(0);
        if keep((least >> AT_BITS) as u32, day) {
            order.push((segment as u32, row));
        }
        heads[segment] = (row + 1, rank(segment, row + 1));
    }
}

fn starts_of(owners: impl Iterator<Item = u32>) -> Vec<u32> {
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

fn assemble(starts: &[u32], columns: &[Vec<u8>]) -> Vec<u8> {
    let mut at = (HEADER_BYTES + columns.len() * 16).next_multiple_of(PART_ALIGN);
    let mut out = Vec::with_capacity(at + columns.iter().map(|c| c.len().next_multiple_of(PART_ALIGN)).sum::<usize>());
    put_u32(&mut out, starts[STRIPE_PAGES]);
    put_u32(&mut out, columns.len() as u32);
    starts.iter().for_each(|start| put_u32(&mut out, *start));
    pad_to(&mut out, 8);
    for column in columns {
        put_u64(&mut out, at as u64);
        put_u64(&mut out, column.len() as u64);
        at += column.len().next_multiple_of(PART_ALIGN);
    }
    for column in columns {
        pad_to(&mut out, PART_ALIGN);
        out.extend_from_slice(column);
    }
    out
}

fn read_part(bytes: &[u8]) -> Option<SegmentView<'_>> {
    let head: &[u32] = bytemuck::try_cast_slice(bytes.get(..8 + (STRIPE_PAGES + 1) * 4)?).ok()?;
    let (rows, count) = (head[0], head[1] as usize);
    let places = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(count.checked_mul(16)?)?)?;
    let places: &[[u64; 2]] = bytemuck::try_cast_slice(places).ok()?;
    let mut columns = Vec::with_capacity(places.len());
    for [at, length] in places {
        let column = bytes.get(*at as usize..(*at as usize).checked_add(*length as usize)?)?;
        columns.push(ColumnView::over(column)?);
    }
    Some(SegmentView { rows, starts: &head[2..], columns })
}

fn check_part(bytes: &[u8]) -> Result<(), String> {
    let view = read_part(bytes).ok_or("columns of rows that do not fit")?;
    let sound = view.starts.is_sorted() && view.starts[0] == 0 && view.starts[STRIPE_PAGES] == view.rows;
    if !sound || view.columns.len() < OWN_COLUMNS {
        return Err("rows that do not add up".into());
    }
    let pages = view.rows.div_ceil(PAGE_PROFILES) as usize;
    let fits = |column: &ColumnView<'_>| column.page_count() <= pages && column.is_sound();
    if !view.columns.iter().all(fits) || view.columns[..KEY].iter().any(|column| column.page_count() != pages) {
        return Err("columns that do not have a page for all rows".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
            prop_assert_eq!(check_part(match &merged { Segment::Owned(w) => bytemuck::cast_slice(w), _ => &[] }), Ok(()));
            for (owner, ..) in &wanted {
                let rows = view.rows_of(*owner);
                prop_assert!(rows.clone().all(|row| wanted[row as usize].0 == *owner));
                prop_assert_eq!(rows.len(), wanted.iter().filter(|row| row.0 == *owner).count());
            }
            prop_assert!(view.rows_of(77_777).all(|row| wanted[row as usize].0 == 77_777));
            let odd = merge_owned(&[&merged], &|owner, _| owner % 2 == 1).unwrap();
            let left: Vec<Row> = wanted.into_iter().filter(|row| row.0 % 2 == 1).collect();
            prop_assert_eq!(odd.map_or(Vec::new(), |odd| rows_of(&odd)), left);
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
