//! Flows between two states, and the sizes of an audience over the days whose states are kept.
//! Knows the fields of each; which states there are comes from below.

use jiff::civil::Date;
use serde_json::value::RawValue;

use super::app::Outcome;
use super::call::Call;
use super::failure::Failure;
use super::json::Fields;
use super::questions::ask;
use super::reply::Reply;
use crate::engine::{FlowRequest, Question, Space};
use crate::query::distribution::Bins;

const STATE: &str = "a date like \"2026-10-31\" or the name of a store snapshot";

/// `POST …/flow`
pub(super) async fn flow(call: Call) -> Outcome<Reply> {
    ask(call, &["tag", "from", "to", "bins"], |space, question, fields| {
        let request = FlowRequest {
            tag: fields.need("tag", "the name of a tag")?,
            from: fields.need("from", STATE)?,
            to: fields.get("to", STATE)?,
            bins: fields.get::<Bins>("bins", "{\"width\": n}, {\"edges\": […]} or {\"quantiles\": n}")?,
        };
        refuse(fields, &["base"], "a flow is measured against nothing")?;
        Reply::json(&space.flow(question, &request)?)
    })
    .await
}

/// `POST …/series` without an event: how many an audience held at the end of each day.
pub(super) fn sizes(space: &Space, question: &Question, fields: &Fields<'_>) -> Outcome<Reply> {
    refuse(
        fields,
        &["event_where", "measure", "by"],
        "the sizes of an audience have neither measure nor steps: name an `event`",
    )?;
    refuse(fields, &["base", "state"], "the sizes of an audience are of all its days, measured against nothing")?;
    Reply::json(&space.sizes(question, date(fields, "from")?, date(fields, "to")?)?)
}

/// Fields that a question does not take, though most do.
pub(super) fn refuse(fields: &Fields<'_>, names: &[&str], why: &str) -> Outcome<()> {
    let found: Option<(&&str, &RawValue)> = names.iter().find_map(|name| Some((name, fields.raw(name)?)));
    match found {
        Some((name, _)) => Err(Failure::bad("unknown_key", why).pointer(format!("/{name}"))),
        None => Ok(()),
    }
}

/// A date, if it is there.
pub(super) fn date(fields: &Fields<'_>, name: &str) -> Outcome<Option<Date>> {
    let Some(text) = fields.get::<String>(name, "a date like \"2026-11-01\"")? else { return Ok(None) };
    let bad = |reason| Failure::bad("bad_date", format!("`{name}`: {reason}")).pointer(format!("/{name}"));
    queryparser::parse_date(&text).map(Some).map_err(bad)
}
