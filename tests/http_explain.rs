//! Why one person is in an audience or not, and when that changes: by eye over HTTP, and against counts day by day.

mod http_client;
// Made for the oracle; each test takes what it needs of it.
#[allow(dead_code)]
#[path = "oracle/random.rs"]
mod random;

use headcount::engine::{AudienceRequest, Engine, EngineOptions, Question, Space, UpsertOptions, Where};
use headcount::query::bind::date_of;
use headcount::query::why::Reason;
use http_client::{Client, MAIN, Server};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use random::{Random, seed, setting};
use serde_json::{Value, json};

/// Three people of Shanghai; all but the first are there to be counted beside her.
///
/// ```text
///   C123  V2, spent 120.50, joined 2026-01-31, born 1990-12-30, likes tea and yoga, no phone
///         bakery 10 on 1 Sep · dairy 20 on 10 Sep · bakery 12.50 on 15 Sep 2026
///   C2    V5, spent 500, with a phone           C3   nothing known
/// ```
fn shop() -> Server {
    let server = Server::start();
    let mut client = server.client();
    let schema = json!({"time_zone": "Asia/Shanghai", "id_types": ["member", "phone"], "tags": {
        "tier": {"type": "category"}, "spend": {"type": "number", "scale": 2}, "joined": {"type": "date"},
        "birthday": {"type": "date"}, "likes": {"type": "set"}, "vip": {"type": "flag"}},
        "events": {"purchase": {"properties": {"category": {"type": "category"}, "amount": {"type": "number", "scale": 2}}}}});
    client.put(MAIN, &schema).expect(200);
    let people = r#"{"id": {"member": "C123"}, "set": {"tier": "V2", "spend": 120.50, "joined": "2026-01-31", "birthday": "1990-12-30", "likes": ["yoga", "tea"]}}
{"id": {"member": "C2", "phone": "138"}, "set": {"tier": "V5", "spend": 500}}
{"id": {"member": "C3"}, "set": {}}"#;
    client.post_text(&format!("{MAIN}/profiles"), people).expect(200);
    let events = r#"{"id": {"member": "C123"}, "event": "purchase", "at": "2026-09-01T10:00:00+08:00", "category": "bakery", "amount": 10}
{"id": {"member": "C123"}, "event": "purchase", "at": "2026-09-10T10:00:00+08:00", "category": "dairy", "amount": 20.0}
{"id": {"member": "C123"}, "event": "purchase", "at": "2026-09-15T10:00:00+08:00", "category": "bakery", "amount": 12.50}"#;
    client.post_text(&format!("{MAIN}/events"), events).expect(200);
    server
}

fn explain(client: &mut Client, audience: &str, as_of: &str) -> Value {
    let asked = json!({"where": audience, "id": {"member": "C123"}, "as_of": as_of});
    client.ask("explain", &asked).expect(200)
}

/// Value, threshold and change of a question's only clause.
#[track_caller]
fn check(client: &mut Client, audience: &str, matches: bool, value: Value, changes_on: Value) {
    let answer = explain(client, audience, "2026-10-31");
    let clause = &answer["clauses"][0];
    assert_eq!(answer["matches"], matches, "{answer}");
    assert_eq!((&clause["value"], &clause["changes_on"]), (&value, &changes_on), "{answer}");
    if answer["not"] == false {
        assert_eq!(clause["matches"], matches, "{answer}");
    }
    assert_eq!(answer["changes_on"], changes_on, "{answer}");
}

#[test]
fn why_a_customer_is_not_at_risk_and_when_she_will_be() {
    let server = shop();
    let mut client = server.client();
    let risk = "tier IN ('V2', 'V3') AND (SELECT max(day) FROM purchase) < CURRENT_DATE - INTERVAL '60' DAY";
    client.put(&format!("{MAIN}/audiences/churn_risk"), &json!({"where": risk})).expect(200);
    let answer = explain(&mut client, "in_audience('churn_risk') AND NOT vip", "2026-10-31");
    assert_eq!(answer["matches"], false);
    // The first day whose sixtieth before it is the 16th of September.
    assert_eq!((&answer["changes_on"], &answer["matches_then"]), (&json!("2026-11-15"), &json!(true)));
    let (inside, outside) = (&answer["clauses"][0], &answer["clauses"][1]);
    assert_eq!(inside["text"], "in_audience('churn_risk')");
    assert_eq!(
        (&inside["matches"], &inside["value"], &inside["combinator"]),
        (&json!(false), &json!(false), &json!("and"))
    );
    let (tier, last) = (&inside["rules"][0], &inside["rules"][1]);
    assert_eq!((&tier["matches"], &tier["value"], &tier["changes_on"]), (&json!(true), &json!("V2"), &Value::Null));
    assert_eq!((&last["matches"], &last["value"]), (&json!(false), &json!("2026-09-15")));
    assert_eq!((&last["path"], &last["changes_on"]), (&json!("/rules/1"), &json!("2026-11-15")));
    assert_eq!((&outside["not"], &outside["matches"]), (&json!(true), &json!(true)));
    assert_eq!(
        (&outside["rules"][0]["path"], &outside["rules"][0]["value"]),
        (&json!("/rules/1/rules/0"), &Value::Null)
    );
    // On that day she is one of those who are counted.
    let count = |client: &mut Client, day: &str| {
        client.ask("count", &json!({"where": "in_audience('churn_risk')", "as_of": day})).expect(200)["count"].clone()
    };
    assert_eq!((count(&mut client, "2026-11-14"), count(&mut client, "2026-11-15")), (json!(0), json!(1)));
}

#[test]
fn what_was_found_is_told_of_every_kind_of_clause() {
    let server = shop();
    let mut client = server.client();
    let client = &mut client;
    let never = Value::Null;
    check(client, "spend > 100", true, json!(120.5), never.clone());
    check(client, "phone IS NULL", true, Value::Null, never.clone());
    check(client, "member IN ('C123', 'C9')", true, json!(["C123"]), never.clone());
    check(client, "has_all(likes, 'tea', 'golf')", false, json!(["tea", "yoga"]), never.clone());
    check(client, "vip", false, Value::Null, never.clone());
    check(client, "month_day(birthday) BETWEEN '12-29' AND '01-04'", true, json!("12-30"), never.clone());
    check(client, "one_id < 1", true, json!(0), never.clone());
    let window = "day > CURRENT_DATE - INTERVAL '60' DAY";
    check(client, &format!("(SELECT count(*) FROM purchase WHERE {window}) >= 2"), true, json!(2), json!("2026-11-09"));
    check(
        client,
        &format!("(SELECT sum(amount) FROM purchase WHERE {window}) < 30"),
        false,
        json!(32.5),
        json!("2026-11-09"),
    );
    check(
        client,
        "(SELECT avg(amount) FROM purchase WHERE category = 'bakery') > 11",
        true,
        json!(11.25),
        never.clone(),
    );
    check(client, "(SELECT count(DISTINCT category) FROM purchase) = 2", true, json!(2), never.clone());
    check(client, "(SELECT last(category) FROM purchase) = 'dairy'", false, json!("bakery"), never.clone());
    check(client, "(SELECT min(amount) FROM purchase WHERE category = 'wine') > 1", false, Value::Null, never.clone());
    let latest = json!({"event": "purchase", "at": "2026-09-10T10:00:00+08:00", "properties": {"category": "dairy", "amount": 20.0}});
    check(
        client,
        "EXISTS (SELECT 1 FROM purchase WHERE category = 'dairy')",
        true,
        json!({"count": 1, "latest": latest}),
        never.clone(),
    );
    check(
        client,
        "NOT EXISTS (SELECT 1 FROM purchase WHERE category = 'wine')",
        true,
        json!({"count": 0, "latest": null}),
        never.clone(),
    );
    let steps = "(SELECT 1 FROM purchase WHERE category = 'bakery'), (SELECT 1 FROM purchase WHERE category = 'dairy')";
    let times = ["2026-09-01T10:00:00+08:00", "2026-09-10T10:00:00+08:00"];
    check(
        client,
        &format!("followed_by({steps}, INTERVAL '9' DAY)"),
        true,
        json!({"reached": 2, "of": 2, "at": times}),
        never.clone(),
    );
    check(
        client,
        &format!("followed_by({steps}, INTERVAL '8' DAY)"),
        false,
        json!({"reached": 1, "of": 2, "at": [times[0]]}),
        never.clone(),
    );
    let top = "one_id IN (SELECT one_id FROM profiles ORDER BY spend DESC LIMIT 1)";
    check(client, top, false, json!({"value": 120.5, "rank": 2, "known": 2}), never.clone());
    check(client, "in_bitmap('OjAAAAEAAAAAAAAAEAAAAAEA')", false, json!(false), never.clone());
    let answer = explain(client, "spend >= (SELECT quantile(spend, 0.8) FROM profiles)", "2026-10-31");
    assert_eq!((&answer["clauses"][0]["value"], &answer["clauses"][0]["threshold"]), (&json!(120.5), &json!(500)));
    let answer = explain(client, "bucket('summer', 100) < 45", "2026-10-31");
    let bucket = answer["clauses"][0]["value"].as_u64().unwrap();
    assert_eq!(client.count(format!("member = 'C123' AND bucket('summer', 100) = {bucket}")), 1);
}

#[test]
fn months_are_clipped_where_a_day_is_missing() {
    let server = shop();
    let mut client = server.client();
    // February has no 31st: its last days are a month after the last days of January, and the 1st of March is past them.
    let answer = explain(&mut client, "joined >= CURRENT_DATE - INTERVAL '1' MONTH", "2026-02-15");
    assert_eq!((&answer["matches"], &answer["changes_on"]), (&json!(true), &json!("2026-03-01")));
    // On the 28th of February a month before 31 March: four days are a month after it.
    client
        .post_text(&format!("{MAIN}/profiles"), r#"{"id": {"member": "C123"}, "set": {"joined": "2026-02-28"}}"#)
        .expect(200);
    let answer = explain(&mut client, "joined = CURRENT_DATE - INTERVAL '1' MONTH", "2026-03-01");
    assert_eq!((&answer["matches"], &answer["changes_on"]), (&json!(false), &json!("2026-03-28")));
    let answer = explain(&mut client, "joined = CURRENT_DATE - INTERVAL '1' MONTH", "2026-03-28");
    assert_eq!((&answer["matches"], &answer["changes_on"]), (&json!(true), &json!("2026-04-01")));
}

#[test]
fn what_was_is_told_of_the_state_then() {
    let server = shop();
    let mut client = server.client();
    client.post(&format!("{MAIN}/snapshots"), &json!({"name": "before"})).expect(200);
    client.post_text(&format!("{MAIN}/profiles"), r#"{"id": {"member": "C123"}, "set": {"tier": "V4"}}"#).expect(200);
    let answer = explain(&mut client, "was('before', tier = 'V2') AND tier = 'V3'", "2026-10-31");
    let (then, now) = (&answer["clauses"][0], &answer["clauses"][1]);
    assert_eq!(
        (&then["matches"], &then["value"], &then["rules"][0]["text"]),
        (&json!(true), &json!("V2"), &json!("tier = 'V2'"))
    );
    assert_eq!((&now["matches"], &now["value"], &answer["matches"]), (&json!(false), &json!("V4"), &json!(false)));
}

#[test]
fn who_is_not_known_and_what_cannot_be_asked_is_refused() {
    let server = shop();
    let mut client = server.client();
    let mut check = |body: Value, wanted: (u16, &str, &str)| {
        let (status, code, at) = client.ask("explain", &body).failure();
        assert_eq!((status, code.as_str(), at.as_str()), wanted, "{body}");
    };
    check(json!({"where": "vip", "id": {"member": "nobody"}}), (404, "unknown_profile", "null"));
    check(json!({"where": "vip", "id": {"card": "C2"}}), (404, "unknown_id_type", "null"));
    check(json!({"where": "vip"}), (400, "missing_key", r#"{"pointer":""}"#));
    check(json!({"where": "vip", "id": {}}), (400, "wrong_type", r#"{"pointer":"/id"}"#));
    check(json!({"where": "vip", "id": {"member": "C2", "phone": "138"}}), (400, "wrong_type", r#"{"pointer":"/id"}"#));
    check(
        json!({"where": "vip", "id": {"member": "C2"}, "base": "vip"}),
        (400, "unknown_key", r#"{"pointer":"/base"}"#),
    );
    check(
        json!({"where": "vip AND vop", "id": {"member": "C2"}}),
        (400, "unknown_tag", r#"{"column":9,"length":3,"line":1}"#),
    );
    let many = vec!["vip"; 2001].join(" OR ");
    check(json!({"where": many, "id": {"member": "C2"}}), (422, "too_large", "null"));
}

/// Audiences nested so that each uses the next twice: 4,096 paths to the last one.
#[test]
fn audiences_nested_twelve_deep_are_each_taken_apart_once() {
    let server = shop();
    let mut client = server.client();
    let mut save = |name: &str, definition: String| {
        client.put(&format!("{MAIN}/audiences/{name}"), &json!({"where": definition})).expect(200);
    };
    save("a0", "(SELECT max(day) FROM purchase) < CURRENT_DATE - INTERVAL '60' DAY".into());
    for n in 1..=12 {
        save(&format!("a{n}"), format!("in_audience('a{0}') OR (vip AND in_audience('a{0}'))", n - 1));
    }
    let answer = explain(&mut client, "in_audience('a12')", "2026-10-31");
    assert_eq!((&answer["matches"], &answer["changes_on"]), (&json!(false), &json!("2026-11-15")));
    assert!(answer["took_us"].as_u64().unwrap() < 2_000_000, "{}", answer["took_us"]);
}

/// Random people with dates and events around a day.
fn population(random: &mut Random, today: Date) -> (tempfile::TempDir, Engine, usize) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &EngineOptions { threads: 2, ..EngineOptions::default() }).unwrap();
    let schema = json!({"time_zone": "Europe/Berlin", "id_types": ["member"], "tags": {
        "tier": {"type": "category"}, "spend": {"type": "number"}, "joined": {"type": "date"}, "expires": {"type": "date"},
        "vip": {"type": "flag"}},
        "events": {"buy": {"properties": {"kind": {"type": "category"}, "price": {"type": "number"}, "until": {"type": "date"}}},
                   "see": {"properties": {"kind": {"type": "category"}}}}});
    let space = engine.put_space("main", serde_json::from_value(schema).unwrap()).unwrap();
    let count = 30;
    let near = |random: &mut Random| today.checked_add(random.within(-150, 150).days()).unwrap();
    let (mut people, mut events) = (String::new(), String::new());
    for n in 0..count {
        let mut set = serde_json::Map::new();
        for (name, percent) in [("joined", 80), ("expires", 60)] {
            if random.percent(percent) {
                set.insert(name.into(), near(random).to_string().into());
            }
        }
        set.insert("spend".into(), random.within(0, 20).into());
        set.insert("tier".into(), random.word(&["V1", "V2", "V3"]).into());
        set.insert("vip".into(), random.percent(50).into());
        people += &format!("{}\n", json!({"id": {"member": n.to_string()}, "set": set}));
        for _ in 0..random.below(8) {
            let at = near(random).at(random.within(0, 23) as i8, 0, 0, 0).to_string();
            let (event, kind) = (random.word(&["buy", "see"]), random.word(&["tea", "wine"]));
            let mut line = json!({"id": {"member": n.to_string()}, "event": event, "at": at, "kind": kind});
            if event == "buy" {
                line["price"] = random.within(1, 9).into();
                line["until"] = near(random).to_string().into();
            }
            events += &format!("{line}\n");
        }
    }
    upsert(&space, people.into_bytes(), false);
    upsert(&space, events.into_bytes(), true);
    space.store().snapshot(Some("early")).unwrap();
    // What was is not what is: half of them change afterwards.
    let mut people = String::new();
    for n in (0..count).step_by(2) {
        let set = json!({"joined": near(random).to_string(), "spend": random.within(0, 20), "vip": random.percent(50)});
        people += &format!("{}\n", json!({"id": {"member": n.to_string()}, "set": set}));
    }
    upsert(&space, people.into_bytes(), false);
    drop(space);
    (dir, engine, count)
}

fn upsert(space: &headcount::engine::Space, body: Vec<u8>, are_events: bool) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let done = move |answer| sender.send(answer).unwrap();
    match are_events {
        false => space.upsert_lines(&body, UpsertOptions::default(), done).unwrap(),
        true => space.event_lines(&body, UpsertOptions::default(), done).unwrap(),
    }
    let answer = receiver.recv().unwrap().unwrap();
    assert!(answer.rejected.is_empty(), "{:?}", answer.rejected);
}

/// Questions in which CURRENT_DATE stands wherever it can.
struct Asker<'r> {
    random: &'r mut Random,
}

impl Asker<'_> {
    fn relative(&mut self) -> String {
        let unit = self.random.word(&["DAY", "DAY", "WEEK", "MONTH", "YEAR"]);
        let most = if unit == "DAY" { 120 } else { 4 };
        match self.random.below(8) {
            0 => "CURRENT_DATE".into(),
            1 => format!("CURRENT_DATE + INTERVAL '{}' {unit}", self.random.below(most)),
            2 => format!("CURRENT_DATE - INTERVAL '1' MONTH - INTERVAL '{}' DAY", self.random.below(40)),
            _ => format!("CURRENT_DATE - INTERVAL '{}' {unit}", self.random.below(most)),
        }
    }

    fn held(&mut self, operand: &str) -> String {
        let (a, b) = (self.relative(), self.relative());
        match self.random.below(8) {
            0 => format!("{operand} BETWEEN {a} AND {b}"),
            1 => format!("{operand} NOT BETWEEN {a} AND {b}"),
            2 => format!("{operand} IN ({a}, {b})"),
            _ => format!("{operand} {} {a}", self.random.word(&["=", "<>", "<", "<=", ">", ">="])),
        }
    }

    fn rows(&mut self, event: &str) -> String {
        let operand = if event == "buy" { self.random.word(&["day", "day", "at", "until"]) } else { "day" };
        let dated = if operand == "at" { format!("at >= {}", self.relative()) } else { self.held(operand) };
        match self.random.below(5) {
            0 => format!("{event} WHERE kind = 'tea'"),
            1 => format!("{event} WHERE NOT ({dated}) OR kind = 'wine'"),
            2 => format!("{event} WHERE kind = 'tea' AND {dated}"),
            _ => format!("{event} WHERE {dated}"),
        }
    }

    fn leaf(&mut self, depth: u32) -> String {
        let (buy, see) = (self.rows("buy"), self.rows("see"));
        let n = self.random.below(4);
        match self.random.below(if depth > 0 { 17 } else { 12 }) {
            0 | 1 => self.held("joined"),
            2 => self.held("expires"),
            3 => format!("(SELECT count(*) FROM {buy}) >= {n}"),
            4 => format!("(SELECT sum(price) FROM {buy}) < {}", n * 5),
            5 => format!("EXISTS (SELECT 1 FROM {see})"),
            6 => format!("NOT EXISTS (SELECT 1 FROM {buy})"),
            7 => format!("followed_by((SELECT 1 FROM {buy}), (SELECT 1 FROM {see}), INTERVAL '40' DAY)"),
            8 => {
                self.held(&format!("(SELECT {} FROM {buy})", ["max(day)", "min(until)", "last(until)"][n as usize % 3]))
            }
            9 => self.random.word(&["tier = 'V1'", "vip", "spend > 10", "expires IS NULL"]).into(),
            10 => format!("in_audience('{}')", self.random.word(&["near", "far"])),
            11 => format!("(SELECT count(DISTINCT day) FROM {buy}) = {n}"),
            12 | 13 => format!("was('early', {})", self.leaf(0)),
            14 => format!("one_id IN (SELECT one_id FROM profiles WHERE {} ORDER BY spend DESC LIMIT 5)", self.leaf(0)),
            15 => format!("spend >= (SELECT quantile(spend, 0.5) FROM profiles WHERE {})", self.leaf(0)),
            _ => format!("one_id IN (SELECT one_id FROM profiles WHERE {})", self.leaf(0)),
        }
    }

    fn question(&mut self, depth: u32) -> String {
        match self.random.below(6) {
            0 | 1 if depth > 0 => format!("({} AND {})", self.question(depth - 1), self.question(depth - 1)),
            2 | 3 if depth > 0 => format!("({} OR {})", self.question(depth - 1), self.question(depth - 1)),
            4 if depth > 0 => format!("NOT ({})", self.question(depth - 1)),
            _ => self.leaf(depth),
        }
    }
}

/// Whether a person is among those that a count counts.
fn counted(space: &Space, audience: &str, one_id: u32, as_of: Date) -> bool {
    let audience = Where::Text(format!("({audience}) AND one_id = {one_id}"));
    let question = Question { audience: Some(audience), as_of: Some(as_of), ..Question::default() };
    space.count(&question, false).unwrap().value.count == 1
}

/// Every clause of an answer holds as the count of its own text does: now, the day before it changes, and from then on.
fn check_clauses(space: &Space, clauses: &[Reason], one_id: u32, as_of: Date) {
    for clause in clauses {
        let is_in = |day| counted(space, &clause.text, one_id, day);
        assert_eq!(clause.matches, is_in(as_of), "{} of {one_id}", clause.text);
        if let Some(day) = clause.changes_on {
            let day = date_of(day);
            assert!(day > as_of, "{}", clause.text);
            assert_eq!(is_in(day.yesterday().unwrap()), clause.matches, "{} of {one_id} before {day}", clause.text);
            assert_eq!(is_in(day), !clause.matches, "{} of {one_id} on {day}", clause.text);
        }
        if !clause.text.starts_with("was(") {
            check_clauses(space, &clause.rules, one_id, as_of);
        }
    }
}

#[test]
fn explanations_and_counts_agree_on_every_day() {
    let seed = seed();
    let random = &mut Random::new(seed);
    let today = date(2026, 1, 20).checked_add(random.within(0, 60).days()).unwrap();
    let (_dir, engine, people) = population(random, today);
    let space = engine.space("main").unwrap();
    for name in ["near", "far"] {
        let definition = Where::Text(
            Asker { random }.question(1).replace("in_audience('near')", "vip").replace("in_audience('far')", "vip"),
        );
        let request = AudienceRequest { definition, description: String::new(), labels: Vec::new(), by: None };
        space.put_audience(name, &request).unwrap();
    }
    let mut changes = 0;
    for _ in 0..setting("HEADCOUNT_CASES", 60) {
        let audience = Asker { random }.question(2);
        let member = random.below(people as u64).to_string();
        let question =
            Question { audience: Some(Where::Text(audience.clone())), as_of: Some(today), ..Question::default() };
        let why = space.explain(&question, "member", &member).unwrap().value;
        let is_in = |day: Date| counted(&space, &audience, why.one_id, day);
        assert_eq!(why.matches, is_in(today), "HEADCOUNT_SEED={seed}: {audience} of {member}");
        let days = (1..=100).map(|n| today.checked_add(n.days()).unwrap());
        let first = days.clone().find(|day| is_in(*day) != why.matches);
        let last = date_of(why.looked_until);
        let told = why.changes_on.map(date_of);
        let expected = first.filter(|day| *day <= last);
        let within = told.filter(|day| *day <= today.checked_add(100.days()).unwrap());
        assert_eq!(within, expected, "HEADCOUNT_SEED={seed}: {audience} of {member} on {today}");
        assert_eq!(why.matches_then, told.map(|_| !why.matches));
        check_clauses(&space, &why.clauses, why.one_id, today);
        changes += usize::from(told.is_some());
    }
    assert!(changes > 0, "none of the questions changes at all");
}
