//! SELECT statements over events: totals, groups and rows of one event, of everyone or of an audience.
//! Knows statements and rows; what a predicate over profiles means is the binder's matter.
//!
//! A clause of the WHERE looks either at a row (properties, `day`, `at`) or at whose it is: `one_id IN (…)`, an identity,
//! `in_audience`, and the like. They are joined by AND.

use queryparser::ast::{Aggregate, Name, Operand, Predicate, PredicateKind, Select, SelectExpression, SelectItem};
use storage::{EventId, TagType, ValueId};

use super::bind::events::{RowName, RowType, word_of};
use super::bind::{Binder, quantile_fraction};
use super::cell::Cell;
use super::context::Context;
use super::distribution::average;
use super::error::{Error, Result};
use super::event_groups::{RowGroup, UNKNOWN_KEY, Wanted, event_groups};
use super::exec::{Gathered, RowsRun, Scratch, Share, Stripe, UNKNOWN};
use super::plan::{EventRows, Node, RowColumn, RowTest};
use super::select::{ROWS_MAX, Rows, Table, column_name, having_holds, ordered};

/// Runs a SELECT over an event.
///
/// # Errors
/// The statement's faults, the budget's, or damage of the store.
pub(crate) fn select_events(binder: &mut Binder<'_>, statement: &Select) -> Result<Table> {
    let (event, _) = binder.event(&statement.from)?;
    let (audience, test) = split(binder, event, statement.filter.as_ref())?;
    let rows = EventRows { event, test };
    let columns = statement.items.iter().map(column_name).collect();
    let has_aggregate = statement.items.iter().any(|i| matches!(i.expression, SelectExpression::Aggregate(_)));
    let rows = if has_aggregate || !statement.group_by.is_empty() {
        grouped(binder, statement, &audience, &rows)?
    } else {
        listed(binder, statement, &audience, &rows)?
    };
    Ok(Table { columns, rows })
}

/// The audience whose rows count, and which of them do.
fn split(binder: &mut Binder<'_>, event: EventId, filter: Option<&Predicate>) -> Result<(Node, RowTest)> {
    let Some(filter) = filter else { return Ok((Node::Everyone, RowTest::All)) };
    let clauses = match &filter.kind {
        PredicateKind::And(clauses) => &clauses[..],
        _ => std::slice::from_ref(filter),
    };
    let (mut people, mut tests) = (Vec::new(), Vec::new());
    for clause in clauses {
        match is_of_people(binder, event, clause) {
            true => people.push(binder.plan(clause)?),
            false => tests.push(binder.row_test(event, clause)?),
        }
    }
    let everyone = binder.ctx.everyone();
    Ok((Node::and(people).ordered(everyone), RowTest::and(tests)))
}

/// Whether a clause asks whose rows they are.
fn is_of_people(binder: &Binder<'_>, event: EventId, clause: &Predicate) -> bool {
    match &clause.kind {
        PredicateKind::Not(inner) => is_of_people(binder, event, inner),
        PredicateKind::And(clauses) | PredicateKind::Or(clauses) => {
            clauses.iter().all(|clause| is_of_people(binder, event, clause))
        }
        PredicateKind::Among(_)
        | PredicateKind::Top(_)
        | PredicateKind::InAudience(_)
        | PredicateKind::InSnapshot { .. }
        | PredicateKind::InBitmap(_)
        | PredicateKind::Was { .. } => true,
        PredicateKind::Compare { operand: Operand::Name(name), .. }
        | PredicateKind::Between { operand: Operand::Name(name), .. }
        | PredicateKind::In { operand: Operand::Name(name), .. }
        | PredicateKind::Like { operand: Operand::Name(name), .. }
        | PredicateKind::IsNull { operand: Operand::Name(name), .. } => {
            let schema = binder.ctx.view.schema();
            let is_property = schema.events[event.0 as usize].property(&name.text).is_some();
            !is_property && (name.text == "one_id" || schema.id_type(&name.text).is_some())
        }
        _ => false,
    }
}

/// What a statement's aggregates need of each group.
#[derive(Default)]
struct Needs {
    people: bool,
    measures: Vec<RowColumn>,
    distinct: Vec<RowColumn>,
    listed: Vec<RowColumn>,
}

fn place(columns: &mut Vec<RowColumn>, column: RowColumn) -> usize {
    columns.iter().position(|known| *known == column).unwrap_or_else(|| {
        columns.push(column);
        columns.len() - 1
    })
}

fn grouped(
    binder: &Binder<'_>,
    statement: &Select,
    audience: &Node,
    rows: &EventRows,
) -> Result<Vec<Vec<Cell<'static>>>> {
    let ctx = binder.ctx;
    let keys = statement.group_by.iter().map(|name| binder.row_name(rows.event, name)).collect::<Result<Vec<_>>>()?;
    let mut needs = Needs::default();
    for aggregate in statement.aggregates() {
        need(binder, rows.event, aggregate, &mut needs)?;
    }
    let same = |value: i64| value;
    let by: Vec<(RowColumn, &(dyn Fn(i64) -> i64 + Sync))> =
        keys.iter().map(|key| (key.column, &same as &(dyn Fn(i64) -> i64 + Sync))).collect();
    let wanted = Wanted {
        rows,
        keys: &by,
        people: needs.people,
        measures: &needs.measures,
        distinct: &needs.distinct,
        listed: &needs.listed,
    };
    let mut groups: Vec<([i64; 2], RowGroup)> = event_groups(ctx, audience, &wanted)?.into_iter().collect();
    if keys.is_empty() && groups.is_empty() {
        groups.push(([0; 2], RowGroup::new(&wanted)));
    }
    groups.sort_unstable_by_key(|(key, _)| *key);
    let mut answer = Rows::default();
    for (key, group) in &groups {
        let one = OneGroup { binder, statement, event: rows.event, keys: &keys, key, group, needs: &needs };
        let cell = |aggregate: &Aggregate| one.aggregate(aggregate);
        if let Some(having) = &statement.having
            && !having_holds(binder, having, &cell)?
        {
            continue;
        }
        answer.push(statement, &|expression| one.cell(expression))?;
    }
    Ok(ordered(answer, statement))
}

/// Notes what an aggregate needs, and checks that it can be computed.
fn need(binder: &Binder<'_>, event: EventId, aggregate: &Aggregate, needs: &mut Needs) -> Result<()> {
    match aggregate {
        Aggregate::CountAll => {}
        Aggregate::CountDistinct(name) if name.text == "one_id" => needs.people = true,
        Aggregate::CountDistinct(name) => _ = place(&mut needs.distinct, binder.row_name(event, name)?.column),
        Aggregate::Sum(name) | Aggregate::Avg(name) => {
            let found = binder.row_name(event, name)?;
            if !matches!(found.row_type, RowType::Tag(TagType::Number { .. })) {
                return Err(wrong_type(binder, name, found, "sum and avg need a number"));
            }
            place(&mut needs.measures, found.column);
        }
        Aggregate::Min(name) | Aggregate::Max(name) => {
            let found = binder.row_name(event, name)?;
            check_ordered(binder, name, found, "min and max")?;
            place(&mut needs.measures, found.column);
        }
        Aggregate::Quantile(name, _) => {
            let found = binder.row_name(event, name)?;
            check_ordered(binder, name, found, "quantile")?;
            place(&mut needs.listed, found.column);
        }
    }
    Ok(())
}

fn check_ordered(binder: &Binder<'_>, name: &Name, found: RowName<'_>, what: &str) -> Result<()> {
    match found.row_type {
        RowType::Moment | RowType::Tag(TagType::Number { .. } | TagType::Date) => Ok(()),
        RowType::Tag(_) => Err(wrong_type(binder, name, found, &format!("{what} need a number, a date or a moment"))),
    }
}

fn wrong_type(binder: &Binder<'_>, name: &Name, found: RowName<'_>, needed: &str) -> Error {
    let message = format!("{needed}; `{}` is {}", name.text, word_of(found.row_type));
    binder.fault("wrong_type", name.span, message, None)
}

struct OneGroup<'a> {
    binder: &'a Binder<'a>,
    statement: &'a Select,
    event: EventId,
    keys: &'a [RowName<'a>],
    key: &'a [i64; 2],
    group: &'a RowGroup,
    needs: &'a Needs,
}

impl OneGroup<'_> {
    fn cell(&self, expression: &SelectExpression) -> Result<Cell<'static>> {
        match expression {
            SelectExpression::Aggregate(aggregate) => self.aggregate(aggregate),
            SelectExpression::Column(name) => {
                let place = self.statement.group_by.iter().position(|by| by.text == name.text);
                let Some(place) = place else {
                    let message = format!("`{}` is neither grouped by nor an aggregate", name.text);
                    let hint = Some(format!("add GROUP BY {}", name.text));
                    return Err(self.binder.fault("not_grouped", name.span, message, hint));
                };
                let known = Some(self.key[place]).filter(|key| *key != UNKNOWN_KEY);
                row_cell(self.binder.ctx, self.event, self.keys[place], known)
            }
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<Cell<'static>> {
        let column = |name: &Name| self.binder.row_name(self.event, name);
        let totals = |found: RowName<'_>| {
            let place = self.needs.measures.iter().position(|measure| *measure == found.column);
            place.and_then(|place| self.group.totals.get(place)).copied().unwrap_or_default()
        };
        let scale = |found: RowName<'_>| match found.row_type {
            RowType::Tag(TagType::Number { scale }) => scale,
            _ => 0,
        };
        Ok(match aggregate {
            Aggregate::CountAll => Cell::Int(self.group.events as i64),
            Aggregate::CountDistinct(name) if name.text == "one_id" => Cell::Int(self.group.people as i64),
            Aggregate::CountDistinct(name) => {
                let found = column(name)?;
                let place = self.needs.distinct.iter().position(|distinct| *distinct == found.column);
                Cell::Int(place.and_then(|place| self.group.distinct.get(place)).map_or(0, |seen| seen.len() as i64))
            }
            Aggregate::Sum(name) => {
                let found = column(name)?;
                Cell::Decimal(totals(found).sum, scale(found))
            }
            Aggregate::Avg(name) => {
                let found = column(name)?;
                average(totals(found).sum, totals(found).known, scale(found))
            }
            Aggregate::Min(name) | Aggregate::Max(name) => {
                let found = column(name)?;
                let is_min = matches!(aggregate, Aggregate::Min(_));
                let bound = totals(found).bounds.map(|(low, high)| if is_min { low } else { high });
                row_cell(self.binder.ctx, self.event, found, bound)?
            }
            Aggregate::Quantile(name, q) => {
                let found = column(name)?;
                let place = self.needs.listed.iter().position(|listed| *listed == found.column);
                let values = place.and_then(|place| self.group.listed.get(place)).map_or(&[][..], |list| list);
                row_cell(self.binder.ctx, self.event, found, nearest_rank(values, quantile_fraction(*q)))?
            }
        })
    }
}

/// The least value that at least ⌈q·k⌉ of `k` do not exceed.
fn nearest_rank(values: &[i64], (num, den): (u128, u128)) -> Option<i64> {
    let rank = (num * values.len() as u128).div_ceil(den).max(1) as usize;
    let mut sorted = values.to_vec();
    (rank <= sorted.len()).then(|| *sorted.select_nth_unstable(rank - 1).1)
}

/// A value of a row as answers show it.
///
/// # Errors
/// Damage of the store.
pub(crate) fn row_cell(
    ctx: &Context<'_>,
    event: EventId,
    found: RowName<'_>,
    value: Option<i64>,
) -> Result<Cell<'static>> {
    let Some(value) = value else { return Ok(Cell::Null) };
    Ok(match (found.row_type, found.column) {
        (RowType::Moment, _) => Cell::Text(moment_text(&ctx.view.schema().time_zone, value).into()),
        (RowType::Tag(TagType::Category), RowColumn::Property(property)) => {
            let text = ctx.view.event(event).values(property).text(ValueId(value as u32))?;
            Cell::Text(text.to_string().into())
        }
        (RowType::Tag(TagType::Flag), _) => Cell::Bool(value == 1),
        (RowType::Tag(TagType::Number { scale }), _) => Cell::Decimal(value.into(), scale),
        (RowType::Tag(_), _) => Cell::Date(value),
    })
}

/// `2026-11-01T10:30:00+08:00`, as clocks of the zone show it.
pub(crate) fn moment_text(time_zone: &str, second: i64) -> String {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let moment = jiff::Timestamp::from_second(second).unwrap_or_default();
    moment.display_with_offset(zone.to_offset(moment)).to_string()
}

/// Plain rows, by profile and time.
fn listed(
    binder: &Binder<'_>,
    statement: &Select,
    audience: &Node,
    rows: &EventRows,
) -> Result<Vec<Vec<Cell<'static>>>> {
    let ctx = binder.ctx;
    if let Some(order) = statement.order_by.first() {
        let message = "events are listed by profile and time; group them to order them otherwise".into();
        return Err(binder.fault("unsupported", order.span, message, None));
    }
    let mut columns: Vec<Option<RowName<'_>>> = Vec::with_capacity(statement.items.len());
    for SelectItem { expression, .. } in &statement.items {
        let SelectExpression::Column(name) = expression else { continue };
        columns.push(match name.text.as_str() {
            "one_id" => None,
            _ => Some(binder.row_name(rows.event, name)?),
        });
    }
    let read: Vec<RowColumn> = columns.iter().flatten().map(|found| found.column).collect();
    let limit = statement.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX) as usize;
    let (mut answer, mut scratch, mut gathered) = (Vec::new(), Scratch::default(), Gathered::default());
    for stripe in 0..ctx.view.stripe_count() {
        let share = Share::whole(stripe);
        let run = Stripe::open(ctx.view, audience, &share)?;
        let Some(found) = RowsRun::open(ctx.view, rows, &share)? else { continue };
        for chunk in share.chunks.clone() {
            if answer.len() >= limit {
                return Ok(answer);
            }
            ctx.budget.check()?;
            let Some(set) = run.chunk(chunk, &mut scratch) else { continue };
            found.gather(chunk, Some(&set), &read, &mut gathered);
            scratch.recycle(set);
            let first = share.first_one_id(chunk);
            for (row, low) in gathered.lows.iter().enumerate().take(limit - answer.len()) {
                let mut values = gathered.columns.iter().map(|column| column[row]);
                let mut cells = Vec::with_capacity(columns.len());
                for column in &columns {
                    cells.push(match column {
                        None => Cell::Int((first + u32::from(*low)).into()),
                        Some(name) => {
                            let value = values.next().filter(|value| *value != UNKNOWN);
                            row_cell(ctx, rows.event, *name, value)?
                        }
                    });
                }
                answer.push(cells);
            }
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let values = [50, 10, 40, 20, 30];
        let check = |num, wanted| assert_eq!(nearest_rank(&values, (num, 100)), wanted, "{num} %");
        check(0, Some(10));
        check(20, Some(10));
        check(21, Some(20));
        check(50, Some(30));
        check(100, Some(50));
        assert_eq!(nearest_rank(&[], (1, 2)), None);
    }
}
