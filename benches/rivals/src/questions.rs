//! Questions as data: the file's counts, distributions and others, spelt out one by one for every contender.
//! Knows the file; knows no contender.
//!
//! ```text
//!   counts            ─────────────────────────────┐
//!   distributions × audiences ── one question each ─┼─► [Question]
//!   others            ─────────────────────────────┤
//!   events            ─────────────────────────────┘
//! ```

use std::path::Path;

use serde_json::{Map, Value, json};

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// How many.
    Count,
    /// How many of each value, or of each bin of a width.
    Distribution { tag: String, bin_width: Option<u32> },
    /// How many of each pair of values.
    Crosstab { rows: String, columns: String },
    /// The mean of a number for each value of a tag.
    Average { tag: String, of: String },
    /// The value at a rank.
    Quantile { of: String, fraction: f64 },
    /// The OneIDs with the largest values, in order.
    Top { of: String, limit: u64 },
    /// The OneIDs of all members.
    Ids,
    /// Events of a month by day: people, events and the sum of a measure.
    Series { event: String, measure: String, from: String, to: String },
    /// A statement whose first column is a label and whose others are numbers.
    Table { statement: String },
}

/// Sets of people as bitmaps and what is done with them.
#[derive(Debug, Clone, PartialEq)]
pub enum Algebra {
    /// Who has a value of a tag.
    Leaf { tag: String, value: String },
    /// In all of them.
    And(Vec<Algebra>),
    /// In any of them.
    Or(Vec<Algebra>),
    /// Everyone else.
    Not(Box<Algebra>),
}

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    /// How the table calls it.
    pub name: String,
    /// What is asked.
    pub kind: Kind,
    /// Of whom, in headcount's words.
    pub audience: String,
    /// Of whom, as set algebra; none where bitmaps have no natural way.
    pub bitmaps: Option<Algebra>,
    /// By how much of itself an answer may differ.
    pub tolerance: f64,
    /// Whether to hold it against the mere reading of its bitmaps.
    pub is_read: bool,
    /// Whether it is about events: the engines are then asked statements of their own.
    pub is_of_events: bool,
    /// All of it, as the engines' script takes it.
    pub json: Value,
}

/// Reads the file and spells its questions out for a population of `people`; of one part of the file, or of all.
pub fn read(path: &Path, people: u32, only: Option<&str>) -> Vec<Question> {
    let text = std::fs::read_to_string(path).expect("the file of questions");
    let file: Value = serde_json::from_str(&text).expect("questions as JSON");
    let list = |name: &str| file[name].as_array().expect("a list of questions").clone();
    let part = |name: &str| if only.is_none_or(|only| only == name) { list(name) } else { Vec::new() };
    let mut all: Vec<Value> = part("counts").into_iter().map(|q| merged(&[&json!({"kind": "count"}), &q])).collect();
    for tag in part("distributions") {
        for audience in list("audiences") {
            let name = format!("{} of {}", text_of(&tag, "name"), text_of(&audience, "name"));
            all.push(merged(&[&audience, &tag, &json!({"kind": "distribution", "name": name})]));
        }
    }
    all.extend(part("others"));
    all.extend(
        part("events").into_iter().map(|q| merged(&[&json!({"kind": "count", "where": "", "events": true}), &q])),
    );
    all.into_iter().map(|q| question(with_ids(q, people))).collect()
}

fn merged(parts: &[&Value]) -> Value {
    let mut out = Map::new();
    for part in parts {
        out.extend(part.as_object().expect("a question is an object").clone());
    }
    Value::Object(out)
}

fn text_of(question: &Value, key: &str) -> String {
    question[key].as_str().unwrap_or_else(|| panic!("`{key}` of {question}")).to_string()
}

/// 500 identities from all over the population in place of `{ids}`.
fn with_ids(mut question: Value, people: u32) -> Value {
    let step = people / 500;
    let ids: Vec<String> = (0..500).map(|n| format!("'M{:07}'", n * step + n % step.max(1) + 1)).collect();
    for key in ["where", "duckdb", "clickhouse"] {
        if let Some(text) = question[key].as_str() {
            question[key] = text.replace("{ids}", &ids.join(", ")).into();
        }
    }
    question
}

fn question(json: Value) -> Question {
    let text = |key: &str| text_of(&json, key);
    let kind = match json["kind"].as_str() {
        Some("count") => Kind::Count,
        Some("distribution") => Kind::Distribution {
            tag: text("tag"),
            bin_width: json["bin_width"].as_u64().and_then(|w| u32::try_from(w).ok()),
        },
        Some("crosstab") => Kind::Crosstab { rows: text("rows"), columns: text("columns") },
        Some("average") => Kind::Average { tag: text("tag"), of: text("of") },
        Some("quantile") => Kind::Quantile { of: text("of"), fraction: json["fraction"].as_f64().expect("a fraction") },
        Some("top") => Kind::Top { of: text("of"), limit: json["limit"].as_u64().expect("a limit") },
        Some("ids") => Kind::Ids,
        Some("series") => {
            Kind::Series { event: text("event"), measure: text("measure"), from: text("from"), to: text("to") }
        }
        Some("table") => Kind::Table { statement: text("statement") },
        kind => panic!("questions of kind {kind:?}"),
    };
    let has_bitmaps = json.get("bitmaps").is_some() && json.get("no_bitmaps").is_none();
    Question {
        name: text("name"),
        kind,
        audience: text("where"),
        bitmaps: has_bitmaps.then(|| algebra(&json["bitmaps"])),
        tolerance: json["tolerance"].as_f64().unwrap_or(0.0),
        is_read: json["read"].as_bool().unwrap_or(false),
        is_of_events: json["events"].as_bool().unwrap_or(false),
        json,
    }
}

/// `"tag=value"`, `"number=low..high"`, `"flag"`, or an object with `and`, `or` or `not`.
fn algebra(json: &Value) -> Algebra {
    let list = |of: &Value| of.as_array().expect("a list of sets").iter().map(algebra).collect();
    let Some(text) = json.as_str() else {
        return match json.as_object().and_then(|o| o.iter().next()) {
            Some((op, of)) if op == "and" => Algebra::And(list(of)),
            Some((op, of)) if op == "or" => Algebra::Or(list(of)),
            Some((op, of)) if op == "not" => Algebra::Not(Box::new(algebra(of))),
            _ => panic!("no set algebra: {json}"),
        };
    };
    let leaf = |tag: &str, value: String| Algebra::Leaf { tag: tag.into(), value };
    let (tag, value) = text.split_once('=').unwrap_or((text, "true"));
    match value.split_once("..").map(|(low, high)| (low.parse::<u32>(), high.parse::<u32>())) {
        Some((Ok(low), Ok(high))) => Algebra::Or((low..=high).map(|n| leaf(tag, n.to_string())).collect()),
        _ => leaf(tag, value.into()),
    }
}
