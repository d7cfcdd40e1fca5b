//! The HTTP server: requests to questions and writes of the engine, and their answers back.
//! Alone knows axum and tokio. Knows no bitmap and no file of a space.
//!
//! ```text
//!   listen ── connection (watched) ── router ── dispatch: id · token · space · handler · count · log
//!                                                  handler: read body → pool thread: parse, ask, spell → answer
//! ```
//! Async threads move bytes and wait; parsing, questions and spelling run on the engine's pool, long lists on threads
//! of their own. Everything that can pile up has a limit, and beyond it an answer says so at once.
//!
//! # Reading the source
//! - [`ServeOptions`], `listen`, `watched`: from a socket to requests, and when a connection is cut
//! - `routes`, `call`, `reply`, `failure`: what every request goes through, and what every error looks like
//! - `app`: what runs where, and how much of it; `body`, `coding`, `json`: bytes in, within bounds
//! - `spaces`, `profiles`, `bitmaps`, `snapshots`, `audiences`, `frozen`, `changes`, `questions`, `states`, `acts`,
//!   `lookalike`, `members`: one file a noun of the API
//! - [`tokens`]: who may do what; `metrics`, `about`: what the server says of itself
//! - `page`: the segment builder's page and the API reference, built from `page/src` into `page/dist`

mod listen;
mod watched;

mod call;
mod dispatch;
mod failure;
mod reply;
mod routes;

mod acts;
mod app;
mod audiences;
mod body;
mod coding;
mod json;

mod bitmaps;
mod changes;
mod frozen;
mod lookalike;
mod members;
mod pieces;
mod profiles;
mod questions;
mod snapshots;
mod spaces;
mod states;

mod about;
mod metrics;
mod page;
pub mod tokens;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::Engine;
use app::App;
use tokens::TokenFileError;

/// How a server is run.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where it listens; anything but loopback needs tokens.
    pub listen: SocketAddr,
    /// Where `tokens.json` lies.
    pub data_dir: PathBuf,
    /// One line a request on stderr; failures of the server are told in any case.
    pub log_requests: bool,
    /// What it takes at most.
    pub limits: ServeLimits,
}

impl ServeOptions {
    /// With the usual limits.
    pub fn new(listen: SocketAddr, data_dir: &Path) -> ServeOptions {
        ServeOptions { listen, data_dir: data_dir.into(), log_requests: false, limits: ServeLimits::default() }
    }
}

/// Bounds of a server. Those of a question and of a batch are the engine's.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    /// Connections at a time; beyond it 503.
    pub connections_max: usize,
    /// Questions that run or wait at a time; beyond it 429.
    pub questions_max: usize,
    /// Writes that run or wait at a time; beyond it 429.
    pub writes_max: usize,
    /// Lists of members that are sent at a time; beyond it 429.
    pub streams_max: usize,
    /// Snapshots and schema changes at a time; beyond it 429.
    pub chores_max: usize,
    /// Readers of changes at a time; beyond it 429.
    pub follows_max: usize,
    /// Spaces; beyond it none is made any more.
    pub spaces_max: usize,
    /// Longest body of a question, in bytes, after inflating; beyond it 413.
    pub question_bytes_max: usize,
    /// Values in the JSON of a question; beyond it 422.
    pub question_values_max: usize,
    /// Bytes of all bodies that are held at a time; beyond it 503.
    pub held_bytes_max: usize,
    /// Time for a request's head, from its first byte.
    pub head_timeout: Duration,
    /// Time between requests of a connection.
    pub idle_timeout: Duration,
    /// Longest silence within a body, and longest time that an answer is not taken off.
    pub stall_timeout: Duration,
    /// Least rate of bodies and of answers, in bytes a second, once `stall_timeout` has passed.
    pub rate_min: u64,
    /// Time for what is under way when the server stops.
    pub drain_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        ServeLimits {
            connections_max: 1024,
            questions_max: 64,
            writes_max: 64,
            streams_max: 16,
            chores_max: 8,
            follows_max: 512,
            spaces_max: 256,
            question_bytes_max: 80 << 20,
            question_values_max: 4_000_000,
            held_bytes_max: 1 << 30,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            rate_min: 1024,
            drain_timeout: Duration::from_secs(8),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others could reach it, and it would ask nobody who they are.
    #[error(
        "{listen} can be reached from other machines and no token is configured: \
         create one with `headcount token create`, or listen on 127.0.0.1"
    )]
    #[allow(missing_docs)]
    NoTokens { listen: SocketAddr },
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {reason}")]
    #[allow(missing_docs)]
    Listen { listen: SocketAddr, reason: String },
    /// The list of tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The system gives no threads or signals.
    #[error("cannot start the server: {0}")]
    Runtime(std::io::Error),
}

/// Ends a server from another thread. Clones end the same one.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Takes no more connections, lets what is under way come to its end, then returns from `serve_until`.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn receiver(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

/// Serves until SIGTERM or SIGINT. `on_ready` is told the address once connections are taken.
///
/// # Errors
/// [`ServeError`] where the server cannot start.
pub fn serve(engine: Arc<Engine>, options: ServeOptions, on_ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let stop = Stop::default();
    run(engine, options, on_ready, &stop, listen::stop_on_signals)
}

/// Serves until `stop` says so; signals are left alone.
///
/// # Errors
/// [`ServeError`] where the server cannot start.
pub fn serve_until(
    engine: Arc<Engine>,
    options: ServeOptions,
    on_ready: impl FnOnce(SocketAddr),
    stop: &Stop,
) -> Result<(), ServeError> {
    run(engine, options, on_ready, stop, |_| Ok(()))
}

fn run(
    engine: Arc<Engine>,
    options: ServeOptions,
    on_ready: impl FnOnce(SocketAddr),
    stop: &Stop,
    prepare: impl FnOnce(&Stop) -> std::io::Result<()>,
) -> Result<(), ServeError> {
    let app = Arc::new(App::new(engine, options, stop)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(listen::WORKERS)
        .max_blocking_threads(app.blocking_threads_max())
        .thread_name("headcount-http")
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let served = runtime.block_on(async {
        prepare(stop).map_err(ServeError::Runtime)?;
        listen::serve(app.clone(), on_ready, stop).await
    });
    // What is left by now has outlived the drain: its requests are dropped, which cancels their questions.
    runtime.shutdown_timeout(Duration::from_secs(2));
    app.wait_for_jobs(Duration::from_secs(3));
    served
}
