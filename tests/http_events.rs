//! Events over HTTP: what people did, put in and asked for, on a population that a person can check by eye.

mod http_client;

use http_client::{MAIN, Server};
use serde_json::{Value, json};

/// Four people; a space that counts days in Shanghai.
///
/// ```text
///   a   bakery 10.00 on 1 Oct · dairy 20.00 on 5 Oct · bakery 5.00 on 20 Oct      visits on 19 Oct
///   b   bakery 30.00 on 3 Oct, twice in one second, at two stores
///   c   dairy of unknown price just before midnight of 31 Oct
///   d   never bought; visits on 31 Oct
/// ```
const EVENTS: &str = r#"
{"id": {"member": "a"}, "event": "purchase", "at": "2026-10-20T12:00:00+08:00", "category": "bakery", "amount": 5, "key": "a3"}
{"id": {"member": "a"}, "event": "purchase", "at": "2026-10-01T12:00:00+08:00", "category": "bakery", "amount": 10.00, "key": "a1"}
{"id": {"member": "a"}, "event": "purchase", "at": "2026-10-05T04:00:00Z", "category": "dairy", "amount": 20, "key": "a2"}
{"id": {"member": "b"}, "event": "purchase", "at": "2026-10-03 08:00:00", "category": "bakery", "store": "S1", "amount": 30, "key": "b1"}
{"id": {"member": "b"}, "event": "purchase", "at": "2026-10-03 08:00:00", "category": "bakery", "store": "S2", "amount": 30, "key": "b2"}
{"id": {"member": "c"}, "event": "purchase", "at": "2026-10-31T15:59:59Z", "category": "dairy", "key": "c1"}
{"id": {"member": "a"}, "event": "visit", "at": "2026-10-19T10:00:00+08:00"}
{"id": {"member": "d"}, "event": "visit", "at": "2026-10-31T10:00:00+08:00"}
"#;

fn schema() -> Value {
    json!({"time_zone": "Asia/Shanghai", "id_types": ["member"],
        "tags": {"tier": {"type": "category"}},
        "events": {
            "purchase": {"properties": {"category": {"type": "category"}, "store": {"type": "category"},
                                        "amount": {"type": "number", "scale": 2}}},
            "visit": {}}})
}

fn shop() -> Server {
    let server = Server::start();
    let mut client = server.client();
    client.put(MAIN, &schema()).expect(200);
    let people = "{\"id\": {\"member\": \"a\"}, \"set\": {\"tier\": \"V2\"}}\n{\"id\": {\"member\": \"b\"}, \"set\": {\"tier\": \"V1\"}}\n";
    client.post_text(&format!("{MAIN}/profiles"), people).expect(200);
    let answer = client.post_text(&format!("{MAIN}/events"), EVENTS).expect(200);
    assert_eq!((&answer["accepted"], &answer["created"], &answer["rejected"]), (&json!(8), &json!(2), &json!([])));
    server
}

/// Members whom a predicate holds, in the order a, b, c, d.
fn check(server: &Server, predicate: &str, wanted: &str) {
    let mut client = server.client();
    let asked = json!({"where": predicate, "as_of": "2026-11-01", "columns": ["member"]});
    let path = format!("{MAIN}/members");
    let body = asked.to_string();
    let answer = client.call("POST", &path, &[("accept", "text/csv")], Some(body.as_bytes()));
    assert_eq!(answer.status, 200, "{predicate}");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let found: String = text.lines().skip(1).collect();
    assert_eq!(found, wanted, "{predicate}");
    let count = client.ask("count", &json!({"where": predicate, "as_of": "2026-11-01"})).expect(200);
    assert_eq!(count["count"], wanted.len(), "{predicate}");
}

#[test]
fn behaviours_are_asked_for() {
    let server = shop();
    ask_for_behaviours(&server);
    // As a store snapshot folds them.
    server.client().post(&format!("{MAIN}/snapshots"), &json!({"name": "folded"})).expect(200);
    ask_for_behaviours(&server);
}

#[test]
fn what_is_kept_of_owners_holds_for_who_goes_and_who_comes() {
    let server = shop();
    let mut client = server.client();
    let check = |predicate: &str, wanted: &str| check(&server, predicate, wanted);
    let snapshots = format!("{MAIN}/snapshots");
    client.post(&snapshots, &json!({"name": "folded"})).expect(200);
    let bakery = "EXISTS (SELECT 1 FROM purchase WHERE category = 'bakery')";
    let anything = "EXISTS (SELECT 1 FROM purchase WHERE category IN ('bakery', 'dairy'))";
    let first = "(SELECT min(day) FROM purchase)";
    let last = "(SELECT max(day) FROM purchase)";
    // As many are left as ever bought, and they are not the same.
    client.call("DELETE", &format!("{MAIN}/profiles/member/b"), &[], None).expect(200);
    check("EXISTS (SELECT 1 FROM purchase)", "ac");
    check("NOT EXISTS (SELECT 1 FROM purchase)", "d");
    check(bakery, "a");
    check(anything, "ac");
    check(&format!("NOT {anything}"), "d");
    check(&format!("tier IS NULL AND {anything}"), "c");
    check("EXISTS (SELECT 1 FROM purchase WHERE store IS NOT NULL)", "");
    check(&format!("{first} <= DATE '2026-10-03'"), "a");
    check(&format!("{last} >= DATE '2026-10-03'"), "ac");
    let bought = "{\"id\": {\"member\": \"d\"}, \"event\": \"purchase\", \"at\": \"2026-09-30\", \"category\": \"bakery\"}\n\
                  {\"id\": {\"member\": \"c\"}, \"event\": \"purchase\", \"at\": \"2026-10-02\", \"category\": \"fruit\"}";
    client.post_text(&format!("{MAIN}/events"), bought).expect(200);
    let come_and_gone = || {
        check("EXISTS (SELECT 1 FROM purchase)", "acd");
        check("NOT EXISTS (SELECT 1 FROM purchase)", "");
        check(bakery, "ad");
        check(anything, "acd");
        check("EXISTS (SELECT 1 FROM purchase WHERE category = 'fruit')", "c");
        check(&format!("{first} = DATE '2026-10-02'"), "c");
        check(&format!("{first} <= DATE '2026-10-01'"), "ad");
        check(&format!("{first} BETWEEN DATE '2026-10-01' AND DATE '2026-10-02'"), "ac");
        check(&format!("{last} = DATE '2026-09-30'"), "d");
        check(&format!("{last} BETWEEN DATE '2026-10-02' AND DATE '2026-10-30'"), "a");
        check(&format!("NOT {last} > DATE '2026-10-20'"), "ad");
    };
    come_and_gone();
    client.post(&snapshots, &json!({"name": "folded again"})).expect(200);
    come_and_gone();
}

fn ask_for_behaviours(server: &Server) {
    let check = |predicate: &str, wanted: &str| check(server, predicate, wanted);
    check("EXISTS (SELECT 1 FROM purchase)", "abc");
    check("NOT EXISTS (SELECT 1 FROM purchase)", "d");
    check("EXISTS (SELECT 1 FROM purchase WHERE category = 'bakery' AND amount > 20)", "b");
    check("EXISTS (SELECT 1 FROM purchase WHERE category = 'dairy' AND amount < 15)", "");
    check("EXISTS (SELECT 1 FROM purchase WHERE amount IS NULL)", "c");
    check("(SELECT count(*) FROM purchase WHERE day >= CURRENT_DATE - 30) >= 2", "ab");
    check("(SELECT count(*) FROM purchase WHERE day >= CURRENT_DATE - 30) = 0", "d");
    check("(SELECT count(*) FROM purchase WHERE day = DATE '2026-10-31') = 1", "c");
    check("EXISTS (SELECT 1 FROM purchase WHERE at > TIMESTAMP '2026-10-31 23:59:58')", "c");
    check("(SELECT sum(amount) FROM purchase) = 35", "a");
    check("(SELECT sum(amount) FROM purchase) < 1", "cd");
    check("(SELECT avg(amount) FROM purchase) < 12", "a");
    check("NOT (SELECT avg(amount) FROM purchase) < 12", "bcd");
    check("(SELECT max(amount) FROM purchase) IS NULL", "cd");
    check("(SELECT count(DISTINCT store) FROM purchase) >= 2", "b");
    check("(SELECT count(DISTINCT day) FROM purchase) >= 2", "a");
    check("(SELECT first(category) FROM purchase) = 'bakery'", "ab");
    check("(SELECT last(store) FROM purchase) = 'S2'", "b");
    check("(SELECT last(category) FROM purchase) <> 'bakery'", "c");
    check("(SELECT max(day) FROM visit) < CURRENT_DATE - 10", "a");
    let dairy = "(SELECT 1 FROM purchase WHERE category = 'dairy')";
    let bakery = "(SELECT 1 FROM purchase WHERE category = 'bakery')";
    check(&format!("followed_by({bakery}, {dairy}, INTERVAL '4' DAY)"), "a");
    check(&format!("followed_by({bakery}, {dairy}, INTERVAL '3' DAY)"), "");
    check(&format!("followed_by({bakery}, {bakery})"), "a");
    check("tier = 'V2' AND EXISTS (SELECT 1 FROM visit)", "a");
}

/// The clocks of St. John's went from 00:01 on 7 November 2010 back to 23:01 on the day before.
#[test]
fn a_later_event_may_be_of_an_earlier_day() {
    let server = Server::start();
    let mut client = server.client();
    client
        .put(MAIN, &json!({"time_zone": "America/St_Johns", "id_types": ["member"], "events": {"call": {}}}))
        .expect(200);
    let at = |at: &str| format!("{{\"id\": {{\"member\": \"a\"}}, \"event\": \"call\", \"at\": \"{at}\"}}\n");
    let calls = at("2010-11-07T02:30:30Z") + &at("2010-11-07T02:45:00Z");
    client.post_text(&format!("{MAIN}/events"), &calls).expect(200);
    let ask = || {
        let check = |predicate: &str, wanted: &str| check(&server, predicate, wanted);
        check("(SELECT last(day) FROM call) = DATE '2010-11-06'", "a");
        check("(SELECT first(day) FROM call) = DATE '2010-11-07'", "a");
        check("(SELECT max(day) FROM call) = DATE '2010-11-07'", "a");
        check("(SELECT max(day) FROM call) <= DATE '2010-11-06'", "");
        check("(SELECT max(day) FROM call WHERE at > TIMESTAMP '2000-01-01') <= DATE '2010-11-06'", "");
        check("(SELECT min(day) FROM call) = DATE '2010-11-06'", "a");
        check("(SELECT min(day) FROM call) >= DATE '2010-11-07'", "");
    };
    ask();
    client.post(&format!("{MAIN}/snapshots"), &json!({"name": "folded"})).expect(200);
    ask();
}

#[test]
fn events_are_told_by_day_by_category_and_by_person() {
    let server = shop();
    let mut client = server.client();
    let series = json!({"event": "purchase", "measure": "amount", "from": "2026-10-03", "to": "2026-10-05"});
    let answer = client.ask("series", &series).expect(200);
    let days = json!([
        {"day": "2026-10-03", "people": 1, "events": 2, "sum": 60.0, "average": 30.0},
        {"day": "2026-10-04", "people": 0, "events": 0, "sum": 0.0, "average": null},
        {"day": "2026-10-05", "people": 1, "events": 1, "sum": 20.0, "average": 20.0}]);
    assert_eq!(answer["rows"], days);
    let months =
        json!({"event": "purchase", "from": "2026-10-01", "to": "2026-10-31", "by": "month", "where": "tier = 'V2'"});
    let answer = client.ask("series", &months).expect(200);
    assert_eq!(answer["rows"], json!([{"day": "2026-10-01", "people": 1, "events": 3, "sum": null, "average": null}]));

    let sql = |client: &mut http_client::Client, sql: &str| {
        client.ask("query", &json!({"sql": sql, "as_of": "2026-11-01"})).expect(200)["rows"].clone()
    };
    let by_category = "SELECT category, count(*), count(DISTINCT one_id), sum(amount), max(day) FROM purchase \
                       GROUP BY category ORDER BY count(*) DESC";
    let rows = sql(&mut client, by_category);
    assert_eq!(rows, json!([["bakery", 4, 2, 75.0, "2026-10-20"], ["dairy", 2, 2, 20.0, "2026-10-31"]]));
    let of_tier = "SELECT count(*), quantile(amount, 0.5) FROM purchase WHERE amount < 25 \
                   AND one_id IN (SELECT one_id FROM profiles WHERE tier = 'V2')";
    assert_eq!(sql(&mut client, of_tier), json!([[3, 10.0]]));
    let listed = "SELECT one_id, at, store FROM purchase WHERE store IS NOT NULL LIMIT 1";
    assert_eq!(sql(&mut client, listed), json!([[1, "2026-10-03T08:00:00+08:00", "S1"]]));
    assert_eq!(sql(&mut client, "SELECT count(*), sum(amount) FROM purchase WHERE amount > 99"), json!([[0, 0.0]]));

    let asked = json!({"tags": ["purchase.category"], "where": "NOT tier = 'V1'", "window": {"from": "2026-10-02", "to": "2026-10-31"}});
    let answer = client.ask("distribution", &asked).expect(200);
    let part = &answer["tags"]["purchase.category"];
    let values: Vec<_> =
        part["values"].as_array().unwrap().iter().map(|v| (&v["value"], &v["count"], &v["base_count"])).collect();
    assert_eq!(values, [(&json!("dairy"), &json!(2), &json!(2)), (&json!("bakery"), &json!(1), &json!(2))]);
    assert_eq!((&part["reach"], &part["unknown"], &part["other"]), (&json!(2), &json!(1), &json!(0)));

    let portrait = client.get(&format!("{MAIN}/profiles/member/a")).expect(200);
    let events: Vec<_> = portrait["events"].as_array().unwrap().iter().map(|e| (&e["event"], &e["at"])).collect();
    let at = |text: &str| json!(format!("2026-10-{text}+08:00"));
    let (visit, purchase) = (json!("visit"), json!("purchase"));
    let wanted = [at("20T12:00:00"), at("19T10:00:00"), at("05T12:00:00"), at("01T12:00:00")];
    let names = [&purchase, &visit, &purchase, &purchase];
    assert_eq!(events, names.into_iter().zip(&wanted).collect::<Vec<_>>());
    assert_eq!(portrait["events"][0]["properties"]["category"], "bakery");
    let asked = json!({"where": "EXISTS (SELECT 1 FROM visit)", "columns": ["member"], "events": 1});
    let lines = client.members("application/x-ndjson", &asked).text().to_string();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let latest: Vec<_> = lines.iter().map(|line| (&line["member"], &line["events"][0]["at"])).collect();
    assert_eq!(latest, [(&json!("a"), &at("20T12:00:00")), (&json!("d"), &at("31T10:00:00"))]);
    assert_eq!(lines[0]["events"].as_array().unwrap().len(), 1);
}

#[test]
fn funnels_tell_who_got_how_far() {
    let server = shop();
    let mut client = server.client();
    let steps = json!([{"event": "purchase", "where": "category = 'bakery'"},
                       {"event": "purchase", "where": {"field": "category", "operator": "=", "value": "dairy"}},
                       {"event": "visit"}]);
    let answer = client.ask("funnel", &json!({"steps": steps, "within": {"days": 20}})).expect(200);
    let people: Vec<_> = answer["steps"].as_array().unwrap().iter().map(|s| (&s["people"], &s["dropped"])).collect();
    assert_eq!(people, [(&json!(2), &json!(1)), (&json!(1), &json!(0)), (&json!(1), &Value::Null)]);
    let dropped = answer["steps"][0]["dropped_where"].clone();
    assert_eq!(client.count(dropped), 1);
    let bad = json!({"steps": [{"event": "purchase", "where": "colour = 'red'"}]});
    let answer = client.ask("funnel", &bad).expect(400);
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["at"]["pointer"]),
        (&json!("unknown_property"), &json!("/steps/0/where"))
    );
}

#[test]
fn events_sent_again_change_nothing_and_bad_ones_are_told() {
    let server = shop();
    let mut client = server.client();
    let path = format!("{MAIN}/events");
    let version = client.ask("count", &json!({})).expect(200)["data_version"].clone();
    let keyed: String = EVENTS.lines().filter(|line| line.contains("key")).map(|line| format!("{line}\n")).collect();
    let answer = client.post_text(&path, &keyed).expect(200);
    assert_eq!((&answer["accepted"], &answer["duplicates"], &answer["data_version"]), (&json!(6), &json!(6), &version));
    // Another person, another event: the key of a purchase says nothing about a visit.
    let lines = r#"{"id": {"member": "e"}, "event": "purchase", "at": "2026-10-01", "key": "a1"}
{"id": {"member": "e"}, "event": "visit", "at": "2026-10-01", "key": "a1"}
{"id": {"member": "e"}, "event": "visit", "at": "2026-10-01", "key": "a1"}"#;
    let answer = client.post_text(&path, lines).expect(200);
    assert_eq!((&answer["accepted"], &answer["created"], &answer["duplicates"]), (&json!(3), &json!(1), &json!(2)));
    let lines = r#"{"id": {"member": "a"}, "event": "purchas", "at": "2026-10-01"}
{"id": {"member": "a"}, "event": "purchase"}
{"id": {"member": "a"}, "event": "purchase", "at": "yesterday"}
{"id": {"member": "a"}, "event": "purchase", "at": "2026-10-01", "colour": "red"}
{"id": {"member": "a"}, "event": "purchase", "at": "2026-10-01", "amount": "much"}
{"event": "purchase", "at": "2026-10-01"}
{"id": {"member": "a"}, "event": "visit", "at": "2026-10-02"}"#;
    let answer = client.post_text(&path, lines).expect(200);
    let codes: Vec<_> = answer["rejected"].as_array().unwrap().iter().map(|r| r["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unknown_event", "no_time", "bad_time", "unknown_property", "wrong_type", "no_identity"]);
    assert_eq!(answer["accepted"], 1);
}

#[test]
fn events_go_with_their_person_and_with_their_time() {
    let server = shop();
    let mut client = server.client();
    client.call("DELETE", &format!("{MAIN}/profiles/member/b"), &[], None).expect(200);
    check(&server, "EXISTS (SELECT 1 FROM purchase WHERE category = 'bakery')", "a");
    let sql = json!({"sql": "SELECT count(*) FROM purchase"});
    assert_eq!(client.ask("query", &sql).expect(200)["rows"], json!([[4]]));
    let short = json!({"events": {"visit": {"retain_days": 7}, "purchase": {"retain_days": 40_000}}});
    client.put(MAIN, &short).expect(200);
    let old = "{\"id\": {\"member\": \"a\"}, \"event\": \"visit\", \"at\": \"1999-10-01\"}";
    let answer = client.post_text(&format!("{MAIN}/events"), old).expect(200);
    assert_eq!(answer["rejected"][0]["code"], "expired");
    // The keeper looks at the clock twice a second; every visit of the story was long ago.
    let fresh =
        format!("{{\"id\": {{\"member\": \"a\"}}, \"event\": \"visit\", \"at\": \"{}\"}}", jiff::Timestamp::now());
    client.post_text(&format!("{MAIN}/events"), &fresh).expect(200);
    let is_over = || server.client().count("EXISTS (SELECT 1 FROM visit WHERE day < DATE '2026-11-01')") == 0;
    let today = jiff::Zoned::now().date();
    if today > jiff::civil::date(2026, 11, 8) {
        assert!((0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            is_over()
        }));
        assert_eq!(client.count("EXISTS (SELECT 1 FROM visit)"), 1);
    }
    let bad = json!({"events": {"visit": {"retain_days": 0}}});
    assert_eq!(client.put(MAIN, &bad).expect(422)["error"]["code"], "bad_retention");
    let bad = json!({"events": {"visit": {"properties": {"pages": {"type": "set"}}}}});
    assert_eq!(client.put(MAIN, &bad).expect(422)["error"]["code"], "set_property");
}
