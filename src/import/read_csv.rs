//! Reads CSV: a header line, then one row a record. Knows quoting and delimiters; knows kinds only through `fill`.
//!
//! An empty cell is unknown. The delimiter is whichever of `,` `;` tab `|` splits the header best. A record that
//! does not fit is rejected whole, with the line on which it begins.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::ByteRecord;

use super::fill::Fill;
use super::frame::Frame;
use super::read::{Expect, FRAME_ROWS, FrameReader, LINE_BYTES_MAX, Others, ReadError, Rejected};

/// Delimiters that are looked for, in order of preference.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Bytes of the file's head that the delimiter is told from.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes of records after which a frame is given though it is not full.
const FRAME_BYTES_MAX: u64 = 64 << 20;
const FORMAT: &str = "CSV";

/// Reads a CSV file.
pub struct CsvReader {
    path: PathBuf,
    records: csv::Reader<Metered>,
    /// For each column of the file, its place in `fills`.
    places: Vec<Option<usize>>,
    names: Vec<String>,
    fills: Vec<Fill>,
    record: ByteRecord,
    rejected: Vec<Rejected>,
    meter: Arc<Meter>,
    bytes_total: u64,
    done: bool,
}

/// How far the bytes have been read, and how far they may be.
#[derive(Debug, Default)]
struct Meter {
    bytes_read: AtomicU64,
    bytes_max: AtomicU64,
}

/// A file that stops with an error where a record grows without end.
struct Metered {
    file: Box<dyn Read + Send>,
    meter: Arc<Meter>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = self.meter.bytes_read.load(Ordering::Relaxed);
        if before > self.meter.bytes_max.load(Ordering::Relaxed) {
            return Err(io::Error::other(format!(
                "a record is longer than {LINE_BYTES_MAX} bytes; is a quote not closed?"
            )));
        }
        let count = self.file.read(buffer)?;
        self.meter.bytes_read.store(before + count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl CsvReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`ReadError`] where the file cannot be read, has no header, names a column twice, or one that nobody expects.
    pub fn open(path: &Path, expect: &Expect) -> Result<Self, ReadError> {
        let (mut records, meter, bytes_total) = open_records(path)?;
        let header = read_header(path, &mut records)?;
        let mut reader = CsvReader {
            path: path.into(),
            records,
            places: Vec::with_capacity(header.len()),
            names: Vec::new(),
            fills: Vec::new(),
            record: ByteRecord::new(),
            rejected: Vec::new(),
            meter,
            bytes_total,
            done: false,
        };
        let found: Vec<&str> = header.iter().map(String::as_str).collect();
        for (column, place) in header.iter().zip(expect.places(&found)) {
            let place = match place {
                Some(wanted) => {
                    reader.names.push(expect.columns[wanted].name.clone());
                    reader.fills.push(Fill::new(&expect.columns[wanted], &expect.time_zone));
                    Some(reader.fills.len() - 1)
                }
                None if expect.others == Others::Skip => None,
                None => return Err(ReadError::column(path, column, "no tag, id type or property is called that")),
            };
            reader.places.push(place);
        }
        Ok(reader)
    }

    /// Reads one record into the columns. False at the end of the file.
    fn read_row(&mut self, rows: &mut usize, lines: &mut Vec<u64>) -> Result<bool, ReadError> {
        let start = self.records.position().byte();
        self.meter.bytes_max.store(start.saturating_add(LINE_BYTES_MAX as u64), Ordering::Relaxed);
        let more = self.records.read_byte_record(&mut self.record);
        if !more.map_err(|e| csv_error(&self.path, e))? {
            return Ok(false);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        match push_record(&self.record, &self.places, &mut self.fills) {
            Ok(()) => {
                *rows += 1;
                lines.push(line);
            }
            Err((code, message)) => {
                self.fills.iter_mut().for_each(|fill| fill.truncate(*rows));
                self.rejected.push(Rejected { line, code, message });
            }
        }
        Ok(true)
    }
}

impl FrameReader for CsvReader {
    fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        if self.done {
            return Ok(None);
        }
        let (mut rows, mut lines) = (0, Vec::new());
        let rejected_before = self.rejected.len();
        let start = self.records.position().byte();
        while rows + self.rejected.len() - rejected_before < FRAME_ROWS
            && self.records.position().byte() - start < FRAME_BYTES_MAX
        {
            if !self.read_row(&mut rows, &mut lines)? {
                self.done = true;
                break;
            }
        }
        if rows == 0 && self.rejected.len() == rejected_before {
            return Ok(None);
        }
        let columns = self.names.iter().cloned().zip(self.fills.iter_mut().map(Fill::take)).collect();
        let first_line = lines.first().copied().unwrap_or(1);
        Ok(Some(Frame { rows, columns, lines, first_line }))
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        mem::take(&mut self.rejected)
    }

    fn bytes_read(&self) -> u64 {
        self.records.position().byte().min(self.bytes_total)
    }

    fn bytes_total(&self) -> u64 {
        self.bytes_total
    }
}

/// Pushes a record's cells, or says with code and message why it cannot be.
fn push_record(
    record: &ByteRecord,
    places: &[Option<usize>],
    fills: &mut [Fill],
) -> Result<(), (&'static str, String)> {
    if record.len() != places.len() {
        let message = format!("{} fields where the header has {}", record.len(), places.len());
        return Err(("bad_row", message));
    }
    for (at, place) in places.iter().enumerate() {
        let Some(place) = *place else { continue };
        let cell =
            std::str::from_utf8(&record[at]).map_err(|_| ("bad_utf8", format!("field {} is not UTF-8", at + 1)))?;
        if cell.is_empty() {
            fills[place].push_unknown();
        } else {
            fills[place].push_text(cell).map_err(|message| ("bad_value", message))?;
        }
    }
    Ok(())
}

fn open_records(path: &Path) -> Result<(csv::Reader<Metered>, Arc<Meter>, u64), ReadError> {
    let mut file = File::open(path).map_err(|e| ReadError::io(path, e))?;
    let bytes_total = file.metadata().map_err(|e| ReadError::io(path, e))?.len();
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(|e| ReadError::io(path, e))?;
    let delimiter = detect_delimiter(&head);
    let meter = Arc::new(Meter { bytes_read: AtomicU64::new(0), bytes_max: AtomicU64::new(LINE_BYTES_MAX as u64) });
    let bytes = Metered { file: Box::new(io::Cursor::new(head).chain(file)), meter: Arc::clone(&meter) };
    let records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(1 << 20)
        .from_reader(bytes);
    Ok((records, meter, bytes_total))
}

fn read_header(path: &Path, records: &mut csv::Reader<Metered>) -> Result<Vec<String>, ReadError> {
    let mut record = ByteRecord::new();
    if !records.read_byte_record(&mut record).map_err(|e| csv_error(path, e))? {
        return Err(ReadError::malformed(path, FORMAT, "it is empty; the first line must name the columns"));
    }
    let mut header: Vec<String> = Vec::with_capacity(record.len());
    for cell in &record {
        let name = std::str::from_utf8(cell)
            .map_err(|_| ReadError::malformed(path, FORMAT, "the header is not UTF-8"))?
            .trim_start_matches('\u{feff}')
            .trim();
        if header.iter().any(|other| other == name) {
            return Err(ReadError::column(path, name, "the header names it twice"));
        }
        header.push(name.into());
    }
    Ok(header)
}

fn csv_error(path: &Path, error: csv::Error) -> ReadError {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => ReadError::io(path, source),
        other => ReadError::malformed(path, FORMAT, format!("{other:?}")),
    }
}

/// The delimiter of a file's head: one that splits the header, and the lines after it into as many fields.
pub(crate) fn detect_delimiter(head: &[u8]) -> u8 {
    const LINES: usize = 20;
    let lines: Vec<&[u8]> = head.split(|b| *b == b'\n').filter(|line| !line.is_empty()).take(LINES).collect();
    let Some((header, rest)) = lines.split_first() else { return DELIMITERS[0] };
    let score = |delimiter: u8| {
        let count = count_unquoted(header, delimiter);
        let agreeing = rest.iter().filter(|line| count_unquoted(line, delimiter) == count).count();
        if count == 0 { (0, 0) } else { (1 + agreeing, count) }
    };
    DELIMITERS.into_iter().rev().max_by_key(|d| score(*d)).unwrap_or(DELIMITERS[0])
}

fn count_unquoted(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    let mut count = 0;
    for byte in line {
        quoted ^= *byte == b'"';
        count += usize::from(*byte == delimiter && !quoted);
    }
    count
}

/// The header and the first records of a file as text, for inference. Records that cannot be read are left out.
pub(crate) fn sample(path: &Path, rows_max: usize) -> Result<(Vec<String>, Vec<Vec<String>>), ReadError> {
    let (mut records, meter, _) = open_records(path)?;
    let header = read_header(path, &mut records)?;
    let mut rows = Vec::new();
    let mut record = ByteRecord::new();
    while rows.len() < rows_max {
        let bytes_max = records.position().byte().saturating_add(LINE_BYTES_MAX as u64);
        meter.bytes_max.store(bytes_max, Ordering::Relaxed);
        if !records.read_byte_record(&mut record).map_err(|e| csv_error(path, e))? {
            break;
        }
        if record.len() == header.len() {
            rows.push(record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
        }
    }
    Ok((header, rows))
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Column, UNKNOWN_CODE};
    use super::super::read::Kind;
    use super::*;

    fn expect() -> Expect {
        Expect::default().want("member", Kind::Id).want("age", Kind::Number { scale: 0 }).want("city", Kind::Text)
    }

    fn read(bytes: &[u8], expect: &Expect) -> Result<(Vec<Frame>, Vec<Rejected>), ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.csv");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = CsvReader::open(&path, expect)?;
        let (mut frames, mut rejected) = (Vec::new(), Vec::new());
        while let Some(frame) = reader.next_frame()? {
            frames.push(frame);
            rejected.append(&mut reader.take_rejected());
        }
        assert_eq!(reader.bytes_read(), reader.bytes_total());
        Ok((frames, rejected))
    }

    #[test]
    fn rows_become_columns_and_bad_ones_are_named() {
        let bytes = b"\xef\xbb\xbfmember,age,city\nM1,31,Shanghai\nM2,,\nM3,x,Beijing\nM4,4\nM5,5,\"Xi'an, \"\"old\"\"\"\nM\xff,6,A\n";
        let (frames, rejected) = read(bytes, &expect()).unwrap();
        let frame = &frames[0];
        assert_eq!((frames.len(), frame.rows), (1, 3));
        assert_eq!(frame.lines, [2, 3, 6]);
        let Some(Column::Text { dictionary, codes }) = frame.column("city") else { panic!("city is a category") };
        assert_eq!(
            (&*dictionary[0], codes[1], &*dictionary[codes[2] as usize]),
            ("Shanghai", UNKNOWN_CODE, "Xi'an, \"old\"")
        );
        let Some(Column::Number { values, .. }) = frame.column("age") else { panic!("age is a number") };
        assert_eq!(values, &[Some(31), None, Some(5)]);
        let found: Vec<_> = rejected.iter().map(|r| (r.line, r.code)).collect();
        assert_eq!(found, [(4, "bad_value"), (5, "bad_row"), (7, "bad_utf8")]);
    }

    #[test]
    fn the_delimiter_is_found() {
        for (head, delimiter) in [
            ("a,b,c\n1,2,3\n", b','),
            ("a;b;c\n1,5;2;3\n", b';'),
            ("a\tb\n1,2\t3\n", b'\t'),
            ("a|b\n1|2\n", b'|'),
            ("a,b\n1|2,3|4\n", b','),
            ("\"a;b\",c\n1,2\n", b','),
            ("alone\n1\n", b','),
            ("", b','),
        ] {
            assert_eq!(detect_delimiter(head.as_bytes()), delimiter, "{head}");
        }
    }

    #[test]
    fn a_column_that_nobody_expects_is_refused_or_skipped() {
        let bytes = b"member,age,city,shoe\nM1,1,A,44\n";
        let error = read(bytes, &expect()).unwrap_err().to_string();
        assert!(error.contains("column `shoe`"), "{error}");
        let (frames, _) = read(bytes, &Expect { others: Others::Skip, ..expect() }).unwrap();
        assert_eq!(frames[0].columns.len(), 3);
    }

    #[test]
    fn headers_must_be_there_and_distinct() {
        assert!(read(b"", &expect()).unwrap_err().to_string().contains("must name the columns"));
        assert!(read(b"age,age\n1,2\n", &expect()).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn an_endless_record_is_an_error_not_a_hog() {
        let mut bytes = b"member,age,city\n\"M1,1,A\n".to_vec();
        bytes.resize(LINE_BYTES_MAX + (4 << 20), b'x');
        assert!(read(&bytes, &expect()).unwrap_err().to_string().contains("quote not closed"));
    }

    #[test]
    fn a_file_longer_than_a_frame_keeps_all_rows() {
        let mut bytes = b"member,age,city\n".to_vec();
        for n in 0..FRAME_ROWS + 10 {
            bytes.extend_from_slice(format!("M{n},{n},A\n").as_bytes());
        }
        let (frames, rejected) = read(&bytes, &expect()).unwrap();
        assert_eq!(frames.iter().map(|f| f.rows).collect::<Vec<_>>(), [FRAME_ROWS, 10]);
        assert_eq!((rejected.len(), frames[1].line(0)), (0, FRAME_ROWS as u64 + 2));
    }
}
