//! Earlier states end to end: `was`, `state`, flows and sizes over a handful of people whose past fits on a page.

mod http_client;

use std::time::Duration;

use headcount::engine::EngineOptions;
use http_client::hand::Hand;
use http_client::{Client, MAIN, Server};
use jiff::civil::date;
use serde_json::{Value, json};

/// Who is who, by the end of October and now (on 5 November):
///
/// ```text
///        a     b     c     d     e     f     g
///   then V1    V1    V2    -     V3    .     V1      age 20 20 30 40 50 . 60      vip yes no - - yes . yes
///   now  V2    V1    V2    V1    -     V1    erased  age 25 20 30 45 50 33        vip yes yes - - no yes
/// ```
/// Between the two, on 3 November, c was V9 for a while.
struct World {
    server: Server,
    hand: Hand,
}

impl World {
    fn new() -> World {
        let hand = Hand::at(date(2020, 10, 31));
        let mut options = EngineOptions { threads: 2, ..EngineOptions::default() };
        options.store.clock = hand.clock();
        options.store.purge_after = Duration::from_secs(3600);
        let world = World { server: Server::with_engine(tempfile::tempdir().unwrap(), options, |_| {}), hand };
        let mut client = world.server.client();
        let schema = json!({"id_types": ["member"], "tags": {"tier": {"type": "category"}, "age": {"type": "number"},
            "vip": {"type": "flag"}, "likes": {"type": "set"}}});
        client.put(MAIN, &schema).expect(200);
        put(&mut client, "a", json!({"tier": "V1", "age": 20, "vip": true}));
        put(&mut client, "b", json!({"tier": "V1", "age": 20, "vip": false}));
        put(&mut client, "c", json!({"tier": "V2", "age": 30}));
        put(&mut client, "d", json!({"age": 40}));
        put(&mut client, "e", json!({"tier": "V3", "age": 50, "vip": true}));
        put(&mut client, "filler", json!({}));
        client.delete(&format!("{MAIN}/profiles/member/filler")).expect(200);
        put(&mut client, "g", json!({"tier": "V1", "age": 60, "vip": true}));
        take(&mut client, json!({"date": "2020-10-31"}));
        world.hand.set(date(2020, 11, 3));
        put(&mut client, "c", json!({"tier": "V9"}));
        take(&mut client, json!({}));
        put(&mut client, "a", json!({"tier": "V2", "age": 25}));
        put(&mut client, "b", json!({"vip": true}));
        take(&mut client, json!({"name": "before campaign"}));
        put(&mut client, "c", json!({"tier": "V2"}));
        put(&mut client, "d", json!({"tier": "V1", "age": 45}));
        put(&mut client, "e", json!({"tier": null, "vip": false}));
        put(&mut client, "f", json!({"tier": "V1", "age": 33, "vip": true}));
        client.delete(&format!("{MAIN}/profiles/member/g")).expect(200);
        world.hand.set(date(2020, 11, 5));
        world
    }
}

fn put(client: &mut Client, member: &str, set: Value) {
    let line = json!({"id": {"member": member}, "set": set}).to_string();
    client.post_text(&format!("{MAIN}/profiles"), &line).expect(200);
}

fn take(client: &mut Client, what: Value) -> Value {
    client.post(&format!("{MAIN}/snapshots"), &what).expect(200)
}

/// The members that a question lists, in one word.
fn members(client: &mut Client, mut question: Value) -> String {
    question["columns"] = json!(["member"]);
    let answer = client.members("application/x-ndjson", &question);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines = answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["member"].as_str().unwrap().to_string()).collect()
}

#[test]
fn was_asks_what_held_then_of_those_who_live_now() {
    let world = World::new();
    let mut client = world.server.client();
    let mut check = |condition: &str, wanted: &str| {
        assert_eq!(members(&mut client, json!({"where": condition})), wanted, "{condition}");
    };
    check("was(DATE '2020-10-31', tier = 'V1')", "ab");
    check("was('2020-10-31', tier = 'V1') AND tier = 'V2'", "a");
    check("was(DATE '2020-10-31', NOT tier = 'V1')", "cde");
    check("NOT was(DATE '2020-10-31', tier = 'V1')", "cdef");
    check("was(DATE '2020-10-31', TRUE)", "abcde");
    check("was(DATE '2020-10-31', tier IS NULL)", "d");
    check("tier IS NULL AND NOT was(DATE '2020-10-31', tier IS NULL)", "e");
    check("was(DATE '2020-10-31', age BETWEEN 20 AND 30 OR vip)", "abce");
    check("was('before campaign', tier = 'V2')", "a");
    check("was('before campaign', tier = 'V9') AND tier = 'V2'", "c");
    check("was(DATE '2020-11-03', tier = 'V9')", "c");
    check("was(DATE '2020-10-31', tier = 'V9')", "");
    check("was(DATE '2020-10-31', age >= (SELECT quantile(age, 0.5) FROM profiles))", "cde");
    check("age >= (SELECT quantile(age, 0.5) FROM profiles)", "cdef");
    check("was(DATE '2020-10-31', one_id IN (SELECT one_id FROM profiles ORDER BY age DESC LIMIT 2))", "de");
    check("was(DATE '2020-10-31', tier = 'V1' AND was('before campaign', tier = 'V2'))", "a");
    check("was(CURRENT_DATE, tier = 'V1')", "bdf");
    check("was(CURRENT_DATE - 5, member IN ('a', 'f'))", "a");
    let tree = json!({"combinator": "and", "rules": [
        {"was": "2020-10-31", "rule": {"field": "tier", "operator": "=", "value": "V1"}},
        {"field": "tier", "operator": "!=", "value": "V1"}]});
    assert_eq!(members(&mut client, json!({"where": tree})), "a");
    let again = client.ask("plan", &json!({"where": tree})).expect(200);
    assert_eq!(again["text"], "was(DATE '2020-10-31', tier = 'V1') AND tier <> 'V1'");
    let counted = json!({"where": "was(DATE '2020-10-31', vip) AND NOT vip", "breakdown": true});
    let counted = client.ask("count", &counted).expect(200);
    assert_eq!((&counted["count"], &counted["clauses"][0]["count"]), (&json!(1), &json!(2)));
}

#[test]
fn a_whole_question_is_asked_of_a_state() {
    let world = World::new();
    let mut client = world.server.client();
    let then = |mut question: Value| {
        question["state"] = json!("2020-10-31");
        question
    };
    assert_eq!(members(&mut client, then(json!({"where": "tier = 'V1'"}))), "ab");
    let count = client.ask("count", &then(json!({"where": "vip", "base": "tier IS NOT NULL"}))).expect(200);
    assert_eq!((&count["count"], &count["base_count"], &count["share"]), (&json!(2), &json!(4), &json!(0.5)));
    let now = client.ask("count", &json!({})).expect(200);
    assert!(count["data_version"].as_u64() < now["data_version"].as_u64(), "the state's own version");
    let tiers = client.ask("distribution", &then(json!({"tags": ["tier", "age"]}))).expect(200);
    assert_eq!((&tiers["tags"]["tier"]["reach"], &tiers["tags"]["tier"]["unknown"]), (&json!(4), &json!(1)));
    assert_eq!((&tiers["tags"]["age"]["max"], &tiers["tags"]["age"]["reach"]), (&json!(50), &json!(5)));
    let table = client.ask("crosstab", &then(json!({"rows": "tier", "columns": "vip"}))).expect(200);
    assert_eq!(table["row_totals"], json!([2, 1, 1, 1]));
    let sql = then(json!({"sql": "SELECT tier, count(*) FROM profiles GROUP BY tier ORDER BY tier"}));
    let rows = client.ask("query", &sql).expect(200);
    assert_eq!(rows["rows"], json!([["V1", 2], ["V2", 1], ["V3", 1], [null, 1]]));
    let named = json!({"state": "before campaign", "where": "tier = 'V9' OR vip"});
    assert_eq!(members(&mut client, named), "abce");
    assert_eq!(members(&mut client, json!({"state": "2020-11-05", "where": "tier = 'V1'"})), "bdf");
    let inside = json!({"state": "before campaign", "where": "tier = 'V2' AND was(DATE '2020-10-31', tier = 'V1')"});
    assert_eq!(members(&mut client, inside), "a");
    let plan = client.ask("plan", &then(json!({"where": "tier = 'V3'"}))).expect(200);
    assert_eq!(plan["plan"]["estimate"], 1);
    // What was asked of a state is not what everyone's bins are now, nor the other way round.
    let now = client.ask("distribution", &json!({"tags": ["age"], "bins": {"width": 10}})).expect(200);
    assert_eq!(now["tags"]["age"]["values"][0]["base_count"], 2);
    let then = client.ask("distribution", &then(json!({"tags": ["age"], "bins": {"width": 10}}))).expect(200);
    assert_eq!(then["tags"]["age"]["values"][0]["base_count"], 2);
    assert_eq!(then["tags"]["age"]["values"][1]["base_count"], 1);
}

#[test]
fn a_flow_counts_what_was_against_what_is() {
    let world = World::new();
    let mut client = world.server.client();
    let flow = client.ask("flow", &json!({"tag": "tier", "from": "2020-10-31"})).expect(200);
    assert_eq!(flow["rows"], json!(["V1", "V2", "V3", null, null]));
    assert_eq!(flow["row_kinds"], json!(["value", "value", "value", "unknown", "absent"]));
    assert_eq!(flow["columns"], json!(["V1", "V2", "V3", null]));
    assert_eq!(flow["column_kinds"], json!(["value", "value", "value", "unknown"]));
    // a went from V1 to V2, b stayed, c is V2 again, e lost his, d got one, f came; g is nowhere.
    let counts = json!([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0]]);
    assert_eq!(flow["counts"], counts);
    assert_eq!((&flow["row_totals"], &flow["column_totals"]), (&json!([2, 1, 1, 1, 1]), &json!([3, 2, 0, 1])));
    assert_eq!((&flow["from"], &flow["to"]), (&json!("2020-10-31"), &Value::Null));
    assert_eq!(flow["row_where"][0], "was(DATE '2020-10-31', tier = 'V1')");
    assert_eq!(flow["row_where"][4], "NOT was(DATE '2020-10-31', TRUE)");
    assert_eq!(flow["column_where"][3], "tier IS NULL");
    check_cells(&mut client, &flow, "TRUE");

    let body = json!({"tag": "tier", "from": "2020-10-31", "to": "before campaign", "where": "age < 50"});
    let flow = client.ask("flow", &body).expect(200);
    check_cells(&mut client, &flow, "age < 50");
    assert_eq!(flow["to"], "before campaign");
    assert_eq!(flow["column_kinds"], json!(["value", "value", "value", "unknown", "absent"]), "f came later still");
    assert_eq!(flow["columns"], json!(["V1", "V2", "V9", null, null]));
    for question in [
        json!({"tag": "vip", "from": "before campaign"}),
        json!({"tag": "age", "from": "2020-10-31"}),
        json!({"tag": "age", "from": "2020-10-31", "bins": {"width": 10}}),
        json!({"tag": "age", "from": "2020-10-31", "to": "before campaign", "bins": {"quantiles": 2}}),
        json!({"tag": "age", "from": "2020-10-31", "bins": {"edges": [25, 40]}}),
        json!({"tag": "tier", "from": "2020-11-05"}),
        json!({"tag": "tier", "from": "2020-11-03", "to": "2020-10-31"}),
        json!({"tag": "tier", "from": "2020-10-31", "state": "before campaign"}),
    ] {
        let flow = client.ask("flow", &question).expect(200);
        if question["state"].is_null() {
            check_cells(&mut client, &flow, "TRUE");
        }
        let sum: u64 = flow["row_totals"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(sum, if question["state"].is_null() { 6 } else { 5 }, "{question}");
    }
    let edges = json!({"tag": "age", "from": "2020-10-31", "bins": {"edges": [25, 40]}});
    let flow = client.ask("flow", &edges).expect(200);
    assert_eq!(flow["rows"], json!(["[25, 40]", null, null, null]));
    assert_eq!(flow["row_kinds"], json!(["value", "unknown", "other", "absent"]));
    assert_eq!(flow["row_totals"], json!([2, 0, 3, 1]));
    assert_eq!(flow["row_where"][2], "was(DATE '2020-10-31', age < 25 OR age > 40)");
    assert_eq!(flow["column_where"][2], "(age < 25 OR age > 40)");
}

/// Each cell is a predicate, and counts what the predicate counts.
fn check_cells(client: &mut Client, flow: &Value, audience: &str) {
    let texts = |name: &str| -> Vec<String> {
        flow[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().into()).collect()
    };
    for (row, of_row) in texts("row_where").iter().zip(flow["counts"].as_array().unwrap()) {
        for (column, wanted) in texts("column_where").iter().zip(of_row.as_array().unwrap()) {
            let cell = format!("{row} AND {column} AND {audience}");
            assert_eq!(client.count(cell.as_str()), wanted.as_u64().unwrap(), "{cell}");
        }
    }
}

#[test]
fn sizes_are_those_of_the_days_that_are_kept() {
    let world = World::new();
    let mut client = world.server.client();
    let mut check = |body: Value, wanted: Value| {
        // The second time as remembered.
        for _ in 0..2 {
            let rows = client.ask("series", &body).expect(200)["rows"].clone();
            let rows: Vec<Value> =
                rows.as_array().unwrap().iter().map(|row| json!([row["day"], row["people"]])).collect();
            assert_eq!(Value::from(rows), wanted, "{body}");
        }
    };
    check(json!({}), json!([["2020-10-31", 5], ["2020-11-03", 5]]));
    check(json!({"where": "tier IN ('V1', 'V9')"}), json!([["2020-10-31", 2], ["2020-11-03", 3]]));
    check(json!({"where": "tier = 'V1'", "from": "2020-11-01"}), json!([["2020-11-03", 2]]));
    check(json!({"where": "tier = 'V1'", "to": "2020-11-02"}), json!([["2020-10-31", 2]]));
    check(json!({"from": "2020-11-04", "to": "2020-11-05"}), json!([]));
    // What is remembered hangs on definitions, on who was erased, and on the states that are kept.
    let save = |condition: &str| {
        let path = format!("{MAIN}/audiences/first");
        world.server.client().put(&path, &json!({ "where": condition })).expect(200);
    };
    save("tier = 'V1'");
    check(json!({"where": "in_audience('first')"}), json!([["2020-10-31", 2], ["2020-11-03", 2]]));
    save("tier = 'V9'");
    check(json!({"where": "in_audience('first')"}), json!([["2020-10-31", 0], ["2020-11-03", 1]]));
    let path = format!("{MAIN}/audiences/second");
    world.server.client().put(&path, &json!({"where": "NOT in_audience('first')"})).expect(200);
    check(json!({"where": "in_audience('second')"}), json!([["2020-10-31", 5], ["2020-11-03", 4]]));
    save("tier = 'V1'");
    check(json!({"where": "in_audience('second')"}), json!([["2020-10-31", 3], ["2020-11-03", 3]]));
    save("tier = 'V9'");
    world.server.client().delete(&format!("{MAIN}/profiles/member/c")).expect(200);
    check(json!({"where": "in_audience('first')"}), json!([["2020-10-31", 0], ["2020-11-03", 0]]));
    check(json!({}), json!([["2020-10-31", 4], ["2020-11-03", 4]]));
    // Today's state is the present, which a question of earlier days may ask about, too; itself or by an audience.
    let today = json!({"where": "was(DATE '2020-11-05', tier = 'V7')"});
    world.server.client().put(&path, &today).expect(200);
    check(today.clone(), json!([["2020-10-31", 0], ["2020-11-03", 0]]));
    check(json!({"where": "in_audience('second')"}), json!([["2020-10-31", 0], ["2020-11-03", 0]]));
    put(&mut world.server.client(), "b", json!({"tier": "V7"}));
    check(today, json!([["2020-10-31", 1], ["2020-11-03", 1]]));
    check(json!({"where": "in_audience('second')"}), json!([["2020-10-31", 1], ["2020-11-03", 1]]));
    take(&mut world.server.client(), json!({"date": "2020-11-05"}));
    check(json!({}), json!([["2020-10-31", 4], ["2020-11-03", 4], ["2020-11-05", 5]]));
}

#[test]
fn states_that_are_not_there_are_told_with_their_place() {
    let world = World::new();
    let mut client = world.server.client();
    let mut check = |question: &str, body: Value, place: &str, told: &str| {
        let answer = client.ask(question, &body);
        let text = answer.text().to_string();
        let (status, code, at) = answer.failure();
        assert_eq!((status, code.as_str()), (400, "unknown_state"), "{text}");
        assert!(at.contains(place) && text.contains(told), "{text}");
    };
    let from_then_on = "it can be asked from 2020-10-31 on";
    check("count", json!({"where": "vip AND was(DATE '2020-10-30', vip)"}), r#""column":13,"length":17"#, from_then_on);
    let tree = json!({"combinator": "and", "rules": [
        {"was": "2020-10-30", "rule": {"field": "vip", "operator": "=", "value": true}}]});
    check("count", json!({"where": tree}), "/rules/0/was", from_then_on);
    check("count", json!({"state": "2020-10-30"}), "/state", from_then_on);
    check(
        "query",
        json!({"sql": "SELECT count(*) FROM profiles", "state": "2020-11-06"}),
        "/state",
        "it is 2020-11-05",
    );
    check("members", json!({"state": "before campagin"}), "/state", "did you mean 'before campaign'?");
    check("flow", json!({"tag": "tier", "from": "1999-01-01"}), "/from", from_then_on);
    check("flow", json!({"tag": "tier", "from": "2020-10-31", "to": "nope"}), "/to", "nope");
    let nearest = client.ask("count", &json!({"where": "was(DATE '2020-11-04', tier = 'V9')"})).expect(200);
    assert_eq!((&nearest["count"], &nearest["warnings"][0]["code"]), (&json!(1), &json!("nearest_state")));
    assert!(nearest["warnings"][0]["message"].as_str().unwrap().contains("2020-11-03"), "{nearest}");
    let nearest = client.ask("count", &json!({"state": "2020-11-01"})).expect(200);
    assert_eq!(nearest["warnings"][0]["at"], json!({"pointer": "/state"}));
    let mut check = |question: &str, body: Value, code: &str| {
        assert_eq!(client.ask(question, &body).failure().1, code, "{body}");
    };
    check("flow", json!({"tag": "likes", "from": "2020-10-31"}), "wrong_type");
    check("flow", json!({"tag": "teir", "from": "2020-10-31"}), "unknown_tag");
    check("flow", json!({"tag": "tier"}), "missing_key");
    check("flow", json!({"tag": "tier", "from": "2020-10-31", "bins": {"width": 1}}), "wrong_type");
    check("series", json!({"event": "purchase"}), "unknown_event");
    check("series", json!({"by": "day"}), "unknown_key");
    check("series", json!({"from": "soon"}), "bad_date");
    check("count", json!({"where": "was(DATE '2020-10-31', teir = 'V1')"}), "unknown_tag");
    check("snapshots", json!({"date": "2020-11-06"}), "future_date");
    check("snapshots", json!({"date": "2020-11-04", "name": "x"}), "wrong_type");
    let empty = Server::start();
    let (_, code, _) = empty.client().ask("count", &json!({"where": "was(DATE '2020-10-31', TRUE)"})).failure();
    assert_eq!(code, "unknown_state");
}

#[test]
fn snapshots_of_a_day_replace_each_other_and_are_listed() {
    let world = World::new();
    let mut client = world.server.client();
    let taken = take(&mut client, json!({}));
    assert_eq!(
        (&taken["date"], &taken["name"], &taken["profile_count"]),
        (&json!("2020-11-05"), &Value::Null, &json!(6))
    );
    put(&mut client, "h", json!({"tier": "V1"}));
    assert_eq!(take(&mut client, json!({}))["profile_count"], 7);
    let list = client.get(&format!("{MAIN}/snapshots")).expect(200);
    let kept: Vec<Value> = list["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| json!([s["date"], s["name"], s["profile_count"]]))
        .collect();
    let wanted = json!([
        ["2020-11-05", null, 7],
        [null, "before campaign", 6],
        ["2020-11-03", null, 6],
        ["2020-10-31", null, 6]
    ]);
    assert_eq!(Value::from(kept), wanted, "as they were; who is erased is counted until the purge");
    assert_eq!(members(&mut client, json!({"state": "2020-11-05", "where": "tier = 'V1'"})), "bdfh");
}

fn files_with(dir: &std::path::Path, needle: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if std::fs::read(&path).unwrap_or_default().windows(needle.len()).any(|w| w == needle.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn events_are_those_of_the_state_and_go_with_the_erased() {
    let mut options = EngineOptions { threads: 1, ..EngineOptions::default() };
    options.store.purge_after = Duration::ZERO;
    let server = Server::with_engine(tempfile::tempdir().unwrap(), options, |_| {});
    let mut client = server.client();
    let schema =
        json!({"id_types": ["member"], "events": {"purchase": {"properties": {"item": {"type": "category"}}}}});
    client.put(MAIN, &schema).expect(200);
    let mut buy = |member: &str, item: &str| {
        let line = json!({"id": {"member": member}, "event": "purchase", "at": "2020-10-30T10:00:00Z", "item": item});
        client.post_text(&format!("{MAIN}/events"), &line.to_string()).expect(200);
    };
    buy("a", "tea");
    buy("x", "only-of-x-early");
    let mut other = server.client();
    take(&mut other, json!({"name": "early"}));
    buy("b", "tea");
    buy("x", "only-of-x-late");
    take(&mut other, json!({"name": "late"}));
    buy("c", "tea");
    let mut check = |state: &str, item: &str, wanted: &str| {
        let bought = format!("was('{state}', EXISTS (SELECT 1 FROM purchase WHERE item = '{item}'))");
        assert_eq!(members(&mut other, json!({"where": bought})), wanted, "{bought}");
    };
    check("early", "tea", "a");
    check("late", "tea", "ab");
    check("late", "only-of-x-early", "x");
    check("early", "only-of-x-late", "");
    server.client().delete(&format!("{MAIN}/profiles/member/x")).expect(200);
    check("late", "only-of-x-early", "");
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !files_with(server.dir.path(), "only-of-x").is_empty() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(files_with(server.dir.path(), "only-of-x"), Vec::<std::path::PathBuf>::new());
    check("early", "tea", "a");
    check("late", "tea", "ab");
}
