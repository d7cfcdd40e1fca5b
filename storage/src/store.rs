//! A space on disk: recovery, the single writer, group commit, and store snapshots beside it.
//! Knows the order in which things become durable; what a change means is `prepare`'s and `apply`'s matter.
//!
//! ```text
//!   callers ──► writer thread: decide → log (write) → next view        one batch after the other
//!                    │ groups
//!                    ▼
//!               sync thread: fsync once for all that waits → publish the view → answer
//!
//!   keeper thread: rotate log → write parts → manifest → install mapped leaves → cut log, remove packs
//! ```
//! Readers take the published view with one atomic load and never wait. Nothing is published, and nothing answered,
//! before it is on stable storage. After a failed write or fsync of the log nothing more is accepted until restart.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::apply::{apply, schema_to};
use crate::batch::{Outcome, Upserts};
use crate::changes::Record;
use crate::error::{Error, Result};
use crate::files::create_dir;
use crate::ids::OneId;
use crate::log::{self, Log};
use crate::manifest::{CURRENT, KEPT_DIR, Manifest, kept_file_name, kept_path};
use crate::parallel::{Rank, cores, half_of_cores, stand_back};
use crate::prepare::prepare;
use crate::retire::unused;
use crate::schema::{Schema, SchemaJson};
use crate::snapshot::{self, Options as SnapshotOptions, PACKS_DIR, Packs, Written};
use crate::upload::{BitmapUpload, decide_upload};
use crate::view::View;
use crate::zone::DayClock;

/// Directory of the log within a space.
pub(crate) const LOG_DIR: &str = "log";
/// Batches that are decided before they are handed to the sync thread together.
const GROUP_BATCHES_MAX: usize = 256;
/// Batches that wait for the writer before callers are held up.
const WAITING_MAX: usize = 1024;
/// Longest name of a kept store snapshot, in bytes.
pub const SNAPSHOT_NAME_BYTES_MAX: usize = 64;
const KEEPER_TICK: Duration = Duration::from_millis(500);
const REPLACED_TICK: Duration = Duration::from_millis(100);

/// How a space is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// No writer, nothing changed on disk.
    pub read_only: bool,
    /// A store snapshot is taken once the log is longer than this.
    pub log_bytes_max: u64,
    /// How long after people were erased a purging store snapshot is taken.
    pub purge_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { read_only: false, log_bytes_max: 128 << 20, purge_after: Duration::from_secs(5) }
    }
}

/// Called once with what became of a write.
pub type Reply = Box<dyn FnOnce(Result<Outcome>) + Send>;

/// What the writer is asked to do.
#[derive(Debug)]
pub enum Request {
    /// A batch of upserts.
    Upserts(Upserts),
    /// More schema.
    Schema(SchemaJson),
    /// Events that are older than what is kept go.
    Expire,
    /// People to erase; those that do not live are passed over, and the outcome's `accepted` counts the others.
    Erase(Vec<OneId>),
    /// A value's people as a bitmap.
    Bitmap(BitmapUpload),
}

/// A store snapshot that is kept or current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its name, if it is kept under one.
    pub name: Option<String>,
    /// Data version that it holds.
    pub data_version: u64,
    /// When it was taken: seconds since 1970-01-01T00:00:00Z.
    pub taken_at: i64,
    /// Live profiles in it.
    pub profile_count: u32,
    /// Bytes of all its parts.
    pub bytes: u64,
}

impl SnapshotInfo {
    fn of(manifest: &Manifest) -> SnapshotInfo {
        SnapshotInfo {
            name: manifest.name.clone(),
            data_version: manifest.data_version,
            taken_at: manifest.taken_at,
            profile_count: manifest.profile_count,
            bytes: manifest.parts.values().map(|p| p.length).sum(),
        }
    }
}

/// A space, open.
pub struct Store {
    shared: Arc<Shared>,
    commands: Option<Sender<Command>>,
    keeper: Option<Sender<KeeperCommand>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    dir: PathBuf,
    view: ArcSwap<View>,
    stopped: Mutex<Option<String>>,
    durable: AtomicU64,
    log_bytes: AtomicU64,
    purge: AtomicBool,
    snapshot_error: Mutex<Option<String>>,
}

enum Command {
    Write(Request, Reply),
    /// A new log segment, and the view before it; for a purge, unused values are retired first.
    Rotate {
        purge: bool,
        answer: Sender<Result<View>>,
    },
    Install(Arc<Written>, Sender<()>),
}

enum KeeperCommand {
    Snapshot(Option<String>, Sender<Result<SnapshotInfo>>),
}

struct Group {
    view: Arc<View>,
    log: Option<File>,
    seqno: u64,
    replies: Vec<(Reply, Outcome)>,
}

/// A space as recovered from disk, before anyone writes to it.
pub(crate) struct Recovery {
    pub(crate) manifest: Manifest,
    pub(crate) packs: Packs,
    pub(crate) view: View,
    pub(crate) log: log::Recovered,
    pub(crate) erased: bool,
}

/// Makes a new space in a directory that does not hold one.
///
/// # Errors
/// [`Error::Refused`] where files of a space are there already, [`Error::Io`].
pub fn create(dir: &Path) -> Result<()> {
    if dir.join(CURRENT).exists() || dir.join(PACKS_DIR).exists() || dir.join(LOG_DIR).join("manifest").exists() {
        let reason = format!("{} holds a space already, or what is left of one", dir.display());
        return Err(Error::Refused { code: "space_exists", reason });
    }
    for sub in [LOG_DIR, PACKS_DIR, KEPT_DIR] {
        create_dir(&dir.join(sub))?;
    }
    Log::start(&dir.join(LOG_DIR), 1)?;
    Manifest::empty(schema_to(&Schema::default())).write(dir, CURRENT)
}

/// Reads manifest and log, and brings the view up to the last durable change.
///
/// # Errors
/// [`Error::Missing`], [`Error::Corrupt`], [`Error::Newer`], [`Error::Io`].
pub(crate) fn recover(dir: &Path) -> Result<Recovery> {
    let path = dir.join(CURRENT);
    if !path.exists() {
        return Err(Error::Missing { file: path, needed_by: format!("the space in {}", dir.display()) });
    }
    let manifest = Manifest::read(&path)?;
    let mut packs = Packs::new();
    let mut view = snapshot::open_view(dir, &manifest, &mut packs)?;
    let recovered = log::recover(&dir.join(LOG_DIR), manifest.data_version)?;
    let mut erased = false;
    for record in &recovered.records {
        let expected =
            || Error::corrupt(&dir.join(LOG_DIR), 0, format!("record {} to make sense", record.seqno), "not");
        let decoded = Record::decode(&record.payload).ok_or_else(expected)?;
        erased |= matches!(decoded, Record::Erase(_));
        apply(&mut view, &decoded, record.seqno, cores())?;
    }
    Ok(Recovery { manifest, packs, view, log: recovered, erased })
}

impl Store {
    /// Opens a space. Milliseconds at any size, and the time to replay the log since the last store snapshot.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Corrupt`], [`Error::Newer`], [`Error::Io`]; nothing is changed on disk then.
    pub fn open(dir: &Path, options: &Options) -> Result<Store> {
        let recovery = recover(dir)?;
        let shared = Arc::new(Shared {
            dir: dir.into(),
            view: ArcSwap::from_pointee(recovery.view.clone()),
            stopped: Mutex::new(None),
            durable: AtomicU64::new(recovery.view.data_version),
            log_bytes: AtomicU64::new(recovery.log.log_bytes),
            purge: AtomicBool::new(recovery.erased),
            snapshot_error: Mutex::new(None),
        });
        let mut store = Store { shared, commands: None, keeper: None, threads: Vec::new() };
        if !options.read_only {
            store.start(recovery, options)?;
        }
        Ok(store)
    }

    fn start(&mut self, recovery: Recovery, options: &Options) -> Result<()> {
        let Recovery { manifest, packs, view, log, .. } = recovery;
        let log = Log::open(&self.shared.dir.join(LOG_DIR), &log, view.data_version + 1)?;
        // What the log holds was read back, but the last fsync may not have been reached before the crash.
        log.sync_handle()?.sync_all().map_err(|e| Error::io("syncing", log.path(), &e))?;
        let (commands, from_callers) = bounded(WAITING_MAX);
        let (groups, from_writer) = bounded(4);
        let (keeper, to_keeper) = unbounded();
        let mut writer = Writer { shared: self.shared.clone(), view, log, groups };
        let mut keeper_state = Keeper {
            shared: self.shared.clone(),
            manifest,
            packs,
            commands: commands.clone(),
            options: options.clone(),
            purge_wait: Duration::ZERO,
        };
        let shared = self.shared.clone();
        self.threads.push(spawn("headcount-writer", move || {
            stand_back(Rank::Write);
            writer.run(&from_callers);
        }));
        self.threads.push(spawn("headcount-sync", move || run_sync(&shared, &from_writer)));
        self.threads.push(spawn("headcount-keeper", move || {
            stand_back(Rank::Background);
            keeper_state.run(&to_keeper);
        }));
        (self.commands, self.keeper) = (Some(commands), Some(keeper));
        Ok(())
    }

    /// The last published view.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// Hands a request to the writer; `reply` is called once it is durable and visible, or has failed.
    /// Waits only while very many requests are before it.
    pub fn write(&self, request: Request, reply: Reply) {
        let Some(commands) = &self.commands else { return reply(Err(Error::ReadOnly)) };
        if let Err(crossbeam::channel::SendError(Command::Write(_, reply))) =
            commands.send(Command::Write(request, reply))
        {
            reply(Err(Error::WritesStopped { reason: "the writer has stopped".into() }));
        }
    }

    /// As [`Store::write`], and waits for the outcome.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Schema`], [`Error::DiskFull`], [`Error::WritesStopped`], [`Error::ReadOnly`].
    pub fn write_and_wait(&self, request: Request) -> Result<Outcome> {
        let (sender, receiver) = bounded(1);
        self.write(
            request,
            Box::new(move |outcome| {
                let _ = sender.send(outcome);
            }),
        );
        receiver.recv().unwrap_or(Err(Error::WritesStopped { reason: "the writer has stopped".into() }))
    }

    /// Takes a store snapshot now; under a name it is kept until it is deleted.
    ///
    /// # Errors
    /// [`Error::Refused`] for a bad name, [`Error::Io`], [`Error::Corrupt`].
    pub fn snapshot(&self, name: Option<&str>) -> Result<SnapshotInfo> {
        if let Some(name) = name
            && (name.is_empty() || name.len() > SNAPSHOT_NAME_BYTES_MAX || name.chars().any(char::is_control))
        {
            let reason = format!("a store snapshot's name is 1 to {SNAPSHOT_NAME_BYTES_MAX} bytes of text");
            return Err(Error::Refused { code: "bad_snapshot_name", reason });
        }
        let Some(keeper) = &self.keeper else { return Err(Error::ReadOnly) };
        let (sender, receiver) = bounded(1);
        let stopped = || Error::WritesStopped { reason: "the keeper has stopped".into() };
        keeper.send(KeeperCommand::Snapshot(name.map(Into::into), sender)).map_err(|_| stopped())?;
        receiver.recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// The current store snapshot and the kept ones, newest first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`].
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let mut all = Manifest::read_kept(&self.shared.dir)?;
        let current = Manifest::read(&self.shared.dir.join(CURRENT))?;
        if current.data_version > 0 && !all.iter().any(|m| m.data_version == current.data_version) {
            all.push(current);
        }
        all.sort_by_key(|m| std::cmp::Reverse(m.data_version));
        Ok(all.iter().map(SnapshotInfo::of).collect())
    }

    /// Deletes a kept store snapshot. Its packs go with the next store snapshot.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is none of that name, [`Error::Io`].
    pub fn delete_snapshot(&self, name: &str) -> Result<()> {
        if self.keeper.is_none() {
            return Err(Error::ReadOnly);
        }
        let path = kept_path(&self.shared.dir, name);
        if !path.exists() {
            let reason = format!("there is no store snapshot named `{name}`");
            return Err(Error::Refused { code: "unknown_snapshot", reason });
        }
        std::fs::remove_file(&path).map_err(|e| Error::io("removing", &path, &e))?;
        crate::files::sync_dir(&self.shared.dir.join(KEPT_DIR))
    }

    /// Bytes of the log since the last store snapshot.
    pub fn log_bytes(&self) -> u64 {
        self.shared.log_bytes.load(Ordering::Relaxed)
    }

    /// Why nothing more is written, if so.
    pub fn writes_stopped(&self) -> Option<String> {
        self.shared.stopped_reason()
    }

    /// Why the last store snapshot of the keeper's own failed, if it did.
    pub fn snapshot_error(&self) -> Option<String> {
        self.shared.snapshot_error.lock().map_or(None, |e| e.clone())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.keeper = None;
        self.commands = None;
        for thread in self.threads.drain(..).rev() {
            // A panicked thread has stopped writing; there is nothing left to save here.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(body);
    spawned.unwrap_or_else(|error| panic!("no thread for {name}: {error}"))
}

impl Shared {
    fn stopped_reason(&self) -> Option<String> {
        self.stopped.lock().map_or_else(|_| Some("a thread failed".into()), |s| s.clone())
    }

    fn stop(&self, reason: &str) {
        if let Ok(mut stopped) = self.stopped.lock() {
            stopped.get_or_insert_with(|| reason.into());
        }
    }

    fn check_running(&self) -> Result<()> {
        self.stopped_reason().map_or(Ok(()), |reason| Err(Error::WritesStopped { reason }))
    }
}

struct Writer {
    shared: Arc<Shared>,
    /// Ahead of the published view by what is not durable yet.
    view: View,
    log: Log,
    groups: Sender<Group>,
}

impl Writer {
    fn run(&mut self, commands: &Receiver<Command>) {
        while let Ok(first) = commands.recv() {
            let mut replies = Vec::new();
            self.take(first, &mut replies);
            while replies.len() < GROUP_BATCHES_MAX
                && let Ok(next) = commands.try_recv()
            {
                self.take(next, &mut replies);
            }
            self.hand_over(replies);
        }
    }

    fn take(&mut self, command: Command, replies: &mut Vec<(Reply, Outcome)>) {
        match command {
            Command::Write(request, reply) => match self.write(request) {
                Ok(outcome) => replies.push((reply, outcome)),
                Err(error) => reply(Err(error)),
            },
            Command::Rotate { purge, answer } => {
                let retired = self.shared.check_running().and_then(|()| if purge { self.retire() } else { Ok(()) });
                let rotated = retired.and_then(|()| self.rotate());
                let _ = answer.send(rotated.map(|()| self.view.split()));
            }
            Command::Install(written, answer) => {
                written.install(&mut self.view);
                let _ = answer.send(());
                let log_bytes = log::bytes_on_disk(&self.shared.dir.join(LOG_DIR)).unwrap_or(0);
                self.shared.log_bytes.store(log_bytes, Ordering::Relaxed);
            }
        }
    }

    fn hand_over(&mut self, replies: Vec<(Reply, Outcome)>) {
        let log = match self.log.sync_handle() {
            Ok(log) => Some(log),
            Err(error) => {
                self.shared.stop(&error.to_string());
                None
            }
        };
        let group = Group { view: Arc::new(self.view.clone()), log, seqno: self.log.last_seqno(), replies };
        if let Err(crossbeam::channel::SendError(group)) = self.groups.send(group) {
            fail(group.replies, "the sync thread has stopped");
        }
    }

    fn retire(&mut self) -> Result<()> {
        let unused = unused(&self.view)?;
        if unused.is_empty() {
            return Ok(());
        }
        if let Some((record, seqno)) = self.log(Some(Record::Retire(unused)))? {
            apply(&mut self.view, &record, seqno, half_of_cores())
                .inspect_err(|error| self.shared.stop(&error.to_string()))?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<()> {
        self.log.rotate().inspect_err(|error| self.shared.stop(&error.to_string()))
    }

    fn write(&mut self, request: Request) -> Result<Outcome> {
        self.shared.check_running()?;
        let before = self.view.clone();
        let logged = self.decide(request).and_then(|(record, outcome)| Ok((self.log(record)?, outcome)));
        let (record, mut outcome) = logged.inspect_err(|error| {
            let is_callers = matches!(error, Error::Refused { .. } | Error::Schema(_) | Error::Full { .. });
            if !is_callers && !matches!(error, Error::DiskFull { .. }) {
                self.shared.stop(&error.to_string());
            }
            self.view = before.clone();
        })?;
        // Held any longer, it would make this batch copy what the one before it has copied already.
        drop(before);
        if let Some((record, seqno)) = record {
            // Questions want the other half.
            apply(&mut self.view, &record, seqno, half_of_cores())
                .inspect_err(|error| self.shared.stop(&error.to_string()))?;
            if matches!(record, Record::Erase(_)) {
                self.shared.purge.store(true, Ordering::Release);
            }
        }
        outcome.data_version = self.view.data_version;
        Ok(outcome)
    }

    /// What a request comes to; no record where nothing changes.
    fn decide(&mut self, request: Request) -> Result<(Option<Record>, Outcome)> {
        match request {
            Request::Upserts(batch) => {
                let (changes, outcome) = prepare(&mut self.view, &batch)?;
                let record = (!changes.is_empty()).then_some(Record::Changes(changes));
                Ok((record, outcome))
            }
            Request::Bitmap(upload) => {
                let (changes, outcome) = decide_upload(&mut self.view, &upload)?;
                Ok((Some(Record::Changes(changes)), outcome))
            }
            Request::Schema(asked) => {
                let next = self.view.schema.extended(&asked, self.view.next_one_id > 0)?;
                let record = (next != *self.view.schema).then(|| Record::Schema(schema_to(&next)));
                Ok((record, Outcome::default()))
            }
            Request::Expire => {
                let next = kept_today(&self.view.schema);
                let record = (next != *self.view.schema).then(|| Record::Schema(schema_to(&next)));
                Ok((record, Outcome::default()))
            }
            Request::Erase(one_ids) => {
                let mut live = Vec::new();
                let distinct: std::collections::BTreeSet<OneId> = one_ids.into_iter().collect();
                for one_id in distinct {
                    if self.view.is_live(one_id)? {
                        live.push(one_id.0);
                    }
                }
                let outcome = Outcome { accepted: live.len() as u32, ..Outcome::default() };
                Ok(((!live.is_empty()).then_some(Record::Erase(live)), outcome))
            }
        }
    }

    /// Writes a record; it is durable once the sync thread has had it.
    fn log(&mut self, record: Option<Record>) -> Result<Option<(Record, u64)>> {
        let Some(record) = record else { return Ok(None) };
        let durable = self.shared.durable.load(Ordering::Acquire);
        let seqno = self.log.append(&record.encode(), durable)?;
        self.shared.log_bytes.store(self.log.segment_bytes(), Ordering::Relaxed);
        Ok(Some((record, seqno)))
    }
}

fn run_sync(shared: &Shared, groups: &Receiver<Group>) {
    // Views that were replaced while questions held them: freed here, lest the last question that lets go of one pays.
    let mut replaced: Vec<Arc<View>> = Vec::new();
    loop {
        let longest = if replaced.is_empty() { Duration::MAX } else { REPLACED_TICK };
        let first = match groups.recv_timeout(longest) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                replaced.retain(|view| Arc::strong_count(view) > 1);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut waiting = vec![first];
        waiting.extend(groups.try_iter());
        let Some(last) = waiting.last() else { continue };
        let (view, seqno) = (last.view.clone(), last.seqno);
        let synced = match &last.log {
            _ if shared.stopped_reason().is_some() => Err("writes have stopped".into()),
            None => Err("the log is gone".into()),
            Some(_) if seqno == shared.durable.load(Ordering::Acquire) => Ok(()),
            Some(log) => log.sync_data().map_err(|e| format!("fsync of the log: {e}")),
        };
        match synced {
            Ok(()) => {
                shared.durable.store(seqno, Ordering::Release);
                replaced.push(shared.view.swap(view));
                waiting.into_iter().flat_map(|g| g.replies).for_each(|(reply, outcome)| reply(Ok(outcome)));
                replaced.retain(|view| Arc::strong_count(view) > 1);
            }
            Err(reason) => {
                shared.stop(&reason);
                waiting.into_iter().for_each(|group| fail(group.replies, &reason));
            }
        }
    }
}

fn fail(replies: Vec<(Reply, Outcome)>, reason: &str) {
    replies.into_iter().for_each(|(reply, _)| reply(Err(Error::WritesStopped { reason: reason.into() })));
}

struct Keeper {
    shared: Arc<Shared>,
    manifest: Manifest,
    packs: Packs,
    commands: Sender<Command>,
    options: Options,
    purge_wait: Duration,
}

impl Keeper {
    fn run(&mut self, asked: &Receiver<KeeperCommand>) {
        loop {
            match asked.recv_timeout(KEEPER_TICK) {
                Ok(KeeperCommand::Snapshot(name, answer)) => {
                    let _ = answer.send(self.take(name.as_deref()));
                }
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tick(&mut self) {
        let purge = self.shared.purge.load(Ordering::Acquire);
        self.purge_wait = if purge { self.purge_wait + KEEPER_TICK } else { Duration::ZERO };
        let schema = self.shared.view.load().schema.clone();
        if kept_today(&schema) != *schema && self.shared.stopped_reason().is_none() {
            let reply: Reply = Box::new(|_| {});
            // Without a writer there is nothing to expire.
            let _ = self.commands.send(Command::Write(Request::Expire, reply));
        }
        let long_log = self.shared.log_bytes.load(Ordering::Relaxed) > self.options.log_bytes_max;
        if (long_log || (purge && self.purge_wait > self.options.purge_after)) && self.shared.stopped_reason().is_none()
        {
            let taken = self.take(None);
            if let Ok(mut error) = self.shared.snapshot_error.lock() {
                *error = taken.err().map(|e| e.to_string());
            }
        }
    }

    fn take(&mut self, name: Option<&str>) -> Result<SnapshotInfo> {
        let stopped = || Error::WritesStopped { reason: "the writer has stopped".into() };
        // Before the view is taken: who is erased in between is purged by the next one.
        let purge = self.shared.purge.swap(false, Ordering::AcqRel);
        let (sender, receiver) = bounded(1);
        self.commands.send(Command::Rotate { purge, answer: sender }).map_err(|_| stopped())?;
        let view = receiver.recv().map_err(|_| stopped());
        let taken = view.and_then(|view| self.write(&view?, purge, name));
        if taken.is_err() && purge {
            self.shared.purge.store(true, Ordering::Release);
        }
        taken
    }

    fn write(&mut self, view: &View, purge: bool, name: Option<&str>) -> Result<SnapshotInfo> {
        let dir = &self.shared.dir;
        if view.data_version > self.manifest.data_version || purge {
            let options = SnapshotOptions { purge, ..SnapshotOptions::default() };
            let written = take_snapshot(dir, view, &self.manifest, &self.packs, &options)?;
            let written = Arc::new(written);
            let (sender, receiver) = bounded(1);
            let stopped = || Error::WritesStopped { reason: "the writer has stopped".into() };
            self.commands.send(Command::Install(written.clone(), sender)).map_err(|_| stopped())?;
            receiver.recv().map_err(|_| stopped())?;
            self.manifest = written.manifest.clone();
            self.packs = written.packs.clone();
            let needed = self.manifest.packs();
            self.packs.retain(|number, _| needed.contains(number));
        }
        if let Some(name) = name {
            let kept = Manifest { name: Some(name.into()), ..self.manifest.clone() };
            kept.write(&dir.join(KEPT_DIR), &kept_file_name(name))?;
            return Ok(SnapshotInfo::of(&kept));
        }
        Ok(SnapshotInfo::of(&self.manifest))
    }
}

/// The schema with today's first day of each event that is not kept for ever.
fn kept_today(schema: &Schema) -> Schema {
    let mut next = schema.clone();
    if next.events.iter().any(|event| event.retain_days.is_some()) {
        let today = DayClock::new(&schema.time_zone).day_of(jiff::Timestamp::now().as_second());
        next.events.iter_mut().for_each(|event| event.kept_from = event.first_kept(today));
    }
    next
}

/// Writes a store snapshot of `view`, whose log segment `data_version + 1` exists, makes it current, and removes what
/// is no longer needed: log segments before it, and packs that nobody names.
///
/// # Errors
/// [`Error::Io`], [`Error::Corrupt`]; the previous store snapshot is then still the current one.
pub(crate) fn take_snapshot(
    dir: &Path,
    view: &View,
    previous: &Manifest,
    packs: &Packs,
    options: &SnapshotOptions,
) -> Result<Written> {
    let mut written = snapshot::write_parts(dir, view, previous, packs, options)?;
    if options.purge {
        let left = packs.keys().filter(|n| !written.manifest.packs().contains(n)).copied().collect();
        snapshot::purge_kept(dir, view, &mut written, &left)?;
    }
    written.manifest.write(dir, CURRENT)?;
    log::cut(&dir.join(LOG_DIR), view.data_version)?;
    snapshot::remove_unnamed(dir, &written.manifest)?;
    Ok(written)
}
