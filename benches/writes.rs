//! Writes: batches of upserts alone and under questions, what questions take beside them, import and open.
//! What was written is asserted by looking at the people before it is timed.

mod population;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use headcount::engine::{Engine, EngineOptions, MAIN_SPACE, Question};
use headcount::generate::{GenerateOptions, generate};
use headcount::import::infer::About;
use headcount::import::load::{Content, StoreTarget, load_file};
use headcount::import::read::{Expect, Format, Kind};
use headcount::query::cell::Cell;
use storage::DataDir;

use population::{asked, count_one_by_one, each_person, is, is_any, label, people, schema, scratch, target, upsert};

/// Lines of a batch.
const BATCH_LINES: u32 = 1000;
/// People of an import.
const IMPORT_PEOPLE: u32 = 100_000;
/// A question of several clauses that runs beside writes.
const ASKED: &str = "gender = 'F' AND tier IN ('V3', 'V4') AND spend > 500 AND NOT lifecycle = 'churned'";

/// Members of the batch of a number: neighbours, every batch others, until all have had their turn.
fn members(batch: u32) -> impl Iterator<Item = String> {
    let first = batch.wrapping_mul(BATCH_LINES) % (people() - BATCH_LINES);
    (first..first + BATCH_LINES).map(|n| format!("M{:07}", n + 1))
}

fn lines(batch: u32) -> Vec<u8> {
    let tier = ["V1", "V2", "V3", "V4", "V5"][batch as usize % 5];
    let line = |member| {
        format!("{{\"id\": {{\"member\": \"{member}\"}}, \"set\": {{\"tier\": \"{tier}\", \"spend\": {batch}.25}}}}\n")
    };
    members(batch).map(line).collect::<String>().into_bytes()
}

/// Runs `run` while another thread does `beside` again and again.
fn while_doing(mut beside: impl FnMut() + Send, run: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                beside();
            }
        });
        run();
        is_over.store(true, Ordering::Relaxed);
    });
}

fn upserts(criterion: &mut Criterion) {
    let dir = population::own_copy();
    let engine = Engine::open(dir.path(), &EngineOptions::default()).expect("opening");
    let space = engine.space(MAIN_SPACE).expect("the space");

    assert_eq!(upsert(&space, &lines(4)).accepted, BATCH_LINES);
    let written: Vec<String> = members(4).collect();
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    let is_written =
        |c: &[Cell<'_>]| is_any(&c[0], &written) && is(&c[1], "V5") && population::number(&c[2]) == Some(425);
    assert_eq!(count_one_by_one(&space, &["member", "tier", "spend"], is_written), u64::from(BATCH_LINES));

    let mut batch = 100;
    let mut next = || {
        batch += 1;
        lines(batch)
    };
    let question = asked(ASKED);
    let mut group = criterion.benchmark_group("upserts");
    group.throughput(Throughput::Elements(u64::from(BATCH_LINES) * 2));
    group.bench_function(format!("1000_people_2_tags/{}", label()), |b| {
        b.iter_batched(&mut next, |lines| upsert(&space, &lines), BatchSize::PerIteration);
    });
    let ask = || drop(space.count(&question, false).expect(ASKED));
    while_doing(ask, || {
        group.bench_function(format!("1000_people_2_tags_while_asked/{}", label()), |b| {
            b.iter_batched(&mut next, |lines| upsert(&space, &lines), BatchSize::PerIteration);
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("count");
    group.bench_function(format!("4_clauses/{}", label()), |b| b.iter(|| space.count(&question, false)));
    while_doing(
        || assert_eq!(upsert(&space, &next()).accepted, BATCH_LINES),
        || {
            group.bench_function(format!("4_clauses_while_upserted/{}", label()), |b| {
                b.iter(|| space.count(&question, false));
            });
        },
    );
    group.finish();
}

fn import(file: &Path, into: &Path) -> u64 {
    let data = DataDir::open(into).expect("a fresh directory");
    let mut loader = data.bulk_load(MAIN_SPACE, 2 << 30).expect("its space");
    loader.extend_schema(&schema()).expect("the schema");
    let schema = loader.view().schema().clone();
    let expect = schema.id_types.iter().fold(Expect::default(), |expect, name| expect.want(name, Kind::Id));
    let expect = schema.tags.iter().fold(expect, |expect, tag| expect.want(&tag.name, Kind::from(tag.tag_type)));
    let bad = &mut |bad: headcount::import::load::BadLine| panic!("{bad:?}");
    let people = Content { about: About::Profiles, event: None };
    let loaded =
        load_file(file, &expect, &people, &mut StoreTarget(&mut loader), &mut |_, _, _| {}, bad).expect("loading");
    loader.finish().expect("saving");
    loaded.accepted
}

fn imports(criterion: &mut Criterion) {
    let out = target().join(format!("bench-import-{IMPORT_PEOPLE}"));
    let file = out.join("profiles.parquet");
    if !file.exists() {
        let options = GenerateOptions {
            profiles: IMPORT_PEOPLE,
            seed: 1,
            format: Format::Parquet,
            out: out.clone(),
            threads: 2,
            visits: false,
        };
        generate(&options, &|_| {}).expect("the people's file");
    }
    let dir = scratch();
    assert_eq!(import(&file, dir.path()), u64::from(IMPORT_PEOPLE));
    let engine = Engine::open(dir.path(), &EngineOptions::default()).expect("opening");
    let space = engine.space(MAIN_SPACE).expect("the space");
    let (mut people, mut women) = (0, 0);
    each_person(&space, &["gender"], |_, cells| {
        people += 1;
        women += u64::from(is(&cells[0], "F"));
    });
    assert_eq!(people, IMPORT_PEOPLE);
    assert_eq!(space.count(&asked("gender = 'F'"), false).expect("count").value.count, women);
    drop((space, engine));

    let mut group = criterion.benchmark_group("import");
    group.sample_size(10).throughput(Throughput::Elements(IMPORT_PEOPLE.into()));
    group.bench_function(format!("parquet/{}k", IMPORT_PEOPLE / 1000), |b| {
        b.iter_batched(scratch, |dir| (import(&file, dir.path()), dir), BatchSize::PerIteration);
    });
    group.finish();
}

fn opens(criterion: &mut Criterion) {
    let dir = population::directory();
    let open = || population::open(&dir);
    let space = open().space(MAIN_SPACE).expect("the space");
    assert_eq!(space.count(&Question::default(), false).expect("count").value.count, u64::from(people()));
    drop(space);
    criterion.bench_function(&format!("open/directory/{}", label()), |b| b.iter_with_large_drop(open));
    let question = asked("gender = 'F'");
    criterion.bench_function(&format!("open/to_the_first_answer/{}", label()), |b| {
        b.iter_with_large_drop(|| {
            let engine = open();
            let space = engine.space(MAIN_SPACE).expect("the space");
            space.count(&question, false).expect("count").value.count
        });
    });
}

criterion_group! { name = writes; config = population::criterion(); targets = upserts, imports, opens }
criterion_main!(writes);
