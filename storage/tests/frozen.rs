//! Frozen audiences in the store: they outlive restarts and store snapshots, lose who is erased, and damage is an error.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::civil::{Date, date};
use roaring::RoaringBitmap;
use storage::portable::write_portable;
use storage::{
    DataDir, Error, Freezing, IdColumn, IdTypeId, OneId, Options, Request, SchemaJson, StateRef, Store, Upserts,
};

const DAY: Date = date(2026, 11, 1);
const NEXT: Date = date(2026, 11, 2);

fn options() -> Options {
    Options { purge_after: Duration::from_millis(50), ..Options::default() }
}

fn people(count: u32) -> Request {
    let mut ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    for row in 0..count {
        ids.bytes.extend_from_slice(format!("m{row}").as_bytes());
        ids.offsets.push(ids.bytes.len() as u32);
    }
    Request::Upserts(Upserts { rows: count, ids: vec![ids], ..Upserts::default() })
}

fn space(home: &Path) -> DataDir {
    let dir = DataDir::open(home).unwrap();
    dir.create_space("main").unwrap();
    let store = open(&dir);
    let schema = SchemaJson { id_types: vec!["member".into()], ..SchemaJson::default() };
    store.write_and_wait(Request::Schema(schema)).unwrap();
    store.write_and_wait(people(100_000)).unwrap();
    let audience = Request::Audience { name: "vip".into(), definition: Some("{}".into()) };
    store.write_and_wait(audience).unwrap();
    dir
}

fn open(dir: &DataDir) -> Store {
    dir.open_space("main", &options()).unwrap()
}

fn freezing(members: &RoaringBitmap, store: &Store) -> Freezing {
    let view = store.view();
    let (data_version, erasures) = (view.data_version(), view.erasures());
    Freezing { bytes: write_portable(members), count: members.len(), version: 3, data_version, erasures }
}

fn freeze(store: &Store, date: Date, members: &RoaringBitmap) {
    let members = Some(freezing(members, store));
    store.write_and_wait(Request::Frozen { audience: "vip".into(), date, members }).unwrap();
}

fn let_go(store: &Store, date: Date) -> u64 {
    let request = Request::Frozen { audience: "vip".into(), date, members: None };
    store.write_and_wait(request).unwrap().data_version
}

/// Days, counts at freezing and members, as they are read.
fn frozen(store: &Store) -> Vec<(String, u64, RoaringBitmap)> {
    let view = store.view();
    let sets = view.frozen().iter();
    sets.map(|((name, date), f)| (format!("{name} {date}"), f.info().count, f.members().unwrap())).collect()
}

fn sample() -> RoaringBitmap {
    let mut members: RoaringBitmap = (0..90_000).step_by(3).collect();
    members.insert_range(91_000..95_000);
    members
}

#[test]
fn frozen_sets_outlive_restarts_and_store_snapshots_and_go_when_they_are_let_go() {
    let home = tempfile::tempdir().unwrap();
    let dir = space(home.path());
    let store = open(&dir);
    let few: RoaringBitmap = [7, 70_000].into_iter().collect();
    freeze(&store, DAY, &sample());
    freeze(&store, NEXT, &few);
    // The same day again takes its place.
    freeze(&store, NEXT, &RoaringBitmap::new());
    let all = vec![
        ("vip 2026-11-01".to_string(), sample().len(), sample()),
        ("vip 2026-11-02".to_string(), 0, RoaringBitmap::new()),
    ];
    assert_eq!(frozen(&store), all);
    drop(store);
    let store = open(&dir);
    assert_eq!(frozen(&store), all, "from the log");
    store.snapshot(None).unwrap();
    assert_eq!(frozen(&store), all, "after a store snapshot");
    freeze(&store, NEXT, &few);
    store.snapshot(None).unwrap();
    drop(store);
    let store = open(&dir);
    let all = vec![all[0].clone(), ("vip 2026-11-02".to_string(), 2, few)];
    assert_eq!(frozen(&store), all, "from parts");
    let before = store.view().data_version();
    assert_eq!(let_go(&store, date(2020, 1, 1)), before, "there is none to let go");
    let_go(&store, DAY);
    assert_eq!(frozen(&store), all[1..]);
    store.snapshot(None).unwrap();
    drop(store);
    let report = storage::verify::verify_space(&dir.space_dir("main")).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let store = open(&dir);
    assert_eq!(frozen(&store), all[1..]);
    // With their audience they all go, also at replay.
    store.write_and_wait(Request::Audience { name: "vip".into(), definition: None }).unwrap();
    assert_eq!(frozen(&store), Vec::new());
    drop(store);
    assert_eq!(frozen(&open(&dir)), Vec::new());
}

/// Whether a pack or the log holds a bitmap as it was frozen.
fn is_on_disk(home: &Path, members: &RoaringBitmap) -> bool {
    let needle = write_portable(members);
    ["packs", "log", "snapshots"].iter().any(|sub| {
        let files = std::fs::read_dir(home.join("spaces/main").join(sub)).unwrap();
        // One that is removed meanwhile holds nothing.
        files
            .filter_map(|file| std::fs::read(file.unwrap().path()).ok())
            .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    })
}

#[test]
fn a_purge_takes_erased_people_out_of_frozen_sets_and_earlier_states_hold_none() {
    let home = tempfile::tempdir().unwrap();
    let dir = space(home.path());
    let store = open(&dir);
    let some: RoaringBitmap = [5, 6, 99, 70_000].into_iter().collect();
    let others: RoaringBitmap = [1, 2, 3].into_iter().collect();
    freeze(&store, DAY, &some);
    store.snapshot(None).unwrap();
    // Kept states lie on parts and a log that hold frozen sets.
    store.snapshot(Some("on parts")).unwrap();
    freeze(&store, NEXT, &(&some | &others));
    freeze(&store, date(2026, 11, 3), &others);
    store.snapshot(Some("on the log")).unwrap();
    assert!(store.state(&StateRef::Name("on parts".into())).unwrap().view.frozen().is_empty());
    assert!(is_on_disk(home.path(), &some) && is_on_disk(home.path(), &(&some | &others)));
    let found_before = freezing(&some, &store);
    store.write_and_wait(Request::Erase(vec![OneId(99)])).unwrap();
    assert_eq!(frozen(&store)[0].2, some, "cut down by whoever reads it");
    // Found before the erasure, frozen after it.
    let late = Request::Frozen { audience: "vip".into(), date: date(2026, 11, 4), members: Some(found_before) };
    store.write_and_wait(late).unwrap();
    store.snapshot(None).unwrap();
    let without = |members: &RoaringBitmap| members - RoaringBitmap::from_iter([99]);
    let left = vec![
        ("vip 2026-11-01".to_string(), 4, without(&some)),
        ("vip 2026-11-02".to_string(), 7, without(&(&some | &others))),
        ("vip 2026-11-03".to_string(), 3, others.clone()),
        ("vip 2026-11-04".to_string(), 4, without(&some)),
    ];
    // What was written is read once the writer has published it, and what nobody names is removed then.
    let is_purged = || !is_on_disk(home.path(), &some) && !is_on_disk(home.path(), &(&some | &others));
    let deadline = Instant::now() + Duration::from_secs(10);
    while !(frozen(&store) == left && is_purged()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(frozen(&store), left);
    assert!(is_purged(), "purged from files");
    assert!(is_on_disk(home.path(), &others));
    drop(store);
    let report = storage::verify::verify_space(&dir.space_dir("main")).unwrap();
    assert_eq!((report.problems, report.kept), (Vec::<String>::new(), 2));
    let store = open(&dir);
    assert_eq!(frozen(&store), left);
    assert_eq!(store.state(&StateRef::Name("on the log".into())).unwrap().view.frozen().len(), 0);
}

#[test]
fn every_damaged_byte_of_a_frozen_part_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let dir = space(home.path());
    let members: RoaringBitmap = [5, 6, 99, 70_000].into_iter().collect();
    let store = open(&dir);
    freeze(&store, DAY, &members);
    store.snapshot(None).unwrap();
    drop(store);
    let needle = write_portable(&members);
    let packs = std::fs::read_dir(home.path().join("spaces/main/packs")).unwrap();
    let found = packs.map(|pack| pack.unwrap().path()).find_map(|path| {
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(needle.len()).position(|window| window == needle)?;
        Some((path, bytes, at))
    });
    let (path, whole, at) = found.expect("the part lies in a pack");
    for byte in at..at + needle.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &damaged).unwrap();
        let store = open(&dir);
        let view = store.view();
        let read = view.frozen().values().next().unwrap().members();
        assert!(matches!(read, Err(Error::Corrupt { .. })), "byte {byte}: {read:?}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(frozen(&open(&dir))[0].2, members);
}
