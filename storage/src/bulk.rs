//! Bulk loading into a directory that nobody serves: batches are applied without a log and kept by store snapshots.
//! Knows what may go on side by side, and when a store snapshot is due.
//!
//! ```text
//!   caller: batch → who is meant → new people, their identities ──► tags thread: values, bitmaps, columns, lists
//!                                                 │ once much has changed, at the end of a stripe
//!                                                 ▼
//!                           snapshot thread: encode → pack → manifest, while loading goes on
//! ```
//! A batch must know the identities of those before it, but not their tags. Memory is bounded: what has changed since
//! the last store snapshot, as much again while one is being written, and a few batches.
//! Nothing counts as loaded before the next store snapshot is durable; a crash leaves the last one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::apply::{apply_events, apply_people, apply_tag};
use crate::batch::{Outcome, TagColumn, Upserts};
use crate::changes::Changes;
use crate::error::{Error, Result};
use crate::field::Field;
use crate::ids::in_stripe;
use crate::log;
use crate::manifest::Manifest;
use crate::meant::Meant;
use crate::parallel;
use crate::policy::Clock;
use crate::prepare::{Dated, check_shape, decide_column};
use crate::prepare_events::decide_events;
use crate::prepare_joined::decide_joined;
use crate::resolve::{Resolved, resolve};
use crate::schema::{EventId, SchemaJson};
use crate::snapshot::{Options, Packs, Written};
use crate::store::{LOG_DIR, recover, take_snapshot};
use crate::view::View;

/// Batches whose tags may wait.
const BATCHES_WAITING_MAX: usize = 4;
/// Runs of events of like size beside each other. Nobody asks meanwhile, so that they need not be as few as while serving:
/// each row is copied a third as often.
const RUNS_BESIDE: usize = 7;
/// Batches between two looks at how much has changed.
const BATCHES_BETWEEN_LOOKS: u32 = 8;

/// Loads batches into a space.
pub struct BulkLoader {
    dir: PathBuf,
    /// Who there is; the tags are lent to the tags thread.
    view: View,
    tags: TagsThread,
    manifest: Manifest,
    packs: Packs,
    under_way: Option<JoinHandle<Result<Written>>>,
    owned_bytes_max: u64,
}

impl BulkLoader {
    /// Recovers the space and takes what its log holds into a store snapshot first.
    /// Once more than `owned_bytes_max` of changes are in memory, a store snapshot is begun; at most about three times
    /// as much is held.
    ///
    /// # Errors
    /// As [`crate::Store::open`].
    pub fn open(dir: &Path, owned_bytes_max: u64) -> Result<BulkLoader> {
        let recovery = recover(dir)?;
        let (manifest, packs, mut view) = (recovery.manifest, recovery.packs, recovery.view);
        let tags = TagsThread::start(std::mem::take(&mut view.tags));
        Ok(BulkLoader { dir: dir.into(), view, tags, manifest, packs, under_way: None, owned_bytes_max })
    }

    /// Who has been loaded so far, and the schema; not their tags.
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
            self.with_tags(|view| view.set_schema(next))?;
            self.view.data_version += 1;
        }
        Ok(())
    }

    /// Applies a batch. Its tags may still be under way on return.
    ///
    /// # Errors
    /// [`crate::Error`], of this batch or of one before it; the load is then over.
    pub fn add(&mut self, batch: Upserts) -> Result<Outcome> {
        check_shape(&self.view, &batch)?;
        let mut dated = Dated::new(&self.view, &batch, &Clock::default());
        let refused = std::mem::take(&mut dated.expired);
        let (Resolved { meant, created, identities, next_one_id }, mut outcome) = resolve(&self.view, &batch, refused)?;
        if outcome.accepted > 0 {
            let before = self.view.next_one_id;
            let joins = meant.joins().collect();
            let people = Changes { next_one_id, created, joins, identities, ..Changes::default() };
            apply_people(&mut self.view, &people, Vec::new(), parallel::half_of_cores())?;
            for (field, event) in self.view.events.iter_mut().zip((0..).map(EventId)) {
                let changes = decide_events(field, &dated.columns_of(event, &batch), &meant)?;
                if !changes.is_empty() {
                    apply_events(Arc::make_mut(field), &changes, RUNS_BESIDE, parallel::cores())?;
                }
            }
            self.view.data_version += 1;
            self.tags.send(Job::Batch(batch.tags, meant))?;
            self.snapshot_if_due(in_stripe(before) > in_stripe(self.view.next_one_id))?;
        }
        outcome.data_version = self.view.data_version;
        Ok(outcome)
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`crate::Error`] of a batch before, [`crate::Error::Io`].
    pub fn finish(mut self) -> Result<View> {
        self.begin_snapshot(parallel::cores())?;
        self.end_snapshot()?;
        self.taken()
    }

    /// The end of a stripe is the time for a store snapshot: what has been written is not touched again by new people.
    fn snapshot_if_due(&mut self, ends_stripe: bool) -> Result<()> {
        if self.under_way.as_ref().is_some_and(JoinHandle::is_finished) {
            self.end_snapshot()?;
        }
        let people: u64 = self.view.id_types.iter().map(|field| field.bytes().memory).sum();
        let events: u64 = self.view.events.iter().map(|field| field.bytes().memory).sum();
        let owned_bytes = people + events + self.tags.owned_bytes.load(Ordering::Relaxed);
        // While one is being written, what it writes is counted too: waiting for it would hold up the load.
        let max = self.owned_bytes_max;
        let limit = if self.under_way.is_some() { max.saturating_mul(2) } else { max };
        if owned_bytes > limit && (ends_stripe || owned_bytes > limit.saturating_add(max)) {
            self.begin_snapshot(1)?;
        }
        Ok(())
    }

    /// Begins a store snapshot of what has been added so far, after the end of the one before.
    fn begin_snapshot(&mut self, threads: usize) -> Result<()> {
        self.end_snapshot()?;
        let view = self.taken()?;
        if view.data_version == self.manifest.data_version {
            return Ok(());
        }
        let (dir, manifest, packs) = (self.dir.clone(), self.manifest.clone(), self.packs.clone());
        let options = Options { threads, ..Options::default() };
        let write = move || write_snapshot(&dir, &view, &manifest, &packs, &options);
        self.under_way = Some(spawn("headcount-snapshot", write)?);
        Ok(())
    }

    /// Waits for the store snapshot that is under way, if any, and lets go of what it has written.
    fn end_snapshot(&mut self) -> Result<()> {
        let Some(under_way) = self.under_way.take() else { return Ok(()) };
        let written = under_way.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.with_tags(|view| written.install(view))?;
        self.manifest = written.manifest;
        self.packs = written.packs;
        Ok(())
    }

    /// All that has been added so far, as a store snapshot takes it.
    fn taken(&mut self) -> Result<View> {
        self.with_tags(View::split)
    }

    /// Does `work` on the whole view, once all tags that wait have been applied.
    fn with_tags<T>(&mut self, work: impl FnOnce(&mut View) -> T) -> Result<T> {
        self.view.tags = self.tags.take()?;
        let done = work(&mut self.view);
        self.tags.send(Job::Put(std::mem::take(&mut self.view.tags)))?;
        Ok(done)
    }
}

/// Writes a store snapshot whose records were never logged: the log segment that follows it is made aside first, and
/// gets its name once the manifest is durable.
fn write_snapshot(dir: &Path, view: &View, manifest: &Manifest, packs: &Packs, options: &Options) -> Result<Written> {
    let (log, next) = (dir.join(LOG_DIR), view.data_version + 1);
    log::prepare_segment(&log, next)?;
    let written = take_snapshot(dir, view, manifest, packs, options)?;
    log::adopt_segment(&log, next)?;
    log::cut(&log, view.data_version)?;
    Ok(written)
}

fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(body);
    spawned.map_err(|error| Error::Refused { code: "no_threads", reason: error.to_string() })
}

/// What the tags thread is asked to do.
enum Job {
    /// Tags of a batch, and whom each of its rows means.
    Batch(Vec<TagColumn>, Meant),
    /// All tags are taken away, …
    Take(Sender<Result<Vec<Arc<Field>>>>),
    /// … and put back.
    Put(Vec<Arc<Field>>),
}

/// The thread that holds the tags and applies batches to them, one after the other, different tags side by side.
struct TagsThread {
    jobs: Sender<Job>,
    owned_bytes: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl TagsThread {
    fn start(tags: Vec<Arc<Field>>) -> TagsThread {
        let (jobs, from_loader) = bounded(BATCHES_WAITING_MAX);
        let (owned_bytes, failed) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut worker =
            TagsWorker { tags, error: None, batches: 0, owned_bytes: owned_bytes.clone(), failed: failed.clone() };
        // Where no thread is to be had, nobody takes the jobs, and sending the first one says so.
        let _ = spawn("headcount-tags", move || worker.run(&from_loader));
        TagsThread { jobs, owned_bytes, failed }
    }

    fn send(&self, job: Job) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) && !matches!(job, Job::Take(_)) {
            self.take()?;
        }
        self.jobs.send(job).map_err(|_| stopped())
    }

    fn take(&self) -> Result<Vec<Arc<Field>>> {
        let (sender, receiver) = bounded(1);
        self.jobs.send(Job::Take(sender)).map_err(|_| stopped())?;
        receiver.recv().map_err(|_| stopped())?
    }
}

fn stopped() -> Error {
    Error::WritesStopped { reason: "the tags thread has stopped".into() }
}

struct TagsWorker {
    tags: Vec<Arc<Field>>,
    error: Option<Error>,
    batches: u32,
    owned_bytes: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl TagsWorker {
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Batch(columns, meant) if self.error.is_none() => {
                    if let Err(error) = self.apply(&columns, &meant) {
                        self.failed.store(true, Ordering::Relaxed);
                        self.error = Some(error);
                    }
                    self.batches += 1;
                    if self.batches.is_multiple_of(BATCHES_BETWEEN_LOOKS) {
                        self.look();
                    }
                }
                Job::Batch(..) => {}
                Job::Take(answer) => {
                    let tags = std::mem::take(&mut self.tags);
                    let _ = answer.send(self.error.clone().map_or(Ok(tags), Err));
                }
                Job::Put(tags) => {
                    self.tags = tags;
                    self.look();
                }
            }
        }
    }

    fn apply(&mut self, columns: &[TagColumn], meant: &Meant) -> Result<()> {
        let mut tasks: Vec<(&mut Arc<Field>, Vec<&TagColumn>)> = Vec::with_capacity(columns.len());
        for (field, tag) in self.tags.iter_mut().zip(0..) {
            let of_tag: Vec<&TagColumn> = columns.iter().filter(|column| column.tag.0 == tag).collect();
            if !of_tag.is_empty() || meant.has_joins() {
                tasks.push((field, of_tag));
            }
        }
        // The caller, whoever reads for him, and a store snapshot want threads too.
        parallel::for_each(tasks.into_iter(), parallel::half_of_cores(), |(field, columns)| {
            for column in &columns {
                let decided = decide_column(field, column, |row| meant.alone(row))?;
                apply_tag(Arc::make_mut(field), &decided.changes)?;
            }
            if meant.has_joins() {
                let decided = decide_joined(field, columns.into_iter(), meant)?;
                apply_tag(Arc::make_mut(field), &decided.changes)?;
            }
            Ok(())
        })
    }

    fn look(&self) {
        let bytes = self.tags.iter().map(|field| field.bytes().memory).sum();
        self.owned_bytes.store(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataDir, IdColumn, IdTypeId, TagChanges, TagId, ValueId};

    fn one_person(name: &str) -> Upserts {
        let ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0, name.len() as u32], bytes: name.into() };
        Upserts { rows: 1, ids: vec![ids], ..Upserts::default() }
    }

    fn loaded(dir: &DataDir) -> BulkLoader {
        let mut loader = dir.bulk_load("main", u64::MAX).unwrap();
        loader.extend_schema(&SchemaJson { id_types: vec!["member".into()], ..SchemaJson::default() }).unwrap();
        loader.add(one_person("first")).unwrap();
        loader
    }

    fn people(dir: &DataDir) -> u32 {
        dir.open_space("main", &crate::Options::default()).unwrap().view().profile_count()
    }

    #[test]
    fn a_crash_at_any_step_of_a_bulk_snapshot_leaves_the_last_one_or_the_new_one() {
        for steps in 0..=2 {
            let temp = tempfile::tempdir().unwrap();
            let dir = DataDir::open(temp.path()).unwrap();
            let mut loader = loaded(&dir);
            let view = loader.taken().unwrap();
            let (log, next) = (loader.dir.join(LOG_DIR), loader.view.data_version + 1);
            log::prepare_segment(&log, next).unwrap();
            if steps > 0 {
                take_snapshot(&loader.dir, &view, &loader.manifest, &loader.packs, &Options::default()).unwrap();
            }
            if steps > 1 {
                log::adopt_segment(&log, next).unwrap();
            }
            drop(loader);
            assert_eq!(people(&dir), u32::from(steps > 0), "after {steps} steps");
            // Whatever was left behind is in nobody's way: another load, and writes after it, are there at the end.
            let mut again = loaded(&dir);
            again.add(one_person("second")).unwrap();
            again.finish().unwrap();
            let store = dir.open_space("main", &crate::Options::default()).unwrap();
            store.write_and_wait(crate::Request::Upserts(one_person("third"))).unwrap();
            drop(store);
            assert_eq!(people(&dir), 3);
        }
    }

    fn with_city(mut person: Upserts, city: &str) -> Upserts {
        let dictionary = Arc::new(vec![city.into()]);
        let changes = TagChanges::Texts { dictionary, changes: vec![(0, 0)] };
        person.tags.push(TagColumn { tag: TagId(0), changes });
        person
    }

    #[test]
    fn parts_of_a_pack_that_was_left_are_written_anew() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let mut loader = dir.bulk_load("main", u64::MAX).unwrap();
        let schema = r#"{"id_types": ["member"], "tags": {"city": {"type": "category"}}}"#;
        loader.extend_schema(&serde_json::from_str(schema).unwrap()).unwrap();
        loader.add(with_city(one_person("first"), "Hangzhou")).unwrap();
        loader.finish().unwrap();
        let mut again = dir.bulk_load("main", u64::MAX).unwrap();
        again.add(one_person("second")).unwrap();
        let view = again.taken().unwrap();
        let (log, next) = (again.dir.join(LOG_DIR), again.view.data_version + 1);
        log::prepare_segment(&log, next).unwrap();
        // Cities are as they were, in a pack that nobody holds any more: its file goes, what is mapped of it stays.
        take_snapshot(&again.dir, &view, &again.manifest, &Packs::new(), &Options::default()).unwrap();
        log::adopt_segment(&log, next).unwrap();
        drop(again);
        let store = dir.open_space("main", &crate::Options::default()).unwrap();
        assert_eq!(store.view().profile_count(), 2);
        assert_eq!(store.view().tag(TagId(0)).cardinality(ValueId(0)).unwrap(), 1);
    }

    #[test]
    fn people_and_values_are_known_while_store_snapshots_are_under_way() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        // One is due after nearly every batch.
        let mut loader = dir.bulk_load("main", 1).unwrap();
        let schema = r#"{"id_types": ["member"], "tags": {"city": {"type": "category"}}}"#;
        loader.extend_schema(&serde_json::from_str(schema).unwrap()).unwrap();
        for round in 0..2 {
            for n in 0..30 {
                let batch = with_city(one_person(&format!("member {n}")), &format!("city {}", (n + round) % 3));
                assert_eq!(loader.add(batch).unwrap().created, 1 - round, "member {n}, round {round}");
            }
        }
        let view = loader.finish().unwrap();
        let city = view.tag(TagId(0));
        assert_eq!((view.profile_count(), city.values().count()), (30, 3));
        assert!((0..3).all(|value| city.cardinality(ValueId(value)).unwrap() == 10));
        drop(view);
        assert_eq!(people(&dir), 30);
    }
}
