//! The days on which a clause can flip for one person: where a date of hers is passed by what counts from CURRENT_DATE.
//! Knows dates of tags and events; whether the clause does flip is asked of it.
//!
//! `CURRENT_DATE + intervals` never goes back as days go by, month by month neither. So against one date it changes its
//! side at two days at most: the first on which it reaches the date, and the first on which it is past it.

use std::collections::{BTreeSet, HashMap, HashSet};

use queryparser::ast::{
    EventFilter, Interval, Literal, LiteralValue, Operand, Predicate, PredicateKind, ProfileAggregate, Scalar,
};
use storage::ids::{in_stripe, stripe_of};
use storage::{OneId, PropertyId, TagType};

use super::DAYS_AHEAD_OF_EVERYONE;
use crate::query::bind::day_from;
use crate::query::bind::{Binder, Column, date_of, day_number};
use crate::query::context::Context;
use crate::query::error::Result;
use crate::query::exec::UNKNOWN;
use crate::query::happened::rows_of;
use crate::query::plan::{EventRows, RowColumn, RowTest};
use crate::query::remembered::Remembered;
use crate::query::states::{open, state_of_literal};

/// What a clause holds against what.
pub(super) struct Dates {
    one_id: OneId,
    /// What counts from CURRENT_DATE.
    relative: Vec<Vec<Interval>>,
    /// Dates of hers.
    own: BTreeSet<i64>,
    /// Whether it depends on others, or on another state, each day.
    is_daily: bool,
    /// Audiences and events that were looked at, by the state's version.
    seen: HashSet<(String, u64)>,
    is_dated: HashMap<String, bool>,
}

impl Dates {
    /// Of a clause and a person.
    ///
    /// # Errors
    /// Damage of the store.
    pub(super) fn of(ctx: &Context<'_>, one_id: OneId, predicate: &Predicate) -> Result<Dates> {
        let mut dates = Dates {
            one_id,
            relative: Vec::new(),
            own: BTreeSet::new(),
            is_daily: false,
            seen: HashSet::new(),
            is_dated: HashMap::new(),
        };
        dates.visit(ctx, predicate)?;
        Ok(dates)
    }

    /// Days after `today` on which the clause can flip, up to `until`, and the last day of which that is known.
    pub(super) fn days(&self, today: i64, until: i64) -> (BTreeSet<i64>, i64) {
        let mut until = until;
        for intervals in &self.relative {
            until = before(today, until, |day| day_from(date_of(day), intervals).is_none());
        }
        if self.is_daily {
            until = until.min(today + DAYS_AHEAD_OF_EVERYONE);
            return ((today + 1..=until).collect(), until);
        }
        let mut days = BTreeSet::new();
        for intervals in &self.relative {
            let (first, last) = (shifted_day(today, intervals), shifted_day(until, intervals));
            for own in self.own.range(first..=last) {
                for target in [*own, own + 1].into_iter().filter(|target| first < *target && *target <= last) {
                    days.insert(before(today, until, |day| shifted_day(day, intervals) >= target) + 1);
                }
            }
        }
        (days, until)
    }

    fn visit(&mut self, ctx: &Context<'_>, predicate: &Predicate) -> Result<()> {
        if !self.is_dated(ctx, predicate)? {
            return Ok(());
        }
        self.push_relative(predicate);
        match &predicate.kind {
            PredicateKind::And(inner) | PredicateKind::Or(inner) => {
                inner.iter().try_for_each(|inner| self.visit(ctx, inner))
            }
            PredicateKind::Not(inner) | PredicateKind::Among(inner) => self.visit(ctx, inner),
            PredicateKind::InAudience(name) => {
                let is_new = self.seen.insert((format!("audience {}", name.text), ctx.view.data_version()));
                match ctx.audiences.find(&name.text)? {
                    Some(saved) if is_new => self.visit(ctx, &saved.parsed.ast),
                    _ => Ok(()),
                }
            }
            PredicateKind::Was { state, predicate } => self.visit_state(ctx, state, predicate),
            PredicateKind::Top(_) | PredicateKind::InSnapshot { .. } => {
                self.is_daily = true;
                Ok(())
            }
            PredicateKind::Exists(filter) => self.visit_rows(ctx, filter),
            PredicateKind::FollowedBy { steps, .. } => steps.iter().try_for_each(|step| self.visit_rows(ctx, step)),
            PredicateKind::Compare { operand, scalar, .. } => self.visit_operand(ctx, operand, &[scalar]),
            PredicateKind::Between { operand, low, high, .. } => self.visit_operand(ctx, operand, &[low, high]),
            PredicateKind::In { operand, .. }
            | PredicateKind::Like { operand, .. }
            | PredicateKind::IsNull { operand, .. } => self.visit_operand(ctx, operand, &[]),
            _ => Ok(()),
        }
    }

    fn visit_state(&mut self, ctx: &Context<'_>, state: &Literal, predicate: &Predicate) -> Result<()> {
        if matches!(state.value, LiteralValue::RelativeDate(_)) {
            self.is_daily = true;
            return Ok(());
        }
        let wanted = state_of_literal(&state.value, || Ok(ctx.as_of))?;
        let Ok(asked) = open(ctx.states, &wanted)? else { return Ok(()) };
        let remembered = Remembered::default();
        self.visit(&Context { view: &asked.view, remembered: &remembered, ..*ctx }, predicate)
    }

    fn visit_operand(&mut self, ctx: &Context<'_>, operand: &Operand, scalars: &[&Scalar]) -> Result<()> {
        for scalar in scalars {
            self.visit_scalar(ctx, scalar)?;
        }
        match operand {
            Operand::Name(name) | Operand::MonthDay(name) => {
                let source = queryparser::Source::Text("".into());
                if let Column::Tag(tag, TagType::Date) = Binder::new(ctx, &source).column(name)? {
                    let column = ctx.view.tag(tag).stripe(stripe_of(self.one_id.0)).column()?;
                    self.own.extend(column.value(in_stripe(self.one_id.0)));
                }
                Ok(())
            }
            Operand::Bucket { .. } => Ok(()),
            Operand::EventAggregate(aggregate) => self.visit_rows(ctx, &aggregate.filter),
        }
    }

    fn visit_scalar(&mut self, ctx: &Context<'_>, scalar: &Scalar) -> Result<()> {
        if let Scalar::ProfileAggregate(aggregate) = scalar {
            let ProfileAggregate { filter, .. } = &**aggregate;
            self.is_daily |= filter.as_ref().map_or(Ok(false), |filter| self.is_dated(ctx, filter))?;
        }
        Ok(())
    }

    /// Days and dates of her events, and what their conditions count from CURRENT_DATE.
    fn visit_rows(&mut self, ctx: &Context<'_>, filter: &EventFilter) -> Result<()> {
        if let Some(condition) = &filter.condition {
            self.visit_condition(ctx, condition)?;
        }
        let is_new = self.seen.insert((format!("event {}", filter.event.text), ctx.view.data_version()));
        let Some((event, declared)) = ctx.view.schema().event(&filter.event.text).filter(|_| is_new) else {
            return Ok(());
        };
        let dated = declared.properties.iter().zip(0..).filter(|(property, _)| property.tag_type == TagType::Date);
        let dated = dated.map(|(_, number)| RowColumn::Property(PropertyId(number)));
        let columns: Vec<RowColumn> = [RowColumn::Day].into_iter().chain(dated).collect();
        let rows = EventRows { event, test: RowTest::All };
        let values = rows_of(ctx, self.one_id, &rows, &columns)?;
        self.own.extend(values.into_iter().flatten().filter(|value| *value != UNKNOWN));
        Ok(())
    }

    fn visit_condition(&mut self, ctx: &Context<'_>, condition: &Predicate) -> Result<()> {
        self.push_relative(condition);
        match &condition.kind {
            PredicateKind::Compare { scalar, .. } => self.visit_scalar(ctx, scalar),
            PredicateKind::Between { low, high, .. } => {
                self.visit_scalar(ctx, low)?;
                self.visit_scalar(ctx, high)
            }
            PredicateKind::And(inner) | PredicateKind::Or(inner) => {
                inner.iter().try_for_each(|inner| self.visit_condition(ctx, inner))
            }
            PredicateKind::Not(inner) => self.visit_condition(ctx, inner),
            _ => Ok(()),
        }
    }

    fn push_relative(&mut self, predicate: &Predicate) {
        for literal in literals(predicate) {
            if let LiteralValue::RelativeDate(intervals) = &literal.value
                && !self.relative.contains(intervals)
            {
                self.relative.push(intervals.clone());
            }
        }
    }

    /// Whether anything in it counts from CURRENT_DATE.
    fn is_dated(&mut self, ctx: &Context<'_>, predicate: &Predicate) -> Result<bool> {
        if let PredicateKind::InAudience(name) = &predicate.kind {
            if let Some(known) = self.is_dated.get(&name.text) {
                return Ok(*known);
            }
            let saved = ctx.audiences.find(&name.text)?;
            let is_dated = saved.map_or(Ok(false), |saved| self.is_dated(ctx, &saved.parsed.ast))?;
            self.is_dated.insert(name.text.clone(), is_dated);
            return Ok(is_dated);
        }
        if literals(predicate).any(|literal| matches!(literal.value, LiteralValue::RelativeDate(_))) {
            return Ok(true);
        }
        for child in queryparser::children(predicate) {
            if self.is_dated(ctx, child)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Some intervals after a day; after all others where that leaves the calendar.
fn shifted_day(day: i64, intervals: &[Interval]) -> i64 {
    day_from(date_of(day), intervals).map_or(i64::MAX, day_number)
}

/// The last of `from..=to` before something becomes so for good; it is not so at `from`.
fn before(from: i64, to: i64, is_so: impl Fn(i64) -> bool) -> i64 {
    let (mut not_yet, mut past) = (from, to + 1);
    while past - not_yet > 1 {
        let middle = not_yet + (past - not_yet) / 2;
        if is_so(middle) { past = middle } else { not_yet = middle }
    }
    not_yet
}

/// The literals of a clause itself, without those of its subqueries.
fn literals(predicate: &Predicate) -> impl Iterator<Item = &Literal> {
    fn of(scalar: &Scalar) -> Option<&Literal> {
        match scalar {
            Scalar::Literal(literal) => Some(literal),
            Scalar::ProfileAggregate(_) => None,
        }
    }
    let (few, list): ([Option<&Literal>; 2], &[Literal]) = match &predicate.kind {
        PredicateKind::Compare { scalar, .. } => ([of(scalar), None], &[]),
        PredicateKind::Between { low, high, .. } => ([of(low), of(high)], &[]),
        PredicateKind::In { list, .. } => ([None, None], list),
        PredicateKind::Was { state, .. } => ([Some(state), None], &[]),
        PredicateKind::InSnapshot { on, .. } => ([Some(on), None], &[]),
        _ => ([None, None], &[]),
    };
    few.into_iter().flatten().chain(list)
}
