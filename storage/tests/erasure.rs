//! Erasure: once the purge has run, nothing of an erased person is left in any file, kept store snapshots included.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::{
    DataDir, IdColumn, IdTypeId, OneId, Options, Request, SetOp, Store, TagChanges, TagColumn, TagId, Upserts,
};

const PEOPLE: u32 = 300;
const ERASED: u32 = 123;

fn texts(texts: impl Iterator<Item = String>) -> Arc<Vec<Box<str>>> {
    Arc::new(texts.map(String::into_boxed_str).collect())
}

/// Everyone has an identity, a city, a nickname and an interest of his own, and a shared one of each.
fn people() -> Upserts {
    let mut ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    for row in 0..PEOPLE {
        ids.bytes.extend_from_slice(format!("identity-of-{row:05}!").as_bytes());
        ids.offsets.push(ids.bytes.len() as u32);
    }
    let city = texts((0..PEOPLE).map(|row| format!("city-of-{row:05}!")));
    let interests = texts((0..=PEOPLE).map(|row| format!("interest-of-{row:05}!")));
    let codes: Vec<u32> = (0..PEOPLE).flat_map(|row| [row, PEOPLE]).collect();
    Upserts {
        rows: PEOPLE,
        ids: vec![ids],
        tags: vec![
            TagColumn {
                tag: TagId(0),
                changes: TagChanges::Texts { dictionary: city, changes: (0..PEOPLE).map(|row| (row, row)).collect() },
            },
            TagColumn {
                tag: TagId(1),
                changes: TagChanges::Sets {
                    dictionary: interests,
                    changes: (0..PEOPLE).map(|row| (row, SetOp::Replace, (row + 1) * 2)).collect(),
                    codes,
                },
            },
        ],
        ..Upserts::default()
    }
}

fn files_with(dir: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if std::fs::read(&path).unwrap().windows(needle.len()).any(|w| w == needle.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn check_gone(dir: &Path) {
    // Sequential keys share a prefix within a page, so the digits that tell them apart are looked for as well.
    for needle in ["identity-of-00123!", "city-of-00123!", "interest-of-00123!", "00123!"] {
        assert_eq!(files_with(dir, needle), Vec::<String>::new(), "{needle}");
    }
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
    let schema = r#"{"id_types": ["member"], "tags": {"city": {"type": "category"}, "interests": {"type": "set"}}}"#;
    store.write_and_wait(Request::Schema(serde_json::from_str(schema).unwrap())).unwrap();
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
    check_gone(temp.path());
    check_others(&store);
    drop(store);
    check_others(&open(&dir));
    let report = storage::verify::verify_space(&dir.space_dir("main")).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.kept, 1);
}
