//! Retiring values: when people are erased, the texts that nobody else has go with them.
//! Knows which values are in use. The writer decides, and logs it: a text that comes back gets a new number, so nobody
//! can be given a number whose text is just being taken away.

use crate::error::Result;
use crate::field::Field;
use crate::ids::{PAGE_PROFILES, STRIPE_PROFILES};
use crate::schema::{TagId, TagType};
use crate::view::View;

/// Values that nobody has and that still have a text, by tag. Reads whole columns and lists.
///
/// # Errors
/// [`crate::Error::Corrupt`].
pub(crate) fn unused(view: &View) -> Result<Vec<(TagId, Vec<u32>)>> {
    let mut all = Vec::new();
    for (field, tag) in view.tags.iter().zip(0..).filter(|(field, _)| field.values.count() > 0) {
        let (used, retired) = (used_values(field)?, field.values.retired()?);
        let unused = (0u32..).zip(used).filter(|(value, used)| !used && !retired.contains(value));
        let unused: Vec<u32> = unused.map(|(value, _)| value).collect();
        if !unused.is_empty() {
            all.push((TagId(tag), unused));
        }
    }
    Ok(all)
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
