//! The laws of the language, held by the product against itself on random people and predicates; and a few known answers
//! that must never change.

mod oracle;

use headcount::engine::{DistributionRequest, EngineOptions, MembersRequest, Question, Space, UpsertOptions, Where};
use headcount::query::cell::Cell;
use jiff::civil::Date;
use queryparser::ast::{CompareOp, Operand, Predicate, PredicateKind};

use oracle::changes::send_events;
use oracle::drive::{EVENTS, Product, by_text, rows};
use oracle::lines::{self, Falls};
use oracle::people::{Kind, World};
use oracle::predicates::{Maker, as_of, chain, made, not};
use oracle::random::{Random, seed, setting};

/// Predicates for each law, over all populations.
const CASES: u64 = 600;

struct Town {
    product: Product,
    world: World,
    random: Random,
}

fn town(seed: u64, number: u64) -> Town {
    let mut random = Random::fork(seed, 1_000 + number);
    let mut falls = Falls::random(&mut random);
    let product = Product::fresh(EngineOptions { threads: 1, ..EngineOptions::default() });
    product.engine().put_space("main", falls.schema()).unwrap();
    let mut world = World::default();
    falls.extend(&mut world);
    for _ in 0..3 {
        let mut body = String::new();
        for _ in 0..*random.pick(&[0, 5, 150]) {
            let line = lines::line(&mut random, &world, &falls);
            body.push_str(&(lines::json(&line, &world) + "\n"));
            let _ = world.apply(&line, false);
        }
        product.upsert(&body, UpsertOptions::default());
        if EVENTS {
            let lines = *random.pick(&[5, 150]);
            send_events(&product, &mut world, &mut falls, &mut random, lines).unwrap_or_else(|e| panic!("{e}"));
        }
        if random.percent(40) {
            product.space().store().snapshot(None).unwrap();
        }
        if let Some(one_id) = lines::somebody(&mut random, &world) {
            product.erase(&[one_id]);
            world.erase(one_id);
        }
    }
    Town { product, world, random }
}

fn count(space: &Space, predicate: &Predicate, day: Date) -> u64 {
    let answer = space.count(&by_text(predicate, day), false);
    answer.unwrap_or_else(|e| panic!("{predicate}: {e}")).value.count
}

fn ids(space: &Space, predicate: &Predicate, day: Date) -> roaring::RoaringBitmap {
    space.member_bitmap(&by_text(predicate, day)).unwrap_or_else(|e| panic!("{predicate}: {e}")).value
}

/// Runs a law over many populations; what it is given is three random predicates and a day.
fn check(law: impl Fn(&Space, &[Predicate; 3], Date)) {
    let seed = seed();
    let cases = setting("HEADCOUNT_CASES", CASES);
    for number in 0..cases.div_ceil(100) {
        let Town { product, world, mut random } = town(seed, number);
        let space = product.space();
        for _ in 0..100 {
            let day = as_of(&mut random);
            let mut maker = Maker { world: &world, random: &mut random };
            let predicates = [maker.predicate(2), maker.predicate(1), maker.predicate(1)];
            law(&space, &predicates, day);
        }
    }
}

#[test]
fn everyone_is_in_a_predicate_or_in_its_negation() {
    check(|space, [p, ..], day| {
        let everyone = made(PredicateKind::Constant(true));
        assert_eq!(count(space, p, day) + count(space, &not(p.clone()), day), count(space, &everyone, day), "{p}");
        assert!(ids(space, p, day).is_disjoint(&ids(space, &not(p.clone()), day)), "{p}");
        assert_eq!(ids(space, p, day), ids(space, &not(not(p.clone())), day), "{p}");
    });
}

#[test]
fn and_and_or_commute_and_associate_and_de_morgan_holds() {
    check(|space, [p, q, r], day| {
        let two = |and, a: &Predicate, b: &Predicate| made(kind(and, vec![a.clone(), b.clone()]));
        for and in [true, false] {
            let same = |a: &Predicate, b: &Predicate| assert_eq!(ids(space, a, day), ids(space, b, day), "{a}  ≠  {b}");
            same(&chain(and, vec![p.clone(), q.clone()]), &chain(and, vec![q.clone(), p.clone()]));
            let left = two(and, &not(not(two(and, p, q))), r);
            let right = two(and, p, &not(not(two(and, q, r))));
            same(&left, &right);
            same(&not(chain(and, vec![p.clone(), q.clone()])), &chain(!and, vec![not(p.clone()), not(q.clone())]));
        }
        let (a, b) = (ids(space, p, day), ids(space, q, day));
        assert_eq!(ids(space, &chain(true, vec![p.clone(), q.clone()]), day), &a & &b, "{p} AND {q}");
        assert_eq!(ids(space, &chain(false, vec![p.clone(), q.clone()]), day), &a | &b, "{p} OR {q}");
    });
}

fn kind(and: bool, children: Vec<Predicate>) -> PredicateKind {
    chain(and, children).kind
}

#[test]
fn of_the_known_each_is_in_a_comparison_or_in_its_opposite() {
    check(|space, predicates, day| {
        for leaf in predicates.iter().flat_map(leaves) {
            let Some((operand, opposite)) = opposite(leaf) else { continue };
            let known = made(PredicateKind::IsNull { operand: operand.clone(), negated: true });
            let unknown = made(PredicateKind::IsNull { operand, negated: false });
            let (here, there) = (ids(space, leaf, day), ids(space, &opposite, day));
            // A null subquery over profiles compares with nobody, both ways; one over events is a person's unknown.
            if !leaf.to_string().contains("FROM profiles") {
                assert_eq!(&here | &there, ids(space, &known, day), "{leaf} | {opposite}");
                assert_eq!(ids(space, &not(leaf.clone()), day), &there | ids(space, &unknown, day), "NOT ({leaf})");
            }
            assert!(here.is_disjoint(&there), "{leaf} & {opposite}");
        }
    });
}

fn leaves(predicate: &Predicate) -> Vec<&Predicate> {
    match &predicate.kind {
        PredicateKind::And(children) | PredicateKind::Or(children) => children.iter().flat_map(leaves).collect(),
        PredicateKind::Not(inner) => leaves(inner),
        _ => vec![predicate],
    }
}

/// What is looked at, and what says the opposite of the known.
fn opposite(leaf: &Predicate) -> Option<(Operand, Predicate)> {
    let mut turned = leaf.clone();
    let operand = match &mut turned.kind {
        PredicateKind::Compare { operand, op, .. } => {
            *op = match op {
                CompareOp::Equal => CompareOp::NotEqual,
                CompareOp::NotEqual => CompareOp::Equal,
                CompareOp::Less => CompareOp::GreaterOrEqual,
                CompareOp::LessOrEqual => CompareOp::Greater,
                CompareOp::Greater => CompareOp::LessOrEqual,
                CompareOp::GreaterOrEqual => CompareOp::Less,
            };
            operand
        }
        PredicateKind::Between { operand, negated, .. }
        | PredicateKind::In { operand, negated, .. }
        | PredicateKind::Like { operand, negated, .. } => {
            *negated = !*negated;
            operand
        }
        _ => return None,
    };
    Some((operand.clone(), turned))
}

#[test]
fn events_that_exist_are_counted_and_steps_are_events_that_exist() {
    if !EVENTS {
        return;
    }
    let seed = seed();
    for number in 0..setting("HEADCOUNT_CASES", CASES).div_ceil(100) {
        let Town { product, world, mut random } = town(seed, number);
        let space = product.space();
        for _ in 0..60 {
            let day = as_of(&mut random);
            let of = |text: &str| {
                let parsed = queryparser::parse_predicate(text, &queryparser::Limits::default());
                ids(&space, &parsed.unwrap_or_else(|e| panic!("{}", e.render(text))).ast, day)
            };
            let steps = Maker { world: &world, random: &mut random }.steps();
            let [first, second] = [&steps[0], &steps[1]].map(|step| of(&format!("EXISTS {step}")));
            for (step, exists) in [(&steps[0], &first), (&steps[1], &second)] {
                let count = step.to_string().replacen("SELECT 1", "SELECT count(*)", 1);
                assert_eq!(of(&format!("{count} >= 1")), *exists, "{step}");
                assert_eq!(of(&format!("{count} = 0")), of(&format!("NOT EXISTS {step}")), "{step}");
                let [low, high, one] = ["min", "max", "count"].map(|function| {
                    let of = if function == "count" { "count(DISTINCT at)" } else { &format!("{function}(at)") };
                    step.to_string().replacen("SELECT 1", &format!("SELECT {of}"), 1)
                });
                assert_eq!(of(&format!("{low} IS NOT NULL")), *exists, "{step}");
                assert_eq!(of(&format!("{high} IS NULL")), of(&format!("{one} < 1")), "{step}");
            }
            let [any, long, short] = ["", ", INTERVAL '400' DAY", ", INTERVAL '1' DAY"]
                .map(|limit| of(&format!("followed_by({}, {}{limit})", steps[0], steps[1])));
            assert!(any.is_subset(&(first & second)), "{} then {}", steps[0], steps[1]);
            assert!(short.is_subset(&long) && long.is_subset(&any), "{} then {}", steps[0], steps[1]);
        }
    }
}

#[test]
fn a_count_the_members_the_bitmap_and_a_distribution_are_one_number() {
    let seed = seed();
    for number in 0..setting("HEADCOUNT_CASES", CASES).div_ceil(100) {
        let Town { product, world, mut random } = town(seed, number);
        let space = product.space();
        for _ in 0..30 {
            let day = as_of(&mut random);
            let predicate = Maker { world: &world, random: &mut random }.predicate(2);
            let question = by_text(&predicate, day);
            let counted = count(&space, &predicate, day);
            assert_eq!(ids(&space, &predicate, day).len(), counted, "{predicate}");
            assert_eq!(
                rows(&space, &question, &MembersRequest::default()).unwrap().len() as u64,
                counted,
                "{predicate}"
            );
            let sql = format!("SELECT count(*) FROM profiles WHERE {predicate}");
            let asked = Question { as_of: Some(day), ..Question::default() };
            assert_eq!(space.query(&sql, &asked).unwrap().value.rows, vec![vec![Cell::Int(counted as i64)]], "{sql}");
            let tags: Vec<String> = world.tags.iter().map(|(name, _)| name.clone()).collect();
            let answer = space.distribution(&question, &DistributionRequest { tags, ..DistributionRequest::default() });
            for ((name, found), (_, kind)) in answer.unwrap().value.tags.iter().zip(&world.tags) {
                assert_eq!(found.reach + found.unknown, counted, "{name} over {predicate}");
                if *kind != Kind::Set {
                    let sum: u64 = found.values.iter().map(|v| v.count).sum();
                    assert_eq!(sum + found.other + found.unknown, counted, "{name} over {predicate}");
                }
            }
        }
    }
}

#[test]
fn answers_are_the_same_after_a_snapshot_and_after_reopening() {
    let seed = seed();
    for number in 0..setting("HEADCOUNT_CASES", CASES).div_ceil(100) {
        let Town { mut product, world, mut random } = town(seed, number);
        let questions: Vec<(Predicate, Date)> = (0..60)
            .map(|_| {
                let day = as_of(&mut random);
                (Maker { world: &world, random: &mut random }.predicate(2), day)
            })
            .collect();
        let answers = |product: &Product| -> Vec<_> {
            questions.iter().map(|(predicate, day)| ids(&product.space(), predicate, *day)).collect()
        };
        let first = answers(&product);
        product.space().store().snapshot(None).unwrap();
        let after_snapshot = answers(&product);
        product.close();
        product.open();
        let after_reopening = answers(&product);
        for (at, (predicate, _)) in questions.iter().enumerate() {
            assert_eq!(first[at], after_snapshot[at], "after a snapshot: {predicate}");
            assert_eq!(first[at], after_reopening[at], "after reopening: {predicate}");
        }
    }
}

#[test]
fn buckets_stay_what_they_were() {
    let product = Product::fresh(EngineOptions { threads: 1, ..EngineOptions::default() });
    product.engine().put_space("main", serde_json::from_str(r#"{"id_types": ["member"]}"#).unwrap()).unwrap();
    let body: String = (0..1000).map(|n| format!("{{\"id\":{{\"member\":\"M{n}\"}}}}\n")).collect();
    product.upsert(&body, UpsertOptions::default());
    let bucket_of = |salt: &str, of: u32, one_id: u32| {
        let holds = |b: &u32| {
            let text = format!("bucket('{salt}', {of}) = {b} AND one_id = {one_id}");
            let question = Question { audience: Some(Where::Text(text)), ..Question::default() };
            product.space().count(&question, false).unwrap().value.count == 1
        };
        (0..of).find(holds).unwrap()
    };
    for (salt, one_ids, wanted) in KNOWN_BUCKETS {
        let found: Vec<u32> = one_ids.iter().map(|id| bucket_of(salt, 100, *id)).collect();
        assert_eq!(found, *wanted, "bucket('{salt}', 100) of {one_ids:?}");
        let documented: Vec<u32> = one_ids.iter().map(|id| oracle::meaning::bucket(salt, 100, *id)).collect();
        assert_eq!(documented, *wanted, "the oracle's bucket('{salt}', 100) of {one_ids:?}");
    }
}

/// Salt, OneIDs and their buckets of a hundred: running campaigns count on them.
const KNOWN_BUCKETS: &[(&str, &[u32], &[u32])] =
    &[("summer sale", &[0, 1, 2, 999], &[82, 25, 41, 77]), ("", &[0, 1, 2, 999], &[84, 88, 47, 46])];

#[test]
fn what_does_not_fit_is_an_error_and_what_nobody_has_a_warning() {
    let product = Product::fresh(EngineOptions { threads: 1, ..EngineOptions::default() });
    let schema = r#"{"id_types": ["member"], "tags": {"city": {"type": "category"}, "likes": {"type": "set"},
        "age": {"type": "number"}, "born": {"type": "date"}, "vip": {"type": "flag"}}}"#;
    product.engine().put_space("main", serde_json::from_str(schema).unwrap()).unwrap();
    product.upsert(r#"{"id": {"member": "M1"}, "set": {"city": "Shanghai"}}"#, UpsertOptions::default());
    let ask = |text: &str| {
        product.space().count(&Question { audience: Some(Where::Text(text.into())), ..Question::default() }, false)
    };
    for text in [
        "city < 'a'",
        "city BETWEEN 'a' AND 'b'",
        "city = 5",
        "city",
        "likes > 'a'",
        "age = 'old'",
        "age = TRUE",
        "age LIKE '1%'",
        "born = 5",
        "born = '2026-02-30'",
        "born = 'soon'",
        "vip = 'yes'",
        "vip = 1",
        "vip > FALSE",
        "age",
        "has_all(city, 'a')",
        "has_none(age, 'a')",
        "month_day(age) = '01-01'",
        "month_day(born) = '02-30'",
        "month_day(born) = '1-1'",
        "member = 5",
        "member < 'M'",
        "one_id = 'x'",
        "bucket('s', 100) = 'x'",
        "citi = 'Shanghai'",
        "in_bitmap('!!')",
        "in_bitmap('AAAA')",
        "city LIKE 'a\\'",
        "in_audience('nope')",
        "EXISTS (SELECT 1 FROM nope)",
        "age >= (SELECT avg(born) FROM profiles)",
        "born >= (SELECT max(age) FROM profiles)",
        "one_id IN (SELECT one_id FROM profiles ORDER BY city LIMIT 3)",
    ] {
        assert!(ask(text).is_err(), "{text} was answered: {:?}", ask(text).unwrap().value);
    }
    for text in ["city = 'Atlantis'", "city <> 'Atlantis'", "likes IN ('nothing')", "NOT has_all(likes, 'nothing')"] {
        let answer = ask(text).unwrap();
        assert_eq!(answer.warnings.first().map(|w| w.code), Some("unknown_value"), "{text}");
    }
}
