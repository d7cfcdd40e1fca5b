//! The product against the oracle: random people, random changes, random questions, and never a difference.
//!
//! `HEADCOUNT_CASES=100000 HEADCOUNT_SEED=17 cargo test --release --test differential`; a failure names its population,
//! and `HEADCOUNT_POPULATION=3` runs that one alone.

mod oracle;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use headcount::engine::EngineOptions;

use oracle::changes::{change, load, send_events};
use oracle::compare;
use oracle::drive::{EVENTS, Product};
use oracle::lines::{Fall, Falls};
use oracle::people::{Kind, World};
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
    // Numbers of so many are listed: of nobody, of some, of all.
    options.limits.listed_max = *random.pick(&[0, 40, options.limits.listed_max]);
    options.store.log_bytes_max = *random.pick(&[4 << 10, 1 << 20, 128 << 20]);
    let mut product = Product::fresh(options);
    let mut world = World::default();
    product.engine().put_space("main", falls.schema()).map_err(|e| e.to_string())?;
    falls.extend(&mut world);
    if shape.people > 0 {
        load(&mut product, &mut world, &mut falls, &mut random, shape.people)?;
    }
    if EVENTS {
        // Enough for the first questions to find some.
        for _ in 0..random.below(4) {
            send_events(&product, &mut world, &mut falls, &mut random, 400).map_err(|e| format!("{shape:?}: {e}"))?;
        }
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
            let events = world.events.iter().map(|event| format!("{}: {:?}", event.name, event.properties));
            let events: Vec<String> = events.collect();
            return Err(format!(
                "{how}\n  shrunken:  {}\n  predicate: {}\n  as of {as_of}, {} people ever, tags {}, zone {}, events {}",
                short(&smallest.to_string()),
                short(&predicate.to_string()),
                world.people.len(),
                schema.join(", "),
                world.zone,
                events.join(", ")
            ));
        }
    }
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().take(3000).collect()
}
