//! Bulk loading against a plain set of keys: an event counts once, whether the one before is in the view, still under way or
//! in the same batch, and whoever its owner has become.

use std::collections::BTreeSet;

use storage::batch::event_key;
use storage::verify::verify_space;
use storage::{DataDir, EventColumn, EventId, IdColumn, IdTypeId, Options, SchemaJson, Upserts};

/// People by member, and as many by phone, of whom some turn out to be the same.
const PEOPLE: u64 = 40;
const ROWS: u64 = 300;

fn schema() -> SchemaJson {
    serde_json::from_str(r#"{"id_types": ["member", "phone"], "events": {"visit": {}}}"#).unwrap()
}

fn ids(id_type: u32, of_row: impl Fn(u64) -> String) -> IdColumn {
    let mut column = IdColumn { id_type: IdTypeId(id_type), offsets: vec![0], bytes: Vec::new() };
    for row in 0..ROWS {
        column.bytes.extend_from_slice(of_row(row).as_bytes());
        column.offsets.push(column.bytes.len() as u32);
    }
    column
}

/// Rows of one batch: the numbers of their keys, and who came.
fn visits(batch: u64, keys: &[u64]) -> Upserts {
    let person = |row: u64| keys[row as usize] % PEOPLE;
    // Everyone comes by member or by phone, as the key has it; of each seventh batch the first row says that two are one.
    let is_join = |row: u64| row == 0 && batch % 7 == 6;
    let by_phone = |row: u64| keys[row as usize].is_multiple_of(3);
    let member =
        |row: u64| if by_phone(row) && !is_join(row) { String::new() } else { format!("member-{}", person(row)) };
    let phone = |row: u64| if by_phone(row) || is_join(row) { format!("phone-{}", person(row)) } else { String::new() };
    let visits = EventColumn {
        event: EventId(0),
        rows: (0..ROWS as u32).collect(),
        at: keys.iter().map(|key| 1_700_000_000 + *key as i64).collect(),
        keys: keys.iter().map(|key| Some(event_key(&key.to_le_bytes()))).collect(),
        properties: Vec::new(),
    };
    Upserts { rows: ROWS as u32, ids: vec![ids(0, member), ids(1, phone)], events: vec![visits], ..Upserts::default() }
}

#[test]
fn an_event_counts_once_whether_it_is_in_the_view_or_under_way() {
    for owned_bytes_max in [1, u64::MAX] {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let mut loader = dir.bulk_load("main", owned_bytes_max).unwrap();
        loader.extend_schema(&schema()).unwrap();
        let (mut seen, mut state, mut joined) = (BTreeSet::new(), 7u64, 0);
        for batch in 0..60 {
            let keys: Vec<u64> = (0..ROWS)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    // New ones, and some of the last two batches and of all before.
                    let (newest, random) = (batch * ROWS, state >> 33);
                    match random % 4 {
                        0 | 1 => newest + random % ROWS,
                        2 => newest.saturating_sub(random % (2 * ROWS)),
                        _ => random % (newest + 1),
                    }
                })
                .collect();
            let outcome = loader.add(visits(batch, &keys)).unwrap();
            let duplicates = keys.iter().filter(|key| !seen.insert(**key)).count();
            assert_eq!((outcome.duplicates as usize, outcome.accepted), (duplicates, ROWS as u32), "batch {batch}");
            joined += outcome.joined;
        }
        assert!(joined > 2, "{joined}");
        let view = loader.finish().unwrap();
        assert_eq!(view.event(EventId(0)).row_count().unwrap(), seen.len() as u64);
        drop(view);
        let store = dir.open_space("main", &Options::default()).unwrap();
        assert_eq!(store.view().event(EventId(0)).row_count().unwrap(), seen.len() as u64);
        assert_eq!(u64::from(store.view().profile_count()), 2 * PEOPLE - u64::from(joined));
    }
}

/// People in a row, by member; the first of them also by a phone that is another's so far.
fn members(from: u32, to: u32) -> Upserts {
    let mut column = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    for one_id in from..to {
        column.bytes.extend_from_slice(format!("m{one_id}").as_bytes());
        column.offsets.push(column.bytes.len() as u32);
    }
    Upserts { rows: to - from, ids: vec![column], ..Upserts::default() }
}

#[test]
fn events_of_who_was_joined_from_another_stripe_stay_once() {
    const STRIPE: u32 = 1 << 20;
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path()).unwrap();
    let mut loader = dir.bulk_load("main", u64::MAX).unwrap();
    loader.extend_schema(&schema()).unwrap();
    for from in (0..STRIPE).step_by(1 << 18) {
        loader.add(members(from, from + (1 << 18))).unwrap();
    }
    // Three visits of somebody in the second stripe.
    let phone = |rows: u32| IdColumn {
        id_type: IdTypeId(1),
        offsets: (0..=rows).map(|row| row * 5).collect(),
        bytes: b"phone".repeat(rows as usize),
    };
    let at = vec![1_700_000_000, 1_700_000_001, 1_700_000_002];
    let visits = EventColumn { event: EventId(0), rows: vec![0, 1, 2], at, keys: Vec::new(), properties: Vec::new() };
    loader.add(Upserts { rows: 3, ids: vec![phone(3)], events: vec![visits], ..Upserts::default() }).unwrap();
    let view = loader.finish().unwrap();
    assert_eq!((view.profile_count(), view.event(EventId(0)).row_count().unwrap()), (STRIPE + 1, 3));
    drop(view);
    // Nothing but that it is the first member whose phone this is.
    let mut again = dir.bulk_load("main", u64::MAX).unwrap();
    let mut joins = members(0, 1);
    joins.ids.push(phone(1));
    assert_eq!(again.add(joins).unwrap().joined, 1);
    let view = again.finish().unwrap();
    assert_eq!((view.profile_count(), view.event(EventId(0)).row_count().unwrap()), (STRIPE, 3));
    drop(view);
    verify_space(&dir.space_dir("main")).unwrap();
}
