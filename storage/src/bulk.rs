//! Bulk loading into a directory that nobody serves: batches are applied without a log and kept by store snapshots.
//! Knows when to take one: whenever so much has changed that memory would grow without bound, and at the end.
//!
//! Nothing counts as loaded before the next store snapshot is durable; a crash leaves the last one.

use std::path::{Path, PathBuf};

use crate::apply::apply;
use crate::batch::{Outcome, Upserts};
use crate::changes::Record;
use crate::error::Result;
use crate::log;
use crate::manifest::Manifest;
use crate::prepare::prepare;
use crate::schema::SchemaJson;
use crate::snapshot::Packs;
use crate::store::{LOG_DIR, recover, take_snapshot};
use crate::view::View;

/// Loads batches into a space.
pub struct BulkLoader {
    dir: PathBuf,
    view: View,
    manifest: Manifest,
    packs: Packs,
    owned_bytes_max: u64,
}

impl BulkLoader {
    /// Recovers the space and takes what its log holds into a store snapshot first.
    /// Once more than `owned_bytes_max` of changes are in memory, a store snapshot is taken.
    ///
    /// # Errors
    /// As [`crate::Store::open`].
    pub fn open(dir: &Path, owned_bytes_max: u64) -> Result<BulkLoader> {
        let recovery = recover(dir)?;
        let (manifest, packs, view) = (recovery.manifest, recovery.packs, recovery.view);
        Ok(BulkLoader { dir: dir.into(), view, manifest, packs, owned_bytes_max })
    }

    /// What has been loaded so far.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Adds to the schema.
    ///
    /// # Errors
    /// [`crate::Error::Schema`].
    pub fn extend_schema(&mut self, asked: &SchemaJson) -> Result<()> {
        let next = self.view.schema.extended(asked, self.view.next_one_id > 0)?;
        if next != *self.view.schema {
            self.view.set_schema(next);
            self.view.data_version += 1;
        }
        Ok(())
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// [`crate::Error`]; the load is then over.
    pub fn add(&mut self, batch: &Upserts) -> Result<Outcome> {
        let (changes, mut outcome) = prepare(&mut self.view, batch)?;
        if outcome.accepted > 0 {
            let seqno = self.view.data_version + 1;
            apply(&mut self.view, &Record::Changes(changes), seqno)?;
            if self.owned_bytes() > self.owned_bytes_max {
                self.snapshot()?;
            }
        }
        outcome.data_version = self.view.data_version;
        Ok(outcome)
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn finish(mut self) -> Result<View> {
        self.snapshot()?;
        Ok(self.view)
    }

    fn snapshot(&mut self) -> Result<()> {
        if self.view.data_version == self.manifest.data_version {
            return Ok(());
        }
        let (log, next) = (self.dir.join(LOG_DIR), self.view.data_version + 1);
        log::prepare_segment(&log, next)?;
        let written = take_snapshot(&self.dir, &self.view, &self.manifest, &self.packs, false)?;
        log::adopt_segment(&log, next)?;
        log::cut(&log, self.view.data_version)?;
        written.install(&mut self.view)?;
        self.manifest = written.manifest;
        self.packs = written.packs;
        Ok(())
    }

    fn owned_bytes(&self) -> u64 {
        self.view.fields().map(|f| f.bytes().memory).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataDir, IdColumn, IdTypeId, Options};

    fn one_person(name: &str) -> Upserts {
        let ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0, name.len() as u32], bytes: name.into() };
        Upserts { rows: 1, ids: vec![ids], ..Upserts::default() }
    }

    fn loaded(dir: &DataDir) -> BulkLoader {
        let mut loader = dir.bulk_load("main", u64::MAX).unwrap();
        loader.extend_schema(&SchemaJson { id_types: vec!["member".into()], ..SchemaJson::default() }).unwrap();
        loader.add(&one_person("first")).unwrap();
        loader
    }

    fn people(dir: &DataDir) -> u32 {
        dir.open_space("main", &Options::default()).unwrap().view().profile_count()
    }

    #[test]
    fn a_crash_at_any_step_of_a_bulk_snapshot_leaves_the_last_one_or_the_new_one() {
        for steps in 0..=2 {
            let temp = tempfile::tempdir().unwrap();
            let dir = DataDir::open(temp.path()).unwrap();
            let loader = loaded(&dir);
            let (log, next) = (loader.dir.join(LOG_DIR), loader.view.data_version + 1);
            log::prepare_segment(&log, next).unwrap();
            if steps > 0 {
                take_snapshot(&loader.dir, &loader.view, &loader.manifest, &loader.packs, false).unwrap();
            }
            if steps > 1 {
                log::adopt_segment(&log, next).unwrap();
            }
            drop(loader);
            assert_eq!(people(&dir), u32::from(steps > 0), "after {steps} steps");
            // Whatever was left behind is in nobody's way: another load, and writes after it, are there at the end.
            let mut again = loaded(&dir);
            again.add(&one_person("second")).unwrap();
            again.finish().unwrap();
            let store = dir.open_space("main", &Options::default()).unwrap();
            store.write_and_wait(crate::Request::Upserts(one_person("third"))).unwrap();
            drop(store);
            assert_eq!(people(&dir), 3);
        }
    }
}
