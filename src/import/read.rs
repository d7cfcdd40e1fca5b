//! Reading files: what a caller expects of the columns, what a reader promises, and how a file's format is told.
//! Knows which reader belongs to which format; knows no bytes of any format.
//!
//! A bad line never stops the rest and is never lost: it is kept as [`Rejected`], with its place and a stable code,
//! until the caller takes it. Only a file that cannot be read any further is a [`ReadError`].

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use storage::schema::TagType;

use super::frame::Frame;
use super::names::legal_name;
use super::read_csv::CsvReader;
use super::read_ndjson::NdjsonReader;
use super::read_parquet::ParquetReader;

/// Rows of a full frame.
pub const FRAME_ROWS: usize = 1 << 16;
/// Longest line (CSV record, NDJSON line) that is read.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// What a column of a file is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An identity: text that hardly repeats; gives [`super::frame::Column::Plain`].
    Id,
    /// A category.
    Text,
    /// True or false.
    Flag,
    /// A fixed-point number.
    Number {
        /// Digits after the point.
        scale: u8,
    },
    /// A calendar day.
    Date,
    /// A moment, of an event.
    Instant,
    /// A list of texts.
    Set,
}

impl Kind {
    /// The kind as messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Id => "identity",
            Kind::Text => "category",
            Kind::Flag => "flag",
            Kind::Number { .. } => "number",
            Kind::Date => "date",
            Kind::Instant => "time",
            Kind::Set => "set",
        }
    }

    /// The kind with its article, for sentences.
    pub(crate) fn phrase(self) -> String {
        let article = if self == Kind::Id { "an" } else { "a" };
        format!("{article} {}", self.name())
    }
}

impl From<TagType> for Kind {
    fn from(tag_type: TagType) -> Self {
        match tag_type {
            TagType::Flag => Kind::Flag,
            TagType::Category => Kind::Text,
            TagType::Set => Kind::Set,
            TagType::Number { scale } => Kind::Number { scale },
            TagType::Date => Kind::Date,
        }
    }
}

/// A column that the caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the file; in CSV and Parquet a name that is like it will do (`Customer ID` for `customer_id`).
    pub source: String,
    /// Its name in the frames.
    pub name: String,
    /// What it is to become.
    pub kind: Kind,
}

/// What to do with columns that nobody named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// They are an error: of the file where it has a header or schema, else of the line.
    #[default]
    Refuse,
    /// They are passed over.
    Skip,
}

/// What a caller expects of a file.
#[derive(Debug, Clone)]
pub struct Expect {
    /// Columns by their place in the frames; one that the file lacks is left out of them (NDJSON: is all unknown).
    pub columns: Vec<Wanted>,
    /// What becomes of other columns.
    pub others: Others,
    /// The space's zone: times without offset are in it, and moments become days in it.
    pub time_zone: TimeZone,
}

impl Default for Expect {
    fn default() -> Self {
        Expect { columns: Vec::new(), others: Others::Refuse, time_zone: TimeZone::UTC }
    }
}

impl Expect {
    /// Adds a column whose name in the file and in the frames is the same.
    pub fn want(self, name: &str, kind: Kind) -> Self {
        self.want_as(name, name, kind)
    }

    /// Adds a column called `source` in the file and `name` in the frames.
    pub fn want_as(mut self, source: &str, name: &str, kind: Kind) -> Self {
        self.columns.push(Wanted { source: source.into(), name: name.into(), kind });
        self
    }

    /// For each column of a file its place in [`Expect::columns`]: by its name, or else by the legal name like it, so
    /// that `Customer ID` is found where `customer_id` is wanted. No place is given twice.
    pub(crate) fn places(&self, found: &[&str]) -> Vec<Option<usize>> {
        let by_name = |name: &str| self.columns.iter().position(|wanted| wanted.source == name);
        let mut places: Vec<Option<usize>> = found.iter().map(|name| by_name(name)).collect();
        for (at, name) in found.iter().enumerate() {
            if places[at].is_none() {
                places[at] = by_name(&legal_name(name)).filter(|place| !places.contains(&Some(*place)));
            }
        }
        places
    }
}

/// A line that was not read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Line of the file (CSV, NDJSON) or number of the row (Parquet), from 1.
    pub line: u64,
    /// Stable code: `bad_row`, `bad_utf8`, `bad_json`, `bad_value`, `unknown_column`, `not_an_insert`, `too_long`.
    pub code: &'static str,
    /// What was found and what would do.
    pub message: String,
}

/// Why a file cannot be read (any further).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The bytes are not of the format.
    #[error("{}: not a readable {format} file: {detail}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The format that it was read as.
        format: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A column cannot become what is wanted, or nobody wants it.
    #[error("{}: column `{column}`: {detail}", file.display())]
    Column {
        /// The file.
        file: PathBuf,
        /// The column's name in the file.
        column: String,
        /// What is wrong.
        detail: String,
    },
}

impl ReadError {
    pub(crate) fn io(file: &Path, source: io::Error) -> Self {
        ReadError::Io { file: file.into(), source }
    }

    pub(crate) fn malformed(file: &Path, format: &'static str, detail: impl ToString) -> Self {
        ReadError::Malformed { file: file.into(), format, detail: detail.to_string() }
    }

    pub(crate) fn column(file: &Path, column: &str, detail: impl Into<String>) -> Self {
        ReadError::Column { file: file.into(), column: column.into(), detail: detail.into() }
    }
}

/// A file being read, frame by frame.
pub trait FrameReader: Send {
    /// The next rows, about [`FRAME_ROWS`] of them; none after the last. A frame may be empty where all its lines are bad.
    ///
    /// # Errors
    /// [`ReadError`] where the rest of the file cannot be read; frames already given stay good.
    fn next_frame(&mut self) -> Result<Option<Frame>, ReadError>;

    /// Lines rejected since this was last asked, in file order. At most [`FRAME_ROWS`] gather between two frames.
    fn take_rejected(&mut self) -> Vec<Rejected>;

    /// Bytes of the file read so far (Parquet: in proportion to rows), for a progress bar.
    fn bytes_read(&self) -> u64;

    /// Bytes of the file.
    fn bytes_total(&self) -> u64;
}

/// The formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Comma-separated (or `;`, tab, `|`) with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format's name, which is also the usual ending of its files.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
            Format::Parquet => "parquet",
        }
    }

    /// The format that a file's ending tells.
    pub fn of_name(path: &Path) -> Option<Format> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" | "tsv" | "txt" => Some(Format::Csv),
            "ndjson" | "jsonl" | "json" => Some(Format::Ndjson),
            "parquet" | "pq" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// The format of a file, by its ending or else its first bytes.
    ///
    /// # Errors
    /// [`ReadError::Io`] where the file cannot be opened.
    pub fn of_file(path: &Path) -> Result<Format, ReadError> {
        if let Some(format) = Format::of_name(path) {
            return Ok(format);
        }
        let mut head = Vec::with_capacity(64);
        let file = File::open(path).map_err(|e| ReadError::io(path, e))?;
        file.take(64).read_to_end(&mut head).map_err(|e| ReadError::io(path, e))?;
        let first = head.iter().find(|b| !b.is_ascii_whitespace());
        Ok(match first {
            _ if head.starts_with(b"PAR1") => Format::Parquet,
            Some(b'{') => Format::Ndjson,
            _ => Format::Csv,
        })
    }
}

/// Opens a file in the format that its name or first bytes tell.
///
/// # Errors
/// [`ReadError`] where the file cannot be opened, is not of its format, or a column cannot be what is expected.
pub fn open(path: &Path, expect: &Expect) -> Result<Box<dyn FrameReader>, ReadError> {
    Ok(match Format::of_file(path)? {
        Format::Csv => Box::new(CsvReader::open(path, expect)?),
        Format::Ndjson => Box::new(NdjsonReader::open(path, expect)?),
        Format::Parquet => Box::new(ParquetReader::open(path, expect)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_name_then_by_bytes() {
        assert_eq!(Format::of_name(Path::new("a/b.TSV")), Some(Format::Csv));
        assert_eq!(Format::of_name(Path::new("b.jsonl")), Some(Format::Ndjson));
        let dir = tempfile::tempdir().unwrap();
        for (bytes, format) in
            [(&b"PAR1..."[..], Format::Parquet), (b" {\"a\":1}", Format::Ndjson), (b"a,b\n", Format::Csv)]
        {
            let path = dir.path().join("data");
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Format::of_file(&path).unwrap(), format);
        }
    }

    #[test]
    fn columns_are_found_by_name_or_by_what_is_like_it() {
        let expect = Expect::default().want("customer_id", Kind::Id).want_as("City", "home", Kind::Text);
        assert_eq!(expect.places(&["City", "Customer ID", "CustomerID"]), [Some(1), Some(0), None]);
        assert_eq!(expect.places(&["Customer ID", "customer_id"]), [None, Some(0)]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = open(Path::new("/nowhere/people.csv"), &Expect::default()).err().unwrap();
        assert!(error.to_string().starts_with("/nowhere/people.csv: "), "{error}");
    }
}
