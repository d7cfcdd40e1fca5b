//! What a question can fail with: a fault of the asker with its place, a limit, or damage below.

use queryparser::Diagnostic;

/// A question's one error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The question itself is at fault.
    #[error("{0}")]
    Question(Box<Diagnostic>),
    /// A part of the request besides the predicate is at fault: which, what was expected, and a name that was near.
    #[error("{message}")]
    #[allow(missing_docs)]
    Request { code: &'static str, pointer: String, message: String, hint: Option<String> },
    /// It took longer than it may.
    #[error("the question took longer than its {elapsed_ms_max} ms")]
    #[allow(missing_docs)]
    TimedOut { elapsed_ms_max: u64 },
    /// Its asker has gone.
    #[error("the question was cancelled")]
    Cancelled,
    /// It would need more memory than a question may.
    #[error("the answer would hold {asked} {what}; at most {max} are allowed")]
    #[allow(missing_docs)]
    TooLarge { what: &'static str, asked: u64, max: u64 },
    /// The store is damaged.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Error::Question(Box::new(diagnostic))
    }
}

/// Shorthand of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;
