//! Storage: bytes to bitmaps, columns and identities, and back; durable, mapped, never half.
//! Knows no query word, no HTTP and no async runtime.
//!
//! # Reading the source
//! - [`ids`]: the id space and its units; [`schema`]: names and types
//! - [`container`], [`bitmaps`], [`column`], [`pages`], [`lists`], [`keys`]: what a stripe keeps, mapped or owned
//! - [`segment`], [`events`]: the rows of events; [`zone`]: the days that they fall on
//! - [`values`], [`index`]: texts and identities to numbers
//! - [`field`], [`frozen`], [`view`]: what a question reads
//! - [`batch`] → `resolve`, `meant`, `prepare` → `changes` → `apply`: the way of a write; `joins`: who became one
//! - `log`, [`pack`], [`manifest`], `snapshot`: what is on disk
//! - [`stretch`], `kept`, `erased` → `purge`, [`policy`], [`states`]: earlier states, and what they cost
//! - [`store`], `keeper`: the order in which things become durable; [`bulk`], `lent`: loading without a log; [`follow`],
//!   [`datadir`], [`verify`]

#[cfg(target_endian = "big")]
compile_error!("the formats are mapped as they are and little-endian");

pub mod error;
pub mod ids;
pub mod schema;

pub mod bitmaps;
pub mod column;
pub mod container;
pub mod keys;
pub mod lists;
pub mod pages;
pub mod segment;

pub mod events;
pub mod field;
mod fold;
pub mod frozen;
pub mod index;
mod joins;
pub mod owners;
pub mod values;
pub mod view;
pub mod zone;

mod apply;
pub mod batch;
mod changes;
mod meant;
pub mod parallel;
pub mod portable;
mod prepare;
mod prepare_events;
mod prepare_joined;
mod resolve;
mod seen;
pub mod upload;

mod codec;
mod erased;
mod files;
mod kept;
mod log;
pub mod manifest;
mod mapping;
pub mod pack;
mod purge;
mod retire;
mod snapshot;
pub mod stretch;
mod words;

pub mod bulk;
pub mod datadir;
pub mod follow;
mod keeper;
mod lent;
pub mod policy;
pub mod states;
pub mod store;
pub mod verify;

pub use batch::{
    EventColumn, IdColumn, OnUnknown, Outcome, PropertyColumn, PropertyValues, Rejected, SetOp, TagChanges, TagColumn,
    UNSET, Upserts,
};
pub use bulk::BulkLoader;
pub use datadir::DataDir;
pub use error::{Error, Result};
pub use frozen::{Freezing, Frozen, FrozenInfo, FrozenSets};
pub use ids::{KNOWN, OneId, ValueId};
pub use kept::SnapshotInfo;
pub use policy::{Clock, DatedPolicy};
pub use schema::{EventId, IdTypeId, PropertyId, Schema, SchemaError, SchemaJson, Tag, TagId, TagType};
pub use states::{State, StateError, StateRef, StateWalk};
pub use store::{Options, Reply, Request, Store, ViewGuard};
pub use upload::{BitmapUpload, UploadMode};
pub use view::View;
