//! What was found of one person for a clause: the value that it looks at, and what that had to be held against.
//! Knows how each kind of clause is told; whether it holds is asked elsewhere.

use std::borrow::Cow;

use queryparser::ast::{
    EventAggregate, EventFilter, EventFunction, Interval, LiteralValue, Name, Operand, Predicate, PredicateKind,
    Scalar, Top, Unit,
};
use serde_json::{Value, json};
use storage::field::FieldId;
use storage::ids::stripe_of;
use storage::{OneId, TagType};
use xxhash_rust::xxh3::xxh3_64;

use super::Place;
use crate::query::bind::events::RowType;
use crate::query::bind::{Binder, Column, date_of};
use crate::query::cell::Cell;
use crate::query::distribution::average;
use crate::query::error::Result;
use crate::query::exec::UNKNOWN;
use crate::query::happened::{latest_of, rows_of};
use crate::query::kernels::bucket_hash;
use crate::query::number::Range;
use crate::query::only::Only;
use crate::query::people::Reader;
use crate::query::plan::{ColumnTest, IdSet, Node, RowColumn, column_test};
use crate::query::select_events::{moment_text, row_cell};
use crate::query::totals::count;

const DAY_SECONDS: i64 = 86_400;

type Found = (Option<Cell<'static>>, Option<Cell<'static>>);

/// What a clause looks at, and what it is held against where that was worked out; nothing of a clause that looks at
/// membership alone.
///
/// # Errors
/// The clause's faults; damage of the store.
pub(super) fn found(place: &Place<'_>, only: &Only, predicate: &Predicate) -> Result<Found> {
    let finder = &mut Finder { binder: place.binder(only), one_id: only.one_id() };
    let value = match &predicate.kind {
        PredicateKind::Flag(name)
        | PredicateKind::HasAll { tag: name, .. }
        | PredicateKind::HasNone { tag: name, .. } => finder.named(name)?,
        PredicateKind::Compare { operand, scalar, .. } => {
            return Ok((Some(finder.operand(operand)?), finder.threshold(scalar)?));
        }
        PredicateKind::Between { operand, low, high, .. } => {
            let (low, high) = (finder.threshold(low)?, finder.threshold(high)?);
            let both = (low.is_some() || high.is_some()).then(|| json_cell(&json!([low, high])));
            return Ok((Some(finder.operand(operand)?), both));
        }
        PredicateKind::In { operand, .. }
        | PredicateKind::Like { operand, .. }
        | PredicateKind::IsNull { operand, .. } => finder.operand(operand)?,
        PredicateKind::Exists(filter) => finder.events(filter)?,
        PredicateKind::Not(inner) => match &inner.kind {
            PredicateKind::Exists(filter) => finder.events(filter)?,
            _ => return Ok((None, None)),
        },
        PredicateKind::FollowedBy { steps, within } => finder.in_order(steps, *within)?,
        PredicateKind::Top(top) => finder.rank(top)?,
        _ => return Ok((None, None)),
    };
    Ok((Some(value), None))
}

fn json_cell(value: &Value) -> Cell<'static> {
    Cell::Json(value.to_string())
}

struct Finder<'a> {
    binder: Binder<'a>,
    one_id: OneId,
}

impl Finder<'_> {
    fn named(&self, name: &Name) -> Result<Cell<'static>> {
        let ctx = self.binder.ctx;
        match self.binder.column(name)? {
            Column::Identity(id_type) => {
                let keys = ctx.view.keys_of(id_type, self.one_id)?.to_texts();
                Ok(if keys.is_empty() { Cell::Null } else { Cell::List(keys.into_iter().map(Cow::Owned).collect()) })
            }
            column => Ok(Reader::open(ctx, column, stripe_of(self.one_id.0))?.cell(self.one_id.0)?.into_owned()),
        }
    }

    fn operand(&mut self, operand: &Operand) -> Result<Cell<'static>> {
        match operand {
            Operand::Name(name) => self.named(name),
            Operand::MonthDay(name) => Ok(match self.named(name)? {
                Cell::Date(day) => Cell::Text(date_of(day).strftime("%m-%d").to_string().into()),
                other => other,
            }),
            Operand::Bucket { salt, of, .. } => Ok(match &salt.value {
                LiteralValue::Text(salt) => {
                    let hash = bucket_hash(xxh3_64(salt.as_bytes()), self.one_id.0);
                    Cell::Int(((u64::from(hash) * u64::from(*of)) >> 32) as i64)
                }
                _ => Cell::Null,
            }),
            Operand::EventAggregate(aggregate) => self.aggregate(aggregate),
        }
    }

    fn aggregate(&mut self, aggregate: &EventAggregate) -> Result<Cell<'static>> {
        let rows = self.binder.event_rows(&aggregate.filter)?;
        let (_, found) = self.binder.aggregated(aggregate, rows.event)?;
        let ctx = self.binder.ctx;
        let values = rows_of(ctx, self.one_id, &rows, &[found.column])?.remove(0);
        let known = || values.iter().copied().filter(|value| *value != UNKNOWN);
        let sum = || known().map(i128::from).sum::<i128>();
        let scale = match found.row_type {
            RowType::Tag(TagType::Number { scale }) => scale,
            _ => 0,
        };
        let cell = |value: Option<i64>| row_cell(ctx, rows.event, found, value.filter(|value| *value != UNKNOWN));
        Ok(match aggregate.function {
            EventFunction::Count => Cell::Int(values.len() as i64),
            EventFunction::Sum => Cell::Decimal(sum(), scale),
            EventFunction::Avg => average(sum(), known().count() as u64, scale),
            EventFunction::Min => cell(known().min())?,
            EventFunction::Max => cell(known().max())?,
            EventFunction::First => cell(values.first().copied())?,
            EventFunction::Last => cell(values.last().copied())?,
            EventFunction::CountDistinct => {
                let mut different: Vec<i64> = known().collect();
                different.sort_unstable();
                different.dedup();
                Cell::Int(different.len() as i64)
            }
        })
    }

    /// A subquery's one answer.
    fn threshold(&mut self, scalar: &Scalar) -> Result<Option<Cell<'static>>> {
        let Scalar::ProfileAggregate(aggregate) = scalar else { return Ok(None) };
        let plan = self.binder.of_everyone(aggregate.filter.as_deref())?;
        let (value, is_date) = self.binder.aggregate_value(&aggregate.aggregate, &plan)?;
        Ok(Some(match value {
            Some(date) if is_date => date.to_date(),
            Some(number) => number.to_cell(),
            None => Cell::Null,
        }))
    }

    fn events(&mut self, filter: &EventFilter) -> Result<Cell<'static>> {
        let rows = self.binder.event_rows(filter)?;
        let (count, latest) = latest_of(self.binder.ctx, self.one_id, &rows, 1)?;
        let latest = serde_json::to_string(&latest.first()).unwrap_or_default();
        Ok(Cell::Json(format!("{{\"count\":{count},\"latest\":{latest}}}")))
    }

    /// When she took the steps: all of them, or the most that she ever did one after the other.
    fn in_order(&mut self, steps: &[EventFilter], within: Option<Interval>) -> Result<Cell<'static>> {
        let ctx = self.binder.ctx;
        let mut times = Vec::with_capacity(steps.len());
        for step in steps {
            let rows = self.binder.event_rows(step)?;
            times.push(rows_of(ctx, self.one_id, &rows, &[RowColumn::At])?.remove(0));
        }
        let within_s = within.map(|within| {
            let days = if within.unit == Unit::Week { 7 } else { 1 };
            i64::from(within.count).saturating_mul(days * DAY_SECONDS)
        });
        let taken = furthest(&times, within_s);
        let taken: Vec<String> = taken.into_iter().map(|at| moment_text(&ctx.view.schema().time_zone, at)).collect();
        Ok(json_cell(&json!({"reached": taken.len(), "of": steps.len(), "at": taken})))
    }

    /// Her place in the order, among those that it is an order of.
    fn rank(&mut self, top: &Top) -> Result<Cell<'static>> {
        let ctx = self.binder.ctx;
        let value = self.named(&top.by)?;
        let (tag, _) = self.binder.measure(&top.by, "ORDER BY")?;
        let among = self.binder.of_everyone(top.filter.as_ref())?;
        let is_known = Node::known(ctx.view, FieldId::Tag(tag))?;
        let of = |node: Node| count(ctx, &Node::and(vec![among.clone(), node]).ordered(ctx.everyone()));
        let known = of(is_known.clone())?;
        let within = |low, high| column_test(ctx.view, tag, ColumnTest::Range(Range { low, high }));
        let lower = match self.one_id.0.checked_sub(1) {
            Some(last) => Node::ids(IdSet::of_range(0, last).among_live(ctx.view)?),
            None => Node::Nobody,
        };
        let column = ctx.view.tag(tag).stripe(stripe_of(self.one_id.0)).column()?;
        let before = match column.value(storage::ids::in_stripe(self.one_id.0)) {
            Some(own) => {
                let better = if top.descending { within(own + 1, i64::MAX)? } else { within(i64::MIN, own - 1)? };
                of(better)? + of(Node::and(vec![within(own, own)?, lower]))?
            }
            None => known + of(Node::and(vec![Node::not(is_known), lower]))?,
        };
        let only = Only::new(self.one_id);
        let rank = only.is_in(ctx, &among)?.then_some(before + 1);
        let mut spelled = Vec::new();
        value.push_json(&mut spelled);
        let (value, rank) = (String::from_utf8_lossy(&spelled), rank.map_or("null".into(), |rank| rank.to_string()));
        Ok(Cell::Json(format!("{{\"value\":{value},\"rank\":{rank},\"known\":{known}}}")))
    }
}

/// Times of the most steps that were taken one after the other, within a limit of the first; the earliest of them.
/// Of each first one the next that can follow soonest is taken, which never leaves less room for those after it.
fn furthest(times: &[Vec<i64>], within_s: Option<i64>) -> Vec<i64> {
    let mut best = Vec::new();
    for first in times.first().into_iter().flatten() {
        let mut taken = vec![*first];
        for later in &times[1..] {
            let next = later.partition_point(|at| *at <= taken[taken.len() - 1]);
            match later.get(next) {
                Some(at) if within_s.is_none_or(|within_s| at - first <= within_s) => taken.push(*at),
                _ => break,
            }
        }
        if taken.len() > best.len() {
            best = taken;
        }
        if best.len() == times.len() {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_chain_is_found_whichever_first_step_begins_it() {
        let check = |times: &[&[i64]], within_s, expected: &[i64]| {
            let times: Vec<Vec<i64>> = times.iter().map(|times| times.to_vec()).collect();
            assert_eq!(furthest(&times, within_s), expected);
        };
        check(&[&[1, 10], &[2, 30], &[12, 31]], None, &[1, 2, 12]);
        check(&[&[1, 10], &[12], &[13]], Some(5), &[10, 12, 13]);
        check(&[&[1, 10], &[10], &[11]], Some(3), &[1]);
        check(&[&[5], &[5], &[6]], None, &[5]);
        check(&[&[], &[5]], None, &[]);
    }
}
