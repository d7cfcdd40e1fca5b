//! Whose the rows of one stripe are, as a folded segment keeps it: the owners of each value of a property as bitmaps, and
//! each profile's first and last day.
//! Knows owners, days and values as numbers; knows no rows.
//!
//! Whoever asks who has a row with a value, or since when, or until when, reads these instead of the rows.

use crate::bitmaps::{BitmapEdit, StripeBitmaps};
use crate::column::{UNKNOWN_VALUE, encode_values};
use crate::error::Result;
use crate::ids::{CHUNK_PROFILES, KNOWN, PAGE_PROFILES};

/// Values of a property from this number on have no bitmaps of owners: so many differ that each is of few.
pub const OWNED_VALUES_MAX: u32 = 1 << 12;

const PAGE: usize = PAGE_PROFILES as usize;

/// The least and the greatest day of each profile's rows, as columns over the places of a stripe up to the last of them.
/// Rows come by owner.
pub(crate) fn encode_days(rows: impl Iterator<Item = (u32, i64)>) -> [Vec<u8>; 2] {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for (owner, day) in rows {
        let place = owner as usize;
        if place >= first.len() {
            first.resize(place + 1, UNKNOWN_VALUE);
            last.resize(place + 1, UNKNOWN_VALUE);
            (first[place], last[place]) = (day, day);
        }
        (first[place], last[place]) = (day.min(first[place]), day.max(last[place]));
    }
    [first, last].map(|mut days| {
        // Of a page that is all alike no code is written, so that whoever is beyond the last must be told apart.
        days.resize(days.len().next_multiple_of(PAGE), UNKNOWN_VALUE);
        encode_values(days.len(), &mut |from, out| out.extend_from_slice(&days[from..from + PAGE]))
    })
}

/// The owners of each value, and of any, as a part of `bitmaps`; empty where no row has one. Rows come by owner.
///
/// # Errors
/// None that can be: there is no part below.
pub(crate) fn encode_owners(rows: impl Iterator<Item = (u32, Option<i64>)>) -> Result<Vec<u8>> {
    let (mut bitmaps, mut edits, mut chunk) = (StripeBitmaps::default(), Vec::new(), 0);
    for (owner, value) in rows {
        let Some(value) = value else { continue };
        // A chunk at a time, so that a stripe of very many rows takes no more memory than they do.
        if owner / CHUNK_PROFILES != chunk {
            chunk = owner / CHUNK_PROFILES;
            bitmaps.apply(std::mem::take(&mut edits))?;
        }
        edits.push(BitmapEdit::new(KNOWN.0, owner, true));
        if let Some(value) = u32::try_from(value).ok().filter(|value| *value < OWNED_VALUES_MAX) {
            edits.push(BitmapEdit::new(value, owner, true));
        }
    }
    bitmaps.apply(edits)?;
    Ok(bitmaps.encode()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::ColumnView;

    #[test]
    fn who_is_beyond_the_last_has_no_days() {
        for people in [1, 2, PAGE as u32 - 1, PAGE as u32, PAGE as u32 + 1] {
            let [first, last] = encode_days((0..people).flat_map(|owner| [(owner, 7), (owner, 5), (owner, 9)]));
            let days = |column: &[u8], owner| ColumnView::over(column).and_then(|column| column.value(owner));
            for owner in [0, people - 1, people, people + 1, 2 * people, 9 * PAGE as u32] {
                let wanted = if owner < people { (Some(5), Some(9)) } else { (None, None) };
                assert_eq!((days(&first, owner), days(&last, owner)), wanted, "{owner} of {people}");
            }
        }
    }
}
