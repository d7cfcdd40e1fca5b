//! People as rows: the columns of some members, for lists, exports and portraits.
//! Knows how each kind of column is read for one profile; who is listed is the caller's.

use std::borrow::Cow;

use storage::bitmaps::ValueBitmap;
use storage::column::ColumnView;
use storage::field::{FALSE, TRUE};
use storage::ids::{in_stripe, stripe_of};
use storage::keys::KeysView;
use storage::lists::ListsView;
use storage::values::Values;
use storage::{OneId, TagType, ValueId};

use super::audiences::audiences_of;
use super::bind::Column;
use super::cell::Cell;
use super::context::Context;
use super::error::Result;
use super::exec::{Scratch, Share, Stripe};
use super::happened::{Happened, PORTRAIT_EVENTS, latest_events};
use super::plan::Node;
use super::sample::{Sample, sampled};
use super::totals::{collect, top};

/// How rows are chosen and ordered.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// By OneID unless said: a number or date tag, and whether the highest come first.
    pub order_by: Option<(storage::TagId, bool)>,
    /// Only OneIDs above this one; with an order, only what comes after this profile.
    pub after: Option<u32>,
    /// At most so many.
    pub limit: Option<u64>,
    /// A random choice, the same for the same seed and people.
    pub sample: Option<Sample>,
}

/// A column of one stripe, ready to read profile by profile.
pub enum Reader<'a> {
    /// The OneID.
    OneId,
    /// The first accepted identity of a type.
    Identity(KeysView<'a>),
    /// A flag: known false, true.
    Flag(Box<[ValueBitmap<'a>; 2]>),
    /// A category.
    Category(ColumnView<'a>, &'a Values),
    /// A set.
    Set(ListsView<'a>, &'a Values),
    /// A number of a scale.
    Number(ColumnView<'a>, u8),
    /// A date.
    Date(ColumnView<'a>),
}

impl<'a> Reader<'a> {
    /// Opens a column in one stripe.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn open(ctx: &Context<'a>, column: Column, stripe: usize) -> Result<Reader<'a>> {
        let tag = match column {
            Column::OneId => return Ok(Reader::OneId),
            Column::Identity(id_type) => return Ok(Reader::Identity(ctx.view.id_type(id_type).stripe(stripe).keys()?)),
            Column::Tag(tag, _) => ctx.view.tag(tag),
        };
        let part = tag.stripe(stripe);
        Ok(match column {
            Column::Tag(_, TagType::Flag) => {
                let bitmaps = part.bitmaps()?;
                Reader::Flag(Box::new([bitmaps.value(FALSE), bitmaps.value(TRUE)]))
            }
            Column::Tag(_, TagType::Category) => Reader::Category(part.column()?, tag.values()),
            Column::Tag(_, TagType::Set) => Reader::Set(part.lists()?, tag.values()),
            Column::Tag(_, TagType::Number { scale }) => Reader::Number(part.column()?, scale),
            _ => Reader::Date(part.column()?),
        })
    }

    /// The value of a profile of the stripe.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn cell(&self, one_id: u32) -> Result<Cell<'a>> {
        let id = in_stripe(one_id);
        Ok(match self {
            Reader::OneId => Cell::Int(one_id.into()),
            Reader::Identity(keys) => {
                let mut key = Vec::new();
                keys.keys(id).push_first(&mut key);
                if key.is_empty() { Cell::Null } else { Cell::Text(Cow::Owned(lossy(key))) }
            }
            Reader::Flag(known) if known[1].contains(id) => Cell::Bool(true),
            Reader::Flag(known) if known[0].contains(id) => Cell::Bool(false),
            Reader::Flag(_) => Cell::Null,
            Reader::Category(column, values) => match column.value(id) {
                Some(value) => Cell::Text(Cow::Borrowed(values.text(ValueId(value as u32))?)),
                None => Cell::Null,
            },
            Reader::Set(lists, values) => {
                let codes = lists.list(id).to_vec();
                if codes.is_empty() {
                    return Ok(Cell::Null);
                }
                let texts = codes.into_iter().map(|code| Ok(Cow::Borrowed(values.text(ValueId(code))?)));
                let mut texts = texts.collect::<Result<Vec<_>>>()?;
                texts.sort_unstable();
                Cell::List(texts)
            }
            Reader::Number(column, scale) => column.value(id).map_or(Cell::Null, |v| Cell::Decimal(v.into(), *scale)),
            Reader::Date(column) => column.value(id).map_or(Cell::Null, Cell::Date),
        })
    }
}

fn lossy(key: Vec<u8>) -> String {
    String::from_utf8(key).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Calls `each` with the OneID and the cells of every listed member, in the listing's order.
///
/// # Errors
/// What `each` gives, the budget's, or damage of the store.
pub fn list<'a>(
    ctx: &Context<'a>,
    plan: &Node,
    columns: &[Column],
    listing: &Listing,
    mut each: impl FnMut(u32, &[Cell<'a>]) -> Result<()>,
) -> Result<()> {
    let mut cells = Vec::with_capacity(columns.len());
    if listing.order_by.is_none() && listing.sample.is_none() {
        return list_by_one_id(ctx, plan, columns, listing, &mut each);
    }
    let ids = chosen(ctx, plan, listing)?;
    let mut readers: Vec<Reader<'a>> = Vec::new();
    let mut open_stripe = usize::MAX;
    for (at, one_id) in ids.into_iter().enumerate() {
        if at % 4096 == 0 {
            ctx.budget.check()?;
        }
        if stripe_of(one_id) != open_stripe {
            open_stripe = stripe_of(one_id);
            readers = columns.iter().map(|c| Reader::open(ctx, *c, open_stripe)).collect::<Result<_>>()?;
        }
        cells.clear();
        for reader in &readers {
            cells.push(reader.cell(one_id)?);
        }
        each(one_id, &cells)?;
    }
    Ok(())
}

fn list_by_one_id<'a>(
    ctx: &Context<'a>,
    plan: &Node,
    columns: &[Column],
    listing: &Listing,
    each: &mut dyn FnMut(u32, &[Cell<'a>]) -> Result<()>,
) -> Result<()> {
    let Some(first) = listing.after.map_or(Some(0), |after| after.checked_add(1)) else { return Ok(()) };
    let mut left = listing.limit.unwrap_or(u64::MAX);
    let mut scratch = Scratch::default();
    let mut cells = Vec::with_capacity(columns.len());
    let mut ids: Vec<u32> = Vec::new();
    for stripe in stripe_of(first)..ctx.view.stripe_count() {
        let share = Share::whole(stripe);
        let run = Stripe::open(ctx.view, plan, &share)?;
        if run.is_empty() {
            continue;
        }
        let readers = columns.iter().map(|c| Reader::open(ctx, *c, stripe)).collect::<Result<Vec<_>>>()?;
        for chunk in share.chunks.clone() {
            let chunk_first = share.first_one_id(chunk);
            if left == 0 {
                return Ok(());
            }
            if chunk_first | 0xFFFF < first {
                continue;
            }
            ctx.budget.check()?;
            let Some(set) = run.chunk(chunk, &mut scratch) else { continue };
            ids.clear();
            set.push_one_ids(chunk_first, &mut scratch, &mut ids);
            scratch.recycle(set);
            ids.retain(|id| *id >= first);
            ids.truncate(left.min(usize::MAX as u64) as usize);
            left -= ids.len() as u64;
            if matches!(readers[..], [Reader::OneId]) {
                ids.iter().try_for_each(|one_id| each(*one_id, &[Cell::Int((*one_id).into())]))?;
                continue;
            }
            for one_id in &ids {
                cells.clear();
                for reader in &readers {
                    cells.push(reader.cell(*one_id)?);
                }
                each(*one_id, &cells)?;
            }
        }
    }
    Ok(())
}

/// OneIDs of an ordered or sampled listing, in its order.
fn chosen(ctx: &Context<'_>, plan: &Node, listing: &Listing) -> Result<Vec<u32>> {
    let mut ids = match (&listing.sample, listing.order_by, listing.after, listing.limit) {
        (Some(sample), ..) => sampled(ctx, plan, sample)?,
        (None, Some((tag, descending)), None, Some(n)) => {
            collect(ctx, &Node::ids(top(ctx, plan, tag, descending, n)?), 0, u64::MAX)?
        }
        _ => collect(ctx, plan, 0, u64::MAX)?,
    };
    if let Some((tag, descending)) = listing.order_by {
        sort_by_tag(ctx, tag, descending, &mut ids)?;
        if let Some(after) = listing.after {
            let at = ids.iter().position(|id| *id == after).map_or(0, |at| at + 1);
            ids.drain(..at);
        }
    } else if let Some(after) = listing.after {
        ids.retain(|id| *id > after);
    }
    ids.truncate(listing.limit.unwrap_or(u64::MAX).min(usize::MAX as u64) as usize);
    Ok(ids)
}

fn sort_by_tag(ctx: &Context<'_>, tag: storage::TagId, descending: bool, ids: &mut [u32]) -> Result<()> {
    let mut keyed: Vec<(bool, i64, u32)> = Vec::with_capacity(ids.len());
    for group in ids.chunk_by(|a, b| stripe_of(*a) == stripe_of(*b)) {
        let column = ctx.view.tag(tag).stripe(stripe_of(group[0])).column()?;
        for id in group {
            let value = column.value(in_stripe(*id));
            let key = value.map_or(0, |v| if descending { -v } else { v });
            keyed.push((value.is_none(), key, *id));
        }
    }
    keyed.sort_unstable();
    ids.iter_mut().zip(keyed).for_each(|(slot, (_, _, id))| *slot = id);
    Ok(())
}

/// Everything known of one person.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// The OneID.
    pub one_id: u32,
    /// All identities, by id type, in order of acceptance.
    pub identities: Vec<(String, Vec<String>)>,
    /// Known tags.
    pub tags: Vec<(String, Cell<'static>)>,
    /// The latest events, newest first.
    pub events: Vec<Happened>,
    /// Saved audiences that the person is in.
    pub audiences: Vec<String>,
}

/// The portrait of a live profile.
///
/// # Errors
/// Damage of the store.
pub fn portrait(ctx: &Context<'_>, one_id: OneId) -> Result<Portrait> {
    let schema = ctx.view.schema();
    let mut portrait = Portrait {
        one_id: one_id.0,
        identities: Vec::new(),
        tags: Vec::new(),
        events: latest_events(ctx, one_id, PORTRAIT_EVENTS)?,
        audiences: audiences_of(ctx, one_id)?,
    };
    for (at, name) in schema.id_types.iter().enumerate() {
        let keys = ctx.view.keys_of(storage::IdTypeId(at as u32), one_id)?.to_texts();
        if !keys.is_empty() {
            portrait.identities.push((name.clone(), keys));
        }
    }
    for (at, tag) in schema.tags.iter().enumerate() {
        let column = Column::Tag(storage::TagId(at as u32), tag.tag_type);
        let cell = Reader::open(ctx, column, stripe_of(one_id.0))?.cell(one_id.0)?;
        if cell != Cell::Null {
            portrait.tags.push((tag.name.clone(), cell.into_owned()));
        }
    }
    Ok(portrait)
}
