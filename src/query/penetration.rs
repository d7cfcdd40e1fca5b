//! Penetration: how many of an audience have an event with each value of a property, against a base.
//! Knows rows of events; shares are `distribution`'s.

use queryparser::ast::{Name, Span};
use storage::{EventId, TagType};

use super::bind::Binder;
use super::bind::events::RowType;
use super::context::Context;
use super::distribution::{Distribution, Order, Sides, sort};
use super::error::Result;
use super::event_groups::{Wanted, event_groups};
use super::number::Range;
use super::plan::{Amount, Behaviour, ColumnTest, EventRows, LeafKind, Node, RowColumn, RowTest};
use super::select_events::row_cell;
use super::totals::count;

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
    let range = |column, range| RowTest::Column(column, ColumnTest::Range(range));
    let known = || {
        let window = days.map(|(low, high)| range(RowColumn::Day, Range { low, high }));
        RowTest::and(window.into_iter().chain([range(found.column, Range::ALL)]).collect())
    };
    let rows = EventRows { event, test: known() };
    let same = |value: i64| value;
    let wanted = Wanted { rows: &rows, keys: &[(found.column, &same)], measures: &[], distinct: &[], listed: &[] };
    let counted = event_groups(ctx, &sides.audience, &wanted)?;
    let base = event_groups(ctx, &sides.base, &wanted)?;
    let mut values = Vec::with_capacity(counted.len());
    for ([value, _], group) in &counted {
        let label = row_cell(ctx, event, found, Some(*value))?;
        let of_base = base.get(&[*value, 0]).map_or(0, |group| group.people);
        values.push((*value as u32, sides.share(label, None, (group.people, of_base))));
    }
    sort(&mut values, order);
    let with = |rows: EventRows| {
        let amount = Amount::Count(ColumnTest::Range(Range { low: 1, high: i64::MAX }));
        let leaf = Node::leaf(LeafKind::Behaviour(Behaviour { rows, amount, negated: false }), ctx.everyone());
        count(ctx, &Node::and(vec![sides.audience.clone(), leaf]).ordered(ctx.everyone()))
    };
    let reach = with(EventRows { event, test: known() })?;
    let mut rest: Vec<i64> = values.iter().skip(top).map(|(value, _)| i64::from(*value)).collect();
    rest.sort_unstable();
    let other = match rest[..] {
        [] => 0,
        _ => {
            let beyond = RowTest::Column(found.column, ColumnTest::Any(rest));
            with(EventRows { event, test: RowTest::and(vec![known(), beyond]) })?
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
