//! The engine: spaces, limits and threads behind the one handle that everything above holds.
//! Knows stores and questions; knows no HTTP and no command line. Calls block: an async caller uses [`Engine::spawn`].
//!
//! ```text
//!   Engine ── DataDir (lock) · question threads · batches (upsert threads) · limits
//!     └ Space ── Store (writer, view)          ask: view → Context → parse, bind, run → Answer
//! ```

mod acts;
mod ask;
mod audiences;
mod behaviour;
mod changes;
mod compare;
mod events;
mod frames;
mod frozen;
mod links;
mod lookalike;
mod past;
mod plans;
mod states;
mod trend;
mod upserts;
mod watch;
mod watched;
mod why;

pub use acts::{SplitAnswer, SplitRequest, StepRequest, ToSave, WaterfallAnswer, WaterfallRequest};
pub use ask::{
    Answer, CrosstabRequest, DistributionAnswer, DistributionRequest, MembersRequest, PlanAnswer, Question, Where,
};
pub use audiences::{AudienceList, AudienceRequest, AudienceShown, Version};
pub use behaviour::{FunnelAnswer, SeriesAnswer, SeriesRequest};
pub use changes::{Changes, Line, Lines, Since};
pub use frozen::{FrozenAnswer, FrozenList, FrozenShown};
pub use lookalike::{LookalikeAnswer, LookalikeFound, LookalikeRequest, Scored};
pub use states::{FlowRequest, SizeRow, Sizes};
pub use trend::{Trend, TrendBy, TrendRow};
pub(crate) use upserts::Pairs;
pub use upserts::{LineRejected, UpsertAnswer, UpsertLimits, UpsertOptions};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLock};

use storage::parallel::{Rank, stand_back};
use storage::{DataDir, Options, Request, SchemaJson, Store};

use crate::query;

/// The space that a fresh data directory has.
pub const MAIN_SPACE: &str = "main";

/// What anything above can fail with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A question's fault, limit or damage.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// A write's, or damage.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// There is no such space.
    #[error("there is no space `{name}`")]
    #[allow(missing_docs)]
    UnknownSpace { name: String },
    /// There is no such profile.
    #[error("nobody has {id_type} `{id}`")]
    #[allow(missing_docs)]
    UnknownProfile { id_type: String, id: String },
    /// There is no such audience.
    #[error("there is no audience `{name}`")]
    #[allow(missing_docs)]
    UnknownAudience { name: String, hint: Option<String> },
    /// Other audiences are built on it.
    #[error("audience `{name}` is in use by {}", users.join(", "))]
    #[allow(missing_docs)]
    AudienceInUse { name: String, users: Vec<String> },
    /// Something else of a request is at fault.
    #[error("{message}")]
    #[allow(missing_docs)]
    Request { code: &'static str, message: String, hint: Option<String> },
}

/// Shorthand of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How an engine is opened.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Open for questions only.
    pub read_only: bool,
    /// Bounds on each question.
    pub limits: query::Limits,
    /// Bounds on each batch of upserts.
    pub upserts: UpsertLimits,
    /// Cores for questions; 0: all.
    pub threads: usize,
    /// How each space's store is opened.
    pub store: Options,
}

/// All spaces of one data directory.
pub struct Engine {
    dir: DataDir,
    spaces: RwLock<BTreeMap<String, Arc<Space>>>,
    shared: Arc<Shared>,
}

/// What all spaces share.
pub(crate) struct Shared {
    pub(crate) threads: query::Threads,
    /// Threads that read batches of upserts: a long one must not hold a thread that questions need.
    batches: rayon::ThreadPool,
    pub(crate) limits: query::Limits,
    pub(crate) upserts: UpsertLimits,
    store: Options,
}

/// One population.
pub struct Space {
    name: String,
    store: Store,
    remembered: query::Remembered,
    audiences: audiences::Memory,
    watching: watch::Watching,
    past: past::Past,
    plans: plans::Plans,
    shared: Arc<Shared>,
}

impl Engine {
    /// Locks a data directory and opens its spaces; a fresh one gets the space `main`.
    ///
    /// # Errors
    /// [`storage::Error::Locked`], or what keeps a space from being opened.
    pub fn open(dir: &Path, options: &EngineOptions) -> Result<Engine> {
        let dir = if options.read_only { DataDir::open_read_only(dir)? } else { DataDir::open(dir)? };
        let failed = |e: std::io::Error| Error::Request { code: "no_threads", message: e.to_string(), hint: None };
        let batches = rayon::ThreadPoolBuilder::new()
            .num_threads(std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)))
            .thread_name(|n| format!("headcount-batch-{n}"))
            .start_handler(|_| stand_back(Rank::Write));
        let shared = Arc::new(Shared {
            threads: query::Threads::new(options.threads).map_err(failed)?,
            batches: batches.build().map_err(std::io::Error::other).map_err(failed)?,
            limits: options.limits.clone(),
            upserts: options.upserts.clone(),
            store: Options { read_only: options.read_only, ..options.store.clone() },
        });
        let engine = Engine { dir, spaces: RwLock::new(BTreeMap::new()), shared };
        if !options.read_only && engine.dir.spaces()?.is_empty() {
            engine.dir.create_space(MAIN_SPACE)?;
        }
        for name in engine.dir.spaces()? {
            engine.open_space(&name)?;
        }
        Ok(engine)
    }

    /// A space by name.
    ///
    /// # Errors
    /// [`Error::UnknownSpace`].
    pub fn space(&self, name: &str) -> Result<Arc<Space>> {
        let spaces = self.spaces.read().map_err(|_| poisoned())?;
        spaces.get(name).cloned().ok_or_else(|| Error::UnknownSpace { name: name.into() })
    }

    /// All spaces, by name.
    pub fn spaces(&self) -> Vec<Arc<Space>> {
        self.spaces.read().map(|spaces| spaces.values().cloned().collect()).unwrap_or_default()
    }

    /// Makes a space if need be and adds to its schema.
    ///
    /// # Errors
    /// A bad name or schema; a failed write.
    pub fn put_space(&self, name: &str, schema: SchemaJson) -> Result<Arc<Space>> {
        let space = match self.space(name) {
            Ok(space) => space,
            Err(_) => {
                // Checked before anything is made, so that a bad schema leaves no empty space behind.
                storage::Schema::default().extended(&schema, false).map_err(storage::Error::from)?;
                self.dir.create_space(name)?;
                self.open_space(name)?
            }
        };
        space.extend_schema(schema)?;
        Ok(space)
    }

    fn open_space(&self, name: &str) -> Result<Arc<Space>> {
        let mut spaces = self.spaces.write().map_err(|_| poisoned())?;
        if let Some(space) = spaces.get(name) {
            return Ok(space.clone());
        }
        let store = self.dir.open_space(name, &self.shared.store)?;
        let space = Arc::new(Space {
            name: name.into(),
            store,
            remembered: query::Remembered::default(),
            audiences: audiences::Memory::default(),
            past: past::Past::default(),
            plans: plans::Plans::default(),
            watching: watch::Watching::default(),
            shared: self.shared.clone(),
        });
        spaces.insert(name.into(), space.clone());
        Ok(space)
    }

    /// Runs a job on a thread that leads questions.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.shared.threads.lead(job);
    }

    /// Runs a job on the threads that read batches of upserts.
    pub fn spawn_batch(&self, job: impl FnOnce() + Send + 'static) {
        self.shared.batches.spawn(job);
    }

    /// Bounds on each batch of upserts.
    pub fn upsert_limits(&self) -> &UpsertLimits {
        &self.shared.upserts
    }
}

impl Drop for Engine {
    /// Spaces that are watched are held by their watchers, which end with the engine.
    fn drop(&mut self) {
        self.spaces().iter().for_each(|space| space.stop_watching());
    }
}

fn poisoned() -> Error {
    Error::Request { code: "internal", message: "a thread failed while it held the list of spaces".into(), hint: None }
}

impl Space {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Adds to the schema.
    ///
    /// # Errors
    /// A bad schema, or a failed write.
    pub fn extend_schema(&self, schema: SchemaJson) -> Result<()> {
        self.store.write_and_wait(Request::Schema(schema))?;
        Ok(())
    }

    /// The OneID of a live profile.
    ///
    /// # Errors
    /// [`Error::UnknownProfile`]; an id type that does not exist.
    pub fn find(&self, id_type: &str, id: &str) -> Result<storage::OneId> {
        find_in(&self.store.view(), id_type, id)
    }
}

/// The OneID of a profile of a view.
pub(crate) fn find_in(view: &storage::View, id_type: &str, id: &str) -> Result<storage::OneId> {
    let Some(number) = view.schema().id_type(id_type) else {
        let hint = queryparser::nearest(id_type, view.schema().id_types.iter().map(String::as_str));
        return Err(Error::Request {
            code: "unknown_id_type",
            message: format!("there is no id type `{id_type}`"),
            hint: hint.map(|near| format!("did you mean `{near}`?")),
        });
    };
    let found = view.find_identity(number, id.as_bytes())?;
    found.ok_or_else(|| Error::UnknownProfile { id_type: id_type.into(), id: id.into() })
}
