//! What a segment builder asks about an audience beyond its count: what each clause does, how audiences overlap.
//! Each stands beside the plain counts that it is made of, which assert its answer first.

mod population;

use criterion::{Criterion, criterion_group, criterion_main};
use headcount::engine::{MAIN_SPACE, Question, Space, Where};

use population::{asked, engine, label};

const FOURTEEN_LEAVES: &str = "(gender = 'F' AND (city IN ('Shanghai', 'Hangzhou') OR province = 'Guangdong') AND NOT (lifecycle = 'churned' OR lifecycle = 'lapsed')) \
     OR (tier IN ('V4', 'V5') AND device = 'ios' AND interests = 'coffee' AND NOT staff AND age > 20 AND score < 90) \
     OR (subscribed AND app_installed AND interests = 'hanfu')";
/// A clause of it, and the question without.
const CLAUSES: [(usize, &str, &str); 3] = [
    (
        1,
        "city IN ('Shanghai', 'Hangzhou')",
        "(gender = 'F' AND province = 'Guangdong' AND NOT (lifecycle = 'churned' OR lifecycle = 'lapsed')) \
         OR (tier IN ('V4', 'V5') AND device = 'ios' AND interests = 'coffee' AND NOT staff AND age > 20 AND score < 90) \
         OR (subscribed AND app_installed AND interests = 'hanfu')",
    ),
    (
        3,
        "lifecycle = 'churned'",
        "(gender = 'F' AND (city IN ('Shanghai', 'Hangzhou') OR province = 'Guangdong') AND NOT lifecycle = 'lapsed') \
         OR (tier IN ('V4', 'V5') AND device = 'ios' AND interests = 'coffee' AND NOT staff AND age > 20 AND score < 90) \
         OR (subscribed AND app_installed AND interests = 'hanfu')",
    ),
    (
        13,
        "interests = 'hanfu'",
        "(gender = 'F' AND (city IN ('Shanghai', 'Hangzhou') OR province = 'Guangdong') AND NOT (lifecycle = 'churned' OR lifecycle = 'lapsed')) \
         OR (tier IN ('V4', 'V5') AND device = 'ios' AND interests = 'coffee' AND NOT staff AND age > 20 AND score < 90) \
         OR (subscribed AND app_installed)",
    ),
];
const CAMPAIGNS: [&str; 5] = [
    "gender = 'F' AND city IN ('Shanghai', 'Hangzhou', 'Beijing') AND age BETWEEN 25 AND 45",
    "subscribed AND tier IN ('V3', 'V4', 'V5')",
    "interests IN ('coffee', 'hanfu') AND NOT lifecycle = 'churned'",
    "spend > 2000 AND app_installed",
    "device = 'ios' AND (subscribed OR source = 'store') AND NOT staff",
];

fn count(space: &Space, text: &str) -> u64 {
    space.count(&asked(text), false).expect(text).value.count
}

fn benches(criterion: &mut Criterion) {
    let engine = engine();
    let space = engine.space(MAIN_SPACE).expect("the space");

    let question = asked(FOURTEEN_LEAVES);
    let broken = space.count(&question, true).expect("a breakdown").value;
    assert_eq!(broken.count, count(&space, FOURTEEN_LEAVES));
    let clauses = broken.clauses.expect("clauses");
    assert_eq!(clauses.len(), 14);
    for (at, alone, without) in CLAUSES {
        assert_eq!((clauses[at].count, clauses[at].without), (count(&space, alone), count(&space, without)), "{alone}");
    }
    for (name, with_breakdown) in [("count", false), ("breakdown", true)] {
        let name = format!("breakdown_of_14_leaves/{name}/{}", label());
        criterion.bench_function(&name, |b| b.iter(|| space.count(&question, with_breakdown)));
    }

    let audiences = CAMPAIGNS.map(|text| Where::Text(text.into()));
    let everyone = Question { audience: None, ..question };
    let overlap = space.overlap(&everyone, &audiences).expect("an overlap").value;
    assert_eq!(overlap.counts, CAMPAIGNS.map(|text| count(&space, text)));
    let any = count(&space, &CAMPAIGNS.map(|text| format!("({text})")).join(" OR "));
    assert_eq!(overlap.regions.iter().map(|region| region.count).sum::<u64>(), any);
    let five = CAMPAIGNS.map(asked);
    criterion.bench_function(&format!("overlap_of_5/counts/{}", label()), |b| {
        b.iter(|| five.each_ref().map(|question| space.count(question, false)));
    });
    criterion.bench_function(&format!("overlap_of_5/bitmaps/{}", label()), |b| {
        b.iter(|| five.each_ref().map(|question| space.member_bitmap(question)));
    });
    criterion.bench_function(&format!("overlap_of_5/overlap/{}", label()), |b| {
        b.iter(|| space.overlap(&everyone, &audiences));
    });
}

criterion_group! { name = insight; config = population::criterion(); targets = benches }
criterion_main!(insight);
