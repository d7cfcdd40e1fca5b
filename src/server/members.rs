//! Members: lists of people, streamed as fast as their reader takes them.
//! Knows the formats and how rows become pieces; who is listed comes from below.
//!
//! ```text
//!   a thread of its own: rows → 64 KiB → coder → channel of 4 ──► body ──► client
//! ```
//! What goes wrong before the first piece is an error answer; after it, the body is broken off, so that nobody takes a
//! short list for the whole.

use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::http::{HeaderMap, StatusCode, header};
use tokio::sync::{mpsc, oneshot};

use super::app::{App, CancelOnDrop, Lane, Outcome, caught};
use super::body::RawBody;
use super::call::Call;
use super::coding::{Coding, Encoder};
use super::failure::Failure;
use super::json::Fields;
use super::pieces::{PIECE_BYTES, PIECES_WAITING_MAX, Pieces};
use super::questions::{known, question};
use super::reply::{Parts, ROARING, Reply};
use crate::engine::{MembersRequest, Question, Space};
use crate::import::read::Format as FileFormat;
use crate::import::write::{Shape, writer};
use crate::import::write_csv::write_cell;
use crate::query;
use crate::query::cell::Cell;

const OWN: [&str; 10] =
    ["ids", "columns", "limit", "after", "data_version", "sample", "seed", "stratify", "order_by", "events"];
/// Most events of each member.
const EVENTS_MAX: usize = 1000;
const OFFERED: [(&str, Format); 4] = [
    ("application/x-ndjson", Format::Ndjson),
    ("text/csv", Format::Csv),
    ("application/vnd.apache.parquet", Format::Parquet),
    (ROARING, Format::Roaring),
];

/// What a list is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
    Parquet,
    Roaring,
}

impl Format {
    /// The first that the client accepts of those offered; NDJSON where it does not care.
    fn accepted(headers: &HeaderMap) -> Outcome<Format> {
        let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Format::Ndjson) };
        let accept = accept.to_str().unwrap_or("").to_ascii_lowercase();
        for item in accept.split(',') {
            let name = item.split(';').next().unwrap_or("").trim();
            if matches!(name, "" | "*/*" | "application/*" | "application/json" | "application/ndjson") {
                return Ok(Format::Ndjson);
            }
            if name == "text/*" {
                return Ok(Format::Csv);
            }
            if let Some((_, format)) = OFFERED.iter().find(|(offered, _)| *offered == name) {
                return Ok(*format);
            }
        }
        let offered: Vec<&str> = OFFERED.iter().map(|(name, _)| *name).collect();
        let message = format!("members come as {}", offered.join(", "));
        Err(Failure::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message))
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Roaring => ROARING,
        }
    }
}

/// `POST …/members`
pub(super) async fn list(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let format = Format::accepted(&call.headers)?;
    // Parquet is compressed within.
    let coding = if format == Format::Parquet { Coding::Identity } else { call.coding() };
    let space = call.space()?;
    let body = call.read_body(call.app.options.limits.question_bytes_max).await?;
    let place = call.app.enter(Lane::Stream)?;
    let cancelled = CancelOnDrop::default();
    let (sender, mut received) = mpsc::channel(PIECES_WAITING_MAX);
    let (fail, failed) = oneshot::channel();
    let version = Arc::new(OnceLock::new());
    let list = List { app: call.app.clone(), space, format, coding, version: version.clone() };
    let flag = cancelled.0.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(failure) = caught(|| list.write(&body, &flag, Pieces::new(sender))) {
            // Nobody listens once the first piece is out; then the missing end tells.
            let _ = fail.send(failure);
        }
        drop(place);
    });
    let Some(first) = received.recv().await else {
        return Err(failed.await.unwrap_or_else(|_| Failure::panicked()));
    };
    let reply = Reply::parts(format.content_type(), coding, Parts::new(first, received, cancelled));
    Ok(match version.get() {
        Some(version) => reply.header("x-headcount-data-version", version),
        None => reply,
    })
}

/// A list on its way.
struct List {
    app: Arc<App>,
    space: Arc<Space>,
    format: Format,
    coding: Coding,
    /// Set before the first piece is sent.
    version: Arc<OnceLock<u64>>,
}

impl List {
    fn write(&self, body: &RawBody, cancelled: &Arc<AtomicBool>, out: Pieces) -> Outcome<()> {
        let (bytes, _held) = body.inflated(&self.app)?;
        let fields = Fields::read(&bytes, &known(&OWN), self.app.options.limits.question_values_max)?;
        let (question, _held_tree) = question(&self.app, &fields, cancelled)?;
        let request = request(&fields)?;
        if request.events > 0 && matches!(self.format, Format::Parquet | Format::Roaring) {
            let message = "events of members come as NDJSON, or as JSON within CSV";
            return Err(Failure::bad("unsupported", message).pointer("/events"));
        }
        match self.format {
            Format::Ndjson | Format::Csv => self.write_rows(&question, &request, out),
            Format::Parquet => self.write_parquet(&question, &request, out),
            Format::Roaring => self.write_bitmap(&question, &request, out),
        }
    }

    fn write_rows(&self, question: &Question, request: &MembersRequest, out: Pieces) -> Outcome<()> {
        let mut encoder = Encoder::new(self.coding, out).map_err(gone)?;
        let mut text = Vec::with_capacity(PIECE_BYTES + 4096);
        // Both closures append to the text; they are never called at the same time.
        let shared = std::cell::RefCell::new((&mut text, Vec::new()));
        let head = |names: &[String], data_version| {
            let (text, keys) = &mut *shared.borrow_mut();
            let _ = self.version.set(data_version);
            match self.format {
                Format::Csv => push_csv_row(text, names.iter().map(String::as_str)),
                _ => *keys = names.iter().map(|name| serde_json::Value::from(name.as_str()).to_string()).collect(),
            }
            Ok(())
        };
        let each = |_: u32, cells: &[Cell<'_>]| {
            let (text, keys) = &mut *shared.borrow_mut();
            match self.format {
                Format::Csv => push_csv_cells(text, cells),
                _ => push_json_row(text, keys, cells),
            }
            if text.len() >= PIECE_BYTES {
                encoder.write_all(text).map_err(|_| query::Error::Cancelled)?;
                text.clear();
            }
            Ok(())
        };
        self.space.members(question, request, head, each)?;
        encoder.write_all(&text).map_err(gone)?;
        encoder.finish().map_err(gone)?.end().map_err(gone)
    }

    fn write_parquet(&self, question: &Question, request: &MembersRequest, out: Pieces) -> Outcome<()> {
        let out = Arc::new(Mutex::new(out));
        let mut file = writer(Shared(out.clone()), FileFormat::Parquet, Shape::Flat);
        let before = self.space.store().view().data_version();
        self.space.member_frames(question, request, &mut |frame| {
            // Frames do not tell their data version; if nothing was written meanwhile there is but one.
            if self.version.get().is_none() && self.space.store().view().data_version() == before {
                let _ = self.version.set(before);
            }
            file.write(&frame).map_err(|_| query::Error::Cancelled)
        })?;
        file.finish().map_err(|_| query::Error::Cancelled)?;
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        out.end().map_err(gone)
    }

    fn write_bitmap(&self, question: &Question, request: &MembersRequest, out: Pieces) -> Outcome<()> {
        let (bitmap, data_version) = self.space.listed_bitmap(question, request)?;
        let _ = self.version.set(data_version);
        let mut encoder = Encoder::new(self.coding, out).map_err(gone)?;
        encoder.write_all(&storage::portable::write_portable(&bitmap)).map_err(gone)?;
        encoder.finish().map_err(gone)?.end().map_err(gone)
    }
}

/// A name, or several.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

fn request(fields: &Fields<'_>) -> Outcome<MembersRequest> {
    Ok(MembersRequest {
        ids: fields.get("ids", "a list of id types")?,
        columns: fields.get("columns", "a list of tags")?.unwrap_or_default(),
        limit: fields.get("limit", "a whole number")?,
        after: fields.get("after", "a OneID")?,
        sample: fields.get("sample", "a whole number")?,
        seed: fields.get("seed", "a whole number")?.unwrap_or(0),
        stratify: match fields.get("stratify", "the name of a tag, or a list of them")? {
            Some(Names::One(name)) => vec![name],
            Some(Names::Several(names)) => names,
            None => Vec::new(),
        },
        data_version: fields.get("data_version", "a whole number")?,
        order_by: fields.get("order_by", "a text like \"age DESC\"")?,
        events: fields.get::<usize>("events", "a whole number")?.unwrap_or(0).min(EVENTS_MAX),
    })
}

/// Writing fails only once the reader has gone.
fn gone(_: std::io::Error) -> Failure {
    query::Error::Cancelled.into()
}

/// Pieces that a writer owns while the list still has its end to write.
struct Shared(Arc<Mutex<Pieces>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One object a line; `keys` are spelled already.
fn push_json_row(out: &mut Vec<u8>, keys: &[String], cells: &[Cell<'_>]) {
    let mut before = b'{';
    for (key, cell) in keys.iter().zip(cells) {
        out.push(before);
        before = b',';
        out.extend_from_slice(key.as_bytes());
        out.push(b':');
        cell.push_json(out);
    }
    if cells.is_empty() {
        out.push(before);
    }
    out.extend_from_slice(b"}\n");
}

fn push_csv_cells(out: &mut Vec<u8>, cells: &[Cell<'_>]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match cell {
            Cell::Text(text) => write_cell(text, out),
            cell if cell.push_plain(out) => {}
            cell => write_cell(&cell.to_csv(), out),
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn push_csv_row<'n>(out: &mut Vec<u8>, fields: impl Iterator<Item = &'n str>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_cell(field, out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_where_it_must_be() {
        let mut out = Vec::new();
        let list = Cell::List(vec!["a".into(), "b,c".into()]);
        push_csv_cells(&mut out, &[Cell::Text("Xi\"an".into()), Cell::Null, Cell::Int(-3), list]);
        push_csv_row(&mut out, ["plain", "new\nline"].into_iter());
        assert_eq!(String::from_utf8(out).unwrap(), "\"Xi\"\"an\",,-3,\"a|b,c\"\r\nplain,\"new\nline\"\r\n");
    }

    #[test]
    fn the_client_chooses_a_format() {
        let check = |accept: &str, expected: Option<Format>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(Format::accepted(&headers).ok(), expected, "{accept}");
        };
        check("*/*", Some(Format::Ndjson));
        check("text/csv; q=0.9, application/json", Some(Format::Csv));
        check("application/vnd.roaring", Some(Format::Roaring));
        check("image/png", None);
        assert_eq!(Format::accepted(&HeaderMap::new()).ok(), Some(Format::Ndjson));
    }
}
