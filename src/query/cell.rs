//! Cells: the values that answers are made of, and how they are spelled in JSON and CSV.
//! Knows spelling only. Decimals are exact: all digits of their scale, never through a float.

use std::borrow::Cow;

use serde::ser::{Error as _, SerializeSeq};
use serde::{Serialize, Serializer};

use super::bind::date_of;
use super::number::decimal_text;
use super::spell::{push_date, push_decimal, push_int, push_json_text};

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Unknown, or nobody's minimum.
    Null,
    /// A flag.
    Bool(bool),
    /// A count or a OneID.
    Int(i64),
    /// `value / 10^scale`.
    Decimal(i128, u8),
    /// An average or a share.
    Float(f64),
    /// A category or identity.
    Text(Cow<'a, str>),
    /// Days since 1970-01-01.
    Date(i64),
    /// A set.
    List(Vec<Cow<'a, str>>),
    /// What has no cell of its own (a person's events), as JSON.
    Json(String),
}

impl Cell<'_> {
    /// The cell on its own.
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Null => Cell::Null,
            Cell::Bool(value) => Cell::Bool(value),
            Cell::Int(value) => Cell::Int(value),
            Cell::Decimal(value, scale) => Cell::Decimal(value, scale),
            Cell::Float(value) => Cell::Float(value),
            Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Cell::Date(day) => Cell::Date(day),
            Cell::List(texts) => Cell::List(texts.into_iter().map(|t| Cow::Owned(t.into_owned())).collect()),
            Cell::Json(text) => Cell::Json(text),
        }
    }

    /// Appends what a CSV field shows where that needs no quotes; false, and nothing, of texts and sets.
    pub(crate) fn push_plain(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Cell::Null => {}
            Cell::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Cell::Int(value) => push_int((*value).into(), out),
            Cell::Decimal(value, scale) => push_decimal(*value, *scale, out),
            Cell::Date(day) => return push_date(*day, out),
            Cell::Float(_) | Cell::Text(_) | Cell::List(_) | Cell::Json(_) => return false,
        }
        true
    }

    /// Appends the cell as JSON, as its `Serialize` spells it.
    pub(crate) fn push_json(&self, out: &mut Vec<u8>) {
        match self {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Text(text) => push_json_text(text, out),
            Cell::Json(text) => out.extend_from_slice(text.as_bytes()),
            Cell::List(texts) => {
                out.push(b'[');
                for (at, text) in texts.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    push_json_text(text, out);
                }
                out.push(b']');
            }
            Cell::Date(day) => {
                out.push(b'"');
                if !push_date(*day, out) {
                    out.extend_from_slice(date_of(*day).to_string().as_bytes());
                }
                out.push(b'"');
            }
            // Cells have a spelling, and memory takes all bytes.
            Cell::Float(_) => _ = serde_json::to_writer(out, self),
            Cell::Bool(_) | Cell::Int(_) | Cell::Decimal(..) => _ = self.push_plain(out),
        }
    }

    /// As a CSV field shows it, before quoting; unknown is empty, a set is joined by `|`.
    pub fn to_csv(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Bool(value) => value.to_string(),
            Cell::Int(value) => value.to_string(),
            Cell::Decimal(value, scale) => decimal_text(*value, *scale),
            Cell::Float(value) => value.to_string(),
            Cell::Text(text) => text.to_string(),
            Cell::Date(day) => date_of(*day).to_string(),
            Cell::List(texts) => texts.join("|"),
            Cell::Json(text) => text.clone(),
        }
    }

    /// Order for ORDER BY: numbers by value, texts by code point, unknown last whichever way.
    pub fn compare(&self, other: &Cell<'_>, descending: bool) -> std::cmp::Ordering {
        use std::cmp::Ordering;
        let order = match (self, other) {
            (Cell::Null, Cell::Null) => return Ordering::Equal,
            (Cell::Null, _) => return Ordering::Greater,
            (_, Cell::Null) => return Ordering::Less,
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
            (Cell::Decimal(a, s), Cell::Decimal(b, t)) if s == t => a.cmp(b),
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (a, b) => a.as_f64().total_cmp(&b.as_f64()),
        };
        if descending { order.reverse() } else { order }
    }

    fn as_f64(&self) -> f64 {
        match self {
            Cell::Int(value) => *value as f64,
            Cell::Decimal(value, scale) => *value as f64 / 10f64.powi((*scale).into()),
            Cell::Float(value) => *value,
            _ => 0.0,
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Null => serializer.serialize_unit(),
            Cell::Bool(value) => serializer.serialize_bool(*value),
            Cell::Int(value) => serializer.serialize_i64(*value),
            Cell::Decimal(value, 0) if i64::try_from(*value).is_ok() => serializer.serialize_i64(*value as i64),
            Cell::Decimal(value, scale) => {
                let raw = serde_json::value::RawValue::from_string(decimal_text(*value, *scale));
                raw.map_err(S::Error::custom)?.serialize(serializer)
            }
            Cell::Float(value) => serializer.serialize_f64(*value),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Date(day) => serializer.collect_str(&date_of(*day)),
            Cell::Json(text) => {
                let raw = serde_json::value::RawValue::from_string(text.clone());
                raw.map_err(S::Error::custom)?.serialize(serializer)
            }
            Cell::List(texts) => {
                let mut list = serializer.serialize_seq(Some(texts.len()))?;
                texts.iter().try_for_each(|text| list.serialize_element(text))?;
                list.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_spelling_a_cell_are_one() {
        let cells = [
            Cell::Null,
            Cell::Bool(true),
            Cell::Int(-7),
            Cell::Decimal(-1205, 2),
            Cell::Decimal(i128::MAX, 0),
            Cell::Decimal(5, 0),
            Cell::Float(0.1),
            Cell::Text("a \"b\"\n".into()),
            Cell::Text("杭州".into()),
            Cell::Date(20_000),
            Cell::Date(-4_000_000),
            Cell::List(vec!["a".into(), "\\".into()]),
            Cell::List(Vec::new()),
            Cell::Json("[{\"at\":1}]".into()),
        ];
        for cell in cells {
            let (mut json, mut plain) = (Vec::new(), Vec::new());
            cell.push_json(&mut json);
            assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&cell).unwrap());
            if cell.push_plain(&mut plain) {
                assert_eq!(String::from_utf8(plain).unwrap(), cell.to_csv());
            } else {
                assert!(plain.is_empty());
            }
        }
    }
}
