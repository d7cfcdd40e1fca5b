//! Kept states: a manifest's parts and the log that came after them, without writing any part anew.
//! Knows on which kept state a new one can lie; opening one is `states`' matter, rewriting them `purge`'s.
//!
//! ```text
//!   parts of B ──stretch──► state 1 ──stretch──► state 2 ──stretch──► …      stretches are shared, as the parts are
//! ```
//! A state lies on the last kept one as long as all stretches together are short against the parts; else on the current
//! store snapshot; and where the log since that is long, a store snapshot is taken first. Before the log is cut behind
//! a new store snapshot, what the next state will need of it is kept as the tail: a state that nobody asked for. So
//! purges and long logs, which bring new store snapshots every day, do not make each day's state cost all the parts.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;

use crate::changes::FROZEN;
use crate::error::{Error, Result};
use crate::log;
use crate::manifest::{KEPT_DIR, Manifest};
use crate::pack::PartKind;
use crate::store::LOG_DIR;
use crate::stretch::Stretch;

/// Stretches may take so many bytes whatever the parts take.
const STRETCH_BYTES_FREE: u64 = 64 << 10;
/// Beyond that, one byte for so many of the parts: what opening a state reads again is bounded by it.
const PART_BYTES_A_STRETCH_BYTE: u64 = 8;
/// Most stretches of a state.
const STRETCHES_MAX: usize = 1024;

/// What a kept state is kept as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    /// Under a name, until it is deleted.
    Name(String),
    /// As the state at the end of a day, for as long as the policy has it.
    Date(Date),
    /// For the next ones to go on from.
    Tail,
}

impl Label {
    /// The manifest under this label, without frozen audiences: those are of the present.
    pub(crate) fn put_on(&self, manifest: Manifest, taken_at: i64) -> Manifest {
        let (name, date) = match self {
            Label::Name(name) => (Some(name.clone()), None),
            Label::Date(date) => (None, Some(*date)),
            Label::Tail => (None, None),
        };
        let mut manifest = Manifest { name, date, taken_at, frozen: BTreeMap::new(), ..manifest };
        manifest.parts.retain(|part, _| part.kind != PartKind::Frozen);
        manifest
    }

    fn is_of(&self, manifest: &Manifest) -> bool {
        match self {
            Label::Name(name) => manifest.name.as_ref() == Some(name),
            Label::Date(date) => manifest.name.is_none() && manifest.date == Some(*date),
            Label::Tail => manifest.is_tail(),
        }
    }
}

/// A store snapshot that is kept or current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its name, if it is kept under one.
    pub name: Option<String>,
    /// The day at whose end it was like this, if it is a dated one.
    pub date: Option<Date>,
    /// Data version that it holds.
    pub data_version: u64,
    /// When it was taken: seconds since 1970-01-01T00:00:00Z.
    pub taken_at: i64,
    /// Live profiles in it.
    pub profile_count: u32,
    /// Bytes of all its parts, and of what came after them.
    pub bytes: u64,
}

impl SnapshotInfo {
    pub(crate) fn of(manifest: &Manifest) -> SnapshotInfo {
        SnapshotInfo {
            name: manifest.name.clone(),
            date: manifest.date,
            data_version: manifest.upto(),
            taken_at: manifest.taken_at,
            profile_count: manifest.profiles_then(),
            bytes: manifest.part_bytes() + manifest.stretch_bytes(),
        }
    }
}

/// The moment that a state is to hold: its data version, all of which is durable in closed segments, and who lives then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) data_version: u64,
    pub(crate) profile_count: u32,
}

/// A manifest of a moment that needs no new part, if there is one. Its stretch is durable already.
///
/// # Errors
/// [`Error::Io`], [`Error::Corrupt`].
pub(crate) fn without_parts(
    space: &Path,
    current: &Manifest,
    moment: Moment,
    label: &Label,
) -> Result<Option<Manifest>> {
    let kept = Manifest::read_kept(space)?;
    let last = |all: &mut dyn Iterator<Item = &Manifest>| all.max_by_key(|m| (m.upto(), m.data_version)).cloned();
    // What is about to be replaced comes second: else a state that is taken often would lie on ever more stretches.
    let others = last(&mut kept.iter().filter(|manifest| !label.is_of(manifest)));
    for from in [others, last(&mut kept.iter()), Some(current.clone())].into_iter().flatten() {
        if let Some(manifest) = extended(space, current, from, moment)? {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// A kept manifest that goes on to a moment, where the log still has what came between, and it is not too long.
fn extended(space: &Path, current: &Manifest, from: Manifest, moment: Moment) -> Result<Option<Manifest>> {
    let upto = from.upto();
    if upto == moment.data_version {
        return Ok(Some(from));
    }
    // What is before the current store snapshot has been cut off the log.
    if upto < current.data_version || upto > moment.data_version || from.stretches.len() >= STRETCHES_MAX {
        return Ok(None);
    }
    let allowed = STRETCH_BYTES_FREE.max(from.part_bytes() / PART_BYTES_A_STRETCH_BYTE);
    let mut records = log::read_between(&space.join(LOG_DIR), upto, moment.data_version)?;
    records.retain(|record| record.payload.first() != Some(&FROZEN));
    let more: u64 = records.iter().map(|record| record.payload.len() as u64).sum();
    if from.stretch_bytes() + more > allowed {
        return Ok(None);
    }
    let stretch = Stretch::write(space, (upto, moment.data_version), &records, moment.profile_count)?;
    let mut stretches = from.stretches.clone();
    stretches.push(stretch);
    Ok(Some(Manifest { stretches, ..from }))
}

/// Writes a kept manifest, and removes a tail that is not needed behind it.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn keep(space: &Path, manifest: &Manifest) -> Result<()> {
    manifest.write(&space.join(KEPT_DIR), &manifest.kept_file_name())?;
    if manifest.is_tail() { Ok(()) } else { remove_tail(space) }
}

/// Before the log is cut behind a new store snapshot of a moment: keeps what the next state will need of it.
///
/// # Errors
/// [`Error::Io`], [`Error::Corrupt`].
pub(crate) fn keep_tail(space: &Path, current: &Manifest, moment: Moment, taken_at: i64) -> Result<()> {
    let kept = Manifest::read_kept(space)?;
    if kept.iter().all(Manifest::is_tail) {
        return remove_tail(space);
    }
    let Some(last) = kept.into_iter().max_by_key(|m| (m.upto(), m.data_version)) else { return Ok(()) };
    if last.upto() == moment.data_version {
        return Ok(());
    }
    match extended(space, current, last, moment)? {
        Some(manifest) => keep(space, &Label::Tail.put_on(manifest, taken_at)),
        None => remove_tail(space),
    }
}

fn remove_tail(space: &Path) -> Result<()> {
    remove(space, &Label::Tail.put_on(Manifest::empty(String::new()), 0).kept_file_name()).map(drop)
}

/// Removes a kept manifest; whether there was one. Its files go with the next tidying.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn remove(space: &Path, file_name: &str) -> Result<bool> {
    let dir = space.join(KEPT_DIR);
    let path = dir.join(file_name);
    if !path.exists() {
        return Ok(false);
    }
    std::fs::remove_file(&path).map_err(|e| Error::io("removing", &path, &e))?;
    crate::files::sync_dir(&dir)?;
    Ok(true)
}
