//! Deep verification: every byte of every file of a space, and that the parts agree with each other.
//! Knows what must hold between bitmaps, columns, lists and identities; reads everything once.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::Result;
use crate::events::EventField;
use crate::field::{Field, FieldId};
use crate::ids::{
    CHUNK_PROFILES, CHUNK_WORDS, KNOWN, PAGE_PROFILES, STRIPE_CHUNKS, STRIPE_PAGES, STRIPE_PROFILES, ValueId,
};
use crate::manifest::Manifest;
use crate::owners::OWNED_VALUES_MAX;
use crate::schema::{Event, PropertyId, TagType};
use crate::segment::SegmentView;
use crate::snapshot::{Packs, open_packs};
use crate::store::recover;
use crate::view::View;

/// What a verification has read and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Live profiles.
    pub profiles: u64,
    /// Packs read.
    pub packs: usize,
    /// Bytes of them.
    pub pack_bytes: u64,
    /// Records of the log.
    pub log_records: usize,
    /// Kept store snapshots.
    pub kept: usize,
    /// What is wrong, in words; nothing is well.
    pub problems: Vec<String>,
}

/// Verifies a space that nobody writes to.
///
/// # Errors
/// What keeps it from being opened at all; damage within parts is reported, not returned.
pub fn verify_space(dir: &Path) -> Result<Report> {
    let recovery = recover(dir)?;
    let mut report = Report {
        profiles: recovery.view.profile_count.into(),
        log_records: recovery.log.records.len(),
        ..Report::default()
    };
    let mut packs: Packs = recovery.packs;
    let mut stretches = BTreeSet::new();
    for kept in Manifest::read_kept(dir)? {
        report.kept += usize::from(!kept.is_tail());
        open_packs(dir, &kept, &mut packs)?;
        stretches.extend(kept.stretches);
    }
    for stretch in stretches {
        if let Err(error) = stretch.read(dir) {
            report.problems.push(error.to_string());
        }
    }
    for pack in packs.values() {
        report.packs += 1;
        report.pack_bytes += pack.file_bytes();
        if let Err(error) = pack.verify() {
            report.problems.push(error.to_string());
        }
    }
    for field in recovery.view.fields() {
        for stripe in 0..recovery.view.stripe_count().max(field.stripes.len()) {
            match verify_stripe(&recovery.view, field, stripe) {
                Ok(problems) => report.problems.extend(problems),
                Err(error) => report.problems.push(error.to_string()),
            }
        }
    }
    for field in &recovery.view.events {
        for stripe in 0..field.stripes.len() {
            match verify_rows(&recovery.view, field, stripe) {
                Ok(problems) => report.problems.extend(problems),
                Err(error) => report.problems.push(error.to_string()),
            }
        }
    }
    for ((audience, date), frozen) in recovery.view.frozen.iter() {
        let problem = match frozen.members() {
            Err(error) => Some(error.to_string()),
            Ok(members) => {
                let is_strange = members.max().is_some_and(|id| id >= recovery.view.next_one_id)
                    || members.len() > frozen.info().count;
                is_strange.then(|| "people who cannot have been in it".into())
            }
        };
        report.problems.extend(problem.map(|what| format!("audience `{audience}` frozen on {date}: {what}")));
    }
    Ok(report)
}

/// The laws of the rows of one stripe of one event.
fn verify_rows(view: &View, field: &EventField, stripe: usize) -> Result<Vec<String>> {
    let event = &view.schema.events[field.id.0 as usize];
    let place = || format!("event `{}`, stripe {stripe}", event.name);
    let mut problems = Vec::new();
    let live = view.live.stripe(stripe).bitmaps()?.value(KNOWN);
    for segment in field.stripes[stripe].segments() {
        let rows = segment.open()?;
        let is_gone = |row: &u32| rows.owners().value(*row).is_some_and(|owner| !live.contains(owner as u32));
        if let (false, Some(row)) = (field.stripes[stripe].has_dead(), (0..rows.row_count()).find(is_gone)) {
            problems.push(format!("{}: row {row} is of someone who does not live", place()));
        }
        let (owners, at, days) = (rows.owners(), rows.at(), rows.day());
        let mut before = (-1, i64::MIN);
        for row in 0..rows.row_count() {
            let (Some(owner), Some(at), Some(_)) = (owners.value(row), at.value(row), days.value(row)) else {
                problems.push(format!("{}: row {row} has no owner or no time", place()));
                return Ok(problems);
            };
            if (owner, at) < before || owner >= STRIPE_PROFILES.into() {
                problems.push(format!("{}: row {row} is out of order", place()));
                return Ok(problems);
            }
            before = (owner, at);
        }
        for page in 0..STRIPE_PAGES {
            let within = |row| owners.value(row).is_some_and(|owner| owner / i64::from(PAGE_PROFILES) == page as i64);
            if !rows.rows_of_pages(page, page + 1).all(within) {
                problems.push(format!("{}: rows of page {page} are not its own", place()));
            }
        }
        let owner = |row: u32| owners.value(row);
        let is_first = |row: u32| row == 0 || owner(row) != owner(row - 1);
        if let Some(row) = (0..rows.row_count()).find(|row| rows.is_span_start(*row) != is_first(*row)) {
            problems.push(format!("{}: row {row} is said to be the first of its profile, or not to be", place()));
        }
        if let Some(row) = differing_by_day(&rows, event.properties.len()) {
            problems.push(format!("{}: rows by day differ from those by profile at row {row}", place()));
        }
        if let Some(chunk) = (0..STRIPE_CHUNKS).find(|chunk| !are_owners(&rows, *chunk)) {
            problems.push(format!("{}: owners of chunk {chunk} are not those of its rows", place()));
        }
        if let Some(what) = strange_owners(&rows, event) {
            problems.push(format!("{}: {what}", place()));
        }
        for (property, number) in event.properties.iter().zip(0..) {
            let (id, count) = (PropertyId(number), field.values[number as usize].count());
            let column = rows.property(id);
            let strange =
                (0..rows.row_count()).find(|row| column.value(*row).is_some_and(|v| v >= count.into() || v < 0));
            if let (TagType::Category, Some(row)) = (property.tag_type, strange) {
                problems.push(format!("{}: row {row} has a `{}` that has no text", place(), property.name));
            }
        }
    }
    Ok(problems)
}

/// The first row by day that is not the one it should be, if rows lie so and one is not.
fn differing_by_day(rows: &SegmentView<'_>, properties: usize) -> Option<u32> {
    let by_day = rows.by_day()?;
    let days = rows.day();
    for chunk in 0..STRIPE_CHUNKS {
        let mut order: Vec<u32> = rows.rows_of_chunk(chunk).collect();
        order.sort_by_key(|row| days.value(*row));
        for (row, at) in order.into_iter().zip(rows.rows_of_chunk(chunk)) {
            let property = |of: &SegmentView<'_>, row, number| of.property(PropertyId(number)).value(row);
            let same = rows.owners().value(row) == by_day.owners().value(at)
                && days.value(row) == by_day.day().value(at)
                && (0..properties as u32).all(|p| property(rows, row, p) == property(&by_day, at, p));
            if !same {
                return Some(at);
            }
        }
    }
    None
}

/// Whether the bits of owners, where they are kept, are those of a chunk's rows.
fn are_owners(rows: &SegmentView<'_>, chunk: usize) -> bool {
    let Some(kept) = rows.owner_bits(chunk) else { return true };
    let mut bits = Box::new([0u64; CHUNK_WORDS]);
    for row in rows.rows_of_chunk(chunk) {
        let low = rows.owners().value(row).unwrap_or(0) as usize % CHUNK_PROFILES as usize;
        bits[low / 64] |= 1 << (low % 64);
    }
    *kept == *bits
}

/// What is wrong with what is kept of the owners of days and of values, if it is kept and something is.
fn strange_owners(rows: &SegmentView<'_>, event: &Event) -> Option<String> {
    let (owners, days) = (rows.owners(), rows.day());
    let owner = |row| owners.value(row).unwrap_or(0) as u32;
    let all = || (0..rows.row_count()).map(|row| (owner(row), days.value(row).unwrap_or(0)));
    let kept_days = [(rows.first_day()?, false), (rows.last_day()?, true)];
    let mut days_of = std::collections::BTreeMap::new();
    for (owner, day) in all() {
        let (first, last) = days_of.entry(owner).or_insert((day, day));
        (*first, *last) = (day.min(*first), day.max(*last));
    }
    for (column, is_last) in kept_days {
        let day_of = |owner| days_of.get(&owner).map(|(first, last)| if is_last { *last } else { *first });
        if let Some(owner) = (0..STRIPE_PROFILES).find(|owner| column.value(*owner) != day_of(*owner)) {
            return Some(format!("the first or last day of {owner} is not that of its rows"));
        }
    }
    for (property, number) in event.properties.iter().zip(0..) {
        let Some(bitmaps) = rows.owners_of_values(PropertyId(number)) else { continue };
        if let Err(what) = bitmaps.verify_deep() {
            return Some(format!("owners of `{}`: {what}", property.name));
        }
        let column = rows.property(PropertyId(number));
        let known = (0..rows.row_count()).filter_map(|row| Some((column.value(row)?, owner(row))));
        let kept = known.clone().filter(|(value, _)| (0..OWNED_VALUES_MAX.into()).contains(value));
        let kept = kept.map(|(value, owner)| (value as u32, owner));
        let mut wanted: Vec<(u32, u32)> = kept.chain(known.map(|(_, owner)| (KNOWN.0, owner))).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found: u64 = bitmaps.values().map(|(_, count)| u64::from(count)).sum();
        let are_there = |of_value: &[(u32, u32)]| {
            let bitmap = bitmaps.value(ValueId(of_value[0].0));
            of_value.iter().all(|(_, owner)| bitmap.contains(*owner))
        };
        if found != wanted.len() as u64 || !wanted.chunk_by(|a, b| a.0 == b.0).all(are_there) {
            return Some(format!("owners of `{}` are not those of its rows", property.name));
        }
    }
    None
}

fn name(view: &View, field: &Field) -> String {
    match field.id {
        FieldId::Live => "who lives".into(),
        FieldId::IdType(id_type) => format!("id type `{}`", view.schema.id_types[id_type.0 as usize]),
        FieldId::Tag(tag) => format!("tag `{}`", view.schema.tags[tag.0 as usize].name),
    }
}

/// The laws between the parts of one stripe of one field.
fn verify_stripe(view: &View, field: &Field, stripe: usize) -> Result<Vec<String>> {
    let part = field.stripe(stripe);
    let bitmaps = part.bitmaps()?;
    let place = || format!("{}, stripe {stripe}", name(view, field));
    let mut problems = Vec::new();
    if let Err(what) = bitmaps.verify_deep() {
        problems.push(format!("{}: {what}", place()));
        return Ok(problems);
    }
    let live = view.live.stripe(stripe).bitmaps()?.value(KNOWN);
    let known = bitmaps.value(KNOWN);
    let mut ids = Vec::new();
    for chunk in 0..STRIPE_CHUNKS {
        ids.clear();
        known.containers[chunk].push_ids(&mut ids);
        if let Some(low) = ids.iter().find(|low| !live.containers[chunk].contains(**low)) {
            problems.push(format!("{}: known of {low} in chunk {chunk}, who does not live", place()));
        }
    }
    if field.id == FieldId::Live {
        return Ok(problems);
    }
    let (column, lists, keys) = (part.column()?, part.lists()?, part.keys()?);
    let mut of_values = std::collections::BTreeMap::new();
    for id in 0..STRIPE_PROFILES {
        let forward_known = match (field.id, field.tag_type) {
            (FieldId::IdType(_), _) => !keys.keys(id).is_empty(),
            (_, Some(TagType::Set)) => {
                lists.list(id).for_each(|value| *of_values.entry(value).or_insert(0u32) += 1);
                !lists.list(id).is_empty()
            }
            (_, Some(TagType::Flag)) => continue,
            (_, tag_type) => {
                let value = column.value(id);
                if let (Some(value), Some(TagType::Category)) = (value, tag_type) {
                    *of_values.entry(value as u32).or_insert(0) += 1;
                }
                value.is_some()
            }
        };
        if forward_known != known.contains(id) {
            problems.push(format!("{}: bitmap and forward part disagree about {id}", place()));
            return Ok(problems);
        }
    }
    for (value, count) in of_values {
        if Field::is_indexed(ValueId(value)) && bitmaps.cardinality(ValueId(value)) != count {
            problems.push(format!("{}: value {value} has {count} people in the forward part", place()));
        }
    }
    Ok(problems)
}
