//! Watching: one thread a space that looks at what was published, and tells who entered and left watched audiences.
//! Knows memberships and who was touched; how changes are kept and read is `watched`'s matter.
//!
//! ```text
//!   store: published views, whom they touch ──► thread: each audience, of the touched alone ──► held members ──► shelf
//! ```
//! Views that touch different people are looked at together: what somebody is in the last of them is what he became in
//! the one that touched him. Whoever is touched twice is looked at twice, so that nobody comes and goes unseen between
//! two views that anyone could ask; only where very much waits is more of it looked at together. Everyone is looked at where anybody may have changed: at a new day, a new schema, a
//! changed definition, or after very large writes; and for audiences that depend on others than the person at hand. Earlier states are looked back at anew where they have changed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use roaring::RoaringBitmap;
use storage::follow::{Follower, Published, Touched, Waker};
use storage::parallel::{Rank, stand_back};
use storage::{View, ViewGuard};

use super::ask::parse_limited;
use super::audiences::{Lookup, MembersMemory};
use super::watched::{Change, Ended, Seen, Watched};
use super::{Error, Question, Result, Space, Where};
use crate::query::Binder;
use crate::query::audiences::{looks_at_all, looks_back};
use crate::query::bind::{day_from, request_fault};
use crate::query::frozen::snapshots_used_by;
use crate::query::plan::{IdSet, Node};
use crate::query::totals::collect;

/// Most audiences of a space that are watched at a time.
pub const WATCHED_MAX: usize = 256;
/// An audience that nobody asks about for so long is watched no more.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often the day is looked at.
const TICK: Duration = Duration::from_millis(250);
/// What is published within so long is looked at together; at least for as long as looking took the last time.
const GATHER: Duration = Duration::from_millis(20);
const GATHER_MAX: Duration = Duration::from_millis(400);
/// Views that are looked at one after the other of those that wait: the others are looked at together.
const LOOKS_MAX: usize = 64;
/// How much longer than the longest question an order may take.
const LATE: Duration = Duration::from_secs(5);

/// What a space keeps of its watching.
#[derive(Default)]
pub(super) struct Watching {
    running: Mutex<Option<Running>>,
    /// Numbers of the times of watching.
    runs: AtomicU64,
}

struct Running {
    orders: Arc<Orders>,
    waker: Waker,
    thread: JoinHandle<()>,
    known: Arc<Mutex<HashMap<String, Arc<Watched>>>>,
}

#[derive(Default)]
struct Orders {
    queue: Mutex<Vec<Order>>,
    /// Cancels what is being looked at, too.
    stop: Arc<AtomicBool>,
}

enum Order {
    Watch(String, Sender<Result<Arc<Watched>>>),
    Members(String, Sender<Members>),
}

/// The members of a watched audience at a moment, and the number of the change that comes next.
pub(super) struct Members {
    pub(super) ids: RoaringBitmap,
    pub(super) next: u64,
    pub(super) view: Arc<View>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Space {
    /// An audience that is watched from now on, if it was not before.
    ///
    /// # Errors
    /// An unknown audience; a definition that cannot be asked; too many that are watched.
    pub(super) fn watched(self: &Arc<Space>, name: &str) -> Result<Arc<Watched>> {
        let view = self.store.view();
        let lookup = self.lookup(&view);
        if !lookup.saved.contains_key(name) {
            return Err(self.no_audience(&lookup, name));
        }
        let (sender, receiver) = channel();
        {
            let mut running = locked(&self.watching.running);
            if let Some(running) = &*running
                && let Some(watched) = locked(&running.known).get(name).filter(|watched| !watched.is_ended())
            {
                return Ok(watched.clone());
            }
            let running = match &mut *running {
                Some(running) if !running.thread.is_finished() => running,
                slot => slot.insert(self.start_watching()?),
            };
            locked(&running.orders.queue).push(Order::Watch(name.into(), sender));
            running.waker.wake();
        }
        let longest = Duration::from_millis(self.shared.limits.elapsed_ms_max) + LATE;
        receiver.recv_timeout(longest).unwrap_or_else(|_| Err(stopped()))
    }

    /// The present members of a watched audience, as far as changes were told.
    pub(super) fn watched_members(&self, name: &str) -> Result<Members> {
        let (sender, receiver) = channel();
        if let Some(running) = &*locked(&self.watching.running) {
            locked(&running.orders.queue).push(Order::Members(name.into(), sender));
            running.waker.wake();
        }
        let longest = Duration::from_millis(self.shared.limits.elapsed_ms_max) + LATE;
        receiver.recv_timeout(longest).map_err(|_| stopped())
    }

    fn start_watching(self: &Arc<Space>) -> Result<Running> {
        let (follower, waker) = self.store.follow();
        let (orders, known) = (Arc::<Orders>::default(), Arc::default());
        let mut watcher = Watcher {
            space: self.clone(),
            follower: Some(follower),
            orders: orders.clone(),
            known: Arc::clone(&known),
            members: HashMap::new(),
            at: ViewGuard::into_inner(self.store.view()),
            day: self.store.today(),
            state_changes: self.store.state_changes(),
            took: Duration::ZERO,
        };
        let thread = std::thread::Builder::new().name("headcount-watch".into());
        let thread = thread.spawn(move || {
            stand_back(Rank::Write);
            watcher.run();
        });
        let failed = |e: std::io::Error| Error::Request { code: "no_threads", message: e.to_string(), hint: None };
        Ok(Running { orders, waker, thread: thread.map_err(failed)?, known })
    }

    /// Ends all watching: the thread holds the space.
    pub(super) fn stop_watching(&self) {
        let running = locked(&self.watching.running).take();
        if let Some(running) = running {
            running.orders.stop.store(true, Ordering::Release);
            running.waker.wake();
            if running.thread.thread().id() != std::thread::current().id() {
                let _ = running.thread.join();
            }
        }
    }
}

fn stopped() -> Error {
    Error::Request { code: "watching_stopped", message: "audiences are not watched any more".into(), hint: None }
}

struct Watcher {
    space: Arc<Space>,
    /// Dropped while nobody can start another one.
    follower: Option<Follower>,
    orders: Arc<Orders>,
    known: Arc<Mutex<HashMap<String, Arc<Watched>>>>,
    members: HashMap<String, Member>,
    /// What was looked at last.
    at: Arc<View>,
    day: Date,
    /// Of the earlier states, as they were looked at.
    state_changes: u64,
    took: Duration,
}

impl Drop for Watcher {
    /// However the thread ends, nobody waits for it.
    fn drop(&mut self) {
        self.members.values().for_each(|member| member.watched.end(Ended::Stopped));
    }
}

struct Member {
    watched: Arc<Watched>,
    ids: RoaringBitmap,
    built: Built,
}

/// What an audience is built of: as long as it stays the same, only touched people change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Built {
    /// Versions of it and of all that it is built on.
    versions: Vec<(String, u64)>,
    /// Snapshots that it is built on: number and data version of each.
    frozen: Vec<Option<(u32, u64)>>,
    looks_at_all: bool,
    looks_back: bool,
}

impl Watcher {
    fn run(&mut self) {
        loop {
            let waiting = self.wait();
            if self.orders.stop.load(Ordering::Acquire) {
                return;
            }
            let start = Instant::now();
            self.take_in(waiting);
            self.turn_day();
            self.turn_states();
            self.fulfil_orders();
            self.took = start.elapsed();
            self.forget_idle();
            if self.members.is_empty() && self.may_end() {
                return;
            }
        }
    }

    fn wait(&self) -> Vec<Published> {
        let Some(follower) = &self.follower else { return Vec::new() };
        if follower.wait(TICK) && !self.members.is_empty() {
            std::thread::sleep(self.took.clamp(GATHER, GATHER_MAX));
        }
        follower.take().into()
    }

    /// Nothing is watched: the thread ends, unless somebody has ordered something meanwhile.
    fn may_end(&mut self) -> bool {
        let space = self.space.clone();
        let mut running = locked(&space.watching.running);
        let is_wanted = !locked(&self.orders.queue).is_empty();
        if !is_wanted {
            self.follower = None;
            // Whoever stops all watching may have taken it already.
            if running.as_ref().is_some_and(|running| Arc::ptr_eq(&running.orders, &self.orders)) {
                *running = None;
            }
        }
        !is_wanted
    }

    fn take_in(&mut self, waiting: Vec<Published>) {
        let (mut window, mut seen) = (Vec::new(), HashSet::new());
        let mut last = self.at.clone();
        let is_anybody = waiting.iter().any(|published| published.touched == Touched::Everyone);
        let mut looks = 0;
        for Published { view, touched, .. } in waiting {
            if view.data_version() <= last.data_version() {
                continue;
            }
            if let (Touched::Some(ids), false) = (touched, is_anybody) {
                let is_other = view.catalogue() != last.catalogue();
                let is_again = looks < LOOKS_MAX && ids.iter().any(|id| seen.contains(id));
                if is_other || is_again {
                    self.look_at_touched(&std::mem::take(&mut window), &last);
                    seen.clear();
                    looks += 1;
                }
                if is_other {
                    self.rebuild(&view);
                }
                seen.extend(ids.iter().copied());
                window.push((view.data_version(), ids));
            }
            last = view;
        }
        if is_anybody {
            self.rebuild(&last);
            self.look_at_all(&last, |_| true);
        } else {
            self.look_at_touched(&window, &last);
        }
        let is_news = last.data_version() > self.at.data_version();
        self.at = last;
        if is_news {
            self.tell();
        }
    }

    fn tell(&self) {
        self.members.values().for_each(|member| member.watched.looked_at(self.seen(), member.ids.len()));
    }

    fn seen(&self) -> Seen {
        Seen { data_version: self.at.data_version(), state_changes: self.state_changes }
    }

    /// People leave sliding windows without anybody writing anything.
    fn turn_day(&mut self) {
        let today = self.space.store.today();
        if today != self.day {
            self.day = today;
            let at = self.at.clone();
            self.rebuild(&at);
            self.look_at_all(&at, |_| true);
            self.tell();
        }
    }

    /// An earlier state is another one now: another was taken under its name, or a day's was taken.
    fn turn_states(&mut self) {
        let changes = self.space.store.state_changes();
        if changes != self.state_changes {
            self.state_changes = changes;
            let back = self.members.iter().filter(|(_, member)| member.built.looks_back);
            let back: HashSet<String> = back.map(|(name, _)| name.clone()).collect();
            let at = self.at.clone();
            self.look_at_all(&at, |name| back.contains(name));
            self.tell();
        }
    }

    /// Looks at some people, each touched by one of some views only, in the last of these.
    fn look_at_touched(&mut self, window: &[(u64, Vec<u32>)], view: &Arc<View>) {
        let mut all: Vec<u32> = window.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
        if all.is_empty() || self.members.is_empty() {
            return;
        }
        all.sort_unstable();
        all.dedup();
        let among = match IdSet::from_sorted(all).among_live(view) {
            Ok(living) => Node::ids(living),
            Err(error) => return self.fail_all(&error.into()),
        };
        let memory = Mutex::new(MembersMemory::new());
        let now = self.space.store_now();
        let mut failed = Vec::new();
        for member in self.members.values_mut() {
            let asked = if member.built.looks_at_all { None } else { Some((&among, &memory)) };
            let found = match self.space.found(view, (self.day, &self.orders.stop), &member.watched.name, asked) {
                Ok(found) => found,
                Err(error) => {
                    failed.push((member.watched.name.clone(), error));
                    continue;
                }
            };
            if asked.is_none() {
                member.become_these(found, view.data_version(), now);
                continue;
            }
            for (data_version, ids) in window {
                let mut changes = Vec::new();
                for one_id in ids {
                    let is_in = found.binary_search(one_id).is_ok();
                    if is_in != member.ids.contains(*one_id) {
                        changes.push(Change { one_id: *one_id, entered: is_in });
                        if is_in {
                            member.ids.insert(*one_id)
                        } else {
                            member.ids.remove(*one_id)
                        };
                    }
                }
                member.watched.push(*data_version, now, changes);
            }
        }
        failed.into_iter().for_each(|(name, error)| self.fail(&name, error));
    }

    /// Looks at everyone, for some of the audiences.
    fn look_at_all(&mut self, view: &Arc<View>, which: impl Fn(&str) -> bool) {
        let now = self.space.store_now();
        let mut failed = Vec::new();
        for (name, member) in self.members.iter_mut().filter(|(name, _)| which(name)) {
            match self.space.found(view, (self.day, &self.orders.stop), name, None) {
                Ok(found) => member.become_these(found, view.data_version(), now),
                Err(error) => failed.push((name.clone(), error)),
            }
        }
        failed.into_iter().for_each(|(name, error)| self.fail(&name, error));
    }

    /// Definitions or snapshots have changed: those that are built otherwise now are looked at whole, others are gone.
    fn rebuild(&mut self, view: &Arc<View>) {
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
        for (name, member) in &mut self.members {
            match self.space.built(view, self.day, name) {
                Ok(Some(built)) if built == member.built => {}
                Ok(Some(built)) => {
                    member.built = built;
                    changed.push(name.clone());
                }
                Ok(None) => member.watched.end(Ended::Deleted),
                Err(error) => failed.push((name.clone(), error)),
            }
        }
        failed.into_iter().for_each(|(name, error)| self.fail(&name, error));
        self.look_at_all(view, |name| changed.iter().any(|changed| changed == name));
    }

    fn fail(&mut self, name: &str, error: Error) {
        if let Some(member) = self.members.remove(name) {
            locked(&self.known).remove(name);
            member.watched.end(Ended::Failed(Box::new(error)));
        }
    }

    fn fail_all(&mut self, error: &Error) {
        let names: Vec<String> = self.members.keys().cloned().collect();
        names.iter().for_each(|name| self.fail(name, error.clone()));
    }

    fn fulfil_orders(&mut self) {
        let orders = std::mem::take(&mut *locked(&self.orders.queue));
        for order in orders {
            match order {
                Order::Watch(name, answer) => {
                    let watched = self.watch(&name);
                    let _ = answer.send(watched);
                }
                Order::Members(name, answer) => {
                    // Where it is watched no more the answer is that nobody answers.
                    if let Some(member) = self.members.get(&name) {
                        let (next, _) = member.watched.bounds();
                        let _ = answer.send(Members { ids: member.ids.clone(), next, view: self.at.clone() });
                    }
                }
            }
        }
    }

    fn watch(&mut self, name: &str) -> Result<Arc<Watched>> {
        if let Some(member) = self.members.get(name) {
            return Ok(member.watched.clone());
        }
        if self.members.len() >= WATCHED_MAX {
            let message = format!("{WATCHED_MAX} audiences of this space are watched already");
            return Err(request_fault("too_many_watched", "", message, None).into());
        }
        let Some(built) = self.space.built(&self.at, self.day, name)? else {
            return Err(self.space.no_audience(&self.space.lookup(&self.at), name));
        };
        let found = self.space.found(&self.at, (self.day, &self.orders.stop), name, None)?;
        let ids = RoaringBitmap::from_sorted_iter(found).unwrap_or_default();
        // No two times of watching have the same number, whichever process they were in.
        let run = (self.space.store_now().as_microsecond() as u64) << 8
            | self.space.watching.runs.fetch_add(1, Ordering::Relaxed) & 0xFF;
        let watched = Arc::new(Watched::new(name, run, self.seen(), ids.len()));
        locked(&self.known).insert(name.into(), watched.clone());
        self.members.insert(name.into(), Member { watched: watched.clone(), ids, built });
        Ok(watched)
    }

    fn forget_idle(&mut self) {
        let mut known = locked(&self.known);
        self.members.retain(|name, member| {
            if !member.watched.is_ended() && !member.watched.is_idle(IDLE) {
                return true;
            }
            member.watched.end(Ended::Stopped);
            known.remove(name);
            false
        });
    }
}

impl Member {
    /// These are all members now.
    fn become_these(&mut self, found: Vec<u32>, data_version: u64, at: jiff::Timestamp) {
        let now = RoaringBitmap::from_sorted_iter(found).unwrap_or_default();
        let (entered, left) = (&now - &self.ids, &self.ids - &now);
        let both = &entered | &left;
        let changes = both.iter().map(|one_id| Change { one_id, entered: entered.contains(one_id) }).collect();
        self.watched.push(data_version, at, changes);
        self.ids = now;
    }
}

impl Space {
    fn store_now(&self) -> jiff::Timestamp {
        self.store.now()
    }

    /// Who of some people, or of all, is in an audience; ascending.
    fn found(
        &self,
        view: &View,
        (day, cancelled): (Date, &Arc<AtomicBool>),
        name: &str,
        among: Option<(&Node, &Mutex<MembersMemory>)>,
    ) -> Result<Vec<u32>> {
        let lookup = self.lookup(view);
        let lookup = match among {
            Some((_, members)) => Lookup { members, ..lookup },
            None => lookup,
        };
        let question = Question { as_of: Some(day), cancelled: cancelled.clone(), ..Question::default() };
        let among = among.map(|(among, _)| among);
        let budget = question.budget(Instant::now(), self.shared.limits.elapsed_ms_max);
        self.in_context_of(view, &lookup, among, &question, &budget, |ctx| {
            let parsed = parse_limited(&Where::Text(format!("in_audience('{name}')")), ctx.limits)?;
            Ok(collect(ctx, &Binder::new(ctx, &parsed.source).plan(&parsed.ast)?, 0, u64::MAX)?)
        })
    }

    /// What an audience is built of; nothing where there is none of that name.
    fn built(&self, view: &View, day: Date, name: &str) -> Result<Option<Built>> {
        let lookup = self.lookup(view);
        let mut built = Built { versions: Vec::new(), frozen: Vec::new(), looks_at_all: false, looks_back: false };
        let mut names = vec![name.to_string()];
        let mut at = 0;
        while let Some(next) = names.get(at).cloned() {
            at += 1;
            let Some(saved) = lookup.saved(&next)? else { continue };
            for (audience, on) in snapshots_used_by(&saved.parsed.ast) {
                let date = match &on.value {
                    queryparser::ast::LiteralValue::Date(date) => Some(*date),
                    queryparser::ast::LiteralValue::RelativeDate(intervals) => day_from(day, intervals),
                    _ => None,
                };
                let frozen = date.and_then(|date| lookup.frozen.get(&(audience.text.as_str().into(), date)));
                built.frozen.push(frozen.map(|frozen| (frozen.info().number, frozen.info().data_version)));
            }
            built.looks_at_all |= looks_at_all(&saved.parsed.ast);
            built.looks_back |= looks_back(&saved.parsed.ast);
            built.versions.push((next.clone(), saved.version));
            for used in lookup.uses(&next)? {
                if !names.contains(&used) {
                    names.push(used);
                }
            }
        }
        Ok((!built.versions.is_empty()).then_some(built))
    }
}
