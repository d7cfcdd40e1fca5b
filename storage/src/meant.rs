//! Whom the rows of a batch mean, and what becomes of those who are joined on the way.
//! Knows the order of rows and joins; what a value, an identity or an event is, is its callers' matter.
//!
//! ```text
//!   row 0  changes profile 7        ─┐  stands alone
//!   row 1  changes profile 4         │
//!   row 2  names 2 and 4: joined     ├─ 2 and 4 are members: their changes and their joins are taken in turn,
//!   row 2  changes profile 2        ─┘  from what they had, and only what they come to is logged
//! ```

use crate::changes::Join;

/// Marks a row that does not count.
pub(crate) const NOBODY: u32 = u32::MAX;

/// Whom the rows of a batch mean.
#[derive(Debug, Default)]
pub(crate) struct Meant {
    /// The OneID of each row when its turn came; [`NOBODY`] of one that does not count.
    one_ids: Vec<u32>,
    /// Joins, each before the changes of its row.
    joins: Vec<(u32, Join)>,
    /// Who is joined or joined to, ascending.
    members: Vec<u32>,
    /// Of each row, whether it means a member; empty where nobody is joined.
    of_members: Vec<bool>,
}

impl Meant {
    pub(crate) fn new(one_ids: Vec<u32>, joins: Vec<(u32, Join)>) -> Meant {
        if joins.is_empty() {
            return Meant { one_ids, ..Meant::default() };
        }
        let mut members: Vec<u32> = joins.iter().flat_map(|(_, join)| [join.retired, join.survivor]).collect();
        members.sort_unstable();
        members.dedup();
        let of_members = one_ids.iter().map(|one_id| members.binary_search(one_id).is_ok()).collect();
        Meant { one_ids, joins, members, of_members }
    }

    /// Whether anybody is joined.
    pub(crate) fn has_joins(&self) -> bool {
        !self.joins.is_empty()
    }

    /// The joins, in turn.
    pub(crate) fn joins(&self) -> impl Iterator<Item = Join> {
        self.joins.iter().map(|(_, join)| *join)
    }

    /// Who is joined or joined to, ascending.
    pub(crate) fn members(&self) -> &[u32] {
        &self.members
    }

    /// Whom a row means who is not joined with anybody.
    pub(crate) fn alone(&self, row: u32) -> Option<u32> {
        let one_id = self.one_ids.get(row as usize).copied().filter(|one_id| *one_id != NOBODY)?;
        (!self.is_of_member(row)).then_some(one_id)
    }

    /// Which member a row means, if it means one.
    pub(crate) fn member(&self, row: u32) -> Option<u32> {
        if self.is_of_member(row) { self.one_ids.get(row as usize).copied() } else { None }
    }

    fn is_of_member(&self, row: u32) -> bool {
        self.of_members.get(row as usize).is_some_and(|is| *is)
    }

    /// Takes changes of members, as row, OneID and change, and their joins in the order of the rows. `states` are what
    /// the members have before, in their order, and afterwards what they come to; whoever was retired has nothing.
    pub(crate) fn fold<S: Default, C>(
        &self,
        states: &mut [S],
        mut changes: Vec<(u32, u32, C)>,
        mut change: impl FnMut(&mut S, C),
        mut join: impl FnMut(&mut S, S),
    ) {
        let place = |one_id: u32| self.members.binary_search(&one_id).ok();
        let mut joins = self.joins.iter().peekable();
        changes.sort_by_key(|(row, ..)| *row);
        let mut joined_up_to = |states: &mut [S], row: u32| {
            while let Some((_, pair)) = joins.next_if(|(at, _)| *at <= row) {
                if let (Some(retired), Some(survivor)) = (place(pair.retired), place(pair.survivor)) {
                    let retired = std::mem::take(&mut states[retired]);
                    join(&mut states[survivor], retired);
                }
            }
        };
        for (row, one_id, what) in changes {
            joined_up_to(states, row);
            if let Some(at) = place(one_id) {
                change(&mut states[at], what);
            }
        }
        joined_up_to(states, u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_joins_are_taken_in_the_order_of_rows() {
        let join = |row, retired, survivor| (row, Join { retired, survivor });
        // Row 3 is refused; 7 stands alone.
        let rows = vec![7, 4, 2, NOBODY, 2, 9, 2];
        let meant = Meant::new(rows, vec![join(2, 4, 2), join(6, 8, 2), join(6, 9, 2)]);
        assert_eq!((meant.members(), meant.has_joins()), (&[2, 4, 8, 9][..], true));
        let alone: Vec<_> = (0..8).map(|row| meant.alone(row)).collect();
        assert_eq!(alone, [Some(7), None, None, None, None, None, None, None]);
        let changes: Vec<_> = (0..8).filter_map(|row| Some((row, meant.member(row)?, format!("row {row}")))).collect();
        let mut states: Vec<Vec<String>> = [2, 4, 8, 9].map(|id| vec![format!("{id} had")]).into();
        meant.fold(&mut states, changes, |all, what| all.push(what), |all, others| all.extend(others));
        let wanted = ["2 had", "4 had", "row 1", "row 2", "row 4", "8 had", "9 had", "row 5", "row 6"];
        assert_eq!(states[0], wanted);
        assert!(states[1..].iter().all(Vec::is_empty));
    }
}
