//! How an audience went: its size, and who entered and left, from snapshot to snapshot or from day to day.
//! Knows sets of two moments; what a snapshot or a state is comes from `frozen` and `states`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use jiff::civil::Date;
use roaring::RoaringBitmap;
use serde::Serialize;
use storage::{Frozen, View};

use super::ask::answer;
use super::frozen::frozen_of;
use super::past::Members;
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

/// What became of the members before.
fn compared(members: &RoaringBitmap, before: Option<&RoaringBitmap>) -> Members {
    let living = members.len();
    let both = before.map(|before| (before.len(), before.intersection_len(members)));
    Members { living, entered: both.map(|(_, both)| living - both), left: both.map(|(before, both)| before - both) }
}

fn row(date: Date, count: Option<u64>, version: Option<u64>, members: Members) -> TrendRow {
    let Members { living, entered, left } = members;
    TrendRow { date: date.to_string(), count: count.unwrap_or(living), living, entered, left, version }
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
        let mut rows = Vec::new();
        let mut warnings = Vec::new();
        match by {
            TrendBy::Freeze => {
                let sets: Vec<_> = frozen_of(view.frozen(), name).collect();
                let days: Vec<Date> = sets.iter().map(|(date, _)| *date).collect();
                rows = self.by_freeze(&view, &sets[needed(&days, from, to)])?;
            }
            TrendBy::Day => {
                let asked = Some(Where::Text(format!("in_audience('{name}')")));
                let question = Question { audience: asked, ..question.clone() };
                let past = self.past_of(&view, &lookup, &question);
                let days = self.store.state_days()?;
                let days = &days[needed(&days, from, to)];
                let before = |at: usize| at.checked_sub(1).map(|before| days[before]);
                let known: Vec<_> = days.iter().zip(0..).map(|(day, at)| past.get(*day, before(at))).collect();
                let is_asked = |at: usize| known[at].is_none() || known.get(at + 1).is_some_and(Option::is_none);
                let asked: Vec<Date> = (0..days.len()).filter(|at| is_asked(*at)).map(|at| days[at]).collect();
                let mut found: BTreeMap<Date, Members> =
                    days.iter().zip(&known).filter_map(|(day, known)| Some((*day, (*known)?))).collect();
                let mut held: Option<(Date, RoaringBitmap)> = None;
                warnings = self.over_days((&view, &lookup), &question, &asked, |ctx, date, plan| {
                    let ids = collect(ctx, plan, 0, u64::MAX)?;
                    let set = RoaringBitmap::from_sorted_iter(ids).unwrap_or_default();
                    if let Entry::Vacant(place) = found.entry(date) {
                        // The one held is of the day before: where a row is asked for, so is that.
                        let members = compared(&set, held.as_ref().map(|(_, before)| before));
                        past.put(date, held.as_ref().map(|(before, _)| *before), members);
                        place.insert(members);
                    }
                    held = Some((date, set));
                    Ok(())
                })?;
                rows.extend(found.into_iter().map(|(date, members)| (date, row(date, None, None, members))));
            }
        }
        let is_before = |(day, _): &(Date, TrendRow)| from.is_some_and(|from| *day < from);
        let rows = rows.into_iter().skip_while(is_before).map(|(_, row)| row).collect();
        Ok(answer(Trend { name: name.into(), rows }, &view, start, warnings))
    }

    /// The rows of some frozen sets of an audience, ascending.
    fn by_freeze(&self, view: &View, sets: &[(Date, &Arc<Frozen>)]) -> Result<Vec<(Date, TrendRow)>> {
        let (mut living, erasures) = (None, view.erasures());
        let mut members_of = |frozen: &Frozen| -> Result<RoaringBitmap> {
            let living = match &living {
                Some(living) => living,
                None => living.insert(storage::frozen::living(view)?),
            };
            Ok(frozen.members()? & living)
        };
        let mut rows = Vec::with_capacity(sets.len());
        // The set before, where it was read.
        let mut held: Option<RoaringBitmap> = None;
        for (at, (date, frozen)) in sets.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| sets[before]);
            let key = ((*date, *frozen.info()), before.map(|(date, frozen)| (date, *frozen.info())));
            let members = match self.past.frozen.get(&erasures, &key) {
                Some(members) => {
                    held = None;
                    members
                }
                None => {
                    let before = match (held.take(), before) {
                        (None, Some((_, frozen))) => Some(members_of(frozen)?),
                        (held, _) => held,
                    };
                    let set = members_of(frozen)?;
                    let members = compared(&set, before.as_ref());
                    self.past.frozen.put(&erasures, key, members);
                    held = Some(set);
                    members
                }
            };
            let info = frozen.info();
            rows.push((*date, row(*date, Some(info.count), Some(info.version), members)));
        }
        Ok(rows)
    }
}
