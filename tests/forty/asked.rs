//! The forty questions as `questions.json` has them: their calls, and what stands in braces filled in.
//! Knows the file's shape; knows no server, and no answer but the one that was worked out by hand.
//!
//! ```text
//!   question = number, its words, whether it is hard (others refuse it, sample, or take hours), calls
//!   call     = what is asked (count unless said, or `GET …`), the body, the expected answer, and why it is that
//!              timed: what of the body is other words in a large population, or false: not timed
//!   {pasted} = a list of ids; {name} = what a call before has kept under that name
//! ```
// Each crate that it is part of uses some of it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The whole file.
#[derive(Deserialize)]
pub struct Forty {
    /// The day of questions that do not say another.
    pub as_of: String,
    pub pasted: Pasted,
    /// In an order in which each finds those that it is built on.
    pub audiences: Vec<Audience>,
    pub questions: Vec<Question>,
}

/// What {pasted} stands for in the small population.
#[derive(Deserialize)]
pub struct Pasted {
    pub known: Vec<String>,
    pub unknown: usize,
}

/// An audience to be saved.
#[derive(Deserialize)]
pub struct Audience {
    pub name: String,
    #[serde(rename = "where")]
    pub condition: String,
    /// The condition in the words of generated people.
    pub timed: Option<String>,
}

#[derive(Deserialize)]
pub struct Question {
    pub number: u32,
    pub question: String,
    pub hard: bool,
    pub calls: Vec<Call>,
}

#[derive(Deserialize)]
pub struct Call {
    /// The last part of the path, of a POST; or `GET` and that part.
    #[serde(default = "count")]
    pub ask: String,
    #[serde(default)]
    pub body: Value,
    #[serde(flatten)]
    pub expected: Expected,
    #[serde(default)]
    pub because: String,
    /// The expected answer in short, where it is not a list of members.
    pub answer: Option<String>,
    /// The name under which the answer's one cell is kept.
    pub keep: Option<String>,
    pub timed: Option<Value>,
    /// What the timed words are instead.
    pub note: Option<String>,
    /// To be asked once they have come.
    #[serde(default)]
    pub with_newcomers: bool,
}

/// An answer, in the shape that is best checked by eye.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Who is counted, in the order of their coming.
    Members(Vec<String>),
    /// A part of the answer: the named fields of objects, all of lists. Members in place of a definition are who fits it.
    Expect(Value),
    /// `entered` and `left`.
    Changes(BTreeMap<String, Vec<String>>),
    /// How many days there are, and the sizes from some of them on, which hold until the next.
    Sizes { days: usize, people: BTreeMap<String, u64> },
    /// By tag: how many members have each value.
    Mix(BTreeMap<String, BTreeMap<String, u64>>),
    /// How many days there are, and those with events.
    Days { of: usize, rows: Value },
    /// The cells of a table that have people, by row and column: how many; of a crosstab `[how many, row %, index]`.
    Cells(Value),
    /// Each region of an overlap, `0+2` for who is in the first and the third and in no other.
    Regions(BTreeMap<String, u64>),
    /// By property: members with each value, and no other value.
    Shares(BTreeMap<String, BTreeMap<String, u64>>),
}

fn count() -> String {
    "count".into()
}

impl Forty {
    pub fn read() -> Forty {
        serde_json::from_str(include_str!("questions.json")).expect("questions.json")
    }

    /// The body of a call, with its day.
    pub fn body(&self, call: &Call) -> Value {
        let mut body = call.body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.entry("as_of").or_insert_with(|| self.as_of.clone().into());
        }
        body
    }
}

impl Pasted {
    /// The ids as a list of the language has them.
    pub fn text(&self) -> String {
        let unknown = (0..self.unknown).map(|n| format!("nobody {n}"));
        quoted(self.known.iter().cloned().chain(unknown))
    }
}

/// Ids as a list of the language has them.
pub fn quoted(ids: impl Iterator<Item = String>) -> String {
    ids.map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")
}

/// Puts what is kept in the place of its name in braces, in all texts.
pub fn fill(body: &mut Value, kept: &BTreeMap<String, String>) {
    match body {
        Value::String(text) => {
            for (name, value) in kept {
                *text = text.replace(&format!("{{{name}}}"), value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| fill(value, kept)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill(value, kept)),
        _ => {}
    }
}

/// What an answer's one cell says, as a literal.
pub fn only_cell(answer: &Value) -> String {
    answer["rows"][0][0].to_string()
}
