//! The keeper: a thread beside the writer that takes store snapshots, keeps states, and removes what nobody needs.
//! Knows when each is due, and in which order files come and go; what is in them is `snapshot`'s and `kept`'s matter.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::civil::Date;

use crate::error::{Error, Result};
use crate::files::list_dir;
use crate::kept::{self, Label, Moment, SnapshotInfo};
use crate::log;
use crate::manifest::{CURRENT, Manifest};
use crate::policy::date_in;
use crate::purge::{purge_kept, remove_unnamed};
use crate::snapshot::{self, Options as SnapshotOptions, PACKS_DIR, Packs, Written};
use crate::store::{Command, LOG_DIR, Options, Reply, Request, Shared, kept_today};
use crate::view::View;

const KEEPER_TICK: Duration = Duration::from_millis(500);

/// What the keeper is asked to do.
pub(crate) enum KeeperCommand {
    Snapshot(Wanted, Sender<Result<SnapshotInfo>>),
    /// Remove what is not needed any more.
    Tidy,
}

/// What is to be taken.
pub(crate) enum Wanted {
    /// A store snapshot, current from then on.
    Parts,
    /// A kept state.
    Kept(Label),
}

/// The keeper's own.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    manifest: Manifest,
    packs: Packs,
    commands: Sender<Command>,
    options: Options,
    purge_wait: Duration,
    /// The day that is not over yet, as far as dated states go.
    day: Option<Date>,
}

impl Keeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        (manifest, packs): (Manifest, Packs),
        commands: Sender<Command>,
        options: Options,
    ) -> Keeper {
        Keeper { shared, manifest, packs, commands, options, purge_wait: Duration::ZERO, day: None }
    }

    pub(crate) fn run(&mut self, asked: &Receiver<KeeperCommand>) {
        let mut is_tidy = false;
        // At once: what is written from now on is of today.
        self.end_day_if_wanted();
        loop {
            match asked.recv_timeout(KEEPER_TICK) {
                Ok(KeeperCommand::Snapshot(wanted, answer)) => {
                    let _ = answer.send(self.take(&wanted));
                }
                Ok(KeeperCommand::Tidy) => self.note(|keeper| keeper.tidy()),
                Err(RecvTimeoutError::Timeout) if !is_tidy => {
                    // A crash may have come before everything was removed; erased people's files among it.
                    is_tidy = true;
                    self.note(|keeper| keeper.tidy());
                }
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tick(&mut self) {
        if self.shared.stopped_reason().is_some() {
            return;
        }
        let purge = self.shared.purge.load(Ordering::Acquire);
        self.purge_wait = if purge { self.purge_wait + KEEPER_TICK } else { Duration::ZERO };
        let schema = self.shared.view().schema.clone();
        if kept_today(&schema, &self.options.clock) != *schema {
            let reply: Reply = Box::new(|_| {});
            // Without a writer there is nothing to expire.
            let _ = self.commands.send(Command::Write(Request::Expire, reply));
        }
        let long_log = self.shared.log_bytes.load(Ordering::Relaxed) > self.options.log_bytes_max;
        if long_log || (purge && self.purge_wait > self.options.purge_after) {
            self.note(|keeper| keeper.take(&Wanted::Parts).map(drop));
        }
        self.end_day_if_wanted();
    }

    fn end_day_if_wanted(&mut self) {
        if !self.options.dated.is_off() {
            self.note(Keeper::end_day);
        }
    }

    fn note(&mut self, work: impl FnOnce(&mut Keeper) -> Result<()>) {
        let failed = work(self).err();
        if let Some(failed) = failed
            && let Ok(mut error) = self.shared.snapshot_error.lock()
        {
            *error = Some(failed.to_string());
        }
    }

    fn note_success(&self) {
        if let Ok(mut error) = self.shared.snapshot_error.lock() {
            *error = None;
        }
    }

    /// At the first tick of a day, and at a start where the last change was on an earlier day: keeps the state at that
    /// day's end, and does without those that the policy does without.
    fn end_day(&mut self) -> Result<()> {
        let Some((ended, today, moment)) = self.mark_if_over()? else { return Ok(()) };
        if moment.profile_count > 0 {
            self.keep_at(&Label::Date(ended), moment)?;
            self.note_success();
        }
        self.day = Some(today);
        self.thin(today)
    }

    /// Which day has ended, if any has; and what it left.
    fn mark_if_over(&mut self) -> Result<Option<(Date, Date, Moment)>> {
        let time_zone = self.shared.view().schema().time_zone.clone();
        let today = self.options.clock.today(&time_zone);
        let day = match self.day {
            Some(day) => day,
            None => self.day_of_last_change(&time_zone).unwrap_or(today).min(today),
        };
        self.day = Some(day);
        if day == today {
            return Ok(None);
        }
        if day > today {
            // The clock was set back.
            self.day = Some(today);
            return Ok(None);
        }
        Ok(Some((day, today, self.mark()?)))
    }

    /// Nothing holds the time of each change, but the last file that was written does. Nothing for an empty space.
    fn day_of_last_change(&self, time_zone: &str) -> Option<Date> {
        let log = log::last_change(&self.shared.dir.join(LOG_DIR));
        let taken = (self.manifest.taken_at > 0).then_some(self.manifest.taken_at);
        let taken = taken.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        log.max(taken).map(|at| date_in(at, time_zone))
    }

    fn thin(&mut self, today: Date) -> Result<()> {
        let kept = Manifest::read_kept(&self.shared.dir)?;
        let dated = kept.iter().filter(|manifest| manifest.name.is_none());
        let dates: BTreeSet<Date> = dated.filter_map(|manifest| manifest.date).collect();
        let dropped = self.options.dated.dropped(&dates, today);
        if dropped.is_empty() {
            return Ok(());
        }
        self.shared.states.changing(|| -> Result<()> {
            for manifest in &kept {
                if manifest.name.is_none() && manifest.date.is_some_and(|date| dropped.contains(&date)) {
                    kept::remove(&self.shared.dir, &manifest.kept_file_name())?;
                }
            }
            Ok(())
        })?;
        self.tidy()
    }

    fn tidy(&mut self) -> Result<()> {
        log::cut(&self.shared.dir.join(LOG_DIR), self.manifest.data_version)?;
        remove_unnamed(&self.shared.dir, &self.manifest)
    }

    fn take(&mut self, wanted: &Wanted) -> Result<SnapshotInfo> {
        match wanted {
            Wanted::Kept(label) => {
                let moment = self.mark()?;
                self.keep_at(label, moment)
            }
            Wanted::Parts => {
                self.take_parts()?;
                self.note_success();
                Ok(SnapshotInfo::of(&self.manifest))
            }
        }
    }

    /// A new log segment: what is before it is durable and closed.
    fn mark(&self) -> Result<Moment> {
        self.ask_writer(Command::Mark)?
    }

    fn ask_writer<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T> {
        let stopped = || Error::WritesStopped { reason: "the writer has stopped".into() };
        let (sender, receiver) = bounded(1);
        self.commands.send(command(sender)).map_err(|_| stopped())?;
        receiver.recv().map_err(|_| stopped())
    }

    fn keep_at(&mut self, label: &Label, moment: Moment) -> Result<SnapshotInfo> {
        let manifest = match kept::without_parts(&self.shared.dir, &self.manifest, moment, label)? {
            Some(manifest) => manifest,
            None => {
                self.take_parts()?;
                self.manifest.clone()
            }
        };
        let manifest = label.put_on(manifest, self.options.clock.now().as_second());
        self.shared.states.changing(|| kept::keep(&self.shared.dir, &manifest))?;
        Ok(SnapshotInfo::of(&manifest))
    }

    fn take_parts(&mut self) -> Result<()> {
        // Before the view is taken: who is erased in between is purged by the next one.
        let purge = self.shared.purge.swap(false, Ordering::AcqRel);
        let view = self.ask_writer(|answer| Command::Rotate { purge, answer });
        let taken = view.and_then(|view| self.write(&view?, purge));
        if taken.is_err() && purge {
            self.shared.purge.store(true, Ordering::Release);
        }
        taken
    }

    fn write(&mut self, view: &View, purge: bool) -> Result<()> {
        if view.data_version == self.manifest.data_version && !purge {
            return Ok(());
        }
        let dir = &self.shared.dir;
        let moment = Moment { data_version: view.data_version, profile_count: view.profile_count };
        let taken_at = self.options.clock.now().as_second();
        self.shared.states.changing(|| kept::keep_tail(dir, &self.manifest, moment, taken_at))?;
        let options = SnapshotOptions { purge, ..SnapshotOptions::default() };
        let written = Arc::new(take_snapshot(dir, view, &self.manifest, &self.packs, &options)?);
        self.ask_writer(|answer| Command::Install(written.clone(), answer))?;
        self.shared.states.share_packs(&written.packs);
        if purge {
            self.shared.states.close_all();
        }
        self.manifest = written.manifest.clone();
        self.packs = written.packs.clone();
        let needed = self.manifest.packs();
        self.packs.retain(|number, _| needed.contains(number));
        Ok(())
    }
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
    let previous = Manifest { next_pack: next_pack(dir, previous)?, ..previous.clone() };
    let mut written = snapshot::write_parts(dir, view, &previous, packs, options)?;
    if options.purge {
        let left = packs.keys().filter(|n| !written.manifest.packs().contains(n)).copied().collect();
        purge_kept(dir, view, &mut written, &left)?;
    }
    written.manifest.write(dir, CURRENT)?;
    log::cut(&dir.join(LOG_DIR), view.data_version)?;
    remove_unnamed(dir, &written.manifest)?;
    Ok(written)
}

/// A number that no pack has: a crash may have left packs that kept manifests name, and the current one does not know.
fn next_pack(dir: &Path, previous: &Manifest) -> Result<u64> {
    let packs = dir.join(PACKS_DIR);
    let names = if packs.is_dir() { list_dir(&packs)? } else { Vec::new() };
    let numbers = names.iter().filter_map(|name| u64::from_str_radix(name.strip_suffix(".pack")?, 16).ok());
    Ok(numbers.map(|number| number + 1).max().unwrap_or(0).max(previous.next_pack))
}
