//! Asking about events: series and funnels.
//! Knows requests and answers; the numbers are `query`'s.

use jiff::civil::Date;
use queryparser::ast::{EventFilter, Interval, Name, Predicate, PredicateKind, Span};
use queryparser::{Parsed, nearest};
use serde::Serialize;
use storage::{EventId, TagType, View};

use super::ask::{Answer, Question, Where, at_field, parse};
use super::{Result, Space};
use crate::query::bind::events::RowType;
use crate::query::bind::{day_number, request_fault};
use crate::query::plan::{EventRows, RowColumn, RowTest};
use crate::query::series::{FunnelStep, PERIODS_MAX, Period, SeriesRow, funnel, series};
use crate::query::{self, Binder, Context};

/// Days of a series that names no first one.
const SERIES_DAYS: i64 = 30;
/// Most steps of a funnel.
const STEPS_MAX: usize = 32;

/// What is asked of a series.
#[derive(Debug, Clone)]
pub struct SeriesRequest {
    /// The event.
    pub event: String,
    /// A condition over its rows, as text; all of them unless said.
    pub event_where: Option<Where>,
    /// A number property.
    pub measure: Option<String>,
    /// The first day; 30 days unless said.
    pub from: Option<Date>,
    /// The last day; the question's unless said.
    pub to: Option<Date>,
    /// How long a period is.
    pub by: Period,
}

/// Periods in order.
#[derive(Debug, Clone, Serialize)]
pub struct SeriesAnswer {
    /// One each, without events too.
    pub rows: Vec<SeriesRow>,
}

/// Steps in order.
#[derive(Debug, Clone, Serialize)]
pub struct FunnelAnswer {
    /// One each.
    pub steps: Vec<FunnelStep>,
}

impl Space {
    /// The events of an audience by day, week or month.
    ///
    /// # Errors
    /// As [`Space::count`]; names that do not exist.
    pub fn series(&self, question: &Question, request: &SeriesRequest) -> Result<Answer<SeriesAnswer>> {
        self.ask(question, |asked| {
            let ctx = asked.ctx;
            let event = named_event(ctx.view, &request.event, "/event")?;
            let measure = request.measure.as_deref().map(|name| measure(ctx, event, name)).transpose()?;
            let to = day_number(request.to.unwrap_or(ctx.as_of));
            let from = request.from.map_or(to - SERIES_DAYS + 1, day_number);
            if to - from >= PERIODS_MAX as i64 {
                let message = format!("a series of {} days; at most {PERIODS_MAX} are given", to - from + 1);
                return Err(request_fault("too_many_days", "/from", message, None).into());
            }
            let mut test = RowTest::All;
            if let Some(condition) = &request.event_where {
                let parsed = parse(condition, ctx)?;
                let mut binder = Binder::new(ctx, &parsed.source);
                test = binder.row_test(event, &parsed.ast).map_err(|e| at_field(e, "/event_where"))?;
                asked.warnings.extend(binder.into_warnings());
            }
            let rows = series(ctx, asked.audience, EventRows { event, test }, measure, (from, to), request.by)?;
            Ok(SeriesAnswer { rows })
        })
    }

    /// How many of an audience get how far through steps in order: `steps` and `within` as the rule tree has them.
    ///
    /// # Errors
    /// As [`Space::count`]; the steps' faults.
    pub fn funnel(
        &self,
        question: &Question,
        steps: &serde_json::Value,
        within: Option<&serde_json::Value>,
    ) -> Result<Answer<FunnelAnswer>> {
        self.ask(question, |asked| {
            let count = steps.as_array().map_or(0, Vec::len);
            if !(1..=STEPS_MAX).contains(&count) {
                let message = format!("a funnel has 1 to {STEPS_MAX} steps");
                return Err(request_fault("wrong_type", "/steps", message, None).into());
            }
            let (parsed, texts) = parse_steps(asked.ctx, steps, within)?;
            let (mut steps, within) = steps_of(&parsed.ast);
            steps.truncate(count);
            let mut binder = Binder::new(asked.ctx, &parsed.source);
            let audience = (asked.audience, asked.predicate.map(|parsed| &parsed.ast));
            let steps = funnel(&mut binder, audience, &steps, within).map_err(|error| at_steps(error, &texts))?;
            asked.warnings.extend(binder.into_warnings());
            Ok(FunnelAnswer { steps })
        })
    }
}

/// The steps as the predicate that asks for all of them in order (of one alone, as one that is followed by itself), and
/// those whose condition is text.
fn parse_steps(
    ctx: &Context<'_>,
    steps: &serde_json::Value,
    within: Option<&serde_json::Value>,
) -> Result<(Parsed<Predicate>, Vec<usize>)> {
    let mut texts = Vec::new();
    let mut list = steps.as_array().cloned().unwrap_or_default();
    for (step, at) in list.iter_mut().zip(0..) {
        // A condition may be text here as everywhere; the tree says the same.
        if let Some(condition) = step.get_mut("where")
            && let Some(text) = condition.as_str()
        {
            let parsed = queryparser::parse_predicate(text, &ctx.limits.parse).map_err(query::Error::from);
            let parsed = parsed.map_err(|error| at_field(error, &format!("/steps/{at}/where")))?;
            *condition = queryparser::predicate_tree(&parsed.ast);
            texts.push(at);
        }
    }
    if let [only] = &list[..] {
        list.push(only.clone());
    }
    let mut tree = serde_json::json!({ "followed_by": list });
    if let Some(within) = within {
        tree["within"] = within.clone();
    }
    let parsed = queryparser::parse_tree(&tree, &ctx.limits.parse);
    Ok((parsed.map_err(|fault| at_steps(query::Error::from(fault), &texts))?, texts))
}

fn steps_of(predicate: &Predicate) -> (Vec<EventFilter>, Option<Interval>) {
    match &predicate.kind {
        PredicateKind::FollowedBy { steps, within } => (steps.clone(), *within),
        _ => (Vec::new(), None),
    }
}

/// A fault of the tree that the steps were put in, at its place in the request: of a text the whole condition.
fn at_steps(error: query::Error, texts: &[usize]) -> query::Error {
    match error {
        query::Error::Question(mut fault) => {
            if let queryparser::At::Tree { pointer } = &mut fault.at {
                *pointer = pointer.replacen("/followed_by", "/steps", 1);
                let of_text = texts.iter().map(|at| format!("/steps/{at}/where"));
                if let Some(whole) = of_text.into_iter().find(|whole| pointer.starts_with(whole.as_str())) {
                    *pointer = whole;
                }
            }
            query::Error::Question(fault)
        }
        other => other,
    }
}

/// The event of a name in a request.
pub(super) fn named_event(view: &View, name: &str, pointer: &str) -> Result<EventId> {
    match view.schema().event(name) {
        Some((event, _)) => Ok(event),
        None => {
            let near = nearest(name, view.schema().events.iter().map(|event| event.name.as_str()));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            Err(request_fault("unknown_event", pointer, format!("there is no event `{name}`"), hint).into())
        }
    }
}

fn measure(ctx: &Context<'_>, event: EventId, name: &str) -> Result<(RowColumn, u8)> {
    let source = queryparser::Source::Text("".into());
    let binder = Binder::new(ctx, &source);
    let found = binder.row_name(event, &Name { text: name.into(), span: Span::default() });
    let found = found.map_err(|error| at_field(error, "/measure"))?;
    match found.row_type {
        RowType::Tag(TagType::Number { scale }) => Ok((found.column, scale)),
        _ => {
            let message = format!("a measure is a number; `{name}` is not");
            Err(request_fault("wrong_type", "/measure", message, None).into())
        }
    }
}
