//! Look-alikes over HTTP: explained as JSON, or all of them as a bitmap or a line each.
//! Knows fields and formats; who is like whom comes from below.

use std::io::Write;

use axum::http::{HeaderMap, StatusCode, header};

use super::app::Outcome;
use super::call::Call;
use super::failure::Failure;
use super::questions::{ask, audience};
use super::reply::{ROARING, Reply};
use crate::engine::{Answer, LookalikeRequest};

const NDJSON: &str = "application/x-ndjson";
/// Most people that are listed a line each.
const LINES_MAX: usize = 1_000_000;

/// What they come as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Ndjson,
    Roaring,
}

/// The first that the client accepts of those offered; JSON where it does not care.
fn accepted(headers: &HeaderMap) -> Outcome<Format> {
    let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Format::Json) };
    let accept = accept.to_str().unwrap_or("").to_ascii_lowercase();
    let names = accept.split(',').map(|item| item.split(';').next().unwrap_or("").trim());
    let found = names.into_iter().find_map(|name| match name {
        "" | "*/*" | "application/*" | "application/json" => Some(Format::Json),
        NDJSON | "application/ndjson" => Some(Format::Ndjson),
        ROARING => Some(Format::Roaring),
        _ => None,
    });
    found.ok_or_else(|| {
        let message = format!("look-alikes come as application/json, {NDJSON} or {ROARING}");
        Failure::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    })
}

/// `POST …/lookalike`
pub(super) async fn find(call: Call) -> Outcome<Reply> {
    let format = accepted(&call.headers)?;
    ask(call, &["among", "tags", "n", "smoothing", "limit"], move |space, question, fields| {
        fields.need::<serde_json::Value>("where", "the seed: a text as it stands after WHERE, or a rule tree")?;
        let request = LookalikeRequest {
            among: audience(fields, "among")?,
            tags: fields.get("tags", "a list of tags")?,
            n: fields.need("n", "a whole number")?,
            smoothing: fields.get("smoothing", "a number above 0")?,
            limit: fields.get("limit", "a whole number")?,
        };
        let answer = space.lookalike(question, &request)?;
        let Answer { value: found, data_version, took_us, warnings } = answer;
        let reply = match format {
            Format::Json => return Reply::json(&Answer { value: found.shown(), data_version, took_us, warnings }),
            Format::Roaring => Reply::bytes(ROARING, storage::portable::write_portable(&found.bitmap())),
            Format::Ndjson => {
                let people = found.people();
                if people.len() > LINES_MAX {
                    let message = format!("{} people; at most {LINES_MAX} are listed a line each", people.len());
                    return Err(Failure::refused("too_large", message).hint(format!("ask for {ROARING}")));
                }
                let mut lines = Vec::with_capacity(people.len() * 40);
                for person in people {
                    // Memory takes all bytes.
                    _ = serde_json::to_writer(&mut lines, &person);
                    _ = lines.write_all(b"\n");
                }
                Reply::bytes(NDJSON, lines)
            }
        };
        Ok(reply.header("x-headcount-data-version", data_version))
    })
    .await
}
