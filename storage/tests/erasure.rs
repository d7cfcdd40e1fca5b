//! Erasure: once the purge has run, nothing of an erased person is left in any file: not in kept store snapshots, nor in
//! the states that lie on a log behind them, whatever a crash has left of a purge before.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::batch::event_key;
use storage::{
    DataDir, EventColumn, EventId, IdColumn, IdTypeId, OneId, Options, PropertyColumn, PropertyId, PropertyValues,
    Request, SetOp, StateRef, Store, TagChanges, TagColumn, TagId, Upserts, View,
};

const PEOPLE: u32 = 300;
const ERASED: u32 = 123;
/// Of those who come later, on the log.
const ERASED_LATER: u32 = 234;
/// Properties are in the order of their names.
const AMOUNT: PropertyId = PropertyId(0);
const STORE: PropertyId = PropertyId(1);
const SCHEMA: &str = r#"{"id_types": ["member"], "tags": {"city": {"type": "category"}, "interests": {"type": "set"}},
    "events": {"purchase": {"properties": {"store": {"type": "category"}, "amount": {"type": "number"}}}}}"#;

fn texts(texts: impl Iterator<Item = String>) -> Arc<Vec<Box<str>>> {
    Arc::new(texts.map(String::into_boxed_str).collect())
}

/// Everyone has an identity, a city and an interest of his own, and a purchase with a key at a store of his own; and
/// shared ones.
fn people() -> Upserts {
    people_of(0..PEOPLE)
}

fn people_of(who: std::ops::Range<u32>) -> Upserts {
    let mut ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    for row in who.clone() {
        ids.bytes.extend_from_slice(format!("identity-of-{row:05}!").as_bytes());
        ids.offsets.push(ids.bytes.len() as u32);
    }
    let city = texts((0..PEOPLE).map(|row| format!("city-of-{row:05}!")));
    let interests = texts((0..=PEOPLE).map(|row| format!("interest-of-{row:05}!")));
    let codes: Vec<u32> = who.clone().flat_map(|row| [row, PEOPLE]).collect();
    let rows = who.len() as u32;
    Upserts {
        rows,
        ids: vec![ids],
        tags: vec![
            TagColumn {
                tag: TagId(0),
                changes: TagChanges::Texts { dictionary: city, changes: (0..rows).zip(who.clone()).collect() },
            },
            TagColumn {
                tag: TagId(1),
                changes: TagChanges::Sets {
                    dictionary: interests,
                    changes: (0..rows).map(|row| (row, SetOp::Replace, (row + 1) * 2)).collect(),
                    codes,
                },
            },
        ],
        events: vec![purchases(who)],
        ..Upserts::default()
    }
}

fn key_of(who: u32) -> u128 {
    event_key(format!("purchase-of-{who:05}!").as_bytes())
}

/// Two a person: one at the own store with a key, one at a shared store without.
fn purchases(who: std::ops::Range<u32>) -> EventColumn {
    let stores = texts((0..=PEOPLE).map(|row| format!("store-of-{row:05}!")));
    let twice = |of: &dyn Fn(u32) -> [i64; 2]| who.clone().flat_map(of).collect::<Vec<i64>>();
    let codes = twice(&|row| [row.into(), PEOPLE.into()]).into_iter().map(|code| code as u32).collect();
    let amounts = twice(&|row| [1_000 + i64::from(row), 7]).into_iter().map(Some).collect();
    EventColumn {
        event: EventId(0),
        rows: (0..who.len() as u32).flat_map(|row| [row, row]).collect(),
        at: twice(&|row| [1_600_000_000 + i64::from(row), 1_600_100_000]),
        // Whoever has none may be told of again.
        keys: who.clone().flat_map(|row| [(row > 0).then(|| key_of(row)), None]).collect(),
        properties: vec![
            PropertyColumn { property: STORE, values: PropertyValues::Texts { dictionary: stores, codes } },
            PropertyColumn { property: AMOUNT, values: PropertyValues::Numbers(amounts) },
        ],
    }
}

/// Files that hold some bytes; one that is removed meanwhile holds nothing.
fn files_with(dir: &Path, needle: impl AsRef<[u8]>) -> Vec<String> {
    let needle = needle.as_ref();
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            match std::fs::read(&path) {
                Ok(bytes) if bytes.windows(needle.len()).any(|w| w == needle) => found.push(path.display().to_string()),
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", path.display()),
            }
        }
    }
    found
}

fn check_gone(dir: &Path, who: u32) {
    // Sequential keys share a prefix within a page, so the digits that tell them apart are looked for as well.
    for needle in ["identity-of-", "city-of-", "interest-of-", "store-of-", ""].map(|what| format!("{what}{who:05}!")) {
        assert_eq!(files_with(dir, &needle), Vec::<String>::new(), "{needle}");
    }
    // What records keep of a key: its hash, and 62 bits of the rest.
    let key = key_of(who);
    let record = [&(key as u32).to_le_bytes()[..], &((key >> 66) as u64).to_le_bytes()].concat();
    assert_eq!(files_with(dir, record), Vec::<String>::new(), "the key of {who}");
}

/// No part that a view lies on has rows of a person, and his neighbour has both of his.
fn check_rows_gone(view: &View, who: u32, what: &str) {
    let field = view.event(EventId(0));
    let rows = |who: u32| -> usize {
        let stripe = field.stripe(0).unwrap();
        stripe.segments().map(|segment| segment.open().unwrap().rows_of(who).len()).sum()
    };
    assert_eq!((rows(who), rows(who + 1)), (0, 2), "{what}: rows of {who} and of the next");
    let stores = field.values(STORE);
    assert_eq!(stores.find(&format!("store-of-{who:05}!")).unwrap(), None, "{what}");
    assert!(stores.find(&format!("store-of-{:05}!", who + 1)).unwrap().is_some(), "{what}");
}

fn check_others(store: &Store) {
    let view = store.view();
    assert_eq!(view.profile_count(), PEOPLE - 1);
    assert_eq!(view.find_identity(IdTypeId(0), b"identity-of-00123!").unwrap(), None);
    assert_eq!(view.find_identity(IdTypeId(0), b"identity-of-00124!").unwrap(), Some(OneId(124)));
    let values = view.tag(TagId(0)).values();
    assert_eq!(values.find("city-of-00123!").unwrap(), None);
    assert_eq!(values.find("city-of-00122!").unwrap().map(|v| v.0), Some(122));
}

fn open(dir: &DataDir) -> Store {
    dir.open_space("main", &Options { purge_after: Duration::from_millis(100), ..Options::default() }).unwrap()
}

#[test]
fn nothing_of_an_erased_person_is_left_in_any_file() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path()).unwrap();
    dir.create_space("main").unwrap();
    let store = open(&dir);
    store.write_and_wait(Request::Schema(serde_json::from_str(SCHEMA).unwrap())).unwrap();
    store.write_and_wait(Request::Upserts(people())).unwrap();
    store.snapshot(Some("before campaign")).unwrap();
    assert!(!files_with(temp.path(), "city-of-00123!").is_empty());
    let outcome = store.write_and_wait(Request::Erase(vec![OneId(ERASED), OneId(ERASED)])).unwrap();
    assert_eq!(outcome.accepted, 1);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !files_with(temp.path(), "city-of-00123!").is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    // The purge may still be on its way from one file to the next.
    store.snapshot(None).unwrap();
    check_gone(temp.path(), ERASED);
    check_others(&store);
    // What was folded is seen at the latest when the next change is.
    store.write_and_wait(Request::Expire).unwrap();
    check_rows_gone(&store.view(), ERASED, "now");
    let then = store.state(&StateRef::Name("before campaign".into())).unwrap();
    check_rows_gone(&then.view, ERASED, "then");
    drop((store, then));
    let store = open(&dir);
    check_others(&store);
    check_rows_gone(&store.view(), ERASED, "opened again");
    assert_eq!(store.view().event(EventId(0)).row_count().unwrap(), 2 * u64::from(PEOPLE - 1));
    drop(store);
    let report = storage::verify::verify_space(&dir.space_dir("main")).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.kept, 1);
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

/// Half of the people in parts, the rest on the log of three kept states; two of them are erased, nothing is purged yet.
fn states_on_a_log(home: &Path) {
    let dir = DataDir::open(home).unwrap();
    dir.create_space("main").unwrap();
    let options = Options { purge_after: Duration::from_secs(3600), ..Options::default() };
    let store = dir.open_space("main", &options).unwrap();
    store.write_and_wait(Request::Schema(serde_json::from_str(SCHEMA).unwrap())).unwrap();
    store.write_and_wait(Request::Upserts(people_of(0..150))).unwrap();
    store.snapshot(Some("half")).unwrap();
    store.snapshot(None).unwrap();
    store.write_and_wait(Request::Upserts(people_of(150..250))).unwrap();
    store.snapshot_dated(jiff::civil::date(2020, 10, 31)).unwrap();
    store.write_and_wait(Request::Upserts(people_of(250..PEOPLE))).unwrap();
    store.snapshot(Some("all")).unwrap();
    store.write_and_wait(Request::Erase(vec![OneId(ERASED)])).unwrap();
    store.snapshot(Some("one less")).unwrap();
    store.write_and_wait(Request::Erase(vec![OneId(ERASED_LATER)])).unwrap();
}

fn check_states(store: &Store) {
    let count = |wanted| store.state(&wanted).unwrap().view.profile_count();
    let named = |name: &str| count(StateRef::Name(name.into()));
    assert_eq!((named("half"), named("all"), named("one less")), (149, 298, 298));
    assert_eq!(count(StateRef::Date(jiff::civil::date(2020, 11, 1))), 248);
    let all = store.state(&StateRef::Name("all".into())).unwrap().view;
    let interests = all.tag(TagId(1));
    for who in (0..PEOPLE).filter(|who| ![ERASED, ERASED_LATER].contains(who)) {
        let key = format!("identity-of-{who:05}!");
        assert_eq!(all.find_identity(IdTypeId(0), key.as_bytes()).unwrap(), Some(OneId(who)));
        let value = interests.values().find(&format!("interest-of-{who:05}!")).unwrap().unwrap();
        assert_eq!(interests.cardinality(value).unwrap(), 1, "{who}");
    }
    let shared = interests.values().find(&format!("interest-of-{PEOPLE:05}!")).unwrap().unwrap();
    assert_eq!(interests.cardinality(shared).unwrap(), 298);
}

fn purged(home: &Path, what: &str) {
    let dir = DataDir::open(home).unwrap();
    let store = open(&dir);
    check_states(&store);
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_left = || [ERASED, ERASED_LATER].iter().any(|who| !files_with(home, format!("{who:05}!")).is_empty());
    while is_left() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(store.snapshot_error(), None, "{what}");
    check_gone(home, ERASED);
    check_gone(home, ERASED_LATER);
    check_states(&store);
    drop(store);
    let report = storage::verify::verify_space(&dir.space_dir("main")).unwrap();
    assert_eq!((report.problems, report.kept), (Vec::new(), 4), "{what}");
    let store = open(&dir);
    check_states(&store);
    check_rows_gone(&store.view(), ERASED, what);
    check_rows_gone(&store.view(), ERASED_LATER, what);
    for (name, has_later) in [("half", false), ("all", true), ("one less", true)] {
        let then = store.state(&StateRef::Name(name.into())).unwrap().view;
        check_rows_gone(&then, ERASED, &format!("{what}: {name}"));
        if has_later {
            check_rows_gone(&then, ERASED_LATER, &format!("{what}: {name}"));
        }
    }
    // Later states go on from what is left.
    store.write_and_wait(Request::Upserts(people_of(0..1))).unwrap();
    store.snapshot(Some("later")).unwrap();
    assert_eq!(store.state(&StateRef::Name("later".into())).unwrap().view.profile_count(), 298);
}

#[test]
fn a_crash_at_any_step_of_a_purge_leaves_states_that_are_whole_and_is_made_up_for() {
    let before = tempfile::tempdir().unwrap();
    states_on_a_log(before.path());
    let after = tempfile::tempdir().unwrap();
    copy(before.path(), after.path());
    purged(after.path(), "without a crash");
    let after = tempfile::tempdir().unwrap();
    copy(before.path(), after.path());
    open(&DataDir::open(after.path()).unwrap()).snapshot(None).unwrap();
    // Files are written, then the kept manifests one by one, then the current one, and only then are files removed: so
    // a crash leaves all files of both, and some of the manifests.
    let manifests = ["snapshots/half.manifest", "snapshots/@2020-10-31.manifest", "snapshots/all.manifest"];
    let manifests = [&manifests[..], &["snapshots/%6f%6e%65%20%6c%65%73%73.manifest", "manifest"]].concat();
    for steps in 0..=manifests.len() {
        let crashed = tempfile::tempdir().unwrap();
        copy(after.path(), crashed.path());
        if steps < manifests.len() {
            // The segment that begins behind the current one.
            std::fs::remove_dir_all(crashed.path().join("spaces/main/log")).unwrap();
        }
        copy(before.path(), crashed.path());
        for manifest in &manifests[..steps] {
            let path = |home: &Path| home.join("spaces/main").join(manifest);
            std::fs::copy(path(after.path()), path(crashed.path())).unwrap();
        }
        purged(crashed.path(), &format!("after {steps} manifests"));
    }
}
