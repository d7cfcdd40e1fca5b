//! Rows of events of some profiles by one or two of their columns: how many, of how many people, and what they sum up to.
//! Knows rows as numbers; labels, dates and statements are the callers'.

use std::collections::{HashMap, HashSet};

use storage::ids::{CHUNK_PROFILES, STRIPE_CHUNKS};

use super::context::Context;
use super::error::{Error, Result};
use super::exec::{ChunkSet, Gathered, RowsRun, Scratch, Stripe, UNKNOWN};
use super::plan::{EventRows, Node, RowColumn};
use super::totals::Totals;

/// What is asked of the rows.
pub(crate) struct Wanted<'a> {
    /// Which rows.
    pub(crate) rows: &'a EventRows,
    /// Columns to group by, and what becomes of their known values (a day's month, say); at most two.
    pub(crate) keys: &'a [(RowColumn, &'a (dyn Fn(i64) -> i64 + Sync))],
    /// Columns to sum up.
    pub(crate) measures: &'a [RowColumn],
    /// Columns whose different values are wanted.
    pub(crate) distinct: &'a [RowColumn],
    /// Columns of which all values are wanted.
    pub(crate) listed: &'a [RowColumn],
}

/// A key that is unknown.
pub(crate) const UNKNOWN_KEY: i64 = UNKNOWN;

/// One group.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowGroup {
    /// Rows.
    pub(crate) events: u64,
    /// Profiles that they are of.
    pub(crate) people: u64,
    /// By measure.
    pub(crate) totals: Vec<Totals>,
    /// Known values, by column.
    pub(crate) distinct: Vec<HashSet<i64>>,
    /// Known values, by column, in no order.
    pub(crate) listed: Vec<Vec<i64>>,
    /// OneID + 1 of the profile that was counted last.
    last: u64,
}

/// Groups by their keys; the second is 0 where there is none, and so is the first.
pub(crate) type RowGroups = HashMap<[i64; 2], RowGroup>;

/// Groups the rows of the members of a plan.
///
/// # Errors
/// [`Error::TooLarge`] for more groups or values than an answer may hold, the budget's, or damage of the store.
pub(crate) fn event_groups(ctx: &Context<'_>, audience: &Node, wanted: &Wanted<'_>) -> Result<RowGroups> {
    let columns: Vec<RowColumn> = wanted.keys.iter().map(|(column, _)| *column).collect();
    let columns = [&columns, wanted.measures, wanted.distinct, wanted.listed].concat();
    let max = ctx.limits.answer_cells_max;
    let partial = ctx.fold_stripes(
        || Partial { groups: RowGroups::new(), cells: 0, scratch: Scratch::default(), rows: Gathered::default() },
        |partial, stripe| {
            let run = Stripe::open(ctx.view, audience, stripe)?;
            let Some(rows) = RowsRun::open(ctx.view, wanted.rows, stripe)? else { return Ok(()) };
            if run.is_empty() {
                return Ok(());
            }
            for chunk in 0..STRIPE_CHUNKS {
                if rows.row_count(chunk) == 0 {
                    continue;
                }
                let Some(set) = run.chunk(chunk, &mut partial.scratch) else { continue };
                let first_one_id = ((stripe * STRIPE_CHUNKS + chunk) as u32) * CHUNK_PROFILES;
                partial.add(&rows, chunk, first_one_id, &set, &columns, wanted);
                partial.scratch.recycle(set);
                if partial.groups.len() as u64 + partial.cells > max {
                    let asked = partial.groups.len() as u64 + partial.cells;
                    return Err(Error::TooLarge { what: "groups", asked, max });
                }
                ctx.budget.check()?;
            }
            Ok(())
        },
        Partial::merge,
    )?;
    Ok(partial.groups)
}

struct Partial {
    groups: RowGroups,
    /// Values that are kept.
    cells: u64,
    scratch: Scratch,
    rows: Gathered,
}

impl Partial {
    fn add(
        &mut self,
        rows: &RowsRun<'_>,
        chunk: usize,
        first_one_id: u32,
        set: &ChunkSet,
        columns: &[RowColumn],
        wanted: &Wanted<'_>,
    ) {
        let among = if set.count() == CHUNK_PROFILES { None } else { Some(set) };
        rows.gather(chunk, among, columns, &mut self.rows);
        let key = |at: usize, row: usize, columns: &[Vec<i64>]| match wanted.keys.get(at) {
            None => 0,
            Some((_, become_of)) => match columns[at][row] {
                UNKNOWN => UNKNOWN_KEY,
                value => become_of(value),
            },
        };
        // Rows of a group often follow each other.
        let mut present: Option<([i64; 2], RowGroup)> = None;
        for (row, low) in self.rows.lows.iter().enumerate() {
            let keys = [key(0, row, &self.rows.columns), key(1, row, &self.rows.columns)];
            if present.as_ref().is_none_or(|(of, _)| *of != keys) {
                let next = (keys, self.groups.remove(&keys).unwrap_or_else(|| RowGroup::new(wanted)));
                if let Some((of, group)) = present.replace(next) {
                    self.groups.insert(of, group);
                }
            }
            let Some((_, group)) = &mut present else { continue };
            let values = &self.rows.columns[wanted.keys.len()..];
            self.cells += group.add(u64::from(first_one_id) + u64::from(*low) + 1, values, row);
        }
        self.groups.extend(present);
    }

    fn merge(mut self, other: Partial) -> Partial {
        for (keys, group) in other.groups {
            match self.groups.entry(keys) {
                std::collections::hash_map::Entry::Occupied(mut mine) => mine.get_mut().merge(group),
                std::collections::hash_map::Entry::Vacant(slot) => _ = slot.insert(group),
            }
        }
        self.cells += other.cells;
        self
    }
}

impl RowGroup {
    /// No rows at all.
    pub(crate) fn new(wanted: &Wanted<'_>) -> RowGroup {
        RowGroup {
            totals: vec![Totals::default(); wanted.measures.len()],
            distinct: vec![HashSet::new(); wanted.distinct.len()],
            listed: vec![Vec::new(); wanted.listed.len()],
            ..RowGroup::default()
        }
    }

    /// Adds a row of a profile; gives how many values more are kept.
    fn add(&mut self, profile: u64, columns: &[Vec<i64>], row: usize) -> u64 {
        self.events += 1;
        // Rows come profile by profile, and each profile in one stripe.
        self.people += u64::from(self.last != profile);
        self.last = profile;
        let mut kept = 0;
        let known = |column: &Vec<i64>| Some(column[row]).filter(|value| *value != UNKNOWN);
        let (measures, rest) = columns.split_at(self.totals.len());
        let (distinct, listed) = rest.split_at(self.distinct.len());
        for (totals, value) in self.totals.iter_mut().zip(measures.iter().map(known)) {
            value.into_iter().for_each(|value| totals.add(value));
        }
        for (seen, value) in self.distinct.iter_mut().zip(distinct.iter().map(known)) {
            kept += u64::from(value.is_some_and(|value| seen.insert(value)));
        }
        for (list, value) in self.listed.iter_mut().zip(listed.iter().map(known)) {
            kept += u64::from(value.is_some());
            list.extend(value);
        }
        kept
    }

    /// No profile is in both.
    pub(crate) fn merge(&mut self, other: RowGroup) {
        self.events += other.events;
        self.people += other.people;
        self.totals.iter_mut().zip(other.totals).for_each(|(mine, other)| *mine = mine.merge(other));
        self.distinct.iter_mut().zip(other.distinct).for_each(|(mine, other)| mine.extend(other));
        self.listed.iter_mut().zip(other.listed).for_each(|(mine, other)| mine.extend(other));
    }
}
