//! The schema of a space: which id types, tags and events there are, and of what type.
//! Knows names and types; knows nothing of values or bytes. Adding is free, changing a type is refused.
//!
//! ```text
//!   Schema ── time_zone · id_types[IdTypeId] · tags[TagId] (name, TagType) · events[EventId]
//! ```
//! Places in these lists are the numbers used everywhere else: nothing is ever removed or reordered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest name of a space, tag, id type, event or property, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Most digits after the point of a number tag.
pub const SCALE_MAX: u8 = 9;

/// Place of a tag in [`Schema::tags`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TagId(pub u32);

/// Place of an id type in [`Schema::id_types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdTypeId(pub u32);

/// Place of an event in [`Schema::events`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventId(pub u32);

/// Place of a property in [`Event::properties`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PropertyId(pub u32);

/// What a tag (or an event's property) holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TagType {
    /// True, false or unknown.
    Flag,
    /// One string or unknown.
    Category,
    /// Any number of strings; none is unknown.
    Set,
    /// A fixed-point number with `scale` digits after the point, kept as an `i64` of the smallest unit.
    Number {
        /// Digits after the point.
        scale: u8,
    },
    /// A calendar day, kept as days since 1970-01-01.
    Date,
}

impl TagType {
    /// The type's name as the schema spells it.
    pub fn name(self) -> &'static str {
        match self {
            TagType::Flag => "flag",
            TagType::Category => "category",
            TagType::Set => "set",
            TagType::Number { .. } => "number",
            TagType::Date => "date",
        }
    }
}

/// A named tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Its type.
    pub tag_type: TagType,
}

/// A kind of dated behaviour: what is known of each that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Properties, by [`PropertyId`]; none of them a set.
    pub properties: Vec<Tag>,
    /// How many days back from today events are kept; for ever unless said.
    pub retain_days: Option<u32>,
    /// Events before this day (since 1970-01-01) are gone; it only ever rises.
    pub kept_from: Option<i32>,
}

/// All that a space knows of the shape of its people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// IANA name of the zone whose calendar days count; `UTC` unless said.
    pub time_zone: String,
    /// Names of id types, by [`IdTypeId`].
    pub id_types: Vec<String>,
    /// Tags, by [`TagId`].
    pub tags: Vec<Tag>,
    /// Events, by [`EventId`].
    pub events: Vec<Event>,
}

impl Default for Schema {
    fn default() -> Self {
        Schema { time_zone: "UTC".into(), id_types: Vec::new(), tags: Vec::new(), events: Vec::new() }
    }
}

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SchemaError {
    #[error(
        "`{name}` is not a name: a name is a lower-case letter, then lower-case letters, digits and _, at most 64 in all"
    )]
    BadName { name: String },
    #[error("`{name}` is a word of the query language and cannot name a {what}")]
    ReservedName { name: String, what: &'static str },
    #[error("`{name}` would be both a {first} and a {second}")]
    NameTaken { name: String, first: &'static str, second: &'static str },
    #[error("tag `{name}` is a {stands} and cannot become a {asked}")]
    TypeChanged { name: String, stands: String, asked: String },
    #[error("`{zone}` is not a time zone of the IANA database")]
    UnknownZone { zone: String },
    #[error("the time zone is {stands} and cannot become {asked} once people are in the space")]
    ZoneChanged { stands: String, asked: String },
    #[error("a number's scale is 0 to 9, not {scale}")]
    BadScale { scale: u64 },
    #[error("only a number has a scale; `{name}` is a {asked}")]
    ScaleOfOther { name: String, asked: String },
    #[error("property `{name}` of event `{event}` cannot be a set: an event has one value of each")]
    SetProperty { event: String, name: String },
    #[error("`retain_days` of event `{event}` is 1 to {RETAIN_DAYS_MAX}, not {asked}")]
    BadRetention { event: String, asked: u64 },
    #[error("{what}: at most {max}")]
    TooMany { what: &'static str, max: usize },
}

/// A schema as written in JSON; every part may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaJson {
    /// IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// In the order that identities are shown.
    #[serde(default)]
    pub id_types: Vec<String>,
    /// By name. Order of first appearance gives the [`TagId`].
    #[serde(default)]
    pub tags: BTreeMap<String, TagJson>,
    /// By name. Order of first appearance gives the [`EventId`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, EventJson>,
}

/// An event as written in JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventJson {
    /// By name. Order of first appearance gives the [`PropertyId`].
    #[serde(default)]
    pub properties: BTreeMap<String, TagJson>,
    /// How many days back from today events are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_days: Option<u64>,
}

/// A tag's type as written in JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagJson {
    /// `flag`, `category`, `set`, `number` or `date`.
    #[serde(rename = "type")]
    pub tag_type: TypeName,
    /// Digits after the point, of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u64>,
}

/// The types' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum TypeName {
    Flag,
    Category,
    Set,
    Number,
    Date,
}

/// Words that the language needs for itself and so cannot be names of tags, id types, events and properties.
const RESERVED: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "current_date",
    "date",
    "desc",
    "distinct",
    "escape",
    "exists",
    "explain",
    "false",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "interval",
    "is",
    "like",
    "limit",
    "not",
    "null",
    "one_id",
    "or",
    "order",
    "profiles",
    "select",
    "timestamp",
    "true",
    "where",
];
/// What an event's condition and an event's line call something of their own.
const RESERVED_OF_EVENTS: &[&str] = &["at", "day", "event", "id", "key"];
/// Most tags of a space.
pub const TAGS_MAX: usize = 10_000;
/// Most events of a space.
pub const EVENTS_MAX: usize = 1_000;
/// Most properties of an event.
pub const PROPERTIES_MAX: usize = 200;
/// Longest retention: a thousand years are for ever.
pub const RETAIN_DAYS_MAX: u64 = 365_000;
/// Most id types of a space.
pub const ID_TYPES_MAX: usize = 64;

/// True for a lower-case letter followed by lower-case letters, digits and `_`, at most 64 bytes.
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= NAME_BYTES_MAX
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

impl Schema {
    /// The tag of that name.
    pub fn tag(&self, name: &str) -> Option<(TagId, &Tag)> {
        let at = self.tags.iter().position(|t| t.name == name)?;
        Some((TagId(at as u32), &self.tags[at]))
    }

    /// The id type of that name.
    pub fn id_type(&self, name: &str) -> Option<IdTypeId> {
        self.id_types.iter().position(|t| t == name).map(|at| IdTypeId(at as u32))
    }

    /// The event of that name.
    pub fn event(&self, name: &str) -> Option<(EventId, &Event)> {
        let at = self.events.iter().position(|e| e.name == name)?;
        Some((EventId(at as u32), &self.events[at]))
    }

    /// Type of a tag that exists.
    pub fn tag_type(&self, tag: TagId) -> TagType {
        self.tags[tag.0 as usize].tag_type
    }

    /// This schema with everything of `asked` added. `has_people` forbids another time zone.
    ///
    /// # Errors
    /// [`SchemaError`] where a name is bad or taken, or a type would change; nothing is added then.
    pub fn extended(&self, asked: &SchemaJson, has_people: bool) -> Result<Schema, SchemaError> {
        let mut next = self.clone();
        if let Some(zone) = &asked.time_zone {
            if jiff::tz::TimeZone::get(zone).is_err() {
                return Err(SchemaError::UnknownZone { zone: zone.clone() });
            }
            if *zone != next.time_zone && has_people {
                return Err(SchemaError::ZoneChanged { stands: next.time_zone, asked: zone.clone() });
            }
            next.time_zone.clone_from(zone);
        }
        for name in &asked.id_types {
            next.add_id_type(name)?;
        }
        for (name, tag) in &asked.tags {
            next.add_tag(name, tag.resolve(name)?)?;
        }
        for (name, event) in &asked.events {
            next.add_event(name, event)?;
        }
        Ok(next)
    }

    /// Adds an id type unless it is there.
    ///
    /// # Errors
    /// [`SchemaError`] where the name is bad, reserved or a tag's.
    pub fn add_id_type(&mut self, name: &str) -> Result<IdTypeId, SchemaError> {
        if let Some(id_type) = self.id_type(name) {
            return Ok(id_type);
        }
        check_name(name, "id type")?;
        if self.tag(name).is_some() {
            return Err(SchemaError::NameTaken { name: name.into(), first: "tag", second: "id type" });
        }
        if self.id_types.len() == ID_TYPES_MAX {
            return Err(SchemaError::TooMany { what: "id types of a space", max: ID_TYPES_MAX });
        }
        self.id_types.push(name.into());
        Ok(IdTypeId(self.id_types.len() as u32 - 1))
    }

    /// Adds a tag unless it is there with that type.
    ///
    /// # Errors
    /// [`SchemaError`] where the name is bad, reserved or an id type's, or the tag has another type.
    pub fn add_tag(&mut self, name: &str, tag_type: TagType) -> Result<TagId, SchemaError> {
        if let Some((id, tag)) = self.tag(name) {
            if tag.tag_type == tag_type {
                return Ok(id);
            }
            return Err(SchemaError::TypeChanged {
                name: name.into(),
                stands: describe(tag.tag_type),
                asked: describe(tag_type),
            });
        }
        check_name(name, "tag")?;
        if self.id_type(name).is_some() {
            return Err(SchemaError::NameTaken { name: name.into(), first: "id type", second: "tag" });
        }
        if self.tags.len() == TAGS_MAX {
            return Err(SchemaError::TooMany { what: "tags of a space", max: TAGS_MAX });
        }
        self.tags.push(Tag { name: name.into(), tag_type });
        Ok(TagId(self.tags.len() as u32 - 1))
    }

    /// Adds an event unless it is there, those of its properties that are not, and its retention if said.
    ///
    /// # Errors
    /// [`SchemaError`] where a name is bad or taken, or a property has another type.
    pub fn add_event(&mut self, name: &str, asked: &EventJson) -> Result<EventId, SchemaError> {
        let id = match self.event(name) {
            Some((id, _)) => id,
            None => {
                check_name(name, "event")?;
                if self.events.len() == EVENTS_MAX {
                    return Err(SchemaError::TooMany { what: "events of a space", max: EVENTS_MAX });
                }
                let event = Event { name: name.into(), properties: Vec::new(), retain_days: None, kept_from: None };
                self.events.push(event);
                EventId(self.events.len() as u32 - 1)
            }
        };
        let event = &mut self.events[id.0 as usize];
        for (property, declared) in &asked.properties {
            event.add_property(property, declared.resolve(property)?)?;
        }
        if let Some(days) = asked.retain_days {
            if days == 0 || days > RETAIN_DAYS_MAX {
                return Err(SchemaError::BadRetention { event: name.into(), asked: days });
            }
            event.retain_days = Some(days as u32);
        }
        Ok(id)
    }

    /// The schema as JSON shows it.
    pub fn to_json(&self) -> SchemaJson {
        SchemaJson {
            time_zone: Some(self.time_zone.clone()),
            id_types: self.id_types.clone(),
            tags: self.tags.iter().map(|t| (t.name.clone(), TagJson::from(t.tag_type))).collect(),
            events: self.events.iter().map(|e| (e.name.clone(), e.to_json())).collect(),
        }
    }
}

impl Event {
    /// The first day whose events are kept, where there is one; `today` is a day of the space's zone.
    pub fn first_kept(&self, today: i32) -> Option<i32> {
        let retained = self.retain_days.map(|days| today.saturating_sub(days as i32));
        retained.max(self.kept_from)
    }

    /// The property of that name.
    pub fn property(&self, name: &str) -> Option<(PropertyId, &Tag)> {
        let at = self.properties.iter().position(|p| p.name == name)?;
        Some((PropertyId(at as u32), &self.properties[at]))
    }

    /// Adds a property unless it is there with that type.
    ///
    /// # Errors
    /// [`SchemaError`] where the name is bad or the event's own, or the type is another, or a set.
    pub fn add_property(&mut self, name: &str, property_type: TagType) -> Result<PropertyId, SchemaError> {
        if let Some((id, property)) = self.property(name) {
            if property.tag_type == property_type {
                return Ok(id);
            }
            return Err(SchemaError::TypeChanged {
                name: format!("{}.{name}", self.name),
                stands: describe(property.tag_type),
                asked: describe(property_type),
            });
        }
        check_name(name, "property")?;
        if RESERVED_OF_EVENTS.contains(&name) {
            return Err(SchemaError::ReservedName { name: name.into(), what: "property" });
        }
        if property_type == TagType::Set {
            return Err(SchemaError::SetProperty { event: self.name.clone(), name: name.into() });
        }
        if self.properties.len() == PROPERTIES_MAX {
            return Err(SchemaError::TooMany { what: "properties of an event", max: PROPERTIES_MAX });
        }
        self.properties.push(Tag { name: name.into(), tag_type: property_type });
        Ok(PropertyId(self.properties.len() as u32 - 1))
    }

    fn to_json(&self) -> EventJson {
        EventJson {
            properties: self.properties.iter().map(|p| (p.name.clone(), TagJson::from(p.tag_type))).collect(),
            retain_days: self.retain_days.map(u64::from),
        }
    }
}

fn check_name(name: &str, what: &'static str) -> Result<(), SchemaError> {
    if !is_name(name) {
        return Err(SchemaError::BadName { name: name.into() });
    }
    if RESERVED.contains(&name) {
        return Err(SchemaError::ReservedName { name: name.into(), what });
    }
    Ok(())
}

fn describe(tag_type: TagType) -> String {
    match tag_type {
        TagType::Number { scale } => format!("number of scale {scale}"),
        other => other.name().into(),
    }
}

impl TagJson {
    /// The type that is meant.
    ///
    /// # Errors
    /// [`SchemaError`] where a scale is out of range or on another type than number.
    pub fn resolve(&self, name: &str) -> Result<TagType, SchemaError> {
        let plain = match self.tag_type {
            TypeName::Number => {
                let scale = self.scale.unwrap_or(0);
                if scale > SCALE_MAX.into() {
                    return Err(SchemaError::BadScale { scale });
                }
                return Ok(TagType::Number { scale: scale as u8 });
            }
            TypeName::Flag => TagType::Flag,
            TypeName::Category => TagType::Category,
            TypeName::Set => TagType::Set,
            TypeName::Date => TagType::Date,
        };
        match self.scale {
            None => Ok(plain),
            Some(_) => Err(SchemaError::ScaleOfOther { name: name.into(), asked: plain.name().into() }),
        }
    }
}

impl From<TagType> for TagJson {
    fn from(tag_type: TagType) -> Self {
        let (tag_type, scale) = match tag_type {
            TagType::Flag => (TypeName::Flag, None),
            TagType::Category => (TypeName::Category, None),
            TagType::Set => (TypeName::Set, None),
            TagType::Number { scale: 0 } => (TypeName::Number, None),
            TagType::Number { scale } => (TypeName::Number, Some(scale.into())),
            TagType::Date => (TypeName::Date, None),
        };
        TagJson { tag_type, scale }
    }
}
