//! kill -9 at any moment: what was acknowledged is there, whole; of what was not, each batch is whole or not there.
//!
//! The child is this very binary, told by `HEADCOUNT_CRASH_DIR` to write batches and say `sent n` and `acked n`; the
//! parent kills it, opens the store and compares. The oracle lives in the parent: only its pipe and the files count.
//! `HEADCOUNT_KILLS=10000 cargo test --release --test crash`

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use headcount::engine::{Engine, EngineOptions, Question, Space, UpsertOptions, Where};
use headcount::query::cell::Cell;
use storage::Request;

#[path = "oracle/random.rs"]
#[allow(dead_code)]
mod random;

use random::{Random, seed, setting};

const DIR: &str = "HEADCOUNT_CRASH_DIR";
/// Kills unless `HEADCOUNT_KILLS` says otherwise.
const KILLS: u64 = 200;
/// People that every batch changes.
const FIXED: u64 = 5;
/// Batches under way at once.
const WINDOW: u64 = 4;

/// Every so many operations one erases somebody instead.
fn erases(operation: u64) -> Option<u64> {
    operation.is_multiple_of(7).then(|| operation - 3)
}

fn options(log_bytes_max: u64) -> EngineOptions {
    let mut options = EngineOptions { threads: 1, ..EngineOptions::default() };
    options.store.log_bytes_max = log_bytes_max;
    options.store.purge_after = Duration::ZERO;
    options
}

/// The `n`th batch: several tags of the fixed people and of one new person, all of them saying `n`.
fn batch(n: u64) -> String {
    let day = jiff::civil::date(2000, 1, 1).checked_add(jiff::Span::new().days(n as i64)).unwrap();
    let people = (0..FIXED).map(|at| format!("fixed{at}")).chain([format!("b{n}")]);
    let line = |id: String| {
        let odd = n % 2 == 1;
        format!(
            "{{\"id\":{{\"member\":\"{id}\"}},\"set\":{{\"counter\":{n},\"label\":\"n{n}\",\"seen\":[\"n{n}\",\"any\"],\"day\":\"{day}\",\"odd\":{odd}}}}}\n"
        )
    };
    people.map(line).collect()
}

/// How many operations a store holds, by what its people say: data versions also count changes of the store's own.
fn operations_in(space: &Space) -> u64 {
    let answer = space.query("SELECT max(counter) FROM profiles", &Question::default());
    // An error: the crash came before the schema.
    let cell = answer.ok().and_then(|answer| answer.value.rows.first().map(|row| row[0].clone()));
    let last_batch = match cell {
        Some(Cell::Decimal(n, 0)) => n as u64,
        _ => 0,
    };
    let was_erased = |gone: u64| space.find("member", &format!("b{gone}")).is_err();
    last_batch + u64::from(last_batch > 0 && erases(last_batch + 1).is_some_and(was_erased))
}

/// Not a test of its own: what the killed child does.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let mut random = Random::new(std::process::id().into());
    let engine = Engine::open(Path::new(&dir), &options(*random.pick(&[2_000, 1 << 20]))).unwrap();
    let space = engine.space("main").unwrap();
    let say = |what: &str, n: u64| {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(format!("{what} {n}\n").as_bytes()).and_then(|()| out.flush());
    };
    say("opened", space.store().view().data_version());
    if space.store().view().data_version() == 0 {
        let schema = r#"{"id_types": ["member"], "tags": {"counter": {"type": "number"}, "label": {"type": "category"},
            "seen": {"type": "set"}, "day": {"type": "date"}, "odd": {"type": "flag"}}}"#;
        space.extend_schema(serde_json::from_str(schema).unwrap()).unwrap();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(random.below(25)));
                let name = random.percent(50).then(|| format!("kept {}", random.below(3)));
                if random.percent(30) {
                    space.store().snapshot_dated(jiff::civil::date(2020, 1, 1 + random.below(5) as i8)).unwrap();
                } else {
                    space.store().snapshot(name.as_deref()).unwrap();
                }
            }
        });
        let (acked, ack) = mpsc::channel();
        let mut waiting = 0;
        let mut n = operations_in(&space) + 1;
        loop {
            let alone = erases(n).is_some();
            while waiting >= WINDOW || (alone && waiting > 0) {
                say("acked", ack.recv().unwrap());
                waiting -= 1;
            }
            say("sent", n);
            let acked = acked.clone();
            if let Some(gone) = erases(n) {
                let one_id = space.find("member", &format!("b{gone}")).unwrap();
                space.store().write_and_wait(Request::Erase(vec![one_id])).unwrap();
                acked.send(n).unwrap();
            } else {
                let done = move |answer: headcount::engine::Result<headcount::engine::UpsertAnswer>| {
                    assert_eq!(answer.unwrap().accepted as u64, FIXED + 1);
                    acked.send(n).unwrap();
                };
                space.upsert_lines(batch(n).as_bytes(), UpsertOptions::default(), done).unwrap();
            }
            waiting += 1;
            n += 1;
        }
    });
}

#[test]
fn no_acknowledged_batch_is_lost_and_none_is_there_in_part() {
    if std::env::var(DIR).is_ok() {
        return;
    }
    let (seed, kills) = (seed(), setting("HEADCOUNT_KILLS", KILLS));
    let mut random = Random::new(seed);
    let mut home = tempfile::tempdir().unwrap();
    let (mut acked, mut lasted, mut under_way, start) = (0, 0, 0, Instant::now());
    for kill in 0..kills {
        if kill % 50 == 0 {
            home = tempfile::tempdir().unwrap();
            acked = 0;
        }
        let delay_us = if random.percent(25) { random.below(6_000) } else { random.below(70_000) };
        let (new_acked, sent) = run_and_kill(home.path(), Duration::from_micros(delay_us));
        let before = acked;
        acked = acked.max(new_acked);
        under_way += sent.saturating_sub(acked);
        let what = format!("seed {seed}, kill {kill} after {delay_us} µs, acked {acked}, sent {sent}");
        let last = check(home.path(), acked, sent.max(acked), &what, kill % 20 == 0);
        lasted += last - before;
        acked = last.max(acked);
    }
    println!("{kills} kills in {:?}: {lasted} batches lasted, {under_way} were under way", start.elapsed());
    assert!(lasted > kills, "the children get to write");
}

/// Runs the child for so long; the last operation that it acknowledged, and that it sent.
fn run_and_kill(dir: &Path, delay: Duration) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(DIR, dir);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let (mut acked, mut sent) = (0, 0);
        for line in out.lines().map_while(Result::ok) {
            // The harness writes its own lines, too: `test child ... opened 3`.
            let mut words = line.split(' ').rev();
            match (words.next().and_then(|n| n.parse::<u64>().ok()), words.next()) {
                (Some(n), Some("acked")) => acked = n,
                (Some(n), Some("sent")) => sent = n,
                // What an earlier run had written may not have been acknowledged to anyone.
                _ => {}
            }
        }
        (acked, sent)
    });
    std::thread::sleep(delay);
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let counted = reader.join().unwrap();
    if ended.is_some() {
        let mut said = String::new();
        let _ = std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said);
        panic!("the child ended by itself ({status}): {said}");
    }
    counted
}

/// Opens the store twice and compares it with the operations up to its data version, which it gives.
fn check(dir: &Path, acked: u64, sent: u64, what: &str, deep: bool) -> u64 {
    if !dir.join("spaces/main").exists() {
        assert_eq!(acked, 0, "{what}: the space is gone");
        return 0;
    }
    let mut last = None;
    for opening in ["first", "second"] {
        let engine = Engine::open(dir, &options(1 << 30)).unwrap_or_else(|e| panic!("{what}, {opening} opening: {e}"));
        let space = engine.space("main").unwrap();
        let operations = operations_in(&space);
        assert!(operations >= acked, "{what}: only {operations} operations are left");
        assert!(operations <= sent, "{what}: {operations} operations are there");
        assert!(
            last.is_none_or(|last| last == operations),
            "{what}: opened twice, {last:?} and {operations} operations"
        );
        if operations > 0 {
            check_people(&space, operations, what);
            check_states(&space, what);
        }
        last = Some(operations);
    }
    if deep {
        let report = storage::verify::verify_space(&dir.join("spaces/main")).unwrap();
        assert!(report.problems.is_empty(), "{what}: {:?}", report.problems);
    }
    last.unwrap_or(0)
}

/// Every kept state holds whole batches: all that the last one says of the people whom each of them changes.
fn check_states(space: &Space, what: &str) {
    for kept in space.store().snapshots().unwrap() {
        let Some(state) = kept.name.or(kept.date.map(|date| date.to_string())) else { continue };
        let asked = Question { state: Some(state.clone()), ..Question::default() };
        let fail = |e: headcount::engine::Error| -> ! { panic!("{what}: state {state}: {e}") };
        let rows = space.query("SELECT max(counter) FROM profiles", &asked).unwrap_or_else(|e| fail(e)).value.rows;
        let Cell::Decimal(last, 0) = rows[0][0] else { continue };
        let text = format!("counter = {last} AND label = 'n{last}' AND seen = 'n{last}' AND odd = {}", last % 2 == 1);
        let asked = Question { audience: Some(Where::Text(text)), ..asked };
        let count = space.count(&asked, false).unwrap_or_else(|e| fail(e)).value.count;
        assert!((FIXED..=FIXED + 1).contains(&count), "{what}: {count} people of batch {last} in state {state}");
    }
}

fn check_people(space: &Space, operations: u64, what: &str) {
    let last = (1..=operations).rev().find(|n| erases(*n).is_none()).unwrap();
    let gone: Vec<u64> = (1..=operations).filter_map(erases).collect();
    let alive: Vec<u64> = (1..=operations).filter(|n| erases(*n).is_none() && !gone.contains(n)).collect();
    let count = |text: String| {
        let question = Question { audience: Some(Where::Text(text)), ..Question::default() };
        space.count(&question, false).unwrap_or_else(|e| panic!("{what}: {e}")).value.count
    };
    let people = FIXED + alive.len() as u64;
    assert_eq!(count("TRUE".into()), people, "{what}: people");
    // Every tag of the last batch says so of the same people.
    let of_last = FIXED + u64::from(alive.contains(&last));
    let day = jiff::civil::date(2000, 1, 1).checked_add(jiff::Span::new().days(last as i64)).unwrap();
    for text in [
        format!("counter = {last}"),
        format!("label = 'n{last}'"),
        format!("seen = 'n{last}'"),
        format!("day = DATE '{day}'"),
        format!(
            "counter = {last} AND label = 'n{last}' AND seen = 'n{last}' AND day = DATE '{day}' AND odd = {}",
            last % 2 == 1
        ),
    ] {
        assert_eq!(count(text.clone()), of_last, "{what}: {text}");
    }
    assert_eq!(count("seen = 'any' AND odd IS NOT NULL".into()), people, "{what}: whole batches");
    let odd = alive.iter().filter(|n| **n % 2 == 1).count() as u64 + if last % 2 == 1 { FIXED } else { 0 };
    assert_eq!(count("odd".into()), odd, "{what}: odd");
    let sums = space.query("SELECT sum(counter), count(DISTINCT label) FROM profiles", &Question::default()).unwrap();
    let sum = alive.iter().sum::<u64>() + FIXED * last;
    let labels = alive.len() as i64 + i64::from(!alive.contains(&last));
    assert_eq!(sums.value.rows, vec![vec![Cell::Decimal(sum.into(), 0), Cell::Int(labels)]], "{what}: sums");
    for n in [last, *alive.first().unwrap_or(&last)].into_iter().filter(|n| alive.contains(n)) {
        let portrait = space.portrait("member", &format!("b{n}")).unwrap_or_else(|e| panic!("{what}: b{n}: {e}")).value;
        assert!(portrait.tags.contains(&("counter".into(), Cell::Decimal(n.into(), 0))), "{what}: {portrait:?}");
    }
    for n in gone.iter().rev().take(2) {
        assert!(space.portrait("member", &format!("b{n}")).is_err(), "{what}: b{n} was erased");
    }
}
