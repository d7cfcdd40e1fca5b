//! What the values of one column say of its kind. Knows texts and names; knows no file.

use std::collections::HashSet;

use serde_json::Value;
use storage::schema::SCALE_MAX;
use xxhash_rust::xxh3::xxh3_64;

use super::infer::About;
use super::moments;
use super::numbers;
use super::read::Kind;

/// Examples kept of a column.
const EXAMPLES_MAX: usize = 3;
/// Share of distinct values from which a column that is called like a person is one, or their number.
const PERSON_DISTINCT: f64 = 0.5;
const PERSON_DISTINCT_MIN: usize = 50;
/// Share of distinct values from which any column of texts is an id.
const NEARLY_ALL: f64 = 0.95;
/// Known values without which distinctness says nothing.
const DISTINCT_ROWS_MIN: usize = 50;
/// Longest value that a joined set is taken to have, in bytes.
const ITEM_BYTES_MAX: usize = 64;
/// Digits after the point that a number gets if it has any, since amounts of money seldom show all theirs at first.
const SCALE_USUAL: u8 = 2;
/// Names that say: this is a person.
const PERSON_NAMES: [&str; 19] = [
    "member",
    "member_id",
    "customer",
    "customer_id",
    "user",
    "user_id",
    "client",
    "client_id",
    "person_id",
    "household_id",
    "subscriber_id",
    "phone",
    "phone_number",
    "mobile",
    "email",
    "openid",
    "open_id",
    "unionid",
    "union_id",
];

/// What was seen in a column.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) known: usize,
    pub(crate) examples: Vec<String>,
    /// The kind that the file's own type says.
    pub(crate) fixed: Option<Kind>,
    /// The type, where it cannot be a tag.
    pub(crate) refused: Option<String>,
    distinct: HashSet<u64>,
    numbers: usize,
    scale: u32,
    flags: usize,
    dates: usize,
    moments: usize,
    lists: usize,
    joined: usize,
}

/// What a column seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) kind: Option<Kind>,
    pub(crate) note: String,
}

impl Seen {
    /// Sees a cell of CSV, where everything is text.
    pub(crate) fn cell(&mut self, text: &str) {
        self.count(text);
        self.text(text);
        // A code such as 00123 is no number, though it has only digits.
        let digits = text.trim_start_matches(['-', '+']).as_bytes();
        let is_padded = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
        if !is_padded {
            self.number(text);
        }
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            self.flags += 1;
        }
        if is_joined(text) {
            self.joined += 1;
        }
    }

    /// Sees the text of a JSON value.
    pub(crate) fn json(&mut self, token: &str) {
        match serde_json::from_str::<Value>(token) {
            Ok(Value::String(text)) => {
                self.count(&text);
                self.text(&text);
            }
            Ok(Value::Number(_)) => {
                self.count(token);
                self.number(token);
            }
            Ok(Value::Bool(_)) => {
                self.count(token);
                self.flags += 1;
            }
            Ok(Value::Array(items)) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                self.count(&texts.join("|"));
                self.lists += 1;
            }
            Ok(Value::Object(_)) => self.refused = Some("nested object".into()),
            Ok(Value::Null) | Err(_) => {}
        }
    }

    /// Sees a float by its text.
    pub(crate) fn float(&mut self, is_nan: bool, text: &str) {
        if !is_nan {
            self.count(text);
            self.number(text);
        }
    }

    fn count(&mut self, text: &str) {
        self.known += 1;
        let is_new = self.distinct.insert(xxh3_64(text.as_bytes()));
        if is_new && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text.to_string());
        }
    }

    fn number(&mut self, text: &str) {
        if let Some(scale) = numbers::scale_needed(text.as_bytes()) {
            let fits = scale > SCALE_MAX.into() || numbers::parse_decimal(text.as_bytes(), scale as u8).is_ok();
            self.numbers += usize::from(fits);
            self.scale = self.scale.max(scale);
        }
    }

    fn text(&mut self, text: &str) {
        if moments::parse_plain_date(text).is_some() {
            self.dates += 1;
        } else if moments::is_moment(text) {
            self.moments += 1;
        }
    }

    /// What the column seems to be under a name, in a file about something.
    pub(crate) fn verdict(&self, name: &str, about: About) -> Verdict {
        let plain = |kind| Verdict { kind: Some(kind), note: String::new() };
        let noted = |kind, note: &str| Verdict { kind, note: note.into() };
        if let Some(found) = &self.refused {
            return noted(None, &format!("a {found} cannot be a tag"));
        }
        let kind = match self.fixed {
            Some(kind) => kind,
            None if self.known == 0 => return noted(None, "no value in the rows looked at"),
            None => self.kind_by_values(),
        };
        match kind {
            Kind::Text | Kind::Number { scale: 0 } if self.is_id(name, kind, about) => plain(Kind::Id),
            // A number of something else that is numbered is its name, not a measure.
            Kind::Number { scale: 0 } if is_named_id(name) => plain(Kind::Text),
            Kind::Instant if about == About::Profiles => noted(Some(Kind::Date), "the day of a time"),
            Kind::Number { .. } if self.scale > SCALE_MAX.into() => {
                noted(None, &format!("more than {SCALE_MAX} digits after the point"))
            }
            Kind::Text if self.numbers > 0 && self.numbers < self.known => noted(Some(kind), "numbers among texts"),
            kind => plain(kind),
        }
    }

    fn kind_by_values(&self) -> Kind {
        let all = |count: usize| count == self.known;
        if all(self.flags) {
            Kind::Flag
        } else if all(self.numbers) {
            let scale = self.scale.min(SCALE_MAX.into()) as u8;
            Kind::Number { scale: if scale == 0 { 0 } else { scale.max(SCALE_USUAL) } }
        } else if all(self.dates) {
            Kind::Date
        } else if all(self.dates + self.moments) {
            Kind::Instant
        } else if all(self.lists) || 2 * self.joined > self.known {
            Kind::Set
        } else {
            Kind::Text
        }
    }

    fn is_id(&self, name: &str, kind: Kind, about: About) -> bool {
        let share = self.distinct.len() as f64 / self.known.max(1) as f64;
        if PERSON_NAMES.contains(&name) {
            return about == About::Events || share >= PERSON_DISTINCT || self.distinct.len() >= PERSON_DISTINCT_MIN;
        }
        if about == About::Events {
            // Distinct values there number events, not people.
            return name == KEY;
        }
        let is_distinct = share >= NEARLY_ALL;
        is_distinct && (is_named_id(name) || kind == Kind::Text && self.known >= DISTINCT_ROWS_MIN)
    }
}

/// The column of an events file by which an event is counted once.
pub(crate) const KEY: &str = "key";

fn is_named_id(name: &str) -> bool {
    name == "id" || name.ends_with("_id")
}

fn is_joined(text: &str) -> bool {
    if text.starts_with('[') {
        return serde_json::from_str::<Vec<String>>(text).is_ok();
    }
    let mark = if text.contains('|') { '|' } else { ';' };
    text.contains(mark) && text.split(mark).all(|item| item.len() <= ITEM_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(cells: &[&str], name: &str, about: About) -> Verdict {
        let mut seen = Seen::default();
        cells.iter().for_each(|cell| seen.cell(cell));
        seen.verdict(name, about)
    }

    fn check(cells: &[&str], expected: Option<Kind>) {
        assert_eq!(verdict(cells, "t", About::Profiles).kind, expected, "{cells:?}");
    }

    #[test]
    fn cells_tell_their_kind() {
        check(&["1", "-2", "30"], Some(Kind::Number { scale: 0 }));
        check(&["1", "2.5"], Some(Kind::Number { scale: 2 }));
        check(&["1.125"], Some(Kind::Number { scale: 3 }));
        check(&["0.1234567891"], None);
        check(&["00123", "00124"], Some(Kind::Text));
        check(&["99999999999999999999"], Some(Kind::Text));
        check(&["0", "1"], Some(Kind::Number { scale: 0 }));
        check(&["true", "False"], Some(Kind::Flag));
        check(&["Yes", "No"], Some(Kind::Text));
        check(&["2026-11-01"], Some(Kind::Date));
        check(&["2026-11-01T10:00:00Z", "2026-11-01"], Some(Kind::Date));
        check(&["a|b", "c", "d|e"], Some(Kind::Set));
        check(&["a;b", "c;d"], Some(Kind::Set));
        check(&["a", "b|c", "d"], Some(Kind::Text));
        check(&["x", "1"], Some(Kind::Text));
        check(&[], None);
        let moment = verdict(&["2026-11-01 10:00:00"], "at", About::Events);
        assert_eq!(moment.kind, Some(Kind::Instant));
    }

    #[test]
    fn ids_are_told_by_name_and_distinctness() {
        let many: Vec<String> = (0..100).map(|n| format!("x{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let numbers: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let repeated = ["7", "7", "7", "8"];
        for (cells, name, about, is_id) in [
            (&many[..], "comment", About::Profiles, true),
            (&many[..10], "comment", About::Profiles, false),
            (&many[..], "comment", About::Events, false),
            (&numbers[..], "weight", About::Profiles, false),
            (&numbers[..], "shop_id", About::Profiles, true),
            (&repeated[..], "shop_id", About::Profiles, false),
            (&repeated[..], "customer_id", About::Events, true),
            (&["1", "2"][..], "member", About::Profiles, true),
            (&many[..], "key", About::Events, true),
        ] {
            let kind = verdict(cells, name, about).kind;
            assert_eq!(kind == Some(Kind::Id), is_id, "{name} {about:?}: {kind:?}");
        }
    }

    #[test]
    fn numbers_of_other_things_are_categories() {
        assert_eq!(verdict(&["7", "7", "8"], "campaign_id", About::Profiles).kind, Some(Kind::Text));
    }

    #[test]
    fn json_values_keep_their_types() {
        for (tokens, expected) in [
            (&["\"1\"", "\"2\""][..], Some(Kind::Text)),
            (&["1", "null"], Some(Kind::Number { scale: 0 })),
            (&["[\"a\"]", "[]"], Some(Kind::Set)),
            (&["true"], Some(Kind::Flag)),
            (&["{\"a\":1}"], None),
            (&["\"2026-11-01\""], Some(Kind::Date)),
        ] {
            let mut seen = Seen::default();
            tokens.iter().for_each(|token| seen.json(token));
            assert_eq!(seen.verdict("t", About::Profiles).kind, expected, "{tokens:?}");
        }
    }
}
