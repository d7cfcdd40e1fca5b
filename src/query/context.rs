//! What a question runs in: its view, its day, its limits, and the threads that it may use.
//! Knows time and threads; knows no predicate.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use storage::View;
use storage::ids::STRIPE_CHUNKS;

use super::audiences::Audiences;
use super::error::{Error, Result};
use super::exec::Share;
use super::plan::Node;
use super::remembered::Remembered;
use super::states::States;
use super::threads::{Threads, Work};

/// Bounds on one question.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bounds on its text or tree.
    pub parse: queryparser::Limits,
    /// Longest time, in milliseconds.
    pub elapsed_ms_max: u64,
    /// Longest time of a list of members, which goes as fast as its reader takes it.
    pub list_elapsed_ms_max: u64,
    /// Most groups, cells or values of an answer that is kept in memory.
    pub answer_cells_max: u64,
    /// Most members whose numbers are listed rather than counted on a grid: 8 bytes each, read in one pass instead of two.
    pub listed_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            parse: queryparser::Limits::default(),
            elapsed_ms_max: 60_000,
            list_elapsed_ms_max: 3_600_000,
            answer_cells_max: 5_000_000,
            listed_max: 1 << 17,
        }
    }
}

/// When a question must be over, and whether anyone still waits for it.
#[derive(Debug, Clone)]
pub struct Budget<'a> {
    deadline: Instant,
    elapsed_ms_max: u64,
    cancelled: &'a AtomicBool,
}

impl<'a> Budget<'a> {
    /// From a moment on.
    pub fn new(start: Instant, elapsed_ms_max: u64, cancelled: &'a AtomicBool) -> Budget<'a> {
        // A day is as good as for ever, and keeps the sum in range.
        let elapsed = Duration::from_millis(elapsed_ms_max.min(86_400_000));
        Budget { deadline: start + elapsed, elapsed_ms_max, cancelled }
    }

    /// Whether to go on; asked once a stripe.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        if Instant::now() > self.deadline {
            return Err(Error::TimedOut { elapsed_ms_max: self.elapsed_ms_max });
        }
        Ok(())
    }
}

/// What a question runs in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The people as they are for this question.
    pub view: &'a View,
    /// What CURRENT_DATE means.
    pub as_of: Date,
    /// Its bounds.
    pub limits: &'a Limits,
    /// Its time.
    pub budget: &'a Budget<'a>,
    /// What other questions of this data version have counted.
    pub remembered: &'a Remembered,
    /// Threads that may help.
    pub threads: &'a Threads,
    /// Where saved audiences come from.
    pub audiences: &'a dyn Audiences,
    /// Where earlier states come from.
    pub states: &'a dyn States,
    /// A set of OneIDs: only of them is anything to be found out, and of others the answer may be wrong. Not for what
    /// depends on everyone, such as a top N.
    pub among: Option<&'a Node>,
}

impl Context<'_> {
    /// Live profiles.
    pub fn everyone(&self) -> u64 {
        self.view.profile_count().into()
    }

    /// A plan of those alone who are asked about.
    pub(crate) fn only(&self, plan: Node) -> Node {
        match self.among {
            Some(among) => Node::and(vec![among.clone(), plan]),
            None => plan,
        }
    }

    /// Runs `each` over shares of all chunks, with help where it takes long, and adds the partials up in whatever order.
    /// A partial is made by `start` for each thread that takes part.
    ///
    /// # Errors
    /// The first that a share gives, or the budget's.
    pub(crate) fn fold_shares<T: Send>(
        &self,
        start: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, &Share) -> Result<()> + Sync,
        merge: impl Fn(T, T) -> T,
    ) -> Result<T> {
        let step = |partial: &mut T, chunks: Range<usize>| {
            self.budget.check()?;
            each(partial, &Share::of(chunks))
        };
        self.threads.fold(self.work(), start, step, merge)
    }

    /// Runs `each` over shares of all chunks and gives the results in their order.
    ///
    /// # Errors
    /// The first that a share gives, or the budget's.
    pub(crate) fn map_shares<T: Send>(&self, each: impl Fn(&Share) -> Result<T> + Sync) -> Result<Vec<T>> {
        let step = |chunks: Range<usize>| {
            self.budget.check()?;
            each(&Share::of(chunks))
        };
        self.threads.map(self.work(), step)
    }

    /// All chunks; a stripe's are a group, since its parts are opened once for all of them.
    fn work(&self) -> Work {
        Work { units: self.view.stripe_count() * STRIPE_CHUNKS, group: STRIPE_CHUNKS }
    }
}
