//! Retention: rows older than what an event is kept for go, and stay gone; their keys may come again.
//!
//! Days are counted back from today, as the store does: `old` are of forty days ago, `new` of two.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use headcount::engine::{Engine, EngineOptions, Question, Space, UpsertAnswer, UpsertOptions, Where};
use headcount::query::cell::Cell;
use storage::{DataDir, EventColumn, IdColumn, IdTypeId, Request, Upserts};

const SCHEMA: &str = r#"{"id_types": ["member"], "events": {
    "purchase": {"properties": {"category": {"type": "category"}, "amount": {"type": "number"}}},
    "visit": {"properties": {"page": {"type": "category"}}}}}"#;
const PEOPLE: u32 = 50;

/// A moment so many days ago, at the same time of the day as now.
fn days_ago(days: i64) -> jiff::Timestamp {
    jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)
}

fn line(who: u32, event: &str, days: i64, key: &str) -> String {
    let property = if event == "visit" { "page" } else { "category" };
    format!(
        "{{\"id\":{{\"member\":\"m{who}\"}},\"event\":\"{event}\",\"at\":\"{}\",\"{property}\":\"{days} days\",\"key\":\"{key}\"}}\n",
        days_ago(days)
    )
}

/// Of everyone an old and a new one of both events.
fn lines() -> String {
    let both = |who: u32, event: &str| {
        line(who, event, 40, &format!("old {who}")) + &line(who, event, 2, &format!("new {who}"))
    };
    (0..PEOPLE).map(|who| both(who, "purchase") + &both(who, "visit")).collect()
}

fn options(read_only: bool) -> EngineOptions {
    let mut options = EngineOptions { threads: 1, read_only, ..EngineOptions::default() };
    options.store.dated = storage::DatedPolicy { daily: 0, weekly: 0, monthly: 0 };
    options
}

fn send(space: &Space, body: &str) -> UpsertAnswer {
    let (sender, receiver) = mpsc::channel();
    let done = move |answer| sender.send(answer).unwrap();
    space.event_lines(body.as_bytes(), UpsertOptions::default(), done).unwrap();
    receiver.recv().unwrap().unwrap()
}

fn retain(space: &Space, days: u32) {
    let schema = format!(r#"{{"events": {{"purchase": {{"retain_days": {days}}}}}}}"#);
    space.extend_schema(serde_json::from_str(&schema).unwrap()).unwrap();
}

fn expire(space: &Space) {
    space.store().write_and_wait(Request::Expire).unwrap();
}

/// A table's rows, its people, and the people who have any: all ways to count agree.
fn rows(space: &Space, event: &str, condition: &str) -> u64 {
    let ask = |sql: String| space.query(&sql, &Question::default()).unwrap().value.rows;
    let count = |text: String| {
        let question = Question { audience: Some(Where::Text(text)), ..Question::default() };
        space.count(&question, false).unwrap().value.count
    };
    let found = ask(format!("SELECT count(*), count(DISTINCT one_id) FROM {event} WHERE {condition}"));
    let [Cell::Int(rows), Cell::Int(people)] = found[0][..] else { panic!("{found:?}") };
    let listed = ask(format!("SELECT one_id, at FROM {event} WHERE {condition}"));
    assert_eq!(listed.len() as i64, rows, "{event} WHERE {condition}");
    let having = format!("EXISTS (SELECT 1 FROM {event} WHERE {condition})");
    assert_eq!(count(having) as i64, people, "{event} WHERE {condition}");
    let groups = ask(format!("SELECT day, count(*) FROM {event} WHERE {condition} GROUP BY day"));
    let sum: i64 = groups.iter().map(|group| if let Cell::Int(n) = group[1] { n } else { panic!("{group:?}") }).sum();
    assert_eq!(sum, rows, "{event} WHERE {condition}");
    rows as u64
}

/// Nobody has old purchases; the new ones are there, and so are all visits, which are kept for ever.
fn check(space: &Space, what: &str) {
    let all = u64::from(PEOPLE);
    let old = "category = '40 days'";
    let found = (rows(space, "purchase", old), rows(space, "purchase", "TRUE"), rows(space, "visit", "TRUE"));
    assert_eq!(found, (0, all, 2 * all), "{what}");
    assert_eq!(rows(space, "purchase", "NOT day > CURRENT_DATE - 20"), 0, "{what}");
    let person = space.portrait("member", "m7").unwrap().value;
    assert_eq!(person.events.len(), 3, "{what}: {:?}", person.events);
}

/// Rows of purchases in the store's files and memory, those that are gone included.
fn rows_kept(space: &Space) -> u64 {
    let view = space.store().view();
    let (event, _) = view.schema().event("purchase").unwrap();
    view.event(event).row_count().unwrap()
}

fn kept_from(space: &Space) -> Option<i32> {
    space.store().view().schema().event("purchase").unwrap().1.kept_from
}

fn today() -> i32 {
    (jiff::Timestamp::now().as_second() / 86_400) as i32
}

/// A store with everything in it, before anything expires; folded into parts, in runs on the heap, or in both.
fn filled(home: &std::path::Path, snapshots: u32) -> Engine {
    let engine = Engine::open(home, &options(false)).unwrap();
    let space = engine.put_space("main", serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let body = lines();
    let half = body.lines().count() / 2;
    let part = |from: usize, to: usize| {
        body.lines().skip(from).take(to - from).map(|line| line.to_string() + "\n").collect::<String>()
    };
    for (nth, body) in [part(0, half), part(half, 2 * half)].iter().enumerate() {
        assert_eq!(send(&space, body).accepted as usize, half);
        if (nth as u32) < snapshots {
            space.store().snapshot(None).unwrap();
        }
    }
    assert_eq!((rows(&space, "purchase", "TRUE"), rows(&space, "visit", "TRUE")), (100, 100));
    engine
}

#[test]
fn what_is_older_goes_from_memory_from_parts_and_after_each_start() {
    for snapshots in 0..=2 {
        let what = format!("after {snapshots} store snapshots");
        let home = tempfile::tempdir().unwrap();
        let engine = filled(home.path(), snapshots);
        let space = engine.space("main").unwrap();
        space.store().snapshot(Some("before")).unwrap();
        retain(&space, 30);
        expire(&space);
        assert_eq!(kept_from(&space), Some(today() - 30), "{what}");
        check(&space, &what);
        // From what was then, too: nothing that old is told of any more.
        let then = Question { state: Some("before".into()), ..Question::default() };
        let counted = |space: &Space| space.query("SELECT count(*) FROM purchase", &then).unwrap().value.rows;
        assert_eq!(counted(&space), vec![vec![Cell::Int(50)]], "{what}");
        // Replayed from the log, by who may not write, too.
        drop((space, engine));
        for read_only in [true, false] {
            let engine = Engine::open(home.path(), &options(read_only)).unwrap();
            check(&engine.space("main").unwrap(), &format!("{what}, opened, read only: {read_only}"));
        }
        let engine = Engine::open(home.path(), &options(false)).unwrap();
        let space = engine.space("main").unwrap();
        space.store().snapshot(None).unwrap();
        // What was folded is seen at the latest when the next change is.
        expire(&space);
        check(&space, &format!("{what}, folded"));
        assert_eq!(rows_kept(&space), u64::from(PEOPLE), "{what}: the fold leaves them out");
        drop((space, engine));
        let engine = Engine::open(home.path(), &options(true)).unwrap();
        let space = engine.space("main").unwrap();
        check(&space, &format!("{what}, folded and opened"));
        assert_eq!(kept_from(&space), Some(today() - 30), "{what}");
        assert_eq!(counted(&space), vec![vec![Cell::Int(50)]], "{what}");
        let report = storage::verify::verify_space(&home.path().join("spaces/main")).unwrap();
        assert_eq!(report.problems, Vec::<String>::new(), "{what}");
    }
}

#[test]
fn nobody_needs_to_ask_for_it() {
    let home = tempfile::tempdir().unwrap();
    let engine = filled(home.path(), 1);
    let space = engine.space("main").unwrap();
    retain(&space, 30);
    let deadline = Instant::now() + Duration::from_secs(20);
    while kept_from(&space).is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    check(&space, "by itself");
    let version = space.store().view().data_version();
    expire(&space);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(space.store().view().data_version(), version, "once a day is enough");
}

#[test]
fn older_events_are_refused_and_keys_of_expired_ones_may_come_again() {
    for snapshots in [0, 1, 2] {
        let what = format!("after {snapshots} store snapshots");
        let home = tempfile::tempdir().unwrap();
        let engine = filled(home.path(), snapshots);
        let space = engine.space("main").unwrap();
        retain(&space, 30);
        // Before anything has gone, too: what is sent again is refused where it is too old, and else counts once.
        let sent = |what: &str| {
            let answer = send(&space, &lines());
            let refused: Vec<(u64, &str)> = answer.rejected.iter().map(|r| (r.line, r.code)).collect();
            let wanted: Vec<(u64, &str)> = (0..u64::from(PEOPLE)).map(|who| (4 * who + 1, "expired")).collect();
            assert_eq!((answer.accepted, answer.created, refused), (150, 0, wanted), "{what}");
        };
        sent(&format!("{what}, before"));
        expire(&space);
        sent(&format!("{what}, after"));
        check(&space, &what);
        // The last day that is kept, and the first that is not.
        let edge = send(&space, &(line(0, "purchase", 30, "edge") + &line(0, "purchase", 31, "edge")));
        assert_eq!(edge.rejected.iter().map(|r| (r.line, r.code)).collect::<Vec<_>>(), [(2, "expired")], "{what}");
        // A key whose event is gone is as good as new, once; a key of an event that is there is not.
        let again =
            line(3, "purchase", 5, "old 3") + &line(3, "purchase", 5, "old 3") + &line(3, "purchase", 5, "new 3");
        assert_eq!(send(&space, &again).accepted, 3, "{what}");
        let wanted = |space: &Space| (rows(space, "purchase", "TRUE"), rows(space, "purchase", "category = '5 days'"));
        assert_eq!(wanted(&space), (u64::from(PEOPLE) + 2, 1), "{what}");
        space.store().snapshot(None).unwrap();
        assert_eq!(send(&space, &again).accepted, 3, "{what}");
        assert_eq!(wanted(&space), (u64::from(PEOPLE) + 2, 1), "{what}, folded");
        drop((space, engine));
        let engine = Engine::open(home.path(), &options(false)).unwrap();
        let space = engine.space("main").unwrap();
        assert_eq!(send(&space, &again).accepted, 3, "{what}");
        assert_eq!(wanted(&space), (u64::from(PEOPLE) + 2, 1), "{what}, opened");
        // Kept for longer from now on: what is gone stays gone, and its days stay closed.
        retain(&space, 60);
        expire(&space);
        assert_eq!(kept_from(&space), Some(today() - 30), "{what}");
        assert_eq!(send(&space, &line(0, "purchase", 40, "old 0")).rejected[0].code, "expired", "{what}");
        assert_eq!(wanted(&space), (u64::from(PEOPLE) + 2, 1), "{what}, kept for longer");
    }
}

/// Of everyone an old purchase and a new one, as a batch for the loader.
fn batch(space_schema: &storage::Schema) -> Upserts {
    let (event, _) = space_schema.event("purchase").unwrap();
    let mut ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    for who in 0..2 * PEOPLE {
        ids.bytes.extend_from_slice(format!("m{}", who / 2).as_bytes());
        ids.offsets.push(ids.bytes.len() as u32);
    }
    let days = |row: u32| if row.is_multiple_of(2) { 40 } else { 2 };
    let purchases = EventColumn {
        event,
        rows: (0..2 * PEOPLE).collect(),
        at: (0..2 * PEOPLE).map(|row| days_ago(days(row)).as_second()).collect(),
        keys: Vec::new(),
        properties: Vec::new(),
    };
    Upserts { rows: 2 * PEOPLE, ids: vec![ids], events: vec![purchases], ..Upserts::default() }
}

#[test]
fn a_load_refuses_what_is_older_and_takes_along_what_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let engine = filled(home.path(), 1);
    let space = engine.space("main").unwrap();
    retain(&space, 30);
    expire(&space);
    drop((space, engine));
    let dir = DataDir::open(home.path()).unwrap();
    let mut loader = dir.bulk_load("main", 1 << 30).unwrap();
    let batch = batch(loader.view().schema());
    let outcome = loader.add(batch).unwrap();
    let codes: Vec<(u32, &str)> = outcome.rejected.iter().map(|r| (r.row, r.code)).collect();
    assert_eq!(outcome.accepted, PEOPLE);
    assert_eq!(codes, (0..PEOPLE).map(|who| (2 * who, "expired")).collect::<Vec<_>>());
    loader.finish().unwrap();
    drop(dir);
    for read_only in [true, false] {
        let engine = Engine::open(home.path(), &options(read_only)).unwrap();
        let space = engine.space("main").unwrap();
        assert_eq!(rows(&space, "purchase", "TRUE"), 2 * u64::from(PEOPLE));
        assert_eq!(rows(&space, "purchase", "category = '40 days'"), 0);
        assert_eq!(rows(&space, "visit", "TRUE"), 2 * u64::from(PEOPLE));
        assert_eq!(rows_kept(&space), 2 * u64::from(PEOPLE), "the load's snapshot leaves the old ones out");
    }
}
