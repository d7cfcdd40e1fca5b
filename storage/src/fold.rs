//! Rows of several segments in one: on the heap as they come, or folded for a store snapshot.
//! Knows columns of rows and their order; how a part is laid out is the segment's matter.

use crate::column::{ColumnView, UNKNOWN_VALUE, encode_values};
use crate::error::Result;
use crate::ids::{CHUNK_PAGES, CHUNK_PROFILES, PAGE_PROFILES, STRIPE_CHUNKS};
use crate::owners::{encode_days, encode_owners};
use crate::schema::{Tag, TagType};
use crate::segment::{AT, DAY, Folded, KEY, OWN_COLUMNS, Segment, SegmentView, assemble, span_starts_of, starts_of};

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
    let Some(mut merged) = Merged::of(segments, keep)? else { return Ok(None) };
    let columns = merged.encoded(|_| true);
    let (starts, span_starts) = (merged.starts(), span_starts_of(merged.owners()));
    let mut of_owners = vec![merged.owner_bits()];
    let days = merged.values(DAY).map(|day| day.unwrap_or(UNKNOWN_VALUE));
    of_owners.extend(encode_days(merged.owners().zip(days)));
    for number in 0..columns.len() - OWN_COLUMNS {
        let are_few = |property: &Tag| matches!(property.tag_type, TagType::Category | TagType::Flag);
        of_owners.push(match properties.get(number).is_some_and(are_few) {
            true => encode_owners(merged.owners().zip(merged.values(OWN_COLUMNS + number)))?,
            false => Vec::new(),
        });
    }
    merged.sort_by_day(&starts);
    let by_day = merged.encoded(|column| column != AT && column != KEY);
    Ok(Some(assemble(&starts, &columns, &span_starts, Some(&Folded { by_day, of_owners }))))
}

/// As [`fold`], on the heap and not folded: by profile only.
///
/// # Errors
/// As [`fold`].
pub(crate) fn merge_owned(segments: &[&Segment], keep: &dyn Fn(u32, i64) -> bool) -> Result<Option<Segment>> {
    let merged = Merged::of(segments, keep)?;
    Ok(merged.map(|merged| {
        let span_starts = span_starts_of(merged.owners());
        Segment::owned(&assemble(&merged.starts(), &merged.encoded(|_| true), &span_starts, None))
    }))
}

/// Rows of several segments in one order.
struct Merged<'a> {
    views: Vec<SegmentView<'a>>,
    /// Which row of which segment.
    order: Vec<(u32, u32)>,
}

impl<'a> Merged<'a> {
    fn of(segments: &[&'a Segment], keep: &dyn Fn(u32, i64) -> bool) -> Result<Option<Merged<'a>>> {
        let views = segments.iter().map(|segment| segment.open()).collect::<Result<Vec<_>>>()?;
        let order = merged_order(&views, keep);
        Ok((!order.is_empty()).then_some(Merged { views, order }))
    }

    fn owners(&self) -> impl Iterator<Item = u32> {
        self.order.iter().map(|(segment, row)| self.views[*segment as usize].owners().value(*row).unwrap_or(0) as u32)
    }

    /// A column in the present order.
    fn values(&self, number: usize) -> impl Iterator<Item = Option<i64>> {
        let sources: Vec<ColumnView<'_>> = self.views.iter().map(|view| view.column(number)).collect();
        self.order.iter().map(move |(segment, row)| sources[*segment as usize].value(*row))
    }

    fn starts(&self) -> Vec<u32> {
        starts_of(self.owners())
    }

    fn owner_bits(&self) -> Vec<u8> {
        let mut bits = vec![0u8; STRIPE_CHUNKS * CHUNK_BITS_BYTES];
        self.owners().for_each(|owner| bits[owner as usize / 8] |= 1 << (owner % 8));
        bits
    }

    /// Puts the rows of each chunk, which stand by profile, by day.
    fn sort_by_day(&mut self, starts: &[u32]) {
        let days: Vec<ColumnView<'_>> = self.views.iter().map(|view| view.day()).collect();
        for chunk in 0..STRIPE_CHUNKS {
            let rows = starts[chunk * CHUNK_PAGES] as usize..starts[(chunk + 1) * CHUNK_PAGES] as usize;
            let day = |(segment, row): &(u32, u32)| days[*segment as usize].value(*row).unwrap_or(UNKNOWN_VALUE);
            self.order[rows].sort_by_cached_key(day);
        }
    }

    /// The columns wanted in the present order; the others empty.
    fn encoded(&self, wanted: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
        let columns = self.views.iter().map(|view| view.columns.len()).max().unwrap_or(0);
        let encoded = (0..columns).map(|number| {
            let sources: Vec<ColumnView<'_>> = self.views.iter().map(|view| view.column(number)).collect();
            if !wanted(number) || sources.iter().all(|source| source.page_count() == 0) {
                return Vec::new();
            }
            encode_values(self.order.len(), &mut |from, out| {
                let page = &self.order[from..self.order.len().min(from + PAGE_PROFILES as usize)];
                let value = |(segment, row): &(u32, u32)| sources[*segment as usize].value(*row);
                out.extend(page.iter().map(|place| value(place).unwrap_or(UNKNOWN_VALUE)));
            })
        });
        encoded.collect()
    }
}

/// Which row of which segment comes when.
fn merged_order(views: &[SegmentView<'_>], keep: &dyn Fn(u32, i64) -> bool) -> Vec<(u32, u32)> {
    let rank = |segment: usize, row: u32| {
        let view = &views[segment];
        let (owner, at) = (view.owners().value(row).unwrap_or(0), view.at().value(row).unwrap_or(0));
        (row < view.row_count()).then(|| (owner as u64) << AT_BITS | (at + (1 << (AT_BITS - 1))) as u64)
    };
    let mut heads: Vec<(u32, Option<u64>)> = (0..views.len()).map(|segment| (0, rank(segment, 0))).collect();
    let mut order = Vec::with_capacity(views.iter().map(|view| view.row_count() as usize).sum());
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
