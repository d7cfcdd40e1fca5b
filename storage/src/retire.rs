//! Retiring values: when people are erased, the texts that nobody else has go with them.
//! Knows which values are in use. The writer decides, and logs it: a text that comes back gets a new number, so nobody
//! can be given a number whose text is just being taken away.

use crate::changes::Dictionary;
use crate::error::Result;
use crate::events::EventField;
use crate::field::Field;
use crate::ids::{KNOWN, PAGE_PROFILES, STRIPE_PROFILES};
use crate::schema::{PropertyId, TagId, TagType};
use crate::values::Values;
use crate::view::View;

/// Values that nobody has and that still have a text, by tag and property. Reads whole columns and lists, and the rows
/// of events with categories.
///
/// # Errors
/// [`crate::Error::Corrupt`].
pub(crate) fn unused(view: &View) -> Result<Vec<(Dictionary, Vec<u32>)>> {
    let mut all = Vec::new();
    for (field, tag) in view.tags.iter().zip(0..).filter(|(field, _)| field.values.count() > 0) {
        push_unused(Dictionary::Tag(TagId(tag)), &field.values, used_values(field)?, &mut all)?;
    }
    for field in &view.events {
        for (values, property) in field.values.iter().zip(0..).filter(|(values, _)| values.count() > 0) {
            let property = PropertyId(property);
            let used = used_of_property(view, field, property)?;
            push_unused(Dictionary::Property(field.id, property), values, used, &mut all)?;
        }
    }
    Ok(all)
}

fn push_unused(
    owner: Dictionary,
    values: &Values,
    used: Vec<bool>,
    all: &mut Vec<(Dictionary, Vec<u32>)>,
) -> Result<()> {
    let retired = values.retired()?;
    let unused = (0u32..).zip(used).filter(|(value, used)| !used && !retired.contains(value));
    let unused: Vec<u32> = unused.map(|(value, _)| value).collect();
    if !unused.is_empty() {
        all.push((owner, unused));
    }
    Ok(())
}

/// Which values any row of a live profile has.
fn used_of_property(view: &View, field: &EventField, property: PropertyId) -> Result<Vec<bool>> {
    let mut used = vec![false; field.values(property).count() as usize];
    for (stripe, number) in field.stripes.iter().zip(0..) {
        let live = view.live.stripe(number).bitmaps()?.value(KNOWN);
        for segment in stripe.segments() {
            let rows = segment.open()?;
            let (owners, values) = (rows.owners(), rows.property(property));
            for row in 0..rows.row_count() {
                if let (Some(owner), Some(value)) = (owners.value(row), values.value(row))
                    && let Some(slot) = used.get_mut(value as usize)
                    && !*slot
                {
                    *slot = live.contains(owner as u32);
                }
            }
        }
    }
    Ok(used)
}

/// Which values anyone has. Reads the whole column or all lists.
fn used_values(field: &Field) -> Result<Vec<bool>> {
    let mut used = vec![false; field.values.count() as usize];
    let mut mark = |value: usize| {
        if let Some(slot) = used.get_mut(value) {
            *slot = true;
        }
    };
    for stripe in &field.stripes {
        match field.tag_type {
            Some(TagType::Category) => {
                let column = stripe.column()?;
                for page in 0..column.page_count() {
                    let page = column.page(page);
                    let codes = (0..PAGE_PROFILES as usize).filter_map(|slot| page.value(slot));
                    codes.for_each(|value| mark(value as usize));
                }
            }
            Some(TagType::Set) => {
                let lists = stripe.lists()?;
                (0..STRIPE_PROFILES).for_each(|id| lists.list(id).for_each(|value| mark(value as usize)));
            }
            _ => {}
        }
    }
    Ok(used)
}
