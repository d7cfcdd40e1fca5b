//! What questions of one data version have in common: how everyone falls into bins, the base of most distributions.
//! Knows keys and counts; what is counted is the caller's. Any change of the data starts it anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use storage::TagId;

use super::error::Result;
use super::spread::Spread;

/// Most distributions of everyone, of each kind, that are remembered; beyond it all are dropped.
const BINS_MAX: usize = 256;
/// Most edges of one that is remembered.
const EDGES_MAX: usize = 4096;

type Counts = Arc<Vec<u64>>;

/// Counts over everyone: by tag and edges; and by value, where the values of a tag lie close together.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    data_version: u64,
    bins: HashMap<(TagId, Vec<i64>), Counts>,
    spreads: HashMap<TagId, Arc<Spread>>,
}

impl Remembered {
    /// The counts of everyone at a data version: remembered, or counted now. Nobody waits while another counts.
    ///
    /// # Errors
    /// What counting gives.
    pub(crate) fn bins(
        &self,
        data_version: u64,
        tag: TagId,
        edges: &[i64],
        count: impl FnOnce() -> Result<Vec<u64>>,
    ) -> Result<Counts> {
        let key = (tag, edges.to_vec());
        let known = {
            let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            memory.bins.get(&key).filter(|_| memory.data_version == data_version).cloned()
        };
        if let Some(counts) = known {
            return Ok(counts);
        }
        let counts = Arc::new(count()?);
        self.remember(data_version, |memory| {
            if memory.bins.len() >= BINS_MAX {
                memory.bins.clear();
            }
            if edges.len() <= EDGES_MAX {
                memory.bins.insert(key, counts.clone());
            }
        });
        Ok(counts)
    }

    /// Everyone by value at a data version, if it is remembered.
    pub(crate) fn spread(&self, data_version: u64, tag: TagId) -> Option<Arc<Spread>> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.spreads.get(&tag).filter(|_| memory.data_version == data_version).cloned()
    }

    /// Remembers everyone by value.
    pub(crate) fn keep_spread(&self, data_version: u64, tag: TagId, spread: &Arc<Spread>) {
        self.remember(data_version, |memory| {
            if memory.spreads.len() >= BINS_MAX {
                memory.spreads.clear();
            }
            memory.spreads.insert(tag, spread.clone());
        });
    }

    fn remember(&self, data_version: u64, put: impl FnOnce(&mut Memory)) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of an older version than is remembered: someone still asks the past, which nobody else will.
        if data_version < memory.data_version {
            return;
        }
        if data_version > memory.data_version {
            *memory = Memory { data_version, ..Memory::default() };
        }
        put(&mut memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_counted_again_only_after_a_change() {
        let remembered = Remembered::default();
        let ask = |version, edges: &[i64], counts: Option<u64>| {
            let count = || Ok(vec![counts.expect("it is remembered")]);
            remembered.bins(version, TagId(3), edges, count).unwrap()[0]
        };
        assert_eq!(ask(5, &[1, 2], Some(10)), 10);
        assert_eq!(ask(5, &[1, 2], None), 10);
        assert_eq!(ask(5, &[1, 3], Some(11)), 11);
        assert_eq!(ask(4, &[1, 2], Some(9)), 9, "an older version is not what is remembered");
        assert_eq!(ask(5, &[1, 2], None), 10);
        assert_eq!(ask(6, &[1, 2], Some(12)), 12);
        assert_eq!(ask(6, &[1, 2], None), 12);
    }
}
