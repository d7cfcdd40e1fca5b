//! Threads for questions: each is led by the thread that asks it, and a long one is helped by threads that are free.
//! Knows shares of work by their units; knows no question.
//!
//! ```text
//!   asking thread ── works through the shares itself; a short question never leaves it
//!   helpers       ── one for each further core: lent to one long question at a time, and only while free
//!   leads         ── the threads that asynchronous callers' questions run on, more than there are cores
//! ```
//! So no question waits in a queue behind a long one: several at once are the scheduler's matter, which is fair.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError, unbounded};

use self::help::with_help;

mod help;

/// A question is led alone for so long before anyone is called to help: about what the call costs.
const ALONE: Duration = Duration::from_micros(20);
/// Help is called only if at least so much is left to do.
const LEFT_WORTH_HELP: Duration = Duration::from_micros(60);
/// The same where a helper is awake: a call costs next to nothing then.
const LEFT_WORTH_AWAKE_HELP: Duration = Duration::from_micros(15);
/// A lead that has finished a question looks out for the next one so long before it sleeps.
const LOOKOUT: Duration = Duration::from_micros(50);
/// And a helper so long.
const HELPERS_LOOKOUT: Duration = Duration::from_micros(100);
/// Threads that lead questions, for each core.
const LEADS_A_CORE: usize = 8;
/// A group is cut up into so many shares at most: each has to be prepared for.
const SHARES_OF_GROUP: usize = 8;

/// Work to be shared out: units in a row. A share lies within one group of them, and is all of it where that may be.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// How many units.
    pub units: usize,
    /// How many of them are a group; the last one may be smaller.
    pub group: usize,
}

impl Work {
    /// The smallest share that a group is cut up into.
    fn least(self) -> usize {
        (self.group / SHARES_OF_GROUP).max(1)
    }

    /// The next units, at most so many of what is left.
    fn claim(self, next: &AtomicUsize, most: impl Fn(usize) -> usize) -> Option<Range<usize>> {
        let end_of = |at: usize| {
            let left = self.units.checked_sub(at).filter(|left| *left > 0)?;
            let to_group_end = self.group - at % self.group;
            Some(at + most(left).min(left).min(to_group_end))
        };
        let start = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end_of).ok()?;
        end_of(start).map(|end| start..end)
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads of all questions.
pub struct Threads {
    helpers: rayon::ThreadPool,
    free_helpers: AtomicUsize,
    lookout: Arc<Lookout>,
    leads: Sender<Job>,
}

/// Helpers that look out for the next call.
#[derive(Default)]
struct Lookout {
    awake: AtomicUsize,
    calls: AtomicUsize,
}

impl Lookout {
    /// Waits for a call after the first `calls`, but not for long.
    fn stay(&self, calls: usize) {
        self.awake.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        while self.calls.load(Ordering::Relaxed) == calls && begun.elapsed() < HELPERS_LOOKOUT {
            std::thread::yield_now();
        }
        self.awake.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Helpers that a question has taken; given back when dropped.
struct Taken<'a> {
    threads: &'a Threads,
    count: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.threads.free_helpers.fetch_add(self.count, Ordering::AcqRel);
    }
}

impl Threads {
    /// For `cores` cores; 0: as many as there are.
    ///
    /// # Errors
    /// What the system says where it has no threads left.
    pub fn new(cores: usize) -> std::io::Result<Threads> {
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let cores = if cores == 0 { available() } else { cores };
        let helpers = rayon::ThreadPoolBuilder::new()
            .num_threads((cores - 1).max(1))
            .thread_name(|n| format!("headcount-help-{n}"))
            .build()
            .map_err(std::io::Error::other)?;
        let (leads, jobs) = unbounded::<Job>();
        for n in 0..cores * LEADS_A_CORE {
            let jobs = jobs.clone();
            let lead = std::thread::Builder::new().name(format!("headcount-lead-{n}"));
            // A job that panics ends its own question: its caller finds that nothing was answered.
            lead.spawn(move || {
                while let Some(job) = next_job(&jobs) {
                    _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                }
            })?;
        }
        Ok(Threads { helpers, free_helpers: AtomicUsize::new(cores - 1), lookout: Arc::default(), leads })
    }

    /// Runs a job on a thread that leads questions; for callers that must not wait.
    pub fn lead(&self, job: impl FnOnce() + Send + 'static) {
        // The receiving threads live as long as the sender, which is `self`.
        _ = self.leads.send(Box::new(job));
    }

    fn take(&self, wanted: usize) -> Taken<'_> {
        let mut count = 0;
        let took = self.free_helpers.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| {
            count = free.min(wanted);
            (count > 0).then(|| free - count)
        });
        Taken { threads: self, count: if took.is_ok() { count } else { 0 } }
    }

    /// Runs `each` for shares of all units and adds the partials up, which must not depend on the order. A partial is
    /// made by `start` for each thread that takes part. The first share is small, so that help is called soon; with
    /// help shares get smaller towards the end, so that all end at about the same time.
    ///
    /// # Errors
    /// The first that a share gives; shares not begun by then are left.
    pub fn fold<T: Send, E: Send>(
        &self,
        work: Work,
        start: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, Range<usize>) -> Result<(), E> + Sync,
        merge: impl Fn(T, T) -> T,
    ) -> Result<T, E> {
        let next = AtomicUsize::new(0);
        let mut partial = start();
        let begun = Instant::now();
        let (mut taken, mut most) = (None, work.least());
        while let Some(share) = work.claim(&next, |_| most) {
            let done = share.end;
            each(&mut partial, share)?;
            let (left, elapsed) = (work.units - done, begun.elapsed());
            let (alone, worth) = match self.lookout.awake.load(Ordering::Relaxed) {
                0 => (ALONE, LEFT_WORTH_HELP),
                _ => (Duration::ZERO, LEFT_WORTH_AWAKE_HELP),
            };
            if left > 0 && elapsed >= alone && elapsed * left as u32 / done as u32 >= worth {
                taken = Some(self.take(left)).filter(|taken| taken.count > 0);
                break;
            }
            most = work.group;
        }
        let helped = taken.as_ref().map_or(0, |taken| taken.count);
        let partials = Mutex::new(Vec::with_capacity(helped));
        let share_of = |left: usize| match helped {
            0 => work.group,
            helped => (left / (2 * (helped + 1))).clamp(work.least(), work.group),
        };
        let take_part = |mut partial: T| -> Result<T, E> {
            while let Some(share) = work.claim(&next, share_of) {
                if let Err(error) = each(&mut partial, share) {
                    next.store(work.units, Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(partial)
        };
        let mine = self.helpers_scope(
            helped,
            || take_part(partial),
            || {
                let partial = take_part(start());
                partials.lock().unwrap_or_else(|held| held.into_inner()).push(partial);
            },
        );
        drop(taken);
        let others = partials.into_inner().unwrap_or_else(|held| held.into_inner());
        others.into_iter().try_fold(mine?, |sum, partial| Ok(merge(sum, partial?)))
    }

    fn helpers_scope<R>(&self, helped: usize, lead: impl FnOnce() -> R, help: impl Fn() + Sync) -> R {
        if helped == 0 {
            return lead();
        }
        let calls = self.lookout.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let lookout = self.lookout.clone();
        let as_helper = move |answer: &dyn Fn()| {
            answer();
            // Not where the next call is there already: its job waits behind this one.
            lookout.stay(calls);
        };
        with_help(&self.helpers, helped, lead, &help, as_helper)
    }

    /// Runs `each` for shares of all units and gives the results in their order.
    ///
    /// # Errors
    /// The first that a share gives.
    pub fn map<T: Send, E: Send>(
        &self,
        work: Work,
        each: impl Fn(Range<usize>) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let results = self.fold(
            work,
            Vec::new,
            |results, share| {
                results.push((share.start, each(share)?));
                Ok(())
            },
            |mut a, b| {
                a.extend(b);
                a
            },
        );
        let mut results = results?;
        results.sort_unstable_by_key(|(first, _)| *first);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}

/// The next job, once there is one; none when there will be none. Whoever has just finished one is awake and looks out
/// for the next for a moment, which spares the caller of a quick succession of short questions the waking of a sleeper.
fn next_job(jobs: &Receiver<Job>) -> Option<Job> {
    let begun = Instant::now();
    while begun.elapsed() < LOOKOUT {
        match jobs.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    jobs.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_run_once_whoever_helps() {
        for cores in [1, 2, 5] {
            let threads = Threads::new(cores).unwrap();
            for (units, group, pause_us) in
                [(0, 1, 0), (1, 16, 50), (40, 1, 0), (40, 1, 100), (75, 16, 0), (75, 16, 90)]
            {
                let work = Work { units, group };
                let slow = |share: Range<usize>| {
                    std::thread::sleep(Duration::from_micros(pause_us));
                    Ok::<_, ()>(share)
                };
                let shares = threads.map(work, slow).unwrap();
                assert!(shares.iter().all(|share| share.start / group == (share.end - 1) / group), "{shares:?}");
                assert_eq!(shares.into_iter().flatten().collect::<Vec<_>>(), (0..units).collect::<Vec<_>>());
                let add = |sum: &mut usize, share: Range<usize>| {
                    *sum += share.sum::<usize>();
                    Ok::<_, ()>(())
                };
                assert_eq!(threads.fold(work, || 0, add, |a, b| a + b), Ok((0..units).sum()));
            }
            assert_eq!(threads.free_helpers.load(Ordering::Relaxed), cores - 1, "all were given back");
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let threads = Threads::new(3).unwrap();
        let failing = |share: Range<usize>| {
            std::thread::sleep(Duration::from_micros(50));
            if share.contains(&7) { Err("seven") } else { Ok(()) }
        };
        assert_eq!(threads.map(Work { units: 1_000_000, group: 1 }, failing), Err("seven"));
        assert_eq!(threads.free_helpers.load(Ordering::Relaxed), 2, "all were given back");
    }

    #[test]
    fn a_job_that_panics_leaves_the_threads_at_work() {
        let threads = Threads::new(1).unwrap();
        (0..20).for_each(|_| threads.lead(|| panic!("on purpose")));
        let (done, wait) = unbounded();
        threads.lead(move || done.send(()).unwrap());
        wait.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
