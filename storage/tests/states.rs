//! Earlier states: what a dated or named one holds, what it costs, and what becomes of it as days go by.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::civil::{Date, date};
use storage::{
    Clock, DataDir, DatedPolicy, Error, IdColumn, IdTypeId, OneId, Options, Request, StateError, StateRef, Store,
    TagChanges, TagColumn, TagId, Upserts, View,
};

/// Gives each of some members a tier; new members are made.
fn tiers(of: &[(&str, &str)]) -> Request {
    let mut ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    for (member, _) in of {
        ids.bytes.extend_from_slice(member.as_bytes());
        ids.offsets.push(ids.bytes.len() as u32);
    }
    let dictionary: Vec<Box<str>> = of.iter().map(|(_, tier)| (*tier).into()).collect();
    let rows = of.len() as u32;
    let changes = TagChanges::Texts { dictionary: Arc::new(dictionary), changes: (0..rows).map(|r| (r, r)).collect() };
    Request::Upserts(Upserts {
        rows,
        ids: vec![ids],
        tags: vec![TagColumn { tag: TagId(0), changes }],
        ..Upserts::default()
    })
}

fn schema() -> Request {
    let schema = r#"{"id_types": ["member"], "tags": {"tier": {"type": "category"}}}"#;
    Request::Schema(serde_json::from_str(schema).unwrap())
}

/// A clock that is set by hand, to noon of a day.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn at(day: Date) -> Hand {
        let hand = Hand::default();
        hand.set(day);
        hand
    }

    fn set(&self, day: Date) {
        let noon = day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        self.0.store(noon.timestamp().as_second(), Ordering::Relaxed);
    }

    fn options(&self) -> Options {
        let seconds = self.0.clone();
        let now = move || jiff::Timestamp::from_second(seconds.load(Ordering::Relaxed)).unwrap();
        Options { clock: Clock::new(now), purge_after: Duration::from_secs(3600), ..Options::default() }
    }
}

/// Whoever lives, with their tiers: `a=V1 b=V2`.
fn people(view: &View) -> String {
    let mut said = Vec::new();
    for one_id in 0..view.next_one_id() {
        if view.is_live(OneId(one_id)).unwrap() {
            let member = view.keys_of(IdTypeId(0), OneId(one_id)).unwrap().to_texts().remove(0);
            let code = view.tag(TagId(0)).stripe(0).column().unwrap().value(one_id);
            let tier =
                code.map_or("?", |code| view.tag(TagId(0)).values().text(storage::ValueId(code as u32)).unwrap());
            said.push(format!("{member}={tier}"));
        }
    }
    assert_eq!(said.len() as u32, view.profile_count());
    said.join(" ")
}

fn at(store: &Store, day: Date) -> String {
    people(&store.state(&StateRef::Date(day)).unwrap().view)
}

fn named(store: &Store, name: &str) -> String {
    people(&store.state(&StateRef::Name(name.into())).unwrap().view)
}

fn dates(store: &Store) -> Vec<String> {
    let mut dates: Vec<_> = store.snapshots().unwrap().iter().filter_map(|s| s.date).map(|d| d.to_string()).collect();
    dates.sort();
    dates
}

fn files(dir: &Path, suffix: &str) -> usize {
    let names = |sub: &str| std::fs::read_dir(dir.join("spaces/main").join(sub)).unwrap();
    let all = names("packs").chain(names("snapshots"));
    all.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(suffix)).count()
}

fn check_files(dir: &DataDir) {
    let report = storage::verify::verify_space(&dir.space_dir("main")).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

struct Space {
    temp: tempfile::TempDir,
    hand: Hand,
}

impl Space {
    /// Three members on the first day.
    fn new() -> Space {
        let space = Space { temp: tempfile::tempdir().unwrap(), hand: Hand::at(FIRST) };
        DataDir::open(space.temp.path()).unwrap().create_space("main").unwrap();
        let store = space.open();
        store.write_and_wait(schema()).unwrap();
        store.write_and_wait(tiers(&[("a", "V1"), ("b", "V1"), ("c", "V2")])).unwrap();
        space
    }

    fn dir(&self) -> DataDir {
        DataDir::open(self.temp.path()).unwrap()
    }

    fn open(&self) -> Store {
        self.dir().open_space("main", &self.hand.options()).unwrap()
    }
}

const FIRST: Date = date(2020, 10, 29);

#[test]
fn a_dated_state_holds_what_was_and_writes_no_parts() {
    let space = Space::new();
    let store = space.open();
    store.snapshot(None).unwrap();
    store.snapshot_dated(FIRST).unwrap();
    let packs = files(space.temp.path(), ".pack");
    space.hand.set(date(2020, 11, 2));
    store.write_and_wait(tiers(&[("a", "V4"), ("d", "V1")])).unwrap();
    let info = store.snapshot_dated(date(2020, 11, 1)).unwrap();
    assert_eq!((info.profile_count, info.data_version), (4, 3));
    store.snapshot(Some("before campaign")).unwrap();
    store.write_and_wait(tiers(&[("a", "V2"), ("c", "V5")])).unwrap();
    assert_eq!(files(space.temp.path(), ".pack"), packs, "no part was written");
    let log = std::fs::read_dir(space.temp.path().join("spaces/main/log")).unwrap();
    let log_bytes: u64 = log.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(store.log_bytes(), log_bytes, "all that a start has to read again counts");
    let check = |store: &Store| {
        assert_eq!(at(store, FIRST), "a=V1 b=V1 c=V2");
        assert_eq!(at(store, date(2020, 10, 31)), "a=V1 b=V1 c=V2", "the last one before");
        assert_eq!(at(store, date(2020, 11, 1)), "a=V4 b=V1 c=V2 d=V1");
        assert_eq!(named(store, "before campaign"), "a=V4 b=V1 c=V2 d=V1");
        assert_eq!(at(store, date(2020, 11, 2)), "a=V2 b=V1 c=V5 d=V1", "today is the present");
        assert_eq!(people(&store.view()), "a=V2 b=V1 c=V5 d=V1");
    };
    check(&store);
    let of = |day| store.state(&StateRef::Date(day)).unwrap();
    assert_eq!(of(date(2020, 10, 31)).found, Some(StateRef::Date(FIRST)));
    assert_eq!((of(date(2020, 11, 2)).found, of(FIRST).view.data_version()), (None, 2));
    // New store snapshots cut the log; the states stay, and the next one goes on from them.
    store.snapshot(None).unwrap();
    store.write_and_wait(tiers(&[("b", "V3")])).unwrap();
    store.snapshot_dated(date(2020, 11, 2)).unwrap();
    assert_eq!(at(&store, date(2020, 11, 2)), "a=V2 b=V3 c=V5 d=V1");
    drop(store);
    check_files(&space.dir());
    let store = space.open();
    assert_eq!(at(&store, date(2020, 11, 2)), "a=V2 b=V3 c=V5 d=V1");
    assert_eq!(at(&store, date(2020, 11, 1)), "a=V4 b=V1 c=V2 d=V1");
    assert_eq!(dates(&store), ["2020-10-29", "2020-11-01", "2020-11-02"]);
}

#[test]
fn a_state_that_is_not_there_says_which_are() {
    let space = Space::new();
    let store = space.open();
    let fails = |wanted: StateRef| store.state(&wanted).err();
    assert!(matches!(fails(StateRef::Date(date(2020, 10, 1))), Some(StateError::NoneYet)));
    assert_eq!(at(&store, FIRST), "a=V1 b=V1 c=V2", "today");
    store.snapshot_dated(FIRST).unwrap();
    store.snapshot(Some("x")).unwrap();
    let early = fails(StateRef::Date(date(2020, 10, 28)));
    assert!(matches!(early, Some(StateError::TooEarly { first: FIRST, .. })), "{early:?}");
    assert!(matches!(fails(StateRef::Date(date(2020, 10, 30))), Some(StateError::TooLate { today: FIRST, .. })));
    let unknown = fails(StateRef::Name("y".into()));
    assert!(matches!(unknown, Some(StateError::UnknownName { ref names, .. }) if names == &["x"]), "{unknown:?}");
    assert!(matches!(store.snapshot_dated(date(2020, 10, 30)), Err(Error::Refused { code: "future_date", .. })));
    store.delete_snapshot("x").unwrap();
    assert!(fails(StateRef::Name("x".into())).is_some());
}

#[test]
fn who_is_erased_is_gone_from_earlier_states_at_once() {
    let space = Space::new();
    let store = space.open();
    store.snapshot_dated(FIRST).unwrap();
    store.write_and_wait(tiers(&[("d", "V9")])).unwrap();
    store.snapshot(Some("four")).unwrap();
    store.write_and_wait(tiers(&[("b", "V3")])).unwrap();
    assert_eq!(named(&store, "four"), "a=V1 b=V1 c=V2 d=V9");
    store.write_and_wait(Request::Erase(vec![OneId(0)])).unwrap();
    assert_eq!((named(&store, "four"), at(&store, FIRST)), ("b=V1 c=V2 d=V9".into(), "b=V1 c=V2".into()));
    space.hand.set(date(2020, 10, 30));
    // The purge rewrites parts and stretches; later changes and states go on from what it leaves.
    store.snapshot(None).unwrap();
    store.write_and_wait(Request::Erase(vec![OneId(3)])).unwrap();
    store.snapshot(None).unwrap();
    assert_eq!((named(&store, "four"), at(&store, FIRST)), ("b=V1 c=V2".into(), "b=V1 c=V2".into()));
    store.write_and_wait(tiers(&[("e", "V9"), ("c", "V1")])).unwrap();
    store.snapshot_dated(date(2020, 10, 30)).unwrap();
    drop(store);
    check_files(&space.dir());
    let store = space.open();
    assert_eq!((named(&store, "four"), at(&store, FIRST)), ("b=V1 c=V2".into(), "b=V1 c=V2".into()));
    assert_eq!(at(&store, date(2020, 10, 30)), "b=V3 c=V1 e=V9");
    let counts: Vec<u32> = store.snapshots().unwrap().iter().map(|info| info.profile_count).collect();
    assert_eq!(counts, [3, 2, 2, 2], "the current one is listed too");
}

#[test]
fn a_tag_and_people_that_came_later_are_not_in_earlier_states() {
    let space = Space::new();
    let store = space.open();
    store.snapshot(Some("early")).unwrap();
    let more = r#"{"tags": {"vip": {"type": "flag"}}}"#;
    store.write_and_wait(Request::Schema(serde_json::from_str(more).unwrap())).unwrap();
    store.write_and_wait(tiers(&[("z", "V7")])).unwrap();
    let early = store.state(&StateRef::Name("early".into())).unwrap().view;
    assert_eq!(early.tag(TagId(1)).known_count().unwrap(), 0);
    assert_eq!(early.find_identity(IdTypeId(0), b"z").unwrap(), None);
    assert_eq!(early.tag(TagId(0)).values().find("V7").unwrap(), None);
}

#[test]
fn each_day_leaves_its_state_and_old_ones_thin_out() {
    let space = Space::new();
    let policy = DatedPolicy { daily: 3, weekly: 2, monthly: 12 };
    let store = space.dir().open_space("main", &Options { dated: policy, ..space.hand.options() }).unwrap();
    let wait_for = |day: &str| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while dates(&store).last().map(String::as_str) != Some(day) {
            assert!(Instant::now() < deadline, "{day} is not taken: {:?} {:?}", dates(&store), store.snapshot_error());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    // A first tick, which sees the day.
    std::thread::sleep(Duration::from_millis(1300));
    let mut day = FIRST;
    for n in 1..=7 {
        store.write_and_wait(tiers(&[("a", &format!("day {day}"))])).unwrap();
        let ended = day;
        day = FIRST.checked_add(jiff::Span::new().days(n)).unwrap();
        space.hand.set(day);
        wait_for(&ended.to_string());
    }
    // A Thursday, seven days after the first: three days, the Sunday, and the month's end.
    let wanted = ["2020-10-31", "2020-11-01", "2020-11-02", "2020-11-03", "2020-11-04"];
    let deadline = Instant::now() + Duration::from_secs(5);
    while dates(&store) != wanted && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(dates(&store), wanted);
    assert_eq!(at(&store, date(2020, 10, 31)), "a=day 2020-10-31 b=V1 c=V2");
    assert_eq!(at(&store, date(2020, 11, 3)), "a=day 2020-11-03 b=V1 c=V2");
}

#[test]
fn a_missing_or_damaged_stretch_is_an_error_that_names_the_file() {
    let space = Space::new();
    let store = space.open();
    store.snapshot_dated(FIRST).unwrap();
    store.write_and_wait(tiers(&[("a", "V4")])).unwrap();
    store.snapshot(Some("x")).unwrap();
    store.write_and_wait(tiers(&[("a", "V5")])).unwrap();
    drop(store);
    let dir = space.temp.path().join("spaces/main/snapshots");
    let stretches = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let stretch = stretches.filter(|path| path.extension().is_some_and(|e| e == "changes")).max().unwrap();
    let bytes = std::fs::read(&stretch).unwrap();
    let mut flipped = bytes.clone();
    flipped[60] ^= 4;
    for damaged in [None, Some(&flipped[..]), Some(&bytes[..50])] {
        match damaged {
            Some(bytes) => std::fs::write(&stretch, bytes).unwrap(),
            None => std::fs::remove_file(&stretch).unwrap(),
        }
        let store = space.open();
        let name = stretch.file_name().unwrap().to_string_lossy().into_owned();
        let error = store.state(&StateRef::Name("x".into())).unwrap_err().to_string();
        assert!(error.contains(&name), "{error}");
        assert_eq!(people(&store.view()), "a=V5 b=V1 c=V2", "the present needs none of it");
        drop(store);
        let report = storage::verify::verify_space(&space.dir().space_dir("main")).unwrap();
        assert!(report.problems.iter().any(|problem| problem.contains(&name)), "{report:?}");
        std::fs::write(&stretch, &bytes).unwrap();
    }
}

#[test]
fn files_go_when_nobody_needs_them() {
    let space = Space::new();
    let store = space.open();
    store.snapshot(None).unwrap();
    for n in 0..5 {
        store.write_and_wait(tiers(&[("a", &format!("tier {n}"))])).unwrap();
        store.snapshot(Some(&format!("state {n}"))).unwrap();
        store.snapshot(None).unwrap();
    }
    assert!(files(space.temp.path(), ".changes") >= 4 && files(space.temp.path(), ".pack") >= 2);
    for n in 0..5 {
        store.delete_snapshot(&format!("state {n}")).unwrap();
    }
    store.snapshot(None).unwrap();
    store.write_and_wait(tiers(&[("a", "last")])).unwrap();
    store.snapshot(None).unwrap();
    assert_eq!(files(space.temp.path(), ".changes"), 0);
    assert_eq!(files(space.temp.path(), ".manifest"), 0);
    drop(store);
    check_files(&space.dir());
    assert_eq!(people(&space.open().view()), "a=last b=V1 c=V2");
}

#[test]
fn a_day_that_ended_while_nobody_was_there_is_made_up_for() {
    let space = Space::new();
    let wrote = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // Three days later nothing has changed.
    space.hand.set(wrote.checked_add(jiff::Span::new().days(3)).unwrap());
    let store = space.open();
    let deadline = Instant::now() + Duration::from_secs(20);
    while dates(&store).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    store.write_and_wait(tiers(&[("a", "V4")])).unwrap();
    let of = store.state(&StateRef::Date(wrote.checked_add(jiff::Span::new().days(1)).unwrap())).unwrap();
    assert!(matches!(of.found, Some(StateRef::Date(day)) if day >= wrote && day <= wrote.tomorrow().unwrap()));
    assert_eq!(people(&of.view), "a=V1 b=V1 c=V2");
    assert_eq!(people(&store.view()), "a=V4 b=V1 c=V2");
}

#[test]
fn a_walk_through_days_finds_what_each_of_them_held() {
    let space = Space::new();
    let store = space.open();
    let mut held: Vec<(Date, String)> = Vec::new();
    let days = (0..12).map(|n| FIRST.checked_add(jiff::Span::new().days(n)).unwrap());
    for (day, n) in days.zip(0..) {
        space.hand.set(day);
        let (new, tier) = (format!("n{n}"), format!("V{}", n % 5));
        store.write_and_wait(tiers(&[("a", &tier), (&new, "V1")])).unwrap();
        match n {
            // The parts change under the days.
            4 | 8 => drop(store.snapshot(None).unwrap()),
            // Nobody has a state of this day.
            6 => continue,
            _ => {}
        }
        store.snapshot_dated(day).unwrap();
        held.push((day, people(&store.view())));
    }
    let walked = |store: &Store, days: &mut dyn Iterator<Item = Date>| -> Vec<(Date, String)> {
        let mut walk = store.walk_states();
        days.filter_map(|day| Some((day, people(walk.state(day).unwrap()?)))).collect()
    };
    let all_days = || (-1..14).map(|n| FIRST.checked_add(jiff::Span::new().days(n)).unwrap());
    assert_eq!(walked(&store, &mut all_days()), held);
    assert_eq!(walked(&store, &mut all_days()), held, "from where the first walk ended");
    let mut back = walked(&store, &mut all_days().rev());
    back.reverse();
    assert_eq!(back, held, "backwards");

    // Whoever is erased is in none of them, were it in the middle of a walk, nor after the store was opened again.
    let mut walk = store.walk_states();
    assert_eq!(people(walk.state(held[2].0).unwrap().unwrap()), held[2].1);
    store.write_and_wait(Request::Erase(vec![OneId(0)])).unwrap();
    let without_a: Vec<(Date, String)> =
        held.iter().map(|(day, people)| (*day, people.split_once(' ').unwrap().1.to_string())).collect();
    assert_eq!(people(walk.state(held[3].0).unwrap().unwrap()), without_a[3].1);
    drop(walk);
    assert_eq!(walked(&store, &mut all_days()), without_a);
    for (day, people) in &without_a {
        assert_eq!(at(&store, *day), *people);
    }
    drop(store);
    let store = space.open();
    assert_eq!(walked(&store, &mut all_days()), without_a);
    store.snapshot(None).unwrap();
    assert_eq!(walked(&store, &mut all_days()), without_a, "after the purge");
}

#[test]
fn states_are_asked_while_purges_replace_their_files() {
    let space = Space::new();
    let store = space.open();
    let many: Vec<String> = (0..60).map(|n| format!("m{n}")).collect();
    let tiers_of: Vec<(&str, &str)> = many.iter().map(|member| (&**member, "V1")).collect();
    store.write_and_wait(tiers(&tiers_of[..30])).unwrap();
    store.snapshot(Some("x")).unwrap();
    store.write_and_wait(tiers(&tiers_of)).unwrap();
    store.snapshot_dated(FIRST).unwrap();
    let rounds = 20;
    std::thread::scope(|scope| {
        let asking: Vec<_> = [StateRef::Name("x".into()), StateRef::Date(FIRST)]
            .into_iter()
            .map(|wanted| {
                let store = &store;
                scope.spawn(move || {
                    let (mut last, mut asked) = (u32::MAX, 0);
                    loop {
                        let count = store.state(&wanted).unwrap().view.profile_count();
                        assert!(count <= last, "nobody comes back: {last}, then {count}");
                        (last, asked) = (count, asked + 1);
                        if store.view().profile_count() == 63 - rounds {
                            return asked;
                        }
                    }
                })
            })
            .collect();
        let walking = scope.spawn(|| {
            let mut last = u32::MAX;
            while store.view().profile_count() > 63 - rounds {
                let mut walk = store.walk_states();
                let count = walk.state(FIRST).unwrap().expect("a state of its own").profile_count();
                assert!(count <= last, "nobody comes back: {last}, then {count}");
                last = count;
            }
        });
        for n in 0..rounds {
            // Ten of them are in both states, the others in the later one only.
            store.write_and_wait(Request::Erase(vec![OneId(3 + 20 + n)])).unwrap();
            store.snapshot(None).unwrap();
        }
        walking.join().unwrap();
        for thread in asking {
            assert!(thread.join().unwrap() > 0);
        }
    });
    let count = |wanted| store.state(&wanted).unwrap().view.profile_count();
    assert_eq!((count(StateRef::Name("x".into())), count(StateRef::Date(FIRST))), (23, 43));
    drop(store);
    check_files(&space.dir());
}

#[test]
fn a_state_under_anothers_name_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let hand = Hand::at(date(2020, 11, 5));
    let dir = DataDir::open(home.path()).unwrap();
    dir.create_space("main").unwrap();
    let store = dir.open_space("main", &hand.options()).unwrap();
    store.write_and_wait(schema()).unwrap();
    for (tier, name) in [("V1", "first"), ("V2", "second")] {
        store.write_and_wait(tiers(&[("a", tier)])).unwrap();
        store.snapshot(Some(name)).unwrap();
    }
    drop(store);
    let path = |name: &str| dir.space_dir("main").join("snapshots").join(format!("{name}.manifest"));
    std::fs::copy(path("first"), path("second")).unwrap();
    let store = dir.open_space("main", &Options { read_only: true, ..hand.options() }).unwrap();
    for name in ["first", "second"] {
        let asked = store.state(&StateRef::Name(name.into()));
        assert!(matches!(asked, Err(StateError::Failed(Error::Corrupt { .. }))), "{name}");
    }
    assert!(storage::verify::verify_space(&dir.space_dir("main")).is_err());
}
