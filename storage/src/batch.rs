//! What callers hand to the writer: upserts as columns, and what became of each row.
//! Knows names already turned into ids by the caller's schema; values are still texts, identities still keys.
//!
//! ```text
//!   Upserts ── rows · ids[IdColumn: a key a row] · tags[TagColumn: (row, change)*]     rows count from 0
//!                                                · events[EventColumn: (row, second, properties)*]
//! ```
//! Within a column, changes stand in row order; several to one row and tag are taken in turn.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::schema::{EventId, IdTypeId, PropertyId, TagId};

/// A batch of upserts: atomic in the log, and visible all at once.
#[derive(Debug, Clone, Default)]
pub struct Upserts {
    /// Number of rows.
    pub rows: u32,
    /// Identities, any number of columns an id type; a row that names several profiles joins them.
    pub ids: Vec<IdColumn>,
    /// Changes, any number of columns a tag, in turn.
    pub tags: Vec<TagColumn>,
    /// Events, any number of columns an event.
    pub events: Vec<EventColumn>,
    /// What an unknown identity means.
    pub unknown: OnUnknown,
    /// Refuse all if one row is bad.
    pub atomic: bool,
    /// Rows that the caller has refused already, ascending; they are left out here.
    pub refused: Vec<u32>,
}

/// What happens to a row whose identities nobody has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// A profile is created.
    #[default]
    Create,
    /// The row is rejected.
    Reject,
}

/// One identity a row; an empty key is none.
#[derive(Debug, Clone)]
pub struct IdColumn {
    /// Of which type.
    pub id_type: IdTypeId,
    /// Row `r` is `bytes[offsets[r]..offsets[r + 1]]`.
    pub offsets: Vec<u32>,
    /// UTF-8.
    pub bytes: Vec<u8>,
}

/// Changes of one tag.
#[derive(Debug, Clone)]
pub struct TagColumn {
    /// Which tag.
    pub tag: TagId,
    /// By row.
    pub changes: TagChanges,
}

/// The code that unsets a category.
pub const UNSET: u32 = u32::MAX;

/// Changes of one tag, by row, in the form that its type takes.
#[derive(Debug, Clone)]
pub enum TagChanges {
    /// A category: places in a dictionary, or [`UNSET`].
    Texts {
        /// Texts; not all need be used.
        dictionary: Arc<Vec<Box<str>>>,
        /// Row and code.
        changes: Vec<(u32, u32)>,
    },
    /// A number in units of its scale, a day, or a flag as 0 and 1; `None` unsets.
    Numbers(Vec<(u32, Option<i64>)>),
    /// A set.
    Sets {
        /// Texts; not all need be used.
        dictionary: Arc<Vec<Box<str>>>,
        /// Row, operation, and where its codes end in `codes`.
        changes: Vec<(u32, SetOp, u32)>,
        /// Places in the dictionary.
        codes: Vec<u32>,
    },
}

/// Events of one kind, each in a row of the batch; all lists are as long as `rows`.
#[derive(Debug, Clone)]
pub struct EventColumn {
    /// Which event.
    pub event: EventId,
    /// Row of the batch that each stands in, ascending; the row says whose it is.
    pub rows: Vec<u32>,
    /// When: seconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
    pub at: Vec<i64>,
    /// The key that lets it count once, as [`event_key`] makes it; the list is empty where none has one.
    pub keys: Vec<Option<u128>>,
    /// Properties, at most one column each.
    pub properties: Vec<PropertyColumn>,
}

/// A property of each event of a column.
#[derive(Debug, Clone)]
pub struct PropertyColumn {
    /// Which property.
    pub property: PropertyId,
    /// As many as there are events.
    pub values: PropertyValues,
}

/// Values of a property.
#[derive(Debug, Clone)]
pub enum PropertyValues {
    /// A category: places in a dictionary, [`UNSET`] where it is unknown.
    Texts {
        /// Texts; not all need be used.
        dictionary: Arc<Vec<Box<str>>>,
        /// One an event.
        codes: Vec<u32>,
    },
    /// A number in units of its scale, a day, or a flag as 0 and 1.
    Numbers(Vec<Option<i64>>),
}

/// Moments that events can have, in seconds since 1970-01-01T00:00:00Z: the years 1 to 9999, whatever the offset.
pub const MOMENTS: std::ops::RangeInclusive<i64> = -62_135_683_200..=253_402_293_600;

/// What is kept of an event's key: enough that two keys never look the same.
pub fn event_key(key: &[u8]) -> u128 {
    xxh3_128(key)
}

impl PropertyValues {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            PropertyValues::Texts { codes, .. } => codes.len(),
            PropertyValues::Numbers(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What happens to a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SetOp {
    /// It becomes these values; none of them unsets it.
    Replace = 0,
    /// These values are added.
    Add = 1,
    /// These values are removed.
    Remove = 2,
}

impl IdColumn {
    /// The key of a row.
    pub fn key(&self, row: u32) -> &[u8] {
        let row = row as usize;
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that were applied.
    pub accepted: u32,
    /// Profiles that are new.
    pub created: u32,
    /// Profiles that were joined to another one and are no more.
    pub joined: u32,
    /// Events among the accepted whose key had been seen before: they change nothing.
    pub duplicates: u32,
    /// Rows that were not, with the reason, ascending.
    pub rejected: Vec<Rejected>,
    /// Data version that holds the batch.
    pub data_version: u64,
}

/// A row that was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Which row.
    pub row: u32,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
}
