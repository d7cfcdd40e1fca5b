//! Random changes of the product and the world alike: batches of people and of events, erasures, uploads, snapshots.
//! Each tells where the product's answer to the change is not what the oracle expects.

use std::collections::BTreeSet;

use headcount::engine::{UpsertAnswer, UpsertOptions};
use storage::{DataDir, OnUnknown};

use super::bulk::{known_again, many};
use super::drive::{EARLIER_STATES, EVENTS, Product};
use super::event_lines::{Sent, bad_event_line, event_json, event_line};
use super::lines::{self, Falls};
use super::people::{Kind, Mode, Value, World};
use super::random::Random;

/// People of a world of which copies are made: of what an atomic batch undoes, and of earlier states.
const WORLD_COPIED_MAX: usize = 10_000;

/// Loads many new people at once.
pub fn load(
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
        let outcome = loader.add(many(random, world, falls, rows)).map_err(|e| e.to_string())?;
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

/// Loads people who are known, some of whom turn out to be one.
fn load_again(product: &mut Product, world: &mut World, falls: &Falls, random: &mut Random) -> Result<(), String> {
    if world.live().next().is_none() {
        return Ok(());
    }
    product.close();
    let dir = DataDir::open(product.dir()).map_err(|e| e.to_string())?;
    let mut loader = dir.bulk_load("main", *random.pick(&[1, 1 << 30])).map_err(|e| e.to_string())?;
    for _ in 0..1 + random.below(3) {
        let before = world.joined.len();
        let (schema, count) = (loader.view().schema().clone(), *random.pick(&[1, 10, 200]));
        let batch = known_again(random, world, falls, &schema, count);
        let rows = batch.rows;
        let outcome = loader.add(batch).map_err(|e| e.to_string())?;
        let wanted = (rows, 0, (world.joined.len() - before) as u32);
        if (outcome.accepted, outcome.created, outcome.joined) != wanted {
            return Err(format!("the loader came to {outcome:?}; wanted {wanted:?}"));
        }
    }
    loader.finish().map_err(|e| e.to_string())?;
    drop(dir);
    product.open();
    Ok(())
}

/// One random change of the store or its people.
pub fn change(product: &mut Product, world: &mut World, falls: &mut Falls, random: &mut Random) -> Result<(), String> {
    if EVENTS && random.percent(40) {
        let lines = *random.pick(&[1, 3, 20, 200]);
        return send_events(product, world, falls, random, lines);
    }
    match random.below(14) {
        0..=4 => upsert(product, world, falls, random),
        11 => link(product, world, random),
        12 => load_again(product, world, falls, random),
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
            let name = random.percent(50).then(|| random.word(&["kept one", "before campaign", "上周's"]));
            product.space().store().snapshot(name).map_err(|e| format!("snapshot: {e}"))?;
            // Each state is a whole world: too much of a large one.
            if let Some(name) = name.filter(|_| EARLIER_STATES && world.people.len() < WORLD_COPIED_MAX) {
                world.take_state(name);
            }
            Ok(())
        }
        10 => {
            let prefix = random.word(&["flag", "city", "likes", "age", "born"]);
            let at = 100 + random.below(100);
            if !falls.tags.contains_key(&format!("{prefix}_{at}")) {
                falls.add(random, prefix, at);
            }
            if EVENTS && random.percent(50) {
                falls.events.add(random);
            }
            product.engine().put_space("main", falls.schema()).map_err(|e| e.to_string())?;
            falls.extend(world);
            Ok(())
        }
        _ => {
            product.close();
            product.open();
            Ok(())
        }
    }
}

/// A batch being put together, with what ought to become of it.
struct Batch {
    body: String,
    lines: u64,
    rejected: Vec<u64>,
    created: u32,
    /// Who had been joined before.
    joined: usize,
    options: UpsertOptions,
    /// The world before an atomic batch.
    before: Option<World>,
}

impl Batch {
    fn new(random: &mut Random, world: &World) -> Batch {
        let atomic = world.people.len() < WORLD_COPIED_MAX && random.percent(15);
        let unknown = if random.percent(10) { OnUnknown::Reject } else { OnUnknown::Create };
        let options = UpsertOptions { atomic, unknown };
        let before = atomic.then(|| world.clone());
        let joined = world.joined.len();
        Batch { body: String::new(), lines: 0, rejected: Vec::new(), created: 0, joined, options, before }
    }

    fn rejects_unknown(&self) -> bool {
        self.options.unknown == OnUnknown::Reject
    }

    /// One more line: whether somebody new comes of it, or why it is refused.
    fn push(&mut self, line: &str, outcome: Result<bool, &'static str>) {
        self.lines += 1;
        self.body.push_str(line);
        self.body.push('\n');
        match outcome {
            Ok(is_new) => self.created += u32::from(is_new),
            Err(_) => self.rejected.push(self.lines),
        }
    }

    /// Holds the answer against what was expected; a batch that was refused whole leaves the world as it was.
    fn check(self, answer: &UpsertAnswer, world: &mut World) -> Result<(), String> {
        let refused = self.options.atomic && !self.rejected.is_empty();
        let accepted = (self.lines - self.rejected.len() as u64) as u32;
        let joined = (world.joined.len() - self.joined) as u32;
        let wanted = if refused { (0, 0, 0) } else { (accepted, self.created, joined) };
        let found: Vec<u64> = answer.rejected.iter().map(|r| r.line).collect();
        if found != self.rejected || (answer.accepted, answer.created, answer.joined) != wanted {
            let differs = (1..=self.lines).filter(|line| found.contains(line) != self.rejected.contains(line));
            let lines: Vec<_> = differs.map(|line| (line, self.body.lines().nth(line as usize - 1))).take(3).collect();
            let codes: Vec<_> = answer.rejected.iter().map(|r| (r.line, r.code)).collect();
            return Err(format!(
                "a batch came to {:?} with {codes:?}; wanted {wanted:?} with {:?}, {:?}; {lines:#?}",
                (answer.accepted, answer.created, answer.joined),
                self.rejected,
                self.options
            ));
        }
        if let Some(before) = self.before.filter(|_| refused) {
            *world = before;
        }
        Ok(())
    }
}

fn upsert(product: &Product, world: &mut World, falls: &Falls, random: &mut Random) -> Result<(), String> {
    let count = *random.pick(&[1, 3, 20, 200]);
    let bad_percent = *random.pick(&[0, 0, 10]);
    let mut batch = Batch::new(random, world);
    for _ in 0..count {
        if random.percent(bad_percent) {
            batch.push(&lines::bad_line(random, world), Err("bad"));
        } else {
            let line = lines::line(random, world, falls);
            let outcome = world.apply(&line, batch.rejects_unknown());
            batch.push(&lines::json(&line, world), outcome);
        }
    }
    let answer = product.upsert(&batch.body, batch.options);
    batch.check(&answer, world).map_err(|e| format!("people: {e}"))
}

fn link(product: &Product, world: &mut World, random: &mut Random) -> Result<(), String> {
    let mut batch = Batch::new(random, world);
    for _ in 0..*random.pick(&[1, 3, 20]) {
        if random.percent(5) {
            let some = "{\"member\":\"x\"}";
            let text = format!("{{\"a\":{some},\"b\":{}}}", random.word(&["{}", "null", "{\"nope\":\"x\"}", "[]"]));
            batch.push(&text, Err("bad"));
            continue;
        }
        let sides = lines::link(random, world);
        let outcome = world.meant(&sides.concat(), batch.rejects_unknown()).map(|(_, is_new)| is_new);
        batch.push(&lines::link_json(&sides, world), outcome);
    }
    let answer = product.link(&batch.body, batch.options);
    batch.check(&answer, world).map_err(|e| format!("links: {e}"))
}

/// Sends so many lines of events, or the last batch of them once more.
pub fn send_events(
    product: &Product,
    world: &mut World,
    falls: &mut Falls,
    random: &mut Random,
    lines: u64,
) -> Result<(), String> {
    let bad_percent = *random.pick(&[0, 0, 10]);
    let again = random.percent(20) && !falls.events.last.is_empty();
    let old = if again { std::mem::take(&mut falls.events.last) } else { Vec::new() };
    let mut batch = Batch::new(random, world);
    let mut sent = Vec::new();
    for at in 0..if again { old.len() } else { lines as usize } {
        let line = match old.get(at) {
            Some(line) => line.clone(),
            None if random.percent(bad_percent) => Sent::Bad(bad_event_line(random, world)),
            None => Sent::Good(event_line(random, world, &falls.events)),
        };
        match line {
            Sent::Bad(text) => {
                batch.push(&text, Err("bad"));
                sent.push(Sent::Bad(text));
            }
            Sent::Good(mut line) => {
                if world.leaves_open(&line, batch.rejects_unknown()) {
                    line.key = None;
                }
                let outcome = world.apply_event(&line, batch.rejects_unknown());
                batch.push(&event_json(random, &line, world), outcome);
                sent.push(Sent::Good(line));
            }
        }
    }
    falls.events.last = sent;
    let answer = product.events(&batch.body, batch.options);
    let what = if again { "events once more" } else { "events" };
    batch.check(&answer, world).map_err(|e| format!("{what}: {e}"))
}

fn upload(product: &Product, world: &mut World, falls: &Falls, random: &mut Random) -> Result<(), String> {
    let fit: Vec<usize> = (0..world.tags.len())
        .filter(|at| matches!(world.tags[*at].1, Kind::Flag | Kind::Category | Kind::Set))
        .collect();
    let tag = *random.pick(&fit);
    let (name, kind) = &world.tags[tag];
    let value = match (kind, falls.tags[name].known_value(random)) {
        (Kind::Flag, _) => random.word(&["true", "false"]).to_string(),
        (_, Value::Text(text)) => text.to_string(),
        (_, Value::Set(set)) if !set.is_empty() => set.iter().next().unwrap().to_string(),
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
