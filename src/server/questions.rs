//! Questions: JSON bodies to the engine's requests, and its answers to JSON.
//! Knows the fields of each question; numbers and errors come from below.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::civil::Date;
use serde_json::value::RawValue;

use super::app::{App, Held, Lane, Outcome};
use super::call::Call;
use super::failure::Failure;
use super::json::{Fields, misfit};
use super::reply::Reply;
use super::states::{date, sizes};
use crate::engine::{CrosstabRequest, DistributionRequest, Question, SeriesRequest, Space, Where};
use crate::query::distribution::{Bins, Order};
use crate::query::series::Period;

/// Fields that every question takes.
const COMMON: [&str; 5] = ["where", "base", "as_of", "state", "timeout_ms"];
/// Bytes that a value of a rule tree takes once it is read, about.
const TREE_VALUE_BYTES: usize = 64;
/// Most tags of one distribution call.
const TAGS_MAX: usize = 1000;

/// `POST …/count`
pub(super) async fn count(call: Call) -> Outcome<Reply> {
    ask(call, &["breakdown"], |space, question, fields| {
        let breakdown = fields.get("breakdown", "true or false")?.unwrap_or(false);
        Reply::json(&space.count(question, breakdown)?)
    })
    .await
}

/// `POST …/query`
pub(super) async fn query(call: Call) -> Outcome<Reply> {
    ask(call, &["sql"], |space, question, fields| {
        let sql: String = fields.need("sql", "a SELECT statement as text")?;
        if question.audience.is_some() || question.base.is_some() {
            let message = "a statement has its own WHERE and no base";
            return Err(Failure::bad("unknown_key", message).pointer("/where"));
        }
        Reply::json(&space.query(&sql, question)?)
    })
    .await
}

/// `POST …/distribution`
pub(super) async fn distribution(call: Call) -> Outcome<Reply> {
    ask(call, &["tags", "top", "order", "bins", "window"], |space, question, fields| {
        let tags: Vec<String> = fields.need("tags", "a list of tags")?;
        if tags.len() > TAGS_MAX {
            let message = format!("{} tags in one call; at most {TAGS_MAX} are taken", tags.len());
            return Err(Failure::refused("too_many_tags", message).pointer("/tags"));
        }
        if fields.raw("window").is_some() && tags.iter().all(|tag| !tag.contains('.')) {
            let message = "a window bounds events; tags have no time";
            return Err(Failure::bad("unsupported", message).pointer("/window"));
        }
        let request = DistributionRequest {
            tags,
            top: fields.get("top", "a whole number")?,
            order: fields.get::<Order>("order", "`count`, `index` or `value`")?.unwrap_or_default(),
            bins: fields.get::<Bins>("bins", "{\"width\": n}, {\"edges\": […]} or {\"quantiles\": n}")?,
            window: window(fields)?,
        };
        Reply::json(&space.distribution(question, &request)?)
    })
    .await
}

/// First and last day of events.
fn window(fields: &Fields<'_>) -> Outcome<Option<(Date, Date)>> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Window {
        from: String,
        to: String,
    }
    let bad = |reason| Failure::bad("bad_date", format!("`window`: {reason}")).pointer("/window");
    let day = |text: &str| queryparser::parse_date(text).map_err(bad);
    match fields.get::<Window>("window", "{\"from\": \"2026-10-01\", \"to\": \"2026-10-31\"}")? {
        Some(Window { from, to }) => Ok(Some((day(&from)?, day(&to)?))),
        None => Ok(None),
    }
}

/// `POST …/series`
pub(super) async fn series(call: Call) -> Outcome<Reply> {
    ask(call, &["event", "event_where", "measure", "from", "to", "by"], |space, question, fields| {
        if fields.raw("event").is_none() {
            return sizes(space, question, fields);
        }
        let request = SeriesRequest {
            event: fields.need("event", "the name of an event")?,
            event_where: audience(fields, "event_where")?,
            measure: fields.get("measure", "the name of a number property")?,
            from: date(fields, "from")?,
            to: date(fields, "to")?,
            by: fields.get::<Period>("by", "`day`, `week` or `month`")?.unwrap_or_default(),
        };
        Reply::json(&space.series(question, &request)?)
    })
    .await
}

/// `POST …/funnel`
pub(super) async fn funnel(call: Call) -> Outcome<Reply> {
    ask(call, &["steps", "within"], |space, question, fields| {
        let steps: serde_json::Value = fields.need("steps", "a list of {\"event\", \"where\"?}")?;
        let within: Option<serde_json::Value> = fields.get("within", "{\"days\": n}")?;
        Reply::json(&space.funnel(question, &steps, within.as_ref())?)
    })
    .await
}

/// `POST …/overlap`
pub(super) async fn overlap(call: Call) -> Outcome<Reply> {
    ask(call, &["audiences"], |space, question, fields| {
        let expected = "a list of 2 to 12 audiences, each a text or a rule tree";
        let audiences: Vec<Where> = fields.need("audiences", expected)?;
        Reply::json(&space.overlap(question, &audiences)?)
    })
    .await
}

/// `POST …/differences`
pub(super) async fn differences(call: Call) -> Outcome<Reply> {
    ask(call, &["top"], |space, question, fields| {
        Reply::json(&space.differences(question, fields.get("top", "a whole number")?)?)
    })
    .await
}

/// `POST …/crosstab`
pub(super) async fn crosstab(call: Call) -> Outcome<Reply> {
    ask(call, &["rows", "columns"], |space, question, fields| {
        let request = CrosstabRequest {
            rows: fields.need("rows", "the name of a tag")?,
            columns: fields.need("columns", "the name of a tag")?,
        };
        Reply::json(&space.crosstab(question, &request)?)
    })
    .await
}

/// `POST …/plan`
pub(super) async fn plan(call: Call) -> Outcome<Reply> {
    ask(call, &[], |space, question, _| Reply::json(&space.plan(question)?)).await
}

/// Reads a question of `own` fields besides the common ones, and has it answered on the pool.
pub(super) async fn ask(
    call: Call,
    own: &'static [&'static str],
    answer: impl FnOnce(&Space, &Question, &Fields<'_>) -> Outcome<Reply> + Send + 'static,
) -> Outcome<Reply> {
    let coding = call.coding();
    ask_for(&call, own, move |space, question, fields| Ok(answer(space, question, fields)?.compressed(coding))).await
}

/// As [`ask`], where the answer is not the reply yet.
pub(super) async fn ask_for<T: Send + 'static>(
    call: &Call,
    own: &'static [&'static str],
    answer: impl FnOnce(&Space, &Question, &Fields<'_>) -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    call.parameters(&[])?;
    let space = call.space()?;
    let body = call.read_body(call.app.options.limits.question_bytes_max).await?;
    let app = call.app.clone();
    call.app
        .ask(Lane::Question, move |cancelled| {
            let (bytes, _held) = body.inflated(&app)?;
            let fields = Fields::read(&bytes, &known(own), app.options.limits.question_values_max)?;
            let (question, _held_tree) = question(&app, &fields, cancelled)?;
            answer(&space, &question, &fields)
        })
        .await
}

/// All fields that a question of `own` ones takes.
pub(super) fn known(own: &[&'static str]) -> Vec<&'static str> {
    own.iter().chain(&COMMON).copied().collect()
}

/// The part that all questions share, and what its trees hold of the memory that requests may take.
///
/// # Errors
/// 400 with the field, 503.
pub(super) fn question(
    app: &App,
    fields: &Fields<'_>,
    cancelled: &Arc<AtomicBool>,
) -> Outcome<(Question, Option<Held>)> {
    let as_of = date(fields, "as_of")?;
    let has_tree = ["where", "base", "among", "audiences", "steps", "event_where"]
        .iter()
        .any(|name| fields.raw(name).is_some_and(|raw| !raw.get().starts_with('"')));
    let held = if has_tree { Some(app.hold(fields.extent.values * TREE_VALUE_BYTES)?) } else { None };
    let question = Question {
        audience: audience(fields, "where")?,
        base: audience(fields, "base")?,
        as_of,
        state: fields.get("state", "a date like \"2026-10-31\" or the name of a store snapshot")?,
        timeout_ms: fields.get("timeout_ms", "a number of milliseconds")?,
        cancelled: cancelled.clone(),
    };
    Ok((question, held))
}

pub(super) fn audience(fields: &Fields<'_>, name: &str) -> Outcome<Option<Where>> {
    let expected = "a text as it stands after WHERE, or a rule tree";
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    Ok(Some(match raw.get().as_bytes().first() {
        Some(b'"') => Where::Text(parsed(raw, name, expected)?),
        Some(b'{') => Where::Tree(parsed(raw, name, expected)?),
        _ => return Err(misfit(name, expected, raw)),
    }))
}

fn parsed<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue, name: &str, expected: &str) -> Outcome<T> {
    serde_json::from_str(raw.get())
        .map_err(|e| Failure::bad("bad_json", format!("`{name}` is {expected}: {e}")).pointer(format!("/{name}")))
}
