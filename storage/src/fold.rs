//! Rows of several segments in one: on the heap as they come, or folded for a store snapshot.
//! Knows columns of rows and their order; how a part is laid out is the segment's matter.

use std::ops::Range;

use crate::column::{ColumnView, UNKNOWN_VALUE, encode_values};
use crate::error::Result;
use crate::ids::{CHUNK_PAGES, CHUNK_PROFILES, PAGE_PROFILES, STRIPE_CHUNKS};
use crate::owners::{encode_days, encode_owners};
use crate::schema::{Tag, TagType};
use crate::segment::{
    AT, DAY, Folded, KEY, OWN_COLUMNS, OWNER, Segment, SegmentView, assemble, span_starts_of, starts_of,
};

const CHUNK_BITS_BYTES: usize = CHUNK_PROFILES as usize / 8;
/// Moments stay within ±2^38 s: years 0001 to 9999 do.
const AT_BITS: u32 = 39;

/// One folded segment of the rows of several, without those that `keep` (owner, day) drops; older ones first where
/// profile and time are equal. `None` where no row is left. `properties` are those of the event: of which the owners of
/// each value are kept.
///
/// # Errors
/// [`crate::Error::Corrupt`] from a segment.
pub(crate) fn fold(
    segments: &[&Segment],
    properties: &[Tag],
    keep: &dyn Fn(u32, i64) -> bool,
) -> Result<Option<Vec<u8>>> {
    let Some(merged) = Merged::of(segments, keep)? else { return Ok(None) };
    let (starts, mut of_owners) = (merged.starts(), vec![merged.owner_bits()]);
    of_owners.extend(encode_days(merged.owners().zip(merged.days.iter().copied())));
    let order_by_day = merged.order_by_day(&starts);
    let (mut columns, mut by_day) = (Vec::new(), Vec::new());
    for number in 0..merged.column_count() {
        let values = merged.column(number);
        columns.push(encoded(&values, &merged.order));
        by_day.push(match number {
            AT | KEY => Vec::new(),
            _ => encoded(&values, &order_by_day),
        });
        if number < OWN_COLUMNS {
            continue;
        }
        let are_few = |property: &Tag| matches!(property.tag_type, TagType::Category | TagType::Flag);
        of_owners.push(match !values.is_empty() && properties.get(number - OWN_COLUMNS).is_some_and(are_few) {
            true => {
                let of_rows = merged.order.iter().map(|row| Some(values[*row as usize]));
                encode_owners(merged.owners().zip(of_rows.map(|value| value.filter(|value| *value != UNKNOWN_VALUE))))?
            }
            false => Vec::new(),
        });
    }
    let span_starts = span_starts_of(merged.owners());
    Ok(Some(assemble(&starts, &columns, &span_starts, Some(&Folded { by_day, of_owners }))))
}

/// As [`fold`], on the heap and not folded: by profile only.
///
/// # Errors
/// As [`fold`].
pub(crate) fn merge_owned(segments: &[&Segment], keep: &dyn Fn(u32, i64) -> bool) -> Result<Option<Segment>> {
    let merged = Merged::of(segments, keep)?;
    Ok(merged.map(|merged| {
        let columns: Vec<Vec<u8>> =
            (0..merged.column_count()).map(|number| encoded(&merged.column(number), &merged.order)).collect();
        Segment::owned(&assemble(&merged.starts(), &columns, &span_starts_of(merged.owners()), None))
    }))
}

/// Rows of several segments in one order, by profile and time.
struct Merged<'a> {
    views: Vec<SegmentView<'a>>,
    /// Which row comes when: those of the first segment are counted first, then those of the next.
    order: Vec<u32>,
    /// By place in the order.
    owners: Vec<u32>,
    days: Vec<i64>,
}

impl<'a> Merged<'a> {
    fn of(segments: &[&'a Segment], keep: &dyn Fn(u32, i64) -> bool) -> Result<Option<Merged<'a>>> {
        let views = segments.iter().map(|segment| segment.open()).collect::<Result<Vec<_>>>()?;
        let mut merged = Merged { views, order: Vec::new(), owners: Vec::new(), days: Vec::new() };
        let (owners, at, days) = (merged.column(OWNER), merged.column(AT), merged.column(DAY));
        let known = |value: i64| if value == UNKNOWN_VALUE { 0 } else { value };
        let rank = |row: usize| (known(owners[row]) as u64) << AT_BITS | (known(at[row]) + (1 << (AT_BITS - 1))) as u64;
        let mut first = 0;
        let runs = merged.views.iter().map(|view| {
            let start = first;
            first += view.row_count() as usize;
            start..first
        });
        let count = owners.len();
        let (mut order, mut of_order) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut days_of_order = Vec::with_capacity(count);
        in_order(runs, rank, |row, rank| {
            let owner = (rank >> AT_BITS) as u32;
            if keep(owner, known(days[row])) {
                order.push(row as u32);
                of_order.push(owner);
                days_of_order.push(days[row]);
            }
        });
        (merged.order, merged.owners, merged.days) = (order, of_order, days_of_order);
        Ok((!merged.order.is_empty()).then_some(merged))
    }

    fn owners(&self) -> impl Iterator<Item = u32> {
        self.owners.iter().copied()
    }

    fn column_count(&self) -> usize {
        self.views.iter().map(|view| view.columns.len()).max().unwrap_or(0)
    }

    /// The values of all rows, as they are counted; empty where no segment has such a column.
    fn column(&self, number: usize) -> Vec<i64> {
        let sources: Vec<ColumnView<'_>> = self.views.iter().map(|view| view.column(number)).collect();
        let mut values = Vec::new();
        if sources.iter().any(|source| source.page_count() > 0) {
            values.reserve_exact(self.views.iter().map(|view| view.row_count() as usize).sum());
            for (source, view) in sources.iter().zip(&self.views) {
                source.push_values(view.row_count() as usize, &mut values);
            }
        }
        values
    }

    fn starts(&self) -> Vec<u32> {
        starts_of(self.owners())
    }

    fn owner_bits(&self) -> Vec<u8> {
        let mut bits = vec![0u8; STRIPE_CHUNKS * CHUNK_BITS_BYTES];
        self.owners().for_each(|owner| bits[owner as usize / 8] |= 1 << (owner % 8));
        bits
    }

    /// The rows of each chunk by day.
    fn order_by_day(&self, starts: &[u32]) -> Vec<u32> {
        let mut order = Vec::with_capacity(self.order.len());
        let mut places: Vec<u32> = Vec::new();
        for chunk in 0..STRIPE_CHUNKS {
            places.clear();
            places.extend(starts[chunk * CHUNK_PAGES]..starts[(chunk + 1) * CHUNK_PAGES]);
            places.sort_by_key(|place| self.days[*place as usize]);
            order.extend(places.iter().map(|place| self.order[*place as usize]));
        }
        order
    }
}

/// A column in an order; empty where it has no values.
fn encoded(values: &[i64], order: &[u32]) -> Vec<u8> {
    if values.is_empty() {
        return Vec::new();
    }
    encode_values(order.len(), &mut |from, out| {
        let page = &order[from..order.len().min(from + PAGE_PROFILES as usize)];
        out.extend(page.iter().map(|row| values[*row as usize]));
    })
}

/// Calls `each` with the rows of several runs in one order, and their ranks, by which each run ascends; earlier runs come
/// first where they are equal.
fn in_order(runs: impl Iterator<Item = Range<usize>>, rank: impl Fn(usize) -> u64, mut each: impl FnMut(usize, u64)) {
    let mut heads: Vec<(u64, Range<usize>)> =
        runs.filter(|run| run.start < run.end).map(|run| (rank(run.start), run)).collect();
    while let Some(at) = (0..heads.len()).min_by_key(|at| heads[*at].0) {
        let (least, run) = &mut heads[at];
        each(run.start, *least);
        run.start += 1;
        if run.start < run.end {
            *least = rank(run.start);
        } else {
            heads.remove(at);
        }
    }
}
