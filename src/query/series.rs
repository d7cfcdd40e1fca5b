//! Series: the events of an audience by day, week or month. Funnels: who gets how far through steps in order.
//! Knows days and periods; knows no request.

use jiff::ToSpan;
use jiff::civil::Date;
use queryparser::ast::{EventFilter, Interval, Predicate, PredicateKind};
use serde::{Deserialize, Serialize};

use super::bind::{Binder, date_of, day_number};
use super::cell::Cell;
use super::compose::{all_of, not};
use super::context::Context;
use super::distribution::average;
use super::error::Result;
use super::event_groups::{RowGroup, Wanted, event_groups};
use super::number::Range;
use super::plan::{ColumnTest, EventRows, Node, RowColumn, RowTest};
use super::totals::{count, materialized};

/// Most periods of a series.
pub const PERIODS_MAX: usize = 40_000;

/// How long a period of a series is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day.
    #[default]
    Day,
    /// From Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

/// One period.
#[derive(Debug, Clone, Serialize)]
pub struct SeriesRow {
    /// Its first day.
    pub day: Cell<'static>,
    /// Members with such events.
    pub people: u64,
    /// Such events.
    pub events: u64,
    /// Sum of the measure; null without one.
    pub sum: Cell<'static>,
    /// Mean of the measure over the events in which it is known; null without any.
    pub average: Cell<'static>,
}

/// One step of a funnel.
#[derive(Debug, Clone, Serialize)]
pub struct FunnelStep {
    /// Members who got as far.
    pub people: u64,
    /// Members who got as far and no further; null of the last step.
    pub dropped: Option<u64>,
    /// Who got as far, as text.
    #[serde(rename = "where")]
    pub predicate: String,
    /// Who got as far and no further, as text.
    pub dropped_where: Option<String>,
}

impl Period {
    /// The first day of the period that a day lies in.
    pub fn first_day(self, day: i64) -> i64 {
        match self {
            Period::Day => day,
            // 1970-01-01 was a Thursday.
            Period::Week => day - (day + 3).rem_euclid(7),
            Period::Month => day_number(date_of(day).first_of_month()),
        }
    }

    /// The first day of the period after the one that begins on a day.
    fn next(self, day: i64) -> i64 {
        match self {
            Period::Day => day + 1,
            Period::Week => day + 7,
            Period::Month => day_number(date_of(day).checked_add(1.month()).unwrap_or(Date::MAX)),
        }
    }
}

/// The events of an audience by period, from one day to another, both included: a row for each period, without events too.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn series(
    ctx: &Context<'_>,
    audience: &Node,
    rows: EventRows,
    measure: Option<(RowColumn, u8)>,
    days: (i64, i64),
    period: Period,
) -> Result<Vec<SeriesRow>> {
    let window = RowTest::Column(RowColumn::Day, ColumnTest::Range(Range { low: days.0, high: days.1 }));
    let rows = EventRows { event: rows.event, test: RowTest::and(vec![window, rows.test]) };
    let measures: Vec<RowColumn> = measure.iter().map(|(column, _)| *column).collect();
    let first_day = |day: i64| period.first_day(day);
    let wanted = Wanted {
        rows: &rows,
        keys: &[(RowColumn::Day, &first_day)],
        people: true,
        measures: &measures,
        distinct: &[],
        listed: &[],
    };
    let groups = event_groups(ctx, audience, &wanted)?;
    let mut series = Vec::new();
    let mut day = period.first_day(days.0);
    while day <= days.1 && series.len() < PERIODS_MAX {
        let none = RowGroup::default();
        let group = groups.get(&[day, 0]).unwrap_or(&none);
        let totals = group.totals.first().copied().unwrap_or_default();
        let (sum, average) = match measure {
            Some((_, scale)) => (Cell::Decimal(totals.sum, scale), average(totals.sum, totals.known, scale)),
            None => (Cell::Null, Cell::Null),
        };
        series.push(SeriesRow { day: Cell::Date(day), people: group.people, events: group.events, sum, average });
        day = period.next(day);
    }
    Ok(series)
}

/// How many members get how far: each step counts those who have all steps up to it, in order and in time.
///
/// # Errors
/// The steps' faults, the budget's, or damage of the store.
pub fn funnel(
    binder: &mut Binder<'_>,
    audience: (&Node, Option<&Predicate>),
    steps: &[EventFilter],
    within: Option<Interval>,
) -> Result<Vec<FunnelStep>> {
    let ctx = binder.ctx;
    let mut funnel: Vec<FunnelStep> = Vec::with_capacity(steps.len());
    let mut before: Option<Predicate> = None;
    // Who has got as far, once that takes rows in order: the next step is asked of them alone.
    let mut among = audience.0.clone();
    for last in 1..=steps.len() {
        let kind = match last {
            1 => PredicateKind::Exists(steps[0].clone()),
            _ => PredicateKind::FollowedBy { steps: steps[..last].to_vec(), within },
        };
        let reached = Predicate { kind, span: steps[last - 1].span };
        let plan = binder.plan(&reached)?;
        let mut got_here = Node::and(vec![among.clone(), plan]).ordered(ctx.everyone());
        if last > 1 {
            got_here = materialized(ctx, &got_here)?;
            among = got_here.clone();
        }
        let people = count(ctx, &got_here)?;
        let text = |predicates: Vec<Predicate>| {
            let all: Vec<Predicate> = audience.1.cloned().into_iter().chain(predicates).collect();
            queryparser::predicate_text(&all_of(all))
        };
        if let (Some(step), Some(before)) = (funnel.last_mut(), before.take()) {
            step.dropped = Some(step.people - people);
            step.dropped_where = Some(text(vec![before, not(reached.clone())]));
        }
        let predicate = text(vec![reached.clone()]);
        funnel.push(FunnelStep { people, dropped: None, predicate, dropped_where: None });
        before = Some(reached);
    }
    Ok(funnel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_on_mondays_and_firsts() {
        let day = |text: &str| day_number(text.parse().unwrap());
        for (period, of, first, next) in [
            (Period::Day, "2026-11-22", "2026-11-22", "2026-11-23"),
            (Period::Week, "2026-11-22", "2026-11-16", "2026-11-23"),
            (Period::Week, "2026-11-16", "2026-11-16", "2026-11-23"),
            (Period::Week, "1969-12-31", "1969-12-29", "1970-01-05"),
            (Period::Month, "2024-02-29", "2024-02-01", "2024-03-01"),
            (Period::Month, "2026-12-31", "2026-12-01", "2027-01-01"),
        ] {
            assert_eq!(period.first_day(day(of)), day(first), "{period:?} of {of}");
            assert_eq!(period.next(day(first)), day(next), "{period:?} after {first}");
        }
    }
}
