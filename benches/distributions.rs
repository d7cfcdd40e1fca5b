//! Distributions at audiences of 0.1, 1, 10 and 50 %, crosstabs, averages, quantiles and the top of an order.
//! Every answer is asserted against a tally of members looked at one by one before it is timed.

mod population;

use std::collections::BTreeMap;

use criterion::{Criterion, criterion_group, criterion_main};
use headcount::engine::{CrosstabRequest, DistributionRequest, MAIN_SPACE, MembersRequest, Space};
use headcount::query::cell::Cell;
use headcount::query::distribution::{Bins, Distribution};

use population::{asked, each_person, engine, is, label, number, tally_one_by_one, yes};

/// Columns that audiences are looked at by.
const AUDIENCE_COLUMNS: [&str; 3] = ["source", "lifecycle", "app_installed"];

/// An audience by its share, and the same condition on [`AUDIENCE_COLUMNS`].
type Audience = (&'static str, &'static str, fn(&[Cell<'_>]) -> bool);

const AUDIENCES: [Audience; 4] = [
    ("0.1%", "source = 'sms' AND lifecycle = 'active'", |c| is(&c[0], "sms") && is(&c[1], "active")),
    ("1%", "source = 'sms'", |c| is(&c[0], "sms")),
    ("10%", "source = 'store'", |c| is(&c[0], "store")),
    ("50%", "app_installed", |c| yes(&c[2])),
];

/// A tag, and the width of its bins in its unit and in hundredths.
const TAGS: [(&str, Option<(u32, i128)>); 7] = [
    ("gender", None),
    ("tier", None),
    ("province", None),
    ("city", None),
    ("interests", None),
    ("age", Some((5, 5))),
    ("spend", Some((500, 50_000))),
];

fn label_of(cell: &Cell<'_>, width: Option<i128>) -> Vec<String> {
    match (cell, width) {
        (Cell::List(list), _) => list.iter().map(ToString::to_string).collect(),
        (cell, Some(width)) => vec![number(cell).map_or(String::new(), |n| n.div_euclid(width).to_string())],
        (cell, None) => vec![cell.to_csv()],
    }
}

fn counts_of(found: &Distribution, width: Option<i128>) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for value in found.values.iter().filter(|value| value.count > 0) {
        let low = value.bin.as_ref().map_or(&value.value, |bin| &bin.low);
        counts.extend(label_of(low, width).into_iter().map(|label| (label, value.count)));
    }
    if found.unknown > 0 {
        counts.insert(String::new(), found.unknown);
    }
    counts
}

fn distributions(criterion: &mut Criterion) {
    let engine = engine();
    let space = engine.space(MAIN_SPACE).expect("the space");
    for (tag, bins) in TAGS {
        let request = DistributionRequest {
            tags: vec![tag.into()],
            top: Some(100_000),
            bins: bins.map(|(width, _)| Bins::Width(width.into())),
            ..DistributionRequest::default()
        };
        let width = bins.map(|(_, width)| width);
        for (share, text, test) in AUDIENCES {
            let question = asked(text);
            let answer = space.distribution(&question, &request).expect(text).value;
            let [a, b, c] = AUDIENCE_COLUMNS;
            let by_hand =
                tally_one_by_one(&space, &[a, b, c, tag], |cells| test(cells).then(|| label_of(&cells[3], width)));
            assert_eq!(counts_of(&answer.tags[0].1, width), by_hand, "{tag} of {text}");
            criterion.bench_function(&format!("distribution/{tag}_of_{share}/{}", label()), |b| {
                b.iter(|| space.distribution(&question, &request));
            });
        }
    }
}

fn crosstabs(criterion: &mut Criterion) {
    let engine = engine();
    let space = engine.space(MAIN_SPACE).expect("the space");
    for (rows, columns) in [("tier", "lifecycle"), ("city", "tier")] {
        let question = asked("gender = 'F'");
        let request = CrosstabRequest { rows: rows.into(), columns: columns.into() };
        let answer = space.crosstab(&question, &request).expect("crosstab").value;
        let mut cells = BTreeMap::new();
        for (row, counts) in answer.rows.iter().zip(&answer.counts) {
            for (column, count) in answer.columns.iter().zip(counts).filter(|(_, count)| **count > 0) {
                cells.insert(format!("{}|{}", row.to_csv(), column.to_csv()), *count);
            }
        }
        let by_hand = tally_one_by_one(&space, &[rows, columns, "gender"], |c| {
            is(&c[2], "F").then(|| vec![format!("{}|{}", c[0].to_csv(), c[1].to_csv())])
        });
        assert_eq!(cells, by_hand, "{rows} by {columns}");
        criterion.bench_function(&format!("crosstab/{rows}_by_{columns}_of_half/{}", label()), |b| {
            b.iter(|| space.crosstab(&question, &request));
        });
    }
}

/// OneIDs of women with their spend in cents, the largest first, ties by the lower OneID.
fn women_by_spend(space: &Space) -> Vec<(i128, u32)> {
    let mut all = Vec::new();
    each_person(space, &["gender", "spend"], |one_id, cells| {
        if let Some(cents) = number(&cells[1]).filter(|_| is(&cells[0], "F")) {
            all.push((cents, one_id));
        }
    });
    all.sort_by_key(|(cents, one_id)| (-cents, *one_id));
    all
}

fn ids(space: &Space, text: &str, request: &MembersRequest) -> Vec<u32> {
    let mut ids = Vec::new();
    let rows = space.members(
        &asked(text),
        request,
        |_, _| Ok(()),
        |one_id, _| {
            ids.push(one_id);
            Ok(())
        },
    );
    rows.expect(text);
    ids
}

fn orders(criterion: &mut Criterion) {
    let engine = engine();
    let space = engine.space(MAIN_SPACE).expect("the space");
    let women = women_by_spend(&space);
    let top: Vec<u32> = women[..1000].iter().map(|(_, one_id)| *one_id).collect();

    let request = MembersRequest {
        columns: vec!["one_id".into()],
        order_by: Some("spend DESC".into()),
        limit: Some(1000),
        ..MembersRequest::default()
    };
    assert_eq!(ids(&space, "gender = 'F'", &request), top);
    criterion.bench_function(&format!("order/1000_members_by_spend_of_half/{}", label()), |b| {
        b.iter(|| ids(&space, "gender = 'F'", &request));
    });

    let text = "one_id IN (SELECT one_id FROM profiles WHERE gender = 'F' ORDER BY spend DESC LIMIT 1000)";
    let all = MembersRequest { columns: vec!["one_id".into()], ..MembersRequest::default() };
    let mut sorted = top.clone();
    sorted.sort_unstable();
    assert_eq!(ids(&space, text, &all), sorted);
    let question = asked(text);
    criterion.bench_function(&format!("order/count_of_top_1000_by_spend/{}", label()), |b| {
        b.iter(|| space.count(&question, false));
    });

    let everyone = ids(&space, "gender = 'F'", &all);
    let mut known: Vec<u32> = women.iter().map(|(_, one_id)| *one_id).collect();
    known.sort_unstable();
    assert!(known.iter().all(|one_id| everyone.binary_search(one_id).is_ok()));
    criterion.bench_function(&format!("members/ids_of_half/{}", label()), |b| {
        b.iter(|| ids(&space, "gender = 'F'", &all));
    });

    let sql = "SELECT quantile(spend, 0.9) FROM profiles WHERE gender = 'F'";
    let table = space.query(sql, &asked("TRUE")).expect(sql).value;
    // Nearest rank, from below.
    let rank = (women.len() as f64 * 0.9).ceil() as usize;
    assert_eq!(number(&table.rows[0][0]), Some(women[women.len() - rank].0));
    criterion.bench_function(&format!("order/quantile_of_spend_of_half/{}", label()), |b| {
        b.iter(|| space.query(sql, &asked("TRUE")));
    });

    let sql = "SELECT sum(spend) FROM profiles WHERE gender = 'F'";
    let table = space.query(sql, &asked("TRUE")).expect(sql).value;
    let sum: i128 = women.iter().map(|(cents, _)| cents).sum();
    assert_eq!(number(&table.rows[0][0]), Some(sum));
    criterion.bench_function(&format!("totals/sum_of_spend_of_half/{}", label()), |b| {
        b.iter(|| space.query(sql, &asked("TRUE")));
    });
}

criterion_group! { name = benches; config = population::criterion(); targets = distributions, crosstabs, orders }
criterion_main!(benches);
