//! The members of one chunk, and the buffers that they are worked out in.
//! Knows ids and bits; knows no plan.

use storage::container::{ARRAY_MAX, Bits, Container, ContainerRef};
use storage::ids::{CHUNK_PROFILES, CHUNK_WORDS};

use super::by_profile::Groups;
use super::in_order::Chain;
use super::rows::Gathered;
use crate::query::kernels;

/// Of more ids than so many the bits are sooner set and read than the ids are sorted.
const SORTED_MAX: usize = 96;

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
        let start = out.len();
        out.resize(start + self.count() as usize, 0);
        self.write_one_ids(first, scratch, &mut out[start..]);
    }

    /// Writes the OneIDs of its members, of whom there are as many as places; `first` is the chunk's first one.
    pub(crate) fn write_one_ids(&self, first: u32, scratch: &mut Scratch, out: &mut [u32]) {
        let write = |ids: &[u16], out: &mut [u32]| {
            out.iter_mut().zip(ids).for_each(|(out, low)| *out = first | u32::from(*low));
        };
        match self {
            ChunkSet::Ids(ids) => write(ids, out),
            ChunkSet::Bits(bits) => {
                let mut ids = scratch.ids();
                kernels::push_bits(bits, out.len() as u32, &mut ids);
                write(&ids, out);
                scratch.recycle(ChunkSet::Ids(ids));
            }
        }
    }

    /// Borrowed.
    pub(crate) fn get(&self) -> MembersRef<'_> {
        match self {
            ChunkSet::Ids(ids) => MembersRef::Ids(ids),
            ChunkSet::Bits(bits) => MembersRef::Bits(bits),
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
                let mut ids = Vec::new();
                kernels::push_bits(&bits, count, &mut ids);
                Container::Array(ids)
            }
        }
    }
}

/// The members of one chunk as sorted ids or bits, of which there are some.
#[derive(Debug)]
pub(crate) enum Members<'a> {
    /// Ids where they lie.
    LentIds(&'a [u16]),
    /// Bits where they lie, and how many are set.
    LentBits(&'a Bits, u32),
    /// Worked out.
    Own(ChunkSet),
}

/// Members, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MembersRef<'a> {
    /// Sorted ids.
    Ids(&'a [u16]),
    /// Bits.
    Bits(&'a Bits),
}

impl Members<'_> {
    /// How many.
    pub(crate) fn count(&self) -> u32 {
        match self {
            Members::LentIds(ids) => ids.len() as u32,
            Members::LentBits(_, count) => *count,
            Members::Own(set) => set.count(),
        }
    }

    /// Borrowed.
    pub(crate) fn get(&self) -> MembersRef<'_> {
        match self {
            Members::LentIds(ids) => MembersRef::Ids(ids),
            Members::LentBits(bits, _) => MembersRef::Bits(bits),
            Members::Own(set) => set.get(),
        }
    }
}

impl MembersRef<'_> {
    /// How many of a container's ids are in it.
    pub(crate) fn count_in(self, container: ContainerRef<'_>) -> u32 {
        match self {
            MembersRef::Ids(ids) => kernels::count_in_ids(container, ids),
            MembersRef::Bits(bits) => kernels::count_in_bits(container, bits),
        }
    }
}

/// The members of one chunk as bits, and how many they are.
#[derive(Debug)]
pub(crate) enum ChunkBits<'a> {
    /// Where they lie.
    Lent(&'a Bits, u32),
    /// Worked out.
    Own(Box<Bits>, u32),
}

impl ChunkBits<'_> {
    /// No members.
    pub(super) const NOBODY: ChunkBits<'static> = ChunkBits::Lent(&[0; CHUNK_WORDS], 0);

    /// The bits.
    pub(crate) fn bits(&self) -> &Bits {
        match self {
            ChunkBits::Lent(bits, _) => bits,
            ChunkBits::Own(bits, _) => bits,
        }
    }

    /// How many are set.
    pub(crate) fn count(&self) -> u32 {
        match self {
            ChunkBits::Lent(_, count) | ChunkBits::Own(_, count) => *count,
        }
    }
}

/// A byte for each profile of a chunk.
pub(super) type Counters = [u8; CHUNK_PROFILES as usize];
/// A number for each profile of a chunk.
pub(super) type Amounts = [i64; CHUNK_PROFILES as usize];

/// The same for each profile of a chunk; never on the stack.
pub(super) fn of_each<T: Clone>(each: T) -> Box<[T; CHUNK_PROFILES as usize]> {
    let all = vec![each; CHUNK_PROFILES as usize].into_boxed_slice();
    all.try_into().unwrap_or_else(|_| unreachable!("as many as a chunk has profiles"))
}

/// Buffers that are used again from chunk to chunk, and what of the present chunk was found once for several places.
#[derive(Default)]
pub(crate) struct Scratch {
    bits: Vec<Box<Bits>>,
    ids: Vec<Vec<u16>>,
    /// By key: the chunk that it was found in, and what was found.
    shared: Vec<(usize, usize, ChunkSet)>,
    counters: Vec<Box<Counters>>,
    /// All of them 0: whoever takes them makes them so again while they are in the cache.
    pub(super) sums_16: Vec<Box<[u16; CHUNK_PROFILES as usize]>>,
    pub(super) sums_32: Vec<Box<[u32; CHUNK_PROFILES as usize]>>,
    /// With what each of them is.
    amounts: Vec<(i64, Box<Amounts>)>,
    groups: Vec<Groups>,
    rows: Vec<Gathered>,
    moments: Vec<Vec<u64>>,
    chains: Vec<Vec<Chain>>,
}

impl Scratch {
    /// Bits of any content.
    pub(crate) fn bits(&mut self) -> Box<Bits> {
        self.bits.pop().unwrap_or_else(|| Box::new([0; CHUNK_WORDS]))
    }

    /// A zero for each profile of a chunk.
    pub(super) fn counters(&mut self) -> Box<Counters> {
        let Some(mut counters) = self.counters.pop() else { return of_each(0) };
        counters.fill(0);
        counters
    }

    /// The same amount for each profile of a chunk. Whoever takes them makes them so again while they are in the cache.
    pub(super) fn amounts(&mut self, each: i64) -> Box<Amounts> {
        let known = self.amounts.iter().position(|(of, _)| *of == each);
        known.map_or_else(|| of_each(each), |at| self.amounts.swap_remove(at).1)
    }

    /// Takes amounts back, all of them the same.
    pub(super) fn recycle_amounts(&mut self, each: i64, amounts: Box<Amounts>) {
        debug_assert!(amounts.iter().all(|amount| *amount == each));
        self.amounts.push((each, amounts));
    }

    /// Groups of any content.
    pub(super) fn groups(&mut self) -> Groups {
        self.groups.pop().unwrap_or_default()
    }

    /// Takes groups back.
    pub(super) fn recycle_groups(&mut self, groups: Groups) {
        self.groups.push(groups);
    }

    /// Rows of any content.
    pub(super) fn rows(&mut self) -> Gathered {
        self.rows.pop().unwrap_or_default()
    }

    /// Takes rows back.
    pub(super) fn recycle_rows(&mut self, rows: Gathered) {
        self.rows.push(rows);
    }

    /// No moments yet.
    pub(super) fn moments(&mut self) -> Vec<u64> {
        let mut moments = self.moments.pop().unwrap_or_default();
        moments.clear();
        moments
    }

    /// Takes moments back.
    pub(super) fn recycle_moments(&mut self, moments: Vec<u64>) {
        self.moments.push(moments);
    }

    /// No chains yet.
    pub(super) fn chains(&mut self) -> Vec<Chain> {
        let mut chains = self.chains.pop().unwrap_or_default();
        chains.clear();
        chains
    }

    /// Takes chains back.
    pub(super) fn recycle_chains(&mut self, chains: [Vec<Chain>; 2]) {
        self.chains.extend(chains);
    }

    /// Takes counters back.
    pub(super) fn recycle_counters(&mut self, counters: Box<Counters>) {
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

    /// Ids as bits.
    pub(super) fn bits_of(&mut self, ids: Vec<u16>) -> Box<Bits> {
        let bits = self.filled(ContainerRef::Array(&ids));
        self.ids.push(ids);
        bits
    }

    /// The same ids in a buffer of their own.
    pub(super) fn copy_of(&mut self, ids: &[u16]) -> Vec<u16> {
        let mut copy = self.ids();
        copy.extend_from_slice(ids);
        copy
    }

    /// Sorts ids, and leaves of those that stand several times one.
    pub(super) fn sort(&mut self, ids: &mut Vec<u16>) {
        if ids.len() <= SORTED_MAX {
            ids.sort_unstable();
            return ids.dedup();
        }
        let bits = self.filled(ContainerRef::Array(ids));
        ids.clear();
        kernels::push_bits(&bits, kernels::count(&bits), ids);
        self.bits.push(bits);
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

    /// Takes the buffer of members back, where it is one.
    pub(crate) fn recycle_members(&mut self, members: Members<'_>) {
        if let Members::Own(set) = members {
            self.recycle(set);
        }
    }

    /// Takes the buffer of bits back, where it is one.
    pub(crate) fn recycle_bits(&mut self, bits: ChunkBits<'_>) {
        if let ChunkBits::Own(bits, _) = bits {
            self.bits.push(bits);
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

    /// What was found under a key for this chunk.
    pub(super) fn shared(&mut self, key: usize, chunk: usize) -> Option<ChunkSet> {
        let place = self.shared.iter().position(|(known, of, _)| *known == key && *of == chunk)?;
        match &self.shared[place].2 {
            ChunkSet::Ids(ids) => Some(ChunkSet::Ids(ids.clone())),
            ChunkSet::Bits(_) => {
                let mut copy = self.bits();
                if let ChunkSet::Bits(bits) = &self.shared[place].2 {
                    copy.copy_from_slice(&bits[..]);
                }
                Some(ChunkSet::Bits(copy))
            }
        }
    }

    /// Remembers what was found under a key for this chunk.
    pub(super) fn share(&mut self, key: usize, chunk: usize, set: &ChunkSet) {
        let found = (key, chunk, set.clone());
        match self.shared.iter_mut().find(|(known, ..)| *known == key) {
            Some(place) => *place = found,
            None => self.shared.push(found),
        }
    }
}
