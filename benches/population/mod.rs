//! What all benches ask: a population that is generated once and kept under `target/`, and ways to look at its people
//! one by one, so that answers can be asserted without the evaluator.
//!
//! `HEADCOUNT_BENCH_PEOPLE=10000000 cargo bench` for another size than a million.

// Each bench is a crate of its own and takes what it needs.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use criterion::Criterion;
use headcount::engine::{
    Engine, EngineOptions, MAIN_SPACE, MembersRequest, Question, Space, UpsertAnswer, UpsertOptions, Where,
};
use headcount::generate::{AS_OF, Population};
use headcount::import::infer::About;
use headcount::import::load::{StoreTarget, Target};
use headcount::query::bind::date_of;
use headcount::query::cell::Cell;
use storage::{DataDir, SchemaJson};
use tempfile::TempDir;

/// Changes held in memory while loading, in bytes.
const OWNED_BYTES_MAX: u64 = 2 << 30;

/// Short enough for all benches to end within minutes.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500))
}

/// How many people there are.
pub fn people() -> u32 {
    std::env::var("HEADCOUNT_BENCH_PEOPLE").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

/// `1000k`: how the size stands in the names of benches.
pub fn label() -> String {
    format!("{}k", people() / 1000)
}

/// The schema of generated people.
pub fn schema() -> SchemaJson {
    serde_json::from_value(Population::new(1, 1).schema_json()).expect("the generator's schema")
}

/// Where everything is kept that costs time to make.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

/// A directory of a bench's own, gone when it is dropped.
pub fn scratch() -> TempDir {
    std::fs::create_dir_all(target()).expect("a directory for the population");
    tempfile::tempdir_in(target()).expect("a directory beside the population")
}

/// Copies a directory's files.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("the population's files") {
        let entry = entry.expect("a file");
        let path = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &path),
            false => drop(std::fs::copy(entry.path(), path).expect("room on the disk")),
        }
    }
}

/// The directory of the population, loaded first if need be.
pub fn directory() -> PathBuf {
    let people = people();
    let dir = target().join(format!("bench-people-and-purchases-{people}"));
    load(&dir, people);
    dir
}

/// A copy of the population to write into, or of the directory that `HEADCOUNT_BENCH_DATA` names.
pub fn own_copy() -> TempDir {
    let source = std::env::var("HEADCOUNT_BENCH_DATA").map_or_else(|_| directory(), PathBuf::from);
    let dir = scratch();
    copy(&source, dir.path());
    dir
}

/// Sends a batch of NDJSON people and waits until it is durable and visible.
pub fn upsert(space: &Space, lines: &[u8]) -> UpsertAnswer {
    let (sender, receiver) = mpsc::channel();
    let done = move |answer| sender.send(answer).expect("someone waits");
    space.upsert_lines(lines, UpsertOptions::default(), done).expect("a batch");
    receiver.recv().expect("an answer").expect("a durable batch")
}

/// Loads so many people into a directory, unless they are there.
pub fn load(dir: &Path, people: u32) {
    let data = DataDir::open(dir).expect("the bench's directory");
    let mut loader = data.bulk_load(MAIN_SPACE, OWNED_BYTES_MAX).expect("the bench's space");
    if loader.view().profile_count() == people {
        return;
    }
    let population = Population::new(1, people);
    loader.extend_schema(&schema()).expect("a new schema");
    for first in (0..people).step_by(1 << 16) {
        let range = first..people.min(first + (1 << 16));
        StoreTarget(&mut loader).add(&population.profiles(range.clone()), About::Profiles).expect("loading");
        StoreTarget(&mut loader).add(&population.purchases(range), About::Events).expect("loading");
    }
    loader.finish().expect("saving");
}

/// The population, for questions only.
pub fn engine() -> Engine {
    open(&directory())
}

/// A directory, for questions only.
pub fn open(dir: &Path) -> Engine {
    Engine::open(dir, &EngineOptions { read_only: true, ..EngineOptions::default() }).expect("opening")
}

/// A question of an audience, on the day that the population is of. Whoever asks it again of the same data finds its plan
/// again: what is timed is all but reading and binding it, which `forty` times too.
pub fn asked(text: &str) -> Question {
    Question { audience: Some(Where::Text(text.into())), as_of: Some(date_of(AS_OF.into())), ..Question::default() }
}

/// Calls `each` with the OneID and cells of everyone.
pub fn each_person(space: &Space, columns: &[&str], mut each: impl FnMut(u32, &[Cell<'_>])) {
    let columns = std::iter::once("one_id").chain(columns.iter().copied()).map(String::from).collect();
    let request = MembersRequest { columns, ..MembersRequest::default() };
    let rows = space.members(
        &Question::default(),
        &request,
        |_, _| Ok(()),
        |one_id, cells| {
            each(one_id, &cells[1..]);
            Ok(())
        },
    );
    rows.expect("all members");
}

/// Counts those whose cells pass a test.
pub fn count_one_by_one(space: &Space, columns: &[&str], test: impl Fn(&[Cell<'_>]) -> bool) -> u64 {
    let mut count = 0;
    each_person(space, columns, |_, cells| count += u64::from(test(cells)));
    count
}

/// Counts those whose cells pass a test by the labels that they come under; nobody's label is left out.
pub fn tally_one_by_one(
    space: &Space,
    columns: &[&str],
    labels: impl Fn(&[Cell<'_>]) -> Option<Vec<String>>,
) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    each_person(space, columns, |_, cells| {
        for label in labels(cells).into_iter().flatten() {
            *counts.entry(label).or_default() += 1;
        }
    });
    counts
}

/// Whether a category is that.
pub fn is(cell: &Cell<'_>, text: &str) -> bool {
    matches!(cell, Cell::Text(t) if t == text)
}

/// Whether a category is one of those.
pub fn is_any(cell: &Cell<'_>, texts: &[&str]) -> bool {
    matches!(cell, Cell::Text(t) if texts.contains(&&**t))
}

/// Whether a flag is known to be true.
pub fn yes(cell: &Cell<'_>) -> bool {
    *cell == Cell::Bool(true)
}

/// Whether a set has that in it.
pub fn has(cell: &Cell<'_>, text: &str) -> bool {
    matches!(cell, Cell::List(list) if list.iter().any(|t| t == text))
}

/// A number in units of its scale.
pub fn number(cell: &Cell<'_>) -> Option<i128> {
    match cell {
        Cell::Decimal(value, _) => Some(*value),
        Cell::Int(value) => Some((*value).into()),
        _ => None,
    }
}

/// A date's days since 1970.
pub fn day(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Date(day) => Some(*day),
        _ => None,
    }
}
