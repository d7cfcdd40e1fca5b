//! Golden files: stores of every on-disk format as each format version wrote it, with the answers that they must keep
//! giving. Later versions must keep reading them; they are never written again, but joined by another one beside them.
//!
//! ```text
//!   tests/golden/store     answers.txt       format 1: people
//!   tests/golden/store-2   answers-2.txt     format 2: people, events, named and dated states, some of them on the log
//!   tests/golden/store-3   answers-3.txt     format 3: the same, joined people, and frozen audiences, one on the log
//!   tests/golden/store-5   answers-5.txt     the same, with packs of format 5: whose events are of which values and days
//! ```
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes the last one anew, while its formats are not released. Times inside
//! manifests differ from run to run, so the files are only ever read.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use headcount::engine::{
    AudienceRequest, CrosstabRequest, DistributionRequest, Engine, EngineOptions, MembersRequest, Question, Space,
    UpsertOptions, Where,
};
use storage::{Freezing, OneId, Request};

const CONDITIONS: &[&str] = &[
    "TRUE",
    "age >= 30",
    "age IS NULL",
    "spend < 100.5",
    "spend <> 7.25",
    "city = 'Shanghai'",
    "city LIKE '%h%'",
    "city NOT IN ('Shanghai', 'Paris')",
    "likes = 'yoga'",
    "has_all(likes, 'yoga', 'tea')",
    "has_none(likes, 'golf')",
    "likes IS NULL",
    "vip",
    "NOT vip",
    "vip = false",
    "born < DATE '1980-01-01'",
    "month_day(born) BETWEEN '12-20' AND '01-10'",
    "member = 'M003'",
    "phone IS NOT NULL",
    "phone LIKE '138%'",
    "bucket('summer sale', 100) < 45",
    "one_id BETWEEN 5 AND 9",
    "one_id IN (SELECT one_id FROM profiles ORDER BY spend DESC LIMIT 7)",
    "spend >= (SELECT quantile(spend, 0.8) FROM profiles)",
];

/// What is asked besides where there are events.
const EVENT_CONDITIONS: &[&str] = &[
    "EXISTS (SELECT 1 FROM purchase)",
    "EXISTS (SELECT 1 FROM purchase WHERE category = 'bakery' AND amount >= 12.5)",
    "EXISTS (SELECT 1 FROM purchase WHERE category IS NULL)",
    "(SELECT count(*) FROM purchase WHERE day BETWEEN DATE '2020-10-01' AND DATE '2020-10-31') >= 2",
    "(SELECT avg(amount) FROM purchase) > 20",
    "(SELECT last(category) FROM purchase) = 'dairy'",
    "(SELECT count(DISTINCT day) FROM visit) >= 2",
    "followed_by((SELECT 1 FROM purchase), (SELECT 1 FROM visit), INTERVAL '14' DAY)",
    "was(DATE '2020-10-31', city = 'Shanghai') AND NOT city = 'Shanghai'",
    "was(DATE '2020-11-05', vip)",
    "was('on the log', TRUE)",
    "was('before campaign', EXISTS (SELECT 1 FROM purchase WHERE gift))",
];
const EVENT_STATEMENTS: &[&str] = &[
    "SELECT category, count(*), count(DISTINCT one_id), sum(amount), quantile(amount, 0.5) FROM purchase GROUP BY category",
    "SELECT one_id, at, day, category, amount, gift, until FROM purchase",
    "SELECT one_id, at, page FROM visit",
];

/// A store and its answers.
#[derive(Debug, Clone, Copy)]
struct Golden {
    format: u32,
    store: &'static str,
    answers: &'static str,
    kept: usize,
}

const FORMAT_1: Golden = Golden { format: 1, store: "store", answers: "answers.txt", kept: 2 };
const FORMAT_2: Golden = Golden { format: 2, store: "store-2", answers: "answers-2.txt", kept: 6 };
const FORMAT_3: Golden = Golden { format: 3, store: "store-3", answers: "answers-3.txt", kept: 6 };
const PACKS_5: Golden = Golden { format: 3, store: "store-5", answers: "answers-5.txt", kept: 6 };
const LAST: Golden = PACKS_5;

fn golden(what: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(what)
}

/// States of days are only taken when asked for, and none goes by itself.
fn options() -> EngineOptions {
    let mut options = EngineOptions { threads: 1, ..EngineOptions::default() };
    options.store.dated = storage::DatedPolicy { daily: 0, weekly: 0, monthly: 0 };
    options
}

/// Everything that is asked, with its answer, as text.
fn answers(space: &Space) -> String {
    let mut said = format!("data version {}\n", space.store().view().data_version());
    for text in CONDITIONS {
        let question = Question { audience: Some(Where::Text((*text).into())), ..Question::default() };
        said += &format!("{text} → {}\n", space.count(&question, false).unwrap().value.count);
    }
    let all = Question::default();
    if !space.store().view().schema().events.is_empty() {
        said += &event_answers(space);
    }
    if !space.store().view().audiences().is_empty() {
        said += &frozen_answers(space);
    }
    let tags: Vec<String> = space.store().view().schema().tags.iter().map(|tag| tag.name.clone()).collect();
    for tag in &tags {
        let request = DistributionRequest { tags: vec![tag.clone()], ..DistributionRequest::default() };
        let answer = space.distribution(&all, &request).unwrap().value;
        said += &format!("{}\n", serde_json::to_string(&answer).unwrap());
    }
    let request = CrosstabRequest { rows: "city".into(), columns: "likes".into() };
    said += &format!("{}\n", serde_json::to_string(&space.crosstab(&all, &request).unwrap().value).unwrap());
    let columns = ["one_id", "member", "phone"].into_iter().map(String::from).chain(tags).collect();
    let request = MembersRequest { columns, ..MembersRequest::default() };
    let each = |_: u32, cells: &[headcount::query::cell::Cell<'_>]| {
        said += &format!("{}\n", serde_json::to_string(cells).unwrap());
        Ok(())
    };
    space.members(&all, &request, |_, _| Ok(()), each).unwrap();
    let mut kept: Vec<_> = space.store().snapshots().unwrap();
    kept.sort_by_key(|info| (info.data_version, info.name.clone(), info.date));
    for info in kept {
        let date = info.date.map_or(String::new(), |date| format!(" of {date}"));
        said += &format!(
            "snapshot {:?}{date} of data version {}, {} people\n",
            info.name, info.data_version, info.profile_count
        );
    }
    said
}

/// Frozen audiences, as text.
fn frozen_answers(space: &Space) -> String {
    let mut said = String::new();
    for name in ["yoga", "young"] {
        for listed in space.frozen_list(name).unwrap().value.snapshots {
            let (date, snapshot) = (&listed.snapshot.date, &listed.snapshot);
            let text = format!("in_snapshot('{name}', DATE '{date}')");
            let question = Question { audience: Some(Where::Text(text)), ..Question::default() };
            let ids = space.member_ids(&question).unwrap().value;
            said += &format!(
                "{name} {date}: {} of {} by version {}: {ids:?}\n",
                snapshot.living, snapshot.count, snapshot.version
            );
        }
    }
    said
}

/// Behaviours and earlier states, as text.
fn event_answers(space: &Space) -> String {
    let mut said = String::new();
    for text in EVENT_CONDITIONS {
        let question = Question { audience: Some(Where::Text((*text).into())), ..Question::default() };
        said += &format!("{text} → {}\n", space.count(&question, false).unwrap().value.count);
    }
    let states = [None, Some("before campaign"), Some("2020-10-31"), Some("on the log"), Some("2020-11-02")];
    for state in states {
        let question = Question { state: state.map(String::from), ..Question::default() };
        for sql in EVENT_STATEMENTS {
            let rows = space.query(sql, &question).unwrap().value.rows;
            said += &format!("{sql}, {state:?} → {}\n", serde_json::to_string(&rows).unwrap());
        }
    }
    let properties = ["purchase.category", "purchase.gift", "visit.page"].map(String::from).to_vec();
    let request = DistributionRequest { tags: properties, ..DistributionRequest::default() };
    let answer = space.distribution(&Question::default(), &request).unwrap().value;
    said += &format!("{}\n", serde_json::to_string(&answer).unwrap());
    for member in ["M002", "M021"] {
        let events = space.portrait("member", member).unwrap().value.events;
        let events: Vec<_> = events.iter().map(|e| (&e.event, &e.at, &e.properties)).collect();
        said += &format!("{member} → {}\n", serde_json::to_string(&events).unwrap());
    }
    said
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// A copy of the golden store; git keeps no empty directories and no lock.
fn golden_copy(which: Golden) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    copy(&golden(which.store), home.path());
    home
}

fn write_golden() {
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::open(home.path(), &options()).unwrap();
    let schema = r#"{"time_zone": "Asia/Shanghai", "id_types": ["member", "phone"], "tags": {"age": {"type": "number"},
        "spend": {"type": "number", "scale": 2}, "city": {"type": "category"}, "likes": {"type": "set"},
        "born": {"type": "date"}, "vip": {"type": "flag"}}, "events": {
        "purchase": {"properties": {"category": {"type": "category"}, "amount": {"type": "number", "scale": 2},
                                    "gift": {"type": "flag"}, "until": {"type": "date"}}},
        "visit": {"properties": {"page": {"type": "category"}}}}}"#;
    let space = engine.put_space("main", serde_json::from_str(schema).unwrap()).unwrap();
    let upsert = |from: u32, to: u32| {
        let (sender, receiver) = mpsc::channel();
        let body: String = (from..to).map(person).collect();
        space.upsert_lines(body.as_bytes(), UpsertOptions::default(), move |a| sender.send(a).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap();
        let (sender, receiver) = mpsc::channel();
        let body: String = (from..to).map(deeds).collect();
        space.event_lines(body.as_bytes(), UpsertOptions::default(), move |a| sender.send(a).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap();
    };
    // As lines of identities: the second of each is joined to the first.
    let link = |pairs: &[(u32, u32)]| {
        let (sender, receiver) = mpsc::channel();
        let line =
            |(a, b): &(u32, u32)| format!("{{\"a\":{{\"member\":\"M{a:03}\"}},\"b\":{{\"phone\":\"138{b}\"}}}}\n");
        let body: String = pairs.iter().map(line).collect();
        space.link_lines(body.as_bytes(), UpsertOptions::default(), move |a| sender.send(a).unwrap()).unwrap();
        assert_eq!(receiver.recv().unwrap().unwrap().joined as usize, pairs.len());
    };
    let dated = |day| space.store().snapshot_dated(jiff::civil::date(2020, 10, 31).checked_add(day).unwrap()).unwrap();
    let days = |n: i64| jiff::Span::new().days(n);
    upsert(0, 24);
    space.store().snapshot(Some("before campaign")).unwrap();
    upsert(20, 30);
    dated(days(0));
    link(&[(2, 12), (9, 22), (9, 2)]);
    let freeze = |name: &str, text: &str, day: i8| {
        let definition = Where::Text(text.into());
        let request = AudienceRequest { definition, description: String::new(), labels: Vec::new(), by: None };
        space.put_audience(name, &request).unwrap();
        let question = Question { audience: Some(Where::Text(text.into())), ..Question::default() };
        let found = space.member_bitmap(&question).unwrap();
        let (count, erasures) = (found.value.len(), space.store().view().erasures());
        let bytes = storage::portable::write_portable(&found.value);
        let members = Some(Freezing { bytes, count, version: 1, data_version: found.data_version, erasures });
        let date = jiff::civil::date(2020, 11, day);
        space.store().write_and_wait(Request::Frozen { audience: name.into(), date, members }).unwrap();
    };
    freeze("yoga", "likes = 'yoga'", 1);
    space.store().write_and_wait(Request::Erase(vec![OneId(4)])).unwrap();
    space.store().snapshot(Some("second")).unwrap();
    space.store().snapshot(None).unwrap();
    // States that lie on the log behind parts.
    upsert(28, 34);
    link(&[(6, 29)]);
    dated(days(2));
    upsert(3, 5);
    space.store().snapshot(Some("on the log")).unwrap();
    dated(days(5));
    // And a log: more schema, somebody erased, a bitmap, more of what people did.
    let more = r#"{"id_types": ["e_mail"], "tags": {"tier": {"type": "category"}},
        "events": {"visit": {"properties": {"seconds": {"type": "number"}}}, "call": {}}}"#;
    space.extend_schema(serde_json::from_str(more).unwrap()).unwrap();
    upsert(32, 36);
    freeze("young", "age < 40", 2);
    freeze("yoga", "likes = 'yoga'", 3);
    link(&[(1, 21), (30, 35)]);
    space.store().write_and_wait(Request::Erase(vec![OneId(11)])).unwrap();
    let tier = space.store().view().schema().tag("tier").unwrap().0;
    let one_ids = [1, 2, 3, 30].into_iter().collect();
    let upload = storage::BitmapUpload { tag: tier, value: "V4".into(), one_ids, mode: storage::UploadMode::Set };
    space.store().write_and_wait(Request::Bitmap(upload)).unwrap();
    let said = answers(&space);
    drop((space, engine));
    std::fs::remove_file(home.path().join("lock")).unwrap();
    let _ = std::fs::remove_dir_all(golden(LAST.store));
    copy(home.path(), &golden(LAST.store));
    std::fs::write(golden(LAST.answers), said).unwrap();
}

/// A person as a line.
fn person(n: u32) -> String {
    let likes = ["[\"yoga\"]", "[\"yoga\",\"tea\"]", "[]", "[\"golf\"]", "[\"tea\",\"golf\",\"chess\"]"];
    let cities = ["\"Shanghai\"", "\"Hangzhou\"", "null", "\"Paris\"", "\"上海\"", "\"\""];
    let (age, cents, day) = (18 + n * 7 % 60, n * 25 % 100, 1 + n % 28);
    let vip = ["true", "false", "null"][(n % 3) as usize];
    format!(
        "{{\"id\":{{\"member\":\"M{n:03}\",\"phone\":\"138{n}\"}},\"set\":{{\"age\":{age},\"spend\":{}.{cents:02},\"city\":{},\"likes\":{},\"born\":\"19{}-{:02}-{day:02}\",\"vip\":{vip}}}}}\n",
        n * 13 % 200,
        cities[(n % 6) as usize],
        likes[(n % 5) as usize],
        50 + n,
        1 + n % 12
    )
}

/// What a person did, as lines: purchases with keys and without, and visits.
fn deeds(n: u32) -> String {
    let id = format!("{{\"id\":{{\"member\":\"M{n:03}\"}}");
    let categories = ["\"bakery\"", "\"dairy\"", "null", "\"面包\"", "\"\""];
    let mut lines = String::new();
    for (nth, category) in (0..1 + n % 3).zip(categories.iter().cycle().skip(n as usize % 5)) {
        let (day, hour) = (1 + (n * 5 + nth * 9) % 28, (n * 7 + nth) % 24);
        lines += &format!(
            "{id},\"event\":\"purchase\",\"at\":\"2020-{}-{day:02}T{hour:02}:10:00\",\"category\":{category},\"amount\":{}.5,\"gift\":{},\"key\":\"{n}/{nth}\"}}\n",
            10 + nth % 3,
            n * 3 % 40,
            nth == 1
        );
    }
    if n % 4 != 1 {
        lines += &format!(
            "{id},\"event\":\"purchase\",\"at\":\"2020-10-2{}T16:00:00Z\",\"until\":\"2021-01-31\"}}\n",
            n % 10
        );
        lines += &format!("{id},\"event\":\"visit\",\"at\":\"2020-10-1{}\",\"page\":\"page {}\"}}\n", n % 10, n % 3);
        lines += &format!("{id},\"event\":\"visit\",\"at\":\"2020-11-0{}T23:59:59+08:00\"}}\n", 1 + n % 9);
    }
    lines
}

/// Writes the golden files anew, once, if asked to.
fn updated() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        ONCE.call_once(write_golden);
    }
}

#[test]
fn files_of_format_1_are_read_and_answer_as_they_did() {
    check_answers(FORMAT_1);
}

#[test]
fn files_of_format_2_are_read_and_answer_as_they_did() {
    check_answers(FORMAT_2);
}

#[test]
fn files_of_format_3_are_read_and_answer_as_they_did() {
    check_answers(FORMAT_3);
}

#[test]
fn packs_of_format_5_are_read_and_answer_as_they_did() {
    check_answers(PACKS_5);
}

fn check_answers(which: Golden) {
    updated();
    let wanted = std::fs::read_to_string(golden(which.answers)).unwrap();
    let home = golden_copy(which);
    let report = storage::verify::verify_space(&home.path().join("spaces/main")).unwrap();
    assert!(report.problems.is_empty() && report.kept == which.kept && report.log_records >= 4, "{report:?}");
    for (what, with_snapshots) in [("opened", true), ("opened again, after a snapshot by this version", false)] {
        let engine = Engine::open(home.path(), &options()).unwrap();
        let space = engine.space("main").unwrap();
        let found = answers(&space);
        let lines = |text: &str| -> Vec<String> {
            // The snapshot of this version comes on top, and whoever was erased is purged from the older ones.
            let kept = |line: &&str| with_snapshots || !line.starts_with("snapshot ");
            text.lines().filter(kept).map(String::from).collect()
        };
        for (found, wanted) in lines(&found).iter().zip(lines(&wanted)) {
            assert_eq!(*found, wanted, "{what}");
        }
        assert_eq!(lines(&found).len(), lines(&wanted).len(), "{what}");
        space.store().snapshot(None).unwrap();
    }
}

#[test]
fn a_newer_format_is_refused_and_left_untouched() {
    updated();
    for which in [FORMAT_1, FORMAT_2, FORMAT_3, PACKS_5] {
        check_refused(which);
    }
}

fn check_refused(which: Golden) {
    for (file, at) in newer_places(which) {
        let home = golden_copy(which);
        let path = home.path().join("spaces/main").join(&file);
        let mut bytes = std::fs::read(&path).unwrap();
        match at {
            Some(at) => {
                bytes[at] = 99;
                let sum = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes[..at_checksum(&file)], 0);
                bytes[at_checksum(&file)..][..8].copy_from_slice(&sum.to_le_bytes());
            }
            None => {
                let text = String::from_utf8(bytes).unwrap();
                bytes = text.replacen(&format!("manifest {} ", which.format), "manifest 99 ", 1).into_bytes();
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        // What only a kept snapshot needs is looked at by a verification.
        let refused = match Engine::open(home.path(), &options()) {
            Err(headcount::engine::Error::Storage(error)) => Some(error),
            Err(other) => panic!("{file}: {other}"),
            Ok(_) => match storage::verify::verify_space(&home.path().join("spaces/main")) {
                // Of what only some states need, the others are none the worse.
                Ok(report) if file.ends_with(".changes") && !report.problems.is_empty() => continue,
                other => other.err(),
            },
        };
        assert!(matches!(refused, Some(storage::Error::Newer { found: 99, .. })), "{file}: {refused:?}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{file} was changed");
    }
}

/// Files of each format, and where their format number stands.
fn newer_places(which: Golden) -> Vec<(String, Option<usize>)> {
    let mut places = vec![("manifest".to_string(), None)];
    for (dir, suffix) in [("log", "log"), ("packs", "pack"), ("snapshots", "changes")] {
        for entry in std::fs::read_dir(golden(which.store).join("spaces/main").join(dir)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.ends_with(suffix) {
                places.push((format!("{dir}/{name}"), Some(8)));
            }
        }
    }
    places
}

/// Where the header's checksum stands.
fn at_checksum(file: &str) -> usize {
    match file.rsplit('.').next() {
        Some("log") => 24,
        Some("changes") => 40,
        _ => 56,
    }
}
