//! The product against the oracle: random people, random changes, random questions, and never a difference.
//!
//! `HEADCOUNT_CASES=100000 HEADCOUNT_SEED=17 cargo test --release --test differential`; a failure names its population,
//! and `HEADCOUNT_POPULATION=3` runs that one alone.

mod oracle;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use headcount::engine::{EngineOptions, UpsertOptions};
use storage::{DataDir, OnUnknown};

use oracle::compare;
use oracle::drive::Product;
use oracle::lines::{self, Fall, Falls};
use oracle::people::{Kind, Mode, World};
use oracle::predicates::{Maker, as_of};
use oracle::random::{Random, seed, setting};
use oracle::shrink::shrunken;

/// Predicates asked unless `HEADCOUNT_CASES` says otherwise.
const CASES: u64 = 4_000;

/// What a population is like.
#[derive(Debug, Clone, Copy)]
struct Shape {
    people: u32,
    predicates: u64,
    phases: u64,
    very_many_values: bool,
}

#[test]
fn answers_are_the_oracles() {
    let (seed, cases) = (seed(), setting("HEADCOUNT_CASES", CASES));
    let only = std::env::var("HEADCOUNT_POPULATION").ok().and_then(|text| text.parse::<u64>().ok());
    let (next, asked) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    let work = || {
        while asked.load(Ordering::Relaxed) < cases && failures.lock().unwrap().is_empty() {
            let population = only.unwrap_or_else(|| next.fetch_add(1, Ordering::Relaxed));
            let start = std::time::Instant::now();
            let run = std::panic::AssertUnwindSafe(|| run_population(seed, population));
            let outcome = std::panic::catch_unwind(run).unwrap_or_else(|_| Err("it panicked (see above)".into()));
            match outcome {
                Ok(n) => _ = asked.fetch_add(n, Ordering::Relaxed),
                Err(what) => failures
                    .lock()
                    .unwrap()
                    .push(format!("HEADCOUNT_SEED={seed} HEADCOUNT_POPULATION={population}\n{what}")),
            }
            if start.elapsed().as_secs() > 5 {
                println!("population {population} took {:?}", start.elapsed());
            }
            if only.is_some() {
                break;
            }
        }
    };
    let threads = if only.is_some() { 1 } else { 2 };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    println!("{} predicates over {} populations", asked.into_inner(), next.into_inner());
}

fn shape(population: u64, random: &mut Random) -> Shape {
    let small = Shape { people: 0, predicates: 120, phases: 4, very_many_values: false };
    match population {
        // More than a stripe.
        0 => Shape { people: (1 << 20) + 77, predicates: 16, phases: 2, ..small },
        // More values than are indexed.
        1 => Shape { people: 70_000, predicates: 60, phases: 3, very_many_values: true },
        n if n % 40 == 5 => Shape { people: 140_000, predicates: 40, phases: 2, ..small },
        n if n % 40 == 25 => Shape { people: 70_000, predicates: 60, very_many_values: n % 80 == 25, ..small },
        _ => Shape { people: *random.pick(&[0, 0, 1, 2, 30, 30, 300, 300, 300, 2_000, 6_000]), ..small },
    }
}

fn run_population(seed: u64, population: u64) -> Result<u64, String> {
    let mut random = Random::fork(seed, population);
    let shape = shape(population, &mut random);
    let mut falls = Falls::random(&mut random);
    if shape.people > 1 << 20 {
        let mut kept = 0;
        falls.tags.retain(|name, _| {
            kept += u32::from(name.ends_with("_0"));
            name.ends_with("_0")
        });
    }
    if shape.very_many_values {
        falls.tags.insert("city_9".into(), Fall::of_many(Kind::Category, 40_000, 950));
        falls.tags.insert("likes_9".into(), Fall::of_many(Kind::Set, 30_000, 800));
    }
    let mut options = EngineOptions { threads: 2, ..EngineOptions::default() };
    options.store.log_bytes_max = *random.pick(&[4 << 10, 1 << 20, 128 << 20]);
    let mut product = Product::fresh(options);
    let mut world = World::default();
    product.engine().put_space("main", falls.schema()).map_err(|e| e.to_string())?;
    world.extend(&falls.id_types, &falls.kinds());
    if shape.people > 0 {
        load(&mut product, &mut world, &mut falls, &mut random, shape.people)?;
    }
    for phase in 0..shape.phases {
        ask(&product, &world, &mut random, shape.predicates / shape.phases)
            .map_err(|e| format!("{shape:?} phase {phase}: {e}"))?;
        compare::everything(&product.space(), &world, &mut random, if shape.people > 50_000 { 1 } else { 3 })
            .map_err(|e| format!("{shape:?} phase {phase}: {e}"))?;
        for _ in 0..1 + random.below(4) {
            change(&mut product, &mut world, &mut falls, &mut random)
                .map_err(|e| format!("{shape:?} after phase {phase}: {e}"))?;
        }
    }
    compare::everything(&product.space(), &world, &mut random, 1).map_err(|e| format!("{shape:?} at the end: {e}"))?;
    let problems = product.verify_closed();
    if problems.is_empty() { Ok(shape.predicates) } else { Err(format!("{shape:?} verify: {problems:#?}")) }
}

fn load(
    product: &mut Product,
    world: &mut World,
    falls: &mut Falls,
    random: &mut Random,
    people: u32,
) -> Result<(), String> {
    product.close();
    let dir = DataDir::open(product.dir()).map_err(|e| e.to_string())?;
    let mut loader = dir.bulk_load("main", *random.pick(&[1 << 20, 1 << 30])).map_err(|e| e.to_string())?;
    let mut left = people;
    while left > 0 {
        let rows = left.min(200_000);
        let outcome = loader.add(lines::many(random, world, falls, rows)).map_err(|e| e.to_string())?;
        if outcome.created != rows {
            return Err(format!("the loader made {} people of {rows}", outcome.created));
        }
        left -= rows;
    }
    loader.finish().map_err(|e| e.to_string())?;
    drop(dir);
    product.open();
    Ok(())
}

fn ask(product: &Product, world: &World, random: &mut Random, predicates: u64) -> Result<(), String> {
    let space = product.space();
    for _ in 0..predicates {
        let as_of = as_of(random);
        let depth = *random.pick(&[0, 0, 1, 1, 2, 3, 4]);
        let predicate = Maker { world, random }.predicate(depth);
        let thorough = random.percent(10);
        let fails = |p: &queryparser::ast::Predicate| {
            let run = || compare::predicate(&space, world, p, as_of, true).err();
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|_| Some("it panicked".into()))
        };
        let quick = || compare::predicate(&space, world, &predicate, as_of, thorough);
        let quick = std::panic::catch_unwind(std::panic::AssertUnwindSafe(quick));
        if !matches!(quick, Ok(Ok(()))) {
            let (smallest, how) =
                shrunken(&predicate, fails).unwrap_or((predicate.clone(), format!("{quick:?}, once")));
            let schema: Vec<String> = world.tags.iter().map(|(name, kind)| format!("{name}: {kind:?}")).collect();
            return Err(format!(
                "{how}\n  shrunken:  {}\n  predicate: {}\n  as of {as_of}, {} people ever, tags {}",
                short(&smallest.to_string()),
                short(&predicate.to_string()),
                world.people.len(),
                schema.join(", ")
            ));
        }
    }
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().take(3000).collect()
}

/// One random change of the store or its people.
fn change(product: &mut Product, world: &mut World, falls: &mut Falls, random: &mut Random) -> Result<(), String> {
    match random.below(12) {
        0..=4 => upsert(product, world, falls, random),
        5 | 6 => {
            let chosen: BTreeSet<u32> =
                (0..1 + random.below(20)).filter_map(|_| lines::somebody(random, world)).collect();
            let chosen: Vec<u32> = chosen.into_iter().collect();
            let erased = product.erase(&chosen);
            if erased as usize != chosen.len() {
                return Err(format!("{erased} of {} were erased", chosen.len()));
            }
            chosen.into_iter().for_each(|id| world.erase(id));
            Ok(())
        }
        7 | 8 => upload(product, world, falls, random),
        9 => {
            let name = random.percent(30).then_some("kept one");
            product.space().store().snapshot(name).map(drop).map_err(|e| format!("snapshot: {e}"))
        }
        10 => {
            let prefix = random.word(&["flag", "city", "likes", "age", "born"]);
            let at = 100 + random.below(100);
            if !falls.tags.contains_key(&format!("{prefix}_{at}")) {
                falls.add(random, prefix, at);
            }
            product.engine().put_space("main", falls.schema()).map_err(|e| e.to_string())?;
            world.extend(&falls.id_types, &falls.kinds());
            Ok(())
        }
        _ => {
            product.close();
            product.open();
            Ok(())
        }
    }
}

fn upsert(product: &Product, world: &mut World, falls: &Falls, random: &mut Random) -> Result<(), String> {
    let count = *random.pick(&[1, 3, 20, 200]);
    // What an atomic batch undoes is remembered whole: too much for a large world.
    let atomic = world.people.len() < 10_000 && random.percent(15);
    let reject_unknown = random.percent(10);
    let bad_percent = *random.pick(&[0, 0, 10]);
    let before = atomic.then(|| world.clone());
    let (mut body, mut rejected, mut created) = (String::new(), Vec::new(), 0);
    for number in 1..=count {
        if random.percent(bad_percent) {
            body.push_str(&lines::bad_line(random, world));
            rejected.push(number);
        } else {
            let line = lines::line(random, world, falls);
            body.push_str(&lines::json(&line, world));
            match world.apply(&line, reject_unknown) {
                Ok(is_new) => created += u32::from(is_new),
                Err(_) => rejected.push(number),
            }
        }
        body.push('\n');
    }
    let unknown = if reject_unknown { OnUnknown::Reject } else { OnUnknown::Create };
    let answer = product.upsert(&body, UpsertOptions { atomic, unknown });
    let refused = atomic && !rejected.is_empty();
    let wanted = if refused { (0, 0) } else { (count as u32 - rejected.len() as u32, created) };
    let found: Vec<u64> = answer.rejected.iter().map(|r| r.line).collect();
    if found != rejected || (answer.accepted, answer.created) != wanted {
        let differs = (1..=count).filter(|line| found.contains(line) != rejected.contains(line));
        let lines: Vec<_> = differs.map(|line| (line, body.lines().nth(line as usize - 1))).take(3).collect();
        let codes: Vec<_> = answer.rejected.iter().map(|r| (r.line, r.code)).collect();
        return Err(format!(
            "an upsert came to {:?} with {codes:?}; wanted {wanted:?} with {rejected:?}, atomic {atomic}; {lines:#?}",
            (answer.accepted, answer.created)
        ));
    }
    if let Some(before) = before.filter(|_| refused) {
        *world = before;
    }
    Ok(())
}

fn upload(product: &Product, world: &mut World, falls: &Falls, random: &mut Random) -> Result<(), String> {
    let fit: Vec<usize> = (0..world.tags.len())
        .filter(|at| matches!(world.tags[*at].1, Kind::Flag | Kind::Category | Kind::Set))
        .collect();
    let tag = *random.pick(&fit);
    let (name, kind) = &world.tags[tag];
    let value = match (kind, falls.tags[name].known_value(random)) {
        (Kind::Flag, _) => random.word(&["true", "false"]).to_string(),
        (_, oracle::people::Value::Text(text)) => text.to_string(),
        (_, oracle::people::Value::Set(set)) if !set.is_empty() => set.iter().next().unwrap().to_string(),
        _ => "uploaded".into(),
    };
    let end = world.people.len() as u64;
    let mut ids: BTreeSet<u32> = (0..random.below(2 * end.min(5_000) + 1)).map(|_| random.below(end) as u32).collect();
    let all_live = random.percent(85);
    if all_live {
        ids.retain(|id| world.people[*id as usize].is_some());
    } else if random.percent(50) {
        ids.insert(end as u32 + 3);
    }
    let lives = |id: &u32| world.people.get(*id as usize).is_some_and(Option::is_some);
    let fits = ids.iter().all(lives);
    let mode = *random.pick(&[Mode::Set, Mode::Add, Mode::Remove]);
    match product.upload(tag, &value, &ids, mode) {
        Ok(()) if fits => world.upload(tag, &value, &ids, mode),
        Err(storage::Error::Refused { code: "not_live", .. }) if !fits => {}
        other => return Err(format!("an upload of {} OneIDs, all of them live: {fits}, came to {other:?}", ids.len())),
    }
    Ok(())
}
