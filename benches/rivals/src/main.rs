//! Headcount's questions asked of it and of its rivals, round about, in one run; `table.sh` is the way in.
//! Every answer is asserted equal to headcount's before anything is timed.
//!
//! ```text
//!   questions.json ─► questions ─┐          ┌─ ours      the engine, in process
//!   headcount's store ─► taken ──┼─► main ──┼─ bitmaps   roaring, croaring: one operation at a time
//!                                │    │     └─ engines   DuckDB, ClickHouse: engines.py, a process of its own
//!                                │    └─► table          Markdown
//!                             memory      what the machine can read
//! ```

mod answer;
mod bitmaps;
mod engines;
mod memory;
mod ours;
mod questions;
mod table;
mod taken;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use headcount::engine::{Engine, EngineOptions, MAIN_SPACE};
use rayon::prelude::*;
use roaring::RoaringBitmap;
use storage::View;
use storage::container::ContainerRef;

use answer::Answer;
use bitmaps::Library;
use engines::Engines;
use memory::median;
use ours::Ours;
use questions::{Algebra, Kind, Question};
use table::{Reading, Row, Table};

/// Milliseconds that a contender may take up with one question, after its first answer.
const TOTAL_MS_MAX: f64 = 1500.0;
/// Rounds that a question goes about the contenders, each beginning with another of them: what the one before has left in
/// the caches, and threads of it that still run, are everyone's lot as often.
const ROUNDS: usize = 2 * CONTENDERS.len();
/// Times that each is asked in a round, if it is fast.
const BURST: u32 = 5;
/// Milliseconds that a burst may take.
const BURST_MS_MAX: f64 = 20.0;

/// Who is asked, in the order of the table's columns.
pub const CONTENDERS: [&str; 5] = ["headcount", "roaring", "croaring", "duckdb", "clickhouse"];

struct Contenders {
    ours: Ours,
    roaring: Library<RoaringBitmap>,
    croaring: Library<croaring::Bitmap>,
    engines: Option<Engines>,
}

impl Contenders {
    fn ask(&mut self, contender: &str, question: &Question, is_wanted: bool) -> Option<(f64, Answer)> {
        match contender {
            "headcount" => Some(self.ours.ask(question)),
            "roaring" => self.roaring.ask(question),
            "croaring" => self.croaring.ask(question),
            engine => self.engines.as_mut().map(|engines| engines.ask(engine, question, is_wanted)),
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().unwrap_or_else(|| panic!("rivals DATA QUESTIONS [ENGINE…]: {what}?"));
    let (data, questions) = (PathBuf::from(next("DATA")), PathBuf::from(next("QUESTIONS")));
    let command: Vec<String> = arguments.collect();
    let engine = Engine::open(&data, &EngineOptions { read_only: true, ..EngineOptions::default() });
    let engine = engine.expect("headcount's directory");
    let space = engine.space(MAIN_SPACE).expect("the space `main`");
    let view = space.store().view();
    let only = std::env::var("HEADCOUNT_RIVALS_ONLY").ok();
    let questions = questions::read(&questions, view.profile_count(), only.as_deref());
    let everyone = taken::everyone(&view);
    let (mut roaring, mut croaring) = (Library::new(&everyone), Library::new(&everyone));
    if questions.iter().any(|question| question.bitmaps.is_some()) {
        taken::each_tag(&view, |tag| {
            roaring.add(&tag);
            croaring.add(&tag);
        });
    }
    eprintln!("bitmaps taken");
    let engines = (!command.is_empty()).then(|| Engines::start(&command));
    eprintln!("engines loaded");
    let mut table = Table::new(view.profile_count(), memory::bandwidth());
    table.versions = engines.as_ref().map(|engines| engines.versions.clone()).unwrap_or_default();
    let mut contenders = Contenders { ours: Ours(space.clone()), roaring, croaring, engines };
    for question in questions {
        let row = timed(&mut contenders, &question);
        eprintln!("{}: {:?}", row.name, row.elapsed_ms);
        table.rows.push(row);
        if question.is_read {
            table.readings.push(reading(&contenders.ours, &view, &question));
        }
    }
    table.bandwidth = table.bandwidth.best(memory::bandwidth());
    println!("{}", table.markdown());
}

/// Asks everyone once, asserts that they agree, then times them round about.
fn timed(contenders: &mut Contenders, question: &Question) -> Row {
    let mut times: Vec<Option<Vec<f64>>> = Vec::new();
    let mut first = Vec::new();
    let mut ours = Answer::new();
    for contender in CONTENDERS {
        let Some((_, answer)) = contenders.ask(contender, question, true) else {
            times.push(None);
            first.push(0.0);
            continue;
        };
        if contender == "headcount" {
            ours = answer;
        } else if let Some(what) = answer::difference(&ours, &answer, question.tolerance) {
            panic!("{}: headcount and {contender} differ on {what}", question.name);
        }
        // The second time tells how often it can be asked.
        let again = contenders.ask(contender, question, false).map_or(0.0, |(elapsed_ms, _)| elapsed_ms);
        times.push(Some(Vec::new()));
        first.push(again);
    }
    for turn in (0..ROUNDS).flat_map(|round| (round..round + CONTENDERS.len()).map(|turn| turn % CONTENDERS.len())) {
        let Some(times) = &mut times[turn] else { continue };
        if times.len() >= 3 && times.iter().sum::<f64>() > TOTAL_MS_MAX {
            continue;
        }
        let burst = ((BURST_MS_MAX / first[turn].max(1e-3)) as u32).clamp(1, BURST);
        for _ in 0..burst {
            times.extend(contenders.ask(CONTENDERS[turn], question, false).map(|(elapsed_ms, _)| elapsed_ms));
        }
    }
    Row {
        name: question.name.clone(),
        kind: question.kind.clone(),
        is_of_events: question.is_of_events,
        shown: match question.kind {
            Kind::Series { .. } | Kind::Table { .. } => answer::row_count(&ours),
            _ => answer::shown(&ours),
        },
        is_near: question.tolerance > 0.0,
        elapsed_ms: times.into_iter().map(|times| times.map(median)).collect(),
        bytes: contenders.ours.bytes(question),
    }
}

/// Reads the very containers of a question's bitmaps with the loop that counts bits, in turn with the question.
fn reading(ours: &Ours, view: &View, question: &Question) -> Reading {
    let mut leaves = Vec::new();
    push_leaves(question.bitmaps.as_ref().expect("a question that is read has bitmaps"), &mut leaves);
    let mut containers: Vec<ContainerRef<'_>> = Vec::new();
    for (tag, value) in &leaves {
        let (tag, _) = view.schema().tag(tag).expect("a tag of the schema");
        let field = view.tag(tag);
        let value = match field.values().find(value).expect("values without damage") {
            Some(value) => value,
            None => storage::field::TRUE,
        };
        taken::each_container(view, field, value, |_, container| containers.push(container));
    }
    let half = containers.len() / 2;
    let read = |part: &[ContainerRef<'_>]| part.iter().map(|c| memory::read(*c)).sum::<u64>();
    let (mut one, mut all, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..101 {
        asked.push(ours.ask(question).0);
        let start = Instant::now();
        black_box(read(black_box(&containers)));
        one.push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        black_box(containers.par_chunks(half.max(1)).map(read).sum::<u64>());
        all.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Reading {
        name: question.name.clone(),
        bytes: containers.iter().map(|c| memory::bytes(*c) as u64).sum(),
        one_thread_ms: median(one),
        all_threads_ms: median(all),
        headcount_ms: median(asked),
    }
}

fn push_leaves<'a>(algebra: &'a Algebra, into: &mut Vec<(&'a str, &'a str)>) {
    match algebra {
        Algebra::Leaf { tag, value } => into.push((tag, value)),
        Algebra::And(parts) | Algebra::Or(parts) => parts.iter().for_each(|part| push_leaves(part, into)),
        Algebra::Not(inner) => push_leaves(inner, into),
    }
}
