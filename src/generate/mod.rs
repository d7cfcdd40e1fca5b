//! A seeded population: the same people for a seed on every machine, in frames and in files.
//! Knows people and their purchases; knows no store.
//!
//! ```text
//!   words ─► tables (weights, dictionaries) ─► person (who is i?) ─┬─► population: profile frames
//!   random (seed, i) ──────────────────────────┘      └─ purchases ─┴─► population: purchase, visit frames ─► write: files
//! ```

mod columns;
mod person;
mod population;
mod purchases;
mod random;
mod tables;
mod visits;
#[rustfmt::skip]
mod words;
mod write;

pub use person::AS_OF;
pub use population::Population;
pub use write::{GenerateError, GenerateOptions, Summary, generate};
