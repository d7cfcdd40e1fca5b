//! The forty questions that marketers ask, timed: the same calls as `tests/forty` asks of people who can be checked by
//! eye, asked over HTTP of the generated population. Prints one table, in Markdown.
//!
//! `HEADCOUNT_BENCH_PEOPLE=10000000 cargo bench --bench forty`; `HEADCOUNT_BENCH_DATA=DIR` for generated people who are
//! there already; numbers behind `--` for some of the questions only.
//!
//! ```text
//!   a copy of the population ─► all questions of the present ─► ten months of changes, a state a day ─► those of the past
//! ```
//! Nothing is written but into the copy. Each answer is asserted to be that of the same question as a rule tree before it is
//! timed. Before each call something else is saved, so that its data version is new and
//! no answer, nor any part of one, is remembered of the version before: what is timed is what the first asker waits for.
//! Times are the engine's own, from text to answer; of lists of members until the last row has been read.

#[path = "../tests/forty/asked.rs"]
mod asked;
#[path = "../tests/forty/calendar.rs"]
mod calendar;
#[path = "../tests/http_client/mod.rs"]
mod http_client;
mod population;
#[path = "../tests/forty/spelling.rs"]
mod spelling;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use asked::{Call, Expected, Forty, Question, fill, only_cell, quoted};
use calendar::{FIRST_DAY, FIRST_KEPT, TODAY};
use headcount::engine::EngineOptions;
use http_client::hand::Hand;
use http_client::{Answer, Client, MAIN, Server};
use jiff::civil::{Date, date};
use population::own_copy;
use serde_json::{Value, json};
use spelling::{Spelling, spelled};

/// The questions that look at earlier states and snapshots.
const LOOKING_BACK: RangeInclusive<u32> = 25..=29;
/// Times that a call is timed, but for no longer than this in all.
const RUNS: usize = 7;
const RUNS_ELAPSED_MAX: Duration = Duration::from_secs(10);
/// Within which questions that others refuse are to be answered, and all others.
const HARD_MAX: Duration = Duration::from_millis(50);
const PLAIN_MAX: Duration = Duration::from_millis(5);
/// One of so many changes on each of some days, and on all others.
const MANY: usize = 100;
const FEW: usize = 10_000;
/// The days on which many change.
const BUSY: [Date; 5] = [FIRST_KEPT, date(2026, 5, 15), date(2026, 9, 20), date(2026, 10, 15), TODAY];
/// Lines of a batch.
const BATCH_LINES: usize = 5000;
/// Ids that are pasted.
const PASTED: usize = 500;
/// Most letters of a condition, and most names of an answer, that are shown.
const LETTERS_MAX: usize = 240;
const NAMES_MAX: usize = 6;

struct Bench {
    forty: Forty,
    client: Client,
    people: usize,
    kept: BTreeMap<String, String>,
    /// Counts up with each call, so that what is saved is never the same.
    calls: u64,
}

impl Bench {
    fn new(server: &Server) -> Bench {
        let mut client = server.client();
        client.stream.set_read_timeout(None).expect("a socket");
        let people = client.get(MAIN).expect(200)["profile_count"].as_u64().expect("a number") as usize;
        let ids = (0..PASTED).map(|n| member(n * people / PASTED));
        let kept = BTreeMap::from([("pasted".to_string(), quoted(ids))]);
        Bench { forty: Forty::read(), client, people, kept, calls: 0 }
    }

    fn save_audiences(&mut self) {
        for audience in &self.forty.audiences {
            let condition = audience.timed.as_ref().unwrap_or(&audience.condition);
            let path = format!("{MAIN}/audiences/{}", audience.name);
            self.client.put(&path, &json!({ "where": condition })).expect(200);
        }
    }

    /// Makes the data version a new one, in which nothing is remembered.
    fn forget(&mut self) {
        self.calls += 1;
        let path = format!("{MAIN}/audiences/nobody");
        self.client.put(&path, &json!({"where": "FALSE", "description": self.calls.to_string()})).expect(200);
    }

    fn ask(&mut self, ask: &str, body: &Value) -> Answer {
        match ask.strip_prefix("GET ") {
            Some(path) => self.client.get(&format!("{MAIN}/{path}")),
            None => self.client.ask(ask, body),
        }
    }

    /// How long an answer takes, or what is wrong with the question.
    fn time(&mut self, ask: &str, body: &Value) -> Result<(Duration, Answer), String> {
        self.forget();
        let start = Instant::now();
        let answer = self.ask(ask, body);
        let elapsed = start.elapsed();
        if answer.status != 200 {
            return Err(answer.json()["error"]["code"].to_string());
        }
        let own = match answer.header("content-type") {
            Some("application/json") => answer.json()["took_us"].as_u64().map(Duration::from_micros),
            _ => None,
        };
        Ok((own.unwrap_or(elapsed), answer))
    }

    /// The median of some runs after one in each spelling that is not timed; and how many are counted, where they are.
    fn median(&mut self, call: &Call) -> Result<(Duration, Option<u64>), String> {
        let mut body = self.forty.body(call);
        for (name, value) in call.timed.iter().filter_map(Value::as_object).flatten() {
            body[name] = value.clone();
        }
        fill(&mut body, &self.kept);
        let (_, of_tree) = self.time(&call.ask, &spelled(body.clone(), Spelling::Tree))?;
        let body = spelled(body, Spelling::Text);
        let (_, answer) = self.time(&call.ask, &body)?;
        assert_eq!(answered(&answer), answered(&of_tree), "{body} in both spellings");
        if let Some(name) = &call.keep {
            self.kept.insert(name.clone(), only_cell(&answer.json()));
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.is_empty() || times.len() < RUNS && start.elapsed() < RUNS_ELAPSED_MAX {
            times.push(self.time(&call.ask, &body)?.0);
        }
        times.sort_unstable();
        let count = if call.ask == "count" { answer.json()["count"].as_u64() } else { None };
        Ok((times[times.len() / 2], count))
    }

    /// Lives from the first day to the last: one of some people is of another tier and lifecycle each day.
    fn live_through(&mut self, hand: &Hand) {
        for (today, number) in calendar::days().zip(0..) {
            hand.set(today);
            if BUSY.contains(&today) {
                self.change(MANY, number);
            } else if today > FIRST_KEPT {
                self.change(FEW, number);
            }
            calendar::keep(&mut self.client, today);
        }
    }

    /// One of so many people changes, others with each number.
    fn change(&mut self, one_of: usize, number: usize) {
        let changed: Vec<usize> = (number % one_of..self.people).step_by(one_of).collect();
        for batch in changed.chunks(BATCH_LINES) {
            let line = |person: &usize| {
                let (tier, lifecycle) =
                    (1 + (person + number) % 5, ["active", "dormant"][(person / one_of + number) % 2]);
                let set = json!({"tier": format!("V{tier}"), "lifecycle": lifecycle});
                format!("{}\n", json!({"id": {"member": member(*person)}, "set": set}))
            };
            let lines: String = batch.iter().map(line).collect();
            let answer = self.client.post_text(&format!("{MAIN}/profiles"), &lines).expect(200);
            assert_eq!(answer["created"], 0, "they are there already");
        }
    }
}

/// What an answer says, without what differs from one asking to the next: in JSON, or as it is.
fn answered(answer: &Answer) -> Value {
    let Ok(mut json) = serde_json::from_slice::<Value>(&answer.body) else { return answer.text().into() };
    if let Some(fields) = json.as_object_mut() {
        // Warnings name places, which a tree has others of.
        fields.retain(|name, _| !["took_us", "data_version", "warnings"].contains(&name.as_str()));
    }
    json
}

/// The id of a generated person.
fn member(person: usize) -> String {
    format!("M{:07}", person + 1)
}

/// A row of the table, and whether it took too long.
struct Row {
    text: String,
    is_late: bool,
}

fn row(bench: &mut Bench, question: &Question, place: usize) -> Row {
    let call = &question.calls[place];
    let (number, words) = match place {
        0 => (question.number.to_string(), format!("{}{}", question.question, if question.hard { " (H)" } else { "" })),
        _ => Default::default(),
    };
    let time = bench.median(call);
    let max = if question.hard { HARD_MAX } else { PLAIN_MAX };
    let is_late = !time.as_ref().is_ok_and(|(time, _)| *time < max);
    let found = time.as_ref().ok().and_then(|(_, count)| *count).map_or(String::new(), |count| count.to_string());
    let time = time.map_or_else(|code| code, |(time, _)| format!("{:.3} ms", time.as_secs_f64() * 1e3));
    let note = call.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    let cells = [number, words, asked_text(call), answer_text(call), found, time + &note];
    Row { text: format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")), is_late }
}

/// What is asked, as it is shown: the call unless it is a count, the condition, and what else is said.
fn asked_text(call: &Call) -> String {
    let mut body = call.body.clone();
    let condition = body.as_object_mut().and_then(|fields| fields.remove("where").or_else(|| fields.remove("sql")));
    let ask = (!["count", "query"].contains(&&*call.ask)).then(|| call.ask.clone());
    let condition = condition.as_ref().and_then(Value::as_str).map(String::from);
    let rest = body.as_object().filter(|fields| !fields.is_empty()).map(|_| body.to_string());
    let parts = [ask, condition, rest].into_iter().flatten().map(|part| format!("`{}`", cut(&part)));
    parts.collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// The answer of the people who can be checked by eye, as it is shown.
fn answer_text(call: &Call) -> String {
    match (&call.answer, &call.expected) {
        (Some(answer), _) => answer.clone(),
        (None, Expected::Members(names)) if names.len() > NAMES_MAX => {
            format!("{}: {}, …", names.len(), names[..NAMES_MAX].join(", "))
        }
        (None, Expected::Members(names)) => format!("{}: {}", names.len(), names.join(", ")),
        (None, Expected::Expect(part)) => part["rows"][0][0].to_string(),
        (None, _) => String::new(),
    }
}

/// All timed calls of some questions, by number of the question and place of the call.
fn rows(bench: &mut Bench, numbers: &[u32], looking_back: bool) -> Vec<(u32, Row)> {
    let questions = std::mem::take(&mut bench.forty.questions);
    let mut rows = Vec::new();
    for question in questions.iter().filter(|q| LOOKING_BACK.contains(&q.number) == looking_back) {
        if numbers.is_empty() || numbers.contains(&question.number) {
            for (call, place) in question.calls.iter().zip(0..) {
                if call.timed != Some(Value::Bool(false)) {
                    rows.push((question.number, row(bench, question, place)));
                }
            }
        }
    }
    bench.forty.questions = questions;
    rows
}

fn main() {
    let numbers: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let dir = own_copy();
    let hand = Hand::at(FIRST_DAY);
    let mut options = EngineOptions::default();
    options.store.clock = hand.clock();
    options.store.dated = calendar::policy();
    let server = Server::with_engine(dir, options, |_| {});
    let mut bench = Bench::new(&server);
    bench.save_audiences();
    let mut all = rows(&mut bench, &numbers, false);
    if numbers.is_empty() || numbers.iter().any(|number| LOOKING_BACK.contains(number)) {
        bench.live_through(&hand);
        all.extend(rows(&mut bench, &numbers, true));
        all.sort_by_key(|(number, _)| *number);
    }
    println!("| | question | text | of twenty people | of {} | time |", bench.people);
    println!("|--:|---|---|---|--:|--:|");
    all.iter().for_each(|(_, row)| println!("{}", row.text));
    let mut late: Vec<u32> = all.iter().filter(|(_, row)| row.is_late).map(|(number, _)| *number).collect();
    late.dedup();
    println!("\nslower than {PLAIN_MAX:?}, or {HARD_MAX:?} where (H): {late:?}");
}
