//! The members of one chunk, and the buffers that they are worked out in.
//! Knows ids and bits; knows no plan.

use storage::container::{ARRAY_MAX, Bits, Container, ContainerRef};
use storage::ids::{CHUNK_PROFILES, CHUNK_WORDS};

use crate::query::kernels;

/// The members of one chunk.
#[derive(Debug, Clone)]
pub(crate) enum ChunkSet {
    /// Sorted ids.
    Ids(Vec<u16>),
    /// Bits.
    Bits(Box<Bits>),
}

impl ChunkSet {
    /// How many.
    pub(crate) fn count(&self) -> u32 {
        match self {
            ChunkSet::Ids(ids) => ids.len() as u32,
            ChunkSet::Bits(bits) => kernels::count(bits),
        }
    }

    /// Calls `each` with every id, ascending.
    #[inline(always)]
    pub(crate) fn for_each(&self, mut each: impl FnMut(u16)) {
        match self {
            ChunkSet::Ids(ids) => ids.iter().for_each(|low| each(*low)),
            ChunkSet::Bits(bits) => kernels::for_each_bit(bits, each),
        }
    }

    /// Appends the OneIDs of its members; `first` is the chunk's first one.
    pub(crate) fn push_one_ids(&self, first: u32, scratch: &mut Scratch, out: &mut Vec<u32>) {
        match self {
            ChunkSet::Ids(ids) => out.extend(ids.iter().map(|low| first | u32::from(*low))),
            ChunkSet::Bits(bits) => {
                let mut ids = scratch.ids();
                kernels::push_bits(bits, kernels::count(bits), &mut ids);
                out.extend(ids.iter().map(|low| first | u32::from(*low)));
                scratch.recycle(ChunkSet::Ids(ids));
            }
        }
    }

    /// Borrowed as a container, whose cardinality counts for nothing.
    pub(crate) fn as_container(&self) -> ContainerRef<'_> {
        match self {
            ChunkSet::Ids(ids) => ContainerRef::Array(ids),
            ChunkSet::Bits(bits) => ContainerRef::Bits(bits, 0),
        }
    }

    /// The set as a container of its own.
    pub(crate) fn into_container(self) -> Container {
        match self {
            ChunkSet::Ids(ids) if ids.len() <= ARRAY_MAX => Container::Array(ids),
            ChunkSet::Ids(ids) => ContainerRef::Array(&ids).to_container(),
            ChunkSet::Bits(bits) => {
                let count = kernels::count(&bits);
                if count as usize > ARRAY_MAX {
                    return Container::Bits(bits, count);
                }
                ContainerRef::Bits(&bits, count).to_container()
            }
        }
    }

    /// How many of a container's ids are in it.
    pub(crate) fn count_in(&self, container: ContainerRef<'_>) -> u32 {
        match self {
            ChunkSet::Ids(ids) => kernels::count_in_ids(container, ids),
            ChunkSet::Bits(bits) => kernels::count_in_bits(container, bits),
        }
    }
}

/// Buffers that are used again from chunk to chunk, and what of the present chunk was found once for several places.
#[derive(Default)]
pub(crate) struct Scratch {
    bits: Vec<Box<Bits>>,
    ids: Vec<Vec<u16>>,
    shared: Vec<Option<(usize, ChunkSet)>>,
    counters: Vec<Vec<u8>>,
    amounts: Vec<Vec<i64>>,
}

impl Scratch {
    /// Bits of any content.
    pub(super) fn bits(&mut self) -> Box<Bits> {
        self.bits.pop().unwrap_or_else(|| Box::new([0; CHUNK_WORDS]))
    }

    /// A zero for each profile of a chunk.
    pub(super) fn counters(&mut self) -> Vec<u8> {
        let mut counters = self.counters.pop().unwrap_or_default();
        counters.clear();
        counters.resize(CHUNK_PROFILES as usize, 0);
        counters
    }

    /// An amount for each profile of a chunk.
    pub(super) fn amounts(&mut self, each: i64) -> Vec<i64> {
        let mut amounts = self.amounts.pop().unwrap_or_default();
        amounts.clear();
        amounts.resize(CHUNK_PROFILES as usize, each);
        amounts
    }

    /// Takes amounts back.
    pub(super) fn recycle_amounts(&mut self, amounts: Vec<i64>) {
        self.amounts.push(amounts);
    }

    /// Takes counters back.
    pub(super) fn recycle_counters(&mut self, counters: Vec<u8>) {
        self.counters.push(counters);
    }

    /// No ids yet.
    pub(super) fn ids(&mut self) -> Vec<u16> {
        let mut ids = self.ids.pop().unwrap_or_default();
        ids.clear();
        ids
    }

    /// The ids of a container as bits.
    pub(super) fn filled(&mut self, container: ContainerRef<'_>) -> Box<Bits> {
        let mut bits = self.bits();
        kernels::fill(container, &mut bits);
        bits
    }

    /// The same ids in a buffer of their own.
    pub(super) fn copy_of(&mut self, ids: &[u16]) -> Vec<u16> {
        let mut copy = self.ids();
        copy.extend_from_slice(ids);
        copy
    }

    /// Keeps the ids that are in a container, or those that are not.
    pub(super) fn retain(&mut self, container: ContainerRef<'_>, keep: bool, ids: &mut Vec<u16>) {
        let mut spare = self.ids.pop().unwrap_or_default();
        kernels::retain_in_container(container, keep, ids, &mut spare);
        self.ids.push(spare);
    }

    /// Takes a set's buffer back.
    pub(crate) fn recycle(&mut self, set: ChunkSet) {
        match set {
            ChunkSet::Ids(ids) => self.ids.push(ids),
            ChunkSet::Bits(bits) => self.bits.push(bits),
        }
    }

    /// A container's ids as a set: bits where they are many.
    pub(super) fn set_of(&mut self, container: ContainerRef<'_>) -> ChunkSet {
        match container {
            ContainerRef::Empty | ContainerRef::Array(_) => {
                let mut ids = self.ids();
                container.push_ids(&mut ids);
                ChunkSet::Ids(ids)
            }
            other => ChunkSet::Bits(self.filled(other)),
        }
    }

    /// Another question, or another stripe: what was found before is not its own.
    pub(super) fn forget_shared(&mut self) {
        self.shared.clear();
    }

    /// What was found under a number for this chunk.
    pub(super) fn shared(&mut self, number: usize, chunk: usize) -> Option<ChunkSet> {
        match self.shared.get(number) {
            Some(Some((of, ChunkSet::Ids(ids)))) if *of == chunk => Some(ChunkSet::Ids(ids.clone())),
            Some(Some((of, ChunkSet::Bits(_)))) if *of == chunk => {
                let mut copy = self.bits();
                if let Some(Some((_, ChunkSet::Bits(bits)))) = self.shared.get(number) {
                    copy.copy_from_slice(&bits[..]);
                }
                Some(ChunkSet::Bits(copy))
            }
            _ => None,
        }
    }

    /// Remembers what was found under a number for this chunk.
    pub(super) fn share(&mut self, number: usize, chunk: usize, set: &ChunkSet) {
        if self.shared.len() <= number {
            self.shared.resize(number + 1, None);
        }
        self.shared[number] = Some((chunk, set.clone()));
    }
}
