//! From decided changes to the next view: the touched leaves are copied and changed, all others shared.
//! Knows what a change means for each kind of field; deterministic, so that replaying the log gives the same view.
//!
//! Fields do not touch each other, so a large batch is applied field by field on several threads.

use std::borrow::Cow;
use std::sync::Arc;

use crate::batch::SetOp;
use crate::bitmaps::BitmapEdit;
use crate::changes::{Changes, Dictionary, EventChanges, FieldChanges, Identities, Join, Record, RowKey};
use crate::column::{PageChange, UNKNOWN_VALUE};
use crate::error::{Error, Result};
use crate::events::{EventField, EventStripe};
use crate::field::{FALSE, Field, FieldId, FieldStripe, Forward, TRUE};
use crate::frozen::Frozen;
use crate::ids::{KNOWN, PAGE_PROFILES, ValueId, in_stripe, stripe_of};
use crate::index::hash_key;
use crate::keys::SEPARATOR;
use crate::parallel;
use crate::schema::{Event, EventJson, IdTypeId, Schema, SchemaJson, Tag, TagJson, TagType};
use crate::segment::{Rows, Segment};
use crate::view::View;

/// Below so many changes a batch is applied on the calling thread.
const PARALLEL_FROM: usize = 20_000;
/// Runs of events of like size beside each other, for whoever asks meanwhile.
const RUNS_BESIDE: usize = 1;

/// Applies one record, a large one on several threads; `view` is the writer's, nobody else sees it yet.
///
/// # Errors
/// [`Error::Corrupt`] from a part below; the view is then not to be used.
pub(crate) fn apply(view: &mut View, record: &Record, seqno: u64, threads: usize) -> Result<()> {
    match record {
        Record::Schema(json) => view.set_schema(schema_from(json)?),
        Record::Changes(changes) => apply_changes(view, changes, threads)?,
        Record::Erase(one_ids) => erase(view, one_ids, threads)?,
        Record::Audience { name, definition } => {
            view.set_audience(name, definition.as_deref());
            view.catalogue = seqno;
        }
        Record::Frozen { audience, date, frozen } => {
            let frozen = frozen.as_ref().map(|(info, bytes)| Frozen::owned(*info, bytes.clone()));
            view.set_frozen(audience, *date, frozen);
            view.catalogue = seqno;
        }
        Record::Retire(tags) => {
            for (owner, values) in tags {
                match owner {
                    Dictionary::Tag(tag) => view.field_mut(FieldId::Tag(*tag)).values.retire(values),
                    Dictionary::Property(event, property) => {
                        let field = view.events.get_mut(event.0 as usize).map(Arc::make_mut);
                        let known = field.and_then(|field| field.values.get_mut(property.0 as usize));
                        known.into_iter().for_each(|known| known.retire(values));
                    }
                }
            }
        }
    }
    view.data_version = seqno;
    Ok(())
}

/// The stored form of a schema: like the API's, but tags in the order of their ids.
pub(crate) fn schema_to(schema: &Schema) -> String {
    let types = |tags: &[Tag]| tags.iter().map(|t| (t.name.clone(), TagJson::from(t.tag_type))).collect::<Vec<_>>();
    let event = |event: &Event| StoredEvent {
        name: event.name.clone(),
        properties: types(&event.properties),
        retain_days: event.retain_days,
        kept_from: event.kept_from,
    };
    let stored = StoredSchema {
        time_zone: schema.time_zone.clone(),
        id_types: schema.id_types.clone(),
        tags: types(&schema.tags),
        events: schema.events.iter().map(event).collect(),
    };
    serde_json::to_string(&stored).unwrap_or_default()
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredSchema {
    time_zone: String,
    id_types: Vec<String>,
    tags: Vec<(String, TagJson)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<StoredEvent>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredEvent {
    name: String,
    properties: Vec<(String, TagJson)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retain_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_from: Option<i32>,
}

/// Reads what [`schema_to`] wrote.
pub(crate) fn schema_from(json: &str) -> Result<Schema> {
    let refuse = |reason: String| Error::Refused { code: "bad_schema", reason };
    let stored: StoredSchema = serde_json::from_str(json).map_err(|e| refuse(e.to_string()))?;
    let zone = SchemaJson { time_zone: Some(stored.time_zone), ..SchemaJson::default() };
    let mut schema = Schema::default().extended(&zone, false)?;
    for name in &stored.id_types {
        schema.add_id_type(name)?;
    }
    for (name, tag) in &stored.tags {
        schema.add_tag(name, tag.resolve(name)?)?;
    }
    for stored in &stored.events {
        let retain_days = stored.retain_days.map(u64::from);
        let id = schema.add_event(&stored.name, &EventJson { retain_days, ..EventJson::default() })?;
        let event = &mut schema.events[id.0 as usize];
        for (name, property) in &stored.properties {
            event.add_property(name, property.resolve(name)?)?;
        }
        event.kept_from = stored.kept_from;
    }
    Ok(schema)
}

fn apply_changes(view: &mut View, changes: &Changes, threads: usize) -> Result<()> {
    for (tag, first, texts) in &changes.values {
        let values = &mut view.field_mut(FieldId::Tag(*tag)).values;
        // The writer has added them already while it decided; at replay they are new.
        let known = values.count();
        for (value, text) in (*first..).zip(texts).filter(|(value, _)| *value >= known) {
            values.add_as(value, text);
        }
    }
    let tags = changes.tags.iter().map(|(tag, changes)| (FieldId::Tag(*tag), Work::Changes(changes)));
    apply_people(view, changes, tags.collect(), threads)?;
    changes.events.iter().try_for_each(|(event, changes)| {
        let field = view.events.get_mut(event.0 as usize);
        field.map_or(Ok(()), |field| apply_events(Arc::make_mut(field), changes, RUNS_BESIDE, threads))
    })
}

/// New events of one kind: a fresh run in each stripe that they touch, `beside` others of like size.
///
/// # Errors
/// [`Error::Corrupt`] from a part below.
pub(crate) fn apply_events(
    field: &mut EventField,
    changes: &EventChanges,
    beside: usize,
    threads: usize,
) -> Result<()> {
    for (property, first, texts) in &changes.values {
        if let Some(values) = field.values.get_mut(property.0 as usize) {
            let known = values.count();
            (*first..)
                .zip(texts)
                .filter(|(value, _)| *value >= known)
                .for_each(|(value, text)| values.add_as(value, text));
        }
    }
    let new_keys = changes.keys.iter().zip(&changes.one_ids).filter_map(|(key, one_id)| match key {
        RowKey::New(key) => Some((key.hash, *one_id)),
        _ => None,
    });
    field.keys.put_all(&new_keys.collect::<Vec<_>>());
    if let Some(last) = changes.one_ids.last() {
        field.stripe_mut(stripe_of(*last));
    }
    let properties = field.values.len();
    let mut groups: Vec<(&mut Arc<EventStripe>, std::ops::Range<usize>)> = Vec::new();
    let mut start = 0;
    for (stripe, number) in field.stripes.iter_mut().zip(0..) {
        let end = start + changes.one_ids[start..].partition_point(|one_id| stripe_of(*one_id) <= number);
        if start < end {
            groups.push((stripe, start..end));
        }
        start = end;
    }
    let threads = if changes.one_ids.len() < PARALLEL_FROM { 1 } else { threads };
    parallel::for_each(groups.into_iter(), threads, |(stripe, rows)| {
        let count = rows.len() as u32;
        Arc::make_mut(stripe).push(Segment::of_rows(&rows_of(changes, rows, properties)), count, beside)
    })
}

fn rows_of(changes: &EventChanges, rows: std::ops::Range<usize>, properties: usize) -> Rows {
    let fingerprint = |key: &RowKey| key.fingerprint().unwrap_or(UNKNOWN_VALUE);
    let mut out = Rows {
        owners: changes.one_ids[rows.clone()].iter().map(|one_id| in_stripe(*one_id).into()).collect(),
        at: changes.at[rows.clone()].to_vec(),
        day: changes.days[rows.clone()].iter().map(|day| (*day).into()).collect(),
        keys: changes.keys.get(rows.clone()).unwrap_or_default().iter().map(fingerprint).collect(),
        properties: vec![Vec::new(); properties],
    };
    for (property, values) in &changes.properties {
        if let Some(column) = out.properties.get_mut(property.0 as usize) {
            *column = values[rows.clone()].to_vec();
        }
    }
    out
}

/// New people and their identities, and who is joined: what the next batch of a bulk load needs to know. Changes of `tags`
/// are made beside them.
///
/// # Errors
/// [`Error::Corrupt`] from a part below.
pub(crate) fn apply_people(view: &mut View, changes: &Changes, tags: Vec<Task<'_>>, threads: usize) -> Result<()> {
    let created: Vec<(u32, bool)> = changes.created.iter().map(|id| (*id, true)).collect();
    apply_live(view, &created)?;
    view.next_one_id = view.next_one_id.max(changes.next_one_id);
    let retired = sorted(changes.joins.iter().map(|join| join.retired));
    // Before the identities: what the retired had is among those of the survivors.
    let mut tasks: Vec<Task<'_>> = Vec::new();
    if !retired.is_empty() {
        tasks.extend(view.id_types.iter().map(|field| (field.id, Work::EraseIdentities(&retired))));
    }
    tasks.extend(identity_tasks(view, &changes.identities));
    tasks.extend(tags);
    run_tasks(view, tasks, threads)?;
    mark_rows_dead(view, &retired)?;
    apply_live(view, &retired.iter().map(|one_id| (*one_id, false)).collect::<Vec<_>>())?;
    changes.joins.iter().for_each(|Join { retired, survivor }| view.joins.put(*retired, *survivor));
    Ok(())
}

/// The changes of one tag.
///
/// # Errors
/// [`Error::Corrupt`] from a part below.
pub(crate) fn apply_tag(field: &mut Field, changes: &FieldChanges) -> Result<()> {
    Work::Changes(changes).run(field)
}

fn identity_tasks<'a>(view: &View, identities: &'a Identities) -> Vec<Task<'a>> {
    let mut by_type: Vec<Vec<(u32, &[u8])>> = vec![Vec::new(); view.id_types.len()];
    for (id_type, one_id, key) in identities.iter() {
        if let Some(keys) = by_type.get_mut(id_type.0 as usize) {
            keys.push((one_id, key));
        }
    }
    let tasks = (0u32..).zip(by_type).filter(|(_, keys)| !keys.is_empty());
    tasks.map(|(id_type, keys)| (FieldId::IdType(IdTypeId(id_type)), Work::Identities(keys))).collect()
}

fn erase(view: &mut View, one_ids: &[u32], threads: usize) -> Result<()> {
    let sorted = sorted(one_ids.iter().copied());
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
    run_tasks(view, tasks, threads)?;
    mark_rows_dead(view, &sorted)?;
    view.erasures += u64::from(!sorted.is_empty());
    apply_live(view, &sorted.iter().map(|id| (*id, false)).collect::<Vec<_>>())
}

fn sorted(one_ids: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut sorted: Vec<u32> = one_ids.collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// The rows of those who live no more go with the next store snapshot.
fn mark_rows_dead(view: &mut View, gone: &[u32]) -> Result<()> {
    for field in view.events.iter_mut().filter(|_| !gone.is_empty()) {
        let field = Arc::make_mut(field);
        for one_id in gone {
            let rows = field.stripe(stripe_of(*one_id)).map(|stripe| stripe.row_count_of(in_stripe(*one_id)));
            if rows.unwrap_or(Ok(0))? > 0 {
                field.stripe_mut(stripe_of(*one_id)).mark_dead();
            }
        }
    }
    Ok(())
}

fn apply_live(view: &mut View, changes: &[(u32, bool)]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
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

/// What becomes of a field.
pub(crate) enum Work<'a> {
    Identities(Vec<(u32, &'a [u8])>),
    EraseIdentities(&'a [u32]),
    Changes(&'a FieldChanges),
}

/// A field, and what becomes of it.
pub(crate) type Task<'a> = (FieldId, Work<'a>);

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
fn run_tasks(view: &mut View, mut tasks: Vec<Task<'_>>, threads: usize) -> Result<()> {
    tasks.sort_by_key(|(id, _)| *id);
    let size_of = |group: &[Task<'_>]| group.iter().map(|(_, work)| work.size()).sum::<usize>();
    let mut groups: Vec<(&mut Arc<Field>, &[Task<'_>])> = Vec::new();
    for field in view.id_types.iter_mut().chain(&mut view.tags) {
        let first = tasks.partition_point(|(id, _)| *id < field.id);
        let end = tasks.partition_point(|(id, _)| *id <= field.id);
        if first < end {
            groups.push((field, &tasks[first..end]));
        }
    }
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(size_of(group)));
    let threads = if size_of(&tasks) < PARALLEL_FROM { 1 } else { threads };
    parallel::for_each(groups.into_iter(), threads, |(field, group)| {
        let field = Arc::make_mut(field);
        group.iter().try_for_each(|(_, work)| work.run(field))
    })
}

fn add_identities(field: &mut Field, keys: &[(u32, &[u8])]) -> Result<()> {
    let mut sorted = keys.to_vec();
    sorted.sort_by_key(|(one_id, _)| *one_id);
    for group in sorted.chunk_by(|a, b| page_of(a.0) == page_of(b.0)) {
        let stripe = field.stripe_mut(stripe_of(group[0].0));
        let Forward::Keys(forward) = &mut stripe.forward else { unreachable!("an id type has keys") };
        let view = forward.open()?;
        let mut entries: Vec<(u16, Cow<'_, [u8]>)> = Vec::with_capacity(group.len());
        for same in group.chunk_by(|a, b| a.0 == b.0) {
            let known = view.keys(in_stripe(same[0].0));
            let entry = match same {
                [(_, key)] if known.is_empty() => Cow::Borrowed(*key),
                _ => {
                    let mut entry = known.to_bytes();
                    for (_, key) in same {
                        if !entry.is_empty() {
                            entry.push(SEPARATOR);
                        }
                        entry.extend_from_slice(key);
                    }
                    Cow::Owned(entry)
                }
            };
            entries.push(((same[0].0 % PAGE_PROFILES) as u16, entry));
        }
        let changes: Vec<(u16, &[u8])> = entries.iter().map(|(slot, entry)| (*slot, &entry[..])).collect();
        forward.apply((in_stripe(group[0].0) / PAGE_PROFILES) as usize, &changes)?;
    }
    for group in sorted.chunk_by(|a, b| stripe_of(a.0) == stripe_of(b.0)) {
        let edits = group.iter().map(|(one_id, _)| BitmapEdit::new(KNOWN.0, in_stripe(*one_id), true)).collect();
        field.stripe_mut(stripe_of(group[0].0)).bitmaps.apply(edits)?;
    }
    let entries: Vec<(u32, u32)> = keys.iter().map(|(one_id, key)| (hash_key(key), *one_id)).collect();
    field.index.put_all(&entries);
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
    let (mut old, mut new) = (Vec::new(), Vec::new());
    // New lists of a page, one after the other, and where each ends.
    let (mut lists_of_page, mut ends): (Vec<u32>, Vec<(u16, usize)>) = (Vec::new(), Vec::new());
    for group in changes.chunk_by(|a, b| page_of(a.0) == page_of(b.0)) {
        let stripe = field.stripe_mut(stripe_of(group[0].0));
        let Forward::Lists(lists) = &mut stripe.forward else { unreachable!("a set has lists") };
        let view = lists.open()?;
        lists_of_page.clear();
        ends.clear();
        for same in group.chunk_by(|a, b| a.0 == b.0) {
            let id = in_stripe(same[0].0);
            old.clear();
            view.list(id).for_each(|code| old.push(code));
            new.clone_from(&old);
            for (_, op, end) in same {
                apply_op(&mut new, *op, &codes[start..*end as usize]);
                start = *end as usize;
            }
            if new != old {
                push_set_edits(&mut edits, id, &old, &new);
                lists_of_page.extend_from_slice(&new);
                ends.push(((same[0].0 % PAGE_PROFILES) as u16, lists_of_page.len()));
            }
        }
        if !ends.is_empty() {
            let page = (in_stripe(group[0].0) / PAGE_PROFILES) as usize;
            let starts = std::iter::once(0).chain(ends.iter().map(|(_, end)| *end));
            let new_lists = starts.zip(&ends).map(|(start, (slot, end))| (*slot, &lists_of_page[start..*end]));
            lists.apply(page, &new_lists.collect::<Vec<_>>())?;
        }
        done += group.len();
        if changes.get(done).is_none_or(|next| stripe_of(next.0) != stripe_of(group[0].0)) {
            stripe.bitmaps.apply(std::mem::take(&mut edits))?;
        }
    }
    Ok(())
}

/// What a set comes to; `codes` ascend.
pub(crate) fn apply_op(list: &mut Vec<u32>, op: SetOp, codes: &[u32]) {
    match op {
        SetOp::Replace => {
            list.clear();
            list.extend_from_slice(codes);
        }
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
