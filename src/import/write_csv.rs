//! Frames to CSV: comma, a header line, quotes only where needed.
//! Unknown is an empty cell; the values of a set are joined by `|`, or a JSON array where one of them would be torn.

use super::frame::{Column, Frame, UNKNOWN_CODE};
use super::moments::{write_date, write_instant};
use super::numbers::write_decimal;

/// Appends the header line.
pub(crate) fn encode_header(frame: &Frame, out: &mut Vec<u8>) {
    for (at, (name, _)) in frame.columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_cell(name, out);
    }
    out.push(b'\n');
}

/// Appends a line for each row.
pub(crate) fn encode_rows(frame: &Frame, out: &mut Vec<u8>) {
    let cells: Vec<Cells> = frame.columns.iter().map(|(_, column)| Cells::new(column)).collect();
    for row in 0..frame.rows {
        for (at, cells) in cells.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            cells.write(row, out);
        }
        // A line of one empty cell would be no line at all.
        if frame.columns.len() == 1 && out.last().is_none_or(|b| *b == b'\n') {
            out.extend_from_slice(b"\"\"");
        }
        out.push(b'\n');
    }
}

/// A column with the cells of its texts made once.
struct Cells<'a> {
    column: &'a Column,
    texts: Vec<Vec<u8>>,
}

impl<'a> Cells<'a> {
    fn new(column: &'a Column) -> Self {
        let texts = match column {
            Column::Text { dictionary, .. } => dictionary.iter().map(|text| cell(text)).collect(),
            _ => Vec::new(),
        };
        Cells { column, texts }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self.column {
            Column::Text { codes, .. } => {
                if codes[row] != UNKNOWN_CODE {
                    out.extend_from_slice(&self.texts[codes[row] as usize]);
                }
            }
            Column::Plain { offsets, bytes } => {
                let text = &bytes[offsets[row] as usize..offsets[row + 1] as usize];
                write_cell(&String::from_utf8_lossy(text), out);
            }
            Column::Flag(values) => out.extend_from_slice(match values[row] {
                Some(true) => b"true",
                Some(false) => b"false",
                None => b"",
            }),
            Column::Number { scale, values } => values[row].iter().for_each(|v| write_decimal(*v, *scale, out)),
            Column::Date(values) => values[row].iter().for_each(|v| write_date(*v, out)),
            Column::Instant(values) => values[row].iter().for_each(|v| write_instant(*v, out)),
            Column::Set { dictionary, offsets, codes } => {
                let codes = &codes[offsets[row] as usize..offsets[row + 1] as usize];
                write_set(codes.iter().map(|code| &*dictionary[*code as usize]), out);
            }
        }
    }
}

fn write_set<'a>(items: impl Iterator<Item = &'a str> + Clone, out: &mut Vec<u8>) {
    let tears = |item: &str| {
        item.is_empty() || item.starts_with('[') || item.contains(['|', ';']) || item.trim().len() != item.len()
    };
    if items.clone().any(tears) {
        let items: Vec<&str> = items.collect();
        write_cell(&serde_json::to_string(&items).expect("texts are JSON"), out);
        return;
    }
    if items.clone().any(needs_quotes) {
        let items: Vec<&str> = items.collect();
        write_cell(&items.join("|"), out);
        return;
    }
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b'|');
        }
        out.extend_from_slice(item.as_bytes());
    }
}

fn cell(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    write_cell(text, &mut out);
    out
}

fn needs_quotes(text: &str) -> bool {
    text.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'))
}

/// Appends a field, quoted where it must be (RFC 4180).
pub(crate) fn write_cell(text: &str, out: &mut Vec<u8>) {
    if !needs_quotes(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> String {
        let mut out = Vec::new();
        write_set(items.iter().copied(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sets_are_joined_unless_they_would_be_torn() {
        for (items, text) in [
            (&["a", "b"][..], "a|b"),
            (&[], ""),
            (&["a,b", "c"], "\"a,b|c\""),
            (&["a|b"], r#""[""a|b""]""#),
            (&[" a"], r#""["" a""]""#),
        ] {
            assert_eq!(set(items), text);
        }
    }

    #[test]
    fn a_lone_unknown_is_still_a_line() {
        let column = Column::Flag(vec![None, Some(true)]);
        let frame = Frame { rows: 2, columns: vec![("vip".into(), column)], lines: Vec::new(), first_line: 1 };
        let mut out = Vec::new();
        encode_rows(&frame, &mut out);
        assert_eq!(out, b"\"\"\ntrue\n");
    }
}
