//! Questions: a predicate or statement and a view become numbers. Synchronous; one file a question.
//! Knows the language's meaning and the view; knows no HTTP, no audience store and no async runtime.
//!
//! ```text
//!   AST → bind (names, types, dates) → plan (sets over leaves) → exec (stripe by stripe, fused) → merge
//!                                                   kernels · gather · totals · ranks · spread · numbers · bins · groups
//!   count · distribution · differences · crosstab · overlap · flow · people · select · series · explain · why
//!   states: earlier views, for `was` and for whole questions
//! ```

pub mod context;
pub mod error;
pub mod remembered;
pub mod states;
pub mod threads;

pub mod audiences;
pub mod bind;
pub mod frozen;
mod like;
mod number;
pub mod only;
pub mod plan;

mod bins;
mod event_groups;
mod exec;
mod gather;
pub mod groups;
pub mod happened;
pub mod kernels;
mod least;
mod numbers;
pub mod ranks;
mod spread;
pub mod totals;

pub mod breakdown;
pub mod cell;
pub mod compose;
pub mod count;
pub mod crosstab;
pub mod differences;
pub mod distribution;
pub mod explain;
pub mod flow;
pub mod lookalike;
pub mod overlap;
pub mod penetration;
pub mod people;
pub mod sample;
pub mod select;
mod select_events;
pub mod series;
mod spell;
pub mod split;
pub mod waterfall;
pub mod why;

pub use bind::{Binder, Column, Warning};
pub use context::{Budget, Context, Limits};
pub use error::{Error, Result};
pub use plan::Node;
pub use remembered::Remembered;
pub use states::States;
pub use threads::Threads;
