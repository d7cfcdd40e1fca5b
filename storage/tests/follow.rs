//! Following a space: each published view once, with whom it touches; and a queue that is full misses nobody.

use std::time::Duration;

use storage::follow::{Published, Touched, WAITING_MAX};
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
        assert!(follower.wait(Duration::from_secs(5)), "{wanted:?} was not published");
        let mut all = follower.take();
        let Published { after, view, touched } = all.pop_front().unwrap();
        assert_eq!(all.len(), 0);
        assert_eq!((after, view.data_version(), touched), (before, store.view().data_version(), wanted));
        before = view.data_version();
    };
    check(ages(&[4, 1], 31), some(&[1, 4]));
    check(ages(&[7, 2], 31), some(&[2, 6]));
    check(Request::Erase(vec![OneId(3)]), some(&[3]));
    check(Request::Audience { name: "vip".into(), definition: Some("{}".into()) }, some(&[]));
    let more = SchemaJson { id_types: vec!["phone".into()], ..SchemaJson::default() };
    check(Request::Schema(more), Touched::Everyone);
    assert!(!follower.wait(Duration::from_millis(10)));
    waker.wake();
    assert!(!follower.wait(Duration::from_secs(600)), "woken");
    // What changes nothing is not published.
    store.write_and_wait(Request::Expire).unwrap();
    store.snapshot(None).unwrap();
    assert_eq!(follower.take().len(), 0);
}

#[test]
fn a_queue_that_is_full_takes_views_together_and_misses_nobody() {
    let home = tempfile::tempdir().unwrap();
    let (_dir, store) = open(home.path());
    let (follower, _waker) = store.follow();
    let mut version = store.view().data_version();
    for age in 0..WAITING_MAX as i64 + 40 {
        store.write_and_wait(ages(&[age as u32 % 5], age)).unwrap();
    }
    store.write_and_wait(ages(&[5], 7)).unwrap();
    let waiting = follower.take();
    assert_eq!(waiting.len(), WAITING_MAX, "it is bounded");
    for published in &waiting {
        assert_eq!(published.after, version, "none is left out");
        version = published.view.data_version();
    }
    assert_eq!(version, store.view().data_version());
    assert_eq!(waiting.back().unwrap().touched, some(&[0, 1, 2, 3, 4, 5]));
    // Whoever follows anew takes the place of the one before.
    let (second, _waker) = store.follow();
    drop(follower);
    store.write_and_wait(ages(&[1], 77)).unwrap();
    assert_eq!(second.take().len(), 1);
}
