//! Damaged files: the right answer or an error, never a wrong answer and never a panic.
//!
//! A store with packs, a log and kept snapshots is closed; then every file has bits flipped, is cut, emptied, zeroed,
//! removed and swapped with another. Of the log's end, what was not proven durable by a later record may be gone: the
//! answers are then those of an earlier version, whole. `HEADCOUNT_DAMAGE=0` flips every byte of every file.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use headcount::engine::{
    CrosstabRequest, DistributionRequest, Engine, EngineOptions, MembersRequest, Question, Space, UpsertOptions, Where,
};
use storage::{OneId, Request};

#[path = "oracle/random.rs"]
#[allow(dead_code)]
mod random;

use random::{Random, seed, setting};

/// Flips sampled of a file with more bytes.
const FLIPS_MAX: u64 = 200;
const LOG_HEADER_BYTES: usize = 32;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A closed store and what it answered at each data version.
struct Pristine {
    files: Files,
    answers: BTreeMap<u64, String>,
    version: u64,
}

fn options(read_only: bool) -> EngineOptions {
    EngineOptions { read_only, threads: 1, ..EngineOptions::default() }
}

fn lines(from: u64, to: u64) -> String {
    let line = |n: u64| {
        format!(
            "{{\"id\":{{\"member\":\"M{}\",\"phone\":\"1{n}\"}},\"set\":{{\"age\":{},\"spend\":{}.25,\"city\":\"city {}\",\"likes\":[\"a{}\",\"b\"],\"born\":\"19{}-02-03\",\"vip\":{}}}}}\n",
            n % 40,
            n % 90,
            n * 7,
            n % 5,
            n % 3,
            50 + n % 40,
            n.is_multiple_of(3)
        )
    };
    (from..to).map(line).collect()
}

/// What the same people did: each a purchase or two and some a visit, with keys.
fn events(from: u64, to: u64) -> String {
    let line = |n: u64| {
        let id = format!("{{\"id\":{{\"member\":\"M{}\"}}", n % 40);
        let at = format!("\"at\":\"2020-{:02}-{:02}T{:02}:30:00Z\"", 1 + n % 12, 1 + n % 28, n % 24);
        let mut lines = format!(
            "{id},\"event\":\"purchase\",{at},\"category\":\"group {}\",\"amount\":{}.75,\"key\":\"{n}\"}}\n",
            n % 4,
            n * 3
        );
        if n.is_multiple_of(3) {
            lines += &format!("{id},\"event\":\"purchase\",{at},\"amount\":{n},\"gift\":true}}\n");
            lines += &format!("{id},\"event\":\"visit\",{at},\"page\":\"page {}\"}}\n", n % 7);
        }
        lines
    };
    (from..to).map(line).collect()
}

/// Everything that is asked of a store, as one text.
fn panel(space: &Space) -> Result<String, String> {
    let mut said = String::new();
    let mut say = |what: Result<String, headcount::engine::Error>| -> Result<(), String> {
        said.push_str(&what.map_err(|e| e.to_string())?);
        said.push('\n');
        Ok(())
    };
    let tags = ["age", "spend", "city", "likes", "born", "vip"];
    let conditions = [
        "TRUE",
        "age >= 30",
        "spend < 100",
        "city = 'city 1'",
        "likes = 'a1'",
        "has_all(likes, 'b', 'a2')",
        "vip",
        "NOT vip",
        "born < DATE '1970-01-01'",
        "city LIKE '%2'",
        "member = 'M3'",
        "phone IS NOT NULL",
        "phone LIKE '%1%'",
        "city IS NULL",
        "one_id IN (SELECT one_id FROM profiles ORDER BY spend DESC LIMIT 5)",
        "EXISTS (SELECT 1 FROM purchase)",
        "EXISTS (SELECT 1 FROM purchase WHERE category = 'group 2' AND gift IS NULL)",
        "(SELECT sum(amount) FROM purchase WHERE day >= DATE '2020-04-01') > 50.5",
        "(SELECT last(category) FROM purchase) = 'group 1'",
        "followed_by((SELECT 1 FROM purchase), (SELECT 1 FROM visit WHERE page LIKE '%3'), INTERVAL '200' DAY)",
    ];
    for text in conditions {
        let question = Question { audience: Some(Where::Text(text.into())), ..Question::default() };
        say(space.count(&question, false).map(|a| format!("{text}: {}", a.value.count)))?;
    }
    let all = Question::default();
    for sql in [
        "SELECT count(*), count(DISTINCT one_id), sum(amount), quantile(amount, 0.5) FROM purchase",
        "SELECT category, count(*), count(DISTINCT gift), max(at) FROM purchase GROUP BY category",
        "SELECT one_id, at, day, category, amount, gift FROM purchase",
        "SELECT one_id, at, page FROM visit",
    ] {
        say(space.query(sql, &all).map(|a| format!("{sql}: {:?}", a.value.rows)))?;
    }
    let properties = ["purchase.category", "purchase.gift", "visit.page"].map(String::from).to_vec();
    let request = DistributionRequest { tags: properties, ..DistributionRequest::default() };
    say(space.distribution(&all, &request).map(|a| format!("{:?}", a.value)))?;
    let then = Question { state: Some("first".into()), ..Question::default() };
    let sql = "SELECT category, count(*), sum(amount) FROM purchase WHERE one_id > 7 GROUP BY category";
    say(space.query(sql, &then).map(|a| format!("then: {:?}", a.value.rows)))?;
    let request = DistributionRequest { tags: tags.map(String::from).to_vec(), ..DistributionRequest::default() };
    say(space.distribution(&all, &request).map(|a| format!("{:?}", a.value)))?;
    let request = CrosstabRequest { rows: "city".into(), columns: "likes".into() };
    say(space.crosstab(&all, &request).map(|a| format!("{:?}", a.value)))?;
    let request = MembersRequest {
        columns: ["one_id", "member", "phone"].into_iter().chain(tags).map(String::from).collect(),
        ..MembersRequest::default()
    };
    let mut rows = String::new();
    let each = |id: u32, cells: &[headcount::query::cell::Cell<'_>]| {
        rows.push_str(&format!("{id} {cells:?}\n"));
        Ok(())
    };
    let listed = space.members(&all, &request, |_, _| Ok(()), each);
    say(listed.map(|()| rows))?;
    for n in 0..40 {
        match space.portrait("member", &format!("M{n}")) {
            Err(headcount::engine::Error::UnknownProfile { .. }) => say(Ok(format!("M{n} is nobody")))?,
            other => say(other.map(|a| format!("{:?}", a.value)))?,
        }
    }
    Ok(said)
}

fn pristine() -> Pristine {
    let home = tempfile::tempdir().unwrap();
    let mut answers = BTreeMap::new();
    let engine = Engine::open(home.path(), &options(false)).unwrap();
    let schema = r#"{"id_types": ["member", "phone"], "tags": {"age": {"type": "number"}, "spend": {"type": "number", "scale": 2},
        "city": {"type": "category"}, "likes": {"type": "set"}, "born": {"type": "date"}, "vip": {"type": "flag"}},
        "events": {"purchase": {"properties": {"category": {"type": "category"}, "amount": {"type": "number", "scale": 2},
        "gift": {"type": "flag"}}}, "visit": {"properties": {"page": {"type": "category"}}}}}"#;
    let space = engine.put_space("main", serde_json::from_str(schema).unwrap()).unwrap();
    let mut note = |space: &Space| {
        answers.insert(space.store().view().data_version(), panel(space).unwrap());
    };
    let upsert = |from, to| {
        let (sender, receiver) = mpsc::channel();
        let done = move |answer| sender.send(answer).unwrap();
        space.upsert_lines(lines(from, to).as_bytes(), UpsertOptions::default(), done).unwrap();
        receiver
    };
    let happen = |from, to| {
        let (sender, receiver) = mpsc::channel();
        let done = move |answer| sender.send(answer).unwrap();
        space.event_lines(events(from, to).as_bytes(), UpsertOptions::default(), done).unwrap();
        receiver
    };
    upsert(0, 30).recv().unwrap().unwrap();
    happen(0, 30).recv().unwrap().unwrap();
    space.store().snapshot(Some("first")).unwrap();
    upsert(20, 45).recv().unwrap().unwrap();
    happen(25, 60).recv().unwrap().unwrap();
    space.store().write_and_wait(Request::Erase(vec![OneId(7)])).unwrap();
    space.store().snapshot(None).unwrap();
    space.store().snapshot(Some("with a blank")).unwrap();
    note(&space);
    for n in 0..4 {
        upsert(40 + 3 * n, 46 + 3 * n).recv().unwrap().unwrap();
        note(&space);
        happen(58 + 3 * n, 64 + 3 * n).recv().unwrap().unwrap();
        note(&space);
    }
    // Some that stand in one group, then one alone.
    let waiting: Vec<_> = (0..6).flat_map(|n| [upsert(60 + n, 62 + n), happen(80 + n, 83 + n)]).collect();
    waiting.into_iter().for_each(|receiver| drop(receiver.recv().unwrap().unwrap()));
    note(&space);
    space.store().write_and_wait(Request::Erase(vec![OneId(3)])).unwrap();
    note(&space);
    let version = space.store().view().data_version();
    drop((space, engine));
    let files = read_files(home.path());
    // What the group's batches came to one by one is only seen by cutting the log behind each.
    let mut pristine = Pristine { files, answers, version };
    let (log, bytes) = pristine.last_log();
    for (_, _, end) in records(&bytes) {
        let home = write_files(&pristine.files);
        std::fs::write(home.path().join(&log), &bytes[..end]).unwrap();
        let engine = Engine::open(home.path(), &options(true)).unwrap();
        let space = engine.space("main").unwrap();
        let (version, said) = (space.store().view().data_version(), panel(&space).unwrap());
        let known = pristine.answers.insert(version, said.clone());
        assert!(known.is_none_or(|known| known == said), "version {version} replayed is version {version} as it was");
    }
    pristine
}

impl Pristine {
    fn last_log(&self) -> (PathBuf, Vec<u8>) {
        let mut logs = self.files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "log"));
        let (path, bytes) = logs.next_back().expect("there is a log");
        (path.clone(), bytes.clone())
    }
}

/// Sequence number, `durable` and end of each record of a log segment, as `storage/src/log.rs` draws them.
fn records(bytes: &[u8]) -> Vec<(u64, u64, usize)> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (mut at, mut all) = (LOG_HEADER_BYTES, Vec::new());
    while at < bytes.len() {
        let length = (word(at) & 0xFFFF_FFFF) as usize;
        let end = (at + 32 + length).next_multiple_of(8);
        all.push((word(at + 8), word(at + 16), end));
        at = end;
    }
    all
}

fn read_files(dir: &Path) -> Files {
    fn walk(top: &Path, dir: &Path, into: &mut Files) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(top, &path, into);
            } else {
                into.insert(path.strip_prefix(top).unwrap().into(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    walk(dir, dir, &mut files);
    files
}

fn write_files(files: &Files) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("spaces/main/snapshots")).unwrap();
    for (path, bytes) in files {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    home
}

/// The outcome of opening and asking: the data version and what was said, or an error.
fn outcome(home: &Path, read_only: bool, what: &str) -> Result<(u64, String), String> {
    let run = || {
        let engine = Engine::open(home, &options(read_only)).map_err(|e| e.to_string())?;
        let space = engine.space("main").map_err(|e| e.to_string())?;
        let said = panel(&space)?;
        Ok((space.store().view().data_version(), said))
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| panic!("{what}: a panic"))
}

/// Damages files, and holds what comes of it against the pristine answers from data version `least` on.
fn check(pristine: &Pristine, home: &Path, changed: &[(&PathBuf, Option<&[u8]>)], least: u64, what: &str) -> bool {
    for (path, bytes) in changed {
        let path = home.join(path);
        match bytes {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
    }
    let outcome = outcome(home, true, what);
    if let Ok((version, said)) = &outcome {
        assert!(*version >= least, "{what}: opened at version {version}, though {least} is proven durable");
        assert!(pristine.answers.get(version) == Some(said), "{what}: a wrong answer at version {version}\n{said}");
    }
    let is_pack = changed.iter().any(|(path, _)| path.extension().is_some_and(|e| e == "pack"));
    if is_pack {
        let verify = || storage::verify::verify_space(&home.join("spaces/main"));
        let report = catch_unwind(AssertUnwindSafe(verify)).unwrap_or_else(|_| panic!("{what}: verifying panicked"));
        assert!(report.is_err() || !report.unwrap().problems.is_empty(), "{what}: verify sees nothing wrong");
    }
    for (path, _) in changed {
        std::fs::write(home.join(path), &pristine.files[*path]).unwrap();
    }
    outcome.is_ok()
}

/// The least version that must be there once the bytes from `at` on cannot be trusted.
fn proven(pristine: &Pristine, path: &Path, at: usize, cut: bool) -> u64 {
    let is_last_log = *path == pristine.last_log().0;
    if !is_last_log {
        return pristine.version;
    }
    let all = records(&pristine.files[path]);
    let Some(damaged) = all.iter().position(|(.., end)| at < *end) else { return pristine.version };
    let before = all[damaged].0 - 1;
    // A cut takes the proof along; a flip leaves the later records, which say what was durable.
    if cut {
        return before;
    }
    let durable = all[damaged + 1..].iter().map(|(_, durable, _)| *durable).max().unwrap_or(0);
    // Proven beyond the damage: no version will do.
    if durable > before { u64::MAX } else { before }
}

fn is_data(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name != "lock")
}

#[test]
fn flipped_bits_give_the_right_answer_or_an_error() {
    let (pristine, mut random) = (pristine(), Random::new(seed()));
    let home = write_files(&pristine.files);
    assert_eq!(outcome(home.path(), true, "pristine").unwrap().1, pristine.answers[&pristine.version]);
    let most = setting("HEADCOUNT_DAMAGE", FLIPS_MAX);
    let (mut flips, mut answered) = (0, 0);
    for (path, bytes) in pristine.files.iter().filter(|(path, _)| is_data(path)) {
        let every = most == 0 || bytes.len() as u64 <= most;
        for nth in 0..if every { bytes.len() as u64 } else { most } {
            let at = if every { nth } else { random.below(bytes.len() as u64) } as usize;
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << random.below(8);
            let what = format!("{} with a bit flipped in byte {at} of {}", path.display(), bytes.len());
            let least = proven(&pristine, path, at, false);
            let ok = check(&pristine, home.path(), &[(path, Some(&damaged))], least, &what);
            (flips, answered) = (flips + 1, answered + u64::from(ok));
        }
    }
    println!("{flips} flips in {} files, {answered} harmless", pristine.files.len());
    assert_eq!(outcome(home.path(), false, "restored").unwrap().1, pristine.answers[&pristine.version]);
}

#[test]
fn cut_zeroed_removed_and_swapped_files_give_the_right_answer_or_an_error() {
    let (pristine, mut random) = (pristine(), Random::new(seed()));
    let home = write_files(&pristine.files);
    let files: Vec<(&PathBuf, &Vec<u8>)> = pristine.files.iter().filter(|(path, _)| is_data(path)).collect();
    for (path, bytes) in &files {
        let what = |how: &str| format!("{} {how}", path.display());
        for nth in 0..25 {
            let length = if nth == 0 { 0 } else { random.below(bytes.len() as u64) as usize };
            let least = proven(&pristine, path, length, true);
            check(&pristine, home.path(), &[(path, Some(&bytes[..length]))], least, &what(&format!("cut to {length}")));
            let (from, mut zeroed) = (length, (*bytes).clone());
            let to = if nth < 2 { bytes.len() } else { (from + 1 + random.below(300) as usize).min(bytes.len()) };
            zeroed[from..to].fill(0);
            if zeroed != **bytes {
                // Zeros up to the end take later proof along.
                let least = proven(&pristine, path, from, true).min(pristine.version);
                let what = what(&format!("zeroed from {from} to {to}"));
                check(&pristine, home.path(), &[(path, Some(&zeroed))], least, &what);
            }
        }
        let mut longer = (*bytes).clone();
        longer.extend_from_slice(&[7; 100]);
        check(&pristine, home.path(), &[(path, Some(&longer))], pristine.version, &what("with bytes behind its end"));
        check(&pristine, home.path(), &[(path, None)], pristine.version, &what("removed"));
    }
    for (at, (a, a_bytes)) in files.iter().enumerate() {
        for (b, b_bytes) in &files[at + 1..] {
            let what = format!("{} and {} swapped", a.display(), b.display());
            let swapped: [(&PathBuf, Option<&[u8]>); 2] = [(a, Some(b_bytes)), (b, Some(a_bytes))];
            check(&pristine, home.path(), &swapped, pristine.version, &what);
        }
    }
}
