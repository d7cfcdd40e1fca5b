//! kill -9 while profiles are joined: whoever was acknowledged as one is one, with all that the others had; of what was
//! not, each batch of links is whole or not there.
//!
//! The child is this very binary, told by `HEADCOUNT_JOINS_DIR` to make three profiles at a time, to say what they did,
//! and to link them in one batch; the parent kills it, opens the store and looks at every three.
//! `HEADCOUNT_KILLS=1000 cargo test --release --test crash_joins`

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use headcount::engine::{Engine, EngineOptions, Space, UpsertAnswer, UpsertOptions};
use headcount::query::cell::Cell;

#[path = "oracle/random.rs"]
#[allow(dead_code)]
mod random;

use random::{Random, seed, setting};

const DIR: &str = "HEADCOUNT_JOINS_DIR";
/// Kills unless `HEADCOUNT_KILLS` says otherwise.
const KILLS: u64 = 40;
/// The three identities of each person.
const SIDES: [(&str, &str); 3] = [("member", "a"), ("phone", "b"), ("phone", "c")];

fn options(log_bytes_max: u64) -> EngineOptions {
    let mut options = EngineOptions { threads: 1, ..EngineOptions::default() };
    options.store.log_bytes_max = log_bytes_max;
    options
}

/// Three profiles that each know something else of one person.
fn people(n: u64) -> String {
    let sets = [format!("\"label\":\"n{n}\""), format!("\"counter\":{n},\"label\":\"lost\""), "\"odd\":true".into()];
    let line = |((id_type, side), set): (&(&str, &str), &String)| {
        format!("{{\"id\":{{\"{id_type}\":\"{side}{n}\"}},\"set\":{{{set},\"seen\":[\"{side}\"]}}}}\n")
    };
    SIDES.iter().zip(&sets).map(line).collect()
}

/// What each of them did, with a key.
fn events(n: u64) -> String {
    let line = |(id_type, side): &(&str, &str)| {
        format!(
            "{{\"id\":{{\"{id_type}\":\"{side}{n}\"}},\"event\":\"visit\",\"at\":\"2020-01-01T10:00:00Z\",\"page\":\"{side}\",\"key\":\"{side}{n}\"}}\n"
        )
    };
    SIDES.iter().map(line).collect()
}

/// A chain that makes one of the three.
fn links(n: u64) -> String {
    format!(
        "{{\"a\":{{\"phone\":\"c{n}\"}},\"b\":{{\"phone\":\"b{n}\"}}}}\n{{\"a\":{{\"phone\":\"b{n}\"}},\"b\":{{\"member\":\"a{n}\"}}}}\n"
    )
}

/// A call that takes a batch.
type Take<'a> = dyn Fn(&str, Box<dyn FnOnce(UpsertAnswer) + Send>) + 'a;

fn sent(take: &Take<'_>, body: &str) -> UpsertAnswer {
    let (sender, receiver) = mpsc::channel();
    take(body, Box::new(move |answer| sender.send(answer).unwrap()));
    let answer = receiver.recv().unwrap();
    assert!(answer.rejected.is_empty(), "{answer:?}");
    answer
}

fn send_people(space: &Space, body: &str) -> UpsertAnswer {
    let options = UpsertOptions::default();
    sent(&|body, done| space.upsert_lines(body.as_bytes(), options, move |a| done(a.unwrap())).unwrap(), body)
}

fn send_events(space: &Space, body: &str) -> UpsertAnswer {
    let options = UpsertOptions::default();
    sent(&|body, done| space.event_lines(body.as_bytes(), options, move |a| done(a.unwrap())).unwrap(), body)
}

fn send_links(space: &Space, body: &str) -> UpsertAnswer {
    let options = UpsertOptions { atomic: true, ..UpsertOptions::default() };
    sent(&|body, done| space.link_lines(body.as_bytes(), options, move |a| done(a.unwrap())).unwrap(), body)
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
    let schema = r#"{"id_types": ["member", "phone"], "tags": {"counter": {"type": "number"}, "label": {"type": "category"},
        "seen": {"type": "set"}, "odd": {"type": "flag"}}, "events": {"visit": {"properties": {"page": {"type": "category"}}}}}"#;
    space.extend_schema(serde_json::from_str(schema).unwrap()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(random.below(25)));
                let name = random.percent(50).then(|| format!("kept {}", random.below(3)));
                space.store().snapshot(name.as_deref()).unwrap();
            }
        });
        let is_there = |n: &u64| space.find("phone", &format!("c{n}")).is_ok();
        let mut n = (1..).find(|n| !is_there(n)).unwrap();
        if n > 1 {
            // Nobody knows whether they came through.
            send_events(&space, &events(n - 1));
            send_links(&space, &links(n - 1));
        }
        loop {
            say("sent", n);
            send_people(&space, &people(n));
            send_events(&space, &events(n));
            send_links(&space, &links(n));
            say("acked", n);
            n += 1;
        }
    });
}

#[test]
fn no_acknowledged_join_is_lost_and_none_is_there_in_part() {
    let mut random = Random::new(seed());
    let kills = setting("HEADCOUNT_KILLS", KILLS);
    let mut home = tempfile::tempdir().unwrap();
    let (mut acked, mut joined) = (0, 0);
    for kill in 0..kills {
        if kill % 20 == 0 {
            (home, acked) = (tempfile::tempdir().unwrap(), 0);
        }
        let delay = Duration::from_millis(30 + random.below(150));
        let what = format!("HEADCOUNT_SEED={} kill {kill} after {delay:?}", seed());
        let (last_acked, sent) = run_and_kill(home.path(), delay);
        acked = last_acked.max(acked);
        joined += check(home.path(), acked, sent.max(acked), &what);
    }
    assert!(joined > 0, "{kills} kills, and nobody was ever joined");
    println!("{kills} kills, {joined} joined people looked at");
}

/// The last that the child acknowledged, and the last that it sent.
fn run_and_kill(dir: &Path, delay: Duration) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut acked, mut sent) = (0, 0);
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // The harness writes its own lines, too: `test child ... sent 1`.
            let mut words = line.split(' ').rev();
            match (words.next().and_then(|n| n.parse::<u64>().ok()), words.next()) {
                (Some(n), Some("acked")) => acked = n,
                (Some(n), Some("sent")) => sent = n,
                _ => {}
            }
        }
        (acked, sent)
    });
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Opens the store twice and looks at every three; how many are one.
fn check(dir: &Path, acked: u64, sent: u64, what: &str) -> u64 {
    if !dir.join("spaces/main").exists() {
        assert_eq!(acked, 0, "{what}: the space is gone");
        return 0;
    }
    let mut joined = 0;
    for opening in ["first", "second"] {
        let engine = Engine::open(dir, &options(1 << 30)).unwrap_or_else(|e| panic!("{what}, {opening} opening: {e}"));
        let space = engine.space("main").unwrap();
        joined = 0;
        for n in 1..=sent {
            let found: Vec<u32> = SIDES
                .iter()
                .filter_map(|(of, side)| space.find(of, &format!("{side}{n}")).ok())
                .map(|id| id.0)
                .collect();
            let is_one = found.len() == 3 && found.iter().all(|one_id| *one_id == found[0]);
            let are_three = found.len() == 3 && found[0] < found[1] && found[1] < found[2];
            assert!(is_one || (n > acked && (found.is_empty() || are_three)), "{what}: person {n} is {found:?}");
            if is_one {
                joined += 1;
                check_one(&space, n, what);
            }
            if opening == "second" && is_one && n + 5 > sent {
                // However often it is sent.
                let again = send_events(&space, &events(n));
                assert_eq!((again.duplicates, again.created), (3, 0), "{what}: events of {n} once more");
                assert_eq!(send_links(&space, &links(n)).joined, 0, "{what}: links of {n} once more");
                check_one(&space, n, what);
            }
        }
    }
    let report = storage::verify::verify_space(&dir.join("spaces/main")).unwrap();
    assert!(report.problems.is_empty(), "{what}: {:?}", report.problems);
    joined
}

fn check_one(space: &Space, n: u64, what: &str) {
    let one = space.portrait("member", &format!("a{n}")).unwrap_or_else(|e| panic!("{what}: a{n}: {e}")).value;
    let tags = [
        ("counter".to_string(), Cell::Decimal(n.into(), 0)),
        ("label".to_string(), Cell::Text(format!("n{n}").into())),
        ("odd".to_string(), Cell::Bool(true)),
    ];
    assert!(tags.iter().all(|tag| one.tags.contains(tag)), "{what}: {one:?}");
    let phones = one.identities.iter().find(|(of, _)| of == "phone").map(|(_, ids)| ids.clone());
    assert_eq!(phones, Some(vec![format!("b{n}"), format!("c{n}")]), "{what}");
    assert_eq!(one.events.len(), 3, "{what}: {one:?}");
}
