//! Headcount itself, through the handle that server and command line hold: each question is a whole call, from text to
//! answer. Knows the engine.

use std::sync::Arc;
use std::time::Instant;

use headcount::engine::{
    CrosstabRequest, DistributionRequest, MembersRequest, Question as Asked, SeriesRequest, Space, Where,
};
use headcount::generate::AS_OF;
use headcount::query::bind::date_of;
use headcount::query::cell::Cell;
use headcount::query::distribution::{Bins, Distribution};
use headcount::query::series::Period;

use crate::answer::{self, Answer};
use crate::questions::{Kind, Question};

/// A space that is asked.
pub struct Ours(pub Arc<Space>);

impl Ours {
    /// Answers a question and says how long that took, in milliseconds.
    pub fn ask(&self, question: &Question) -> (f64, Answer) {
        let name = &question.name;
        let asked = asked(&question.audience);
        let start = Instant::now();
        let elapsed_ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
        match &question.kind {
            Kind::Count => {
                let count = self.0.count(&asked, false).expect(name).value.count;
                (elapsed_ms(start), answer::single(count as f64))
            }
            Kind::Distribution { tag, bin_width } => {
                let request = DistributionRequest {
                    tags: vec![tag.clone()],
                    top: Some(100_000),
                    bins: bin_width.map(|width| Bins::Width(width.into())),
                    ..DistributionRequest::default()
                };
                let found = self.0.distribution(&asked, &request).expect(name).value;
                (elapsed_ms(start), counts(&found.tags[0].1, question.json["is_set"] == true))
            }
            Kind::Crosstab { rows, columns } => {
                let request = CrosstabRequest { rows: rows.clone(), columns: columns.clone() };
                let found = self.0.crosstab(&asked, &request).expect(name).value;
                let elapsed_ms = elapsed_ms(start);
                let mut answer = Answer::new();
                for (row, counts) in found.rows.iter().zip(&found.counts) {
                    for (column, count) in found.columns.iter().zip(counts) {
                        answer.insert(format!("{}|{}", row.to_csv(), column.to_csv()), *count as f64);
                    }
                }
                (elapsed_ms, answer)
            }
            Kind::Average { tag, of } => {
                let sql = format!("SELECT {tag}, avg({of}) FROM profiles WHERE {} GROUP BY {tag}", question.audience);
                let table = self.0.query(&sql, &asked).expect(name).value;
                (elapsed_ms(start), table.rows.iter().map(|row| (row[0].to_csv(), number(&row[1]))).collect())
            }
            Kind::Quantile { of, fraction } => {
                let sql = format!("SELECT quantile({of}, {fraction}) FROM profiles WHERE {}", question.audience);
                let table = self.0.query(&sql, &asked).expect(name).value;
                (elapsed_ms(start), answer::single(number(&table.rows[0][0])))
            }
            Kind::Top { of, limit } => {
                let request = MembersRequest {
                    columns: vec!["one_id".into()],
                    order_by: Some(format!("{of} DESC")),
                    limit: Some(*limit),
                    ..MembersRequest::default()
                };
                let ids = self.ids(&asked, &request);
                (elapsed_ms(start), answer::of_ids(&ids, true))
            }
            Kind::Ids => {
                let ids = self.0.member_ids(&asked).expect(name).value;
                (elapsed_ms(start), answer::of_ids(&ids, false))
            }
            Kind::Series { event, measure, from, to } => {
                let day = |text: &str| text.parse().expect("a day");
                let request = SeriesRequest {
                    event: event.clone(),
                    event_where: None,
                    measure: Some(measure.clone()),
                    from: Some(day(from)),
                    to: Some(day(to)),
                    by: Period::Day,
                };
                let found = self.0.series(&asked, &request).expect(name).value;
                let elapsed_ms = elapsed_ms(start);
                let rows = found.rows.iter().map(|row| {
                    (row.day.to_csv().to_string(), vec![row.people as f64, row.events as f64, number(&row.sum)])
                });
                (elapsed_ms, answer::table(rows))
            }
            Kind::Table { statement } => {
                let table = self.0.query(statement, &asked).expect(name).value;
                let elapsed_ms = elapsed_ms(start);
                let rows =
                    table.rows.iter().map(|row| (row[0].to_csv().to_string(), row[1..].iter().map(number).collect()));
                (elapsed_ms, answer::table(rows))
            }
        }
    }

    /// Bytes of the bitmaps and columns that a question's audience touches, as its plan has them.
    pub fn bytes(&self, question: &Question) -> u64 {
        self.0.plan(&asked(&question.audience)).expect(&question.name).value.plan.bytes
    }

    fn ids(&self, asked: &Asked, request: &MembersRequest) -> Vec<u32> {
        let mut ids = Vec::new();
        let each = |one_id: u32, _: &[Cell<'_>]| {
            ids.push(one_id);
            Ok(())
        };
        self.0.members(asked, request, |_, _| Ok(()), each).expect("members");
        ids
    }
}

/// Of an audience; of everyone without one.
fn asked(text: &str) -> Asked {
    let audience = (!text.is_empty()).then(|| Where::Text(text.into()));
    Asked { audience, as_of: Some(date_of(AS_OF.into())), ..Asked::default() }
}

fn counts(found: &Distribution, is_set: bool) -> Answer {
    let label = |value: &headcount::query::distribution::ValueShare| match &value.bin {
        Some(bin) => number(&bin.low).to_string(),
        None => value.value.to_csv(),
    };
    let mut answer: Answer = found.values.iter().map(|value| (label(value), value.count as f64)).collect();
    if !is_set {
        answer.insert(String::new(), found.unknown as f64);
    }
    answer
}

fn number(cell: &Cell<'_>) -> f64 {
    cell.to_csv().parse().unwrap_or(f64::NAN)
}
