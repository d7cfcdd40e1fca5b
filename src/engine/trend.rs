//! How an audience went: its size, and who entered and left, from snapshot to snapshot or from day to day.
//! Knows sets of two moments; what a snapshot or a state is comes from `frozen` and `states`.

use std::time::Instant;

use jiff::civil::Date;
use roaring::RoaringBitmap;
use serde::Serialize;

use super::ask::answer;
use super::frozen::frozen_of;
use super::{Answer, Question, Result, Space, Where};
use crate::query::totals::collect;

/// From what to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrendBy {
    /// Snapshots of the audience, as they were frozen.
    Freeze,
    /// Days whose state of the store is kept, by the present definition.
    Day,
}

/// How an audience went.
#[derive(Debug, Clone, Serialize)]
pub struct Trend {
    /// The audience.
    pub name: String,
    /// Ascending by day.
    pub rows: Vec<TrendRow>,
}

/// One snapshot or day.
#[derive(Debug, Clone, Serialize)]
pub struct TrendRow {
    /// The day.
    pub date: String,
    /// Members: as they were counted when they were frozen; of days, without people who were erased since.
    pub count: u64,
    /// Of them, those who still live.
    pub living: u64,
    /// Members who were none in the row before, of those who still live; none of the first snapshot or day there is.
    pub entered: Option<u64>,
    /// Members of the row before who are none any more, of those who still live.
    pub left: Option<u64>,
    /// Version of the definition, of a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Turns sets, one after the other, into rows.
#[derive(Default)]
struct Rows {
    before: Option<RoaringBitmap>,
    rows: Vec<(Date, TrendRow)>,
}

impl Rows {
    fn push(&mut self, date: Date, count: Option<u64>, version: Option<u64>, members: RoaringBitmap) {
        let (living, both) = (members.len(), self.before.as_ref().map(|before| before.intersection_len(&members)));
        let row = TrendRow {
            date: date.to_string(),
            count: count.unwrap_or(living),
            living,
            entered: both.map(|both| living - both),
            left: both.map(|both| self.before.as_ref().map_or(0, RoaringBitmap::len) - both),
            version,
        };
        self.rows.push((date, row));
        self.before = Some(members);
    }
}

/// Which of some days are looked at: those from one to another, and the one before them.
fn needed(days: &[Date], from: Option<Date>, to: Option<Date>) -> std::ops::Range<usize> {
    let end = to.map_or(days.len(), |to| days.partition_point(|day| *day <= to));
    let first = from.map_or(0, |from| days.partition_point(|day| *day < from));
    first.saturating_sub(1).min(end)..end
}

impl Space {
    /// The rows of an audience from one day to another, both included.
    ///
    /// # Errors
    /// An unknown audience; a definition that cannot be asked any more; the question's limits, or damage.
    pub fn trend(
        &self,
        name: &str,
        by: TrendBy,
        (from, to): (Option<Date>, Option<Date>),
        question: &Question,
    ) -> Result<Answer<Trend>> {
        let start = Instant::now();
        let view = self.store.view();
        let lookup = self.lookup(&view);
        if !lookup.saved.contains_key(name) {
            return Err(self.no_audience(&lookup, name));
        }
        let mut rows = Rows::default();
        let mut warnings = Vec::new();
        match by {
            TrendBy::Freeze => {
                let sets: Vec<_> = frozen_of(view.frozen(), name).collect();
                let days: Vec<Date> = sets.iter().map(|(date, _)| *date).collect();
                let living = storage::frozen::living(&view)?;
                for (date, frozen) in &sets[needed(&days, from, to)] {
                    let info = frozen.info();
                    rows.push(*date, Some(info.count), Some(info.version), frozen.members()? & &living);
                }
            }
            TrendBy::Day => {
                let asked = Some(Where::Text(format!("in_audience('{name}')")));
                let question = Question { audience: asked, ..question.clone() };
                let days = self.kept_days()?;
                let days = &days[needed(&days, from, to)];
                (_, warnings) = self.over_days(&question, days, |ctx, date, plan| {
                    let ids = collect(ctx, plan, 0, u64::MAX)?;
                    rows.push(date, None, None, RoaringBitmap::from_sorted_iter(ids).unwrap_or_default());
                    Ok(())
                })?;
            }
        }
        let is_before = |(day, _): &(Date, TrendRow)| from.is_some_and(|from| *day < from);
        let rows = rows.rows.into_iter().skip_while(is_before).map(|(_, row)| row).collect();
        Ok(answer(Trend { name: name.into(), rows }, &view, start, warnings))
    }
}
