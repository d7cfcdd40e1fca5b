//! Reads NDJSON: one object a line, flat or in the API's shape. Knows JSON tokens; knows kinds only through `fill`.
//!
//! ```text
//!   flat      {"member": "M001", "city": "Shanghai", "age": 31}
//!   upsert    {"id": {"member": "M001"}, "set": {"city": "Shanghai", "age": 31}}
//!   event     {"id": {"member": "M001"}, "event": "purchase", "at": "2026-11-01T10:30:00+08:00", "amount": 12.50}
//! ```
//! `id` and `set` count as wrappers only where they hold an object. An upsert that adds, removes or unsets changes what
//! is there instead of stating it: such a line is rejected and belongs in a POST to the server.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::mem;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fill::Fill;
use super::frame::Frame;
use super::numbers;
use super::read::{Expect, FRAME_ROWS, FrameReader, Kind, LINE_BYTES_MAX, Others, ReadError, Rejected};

/// Bytes of lines after which a frame is given though it is not full.
const FRAME_BYTES_MAX: u64 = 64 << 20;
/// Keys of an upsert that this reader does not take.
const VERBS: [&str; 3] = ["add", "remove", "unset"];

/// Reads an NDJSON file.
pub struct NdjsonReader {
    lines: Lines,
    names: Vec<String>,
    sources: Vec<String>,
    fills: Vec<Fill>,
    others: Others,
    rejected: Vec<Rejected>,
    bytes_total: u64,
    done: bool,
}

/// Why a line is rejected: code and message.
type Refusal = (&'static str, String);

impl NdjsonReader {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ReadError::Io`] where it cannot be opened.
    pub fn open(path: &Path, expect: &Expect) -> Result<Self, ReadError> {
        let (lines, bytes_total) = Lines::open(path)?;
        Ok(NdjsonReader {
            lines,
            names: expect.columns.iter().map(|c| c.name.clone()).collect(),
            sources: expect.columns.iter().map(|c| c.source.clone()).collect(),
            fills: expect.columns.iter().map(|c| Fill::new(c, &expect.time_zone)).collect(),
            others: expect.others,
            rejected: Vec::new(),
            bytes_total,
            done: false,
        })
    }
}

impl FrameReader for NdjsonReader {
    fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        if self.done {
            return Ok(None);
        }
        let (mut rows, mut lines) = (0, Vec::new());
        let rejected_before = self.rejected.len();
        let start = self.lines.bytes_read;
        while rows + self.rejected.len() - rejected_before < FRAME_ROWS
            && self.lines.bytes_read - start < FRAME_BYTES_MAX
        {
            let line = match self.lines.next_line()? {
                Line::End => {
                    self.done = true;
                    break;
                }
                Line::TooLong => Err(("too_long", format!("the line is longer than {LINE_BYTES_MAX} bytes"))),
                Line::Text(bytes) => read_line(bytes, &self.sources, self.others, &mut self.fills),
            };
            match line {
                Ok(()) => {
                    rows += 1;
                    lines.push(self.lines.number);
                }
                Err((code, message)) => {
                    self.fills.iter_mut().for_each(|fill| fill.truncate(rows));
                    self.rejected.push(Rejected { line: self.lines.number, code, message });
                }
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
        self.lines.bytes_read
    }

    fn bytes_total(&self) -> u64 {
        self.bytes_total
    }
}

/// Lines of a file, each of bounded length.
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    buffer: Vec<u8>,
    number: u64,
    bytes_read: u64,
}

enum Line<'a> {
    End,
    TooLong,
    Text(&'a [u8]),
}

impl Lines {
    fn open(path: &Path) -> Result<(Self, u64), ReadError> {
        let file = File::open(path).map_err(|e| ReadError::io(path, e))?;
        let bytes_total = file.metadata().map_err(|e| ReadError::io(path, e))?.len();
        let file = BufReader::with_capacity(1 << 20, file);
        Ok((Lines { path: path.into(), file, buffer: Vec::new(), number: 0, bytes_read: 0 }, bytes_total))
    }

    /// The next line that is not blank, without its end.
    fn next_line(&mut self) -> Result<Line<'_>, ReadError> {
        loop {
            self.buffer.clear();
            let mut limited = self.file.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            let count = limited.read_until(b'\n', &mut self.buffer).map_err(|e| ReadError::io(&self.path, e))?;
            if count == 0 {
                return Ok(Line::End);
            }
            self.bytes_read += count as u64;
            self.number += 1;
            if count > LINE_BYTES_MAX && self.buffer.last() != Some(&b'\n') {
                self.bytes_read += self.file.skip_until(b'\n').map_err(|e| ReadError::io(&self.path, e))? as u64;
                return Ok(Line::TooLong);
            }
            let mark = if self.number == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            let text = self.buffer[mark..].trim_ascii();
            if !text.is_empty() {
                // Asked again, since the borrow must not outlive a turn of the loop.
                return Ok(Line::Text(self.buffer[mark..].trim_ascii()));
            }
        }
    }
}

/// An object's entries in order, their values still text.
type Entries<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Puts an object's entries after others.
struct EntriesInto<'e, 'de> {
    entries: &'e mut Entries<'de>,
    /// Puts the entries of `id` and `set` in place of these two, which then must be objects.
    unwraps: bool,
}

impl<'de> DeserializeSeed<'de> for EntriesInto<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntriesInto<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let EntriesInto { entries, unwraps } = self;
        while let Some(Key(key)) = map.next_key()? {
            match key.as_ref() {
                "id" | "set" if unwraps => map.next_value_seed(EntriesInto { entries, unwraps: false })?,
                verb if unwraps && VERBS.contains(&verb) => return Err(A::Error::custom("not a plain upsert")),
                _ => entries.push((key, map.next_value()?)),
            }
        }
        Ok(())
    }
}

/// A key or an item, borrowed unless it is escaped.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn parse_object(text: &str, unwraps: bool) -> Result<Entries<'_>, serde_json::Error> {
    let mut entries = Vec::with_capacity(32);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    EntriesInto { entries: &mut entries, unwraps }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(entries)
}

/// The columns that a line names, with the API's wrappers taken off.
fn columns_of(text: &str) -> Result<Entries<'_>, Refusal> {
    // Most lines of the API's shape begin like this and are read in one pass; whatever fails here is looked at again.
    if text.starts_with("{\"id\":")
        && let Ok(columns) = parse_object(text, true)
    {
        return Ok(columns);
    }
    let bad_json = |e: serde_json::Error| ("bad_json", format!("not a JSON object: {e}"));
    let top = parse_object(text, false).map_err(bad_json)?;
    let is_wrapped = top.iter().any(|(key, value)| key == "id" && is_object(value));
    if !is_wrapped {
        return Ok(top);
    }
    let mut columns = Vec::with_capacity(top.len() + 32);
    for (key, value) in top {
        match key.as_ref() {
            "id" | "set" if is_object(value) => {
                columns.append(&mut parse_object(value.get(), false).map_err(bad_json)?)
            }
            verb if VERBS.contains(&verb) => {
                let message = format!("`{verb}` changes what is there; send this line to the server: POST …/profiles");
                return Err(("not_an_insert", message));
            }
            _ => columns.push((key, value)),
        }
    }
    Ok(columns)
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn read_line(bytes: &[u8], sources: &[String], others: Others, fills: &mut [Fill]) -> Result<(), Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| ("bad_utf8", "the line is not UTF-8".to_string()))?;
    let mut values: Vec<Option<&RawValue>> = vec![None; sources.len()];
    let mut likely = 0;
    for (key, value) in columns_of(text)? {
        let Some(place) = find(sources, &key, likely) else {
            match others {
                Others::Skip => continue,
                Others::Refuse => {
                    return Err(("unknown_column", format!("no tag, id type or property is called `{key}`")));
                }
            }
        };
        if values[place].replace(value).is_some() {
            return Err(("bad_json", format!("`{key}` stands twice")));
        }
        likely = place + 1;
    }
    for (fill, value) in fills.iter_mut().zip(values) {
        push_value(fill, value).map_err(|message| ("bad_value", message))?;
    }
    Ok(())
}

/// Place of a key, first looked for where the last one's neighbour is.
fn find(sources: &[String], key: &str, likely: usize) -> Option<usize> {
    match sources.get(likely) {
        Some(source) if source == key => Some(likely),
        _ => sources.iter().position(|source| source == key),
    }
}

fn push_value(fill: &mut Fill, value: Option<&RawValue>) -> Result<(), String> {
    let Some(text) = value.map(RawValue::get) else {
        fill.push_unknown();
        return Ok(());
    };
    match (text.as_bytes()[0], fill.kind()) {
        (b'n', _) => fill.push_unknown(),
        (b't', _) => fill.push_flag(true)?,
        (b'f', _) => fill.push_flag(false)?,
        (b'"', Kind::Number { .. }) => return Err(fill.misfit(text, "a number stands without quotes")),
        (b'"', Kind::Flag) => return Err(fill.misfit(text, "a flag is true or false without quotes")),
        (b'"', Kind::Set) => return Err(fill.misfit(text, "a set is a list of strings")),
        (b'"', _) => fill.push_text(&unescape(text)?)?,
        (b'[', _) => {
            let items: Vec<Key<'_>> =
                serde_json::from_str(text).map_err(|_| fill.misfit(text, "a set is a list of strings"))?;
            fill.push_list(items.iter().map(|item| &item.0))?;
        }
        (b'{', _) => return Err(fill.misfit(text, "an object is no value")),
        (_, Kind::Number { .. }) => fill.push_text(text)?,
        (_, Kind::Id | Kind::Text) if numbers::scale_needed(text.as_bytes()) == Some(0) && is_integer(text) => {
            fill.push_text(text)?;
        }
        _ => return Err(fill.misfit(text, "that is a number")),
    }
    Ok(())
}

fn is_integer(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

fn unescape(quoted: &str) -> Result<Cow<'_, str>, String> {
    let inner = &quoted[1..quoted.len() - 1];
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(quoted).map(Cow::Owned).map_err(|e| format!("not a JSON string: {e}"))
}

/// Keys with the text of their values, by line of a file's head, for inference. Lines that cannot be read are left out.
pub(crate) fn sample(path: &Path, rows_max: usize) -> Result<Vec<Vec<(String, String)>>, ReadError> {
    let (mut lines, _) = Lines::open(path)?;
    let mut rows = Vec::new();
    while rows.len() < rows_max {
        let bytes = match lines.next_line()? {
            Line::End => break,
            Line::TooLong => continue,
            Line::Text(bytes) => bytes,
        };
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        let Ok(columns) = columns_of(text) else { continue };
        rows.push(columns.into_iter().map(|(key, value)| (key.into_owned(), value.get().to_string())).collect());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Column, UNKNOWN_CODE};
    use super::*;

    fn expect() -> Expect {
        Expect::default()
            .want("member", Kind::Id)
            .want("city", Kind::Text)
            .want("spend", Kind::Number { scale: 2 })
            .want("interests", Kind::Set)
            .want("vip", Kind::Flag)
            .want("birthday", Kind::Date)
    }

    fn read(bytes: &[u8], expect: &Expect) -> (Vec<Frame>, Vec<Rejected>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.ndjson");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = NdjsonReader::open(&path, expect).unwrap();
        let (mut frames, mut rejected) = (Vec::new(), Vec::new());
        while let Some(frame) = reader.next_frame().unwrap() {
            frames.push(frame);
            rejected.append(&mut reader.take_rejected());
        }
        assert_eq!(reader.bytes_read(), reader.bytes_total());
        (frames, rejected)
    }

    #[test]
    fn both_shapes_give_the_same_columns() {
        let lines = [
            r#"{"member":"M1","city":"Xi\u0027an","spend":12.50,"interests":["yoga","tea","yoga"],"vip":true,"birthday":"1990-02-28"}"#,
            "",
            r#"{"id":{"member":"M1"},"set":{"spend":1.25e1,"city":"Xi'an","interests":["yoga","tea"],"vip":true,"birthday":"1990-02-28"}}"#,
            r#"{"member":7,"city":null}"#,
        ];
        let (frames, rejected) = read(lines.join("\r\n").as_bytes(), &expect());
        assert!(rejected.is_empty(), "{rejected:?}");
        let frame = &frames[0];
        assert_eq!((frame.rows, &frame.lines[..]), (3, &[1, 3, 4][..]));
        let Some(Column::Plain { offsets, bytes }) = frame.column("member") else { panic!("member is an id") };
        assert_eq!((&offsets[..], &bytes[..]), (&[0, 2, 4, 5][..], &b"M1M17"[..]));
        let Some(Column::Text { dictionary, codes }) = frame.column("city") else { panic!("city is a category") };
        assert_eq!((&*dictionary[0], &codes[..]), ("Xi'an", &[0, 0, UNKNOWN_CODE][..]));
        let Some(Column::Number { values, .. }) = frame.column("spend") else { panic!("spend is a number") };
        assert_eq!(values, &[Some(1250), Some(1250), None]);
        let Some(Column::Set { offsets, .. }) = frame.column("interests") else { panic!("interests is a set") };
        assert_eq!(offsets, &[0, 2, 4, 4]);
    }

    #[test]
    fn bad_lines_are_named_and_the_rest_is_read() {
        let good = r#"{"member":"M0"}"#;
        let cases = [
            ("{", "bad_json", "not a JSON object"),
            ("[1]", "bad_json", "an object"),
            (r#"{"member":"M1"} {"#, "bad_json", "trailing"),
            (r#"{"member":"M1","shoe":44}"#, "unknown_column", "`shoe`"),
            (r#"{"member":"M1","member":"M2"}"#, "bad_json", "twice"),
            (r#"{"id":{"member":"M1"},"add":{"interests":["golf"]}}"#, "not_an_insert", "POST"),
            (r#"{"member":"M1","spend":1.505}"#, "bad_value", "2 digits"),
            (r#"{"member":"M1","spend":"1"}"#, "bad_value", "without quotes"),
            (r#"{"member":"M1","vip":"true"}"#, "bad_value", "without quotes"),
            (r#"{"member":"M1","vip":1}"#, "bad_value", "flag"),
            (r#"{"member":"M1","city":true}"#, "bad_value", "category"),
            (r#"{"member":"M1","city":1.5}"#, "bad_value", "number"),
            (r#"{"member":"M1","interests":"golf"}"#, "bad_value", "list of strings"),
            (r#"{"member":"M1","interests":[1]}"#, "bad_value", "list of strings"),
            (r#"{"member":"M1","city":{"a":1}}"#, "bad_value", "object"),
            (r#"{"member":"M1","birthday":"1990-02-30"}"#, "bad_value", "2026-11-01"),
        ];
        let mut bytes = Vec::new();
        for (line, ..) in cases {
            bytes.extend_from_slice(format!("{line}\n{good}\n").as_bytes());
        }
        bytes.extend_from_slice(b"{\"member\":\"\xff\"}\n");
        let (frames, rejected) = read(&bytes, &expect());
        assert_eq!(frames[0].rows, cases.len());
        for ((line, code, words), (at, found)) in cases.iter().zip(rejected.iter().enumerate()) {
            assert_eq!((found.line, found.code), (2 * at as u64 + 1, *code), "{line}: {}", found.message);
            assert!(found.message.contains(words), "{line}: {}", found.message);
        }
        assert_eq!(rejected.last().unwrap().code, "bad_utf8");
    }

    #[test]
    fn an_endless_line_is_rejected_and_the_next_one_read() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX + 100];
        bytes.extend_from_slice(b"\n{\"member\":\"M1\"}");
        let (frames, rejected) = read(&bytes, &expect());
        assert_eq!((rejected[0].code, rejected[0].line), ("too_long", 1));
        assert_eq!((frames[0].rows, frames[0].line(0)), (1, 2));
    }

    #[test]
    fn other_keys_can_be_skipped() {
        let expect = Expect { others: Others::Skip, ..expect() };
        let (frames, rejected) = read(br#"{"member":"M1","shoe":44}"#, &expect);
        assert_eq!((frames[0].rows, rejected.len()), (1, 0));
    }
}
