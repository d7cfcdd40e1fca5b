//! Changes of an audience over HTTP: as NDJSON what there is, or as server-sent events what comes.
//! Knows both spellings and who waits for whom; who entered and left is the engine's matter.
//!
//! ```text
//!   the space's watcher ── wakes ──► async task ── reads for a moment on a thread ──► channel ──► body ──► client
//! ```
//! A client that is slow holds up nobody but itself: what it has not read yet waits on the engine's shelf, and beyond that
//! it is told that it is gone.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use super::app::{App, CancelOnDrop, Lane, Outcome, caught};
use super::call::Call;
use super::coding::{Coding, Encoder};
use super::failure::Failure;
use super::pieces::{PIECES_WAITING_MAX, Pieces};
use super::reply::{Parts, Piece, Reply};
use crate::engine::{Changes, Line, Lines, Since};
use crate::query;

/// Changes of one answer unless said, and at most.
const LIMIT_DEFAULT: usize = 10_000;
const LIMIT_MAX: usize = 100_000;
/// Changes that are read for a stream at a time.
const STREAM_LINES: usize = 1_000;
/// Longest silence of a stream.
const SILENCE: Duration = Duration::from_secs(15);
const WAITING_MAX: usize = 2;
const NDJSON: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

#[derive(Serialize)]
struct LineShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
    data_version: u64,
    at: String,
    one_id: u32,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The last line of an answer, and what a stream tells between changes.
#[derive(Serialize)]
struct EndShape<'a> {
    cursor: Option<&'a str>,
    data_version: u64,
    count: u64,
    more: bool,
}

/// `GET …/audiences/{name}/changes`
pub(super) async fn read(call: Call) -> Outcome<Reply> {
    let parameters = call.parameters(&["since", "ids", "limit"])?;
    let is_stream = accepts_events(&call.headers);
    let limit = match parameters.text("limit").map(str::parse::<usize>) {
        None => LIMIT_DEFAULT,
        Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => limit,
        Some(_) => return Err(Failure::bad("bad_parameter", format!("`limit` is a number from 1 to {LIMIT_MAX}"))),
    };
    let again = call.headers.get("last-event-id").filter(|_| is_stream).and_then(|id| id.to_str().ok());
    let since = match again.or(parameters.text("since")) {
        Some(text) => Since::parse(text)?,
        None => Since::Now,
    };
    let ids = parameters.text("ids").map_or_else(Vec::new, |ids| ids.split(',').map(String::from).collect());
    let (space, name, coding) = (call.space()?, call.part("name").to_string(), call.coding());
    // What a snapshot differs by may be as long as a list of members, and is sent as one.
    let is_list = !is_stream && matches!(since, Since::Snapshot(_));
    let place = call.app.enter(if is_list { Lane::Stream } else { Lane::Follow })?;
    let open = move || Ok(space.changes(&name, &since, &ids)?);
    if is_stream {
        return Ok(stream(&call.app, on_a_thread(open).await?, place));
    }
    if is_list {
        return Ok(list(on_a_thread(open).await?, limit, coding, place));
    }
    on_a_thread(move || {
        let mut text = Vec::new();
        write(&mut open()?, limit, &mut text)?;
        drop(place);
        Ok(Reply::bytes(NDJSON, text).header("cache-control", "no-store").compressed(coding))
    })
    .await
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let mut names =
        accepts.flat_map(|accept| accept.split(',')).map(|item| item.split(';').next().unwrap_or("").trim());
    names.any(|name| name.eq_ignore_ascii_case(EVENTS))
}

async fn on_a_thread<T: Send + 'static>(job: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(move || caught(job)).await.unwrap_or_else(|_| Err(Failure::panicked()))
}

/// What there is by now, and where to go on from. A snapshot's difference is told whole: there is no cursor within it.
fn write(changes: &mut Changes, limit: usize, out: &mut impl Write) -> Outcome<()> {
    let mut left = limit;
    loop {
        let is_whole = changes.position().is_none();
        let lines = changes.read(if is_whole { STREAM_LINES } else { left })?;
        let mut text = Vec::new();
        lines.lines.iter().for_each(|line| push_json(&mut text, &shape(line)));
        left -= if is_whole { 0 } else { lines.lines.len() };
        let is_over = lines.cursor.is_some() && (left == 0 || !lines.has_more);
        if is_over {
            push_json(&mut text, &end_of(&lines));
        }
        out.write_all(&text).map_err(|_| Failure::from(query::Error::Cancelled))?;
        if is_over {
            return Ok(());
        }
    }
}

/// The same, as fast as its reader takes it.
fn list(mut changes: Changes, limit: usize, coding: Coding, place: OwnedSemaphorePermit) -> Reply {
    let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
    let first = Piece::Part(Bytes::new());
    tokio::task::spawn_blocking(move || {
        // A list that is broken off is seen by its missing end.
        let _ = caught(|| {
            let gone = |_: std::io::Error| Failure::from(query::Error::Cancelled);
            let mut encoder = Encoder::new(coding, Pieces::new(sender)).map_err(gone)?;
            write(&mut changes, limit, &mut encoder)?;
            encoder.finish().map_err(gone)?.end().map_err(gone)
        });
        drop(place);
    });
    Reply::parts(NDJSON, coding, Parts::new(first, receiver, CancelOnDrop::default()))
        .header("cache-control", "no-store")
}

fn end_of(lines: &Lines) -> EndShape<'_> {
    let cursor = lines.cursor.as_deref();
    EndShape { cursor, data_version: lines.data_version, count: lines.count, more: lines.has_more }
}

fn shape(line: &Line) -> LineShape<'_> {
    let ids = line.ids.iter().map(|(name, id)| (name.clone(), id.as_str().into()));
    LineShape {
        cursor: line.cursor.as_deref(),
        data_version: line.data_version,
        at: line.at.to_string(),
        one_id: line.one_id,
        change: if line.entered { "entered" } else { "left" },
        ids: (!line.ids.is_empty()).then(|| ids.collect()),
    }
}

fn push_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Writing to memory does not fail, and neither do these shapes.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b'\n');
}

/// One event: its id is where to go on from.
fn push_event(out: &mut Vec<u8>, event: &str, id: Option<&str>, data: &impl Serialize) {
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    out.extend_from_slice(format!("event: {event}\ndata: ").as_bytes());
    push_json(out, data);
    out.push(b'\n');
}

/// What comes, until the client goes, the server stops or the watching ends.
fn stream(app: &Arc<App>, changes: Changes, place: OwnedSemaphorePermit) -> Reply {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let first = Piece::Part(Bytes::from_static(b"retry: 1000\n\n"));
    let mut stopped = app.stopped.clone();
    tokio::spawn(async move {
        let ended = tokio::select! {
            last = follow(changes, &sender) => last,
            _ = stopped.wait_for(|stopped| *stopped) => Some(Vec::new()),
            () = sender.closed() => None,
        };
        if let Some(last) = ended {
            // A client that takes nothing off is cut by its connection's watch.
            let _ = sender.send(Piece::Last(last.into())).await;
        }
        drop(place);
    });
    let parts = Parts::new(first, receiver, CancelOnDrop::default());
    Reply::parts(EVENTS, Coding::Identity, parts).header("cache-control", "no-store").header("x-accel-buffering", "no")
}

/// Sends on and on; gives what to say last, or nothing where the client has gone.
async fn follow(mut changes: Changes, sender: &mpsc::Sender<Piece>) -> Option<Vec<u8>> {
    let news = Arc::new(Notify::new());
    let wakes = news.clone();
    let _subscription = changes.subscribe(move || wakes.notify_one());
    let mut is_first = true;
    loop {
        let read = on_a_thread(move || {
            let lines = changes.read(STREAM_LINES);
            Ok((changes, lines))
        });
        let (back, lines) = match read.await {
            Ok(read) => read,
            Err(failure) => return Some(last_event(&failure)),
        };
        changes = back;
        let lines = match lines {
            Ok(lines) => lines,
            Err(error) => return Some(last_event(&Failure::from(error))),
        };
        let mut text = Vec::new();
        for line in &lines.lines {
            push_event(&mut text, shape(line).change, line.cursor.as_deref(), &shape(line));
        }
        // From the start on there is something to go on from.
        if !lines.has_more && (is_first || lines.lines.last().is_some_and(|line| line.cursor.is_none())) {
            push_event(&mut text, "cursor", lines.cursor.as_deref(), &end_of(&lines));
            is_first = false;
        }
        if !text.is_empty() {
            sender.send(Piece::Part(text.into())).await.ok()?;
        }
        if !lines.has_more && timeout(SILENCE, news.notified()).await.is_err() {
            let alive = Bytes::from_static(b": nothing new\n\n");
            sender.send(Piece::Part(alive)).await.ok()?;
        }
    }
}

fn last_event(failure: &Failure) -> Vec<u8> {
    let mut text = b"event: error\ndata: ".to_vec();
    text.extend_from_slice(&failure.to_json());
    text.extend_from_slice(b"\n\n");
    text
}
