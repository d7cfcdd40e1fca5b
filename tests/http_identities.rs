//! Identities over HTTP: profiles that turn out to be one person, on a population that a person can check by eye.

mod http_client;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headcount::engine::EngineOptions;
use http_client::{Client, MAIN, Server};
use serde_json::{Value, json};

/// Three profiles: 0 by a member's number, 1 by a phone, 2 by another phone.
///
/// ```text
///         member  phone   city      age   born         vip   likes          bought
///   0     M1      -       Shanghai  -     -            -     tea            bakery at noon of 1 Oct, key m1
///   1     -       138     Paris     31    1990-02-28   yes   yoga, tea      dairy at the same second, key p1; toys later
///   2     -       139     -         40    -            no    golf           -
/// ```
const PEOPLE: &str = r#"{"id": {"member": "M1"}, "set": {"city": "Shanghai", "likes": ["tea"]}}
{"id": {"phone": "138"}, "set": {"city": "Paris", "age": 31, "born": "1990-02-28", "vip": true, "likes": ["yoga", "tea"]}}
{"id": {"phone": "139"}, "set": {"age": 40, "vip": false, "likes": ["golf"]}}
"#;
const EVENTS: &str = r#"{"id": {"phone": "138"}, "event": "purchase", "at": "2026-10-01T12:00:00Z", "item": "dairy", "amount": 20, "key": "p1"}
{"id": {"member": "M1"}, "event": "purchase", "at": "2026-10-01T12:00:00Z", "item": "bakery", "amount": 10, "key": "m1"}
{"id": {"phone": "138"}, "event": "purchase", "at": "2026-10-05T12:00:00Z", "item": "toys"}
"#;

fn shop() -> Server {
    let mut options = EngineOptions { threads: 1, ..EngineOptions::default() };
    options.store.purge_after = Duration::ZERO;
    let server = Server::with_engine(tempfile::tempdir().unwrap(), options, |_| {});
    let mut client = server.client();
    let schema = json!({"id_types": ["member", "phone"],
        "tags": {"city": {"type": "category"}, "age": {"type": "number"}, "born": {"type": "date"},
                 "vip": {"type": "flag"}, "likes": {"type": "set"}},
        "events": {"purchase": {"properties": {"item": {"type": "category"}, "amount": {"type": "number"}}}}});
    client.put(MAIN, &schema).expect(200);
    assert_eq!(send(&mut client, "profiles", PEOPLE), (3, 3, 0));
    assert_eq!(send(&mut client, "events", EVENTS), (3, 0, 0));
    server
}

/// Accepted, created and joined of a batch in which every line is good.
#[track_caller]
fn send(client: &mut Client, what: &str, lines: &str) -> (u64, u64, u64) {
    let answer = client.post_text(&format!("{MAIN}/{what}"), lines).expect(200);
    assert_eq!(answer["rejected"], json!([]));
    let number = |name: &str| answer[name].as_u64().unwrap();
    (number("accepted"), number("created"), number("joined"))
}

fn link(a: Value, b: Value) -> String {
    json!({"a": a, "b": b}).to_string() + "\n"
}

fn person(client: &mut Client, of: &str) -> Value {
    client.get(&format!("{MAIN}/profiles/{of}")).expect(200)
}

fn rows(client: &mut Client, sql: &str) -> Value {
    client.ask("query", &json!({"sql": sql})).expect(200)["rows"].clone()
}

/// The server again, on what it has on disk.
fn restarted(mut server: Server) -> Server {
    server.stop.stop();
    server.thread.take().unwrap().join().unwrap().unwrap();
    let dir = std::mem::replace(&mut server.dir, tempfile::tempdir().unwrap());
    let mut options = EngineOptions { threads: 1, ..EngineOptions::default() };
    options.store.purge_after = Duration::ZERO;
    Server::with_engine(dir, options, |_| {})
}

/// What 0 is once 1 was joined to it.
fn check_joined(client: &mut Client, what: &str) {
    let one = person(client, "phone/138");
    assert_eq!(one["one_id"], 0, "{what}");
    assert_eq!(one["identities"], json!({"member": ["M1"], "phone": ["138"]}), "{what}");
    let tags = json!({"city": "Shanghai", "age": 31, "born": "1990-02-28", "vip": true, "likes": ["tea", "yoga"]});
    assert_eq!(one["tags"], tags, "{what}");
    assert_eq!(person(client, "member/M1")["tags"], tags, "{what}");
    let items: Vec<&str> =
        one["events"].as_array().unwrap().iter().map(|e| e["properties"]["item"].as_str().unwrap()).collect();
    assert_eq!(items, ["toys", "dairy", "bakery"], "{what}");
    assert_eq!(client.count(Value::Null), 2, "{what}");
    assert_eq!(client.count("one_id = 1"), 0, "{what}");
    assert_eq!(client.count("city = 'Paris'"), 0, "{what}");
    assert_eq!(client.count("likes = 'yoga' AND city = 'Shanghai'"), 1, "{what}");
    assert_eq!(client.count("phone IS NULL"), 0, "{what}");
    // Of one second, the survivor's first.
    assert_eq!(client.count("(SELECT first(item) FROM purchase) = 'bakery'"), 1, "{what}");
    assert_eq!(client.count("(SELECT count(*) FROM purchase) = 3"), 1, "{what}");
    assert_eq!(client.count("(SELECT sum(amount) FROM purchase) = 30"), 1, "{what}");
    let all = rows(client, "SELECT count(*), count(DISTINCT one_id), sum(amount) FROM purchase");
    assert_eq!(all, json!([[3, 1, 30]]), "{what}");
}

#[test]
fn a_link_joins_two_profiles_and_nothing_is_lost() {
    let server = shop();
    let mut client = server.client();
    assert_eq!(send(&mut client, "identities", &link(json!({"phone": "138"}), json!({"member": "M1"}))), (1, 0, 1));
    check_joined(&mut client, "at once");
    let again = send(&mut client, "identities", &link(json!({"member": "M1"}), json!({"phone": "138"})));
    assert_eq!(again, (1, 0, 0), "once joined, a link says nothing new");
    let server = restarted(server);
    let mut client = server.client();
    check_joined(&mut client, "from the log");
    client.post(&format!("{MAIN}/snapshots"), &json!({})).expect(200);
    check_joined(&mut client, "in parts");
    let server = restarted(server);
    let mut client = server.client();
    check_joined(&mut client, "from parts");
    // The OneID is retired for ever, and no bitmap may name it.
    assert_eq!(send(&mut client, "profiles", r#"{"id": {"member": "M9"}}"#), (1, 1, 0));
    assert_eq!(person(&mut client, "member/M9")["one_id"], 3);
    let mut bitmap = Vec::new();
    [0, 1].into_iter().collect::<roaring::RoaringBitmap>().serialize_into(&mut bitmap).unwrap();
    let headers = [("Content-Type", "application/vnd.roaring")];
    let answer = client.call("POST", &format!("{MAIN}/bitmaps/likes/golf"), &headers, Some(&bitmap));
    assert_eq!(answer.failure().1, "not_live");
}

#[test]
fn a_key_counts_once_under_whichever_identity_it_comes_again() {
    for snapshots in [0, 1] {
        let server = shop();
        let mut client = server.client();
        (0..snapshots).for_each(|_| _ = client.post(&format!("{MAIN}/snapshots"), &json!({})).expect(200));
        send(&mut client, "identities", &link(json!({"phone": "138"}), json!({"member": "M1"})));
        let again = |client: &mut Client, what: &str| {
            let line = |id: Value, key: &str| {
                let at = "2026-10-01T12:00:00Z";
                json!({"id": id, "event": "purchase", "at": at, "item": "again", "key": key}).to_string() + "\n"
            };
            let mut lines = line(json!({"member": "M1"}), "p1") + &line(json!({"phone": "138"}), "m1");
            lines += &line(json!({"phone": "138"}), "p1");
            // Whose key was seen joins nobody.
            lines += &line(json!({"phone": "139", "member": "M1"}), "m1");
            let answer = client.post_text(&format!("{MAIN}/events"), &lines).expect(200);
            let numbers = ["accepted", "duplicates", "joined"].map(|name| answer[name].clone());
            assert_eq!(numbers, [4, 4, 0], "{what}");
            assert_eq!(client.count("(SELECT count(*) FROM purchase) = 3"), 1, "{what}");
        };
        again(&mut client, "at once");
        client.post(&format!("{MAIN}/snapshots"), &json!({})).expect(200);
        again(&mut client, "after a store snapshot");
        client.delete(&format!("{MAIN}/profiles/phone/139")).expect(200);
        client.post(&format!("{MAIN}/snapshots"), &json!({})).expect(200);
        again_without(&mut client);
        let server = restarted(server);
        again_without(&mut server.client());
    }
}

/// As above, once a purge has rewritten the tables of keys; who was 139 is gone.
fn again_without(client: &mut Client) {
    let line = r#"{"id": {"member": "M1"}, "event": "purchase", "at": "2026-10-01T12:00:00Z", "key": "p1"}"#;
    let answer = client.post_text(&format!("{MAIN}/events"), line).expect(200);
    assert_eq!((&answer["duplicates"], &answer["created"]), (&json!(1), &json!(0)));
    assert_eq!(client.count("(SELECT count(*) FROM purchase) = 3"), 1);
}

#[test]
fn a_line_of_people_joins_first_and_changes_then() {
    let server = shop();
    let mut client = server.client();
    let line = r#"{"id": {"member": "M1", "phone": "138"}, "unset": ["born"], "set": {"age": 32}, "remove": {"likes": ["tea"]}, "add": {"likes": ["chess"]}}"#;
    // A later line of the batch means the joined one by either identity.
    let lines = format!("{line}\n{}\n", r#"{"id": {"phone": "138"}, "set": {"city": "Hangzhou"}}"#);
    assert_eq!(send(&mut client, "profiles", &lines), (2, 0, 1));
    let tags = json!({"age": 32, "city": "Hangzhou", "vip": true, "likes": ["chess", "yoga"]});
    assert_eq!(person(&mut client, "member/M1")["tags"], tags);
}

#[test]
fn what_an_earlier_line_of_a_batch_did_is_joined_too() {
    let server = shop();
    let mut client = server.client();
    let lines = [
        json!({"id": {"phone": "138"}, "unset": ["age", "vip"], "set": {"city": "Rome"}, "add": {"likes": ["go"]}}),
        json!({"id": {"member": "M1"}, "unset": ["city"]}),
        json!({"id": {"phone": "new"}, "set": {"age": 50}}),
        json!({"id": {"phone": "138", "member": "M1"}}),
        json!({"id": {"phone": "new", "member": "M1"}}),
        json!({"id": {"phone": "139", "member": "M2"}}),
    ];
    let lines: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    assert_eq!(send(&mut client, "profiles", &lines), (6, 1, 2));
    let one = person(&mut client, "phone/new");
    let tags = json!({"city": "Rome", "age": 50, "born": "1990-02-28", "likes": ["go", "tea", "yoga"]});
    assert_eq!((&one["one_id"], &one["tags"]), (&json!(0), &tags));
    assert_eq!(one["identities"], json!({"member": ["M1"], "phone": ["138", "new"]}));
    assert_eq!(client.count(Value::Null), 2, "3 was made and retired in one batch");
    assert_eq!(send(&mut client, "profiles", r#"{"id": {"phone": "140"}}"#), (1, 1, 0));
    assert_eq!(person(&mut client, "phone/140")["one_id"], 4);
}

#[test]
fn an_event_joins_whom_it_names() {
    let server = shop();
    let mut client = server.client();
    let event = |id: Value, item: &str| {
        json!({"id": id, "event": "purchase", "at": "2026-10-01T12:00:00Z", "item": item}).to_string() + "\n"
    };
    let lines = event(json!({"member": "M1"}), "before")
        + &event(json!({"phone": "138", "member": "M1"}), "joins")
        + &event(json!({"phone": "138"}), "after");
    assert_eq!(send(&mut client, "events", &lines), (3, 0, 1));
    let items = rows(&mut client, "SELECT item FROM purchase WHERE day = DATE '2026-10-01'");
    assert_eq!(items, json!([["bakery"], ["before"], ["dairy"], ["joins"], ["after"]]));
}

#[test]
fn several_profiles_become_the_lowest_and_links_of_a_body_are_a_chain() {
    let server = shop();
    let mut client = server.client();
    // Two phones and a member in one link: the lower ones fill gaps first.
    let three = link(json!({"phone": "139", "member": "M1"}), json!({"phone": "138"}));
    assert_eq!(send(&mut client, "identities", &three), (1, 0, 2));
    let one = person(&mut client, "phone/139");
    let tags =
        json!({"city": "Shanghai", "age": 31, "born": "1990-02-28", "vip": true, "likes": ["golf", "tea", "yoga"]});
    assert_eq!((&one["one_id"], &one["tags"]), (&json!(0), &tags));
    assert_eq!(one["identities"], json!({"member": ["M1"], "phone": ["138", "139"]}));

    let server = shop();
    let mut client = server.client();
    let chain = link(json!({"phone": "138"}), json!({"phone": "139"}))
        + &link(json!({"phone": "139"}), json!({"member": "M1"}));
    assert_eq!(send(&mut client, "identities", &chain), (2, 0, 2));
    let one = person(&mut client, "phone/139");
    assert_eq!((&one["one_id"], &one["tags"]), (&json!(0), &tags), "a chain comes to the same");
    assert_eq!(one["identities"], json!({"member": ["M1"], "phone": ["138", "139"]}));
    assert_eq!(client.count(Value::Null), 1);
}

#[test]
fn a_link_gives_an_identity_to_who_is_known_and_makes_who_is_not() {
    let server = shop();
    let mut client = server.client();
    let to_known = link(json!({"phone": "138"}), json!({"member": "M8"}));
    assert_eq!(send(&mut client, "identities", &to_known), (1, 0, 0));
    assert_eq!(person(&mut client, "member/M8")["one_id"], 1);
    let new = link(json!({"phone": "7"}), json!({"phone": "8"})) + &link(json!({"phone": "8"}), json!({"phone": "8"}));
    assert_eq!(send(&mut client, "identities", &new), (2, 1, 0));
    assert_eq!(person(&mut client, "phone/8")["identities"], json!({"phone": ["7", "8"]}));
    let itself = link(json!({"phone": "twice"}), json!({"phone": "twice"}));
    assert_eq!(send(&mut client, "identities", &itself), (1, 1, 0));
    assert_eq!(person(&mut client, "phone/twice")["identities"], json!({"phone": ["twice"]}));

    let lines =
        link(json!({"phone": "x"}), json!({"member": "y"})) + &link(json!({"phone": "x"}), json!({"member": "M1"}));
    let answer = client.post_text(&format!("{MAIN}/identities?unknown=reject"), &lines).expect(200);
    assert_eq!((&answer["accepted"], &answer["created"], &answer["joined"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(
        (&answer["rejected"][0]["line"], &answer["rejected"][0]["code"]),
        (&json!(1), &json!("unknown_profile"))
    );
    assert_eq!(person(&mut client, "phone/x")["one_id"], 0);
}

#[test]
fn bad_links_are_told_with_their_line_and_an_atomic_batch_joins_nobody() {
    let server = shop();
    let mut client = server.client();
    let good = link(json!({"phone": "138"}), json!({"member": "M1"}));
    let bad = [
        ("not json", "bad_json"),
        (r#"{"a": {"phone": "1"}}"#, "no_identity"),
        (r#"{"a": {"phone": "1"}, "b": {}}"#, "no_identity"),
        (r#"{"a": {"phone": "1"}, "b": {"phne": "1"}}"#, "unknown_id_type"),
        (r#"{"a": {"phone": "1"}, "b": {"phone": ""}}"#, "bad_identity"),
        (r#"{"a": {"phone": "1"}, "b": {"phone": "2"}, "c": {}}"#, "unknown_key"),
        (r#"{"a": {"phone": "138"}, "b": {"member": "M1\u0000"}}"#, "bad_identity"),
    ];
    let lines: String = bad.iter().map(|(line, _)| format!("{line}\n")).collect();
    let atomic = client.post_text(&format!("{MAIN}/identities?atomic=true"), &(good.clone() + &lines)).expect(200);
    assert_eq!((&atomic["accepted"], &atomic["joined"]), (&json!(0), &json!(0)));
    assert_eq!(client.count(Value::Null), 3);
    let answer = client.post_text(&format!("{MAIN}/identities"), &(lines + &good)).expect(200);
    let codes: Vec<_> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["line"].as_u64().unwrap(), r["code"].as_str().unwrap()))
        .collect();
    let wanted: Vec<_> = (1..).zip(bad).map(|(line, (_, code))| (line, code)).collect();
    assert_eq!(codes, wanted);
    assert_eq!((&answer["accepted"], &answer["joined"]), (&json!(1), &json!(1)));
    assert_eq!(client.count(Value::Null), 2);
    assert_eq!(client.post_text(&format!("{MAIN}/identities?nope=1"), "").failure().1, "unknown_parameter");
}

fn files_with(dir: &Path, needle: &str) -> Vec<PathBuf> {
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
fn earlier_states_see_two_and_the_erasure_of_the_one_reaches_both() {
    let server = shop();
    let mut client = server.client();
    let secret = r#"{"id": {"phone": "138"}, "set": {"city": "Secretville", "likes": ["secret-love"]}}
{"id": {"member": "M1"}, "set": {"city": "Secret-on-Sea"}}
{"id": {"phone": "139"}, "set": {"city": "Shanghai"}}"#;
    assert_eq!(send(&mut client, "profiles", secret), (3, 0, 0));
    let bought = json!({"id": {"phone": "138"}, "event": "purchase", "at": "2026-10-06T12:00:00Z", "item": "secret-thing", "key": "s1"});
    send(&mut client, "events", &bought.to_string());
    client.post(&format!("{MAIN}/snapshots"), &json!({"name": "two of them"})).expect(200);
    assert_eq!(send(&mut client, "identities", &link(json!({"phone": "138"}), json!({"member": "M1"}))), (1, 0, 1));
    client.post(&format!("{MAIN}/snapshots"), &json!({"name": "one of them"})).expect(200);
    let of = |client: &mut Client, state: &str, condition: &str| {
        client.ask("count", &json!({"where": condition, "state": state})).expect(200)["count"].clone()
    };
    let check = |client: &mut Client, what: &str| {
        assert_eq!(of(client, "two of them", "TRUE"), 3, "{what}");
        assert_eq!(of(client, "two of them", "city = 'Secretville' AND likes = 'secret-love'"), 1, "{what}");
        assert_eq!(of(client, "two of them", "city = 'Secret-on-Sea' AND likes = 'secret-love'"), 0, "{what}");
        assert_eq!(of(client, "two of them", "(SELECT count(*) FROM purchase) = 3"), 1, "{what}");
        assert_eq!(of(client, "one of them", "TRUE"), 2, "{what}");
        assert_eq!(of(client, "one of them", "city = 'Secret-on-Sea' AND likes = 'secret-love'"), 1, "{what}");
        assert_eq!(of(client, "one of them", "(SELECT count(*) FROM purchase) = 4"), 1, "{what}");
        // Asked of those who live now.
        assert_eq!(client.count("was('two of them', city = 'Secretville')"), 0, "{what}");
        assert_eq!(client.count("was('two of them', city = 'Secret-on-Sea')"), 1, "{what}");
    };
    check(&mut client, "at once");
    let server = restarted(server);
    let mut client = server.client();
    check(&mut client, "after a restart");
    client.post(&format!("{MAIN}/snapshots"), &json!({})).expect(200);
    check(&mut client, "after a store snapshot");
    // Somebody else is erased, and all is purged: both are still there.
    send(&mut client, "profiles", r#"{"id": {"member": "stranger"}, "set": {"city": "Elsewhere"}}"#);
    client.delete(&format!("{MAIN}/profiles/member/stranger")).expect(200);
    client.post(&format!("{MAIN}/snapshots"), &json!({})).expect(200);
    check(&mut client, "after a purge");
    let server = restarted(server);
    let mut client = server.client();
    check(&mut client, "after a purge and a restart");

    assert_eq!(client.delete(&format!("{MAIN}/profiles/phone/138")).expect(200)["one_id"], 0);
    for (state, left) in [("two of them", 1), ("one of them", 1)] {
        assert_eq!(of(&mut client, state, "TRUE"), left, "{state}");
        assert_eq!(of(&mut client, state, "EXISTS (SELECT 1 FROM purchase)"), 0, "{state}");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let left =
        || ["ecret", "M1", "138"].iter().flat_map(|text| files_with(server.dir.path(), text)).collect::<Vec<_>>();
    while !left().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(), Vec::<PathBuf>::new());
    // Whoever comes back is somebody new.
    assert_eq!(send(&mut client, "identities", &link(json!({"phone": "138"}), json!({"member": "M1"}))), (1, 1, 0));
    assert_eq!(person(&mut client, "phone/138")["tags"], json!({}));
}
