//! Benches named by the question. The population is generated once and kept under `target/`; every answer is asserted
//! against an independent way to it (members looked at one by one) before it is timed.
//!
//! `HEADCOUNT_BENCH_PEOPLE=10000000 cargo bench` for another size than a million.

use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use headcount::engine::{
    CrosstabRequest, DistributionRequest, Engine, EngineOptions, MAIN_SPACE, MembersRequest, Question, Space, Where,
};
use headcount::generate::{AS_OF, Population};
use headcount::import::load::{StoreTarget, Target};
use headcount::query::bind::date_of;
use headcount::query::cell::Cell;
use storage::{DataDir, SchemaJson};

/// A question, the columns that its members are looked at by, and the same condition on those cells.
type Case = (&'static str, &'static str, &'static [&'static str], fn(&[Cell<'_>]) -> bool);

const COUNTS: &[Case] = &[
    ("one_tag", "gender = 'F'", &["gender"], |c| is(&c[0], "F")),
    ("not_one_city", "NOT city = 'Beijing'", &["city"], |c| !is(&c[0], "Beijing")),
    (
        "four_clauses",
        "gender = 'F' AND city IN ('Shanghai', 'Hangzhou') AND age BETWEEN 25 AND 39 AND NOT lifecycle IN ('churned', 'lapsed')",
        &["gender", "city", "age", "lifecycle"],
        |c| {
            is(&c[0], "F")
                && (is(&c[1], "Shanghai") || is(&c[1], "Hangzhou"))
                && matches!(c[2], Cell::Decimal(25..=39, 0))
                && !is(&c[3], "churned")
                && !is(&c[3], "lapsed")
        },
    ),
    (
        "flags_and_tiers",
        "subscribed AND app_installed AND tier IN ('V4', 'V5')",
        &["subscribed", "app_installed", "tier"],
        |c| c[0] == Cell::Bool(true) && c[1] == Cell::Bool(true) && (is(&c[2], "V4") || is(&c[2], "V5")),
    ),
    ("set_and_number", "interests = 'yoga' AND spend > 1000", &["interests", "spend"], |c| {
        let yoga = matches!(&c[0], Cell::List(list) if list.iter().any(|i| i == "yoga"));
        yoga && matches!(c[1], Cell::Decimal(v, 2) if v > 100_000)
    }),
];

fn is(cell: &Cell<'_>, text: &str) -> bool {
    matches!(cell, Cell::Text(t) if t == text)
}

fn people() -> u32 {
    std::env::var("HEADCOUNT_BENCH_PEOPLE").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

fn population() -> Engine {
    let people = people();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("target/bench-people-{people}"));
    let data = DataDir::open(&dir).expect("the bench's directory");
    let mut loader = data.bulk_load(MAIN_SPACE, 2 << 30).expect("the bench's space");
    if loader.view().profile_count() != people {
        let population = Population::new(1, people);
        let mut schema = population.schema_json();
        schema.as_object_mut().and_then(|s| s.remove("events"));
        let schema: SchemaJson = serde_json::from_value(schema).expect("the generator's schema");
        loader.extend_schema(&schema).expect("a new schema");
        for first in (0..people).step_by(1 << 16) {
            let frame = population.profiles(first..people.min(first + (1 << 16)));
            StoreTarget(&mut loader).add(&frame).expect("loading");
        }
        loader.finish().expect("saving");
    }
    drop(data);
    Engine::open(&dir, &EngineOptions { read_only: true, ..EngineOptions::default() }).expect("opening")
}

fn asked(text: &str) -> Question {
    Question { audience: Some(Where::Text(text.into())), as_of: Some(date_of(AS_OF.into())), ..Question::default() }
}

fn count_one_by_one(space: &Space, columns: &[&str], test: fn(&[Cell<'_>]) -> bool) -> u64 {
    let columns = std::iter::once("one_id").chain(columns.iter().copied()).map(String::from).collect();
    let request = MembersRequest { columns, ..MembersRequest::default() };
    let mut count = 0;
    let rows = space.members(
        &Question::default(),
        &request,
        |_, _| Ok(()),
        |_, cells| {
            count += u64::from(test(&cells[1..]));
            Ok(())
        },
    );
    rows.expect("all members");
    count
}

fn benches(criterion: &mut Criterion) {
    let engine = population();
    let space = engine.space(MAIN_SPACE).expect("the space");
    let label = format!("{}k", people() / 1000);
    for (name, text, columns, test) in COUNTS {
        let question = asked(text);
        let count = space.count(&question, false).expect(text).value.count;
        assert_eq!(count, count_one_by_one(&space, columns, *test), "{text}");
        criterion.bench_function(&format!("count/{name}/{label}"), |b| b.iter(|| space.count(&question, false)));
    }
    for (name, text, tag) in [
        ("city_of_one_tier", "tier = 'V5'", "city"),
        ("city_of_half", "gender = 'F'", "city"),
        ("interests_of_one_tier", "tier = 'V5'", "interests"),
        ("spend_of_half", "gender = 'F'", "spend"),
    ] {
        let request =
            DistributionRequest { tags: vec![tag.into()], top: Some(10_000), ..DistributionRequest::default() };
        let answer = space.distribution(&asked(text), &request).expect(text).value;
        let part = &answer.tags[0].1;
        let sum: u64 = part.values.iter().map(|v| v.count).sum();
        assert!(tag == "interests" || sum + part.unknown == answer.count, "{tag} of {text}");
        criterion.bench_function(&format!("distribution/{name}/{label}"), |b| {
            b.iter(|| space.distribution(&asked(text), &request));
        });
    }
    let request = CrosstabRequest { rows: "tier".into(), columns: "lifecycle".into() };
    let answer = space.crosstab(&asked("gender = 'F'"), &request).expect("crosstab").value;
    let cells: u64 = answer.counts.iter().flatten().sum();
    assert_eq!(cells, space.count(&asked("gender = 'F'"), false).expect("count").value.count);
    criterion.bench_function(&format!("crosstab/tier_by_lifecycle_of_half/{label}"), |b| {
        b.iter(|| space.crosstab(&asked("gender = 'F'"), &request));
    });
    let top =
        asked("one_id IN (SELECT one_id FROM profiles WHERE lifecycle = 'churned' ORDER BY spend DESC LIMIT 1000)");
    assert_eq!(space.count(&top, false).expect("top").value.count, 1000);
    criterion.bench_function(&format!("top/1000_by_spend/{label}"), |b| b.iter(|| space.count(&top, false)));
}

criterion_group! { name = questions; config = Criterion::default().sample_size(20); targets = benches }
criterion_main!(questions);
