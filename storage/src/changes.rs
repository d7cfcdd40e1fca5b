//! Decided changes: what a batch came to, in OneIDs and value numbers; the payload of a log record.
//! Knows numbers and bytes. It says what was decided, never what was asked: replay does not decide again.
//!
//! ```text
//!   record  = 1:u8 schema:json                                            the schema from here on
//!           | 2:u8 next_one_id created* identities* values* tags*         upserts
//!           | 5:u8 the same, and events*                                  upserts with events
//!           | 3:u8 one_id*                                                erased profiles
//!           | 4:u8 (owner value*)*                                        values that nobody has any more; an owner
//!                                                                         is a tag, or from 2^20 on 2^8 an event + property
//!           | 6:u8 name definition?                                       an audience as saved; none: it is gone
//!           | 7:u8 name date frozen?                                      a frozen audience; none: it is gone
//!           | 8:u8 (retired survivor)* the same as 5                      upserts that join profiles: what the survivors
//!                                                                         come to, events that were the others' included
//!   counts are varints, OneIDs ascending within a list are deltas as zigzag varints
//! ```

use std::sync::Arc;

use jiff::civil::Date;

use crate::batch::SetOp;
use crate::codec::{Reader, put_bytes, put_signed, put_u32, put_u64, put_varint};
use crate::column::UNKNOWN_VALUE;
use crate::frozen::FrozenInfo;
use crate::schema::{EventId, IdTypeId, PROPERTIES_MAX, PropertyId, TAGS_MAX, TagId};

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// The schema as stored, whole.
    Schema(String),
    /// Upserts.
    Changes(Changes),
    /// Profiles erased.
    Erase(Vec<u32>),
    /// Values that nobody has any more, by tag: their texts go, their numbers stay taken.
    Retire(Vec<(Dictionary, Vec<u32>)>),
    /// A saved audience as its keeper spells it; none: it is gone.
    Audience { name: String, definition: Option<String> },
    /// Members of an audience on a day; none: they are gone.
    Frozen { audience: String, date: Date, frozen: Option<(FrozenInfo, Arc<Vec<u8>>)> },
}

/// Whose values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dictionary {
    /// A tag's.
    Tag(TagId),
    /// A property's.
    Property(EventId, PropertyId),
}

impl Dictionary {
    const PROPERTIES_FROM: u32 = 1 << 20;

    pub(crate) fn number(self) -> u32 {
        match self {
            Dictionary::Tag(tag) => tag.0,
            Dictionary::Property(event, property) => Dictionary::PROPERTIES_FROM + (event.0 << 8 | property.0),
        }
    }

    fn from_number(number: u32) -> Dictionary {
        match number.checked_sub(Dictionary::PROPERTIES_FROM) {
            None => Dictionary::Tag(TagId(number)),
            Some(number) => Dictionary::Property(EventId(number >> 8), PropertyId(number & 0xFF)),
        }
    }
}

const _: () = assert!(TAGS_MAX < Dictionary::PROPERTIES_FROM as usize && PROPERTIES_MAX <= 1 << 8);

/// Upserts, decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The next OneID to give out, afterwards.
    pub(crate) next_one_id: u32,
    /// New profiles, ascending.
    pub(crate) created: Vec<u32>,
    /// Profiles that are retired, and to whom they were joined; one may be joined to that is retired by a later one.
    pub(crate) joins: Vec<Join>,
    /// New identities; of a survivor also those that the others had.
    pub(crate) identities: Identities,
    /// New values of a tag: the first's number, and their texts in order.
    pub(crate) values: Vec<(TagId, u32, Vec<Box<str>>)>,
    /// Changes by tag; sorted by OneID, those of one profile in turn.
    pub(crate) tags: Vec<(TagId, FieldChanges)>,
    /// New events by kind.
    pub(crate) events: Vec<(EventId, EventChanges)>,
}

/// Two profiles that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    /// The higher OneID: it lives no more, and nobody is given it again.
    pub(crate) retired: u32,
    /// The lower one, which has everything from then on.
    pub(crate) survivor: u32,
}

/// New events of one kind, by profile and time, equal ones in order of acceptance; all lists are as long as `one_ids`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventChanges {
    /// New values of a property: the first's number, and their texts in order.
    pub(crate) values: Vec<(PropertyId, u32, Vec<Box<str>>)>,
    pub(crate) one_ids: Vec<u32>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) at: Vec<i64>,
    /// Days since 1970-01-01 in the space's zone, as it was known then.
    pub(crate) days: Vec<i32>,
    /// Empty where none has one.
    pub(crate) keys: Vec<RowKey>,
    /// [`UNKNOWN_VALUE`] where it is unknown.
    pub(crate) properties: Vec<(PropertyId, Vec<i64>)>,
}

/// What is kept of a key: where the index has it, and what its row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EventKey {
    pub(crate) hash: u32,
    /// 62 bits.
    pub(crate) fingerprint: i64,
}

impl EventKey {
    pub(crate) fn of(key: u128) -> EventKey {
        EventKey { hash: key as u32, fingerprint: (key >> 66) as i64 }
    }
}

/// The key of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKey {
    /// It has none.
    None,
    /// One that nobody had.
    New(EventKey),
    /// The fingerprint of one that a retired profile's event has had: the index knows it under that one.
    Moved(i64),
}

impl RowKey {
    /// What its row keeps of it.
    pub(crate) fn fingerprint(self) -> Option<i64> {
        match self {
            RowKey::None => None,
            RowKey::New(key) => Some(key.fingerprint),
            RowKey::Moved(fingerprint) => Some(fingerprint),
        }
    }
}

/// Identities in order of acceptance; their keys lie one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identities {
    /// Id type, OneID, and where the key ends.
    entries: Vec<(IdTypeId, u32, u32)>,
    bytes: Vec<u8>,
}

impl Identities {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds one.
    pub(crate) fn push(&mut self, id_type: IdTypeId, one_id: u32, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.entries.push((id_type, one_id, self.bytes.len() as u32));
    }

    /// One of them: id type, OneID and key.
    pub(crate) fn get(&self, at: usize) -> (IdTypeId, u32, &[u8]) {
        let (id_type, one_id, end) = self.entries[at];
        let start = if at == 0 { 0 } else { self.entries[at - 1].2 };
        (id_type, one_id, &self.bytes[start as usize..end as usize])
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IdTypeId, u32, &[u8])> {
        (0..self.len()).map(|at| self.get(at))
    }
}

/// Changes of one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldChanges {
    /// Value number, number, day, or flag as 0 and 1; `None` unsets.
    Codes(Vec<(u32, Option<i64>)>),
    /// OneID, operation, and where its values end in `codes`; each change's values ascending.
    Sets { changes: Vec<(u32, SetOp, u32)>, codes: Vec<u32> },
}

const DAY_SECONDS: i64 = 86_400;

const SCHEMA: u8 = 1;
const CHANGES: u8 = 2;
const ERASE: u8 = 3;
const RETIRE: u8 = 4;
const CHANGES_WITH_EVENTS: u8 = 5;
const AUDIENCE: u8 = 6;
/// Stretches do without these: earlier states hold no frozen audience.
pub(crate) const FROZEN: u8 = 7;
const CHANGES_WITH_JOINS: u8 = 8;

impl Record {
    /// Its payload in the log.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Record::Schema(json) => {
                out.push(SCHEMA);
                put_bytes(&mut out, json.as_bytes());
            }
            Record::Changes(changes) => {
                match (changes.joins.is_empty(), changes.events.is_empty()) {
                    (true, true) => out.push(CHANGES),
                    (true, false) => out.push(CHANGES_WITH_EVENTS),
                    (false, _) => {
                        out.push(CHANGES_WITH_JOINS);
                        put_joins(&mut out, &changes.joins);
                    }
                }
                changes.encode(&mut out);
                if !(changes.joins.is_empty() && changes.events.is_empty()) {
                    changes.encode_events(&mut out);
                }
            }
            Record::Audience { name, definition } => {
                out.push(AUDIENCE);
                put_bytes(&mut out, name.as_bytes());
                out.push(definition.is_some().into());
                definition.iter().for_each(|definition| put_bytes(&mut out, definition.as_bytes()));
            }
            Record::Frozen { audience, date, frozen } => {
                out.push(FROZEN);
                put_bytes(&mut out, audience.as_bytes());
                put_bytes(&mut out, date.to_string().as_bytes());
                out.push(frozen.is_some().into());
                frozen.iter().for_each(|(info, bytes)| put_frozen(&mut out, info, bytes));
            }
            Record::Erase(one_ids) => {
                out.push(ERASE);
                put_ids(&mut out, one_ids);
            }
            Record::Retire(values) => {
                out.push(RETIRE);
                put_varint(&mut out, values.len() as u64);
                for (owner, values) in values {
                    put_varint(&mut out, owner.number().into());
                    put_ids(&mut out, values);
                }
            }
        }
        out
    }

    /// Reads a payload; `None` where it makes no sense.
    pub(crate) fn decode(payload: &[u8]) -> Option<Record> {
        let mut reader = Reader::new(payload);
        let record = match reader.u8()? {
            SCHEMA => Record::Schema(reader.text()?.to_string()),
            CHANGES => Record::Changes(Changes::decode(&mut reader)?),
            CHANGES_WITH_EVENTS => Record::Changes(Changes::decode_with_events(&mut reader)?),
            CHANGES_WITH_JOINS => {
                let joins = read_joins(&mut reader)?;
                Record::Changes(Changes { joins, ..Changes::decode_with_events(&mut reader)? })
            }
            ERASE => Record::Erase(read_ids(&mut reader)?),
            AUDIENCE => {
                let name = reader.text()?.to_string();
                let definition = match reader.u8()? {
                    0 => None,
                    _ => Some(reader.text()?.to_string()),
                };
                Record::Audience { name, definition }
            }
            FROZEN => {
                let (audience, date) = (reader.text()?.to_string(), reader.text()?.parse().ok()?);
                let frozen = match reader.u8()? {
                    0 => None,
                    _ => Some(read_frozen(&mut reader)?),
                };
                Record::Frozen { audience, date, frozen }
            }
            RETIRE => {
                let count = reader.count(2)?;
                let tags =
                    (0..count).map(|_| Some((Dictionary::from_number(reader.varint_u32()?), read_ids(&mut reader)?)));
                Record::Retire(tags.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        (reader.remaining() == 0).then_some(record)
    }
}

fn put_frozen(out: &mut Vec<u8>, info: &FrozenInfo, bytes: &[u8]) {
    put_varint(out, info.number.into());
    [info.count, info.version, info.data_version].into_iter().for_each(|number| put_varint(out, number));
    put_signed(out, info.frozen_at);
    put_bytes(out, bytes);
}

fn read_frozen(reader: &mut Reader<'_>) -> Option<(FrozenInfo, Arc<Vec<u8>>)> {
    let number = reader.varint_u32()?;
    let (count, version, data_version) = (reader.varint()?, reader.varint()?, reader.varint()?);
    let info = FrozenInfo { number, count, version, data_version, frozen_at: reader.signed()? };
    Some((info, Arc::new(reader.bytes()?.to_vec())))
}

impl Changes {
    /// Whether nothing is changed.
    pub(crate) fn is_empty(&self) -> bool {
        let nobody = self.created.is_empty() && self.joins.is_empty() && self.identities.len() == 0;
        nobody && self.values.is_empty() && self.tags.is_empty() && self.events.is_empty()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.next_one_id.into());
        put_ids(out, &self.created);
        put_varint(out, self.identities.len() as u64);
        let mut before = 0;
        for (id_type, one_id, key) in self.identities.iter() {
            put_varint(out, id_type.0.into());
            put_delta(out, &mut before, one_id);
            put_bytes(out, key);
        }
        put_varint(out, self.values.len() as u64);
        for (tag, first, texts) in &self.values {
            put_varint(out, tag.0.into());
            put_texts(out, *first, texts);
        }
        put_varint(out, self.tags.len() as u64);
        for (tag, changes) in &self.tags {
            put_varint(out, tag.0.into());
            changes.encode(out);
        }
    }

    fn encode_events(&self, out: &mut Vec<u8>) {
        put_varint(out, self.events.len() as u64);
        for (event, changes) in &self.events {
            put_varint(out, event.0.into());
            changes.encode(out);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Changes> {
        let mut changes =
            Changes { next_one_id: reader.varint_u32()?, created: read_ids(reader)?, ..Changes::default() };
        let mut before = 0;
        for _ in 0..reader.count(3)? {
            let id_type = IdTypeId(reader.varint_u32()?);
            let one_id = read_delta(reader, &mut before)?;
            changes.identities.push(id_type, one_id, reader.bytes()?);
        }
        for _ in 0..reader.count(3)? {
            let tag = TagId(reader.varint_u32()?);
            let (first, texts) = read_texts(reader)?;
            changes.values.push((tag, first, texts));
        }
        for _ in 0..reader.count(2)? {
            let tag = TagId(reader.varint_u32()?);
            changes.tags.push((tag, FieldChanges::decode(reader)?));
        }
        Some(changes)
    }

    fn decode_with_events(reader: &mut Reader<'_>) -> Option<Changes> {
        let mut changes = Changes::decode(reader)?;
        for _ in 0..reader.count(2)? {
            changes.events.push((EventId(reader.varint_u32()?), EventChanges::decode(reader)?));
        }
        Some(changes)
    }
}

impl EventChanges {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.one_ids.is_empty()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.values.len() as u64);
        for (property, first, texts) in &self.values {
            put_varint(out, property.0.into());
            put_texts(out, *first, texts);
        }
        put_ids(out, &self.one_ids);
        let mut before = 0;
        for (at, day) in self.at.iter().zip(&self.days) {
            put_signed(out, at - before);
            put_signed(out, i64::from(*day) - at.div_euclid(DAY_SECONDS));
            before = *at;
        }
        out.push(u8::from(!self.keys.is_empty()));
        self.keys.iter().for_each(|key| put_key(out, *key));
        put_varint(out, self.properties.len() as u64);
        for (property, values) in &self.properties {
            put_varint(out, property.0.into());
            values.iter().for_each(|value| put_known(out, Some(*value).filter(|value| *value != UNKNOWN_VALUE)));
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<EventChanges> {
        let mut changes = EventChanges::default();
        for _ in 0..reader.count(3)? {
            let property = PropertyId(reader.varint_u32()?);
            let (first, texts) = read_texts(reader)?;
            changes.values.push((property, first, texts));
        }
        changes.one_ids = read_ids(reader)?;
        let mut before = 0i64;
        for _ in 0..changes.one_ids.len() {
            let at = before.checked_add(reader.signed()?).filter(|at| at.unsigned_abs() < 1 << 38)?;
            let day = at.div_euclid(DAY_SECONDS).checked_add(reader.signed()?)?;
            changes.at.push(at);
            changes.days.push(i32::try_from(day).ok()?);
            before = at;
        }
        if reader.u8()? != 0 {
            for _ in 0..changes.one_ids.len() {
                changes.keys.push(read_key(reader)?);
            }
        }
        for _ in 0..reader.count(1)? {
            let property = PropertyId(reader.varint_u32()?);
            let values = (0..changes.one_ids.len()).map(|_| Some(read_known(reader)?.unwrap_or(UNKNOWN_VALUE)));
            changes.properties.push((property, values.collect::<Option<_>>()?));
        }
        Some(changes)
    }
}

impl FieldChanges {
    /// Whether nothing is changed.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            FieldChanges::Codes(changes) => changes.is_empty(),
            FieldChanges::Sets { changes, .. } => changes.is_empty(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut before = 0;
        match self {
            FieldChanges::Codes(changes) => {
                out.push(0);
                put_varint(out, changes.len() as u64);
                for (one_id, value) in changes {
                    put_delta(out, &mut before, *one_id);
                    put_known(out, *value);
                }
            }
            FieldChanges::Sets { changes, codes } => {
                out.push(1);
                put_varint(out, changes.len() as u64);
                let mut start = 0;
                for (one_id, op, end) in changes {
                    put_delta(out, &mut before, *one_id);
                    put_varint(out, u64::from(end - start) << 2 | *op as u64);
                    codes[start as usize..*end as usize].iter().for_each(|code| put_varint(out, (*code).into()));
                    start = *end;
                }
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<FieldChanges> {
        let kind = reader.u8()?;
        let count = reader.count(2)?;
        let mut before = 0;
        if kind == 0 {
            let mut changes = Vec::with_capacity(count);
            for _ in 0..count {
                let one_id = read_delta(reader, &mut before)?;
                changes.push((one_id, read_known(reader)?));
            }
            return Some(FieldChanges::Codes(changes));
        }
        let (mut changes, mut codes) = (Vec::with_capacity(count), Vec::new());
        for _ in 0..count {
            let one_id = read_delta(reader, &mut before)?;
            let head = reader.varint()?;
            let op = match head & 3 {
                0 => SetOp::Replace,
                1 => SetOp::Add,
                2 => SetOp::Remove,
                _ => return None,
            };
            if head >> 2 > reader.remaining() as u64 {
                return None;
            }
            for _ in 0..head >> 2 {
                codes.push(reader.varint_u32()?);
            }
            changes.push((one_id, op, codes.len() as u32));
        }
        (kind == 1).then_some(FieldChanges::Sets { changes, codes })
    }
}

/// A value or none. Numbers stay within ±2^62, so one more still fits.
fn put_known(out: &mut Vec<u8>, value: Option<i64>) {
    put_signed(out, value.map_or(0, |v| if v >= 0 { v + 1 } else { v }));
}

fn read_known(reader: &mut Reader<'_>) -> Option<Option<i64>> {
    Some(match reader.signed()? {
        0 => None,
        v if v > 0 => Some(v - 1),
        v => Some(v),
    })
}

fn put_key(out: &mut Vec<u8>, key: RowKey) {
    match key {
        RowKey::None => out.push(0),
        RowKey::New(EventKey { hash, fingerprint }) => {
            out.push(1);
            put_u32(out, hash);
            put_u64(out, fingerprint as u64);
        }
        RowKey::Moved(fingerprint) => {
            out.push(2);
            put_u64(out, fingerprint as u64);
        }
    }
}

fn read_key(reader: &mut Reader<'_>) -> Option<RowKey> {
    let fingerprint = |reader: &mut Reader<'_>| i64::try_from(reader.u64()?).ok();
    Some(match reader.u8()? {
        0 => RowKey::None,
        1 => {
            let hash = reader.u32()?;
            RowKey::New(EventKey { hash, fingerprint: fingerprint(reader)? })
        }
        2 => RowKey::Moved(fingerprint(reader)?),
        _ => return None,
    })
}

fn put_joins(out: &mut Vec<u8>, joins: &[Join]) {
    put_varint(out, joins.len() as u64);
    for join in joins {
        put_varint(out, join.retired.into());
        put_varint(out, join.survivor.into());
    }
}

fn read_joins(reader: &mut Reader<'_>) -> Option<Vec<Join>> {
    let count = reader.count(2)?;
    let join = |_| {
        let join = Join { retired: reader.varint_u32()?, survivor: reader.varint_u32()? };
        (join.survivor < join.retired).then_some(join)
    };
    (0..count).map(join).collect()
}

fn put_texts(out: &mut Vec<u8>, first: u32, texts: &[Box<str>]) {
    put_varint(out, first.into());
    put_varint(out, texts.len() as u64);
    texts.iter().for_each(|text| put_bytes(out, text.as_bytes()));
}

fn read_texts(reader: &mut Reader<'_>) -> Option<(u32, Vec<Box<str>>)> {
    let first = reader.varint_u32()?;
    let count = reader.count(1)?;
    let texts = (0..count).map(|_| reader.text().map(Into::into)).collect::<Option<Vec<_>>>()?;
    Some((first, texts))
}

fn put_delta(out: &mut Vec<u8>, before: &mut u32, one_id: u32) {
    put_signed(out, i64::from(one_id) - i64::from(*before));
    *before = one_id;
}

fn read_delta(reader: &mut Reader<'_>, before: &mut u32) -> Option<u32> {
    let one_id = i64::from(*before).checked_add(reader.signed()?)?;
    *before = u32::try_from(one_id).ok()?;
    Some(*before)
}

fn put_ids(out: &mut Vec<u8>, one_ids: &[u32]) {
    put_varint(out, one_ids.len() as u64);
    let mut before = 0;
    one_ids.iter().for_each(|one_id| put_delta(out, &mut before, *one_id));
}

fn read_ids(reader: &mut Reader<'_>) -> Option<Vec<u32>> {
    let count = reader.count(1)?;
    let mut before = 0;
    (0..count).map(|_| read_delta(reader, &mut before)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::NUMBER_MAX;
    use proptest::prelude::*;

    fn field_changes() -> impl Strategy<Value = FieldChanges> {
        let number = proptest::option::of(-NUMBER_MAX..=NUMBER_MAX);
        let codes = proptest::collection::vec((any::<u32>(), number), 0..20).prop_map(FieldChanges::Codes);
        let op = prop_oneof![Just(SetOp::Replace), Just(SetOp::Add), Just(SetOp::Remove)];
        let sets = proptest::collection::vec((any::<u32>(), op, proptest::collection::vec(any::<u32>(), 0..5)), 0..20);
        prop_oneof![
            codes,
            sets.prop_map(|list| {
                let mut codes = Vec::new();
                let changes = list.into_iter().map(|(one_id, op, new)| {
                    codes.extend(new);
                    (one_id, op, codes.len() as u32)
                });
                FieldChanges::Sets { changes: changes.collect(), codes }
            })
        ]
    }

    fn event_changes() -> impl Strategy<Value = EventChanges> {
        let new = any::<u128>().prop_map(|key| RowKey::New(EventKey::of(key)));
        let key = prop_oneof![Just(RowKey::None), new, (0..i64::MAX).prop_map(RowKey::Moved)];
        let value = prop_oneof![Just(UNKNOWN_VALUE), -NUMBER_MAX..=NUMBER_MAX];
        let row = (any::<u32>(), -(1i64 << 38) + 1..1i64 << 38, -1i32..=1, key, value);
        proptest::collection::vec(row, 1..9).prop_map(|rows| EventChanges {
            values: vec![(PropertyId(1), 4, vec!["x".into()])],
            one_ids: rows.iter().map(|row| row.0).collect(),
            at: rows.iter().map(|row| row.1).collect(),
            days: rows.iter().map(|row| row.1.div_euclid(DAY_SECONDS) as i32 + row.2).collect(),
            keys: rows.iter().map(|row| row.3).collect(),
            properties: vec![(PropertyId(1), rows.iter().map(|row| row.4).collect())],
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            next_one_id in any::<u32>(),
            created in proptest::collection::vec(any::<u32>(), 0..9),
            keys in proptest::collection::vec((0u32..3, any::<u32>(), "[a-z]{1,9}"), 0..9),
            tags in proptest::collection::vec((0u32..9, field_changes()), 0..4),
            events in proptest::collection::vec((0u32..3, event_changes()), 0..3),
            joins in proptest::collection::vec((0..u32::MAX, any::<u32>()), 0..3),
        ) {
            let mut identities = Identities::default();
            keys.iter().for_each(|(id_type, one_id, key)| identities.push(IdTypeId(*id_type), *one_id, key.as_bytes()));
            let changes = Changes {
                next_one_id,
                created,
                joins: joins.iter().map(|(one, more)| (*one, one.saturating_add(*more).max(one + 1))).map(|(survivor, retired)| Join { retired, survivor }).collect(),
                identities,
                values: vec![(TagId(3), 7, vec!["a".into(), "".into()])],
                tags: tags.into_iter().map(|(t, c)| (TagId(t), c)).collect(),
                events: events.into_iter().map(|(e, c)| (EventId(e), c)).collect(),
            };
            let record = Record::Changes(changes);
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn any_payload_is_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = Record::decode(&bytes);
        }
    }
}
