//! Files of people and of what they did, in and out: CSV, NDJSON and Parquet to frames and back.
//! Knows formats and column kinds; knows no store, no server and no query.
//!
//! ```text
//!   infer ──► proposal ─┐                          ┌─► write (CSV, NDJSON, Parquet)
//!   read (Expect) ──────┴─► fill ─► Frame ─────────┴─► loader → batch → store
//! ```

pub mod frame;
pub mod infer;
mod infer_kinds;
pub mod load;
pub mod names;
pub mod read;
pub mod read_csv;
pub mod read_ndjson;
pub mod read_parquet;
mod read_parquet_columns;
mod read_parquet_values;
pub mod write;
pub(crate) mod write_csv;
mod write_ndjson;
mod write_parquet;

mod fill;
pub(crate) mod moments;
pub(crate) mod numbers;
pub(crate) mod texts;

pub(crate) use write_parquet::{Part, PartsFile, PartsLayout};
