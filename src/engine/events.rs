//! Event lines: what people did, one line each, becomes a batch for the writer.
//! Knows the line's shape and the schema; who is meant, and which keys have been seen, is decided by the store.
//!
//! `{"id": {"member": "M001"}, "event": "purchase", "at": "2026-11-01T10:30:00+08:00", "category": "bakery", "key": "9981/1"}`

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use storage::batch::event_key;
use storage::schema::Event;
use storage::{
    EventColumn, EventId, IdColumn, PropertyColumn, PropertyId, PropertyValues, Schema, SetOp, TagType, UNSET, Upserts,
};

use super::upserts::{
    Batch, Building, Change, Fault, LineRejected, Pairs, Text, id_columns, misfit, read_ids, read_value,
};
use crate::import::moments::parse_instant;
use crate::import::texts::Texts;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1024;
/// Parts of a line that are not properties.
const PARTS: [&str; 4] = ["id", "event", "at", "key"];

/// Lines of events.
pub(super) struct EventLines<'s> {
    schema: &'s Schema,
    zone: TimeZone,
    names: HashMap<&'s str, EventId>,
    ids: Vec<IdColumn>,
    events: Vec<Option<EventBuilder>>,
    lines: Vec<u64>,
    refused: Vec<u32>,
    rejected: Vec<LineRejected>,
}

struct EventBuilder {
    rows: Vec<u32>,
    at: Vec<i64>,
    keys: Vec<Option<u128>>,
    properties: Vec<PropertyBuilder>,
}

enum PropertyBuilder {
    Texts { dictionary: Texts, codes: Vec<u32> },
    Numbers(Vec<Option<i64>>),
}

struct Row<'a> {
    ids: Vec<(storage::IdTypeId, std::borrow::Cow<'a, str>)>,
    event: EventId,
    at: i64,
    key: Option<u128>,
    properties: Vec<(PropertyId, Change<'a>)>,
}

impl<'s> EventLines<'s> {
    pub(super) fn new(schema: &'s Schema) -> EventLines<'s> {
        EventLines {
            schema,
            zone: TimeZone::get(&schema.time_zone).unwrap_or(TimeZone::UTC),
            names: schema.events.iter().zip(0..).map(|(event, at)| (event.name.as_str(), EventId(at))).collect(),
            ids: id_columns(schema),
            events: schema.events.iter().map(|_| None).collect(),
            lines: Vec::new(),
            refused: Vec::new(),
            rejected: Vec::new(),
        }
    }

    fn read<'a>(&self, line: &'a [u8]) -> Result<Row<'a>, Fault> {
        let text = std::str::from_utf8(line).map_err(|e| ("bad_utf8", e.to_string()))?;
        let Pairs(parts) = serde_json::from_str(text).map_err(|e| ("bad_json", e.to_string()))?;
        let part = |name: &str| parts.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
        let (event, declared) = self.event(part("event"))?;
        let mut row = Row {
            ids: read_ids(self.schema, part("id"), "id")?,
            event,
            at: self.moment(part("at"))?,
            key: part("key").map(key_of).transpose()?.flatten(),
            properties: Vec::with_capacity(declared.properties.len()),
        };
        for (name, raw) in parts.iter().filter(|(name, _)| !PARTS.contains(&name.as_ref())) {
            let Some((id, property)) = declared.property(name) else {
                let names = declared.properties.iter().map(|p| p.name.as_str()).chain(PARTS);
                let near =
                    queryparser::nearest(name, names).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                let message = format!("event `{}` has no property `{name}`{near}", declared.name);
                return Err(("unknown_property", message));
            };
            row.properties.push((id, read_value(name, property.tag_type, SetOp::Replace, raw)?));
        }
        Ok(row)
    }

    fn event(&self, raw: Option<&RawValue>) -> Result<(EventId, &'s Event), Fault> {
        let Some(raw) = raw else { return Err(("no_event", "a line names its event in `event`".into())) };
        let Ok(Text(name)) = serde_json::from_str::<Text<'_>>(raw.get()) else {
            return Err(misfit("event", "the name of an event", raw.get()));
        };
        match self.names.get(&*name) {
            Some(id) => Ok((*id, &self.schema.events[id.0 as usize])),
            None => {
                let near = queryparser::nearest(&name, self.schema.events.iter().map(|e| e.name.as_str()));
                let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                Err(("unknown_event", format!("there is no event `{name}`{near}")))
            }
        }
    }

    fn moment(&self, raw: Option<&RawValue>) -> Result<i64, Fault> {
        let Some(raw) = raw else { return Err(("no_time", "a line says when in `at`".into())) };
        let text = serde_json::from_str::<Text<'_>>(raw.get());
        let at = text.ok().and_then(|Text(text)| parse_instant(&text, &self.zone));
        at.filter(|at| storage::batch::MOMENTS.contains(at)).ok_or_else(|| {
            let (_, message) = misfit("at", "a time like \"2026-11-01T10:30:00+08:00\"", raw.get());
            ("bad_time", message)
        })
    }

    fn put(&mut self, row: u32, parsed: Row<'_>) {
        for (id_type, id) in parsed.ids {
            self.ids[id_type.0 as usize].bytes.extend_from_slice(id.as_bytes());
        }
        let declared = &self.schema.events[parsed.event.0 as usize];
        let builder = self.events[parsed.event.0 as usize].get_or_insert_with(|| EventBuilder::new(declared));
        builder.rows.push(row);
        builder.at.push(parsed.at);
        builder.keys.push(parsed.key);
        for (property, change) in parsed.properties {
            match (&mut builder.properties[property.0 as usize], change) {
                (PropertyBuilder::Texts { dictionary, codes }, Change::Text(text)) => {
                    codes.push(dictionary.code(&text));
                }
                (PropertyBuilder::Numbers(values), Change::Number(value)) => values.push(Some(value)),
                _ => {}
            }
        }
        let count = builder.rows.len();
        builder.properties.iter_mut().for_each(|property| property.fill(count));
    }
}

fn key_of(raw: &RawValue) -> Result<Option<u128>, Fault> {
    if raw.get() == "null" {
        return Ok(None);
    }
    match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(Text(text)) if (1..=KEY_BYTES_MAX).contains(&text.len()) => Ok(Some(event_key(text.as_bytes()))),
        Ok(_) => Err(("bad_key", format!("a key is 1 to {KEY_BYTES_MAX} bytes of text"))),
        // Whole numbers are keys as they are written.
        Err(_) if raw.get().bytes().all(|b| b.is_ascii_digit()) => Ok(Some(event_key(raw.get().as_bytes()))),
        Err(_) => Err(misfit("key", "a text", raw.get())),
    }
}

impl Building for EventLines<'_> {
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
        let columns = self.events.into_iter().zip(0..);
        let columns = columns.filter_map(|(builder, event)| Some(builder?.finish(EventId(event))));
        let upserts = Upserts {
            rows: self.lines.len() as u32,
            ids: self.ids,
            events: columns.collect(),
            refused: self.refused,
            ..Upserts::default()
        };
        Batch { upserts, lines: self.lines, rejected: self.rejected }
    }
}

impl EventBuilder {
    fn new(event: &Event) -> EventBuilder {
        let property = |tag_type| match tag_type {
            TagType::Category => PropertyBuilder::Texts { dictionary: Texts::default(), codes: Vec::new() },
            _ => PropertyBuilder::Numbers(Vec::new()),
        };
        EventBuilder {
            rows: Vec::new(),
            at: Vec::new(),
            keys: Vec::new(),
            properties: event.properties.iter().map(|p| property(p.tag_type)).collect(),
        }
    }

    fn finish(self, event: EventId) -> EventColumn {
        let has_keys = self.keys.iter().any(Option::is_some);
        let properties = self.properties.into_iter().zip(0..).map(|(property, id)| PropertyColumn {
            property: PropertyId(id),
            values: match property {
                PropertyBuilder::Texts { dictionary, codes } => {
                    PropertyValues::Texts { dictionary: dictionary.dictionary(), codes }
                }
                PropertyBuilder::Numbers(values) => PropertyValues::Numbers(values),
            },
        });
        EventColumn {
            event,
            rows: self.rows,
            at: self.at,
            keys: if has_keys { self.keys } else { Vec::new() },
            properties: properties.collect(),
        }
    }
}

impl PropertyBuilder {
    /// Unknown up to so many.
    fn fill(&mut self, count: usize) {
        match self {
            PropertyBuilder::Texts { codes, .. } => codes.resize(count, UNSET),
            PropertyBuilder::Numbers(values) => values.resize(count, None),
        }
    }
}
