//! Frames to NDJSON: the API's upsert and event lines, and flat lines. Unknown values are left out.

use super::frame::{Column, Frame, UNKNOWN_CODE};
use super::moments::{write_date, write_instant};
use super::numbers::write_decimal;
use super::write::Shape;

/// Appends a line for each row.
pub(crate) fn encode_rows(frame: &Frame, shape: &Shape, out: &mut Vec<u8>) {
    let (ids, rest_open, rest_close): (&[String], &str, &str) = match shape {
        Shape::Flat => (&[], "", ""),
        Shape::Upserts { ids } => (ids, "\"set\":{", "}"),
        Shape::Events { ids } => (ids, "", ""),
    };
    let (id_columns, columns): (Vec<_>, Vec<_>) = frame.columns.iter().partition(|(name, _)| ids.contains(name));
    let id_members: Vec<Member> = id_columns.into_iter().map(|(name, column)| Member::new(name, column)).collect();
    let members: Vec<Member> = columns.into_iter().map(|(name, column)| Member::new(name, column)).collect();
    for row in 0..frame.rows {
        out.push(b'{');
        if *shape != Shape::Flat {
            out.extend_from_slice(b"\"id\":{");
            write_members(&id_members, row, out);
            out.extend_from_slice(b"},");
        }
        out.extend_from_slice(rest_open.as_bytes());
        if !write_members(&members, row, out) && rest_open.is_empty() && *shape != Shape::Flat {
            out.pop();
        }
        out.extend_from_slice(rest_close.as_bytes());
        out.extend_from_slice(b"}\n");
    }
}

/// Appends the known members of a row, with commas between. True where there was one.
fn write_members(members: &[Member], row: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for member in members {
        let before = out.len();
        out.extend_from_slice(&member.key);
        if member.write(row, out) {
            out.push(b',');
        } else {
            out.truncate(before);
        }
    }
    let any = out.len() > start;
    if any {
        out.pop();
    }
    any
}

/// A column with its key and the strings of its texts made once.
struct Member<'a> {
    key: Vec<u8>,
    column: &'a Column,
    texts: Vec<Vec<u8>>,
}

impl<'a> Member<'a> {
    fn new(name: &str, column: &'a Column) -> Self {
        let mut key = string(name);
        key.push(b':');
        let texts = match column {
            Column::Text { dictionary, .. } | Column::Set { dictionary, .. } => {
                dictionary.iter().map(|text| string(text)).collect()
            }
            _ => Vec::new(),
        };
        Member { key, column, texts }
    }

    /// Appends the value of a row; false, and nothing, where it is unknown.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        match self.column {
            Column::Text { codes, .. } => {
                if codes[row] != UNKNOWN_CODE {
                    out.extend_from_slice(&self.texts[codes[row] as usize]);
                }
            }
            Column::Plain { offsets, bytes } => {
                let text = &bytes[offsets[row] as usize..offsets[row + 1] as usize];
                if !text.is_empty() {
                    write_string(&String::from_utf8_lossy(text), out);
                }
            }
            Column::Flag(values) => {
                values[row].iter().for_each(|v| out.extend_from_slice(if *v { b"true" } else { b"false" }));
            }
            Column::Number { scale, values } => values[row].iter().for_each(|v| write_decimal(*v, *scale, out)),
            Column::Date(values) => values[row].iter().for_each(|v| write_quoted(|out| write_date(*v, out), out)),
            Column::Instant(values) => values[row].iter().for_each(|v| write_quoted(|out| write_instant(*v, out), out)),
            Column::Set { offsets, codes, .. } => {
                let codes = &codes[offsets[row] as usize..offsets[row + 1] as usize];
                if !codes.is_empty() {
                    out.push(b'[');
                    for code in codes {
                        out.extend_from_slice(&self.texts[*code as usize]);
                        out.push(b',');
                    }
                    out.pop();
                    out.push(b']');
                }
            }
        }
        out.len() > before
    }
}

fn write_quoted(write: impl Fn(&mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    out
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    let is_plain = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a string is JSON");
    }
}
