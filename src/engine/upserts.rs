//! Upsert lines: the JSON of the API becomes a batch for the writer.
//! Knows the line's shape and the schema; who is meant is decided by the store.
//!
//! A line is checked whole before anything of it counts. What is wrong with one is told with its number; the others
//! go on, unless the batch is atomic.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use storage::column::NUMBER_MAX;
use storage::{
    IdColumn, IdTypeId, OnUnknown, Outcome, Request, Schema, SetOp, TagChanges, TagColumn, TagId, TagType, UNSET,
    Upserts,
};

use super::events::EventLines;
use super::{Error, Result, Space};
use crate::import::numbers::{NumberMisfit, parse_decimal};
use crate::import::texts::Texts;
use crate::query::bind::day_number;

/// Bounds on a batch.
#[derive(Debug, Clone)]
pub struct UpsertLimits {
    /// Most lines.
    pub lines_max: usize,
    /// Longest body, in bytes, after inflating.
    pub body_bytes_max: usize,
}

impl Default for UpsertLimits {
    fn default() -> Self {
        UpsertLimits { lines_max: 500_000, body_bytes_max: 256 << 20 }
    }
}

/// How a batch is taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpsertOptions {
    /// Refuse all if one line is bad.
    pub atomic: bool,
    /// What an unknown identity means.
    pub unknown: OnUnknown,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UpsertAnswer {
    /// Lines that count.
    pub accepted: u32,
    /// Profiles that are new.
    pub created: u32,
    /// Profiles that were joined to another one and are no more.
    pub joined: u32,
    /// Events among the accepted whose key had been seen before: they change nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub duplicates: u32,
    /// Lines that do not, ascending.
    pub rejected: Vec<LineRejected>,
    /// Data version that holds the batch.
    pub data_version: u64,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A line that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineRejected {
    /// Which, from 1.
    pub line: u64,
    /// Stable code.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// A parsed batch, and what is needed to speak of its lines.
pub(crate) struct Batch {
    pub(crate) upserts: Upserts,
    pub(super) lines: Vec<u64>,
    pub(super) rejected: Vec<LineRejected>,
}

/// What reads lines into a batch.
pub(super) trait Building {
    /// Adds a line under its number.
    fn add(&mut self, line: &[u8], number: u64);
    /// Lines so far.
    fn len(&self) -> usize;
    /// The batch.
    fn finish(self) -> Batch;
}

impl Batch {
    /// The answer that an outcome makes.
    pub(crate) fn answer(self, outcome: Outcome) -> UpsertAnswer {
        let mut rejected = self.rejected;
        rejected.extend(outcome.rejected.into_iter().map(|r| LineRejected {
            line: self.lines[r.row as usize],
            code: r.code,
            message: r.message,
        }));
        rejected.sort_by_key(|r| r.line);
        UpsertAnswer {
            accepted: outcome.accepted,
            created: outcome.created,
            joined: outcome.joined,
            duplicates: outcome.duplicates,
            rejected,
            data_version: outcome.data_version,
        }
    }
}

impl Space {
    /// Takes a batch of NDJSON upserts, and calls `done` once it is durable and visible.
    ///
    /// # Errors
    /// A body that is not lines at all, or too many of them; what is wrong with single lines is in the answer.
    pub fn upsert_lines(
        &self,
        body: &[u8],
        options: UpsertOptions,
        done: impl FnOnce(Result<UpsertAnswer>) + Send + 'static,
    ) -> Result<()> {
        self.upsert(ProfileLines::new(self.store.view().schema()), lines_of(body), options, done)
    }

    /// Takes a batch of NDJSON events, and calls `done` once it is durable and visible.
    ///
    /// # Errors
    /// As [`Space::upsert_lines`].
    pub fn event_lines(
        &self,
        body: &[u8],
        options: UpsertOptions,
        done: impl FnOnce(Result<UpsertAnswer>) + Send + 'static,
    ) -> Result<()> {
        self.upsert(EventLines::new(self.store.view().schema()), lines_of(body), options, done)
    }

    /// Takes a batch in the form `{"profiles": […]}`; the places in the list count as lines.
    ///
    /// # Errors
    /// As [`Space::upsert_lines`].
    pub fn upsert_json(
        &self,
        body: &[u8],
        options: UpsertOptions,
        done: impl FnOnce(Result<UpsertAnswer>) + Send + 'static,
    ) -> Result<()> {
        let bad = |e: String| Error::Request {
            code: "bad_json",
            message: format!("expected {{\"profiles\": […]}} or NDJSON: {e}"),
            hint: None,
        };
        let Pairs(pairs) = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
        let [(key, list)] = &pairs[..] else { return Err(bad(format!("{} keys in place of one", pairs.len()))) };
        if key != "profiles" {
            return Err(bad(format!("an unknown key `{key}`")));
        }
        let mut reader = serde_json::Deserializer::from_str(list.get());
        let profiles = FirstOf(self.shared.upserts.lines_max + 1).deserialize(&mut reader);
        let profiles = profiles.map_err(|e| bad(e.to_string()))?;
        let lines = profiles.iter().map(|raw| raw.get().as_bytes()).zip(1u64..);
        self.upsert(ProfileLines::new(self.store.view().schema()), lines, options, done)
    }

    pub(super) fn upsert<'b>(
        &self,
        building: impl Building,
        lines: impl Iterator<Item = (&'b [u8], u64)>,
        options: UpsertOptions,
        done: impl FnOnce(Result<UpsertAnswer>) + Send + 'static,
    ) -> Result<()> {
        let mut batch = parse_lines(building, lines, &self.shared.upserts)?;
        batch.upserts.atomic = options.atomic;
        batch.upserts.unknown = options.unknown;
        let upserts = std::mem::take(&mut batch.upserts);
        let reply =
            move |outcome: storage::Result<Outcome>| done(outcome.map(|o| batch.answer(o)).map_err(Error::from));
        self.store.write(Request::Upserts(upserts), Box::new(reply));
        Ok(())
    }
}

/// Parses lines into a batch.
fn parse_lines<'b>(
    mut building: impl Building,
    lines: impl Iterator<Item = (&'b [u8], u64)>,
    limits: &UpsertLimits,
) -> Result<Batch> {
    for (line, number) in lines {
        if building.len() == limits.lines_max {
            return Err(Error::Request {
                code: "too_many_lines",
                message: format!("a batch has at most {} lines", limits.lines_max),
                hint: Some("send it in several batches".into()),
            });
        }
        building.add(line, number);
    }
    Ok(building.finish())
}

/// The lines of a body that hold anything, with their numbers.
pub(super) fn lines_of(body: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    body.split(|b| *b == b'\n').zip(1u64..).filter(|(line, _)| !line.trim_ascii().is_empty())
}

/// What is wrong with a line: code and message.
pub(super) type Fault = (&'static str, String);

/// The members of a JSON object in their order, values not yet read.
pub(crate) struct Pairs<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    if pairs.iter().any(|(k, _)| *k == key) {
                        return Err(serde::de::Error::custom(format_args!("`{key}` stands there twice")));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// The first so many items of a list; the others are read over, so that they take no memory.
struct FirstOf(usize);

impl<'de> DeserializeSeed<'de> for FirstOf {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FirstOf {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.0
            && let Some(item) = list.next_element()?
        {
            items.push(item);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

/// A text that is borrowed wherever it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

pub(super) enum Change<'a> {
    Unset,
    Text(Cow<'a, str>),
    Number(i64),
    Set(SetOp, Vec<Cow<'a, str>>),
}

struct Row<'a> {
    ids: Vec<(IdTypeId, Cow<'a, str>)>,
    changes: Vec<(TagId, Change<'a>)>,
}

/// Lines of profiles.
struct ProfileLines<'s> {
    schema: &'s Schema,
    names: HashMap<&'s str, TagId>,
    ids: Vec<IdColumn>,
    tags: Vec<Option<TagBuilder>>,
    lines: Vec<u64>,
    refused: Vec<u32>,
    rejected: Vec<LineRejected>,
}

struct TagBuilder {
    dictionary: Texts,
    texts: Vec<(u32, u32)>,
    numbers: Vec<(u32, Option<i64>)>,
    sets: Vec<(u32, SetOp, u32)>,
    set_codes: Vec<u32>,
}

impl<'s> ProfileLines<'s> {
    fn new(schema: &'s Schema) -> ProfileLines<'s> {
        ProfileLines {
            schema,
            names: schema.tags.iter().zip(0..).map(|(tag, at)| (tag.name.as_str(), TagId(at))).collect(),
            ids: id_columns(schema),
            tags: schema.tags.iter().map(|_| None).collect(),
            lines: Vec::new(),
            refused: Vec::new(),
            rejected: Vec::new(),
        }
    }

    fn read<'a>(&self, line: &'a [u8]) -> Result<Row<'a>, Fault> {
        let text = std::str::from_utf8(line).map_err(|e| ("bad_utf8", e.to_string()))?;
        let Pairs(parts) = serde_json::from_str(text).map_err(|e| ("bad_json", e.to_string()))?;
        let part = |name: &str| parts.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
        const PARTS: [&str; 5] = ["id", "set", "add", "remove", "unset"];
        if let Some((key, _)) = parts.iter().find(|(key, _)| !PARTS.contains(&key.as_ref())) {
            let near = queryparser::nearest(key, PARTS).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            return Err(("unknown_key", format!("a line has id, set, add, remove and unset, no `{key}`{near}")));
        }
        let mut row = Row { ids: read_ids(self.schema, part("id"), "id")?, changes: Vec::new() };
        if let Some(raw) = part("unset") {
            let names: Vec<Text<'a>> = read(raw, "`unset` is a list of tags")?;
            for Text(name) in names {
                row.changes.push((self.tag(&name)?.0, Change::Unset));
            }
        }
        for (part_name, op) in [("set", SetOp::Replace), ("remove", SetOp::Remove), ("add", SetOp::Add)] {
            let Some(raw) = part(part_name) else { continue };
            let Pairs(pairs) = read(raw, "expected an object of tags")?;
            for (name, value) in pairs {
                let (tag, tag_type) = self.tag(&name)?;
                if op != SetOp::Replace && tag_type != TagType::Set {
                    let message = format!("`{part_name}` is for sets; `{name}` is a {}", tag_type.name());
                    return Err(("wrong_type", message));
                }
                row.changes.push((tag, read_value(&name, tag_type, op, value)?));
            }
        }
        Ok(row)
    }

    fn tag(&self, name: &str) -> Result<(TagId, TagType), Fault> {
        if let Some(tag) = self.names.get(name) {
            return Ok((*tag, self.schema.tag_type(*tag)));
        }
        let near = queryparser::nearest(name, self.schema.tags.iter().map(|t| t.name.as_str()));
        let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        Err(("unknown_tag", format!("there is no tag `{name}`{near}")))
    }

    fn put(&mut self, row: u32, parsed: Row<'_>) {
        for (id_type, id) in parsed.ids {
            self.ids[id_type.0 as usize].bytes.extend_from_slice(id.as_bytes());
        }
        for (tag, change) in parsed.changes {
            let tag_type = self.schema.tag_type(tag);
            let builder = self.tags[tag.0 as usize].get_or_insert_with(TagBuilder::new);
            match change {
                Change::Unset => match tag_type {
                    TagType::Category => builder.texts.push((row, UNSET)),
                    TagType::Set => builder.sets.push((row, SetOp::Replace, builder.set_codes.len() as u32)),
                    _ => builder.numbers.push((row, None)),
                },
                Change::Text(text) => {
                    let code = builder.dictionary.code(&text);
                    builder.texts.push((row, code));
                }
                Change::Number(value) => builder.numbers.push((row, Some(value))),
                Change::Set(op, texts) => {
                    for text in texts {
                        let code = builder.dictionary.code(&text);
                        builder.set_codes.push(code);
                    }
                    builder.sets.push((row, op, builder.set_codes.len() as u32));
                }
            }
        }
    }
}

impl Building for ProfileLines<'_> {
    fn add(&mut self, line: &[u8], number: u64) {
        let row = self.lines.len() as u32;
        self.lines.push(number);
        match self.read(line) {
            Ok(parsed) => self.put(row, parsed),
            Err((code, message)) => {
                self.refused.push(row);
                self.rejected.push(LineRejected { line: number, code, message });
            }
        }
        for column in &mut self.ids {
            column.offsets.push(column.bytes.len() as u32);
        }
    }

    fn len(&self) -> usize {
        self.lines.len()
    }

    fn finish(self) -> Batch {
        let tags = self.tags.into_iter().zip(0..).filter_map(|(builder, tag)| {
            Some(TagColumn { tag: TagId(tag), changes: builder?.finish(self.schema.tag_type(TagId(tag))) })
        });
        let upserts = Upserts {
            rows: self.lines.len() as u32,
            ids: self.ids,
            tags: tags.collect(),
            refused: self.refused,
            ..Upserts::default()
        };
        Batch { upserts, lines: self.lines, rejected: self.rejected }
    }
}

impl TagBuilder {
    fn new() -> TagBuilder {
        TagBuilder {
            dictionary: Texts::default(),
            texts: Vec::new(),
            numbers: Vec::new(),
            sets: Vec::new(),
            set_codes: Vec::new(),
        }
    }

    fn finish(self, tag_type: TagType) -> TagChanges {
        let dictionary = self.dictionary.dictionary();
        match tag_type {
            TagType::Category => TagChanges::Texts { dictionary, changes: self.texts },
            TagType::Set => TagChanges::Sets { dictionary, changes: self.sets, codes: self.set_codes },
            _ => TagChanges::Numbers(self.numbers),
        }
    }
}

/// An empty column of each id type.
pub(super) fn id_columns(schema: &Schema) -> Vec<IdColumn> {
    let column = |id_type| IdColumn { id_type: IdTypeId(id_type), offsets: vec![0], bytes: Vec::new() };
    (0..schema.id_types.len() as u32).map(column).collect()
}

/// The identities that a line names in one of its parts.
pub(super) fn read_ids<'a>(
    schema: &Schema,
    raw: Option<&'a RawValue>,
    part: &str,
) -> Result<Vec<(IdTypeId, Cow<'a, str>)>, Fault> {
    let Some(raw) = raw else {
        return Err(("no_identity", format!("a line names at least one identity in `{part}`")));
    };
    let Pairs(pairs) = read(raw, &format!("`{part}` is an object of identities"))?;
    let mut ids = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let Some(id_type) = schema.id_type(&name) else {
            let near = queryparser::nearest(&name, schema.id_types.iter().map(String::as_str));
            let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            return Err(("unknown_id_type", format!("there is no id type `{name}`{near}")));
        };
        let id = match serde_json::from_str::<Text<'a>>(value.get()) {
            Ok(Text(text)) if !text.is_empty() => text,
            // Whole numbers are identities as they are written.
            Err(_) if value.get().bytes().all(|b| b.is_ascii_digit()) => Cow::Borrowed(value.get()),
            _ => return Err(("bad_identity", format!("`{name}` is a text that is not empty"))),
        };
        ids.push((id_type, id));
    }
    Ok(ids)
}

/// A value of a tag or property.
pub(super) fn read_value<'a>(name: &str, tag_type: TagType, op: SetOp, raw: &'a RawValue) -> Result<Change<'a>, Fault> {
    if raw.get() == "null" && op == SetOp::Replace {
        return Ok(Change::Unset);
    }
    match tag_type {
        TagType::Flag => match raw.get() {
            "true" => Ok(Change::Number(1)),
            "false" => Ok(Change::Number(0)),
            other => Err(misfit(name, "true or false", other)),
        },
        TagType::Category => match serde_json::from_str::<Text<'a>>(raw.get()) {
            Ok(Text(text)) => Ok(Change::Text(checked(name, text)?)),
            Err(_) => Err(misfit(name, "a text", raw.get())),
        },
        TagType::Set => match serde_json::from_str::<Vec<Text<'a>>>(raw.get()) {
            Ok(texts) => {
                let texts = texts.into_iter().map(|Text(text)| checked(name, text)).collect::<Result<Vec<_>, _>>()?;
                Ok(Change::Set(op, texts))
            }
            Err(_) => Err(misfit(name, "a list of texts", raw.get())),
        },
        TagType::Number { scale } => match parse_decimal(raw.get().as_bytes(), scale) {
            Ok(value) if (-NUMBER_MAX..=NUMBER_MAX).contains(&value) => Ok(Change::Number(value)),
            Ok(_) => Err(("bad_number", format!("`{name}` is beyond ±2^62 of its smallest unit"))),
            Err(NumberMisfit::NotNumber) => Err(misfit(name, "a number", raw.get())),
            Err(NumberMisfit::TooPrecise) => {
                let message = format!("`{name}` has {scale} digits after the point; {} has more", raw.get());
                Err(("bad_number", message))
            }
            Err(NumberMisfit::TooLarge) => {
                Err(("bad_number", format!("`{name}` is beyond ±2^62 of its smallest unit")))
            }
        },
        TagType::Date => match serde_json::from_str::<Text<'a>>(raw.get()) {
            Ok(Text(text)) => match queryparser::parse_date(&text) {
                Ok(date) => Ok(Change::Number(day_number(date))),
                Err(reason) => Err(("bad_date", format!("`{name}`: {reason}"))),
            },
            Err(_) => Err(misfit(name, "a date like \"2026-11-01\"", raw.get())),
        },
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue, expected: &str) -> Result<T, Fault> {
    serde_json::from_str(raw.get()).map_err(|e| ("bad_json", format!("{expected}: {e}")))
}

fn checked<'a>(name: &str, text: Cow<'a, str>) -> Result<Cow<'a, str>, Fault> {
    let max = storage::values::VALUE_BYTES_MAX;
    if text.len() > max {
        return Err(("value_too_long", format!("a value of `{name}` is at most {max} bytes")));
    }
    Ok(text)
}

pub(super) fn misfit(name: &str, expected: &str, found: &str) -> Fault {
    let shown: String = found.chars().take(40).collect();
    ("wrong_type", format!("`{name}` is {expected}, not {shown}"))
}
