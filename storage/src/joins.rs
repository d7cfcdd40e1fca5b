//! Who lives on as whom: OneIDs that were retired when two profiles were joined, and the ones that they went into.
//! Knows OneIDs only; what a join brings along is decided by `prepare`. A OneID is retired once, and for ever.
//!
//! ```text
//!   Joins = index from a retired OneID (as a hash that no two share) to the lower one that it was joined to
//! ```
//! Chains are followed down to the first who lives: earlier states are held against it, and so are keys of events.

use crate::error::Result;
use crate::index::HashIndex;

/// Retired OneIDs as one view sees them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Joins {
    pub(crate) index: HashIndex,
}

impl Joins {
    /// Who a retired OneID was joined to; nothing for one that was not retired by a join.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from a table.
    pub(crate) fn survivor_of(&self, retired: u32) -> Result<Option<u32>> {
        // An entry that does not lead down is none of ours: chains end whatever the bytes say.
        Ok(self.index.find(spread(retired), |_| true)?.filter(|survivor| *survivor < retired))
    }

    /// A OneID is retired.
    pub(crate) fn put(&mut self, retired: u32, survivor: u32) {
        debug_assert!(survivor < retired);
        self.index.put(spread(retired), survivor);
    }

    /// Verifies the tables (once).
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn check(&self) -> Result<()> {
        self.index.may_hold(&[]).map(drop)
    }
}

/// A OneID as a hash: the index wants its upper bits to vary. No two have the same, since the factor is odd.
fn spread(one_id: u32) -> u32 {
    one_id.wrapping_mul(0x9E37_79B1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_retired_one_id_leads_to_the_one_it_was_joined_to_and_no_other_does() {
        let mut joins = Joins::default();
        (1..5_000u32).filter(|one_id| one_id % 3 == 0).for_each(|one_id| joins.put(one_id, one_id / 3));
        let leads_to = |joins: &Joins, one_id: u32| joins.survivor_of(one_id).unwrap();
        let frozen = joins.index.split();
        for one_id in 0..6_000 {
            let wanted = (one_id > 0 && one_id < 5_000 && one_id % 3 == 0).then_some(one_id / 3);
            assert_eq!(leads_to(&joins, one_id), wanted);
            assert_eq!(leads_to(&Joins { index: frozen.clone() }, one_id), wanted);
        }
    }
}
