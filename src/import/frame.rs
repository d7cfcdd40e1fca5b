//! A frame: some rows of a file or of the generated population, as typed columns.
//! Knows no file format and no schema: readers fill frames, writers and the loader empty them.
//!
//! ```text
//!   reader (CSV, NDJSON, Parquet) ─┐            ┌─ loader → batch → store
//!   generator ─────────────────────┴─► Frame ───┴─ writer (CSV, NDJSON, Parquet)
//! ```
//! In every column "unknown" is a value of its own: absent is not zero, not empty and not false.

use std::sync::Arc;

/// The code of an unknown text.
pub const UNKNOWN_CODE: u32 = u32::MAX;

/// Rows as columns of equal length.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Number of rows.
    pub rows: usize,
    /// Columns by name, in file order.
    pub columns: Vec<(String, Column)>,
    /// For each row, where it stands in its file (1-based line or row number); empty: consecutive from `first_line`.
    pub lines: Vec<u64>,
    /// Line of the first row, where `lines` is empty.
    pub first_line: u64,
}

/// One column of a frame.
#[derive(Debug, Clone)]
pub enum Column {
    /// Texts that repeat: `codes[row]` is a place in `dictionary`, or [`UNKNOWN_CODE`].
    Text {
        /// Distinct texts (not necessarily all used).
        dictionary: Arc<Vec<Box<str>>>,
        /// One for each row.
        codes: Vec<u32>,
    },
    /// Texts that hardly repeat (identities): row `r` is `bytes[offsets[r]..offsets[r+1]]`; empty is unknown.
    Plain {
        /// rows + 1 of them.
        offsets: Vec<u32>,
        /// UTF-8.
        bytes: Vec<u8>,
    },
    /// True, false, unknown.
    Flag(Vec<Option<bool>>),
    /// Fixed-point numbers: `value / 10^scale`.
    Number {
        /// Digits after the point.
        scale: u8,
        /// One for each row.
        values: Vec<Option<i64>>,
    },
    /// Days since 1970-01-01.
    Date(Vec<Option<i32>>),
    /// Moments: seconds since 1970-01-01T00:00:00Z (an event's `at`).
    Instant(Vec<Option<i64>>),
    /// Lists of texts; empty is unknown.
    Set {
        /// Distinct texts.
        dictionary: Arc<Vec<Box<str>>>,
        /// rows + 1 of them.
        offsets: Vec<u32>,
        /// Places in `dictionary`.
        codes: Vec<u32>,
    },
}

impl Frame {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(n, _)| n == name).map(|(_, c)| c)
    }

    /// Line in the file of a row.
    pub fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or(self.first_line + row as u64)
    }
}
