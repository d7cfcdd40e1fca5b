//! Rows of events of some profiles by one or two of their columns: how many, of how many people, and what they sum up to.
//! Knows rows as numbers; labels, dates and statements are the callers'.
//!
//! People are counted once a group. Where there can only be few groups, rows are taken as they lie, and who was seen is a
//! bit in the group's own set; else rows come profile by profile, and a group knows whom it saw last.

use std::collections::{HashMap, HashSet};

use storage::container::Bits;
use storage::ids::{CHUNK_PROFILES, CHUNK_WORDS};

use super::context::Context;
use super::error::{Error, Result};
use super::exec::{ChunkSet, Gathered, Order, RowPage, RowsRun, Scratch, Stripe, UNKNOWN, window_of};
use super::plan::{EventRows, Node, RowColumn};
use super::totals::Totals;

/// Most groups whose people are kept as bits: 4 MiB of them.
const SEEN_MAX: u64 = 512;
/// Values between the least and the greatest of a key that are looked up in a table.
const TABLE_MAX: i64 = 1 << 16;
const NO_SLOT: u32 = u32::MAX;

/// What is asked of the rows.
pub(crate) struct Wanted<'a> {
    /// Which rows.
    pub(crate) rows: &'a EventRows,
    /// Columns to group by, and what becomes of their known values (a day's month, say); at most two.
    pub(crate) keys: &'a [(RowColumn, &'a (dyn Fn(i64) -> i64 + Sync))],
    /// Whether people are to be counted.
    pub(crate) people: bool,
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
    /// Profiles that they are of, where that is wanted.
    pub(crate) people: u64,
    /// By measure.
    pub(crate) totals: Vec<Totals>,
    /// Known values, by column.
    pub(crate) distinct: Vec<HashSet<i64>>,
    /// Known values, by column, in no order.
    pub(crate) listed: Vec<Vec<i64>>,
}

/// Groups by their keys; the second is 0 where there is none, and so is the first.
pub(crate) type RowGroups = HashMap<[i64; 2], RowGroup>;

/// Groups the rows of the members of a plan.
///
/// # Errors
/// [`Error::TooLarge`] for more groups or values than an answer may hold, the budget's, or damage of the store.
pub(crate) fn event_groups(ctx: &Context<'_>, audience: &Node, wanted: &Wanted<'_>) -> Result<RowGroups> {
    let max = ctx.limits.answer_cells_max;
    let are_few = domain(ctx, wanted).is_some_and(|groups| groups <= SEEN_MAX);
    let partial = ctx.fold_shares(
        || Partial::new(wanted),
        |partial, share| {
            let run = Stripe::open(ctx.view, audience, share)?;
            let Some(rows) = RowsRun::open(ctx.view, wanted.rows, share)? else { return Ok(()) };
            if run.is_empty() {
                return Ok(());
            }
            for chunk in share.chunks.clone() {
                if rows.row_count(chunk) == 0 {
                    continue;
                }
                let Some(set) = run.chunk(chunk, &mut partial.scratch) else { continue };
                partial.chunk += 1;
                let among = if set.count() == CHUNK_PROFILES { None } else { Some(&set) };
                match are_few {
                    true => partial.add_pages(&rows, chunk, among),
                    false => partial.add_by_profile(&rows, chunk, among),
                }
                partial.scratch.recycle(set);
                let asked = partial.groups.len() as u64 + partial.cells;
                if asked > max {
                    return Err(Error::TooLarge { what: "groups", asked, max });
                }
                ctx.budget.check()?;
            }
            Ok(())
        },
        Partial::merge,
    )?;
    Ok(partial.keys.into_iter().zip(partial.groups).collect())
}

/// At most how many groups there can be, where that is known.
fn domain(ctx: &Context<'_>, wanted: &Wanted<'_>) -> Option<u64> {
    let mut groups = 1u64;
    for (column, _) in wanted.keys {
        let values = match column {
            RowColumn::Day => {
                window_of(wanted.rows).map(|days| days.high.saturating_sub(days.low).saturating_add(1))?
            }
            RowColumn::At => return None,
            RowColumn::Property(property) => match ctx.view.event(wanted.rows.event).values(*property).count() {
                // Nothing but categories has texts.
                0 => return None,
                texts => i64::from(texts) + 1,
            },
        };
        groups = groups.saturating_mul(values.max(0) as u64);
    }
    Some(groups)
}

/// Numbers the values of a key as they come.
#[derive(Default)]
struct Slots {
    /// Value of the first place of the table.
    first: Option<i64>,
    table: Vec<u32>,
    /// What each became, by slot; and back.
    values: Vec<i64>,
    slots: HashMap<i64, u32>,
    unknown: Option<u32>,
}

impl Slots {
    #[inline]
    fn slot_of(&mut self, value: i64, become_of: &dyn Fn(i64) -> i64) -> u32 {
        if let (UNKNOWN, Some(slot)) = (value, self.unknown) {
            return slot;
        }
        let place = value.wrapping_sub(self.first.unwrap_or(i64::MAX));
        match self.table.get(place as usize) {
            Some(slot) if *slot != NO_SLOT => *slot,
            _ => self.new_slot_of(value, become_of),
        }
    }

    /// Of a value that is new, or that the table does not reach.
    #[cold]
    fn new_slot_of(&mut self, value: i64, become_of: &dyn Fn(i64) -> i64) -> u32 {
        let became = if value == UNKNOWN { UNKNOWN_KEY } else { become_of(value) };
        // Different values may become the same one.
        let slot = *self.slots.entry(became).or_insert(self.values.len() as u32);
        if slot as usize == self.values.len() {
            self.values.push(became);
        }
        if value == UNKNOWN {
            self.unknown = Some(slot);
            return slot;
        }
        // The table begins below what comes first; for values of texts, with the first of them.
        let first = *self.first.get_or_insert(if value < TABLE_MAX { 0 } else { value - TABLE_MAX / 2 });
        if let Some(place @ 0..TABLE_MAX) = value.checked_sub(first) {
            if self.table.len() <= place as usize {
                self.table.resize(place as usize + 1, NO_SLOT);
            }
            self.table[place as usize] = slot;
        }
        slot
    }
}

/// Whom the groups of one chunk have seen.
#[derive(Default)]
struct Seen {
    /// By group: the chunk that they are of, and who.
    bits: Vec<(u32, Box<Bits>)>,
}

impl Seen {
    #[inline]
    fn is_first(&mut self, group: u32, chunk: u32, low: u16) -> bool {
        while self.bits.len() <= group as usize {
            self.bits.push((chunk, Box::new([0; CHUNK_WORDS])));
        }
        let (of, bits) = &mut self.bits[group as usize];
        if *of != chunk {
            *of = chunk;
            bits.fill(0);
        }
        let (word, bit) = (&mut bits[usize::from(low) / 64], 1u64 << (low % 64));
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}

struct Partial<'w> {
    wanted: &'w Wanted<'w>,
    slots: [Slots; 2],
    /// Groups of two keys, by their slots.
    pairs: HashMap<[u32; 2], u32>,
    keys: Vec<[i64; 2]>,
    groups: Vec<RowGroup>,
    /// By group: chunk and place of whom it saw last.
    last: Vec<(u32, u16)>,
    seen: Seen,
    /// Chunks so far.
    chunk: u32,
    /// Values that are kept.
    cells: u64,
    scratch: Scratch,
    rows: Gathered,
    of_rows: Vec<u32>,
}

impl<'w> Partial<'w> {
    fn new(wanted: &'w Wanted<'w>) -> Partial<'w> {
        Partial {
            wanted,
            slots: Default::default(),
            pairs: HashMap::new(),
            keys: Vec::new(),
            groups: Vec::new(),
            last: Vec::new(),
            seen: Seen::default(),
            chunk: 0,
            cells: 0,
            scratch: Scratch::default(),
            rows: Gathered::default(),
            of_rows: Vec::new(),
        }
    }

    /// Rows as they lie.
    fn add_pages(&mut self, rows: &RowsRun<'_>, chunk: usize, among: Option<&ChunkSet>) {
        let columns = self.wanted.columns();
        let mut taken = std::mem::take(&mut self.rows);
        rows.for_each_row_page(chunk, among, &columns, Order::Any, |page: &RowPage<'_, '_>| {
            taken.clear(columns.len());
            page.push_lows(&mut taken.lows);
            columns.iter().zip(&mut taken.columns).for_each(|(column, values)| page.push_values(*column, values));
            self.group(&taken);
            match self.wanted {
                Wanted { people: false, keys: [], .. } => self.groups[0].events += taken.lows.len() as u64,
                Wanted { people: false, .. } => {
                    self.of_rows.iter().for_each(|group| self.groups[*group as usize].events += 1);
                }
                Wanted { people: true, .. } => {
                    for (group, low) in self.of_rows.iter().zip(&taken.lows) {
                        let is_first = self.seen.is_first(*group, self.chunk, *low);
                        let group = &mut self.groups[*group as usize];
                        group.events += 1;
                        group.people += u64::from(is_first);
                    }
                }
            }
            self.add_values(&taken);
        });
        self.rows = taken;
    }

    /// Rows profile by profile.
    fn add_by_profile(&mut self, rows: &RowsRun<'_>, chunk: usize, among: Option<&ChunkSet>) {
        let mut taken = std::mem::take(&mut self.rows);
        rows.gather(chunk, among, &self.wanted.columns(), &mut taken);
        self.group(&taken);
        for (group, low) in self.of_rows.iter().zip(&taken.lows) {
            let last = &mut self.last[*group as usize];
            let is_first = *last != (self.chunk, *low);
            *last = (self.chunk, *low);
            let group = &mut self.groups[*group as usize];
            group.events += 1;
            group.people += u64::from(is_first);
        }
        self.add_values(&taken);
        self.rows = taken;
    }

    /// The group of each row.
    fn group(&mut self, rows: &Gathered) {
        let mut of_rows = std::mem::take(&mut self.of_rows);
        of_rows.clear();
        match self.wanted.keys {
            [] => {
                let group = self.group_of([0; 2], [0; 2]);
                of_rows.resize(rows.lows.len(), group);
            }
            [(_, become_of)] => {
                for value in &rows.columns[0] {
                    let slot = self.slots[0].slot_of(*value, become_of);
                    if slot as usize == self.groups.len() {
                        self.new_group([self.slots[0].values[slot as usize], 0]);
                    }
                    of_rows.push(slot);
                }
            }
            [(_, first), (_, second), ..] => {
                // Rows of a group often follow each other.
                let mut present = None;
                for (a, b) in rows.columns[0].iter().zip(&rows.columns[1]) {
                    let slots = [self.slots[0].slot_of(*a, first), self.slots[1].slot_of(*b, second)];
                    let group = match present {
                        Some((of, group)) if of == slots => group,
                        _ => {
                            let value = |key: usize| self.slots[key].values[slots[key] as usize];
                            self.group_of(slots, [value(0), value(1)])
                        }
                    };
                    present = Some((slots, group));
                    of_rows.push(group);
                }
            }
        }
        self.of_rows = of_rows;
    }

    fn group_of(&mut self, slots: [u32; 2], keys: [i64; 2]) -> u32 {
        if let Some(group) = self.pairs.get(&slots) {
            return *group;
        }
        let group = self.groups.len() as u32;
        self.pairs.insert(slots, group);
        self.new_group(keys);
        group
    }

    fn new_group(&mut self, keys: [i64; 2]) {
        self.keys.push(keys);
        self.groups.push(RowGroup::new(self.wanted));
        self.last.push((0, 0));
    }

    /// What is wanted of the rows' values.
    fn add_values(&mut self, rows: &Gathered) {
        let (measures, rest) = rows.columns[self.wanted.keys.len()..].split_at(self.wanted.measures.len());
        let (distinct, listed) = rest.split_at(self.wanted.distinct.len());
        let known = |values: &'_ Vec<i64>| -> Vec<(u32, i64)> {
            let pairs = self.of_rows.iter().copied().zip(values.iter().copied());
            pairs.filter(|(_, value)| *value != UNKNOWN).collect()
        };
        for (at, values) in measures.iter().enumerate() {
            if self.wanted.keys.is_empty() {
                self.groups[0].totals[at].add_all(values, UNKNOWN);
                continue;
            }
            for (group, value) in self.of_rows.iter().zip(values) {
                if *value != UNKNOWN {
                    self.groups[*group as usize].totals[at].add(*value);
                }
            }
        }
        for (at, values) in distinct.iter().enumerate() {
            for (group, value) in known(values) {
                self.cells += u64::from(self.groups[group as usize].distinct[at].insert(value));
            }
        }
        for (at, values) in listed.iter().enumerate() {
            for (group, value) in known(values) {
                self.cells += 1;
                self.groups[group as usize].listed[at].push(value);
            }
        }
    }

    fn merge(mut self, other: Partial<'w>) -> Partial<'w> {
        let mut places: HashMap<[i64; 2], usize> = self.keys.iter().copied().zip(0..).collect();
        for (keys, group) in other.keys.into_iter().zip(other.groups) {
            let place = *places.entry(keys).or_insert(self.groups.len());
            if place == self.groups.len() {
                self.new_group(keys);
            }
            self.groups[place].merge(group);
        }
        self.cells += other.cells;
        self
    }
}

impl Wanted<'_> {
    /// All columns that are read: keys, measures, distinct and listed ones.
    fn columns(&self) -> Vec<RowColumn> {
        let keys: Vec<RowColumn> = self.keys.iter().map(|(column, _)| *column).collect();
        [&keys, self.measures, self.distinct, self.listed].concat()
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

    /// No profile is in both.
    pub(crate) fn merge(&mut self, other: RowGroup) {
        self.events += other.events;
        self.people += other.people;
        self.totals.iter_mut().zip(other.totals).for_each(|(mine, other)| *mine = mine.merge(other));
        self.distinct.iter_mut().zip(other.distinct).for_each(|(mine, other)| mine.extend(other));
        self.listed.iter_mut().zip(other.listed).for_each(|(mine, other)| mine.extend(other));
    }
}
