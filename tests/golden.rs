//! Golden files: a store of every on-disk format as format version 1 wrote it, with the answers that it must keep giving.
//! Later versions must keep reading `tests/golden/`; it is never written again, but joined by a second one beside it.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes `tests/golden/store` and `answers.txt` anew, for a format that was
//! never released. Times inside manifests differ from run to run, so the files are only ever read.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use headcount::engine::{
    CrosstabRequest, DistributionRequest, Engine, EngineOptions, MembersRequest, Question, Space, UpsertOptions, Where,
};
use storage::{OneId, Request};

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

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn options() -> EngineOptions {
    EngineOptions { threads: 1, ..EngineOptions::default() }
}

/// Everything that is asked, with its answer, as text.
fn answers(space: &Space) -> String {
    let mut said = format!("data version {}\n", space.store().view().data_version());
    for text in CONDITIONS {
        let question = Question { audience: Some(Where::Text((*text).into())), ..Question::default() };
        said += &format!("{text} → {}\n", space.count(&question, false).unwrap().value.count);
    }
    let all = Question::default();
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
    kept.sort_by_key(|info| (info.data_version, info.name.clone()));
    for info in kept {
        said +=
            &format!("snapshot {:?} of data version {}, {} people\n", info.name, info.data_version, info.profile_count);
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
fn golden_copy() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    copy(&golden().join("store"), home.path());
    home
}

fn write_golden() {
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::open(home.path(), &options()).unwrap();
    let schema = r#"{"time_zone": "Asia/Shanghai", "id_types": ["member", "phone"], "tags": {"age": {"type": "number"},
        "spend": {"type": "number", "scale": 2}, "city": {"type": "category"}, "likes": {"type": "set"},
        "born": {"type": "date"}, "vip": {"type": "flag"}}}"#;
    let space = engine.put_space("main", serde_json::from_str(schema).unwrap()).unwrap();
    let upsert = |from: u32, to: u32| {
        let likes = ["[\"yoga\"]", "[\"yoga\",\"tea\"]", "[]", "[\"golf\"]", "[\"tea\",\"golf\",\"chess\"]"];
        let cities = ["\"Shanghai\"", "\"Hangzhou\"", "null", "\"Paris\"", "\"上海\"", "\"\""];
        let line = |n: u32| {
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
        };
        let (sender, receiver) = mpsc::channel();
        let body: String = (from..to).map(line).collect();
        space.upsert_lines(body.as_bytes(), UpsertOptions::default(), move |a| sender.send(a).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap();
    };
    upsert(0, 24);
    space.store().snapshot(Some("before campaign")).unwrap();
    upsert(20, 30);
    space.store().write_and_wait(Request::Erase(vec![OneId(4)])).unwrap();
    space.store().snapshot(Some("second")).unwrap();
    // And a log: upserts, more schema, somebody erased, a bitmap.
    upsert(28, 34);
    let more = r#"{"id_types": ["e_mail"], "tags": {"tier": {"type": "category"}}}"#;
    space.extend_schema(serde_json::from_str(more).unwrap()).unwrap();
    space.store().write_and_wait(Request::Erase(vec![OneId(11)])).unwrap();
    let tier = space.store().view().schema().tag("tier").unwrap().0;
    let one_ids = [1, 2, 3, 30].into_iter().collect();
    let upload = storage::BitmapUpload { tag: tier, value: "V4".into(), one_ids, mode: storage::UploadMode::Set };
    space.store().write_and_wait(Request::Bitmap(upload)).unwrap();
    let said = answers(&space);
    drop((space, engine));
    std::fs::remove_file(home.path().join("lock")).unwrap();
    let _ = std::fs::remove_dir_all(golden().join("store"));
    copy(home.path(), &golden().join("store"));
    std::fs::write(golden().join("answers.txt"), said).unwrap();
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
    updated();
    let wanted = std::fs::read_to_string(golden().join("answers.txt")).unwrap();
    let home = golden_copy();
    let report = storage::verify::verify_space(&home.path().join("spaces/main")).unwrap();
    assert!(report.problems.is_empty() && report.kept == 2 && report.log_records >= 4, "{report:?}");
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
    for (file, at) in newer_places() {
        let home = golden_copy();
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
                bytes = text.replacen("headcount manifest 1 ", "headcount manifest 99 ", 1).into_bytes();
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        // What only a kept snapshot needs is looked at by a verification.
        let refused = match Engine::open(home.path(), &options()) {
            Err(headcount::engine::Error::Storage(error)) => Some(error),
            Err(other) => panic!("{file}: {other}"),
            Ok(_) => storage::verify::verify_space(&home.path().join("spaces/main")).err(),
        };
        assert!(matches!(refused, Some(storage::Error::Newer { found: 99, .. })), "{file}: {refused:?}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{file} was changed");
    }
}

/// Files of each format, and where their format number stands.
fn newer_places() -> Vec<(String, Option<usize>)> {
    let mut places = vec![("manifest".to_string(), None)];
    for (dir, suffix) in [("log", "log"), ("packs", "pack")] {
        for entry in std::fs::read_dir(golden().join("store/spaces/main").join(dir)).unwrap() {
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
    if file.ends_with("log") { 24 } else { 56 }
}
