//! From decided changes to the next view: the touched leaves are copied and changed, all others shared.
//! Knows what a change means for each kind of field; deterministic, so that replaying the log gives the same view.
//!
//! Fields do not touch each other, so a large batch is applied field by field on several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::batch::SetOp;
use crate::bitmaps::BitmapEdit;
use crate::changes::{Changes, FieldChanges, Record};
use crate::column::PageChange;
use crate::error::{Error, Result};
use crate::field::{FALSE, Field, FieldId, FieldStripe, Forward, TRUE};
use crate::ids::{KNOWN, PAGE_PROFILES, ValueId, in_stripe, stripe_of};
use crate::index::hash_key;
use crate::keys::SEPARATOR;
use crate::schema::{IdTypeId, Schema, SchemaJson, TagType};
use crate::view::View;

/// Below so many changes a batch is applied on the calling thread.
const PARALLEL_FROM: usize = 20_000;

/// Applies one record; `view` is the writer's, nobody else sees it yet.
///
/// # Errors
/// [`Error::Corrupt`] from a part below; the view is then not to be used.
pub(crate) fn apply(view: &mut View, record: &Record, seqno: u64) -> Result<()> {
    match record {
        Record::Schema(json) => view.set_schema(schema_from(json)?),
        Record::Changes(changes) => apply_changes(view, changes)?,
        Record::Erase(one_ids) => erase(view, one_ids)?,
        Record::Retire(tags) => {
            for (tag, values) in tags {
                view.field_mut(FieldId::Tag(*tag)).values.retire(values);
            }
        }
    }
    view.data_version = seqno;
    Ok(())
}

/// The stored form of a schema: like the API's, but tags in the order of their ids.
pub(crate) fn schema_to(schema: &Schema) -> String {
    let tags: Vec<_> = schema.tags.iter().map(|t| (&t.name, crate::schema::TagJson::from(t.tag_type))).collect();
    serde_json::json!({"time_zone": schema.time_zone, "id_types": schema.id_types, "tags": tags}).to_string()
}

/// Reads what [`schema_to`] wrote.
pub(crate) fn schema_from(json: &str) -> Result<Schema> {
    #[derive(serde::Deserialize)]
    struct Stored {
        time_zone: String,
        id_types: Vec<String>,
        tags: Vec<(String, crate::schema::TagJson)>,
    }
    let refuse = |reason: String| Error::Refused { code: "bad_schema", reason };
    let stored: Stored = serde_json::from_str(json).map_err(|e| refuse(e.to_string()))?;
    let zone = SchemaJson { time_zone: Some(stored.time_zone), ..SchemaJson::default() };
    let mut schema = Schema::default().extended(&zone, false)?;
    for name in &stored.id_types {
        schema.add_id_type(name)?;
    }
    for (name, tag) in &stored.tags {
        schema.add_tag(name, tag.resolve(name)?)?;
    }
    Ok(schema)
}

fn apply_changes(view: &mut View, changes: &Changes) -> Result<()> {
    for (tag, first, texts) in &changes.values {
        let values = &mut view.field_mut(FieldId::Tag(*tag)).values;
        // The writer has added them already while it decided; at replay they are new.
        let known = values.count();
        for (value, text) in (*first..).zip(texts).filter(|(value, _)| *value >= known) {
            values.add_as(value, text);
        }
    }
    let created: Vec<(u32, bool)> = changes.created.iter().map(|id| (*id, true)).collect();
    apply_live(view, &created)?;
    view.next_one_id = view.next_one_id.max(changes.next_one_id);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for id_type in 0..view.id_types.len() as u32 {
        let mine = |identity: &&(IdTypeId, u32, Box<[u8]>)| identity.0.0 == id_type;
        let keys: Vec<(u32, &[u8])> =
            changes.identities.iter().filter(mine).map(|(_, id, key)| (*id, &**key)).collect();
        if !keys.is_empty() {
            tasks.push((FieldId::IdType(IdTypeId(id_type)), Work::Identities(keys)));
        }
    }
    for (tag, field_changes) in &changes.tags {
        tasks.push((FieldId::Tag(*tag), Work::Changes(field_changes)));
    }
    run_tasks(view, &mut tasks)
}

fn erase(view: &mut View, one_ids: &[u32]) -> Result<()> {
    let mut sorted = one_ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let ids: Vec<FieldId> = view.fields().map(|f| f.id).filter(|id| *id != FieldId::Live).collect();
    let unset: Vec<(u32, Option<i64>)> = sorted.iter().map(|id| (*id, None)).collect();
    let unset = FieldChanges::Codes(unset);
    let emptied = sorted.iter().map(|id| (*id, SetOp::Replace, 0)).collect();
    let emptied = FieldChanges::Sets { changes: emptied, codes: Vec::new() };
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for id in ids {
        let work = match view.field(id).tag_type {
            None => Work::EraseIdentities(&sorted),
            Some(TagType::Set) => Work::Changes(&emptied),
            Some(_) => Work::Changes(&unset),
        };
        tasks.push((id, work));
    }
    run_tasks(view, &mut tasks)?;
    apply_live(view, &sorted.iter().map(|id| (*id, false)).collect::<Vec<_>>())
}

fn apply_live(view: &mut View, changes: &[(u32, bool)]) -> Result<()> {
    let field = view.field_mut(FieldId::Live);
    let mut grown = 0i64;
    for group in changes.chunk_by(|a, b| stripe_of(a.0) == stripe_of(b.0)) {
        let stripe = field.stripe_mut(stripe_of(group[0].0));
        let before = i64::from(stripe.bitmaps()?.cardinality(KNOWN));
        let edits = group.iter().map(|(id, live)| BitmapEdit::new(KNOWN.0, in_stripe(*id), *live)).collect();
        stripe.bitmaps.apply(edits)?;
        grown += i64::from(stripe.bitmaps()?.cardinality(KNOWN)) - before;
    }
    view.profile_count = (i64::from(view.profile_count) + grown) as u32;
    Ok(())
}

enum Work<'a> {
    Identities(Vec<(u32, &'a [u8])>),
    EraseIdentities(&'a [u32]),
    Changes(&'a FieldChanges),
}

type Task<'a> = (FieldId, Work<'a>);

impl Work<'_> {
    fn size(&self) -> usize {
        match self {
            Work::Identities(keys) => keys.len(),
            Work::EraseIdentities(one_ids) => one_ids.len(),
            Work::Changes(FieldChanges::Codes(changes)) => changes.len(),
            Work::Changes(FieldChanges::Sets { changes, codes }) => changes.len() + codes.len(),
        }
    }

    fn run(&self, field: &mut Field) -> Result<()> {
        match self {
            Work::Identities(keys) => add_identities(field, keys),
            Work::EraseIdentities(one_ids) => erase_identities(field, one_ids),
            Work::Changes(FieldChanges::Codes(changes)) => apply_codes(field, changes),
            Work::Changes(FieldChanges::Sets { changes, codes }) => apply_sets(field, changes, codes),
        }
    }
}

/// Runs tasks, those of one field in turn, different fields side by side.
fn run_tasks(view: &mut View, tasks: &mut [Task<'_>]) -> Result<()> {
    tasks.sort_by_key(|(id, _)| *id);
    let groups: Vec<&[Task<'_>]> = tasks.chunk_by(|a, b| a.0 == b.0).collect();
    let size: usize = tasks.iter().map(|(_, work)| work.size()).sum();
    let run_group = |field: &mut Field, group: &[Task<'_>]| group.iter().try_for_each(|(_, work)| work.run(field));
    if size < PARALLEL_FROM || groups.len() < 2 {
        return groups.into_iter().try_for_each(|group| run_group(view.field_mut(group[0].0), group));
    }
    let next = AtomicUsize::new(0);
    let fields: Vec<std::sync::Mutex<Option<Field>>> = groups
        .iter()
        .map(|group| {
            let field = take_field(view, group[0].0);
            std::sync::Mutex::new(Some(field))
        })
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(groups.len());
    let worker = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(group), Some(slot)) = (groups.get(at), fields.get(at)) else { return Ok(()) };
            if let Ok(mut slot) = slot.lock()
                && let Some(field) = slot.as_mut()
            {
                run_group(field, group)?;
            }
        }
    };
    let outcome = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let joined = handles.into_iter().map(|h| h.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        // Every field goes back into the view below, whichever failed.
        joined.fold(Ok(()), Result::and)
    });
    for (group, slot) in groups.iter().zip(fields) {
        if let Ok(Some(field)) = slot.into_inner() {
            *view.field_mut(group[0].0) = field;
        }
    }
    outcome
}

/// Takes a field out of the view so that it is changed without being copied, where nobody else holds it.
fn take_field(view: &mut View, id: FieldId) -> Field {
    let field = view.field_mut(id);
    let empty = Field::empty(field.id, field.tag_type);
    std::mem::replace(field, empty)
}

fn add_identities(field: &mut Field, keys: &[(u32, &[u8])]) -> Result<()> {
    let mut sorted = keys.to_vec();
    sorted.sort_by_key(|(one_id, _)| *one_id);
    for group in sorted.chunk_by(|a, b| page_of(a.0) == page_of(b.0)) {
        let stripe = field.stripe_mut(stripe_of(group[0].0));
        let Forward::Keys(forward) = &mut stripe.forward else { unreachable!("an id type has keys") };
        let view = forward.open()?;
        let mut entries: Vec<(u16, Vec<u8>)> = Vec::with_capacity(group.len());
        for (one_id, key) in group {
            let slot = (one_id % PAGE_PROFILES) as u16;
            if entries.last().is_none_or(|(last, _)| *last != slot) {
                entries.push((slot, view.keys(in_stripe(*one_id)).to_bytes()));
            }
            if let Some((_, entry)) = entries.last_mut() {
                if !entry.is_empty() {
                    entry.push(SEPARATOR);
                }
                entry.extend_from_slice(key);
            }
        }
        let changes: Vec<(u16, &[u8])> = entries.iter().map(|(slot, entry)| (*slot, &entry[..])).collect();
        forward.apply((in_stripe(group[0].0) / PAGE_PROFILES) as usize, &changes)?;
    }
    for group in sorted.chunk_by(|a, b| stripe_of(a.0) == stripe_of(b.0)) {
        let edits = group.iter().map(|(one_id, _)| BitmapEdit::new(KNOWN.0, in_stripe(*one_id), true)).collect();
        field.stripe_mut(stripe_of(group[0].0)).bitmaps.apply(edits)?;
    }
    keys.iter().for_each(|(one_id, key)| field.index.put(hash_key(key), *one_id));
    Ok(())
}

fn erase_identities(field: &mut Field, one_ids: &[u32]) -> Result<()> {
    for group in one_ids.chunk_by(|a, b| page_of(*a) == page_of(*b)) {
        let stripe = field.stripe_mut(stripe_of(group[0]));
        let edits = group.iter().map(|one_id| BitmapEdit::new(KNOWN.0, in_stripe(*one_id), false)).collect();
        stripe.bitmaps.apply(edits)?;
        let changes: Vec<(u16, &[u8])> = group.iter().map(|id| ((id % PAGE_PROFILES) as u16, &[][..])).collect();
        let Forward::Keys(forward) = &mut stripe.forward else { unreachable!("an id type has keys") };
        forward.apply((in_stripe(group[0]) / PAGE_PROFILES) as usize, &changes)?;
    }
    Ok(())
}

fn page_of(one_id: u32) -> u32 {
    one_id / PAGE_PROFILES
}

fn apply_codes(field: &mut Field, changes: &[(u32, Option<i64>)]) -> Result<()> {
    let tag_type = field.tag_type;
    for group in changes.chunk_by(|a, b| stripe_of(a.0) == stripe_of(b.0)) {
        let stripe = field.stripe_mut(stripe_of(group[0].0));
        let edits = match tag_type {
            Some(TagType::Flag) => flag_edits(stripe, group)?,
            Some(TagType::Category) => column_edits(stripe, group, true)?,
            _ => column_edits(stripe, group, false)?,
        };
        stripe.bitmaps.apply(edits)?;
    }
    Ok(())
}

fn flag_edits(stripe: &FieldStripe, changes: &[(u32, Option<i64>)]) -> Result<Vec<BitmapEdit>> {
    let view = stripe.bitmaps()?;
    let before = [view.value(FALSE), view.value(TRUE), view.value(KNOWN)];
    let mut edits = Vec::new();
    for (id, new) in last_of_each(changes) {
        let id = in_stripe(id);
        let after = [(FALSE, new == Some(0)), (TRUE, new == Some(1)), (KNOWN, new.is_some())];
        for ((value, is), was) in after.into_iter().zip(&before) {
            if was.contains(id) != is {
                edits.push(BitmapEdit::new(value.0, id, is));
            }
        }
    }
    Ok(edits)
}

/// The last change of each profile, in order.
fn last_of_each(changes: &[(u32, Option<i64>)]) -> impl Iterator<Item = (u32, Option<i64>)> {
    changes.chunk_by(|a, b| a.0 == b.0).map(|group| group[group.len() - 1])
}

fn column_edits(
    stripe: &mut FieldStripe,
    changes: &[(u32, Option<i64>)],
    has_bitmaps: bool,
) -> Result<Vec<BitmapEdit>> {
    let mut edits = Vec::new();
    let mut page_changes: Vec<PageChange> = Vec::new();
    let Forward::Column(column) = &mut stripe.forward else { unreachable!("a category, number or date has a column") };
    for group in changes.chunk_by(|a, b| page_of(a.0) == page_of(b.0)) {
        page_changes.clear();
        let page_at = (in_stripe(group[0].0) / PAGE_PROFILES) as usize;
        let view = column.open()?;
        let page = view.page(page_at);
        for (one_id, new) in last_of_each(group) {
            let (id, slot) = (in_stripe(one_id), (one_id % PAGE_PROFILES) as u16);
            let old = page.value(usize::from(slot));
            if old == new {
                continue;
            }
            page_changes.push((slot, new));
            if old.is_some() != new.is_some() {
                edits.push(BitmapEdit::new(KNOWN.0, id, new.is_some()));
            }
            if has_bitmaps {
                let indexed = |value: Option<i64>| value.map(|v| v as u32).filter(|v| Field::is_indexed(ValueId(*v)));
                edits.extend(indexed(old).map(|value| BitmapEdit::new(value, id, false)));
                edits.extend(indexed(new).map(|value| BitmapEdit::new(value, id, true)));
            }
        }
        if !page_changes.is_empty() {
            column.apply(page_at, &page_changes, has_bitmaps)?;
        }
    }
    Ok(edits)
}

fn apply_sets(field: &mut Field, changes: &[(u32, SetOp, u32)], codes: &[u32]) -> Result<()> {
    let (mut start, mut done) = (0, 0);
    let mut edits: Vec<BitmapEdit> = Vec::new();
    for group in changes.chunk_by(|a, b| page_of(a.0) == page_of(b.0)) {
        let stripe = field.stripe_mut(stripe_of(group[0].0));
        let Forward::Lists(lists) = &mut stripe.forward else { unreachable!("a set has lists") };
        let view = lists.open()?;
        let mut new_lists: Vec<(u16, Vec<u32>)> = Vec::with_capacity(group.len());
        for same in group.chunk_by(|a, b| a.0 == b.0) {
            let id = in_stripe(same[0].0);
            let old = view.list(id).to_vec();
            let mut new = old.clone();
            for (_, op, end) in same {
                apply_op(&mut new, *op, &codes[start..*end as usize]);
                start = *end as usize;
            }
            if new != old {
                push_set_edits(&mut edits, id, &old, &new);
                new_lists.push(((same[0].0 % PAGE_PROFILES) as u16, new));
            }
        }
        if !new_lists.is_empty() {
            let page = (in_stripe(group[0].0) / PAGE_PROFILES) as usize;
            lists.apply(page, &new_lists.iter().map(|(slot, list)| (*slot, &list[..])).collect::<Vec<_>>())?;
        }
        done += group.len();
        if changes.get(done).is_none_or(|next| stripe_of(next.0) != stripe_of(group[0].0)) {
            stripe.bitmaps.apply(std::mem::take(&mut edits))?;
        }
    }
    Ok(())
}

fn apply_op(list: &mut Vec<u32>, op: SetOp, codes: &[u32]) {
    match op {
        SetOp::Replace => *list = codes.to_vec(),
        SetOp::Remove => list.retain(|code| codes.binary_search(code).is_err()),
        SetOp::Add => {
            list.extend_from_slice(codes);
            list.sort_unstable();
            list.dedup();
        }
    }
}

fn push_set_edits(edits: &mut Vec<BitmapEdit>, id: u32, old: &[u32], new: &[u32]) {
    let indexed = |code: &&u32| Field::is_indexed(ValueId(**code));
    let gone = old.iter().filter(|code| new.binary_search(code).is_err());
    edits.extend(gone.filter(indexed).map(|code| BitmapEdit::new(*code, id, false)));
    let come = new.iter().filter(|code| old.binary_search(code).is_err());
    edits.extend(come.filter(indexed).map(|code| BitmapEdit::new(*code, id, true)));
    if old.is_empty() != new.is_empty() {
        edits.push(BitmapEdit::new(KNOWN.0, id, !new.is_empty()));
    }
}

/// Shares of a view that a store snapshot has written meanwhile: what is still the same is swapped for its mapped form.
pub(crate) struct Installed {
    pub(crate) field: FieldId,
    pub(crate) stripe: usize,
    pub(crate) old: Arc<FieldStripe>,
    pub(crate) new: Arc<FieldStripe>,
}

/// Swaps in mapped leaves where nothing has changed since they were written.
pub(crate) fn install(view: &mut View, installed: &[Installed]) {
    for leaf in installed {
        let field = view.field_mut(leaf.field);
        if let Some(current) = field.stripes.get_mut(leaf.stripe).filter(|s| Arc::ptr_eq(s, &leaf.old)) {
            *current = leaf.new.clone();
        }
    }
}
