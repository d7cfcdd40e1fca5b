//! Acting on audiences over HTTP: splits, waterfalls, samples with the same mix, look-alikes; by eye and against models.

mod http_client;
// Made for the oracle; each test takes what it needs of it.
#[allow(dead_code)]
#[path = "oracle/random.rs"]
mod random;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http_client::{Client, MAIN, Server};
use random::{Random, seed};
use serde_json::{Value, json};

/// Six people.
///
/// ```text
///        a    b    c    d    e    f
///   tier V1   V1   V2   V2   V3   .      age 20 21 22 23 24 25      vip a, c, e
/// ```
fn town() -> Server {
    let server = Server::start();
    let mut client = server.client();
    client.put(MAIN, &schema()).expect(200);
    let tiers = [Some("V1"), Some("V1"), Some("V2"), Some("V2"), Some("V3"), None];
    let people: String = (0..)
        .zip(tiers)
        .map(|(n, tier)| {
            let member = char::from(b'a' + n as u8).to_string();
            let set = json!({"tier": tier, "age": 20 + n, "vip": n % 2 == 0});
            format!("{}\n", json!({"id": {"member": member}, "set": set}))
        })
        .collect();
    client.post_text(&format!("{MAIN}/profiles"), &people).expect(200);
    server
}

fn schema() -> Value {
    json!({"id_types": ["member"], "tags": {"tier": {"type": "category"}, "age": {"type": "number"},
        "vip": {"type": "flag"}, "likes": {"type": "set"}, "joined": {"type": "date"}}})
}

/// Some thousand random people, and what each of them is.
fn population(random: &mut Random, count: u32) -> (Server, Vec<Value>) {
    let server = Server::start();
    let mut client = server.client();
    client.put(MAIN, &schema()).expect(200);
    let people = (0..count).map(|_| person(random)).collect::<Vec<_>>();
    add(&mut client, &people, 0);
    (server, people)
}

fn person(random: &mut Random) -> Value {
    let mut set = json!({"age": random.within(18, 90), "vip": random.percent(40)});
    if random.percent(90) {
        set["tier"] = random.word(&["V1", "V1", "V1", "V2", "V2", "V3", "V4"]).into();
    }
    let likes: BTreeSet<&str> = (0..random.below(4)).map(|_| random.word(&["tea", "yoga", "golf", "opera"])).collect();
    set["likes"] = json!(likes);
    if random.percent(70) {
        set["joined"] = format!("20{:02}-{:02}-15", random.within(10, 25), random.within(1, 12)).into();
    }
    set
}

fn add(client: &mut Client, people: &[Value], first: usize) {
    let lines = people.iter().zip(first..);
    let lines: String =
        lines.map(|(set, n)| format!("{}\n", json!({"id": {"member": n.to_string()}, "set": set}))).collect();
    client.post_text(&format!("{MAIN}/profiles"), &lines).expect(200);
}

/// OneIDs of the members of a question, by its bitmap.
fn bitmap(client: &mut Client, path: &str, body: &Value) -> roaring::RoaringBitmap {
    let headers = [("Accept", "application/vnd.roaring")];
    let answer = client.call("POST", &format!("{MAIN}/{path}"), &headers, Some(body.to_string().as_bytes()));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    roaring::RoaringBitmap::deserialize_from(&answer.body[..]).unwrap()
}

fn members(client: &mut Client, audience: &Value) -> roaring::RoaringBitmap {
    bitmap(client, "members", &json!({"where": audience}))
}

#[test]
fn a_split_is_disjoint_complete_and_the_same_when_people_come() {
    let random = &mut Random::new(seed());
    let (server, people) = population(random, 3000);
    let mut client = server.client();
    client.put(&format!("{MAIN}/audiences/adults"), &json!({"where": "age >= 21"})).expect(200);
    let parts = json!([{"name": "test", "share": 0.45}, {"name": "control", "share": 0.4501}]);
    let asked = json!({"parts": parts, "salt": "summer"});
    let answer = client.ask("audiences/adults/split", &asked).expect(200);
    assert_eq!(answer["count"], client.count("age >= 21"));
    let definitions = |answer: &Value| {
        let parts = answer["parts"].as_array().unwrap().iter().chain([&answer["holdout"]]);
        parts.map(|part| part["where"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let wheres = definitions(&answer);
    assert_eq!(wheres[0], "in_audience('adults') AND bucket('summer', 10000) < 4500");
    assert_eq!(wheres[1], "in_audience('adults') AND bucket('summer', 10000) BETWEEN 4500 AND 9000");
    assert_eq!(wheres[2], "in_audience('adults') AND bucket('summer', 10000) >= 9001");
    assert_eq!(answer["holdout"]["share"].to_string(), "0.0999");
    let sets: Vec<_> = wheres.iter().map(|text| members(&mut client, &json!(text))).collect();
    for (set, part) in sets.iter().zip(answer["parts"].as_array().unwrap().iter().chain([&answer["holdout"]])) {
        assert_eq!(part["count"], set.len());
        let expected = part["share"].as_f64().unwrap() * answer["count"].as_f64().unwrap();
        assert!((set.len() as f64 - expected).abs() < 200.0, "{} for {expected}", set.len());
    }
    let all = members(&mut client, &json!("age >= 21"));
    assert_eq!(sets.iter().fold(roaring::RoaringBitmap::new(), |all, set| all | set), all);
    assert_eq!(sets.iter().map(|set| set.len()).sum::<u64>(), all.len());
    // Others come: nobody of before changes sides, and a coarser spelling of the same share is the same part.
    let others: Vec<Value> = (0..500).map(|_| person(random)).collect();
    add(&mut client, &others, people.len());
    let again = client
        .ask("split", &json!({"where": "age >= 21", "parts": [{"name": "test", "share": 0.45}], "salt": "summer"}));
    let after = members(&mut client, &json!(definitions(&again.expect(200))[0]));
    assert!(after.len() > sets[0].len());
    assert_eq!(after & &all, sets[0]);
}

#[test]
fn parts_are_saved_under_their_names() {
    let server = town();
    let mut client = server.client();
    let asked =
        json!({"where": "vip", "salt": "s", "parts": [{"name": "one", "share": 0.5}], "holdout": "rest", "save": true});
    let answer = client.ask("split", &asked).expect(200);
    let one = client.get(&format!("{MAIN}/audiences/one")).expect(200);
    assert_eq!((&one["text"], &one["count"]), (&answer["parts"][0]["where"], &answer["parts"][0]["count"]));
    let rest = client.get(&format!("{MAIN}/audiences/rest")).expect(200);
    assert_eq!((&rest["text"], &rest["count"]), (&answer["holdout"]["where"], &answer["holdout"]["count"]));
    assert_eq!(one["count"].as_u64().unwrap() + rest["count"].as_u64().unwrap(), 3);
    let whole =
        client.ask("split", &json!({"where": "vip", "salt": "s", "parts": [{"name": "all", "share": 1}]})).expect(200);
    assert_eq!((&whole["parts"][0]["where"], &whole["holdout"]), (&json!("vip"), &Value::Null));
}

#[test]
fn a_split_that_cannot_be_is_refused_with_the_place() {
    let server = town();
    let mut client = server.client();
    let mut check = |body: Value, code: &str, at: &str| {
        let (status, found, place) = client.ask("split", &body).failure();
        assert_eq!((found.as_str(), place.as_str()), (code, at), "{body}");
        assert!((400..500).contains(&status));
    };
    let of = |share: Value| json!({"salt": "s", "parts": [{"name": "a", "share": 0.5}, {"name": "b", "share": share}]});
    check(of(json!(0.51)), "bad_share", r#"{"pointer":"/parts/1/share"}"#);
    check(of(json!(0)), "bad_share", r#"{"pointer":"/parts/1/share"}"#);
    check(of(json!(-0.1)), "bad_share", r#"{"pointer":"/parts/1/share"}"#);
    check(of(json!("half")), "bad_share", r#"{"pointer":"/parts/1/share"}"#);
    check(of(json!(0.0000001)), "bad_share", r#"{"pointer":"/parts/1/share"}"#);
    check(json!({"salt": "s", "parts": []}), "too_many_parts", r#"{"pointer":"/parts"}"#);
    check(json!({"parts": [{"name": "a", "share": 1}]}), "missing_key", r#"{"pointer":""}"#);
    check(
        json!({"salt": "s", "parts": [{"name": "a", "share": 0.1}, {"name": "a", "share": 0.1}]}),
        "bad_name",
        r#"{"pointer":"/parts/1/name"}"#,
    );
    check(
        json!({"salt": "s", "parts": [{"name": "No name", "share": 0.1}], "save": true}),
        "bad_name",
        r#"{"pointer":""}"#,
    );
    let (status, code, _) =
        client.ask("audiences/nobody/split", &json!({"parts": [{"name": "a", "share": 1}]})).failure();
    assert_eq!((status, code.as_str()), (404, "unknown_audience"));
    assert_eq!(client.get(&format!("{MAIN}/audiences")).expect(200)["audiences"], json!([]));
}

#[test]
fn each_step_of_a_waterfall_takes_whom_the_others_left() {
    let server = town();
    let mut client = server.client();
    client.put(&format!("{MAIN}/audiences/vips"), &json!({"where": "vip"})).expect(200);
    let tree = json!({"combinator": "and", "rules": [{"field": "age", "operator": ">=", "value": 24}]});
    // Of those from 21 on, b to f: c and e are VIPs, c and d V2, e and f 24 or more.
    let asked = json!({"where": "age >= 21", "audiences": [{"name": "first", "audience": "vips"}, "tier = 'V2'", {"where": tree}]});
    let answer = client.ask("waterfall", &asked).expect(200);
    let row = |step: &Value| (step["count"].as_u64().unwrap(), step["taken"].as_u64().unwrap());
    let steps: Vec<_> = answer["steps"].as_array().unwrap().iter().map(row).collect();
    assert_eq!((&answer["count"], steps), (&json!(5), vec![(2, 2), (2, 1), (2, 1)]));
    assert_eq!(row(&answer["remainder"]), (1, 1));
    let texts = [
        "age >= 21 AND in_audience('vips')",
        "age >= 21 AND tier = 'V2' AND NOT in_audience('vips')",
        "age >= 21 AND age >= 24 AND NOT (in_audience('vips') OR tier = 'V2')",
        "age >= 21 AND NOT (in_audience('vips') OR tier = 'V2' OR age >= 24)",
    ];
    for (step, text) in answer["steps"].as_array().unwrap().iter().chain([&answer["remainder"]]).zip(texts) {
        assert_eq!(step["where"], text);
        assert_eq!(client.count(text), step["taken"].as_u64().unwrap());
    }
}

#[test]
fn a_waterfall_is_saved_and_what_cannot_be_is_refused() {
    let server = town();
    let mut client = server.client();
    let asked = json!({"audiences": [{"name": "v1", "where": "tier = 'V1'"}, {"name": "vip", "where": "vip"}], "remainder": "nothing", "save": true});
    let answer = client.ask("waterfall", &asked).expect(200);
    for (name, count) in [("v1", 2), ("vip", 2), ("nothing", 2)] {
        assert_eq!(client.get(&format!("{MAIN}/audiences/{name}")).expect(200)["count"], count, "{answer}");
    }
    let mut check = |body: Value, code: &str, at: &str| {
        let (status, found, place) = client.ask("waterfall", &body).failure();
        assert!((400..500).contains(&status));
        assert_eq!((found.as_str(), place.as_str()), (code, at), "{body}");
    };
    check(json!({"audiences": []}), "wrong_type", r#"{"pointer":"/audiences"}"#);
    check(json!({"audiences": vec!["vip"; 65]}), "wrong_type", r#"{"pointer":"/audiences"}"#);
    check(json!({"audiences": ["vip", "vop"]}), "unknown_tag", r#"{"pointer":"/audiences/1"}"#);
    check(json!({"audiences": ["vip", {"name": "x"}]}), "wrong_type", r#"{"pointer":"/audiences/1"}"#);
    check(json!({"audiences": ["vip"], "save": true}), "missing_key", r#"{"pointer":"/audiences/0"}"#);
    check(json!({"audiences": [{"audience": "vups"}]}), "unknown_audience", r#"{"pointer":"/audiences/0"}"#);
}

#[test]
fn waterfalls_of_random_audiences_are_as_sets_are() {
    let random = &mut Random::new(seed());
    let (server, _) = population(random, 2000);
    let mut client = server.client();
    for _ in 0..10 {
        let texts: Vec<String> = (0..1 + random.below(6))
            .map(|_| match random.below(4) {
                0 => format!("age < {}", random.within(20, 80)),
                1 => format!("NOT likes = '{}'", random.word(&["tea", "golf"])),
                2 => format!("tier = '{}' OR vip", random.word(&["V1", "V2", "V3"])),
                _ => format!("bucket('x', 10) < {}", random.below(10)),
            })
            .collect();
        let whole = *random.pick(&["TRUE", "vip", "joined IS NOT NULL"]);
        let answer = client.ask("waterfall", &json!({"where": whole, "audiences": texts})).expect(200);
        let mut left = members(&mut client, &json!(whole));
        assert_eq!(answer["count"], left.len());
        for (step, text) in answer["steps"].as_array().unwrap().iter().zip(&texts) {
            let own = members(&mut client, &json!(format!("({text}) AND ({whole})")));
            assert_eq!(
                (&step["count"], &step["taken"]),
                (&json!(own.len()), &json!((&own & &left).len())),
                "{texts:?}"
            );
            assert_eq!(members(&mut client, &step["where"]), &own & &left);
            left -= own;
        }
        assert_eq!(members(&mut client, &answer["remainder"]["where"]), left);
    }
}

/// How many of each tier there are.
fn mix(client: &mut Client, ids: &roaring::RoaringBitmap, tags: &[&str]) -> BTreeMap<String, u64> {
    let columns = [tags, &["one_id"]].concat();
    let answer = client.members("application/x-ndjson", &json!({"columns": columns}));
    let mut mix = BTreeMap::new();
    for line in answer.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if ids.contains(line["one_id"].as_u64().unwrap() as u32) {
            let key: Vec<String> = tags.iter().map(|tag| line[tag].to_string()).collect();
            *mix.entry(key.join(" ")).or_insert(0) += 1;
        }
    }
    mix
}

#[test]
fn a_stratified_sample_has_the_mix_of_the_whole() {
    let random = &mut Random::new(seed());
    let (server, _) = population(random, 4000);
    let mut client = server.client();
    for tags in [&["tier"][..], &["vip", "tier"], &["age"]] {
        let n = 1 + random.below(1500);
        let asked = json!({"where": "age > 25", "sample": n, "stratify": tags, "seed": 7});
        let all = members(&mut client, &json!("age > 25"));
        let chosen = bitmap(&mut client, "members", &asked);
        assert_eq!(chosen.len(), n);
        assert!(chosen.is_subset(&all));
        assert_eq!(chosen, bitmap(&mut client, "members", &asked), "the same again");
        let (of_all, of_chosen) = (mix(&mut client, &all, tags), mix(&mut client, &chosen, tags));
        // The largest remainders, worked out apart.
        let share = |count: u64| (count * n / all.len(), count * n % all.len());
        let mut expected: BTreeMap<String, u64> =
            of_all.iter().map(|(key, count)| (key.clone(), share(*count).0)).collect();
        let left = n - expected.values().sum::<u64>();
        let mut remainders: Vec<(u64, u64)> = of_all.values().map(|count| (share(*count).1, *count)).collect();
        remainders.sort_unstable_by(|a, b| b.cmp(a));
        let last = remainders.get((left as usize).wrapping_sub(1)).copied();
        for (key, count) in &of_all {
            if last.is_some_and(|last| (share(*count).1, *count) > last) {
                *expected.get_mut(key).unwrap() += 1;
            }
        }
        let mut ties = 0;
        for (key, count) in &of_all {
            let (found, wanted) = (of_chosen.get(key).copied().unwrap_or(0), expected[key]);
            // Strata of one size and remainder are told apart by their keys.
            let is_tied = last == Some((share(*count).1, *count));
            assert!(found == wanted || is_tied && found == wanted + 1, "{tags:?} {key}: {found} for {wanted}");
            ties += found - wanted;
        }
        assert_eq!(ties + expected.values().sum::<u64>(), n);
    }
    // Another seed chooses others; more than there are is all of them; rows are those of the bitmap.
    let of = |seed: u64, n: u64| json!({"sample": n, "stratify": "tier", "seed": seed});
    let (one, other) = (bitmap(&mut client, "members", &of(1, 500)), bitmap(&mut client, "members", &of(2, 500)));
    assert_ne!(one, other);
    assert_eq!(bitmap(&mut client, "members", &of(1, 100_000)).len(), 4000);
    let lines = client.members("application/x-ndjson", &json!({"sample": 500, "stratify": "tier", "seed": 1}));
    let ids = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["one_id"].as_u64().unwrap() as u32);
    assert_eq!(ids.collect::<roaring::RoaringBitmap>(), one);
}

#[test]
fn a_sample_that_cannot_be_is_refused() {
    let server = town();
    let mut client = server.client();
    let mut check = |body: Value, wanted: (u16, &str, &str)| {
        let (status, code, at) = client.members("application/x-ndjson", &body).failure();
        assert_eq!((status, code.as_str(), at.as_str()), wanted, "{body}");
    };
    check(json!({"stratify": "tier"}), (400, "missing_key", r#"{"pointer":"/stratify"}"#));
    check(json!({"sample": 2, "stratify": "likes"}), (400, "wrong_type", r#"{"pointer":"/stratify/0"}"#));
    check(json!({"sample": 2, "stratify": ["tier", "teir"]}), (400, "unknown_tag", r#"{"pointer":"/stratify/1"}"#));
    check(
        json!({"sample": 2, "stratify": ["tier", "vip", "age"]}),
        (422, "too_many_tags", r#"{"pointer":"/stratify"}"#),
    );
}

#[test]
fn pages_of_a_list_are_of_one_data_version_or_say_so() {
    let server = town();
    let mut client = server.client();
    let first = client.members("application/x-ndjson", &json!({"limit": 2}));
    let version: u64 = first.header("x-headcount-data-version").unwrap().parse().unwrap();
    let next = json!({"limit": 2, "after": 1, "data_version": version});
    assert_eq!(client.members("application/x-ndjson", &next).text().lines().count(), 2);
    assert_eq!(bitmap(&mut client, "members", &next).len(), 2);
    client.post_text(&format!("{MAIN}/profiles"), r#"{"id": {"member": "g"}}"#).expect(200);
    for accept in ["application/x-ndjson", "application/vnd.roaring", "application/vnd.apache.parquet"] {
        let (status, code, at) = client.members(accept, &next).failure();
        assert_eq!((status, code.as_str(), at.as_str()), (409, "data_version_gone", r#"{"pointer":"/data_version"}"#));
    }
}

#[test]
fn scores_are_the_sums_of_the_weights_that_are_shown() {
    let random = &mut Random::new(seed());
    let (server, people) = population(random, 3000);
    let mut client = server.client();
    let seed_audience = "likes = 'golf' AND age BETWEEN 40 AND 60 AND NOT tier = 'V1'";
    let asked =
        json!({"where": seed_audience, "n": 400, "limit": 400, "tags": ["tier", "vip", "likes", "age", "joined"]});
    let answer = client.ask("lookalike", &asked).expect(200);
    let mut weights: HashMap<(String, String), f64> = HashMap::new();
    for weight in answer["weights"].as_array().unwrap() {
        let key = (weight["tag"].as_str().unwrap().to_string(), weight["value"].to_string());
        assert!(weights.insert(key, weight["weight"].as_f64().unwrap()).is_none());
        check_weight(&mut client, &answer, weight, seed_audience);
    }
    // A naive scorer: everyone who is not in the seed, weight by weight.
    let in_seed = members(&mut client, &json!(seed_audience));
    let mut scores: Vec<(i64, u32)> = Vec::new();
    for (person, one_id) in people.iter().zip(0..).filter(|(_, one_id)| !in_seed.contains(*one_id)) {
        let mut score = 0;
        let mut add = |tag: &str, value: String| {
            let weight = weights.get(&(tag.to_string(), value)).copied().unwrap_or(0.0);
            score += (weight * 65_536.0).round() as i64;
        };
        add("tier", person.get("tier").unwrap_or(&Value::Null).to_string());
        add("vip", person["vip"].to_string());
        person["likes"].as_array().unwrap().iter().for_each(|value| add("likes", value.to_string()));
        for tag in ["age", "joined"] {
            add(tag, bin_of(&answer, tag, person.get(tag)));
        }
        scores.push((-score, one_id));
    }
    scores.sort_unstable();
    assert_eq!(answer["candidate_count"], scores.len());
    let found: Vec<(i64, u32)> = answer["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            (-(member["score"].as_f64().unwrap() * 65_536.0).round() as i64, member["one_id"].as_u64().unwrap() as u32)
        })
        .collect();
    assert_eq!(found, scores[..400]);
    assert_eq!((answer["threshold"].as_f64().unwrap() * 65_536.0).round(), -scores[399].0 as f64);
    // As a bitmap, as lines and as a definition they are the same people.
    let ids: roaring::RoaringBitmap = found.iter().map(|(_, one_id)| *one_id).collect();
    assert_eq!(bitmap(&mut client, "lookalike", &asked), ids);
    assert_eq!(members(&mut client, &answer["where"]), ids);
    let headers = [("Accept", "application/x-ndjson")];
    let lines = client.call("POST", &format!("{MAIN}/lookalike"), &headers, Some(asked.to_string().as_bytes()));
    let first: Value = serde_json::from_str(lines.text().lines().next().unwrap()).unwrap();
    assert_eq!((lines.text().lines().count(), &first), (400, &answer["members"][0]));
}

/// A weight is what the formula makes of counts that are asked apart.
fn check_weight(client: &mut Client, answer: &Value, weight: &Value, seed_audience: &str) {
    let tag = weight["tag"].as_str().unwrap();
    let clause = match &weight["value"] {
        Value::Null => format!("{tag} IS NULL"),
        Value::Bool(value) => format!("{tag} = {value}"),
        Value::String(text) if text.starts_with('[') => {
            let (low, high) = text[1..text.len() - 1].split_once(", ").unwrap();
            let literal = |text: &str| if tag == "joined" { format!("DATE '{text}'") } else { text.into() };
            let upper = if text.ends_with(']') { "<=" } else { "<" };
            format!("{tag} >= {} AND {tag} {upper} {}", literal(low), literal(high))
        }
        value => format!("{tag} = '{}'", value.as_str().unwrap()),
    };
    assert_eq!(weight["base_count"], client.count(clause.as_str()), "{clause}");
    assert_eq!(weight["count"], client.count(format!("({clause}) AND {seed_audience}")), "{clause}");
    let number = |value: &Value| value.as_f64().unwrap();
    let outcomes = match tag {
        "likes" => 2.0,
        "vip" => 3.0,
        "tier" => 5.0,
        _ => 11.0,
    };
    let share = |count: f64, of: f64| (count + 1.0) / (of + outcomes);
    let p = share(number(&weight["count"]), number(&answer["seed_count"]));
    let q = share(number(&weight["base_count"]), number(&answer["base_count"]));
    let expected = if tag == "likes" { (p / q).ln() - ((1.0 - p) / (1.0 - q)).ln() } else { (p / q).ln() };
    assert!((number(&weight["weight"]) - expected).abs() < 1e-9, "{weight} is not {expected}");
}

/// The spelling of the bin that a value lies in, by those that are shown; of one without a weight any other.
fn bin_of(answer: &Value, tag: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return "null".into() };
    let plain = |text: &str| text.parse::<i64>().ok();
    let value = value.as_str().map_or(value.to_string(), String::from);
    let is_below = |a: &str, b: &str| match (plain(a), plain(b)) {
        (Some(a), Some(b)) => a < b,
        _ => a < b,
    };
    let of_tag = answer["weights"].as_array().unwrap().iter().filter(|weight| weight["tag"] == tag);
    for label in of_tag.filter_map(|weight| weight["value"].as_str()) {
        let (low, high) = label[1..label.len() - 1].split_once(", ").unwrap();
        if !is_below(&value, low) && (is_below(&value, high) || label.ends_with(']') && value == high) {
            return format!("{label:?}");
        }
    }
    "none".into()
}

#[test]
fn lookalikes_that_cannot_be_found_are_refused() {
    let server = town();
    let mut client = server.client();
    let mut check = |body: Value, wanted: (u16, &str, &str)| {
        let (status, code, at) = client.ask("lookalike", &body).failure();
        assert_eq!((status, code.as_str(), at.as_str()), wanted, "{body}");
    };
    check(json!({"n": 2}), (400, "missing_key", r#"{"pointer":""}"#));
    check(json!({"where": "vip"}), (400, "missing_key", r#"{"pointer":""}"#));
    check(json!({"where": "age > 99", "n": 2}), (400, "empty_seed", r#"{"pointer":"/where"}"#));
    check(json!({"where": "vip", "n": 2, "tags": ["teir"]}), (400, "unknown_tag", r#"{"pointer":"/tags/0"}"#));
    check(json!({"where": "vip", "n": 2, "among": "vop"}), (400, "unknown_tag", r#"{"pointer":"/among"}"#));
    check(json!({"where": "vip", "n": 2, "smoothing": 0}), (400, "bad_smoothing", r#"{"pointer":"/smoothing"}"#));
    check(json!({"where": "vip", "n": 1u64 << 40}), (422, "too_large", "null"));
    // Nothing weighs anything among so few: ties go to the lower OneID.
    let answer = client.ask("lookalike", &json!({"where": "vip", "n": 2, "tags": ["tier"]})).expect(200);
    assert_eq!(
        (&answer["weights"], &answer["members"][0]["one_id"], &answer["members"][1]["one_id"]),
        (&json!([]), &json!(1), &json!(3))
    );
    let answer = client.ask("lookalike", &json!({"where": "vip", "n": 0})).expect(200);
    assert_eq!((&answer["count"], &answer["threshold"]), (&json!(0), &Value::Null));
}
