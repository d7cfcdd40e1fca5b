//! A watched audience: who entered and left it, step by step, on a shelf of bounded length that readers read from.
//! Knows steps and readers; what puts them there is `watch`'s matter.
//!
//! ```text
//!   steps   #0 #1 … gone │ #k … #n-1 held │ #n next          a cursor is the run and a number: what came before is known
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Error;

/// Changes of an audience that are held for those who come back. The last step is held whatever its size.
pub const CHANGES_HELD_MAX: usize = 1 << 18;

/// One person, entering or leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub one_id: u32,
    /// Entered, or left.
    pub entered: bool,
}

/// The changes between two data versions, ascending by OneID.
#[derive(Debug)]
struct Step {
    /// Number of its first change.
    first: u64,
    data_version: u64,
    at: Timestamp,
    changes: Vec<Change>,
}

/// A change as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Number of the change after it, within the run.
    pub next: u64,
    /// The first data version at which it was so.
    pub data_version: u64,
    /// When that was seen.
    pub at: Timestamp,
    /// Who, and which way.
    pub change: Change,
}

/// What a reader gets.
#[derive(Debug, Clone)]
pub struct Page {
    /// In order.
    pub told: Vec<Told>,
    /// Number of the change to go on from.
    pub next: u64,
    /// Whether there is more already.
    pub has_more: bool,
    /// Data version up to which everything was told, if there is no more.
    pub data_version: u64,
    /// Members at that data version.
    pub count: u64,
}

/// Why nothing can be read.
#[derive(Debug, Clone)]
pub enum Unread {
    /// It begins before what is held; the number that can be asked from.
    Gone { first: u64 },
    /// Nobody watches any more, and why.
    Ended(Ended),
}

/// Why nobody watches any more.
#[derive(Debug, Clone)]
pub enum Ended {
    /// The audience was deleted.
    Deleted,
    /// Nobody asked for long, or the server stops.
    Stopped,
    /// It cannot be asked any more.
    Failed(Box<Error>),
}

/// How far somebody has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Of the people.
    pub data_version: u64,
    /// How often an earlier state had become another one.
    pub state_changes: u64,
}

/// A watched audience.
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Tells the cursors of one time of watching from those of another.
    pub run: u64,
    shelf: Mutex<Shelf>,
    looked: Condvar,
}

struct Shelf {
    steps: VecDeque<Arc<Step>>,
    held: usize,
    next: u64,
    data_version: u64,
    /// Of the earlier states, as they were looked at.
    state_changes: u64,
    count: u64,
    /// Whether steps were put there since readers were told.
    has_news: bool,
    ended: Option<Ended>,
    asked_at: Instant,
    listeners: Vec<(u64, Box<dyn Fn() + Send>)>,
    listener_next: u64,
}

impl Watched {
    pub(super) fn new(name: &str, run: u64, seen: Seen, count: u64) -> Watched {
        let shelf = Shelf {
            steps: VecDeque::new(),
            held: 0,
            next: 0,
            data_version: seen.data_version,
            state_changes: seen.state_changes,
            count,
            has_news: false,
            ended: None,
            asked_at: Instant::now(),
            listeners: Vec::new(),
            listener_next: 0,
        };
        Watched { name: name.into(), run, shelf: Mutex::new(shelf), looked: Condvar::new() }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a step on the shelf.
    pub(super) fn push(&self, data_version: u64, at: Timestamp, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut shelf = self.shelf();
        shelf.held += changes.len();
        shelf.has_news = true;
        let first = shelf.next;
        shelf.next += changes.len() as u64;
        shelf.steps.push_back(Arc::new(Step { first, data_version, at, changes }));
        while shelf.held > CHANGES_HELD_MAX && shelf.steps.len() > 1 {
            let gone = shelf.steps.pop_front().map_or(0, |step| step.changes.len());
            shelf.held -= gone;
        }
    }

    /// All changes up to what was seen are on the shelf: readers are told.
    pub(super) fn looked_at(&self, seen: Seen, count: u64) {
        let mut shelf = self.shelf();
        shelf.data_version = seen.data_version;
        (shelf.state_changes, shelf.count) = (seen.state_changes, count);
        if std::mem::take(&mut shelf.has_news) {
            shelf.listeners.iter().for_each(|(_, listener)| listener());
        }
        drop(shelf);
        self.looked.notify_all();
    }

    /// Nobody watches from now on.
    pub(super) fn end(&self, why: Ended) {
        let mut shelf = self.shelf();
        shelf.ended.get_or_insert(why);
        shelf.listeners.iter().for_each(|(_, listener)| listener());
        drop(shelf);
        self.looked.notify_all();
    }

    pub(super) fn is_ended(&self) -> bool {
        self.shelf().ended.is_some()
    }

    /// Whether nobody has asked for so long, and nobody listens.
    pub(super) fn is_idle(&self, longest: Duration) -> bool {
        let shelf = self.shelf();
        shelf.listeners.is_empty() && shelf.asked_at.elapsed() > longest
    }

    /// Number of the next change, and of the first that is held.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let shelf = self.shelf();
        (shelf.next, shelf.steps.front().map_or(shelf.next, |step| step.first))
    }

    /// Waits until the changes up to something are told, or for the longest time.
    pub fn wait_for(&self, seen: Seen, longest: Duration) {
        let shelf = self.shelf();
        let is_behind = |shelf: &mut Shelf| {
            let lacks = shelf.data_version < seen.data_version || shelf.state_changes < seen.state_changes;
            lacks && shelf.ended.is_none()
        };
        drop(self.looked.wait_timeout_while(shelf, longest, is_behind));
    }

    /// Reads on from a change.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(&self, from: u64, limit: usize) -> Result<Page, Unread> {
        let mut shelf = self.shelf();
        shelf.asked_at = Instant::now();
        let first = shelf.steps.front().map_or(shelf.next, |step| step.first);
        if from < first || from > shelf.next {
            return Err(Unread::Gone { first });
        }
        if from == shelf.next
            && let Some(ended) = &shelf.ended
        {
            return Err(Unread::Ended(ended.clone()));
        }
        let at = shelf.steps.partition_point(|step| step.first + step.changes.len() as u64 <= from);
        let steps: Vec<Arc<Step>> = shelf.steps.iter().skip(at).take(limit).cloned().collect();
        let (end, data_version, count) = (shelf.next, shelf.data_version, shelf.count);
        // A step may be long: it is spelled out while others read.
        drop(shelf);
        let mut told = Vec::new();
        for step in steps {
            let skip = from.saturating_sub(step.first) as usize;
            let rest = step.changes.iter().enumerate().skip(skip).take(limit - told.len());
            told.extend(rest.map(|(nth, change)| Told {
                next: step.first + nth as u64 + 1,
                data_version: step.data_version,
                at: step.at,
                change: *change,
            }));
        }
        let next = told.last().map_or(from, |last| last.next);
        Ok(Page { told, next, has_more: next < end, data_version, count })
    }

    /// Calls somebody whenever there is something to read, until the subscription is dropped. Not with the shelf in hand.
    pub fn subscribe(self: &Arc<Self>, listener: impl Fn() + Send + 'static) -> Subscription {
        let mut shelf = self.shelf();
        let number = shelf.listener_next;
        shelf.listener_next += 1;
        shelf.listeners.push((number, Box::new(listener)));
        drop(shelf);
        Subscription { watched: self.clone(), number }
    }
}

/// Somebody who is called.
pub struct Subscription {
    watched: Arc<Watched>,
    number: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut shelf = self.watched.shelf();
        shelf.asked_at = Instant::now();
        shelf.listeners.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(range: std::ops::Range<u32>) -> Vec<Change> {
        range.map(|one_id| Change { one_id, entered: one_id % 2 == 0 }).collect()
    }

    fn ids(page: &Page) -> Vec<u32> {
        page.told.iter().map(|told| told.change.one_id).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was_and_is_told_what_is_gone() {
        let seen = |data_version| Seen { data_version, state_changes: 0 };
        let watched = Watched::new("vip", 7, seen(3), 10);
        watched.push(4, Timestamp::UNIX_EPOCH, changes(0..5));
        watched.push(5, Timestamp::UNIX_EPOCH, changes(10..13));
        watched.push(6, Timestamp::UNIX_EPOCH, Vec::new());
        watched.looked_at(seen(6), 11);
        let page = watched.read(0, 3).unwrap();
        assert_eq!((ids(&page), page.next, page.has_more), (vec![0, 1, 2], 3, true));
        let page = watched.read(page.next, 4).unwrap();
        assert_eq!((ids(&page), page.next, page.has_more), (vec![3, 4, 10, 11], 7, true));
        assert_eq!((page.told[1].data_version, page.told[2].data_version), (4, 5));
        let page = watched.read(page.next, 4).unwrap();
        assert_eq!((ids(&page), page.next, page.has_more, page.data_version), (vec![12], 8, false, 6));
        let page = watched.read(8, 4).unwrap();
        assert_eq!((ids(&page), page.next, page.count), (vec![], 8, 11));
        assert!(matches!(watched.read(9, 4), Err(Unread::Gone { first: 0 })), "nothing was ever there");
        // The oldest steps go, the last one never.
        watched.push(7, Timestamp::UNIX_EPOCH, changes(0..CHANGES_HELD_MAX as u32 - 3));
        assert!(matches!(watched.read(4, 1), Err(Unread::Gone { first: 5 })));
        assert_eq!(ids(&watched.read(5, 1).unwrap()), [10]);
        watched.push(8, Timestamp::UNIX_EPOCH, changes(0..CHANGES_HELD_MAX as u32 + 9));
        let (next, first) = watched.bounds();
        assert_eq!(next - first, CHANGES_HELD_MAX as u64 + 9);
        // What was told before the end can still be read.
        watched.end(Ended::Deleted);
        assert_eq!(watched.read(next - 1, 5).unwrap().told.len(), 1);
        assert!(matches!(watched.read(next, 5), Err(Unread::Ended(Ended::Deleted))));
    }
}
