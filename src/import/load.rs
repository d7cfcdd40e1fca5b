//! Loading: frames become batches of upserts, and go to a store or a server.
//! Knows the schema and frames; where batches go is the [`Target`]'s matter.
//!
//! ```text
//!   reader thread: file → frames ──channel──► this thread: frame → Upserts → Target
//! ```
//! Every row counts or is reported with its file and line: accepted + rejected = rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam::channel::bounded;
use storage::batch::{MOMENTS, event_key};
use storage::{
    BulkLoader, EventColumn, EventId, IdColumn, Outcome, PropertyColumn, PropertyId, PropertyValues, Rejected, Schema,
    SetOp, TagChanges, TagColumn, UNSET, Upserts,
};

use super::frame::{Column, Frame, UNKNOWN_CODE};
use super::infer::About;
use super::read::{self, Expect, FrameReader, ReadError, open};

/// Frames that are read ahead.
const FRAMES_AHEAD: usize = 4;

/// Where batches go.
pub trait Target {
    /// Takes a frame's rows.
    ///
    /// # Errors
    /// What ends the load.
    fn add(&mut self, frame: &Frame, about: About) -> Result<Outcome, LoadError>;
}

/// Why a load ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read any further.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store refuses.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The server refuses, or cannot be reached.
    #[error("{0}")]
    Server(String),
}

/// A row that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its file.
    pub file: PathBuf,
    /// Its line, or row of a Parquet file, from 1.
    pub line: u64,
    /// Stable code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What a load came to.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Rows that count.
    pub accepted: u64,
    /// Profiles that are new.
    pub created: u64,
    /// Profiles that were joined to another one and are no more.
    pub joined: u64,
    /// Events among the accepted whose key had been seen before.
    pub duplicates: u64,
    /// Rows that do not.
    pub rejected: u64,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub struct Content {
    /// People, or what they did.
    pub about: About,
    /// The event of every row, where the file has no column `event`.
    pub event: Option<String>,
}

/// A store that nobody else has open.
pub struct StoreTarget<'a>(pub &'a mut BulkLoader);

impl Target for StoreTarget<'_> {
    fn add(&mut self, frame: &Frame, about: About) -> Result<Outcome, LoadError> {
        let schema = self.0.view().schema();
        match about {
            About::Profiles => Ok(self.0.add(upserts(frame, schema)?)?),
            About::Events => {
                let (batch, refused) = event_rows(frame, schema)?;
                let mut outcome = self.0.add(batch)?;
                outcome.rejected.extend(refused);
                outcome.rejected.sort_by_key(|rejected| rejected.row);
                Ok(outcome)
            }
        }
    }
}

/// Loads a file, telling `progress` the bytes read so far of how many and the rows, and `bad` every row that does not
/// count. A file of events has each row's event in the column `event`, unless all are of one.
///
/// # Errors
/// What ends the load; rows before it may have been taken.
pub fn load_file(
    path: &Path,
    expect: &Expect,
    content: &Content,
    target: &mut dyn Target,
    progress: &mut dyn FnMut(u64, u64, u64),
    bad: &mut dyn FnMut(BadLine),
) -> Result<Loaded, LoadError> {
    let mut reader = open(path, expect)?;
    let mut loaded = Loaded::default();
    let (sender, receiver) = bounded::<Step>(FRAMES_AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || read_all(&mut *reader, &sender));
        for step in receiver {
            for read::Rejected { line, code, message } in step.rejected {
                loaded.rejected += 1;
                bad(BadLine { file: path.into(), line, code: code.into(), message });
            }
            if let Some(mut frame) = step.frame? {
                if let Some(event) = &content.event {
                    let column =
                        Column::Text { dictionary: Arc::new(vec![event.as_str().into()]), codes: vec![0; frame.rows] };
                    frame.columns.push(("event".into(), column));
                }
                let outcome = target.add(&frame, content.about)?;
                loaded.accepted += u64::from(outcome.accepted);
                loaded.created += u64::from(outcome.created);
                loaded.joined += u64::from(outcome.joined);
                loaded.duplicates += u64::from(outcome.duplicates);
                for rejected in outcome.rejected {
                    loaded.rejected += 1;
                    let line = frame.line(rejected.row as usize);
                    bad(BadLine { file: path.into(), line, code: rejected.code.into(), message: rejected.message });
                }
            }
            progress(step.bytes.0, step.bytes.1, loaded.accepted + loaded.rejected);
        }
        Ok(loaded)
    })
}

/// What the reader has got to.
struct Step {
    frame: Result<Option<Frame>, ReadError>,
    rejected: Vec<read::Rejected>,
    bytes: (u64, u64),
}

fn read_all(reader: &mut dyn FrameReader, sender: &crossbeam::channel::Sender<Step>) {
    loop {
        let frame = reader.next_frame();
        let is_last = !matches!(frame, Ok(Some(_)));
        let step = Step { frame, rejected: reader.take_rejected(), bytes: (reader.bytes_read(), reader.bytes_total()) };
        if sender.send(step).is_err() || is_last {
            return;
        }
    }
}

/// The upserts that a frame's rows are: known cells are set, unknown ones leave what is there.
///
/// # Errors
/// [`storage::Error::Refused`] for a column whose kind does not fit its tag.
pub fn upserts(frame: &Frame, schema: &Schema) -> Result<Upserts, storage::Error> {
    let mut batch = Upserts { rows: frame.rows as u32, ..Upserts::default() };
    for (name, column) in &frame.columns {
        if let Some(id_type) = schema.id_type(name) {
            let (offsets, bytes) = keys(column).ok_or_else(|| misfit(name))?;
            batch.ids.push(IdColumn { id_type, offsets, bytes });
        } else if let Some((tag, _)) = schema.tag(name) {
            batch.tags.push(TagColumn { tag, changes: changes(column).ok_or_else(|| misfit(name))? });
        }
    }
    Ok(batch)
}

/// The events that a frame's rows are, and the rows that are none.
///
/// # Errors
/// [`storage::Error::Refused`] for a column whose kind does not fit the schema, or where there is no event or time.
pub fn event_rows(frame: &Frame, schema: &Schema) -> Result<(Upserts, Vec<Rejected>), storage::Error> {
    let mut batch = Upserts { rows: frame.rows as u32, ..Upserts::default() };
    for (name, column) in &frame.columns {
        if let Some(id_type) = schema.id_type(name) {
            let (offsets, bytes) = keys(column).ok_or_else(|| misfit(name))?;
            batch.ids.push(IdColumn { id_type, offsets, bytes });
        }
    }
    let Some(Column::Text { dictionary, codes }) = frame.column("event") else { return Err(misfit("event")) };
    let Some(Column::Instant(at)) = frame.column("at") else { return Err(misfit("at")) };
    let known: Vec<Option<EventId>> = dictionary.iter().map(|name| schema.event(name).map(|(id, _)| id)).collect();
    let mut by_event: Vec<Vec<u32>> = vec![Vec::new(); schema.events.len()];
    let mut refused = Vec::new();
    for (row, (code, at)) in (0u32..).zip(codes.iter().zip(at)) {
        let fault = match (known.get(*code as usize), at) {
            (None, _) => ("no_event", "a row names its event".to_string()),
            (Some(None), _) => ("unknown_event", format!("there is no event `{}`", dictionary[*code as usize])),
            (_, None) => ("no_time", "a row says when".to_string()),
            (_, Some(at)) if !MOMENTS.contains(at) => ("bad_time", "a time lies in the years 1 to 9999".to_string()),
            (Some(Some(event)), Some(_)) => {
                by_event[event.0 as usize].push(row);
                continue;
            }
        };
        batch.refused.push(row);
        refused.push(Rejected { row, code: fault.0, message: fault.1 });
    }
    for (rows, event) in by_event.into_iter().zip(0..).filter(|(rows, _)| !rows.is_empty()) {
        let times = rows.iter().map(|row| at[*row as usize].unwrap_or(0)).collect();
        let keys = frame.column("key").map_or(Some(Vec::new()), |column| event_keys(column, &rows));
        let mut properties = Vec::new();
        for (property, id) in schema.events[event as usize].properties.iter().zip(0..) {
            let Some(column) = frame.column(&property.name) else { continue };
            let values = property_values(column, &rows).ok_or_else(|| misfit(&property.name))?;
            properties.push(PropertyColumn { property: PropertyId(id), values });
        }
        let keys = keys.ok_or_else(|| misfit("key"))?;
        batch.events.push(EventColumn { event: EventId(event), rows, at: times, keys, properties });
    }
    Ok((batch, refused))
}

fn event_keys(column: &Column, rows: &[u32]) -> Option<Vec<Option<u128>>> {
    let key = |bytes: &[u8]| (!bytes.is_empty()).then(|| event_key(bytes));
    Some(match column {
        Column::Plain { offsets, bytes } => {
            let of_row = |row: usize| &bytes[offsets[row] as usize..offsets[row + 1] as usize];
            rows.iter().map(|row| key(of_row(*row as usize))).collect()
        }
        Column::Text { dictionary, codes } => {
            let text =
                |row: &u32| dictionary.get(codes[*row as usize] as usize).map_or(&[][..], |text| text.as_bytes());
            rows.iter().map(|row| key(text(row))).collect()
        }
        _ => return None,
    })
}

fn property_values(column: &Column, rows: &[u32]) -> Option<PropertyValues> {
    let pick = |value: &dyn Fn(usize) -> Option<i64>| {
        PropertyValues::Numbers(rows.iter().map(|row| value(*row as usize)).collect())
    };
    Some(match column {
        Column::Text { dictionary, codes } => PropertyValues::Texts {
            dictionary: dictionary.clone(),
            codes: rows.iter().map(|row| codes[*row as usize]).collect(),
        },
        Column::Flag(values) => pick(&|row| values[row].map(i64::from)),
        Column::Number { values, .. } => pick(&|row| values[row]),
        Column::Date(values) => pick(&|row| values[row].map(i64::from)),
        _ => return None,
    })
}

fn misfit(name: &str) -> storage::Error {
    storage::Error::Refused { code: "bad_batch", reason: format!("column `{name}` does not fit the schema") }
}

fn keys(column: &Column) -> Option<(Vec<u32>, Vec<u8>)> {
    match column {
        Column::Plain { offsets, bytes } => Some((offsets.clone(), bytes.clone())),
        Column::Text { dictionary, codes } => {
            let (mut offsets, mut bytes) = (vec![0], Vec::new());
            for code in codes {
                if *code != UNKNOWN_CODE {
                    bytes.extend_from_slice(dictionary[*code as usize].as_bytes());
                }
                offsets.push(bytes.len() as u32);
            }
            Some((offsets, bytes))
        }
        _ => None,
    }
}

fn changes(column: &Column) -> Option<TagChanges> {
    // A known code is never UNSET: dictionaries are far smaller.
    const _: () = assert!(UNSET == UNKNOWN_CODE);
    Some(match column {
        Column::Text { dictionary, codes } => {
            let known = (0u32..).zip(codes).filter(|(_, code)| **code != UNKNOWN_CODE);
            TagChanges::Texts {
                dictionary: dictionary.clone(),
                changes: known.map(|(row, code)| (row, *code)).collect(),
            }
        }
        Column::Plain { offsets, bytes } => {
            let mut dictionary: Vec<Box<str>> = Vec::new();
            let mut changes = Vec::new();
            for (row, pair) in (0u32..).zip(offsets.windows(2)).filter(|(_, pair)| pair[0] < pair[1]) {
                changes.push((row, dictionary.len() as u32));
                dictionary.push(String::from_utf8_lossy(&bytes[pair[0] as usize..pair[1] as usize]).into());
            }
            TagChanges::Texts { dictionary: Arc::new(dictionary), changes }
        }
        Column::Flag(values) => {
            TagChanges::Numbers(known(values).map(|(row, value)| (row, Some(i64::from(value)))).collect())
        }
        Column::Number { values, .. } => TagChanges::Numbers(known(values).map(|(row, v)| (row, Some(v))).collect()),
        Column::Date(values) => {
            TagChanges::Numbers(known(values).map(|(row, day)| (row, Some(i64::from(day)))).collect())
        }
        Column::Set { dictionary, offsets, codes } => {
            let (mut changes, mut taken) = (Vec::new(), Vec::with_capacity(codes.len()));
            for (row, pair) in (0u32..).zip(offsets.windows(2)).filter(|(_, pair)| pair[0] < pair[1]) {
                taken.extend_from_slice(&codes[pair[0] as usize..pair[1] as usize]);
                changes.push((row, SetOp::Replace, taken.len() as u32));
            }
            TagChanges::Sets { dictionary: dictionary.clone(), changes, codes: taken }
        }
        Column::Instant(_) => return None,
    })
}

fn known<T: Copy>(values: &[Option<T>]) -> impl Iterator<Item = (u32, T)> {
    (0u32..).zip(values).filter_map(|(row, value)| value.map(|v| (row, v)))
}
