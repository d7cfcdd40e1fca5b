//! Following a space: every published view in turn, with who was touched on the way to it.
//! Knows records and views; what a follower makes of them is its own matter. Nobody waits for a follower.
//!
//! ```text
//!   writer: record → who it touches ─┐ a group
//!   sync thread: view published ─────┴► Published { after, view, touched } ──► a bounded queue ──► the follower
//! ```
//! Where the queue is full a view is left out: the next one's `after` is then beyond what the follower has seen, and it
//! has to look at everyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::changes::{Changes, FieldChanges, Record};
use crate::store::Store;
use crate::view::View;

/// Published views that wait for a follower; each keeps what has changed since from being freed.
const WAITING_MAX: usize = 256;
/// Beyond so many it is as good as everyone.
const TOUCHED_MAX: usize = 1 << 20;

/// Who may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// These, ascending, each once.
    Some(Vec<u32>),
    /// Anybody.
    Everyone,
}

impl Default for Touched {
    fn default() -> Self {
        Touched::Some(Vec::new())
    }
}

impl Touched {
    /// These and those.
    pub(crate) fn join(&mut self, other: Touched) {
        match (&mut *self, other) {
            (Touched::Some(ids), Touched::Some(more)) => {
                ids.extend(more);
                ids.sort_unstable();
                ids.dedup();
                if ids.len() > TOUCHED_MAX {
                    *self = Touched::Everyone;
                }
            }
            _ => *self = Touched::Everyone,
        }
    }
}

/// A view that was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// Data version of the view before it.
    pub after: u64,
    /// It.
    pub view: Arc<View>,
    /// Who may differ between the two. A changed schema may mean anybody; a definition or frozen set touches nobody.
    pub touched: Touched,
}

/// What a follower was woken by.
#[derive(Debug)]
pub enum Next {
    /// A view.
    Published(Published),
    /// Somebody woke it, or the time is over.
    Nothing,
}

/// Receives what is published until it is dropped.
pub struct Follower {
    queue: Receiver<Option<Published>>,
    following: Arc<Following>,
}

/// Wakes a follower.
#[derive(Clone)]
pub struct Waker(Sender<Option<Published>>);

/// The store's side.
#[derive(Default)]
pub(crate) struct Following {
    is_on: AtomicBool,
    queue: Mutex<Option<Sender<Option<Published>>>>,
}

impl Following {
    /// Who a record touches; while nobody follows, that is not looked at.
    pub(crate) fn touched_by(&self, record: &Record) -> Touched {
        if self.is_on.load(Ordering::Acquire) { touched_by(record) } else { Touched::Everyone }
    }

    /// Tells of a view.
    pub(crate) fn publish(&self, after: u64, view: &Arc<View>, touched: Touched) {
        if !self.is_on.load(Ordering::Acquire) {
            return;
        }
        if let Some(queue) = &*self.queue.lock().unwrap_or_else(PoisonError::into_inner) {
            // Full: the gap is seen.
            let _ = queue.try_send(Some(Published { after, view: view.clone(), touched }));
        }
    }
}

impl Store {
    /// Follows what is published from now on. There is one follower at a time: the one before gets nothing any more.
    pub fn follow(&self) -> (Follower, Waker) {
        let (sender, receiver) = bounded(WAITING_MAX);
        let following = self.following().clone();
        *following.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
        following.is_on.store(true, Ordering::Release);
        (Follower { queue: receiver, following }, Waker(sender))
    }
}

impl Follower {
    /// Waits for the next view, or to be woken.
    pub fn next(&self, longest: Duration) -> Next {
        match self.queue.recv_timeout(longest) {
            Ok(Some(published)) => Next::Published(published),
            Ok(None) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Next::Nothing,
        }
    }

    /// The views that wait.
    pub fn waiting(&self) -> impl Iterator<Item = Published> {
        self.queue.try_iter().flatten()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.following.is_on.store(false, Ordering::Release);
        *self.following.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Waker {
    /// Wakes it; one that has views waiting is awake.
    pub fn wake(&self) {
        let _ = self.0.try_send(None);
    }
}

fn touched_by(record: &Record) -> Touched {
    match record {
        Record::Schema(_) => Touched::Everyone,
        Record::Audience { .. } | Record::Frozen { .. } | Record::Retire(_) => Touched::default(),
        Record::Erase(one_ids) => sorted(one_ids.clone()),
        Record::Changes(changes) => touched_by_changes(changes),
    }
}

fn touched_by_changes(changes: &Changes) -> Touched {
    let mut ids = changes.created.clone();
    ids.extend(changes.joins.iter().flat_map(|join| [join.retired, join.survivor]));
    ids.extend(changes.identities.iter().map(|(_, one_id, _)| one_id));
    for (_, of_tag) in &changes.tags {
        match of_tag {
            FieldChanges::Codes(all) => ids.extend(all.iter().map(|(one_id, _)| *one_id)),
            FieldChanges::Sets { changes, .. } => ids.extend(changes.iter().map(|(one_id, ..)| *one_id)),
        }
    }
    changes.events.iter().for_each(|(_, events)| ids.extend_from_slice(&events.one_ids));
    sorted(ids)
}

fn sorted(ids: Vec<u32>) -> Touched {
    let mut touched = Touched::default();
    touched.join(Touched::Some(ids));
    touched
}
