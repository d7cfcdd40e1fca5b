//! What all requests share: the engine, the limits, and where work runs.
//! Knows lanes and threads; knows no route.
//!
//! ```text
//!   lane      runs on                      beyond its limit   its client gone
//!   question  the engine's pool            429                cancelled
//!   write     batch threads, then store's  429                goes on: it may be logged already
//!   stream    a thread of its own          429                cancelled
//!   chore     a thread of its own          429                goes on
//!   follow    an async task, which reads on a thread of its own for a moment; 429; ended
//! ```
//! A list of members waits for its reader, so it must not hold a thread that questions need.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::failure::Failure;
use super::metrics::Metrics;
use super::tokens::TokenGuard;
use super::{ServeError, ServeLimits as Limits, ServeOptions, Stop};
use crate::engine::Engine;

/// Threads that read changes for those who follow them.
const READING_MAX: usize = 16;

/// What a handler gives.
pub(super) type Outcome<T> = Result<T, Failure>;

/// The kinds of work, each with a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Reads, and is over soon.
    Question,
    /// Changes people.
    Write,
    /// Sends a list as fast as its reader takes it.
    Stream,
    /// Schema and snapshots.
    Chore,
    /// Waits for changes of an audience.
    Follow,
}

/// What all requests share.
pub(super) struct App {
    pub(super) engine: Arc<Engine>,
    pub(super) options: ServeOptions,
    pub(super) tokens: TokenGuard,
    pub(super) metrics: Metrics,
    /// Tells the request ids of one run of the server from those of another.
    pub(super) run_id: String,
    lanes: [(Arc<Semaphore>, usize); 5],
    /// Turns true when the server stops.
    pub(super) stopped: watch::Receiver<bool>,
    held_bytes: Arc<AtomicUsize>,
}

impl App {
    pub(super) fn new(engine: Arc<Engine>, options: ServeOptions, stop: &Stop) -> Result<App, ServeError> {
        let tokens = TokenGuard::load(&options.data_dir, options.listen.ip().is_loopback())?;
        if tokens.is_locked_out() {
            return Err(ServeError::NoTokens { listen: options.listen });
        }
        let limits = &options.limits;
        let Limits { questions_max, writes_max, streams_max, chores_max, follows_max, .. } = *limits;
        let lanes = [questions_max, writes_max, streams_max, chores_max, follows_max];
        let lanes = lanes.map(|places| (Arc::new(Semaphore::new(places)), places));
        let run_id = format!("{:x}", jiff::Timestamp::now().as_millisecond());
        let metrics = Metrics::default();
        let stopped = stop.receiver();
        Ok(App { engine, options, tokens, metrics, run_id, lanes, stopped, held_bytes: Arc::default() })
    }

    /// Threads that streams, chores and readers of changes may take.
    pub(super) fn blocking_threads_max(&self) -> usize {
        self.lanes[Lane::Stream as usize].1 + self.lanes[Lane::Chore as usize].1 + READING_MAX + 8
    }

    /// A place in a lane, to be held until the work is done.
    ///
    /// # Errors
    /// 429 where all are taken.
    pub(super) fn enter(&self, lane: Lane) -> Outcome<OwnedSemaphorePermit> {
        self.lanes[lane as usize].0.clone().try_acquire_owned().map_err(|_| {
            self.metrics.rejected.add(1);
            let places = self.lanes[lane as usize].1;
            let what = match lane {
                Lane::Question => "questions",
                Lane::Write => "writes",
                Lane::Stream => "lists of members",
                Lane::Chore => "schema changes and snapshots",
                Lane::Follow => "readers of changes",
            };
            let message = format!("{places} {what} are under way already");
            Failure::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message).retry_after(1)
        })
    }

    /// Places taken in a lane.
    pub(super) fn in_flight(&self, lane: Lane) -> usize {
        let (places, all) = &self.lanes[lane as usize];
        all - places.available_permits()
    }

    /// Runs a question on the engine's pool. Its flag is set once nobody waits for the answer any more.
    ///
    /// # Errors
    /// 429, or what the job gives.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce(&Arc<AtomicBool>) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let place = self.enter(lane)?;
        let cancelled = CancelOnDrop::default();
        let flag = cancelled.0.clone();
        let (sender, receiver) = oneshot::channel();
        self.engine.spawn(move || {
            if !flag.load(Ordering::Relaxed) {
                let outcome = caught(|| job(&flag));
                // The place first: who reads the answer may ask again at once.
                drop(place);
                let _ = sender.send(outcome);
            }
        });
        receiver.await.unwrap_or_else(|_| Err(Failure::panicked()))
    }

    /// Runs a job that begins on the threads for batches and is answered later, from another thread.
    ///
    /// # Errors
    /// 429, or what the job gives.
    pub(super) async fn write<T: Send + 'static>(&self, job: impl FnOnce(Answering<T>) + Send + 'static) -> Outcome<T> {
        let place = self.enter(Lane::Write)?;
        let (sender, receiver) = oneshot::channel();
        let answering = Answering { sender, place };
        self.engine.spawn_batch(move || {
            // A panic drops the sender, which is the answer.
            let _ = catch_unwind(AssertUnwindSafe(|| job(answering)));
        });
        receiver.await.unwrap_or_else(|_| Err(Failure::panicked()))
    }

    /// Runs something that blocks on a thread of its own.
    ///
    /// # Errors
    /// 429, or what the job gives.
    pub(super) async fn chore<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let place = self.enter(Lane::Chore)?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = caught(job);
            drop(place);
            outcome
        });
        done.await.unwrap_or_else(|_| Err(Failure::panicked()))
    }

    /// Counts bytes of a request as held until the guard is dropped.
    ///
    /// # Errors
    /// 503 where too much is held already.
    pub(super) fn hold(&self, bytes: usize) -> Outcome<Held> {
        let mut held = Held { held_bytes: self.held_bytes.clone(), bytes: 0 };
        self.hold_more(&mut held, bytes)?;
        Ok(held)
    }

    /// As [`App::hold`], besides what a guard counts already.
    ///
    /// # Errors
    /// As [`App::hold`].
    pub(super) fn hold_more(&self, held: &mut Held, bytes: usize) -> Outcome<()> {
        held.bytes += bytes;
        let before = self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= self.options.limits.held_bytes_max {
            return Ok(());
        }
        self.metrics.rejected.add(1);
        let message = "the requests under way take all the memory that requests may";
        Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(1))
    }

    /// Waits until no lane has work under way; at the end, so that stores are closed by whoever owns the engine.
    pub(super) fn wait_for_jobs(&self, longest: Duration) {
        let start = Instant::now();
        let is_busy = || self.lanes.iter().any(|(places, all)| places.available_permits() < *all);
        while is_busy() && start.elapsed() < longest {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Who waits for the outcome of a write.
pub(super) struct Answering<T> {
    sender: oneshot::Sender<Outcome<T>>,
    place: OwnedSemaphorePermit,
}

impl<T> Answering<T> {
    /// Gives the outcome to whoever waits.
    pub(super) fn answer(self, outcome: Outcome<T>) {
        drop(self.place);
        let _ = self.sender.send(outcome);
    }
}

/// Bytes that are counted as held.
#[derive(Debug)]
pub(super) struct Held {
    held_bytes: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Sets its flag when dropped.
#[derive(Debug, Default)]
pub(super) struct CancelOnDrop(pub(super) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a job; a panic becomes a failure.
pub(super) fn caught<T>(job: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Err(Failure::panicked()))
}
