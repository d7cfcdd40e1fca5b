//! The oracle: people as plain structs and the language read word for word, one person at a time.
//! Knows the meaning of the language and nothing of bitmaps, columns or plans: none of it calls `headcount::query`.
//!
//! ```text
//!   random ─► people (schema, persons, lines) ─┬─► meaning (a predicate's members)  ─┐
//!             predicates (random questions)   ─┤                                     ├─ compare
//!                                              └─► answers (counts by value, sums)  ─┘
//!                                                  drive (the product, asked the same)
//! ```

// Each test binary uses a part of it.
#![allow(dead_code)]

pub mod random;

pub mod lines;
pub mod people;

pub mod answers;
pub mod meaning;

pub mod compare;
pub mod drive;
pub mod predicates;
pub mod shrink;
