//! A space on disk: recovery, the single writer, group commit, and store snapshots beside it.
//! Knows the order in which things become durable; what a change means is `prepare`'s and `apply`'s matter.
//!
//! ```text
//!   callers ──► writer thread: decide → log (write) → next view        one batch after the other
//!                    │ groups
//!                    ▼
//!               sync thread: fsync once for all that waits → publish the view → answer
//!
//!   keeper thread (`keeper`): rotate log → write parts → manifest → install mapped leaves → cut log, remove packs
//! ```
//! Readers take the published view with one atomic load and never wait. Nothing is published, and nothing answered,
//! before it is on stable storage. After a failed write or fsync of the log nothing more is accepted until restart.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use jiff::civil::Date;

use crate::apply::{apply, schema_to};
use crate::batch::{Outcome, Upserts};
use crate::changes::Record;
use crate::error::{Error, Result};
use crate::files::create_dir;
use crate::follow::{Following, Touched};
use crate::frozen::{self, Freezing};
use crate::ids::OneId;
pub(crate) use crate::keeper::take_snapshot;
use crate::keeper::{Keeper, KeeperCommand, Wanted};
use crate::kept::{self, Moment, SnapshotInfo};
use crate::log::{self, Log};
use crate::manifest::{CURRENT, KEPT_DIR, Manifest, kept_file_name};
use crate::parallel::{Rank, cores, half_of_cores, stand_back};
use crate::policy::{Clock, DatedPolicy};
use crate::prepare::prepare;
use crate::retire::unused;
use crate::schema::{Schema, SchemaJson};
use crate::snapshot::{self, PACKS_DIR, Packs, Written};
use crate::states::{State, StateError, StateRef, StateWalk, States};
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
    /// Which dated states are kept, and for how long.
    pub dated: DatedPolicy,
    /// What the time is.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            read_only: false,
            log_bytes_max: 128 << 20,
            purge_after: Duration::from_secs(5),
            dated: DatedPolicy::default(),
            clock: Clock::default(),
        }
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
    /// People to erase, all of whoever was joined; those that do not live are passed over, and the outcome's `accepted`
    /// counts the others.
    Erase(Vec<OneId>),
    /// An audience to save, or (without a definition) to let go.
    Audience {
        /// Its name.
        name: String,
        /// As its keeper spells it.
        definition: Option<String>,
    },
    /// An audience's members to freeze as those of a day, or (without any) a frozen set to let go.
    Frozen {
        /// The audience's name.
        audience: String,
        /// The day.
        date: Date,
        /// Its members then.
        members: Option<Freezing>,
    },
    /// A value's people as a bitmap.
    Bitmap(BitmapUpload),
}

/// The view that was the last when it was asked for; cheaper than to count who holds it, for as long as a question takes.
pub type ViewGuard = Guard<Arc<View>>;

/// A space, open.
pub struct Store {
    shared: Arc<Shared>,
    clock: Clock,
    commands: Option<Sender<Command>>,
    keeper: Option<Sender<KeeperCommand>>,
    threads: Vec<JoinHandle<()>>,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    view: ArcSwap<View>,
    stopped: Mutex<Option<String>>,
    durable: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) purge: AtomicBool,
    pub(crate) snapshot_error: Mutex<Option<String>>,
    pub(crate) states: States,
    following: Arc<Following>,
}

pub(crate) enum Command {
    Write(Request, Reply),
    /// A new log segment, and what is before it.
    Mark(Sender<Result<Moment>>),
    /// A new log segment, and the view before it; for a purge, unused values are retired first.
    Rotate {
        purge: bool,
        answer: Sender<Result<View>>,
    },
    Install(Arc<Written>, Sender<()>),
}

struct Group {
    view: Arc<View>,
    log: Option<File>,
    seqno: u64,
    touched: Touched,
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
            states: States::default(),
            following: Arc::default(),
        });
        shared.states.share_packs(&recovery.packs);
        let mut store =
            Store { shared, clock: options.clock.clone(), commands: None, keeper: None, threads: Vec::new() };
        if !options.read_only {
            store.start(recovery, options)?;
        }
        Ok(store)
    }

    fn start(&mut self, recovery: Recovery, options: &Options) -> Result<()> {
        let Recovery { manifest, packs, view, log, .. } = recovery;
        let log_bytes = log.log_bytes;
        let log = Log::open(&self.shared.dir.join(LOG_DIR), &log, view.data_version + 1)?;
        // What the log holds was read back, but the last fsync may not have been reached before the crash.
        log.sync_handle()?.sync_all().map_err(|e| Error::io("syncing", log.path(), &e))?;
        let (commands, from_callers) = bounded(WAITING_MAX);
        let (groups, from_writer) = bounded(4);
        let (keeper, to_keeper) = unbounded();
        let closed_bytes = log_bytes.saturating_sub(log.segment_bytes());
        let clock = options.clock.clone();
        let mut writer =
            Writer { shared: self.shared.clone(), clock, view, log, closed_bytes, touched: Touched::default(), groups };
        let mut keeper_state = Keeper::new(self.shared.clone(), (manifest, packs), commands.clone(), options.clone());
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

    /// The last published view. Those who keep it take it out of its guard.
    pub fn view(&self) -> ViewGuard {
        self.shared.view.load()
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

    /// Takes a store snapshot now, all of it in parts; under a name it is kept until it is deleted, and lies on older
    /// parts where that is less.
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
        self.ask_keeper(name.map_or(Wanted::Parts, |name| Wanted::Kept(kept::Label::Name(name.into()))))
    }

    /// Keeps the present as the state at the end of a day, instead of what was kept as that before.
    ///
    /// # Errors
    /// [`Error::Refused`] for a day that is yet to come, [`Error::Io`], [`Error::Corrupt`].
    pub fn snapshot_dated(&self, date: Date) -> Result<SnapshotInfo> {
        let today = self.today();
        if date > today {
            let reason = format!("{date} is yet to come; it is {today}");
            return Err(Error::Refused { code: "future_date", reason });
        }
        self.ask_keeper(Wanted::Kept(kept::Label::Date(date)))
    }

    fn ask_keeper(&self, wanted: Wanted) -> Result<SnapshotInfo> {
        let Some(keeper) = &self.keeper else { return Err(Error::ReadOnly) };
        let (sender, receiver) = bounded(1);
        let stopped = || Error::WritesStopped { reason: "the keeper has stopped".into() };
        keeper.send(KeeperCommand::Snapshot(wanted, sender)).map_err(|_| stopped())?;
        receiver.recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// What the time is.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Today in the space's zone.
    pub fn today(&self) -> Date {
        self.clock.today(&self.view().schema.time_zone)
    }

    /// An earlier state by date or name: of a date the latest dated one up to it; of today, where it has none of its
    /// own yet, the present. Microseconds where it is open, else the time to read what came after its parts.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn state(&self, wanted: &StateRef) -> Result<State, StateError> {
        self.shared.states.get(&self.shared.dir, wanted, self.today(), || self.shared.view())
    }

    /// Goes through the states of days, one after the other.
    pub fn walk_states(&self) -> StateWalk<'_> {
        StateWalk::new(&self.shared.states, &self.shared.dir, || self.shared.view())
    }

    /// The days whose states are kept, ascending.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`].
    pub fn state_days(&self) -> Result<Vec<Date>> {
        self.shared.states.days(&self.shared.dir)
    }

    /// Changes whenever an earlier state may be another than before.
    pub fn state_changes(&self) -> u64 {
        self.shared.states.changes()
    }

    /// The current store snapshot and the kept ones, newest first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`].
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let mut all = Manifest::read_kept(&self.shared.dir)?;
        all.retain(|m| !m.is_tail());
        let current = Manifest::read(&self.shared.dir.join(CURRENT))?;
        if current.data_version > 0 && !all.iter().any(|m| m.upto() == current.data_version) {
            all.push(current);
        }
        all.sort_by_key(|m| std::cmp::Reverse((m.upto(), m.date)));
        Ok(all.iter().map(SnapshotInfo::of).collect())
    }

    /// Deletes a named store snapshot. Its files go soon after.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is none of that name, [`Error::Io`].
    pub fn delete_snapshot(&self, name: &str) -> Result<()> {
        let Some(keeper) = &self.keeper else { return Err(Error::ReadOnly) };
        let file_name = kept_file_name(name);
        if !self.shared.states.changing(|| kept::remove(&self.shared.dir, &file_name))? {
            let reason = format!("there is no store snapshot named `{name}`");
            return Err(Error::Refused { code: "unknown_snapshot", reason });
        }
        // Where it has stopped, the next one tidies up.
        let _ = keeper.send(KeeperCommand::Tidy);
        Ok(())
    }

    pub(crate) fn following(&self) -> &Arc<Following> {
        &self.shared.following
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
        // Whoever holds the store last may be a reply that the sync thread is just giving: it goes on to its end alone.
        let own = std::thread::current().id();
        for thread in self.threads.drain(..).rev().filter(|thread| thread.thread().id() != own) {
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
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    pub(crate) fn stopped_reason(&self) -> Option<String> {
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
    clock: Clock,
    /// Ahead of the published view by what is not durable yet.
    view: View,
    log: Log,
    /// Bytes of the log's segments before the present one.
    closed_bytes: u64,
    /// Whom the group under way touches.
    touched: Touched,
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
            Command::Mark(answer) => {
                let (data_version, profile_count) = (self.view.data_version, self.view.profile_count);
                let marked = self.shared.check_running().and_then(|()| self.rotate());
                let _ = answer.send(marked.map(|()| Moment { data_version, profile_count }));
            }
            Command::Install(written, answer) => {
                written.install(&mut self.view);
                let _ = answer.send(());
                self.count_log();
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
        let (view, touched) = (Arc::new(self.view.clone()), std::mem::take(&mut self.touched));
        let group = Group { view, log, seqno: self.log.last_seqno(), touched, replies };
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
        self.log.rotate().inspect_err(|error| self.shared.stop(&error.to_string()))?;
        self.count_log();
        Ok(())
    }

    fn count_log(&mut self) {
        let log_bytes = log::bytes_on_disk(&self.shared.dir.join(LOG_DIR)).unwrap_or(0);
        self.closed_bytes = log_bytes.saturating_sub(self.log.segment_bytes());
        self.shared.log_bytes.store(log_bytes, Ordering::Relaxed);
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
            self.touched.join(self.shared.following.touched_by(&record));
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
                let (changes, outcome) = prepare(&mut self.view, &batch, &self.clock)?;
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
            Request::Audience { name, definition } => {
                let stands = self.view.audiences.get(&name).map(|text| &**text);
                let is_news = stands != definition.as_deref();
                Ok((is_news.then_some(Record::Audience { name, definition }), Outcome::default()))
            }
            Request::Frozen { audience, date, members } => {
                let now = self.clock.now().as_second();
                let decide = |members| frozen::decide(&self.view, members, now);
                let is_news = members.is_some() || self.view.frozen.contains_key(&(audience.as_str().into(), date));
                let frozen = members.map(decide).transpose()?;
                Ok((is_news.then_some(Record::Frozen { audience, date, frozen }), Outcome::default()))
            }
            Request::Expire => {
                let next = kept_today(&self.view.schema, &self.clock);
                let record = (next != *self.view.schema).then(|| Record::Schema(schema_to(&next)));
                Ok((record, Outcome::default()))
            }
            Request::Erase(one_ids) => {
                let mut live = BTreeSet::new();
                for one_id in one_ids {
                    // Who was found a moment ago may have been joined to somebody since.
                    live.extend(self.view.lives_as(one_id)?.map(|OneId(one_id)| one_id));
                }
                let live: Vec<u32> = live.into_iter().collect();
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
        self.shared.log_bytes.store(self.closed_bytes + self.log.segment_bytes(), Ordering::Relaxed);
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
        let mut touched = Touched::default();
        waiting.iter_mut().for_each(|group| touched.join(std::mem::take(&mut group.touched)));
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
                let before = shared.view.swap(view.clone());
                if before.data_version < view.data_version {
                    shared.following.publish(before.data_version, &view, touched);
                }
                replaced.push(before);
                drop(view);
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

/// The schema with today's first day of each event that is not kept for ever.
pub(crate) fn kept_today(schema: &Schema, clock: &Clock) -> Schema {
    let mut next = schema.clone();
    if next.events.iter().any(|event| event.retain_days.is_some()) {
        let today = DayClock::new(&schema.time_zone).day_of(clock.now().as_second());
        next.events.iter_mut().for_each(|event| event.kept_from = event.first_kept(today));
    }
    next
}
