//! Changes of 100 watched audiences while 10,000 upserts come in a second: each entry and exit is told once, and how long
//! after its write was acknowledged. `PEOPLE`, `AUDIENCES`, `UPSERTS_A_SECOND` and `SECONDS` in the environment change that.
//! What was told must lead from the first members to the last ones of every audience.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use headcount::engine::{
    AudienceRequest, Changes, Engine, EngineOptions, MAIN_SPACE, Question, Since, Space, UpsertOptions, Where,
};
use roaring::RoaringBitmap;

/// Callers that write at a time.
const WRITERS: u32 = 10;
/// Lines of a batch.
const BATCH_LINES: u32 = 10;
const LINES_A_READ: usize = 1000;

fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(n)) as u32
    }
}

fn person(n: u32, random: &mut Random) -> String {
    let (city, age, spend) = (random.below(50), 18 + random.below(60), random.below(100_000));
    let (tier, day) = (1 + random.below(5), 1 + random.below(28));
    format!(
        "{{\"id\":{{\"member\":\"M{n:07}\"}},\"set\":{{\"city\":\"C{city}\",\"age\":{age},\"spend\":{spend},\"tier\":\"V{tier}\",\"seen\":\"2026-01-{day:02}\"}}}}\n"
    )
}

/// Waits until the batch is durable and visible; its data version.
fn upsert(space: &Space, lines: &str) -> u64 {
    let (sender, receiver) = mpsc::channel();
    let done = move |answer| sender.send(answer).expect("someone waits");
    space.upsert_lines(lines.as_bytes(), UpsertOptions::default(), done).expect("a batch");
    receiver.recv().expect("an answer").expect("a durable batch").data_version
}

/// Two, three or four clauses, every tenth built on the one before.
fn definition(n: u32) -> String {
    let (city, age, spend) = (n % 50, 20 + n % 40, n * 900);
    match n % 4 {
        _ if n % 10 == 9 => format!("in_audience('a{}') AND tier = 'V3'", n - 1),
        0 => format!("city = 'C{city}' AND age >= {age}"),
        1 => format!("spend >= {spend} AND NOT tier IN ('V1', 'V2') AND age < {age}"),
        2 => format!("city IN ('C{city}', 'C{}') OR age BETWEEN {age} AND {}", (city + 7) % 50, age + 1),
        _ => format!("seen >= DATE '2026-01-{:02}' AND tier = 'V5' AND spend < {spend}", 1 + n % 28),
    }
}

fn members(space: &Space, name: &str) -> RoaringBitmap {
    let question = Question { audience: Some(Where::Text(format!("in_audience('{name}')"))), ..Question::default() };
    space.member_bitmap(&question).expect("members").value
}

struct Reader {
    name: String,
    changes: Changes,
    members: RoaringBitmap,
}

/// When the batch of a data version was acknowledged.
type Acknowledged = Mutex<HashMap<u64, Instant>>;

fn main() {
    let (people, audiences) = (setting("PEOPLE", 1_000_000), setting("AUDIENCES", 100));
    let (rate, seconds) = (setting("UPSERTS_A_SECOND", 10_000), setting("SECONDS", 20));
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path(), &EngineOptions::default()).expect("opening");
    let space = engine.space(MAIN_SPACE).expect("the space");
    let schema = r#"{"id_types": ["member"], "tags": {"city": {"type": "category"}, "age": {"type": "number"},
        "spend": {"type": "number"}, "tier": {"type": "category"}, "seen": {"type": "date"}}}"#;
    space.extend_schema(serde_json::from_str(schema).expect("a schema")).expect("the schema");
    let mut random = Random(1);
    for first in (0..people).step_by(100_000) {
        let lines: String = (first..people.min(first + 100_000)).map(|n| person(n, &mut random)).collect();
        upsert(&space, &lines);
    }
    space.store().snapshot(None).expect("a store snapshot");
    let mut readers = Vec::new();
    for n in 0..audiences {
        let name = format!("a{n}");
        let definition = Where::Text(definition(n));
        let request = AudienceRequest { definition, description: String::new(), labels: Vec::new(), by: None };
        space.put_audience(&name, &request).expect("an audience");
        let changes = space.changes(&name, &Since::Now, &[]).expect("watched");
        readers.push(Reader { members: members(&space, &name), name, changes });
    }
    println!("{people} people, {audiences} audiences, {rate} upserts a second for {seconds} s");
    run(&space, readers, (people, rate, seconds));
}

fn run(space: &Arc<Space>, mut readers: Vec<Reader>, (people, rate, seconds): (u32, u32, u32)) {
    let news = Arc::new((Mutex::new(0u64), Condvar::new()));
    let subscriptions: Vec<_> = readers
        .iter()
        .map(|reader| {
            let news = news.clone();
            reader.changes.subscribe(move || {
                *news.0.lock().expect("no panic") += 1;
                news.1.notify_one();
            })
        })
        .collect();
    let (acknowledged, is_over, written) = (Acknowledged::default(), AtomicBool::new(false), AtomicUsize::new(0));
    let (mut told, mut seen) = (Vec::new(), 0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (acknowledged, written) = (&acknowledged, &written);
                scope.spawn(move || {
                    let mut random = Random(u64::from(writer) + 77);
                    let every = Duration::from_secs_f64(f64::from(WRITERS * BATCH_LINES) / f64::from(rate));
                    for batch in 0.. {
                        let due = every * batch;
                        let over = Duration::from_secs(seconds.into());
                        if due > over || start.elapsed() > over {
                            break;
                        }
                        std::thread::sleep(due.saturating_sub(start.elapsed()));
                        let lines: String =
                            (0..BATCH_LINES).map(|_| person(random.below(people), &mut random)).collect();
                        let version = upsert(space, &lines);
                        acknowledged.lock().expect("no panic").insert(version, Instant::now());
                        written.fetch_add(BATCH_LINES as usize, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
            is_over.store(true, Ordering::Release);
        });
        loop {
            let was_over = is_over.load(Ordering::Acquire);
            let guard = news.0.lock().expect("no panic");
            let (guard, _) =
                news.1.wait_timeout_while(guard, Duration::from_millis(100), |count| *count == seen).expect("no panic");
            seen = *guard;
            drop(guard);
            let upto = readers.iter_mut().map(|reader| read(reader, &mut told)).min();
            if was_over && upto >= Some(space.store().view().data_version()) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(u64::from(seconds) + 60), "it does not catch up");
        }
    });
    let elapsed = start.elapsed();
    drop(subscriptions);
    for reader in &readers {
        assert_eq!(reader.members, members(space, &reader.name), "{}", reader.name);
    }
    let acknowledged = acknowledged.into_inner().expect("no panic");
    // What was told before its writer heard of it has taken no time.
    let late = told.iter().filter_map(|(version, at)| Some(at.saturating_duration_since(*acknowledged.get(version)?)));
    let mut late: Vec<Duration> = late.collect();
    late.sort_unstable();
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{} upserts ({:.1} s until all was told), {} changes told once and in order; after the acknowledgement: \
         median {:.0} ms, 95 % {:.0} ms, 99 % {:.0} ms, longest {:.0} ms",
        written.load(Ordering::Relaxed),
        elapsed.as_secs_f64(),
        told.len(),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}

/// Reads what there is; the data version up to which that is everything.
fn read(reader: &mut Reader, told: &mut Vec<(u64, Instant)>) -> u64 {
    loop {
        let lines = reader.changes.read(LINES_A_READ).expect("still watched");
        let now = Instant::now();
        for line in &lines.lines {
            let is_new =
                if line.entered { reader.members.insert(line.one_id) } else { reader.members.remove(line.one_id) };
            assert!(is_new, "{}: {} was told twice", reader.name, line.one_id);
            told.push((line.data_version, now));
        }
        if !lines.has_more {
            return lines.data_version;
        }
    }
}
