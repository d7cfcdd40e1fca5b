//! Frozen audiences over HTTP: kept by day, asked with in_snapshot, listed, let go; on people that can be counted by eye.

mod http_client;

use headcount::engine::{Engine, EngineOptions};
use http_client::{Client, MAIN, Server};
use serde_json::{Value, json};

/// Twelve people: 0 to 5 live in Rome, the others in Oslo; every third is a member of the club.
fn town() -> Server {
    let server = Server::start();
    let mut client = server.client();
    let schema = json!({"id_types": ["member"], "tags": {"city": {"type": "category"}, "club": {"type": "flag"},
        "joined": {"type": "date"}}});
    client.put(MAIN, &schema).expect(200);
    let people: String = (0..12)
        .map(|n| {
            let city = if n < 6 { "Rome" } else { "Oslo" };
            let joined = format!("2026-01-{:02}", n + 1);
            let set = json!({"city": city, "club": n % 3 == 0, "joined": joined});
            format!("{}\n", json!({"id": {"member": format!("{n}")}, "set": set}))
        })
        .collect();
    client.post_text(&format!("{MAIN}/profiles"), &people).expect(200);
    save(&mut client, "romans", "city = 'Rome'");
    server
}

fn save(client: &mut Client, name: &str, definition: impl Into<Value>) -> Value {
    client.put(&format!("{MAIN}/audiences/{name}"), &json!({"where": definition.into()})).expect(200)
}

fn moves(client: &mut Client, member: u32, city: &str) {
    let line = json!({"id": {"member": format!("{member}")}, "set": {"city": city}}).to_string();
    client.post_text(&format!("{MAIN}/profiles"), &line).expect(200);
}

/// Keeps the present as the state of an earlier day, and an audience as it is in it.
fn freeze_on(client: &mut Client, name: &str, date: &str) -> Value {
    client.post(&format!("{MAIN}/snapshots"), &json!({"date": date}));
    client.post(&format!("{MAIN}/audiences/{name}/freeze"), &json!({"date": date})).expect(200)
}

fn snapshots(client: &mut Client, name: &str) -> Vec<(String, u64, u64)> {
    let list = client.get(&format!("{MAIN}/audiences/{name}/snapshots")).expect(200);
    let number = |value: &Value| value.as_u64().unwrap();
    let all = list["snapshots"].as_array().unwrap().iter();
    all.map(|s| (s["date"].as_str().unwrap().into(), number(&s["count"]), number(&s["living"]))).collect()
}

#[test]
fn a_snapshot_stays_as_it_was_whoever_comes_and_goes() {
    let server = town();
    let mut client = server.client();
    let frozen = freeze_on(&mut client, "romans", "2026-11-01");
    assert_eq!(
        (&frozen["name"], &frozen["date"], &frozen["count"], &frozen["living"], &frozen["version"]),
        (&json!("romans"), &json!("2026-11-01"), &json!(6), &json!(6), &json!(1))
    );
    moves(&mut client, 0, "Oslo");
    moves(&mut client, 7, "Rome");
    moves(&mut client, 12, "Rome");
    assert_eq!(client.count("in_snapshot('romans', DATE '2026-11-01')"), 6);
    assert_eq!(client.count("NOT in_snapshot('romans', DATE '2026-11-01')"), 7);
    assert_eq!(client.count("in_audience('romans') AND NOT in_snapshot('romans', DATE '2026-11-01')"), 2);
    assert_eq!(client.count("in_snapshot('romans', '2026-11-01') AND NOT in_audience('romans')"), 1);
    let tree = json!({"combinator": "and", "rules": [{"snapshot": "romans", "on": "2026-11-01"},
        {"field": "club", "operator": "=", "value": true}]});
    assert_eq!(client.count(tree), 2);
    // The definition may change, the snapshot does not.
    save(&mut client, "romans", "city = 'Rome' AND club");
    let again = freeze_on(&mut client, "romans", "2026-11-02");
    assert_eq!((&again["count"], &again["version"]), (&json!(1), &json!(2)));
    assert_eq!(client.count("in_snapshot('romans', DATE '2026-11-01')"), 6);
    assert_eq!(client.count("in_snapshot('romans', DATE '2026-11-02')"), 1);
    // Erased people go from it.
    client.delete(&format!("{MAIN}/profiles/member/3")).expect(200);
    assert_eq!(client.count("in_snapshot('romans', DATE '2026-11-01')"), 5);
    assert_eq!(client.count("NOT in_snapshot('romans', DATE '2026-11-01')"), 7);
    let all = [("2026-11-01".into(), 6, 5), ("2026-11-02".into(), 1, 0)];
    assert_eq!(snapshots(&mut client, "romans"), all);
}

#[test]
fn today_is_frozen_unless_another_day_is_said_and_the_same_day_takes_its_place() {
    let server = town();
    let mut client = server.client();
    let path = format!("{MAIN}/audiences/romans/freeze");
    let first = client.post(&path, &json!({})).expect(200);
    moves(&mut client, 0, "Oslo");
    let second = client.call("POST", &path, &[], None).expect(200);
    assert_eq!((&first["count"], &second["count"], &first["date"]), (&json!(6), &json!(5), &second["date"]));
    assert!(first["data_version"].as_u64() < second["data_version"].as_u64());
    assert_eq!(snapshots(&mut client, "romans").len(), 1);
    assert_eq!(client.count("in_snapshot('romans', CURRENT_DATE)"), 5);
    let refused = |client: &mut Client, body: Value| client.post(&path, &body).failure();
    let (status, code, at) = refused(&mut client, json!({"date": "2999-01-01"}));
    assert_eq!((status, &*code, &*at), (400, "future_date", r#"{"pointer":"/date"}"#));
    assert_eq!(refused(&mut client, json!({"date": "2020-01-01"})).1, "unknown_state");
    assert_eq!(refused(&mut client, json!({"date": "tomorrow"})).1, "bad_date");
    assert_eq!(refused(&mut client, json!({"day": "2020-01-01"})).1, "unknown_key");
    let (status, code, _) = client.post(&format!("{MAIN}/audiences/roman/freeze"), &json!({})).failure();
    assert_eq!((status, &*code), (404, "unknown_audience"));
}

#[test]
fn an_earlier_day_is_frozen_as_it_was_at_its_end() {
    let server = town();
    let mut client = server.client();
    save(&mut client, "recent", "joined >= CURRENT_DATE - 10");
    client.post(&format!("{MAIN}/snapshots"), &json!({"date": "2026-01-15"}));
    moves(&mut client, 0, "Oslo");
    let freeze = |client: &mut Client, name: &str| {
        client.post(&format!("{MAIN}/audiences/{name}/freeze"), &json!({"date": "2026-01-15"})).expect(200)
    };
    assert_eq!(freeze(&mut client, "romans")["count"], 6, "0 lived in Rome then");
    assert_eq!(freeze(&mut client, "recent")["count"], 8, "from the 5th on");
}

#[test]
fn a_day_without_a_snapshot_is_told_with_those_that_there_are() {
    let server = town();
    let mut client = server.client();
    let ask =
        |client: &mut Client, text: &str| client.ask("count", &json!({"where": text})).expect(400)["error"].clone();
    let error = ask(&mut client, "club AND in_snapshot('romans', DATE '2026-11-01')");
    assert_eq!((&error["code"], &error["at"]["column"]), (&json!("unknown_snapshot"), &json!(32)));
    assert!(error["hint"].as_str().unwrap().contains("never frozen"), "{error}");
    freeze_on(&mut client, "romans", "2026-11-01");
    let error = ask(&mut client, "in_snapshot('romans', DATE '2026-10-31')");
    assert!(error["hint"].as_str().unwrap().contains("2026-11-01"), "{error}");
    let error = ask(&mut client, "in_snapshot('roman', DATE '2026-11-01')");
    assert_eq!((&error["code"], &error["at"]["column"]), (&json!("unknown_audience"), &json!(13)));
    assert!(error["hint"].as_str().unwrap().contains("romans"), "{error}");
    let tree = json!({"combinator": "and", "rules": [{"snapshot": "romans", "on": "2026-10-31"}]});
    let error = client.ask("count", &json!({"where": tree})).expect(400)["error"].clone();
    assert_eq!(error["at"]["pointer"], "/rules/0/on", "{error}");
}

#[test]
fn what_is_in_use_is_not_let_go() {
    let server = town();
    let mut client = server.client();
    freeze_on(&mut client, "romans", "2026-11-01");
    freeze_on(&mut client, "romans", "2026-11-02");
    save(&mut client, "stayed", "in_audience('romans') AND in_snapshot('romans', DATE '2026-11-01')");
    let shown = client.get(&format!("{MAIN}/audiences/romans")).expect(200);
    assert_eq!((&shown["used_by"], &shown["uses"]), (&json!(["stayed"]), &json!([])));
    let of = |date: &str| format!("{MAIN}/audiences/romans/snapshots/{date}");
    let answer = client.delete(&of("2026-11-01")).expect(409);
    assert_eq!(answer["error"]["code"], "snapshot_in_use");
    assert!(answer["error"]["message"].as_str().unwrap().contains("stayed"));
    client.delete(&of("2026-11-02")).expect(200);
    let (status, code, _) = client.delete(&of("2026-11-02")).failure();
    assert_eq!((status, &*code), (404, "unknown_snapshot"));
    assert_eq!(client.delete(&of("yesterday")).failure().1, "bad_date");
    // An audience whose snapshot another one is built on stays; its own use of it keeps nobody.
    save(&mut client, "stayed", "in_snapshot('romans', DATE '2026-11-01')");
    save(&mut client, "romans", "city = 'Rome' OR in_snapshot('romans', DATE '2026-11-01')");
    assert_eq!(client.delete(&format!("{MAIN}/audiences/romans")).failure().1, "audience_in_use");
    assert_eq!(client.count("in_audience('romans')"), 6, "no circle: a snapshot is what it is");
    client.delete(&format!("{MAIN}/audiences/stayed")).expect(200);
    assert_eq!(client.delete(&of("2026-11-01")).failure().1, "snapshot_in_use");
    client.delete(&format!("{MAIN}/audiences/romans")).expect(200);
    save(&mut client, "romans", "city = 'Rome'");
    assert_eq!(snapshots(&mut client, "romans"), [], "they went with it");
}

#[test]
fn earlier_states_hold_those_of_a_snapshot_who_lived_then() {
    let server = town();
    let mut client = server.client();
    client.post(&format!("{MAIN}/snapshots"), &json!({"name": "before"})).expect(200);
    moves(&mut client, 12, "Rome");
    freeze_on(&mut client, "romans", "2026-11-01");
    assert_eq!(client.count("in_snapshot('romans', DATE '2026-11-01')"), 7);
    assert_eq!(client.count("was('before', in_snapshot('romans', DATE '2026-11-01'))"), 6);
    let asked = json!({"where": "in_snapshot('romans', DATE '2026-11-01')", "state": "before"});
    assert_eq!(client.ask("count", &asked).expect(200)["count"], 6);
    // An audience of an earlier state that is built on a snapshot sees a new one.
    save(&mut client, "frozen", "in_snapshot('romans', DATE '2026-11-01')");
    assert_eq!(client.count("was('before', in_audience('frozen'))"), 6);
    moves(&mut client, 0, "Oslo");
    freeze_on(&mut client, "romans", "2026-11-01");
    assert_eq!(client.count("was('before', in_audience('frozen'))"), 5);
}

#[test]
fn snapshots_outlive_restarts() {
    let server = town();
    let mut client = server.client();
    freeze_on(&mut client, "romans", "2026-11-01");
    client.delete(&format!("{MAIN}/profiles/member/3")).expect(200);
    let path = server.dir.path().to_path_buf();
    let kept = tempfile::tempdir().unwrap();
    drop(client);
    server.stop.stop();
    let mut server = server;
    server.thread.take().unwrap().join().unwrap().unwrap();
    for round in ["from the log", "from parts"] {
        let engine = Engine::open(&path, &EngineOptions::default()).unwrap();
        let space = engine.space("main").unwrap();
        let list = space.frozen_list("romans").unwrap().value.snapshots;
        assert_eq!((list.len(), list[0].snapshot.count, list[0].snapshot.living), (1, 6, 5), "{round}");
        space.store().snapshot(None).unwrap();
    }
    drop(kept);
}
