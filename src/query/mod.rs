//! Questions: a predicate or statement and a view become numbers. Synchronous; one file a question.
//! Knows the language's meaning and the view; knows no HTTP, no audience store and no async runtime.
//!
//! ```text
//!   AST → bind (names, types, dates) → plan (sets over leaves) → exec (stripe by stripe, fused) → merge
//!                                                   kernels · gather · totals · groups
//!   count · distribution · crosstab · people · select · explain
//! ```

pub mod error;
pub mod context;

mod number;
pub mod plan;
pub mod bind;
mod like;

mod kernels;
mod exec;
mod gather;
pub mod totals;
pub mod groups;

pub mod cell;
pub mod count;
pub mod distribution;
pub mod crosstab;
pub mod people;
pub mod select;
pub mod explain;

pub use bind::{Binder, Column, Warning};
pub use context::{Budget, Context, Limits};
pub use error::{Error, Result};
pub use plan::Node;
