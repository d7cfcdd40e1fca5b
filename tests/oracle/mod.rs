//! The oracle: people as plain structs and the language read word for word, one person at a time.
//! Knows the meaning of the language and nothing of bitmaps, columns or plans: none of it calls `headcount::query`.
//!
//! ```text
//!   random ─► people, events (schema, persons, lines) ─┬─► meaning (a predicate's members)  ─┐
//!             predicates (random questions)           ─┤                                     ├─ compare
//!                                                      └─► answers (counts by value, sums)  ─┘
//!                                                          drive (the product, asked the same)
//! ```

// Each test binary uses a part of it.
#![allow(dead_code)]

pub mod clock;
pub mod random;

pub mod bulk;
pub mod event_lines;
pub mod events;
pub mod lines;
pub mod people;

pub mod answers;
pub mod meaning;
pub mod meaning_events;
pub mod values;

pub mod changes;
pub mod compare;
pub mod compare_events;
pub mod drive;
pub mod event_predicates;
pub mod literals;
pub mod predicates;
pub mod shrink;
