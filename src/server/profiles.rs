//! Profiles: people put in, looked at, and erased.
//! Knows the shapes of these requests; lines are the engine's matter, who is who the store's.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use storage::{OnUnknown, Request};

use super::app::{Lane, Outcome};
use super::call::Call;
use super::coding::Coding;
use super::failure::Failure;
use super::reply::Reply;
use crate::engine::{self, Answer, UpsertAnswer, UpsertOptions};
use crate::query::cell::Cell;
use crate::query::happened::Happened;
use crate::query::people::Portrait;

/// Rejected lines that an answer may have to be spelled where it is made.
const REJECTED_SHORT: usize = 100;

#[derive(Serialize)]
struct Upserted {
    #[serde(flatten)]
    answer: UpsertAnswer,
    took_us: u64,
}

#[derive(Serialize)]
struct Erased {
    erased: bool,
    one_id: u32,
}

#[derive(Serialize)]
struct PortraitShape<'a> {
    one_id: u32,
    #[serde(serialize_with = "as_map")]
    identities: &'a [(String, Vec<String>)],
    #[serde(serialize_with = "as_map")]
    tags: &'a [(String, Cell<'static>)],
    events: &'a [Happened],
    audiences: &'a [String],
}

fn as_map<S: serde::Serializer, T: Serialize>(pairs: &&[(String, T)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// What a batch holds.
#[derive(Clone, Copy)]
enum Lines {
    Profiles,
    Events,
    Links,
}

/// `POST …/profiles`: NDJSON, or `{"profiles": […]}`.
pub(super) async fn upsert(call: Call) -> Outcome<Reply> {
    take(call, Lines::Profiles).await
}

/// `POST …/events`: NDJSON.
pub(super) async fn add_events(call: Call) -> Outcome<Reply> {
    take(call, Lines::Events).await
}

/// `POST …/identities`: NDJSON.
pub(super) async fn link(call: Call) -> Outcome<Reply> {
    take(call, Lines::Links).await
}

async fn take(call: Call, lines: Lines) -> Outcome<Reply> {
    let parameters = call.parameters(&["atomic", "unknown"])?;
    let options = UpsertOptions {
        atomic: parameters.flag("atomic")?,
        unknown: parameters.choice("unknown", &[("create", OnUnknown::Create), ("reject", OnUnknown::Reject)])?,
    };
    let space = call.space()?;
    let body = call.read_body(call.app.engine.upsert_limits().body_bytes_max).await?;
    let (app, coding, started) = (call.app.clone(), call.coding(), call.started);
    call.app
        .write(move |answering| {
            let (bytes, _held) = match body.inflated(&app) {
                Ok(inflated) => inflated,
                Err(failure) => return answering.answer(Err(failure)),
            };
            // Whoever comes first takes it: the reader of a body that is no batch at all, or the writer.
            let answering = Arc::new(Mutex::new(Some(answering)));
            // Whoever has the answer may stop the server: nothing here is to keep the engine open any longer.
            let (take, engine) = (answering.clone(), Arc::downgrade(&app.engine));
            drop(app);
            let done = move |outcome: engine::Result<UpsertAnswer>| {
                let Some(answering) = take.lock().ok().and_then(|mut slot| slot.take()) else { return };
                let is_long = outcome.as_ref().is_ok_and(|answer| answer.rejected.len() > REJECTED_SHORT);
                let spell = move || answering.answer(spelt(outcome, coding, started));
                // This is the thread that makes all writes durable: it must not spell long lists.
                match if is_long { engine.upgrade() } else { None } {
                    Some(engine) => engine.spawn(spell),
                    None => spell(),
                }
            };
            let begun = match lines {
                Lines::Events => space.event_lines(&bytes, options, done),
                Lines::Links => space.link_lines(&bytes, options, done),
                Lines::Profiles if is_object_of_profiles(&bytes) => space.upsert_json(&bytes, options, done),
                Lines::Profiles => space.upsert_lines(&bytes, options, done),
            };
            if let Err(error) = begun
                && let Some(answering) = answering.lock().ok().and_then(|mut slot| slot.take())
            {
                answering.answer(Err(error.into()));
            }
        })
        .await
}

fn spelt(outcome: engine::Result<UpsertAnswer>, coding: Coding, started: Instant) -> Outcome<Reply> {
    let answer = outcome?;
    let took_us = started.elapsed().as_micros() as u64;
    Ok(Reply::json(&Upserted { answer, took_us })?.compressed(coding))
}

/// `{"profiles": …` is one object; any other object is a line.
fn is_object_of_profiles(body: &[u8]) -> bool {
    let inner = body.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inner.is_some_and(|inner| inner.starts_with(b"\"profiles\""))
}

/// `GET …/profiles/{id_type}/{id}`
pub(super) async fn portrait(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, coding) = (call.space()?, call.coding());
    let (id_type, id) = (call.part("id_type").to_string(), call.part("id").to_string());
    call.app
        .ask(Lane::Question, move |_| {
            let answer = space.portrait(&id_type, &id)?;
            let Portrait { one_id, identities, tags, events, audiences } = &answer.value;
            let value = PortraitShape { one_id: *one_id, identities, tags, events, audiences };
            let (data_version, took_us) = (answer.data_version, answer.took_us);
            Ok(Reply::json(&Answer { value, data_version, took_us, warnings: Vec::new() })?.compressed(coding))
        })
        .await
}

/// `DELETE …/profiles/{id_type}/{id}`: erases the person.
pub(super) async fn erase(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let space = call.space()?;
    let (id_type, id, started) = (call.part("id_type").to_string(), call.part("id").to_string(), call.started);
    call.app
        .write(move |answering| {
            let one_id = match space.find(&id_type, &id) {
                Ok(one_id) => one_id,
                Err(error) => return answering.answer(Err(error.into())),
            };
            let reply = move |outcome: storage::Result<storage::Outcome>| {
                answering.answer(outcome.map_err(Failure::from).and_then(|outcome| {
                    if outcome.accepted == 0 {
                        // Erased by somebody else between finding and writing.
                        return Err(engine::Error::UnknownProfile { id_type, id }.into());
                    }
                    let value = Erased { erased: true, one_id: one_id.0 };
                    let took_us = started.elapsed().as_micros() as u64;
                    Reply::json(&Answer { value, data_version: outcome.data_version, took_us, warnings: Vec::new() })
                }));
            };
            space.store().write(Request::Erase(vec![one_id]), Box::new(reply));
        })
        .await
}
