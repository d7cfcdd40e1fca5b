//! Who has a row of some kind at all, as a folded segment keeps it: bitmaps and days of owners, instead of rows.
//! Knows one segment and a condition; whose rows may be of people who are gone is the resolver's matter.

use storage::column::ColumnView;
use storage::container::ContainerRef;
use storage::ids::{KNOWN, STRIPE_CHUNKS};
use storage::owners::OWNED_VALUES_MAX;
use storage::segment::SegmentView;
use storage::{PropertyId, ValueId, View};

use super::cost::pages_ns;
use super::resolve::{any_of, column_node, containers};
use super::rows::RowsRun;
use super::{Share, StripeNode};
use crate::query::error::Result;
use crate::query::kernels;
use crate::query::number::Range;
use crate::query::plan::{ColumnTest, EventRows, RowColumn, RowTest};

/// The bitmaps of more values are as much to look at as rows.
const VALUES_MAX: usize = 256;

/// What is kept of the owners of some rows.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Kept {
    /// At most so many are among them.
    pub(crate) members: u64,
    /// Bytes that say it.
    pub(crate) bytes: u64,
}

/// What is kept of the owners of an event's rows that pass a condition; `None` where some of them must be looked at.
///
/// # Errors
/// Damage of the store.
pub(crate) fn owners_kept(view: &View, rows: &EventRows) -> Result<Option<Kept>> {
    let mut kept = Kept::default();
    for stripe in 0..view.stripe_count() {
        let share = Share::whole(stripe);
        let Some(mut run) = RowsRun::open(view, rows, &share)? else { continue };
        run.take_owners(&rows.test, &share).iter().for_each(|owners| kept.add(owners));
        if run.has_segments() {
            return Ok(None);
        }
    }
    Ok(Some(kept))
}

impl Kept {
    fn add(&mut self, owners: &StripeNode<'_>) {
        match owners {
            StripeNode::Containers(containers) => {
                self.members += containers.iter().map(|container| u64::from(container.cardinality())).sum::<u64>();
                self.bytes += containers.iter().map(|container| container.bytes() as u64).sum::<u64>();
            }
            StripeNode::Column(leaf) => {
                self.members += (0..STRIPE_CHUNKS).map(|chunk| u64::from(leaf.upper(chunk))).sum::<u64>();
                self.bytes += (0..STRIPE_CHUNKS).map(|chunk| leaf.bytes(chunk)).sum::<u64>();
            }
            StripeNode::Or(nodes) => nodes.iter().for_each(|node| self.add(node)),
            _ => {}
        }
    }
}

/// Everyone with a row that passes a condition; `None` where the segment does not say, or where its rows, which take
/// `rows_ns` to look at, say it sooner.
pub(super) fn owners<'a>(
    segment: &SegmentView<'a>,
    test: &'a RowTest,
    share: &Share,
    rows_ns: u64,
) -> Option<StripeNode<'a>> {
    match test {
        RowTest::Nothing => Some(StripeNode::Nobody),
        RowTest::All => Some(containers(all(segment, share)?)),
        RowTest::Column(RowColumn::Day, test) => of_days(segment, test, share, rows_ns),
        RowTest::Column(RowColumn::Property(property), test) => of_values(segment, *property, test),
        RowTest::Or(tests) => {
            let each = tests.iter().map(|test| owners(segment, test, share, rows_ns));
            Some(any_of(each.collect::<Option<Vec<_>>>()?))
        }
        RowTest::And(_) | RowTest::Not(_) | RowTest::Column(RowColumn::At, _) => None,
    }
}

/// Whoever has rows.
fn all<'a>(segment: &SegmentView<'a>, share: &Share) -> Option<[ContainerRef<'a>; STRIPE_CHUNKS]> {
    let mut owners = [ContainerRef::Empty; STRIPE_CHUNKS];
    for chunk in share.chunks.clone() {
        let bits = segment.owner_bits(chunk)?;
        owners[chunk] = match kernels::count(bits) {
            0 => ContainerRef::Empty,
            count => ContainerRef::Bits(bits, count),
        };
    }
    Some(owners)
}

/// Whoever has rows on some days, where those go on to the first or to the last of all: then each one's own first or last
/// day says it.
fn of_days<'a>(segment: &SegmentView<'a>, test: &'a ColumnTest, share: &Share, rows_ns: u64) -> Option<StripeNode<'a>> {
    let ColumnTest::Range(days) = test else { return None };
    let (first_day, last_day) = (segment.first_day()?, segment.last_day()?);
    let bounds = |column: &ColumnView<'_>| column.bounds(0..column.page_count());
    let column = match (bounds(&first_day), bounds(&last_day)) {
        (None, _) | (_, None) => return Some(StripeNode::Nobody),
        (Some((first, _)), _) if days.low <= first => first_day,
        (_, Some((_, last))) if days.high >= last => last_day,
        _ => return None,
    };
    if rows_ns < share.chunks.clone().map(|chunk| pages_ns(&column, chunk, true)).sum() {
        return None;
    }
    Some(column_node(column, test, all(segment, share)?))
}

/// Whoever has rows with some values of a property.
fn of_values<'a>(segment: &SegmentView<'a>, property: PropertyId, test: &ColumnTest) -> Option<StripeNode<'a>> {
    let owners = segment.owners_of_values(property)?;
    if matches!(test, ColumnTest::Range(days) if *days == Range::ALL) {
        return Some(containers(owners.value(KNOWN).containers));
    }
    let (low, high) = test.bounds()?;
    if high >= OWNED_VALUES_MAX.into() {
        return None;
    }
    let mut values: Vec<i64> = Vec::new();
    for value in low.max(0)..=high {
        if test.passes(value) {
            values.push(value);
        }
        if values.len() > VALUES_MAX {
            return None;
        }
    }
    let held = values.into_iter().map(|value| owners.value(ValueId(value as u32)));
    let held = held.filter(|bitmap| bitmap.cardinality > 0);
    Some(any_of(held.map(|bitmap| containers(bitmap.containers)).collect()))
}
