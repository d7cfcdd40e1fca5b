//! Flows: how an audience has moved over the values of a tag between two states.
//! Knows two views side by side and the labels of their values; which views they are is the caller's matter.
//!
//! ```text
//!   stripe by stripe, chunk by chunk:   members ──► codes then, codes now (side by side) ──► table[then × now] += 1
//! ```
//! Codes are of one view only: a text that went and came back has another number. So rows and columns meet by label.

mod labels;

use std::collections::HashMap;

use queryparser::ast::Literal;
use serde::Serialize;
use storage::container::ContainerRef;
use storage::field::{FALSE, TRUE};
use storage::ids::{CHUNK_WORDS, KNOWN};
use storage::{TagType, View};

use super::bind::request_fault;
use super::bins::Edges;
use super::cell::Cell;
use super::context::Context;
use super::distribution::{Bins, Unit, quantile_edges};
use super::error::{Error, Result};
use super::exec::{ChunkSet, Scratch, Share, Stripe};
use super::gather::{PageMembers, each_page, for_each_code};
use super::groups::Axis;
use super::plan::Node;
use super::ranks::values_of_ranks;
use super::totals::{id_set, totals};
use labels::Labels;

/// Most cells that are counted in a table rather than a map.
const DENSE_CELLS_MAX: usize = 1 << 20;
/// Code of unknown, on each side.
const UNKNOWN: u32 = 0;

/// What a row or column stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value, or a bin.
    Value,
    /// Unknown then; the label is null.
    Unknown,
    /// Known, and in none of the bins that were given; the label is null.
    Other,
    /// Not there yet then; the label is null.
    Absent,
}

/// Members by what they were and what they became.
#[derive(Debug, Clone, Serialize)]
pub struct Flow {
    /// The state that the rows are of; none for the question's own.
    pub from: Option<String>,
    /// The state that the columns are of, likewise.
    pub to: Option<String>,
    /// Row labels: values first, then unknown, other and absent.
    pub rows: Vec<Cell<'static>>,
    /// What each row stands for.
    pub row_kinds: Vec<Kind>,
    /// Column labels: the same values in the same order.
    pub columns: Vec<Cell<'static>>,
    /// What each column stands for.
    pub column_kinds: Vec<Kind>,
    /// Rows of counts.
    pub counts: Vec<Vec<u64>>,
    /// Members of each row.
    pub row_totals: Vec<u64>,
    /// Members of each column.
    pub column_totals: Vec<u64>,
    /// A predicate for each row, and …
    pub row_where: Vec<String>,
    /// … for each column: one of each and the question's own, joined by AND, are the members of a cell.
    pub column_where: Vec<String>,
}

/// One of the two states.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Everyone as they were.
    pub view: &'a View,
    /// How `was` names it; nothing for the question's own view.
    pub name: Option<&'a Literal>,
}

/// What is asked of a flow.
pub struct Request<'a> {
    /// The tag.
    pub axis: Axis,
    /// Its name.
    pub tag: &'a str,
    /// For numbers and dates.
    pub bins: Option<&'a Bins>,
}

/// How the members of a plan, who live in the question's view, have moved between two states.
///
/// # Errors
/// Faults of the request; [`Error::TooLarge`], the budget's, or damage of the store.
pub fn flow(ctx: &Context<'_>, plan: &Node, sides: [Side<'_>; 2], request: &Request<'_>) -> Result<Flow> {
    let edges = match request.axis.tag_type {
        TagType::Set => {
            let message = format!("`{}` is a set: people are in several of its values at once", request.tag);
            return Err(request_fault("wrong_type", "/tag", message, None));
        }
        TagType::Flag | TagType::Category => {
            if request.bins.is_some() {
                let message = format!("`{}` has values, not bins", request.tag);
                return Err(request_fault("wrong_type", "/bins", message, None));
            }
            None
        }
        TagType::Number { .. } | TagType::Date => Some(bin_edges(ctx, plan, sides, request)?),
    };
    let bins = edges.as_deref().map(Edges::new);
    let readers = sides.map(|side| SideReader {
        view: side.view,
        axis: request.axis,
        bins: bins.as_ref(),
        absent: match (request.axis.tag_type, &bins) {
            (_, Some(bins)) => bins.count_of_bins() as u32 + 2,
            (TagType::Flag, _) => 3,
            _ => side.view.tag(request.axis.tag).values().count() + 1,
        },
    });
    let cells = count(ctx, plan, &readers)?;
    Labels { sides, request, edges: edges.as_deref(), absent: readers.map(|reader| reader.absent) }
        .flow(ctx.limits.answer_cells_max, &cells)
}

/// Edges of bins that hold what the members had in either state.
fn bin_edges(ctx: &Context<'_>, plan: &Node, sides: [Side<'_>; 2], request: &Request<'_>) -> Result<Vec<i64>> {
    let unit = Unit { tag_type: request.axis.tag_type };
    if let Some(Bins::Edges(edges)) = request.bins {
        return unit.given_edges(edges);
    }
    let (mut bounds, mut last) = (None::<(i64, i64)>, None);
    for side in sides {
        // Everyone who lived then and lives in the question's view.
        let members = match plan {
            Node::Everyone => Node::Everyone,
            plan => Node::ids(id_set(ctx, plan)?.among_live(side.view)?),
        };
        let ctx_then = Context { view: side.view, ..*ctx };
        let sums = totals(&ctx_then, &members, request.axis.tag)?;
        if let Some((low, high)) = sums.bounds {
            bounds = Some(bounds.map_or((low, high), |(l, h)| (l.min(low), h.max(high))));
            last = Some((ctx_then, members, sums.known));
        }
    }
    let (Some(bounds), Some((last_ctx, members, known))) = (bounds, last) else { return Ok(Vec::new()) };
    match request.bins {
        None | Some(Bins::Edges(_)) => Ok(unit.chosen_edges(bounds)),
        Some(Bins::Width(width)) => unit.width_edges(width, bounds),
        Some(Bins::Quantiles(n)) => quantile_edges(*n, known, bounds, |ranks| {
            values_of_ranks(&last_ctx, &members, request.axis.tag, known, ranks)
        }),
    }
}

/// One state, read as codes: 0 is unknown, then the values or bins, for bins one more for other; at the end absent.
struct SideReader<'a> {
    view: &'a View,
    axis: Axis,
    bins: Option<&'a Edges>,
    absent: u32,
}

impl SideReader<'_> {
    fn size(&self) -> usize {
        self.absent as usize + 1
    }

    /// A code for each member of a chunk.
    fn read(&self, stripe: usize, chunk: usize, set: &ChunkSet, codes: &mut Vec<u32>) -> Result<()> {
        codes.clear();
        let part = self.view.tag(self.axis.tag).stripe(stripe);
        match (self.axis.tag_type, self.bins) {
            (TagType::Flag, _) => {
                let bitmaps = part.bitmaps()?;
                push_flags([FALSE, TRUE].map(|value| bitmaps.value(value).containers[chunk]), set, codes);
            }
            (_, Some(bins)) => each_page(&part.column()?, chunk, set.get(), |page, members| {
                for_each_code(page, members, |code| {
                    let bin = page.value_of(code).map(|value| bins.bin_of(value));
                    codes.push(match bin {
                        None => UNKNOWN,
                        Some(Some(bin)) => bin as u32 + 1,
                        Some(None) => self.absent - 1,
                    });
                });
            }),
            (_, None) => each_page(&part.column()?, chunk, set.get(), |page, members| push_codes(page, members, codes)),
        }
        let live = self.view.live().stripe(stripe).bitmaps()?.value(KNOWN).containers[chunk];
        if set.get().count_in(live) as usize != codes.len() {
            let mut at = 0;
            set.for_each(|low| {
                if !live.contains(low) {
                    codes[at] = self.absent;
                }
                at += 1;
            });
        }
        Ok(())
    }
}

/// Flags of the members of a chunk: unknown, false, true.
fn push_flags(known: [ContainerRef<'_>; 2], set: &ChunkSet, codes: &mut Vec<u32>) {
    let [mut no, mut yes] = [Box::new([0u64; CHUNK_WORDS]), Box::new([0u64; CHUNK_WORDS])];
    known[0].or_into(&mut no);
    known[1].or_into(&mut yes);
    let code = |at: usize, bit: u32| (no[at] >> bit & 1) as u32 + 2 * (yes[at] >> bit & 1) as u32;
    match set {
        ChunkSet::Ids(ids) => codes.extend(ids.iter().map(|low| code(usize::from(low / 64), u32::from(low % 64)))),
        ChunkSet::Bits(bits) => {
            for (at, word) in bits.iter().enumerate() {
                if *word == u64::MAX {
                    codes.extend((0..64).map(|bit| code(at, bit)));
                    continue;
                }
                let mut left = *word;
                while left != 0 {
                    codes.push(code(at, left.trailing_zeros()));
                    left &= left - 1;
                }
            }
        }
    }
}

/// The codes of a page; of all its people in one go, where they are all members.
fn push_codes(page: &storage::column::Page<'_>, members: PageMembers<'_>, codes: &mut Vec<u32>) {
    use storage::column::Codes;
    let PageMembers::Bits(bits) = members else {
        return for_each_code(page, members, |code| codes.push(code as u32));
    };
    match page.codes {
        _ if bits.iter().any(|word| *word != u64::MAX) => for_each_code(page, members, |code| codes.push(code as u32)),
        Codes::Constant(code) => codes.resize(codes.len() + bits.len() * 64, code as u32),
        Codes::U8(all) => codes.extend(all.iter().map(|code| u32::from(*code))),
        Codes::U16(all) => codes.extend(all.iter().map(|code| u32::from(*code))),
        Codes::U32(all) => codes.extend_from_slice(all),
        Codes::U64(all) => codes.extend(all.iter().map(|code| *code as u32)),
    }
}

/// Members by code then and code now; pairs that nobody has are left out.
type Cells = Vec<((u32, u32), u64)>;

fn count(ctx: &Context<'_>, plan: &Node, sides: &[SideReader<'_>; 2]) -> Result<Cells> {
    let (height, width) = (sides[0].size(), sides[1].size());
    if height.saturating_mul(width) > DENSE_CELLS_MAX {
        return count_sparse(ctx, plan, sides);
    }
    let cells = height * width;
    // Two tables in turn: an increment need not wait for the one before it.
    let start = || [vec![0u64; cells], vec![0u64; cells]];
    let tables = fold(
        ctx,
        plan,
        sides,
        start,
        |[even, odd], then, now| {
            let (pairs, rest) = then.as_chunks::<2>();
            for (then, now) in pairs.iter().zip(now.as_chunks::<2>().0) {
                even[then[0] as usize * width + now[0] as usize] += 1;
                odd[then[1] as usize * width + now[1] as usize] += 1;
            }
            if let ([then], Some(now)) = (rest, now.last()) {
                even[*then as usize * width + *now as usize] += 1;
            }
        },
        |mut a, b| {
            for (a, b) in a.iter_mut().zip(b) {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            }
            a
        },
    )?;
    let [even, odd] = tables;
    let counts = even.into_iter().zip(odd).map(|(a, b)| a + b).enumerate().filter(|(_, n)| *n > 0);
    Ok(counts.map(|(at, n)| (((at / width) as u32, (at % width) as u32), n)).collect())
}

fn count_sparse(ctx: &Context<'_>, plan: &Node, sides: &[SideReader<'_>; 2]) -> Result<Cells> {
    let max = ctx.limits.answer_cells_max;
    let counts = fold(
        ctx,
        plan,
        sides,
        HashMap::<(u32, u32), u64>::new,
        |counts, then, now| {
            for pair in then.iter().copied().zip(now.iter().copied()) {
                // Beyond the limit the answer is refused below; do not let the map grow on.
                if counts.len() as u64 <= max || counts.contains_key(&pair) {
                    *counts.entry(pair).or_insert(0) += 1;
                }
            }
        },
        |mut a, b| {
            b.into_iter().for_each(|(pair, n)| *a.entry(pair).or_insert(0) += n);
            a
        },
    )?;
    if counts.len() as u64 > max {
        return Err(Error::TooLarge { what: "cells", asked: counts.len() as u64, max });
    }
    Ok(counts.into_iter().collect())
}

fn fold<T: Send>(
    ctx: &Context<'_>,
    plan: &Node,
    sides: &[SideReader<'_>; 2],
    start: impl Fn() -> T + Sync,
    add: impl Fn(&mut T, &[u32], &[u32]) + Sync,
    merge: impl Fn(T, T) -> T,
) -> Result<T> {
    let step = |table: &mut T, share: &Share| {
        let run = Stripe::open(ctx.view, plan, share)?;
        if run.is_empty() {
            return Ok(());
        }
        let (mut then, mut now, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
        for chunk in share.chunks.clone() {
            let Some(set) = run.chunk(chunk, &mut scratch) else { continue };
            sides[0].read(share.stripe, chunk, &set, &mut then)?;
            sides[1].read(share.stripe, chunk, &set, &mut now)?;
            add(table, &then, &now);
            scratch.recycle(set);
        }
        Ok(())
    };
    ctx.fold_shares(start, step, merge)
}
