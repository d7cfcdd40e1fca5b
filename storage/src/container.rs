//! Containers: the ids of one chunk (65,536 of them) as a sorted array, as bits or as runs.
//! Knows one chunk at a time; knows nothing of tags, files or who is live.
//!
//! ```text
//!   Array  sorted distinct u16, 1 to 4,096 of them      2 bytes an id
//!   Bits   1,024 words                                  8 KiB
//!   Runs   [start, length - 1] pairs, ascending, apart  4 bytes a run (in snapshots only)
//! ```
//! After the Roaring paper (Lemire et al., arXiv 1709.07821); one container is always in its smallest form on disk.

use crate::ids::CHUNK_WORDS;

/// Bits of a whole chunk.
pub type Bits = [u64; CHUNK_WORDS];
/// Most ids that an array holds; one more and bits are smaller.
pub const ARRAY_MAX: usize = 4096;

/// A container that is borrowed, from a mapped pack or an owned one.
#[derive(Debug, Clone, Copy)]
pub enum ContainerRef<'a> {
    /// Nobody.
    Empty,
    /// Sorted distinct ids.
    Array(&'a [u16]),
    /// Bits and how many are set.
    Bits(&'a Bits, u32),
    /// Runs `[start, length - 1]` and how many ids they hold.
    Runs(&'a [[u16; 2]], u32),
}

/// A container that is owned: changed since the last store snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// Sorted distinct ids, at most [`ARRAY_MAX`].
    Array(Vec<u16>),
    /// Bits and how many are set, more than [`ARRAY_MAX`] once settled.
    Bits(Box<Bits>, u32),
}

impl<'a> ContainerRef<'a> {
    /// Number of ids.
    #[inline]
    pub fn cardinality(self) -> u32 {
        match self {
            ContainerRef::Empty => 0,
            ContainerRef::Array(ids) => ids.len() as u32,
            ContainerRef::Bits(_, cardinality) | ContainerRef::Runs(_, cardinality) => cardinality,
        }
    }

    /// Bytes of its ids, bits or runs.
    pub fn bytes(self) -> usize {
        match self {
            ContainerRef::Empty => 0,
            ContainerRef::Array(ids) => size_of_val(ids),
            ContainerRef::Bits(..) => size_of::<Bits>(),
            ContainerRef::Runs(runs, _) => size_of_val(runs),
        }
    }

    /// Whether `low` is in it. Array and runs: a binary search.
    #[inline]
    pub fn contains(self, low: u16) -> bool {
        match self {
            ContainerRef::Empty => false,
            ContainerRef::Array(ids) => ids.binary_search(&low).is_ok(),
            ContainerRef::Bits(bits, _) => bit(bits, low),
            ContainerRef::Runs(runs, _) => {
                let after = runs.partition_point(|run| run[0] <= low);
                after > 0 && low - runs[after - 1][0] <= runs[after - 1][1]
            }
        }
    }

    /// Sets its ids in `out`.
    pub fn or_into(self, out: &mut Bits) {
        match self {
            ContainerRef::Empty => {}
            ContainerRef::Array(ids) => set_ids(out, ids),
            ContainerRef::Bits(bits, _) => out.iter_mut().zip(bits).for_each(|(o, b)| *o |= b),
            ContainerRef::Runs(runs, _) => {
                runs.iter().for_each(|&[start, length_less_1]| set_range(out, start, length_less_1));
            }
        }
    }

    /// Appends its ids, ascending.
    pub fn push_ids(self, out: &mut Vec<u16>) {
        match self {
            ContainerRef::Empty => {}
            ContainerRef::Array(ids) => out.extend_from_slice(ids),
            ContainerRef::Bits(bits, _) => push_bits(bits, out),
            ContainerRef::Runs(runs, _) => {
                for &[start, length_less_1] in runs {
                    out.extend(start..=start.saturating_add(length_less_1));
                }
            }
        }
    }

    /// An owned copy.
    pub fn to_container(self) -> Container {
        if self.cardinality() as usize <= ARRAY_MAX {
            let mut ids = Vec::with_capacity(self.cardinality() as usize);
            self.push_ids(&mut ids);
            return Container::Array(ids);
        }
        let mut bits = Box::new([0; CHUNK_WORDS]);
        self.or_into(&mut bits);
        Container::Bits(bits, self.cardinality())
    }
}

/// One id to set or clear; edits come sorted by `low`, each id once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// Which id of the chunk.
    pub low: u16,
    /// Set it, or clear it.
    pub set: bool,
}

impl Container {
    /// Nobody.
    pub const fn empty() -> Container {
        Container::Array(Vec::new())
    }

    /// Borrowed, as kernels take it.
    pub fn as_ref(&self) -> ContainerRef<'_> {
        match self {
            Container::Array(ids) if ids.is_empty() => ContainerRef::Empty,
            Container::Array(ids) => ContainerRef::Array(ids),
            Container::Bits(bits, cardinality) => ContainerRef::Bits(bits, *cardinality),
        }
    }

    /// Applies sorted edits; linear in the container and the edits, for bits linear in the edits alone.
    pub fn apply(&mut self, edits: &[Edit]) {
        debug_assert!(edits.is_sorted_by(|a, b| a.low < b.low));
        match self {
            Container::Array(ids) if ids.len() + edits.len() <= ARRAY_MAX => {
                let is_behind = edits.first().is_none_or(|edit| ids.last().is_none_or(|last| *last < edit.low));
                if is_behind {
                    ids.extend(edits.iter().filter(|edit| edit.set).map(|edit| edit.low));
                } else {
                    *ids = merged(ids, edits);
                }
            }
            Container::Array(ids) => {
                let mut bits = Box::new([0; CHUNK_WORDS]);
                ids.iter().for_each(|&low| set_bit(&mut bits, low));
                let cardinality = ids.len() as u32;
                *self = Container::Bits(bits, cardinality);
                self.apply(edits);
            }
            Container::Bits(bits, cardinality) => {
                for edit in edits {
                    let (word, mask) = (&mut bits[usize::from(edit.low >> 6)], 1u64 << (edit.low & 63));
                    let was = *word & mask != 0;
                    if edit.set {
                        *word |= mask;
                        *cardinality += u32::from(!was);
                    } else {
                        *word &= !mask;
                        *cardinality -= u32::from(was);
                    }
                }
                if *cardinality as usize <= ARRAY_MAX {
                    let mut ids = Vec::with_capacity(*cardinality as usize);
                    push_bits(bits, &mut ids);
                    *self = Container::Array(ids);
                }
            }
        }
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Container::Array(ids) => ids.capacity() * 2,
            Container::Bits(..) => CHUNK_WORDS * 8,
        }
    }
}

fn merged(ids: &[u16], edits: &[Edit]) -> Vec<u16> {
    let mut out = Vec::with_capacity(ids.len() + edits.len());
    let mut rest = ids;
    for edit in edits {
        let before = rest.partition_point(|&low| low < edit.low);
        out.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        if rest.first() == Some(&edit.low) {
            rest = &rest[1..];
        }
        if edit.set {
            out.push(edit.low);
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Whether `low` is set.
#[inline]
pub fn bit(bits: &Bits, low: u16) -> bool {
    bits[usize::from(low >> 6)] >> (low & 63) & 1 == 1
}

/// Sets `low`.
#[inline]
pub fn set_bit(bits: &mut Bits, low: u16) {
    bits[usize::from(low >> 6)] |= 1 << (low & 63);
}

/// Sets sorted ids, from four places in turn: neighbours share a word, and would wait for each other.
fn set_ids(bits: &mut Bits, ids: &[u16]) {
    let quarter = ids.len() / 4;
    let (a, rest) = ids.split_at(quarter);
    let (b, rest) = rest.split_at(quarter);
    let (c, rest) = rest.split_at(quarter);
    let (d, rest) = rest.split_at(quarter);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        set_bit(bits, *a);
        set_bit(bits, *b);
        set_bit(bits, *c);
        set_bit(bits, *d);
    }
    rest.iter().for_each(|low| set_bit(bits, *low));
}

/// Sets `start ..= start + length_less_1`, clipped to the chunk.
pub fn set_range(bits: &mut Bits, start: u16, length_less_1: u16) {
    let end = start.saturating_add(length_less_1);
    let (first, last) = (usize::from(start >> 6), usize::from(end >> 6));
    let head = u64::MAX << (start & 63);
    let tail = u64::MAX >> (63 - (end & 63));
    if first == last {
        bits[first] |= head & tail;
        return;
    }
    bits[first] |= head;
    bits[first + 1..last].fill(u64::MAX);
    bits[last] |= tail;
}

/// Appends the ids that are set, ascending.
pub fn push_bits(bits: &Bits, out: &mut Vec<u16>) {
    for (at, &word) in bits.iter().enumerate() {
        let mut left = word;
        while left != 0 {
            out.push((at * 64) as u16 + left.trailing_zeros() as u16);
            left &= left - 1;
        }
    }
}

/// Number of ids set.
pub fn count_bits(bits: &Bits) -> u32 {
    bits.iter().map(|word| word.count_ones()).sum()
}

/// The runs of a container, where they take fewer bytes than its present form; how snapshots keep it small.
pub fn runs_if_smaller(container: ContainerRef<'_>) -> Option<Vec<[u16; 2]>> {
    let bytes = match container {
        ContainerRef::Empty => return None,
        ContainerRef::Runs(runs, _) => return Some(runs.to_vec()),
        ContainerRef::Array(ids) => ids.len() * 2,
        ContainerRef::Bits(..) => CHUNK_WORDS * 8,
    };
    let runs_max = bytes / 4;
    if run_count(container) > runs_max.min(2047) {
        return None;
    }
    let mut ids = Vec::with_capacity(container.cardinality() as usize);
    container.push_ids(&mut ids);
    let mut runs: Vec<[u16; 2]> = Vec::new();
    for low in ids {
        match runs.last_mut() {
            Some([start, length_less_1]) if u32::from(*start) + u32::from(*length_less_1) + 1 == u32::from(low) => {
                *length_less_1 += 1;
            }
            _ => runs.push([low, 0]),
        }
    }
    (runs.len() * 4 + 2 < bytes).then_some(runs)
}

fn run_count(container: ContainerRef<'_>) -> usize {
    match container {
        ContainerRef::Empty => 0,
        ContainerRef::Array(ids) => 1 + ids.windows(2).filter(|w| w[1] - w[0] > 1).count(),
        ContainerRef::Runs(runs, _) => runs.len(),
        ContainerRef::Bits(bits, _) => {
            let mut carry = 0;
            let mut starts = 0;
            for &word in bits {
                starts += (word & !(word << 1 | carry)).count_ones() as usize;
                carry = word >> 63;
            }
            starts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ids_of(container: ContainerRef<'_>) -> Vec<u16> {
        let mut ids = Vec::new();
        container.push_ids(&mut ids);
        ids
    }

    fn container_of(ids: &BTreeSet<u16>) -> Container {
        let mut container = Container::empty();
        container.apply(&ids.iter().map(|&low| Edit { low, set: true }).collect::<Vec<_>>());
        container
    }

    fn shapes() -> impl Strategy<Value = BTreeSet<u16>> {
        prop_oneof![
            proptest::collection::btree_set(any::<u16>(), 0..50),
            proptest::collection::btree_set(any::<u16>(), 4000..4200),
            (any::<u16>(), 1u16..9000).prop_map(|(start, n)| (start..=start.saturating_add(n)).collect()),
            Just((0..=u16::MAX).collect()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn edits_do_what_a_set_does(
            ids in shapes(),
            edits in proptest::collection::btree_map(any::<u16>(), any::<bool>(), 0..300),
        ) {
            let mut model = ids.clone();
            let mut container = container_of(&ids);
            let edits: Vec<_> = edits.into_iter().map(|(low, set)| Edit { low, set }).collect();
            for edit in &edits {
                if edit.set { model.insert(edit.low); } else { model.remove(&edit.low); }
            }
            container.apply(&edits);
            let wanted: Vec<u16> = model.iter().copied().collect();
            prop_assert_eq!(ids_of(container.as_ref()), wanted);
            prop_assert_eq!(container.as_ref().cardinality() as usize, model.len());
            prop_assert!(edits.iter().all(|e| container.as_ref().contains(e.low) == e.set));
        }

        #[test]
        fn runs_hold_the_same_ids(ids in shapes(), probe in any::<u16>()) {
            let container = container_of(&ids);
            if let Some(runs) = runs_if_smaller(container.as_ref()) {
                let as_runs = ContainerRef::Runs(&runs, ids.len() as u32);
                prop_assert_eq!(ids_of(as_runs), ids_of(container.as_ref()));
                prop_assert_eq!(as_runs.contains(probe), ids.contains(&probe));
                prop_assert_eq!(as_runs.to_container(), container);
            }
        }
    }

    #[test]
    fn a_full_chunk_is_one_run() {
        let full = container_of(&(0..=u16::MAX).collect());
        assert_eq!(runs_if_smaller(full.as_ref()), Some(vec![[0, u16::MAX]]));
    }
}
