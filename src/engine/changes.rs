//! Changes of an audience as they are asked for: from a cursor on, from a snapshot on, or from now on.
//! Knows cursors and identities; who entered and left comes from `watched`.
//!
//! ```text
//!   cursor = <time of watching, in hex>-<number of the next change>
//! ```
//! A cursor of another time of watching (before a restart, or after nobody asked for long) is not answered by guessing
//! what it missed: it is gone, and a snapshot's day is what to ask from.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use roaring::RoaringBitmap;
use storage::{IdTypeId, OneId};

use super::frozen::{frozen_of, no_snapshot};
use super::watch::Members;
use super::watched::{Change, Ended, Page, Seen, Subscription, Told, Unread, Watched};
use super::{Error, Result, Space};
use crate::query::bind::request_fault;

/// How long a reader waits for what was acknowledged before he asked.
const CATCH_UP: Duration = Duration::from_secs(2);

/// From where changes are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// From now on.
    Now,
    /// From a cursor on.
    Cursor {
        /// The time of watching.
        run: u64,
        /// Number of the next change.
        next: u64,
    },
    /// From the snapshot of a day on: at first who is a member now and was none then, and the other way round.
    Snapshot(Date),
}

impl Since {
    /// Reads a cursor or a date.
    ///
    /// # Errors
    /// What is neither.
    pub fn parse(text: &str) -> Result<Since> {
        if let Ok(date) = queryparser::parse_date(text) {
            return Ok(Since::Snapshot(date));
        }
        let parts =
            text.split_once('-').and_then(|(run, next)| Some((u64::from_str_radix(run, 16).ok()?, next.parse().ok()?)));
        let Some((run, next)) = parts else {
            let message = "`since` is a cursor that was given out, or the day of a snapshot".to_string();
            return Err(Error::Request { code: "bad_cursor", message, hint: None });
        };
        Ok(Since::Cursor { run, next })
    }
}

/// One change, spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where to go on from after it; none within what a snapshot differs by.
    pub cursor: Option<String>,
    /// The first data version at which it was so.
    pub data_version: u64,
    /// When that was seen.
    pub at: Timestamp,
    /// Who.
    pub one_id: u32,
    /// Entered, or left.
    pub entered: bool,
    /// The first identity of each type that was asked for; none of those who have none, as of people erased since.
    pub ids: Vec<(String, String)>,
}

/// Some changes.
#[derive(Debug, Clone)]
pub struct Lines {
    /// In order.
    pub lines: Vec<Line>,
    /// Where to go on from.
    pub cursor: Option<String>,
    /// Whether there is more already.
    pub has_more: bool,
    /// Data version up to which everything was told, if there is no more.
    pub data_version: u64,
    /// Members at that data version.
    pub count: u64,
}

/// Reads changes on and on.
pub struct Changes {
    space: Arc<Space>,
    watched: Arc<Watched>,
    next: u64,
    /// What a snapshot differs by, while it is still to be told.
    first: Option<Difference>,
    id_types: Vec<(String, IdTypeId)>,
}

/// Who entered and left since a snapshot.
struct Difference {
    both: RoaringBitmap,
    entered: RoaringBitmap,
    /// The OneID to go on from.
    from: u32,
    data_version: u64,
    at: Timestamp,
}

impl Space {
    /// Changes of an audience, which is watched from now on.
    ///
    /// # Errors
    /// An unknown audience, snapshot or id type; a definition that cannot be asked; too many that are watched; a cursor
    /// whose changes are not held any more.
    pub fn changes(self: &Arc<Space>, name: &str, since: &Since, ids: &[String]) -> Result<Changes> {
        let id_types = self.named_id_types(ids)?;
        let watched = self.watched(name)?;
        watched.wait_for(self.seen(), CATCH_UP);
        let (present, first_held) = watched.bounds();
        let mut changes = Changes { space: self.clone(), watched, next: present, first: None, id_types };
        match since {
            Since::Now => {}
            Since::Cursor { run, next } if *run != changes.watched.run => {
                return Err(self.gone(name, &changes.cursor(*next), None));
            }
            Since::Cursor { next, .. } if (first_held..=present).contains(next) => changes.next = *next,
            Since::Cursor { next, .. } => {
                return Err(self.gone(name, &changes.cursor(*next), Some(changes.cursor(first_held))));
            }
            Since::Snapshot(date) => self.difference(name, *date, &mut changes)?,
        }
        Ok(changes)
    }

    fn seen(&self) -> Seen {
        Seen { data_version: self.store.view().data_version(), state_changes: self.store.state_changes() }
    }

    fn named_id_types(&self, ids: &[String]) -> Result<Vec<(String, IdTypeId)>> {
        let view = self.store.view();
        let named = ids.iter().map(|name| {
            let found = view.schema().id_type(name).map(|id_type| (name.clone(), id_type));
            found.ok_or_else(|| {
                let names = &view.schema().id_types;
                let hint = queryparser::nearest(name, names.iter().map(String::as_str));
                let hint = hint.map(|near| format!("did you mean `{near}`?"));
                request_fault("unknown_id_type", "/ids", format!("there is no id type `{name}`"), hint).into()
            })
        });
        named.collect()
    }

    /// What the present members differ by from those of a snapshot, of those who live.
    fn difference(&self, name: &str, date: Date, changes: &mut Changes) -> Result<()> {
        let Members { ids, next, view } = self.watched_members(name)?;
        let lookup = self.lookup(&view);
        let frozen = view.frozen().get(&(name.into(), date)).ok_or_else(|| no_snapshot(&lookup, name, date))?;
        let then: RoaringBitmap = frozen.members()? & storage::frozen::living(&view)?;
        let (at, data_version) = (self.store.now(), view.data_version());
        let both = &ids ^ &then;
        changes.first = (!both.is_empty()).then_some(Difference { both, entered: ids, from: 0, data_version, at });
        changes.next = next;
        Ok(())
    }

    fn gone(&self, name: &str, cursor: &str, from: Option<String>) -> Error {
        let view = self.store.view();
        let message = match from {
            Some(from) => format!("changes since {cursor} are not held any more; those since {from} are"),
            None => format!("changes since {cursor} are not held: the audience was not watched all the time since"),
        };
        let last = frozen_of(view.frozen(), name).next_back();
        let hint = match last {
            Some((date, _)) => format!("ask since={date}, its last snapshot; or without `since`, from now on"),
            None => "ask without `since`, from now on; freeze it now and then, to ask since a snapshot".into(),
        };
        Error::Request { code: "changes_gone", message, hint: Some(hint) }
    }
}

impl Changes {
    fn cursor(&self, next: u64) -> String {
        format!("{:x}-{next}", self.watched.run)
    }

    /// Where to go on from; none while what a snapshot differs by is still being told.
    pub fn position(&self) -> Option<String> {
        self.first.is_none().then(|| self.cursor(self.next))
    }

    /// Calls somebody whenever there is more to read.
    pub fn subscribe(&self, listener: impl Fn() + Send + 'static) -> Subscription {
        self.watched.subscribe(listener)
    }

    /// Waits for what was acknowledged so far.
    pub fn catch_up(&self) {
        self.watched.wait_for(self.space.seen(), CATCH_UP);
    }

    /// The next changes; none where there are none yet.
    ///
    /// # Errors
    /// `changes_gone` where the reader was too slow; the end of the watching, and why.
    pub fn read(&mut self, limit: usize) -> Result<Lines> {
        if let Some(difference) = self.first.take() {
            return self.read_first(difference, limit);
        }
        let Page { told, next, has_more, data_version, count } =
            self.watched.read(self.next, limit).map_err(|unread| self.unread(unread))?;
        let lines = told.iter().map(|told| {
            let Told { next, data_version, at, change } = *told;
            self.line(Some(self.cursor(next)), data_version, at, change)
        });
        let lines = lines.collect::<Result<Vec<_>>>()?;
        self.next = next;
        Ok(Lines { lines, cursor: self.position(), has_more, data_version, count })
    }

    fn read_first(&mut self, mut difference: Difference, limit: usize) -> Result<Lines> {
        let Difference { from, data_version, at, .. } = difference;
        let some: Vec<u32> = difference.both.range(from..).take(limit).collect();
        let lines = some.iter().map(|one_id| {
            let change = Change { one_id: *one_id, entered: difference.entered.contains(*one_id) };
            self.line(None, data_version, at, change)
        });
        let lines = lines.collect::<Result<Vec<_>>>()?;
        let last = some.last().copied();
        if difference.both.max() != last
            && let Some(next) = last.and_then(|last| last.checked_add(1))
        {
            difference.from = next;
            self.first = Some(difference);
        }
        let Page { has_more, data_version, count, .. } =
            self.watched.read(self.next, 0).map_err(|unread| self.unread(unread))?;
        let has_more = has_more || self.first.is_some();
        Ok(Lines { lines, cursor: self.position(), has_more, data_version, count })
    }

    fn line(&self, cursor: Option<String>, data_version: u64, at: Timestamp, change: Change) -> Result<Line> {
        let Change { one_id, entered } = change;
        let mut ids = Vec::with_capacity(self.id_types.len());
        if !self.id_types.is_empty() {
            let view = self.space.store.view();
            for (name, id_type) in &self.id_types {
                if let Some(first) = view.keys_of(*id_type, OneId(one_id))?.to_texts().into_iter().next() {
                    ids.push((name.clone(), first));
                }
            }
        }
        Ok(Line { cursor, data_version, at, one_id, entered, ids })
    }

    fn unread(&self, unread: Unread) -> Error {
        match unread {
            Unread::Gone { first } => {
                self.space.gone(&self.watched.name, &self.cursor(self.next), Some(self.cursor(first)))
            }
            Unread::Ended(Ended::Failed(error)) => *error,
            Unread::Ended(Ended::Deleted) => {
                Error::UnknownAudience { name: self.watched.name.clone(), hint: Some("it was deleted".into()) }
            }
            Unread::Ended(Ended::Stopped) => {
                let message = "the audience is not watched any more".to_string();
                Error::Request { code: "watching_stopped", message, hint: Some("ask again".into()) }
            }
        }
    }
}
