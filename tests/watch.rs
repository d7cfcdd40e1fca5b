//! Watched audiences against the oracle: random audiences, random changes, and what is told always leads from the members
//! before to the members after.

mod oracle;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headcount::engine::{AudienceRequest, EngineOptions, Question, Since, Space, Where};
use queryparser::ast::Predicate;

use oracle::changes::{change, send_events};
use oracle::drive::Product;
use oracle::lines::Falls;
use oracle::meaning::Asked;
use oracle::people::World;
use oracle::predicates::Maker;
use oracle::random::{Random, seed, setting};

/// Populations unless `HEADCOUNT_WATCHED` says otherwise.
const POPULATIONS: u64 = 5;
/// What was not told by then is not told at all.
const LATEST: Duration = Duration::from_secs(30);
/// Audiences of random predicates; as many again are built on them.
const AUDIENCES: usize = 4;

fn save(space: &Space, name: &str, text: String) {
    let definition = Where::Text(text);
    let request = AudienceRequest { definition, description: String::new(), labels: Vec::new(), by: None };
    space.put_audience(name, &request).unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// An audience, and how the oracle knows who is in it.
enum Meaning {
    Of(Predicate),
    /// In the one before and not in this, or the other way round.
    Not(usize, Predicate),
    /// Frozen once as the members of another, and none of them any more.
    Lost(usize, BTreeSet<u32>),
}

fn members(world: &World, space: &Space, all: &[Meaning], at: usize) -> BTreeSet<u32> {
    let asked = Asked { world, as_of: space.store().today() };
    let of = |predicate: &Predicate| -> BTreeSet<u32> {
        let flags = asked.members(predicate);
        (0u32..).zip(flags).filter(|(_, is_in)| *is_in).map(|(id, _)| id).collect()
    };
    match &all[at] {
        Meaning::Of(predicate) => of(predicate),
        Meaning::Not(other, predicate) => {
            let other = members(world, space, all, *other);
            of(predicate).symmetric_difference(&other).copied().collect()
        }
        Meaning::Lost(other, frozen) => {
            let everyone = of(&oracle::predicates::made(queryparser::ast::PredicateKind::Constant(true)));
            let other = members(world, space, all, *other);
            frozen.iter().filter(|id| everyone.contains(id) && !other.contains(id)).copied().collect()
        }
    }
}

struct Watched {
    name: String,
    cursor: Since,
    known: BTreeSet<u32>,
}

/// From now on: what was told before does not count any more.
fn watch(space: &Arc<Space>, name: &str, known: BTreeSet<u32>) -> Result<Watched, String> {
    let mut changes = space.changes(name, &Since::Now, &[]).map_err(|e| format!("{name}: {e}"))?;
    let lines = changes.read(1).map_err(|e| format!("{name}: {e}"))?;
    if lines.count != known.len() as u64 {
        return Err(format!("{name}: {} members at first, {} by the oracle", lines.count, known.len()));
    }
    let cursor = Since::parse(&lines.cursor.unwrap()).unwrap();
    Ok(Watched { name: name.into(), cursor, known })
}

fn told(space: &Arc<Space>, watched: &mut Watched, wanted: &BTreeSet<u32>) -> Result<usize, String> {
    let name = &watched.name;
    let mut changes = space.changes(name, &watched.cursor, &[]).map_err(|e| format!("{name}: {e}"))?;
    let (mut count, start) = (0, Instant::now());
    loop {
        let lines = changes.read(100).map_err(|e| format!("{name}: {e}"))?;
        for line in &lines.lines {
            let id = line.one_id;
            let is_new = if line.entered { watched.known.insert(id) } else { watched.known.remove(&id) };
            if !is_new {
                return Err(format!("{name}: {id} was told twice (entered: {})", line.entered));
            }
            count += 1;
        }
        watched.cursor = Since::parse(&lines.cursor.unwrap()).unwrap();
        if !lines.has_more && watched.known == *wanted {
            return Ok(count);
        }
        // On a machine that is busy with other things catching up may take longer than a question waits for it.
        if start.elapsed() > LATEST {
            break;
        }
        if !lines.has_more {
            changes.catch_up();
        }
    }
    let missed: Vec<_> = wanted.symmetric_difference(&watched.known).take(10).collect();
    let asked = Where::Text(format!("in_audience('{name}')"));
    let asked = space.member_ids(&Question { audience: Some(asked), ..Question::default() });
    let agrees = asked.is_ok_and(|answer| answer.value.iter().eq(wanted));
    Err(format!("{name}: {missed:?} were not told of (asked, the product agrees with the oracle: {agrees})"))
}

fn run(seed: u64, population: u64) -> Result<usize, String> {
    let mut random = Random::fork(seed, population);
    let mut falls = Falls::random(&mut random);
    let mut product = Product::fresh(EngineOptions { threads: 2, ..EngineOptions::default() });
    let mut world = World::default();
    product.engine().put_space("main", falls.schema()).map_err(|e| e.to_string())?;
    falls.extend(&mut world);
    for _ in 0..6 {
        change(&mut product, &mut world, &mut falls, &mut random)?;
        send_events(&product, &mut world, &mut falls, &mut random, 30)?;
    }
    let mut all = Vec::new();
    for at in 0..AUDIENCES * 2 {
        let predicate = Maker { world: &world, random: &mut random }.predicate((at % 3) as u32);
        let (space, text) = (product.space(), queryparser::predicate_text(&predicate));
        if at < AUDIENCES {
            save(&space, &format!("a{at}"), text);
            all.push(Meaning::Of(predicate));
        } else if at % 2 == 0 {
            let other = format!("in_audience('a{}')", at - AUDIENCES);
            save(&space, &format!("a{at}"), format!("NOT ({text}) AND {other} OR ({text}) AND NOT {other}"));
            all.push(Meaning::Not(at - AUDIENCES, predicate));
        } else {
            let other = format!("a{}", at - AUDIENCES);
            let frozen = members(&world, &space, &all, at - AUDIENCES);
            let day = space.freeze(&other, None, &Default::default()).map_err(|e| e.to_string())?.value.snapshot.date;
            let text = format!("in_snapshot('{other}', DATE '{day}') AND NOT in_audience('{other}')");
            save(&space, &format!("a{at}"), text);
            all.push(Meaning::Lost(at - AUDIENCES, frozen));
        }
    }
    follow(&mut product, &mut world, &mut falls, &mut random, &all)
}

/// Changes the world again and again, and listens.
fn follow(
    product: &mut Product,
    world: &mut World,
    falls: &mut Falls,
    random: &mut Random,
    all: &[Meaning],
) -> Result<usize, String> {
    let mut listening: Vec<Watched> = Vec::new();
    let (mut count, mut before) = (0, std::sync::Weak::new());
    for _ in 0..20 {
        let space = product.space();
        if !std::sync::Weak::ptr_eq(&before, &Arc::downgrade(&space)) {
            // It was opened again.
            let each = 0..all.len();
            let watched = each.map(|at| watch(&space, &format!("a{at}"), members(world, &space, all, at)));
            listening = watched.collect::<Result<_, _>>()?;
            before = Arc::downgrade(&space);
        }
        drop(space);
        for _ in 0..1 + random.below(3) {
            change(product, world, falls, random)?;
        }
        let space = product.space();
        if std::sync::Weak::ptr_eq(&before, &Arc::downgrade(&space)) {
            for (at, watched) in listening.iter_mut().enumerate() {
                let wanted = members(world, &space, all, at);
                count += told(&space, watched, &wanted).map_err(|what| {
                    let shown = space.audience(&watched.name).map(|shown| shown.value.text);
                    let text: String = shown.unwrap_or_else(|e| e.to_string()).chars().take(2000).collect();
                    format!("{what}: {text}")
                })?;
            }
        }
    }
    Ok(count)
}

#[test]
fn what_is_told_leads_from_the_oracles_members_to_the_oracles_members() {
    let (seed, populations) = (seed(), setting("HEADCOUNT_WATCHED", POPULATIONS));
    let mut count = 0;
    let only = std::env::var("HEADCOUNT_POPULATION").ok().and_then(|text| text.parse::<u64>().ok());
    for population in (0..populations).filter(|population| only.is_none_or(|only| only == *population)) {
        let told = run(seed, population).unwrap_or_else(|what| panic!("HEADCOUNT_SEED={seed}, {population}: {what}"));
        count += told;
    }
    println!("{count} changes of {populations} populations");
    assert!(count > 100 || only.is_some(), "{count}");
}
