//! Bulk loading into a directory that nobody serves: batches are applied without a log and kept by store snapshots.
//! Knows what may go on side by side, and when a store snapshot is due.
//!
//! ```text
//!   caller: batch → who is meant → new people, their identities ─┬► tags thread: values, bitmaps, columns, lists
//!                                                 │              └► events thread: in order of time, runs, keys
//!                                                 │ once much has changed, at the end of a stripe
//!                                                 ▼
//!                           snapshot threads: encode → pack → manifest, while loading goes on
//! ```
//! A batch must know the identities of those before it, but not their tags, and of their events only the keys: those that
//! are under way are kept beside. Memory is bounded: what has changed since
//! the last store snapshot, as much again while one is being written, and a few batches.
//! Nothing counts as loaded before the next store snapshot is durable; a crash leaves the last one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::apply::{apply_events, apply_people, apply_tag};
use crate::batch::{Outcome, TagColumn, Upserts};
use crate::changes::Changes;
use crate::error::Result;
use crate::events::EventField;
use crate::field::Field;
use crate::ids::in_stripe;
use crate::lent::{Lent, spawn};
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
use crate::seen::KeySet;
use crate::snapshot::{Options, Packs, Written};
use crate::store::{LOG_DIR, recover, take_snapshot};
use crate::view::View;

/// Batches whose tags may wait.
const BATCHES_WAITING_MAX: usize = 4;
/// Batches whose events may wait.
const EVENTS_WAITING_MAX: usize = 1;
/// Runs of events of like size beside each other. Nobody asks meanwhile, so that they need not be as few as while serving:
/// each row is copied a third as often.
const RUNS_BESIDE: usize = 7;
/// Batches between two looks at how much has changed.
const BATCHES_BETWEEN_LOOKS: u32 = 8;

type Tags = Vec<Arc<Field>>;
type Events = Vec<Arc<EventField>>;

/// Loads batches into a space.
pub struct BulkLoader {
    dir: PathBuf,
    /// Who there is; tags and events are lent, these are as far as they have got.
    view: View,
    tags: Lent<Tags>,
    tags_bytes: Arc<AtomicU64>,
    events: Lent<Events>,
    events_done: Arc<Mutex<Done>>,
    /// Batches with events so far.
    sent: u64,
    /// Those that were not done when it was looked last, by number, and the keys of their events.
    under_way: Vec<(u64, KeySet)>,
    batches: u32,
    manifest: Manifest,
    packs: Packs,
    snapshot: Option<JoinHandle<Result<Written>>>,
    owned_bytes_max: u64,
}

/// How far events have got: batches, and what they came to.
struct Done {
    batches: u64,
    events: Events,
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
        let tags = Lent::start("headcount-tags", std::mem::take(&mut view.tags), BATCHES_WAITING_MAX);
        let events = Lent::start("headcount-events", view.events.clone(), EVENTS_WAITING_MAX);
        let events_done = Arc::new(Mutex::new(Done { batches: 0, events: view.events.clone() }));
        Ok(BulkLoader {
            dir: dir.into(),
            view,
            tags,
            tags_bytes: Arc::default(),
            events,
            events_done,
            sent: 0,
            under_way: Vec::new(),
            batches: 0,
            manifest,
            packs,
            snapshot: None,
            owned_bytes_max,
        })
    }

    /// Who has been loaded so far, and the schema; not their tags, nor all of their events.
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
            self.with_all(|view| view.set_schema(next))?;
            self.view.data_version += 1;
        }
        Ok(())
    }

    /// Applies a batch. Its tags and events may still be under way on return.
    ///
    /// # Errors
    /// [`crate::Error`], of this batch or of one before it; the load is then over.
    pub fn add(&mut self, mut batch: Upserts) -> Result<Outcome> {
        check_shape(&self.view, &batch)?;
        let mut dated = Dated::new(&self.view, &batch, &Clock::default());
        let refused = std::mem::take(&mut dated.expired);
        self.look_at_events();
        let under_way: Vec<&KeySet> = self.under_way.iter().map(|(_, keys)| keys).collect();
        let (resolved, mut outcome) = resolve(&self.view, &batch, refused, &under_way)?;
        let Resolved { meant, created, identities, next_one_id, keys } = resolved;
        if outcome.accepted > 0 {
            let before = self.view.next_one_id;
            let joins = meant.joins().collect();
            let people = Changes { next_one_id, created, joins, identities, ..Changes::default() };
            let apply = |view: &mut View| apply_people(view, &people, Vec::new(), parallel::half_of_cores());
            let (meant, tags) = (Arc::new(meant), std::mem::take(&mut batch.tags));
            if meant.has_joins() {
                // Events of who is joined move: those before must be in hand, and the next batch must find them moved.
                self.with_all(|view| {
                    apply(view)?;
                    apply_to_events(&mut view.events, &batch, &dated, &meant)
                })??;
            } else {
                apply(&mut self.view)?;
                if !batch.events.is_empty() {
                    self.send_events(batch, dated, meant.clone(), keys)?;
                }
            }
            self.view.data_version += 1;
            self.send_tags(tags, meant)?;
            self.snapshot_if_due(in_stripe(before) > in_stripe(self.view.next_one_id))?;
        }
        outcome.data_version = self.view.data_version;
        Ok(outcome)
    }

    /// Takes over how far events have got.
    fn look_at_events(&mut self) {
        let done = self.events_done.lock().unwrap_or_else(PoisonError::into_inner);
        self.view.events.clone_from(&done.events);
        self.under_way.retain(|(number, _)| *number > done.batches);
    }

    fn send_events(&mut self, batch: Upserts, dated: Dated, meant: Arc<Meant>, keys: KeySet) -> Result<()> {
        self.sent += 1;
        let (number, done) = (self.sent, self.events_done.clone());
        self.under_way.push((number, keys));
        self.events.send(move |events| {
            apply_to_events(events, &batch, &dated, &meant)?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            *done = Done { batches: number, events: events.clone() };
            Ok(())
        })
    }

    fn send_tags(&mut self, columns: Vec<TagColumn>, meant: Arc<Meant>) -> Result<()> {
        self.batches += 1;
        let (bytes, is_looked_at) = (self.tags_bytes.clone(), self.batches.is_multiple_of(BATCHES_BETWEEN_LOOKS));
        self.tags.send(move |tags| {
            apply_to_tags(tags, &columns, &meant)?;
            if is_looked_at {
                bytes.store(owned_bytes(tags), Ordering::Relaxed);
            }
            Ok(())
        })
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`crate::Error`] of a batch before, [`crate::Error::Io`].
    pub fn finish(mut self) -> Result<View> {
        self.begin_snapshot()?;
        self.end_snapshot()?;
        self.taken()
    }

    /// The end of a stripe is the time for a store snapshot: what has been written is not touched again by new people.
    fn snapshot_if_due(&mut self, ends_stripe: bool) -> Result<()> {
        if self.snapshot.as_ref().is_some_and(JoinHandle::is_finished) {
            self.end_snapshot()?;
        }
        let people: u64 = self.view.id_types.iter().map(|field| field.bytes().memory).sum();
        let events: u64 = self.view.events.iter().map(|field| field.bytes().memory).sum();
        let owned_bytes = people + events + self.tags_bytes.load(Ordering::Relaxed);
        // While one is being written, what it writes is counted too: waiting for it would hold up the load.
        let max = self.owned_bytes_max;
        let limit = if self.snapshot.is_some() { max.saturating_mul(2) } else { max };
        if owned_bytes > limit && (ends_stripe || owned_bytes > limit.saturating_add(max)) {
            self.begin_snapshot()?;
        }
        Ok(())
    }

    /// Begins a store snapshot of what has been added so far, after the end of the one before.
    fn begin_snapshot(&mut self) -> Result<()> {
        self.end_snapshot()?;
        let view = self.taken()?;
        if view.data_version == self.manifest.data_version {
            return Ok(());
        }
        let (dir, manifest, packs) = (self.dir.clone(), self.manifest.clone(), self.packs.clone());
        let options = Options { threads: parallel::cores(), ..Options::default() };
        let write = move || write_snapshot(&dir, &view, &manifest, &packs, &options);
        self.snapshot = Some(spawn("headcount-snapshot", write)?);
        Ok(())
    }

    /// Waits for the store snapshot that is under way, if any, and lets go of what it has written.
    fn end_snapshot(&mut self) -> Result<()> {
        let Some(snapshot) = self.snapshot.take() else { return Ok(()) };
        let written = snapshot.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.with_all(|view| written.install(view))?;
        self.manifest = written.manifest;
        self.packs = written.packs;
        Ok(())
    }

    /// All that has been added so far, as a store snapshot takes it.
    fn taken(&mut self) -> Result<View> {
        self.with_all(View::split)
    }

    /// Does `work` on the whole view, once all that is under way has been applied.
    fn with_all<T>(&mut self, work: impl FnOnce(&mut View) -> T) -> Result<T> {
        self.view.tags = self.tags.take()?;
        self.view.events = self.events.take()?;
        self.under_way.clear();
        let done = work(&mut self.view);
        let (tags, events) = (std::mem::take(&mut self.view.tags), self.view.events.clone());
        self.tags_bytes.store(owned_bytes(&tags), Ordering::Relaxed);
        *self.events_done.lock().unwrap_or_else(PoisonError::into_inner) =
            Done { batches: self.sent, events: events.clone() };
        self.tags.put(tags)?;
        self.events.put(events)?;
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

fn owned_bytes(tags: &Tags) -> u64 {
    tags.iter().map(|field| field.bytes().memory).sum()
}

/// Applies a batch to the events.
fn apply_to_events(events: &mut Events, batch: &Upserts, dated: &Dated, meant: &Meant) -> Result<()> {
    for (field, event) in events.iter_mut().zip((0..).map(EventId)) {
        let changes = decide_events(field, &dated.columns_of(event, batch), meant)?;
        if !changes.is_empty() {
            apply_events(Arc::make_mut(field), &changes, RUNS_BESIDE, parallel::half_of_cores())?;
        }
    }
    Ok(())
}

/// Applies a batch to the tags, different ones side by side.
fn apply_to_tags(tags: &mut Tags, columns: &[TagColumn], meant: &Meant) -> Result<()> {
    let mut tasks: Vec<(&mut Arc<Field>, Vec<&TagColumn>)> = Vec::with_capacity(columns.len());
    for (field, tag) in tags.iter_mut().zip(0..) {
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
