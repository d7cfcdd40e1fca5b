//! The tags of profiles that a batch joins: what each of them comes to.
//! Knows that a survivor's known values stay, that its gaps are filled from the others, and that sets unite.

use std::sync::Arc;

use crate::apply::apply_op;
use crate::batch::{SetOp, TagColumn};
use crate::changes::FieldChanges;
use crate::error::Result;
use crate::field::{FALSE, Field, TRUE};
use crate::ids::{in_stripe, stripe_of};
use crate::meant::Meant;
use crate::prepare::{Decided, decide_column};
use crate::schema::TagType;

/// Decides one tag of those who are joined: the changes of their rows and their joins, in the order of the rows.
/// Whoever is retired has nothing afterwards.
///
/// # Errors
/// As [`decide_column`].
pub(crate) fn decide_joined<'b>(
    field: &mut Arc<Field>,
    columns: impl Iterator<Item = &'b TagColumn>,
    meant: &Meant,
) -> Result<Decided> {
    let (first_value, mut values) = (field.values.count(), Vec::new());
    let mut by_row = Vec::new();
    for column in columns {
        // Of each row instead of a OneID, since joins come between rows.
        let decided = decide_column(field, column, |row| meant.member(row).map(|_| row))?;
        values.extend(decided.values);
        by_row.push(decided.changes);
    }
    let changes = match field.tag_type {
        Some(TagType::Set) => joined_sets(field, by_row, meant)?,
        _ => joined_codes(field, by_row, meant)?,
    };
    Ok(Decided { changes, first_value, values })
}

fn joined_codes(field: &Field, by_row: Vec<FieldChanges>, meant: &Meant) -> Result<FieldChanges> {
    let before = meant.members().iter().map(|one_id| code_of(field, *one_id)).collect::<Result<Vec<_>>>()?;
    let mut changes = Vec::new();
    for column in by_row {
        let FieldChanges::Codes(codes) = column else { continue };
        changes.extend(codes.into_iter().filter_map(|(row, value)| Some((row, meant.member(row)?, value))));
    }
    let mut after = before.clone();
    let fill = |own: &mut Option<i64>, other: Option<i64>| *own = own.or(other);
    meant.fold(&mut after, changes, |own, value| *own = value, fill);
    let changed =
        meant.members().iter().zip(before.into_iter().zip(after)).filter(|(_, (before, after))| before != after);
    Ok(FieldChanges::Codes(changed.map(|(one_id, (_, after))| (*one_id, after)).collect()))
}

fn joined_sets(field: &Field, by_row: Vec<FieldChanges>, meant: &Meant) -> Result<FieldChanges> {
    let list = |one_id: &u32| Ok(field.stripe(stripe_of(*one_id)).lists()?.list(in_stripe(*one_id)).to_vec());
    let before = meant.members().iter().map(list).collect::<Result<Vec<_>>>()?;
    let mut changes = Vec::new();
    for column in by_row {
        let FieldChanges::Sets { changes: of_column, codes } = column else { continue };
        let mut start = 0;
        for (row, op, end) in of_column {
            let values = codes[start as usize..end as usize].to_vec();
            changes.extend(meant.member(row).map(|one_id| (row, one_id, (op, values))));
            start = end;
        }
    }
    let mut after = before.clone();
    let unite = |own: &mut Vec<u32>, other: Vec<u32>| apply_op(own, SetOp::Add, &other);
    meant.fold(&mut after, changes, |own, (op, values)| apply_op(own, op, &values), unite);
    let (mut changes, mut codes) = (Vec::new(), Vec::new());
    for (one_id, (before, after)) in meant.members().iter().zip(before.into_iter().zip(after)) {
        if before != after {
            codes.extend_from_slice(&after);
            changes.push((*one_id, SetOp::Replace, codes.len() as u32));
        }
    }
    Ok(FieldChanges::Sets { changes, codes })
}

/// The value of a profile as [`FieldChanges::Codes`] has it.
fn code_of(field: &Field, one_id: u32) -> Result<Option<i64>> {
    let (stripe, id) = (field.stripe(stripe_of(one_id)), in_stripe(one_id));
    if field.tag_type != Some(TagType::Flag) {
        return Ok(stripe.column()?.value(id));
    }
    let bitmaps = stripe.bitmaps()?;
    let is = |value| bitmaps.value(value).contains(id);
    Ok(if is(TRUE) { Some(1) } else { is(FALSE).then_some(0) })
}
