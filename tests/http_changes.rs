//! Changes of audiences over HTTP: who entered and left, once and in order, as NDJSON and as server-sent events.

mod http_client;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use headcount::engine::EngineOptions;
use http_client::{Client, MAIN, Server, connect, read_line};
use serde_json::{Value, json};
use storage::Clock;

/// Six people of 20 to 25 years; 0 to 2 live in Rome.
fn town() -> Server {
    let server = Server::start();
    fill(&mut server.client());
    server
}

fn fill(client: &mut Client) {
    let schema = json!({"id_types": ["member", "phone"], "tags": {"city": {"type": "category"},
        "age": {"type": "number"}, "joined": {"type": "date"}}, "events": {"visit": {"properties": {}}}});
    client.put(MAIN, &schema).expect(200);
    let people: String = (0..6)
        .map(|n| {
            let city = if n < 3 { "Rome" } else { "Oslo" };
            let id = json!({"member": format!("m{n}"), "phone": format!("1{n}")});
            format!("{}\n", json!({"id": id, "set": {"city": city, "age": 20 + n}}))
        })
        .collect();
    client.post_text(&format!("{MAIN}/profiles"), &people).expect(200);
    save(client, "romans", "city = 'Rome'");
}

fn save(client: &mut Client, name: &str, definition: impl Into<Value>) -> Value {
    client.put(&format!("{MAIN}/audiences/{name}"), &json!({"where": definition.into()})).expect(200)
}

fn sets(client: &mut Client, member: u32, set: Value) -> u64 {
    let line = json!({"id": {"member": format!("m{member}")}, "set": set}).to_string();
    client.post_text(&format!("{MAIN}/profiles"), &line).expect(200)["data_version"].as_u64().unwrap()
}

fn lives(client: &mut Client, member: u32, city: &str) -> u64 {
    sets(client, member, json!({"city": city}))
}

/// Changes as (who, which way), and the last line.
fn changes(client: &mut Client, name: &str, query: &str) -> (Vec<(u64, String)>, Value) {
    let answer = client.get(&format!("{MAIN}/audiences/{name}/changes{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let mut lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.pop().unwrap();
    assert!(end["cursor"].is_string() && end["count"].is_u64(), "{end}");
    (lines.iter().map(change_of).collect(), end)
}

fn change_of(line: &Value) -> (u64, String) {
    (line["one_id"].as_u64().unwrap(), line["change"].as_str().unwrap().into())
}

fn cursor(end: &Value) -> String {
    format!("?since={}", end["cursor"].as_str().unwrap())
}

fn moved(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(one_id, change)| (*one_id, (*change).to_string())).collect()
}

#[test]
fn each_entry_and_exit_is_told_once_and_in_order() {
    let server = town();
    let mut client = server.client();
    let (told, end) = changes(&mut client, "romans", "");
    assert_eq!((told, &end["count"], &end["more"]), (vec![], &json!(3), &json!(false)));
    let start = cursor(&end);
    lives(&mut client, 4, "Rome");
    lives(&mut client, 1, "Oslo");
    lives(&mut client, 2, "Rome");
    let (told, end) = changes(&mut client, "romans", &start);
    assert_eq!((told, &end["count"]), (moved(&[(4, "entered"), (1, "left")]), &json!(3)));
    assert_eq!(changes(&mut client, "romans", &cursor(&end)).0, vec![], "once");
    // Whoever comes and goes between two questions is told of, too, whatever comes between.
    for city in ["Oslo", "Rome", "Oslo"] {
        lives(&mut client, 4, city);
    }
    client.delete(&format!("{MAIN}/profiles/member/m0")).expect(200);
    lives(&mut client, 7, "Rome");
    let wanted = [(4, "left"), (4, "entered"), (4, "left"), (0, "left"), (6, "entered")];
    let (told, last) = changes(&mut client, "romans", &cursor(&end));
    assert_eq!((told, &last["count"]), (moved(&wanted), &json!(2)));
    // An old cursor gives all of it again; a limit gives it in pieces.
    let all = changes(&mut client, "romans", &start).0;
    assert_eq!(all.len(), 7);
    let (mut pieces, mut from) = (Vec::new(), start);
    loop {
        let (told, end) = changes(&mut client, "romans", &format!("{from}&limit=2"));
        pieces.extend(told);
        from = cursor(&end);
        if end["more"] == false {
            break;
        }
    }
    assert_eq!(pieces, all);
    let answer = client.get(&format!("{MAIN}/audiences/romans/changes{from}&ids=member,phone"));
    assert_eq!(answer.text().lines().count(), 1);
    lives(&mut client, 3, "Rome");
    let answer = client.get(&format!("{MAIN}/audiences/romans/changes{from}&ids=member,phone"));
    let line: Value = serde_json::from_str(answer.text().lines().next().unwrap()).unwrap();
    assert_eq!((&line["one_id"], &line["ids"]), (&json!(3), &json!({"member": "m3", "phone": "13"})));
    assert!(line["at"].as_str().unwrap().contains('T') && line["data_version"].is_u64() && line["cursor"].is_string());
}

#[test]
fn every_kind_of_dependence_is_seen() {
    let server = town();
    let mut client = server.client();
    save(&mut client, "old_romans", "in_audience('romans') AND age >= 22");
    save(&mut client, "eldest", "one_id IN (SELECT one_id FROM profiles ORDER BY age DESC LIMIT 2)");
    save(&mut client, "visitors", "EXISTS (SELECT 1 FROM visit)");
    save(&mut client, "nameless", "NOT in_audience('romans') AND phone IS NULL");
    save(&mut client, "listed", "member IN ('m1', 'm9')");
    let mut from = BTreeMap::new();
    let names = ["old_romans", "eldest", "visitors", "nameless", "listed"];
    for name in names {
        from.insert(name, cursor(&changes(&mut client, name, "").1));
    }
    let mut told = |client: &mut Client, name: &'static str| {
        let (told, end) = changes(client, name, &from[name]);
        from.insert(name, cursor(&end));
        told
    };
    // Another person's number moves a top N.
    sets(&mut client, 0, json!({"age": 60}));
    assert_eq!(told(&mut client, "eldest"), moved(&[(0, "entered"), (4, "left")]));
    assert_eq!(told(&mut client, "old_romans"), moved(&[(0, "entered")]));
    let visit = json!({"id": {"member": "m5"}, "event": "visit", "at": "2026-01-01T10:00:00Z"}).to_string();
    client.post_text(&format!("{MAIN}/events"), &visit).expect(200);
    assert_eq!(told(&mut client, "visitors"), moved(&[(5, "entered")]));
    lives(&mut client, 9, "Oslo");
    assert_eq!(told(&mut client, "nameless"), moved(&[(6, "entered")]));
    assert_eq!(told(&mut client, "listed"), moved(&[(6, "entered")]));
    // What it is built on is defined anew.
    save(&mut client, "romans", "city = 'Oslo'");
    assert_eq!(
        told(&mut client, "old_romans"),
        moved(&[(0, "left"), (2, "left"), (3, "entered"), (4, "entered"), (5, "entered")])
    );
    assert_eq!(told(&mut client, "nameless"), moved(&[(6, "left")]));
    // A bitmap of people; and one that is built on a snapshot which is taken again.
    let bitmap = storage::portable::write_portable(&[0u32, 1, 5].into_iter().collect());
    let path = format!("{MAIN}/bitmaps/city/Oslo");
    client.call("POST", &path, &[("Content-Type", "application/vnd.roaring")], Some(&bitmap)).expect(200);
    assert_eq!(told(&mut client, "old_romans"), moved(&[(0, "entered"), (3, "left"), (4, "left")]));
    client.post(&format!("{MAIN}/audiences/romans/freeze"), &json!({})).expect(200);
    save(&mut client, "new", "in_audience('romans') AND NOT in_snapshot('romans', CURRENT_DATE)");
    let start = cursor(&changes(&mut client, "new", "").1);
    lives(&mut client, 3, "Oslo");
    client.post(&format!("{MAIN}/audiences/romans/freeze"), &json!({})).expect(200);
    assert_eq!(changes(&mut client, "new", &start).0, moved(&[(3, "entered"), (3, "left")]));
}

#[test]
fn since_a_snapshot_is_who_entered_and_left_since_then() {
    let server = town();
    let mut client = server.client();
    let today = client.post(&format!("{MAIN}/audiences/romans/freeze"), &json!({})).expect(200)["date"].clone();
    let since = format!("?since={}", today.as_str().unwrap());
    lives(&mut client, 4, "Rome");
    lives(&mut client, 1, "Oslo");
    client.delete(&format!("{MAIN}/profiles/member/m0")).expect(200);
    let (told, end) = changes(&mut client, "romans", &since);
    assert_eq!(told, moved(&[(1, "left"), (4, "entered")]), "of those who live");
    lives(&mut client, 1, "Rome");
    assert_eq!(changes(&mut client, "romans", &cursor(&end)).0, moved(&[(1, "entered")]));
    let (status, code, _) = client.get(&format!("{MAIN}/audiences/romans/changes?since=2020-01-01")).failure();
    assert_eq!((status, &*code), (404, "unknown_snapshot"));
}

#[test]
fn what_cannot_be_told_is_gone_and_says_from_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::with(dir, |_| {});
    let mut client = server.client();
    fill(&mut client);
    let before = changes(&mut client, "romans", "").1;
    client.post(&format!("{MAIN}/audiences/romans/freeze"), &json!({})).expect(200);
    lives(&mut client, 4, "Rome");
    let path = |query: &str| format!("{MAIN}/audiences/romans/changes{query}");
    for (query, code) in
        [("?since=yesterday", "bad_cursor"), ("?limit=0", "bad_parameter"), ("?from=1", "unknown_parameter")]
    {
        assert_eq!(client.get(&path(query)).failure().1, code, "{query}");
    }
    assert_eq!(client.get(&path("?ids=membre")).failure().1, "unknown_id_type");
    assert_eq!(client.get(&path("?since=1-5")).failure().0, 410);
    assert_eq!(client.get(&format!("{MAIN}/audiences/nobody/changes")).failure().1, "unknown_audience");
    // A cursor from before a restart is not answered with less than everything.
    drop(client);
    let mut server = server;
    server.stop.stop();
    server.thread.take().unwrap().join().unwrap().unwrap();
    let dir = std::mem::replace(&mut server.dir, tempfile::tempdir().unwrap());
    drop(server);
    let server = Server::with(dir, |_| {});
    let mut client = server.client();
    let answer = client.get(&path(&cursor(&before))).expect(410);
    assert_eq!(answer["error"]["code"], "changes_gone");
    let hint = answer["error"]["hint"].as_str().unwrap();
    let since = hint.split("since=").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert_eq!(changes(&mut client, "romans", &format!("?since={since}")).0, moved(&[(4, "entered")]), "{hint}");
}

/// A stream of events, as a client reads it.
struct Events(TcpStream);

impl Events {
    fn open(server: &Server, name: &str, query: &str, last: Option<&str>) -> Events {
        let mut stream = connect(server.address);
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let head = format!(
            "GET {MAIN}/audiences/{name}/changes{query} HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n{last}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut head = Vec::new();
        while let Some(line) = read_line(&mut stream).filter(|line| !line.is_empty()) {
            head.push(line);
        }
        assert!(head[0].contains("200") && head.iter().any(|line| line.contains("text/event-stream")), "{head:?}");
        Events(stream)
    }

    /// One chunk of the body; nothing at its end.
    fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&read_line(&mut self.0)?, 16).unwrap();
        let mut chunk = vec![0; length];
        self.0.read_exact(&mut chunk).ok()?;
        read_line(&mut self.0)?;
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// Reads until there are so many events of some kinds: their ids, kinds and data.
    fn read(&mut self, count: usize, kinds: &[&str]) -> Vec<(String, String, Value)> {
        let (mut text, mut found) = (String::new(), Vec::new());
        while found.len() < count {
            text += &self.chunk().expect("the stream goes on");
            while let Some((event, rest)) = text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or("").trim().to_string()
                };
                if kinds.contains(&field("event:").as_str()) {
                    let data = serde_json::from_str(&field("data:")).unwrap();
                    found.push((field("id:"), field("event:"), data));
                }
                text = rest.to_string();
            }
        }
        found
    }
}

const BOTH: [&str; 2] = ["entered", "left"];

#[test]
fn a_stream_tells_changes_within_a_second_and_goes_on_where_it_broke_off() {
    let server = town();
    let mut client = server.client();
    let mut events = Events::open(&server, "romans", "", None);
    let first = events.read(1, &["cursor"]);
    assert_eq!(first[0].2["count"], 3);
    let start = Instant::now();
    let version = lives(&mut client, 4, "Rome");
    let told = events.read(1, &BOTH);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(
        (&told[0].1, &told[0].2["one_id"], &told[0].2["data_version"]),
        (&"entered".into(), &json!(4), &json!(version))
    );
    drop(events);
    lives(&mut client, 4, "Oslo");
    lives(&mut client, 5, "Rome");
    let mut events = Events::open(&server, "romans", "", Some(&told[0].0));
    let told = events.read(2, &BOTH);
    let told: Vec<_> = told.iter().map(|(_, _, data)| change_of(data)).collect();
    assert_eq!(told, moved(&[(4, "left"), (5, "entered")]));
    // Deleting the audience ends it, and says why.
    client.delete(&format!("{MAIN}/audiences/romans")).expect(200);
    assert_eq!(events.read(1, &["error"])[0].2["error"]["code"], "unknown_audience");
    assert_eq!(events.chunk(), None);
}

#[test]
fn streams_end_when_the_server_stops_and_hold_it_up_for_nothing() {
    let server = town();
    let mut streams: Vec<Events> = (0..20).map(|_| Events::open(&server, "romans", "", None)).collect();
    streams.iter_mut().for_each(|events| assert_eq!(events.read(1, &["cursor"]).len(), 1));
    let mut server = server;
    let start = Instant::now();
    server.stop.stop();
    server.thread.take().unwrap().join().unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // Whole: the last chunk came.
    streams.iter_mut().for_each(|events| assert_eq!(events.chunk().filter(|text| !text.is_empty()), None));
}

#[test]
fn people_expire_from_a_sliding_window_at_midnight() {
    let now = Arc::new(AtomicI64::new(
        jiff::civil::date(2026, 3, 10).at(23, 0, 0, 0).in_tz("UTC").unwrap().timestamp().as_second(),
    ));
    let shown = now.clone();
    let mut options = EngineOptions { threads: 2, ..EngineOptions::default() };
    options.store.clock = Clock::new(move || jiff::Timestamp::from_second(shown.load(Ordering::SeqCst)).unwrap());
    let server = Server::with_engine(tempfile::tempdir().unwrap(), options, |_| {});
    let mut client = server.client();
    fill(&mut client);
    for (member, joined) in [(0, "2026-03-01"), (1, "2026-03-02"), (2, "2026-03-10")] {
        sets(&mut client, member, json!({"joined": joined}));
    }
    save(&mut client, "recent", "joined >= CURRENT_DATE - 9");
    let mut events = Events::open(&server, "recent", "", None);
    assert_eq!(events.read(1, &["cursor"])[0].2["count"], 3);
    now.fetch_add(2 * 3600, Ordering::SeqCst);
    let told = events.read(1, &BOTH);
    assert_eq!(change_of(&told[0].2), (0, "left".into()), "nobody wrote anything");
    now.fetch_add(24 * 3600, Ordering::SeqCst);
    assert_eq!(change_of(&events.read(1, &BOTH)[0].2), (1, "left".into()));
}

#[test]
fn a_trend_is_told_by_snapshot_and_by_day() {
    let server = town();
    let mut client = server.client();
    let keep = |client: &mut Client, day: u32| {
        let date = json!({"date": format!("2026-03-{day:02}")});
        client.post(&format!("{MAIN}/snapshots"), &date);
        client.post(&format!("{MAIN}/audiences/romans/freeze"), &date).expect(200);
    };
    save(&mut client, "recent", "joined >= CURRENT_DATE - 1");
    sets(&mut client, 5, json!({"joined": "2026-03-01"}));
    keep(&mut client, 1);
    lives(&mut client, 4, "Rome");
    lives(&mut client, 1, "Oslo");
    keep(&mut client, 2);
    lives(&mut client, 5, "Rome");
    keep(&mut client, 4);
    client.delete(&format!("{MAIN}/profiles/member/m0")).expect(200);
    let mut rows = |query: &str| {
        let answer = client.get(&format!("{MAIN}/audiences/{query}")).expect(200);
        let rows = answer["rows"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| json!([row["date"], row["count"], row["living"], row["entered"], row["left"]]))
            .collect::<Vec<_>>()
    };
    let by_freeze =
        [json!(["2026-03-01", 3, 2, null, null]), json!(["2026-03-02", 3, 2, 1, 1]), json!(["2026-03-04", 4, 3, 1, 0])];
    assert_eq!(rows("romans/trend"), by_freeze);
    assert_eq!(rows("romans/trend?from=2026-03-02&to=2026-03-03"), by_freeze[1..2]);
    let by_day =
        [json!(["2026-03-01", 2, 2, null, null]), json!(["2026-03-02", 2, 2, 1, 1]), json!(["2026-03-04", 3, 3, 1, 0])];
    assert_eq!(rows("romans/trend?by=day"), by_day);
    assert_eq!(rows("romans/trend?by=day&from=2026-03-03"), by_day[2..]);
    // CURRENT_DATE is the day of each row.
    let recent =
        [json!(["2026-03-01", 1, 1, null, null]), json!(["2026-03-02", 1, 1, 0, 0]), json!(["2026-03-04", 0, 0, 0, 1])];
    assert_eq!(rows("recent/trend?by=day"), recent);
    // As remembered; and with some of it remembered alone.
    assert_eq!(rows("recent/trend?by=day"), recent);
    assert_eq!((rows("romans/trend"), rows("romans/trend?by=day")), (by_freeze.to_vec(), by_day.to_vec()));
    let mut other = server.client();
    lives(&mut other, 6, "Rome");
    keep(&mut other, 5);
    other.delete(&format!("{MAIN}/profiles/member/m5")).expect(200);
    let frozen = |at: usize, living: u64, entered: u64| {
        let mut row = by_freeze[at].clone();
        (row[2], row[3]) = (json!(living), if at == 0 { Value::Null } else { json!(entered) });
        row
    };
    let all = [frozen(0, 2, 0), frozen(1, 2, 1), frozen(2, 2, 0), json!(["2026-03-05", 4, 3, 1, 0])];
    assert_eq!(rows("romans/trend"), all);
    let living = |day: &str, living: u64, entered: Value, left: Value| json!([day, living, living, entered, left]);
    let by_day = [
        living("2026-03-01", 2, json!(null), json!(null)),
        living("2026-03-02", 2, json!(1), json!(1)),
        living("2026-03-04", 2, json!(0), json!(0)),
        living("2026-03-05", 3, json!(1), json!(0)),
    ];
    assert_eq!(rows("romans/trend?by=day"), by_day);
    assert_eq!(rows("romans/trend?by=day"), by_day);
    assert_eq!(client.get(&format!("{MAIN}/audiences/nobody/trend")).failure().1, "unknown_audience");
    assert_eq!(client.get(&format!("{MAIN}/audiences/romans/trend?by=week")).failure().1, "bad_parameter");
    assert_eq!(client.get(&format!("{MAIN}/audiences/romans/trend?from=monday")).failure().1, "bad_date");
}

/// What is told adds up to who is in it, whoever writes what, and however much at once.
#[test]
fn changes_of_many_writers_lead_from_the_first_members_to_the_last() {
    let server = town();
    let mut client = server.client();
    let definitions =
        [("romans", "city = 'Rome'"), ("odd", "in_audience('romans') AND age > 30 OR NOT city = 'Oslo' AND age < 20")];
    for (name, definition) in definitions {
        save(&mut client, name, definition);
    }
    let starts = definitions.map(|(name, _)| {
        let members = members(&mut client, name);
        (name, cursor(&changes(&mut client, name, "").1), members)
    });
    std::thread::scope(|scope| {
        for writer in 0..3u32 {
            let mut client = server.client();
            scope.spawn(move || {
                let mut seed = writer + 1;
                for _ in 0..60 {
                    let mut random = || {
                        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                        seed >> 16
                    };
                    let people: String = (0..1 + random() % 20)
                        .map(|_| {
                            let city = ["Rome", "Oslo", "Bern"][(random() % 3) as usize];
                            let set = json!({"city": city, "age": 10 + random() % 40});
                            format!("{}\n", json!({"id": {"member": format!("m{}", random() % 50)}, "set": set}))
                        })
                        .collect();
                    client.post_text(&format!("{MAIN}/profiles"), &people).expect(200);
                }
            });
        }
    });
    for (name, start, mut known) in starts {
        let (told, end) = changes(&mut client, name, &start);
        assert!(told.len() > 100, "{name}: {}", told.len());
        for (one_id, change) in told {
            let is_new = if change == "entered" { known.insert(one_id) } else { known.remove(&one_id) };
            assert!(is_new, "{name}: {one_id} {change} twice");
        }
        assert_eq!(known, members(&mut client, name), "{name}");
        assert_eq!(end["count"].as_u64().unwrap() as usize, known.len());
    }
}

fn members(client: &mut Client, name: &str) -> BTreeSet<u64> {
    let asked = json!({"where": format!("in_audience('{name}')"), "ids": []});
    let answer = client.members("application/x-ndjson", &asked);
    let lines = answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["one_id"].as_u64().unwrap()).collect()
}
