//! Counts by one or two columns: GROUP BY and crosstabs, in one pass over the members.
//! Knows keys of columns as numbers; labels are made at the end.
//!
//! Unknown is a group of its own; a set counts a member once for each of its values.

use std::collections::HashMap;

use storage::field::{FALSE, FieldStripe, TRUE};
use storage::{TagId, TagType, ValueId};

use super::cell::Cell;
use super::context::Context;
use super::error::{Error, Result};
use super::exec::{ChunkSet, Scratch, Stripe};
use super::gather::{each_page, for_each_code};
use super::number::Range;
use super::plan::{ColumnTest, Node, any_of, column_test};
use super::totals::tally;

/// Key of the unknown group.
pub(crate) const UNKNOWN: i64 = i64::MIN;
/// Most cells that are counted in a table rather than a map.
const DENSE_CELLS_MAX: usize = 1 << 22;

/// A column to group by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// The tag.
    pub tag: TagId,
    /// Its type.
    pub tag_type: TagType,
}

/// One group: a key for each axis and how many members.
pub type Group = (Vec<i64>, u64);

impl Axis {
    /// Number of keys, unknown included, where they are dense from 0.
    fn dense(&self, ctx: &Context<'_>) -> Option<usize> {
        match self.tag_type {
            TagType::Flag => Some(3),
            TagType::Category | TagType::Set => Some(ctx.view.tag(self.tag).values().count() as usize + 1),
            _ => None,
        }
    }

    /// Whether everyone has at most one value.
    pub(crate) fn is_single(&self) -> bool {
        self.tag_type != TagType::Set
    }

    /// The label of a key.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn label(&self, ctx: &Context<'_>, key: i64) -> Result<Cell<'static>> {
        Ok(match (key, self.tag_type) {
            (UNKNOWN, _) => Cell::Null,
            (key, TagType::Flag) => Cell::Bool(key == 1),
            (key, TagType::Category | TagType::Set) => {
                let text = ctx.view.tag(self.tag).values().text(ValueId(key as u32))?;
                Cell::Text(text.to_string().into())
            }
            (key, TagType::Number { scale }) => Cell::Decimal(key.into(), scale),
            (key, TagType::Date) => Cell::Date(key),
        })
    }

    /// The members of a group, as a plan.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn plan_of(&self, ctx: &Context<'_>, key: i64) -> Result<Node> {
        let field = storage::field::FieldId::Tag(self.tag);
        if key == UNKNOWN {
            return Ok(Node::not(Node::known(ctx.view, field)?));
        }
        match self.tag_type {
            TagType::Flag => Node::bitmap(ctx.view, field, if key == 1 { TRUE } else { FALSE }),
            TagType::Category => any_of(ctx.view, self.tag, false, &[ValueId(key as u32)]),
            TagType::Set => any_of(ctx.view, self.tag, true, &[ValueId(key as u32)]),
            _ => column_test(ctx.view, self.tag, ColumnTest::Range(Range { low: key, high: key })),
        }
    }
}

/// Keys of the members of a chunk: one each, or several (a set).
#[derive(Default)]
pub(crate) struct Keys {
    keys: Vec<i64>,
    /// Where each member's keys end; empty: one each.
    ends: Vec<u32>,
}

impl Keys {
    /// Those of a member, by its place among them.
    pub(crate) fn of(&self, member: usize) -> &[i64] {
        if self.ends.is_empty() {
            return &self.keys[member..=member];
        }
        let start = if member == 0 { 0 } else { self.ends[member - 1] as usize };
        &self.keys[start..self.ends[member] as usize]
    }
}

/// Counts the members of a plan by one or two columns. Order is by key.
///
/// # Errors
/// [`Error::TooLarge`] for more groups than an answer may hold, the budget's, or damage of the store.
pub fn group(ctx: &Context<'_>, plan: &Node, axes: &[Axis]) -> Result<Vec<Group>> {
    let dense: Option<Vec<usize>> = axes.iter().map(|axis| axis.dense(ctx)).collect();
    let dense = dense.filter(|sizes| sizes.iter().product::<usize>() <= DENSE_CELLS_MAX);
    let mut groups = match (axes, dense) {
        ([axis], Some(_)) => group_one(ctx, plan, *axis)?,
        (_, Some(sizes)) => group_dense(ctx, plan, axes, &sizes)?,
        (_, None) => group_sparse(ctx, plan, axes)?,
    };
    check_size(ctx, groups.len())?;
    groups.sort_unstable();
    Ok(groups)
}

/// By one tag of numbered values: its tally, and who is left.
fn group_one(ctx: &Context<'_>, plan: &Node, axis: Axis) -> Result<Vec<Group>> {
    let tally = tally(ctx, plan, axis.tag)?;
    let unknown = tally.members - tally.known;
    let known = (0i64..).zip(tally.counts).map(|(key, n)| (vec![key], n));
    Ok(known.chain([(vec![UNKNOWN], unknown)]).filter(|(_, n)| *n > 0).collect())
}

/// By two tags of numbered values, in a table.
fn group_dense(ctx: &Context<'_>, plan: &Node, axes: &[Axis], sizes: &[usize]) -> Result<Vec<Group>> {
    let cells = sizes.iter().product::<usize>();
    let width = *sizes.last().unwrap_or(&1);
    let counts = if let [one, two] = axes
        && one.is_single()
        && two.is_single()
    {
        group_pairs(ctx, plan, [*one, *two], cells, width)?
    } else {
        let index = |keys: &[i64]| keys.iter().fold(0, |at, key| at * width + dense_key(*key));
        fold(ctx, plan, axes, || vec![0u64; cells], |counts, keys| counts[index(keys)] += 1, add_tables)?
    };
    let taken = counts.into_iter().enumerate().filter(|(_, n)| *n > 0);
    Ok(taken.map(|(at, n)| (vec![sparse_key(at / width), sparse_key(at % width)], n)).collect())
}

/// By two tags of which everyone has at most one value each: codes side by side.
fn group_pairs(ctx: &Context<'_>, plan: &Node, axes: [Axis; 2], cells: usize, width: usize) -> Result<Vec<u64>> {
    ctx.fold_shares(
        || vec![0u64; cells],
        |counts, share| {
            let run = Stripe::open(ctx.view, plan, share)?;
            if run.is_empty() {
                return Ok(());
            }
            let [one, two] = axes.map(|axis| ctx.view.tag(axis.tag).stripe(share.stripe));
            let (mut ones, mut twos, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
            for chunk in share.chunks.clone() {
                let Some(set) = run.chunk(chunk, &mut scratch) else { continue };
                codes_of_chunk(one, chunk, &set, &mut ones)?;
                codes_of_chunk(two, chunk, &set, &mut twos)?;
                ones.iter().zip(&twos).for_each(|(a, b)| counts[*a as usize * width + *b as usize] += 1);
                scratch.recycle(set);
            }
            Ok(())
        },
        add_tables,
    )
}

/// A code for each member of a chunk: 0 is unknown, 1 the first value; of a flag 1 is false and 2 true.
fn codes_of_chunk(part: &FieldStripe, chunk: usize, set: &ChunkSet, codes: &mut Vec<u32>) -> Result<()> {
    codes.clear();
    if part.has_column() {
        each_page(&part.column()?, chunk, set.get(), |page, members| {
            for_each_code(page, members, |code| codes.push(code as u32));
        });
        return Ok(());
    }
    let bitmaps = part.bitmaps()?;
    let (no, yes) = (bitmaps.value(FALSE).containers[chunk], bitmaps.value(TRUE).containers[chunk]);
    set.for_each(|low| codes.push(if yes.contains(low) { 2 } else { u32::from(no.contains(low)) }));
    Ok(())
}

fn group_sparse(ctx: &Context<'_>, plan: &Node, axes: &[Axis]) -> Result<Vec<Group>> {
    let max = ctx.limits.answer_cells_max;
    let counts = fold(
        ctx,
        plan,
        axes,
        HashMap::<[i64; 2], u64>::new,
        |counts, keys| {
            let key = [keys[0], keys.get(1).copied().unwrap_or(UNKNOWN)];
            // Beyond the limit the answer is refused below; do not let the map grow on.
            if counts.len() as u64 <= max || counts.contains_key(&key) {
                *counts.entry(key).or_insert(0) += 1;
            }
        },
        |mut a, b| {
            b.into_iter().for_each(|(key, n)| *a.entry(key).or_insert(0) += n);
            a
        },
    )?;
    Ok(counts.into_iter().map(|(key, n)| (key[..axes.len()].to_vec(), n)).collect())
}

fn check_size(ctx: &Context<'_>, groups: usize) -> Result<()> {
    let max = ctx.limits.answer_cells_max;
    if groups as u64 > max {
        return Err(Error::TooLarge { what: "groups", asked: groups as u64, max });
    }
    Ok(())
}

fn dense_key(key: i64) -> usize {
    if key == UNKNOWN { 0 } else { key as usize + 1 }
}

fn sparse_key(at: usize) -> i64 {
    if at == 0 { UNKNOWN } else { at as i64 - 1 }
}

fn add_tables(mut a: Vec<u64>, b: Vec<u64>) -> Vec<u64> {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

fn fold<T: Send>(
    ctx: &Context<'_>,
    plan: &Node,
    axes: &[Axis],
    start: impl Fn() -> T + Sync + Send,
    count: impl Fn(&mut T, &[i64]) + Sync + Send,
    merge: impl Fn(T, T) -> T + Sync + Send,
) -> Result<T> {
    ctx.fold_shares(
        start,
        |counts, share| {
            let run = Stripe::open(ctx.view, plan, share)?;
            if run.is_empty() {
                return Ok(());
            }
            let mut scratch = Scratch::default();
            for chunk in share.chunks.clone() {
                let Some(set) = run.chunk(chunk, &mut scratch) else { continue };
                let keys = axes.iter().map(|axis| keys_of_chunk(ctx, *axis, share.stripe, chunk, &set));
                let keys = keys.collect::<Result<Vec<_>>>()?;
                for member in 0..set.count() as usize {
                    match &keys[..] {
                        [one] => one.of(member).iter().for_each(|a| count(counts, &[*a])),
                        [one, two, ..] => one
                            .of(member)
                            .iter()
                            .for_each(|a| two.of(member).iter().for_each(|b| count(counts, &[*a, *b]))),
                        [] => {}
                    }
                }
                scratch.recycle(set);
            }
            Ok(())
        },
        merge,
    )
}

/// The keys of some members of a chunk.
pub(crate) fn keys_of_chunk(
    ctx: &Context<'_>,
    axis: Axis,
    stripe: usize,
    chunk: usize,
    set: &ChunkSet,
) -> Result<Keys> {
    let part = ctx.view.tag(axis.tag).stripe(stripe);
    let mut keys = Keys::default();
    match axis.tag_type {
        TagType::Flag => {
            let bitmaps = part.bitmaps()?;
            let (no, yes) = (bitmaps.value(FALSE).containers[chunk], bitmaps.value(TRUE).containers[chunk]);
            set.for_each(|low| {
                keys.keys.push(if yes.contains(low) {
                    1
                } else if no.contains(low) {
                    0
                } else {
                    UNKNOWN
                });
            });
        }
        TagType::Set => {
            let lists = part.lists()?;
            set.for_each(|low| {
                let list = lists.list((chunk as u32) << 16 | u32::from(low));
                if list.is_empty() {
                    keys.keys.push(UNKNOWN);
                }
                list.for_each(|code| keys.keys.push(code.into()));
                keys.ends.push(keys.keys.len() as u32);
            });
        }
        TagType::Category | TagType::Number { .. } | TagType::Date => {
            let column = part.column()?;
            each_page(&column, chunk, set.get(), |page, members| {
                for_each_code(page, members, |code| keys.keys.push(page.value_of(code).unwrap_or(UNKNOWN)));
            });
        }
    }
    Ok(keys)
}
