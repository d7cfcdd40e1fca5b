//! Following a space: every published view in turn, with who was touched on the way to it.
//! Knows records and views; what a follower makes of them is its own matter. Nobody waits for a follower.
//!
//! ```text
//!   writer: record → who it touches ─┐ a group
//!   sync thread: view published ─────┴► Published { after, view, touched } ──► a bounded queue ──► the follower
//! ```
//! Where the queue is full a view takes the place of the last one, with whom both touch: a follower that is far behind
//! sees fewer views, and misses nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::changes::{Changes, FieldChanges, Record};
use crate::store::Store;
use crate::view::View;

/// Published views that wait for a follower; each keeps what has changed since from being freed.
pub const WAITING_MAX: usize = 256;
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
    /// Data version of the view that was published before it.
    pub after: u64,
    /// It.
    pub view: Arc<View>,
    /// Who may differ between the two. A changed schema may mean anybody; a definition or frozen set touches nobody.
    pub touched: Touched,
}

/// Receives what is published until it is dropped.
pub struct Follower(Waker);

/// Wakes a follower.
#[derive(Clone)]
pub struct Waker(Arc<Queue>, Arc<Following>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    published: VecDeque<Published>,
    is_woken: bool,
}

/// The store's side.
#[derive(Default)]
pub(crate) struct Following {
    is_on: AtomicBool,
    queue: Mutex<Option<Arc<Queue>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Some(queue) = &*locked(&self.queue) {
            let mut waiting = locked(&queue.waiting);
            let is_full = waiting.published.len() >= WAITING_MAX;
            match waiting.published.back_mut().filter(|_| is_full) {
                Some(last) => {
                    last.view = view.clone();
                    last.touched.join(touched);
                }
                None => waiting.published.push_back(Published { after, view: view.clone(), touched }),
            }
            queue.news.notify_one();
        }
    }
}

impl Store {
    /// Follows what is published from now on. There is one follower at a time: the one before gets nothing any more.
    pub fn follow(&self) -> (Follower, Waker) {
        let following = self.following().clone();
        let queue = Arc::<Queue>::default();
        *locked(&following.queue) = Some(queue.clone());
        following.is_on.store(true, Ordering::Release);
        let waker = Waker(queue, following);
        (Follower(waker.clone()), waker)
    }
}

impl Follower {
    /// Waits until there is a view, or somebody wakes it; whether there is a view.
    pub fn wait(&self, longest: Duration) -> bool {
        let queue = &self.0.0;
        let is_idle = |waiting: &mut Waiting| waiting.published.is_empty() && !waiting.is_woken;
        let waited = queue.news.wait_timeout_while(locked(&queue.waiting), longest, is_idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.is_woken = false;
        !waiting.published.is_empty()
    }

    /// The views that wait, in order.
    pub fn take(&self) -> VecDeque<Published> {
        std::mem::take(&mut locked(&self.0.0.waiting).published)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Waker(queue, following) = &self.0;
        let mut current = locked(&following.queue);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, queue)) {
            following.is_on.store(false, Ordering::Release);
            *current = None;
        }
    }
}

impl Waker {
    /// Wakes the follower, whatever there is.
    pub fn wake(&self) {
        locked(&self.0.waiting).is_woken = true;
        self.0.news.notify_one();
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
