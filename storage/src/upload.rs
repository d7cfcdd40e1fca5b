//! A value's people handed in as a bitmap of OneIDs.
//! Knows how set, add and remove of a bitmap become changes of a tag; the portable format is `portable`'s matter.

use roaring::RoaringBitmap;

use crate::batch::{Outcome, SetOp};
use crate::changes::{Changes, FieldChanges};
use crate::error::{Error, Result};
use crate::field::{Field, FieldId};
use crate::ids::{CHUNK_PROFILES, KNOWN, STRIPE_PROFILES, ValueId, in_stripe, stripe_of};
use crate::schema::{TagId, TagType};
use crate::values::VALUE_BYTES_MAX;
use crate::view::View;

/// Who has a value from now on.
#[derive(Debug, Clone)]
pub struct BitmapUpload {
    /// A flag, category or set.
    pub tag: TagId,
    /// The value; of a flag `true` or `false`.
    pub value: String,
    /// OneIDs; all must live.
    pub one_ids: RoaringBitmap,
    /// What is done with them.
    pub mode: UploadMode,
}

/// What is done with the people of an uploaded bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadMode {
    /// Exactly these have the value.
    Set,
    /// These have it, besides those that do.
    Add,
    /// These do not have it any more.
    Remove,
}

/// Decides an upload against the writer's view.
///
/// # Errors
/// [`Error::Refused`] where the tag takes no bitmap, the flag's value is neither true nor false, or OneIDs do not live.
pub(crate) fn decide_upload(view: &mut View, upload: &BitmapUpload) -> Result<(Changes, Outcome)> {
    let refuse = |code, reason: String| Err(Error::Refused { code, reason });
    let Some(tag) = view.schema.tags.get(upload.tag.0 as usize).cloned() else {
        return refuse("unknown_tag", format!("there is no tag number {}", upload.tag.0));
    };
    let gone = not_live(view, &upload.one_ids)?;
    if gone > 0 {
        return refuse("not_live", format!("{gone} of the {} OneIDs are not live profiles", upload.one_ids.len()));
    }
    if upload.value.len() > VALUE_BYTES_MAX {
        return refuse("value_too_long", format!("a value is at most {VALUE_BYTES_MAX} bytes"));
    }
    let mut changes = Changes { next_one_id: view.next_one_id, ..Changes::default() };
    let value = match (tag.tag_type, upload.value.as_str()) {
        (TagType::Flag, "true") => 1,
        (TagType::Flag, "false") => 0,
        (TagType::Flag, other) => {
            return refuse("bad_value", format!("a flag is `true` or `false`, not `{other}`"));
        }
        (TagType::Category | TagType::Set, text) => value_number(view, upload.tag, text, &mut changes)?,
        (other, _) => {
            return refuse(
                "wrong_type",
                format!("`{}` is a {}; a bitmap fits a flag, category or set", tag.name, other.name()),
            );
        }
    };
    let have = holders(view.tag(upload.tag), value)?;
    let (gain, lose) = match upload.mode {
        UploadMode::Set => (&upload.one_ids - &have, &have - &upload.one_ids),
        UploadMode::Add => (&upload.one_ids - &have, RoaringBitmap::new()),
        UploadMode::Remove => (RoaringBitmap::new(), &upload.one_ids & &have),
    };
    let touched = (gain.len() + lose.len()) as u32;
    changes.tags.push((upload.tag, as_changes(tag.tag_type, value, &gain, &lose)));
    Ok((changes, Outcome { accepted: touched, ..Outcome::default() }))
}

fn value_number(view: &mut View, tag: TagId, text: &str, changes: &mut Changes) -> Result<u32> {
    if let Some(value) = view.tag(tag).values.find(text)? {
        return Ok(value.0);
    }
    let value = view.field_mut(FieldId::Tag(tag)).values.find_or_add(text)?;
    changes.values.push((tag, value.0, vec![text.into()]));
    Ok(value.0)
}

fn as_changes(tag_type: TagType, value: u32, gain: &RoaringBitmap, lose: &RoaringBitmap) -> FieldChanges {
    let all = gain | lose;
    if tag_type == TagType::Set {
        let one = |one_id: u32| if gain.contains(one_id) { SetOp::Add } else { SetOp::Remove };
        let changes = all.iter().zip(1..).map(|(one_id, end)| (one_id, one(one_id), end)).collect();
        return FieldChanges::Sets { changes, codes: vec![value; all.len() as usize] };
    }
    FieldChanges::Codes(all.iter().map(|id| (id, gain.contains(id).then_some(i64::from(value)))).collect())
}

/// Everyone who has a value, as one bitmap.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn holders(field: &Field, value: u32) -> Result<RoaringBitmap> {
    let mut ids = Vec::new();
    let mut all = RoaringBitmap::new();
    for stripe in 0..field.stripes.len() {
        let first = stripe as u32 * STRIPE_PROFILES;
        if !Field::is_indexed(ValueId(value)) {
            let (column, lists) = (field.stripe(stripe).column()?, field.stripe(stripe).lists()?);
            let has = |id: &u32| column.value(*id) == Some(i64::from(value)) || lists.list(*id).contains(value);
            all.extend((0..STRIPE_PROFILES).filter(has).map(|id| first + id));
            continue;
        }
        let bitmap = field.stripe(stripe).bitmaps()?.value(ValueId(value));
        for (chunk, container) in bitmap.containers.iter().enumerate() {
            ids.clear();
            container.push_ids(&mut ids);
            all.extend(ids.iter().map(|low| first + chunk as u32 * CHUNK_PROFILES + u32::from(*low)));
        }
    }
    Ok(all)
}

/// How many OneIDs of a bitmap are not live profiles.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn not_live(view: &View, one_ids: &RoaringBitmap) -> Result<u64> {
    let live = view.live.stripes.iter().map(|s| Ok(s.bitmaps()?.value(KNOWN))).collect::<Result<Vec<_>>>()?;
    let lives = |id: u32| live.get(stripe_of(id)).is_some_and(|bitmap| bitmap.contains(in_stripe(id)));
    Ok(one_ids.iter().filter(|id| !lives(*id)).count() as u64)
}
