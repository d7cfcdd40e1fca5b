//! Saved audiences, overlaps and differences over HTTP, on people that can be counted by eye.

mod http_client;

use std::sync::Arc;
use std::time::{Duration, Instant};

use headcount::engine::{Engine, EngineOptions};
use http_client::{Client, MAIN, Server};
use serde_json::{Value, json};

/// Twelve people: 0 to 5 live in Rome, the others in Oslo; every third is a member of the club; ages are 20 to 31.
fn town() -> Server {
    let server = Server::start();
    let mut client = server.client();
    let schema = json!({"id_types": ["member"], "tags": {"city": {"type": "category"}, "club": {"type": "flag"},
        "age": {"type": "number"}}});
    client.put(MAIN, &schema).expect(200);
    let people: String = (0..12)
        .map(|n| {
            let city = if n < 6 { "Rome" } else { "Oslo" };
            let line =
                json!({"id": {"member": format!("{n}")}, "set": {"city": city, "club": n % 3 == 0, "age": 20 + n}});
            format!("{line}\n")
        })
        .collect();
    client.post_text(&format!("{MAIN}/profiles"), &people).expect(200);
    server
}

fn save(client: &mut Client, name: &str, definition: impl Into<Value>) -> Value {
    client.put(&format!("{MAIN}/audiences/{name}"), &json!({"where": definition.into()})).expect(200)
}

#[test]
fn audiences_are_built_on_each_other() {
    let server = town();
    let mut client = server.client();
    assert_eq!(save(&mut client, "romans", "city = 'Rome'")["count"], 6);
    save(&mut client, "club_romans", "in_audience('romans') AND club");
    let tree = json!({"combinator": "and", "rules": [{"audience": "club_romans"}, {"field": "age", "operator": ">", "value": 20}]});
    assert_eq!(save(&mut client, "older", tree)["text"], "in_audience('club_romans') AND age > 20");
    assert_eq!(client.count("in_audience('older')"), 1);
    assert_eq!(client.count("NOT in_audience('older')"), 11);
    assert_eq!(client.count("in_audience('older') OR in_audience('romans')"), 6);

    // A change of the data, or of what it is built on, is seen at once.
    client.post_text(&format!("{MAIN}/profiles"), r#"{"id": {"member": "5"}, "set": {"club": true}}"#).expect(200);
    assert_eq!(client.count("in_audience('older')"), 2);
    save(&mut client, "romans", "city = 'Rome' AND age < 25");
    assert_eq!(client.count("in_audience('older')"), 1);

    let shown = client.get(&format!("{MAIN}/audiences/club_romans")).expect(200);
    assert_eq!(
        (&shown["uses"], &shown["used_by"], &shown["version"]),
        (&json!(["romans"]), &json!(["older"]), &json!(1))
    );
    let romans = client.get(&format!("{MAIN}/audiences/romans")).expect(200);
    assert_eq!((&romans["version"], &romans["history"][0]["where"]), (&json!(2), &json!("city = 'Rome'")));
    let list = client.get(&format!("{MAIN}/audiences")).expect(200);
    let names: Vec<_> = list["audiences"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["club_romans", "older", "romans"]);
    let portrait = client.get(&format!("{MAIN}/profiles/member/3")).expect(200);
    assert_eq!(portrait["audiences"], json!(["club_romans", "older", "romans"]));
}

#[test]
fn circles_and_audiences_in_use_are_refused() {
    let server = town();
    let mut client = server.client();
    save(&mut client, "a", "city = 'Rome'");
    save(&mut client, "b", "in_audience('a')");
    save(&mut client, "c", "in_audience('b') AND club");
    let mut refused = |name: &str, definition: &str, code: &str| {
        let answer = client.put(&format!("{MAIN}/audiences/{name}"), &json!({"where": definition}));
        let (status, error) = (answer.status, answer.json()["error"].clone());
        assert!((400..500).contains(&status) && error["code"] == code, "{name}: {status} {error}");
        error["message"].as_str().unwrap().to_string()
    };
    let message = refused("a", "in_audience('c') OR age > 3", "audience_circle");
    assert!(message.contains("a → c → b → a"), "{message}");
    refused("a", "in_audience('a')", "audience_circle");
    refused("d", "in_audience('nobody')", "unknown_audience");
    refused("d", "colour = 'red'", "unknown_tag");
    refused("D", "age > 3", "bad_name");
    let answer = client.delete(&format!("{MAIN}/audiences/a")).expect(409);
    assert_eq!(answer["error"]["code"], "audience_in_use");
    assert!(answer["error"]["message"].as_str().unwrap().contains('b'));
    for name in ["c", "b", "a"] {
        client.delete(&format!("{MAIN}/audiences/{name}")).expect(200);
    }
    let answer = client.ask("count", &json!({"where": "in_audience('a')"})).expect(400);
    assert_eq!((&answer["error"]["code"], &answer["error"]["at"]["column"]), (&json!("unknown_audience"), &json!(13)));
    client.delete(&format!("{MAIN}/audiences/a")).expect(404);
}

#[test]
fn twelve_deep_and_twice_each_is_asked_twelve_times() {
    let server = town();
    let mut client = server.client();
    save(&mut client, "level_0", "age >= 20");
    for level in 1..=40 {
        let below = level - 1;
        let definition =
            format!("in_audience('level_{below}') AND NOT (NOT in_audience('level_{below}') AND age > {level})");
        save(&mut client, &format!("level_{level}"), definition);
    }
    // Two to the power of forty paths would not end.
    let start = Instant::now();
    assert_eq!(client.count("in_audience('level_40')"), 12);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn audiences_outlive_restarts_and_store_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |engine: &Engine| engine.space("main").unwrap().audience_list().unwrap().value.audiences;
    let request = |text: &str| headcount::engine::AudienceRequest {
        definition: headcount::engine::Where::Text(text.into()),
        description: "all of them".into(),
        labels: vec!["test".into()],
        by: None,
    };
    let open = || Arc::new(Engine::open(dir.path(), &EngineOptions::default()).unwrap());
    let engine = open();
    engine.space("main").unwrap().put_audience("everyone", &request("TRUE")).unwrap();
    drop(engine);
    let engine = open();
    engine.space("main").unwrap().store().snapshot(None).unwrap();
    engine.space("main").unwrap().put_audience("nobody", &request("NOT in_audience('everyone')")).unwrap();
    let before = ask(&engine);
    drop(engine);
    let after = ask(&open());
    assert_eq!(before.len(), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.name, &before.present), (&after.name, &after.present));
    }
}

#[test]
fn overlaps_tell_every_region() {
    let server = town();
    let mut client = server.client();
    save(&mut client, "romans", "city = 'Rome'");
    let asked =
        json!({"audiences": ["in_audience('romans')", "club", {"field": "age", "operator": ">=", "value": 29}]});
    let answer = client.ask("overlap", &asked).expect(200);
    let regions = json!([{"in": [0], "count": 4}, {"in": [1], "count": 1}, {"in": [0, 1], "count": 2},
        {"in": [2], "count": 2}, {"in": [1, 2], "count": 1}]);
    assert_eq!(answer["regions"], regions);
    assert_eq!(answer["counts"], json!([6, 4, 3]));
    assert_eq!(answer["pairs"][0], json!({"a": 0, "b": 1, "both": 2, "jaccard": 0.25}));
    let answer = client.ask("overlap", &json!({"audiences": ["club"]})).expect(400);
    assert_eq!(answer["error"]["at"]["pointer"], "/audiences");
    let answer = client.ask("overlap", &json!({"audiences": ["club", "klub"]})).expect(400);
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["at"]["pointer"]),
        (&json!("unknown_tag"), &json!("/audiences/1"))
    );
}

#[test]
fn differences_have_enough_people_behind_them() {
    let server = Server::start();
    let mut client = server.client();
    let schema = json!({"id_types": ["member"], "tags": {"city": {"type": "category"}, "likes": {"type": "set"}}});
    client.put(MAIN, &schema).expect(200);
    // Romans like tea three times as often as others; three people like yaks, all of them Romans: too few to tell.
    let people: String = (0..900)
        .map(|n| {
            let is_roman = n % 3 == 0;
            let mut likes = vec![if n % 2 == 0 { "walks" } else { "books" }];
            likes.extend((if is_roman { n % 4 == 0 } else { n % 12 == 1 }).then_some("tea"));
            likes.extend((n < 9 && is_roman).then_some("yaks"));
            let city = if is_roman { "Rome" } else { "Oslo" };
            format!("{}\n", json!({"id": {"member": format!("{n}")}, "set": {"city": city, "likes": likes}}))
        })
        .collect();
    client.post_text(&format!("{MAIN}/profiles"), &people).expect(200);
    let answer = client.ask("differences", &json!({"where": "city = 'Rome'"})).expect(200);
    let values: Vec<_> = answer["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (&v["tag"], &v["value"], &v["count"], &v["base_count"]))
        .collect();
    let (city, likes) = (json!("city"), json!("likes"));
    assert_eq!(
        values[..2],
        [(&city, &json!("Oslo"), &json!(0), &json!(600)), (&city, &json!("Rome"), &json!(300), &json!(300))]
    );
    assert_eq!((values[2].0, values[2].1), (&likes, &json!("tea")));
    assert_eq!(values.len(), 3, "{values:?}");
    assert!(answer["values"][2]["p_value"].as_f64().unwrap() < 1e-3);
}
