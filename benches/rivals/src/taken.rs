//! Bitmaps of whole tag values, taken from headcount's store: what the bitmap libraries are given.
//! Knows the store's view; knows no library.

use storage::container::ContainerRef;
use storage::field::Field;
use storage::ids::{CHUNK_PROFILES, PAGE_PROFILES, STRIPE_PROFILES};
use storage::{KNOWN, TagType, ValueId, View};

/// Numbers with at most so many values have a bitmap for each.
const NUMBERS_MAX: usize = 256;

/// A tag's bitmaps.
pub struct Taken {
    /// The tag.
    pub tag: String,
    /// Values with the ids of those who have them, ascending.
    pub values: Vec<(String, Vec<u32>)>,
    /// Those of whom it is known.
    pub known: Vec<u32>,
}

/// The ids of everyone.
pub fn everyone(view: &View) -> Vec<u32> {
    ids_of(view, view.live(), KNOWN)
}

/// Calls `each` with the bitmaps of every flag, category, set and small number, tag by tag.
pub fn each_tag(view: &View, mut each: impl FnMut(Taken)) {
    let schema = view.schema();
    for declared in &schema.tags {
        let (tag, _) = schema.tag(&declared.name).expect("a tag of the schema");
        let field = view.tag(tag);
        let values = match declared.tag_type {
            TagType::Flag => [("false", storage::field::FALSE), ("true", storage::field::TRUE)]
                .map(|(text, value)| (text.to_string(), ids_of(view, field, value)))
                .to_vec(),
            TagType::Category | TagType::Set => {
                let texts = field.values().iter().expect("the values of a tag");
                texts.map(|(value, text)| (text.to_string(), ids_of(view, field, value))).collect()
            }
            TagType::Number { scale: 0 } => match numbers(view, field) {
                Some(values) => values,
                None => continue,
            },
            _ => continue,
        };
        each(Taken { tag: declared.name.clone(), values, known: ids_of(view, field, KNOWN) });
    }
}

fn ids_of(view: &View, field: &Field, value: ValueId) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut lows = Vec::new();
    each_container(view, field, value, |first, container| {
        lows.clear();
        container.push_ids(&mut lows);
        ids.extend(lows.iter().map(|&low| first + u32::from(low)));
    });
    ids
}

/// Calls `each` with the containers of a value and the first id of their chunk.
pub fn each_container<'v>(
    view: &'v View,
    field: &'v Field,
    value: ValueId,
    mut each: impl FnMut(u32, ContainerRef<'v>),
) {
    for stripe in 0..view.stripe_count() {
        let bitmaps = field.stripe(stripe).bitmaps().expect("bitmaps without damage");
        for (chunk, container) in (0..).zip(bitmaps.value(value).containers) {
            each(stripe as u32 * STRIPE_PROFILES + chunk * CHUNK_PROFILES, container);
        }
    }
}

/// A bitmap for each value of a column of numbers, if they are few and small.
fn numbers(view: &View, field: &Field) -> Option<Vec<(String, Vec<u32>)>> {
    let mut values: Vec<Vec<u32>> = vec![Vec::new(); NUMBERS_MAX];
    for stripe in 0..view.stripe_count() {
        let column = field.stripe(stripe).column().expect("a column without damage");
        for page in 0..column.page_count() {
            let codes = column.page(page);
            for slot in 0..PAGE_PROFILES {
                if let Some(number) = codes.value(slot as usize) {
                    let one_id = stripe as u32 * STRIPE_PROFILES + page as u32 * PAGE_PROFILES + slot;
                    values.get_mut(usize::try_from(number).ok()?)?.push(one_id);
                }
            }
        }
    }
    Some(values.into_iter().enumerate().filter(|(_, ids)| !ids.is_empty()).map(|(n, v)| (n.to_string(), v)).collect())
}
