//! Look-alikes of a seed that was drawn by a hidden rule: how much better than chance they are found.

// Made for the oracle; each test takes what it needs of it.
#[allow(dead_code)]
#[path = "oracle/random.rs"]
mod random;

use base64::Engine as _;
use headcount::engine::{Engine, EngineOptions, LookalikeRequest, MAIN_SPACE, MembersRequest, Question, Where};
use headcount::generate::Population;
use headcount::import::infer::About;
use headcount::import::load::{StoreTarget, Target};
use headcount::query::cell::Cell;
use random::{Random, seed};
use roaring::RoaringBitmap;
use storage::DataDir;

const PEOPLE: u32 = 40_000;

/// How likely someone is to be drawn, by a rule that nobody is told: a logistic one over six tags.
fn likelihood(cells: &[Cell<'_>]) -> f64 {
    let [gender, age, tier, interests, subscribed] = cells else { panic!("{cells:?}") };
    let is = |cell: &Cell<'_>, text: &str| matches!(cell, Cell::Text(found) if found == text);
    let likes = |value: &str| matches!(interests, Cell::List(found) if found.iter().any(|found| found == value));
    let between = |low: i128, high: i128| matches!(age, Cell::Decimal(age, 0) if (low..=high).contains(age));
    let points = [
        (is(gender, "F"), 1.2),
        (between(25, 39), 1.0),
        (is(tier, "V4") || is(tier, "V5"), 1.5),
        (likes("hotpot"), 1.3),
        (likes("yoga"), 0.8),
        (*subscribed == Cell::Bool(true), 0.7),
    ];
    let sum: f64 = points.iter().filter(|(holds, _)| *holds).map(|(_, points)| points).sum();
    1.0 / (1.0 + (5.5 - sum).exp())
}

#[test]
fn lookalikes_are_found_far_above_chance() {
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let population = Population::new(1, PEOPLE);
    let data = DataDir::open(dir.path()).unwrap();
    let mut loader = data.bulk_load(MAIN_SPACE, 1 << 30).unwrap();
    loader.extend_schema(&serde_json::from_value(population.schema_json()).unwrap()).unwrap();
    StoreTarget(&mut loader).add(&population.profiles(0..PEOPLE), About::Profiles).unwrap();
    loader.finish().unwrap();
    drop(data);
    let engine = Engine::open(dir.path(), &EngineOptions { threads: 2, ..EngineOptions::default() }).unwrap();
    let space = engine.space(MAIN_SPACE).unwrap();

    // Whoever the rule draws is one of them; the seed is half of those, the others are to be found.
    let random = &mut Random::new(seed);
    let (mut drawn, mut known) = (RoaringBitmap::new(), RoaringBitmap::new());
    let columns = ["gender", "age", "tier", "interests", "subscribed"].map(String::from).to_vec();
    let request = MembersRequest { columns, ids: Some(Vec::new()), ..MembersRequest::default() };
    let each = |one_id: u32, cells: &[Cell<'_>]| {
        let chance = random.below(1 << 32) as f64 / 2f64.powi(32);
        if chance < likelihood(&cells[1..]) {
            drawn.insert(one_id);
            if random.percent(50) {
                known.insert(one_id);
            }
        }
        Ok(())
    };
    space.members(&Question::default(), &request, |_, _| Ok(()), each).unwrap();
    let bytes = storage::portable::write_portable(&known);
    let text = format!("in_bitmap('{}')", base64::engine::general_purpose::STANDARD.encode(bytes));
    let question = Question { audience: Some(Where::Text(text)), ..Question::default() };
    let hidden = &drawn - &known;
    let request = LookalikeRequest { n: hidden.len(), ..LookalikeRequest::default() };
    let found = space.lookalike(&question, &request).unwrap().value;
    let people = found.bitmap();
    assert_eq!(people.len(), hidden.len());
    assert!(people.is_disjoint(&known));
    let chance = hidden.len() as f64 / f64::from(PEOPLE - known.len() as u32);
    let lift = (&people & &hidden).len() as f64 / people.len() as f64 / chance;
    println!("drawn {}, known {}, by chance {chance:.4}, lift {lift:.2}", drawn.len(), known.len());
    assert!(lift > 3.0, "HEADCOUNT_SEED={seed}: only {lift:.2} times as many as by chance");
    // Nothing but what the rule speaks of, or goes with it, weighs much: the largest weights are of its tags.
    let shown = found.shown();
    let strongest = shown.weights.iter().find(|weight| weight.weight > 0.0 && weight.count >= 50).unwrap();
    assert!(strongest.weight > 0.3, "{strongest:?}");
}
