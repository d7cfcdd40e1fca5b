//! The fused evaluator: a plan over one stripe, chunk by chunk, without materialising what is only counted.
//! Knows containers, pages and kernels; knows no names and no threads.
//!
//! ```text
//!   Stripe::open   resolves each leaf to borrowed containers or pages of this stripe; what nobody has is pruned
//!   count          headers alone for what they say exactly; of an AND the bits of all dense leaves at once, in registers
//!   chunk          … a ChunkSet: ids where few can be in it (the smallest leaf drives, the rest is probed), else bits
//! ```
//! Invariant: every node is a subset of the live profiles; of what is not sure to be one, those among them.

mod behaviour;
mod by_profile;
mod cost;
mod in_order;
mod leaves;
mod owners;
mod pages;
mod resolve;
mod row_test;
mod rows;
mod sets;
mod spans;

use std::ops::Range;

use storage::View;
use storage::container::{ARRAY_MAX, Bits, ContainerRef};
use storage::ids::{CHUNK_PROFILES, KNOWN, STRIPE_CHUNKS, STRIPE_PROFILES};

use super::error::Result;
use super::kernels;
use super::plan::Node;
use behaviour::{BehaviourLeaf, among_live};
use in_order::InOrderLeaf;
use leaves::{BucketLeaf, ColumnLeaf, ListsLeaf, ValuesLeaf};
pub(crate) use owners::owners_kept;
pub(crate) use pages::UNKNOWN;
pub(crate) use row_test::window_of;
pub(crate) use rows::{Gathered, Order, RowPage, RowsRun};
pub(crate) use sets::{ChunkBits, ChunkSet, Members, MembersRef, Scratch};

/// An OR that holds at most so many is kept as ids.
const OR_IDS_MAX: u32 = 2048;

/// A share of work: some chunks of one stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) stripe: usize,
    /// By number in the stripe.
    pub(crate) chunks: Range<usize>,
}

impl Share {
    /// All of a stripe.
    pub(crate) fn whole(stripe: usize) -> Share {
        Share { stripe, chunks: 0..STRIPE_CHUNKS }
    }

    /// Of chunks by their numbers in the space, all of one stripe.
    pub(crate) fn of(chunks: Range<usize>) -> Share {
        let (stripe, count) = (chunks.start / STRIPE_CHUNKS, chunks.len());
        let first = chunks.start % STRIPE_CHUNKS;
        Share { stripe, chunks: first..first + count }
    }

    /// The first OneID of a chunk.
    pub(crate) fn first_one_id(&self, chunk: usize) -> u32 {
        self.stripe as u32 * STRIPE_PROFILES + first_of(chunk)
    }
}

/// A plan resolved against one stripe, for some of its chunks.
pub(crate) struct Stripe<'a> {
    chunks: Range<usize>,
    live: [ContainerRef<'a>; STRIPE_CHUNKS],
    root: StripeNode<'a>,
}

enum StripeNode<'a> {
    Everyone,
    Nobody,
    And(Vec<StripeNode<'a>>),
    Or(Vec<StripeNode<'a>>),
    Not(Box<StripeNode<'a>>),
    Containers(Box<[ContainerRef<'a>; STRIPE_CHUNKS]>),
    Values(Box<ValuesLeaf<'a>>),
    Column(Box<ColumnLeaf<'a>>),
    Lists(ListsLeaf<'a>),
    Bucket(BucketLeaf),
    Behaviour(Box<BehaviourLeaf<'a>>),
    InOrder(Box<InOrderLeaf<'a>>),
    /// Those that live of some containers, columns, or an OR of them, which may hold profiles that are gone. Looked up for
    /// who lives it is the same with them.
    AmongLive(Box<StripeNode<'a>>),
    /// What stands in several places of the plan: found once a chunk, under its key.
    Shared(usize, Box<StripeNode<'a>>),
}

/// An AND on its way: the bits of its dense leaves, still where they lie, and what has been worked out of the rest.
enum Conjunction<'a> {
    Ids(Vec<u16>),
    Terms(Vec<kernels::Term<'a>>, Option<Box<Bits>>),
}

impl<'a> Stripe<'a> {
    /// Resolves a plan's leaves for a share of one stripe; verifies the parts that it touches, once each.
    ///
    /// # Errors
    /// Damage of the store.
    pub(crate) fn open(view: &'a View, plan: &'a Node, share: &Share) -> Result<Stripe<'a>> {
        let live = view.live().stripe(share.stripe).bitmaps()?.value(KNOWN).containers;
        let root = resolve::resolve(view, plan, share)?;
        Ok(Stripe { chunks: share.chunks.clone(), live, root })
    }

    /// Whether nobody of the stripe can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.root, StripeNode::Nobody)
    }

    /// How many of the share are in it.
    pub(crate) fn count(&self, scratch: &mut Scratch) -> u64 {
        if self.is_empty() {
            return 0;
        }
        scratch.forget_shared();
        let chunks = self.chunks.clone();
        chunks.map(|chunk| u64::from(self.count_node(&self.root, chunk, scratch))).sum()
    }

    /// Who of a chunk is in it; `None` is nobody.
    pub(crate) fn chunk(&self, chunk: usize, scratch: &mut Scratch) -> Option<ChunkSet> {
        let set = self.found(chunk, scratch)?;
        if set.count() == 0 {
            scratch.recycle(set);
            return None;
        }
        Some(set)
    }

    /// Who of a chunk is in it; `None` where nobody can be.
    fn found(&self, chunk: usize, scratch: &mut Scratch) -> Option<ChunkSet> {
        if self.upper(&self.root, chunk) == 0 {
            return None;
        }
        scratch.forget_shared();
        Some(self.eval(&self.root, chunk, scratch))
    }

    /// Who of a chunk is in it, to be read where they lie if the whole plan is a leaf that has them; `None` is nobody.
    pub(crate) fn members(&self, chunk: usize, scratch: &mut Scratch) -> Option<Members<'a>> {
        match self.leaf(chunk) {
            Some(ContainerRef::Array(ids)) => Some(Members::LentIds(ids)),
            Some(ContainerRef::Bits(bits, count)) => Some(Members::LentBits(bits, count)),
            _ => self.chunk(chunk, scratch).map(Members::Own),
        }
    }

    /// The container of a chunk where the whole plan is a leaf that has one.
    fn leaf(&self, chunk: usize) -> Option<ContainerRef<'a>> {
        match &self.root {
            StripeNode::Containers(containers) => Some(containers[chunk]),
            _ => None,
        }
    }

    /// Who of a chunk is in it, as bits wherever those lie.
    pub(crate) fn chunk_bits(&self, chunk: usize, scratch: &mut Scratch) -> ChunkBits<'a> {
        if let Some(ContainerRef::Bits(bits, count)) = self.leaf(chunk) {
            return ChunkBits::Lent(bits, count);
        }
        let Some(set) = self.found(chunk, scratch) else { return ChunkBits::NOBODY };
        let count = self.known_count(&self.root, chunk).unwrap_or_else(|| set.count());
        let bits = match set {
            ChunkSet::Bits(bits) => bits,
            ChunkSet::Ids(ids) => scratch.bits_of(ids),
        };
        ChunkBits::Own(bits, count)
    }

    fn live_count(&self, chunk: usize) -> u32 {
        self.live[chunk].cardinality()
    }

    /// How many of a chunk are in a node, where headers say it.
    fn known_count(&self, node: &StripeNode<'_>, chunk: usize) -> Option<u32> {
        match node {
            StripeNode::Nobody => Some(0),
            StripeNode::Everyone => Some(self.live_count(chunk)),
            StripeNode::Containers(containers) => Some(containers[chunk].cardinality()),
            StripeNode::Values(leaf) => leaf.known_count(chunk),
            StripeNode::Column(leaf) => leaf.known_count(chunk),
            StripeNode::Not(inner) => Some(self.live_count(chunk) - self.known_count(inner, chunk)?),
            StripeNode::AmongLive(inner) if self.live_count(chunk) == CHUNK_PROFILES => self.known_count(inner, chunk),
            _ => None,
        }
    }

    /// At most how many of a chunk are in a node; from headers alone.
    fn upper(&self, node: &StripeNode<'_>, chunk: usize) -> u32 {
        let live = self.live_count(chunk);
        match node {
            StripeNode::And(nodes) => nodes.iter().map(|n| self.upper(n, chunk)).min().unwrap_or(0),
            StripeNode::Or(nodes) => {
                let sum = nodes.iter().fold(0u32, |sum, n| sum.saturating_add(self.upper(n, chunk)));
                sum.min(live)
            }
            StripeNode::Shared(_, inner) => self.upper(inner, chunk),
            StripeNode::AmongLive(inner) => self.upper(inner, chunk).min(live),
            StripeNode::Values(leaf) => leaf.upper(chunk).min(live),
            StripeNode::Column(leaf) => leaf.upper(chunk).min(live),
            StripeNode::Behaviour(leaf) => leaf.upper(chunk).min(live),
            StripeNode::InOrder(leaf) => leaf.upper(chunk).min(live),
            node => self.known_count(node, chunk).unwrap_or(live),
        }
    }

    fn count_node(&self, node: &StripeNode<'a>, chunk: usize, scratch: &mut Scratch) -> u32 {
        if let Some(count) = self.known_count(node, chunk) {
            return count;
        }
        match node {
            StripeNode::Not(inner) => self.live_count(chunk) - self.count_node(inner, chunk, scratch),
            StripeNode::And(nodes) => self.count_and(nodes, chunk, scratch),
            node if self.upper(node, chunk) == 0 => 0,
            node => {
                let set = self.eval(node, chunk, scratch);
                let count = set.count();
                scratch.recycle(set);
                count
            }
        }
    }

    fn eval(&self, node: &StripeNode<'a>, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        match node {
            StripeNode::Nobody => scratch.set_of(ContainerRef::Empty),
            StripeNode::Everyone => scratch.set_of(self.live[chunk]),
            StripeNode::Containers(containers) => scratch.set_of(containers[chunk]),
            StripeNode::Not(inner) => {
                let mut bits = scratch.bits();
                kernels::fill(self.live[chunk], &mut bits);
                self.remove(inner, chunk, &mut bits, scratch);
                ChunkSet::Bits(bits)
            }
            StripeNode::And(nodes) => match self.conjunction(nodes, chunk, cost::to_ids_ns(0), scratch) {
                Conjunction::Ids(ids) => ChunkSet::Ids(ids),
                Conjunction::Terms(mut terms, worked_out) => {
                    ChunkSet::Bits(self.settled(&mut terms, worked_out, scratch))
                }
            },
            StripeNode::Or(nodes) => self.eval_or(nodes, chunk, scratch),
            StripeNode::Values(leaf) => leaf.eval(chunk, scratch),
            StripeNode::Column(leaf) => leaf.eval(chunk, scratch),
            StripeNode::Behaviour(leaf) => leaf.eval(chunk, scratch),
            StripeNode::InOrder(leaf) => leaf.eval(chunk, scratch),
            StripeNode::Lists(_) | StripeNode::Bucket(_) => {
                let mut bits = scratch.bits();
                kernels::fill(self.live[chunk], &mut bits);
                self.intersect(node, chunk, &mut bits, scratch);
                ChunkSet::Bits(bits)
            }
            StripeNode::AmongLive(inner) => {
                let set = self.eval(inner, chunk, scratch);
                among_live(set, self.live[chunk], scratch)
            }
            StripeNode::Shared(key, inner) => {
                if let Some(set) = scratch.shared(*key, chunk) {
                    return set;
                }
                let set = self.eval(inner, chunk, scratch);
                scratch.share(*key, chunk, &set);
                set
            }
        }
    }

    fn count_and(&self, nodes: &[StripeNode<'a>], chunk: usize, scratch: &mut Scratch) -> u32 {
        // Two sets of ids, or one and bits: counted where they lie.
        if let [StripeNode::Containers(a), StripeNode::Containers(b)] = nodes {
            match (a[chunk], b[chunk]) {
                (ContainerRef::Array(ids), other) | (other, ContainerRef::Array(ids)) => {
                    return kernels::count_in_ids(other, ids);
                }
                (ContainerRef::Bits(bits, _), other @ ContainerRef::Runs(..))
                | (other @ ContainerRef::Runs(..), ContainerRef::Bits(bits, _)) => {
                    return kernels::count_in_bits(other, bits);
                }
                _ => {}
            }
        }
        if let Some(count) = self.count_dense(nodes, chunk) {
            return count;
        }
        match self.conjunction(nodes, chunk, 0, scratch) {
            Conjunction::Ids(ids) => {
                let count = ids.len() as u32;
                scratch.recycle(ChunkSet::Ids(ids));
                count
            }
            Conjunction::Terms(mut terms, worked_out) => {
                terms.extend(worked_out.as_deref().map(|bits| (bits, 0)));
                let count = kernels::and_terms_count(&terms);
                worked_out.into_iter().for_each(|bits| scratch.recycle(ChunkSet::Bits(bits)));
                count
            }
        }
    }

    /// The commonest case without its preparations: every child is dense here, and one of them is not left out.
    fn count_dense(&self, nodes: &[StripeNode<'a>], chunk: usize) -> Option<u32> {
        let mut terms: [kernels::Term<'a>; kernels::TERMS_MAX] = [nodes.first()?.dense(chunk)?; kernels::TERMS_MAX];
        let terms = terms.get_mut(..nodes.len())?;
        for (term, node) in terms.iter_mut().zip(nodes) {
            *term = node.dense(chunk)?;
        }
        terms.iter().any(|(_, invert)| *invert == 0).then(|| kernels::and_terms_count(terms))
    }

    /// Few can be in it: the smallest child drives and the others are probed. Many: dense leaves are left where they
    /// lie for one pass over all of them, and the rest is worked out for those that are still in. `as_ids_ns` is what
    /// it costs the caller if few are given as bits.
    fn conjunction(
        &self,
        nodes: &[StripeNode<'a>],
        chunk: usize,
        as_ids_ns: u64,
        scratch: &mut Scratch,
    ) -> Conjunction<'a> {
        let uppers = nodes.iter().map(|n| self.upper(n, chunk));
        let Some((driver, upper)) = uppers.enumerate().min_by_key(|(_, upper)| *upper) else {
            return Conjunction::Ids(scratch.ids());
        };
        if upper == 0 {
            return Conjunction::Ids(scratch.ids());
        }
        let bits_ns = || nodes.iter().map(|n| n.bits_ns(chunk)).sum::<u64>();
        let driven_ns = || nodes[driver].ids_ns(chunk, upper) + self.probes_ns(nodes, driver, upper, chunk);
        if upper as usize <= ARRAY_MAX && driven_ns() <= bits_ns() + as_ids_ns {
            let mut ids = self.eval_ids(&nodes[driver], chunk, scratch);
            let others = nodes.iter().enumerate().filter(|(at, _)| *at != driver).map(|(_, n)| n);
            self.probe(others, chunk, &mut ids, scratch);
            return Conjunction::Ids(ids);
        }
        let live = self.live_count(chunk);
        let is_everyone = |node: &StripeNode<'a>| self.known_count(node, chunk) == Some(live);
        let mut terms: Vec<kernels::Term<'a>> = nodes.iter().filter_map(|n| n.dense(chunk)).collect();
        let rest = nodes.iter().filter(|n| n.dense(chunk).is_none() && !is_everyone(n));
        let mut rest: Vec<(u64, &StripeNode<'a>)> = rest.map(|n| (n.bits_ns(chunk), n)).collect();
        rest.sort_by_key(|(cost_ns, _)| *cost_ns);
        let mut cost_ns: u64 = rest.iter().map(|(cost_ns, _)| cost_ns).sum();
        let mut worked_out: Option<Box<Bits>> = None;
        // A NOT leaves out only whom something else has let in.
        if terms.iter().all(|(_, invert)| *invert != 0) {
            match self.live[chunk] {
                ContainerRef::Bits(bits, _) => terms.push((bits, 0)),
                live => worked_out = Some(scratch.filled(live)),
            }
        }
        let mut rest = rest.into_iter();
        // Probing is weighed anew only once the candidates have halved, or many children would weigh each other.
        let mut weighed_at = u32::MAX;
        loop {
            if cost_ns > cost::to_ids_ns(0) {
                let bits = self.settled(&mut terms, worked_out.take(), scratch);
                let left = kernels::count(&bits);
                if left <= weighed_at / 2 {
                    weighed_at = left;
                    let probes_ns: u64 = rest.as_slice().iter().map(|(_, n)| n.probes_ns(chunk, left.into())).sum();
                    if cost::to_ids_ns(left) + probes_ns < cost_ns {
                        let mut ids = scratch.ids();
                        kernels::push_bits(&bits, left, &mut ids);
                        scratch.recycle(ChunkSet::Bits(bits));
                        self.probe(rest.map(|(_, n)| n), chunk, &mut ids, scratch);
                        return Conjunction::Ids(ids);
                    }
                }
                worked_out = Some(bits);
            }
            let Some((node_ns, node)) = rest.next() else { return Conjunction::Terms(terms, worked_out) };
            cost_ns -= node_ns;
            match worked_out.take() {
                Some(mut bits) => {
                    self.intersect(node, chunk, &mut bits, scratch);
                    worked_out = Some(bits);
                }
                // Nothing was worked out yet: it joins the one pass over the dense leaves.
                None => worked_out = Some(self.eval_bits(node, chunk, scratch)),
            }
        }
    }

    /// Time of looking the driver's members up in all other children, each of which leaves about its share of them.
    fn probes_ns(&self, nodes: &[StripeNode<'a>], driver: usize, upper: u32, chunk: usize) -> u64 {
        let live = u64::from(self.live_count(chunk)).max(1);
        let (mut left, mut sum_ns) = (u64::from(upper), 0);
        for node in nodes.iter().enumerate().filter(|(at, _)| *at != driver).map(|(_, n)| n) {
            sum_ns += node.probes_ns(chunk, left);
            left = left * u64::from(self.upper(node, chunk)) / live + 1;
        }
        sum_ns
    }

    /// The AND of all that was found so far, as bits of its own; no terms are left.
    fn settled(
        &self,
        terms: &mut Vec<kernels::Term<'a>>,
        worked_out: Option<Box<Bits>>,
        scratch: &mut Scratch,
    ) -> Box<Bits> {
        let bits = match worked_out {
            Some(bits) if terms.is_empty() => bits,
            Some(bits) => {
                let mut all = scratch.bits();
                let joined: Vec<_> = terms.iter().copied().chain([(&*bits, 0)]).collect();
                kernels::and_terms(&joined, &mut all);
                scratch.recycle(ChunkSet::Bits(bits));
                all
            }
            None => {
                let mut all = scratch.bits();
                kernels::and_terms(terms, &mut all);
                all
            }
        };
        terms.clear();
        bits
    }

    fn probe<'n>(
        &self,
        nodes: impl Iterator<Item = &'n StripeNode<'a>>,
        chunk: usize,
        ids: &mut Vec<u16>,
        scratch: &mut Scratch,
    ) where
        'a: 'n,
    {
        for node in nodes {
            if ids.is_empty() {
                return;
            }
            self.filter(node, chunk, true, ids, scratch);
        }
    }

    fn eval_ids(&self, node: &StripeNode<'a>, chunk: usize, scratch: &mut Scratch) -> Vec<u16> {
        match self.eval(node, chunk, scratch) {
            ChunkSet::Ids(ids) => ids,
            ChunkSet::Bits(bits) => {
                let mut ids = scratch.ids();
                kernels::push_bits(&bits, kernels::count(&bits), &mut ids);
                scratch.recycle(ChunkSet::Bits(bits));
                ids
            }
        }
    }

    fn eval_bits(&self, node: &StripeNode<'a>, chunk: usize, scratch: &mut Scratch) -> Box<Bits> {
        match self.eval(node, chunk, scratch) {
            ChunkSet::Bits(bits) => bits,
            ChunkSet::Ids(ids) => scratch.bits_of(ids),
        }
    }

    fn eval_or(&self, nodes: &[StripeNode<'a>], chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let upper = nodes.iter().fold(0u32, |sum, n| sum.saturating_add(self.upper(n, chunk)));
        if upper <= OR_IDS_MAX {
            let mut ids = scratch.ids();
            for node in nodes {
                let mut more = self.eval_ids(node, chunk, scratch);
                ids.append(&mut more);
                scratch.recycle(ChunkSet::Ids(more));
            }
            scratch.sort(&mut ids);
            return ChunkSet::Ids(ids);
        }
        let mut bits = scratch.bits();
        bits.fill(0);
        let dense: Vec<&Bits> =
            nodes.iter().filter_map(|n| n.dense(chunk)).filter(|(_, invert)| *invert == 0).map(|(b, _)| b).collect();
        kernels::or_all(&dense, &mut bits);
        for node in nodes.iter().filter(|n| n.dense(chunk).is_none_or(|(_, invert)| invert != 0)) {
            match node {
                StripeNode::Containers(containers) => containers[chunk].or_into(&mut bits),
                StripeNode::Values(leaf) => leaf.or_into(chunk, &mut bits),
                other => {
                    let set = self.eval(other, chunk, scratch);
                    kernels::or_container(set.as_container(), &mut bits);
                    scratch.recycle(set);
                }
            }
        }
        ChunkSet::Bits(bits)
    }

    /// `bits &= node`.
    fn intersect(&self, node: &StripeNode<'a>, chunk: usize, bits: &mut Bits, scratch: &mut Scratch) {
        match node {
            StripeNode::Everyone => {}
            StripeNode::Not(inner) => self.remove(inner, chunk, bits, scratch),
            StripeNode::AmongLive(inner) => self.intersect(inner, chunk, bits, scratch),
            StripeNode::Column(leaf) => leaf.intersect(chunk, bits),
            StripeNode::Values(leaf) if leaf.is_by_column(chunk) => leaf.intersect(chunk, bits),
            StripeNode::Lists(leaf) => leaf.intersect(chunk, bits),
            StripeNode::Bucket(leaf) => leaf.intersect(chunk, bits),
            other => {
                let set = self.eval(other, chunk, scratch);
                match &set {
                    ChunkSet::Bits(more) => kernels::and_assign(bits, more),
                    ChunkSet::Ids(ids) => {
                        let more = scratch.filled(ContainerRef::Array(ids));
                        kernels::and_assign(bits, &more);
                        scratch.recycle(ChunkSet::Bits(more));
                    }
                }
                scratch.recycle(set);
            }
        }
    }

    /// `bits &= !node`.
    fn remove(&self, node: &StripeNode<'a>, chunk: usize, bits: &mut Bits, scratch: &mut Scratch) {
        match node {
            StripeNode::Nobody => {}
            StripeNode::Everyone => bits.fill(0),
            StripeNode::Or(nodes) => nodes.iter().for_each(|n| self.remove(n, chunk, bits, scratch)),
            StripeNode::AmongLive(inner) => self.remove(inner, chunk, bits, scratch),
            StripeNode::Containers(containers) => match containers[chunk] {
                ContainerRef::Empty => {}
                ContainerRef::Bits(more, _) => kernels::and_not_assign(bits, more),
                ContainerRef::Array(ids) => kernels::and_not_ids(bits, ids),
                runs @ ContainerRef::Runs(..) => {
                    let more = scratch.filled(runs);
                    kernels::and_not_assign(bits, &more);
                    scratch.recycle(ChunkSet::Bits(more));
                }
            },
            StripeNode::Lists(_) | StripeNode::Bucket(_) | StripeNode::Column(_) => {
                // Only the candidates are looked at.
                let mut passing = scratch.bits();
                passing.copy_from_slice(&bits[..]);
                self.intersect(node, chunk, &mut passing, scratch);
                kernels::and_not_assign(bits, &passing);
                scratch.recycle(ChunkSet::Bits(passing));
            }
            other => {
                let set = self.eval(other, chunk, scratch);
                match &set {
                    ChunkSet::Ids(ids) => kernels::and_not_ids(bits, ids),
                    ChunkSet::Bits(more) => kernels::and_not_assign(bits, more),
                }
                scratch.recycle(set);
            }
        }
    }

    /// Keeps the ids that are in a node, or those that are not.
    fn filter(&self, node: &StripeNode<'a>, chunk: usize, keep: bool, ids: &mut Vec<u16>, scratch: &mut Scratch) {
        match node {
            StripeNode::Everyone if keep => {}
            StripeNode::Nobody if !keep => {}
            StripeNode::Everyone | StripeNode::Nobody => ids.clear(),
            StripeNode::Containers(containers) => scratch.retain(containers[chunk], keep, ids),
            StripeNode::Not(inner) => self.filter(inner, chunk, !keep, ids, scratch),
            StripeNode::AmongLive(inner) => self.filter(inner, chunk, keep, ids, scratch),
            StripeNode::And(nodes) if keep => self.probe(nodes.iter(), chunk, ids, scratch),
            StripeNode::Or(nodes) if !keep => nodes.iter().for_each(|n| self.filter(n, chunk, false, ids, scratch)),
            StripeNode::And(nodes) => {
                let mut inside = scratch.copy_of(ids);
                self.probe(nodes.iter(), chunk, &mut inside, scratch);
                scratch.retain(ContainerRef::Array(&inside), false, ids);
                scratch.recycle(ChunkSet::Ids(inside));
            }
            StripeNode::Or(nodes) => {
                let mut outside = scratch.copy_of(ids);
                nodes.iter().for_each(|n| self.filter(n, chunk, false, &mut outside, scratch));
                scratch.retain(ContainerRef::Array(&outside), false, ids);
                scratch.recycle(ChunkSet::Ids(outside));
            }
            StripeNode::Values(leaf) => leaf.filter(chunk, keep, ids),
            StripeNode::Column(leaf) => leaf.filter(chunk, keep, ids),
            StripeNode::Lists(leaf) => leaf.filter(chunk, keep, ids),
            StripeNode::Bucket(leaf) => leaf.filter(chunk, keep, ids),
            StripeNode::Behaviour(leaf) => leaf.filter(chunk, keep, ids, scratch),
            StripeNode::InOrder(leaf) => leaf.filter(chunk, keep, ids, scratch),
            StripeNode::Shared(key, inner) => match scratch.shared(*key, chunk) {
                Some(set) => {
                    scratch.retain(set.as_container(), keep, ids);
                    scratch.recycle(set);
                }
                None => self.filter(inner, chunk, keep, ids, scratch),
            },
        }
    }
}

impl<'a> StripeNode<'a> {
    /// The bits of a dense leaf, or of what a NOT leaves out.
    fn dense(&self, chunk: usize) -> Option<kernels::Term<'a>> {
        match self {
            StripeNode::Containers(containers) => match containers[chunk] {
                ContainerRef::Bits(bits, _) => Some((bits, 0)),
                _ => None,
            },
            StripeNode::Not(inner) => match &**inner {
                StripeNode::Containers(containers) => match containers[chunk] {
                    ContainerRef::Bits(bits, _) => Some((bits, u64::MAX)),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

/// First OneID of a chunk within its stripe.
fn first_of(chunk: usize) -> u32 {
    chunk as u32 * CHUNK_PROFILES
}
