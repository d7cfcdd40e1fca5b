//! Following a space: each published view once, with whom it touches; and what is seen of a queue that was full.

use std::time::Duration;

use storage::follow::{Next, Published, Touched};
use storage::{
    DataDir, IdColumn, IdTypeId, OneId, Options, Request, SchemaJson, Store, TagChanges, TagColumn, TagId, Upserts,
};

/// Some members, each with an age.
fn ages(members: &[u32], age: i64) -> Request {
    let mut ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    for member in members {
        ids.bytes.extend_from_slice(format!("m{member}").as_bytes());
        ids.offsets.push(ids.bytes.len() as u32);
    }
    let rows = members.len() as u32;
    let changes = TagChanges::Numbers((0..rows).map(|row| (row, Some(age))).collect());
    let tags = vec![TagColumn { tag: TagId(0), changes }];
    Request::Upserts(Upserts { rows, ids: vec![ids], tags, ..Upserts::default() })
}

fn open(home: &std::path::Path) -> (DataDir, Store) {
    let dir = DataDir::open(home).unwrap();
    dir.create_space("main").unwrap();
    let store = dir.open_space("main", &Options::default()).unwrap();
    let schema = r#"{"id_types": ["member"], "tags": {"age": {"type": "number"}}}"#;
    store.write_and_wait(Request::Schema(serde_json::from_str(schema).unwrap())).unwrap();
    store.write_and_wait(ages(&[0, 1, 2, 3, 4, 5], 30)).unwrap();
    (dir, store)
}

fn some(ids: &[u32]) -> Touched {
    Touched::Some(ids.to_vec())
}

#[test]
fn each_view_comes_once_and_names_whom_it_touches() {
    let home = tempfile::tempdir().unwrap();
    let (_dir, store) = open(home.path());
    let (follower, waker) = store.follow();
    let mut before = store.view().data_version();
    let mut check = |request: Request, wanted: Touched| {
        store.write_and_wait(request).unwrap();
        let Next::Published(Published { after, view, touched }) = follower.next(Duration::from_secs(5)) else {
            panic!("{wanted:?} was not published")
        };
        assert_eq!((after, view.data_version(), touched), (before, store.view().data_version(), wanted));
        before = view.data_version();
    };
    check(ages(&[4, 1], 31), some(&[1, 4]));
    check(ages(&[7, 2], 31), some(&[2, 6]));
    check(Request::Erase(vec![OneId(3)]), some(&[3]));
    check(Request::Audience { name: "vip".into(), definition: Some("{}".into()) }, some(&[]));
    let more = SchemaJson { id_types: vec!["phone".into()], ..SchemaJson::default() };
    check(Request::Schema(more), Touched::Everyone);
    assert!(matches!(follower.next(Duration::from_millis(10)), Next::Nothing));
    waker.wake();
    assert!(matches!(follower.next(Duration::from_secs(60)), Next::Nothing), "woken");
    // What changes nothing is not published.
    store.write_and_wait(Request::Expire).unwrap();
    store.snapshot(None).unwrap();
    assert_eq!(follower.waiting().count(), 0);
}

#[test]
fn a_queue_that_was_full_leaves_a_gap_that_is_seen() {
    let home = tempfile::tempdir().unwrap();
    let (_dir, store) = open(home.path());
    let (follower, _waker) = store.follow();
    let first = store.view().data_version();
    for age in 0..300 {
        store.write_and_wait(ages(&[age as u32 % 6], age)).unwrap();
    }
    let waiting: Vec<Published> = follower.waiting().collect();
    assert!(waiting.len() < 300, "it is bounded");
    let mut version = first;
    for published in &waiting {
        assert_eq!(published.after, version, "no gap before it was full");
        version = published.view.data_version();
    }
    store.write_and_wait(ages(&[1], 77)).unwrap();
    let Next::Published(next) = follower.next(Duration::from_secs(5)) else { panic!("it goes on") };
    assert!(next.after > version, "{} were left out", next.after - version);
}
