//! Forty questions that marketers ask, each asked over HTTP as text and as rule tree, of people few enough to check by eye.
//! The answers in `forty/questions.json` were worked out by hand from the files beside it; nothing else is trusted here.
//!
//! ```text
//!   people.ndjson      everyone as they are on the day that is asked about; they come on the day that they signed up
//!   history.ndjson     what they were before: `on` a day this was set, and stood until the next line of it
//!   events.ndjson      what they did; times without offset are Shanghai's
//!   newcomers.ndjson   who comes after most of it was asked
//!   extra_schema.json  what the schema of generated people lacks
//! ```

#[path = "forty/asked.rs"]
mod asked;
#[path = "forty/calendar.rs"]
mod calendar;
mod http_client;
#[path = "forty/spelling.rs"]
mod spelling;

use std::collections::{BTreeMap, BTreeSet};

use asked::{Call, Expected, Forty, fill, only_cell};
use calendar::FIRST_DAY;
use headcount::engine::EngineOptions;
use headcount::generate::Population;
use http_client::hand::Hand;
use http_client::{Answer, Client, MAIN, Server};
use jiff::civil::Date;
use serde_json::{Value, json};
use spelling::{Spelling, spelled};

const PEOPLE: &str = include_str!("forty/people.ndjson");
const HISTORY: &str = include_str!("forty/history.ndjson");
const EVENTS: &str = include_str!("forty/events.ndjson");
const NEWCOMERS: &str = include_str!("forty/newcomers.ndjson");
const EXTRA_SCHEMA: &str = include_str!("forty/extra_schema.json");

/// By how much of it a number with digits after the point may differ from what was written by hand.
const ROUNDED: f64 = 5e-4;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn ndjson<'a>(lines: impl Iterator<Item = &'a Value>) -> String {
    lines.map(|line| format!("{line}\n")).collect()
}

fn day_of(value: &Value) -> Option<Date> {
    Some(value.as_str()?[..10].parse().unwrap())
}

/// The server, once all that is in the files has come to pass.
fn town(forty: &Forty) -> Server {
    let hand = Hand::at(FIRST_DAY);
    let mut options = EngineOptions { threads: 2, ..EngineOptions::default() };
    options.store.clock = hand.clock();
    options.store.dated = calendar::policy();
    let server = Server::with_engine(tempfile::tempdir().unwrap(), options, |_| {});
    let mut client = server.client();
    client.put(MAIN, &Population::new(1, 1).schema_json()).expect(200);
    client.put(MAIN, &serde_json::from_str(EXTRA_SCHEMA).unwrap()).expect(200);
    save_audiences(&mut client, forty, Spelling::Text);
    for today in calendar::days() {
        hand.set(today);
        live_through(&mut client, today);
        calendar::keep(&mut client, today);
    }
    server
}

/// What happens on a day, or has until the first one.
fn live_through(client: &mut Client, today: Date) {
    let is_due = |day: Option<Date>| day.is_none_or(|day| day <= FIRST_DAY) && today == FIRST_DAY || day == Some(today);
    let mut post = |path: &str, lines: &[Value], day: &dyn Fn(&Value) -> Option<Date>| {
        let text = ndjson(lines.iter().filter(|line| is_due(day(line))));
        if !text.is_empty() {
            let answer = client.post_text(&format!("{MAIN}/{path}?atomic=true"), &text).expect(200);
            assert_eq!(answer["rejected"], json!([]));
        }
    };
    post("profiles", &lines(PEOPLE), &|line| day_of(&line["set"]["signup"]));
    for mut line in lines(HISTORY) {
        let on = day_of(&line["on"]);
        line.as_object_mut().unwrap().remove("on");
        post("profiles", &[line], &|_| on);
    }
    post("events", &lines(EVENTS), &|line| day_of(&line["at"]));
}

fn save_audiences(client: &mut Client, forty: &Forty, spelling: Spelling) {
    for audience in &forty.audiences {
        let definition = spelled(json!({"where": audience.condition}), spelling);
        client.put(&format!("{MAIN}/audiences/{}", audience.name), &definition).expect(200);
    }
}

/// Asks, and tells what is not as it should be.
struct Asker<'a> {
    forty: &'a Forty,
    client: Client,
    spelling: Spelling,
    kept: BTreeMap<String, String>,
    faults: Vec<String>,
}

type Outcome = Result<(), String>;

impl Asker<'_> {
    /// Asks all calls that are to be asked with the newcomers, or without.
    fn ask_all(&mut self, spelling: Spelling, with_newcomers: bool) {
        self.spelling = spelling;
        for question in &self.forty.questions {
            for (call, place) in question.calls.iter().zip(1..).filter(|(c, _)| c.with_newcomers == with_newcomers) {
                if let Err(fault) = self.check(call) {
                    let place = format!("question {}, call {place}, as {spelling:?}", question.number);
                    self.faults.push(format!("{place}: {fault}"));
                }
            }
        }
    }

    fn check(&mut self, call: &Call) -> Outcome {
        let mut body = self.forty.body(call);
        fill(&mut body, &self.kept);
        let body = spelled(body, self.spelling);
        if let Expected::Members(names) = &call.expected {
            let answer = self.answer(&call.ask, &body)?;
            same("count", &json!(names.len()), &answer["count"])?;
            return same("members", &json!(names), &json!(self.members(body)?));
        }
        if let Expected::Changes(changes) = &call.expected {
            return same("changes", &json!(changes), &changes_of(&self.rows(&call.ask, &body)?));
        }
        if let Expected::Mix(mix) = &call.expected {
            return same("mix", &json!(mix), &mix_of(&self.rows(&call.ask, &body)?, mix.keys())?);
        }
        let answer = self.answer(&call.ask, &body)?;
        if let Some(name) = &call.keep {
            self.kept.insert(name.clone(), only_cell(&answer));
        }
        let rows = list(&answer["rows"]);
        match &call.expected {
            Expected::Sizes { days, people } => {
                same("days", &json!(days), &json!(rows.len()))?;
                same("sizes", &json!(people), &json!(sizes(rows)))
            }
            Expected::Days { of, rows: expected } => {
                same("days", &json!(of), &json!(rows.len()))?;
                let busy: Vec<&Value> = rows.iter().filter(|row| row["events"] != 0 || row["people"] != 0).collect();
                self.holds(expected, &json!(busy), "/rows")
            }
            Expected::Cells(expected) => {
                let found = cells(&call.ask, &answer);
                same("rows", &json!(names(expected)), &json!(names(&found)))?;
                for row in names(expected) {
                    same(row, &json!(names(&expected[row])), &json!(names(&found[row])))?;
                }
                self.holds(expected, &found, "")
            }
            Expected::Regions(regions) => same("regions", &json!(regions), &regions_of(&answer)),
            Expected::Shares(shares) => same("shares", &json!(shares), &shares_of(&answer, shares.keys())),
            Expected::Expect(part) => self.holds(part, &answer, ""),
            Expected::Members(_) | Expected::Changes(_) | Expected::Mix(_) => unreachable!("checked above"),
        }
    }

    fn answer(&mut self, ask: &str, body: &Value) -> Result<Value, String> {
        Ok(self.ok(ask, body)?.json())
    }

    /// An answer of one object a line.
    fn rows(&mut self, ask: &str, body: &Value) -> Result<Vec<Value>, String> {
        Ok(lines(self.ok(ask, body)?.text()))
    }

    fn ok(&mut self, ask: &str, body: &Value) -> Result<Answer, String> {
        let answer = match ask.strip_prefix("GET ") {
            Some(path) => self.client.get(&format!("{MAIN}/{path}")),
            None => self.client.ask(ask, body),
        };
        if answer.status == 200 { Ok(answer) } else { Err(format!("{} of {body}", answer.text())) }
    }

    fn members(&mut self, mut body: Value) -> Result<Vec<String>, String> {
        body["columns"] = json!(["member"]);
        Ok(self.rows("members", &body)?.iter().map(|row| text(&row["member"])).collect())
    }

    /// Whether an answer holds what is expected of it.
    fn holds(&mut self, expected: &Value, found: &Value, at: &str) -> Outcome {
        match (expected, found) {
            (Value::Object(fields), Value::Object(all)) => {
                for (name, value) in fields {
                    let found = all.get(name).ok_or_else(|| format!("{at} has no {name}: {found}"))?;
                    self.holds(value, found, &format!("{at}/{name}"))?;
                }
                Ok(())
            }
            (Value::Array(names), Value::String(definition)) => {
                let body = json!({"where": definition, "as_of": self.forty.as_of});
                same(at, &json!(names), &json!(self.members(body)?))
            }
            (Value::Array(list), Value::Array(all)) if list.len() == all.len() => {
                let mut pairs = list.iter().zip(all).zip(0..);
                pairs.try_for_each(|((value, found), place)| self.holds(value, found, &format!("{at}/{place}")))
            }
            (Value::Number(number), Value::Number(other)) if is_about(number, other) => Ok(()),
            _ => same(at, expected, found),
        }
    }
}

fn is_about(expected: &serde_json::Number, found: &serde_json::Number) -> bool {
    let (Some(wanted), Some(number)) = (expected.as_f64(), found.as_f64()) else { return false };
    let slack = if expected.is_f64() { wanted.abs() * ROUNDED } else { 1e-9 };
    (wanted - number).abs() <= slack
}

fn same(what: &str, expected: &Value, found: &Value) -> Outcome {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

/// Who entered and who left, of lines that tell it.
fn changes_of(rows: &[Value]) -> Value {
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["change"].is_string()) {
        changes.entry(text(&row["change"])).or_default().push(text(&row["ids"]["member"]));
    }
    json!(changes)
}

/// How many rows have each value of some tags; each row is of somebody else.
fn mix_of<'t>(rows: &[Value], tags: impl Iterator<Item = &'t String>) -> Result<Value, String> {
    let members: BTreeSet<String> = rows.iter().map(|row| text(&row["member"])).collect();
    same("different members", &json!(rows.len()), &json!(members.len()))?;
    let mut mix: BTreeMap<&String, BTreeMap<String, u64>> = BTreeMap::new();
    for tag in tags {
        rows.iter().for_each(|row| *mix.entry(tag).or_default().entry(text(&row[tag])).or_default() += 1);
    }
    Ok(json!(mix))
}

fn regions_of(overlap: &Value) -> Value {
    let name = |region: &Value| list(&region["in"]).iter().map(text).collect::<Vec<_>>().join("+");
    let regions = list(&overlap["regions"]).iter().map(|region| (name(region), region["count"].clone()));
    json!(regions.collect::<BTreeMap<_, _>>())
}

fn shares_of<'p>(distribution: &Value, properties: impl Iterator<Item = &'p String>) -> Value {
    let counts = |property: &'p String| {
        let values = list(&distribution["tags"][property]["values"]);
        let counts = values.iter().map(|value| (text(&value["value"]), value["count"].clone()));
        (property, counts.collect::<BTreeMap<_, _>>())
    };
    json!(properties.map(counts).collect::<BTreeMap<_, _>>())
}

/// The sizes of days in a row, each from the first day on that has it.
fn sizes(rows: &[Value]) -> BTreeMap<String, Value> {
    let size = |row: &Value| {
        (text(row.get("day").unwrap_or(&row["date"])), row.get("people").unwrap_or(&row["count"]).clone())
    };
    let mut before = None;
    let is_new = |(day, people): (String, Value)| {
        (before.replace(people.clone()) != Some(people.clone())).then_some((day, people))
    };
    rows.iter().map(size).filter_map(is_new).collect()
}

/// The cells of a flow or crosstab that have people: how many; of a crosstab also row % and index against all, which follow
/// from what is answered.
fn cells(call: &str, table: &Value) -> Value {
    let labels = |of: &str| {
        let kinds = table[format!("{of}_kinds")].as_array().cloned().unwrap_or_default();
        let kind = |place: usize| kinds.get(place).map_or("unknown".into(), text);
        let label = |(value, place): (&Value, usize)| if value.is_null() { kind(place) } else { text(value) };
        list(&table[format!("{of}s")]).iter().zip(0..).map(label).collect::<Vec<String>>()
    };
    let (of_rows, of_columns) = (numbers(&table["row_totals"]), numbers(&table["column_totals"]));
    let all: f64 = of_rows.iter().sum();
    let mut cells = json!({});
    for ((row, counts), of_row) in labels("row").iter().zip(list(&table["counts"])).zip(&of_rows) {
        for ((column, count), of_column) in labels("column").iter().zip(numbers(counts)).zip(&of_columns) {
            let shares = [100.0 * count / of_row, 100.0 * (count / of_row) / (of_column / all)];
            if count > 0.0 {
                cells[row][column] = match call {
                    "crosstab" => json!([count as u64, shares[0], shares[1]]),
                    _ => json!(count as u64),
                };
            }
        }
    }
    cells
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().map_or(Vec::new(), |fields| fields.keys().map(String::as_str).collect())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |list| list)
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().filter_map(Value::as_f64).collect()
}

#[test]
fn all_forty_are_there() {
    let numbers: Vec<u32> = Forty::read().questions.iter().map(|question| question.number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<u32>>());
}

#[test]
fn each_question_has_the_answer_that_was_worked_out_by_hand() {
    let forty = &Forty::read();
    let server = town(forty);
    let kept = BTreeMap::from([("pasted".to_string(), forty.pasted.text())]);
    let mut asker = Asker { forty, client: server.client(), spelling: Spelling::Text, kept, faults: Vec::new() };
    for person in lines(PEOPLE) {
        let member = text(&person["id"]["member"]);
        let portrait = asker.answer(&format!("GET profiles/member/{member}"), &Value::Null).unwrap();
        let is_as_written = asker.holds(&person["set"], &portrait["tags"], &member);
        assert_eq!(is_as_written, Ok(()), "history.ndjson must end in what people.ndjson says");
    }
    asker.ask_all(Spelling::Text, false);
    save_audiences(&mut asker.client, forty, Spelling::Tree);
    asker.ask_all(Spelling::Tree, false);
    asker.client.post_text(&format!("{MAIN}/profiles"), NEWCOMERS).expect(200);
    asker.ask_all(Spelling::Text, true);
    asker.ask_all(Spelling::Tree, true);
    assert!(asker.faults.is_empty(), "{}", asker.faults.join("\n"));
}
