//! The HTTP API end to end: what is asked over a socket, and what comes back.

mod http_client;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headcount::engine::{Engine, EngineOptions};
use headcount::server::tokens::{Role, create_token};
use headcount::server::{ServeError, ServeOptions, Stop, serve_until};
use http_client::{Answer, MAIN, PEOPLE, Server, connect, read_answer, schema};
use roaring::RoaringBitmap;
use serde_json::{Value, json};

#[test]
fn people_are_put_in_and_counted() {
    let server = Server::start();
    let mut client = server.client();
    let put = client.put(MAIN, &schema()).expect(200);
    assert_eq!((&put["tags"]["spend"]["scale"], &put["id_types"][1]), (&json!(2), &json!("phone")));
    let lines = format!("{PEOPLE}{{\"id\": {{\"member\": \"e\"}}, \"set\": {{\"age\": \"x\"}}}}\nnonsense\n");
    let answer = client.post_text(&format!("{MAIN}/profiles"), &lines).expect(200);
    assert_eq!((&answer["accepted"], &answer["created"]), (&json!(4), &json!(4)));
    let rejected: Vec<_> = answer["rejected"].as_array().unwrap().iter().map(|r| (&r["line"], &r["code"])).collect();
    assert_eq!(rejected, [(&json!(6), &json!("wrong_type")), (&json!(7), &json!("bad_json"))]);

    assert_eq!(client.count(Value::Null), 4);
    assert_eq!(client.count("age >= 30 AND vip"), 1);
    let tree = json!({"combinator": "or", "rules": [
        {"field": "city", "operator": "=", "value": "Rome"}, {"field": "interests", "operator": "=", "value": "yoga"}]});
    assert_eq!(client.count(tree), 2);
    let answer = client.ask("count", &json!({"where": "age = 31", "base": "interests = 'tea'", "breakdown": true}));
    let answer = answer.expect(200);
    assert_eq!((&answer["count"], &answer["base_count"], &answer["share"]), (&json!(2), &json!(2), &json!(0.5)));
    assert_eq!(answer["clauses"][0], json!({"path": "/rules/0", "count": 2, "without": 4}));
    assert_eq!(
        client.ask("count", &json!({"where": "city = 'Nowhere'"})).expect(200)["warnings"][0]["at"]["column"],
        8
    );
    let as_of = json!({"where": "birthday < CURRENT_DATE - INTERVAL '30' YEAR", "as_of": "2020-03-01"});
    assert_eq!(client.ask("count", &as_of).expect(200)["count"], 1);
    assert_eq!(client.call("POST", &format!("{MAIN}/count"), &[], None).expect(200)["count"], 4);
}

#[test]
fn a_question_asked_again_sees_what_came_meanwhile() {
    let server = Server::with_people();
    let mut client = server.client();
    let as_tree = json!({"field": "city", "operator": "=", "value": "Elsewhere"});
    for (city, asked) in [("Nowhere", json!("city = 'Nowhere'")), ("Elsewhere", as_tree)] {
        for (lives_in, count) in [(None, 0), (Some(city), 1), (Some("Rome"), 0)] {
            if let Some(value) = lives_in {
                let line = json!({"id": {"member": "a"}, "set": {"city": value}}).to_string();
                client.post_text(&format!("{MAIN}/profiles"), &line).expect(200);
            }
            // The first time it is bound, the second time it is known.
            for _ in 0..2 {
                let answer = client.ask("count", &json!({"where": asked, "base": asked})).expect(200);
                assert_eq!((&answer["count"], &answer["base_count"]), (&json!(count), &json!(count)), "{answer}");
                assert_eq!(answer["warnings"].is_array(), lives_in.is_none(), "{answer}");
            }
        }
    }
    let of_day = |day: &str| json!({"where": "birthday < CURRENT_DATE - INTERVAL '30' YEAR", "as_of": day});
    for _ in 0..2 {
        assert_eq!(client.ask("count", &of_day("2020-03-01")).expect(200)["count"], 1);
        assert_eq!(client.ask("count", &of_day("1900-01-01")).expect(200)["count"], 0);
    }
    for (city, count) in [("Rome", 1), ("Oslo", 0)] {
        let definition = json!({"where": format!("city = '{city}'")});
        client.put(&format!("{MAIN}/audiences/there"), &definition).expect(200);
        assert_eq!(client.count("member = 'a' AND in_audience('there')"), count, "definitions are no part of a plan");
    }
    assert_eq!(client.count("member = 'a'"), 1);
    client.delete(&format!("{MAIN}/profiles/member/a")).expect(200);
    assert_eq!(client.count("member = 'a'"), 0);
}

#[test]
fn batches_come_in_all_their_forms() {
    let server = Server::with_people();
    let mut client = server.client();
    let path = format!("{MAIN}/profiles");
    let body = json!({"profiles": [{"id": {"member": "x"}}, {"id": {"nobody": "y"}}]});
    let answer = client.post(&path, &body).expect(200);
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["line"]), (&json!(1), &json!(2)));
    let lines = "{\"id\": {\"member\": \"y\"}}\n{\"id\": {\"member\": \"z\"}, \"set\": {\"age\": \"?\"}}\n";
    let answer = client.post_text(&format!("{path}?atomic=true"), lines).expect(200);
    assert_eq!((&answer["accepted"], &answer["created"]), (&json!(0), &json!(0)));
    let answer = client.post_text(&format!("{path}?unknown=reject"), "{\"id\": {\"member\": \"y\"}}").expect(200);
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["line"]), (&json!(0), &json!(1)));
    assert_eq!(client.count(Value::Null), 5);
    let (status, code, _) = client.post_text(&format!("{path}?atomc=true"), lines).failure();
    assert_eq!((status, code.as_str()), (400, "unknown_parameter"));
    assert_eq!(client.post_text(&format!("{path}?atomic=maybe"), lines).failure().1, "bad_parameter");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let server = Server::with_people();
    let mut client = server.client();
    let mut check = |question: &str, body: Value, status: u16, code: &str, place: &str| {
        let answer = client.ask(question, &body);
        let text = answer.text().to_string();
        let (found, found_code, at) = answer.failure();
        assert_eq!((found, found_code.as_str()), (status, code), "{text}");
        assert!(at.contains(place), "{text}");
    };
    check("count", json!({"where": "agee > 1"}), 400, "unknown_tag", r#""column":1,"length":4"#);
    check("count", json!({"where": "age >"}), 400, "syntax", r#""line":1"#);
    check("count", json!({"where": {"field": "agee", "operator": "=", "value": 1}}), 400, "unknown_tag", "pointer");
    let nested = json!({"combinator": "and", "rules": [{"field": "age", "operator": "=", "value": "x"}]});
    check("count", json!({"where": nested}), 400, "wrong_type", "/rules/0/value");
    check("count", json!({"were": "x"}), 400, "unknown_key", "/were");
    check("count", json!({"where": 7}), 400, "wrong_type", "/where");
    check("count", json!({"as_of": "2026-02-30"}), 400, "bad_date", "/as_of");
    check("count", json!({"timeout_ms": "x"}), 400, "wrong_type", "/timeout_ms");
    check("count", json!({"state": "2020-01-01"}), 400, "unknown_state", "/state");
    check("query", json!({}), 400, "missing_key", "pointer");
    check("query", json!({"sql": "SELECT FROM"}), 400, "syntax", "column");
    check("distribution", json!({"tags": ["city", "nope"]}), 400, "unknown_tag", "/tags/1");
    check("crosstab", json!({"rows": "city"}), 400, "missing_key", "pointer");
    check("members", json!({"columns": ["nope"]}), 400, "unknown_tag", "/columns/0");
    check("members", json!({"order_by": "city"}), 400, "wrong_type", "/order_by");
    check("members", json!({"where": "nope"}), 400, "unknown_tag", "column");
    let deep = "NOT ".repeat(200) + "vip";
    check("count", json!({"where": deep}), 422, "nesting_too_deep", "line");
    let hint = client.ask("count", &json!({"where": "agee > 1"})).json();
    assert_eq!(hint["error"]["hint"], "did you mean `age`?");
}

#[test]
fn bodies_that_are_no_requests_are_refused() {
    let server = Server::with_people();
    let mut client = server.client();
    let path = format!("{MAIN}/count");
    let mut check = |body: &[u8], status: u16, code: &str| {
        let (found, found_code, _) = client.call("POST", &path, &[], Some(body)).failure();
        assert_eq!(
            (found, found_code.as_str()),
            (status, code),
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(80)])
        );
    };
    check(b"{", 400, "bad_json");
    check(b"[]", 400, "bad_json");
    check(b"\xff\xfe", 400, "bad_json");
    check(br#"{"where": "vip", "where": "vip"}"#, 400, "bad_json");
    check(("[".repeat(100_000)).as_bytes(), 422, "nesting_too_deep");
    let deep = format!("{{\"where\": {}{}}}", "{\"rules\": [".repeat(70), "]}".repeat(70));
    check(deep.as_bytes(), 422, "nesting_too_deep");
    let many = format!("{{\"where\": [{}1]}}", "1,".repeat(4_100_000));
    check(many.as_bytes(), 422, "too_many_values");
    let (status, code, _) = client.call("POST", &path, &[("Content-Encoding", "br")], Some(b"x")).failure();
    assert_eq!((status, code.as_str()), (415, "unknown_encoding"));
    let (status, code, _) = client.call("POST", &path, &[("Content-Encoding", "gzip")], Some(b"x")).failure();
    assert_eq!((status, code.as_str()), (400, "bad_encoding"));
}

#[test]
fn routes_that_are_not_there_say_so() {
    let server = Server::start();
    let mut client = server.client();
    let mut check = |method: &str, path: &str, status: u16, code: &str| -> Answer {
        let answer = client.call(method, path, &[], Some(b"{}"));
        let json = answer.json();
        assert_eq!((answer.status, json["error"]["code"].as_str().unwrap()), (status, code), "{method} {path}");
        answer
    };
    check("GET", "/nope", 404, "unknown_route");
    check("POST", &format!("{MAIN}/deeds"), 404, "unknown_route");
    check("POST", "/v1/spaces/nope/count", 404, "unknown_space");
    check("GET", "/v1/spaces/nope", 404, "unknown_space");
    check("GET", &format!("{MAIN}/profiles/member/nobody"), 404, "unknown_id_type");
    check("GET", &format!("{MAIN}/bitmaps/nope/x"), 404, "unknown_tag");
    check("DELETE", &format!("{MAIN}/snapshots/nope"), 404, "unknown_snapshot");
    check("GET", &format!("{MAIN}/profiles/member/%ff"), 400, "bad_path");
    let refused = check("PATCH", MAIN, 405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("PUT, GET"));
    let head = client.call("HEAD", "/health/live", &[], None);
    assert_eq!((head.status, head.header("content-length")), (200, Some("17")));
}

#[test]
fn schemas_grow_and_types_stay() {
    let server = Server::with_people();
    let mut client = server.client();
    client.put(MAIN, &json!({"tags": {"tier": {"type": "category"}}})).expect(200);
    let mut check = |path: &str, body: Value, status: u16, code: &str| {
        let answer = client.put(path, &body);
        let text = answer.text().to_string();
        let (found, found_code, _) = answer.failure();
        assert_eq!((found, found_code.as_str()), (status, code), "{text}");
    };
    check(MAIN, json!({"tags": {"age": {"type": "date"}}}), 409, "type_changed");
    check(MAIN, json!({"tags": {"member": {"type": "date"}}}), 409, "name_taken");
    check(MAIN, json!({"time_zone": "Asia/Tokyo"}), 409, "zone_changed");
    check(MAIN, json!({"time_zone": "Nowhere"}), 422, "unknown_zone");
    check(MAIN, json!({"tags": {"No": {"type": "date"}}}), 422, "bad_name");
    check(MAIN, json!({"tags": {"x": {"type": "thing"}}}), 400, "wrong_type");
    check(MAIN, json!({"tag": {}}), 400, "unknown_key");
    check("/v1/spaces/No", json!({}), 422, "bad_name");
    check("/v1/spaces/bad_one", json!({"tags": {"No": {"type": "date"}}}), 422, "bad_name");
    client.put("/v1/spaces/second", &json!({"id_types": ["member"]})).expect(200);
    let list = client.get("/v1/spaces").json();
    let names: Vec<_> = list["spaces"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["main", "second"], "the bad one was not made");

    let space = client.get(MAIN).expect(200);
    assert_eq!((&space["profile_count"], &space["schema"]["tags"]["tier"]["type"]), (&json!(4), &json!("category")));
    assert!(
        space["tags"]["city"]["memory_bytes"].as_u64().unwrap() > 0 && space["resident_bytes"].as_u64().unwrap() > 0
    );
    assert_eq!(space["id_types"]["member"]["profile_count"], 4);
    assert!(space["id_types"]["member"]["bytes_per_identity"].as_f64().unwrap() > 0.0);
    assert_eq!((&space["writes_stopped"], &space["last_snapshot"]), (&json!(false), &Value::Null));
}

#[test]
fn members_come_in_all_formats() {
    let server = Server::with_people();
    let mut client = server.client();
    let body = json!({"where": "age IS NOT NULL", "columns": ["member", "age", "spend"], "order_by": "age DESC"});
    let answer = client.members("application/x-ndjson", &body);
    assert_eq!(answer.status, 200);
    let version = answer.header("x-headcount-data-version").unwrap();
    assert_eq!(version.parse::<u64>().unwrap(), client.ask("count", &json!({})).expect(200)["data_version"]);
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"member": "a", "age": 31, "spend": 12.50}));
    assert_eq!(lines[1], json!({"member": "d", "age": 31, "spend": null}));
    assert!(answer.text().contains("12.50"), "decimals keep their digits: {}", answer.text());
    assert_eq!(lines.len(), 3);

    let csv = client.members("text/csv", &json!({"columns": ["city", "interests", "vip"], "ids": ["member"]}));
    let expected = "one_id,member,city,interests,vip\r\n0,a,Oslo,tea|yoga,true\r\n1,b,Rome,tea,\r\n\
                    2,c,\"Oslo, \"\"old\"\"\",,false\r\n3,d,,,\r\n";
    assert_eq!(csv.text(), expected);
    let bitmap = client.members("application/vnd.roaring", &json!({"where": "age = 31"}));
    let ids = RoaringBitmap::deserialize_from(&bitmap.body[..]).unwrap();
    assert_eq!(ids.iter().collect::<Vec<_>>(), [0, 3]);
    let part = client.members("application/vnd.roaring", &json!({"limit": 1, "after": 0}));
    assert_eq!(RoaringBitmap::deserialize_from(&part.body[..]).unwrap().iter().collect::<Vec<_>>(), [1]);
    let parquet = client.members("application/vnd.apache.parquet", &json!({"columns": ["city"]}));
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    assert_eq!(client.members("image/png", &json!({})).failure().1, "not_acceptable");

    let mut after = Value::Null;
    let mut seen = Vec::new();
    loop {
        let page = client.members("*/*", &json!({"columns": ["one_id"], "limit": 3, "after": after}));
        let Some(last) = page.text().lines().last() else { break };
        seen.extend(page.text().lines().map(String::from));
        after = serde_json::from_str::<Value>(last).unwrap()["one_id"].clone();
    }
    assert_eq!(seen, ["{\"one_id\":0}", "{\"one_id\":1}", "{\"one_id\":2}", "{\"one_id\":3}"]);
    assert_eq!(client.members("*/*", &json!({"sample": 2, "seed": 7})).text().lines().count(), 2);
    let nobody = client.members("text/csv", &json!({"where": "age > 99", "columns": ["member"]}));
    assert_eq!(nobody.text(), "member\r\n");
}

#[test]
fn long_lists_are_streamed_and_compressed() {
    let server = Server::with_people();
    let mut client = server.client();
    let lines: String = (0..20_000).map(|i| format!("{{\"id\": {{\"member\": \"member-{i:06}\"}}}}\n")).collect();
    let packed = zstd::encode_all(lines.as_bytes(), 1).unwrap();
    let path = format!("{MAIN}/profiles");
    let answer = client.call("POST", &path, &[("Content-Encoding", "zstd")], Some(&packed)).expect(200);
    assert_eq!(answer["created"], 20_000);
    let body = json!({"columns": ["member"]}).to_string();
    let path = format!("{MAIN}/members");
    let plain = client.call("POST", &path, &[], Some(body.as_bytes()));
    assert_eq!(plain.header("transfer-encoding"), Some("chunked"));
    assert_eq!(plain.text().lines().count(), 20_004);
    let zstd = client.call("POST", &path, &[("Accept-Encoding", "gzip, zstd")], Some(body.as_bytes()));
    assert_eq!(zstd.header("content-encoding"), Some("zstd"));
    assert_eq!(zstd::decode_all(&zstd.body[..]).unwrap(), plain.body);
    let gzip = client.call("POST", &path, &[("Accept-Encoding", "gzip")], Some(body.as_bytes()));
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut inflated).unwrap();
    assert!(inflated == plain.body && gzip.body.len() < plain.body.len() / 2);
    let small = client.call("GET", MAIN, &[("Accept-Encoding", "gzip")], None);
    assert_eq!(small.header("content-encoding"), Some("gzip"));

    // A reader that goes away frees its thread.
    let mut gone = connect(server.address);
    write!(gone, "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let _ = gone.read(&mut [0; 100]);
    drop(gone);
    let start = Instant::now();
    loop {
        let page = client.get("/metrics");
        if page.text().contains("headcount_lane_in_flight{lane=\"stream\"} 0") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "the stream still runs");
    }
}

#[test]
fn insight_is_given_in_its_shapes() {
    let server = Server::with_people();
    let mut client = server.client();
    let answer = client.ask("distribution", &json!({"tags": ["city", "age"], "top": 1})).expect(200);
    let city = &answer["tags"]["city"];
    assert_eq!((&city["unknown"], &city["other"], &city["reach"]), (&json!(1), &json!(2), &json!(3)));
    assert_eq!(answer["tags"]["age"]["quartiles"], json!([25, 31, 31]));
    let answer = client.ask("distribution", &json!({"tags": ["age"], "bins": {"width": 10}})).expect(200);
    assert_eq!(answer["tags"]["age"]["values"][0]["low"], 20);
    let answer = client.ask("crosstab", &json!({"rows": "age", "columns": "vip"})).expect(200);
    assert_eq!(answer["row_totals"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 4);
    let sql = "SELECT vip, count(*) FROM profiles GROUP BY vip ORDER BY count(*) DESC";
    let answer = client.ask("query", &json!({"sql": sql})).expect(200);
    assert_eq!(answer["columns"][0], "vip");
    assert_eq!(answer["rows"][0], json!([null, 2]));
    let answer = client.ask("plan", &json!({"where": "age >= 30 AND vip"})).expect(200);
    assert_eq!((&answer["text"], &answer["plan"]["actual"]), (&json!("age >= 30 AND vip"), &json!(1)));
}

#[test]
fn a_person_is_shown_and_erased() {
    let server = Server::with_people();
    let mut client = server.client();
    let person = client.get(&format!("{MAIN}/profiles/phone/1")).expect(200);
    assert_eq!((&person["one_id"], &person["identities"]), (&json!(0), &json!({"member": ["a"], "phone": ["1"]})));
    let tags = json!({"city": "Oslo", "age": 31, "spend": 12.5, "vip": true, "interests": ["tea", "yoga"], "birthday": "1990-02-28"});
    assert_eq!((&person["tags"], &person["events"], &person["audiences"]), (&tags, &json!([]), &json!([])));
    let erased = client.delete(&format!("{MAIN}/profiles/member/a")).expect(200);
    assert_eq!((&erased["erased"], &erased["one_id"]), (&json!(true), &json!(0)));
    for path in ["profiles/member/a", "profiles/phone/1"] {
        assert_eq!(client.get(&format!("{MAIN}/{path}")).failure().1, "unknown_profile");
        assert_eq!(client.delete(&format!("{MAIN}/{path}")).failure().1, "unknown_profile");
    }
    assert_eq!(client.get(&format!("{MAIN}/profiles/memer/b")).json()["error"]["hint"], "did you mean `member`?");
    assert_eq!(client.count(Value::Null), 3);
    let odd = "{\"id\": {\"member\": \"a/b c%\"}}";
    client.post_text(&format!("{MAIN}/profiles"), odd).expect(200);
    assert_eq!(client.get(&format!("{MAIN}/profiles/member/a%2Fb%20c%25")).expect(200)["one_id"], 4);
}

#[test]
fn bitmaps_go_in_and_out() {
    let server = Server::with_people();
    let mut client = server.client();
    let bytes = |ids: &[u32]| {
        let mut out = Vec::new();
        ids.iter().copied().collect::<RoaringBitmap>().serialize_into(&mut out).unwrap();
        out
    };
    let mut put = |path: &str, body: &[u8]| {
        let headers = [("Content-Type", "application/vnd.roaring")];
        client.call("POST", &format!("{MAIN}/bitmaps/{path}"), &headers, Some(body))
    };
    assert_eq!(put("interests/golf", &bytes(&[1, 2])).expect(200)["changed"], 2);
    assert_eq!(put("interests/golf?mode=add", &bytes(&[2, 3])).expect(200)["changed"], 1);
    assert_eq!(put("interests/golf?mode=remove", &bytes(&[0, 1])).expect(200)["changed"], 1);
    assert_eq!(put("city/New%20York?mode=set", &bytes(&[3])).expect(200)["changed"], 1);
    let (status, code, _) = put("interests/golf", &bytes(&[1, 99, 1_000_000])).failure();
    assert_eq!((status, code.as_str()), (422, "not_live"));
    let answer = put("interests/golf", &bytes(&[1, 99, 1_000_000])).json();
    assert!(answer["error"]["message"].as_str().unwrap().starts_with("2 of the 3"), "{answer}");
    assert_eq!(put("interests/golf", b"not a bitmap").failure().1, "bad_bitmap");
    assert_eq!(put("interests/golf", b"").failure().1, "bad_bitmap");
    assert_eq!(put("age/31", &bytes(&[1])).failure().1, "wrong_type");
    assert_eq!(put("vip/maybe", &bytes(&[1])).failure().1, "bad_value");
    assert_eq!(put("vip/true?mode=toggle", &bytes(&[1])).failure().1, "bad_parameter");
    assert_eq!(put("nope/x", &bytes(&[1])).failure().0, 404);
    assert_eq!(client.count("interests = 'golf'"), 2);
    assert_eq!(client.count("city = 'New York'"), 1);
    let out = client.get(&format!("{MAIN}/bitmaps/interests/golf"));
    assert_eq!(out.header("content-type"), Some("application/vnd.roaring"));
    assert_eq!(RoaringBitmap::deserialize_from(&out.body[..]).unwrap().iter().collect::<Vec<_>>(), [2, 3]);
    let nobody = client.get(&format!("{MAIN}/bitmaps/city/Nowhere"));
    assert!(RoaringBitmap::deserialize_from(&nobody.body[..]).unwrap().is_empty());
}

#[test]
fn snapshots_are_taken_listed_and_deleted() {
    let server = Server::with_people();
    let mut client = server.client();
    let path = format!("{MAIN}/snapshots");
    let taken = client.post(&path, &json!({"name": "before campaign"})).expect(200);
    assert_eq!((&taken["name"], &taken["profile_count"]), (&json!("before campaign"), &json!(4)));
    assert!(taken["taken_at"].as_str().unwrap().ends_with('Z'));
    client.post_text(&format!("{MAIN}/profiles"), "{\"id\": {\"member\": \"z\"}}").expect(200);
    client.call("POST", &path, &[], None).expect(200);
    let kept = client.post(&path, &json!({"keep": true})).expect(200);
    assert!(kept["name"].is_string());
    assert_eq!(client.post(&path, &json!({"name": ""})).failure().1, "bad_snapshot_name");
    assert_eq!(client.post(&path, &json!({"name": "x", "keep": false})).failure().1, "wrong_type");
    let list = client.get(&path).expect(200);
    let names: Vec<_> = list["snapshots"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert!(names.contains(&json!("before campaign")) && names.len() >= 2, "{list}");
    assert_eq!(client.delete(&format!("{path}/before%20campaign")).expect(200)["deleted"], true);
    assert_eq!(client.delete(&format!("{path}/before%20campaign")).failure().0, 404);
    assert_eq!(client.count(Value::Null), 5);
    assert!(client.get(MAIN).expect(200)["last_snapshot"]["bytes"].as_u64().unwrap() > 0);
}

#[test]
fn tokens_decide_who_may_do_what() {
    let dir = tempfile::tempdir().unwrap();
    let make = |role, spaces: &[&str], name| {
        let spaces: Vec<String> = spaces.iter().map(|s| s.to_string()).collect();
        create_token(dir.path(), role, &spaces, name).unwrap()
    };
    let (reader, writer) = (make(Role::Read, &["main"], "r"), make(Role::Write, &["main"], "w"));
    let (admin, other) = (make(Role::Admin, &[], "a"), make(Role::Admin, &["other"], "o"));
    let server = Server::with(dir, |_| {});
    let mut client = server.client();
    client.token = Some(admin.clone());
    client.put(MAIN, &schema()).expect(200);

    // One request for each data route, with the role that it needs: P13's matrix.
    let document = client.get("/openapi.json").json();
    let mut cells = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
            let Some(role) = operation["x-role"].as_str() else { continue };
            let at = path.replace("{space}", "main").replace(['{', '}'], "");
            let needed = ["read", "write", "admin"].iter().position(|r| *r == role).unwrap();
            let mut check = |token: Option<&str>, expected: Option<u16>| {
                client.token = token.map(String::from);
                let answer = client.call(&method.to_uppercase(), &at, &[], Some(b"{}"));
                match expected {
                    Some(status) => assert_eq!(answer.status, status, "{method} {path} {token:?} {}", answer.text()),
                    None => assert!(!matches!(answer.status, 401 | 403), "{method} {path} {}", answer.text()),
                }
                cells += 1;
            };
            check(None, Some(401));
            check(Some("hc_00000000_00"), Some(401));
            check(Some(&reader), if needed > 0 { Some(403) } else { None });
            check(Some(&writer), if needed > 1 { Some(403) } else { None });
            check(Some(&admin), None);
            check(Some(&other), if at == "/v1/spaces" { None } else { Some(404) });
        }
    }
    assert!(cells >= 6 * 17, "{cells}");

    // Foreign and absent are the same.
    client.token = Some(other);
    for (method, rest) in [("GET", ""), ("POST", "/count"), ("PUT", ""), ("DELETE", "/profiles/member/a")] {
        let foreign = client.call(method, &format!("{MAIN}{rest}"), &[], Some(b"{}"));
        let absent = client.call(method, &format!("/v1/spaces/absent{rest}"), &[], Some(b"{}"));
        assert_eq!(foreign.status, absent.status);
        assert_eq!(foreign.text().replace("main", "absent"), absent.text(), "{method} {rest}");
    }
    assert_eq!(client.get("/v1/spaces").json()["spaces"], json!([]));
    assert!(!client.get("/metrics").text().contains("space=\"main\""));
    client.token = None;
    assert_eq!(client.get("/health/ready").status, 200);
    assert!(client.get("/metrics").text().contains("headcount_requests_total"));
    let refused = client.get(MAIN);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert!(server.dir.path().join("tokens.json").exists());
}

#[test]
fn without_tokens_only_loopback_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Arc::new(Engine::open(dir.path(), &EngineOptions::default()).unwrap());
    let options = ServeOptions::new("0.0.0.0:0".parse().unwrap(), dir.path());
    let refused = serve_until(engine, options, |_| panic!("it must not start"), &Stop::default()).unwrap_err();
    assert!(matches!(refused, ServeError::NoTokens { .. }) && refused.to_string().contains("headcount token"));
}

#[test]
fn bodies_are_bounded_before_and_after_inflating() {
    let mut engine = EngineOptions { threads: 1, ..EngineOptions::default() };
    engine.upserts.body_bytes_max = 1 << 20;
    engine.upserts.lines_max = 100;
    let server = Server::with_engine(tempfile::tempdir().unwrap(), engine, |_| {});
    let mut client = server.client();
    client.put(MAIN, &schema()).expect(200);
    let path = format!("{MAIN}/profiles");
    let long = vec![b' '; (1 << 20) + 1];
    let (status, code, _) = client.call("POST", &path, &[], Some(&long)).failure();
    assert_eq!((status, code.as_str()), (413, "body_too_large"));
    let mut client = server.client();
    let packed = zstd::encode_all(&vec![b' '; 200 << 20][..], 3).unwrap();
    assert!(packed.len() < 1 << 20);
    let (status, code, _) = client.call("POST", &path, &[("Content-Encoding", "zstd")], Some(&packed)).failure();
    assert_eq!((status, code.as_str()), (413, "body_too_large"));
    let mut client = server.client();
    let (status, code, _) = client.call("POST", &path, &[], Some("{}\n".repeat(101).as_bytes())).failure();
    assert_eq!((status, code.as_str()), (413, "too_many_lines"));
    // The same without a length that could be looked at.
    let mut stream = connect(server.address);
    write!(stream, "POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = vec![b' '; 300_000];
    for _ in 0..4 {
        write!(stream, "{:x}\r\n", chunk.len()).unwrap();
        stream.write_all(&chunk).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream, false).unwrap().failure().1, "body_too_large");
}

#[test]
fn slow_clients_are_cut_and_others_notice_nothing() {
    let second = Duration::from_secs(1);
    let server = Server::with(tempfile::tempdir().unwrap(), |limits| {
        (limits.head_timeout, limits.idle_timeout, limits.stall_timeout) = (second, 3 * second, second);
    });
    let cut_after = |mut stream: TcpStream| {
        let start = Instant::now();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        (start.elapsed(), String::from_utf8(rest).unwrap())
    };
    let silent = connect(server.address);
    let mut head = connect(server.address);
    head.write_all(b"GET /health/live HTTP/1.1\r\nHost:").unwrap();
    let mut body = connect(server.address);
    write!(body, "POST {MAIN}/count HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n{{").unwrap();
    let threads: Vec<_> = [silent, head, body].map(|s| std::thread::spawn(move || cut_after(s))).into_iter().collect();
    let mut client = server.client();
    let start = Instant::now();
    while start.elapsed() < 2 * second {
        assert_eq!(client.get("/health/live").status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    let cut: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(cut[0].0 > 2 * second && cut[0].0 < 6 * second, "silent: {:?}", cut[0]);
    assert!(cut[1].0 < 3 * second && cut[1].1.is_empty(), "head: {:?}", cut[1]);
    assert!(cut[2].1.starts_with("HTTP/1.1 408") && cut[2].1.contains("body_too_slow"), "body: {:?}", cut[2]);
}

#[test]
fn too_much_at_once_is_told_to_come_back() {
    let server = Server::with(tempfile::tempdir().unwrap(), |limits| {
        limits.connections_max = 2;
        limits.questions_max = 0;
        limits.held_bytes_max = 1000;
        limits.spaces_max = 1;
    });
    let mut first = server.client();
    assert_eq!(first.put("/v1/spaces/second", &json!({})).failure().1, "too_many_spaces");
    first.put(MAIN, &json!({})).expect(200);
    let busy = first.ask("count", &json!({}));
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("1")));
    let (status, code, _) = first.post_text(&format!("{MAIN}/profiles"), &" ".repeat(2000)).failure();
    assert_eq!((status, code.as_str()), (503, "busy"));
    assert_eq!(first.get("/health/live").status, 200);
    let mut second = server.client();
    assert_eq!(second.get("/health/live").status, 200);
    let mut third = connect(server.address);
    let refused = read_answer(&mut third, false).unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["error"]["code"], "too_many_connections");
    drop(second);
    let start = Instant::now();
    loop {
        // The place is free once the server has seen the end of the second.
        let mut again = connect(server.address);
        let _ = again.write_all(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n");
        if read_answer(&mut again, false).is_some_and(|answer| answer.status == 200) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn questions_have_their_time() {
    let server = Server::with_people();
    let mut client = server.client();
    let (status, code, _) = client.ask("count", &json!({"where": "age > 3", "timeout_ms": 0})).failure();
    assert_eq!((status, code.as_str()), (504, "timed_out"));
    assert_eq!(client.members("*/*", &json!({"timeout_ms": 0})).failure().1, "timed_out");
}

#[test]
fn the_server_tells_of_itself() {
    let server = Server::with_people();
    let mut client = server.client();
    assert!(client.get("/docs").text().contains("/page/docs.js"));
    assert_eq!(client.get("/openapi.json").json()["openapi"], "3.1.0");
    assert_eq!(client.get("/health/live").text(), r#"{"status":"live"}"#);
    let kept = client.call("GET", "/health/ready", &[("X-Request-Id", "my-id.7")], None);
    assert_eq!((kept.status, kept.header("x-request-id")), (200, Some("my-id.7")));
    let replaced = client.call("GET", "/health/ready", &[("X-Request-Id", "not fit")], None);
    assert_ne!(replaced.header("x-request-id"), Some("not fit"));
    client.ask("count", &json!({"where": "agee"}));
    client.count("vip");
    let page = client.get("/metrics");
    assert!(page.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "headcount_profiles{space=\"main\"} 4",
        "headcount_requests_total{method=\"POST\",route=\"/v1/spaces/{space}/count\",status=\"200\"} 1",
        "headcount_requests_total{method=\"POST\",route=\"/v1/spaces/{space}/count\",status=\"400\"} 1",
        "headcount_request_seconds_count{method=\"POST\",route=\"/v1/spaces/{space}/count\"} 2",
        "headcount_panics_total 0",
        "headcount_requests_in_flight 1",
        "headcount_connections 1",
    ] {
        assert!(page.text().lines().any(|l| l == line), "{line}\n{}", page.text());
    }
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let mut server = Server::with_people();
    let mut client = server.client();
    let version = client.ask("count", &json!({})).expect(200)["data_version"].clone();
    let start = Instant::now();
    server.stop.stop();
    server.thread.take().unwrap().join().unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "an idle connection holds nothing up");
    let dir = std::mem::replace(&mut server.dir, tempfile::tempdir().unwrap());
    let server = Server::with(dir, |_| {});
    let answer = server.client().ask("count", &json!({"where": "age = 31"})).expect(200);
    assert_eq!((&answer["count"], &answer["data_version"]), (&json!(2), &version));
}
