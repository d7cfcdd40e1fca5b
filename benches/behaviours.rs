//! Behaviours, named by the question: counts and sums in windows, different stores, the first and the last, steps in order,
//! never and not lately, series and tables; and batches of events on their way in.
//! Every answer is asserted against the generator's purchases, looked at person by person, before it is timed.

mod population;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use headcount::engine::{Engine, EngineOptions, MAIN_SPACE, Question, SeriesRequest, Space, UpsertOptions};
use headcount::generate::{AS_OF, Population};
use headcount::import::frame::{Column, Frame, UNKNOWN_CODE};
use headcount::query::bind::date_of;
use headcount::query::cell::Cell;
use headcount::query::series::Period;

use population::{asked, copy, directory, each_person, engine, is, label, people, scratch};

/// Lines of a batch.
const BATCH_LINES: u32 = 1000;
/// Days of a series, the last ones before the population's.
const SERIES_DAYS: i64 = 31;
/// Seconds that the space's clocks are ahead of UTC.
const ZONE_SECONDS: i64 = 8 * 3600;
const DAY_SECONDS: i64 = 86_400;
/// The population's day, and so much before it.
const TODAY: i64 = AS_OF as i64;

/// One purchase, as the generator has it.
struct Bought {
    at: i64,
    day: i64,
    category: String,
    store: Option<String>,
    channel: String,
    /// Hundredths.
    amount: i64,
}

/// A person: whether a woman, and what was bought, by time.
struct Person {
    is_woman: bool,
    bought: Vec<Bought>,
}

/// A question, and the same condition on a person's purchases.
type Case = (&'static str, &'static str, fn(&Person) -> bool);

const CASES: &[Case] = &[
    (
        "2_purchases_in_30_days_and_gender",
        "(SELECT count(*) FROM purchase WHERE day >= CURRENT_DATE - 30 AND day < CURRENT_DATE) >= 2 AND gender = 'F'",
        |p| p.is_woman && p.bought.iter().filter(|b| (TODAY - 30..TODAY).contains(&b.day)).count() >= 2,
    ),
    (
        "100_spent_in_60_days_on_3_categories",
        "(SELECT sum(amount) FROM purchase WHERE category IN ('bakery', 'fruit', 'poultry') AND day >= CURRENT_DATE - 60) >= 100",
        |p| {
            let of = |b: &&Bought| ["bakery", "fruit", "poultry"].contains(&&*b.category) && b.day >= TODAY - 60;
            p.bought.iter().filter(of).map(|b| b.amount).sum::<i64>() >= 10_000
        },
    ),
    (
        "3_different_stores_in_90_days",
        "(SELECT count(DISTINCT store) FROM purchase WHERE day >= CURRENT_DATE - 90) >= 3",
        |p| {
            let stores = p.bought.iter().filter(|b| b.day >= TODAY - 90).filter_map(|b| b.store.as_ref());
            stores.collect::<BTreeSet<_>>().len() >= 3
        },
    ),
    ("first_bought_bakery", "(SELECT first(category) FROM purchase) = 'bakery'", |p| {
        p.bought.first().is_some_and(|b| b.category == "bakery")
    }),
    ("last_bought_at_a_mall", "(SELECT last(channel) FROM purchase) = 'mall'", |p| {
        p.bought.last().is_some_and(|b| b.channel == "mall")
    }),
    (
        "bakery_then_fruit_within_14_days",
        "followed_by((SELECT 1 FROM purchase WHERE category = 'bakery'), (SELECT 1 FROM purchase WHERE category = 'fruit'), \
         INTERVAL '14' DAY)",
        |p| {
            let of = |category: &'static str| p.bought.iter().filter(move |b| b.category == category);
            of("bakery").any(|a| of("fruit").any(|b| a.at < b.at && b.at <= a.at + 14 * DAY_SECONDS))
        },
    ),
    ("never_bought", "NOT EXISTS (SELECT 1 FROM purchase)", |p| p.bought.is_empty()),
    ("nothing_bought_for_60_days", "(SELECT max(day) FROM purchase) < CURRENT_DATE - 60", |p| {
        p.bought.last().is_some_and(|b| b.day < TODAY - 60)
    }),
    (
        "average_basket_of_6_months_over_100",
        "(SELECT avg(amount) FROM purchase WHERE day >= CURRENT_DATE - INTERVAL '6' MONTH) > 100",
        |p| {
            // From 2026-05-01 to 2026-11-01 it is 184 days.
            let amounts: Vec<i64> = p.bought.iter().filter(|b| b.day >= TODAY - 184).map(|b| b.amount).collect();
            amounts.iter().sum::<i64>() > 10_000 * amounts.len() as i64
        },
    ),
];

/// Everyone, by OneID.
fn everyone(space: &Space) -> Vec<Person> {
    let mut everyone = Vec::new();
    each_person(space, &["gender"], |_, cells| {
        everyone.push(Person { is_woman: is(&cells[0], "F"), bought: Vec::new() });
    });
    let population = Population::new(1, people());
    for first in (0..people()).step_by(1 << 16) {
        push_bought(&population.purchases(first..people().min(first + (1 << 16))), &mut everyone);
    }
    everyone
}

fn push_bought(frame: &Frame, everyone: &mut [Person]) {
    let text = |name: &str, row: usize| match frame.column(name) {
        Some(Column::Text { dictionary, codes }) => {
            (codes[row] != UNKNOWN_CODE).then(|| dictionary[codes[row] as usize].to_string())
        }
        Some(Column::Plain { offsets, bytes }) => {
            let text = &bytes[offsets[row] as usize..offsets[row + 1] as usize];
            Some(String::from_utf8(text.to_vec()).expect("a text"))
        }
        _ => panic!("no text {name}"),
    };
    let Some(Column::Instant(at)) = frame.column("at") else { panic!("no moments") };
    let Some(Column::Number { values: amounts, .. }) = frame.column("amount") else { panic!("no amounts") };
    for row in 0..frame.rows {
        // People are loaded by their numbers, which count from 1.
        let number: usize = text("member", row).expect("a member")[1..].parse().expect("a number");
        let at = at[row].expect("a moment");
        everyone[number - 1].bought.push(Bought {
            at,
            day: (at + ZONE_SECONDS).div_euclid(DAY_SECONDS),
            category: text("category", row).expect("a category"),
            store: text("store", row),
            channel: text("channel", row).expect("a channel"),
            amount: amounts[row].expect("an amount"),
        });
    }
}

fn behaviours(criterion: &mut Criterion) {
    let engine = engine();
    let space = engine.space(MAIN_SPACE).expect("the space");
    let everyone = everyone(&space);
    let mut group = criterion.benchmark_group("count_behaviour");
    for (name, text, test) in CASES {
        let question = asked(text);
        let wanted = everyone.iter().filter(|person| test(person)).count() as u64;
        assert_eq!(space.count(&question, false).expect(name).value.count, wanted, "{name}");
        group.bench_function(format!("{name}/{}", label()), |b| b.iter(|| space.count(&question, false)));
    }
    group.finish();
    series(criterion, &space, &everyone);
    by_category(criterion, &space, &everyone);
}

/// Number of events, people and hundredths.
type Tally = (u64, u64, i128);

/// Purchases that pass, tallied by a label.
fn tally<'p, L: Ord + Copy>(
    everyone: &'p [Person],
    label: impl Fn(&'p Person, &'p Bought) -> Option<L>,
) -> BTreeMap<L, Tally> {
    let mut tallies: BTreeMap<L, Tally> = BTreeMap::new();
    let mut last: BTreeMap<L, usize> = BTreeMap::new();
    for (number, person) in everyone.iter().enumerate() {
        for bought in &person.bought {
            let Some(label) = label(person, bought) else { continue };
            let is_new = last.insert(label, number) != Some(number);
            let (events, people, sum) = tallies.entry(label).or_default();
            (*events, *people, *sum) = (*events + 1, *people + u64::from(is_new), *sum + i128::from(bought.amount));
        }
    }
    tallies
}

fn series(criterion: &mut Criterion, space: &Space, everyone: &[Person]) {
    let days = TODAY - SERIES_DAYS..TODAY;
    let request = SeriesRequest {
        event: "purchase".into(),
        event_where: None,
        measure: Some("amount".into()),
        from: Some(date_of(days.start)),
        to: Some(date_of(days.end - 1)),
        by: Period::Day,
    };
    let question = Question { audience: None, ..asked("TRUE") };
    let wanted = tally(everyone, |_, bought| days.contains(&bought.day).then_some(bought.day));
    let found = space.series(&question, &request).expect("a series").value;
    let found = found.rows.iter().filter(|row| row.events > 0).map(|row| match (&row.day, &row.sum) {
        (Cell::Date(day), Cell::Decimal(sum, 2)) => (*day, (row.events, row.people, *sum)),
        cells => panic!("a day and a sum, not {cells:?}"),
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), wanted, "a series");
    criterion.bench_function(&format!("series/31_days_with_sum/{}", label()), |b| {
        b.iter(|| space.series(&question, &request));
    });
}

fn by_category(criterion: &mut Criterion, space: &Space, everyone: &[Person]) {
    let sql = "SELECT category, count(*), count(DISTINCT one_id), sum(amount) FROM purchase WHERE day >= CURRENT_DATE - 90 \
               AND one_id IN (SELECT one_id FROM profiles WHERE gender = 'F') GROUP BY category";
    let question = Question { audience: None, ..asked("TRUE") };
    let wanted = tally(everyone, |person, bought| {
        (person.is_woman && bought.day >= TODAY - 90).then_some(bought.category.as_str())
    });
    let table = space.query(sql, &question).expect("a table").value;
    let row = |row: &Vec<Cell<'_>>| match &row[..] {
        [Cell::Text(label), Cell::Int(events), Cell::Int(people), Cell::Decimal(sum, 2)] => {
            (label.to_string(), (*events as u64, *people as u64, *sum))
        }
        cells => panic!("a category and its numbers, not {cells:?}"),
    };
    let found: BTreeMap<String, Tally> = table.rows.iter().map(row).collect();
    let wanted = wanted.into_iter().map(|(category, tally)| (category.to_string(), tally));
    assert_eq!(found, wanted.collect(), "a table");
    criterion.bench_function(&format!("table/90_days_of_women_by_category/{}", label()), |b| {
        b.iter(|| space.query(sql, &question));
    });
}

/// Purchases of neighbours, of every batch others, with keys of their own and a coupon that nobody else has.
fn lines(batch: u32) -> Vec<u8> {
    let first = batch.wrapping_mul(BATCH_LINES) % (people() - BATCH_LINES);
    let line = |at: u32| {
        format!(
            "{{\"id\": {{\"member\": \"M{:07}\"}}, \"event\": \"purchase\", \"at\": \"2026-11-01T10:{:02}:{:02}+08:00\", \
             \"category\": \"bakery\", \"channel\": \"mall\", \"amount\": {}.5, \"coupon\": \"bench\", \"key\": \"{batch}/{at}\"}}\n",
            first + at + 1,
            batch % 60,
            at % 60,
            at % 90 + 10,
        )
    };
    (0..BATCH_LINES).map(line).collect::<String>().into_bytes()
}

/// Waits until the batch is durable and visible; gives how many were accepted, and how many had been seen before.
fn insert(space: &Space, lines: &[u8]) -> (u32, u32) {
    let (sender, receiver) = mpsc::channel();
    let done = move |answer| sender.send(answer).expect("someone waits");
    space.event_lines(lines, UpsertOptions::default(), done).expect("a batch");
    let answer = receiver.recv().expect("an answer").expect("a durable batch");
    (answer.accepted, answer.duplicates)
}

fn inserts(criterion: &mut Criterion) {
    let dir = scratch();
    copy(&directory(), dir.path());
    let engine = Engine::open(dir.path(), &EngineOptions::default()).expect("opening");
    let space = engine.space(MAIN_SPACE).expect("the space");
    let count = |text: &str| space.count(&asked(text), false).expect(text).value.count;
    let fresh = "EXISTS (SELECT 1 FROM purchase WHERE coupon = 'bench')";
    assert_eq!(count(fresh), 0);
    assert_eq!(insert(&space, &lines(0)), (BATCH_LINES, 0));
    assert_eq!(insert(&space, &lines(0)).1, BATCH_LINES);
    assert_eq!(count(fresh), u64::from(BATCH_LINES));
    assert_eq!(count("(SELECT count(*) FROM purchase WHERE coupon = 'bench') > 1"), 0);

    let mut batch = 0;
    let mut next = || {
        batch += 1;
        lines(batch)
    };
    let mut group = criterion.benchmark_group("inserts");
    group.throughput(Throughput::Elements(BATCH_LINES.into()));
    group.bench_function(format!("1000_purchases/{}", label()), |b| {
        b.iter_batched(
            &mut next,
            |lines| assert_eq!(insert(&space, &lines), (BATCH_LINES, 0)),
            BatchSize::PerIteration,
        );
    });
    let seen = lines(1);
    group.bench_function(format!("1000_purchases_seen_before/{}", label()), |b| {
        b.iter(|| assert_eq!(insert(&space, &seen).1, BATCH_LINES));
    });
    group.finish();

    // Fresh rows lie in runs of their own until a store snapshot folds them.
    let mut group = criterion.benchmark_group("count_behaviour_after_inserts");
    for (name, text, _) in &CASES[..6] {
        let question = asked(text);
        group.bench_function(format!("{name}/{}", label()), |b| b.iter(|| space.count(&question, false)));
    }
    group.finish();
}

criterion_group! { name = benches; config = population::criterion(); targets = behaviours, inserts }
criterion_main!(benches);
