//! Writing files: what a writer promises, and which one belongs to which format.
//! Knows formats by name; the bytes are in `write_csv`, `write_ndjson` and `write_parquet`.
//!
//! What is written reads back as the same frame, with one exception: in CSV a category's empty text is unknown.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::frame::Frame;
use super::read::Format;
use super::write_csv;
use super::write_ndjson;
use super::write_parquet::ParquetWriter;

/// The shape of an NDJSON line; CSV and Parquet are always flat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Shape {
    /// `{"one_id": 7, "member": "M001", "city": "Shanghai"}`.
    #[default]
    Flat,
    /// `{"id": {"member": "M001"}, "set": {"city": "Shanghai"}}`.
    Upserts {
        /// Columns that are identities.
        ids: Vec<String>,
    },
    /// `{"id": {"member": "M001"}, "event": "purchase", "at": "2026-11-01T02:30:00Z", "amount": 12.50}`.
    Events {
        /// Columns that are identities.
        ids: Vec<String>,
    },
}

/// Why a frame cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bytes cannot be written.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
    /// The Parquet library refuses.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A column is not what the first frame said, or a value is too large for the file's type.
    #[error("cannot write column `{column}`: {detail}")]
    Column {
        /// The column's name.
        column: String,
        /// What is wrong.
        detail: String,
    },
}

/// A file being written, frame by frame; all frames have the same columns.
pub trait FrameWriter: Send {
    /// Writes a frame's rows after those before.
    ///
    /// # Errors
    /// [`WriteError`] where the frame does not fit the file or the bytes cannot be written.
    fn write(&mut self, frame: &Frame) -> Result<(), WriteError>;

    /// Ends the file and gives its length in bytes. Without this the file is not readable.
    ///
    /// # Errors
    /// [`WriteError`] where the last bytes cannot be written.
    fn finish(self: Box<Self>) -> Result<u64, WriteError>;
}

/// Creates a file of a format, in place of one of that name.
///
/// # Errors
/// [`WriteError::Io`] where the file cannot be created.
pub fn create(path: &Path, format: Format, shape: Shape) -> Result<Box<dyn FrameWriter>, WriteError> {
    let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    Ok(writer(file, format, shape))
}

/// A writer of a format into anything that takes bytes.
pub fn writer<W: Write + Send + 'static>(bytes: W, format: Format, shape: Shape) -> Box<dyn FrameWriter> {
    match format {
        Format::Parquet => Box::new(ParquetWriter::new(bytes)),
        Format::Csv | Format::Ndjson => Box::new(TextWriter { bytes, format, shape, frames: 0, length_bytes: 0 }),
    }
}

/// Writes CSV and NDJSON.
struct TextWriter<W> {
    bytes: W,
    format: Format,
    shape: Shape,
    frames: u64,
    length_bytes: u64,
}

impl<W: Write + Send> FrameWriter for TextWriter<W> {
    fn write(&mut self, frame: &Frame) -> Result<(), WriteError> {
        let mut text = Vec::new();
        if self.frames == 0 {
            encode_head(self.format, frame, &mut text);
        }
        encode_rows(self.format, &self.shape, frame, &mut text);
        self.frames += 1;
        self.length_bytes += text.len() as u64;
        Ok(self.bytes.write_all(&text)?)
    }

    fn finish(mut self: Box<Self>) -> Result<u64, WriteError> {
        self.bytes.flush()?;
        Ok(self.length_bytes)
    }
}

/// Appends what a text file begins with.
pub(crate) fn encode_head(format: Format, frame: &Frame, out: &mut Vec<u8>) {
    if format == Format::Csv {
        write_csv::encode_header(frame, out);
    }
}

/// Appends the rows of a frame as text.
pub(crate) fn encode_rows(format: Format, shape: &Shape, frame: &Frame, out: &mut Vec<u8>) {
    match format {
        Format::Csv => write_csv::encode_rows(frame, out),
        _ => write_ndjson::encode_rows(frame, shape, out),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::frame::{Column, UNKNOWN_CODE};
    use super::super::read::{self, Expect, Kind};
    use super::*;

    fn texts(texts: &[&str]) -> Arc<Vec<Box<str>>> {
        Arc::new(texts.iter().map(|t| (*t).into()).collect())
    }

    fn sample() -> Frame {
        let columns = vec![
            ("member", Column::Plain { offsets: vec![0, 2, 4, 4], bytes: b"M1M2".to_vec() }),
            ("city", Column::Text { dictionary: texts(&["Xi'an, \"old\"", "é\nß"]), codes: vec![1, UNKNOWN_CODE, 0] }),
            ("vip", Column::Flag(vec![Some(true), Some(false), None])),
            ("age", Column::Number { scale: 0, values: vec![Some(-3), None, Some(i64::MAX)] }),
            ("spend", Column::Number { scale: 2, values: vec![Some(0), Some(-5), None] }),
            ("birthday", Column::Date(vec![Some(-1), None, Some(20_758)])),
            ("at", Column::Instant(vec![Some(0), Some(-1), None])),
            (
                "interests",
                Column::Set {
                    dictionary: texts(&["yoga", "a|b", "c;d", "[e"]),
                    offsets: vec![0, 1, 4, 4],
                    codes: vec![0, 1, 2, 3],
                },
            ),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name.to_string(), column)).collect();
        Frame { rows: 3, columns, lines: Vec::new(), first_line: 1 }
    }

    fn expect() -> Expect {
        Expect::default()
            .want("member", Kind::Id)
            .want("city", Kind::Text)
            .want("vip", Kind::Flag)
            .want("age", Kind::Number { scale: 0 })
            .want("spend", Kind::Number { scale: 2 })
            .want("birthday", Kind::Date)
            .want("at", Kind::Instant)
            .want("interests", Kind::Set)
    }

    /// A frame's values as text, whatever the order of its dictionaries.
    fn spelt(frame: &Frame) -> String {
        let mut out = Vec::new();
        encode_rows(Format::Ndjson, &Shape::Flat, frame, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn round_trip(frame: &Frame, format: Format, shape: Shape) -> (String, Vec<Frame>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("people.{}", format.name()));
        let mut file = create(&path, format, shape).unwrap();
        file.write(frame).unwrap();
        file.write(frame).unwrap();
        let length = file.finish().unwrap();
        assert_eq!(length, std::fs::metadata(&path).unwrap().len());
        let mut reader = read::open(&path, &expect()).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            frames.push(frame);
        }
        assert!(reader.take_rejected().is_empty());
        (String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(), frames)
    }

    #[test]
    fn what_is_written_reads_back() {
        let ids = vec!["member".to_string()];
        let expected = spelt(&sample()).repeat(2);
        for (format, shape) in [
            (Format::Csv, Shape::Flat),
            (Format::Ndjson, Shape::Flat),
            (Format::Ndjson, Shape::Upserts { ids: ids.clone() }),
            (Format::Ndjson, Shape::Events { ids }),
            (Format::Parquet, Shape::Flat),
        ] {
            let (text, frames) = round_trip(&sample(), format, shape);
            assert_eq!(frames.iter().map(spelt).collect::<String>(), expected, "{format:?}\n{text}");
        }
    }

    #[test]
    fn lines_have_the_shapes_of_the_api() {
        let ids = vec!["member".to_string()];
        let (upserts, _) = round_trip(&sample(), Format::Ndjson, Shape::Upserts { ids: ids.clone() });
        assert!(upserts.starts_with(
            r#"{"id":{"member":"M1"},"set":{"city":"é\nß","vip":true,"age":-3,"spend":0.00,"birthday":"1969-12-31","#
        ));
        let (events, _) = round_trip(&sample(), Format::Ndjson, Shape::Events { ids });
        let second = events.lines().nth(1).unwrap();
        assert!(
            second.starts_with(r#"{"id":{"member":"M2"},"vip":false,"spend":-0.05,"at":"1969-12-31T23:59:59Z""#),
            "{second}"
        );
        let third = events.lines().nth(2).unwrap();
        assert!(third.starts_with(r#"{"id":{},"city":"#), "{third}");
    }

    #[test]
    fn a_file_without_rows_still_reads() {
        let mut empty = sample();
        empty.rows = 0;
        for (_, column) in &mut empty.columns {
            *column = match column {
                Column::Plain { .. } => Column::Plain { offsets: vec![0], bytes: Vec::new() },
                Column::Set { dictionary, .. } => {
                    Column::Set { dictionary: Arc::clone(dictionary), offsets: vec![0], codes: Vec::new() }
                }
                Column::Text { dictionary, .. } => {
                    Column::Text { dictionary: Arc::clone(dictionary), codes: Vec::new() }
                }
                Column::Flag(_) => Column::Flag(Vec::new()),
                Column::Number { scale, .. } => Column::Number { scale: *scale, values: Vec::new() },
                Column::Date(_) => Column::Date(Vec::new()),
                Column::Instant(_) => Column::Instant(Vec::new()),
            };
        }
        for format in [Format::Csv, Format::Ndjson, Format::Parquet] {
            let (_, frames) = round_trip(&empty, format, Shape::Flat);
            assert!(frames.is_empty(), "{format:?}");
        }
    }
}
