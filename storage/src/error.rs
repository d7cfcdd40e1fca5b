//! What can go wrong with a store, with what a caller can act on.
//! Detail here is for the operator and the log; what a client may see is decided above.

use std::path::{Path, PathBuf};

use crate::schema::SchemaError;

/// Storage's one error.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("{doing} {}: {reason}", path.display())]
    Io { doing: &'static str, path: PathBuf, reason: String },
    #[error("{} is damaged at byte {offset}: expected {expected}, found {found}", file.display())]
    Corrupt { file: PathBuf, offset: u64, expected: String, found: String },
    #[error("{} is missing: {needed_by} needs it", file.display())]
    Missing { file: PathBuf, needed_by: String },
    #[error("{} is in use by another headcount process", dir.display())]
    Locked { dir: PathBuf },
    #[error("{} was written by a newer headcount (format {found}, this one reads up to {known})", file.display())]
    Newer { file: PathBuf, found: u32, known: u32 },
    #[error("no more is written since the log failed ({reason}); restart to go on")]
    WritesStopped { reason: String },
    #[error("no room left on the disk of {}; nothing was written", path.display())]
    DiskFull { path: PathBuf },
    #[error("the store was opened for reading only")]
    ReadOnly,
    #[error("the space is full: {profiles} OneIDs are given out")]
    Full { profiles: u32 },
    #[error("{reason}")]
    Refused { code: &'static str, reason: String },
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An I/O error with what was being done to which file.
    pub fn io(doing: &'static str, path: &Path, error: &std::io::Error) -> Error {
        Error::Io { doing, path: path.into(), reason: error.to_string() }
    }

    /// Damage found in a file.
    pub fn corrupt(file: &Path, offset: u64, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Corrupt { file: file.into(), offset, expected: expected.into(), found: found.into() }
    }
}
