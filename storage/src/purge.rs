//! The purge of kept states: nothing of an erased person stays in any file that a kept manifest names.
//! Knows manifests, their parts and their stretches; who is erased is `erased`'s matter.
//!
//! ```text
//!   kept manifests of one base ── parts: opened, rid of the erased, written once for all of them
//!                              └─ stretches: read, rid of the erased, written where that changed them
//!   then each manifest anew; packs and stretches that nobody names any more are removed after the current one
//! ```
//! Whatever a crash leaves behind, each manifest names files that are there: old ones or new ones. The erased are
//! erased in the log or in the current manifest, so the purge is run again. It costs reading what the kept states
//! share, and writing the parts of the stripes that the erased were in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::apply::apply;
use crate::changes::Record;
use crate::erased::{Given, Living, blank_unused, values_given};
use crate::error::{Error, Result};
use crate::files::{PENDING_SUFFIX, list_dir, sync_dir};
use crate::log::LogRecord;
use crate::manifest::{KEPT_DIR, Manifest};
use crate::retire::unused;
use crate::snapshot::{Options, PACKS_DIR, Written, open_view, write_parts};
use crate::stretch::{STRETCH_SUFFIX, Stretch};
use crate::view::View;

/// Rewrites the kept store snapshots so that nothing of people erased since is left in them, and so that none of them
/// needs a pack that is being left. `live` is the present view.
///
/// # Errors
/// As [`write_parts`] and [`Stretch::read`].
pub(crate) fn purge_kept(space: &Path, live: &View, written: &mut Written, leave: &BTreeSet<u64>) -> Result<()> {
    let mut groups: BTreeMap<u64, Vec<Manifest>> = BTreeMap::new();
    for kept in Manifest::read_kept(space)? {
        groups.entry(kept.data_version).or_default().push(kept);
    }
    let living = Living::of(live)?;
    for group in groups.values() {
        purge_group(space, &living, group, written, leave)?;
    }
    Ok(())
}

/// Records with their numbers.
type Records = Vec<(u64, Record)>;

/// Kept states whose parts hold the same data version.
fn purge_group(
    space: &Path,
    living: &Living<'_>,
    group: &[Manifest],
    written: &mut Written,
    leave: &BTreeSet<u64>,
) -> Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let mut stretches: BTreeMap<&Stretch, (Records, bool)> = BTreeMap::new();
    for stretch in group.iter().flat_map(|manifest| &manifest.stretches) {
        if !stretches.contains_key(stretch) {
            stretches.insert(stretch, filtered(stretch.read(space)?, living));
        }
    }
    let given = values_given(stretches.values().flat_map(|(records, _)| records.iter().map(|(_, record)| record)));

    let mut packs = written.packs.clone();
    let mut view = open_view(space, first, &mut packs)?;
    let gone = living.gone_from(&view)?;
    if !gone.is_empty() {
        apply(&mut view, &Record::Erase(gone), first.data_version, 1)?;
    }
    let mut retired = unused(&view)?;
    for (owner, values) in &mut retired {
        values.retain(|value| !given.contains(&(owner.number(), *value)));
    }
    retired.retain(|(_, values)| !values.is_empty());
    if !retired.is_empty() {
        apply(&mut view, &Record::Retire(retired), first.data_version, 1)?;
    }
    let previous = Manifest { next_pack: written.manifest.next_pack, ..first.clone() };
    let options = Options { purge: true, leave: leave.clone(), ..Options::default() };
    let base = write_parts(space, &view, &previous, &packs, &options)?.manifest;
    written.manifest.next_pack = base.next_pack;

    let mut purged: BTreeMap<&Stretch, (Stretch, i64)> = BTreeMap::new();
    for (stretch, (records, changed)) in stretches {
        purged.insert(stretch, purge_stretch(space, stretch, records, changed, &given)?);
    }
    for manifest in group {
        let mut profile_count = i64::from(base.profile_count);
        let stretches = manifest.stretches.iter().map(|stretch| {
            let (anew, grown) = &purged[stretch];
            profile_count += grown;
            Stretch { profile_count: profile_count as u32, ..anew.clone() }
        });
        let stretches = stretches.collect();
        let (name, date, taken_at) = (manifest.name.clone(), manifest.date, manifest.taken_at);
        let anew = Manifest { name, date, taken_at, stretches, ..base.clone() };
        anew.write(&space.join(KEPT_DIR), &anew.kept_file_name())?;
    }
    Ok(())
}

fn filtered(records: Records, living: &Living<'_>) -> (Records, bool) {
    let mut any = false;
    let records = records.into_iter().map(|(seqno, record)| {
        let (record, changed) = living.without_gone(record);
        any |= changed;
        (seqno, record)
    });
    let records = records.collect();
    (records, any)
}

/// The stretch that takes a stretch's place, and how many more live at its end.
fn purge_stretch(
    space: &Path,
    stretch: &Stretch,
    records: Records,
    changed: bool,
    given: &Given,
) -> Result<(Stretch, i64)> {
    let (mut anew, mut grown, mut changed) = (Vec::with_capacity(records.len()), 0, changed);
    for (seqno, mut record) in records {
        let retired = blank_unused(&mut record, given);
        changed |= retired.is_some();
        if let Record::Changes(changes) = &record {
            grown += changes.created.len() as i64 - changes.joins.len() as i64;
        }
        let both = std::iter::once(record).chain(retired);
        anew.extend(both.map(|record| LogRecord { seqno, payload: record.encode() }));
    }
    if !changed {
        return Ok((stretch.clone(), grown));
    }
    Ok((Stretch::write(space, (stretch.after, stretch.upto), &anew, stretch.profile_count)?, grown))
}

/// Removes packs and stretches that no manifest names, and debris of a crash.
///
/// # Errors
/// [`Error::Io`], or as [`Manifest::read`] of a kept one.
pub(crate) fn remove_unnamed(space: &Path, current: &Manifest) -> Result<()> {
    let (mut packs, mut stretches) = (current.packs(), BTreeSet::new());
    for kept in Manifest::read_kept(space)? {
        packs.extend(kept.packs());
        stretches.extend(kept.stretches.iter().map(Stretch::file_name));
    }
    remove_files(&space.join(PACKS_DIR), |name| {
        let number = name.strip_suffix(".pack").and_then(|n| u64::from_str_radix(n, 16).ok());
        number.is_some_and(|n| !packs.contains(&n))
    })?;
    remove_files(&space.join(KEPT_DIR), |name| name.ends_with(STRETCH_SUFFIX) && !stretches.contains(name))
}

fn remove_files(dir: &Path, is_unnamed: impl Fn(&str) -> bool) -> Result<()> {
    let mut any = false;
    for name in if dir.is_dir() { list_dir(dir)? } else { Vec::new() } {
        if name.ends_with(PENDING_SUFFIX) || is_unnamed(&name) {
            let path = dir.join(&name);
            std::fs::remove_file(&path).map_err(|e| Error::io("removing", &path, &e))?;
            any = true;
        }
    }
    if any { sync_dir(dir) } else { Ok(()) }
}
