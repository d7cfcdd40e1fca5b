//! One column of a frame while it is being filled from texts and JSON tokens, value by value.
//! Knows what fits a kind; knows no file format.
//!
//! A row is pushed column by column; where one value does not fit, the caller truncates all columns to the rows before.

use std::mem;

use jiff::tz::TimeZone;

use super::frame::{Column, UNKNOWN_CODE};
use super::moments;
use super::numbers::{self, NumberMisfit};
use super::read::{Kind, Wanted};
use super::texts::Texts;

/// Longest set of which the order is kept while repeated texts are dropped; a longer one is sorted by code.
const SET_ORDERED_MAX: usize = 32;
/// Characters of a value that a message shows.
const SHOWN_CHARS: usize = 40;

/// Why a value does not fit, as a sentence.
pub(crate) type Misfit = String;

/// A column being filled.
#[derive(Debug)]
pub(crate) struct Fill {
    source: String,
    kind: Kind,
    zone: TimeZone,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Plain { offsets: Vec<u32>, bytes: Vec<u8> },
    Text { texts: Texts, codes: Vec<u32> },
    Flag(Vec<Option<bool>>),
    Number { scale: u8, values: Vec<Option<i64>> },
    Date(Vec<Option<i32>>),
    Instant(Vec<Option<i64>>),
    Set { texts: Texts, offsets: Vec<u32>, codes: Vec<u32> },
}

impl Fill {
    pub(crate) fn new(wanted: &Wanted, zone: &TimeZone) -> Self {
        let data = match wanted.kind {
            Kind::Id => Data::Plain { offsets: vec![0], bytes: Vec::new() },
            Kind::Text => Data::Text { texts: Texts::default(), codes: Vec::new() },
            Kind::Flag => Data::Flag(Vec::new()),
            Kind::Number { scale } => Data::Number { scale, values: Vec::new() },
            Kind::Date => Data::Date(Vec::new()),
            Kind::Instant => Data::Instant(Vec::new()),
            Kind::Set => Data::Set { texts: Texts::default(), offsets: vec![0], codes: Vec::new() },
        };
        Fill { source: wanted.source.clone(), kind: wanted.kind, zone: zone.clone(), data }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn push_unknown(&mut self) {
        match &mut self.data {
            Data::Plain { offsets, bytes } => offsets.push(bytes.len() as u32),
            Data::Text { codes, .. } => codes.push(UNKNOWN_CODE),
            Data::Flag(values) => values.push(None),
            Data::Number { values, .. } => values.push(None),
            Data::Date(values) => values.push(None),
            Data::Instant(values) => values.push(None),
            Data::Set { offsets, codes, .. } => offsets.push(codes.len() as u32),
        }
    }

    /// Pushes what a text spells. An empty text is a value only of a category; callers push unknown instead where it is not.
    pub(crate) fn push_text(&mut self, text: &str) -> Result<(), Misfit> {
        match &mut self.data {
            Data::Plain { offsets, bytes } => {
                bytes.extend_from_slice(text.as_bytes());
                offsets.push(bytes.len() as u32);
            }
            Data::Text { texts, codes } => codes.push(texts.code(text)),
            Data::Flag(values) => match parse_flag(text) {
                Some(value) => values.push(Some(value)),
                None => return Err(self.misfit(text, "a flag is true or false")),
            },
            Data::Number { scale, values } => match numbers::parse_decimal(text.as_bytes(), *scale) {
                Ok(value) => values.push(Some(value)),
                Err(misfit) => return Err(self.number_misfit(text, misfit)),
            },
            Data::Date(values) => match moments::parse_date(text, &self.zone) {
                Some(value) => values.push(Some(value)),
                None => return Err(self.misfit(text, "a date is written 2026-11-01")),
            },
            Data::Instant(values) => match moments::parse_instant(text, &self.zone) {
                Some(value) => values.push(Some(value)),
                None => return Err(self.misfit(text, "a time is written 2026-11-01T10:30:00+08:00")),
            },
            Data::Set { .. } => return self.push_joined(text),
        }
        Ok(())
    }

    pub(crate) fn push_flag(&mut self, value: bool) -> Result<(), Misfit> {
        match &mut self.data {
            Data::Flag(values) => values.push(Some(value)),
            _ => return Err(self.misfit(if value { "true" } else { "false" }, "that is a flag's value")),
        }
        Ok(())
    }

    /// Pushes the texts of a list; a repeated one counts once.
    pub(crate) fn push_list<S: AsRef<str>>(&mut self, items: impl IntoIterator<Item = S>) -> Result<(), Misfit> {
        let Data::Set { texts, offsets, codes } = &mut self.data else {
            return Err(self.misfit("[…]", "a list is a set's value"));
        };
        codes.extend(items.into_iter().map(|item| texts.code(item.as_ref())));
        close_set(codes, offsets);
        Ok(())
    }

    /// Reads the three ways in which a cell spells a set: `["a","b"]`, `a|b` or `a;b`.
    fn push_joined(&mut self, text: &str) -> Result<(), Misfit> {
        if text.starts_with('[') {
            return match serde_json::from_str::<Vec<String>>(text) {
                Ok(items) => self.push_list(items),
                Err(_) => Err(self.misfit(text, "a set that begins with [ is a JSON array of strings")),
            };
        }
        let mark = if text.contains('|') { '|' } else { ';' };
        self.push_list(text.split(mark).map(str::trim).filter(|item| !item.is_empty()))
    }

    /// Forgets all rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.data {
            Data::Plain { offsets, bytes } => {
                offsets.truncate(rows + 1);
                bytes.truncate(offsets[offsets.len() - 1] as usize);
            }
            Data::Text { codes, .. } => codes.truncate(rows),
            Data::Flag(values) => values.truncate(rows),
            Data::Number { values, .. } => values.truncate(rows),
            Data::Date(values) => values.truncate(rows),
            Data::Instant(values) => values.truncate(rows),
            Data::Set { offsets, codes, .. } => {
                offsets.truncate(rows + 1);
                codes.truncate(offsets[offsets.len() - 1] as usize);
            }
        }
    }

    /// The column as filled so far; this one begins anew.
    pub(crate) fn take(&mut self) -> Column {
        match &mut self.data {
            Data::Plain { offsets, bytes } => {
                Column::Plain { offsets: mem::replace(offsets, vec![0]), bytes: mem::take(bytes) }
            }
            Data::Text { texts, codes } => {
                let dictionary = texts.dictionary();
                texts.end_frame();
                Column::Text { dictionary, codes: mem::take(codes) }
            }
            Data::Flag(values) => Column::Flag(mem::take(values)),
            Data::Number { scale, values } => Column::Number { scale: *scale, values: mem::take(values) },
            Data::Date(values) => Column::Date(mem::take(values)),
            Data::Instant(values) => Column::Instant(mem::take(values)),
            Data::Set { texts, offsets, codes } => {
                let dictionary = texts.dictionary();
                texts.end_frame();
                Column::Set { dictionary, offsets: mem::replace(offsets, vec![0]), codes: mem::take(codes) }
            }
        }
    }

    /// A sentence that says why `value` does not fit.
    pub(crate) fn misfit(&self, value: &str, rule: &str) -> Misfit {
        misfit(&self.source, self.kind, value, rule)
    }

    fn number_misfit(&self, value: &str, misfit: NumberMisfit) -> Misfit {
        number_misfit(&self.source, self.kind, value, misfit)
    }
}

/// A sentence that says why `value` does not fit a column.
pub(crate) fn misfit(column: &str, kind: Kind, value: &str, rule: &str) -> Misfit {
    format!("`{column}` is {}; `{}` does not fit: {rule}", kind.phrase(), shown(value))
}

/// A sentence that says why a number does not fit a column.
pub(crate) fn number_misfit(column: &str, kind: Kind, value: &str, reason: NumberMisfit) -> Misfit {
    let scale = if let Kind::Number { scale } = kind { scale } else { 0 };
    let rule = match (reason, scale) {
        (NumberMisfit::NotNumber, _) => "it is not a decimal number".into(),
        (NumberMisfit::TooPrecise, 0) => "the tag has whole numbers".into(),
        (NumberMisfit::TooPrecise, _) => format!("the tag has {scale} digits after the point"),
        (NumberMisfit::TooLarge, _) => "it is too large".into(),
    };
    misfit(column, kind, value, &rule)
}

/// The beginning of a value, fit for a message of one line.
pub(crate) fn shown(value: &str) -> String {
    let mut text: String = value.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if value.chars().nth(SHOWN_CHARS).is_some() {
        text.push('…');
    }
    text
}

/// Reads the usual spellings of a flag.
pub(crate) fn parse_flag(text: &str) -> Option<bool> {
    const TRUE: [&str; 5] = ["true", "1", "yes", "t", "y"];
    const FALSE: [&str; 5] = ["false", "0", "no", "f", "n"];
    let is_one_of = |words: [&str; 5]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(TRUE) { Some(true) } else { is_one_of(FALSE).then_some(false) }
}

/// Ends the set begun at the last offset, without repeated codes.
pub(crate) fn close_set(codes: &mut Vec<u32>, offsets: &mut Vec<u32>) {
    let start = offsets[offsets.len() - 1] as usize;
    if codes.len() - start > SET_ORDERED_MAX {
        let mut set = codes.split_off(start);
        set.sort_unstable();
        set.dedup();
        codes.append(&mut set);
    } else {
        let mut end = start;
        for at in start..codes.len() {
            if !codes[start..end].contains(&codes[at]) {
                codes[end] = codes[at];
                end += 1;
            }
        }
        codes.truncate(end);
    }
    offsets.push(codes.len() as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(kind: Kind) -> Fill {
        Fill::new(&Wanted { source: "t".into(), name: "t".into(), kind }, &TimeZone::UTC)
    }

    fn set_of(text: &str) -> Result<Vec<String>, Misfit> {
        let mut fill = fill(Kind::Set);
        fill.push_text(text)?;
        let Column::Set { dictionary, offsets, codes } = fill.take() else { unreachable!("a set was filled") };
        assert_eq!(offsets.len(), 2);
        Ok(codes.iter().map(|c| dictionary[*c as usize].to_string()).collect())
    }

    #[test]
    fn a_set_is_spelt_three_ways() {
        for text in ["a|b", "a;b", r#"["a","b"]"#, " a | b ", "a|b|a", "a||b"] {
            assert_eq!(set_of(text).unwrap(), ["a", "b"], "{text}");
        }
        assert_eq!(set_of("a;x|b").unwrap(), ["a;x", "b"]);
        assert_eq!(set_of("yoga").unwrap(), ["yoga"]);
        assert!(set_of("[1,").unwrap_err().contains("JSON array"));
    }

    #[test]
    fn a_long_set_loses_its_repeats() {
        let text: Vec<String> = (0..200).map(|n| (n % 50).to_string()).collect();
        assert_eq!(set_of(&text.join("|")).unwrap().len(), 50);
    }

    #[test]
    fn a_misfit_says_what_would_do() {
        for (kind, text, words) in [
            (Kind::Number { scale: 0 }, "x", "not a decimal number"),
            (Kind::Number { scale: 0 }, "1.5", "whole numbers"),
            (Kind::Number { scale: 2 }, "1.505", "2 digits after the point"),
            (Kind::Number { scale: 2 }, "99999999999999999999", "too large"),
            (Kind::Date, "1.11.2026", "written 2026-11-01"),
            (Kind::Instant, "noon", "2026-11-01T10:30:00+08:00"),
            (Kind::Flag, "maybe", "true or false"),
        ] {
            let message = fill(kind).push_text(text).unwrap_err();
            assert!(message.starts_with("`t` is a ") && message.contains(words), "{message}");
        }
    }

    #[test]
    fn truncating_undoes_a_row() {
        for kind in [Kind::Id, Kind::Text, Kind::Set] {
            let mut fill = fill(kind);
            fill.push_text("a").unwrap();
            fill.push_text("bb").unwrap();
            fill.truncate(1);
            fill.push_unknown();
            match fill.take() {
                Column::Plain { offsets, bytes } => assert_eq!((offsets, &bytes[..]), (vec![0, 1, 1], &b"a"[..])),
                Column::Text { codes, .. } => assert_eq!(codes, [0, UNKNOWN_CODE]),
                Column::Set { offsets, codes, .. } => assert_eq!((offsets, codes), (vec![0, 1, 1], vec![0])),
                other => unreachable!("{other:?}"),
            }
        }
    }
}
