//! Saved audiences over HTTP: put, shown, listed, let go.
//! Knows the fields; definitions are the engine's matter.

use serde::Serialize;

use super::app::{Lane, Outcome};
use super::call::Call;
use super::json::Fields;
use super::questions::audience;
use super::reply::Reply;
use crate::engine::{Answer, AudienceRequest};

#[derive(Serialize)]
pub(super) struct Deleted {
    pub(super) deleted: bool,
}

/// `PUT …/audiences/{name}`
pub(super) async fn put(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, name, coding) = (call.space()?, call.part("name").to_string(), call.coding());
    let by = call.caller.name().map(String::from);
    let body = call.read_body(call.app.options.limits.question_bytes_max).await?;
    let app = call.app.clone();
    call.app
        .chore(move || {
            let (bytes, _held) = body.inflated(&app)?;
            let known = ["where", "description", "labels"];
            let fields = Fields::read(&bytes, &known, app.options.limits.question_values_max)?;
            fields.need::<serde_json::Value>("where", "a text as it stands after WHERE, or a rule tree")?;
            let Some(definition) = audience(&fields, "where")? else { unreachable!("it was needed") };
            let request = AudienceRequest {
                definition,
                description: fields.get("description", "a text")?.unwrap_or_default(),
                labels: fields.get("labels", "a list of texts")?.unwrap_or_default(),
                by,
            };
            Ok(Reply::json(&space.put_audience(&name, &request)?)?.compressed(coding))
        })
        .await
}

/// `GET …/audiences/{name}`
pub(super) async fn show(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, name, coding) = (call.space()?, call.part("name").to_string(), call.coding());
    call.app.ask(Lane::Question, move |_| Ok(Reply::json(&space.audience(&name)?)?.compressed(coding))).await
}

/// `GET …/audiences`
pub(super) async fn list(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, coding) = (call.space()?, call.coding());
    call.app.ask(Lane::Question, move |_| Ok(Reply::json(&space.audience_list()?)?.compressed(coding))).await
}

/// `DELETE …/audiences/{name}`
pub(super) async fn delete(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, name, started) = (call.space()?, call.part("name").to_string(), call.started);
    call.app
        .chore(move || {
            let data_version = space.delete_audience(&name)?;
            let took_us = started.elapsed().as_micros() as u64;
            let value = Deleted { deleted: true };
            Reply::json(&Answer { value, data_version, took_us, warnings: Vec::new() })
        })
        .await
}
