//! headcount: the fastest exact audience database. Who are these people, how many, what are they like?
//!
//! # Reading the source
//! - `queryparser`: text or rule tree to one AST; `storage`: bytes to bitmaps and columns, durable
//! - [`query`]: predicates and statements over a view, to numbers
//! - [`engine`]: spaces, limits and threads; [`import`] and [`generate`]: files and people in and out
//! - [`server`]: the HTTP API; [`cli`]: one file a subcommand

pub mod cli;
pub mod engine;
pub mod generate;
pub mod import;
pub mod query;
pub mod server;
