//! Frozen audiences: who the members of a saved audience were on a day.
//! Knows sets of OneIDs by audience and day; who was in the audience is decided above.
//!
//! ```text
//!   part = a portable Roaring bitmap        field FROZEN_FIELD, "stripe" the set's number; its manifest row has the rest
//! ```
//! A set is written once and never changed, but for a purge: people who were erased are in it until then, so whoever
//! reads one cuts it down to the living. They are of the present catalogue: earlier states hold none of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use roaring::RoaringBitmap;

use crate::error::{Error, Result};
use crate::ids::KNOWN;
use crate::pack::{Part, PartKind, PartName};
use crate::portable::{read_portable, write_portable};
use crate::upload::holders;
use crate::view::View;

/// The number that packs and manifests know frozen sets by, beside those of fields and events.
pub(crate) const FROZEN_FIELD: u32 = 1 << 19;

/// An audience and a day.
pub type FrozenKey = (Arc<str>, Date);

/// All frozen sets of a space, by audience and day.
pub type FrozenSets = BTreeMap<FrozenKey, Arc<Frozen>>;

/// What is known of a frozen set besides its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrozenInfo {
    /// Its number; no two sets of a moment have the same.
    pub number: u32,
    /// Members when they were frozen.
    pub count: u64,
    /// Version of the audience's definition.
    pub version: u64,
    /// Data version at which they were members.
    pub data_version: u64,
    /// When it was frozen: seconds since 1970-01-01T00:00:00Z.
    pub frozen_at: i64,
}

impl FrozenInfo {
    pub(crate) fn part_name(&self) -> PartName {
        PartName { field: FROZEN_FIELD, stripe: self.number, kind: PartKind::Frozen }
    }
}

/// A frozen set.
#[derive(Debug)]
pub struct Frozen {
    info: FrozenInfo,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    /// As a store snapshot has it.
    Mapped(Arc<Part>),
    /// On the heap.
    Owned(Arc<Vec<u8>>),
}

impl Frozen {
    pub(crate) fn owned(info: FrozenInfo, bytes: Arc<Vec<u8>>) -> Frozen {
        Frozen { info, bytes: Bytes::Owned(bytes) }
    }

    pub(crate) fn mapped(info: FrozenInfo, part: Arc<Part>) -> Frozen {
        Frozen { info, bytes: Bytes::Mapped(part) }
    }

    /// What is known of it besides its members.
    pub fn info(&self) -> &FrozenInfo {
        &self.info
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        match &self.bytes {
            Bytes::Mapped(part) => part.place().length,
            Bytes::Owned(bytes) => bytes.len() as u64,
        }
    }

    /// Its members, people who were erased since among them where no purge has run yet.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn members(&self) -> Result<RoaringBitmap> {
        let bytes = match &self.bytes {
            Bytes::Mapped(part) => {
                part.bytes_checked(|bytes| read_portable(bytes).map(drop).map_err(|e| e.to_string()))?
            }
            Bytes::Owned(bytes) => bytes,
        };
        read_portable(bytes).map_err(|bad| Error::Refused { code: "bad_bitmap", reason: bad.to_string() })
    }

    /// The part that it lies in, if it lies in one.
    pub(crate) fn part(&self) -> Option<&Arc<Part>> {
        match &self.bytes {
            Bytes::Mapped(part) => Some(part),
            Bytes::Owned(_) => None,
        }
    }

    /// Its bytes as a store snapshot is to write them; none where its part may stay. With the `living`, without those who
    /// are not among them.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(crate) fn encode(&self, living: Option<&RoaringBitmap>) -> Result<Option<Vec<u8>>> {
        if let Some(living) = living {
            let members = self.members()?;
            if !members.is_subset(living) {
                return Ok(Some(write_portable(&(members & living))));
            }
        }
        match &self.bytes {
            Bytes::Mapped(_) => Ok(None),
            Bytes::Owned(bytes) => Ok(Some(bytes.to_vec())),
        }
    }
}

/// Members to freeze, as they were found.
#[derive(Debug, Clone)]
pub struct Freezing {
    /// A portable Roaring bitmap of them.
    pub bytes: Vec<u8>,
    /// How many.
    pub count: u64,
    /// Version of the audience's definition.
    pub version: u64,
    /// Data version at which they were members.
    pub data_version: u64,
    /// How often somebody had been erased when they were cut down to the living: [`View::erasures`].
    pub erasures: u64,
}

/// Decides what is frozen, against the writer's view: nobody who was erased meanwhile is in it.
///
/// # Errors
/// [`Error::Refused`] for bytes that are no bitmap, [`Error::Corrupt`].
pub(crate) fn decide(view: &View, freezing: Freezing, frozen_at: i64) -> Result<(FrozenInfo, Arc<Vec<u8>>)> {
    let number = view.frozen.values().map(|frozen| frozen.info.number + 1).max().unwrap_or(0);
    let Freezing { mut bytes, count, version, data_version, erasures } = freezing;
    if erasures != view.erasures {
        let refused = |bad: crate::portable::BadBitmap| Error::Refused { code: "bad_bitmap", reason: bad.to_string() };
        bytes = write_portable(&(read_portable(&bytes).map_err(refused)? & living(view)?));
    }
    Ok((FrozenInfo { number, count, version, data_version, frozen_at }, Arc::new(bytes)))
}

/// Who lives.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn living(view: &View) -> Result<RoaringBitmap> {
    holders(view.live(), KNOWN.0)
}

impl View {
    /// The frozen sets, by audience and day.
    pub fn frozen(&self) -> &Arc<FrozenSets> {
        &self.frozen
    }

    /// How often somebody was erased since the space was opened.
    pub fn erasures(&self) -> u64 {
        self.erasures
    }

    /// Keeps a frozen set, or lets it go.
    pub(crate) fn set_frozen(&mut self, audience: &str, date: Date, frozen: Option<Frozen>) {
        let all = Arc::make_mut(&mut self.frozen);
        let key = (audience.into(), date);
        match frozen {
            Some(frozen) => _ = all.insert(key, Arc::new(frozen)),
            None => _ = all.remove(&key),
        }
    }

    /// Lets all frozen sets of an audience go.
    pub(crate) fn drop_frozen(&mut self, audience: &str) {
        if self.frozen.keys().any(|(name, _)| &**name == audience) {
            Arc::make_mut(&mut self.frozen).retain(|(name, _), _| &**name != audience);
        }
    }
}
