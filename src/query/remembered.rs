//! What questions of one data version have in common: how everyone falls into bins, the base of most distributions.
//! Knows keys and counts; what is counted is the caller's. Any change of the data starts it anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use storage::TagId;

use super::error::Result;

/// Most distributions of everyone that are remembered; beyond it all are dropped.
const BINS_MAX: usize = 256;
/// Most edges of one that is remembered.
const EDGES_MAX: usize = 4096;

type Counts = Arc<Vec<u64>>;

/// Counts over everyone, by tag and edges.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    data_version: u64,
    bins: HashMap<(TagId, Vec<i64>), Counts>,
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
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of an older version than is remembered: someone still asks the past, which nobody else will.
        if data_version >= memory.data_version && edges.len() <= EDGES_MAX {
            if data_version > memory.data_version || memory.bins.len() >= BINS_MAX {
                memory.bins.clear();
                memory.data_version = data_version;
            }
            memory.bins.insert(key, counts.clone());
        }
        Ok(counts)
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
