//! Penetration: how many of an audience have an event with each value of a property, against a base.
//! Knows rows of events; shares are `distribution`'s.
//!
//! People are counted once a value. Of few values each has the bits of a chunk's people, which are then held against both
//! sides at once; of many, a chunk's rows are put in order of their values, and one set of bits serves them all.

use queryparser::ast::{Name, Span};
use storage::container::{Bits, ContainerRef};
use storage::ids::CHUNK_WORDS;
use storage::{EventId, TagType};

use super::bind::Binder;
use super::bind::events::{RowType, any_number};
use super::context::Context;
use super::distribution::{Distribution, Order, Sides, sort};
use super::error::{Error, Result};
use super::exec::{ChunkSet, RowsRun, Scratch, Share, Stripe};
use super::kernels;
use super::number::Range;
use super::plan::{Amount, Behaviour, ColumnTest, EventRows, LeafKind, Node, RowColumn, RowTest};
use super::select_events::row_cell;
use super::totals::count;

/// Most values whose people are kept as bits of their own: 512 KiB of them, which stay in the cache.
const OWN_BITS_MAX: usize = 64;

/// The distribution of an audience over the values of an event's category or flag: it counts people, each once a value,
/// by their events of some days.
///
/// # Errors
/// A name that does not exist or is of another type, the budget's, or damage of the store.
pub fn of_property(
    ctx: &Context<'_>,
    sides: &Sides,
    event: EventId,
    property: &str,
    days: Option<(i64, i64)>,
    top: usize,
    order: Order,
) -> Result<Distribution> {
    let source = queryparser::Source::Text("".into());
    let binder = Binder::new(ctx, &source);
    let name = Name { text: property.into(), span: Span::default() };
    let found = binder.row_name(event, &name)?;
    if !matches!(found.row_type, RowType::Tag(TagType::Category | TagType::Flag)) {
        let message = format!("people are counted by a category or flag of their events; `{property}` is neither");
        return Err(binder.fault("wrong_type", name.span, message, None));
    }
    let window = || {
        let range = |(low, high)| RowTest::Column(RowColumn::Day, ColumnTest::Range(Range { low, high }));
        RowTest::and(days.map(range).into_iter().collect())
    };
    let rows = EventRows { event, test: window() };
    let domain = found.values.map_or(2, |texts| texts.count() as usize);
    let People { counts, reach, .. } = people(ctx, sides, &rows, found.column, domain)?;
    let mut values = Vec::new();
    for (value, [of_audience, of_base]) in (0u32..).zip(counts).filter(|(_, [of_audience, _])| *of_audience > 0) {
        let label = row_cell(ctx, event, found, Some(value.into()))?;
        values.push((value, sides.share(label, None, (of_audience, of_base))));
    }
    sort(&mut values, order);
    let rest = values.iter().skip(top).map(|(value, _)| i64::from(*value)).collect();
    let other = match any_number(rest) {
        None => 0,
        Some(beyond) => {
            let rows = EventRows { event, test: RowTest::and(vec![window(), RowTest::Column(found.column, beyond)]) };
            let amount = Amount::Count(ColumnTest::Range(Range { low: 1, high: i64::MAX }));
            let leaf = Node::leaf(LeafKind::Behaviour(Behaviour { rows, amount, negated: false }), ctx.everyone());
            count(ctx, &Node::and(vec![sides.audience.clone(), leaf]).ordered(ctx.everyone()))?
        }
    };
    values.truncate(top);
    Ok(Distribution {
        values: values.into_iter().map(|(_, share)| share).collect(),
        unknown: sides.audience_count() - reach,
        other,
        reach,
        summary: None,
    })
}

/// Counts the people of both sides who have rows of each value of a column, which are less than `domain`.
fn people(ctx: &Context<'_>, sides: &Sides, rows: &EventRows, column: RowColumn, domain: usize) -> Result<People> {
    let (asked, max) = (domain as u64, ctx.limits.answer_cells_max);
    if asked > max {
        return Err(Error::TooLarge { what: "values of the property", asked, max });
    }
    let each = |people: &mut People, share: &Share| {
        let (audience, base) =
            (Stripe::open(ctx.view, &sides.audience, share)?, Stripe::open(ctx.view, &sides.base, share)?);
        let Some(rows) = RowsRun::open(ctx.view, rows, share)? else { return Ok(()) };
        if audience.is_empty() && base.is_empty() {
            return Ok(());
        }
        for chunk in share.chunks.clone().filter(|chunk| rows.row_count(*chunk) > 0) {
            let sides = [&audience, &base].map(|side| side.chunk_bits(chunk, &mut people.scratch));
            if sides.iter().any(|side| side.count() > 0) {
                let bits = [sides[0].bits(), sides[1].bits()];
                match domain <= OWN_BITS_MAX {
                    true => people.add_by_bits(&rows, chunk, column, bits),
                    false => people.add_in_order(&rows, chunk, column, bits),
                }
            }
            sides.into_iter().for_each(|side| people.scratch.recycle_bits(side));
            ctx.budget.check()?;
        }
        Ok(())
    };
    ctx.fold_shares(|| People::of(domain), each, People::merge)
}

/// People of an audience and of a base, by value.
struct People {
    counts: Vec<[u64; 2]>,
    /// Those of the audience who have a row at all.
    reach: u64,
    scratch: Scratch,
    /// By value, where they are few: who of the chunk has rows of it; nobody between chunks.
    of_values: Vec<Box<Bits>>,
    /// Rows of a chunk, and where those of each value begin once they are in order.
    lows: Vec<u16>,
    values: Vec<i64>,
    starts: Vec<u32>,
    in_order: Vec<u16>,
}

impl People {
    fn of(domain: usize) -> People {
        let own_bits = if domain <= OWN_BITS_MAX { domain } else { 1 };
        People {
            counts: vec![[0; 2]; domain],
            reach: 0,
            scratch: Scratch::default(),
            of_values: (0..own_bits).map(|_| Box::new([0; CHUNK_WORDS])).collect(),
            lows: Vec::new(),
            values: Vec::new(),
            starts: Vec::new(),
            in_order: Vec::new(),
        }
    }

    fn add_by_bits(&mut self, rows: &RowsRun<'_>, chunk: usize, column: RowColumn, sides: [&Bits; 2]) {
        rows.for_each_value_page(chunk, column, |page| {
            page.for_each(|low, value| {
                if let Some(bits) = self.of_values.get_mut(value as usize) {
                    bits[usize::from(low) / 64] |= 1 << (low % 64);
                }
            });
        });
        let mut any = self.scratch.bits();
        any.fill(0);
        for (counts, of_value) in self.counts.iter_mut().zip(&mut self.of_values) {
            let added = kernels::drain(of_value, sides, &mut any);
            counts.iter_mut().zip(added).for_each(|(count, added)| *count += u64::from(added));
        }
        self.reach += u64::from(kernels::count_in_bits(ContainerRef::Bits(&any, 0), sides[0]));
        self.scratch.recycle(ChunkSet::Bits(any));
    }

    fn add_in_order(&mut self, rows: &RowsRun<'_>, chunk: usize, column: RowColumn, sides: [&Bits; 2]) {
        let People { counts, lows, values, starts, in_order, of_values, .. } = self;
        lows.clear();
        values.clear();
        rows.for_each_value_page(chunk, column, |page| page.push(lows, values));
        starts.clear();
        starts.resize(counts.len() + 1, 0);
        values.iter().for_each(|value| starts[*value as usize + 1] += 1);
        for value in 0..counts.len() {
            starts[value + 1] += starts[value];
        }
        in_order.resize(lows.len(), 0);
        // Where the next row of a value goes; in the end, where those of the next value begin.
        for (low, value) in lows.iter().zip(values.iter()) {
            let next = &mut starts[*value as usize];
            in_order[*next as usize] = *low;
            *next += 1;
        }
        let (mut any, mut begin) = (self.scratch.bits(), 0);
        any.fill(0);
        let seen = &mut of_values[0];
        for (counts, end) in counts.iter_mut().zip(starts.iter()) {
            let of_value = &in_order[begin..*end as usize];
            for low in of_value {
                let (word, bit) = (usize::from(*low) / 64, low % 64);
                let is_new = !(seen[word] >> bit) & 1;
                seen[word] |= 1 << bit;
                any[word] |= 1 << bit;
                for (count, side) in counts.iter_mut().zip(sides) {
                    *count = count.wrapping_add(is_new & (side[word] >> bit));
                }
            }
            of_value.iter().for_each(|low| seen[usize::from(*low) / 64] = 0);
            begin = *end as usize;
        }
        self.reach += u64::from(kernels::count_in_bits(ContainerRef::Bits(&any, 0), sides[0]));
        self.scratch.recycle(ChunkSet::Bits(any));
    }

    fn merge(mut self, other: People) -> People {
        for (mine, other) in self.counts.iter_mut().zip(other.counts) {
            mine.iter_mut().zip(other).for_each(|(mine, other)| *mine += other);
        }
        self.reach += other.reach;
        self
    }
}
