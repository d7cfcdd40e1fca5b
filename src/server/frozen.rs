//! Frozen audiences over HTTP: a day's members kept, listed, let go; and how an audience went from day to day.
//! Knows fields and paths; who is frozen is the engine's matter.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::civil::Date;

use super::app::{Lane, Outcome};
use super::audiences::Deleted;
use super::call::Call;
use super::failure::Failure;
use super::json::Fields;
use super::reply::Reply;
use super::states::date;
use crate::engine::{Answer, Question, TrendBy};

const BODY_BYTES_MAX: usize = 64 << 10;

/// `POST …/audiences/{name}/freeze`
pub(super) async fn freeze(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, name) = (call.space()?, call.part("name").to_string());
    let body = call.read_body(BODY_BYTES_MAX).await?;
    let app = call.app.clone();
    call.app
        .chore(move || {
            let (bytes, _held) = body.inflated(&app)?;
            let fields = Fields::read(&bytes, &["date", "timeout_ms"], 100)?;
            let timeout_ms = fields.get("timeout_ms", "a whole number")?;
            // Nobody can tell whether it was written once the client has gone: it goes on.
            let question = Question { timeout_ms, cancelled: Arc::new(AtomicBool::new(false)), ..Question::default() };
            Reply::json(&space.freeze(&name, date(&fields, "date")?, &question)?)
        })
        .await
}

/// `GET …/audiences/{name}/snapshots`
pub(super) async fn list(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, name, coding) = (call.space()?, call.part("name").to_string(), call.coding());
    call.app.ask(Lane::Question, move |_| Ok(Reply::json(&space.frozen_list(&name)?)?.compressed(coding))).await
}

/// `DELETE …/audiences/{name}/snapshots/{date}`
pub(super) async fn delete(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, name, started) = (call.space()?, call.part("name").to_string(), call.started);
    let date = day(call.part("date"), "the day of a snapshot")?;
    call.app
        .chore(move || {
            let data_version = space.delete_frozen(&name, date)?;
            let took_us = started.elapsed().as_micros() as u64;
            let value = Deleted { deleted: true };
            Reply::json(&Answer { value, data_version, took_us, warnings: Vec::new() })
        })
        .await
}

/// `GET …/audiences/{name}/trend`
pub(super) async fn trend(call: Call) -> Outcome<Reply> {
    let parameters = call.parameters(&["from", "to", "by"])?;
    let by = parameters.choice("by", &[("freeze", TrendBy::Freeze), ("day", TrendBy::Day)])?;
    let date = |name: &str| parameters.text(name).map(|text| day(text, name)).transpose();
    let days = (date("from")?, date("to")?);
    let (space, name, coding) = (call.space()?, call.part("name").to_string(), call.coding());
    call.app
        .ask(Lane::Question, move |cancelled| {
            let question = Question { cancelled: cancelled.clone(), ..Question::default() };
            Ok(Reply::json(&space.trend(&name, by, days, &question)?)?.compressed(coding))
        })
        .await
}

/// A date of a path or parameter.
pub(super) fn day(text: &str, what: &str) -> Outcome<Date> {
    queryparser::parse_date(text).map_err(|reason| Failure::bad("bad_date", format!("{what}: {reason}")))
}
