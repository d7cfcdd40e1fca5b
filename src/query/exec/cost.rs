//! What a node costs in one chunk: computed for everyone at once, or looked up for a candidate.
//! Knows measured times; `exec` chooses by them, and no answer depends on them.
//!
//! Nanoseconds on one core of x86-64 servers with AVX-512 or AVX2, from the kernel benches; only their ratios matter.

use storage::column::{Codes, ColumnView};
use storage::container::ContainerRef;
use storage::ids::CHUNK_PAGES;

use super::StripeNode;
use crate::query::plan::ColumnTest;

/// What no other way costs as much as; a million of them still add up within 64 bits.
const FAR_TOO_MUCH_NS: u64 = 1 << 40;

/// Time of turning the bits of `count` members into ids.
pub(super) fn to_ids_ns(count: u32) -> u64 {
    900 + u64::from(count)
}

/// Time of marking a page by its codes, as a range or as a set: bytes at 25 GB/s, or one by one where no kernel is wide.
fn page_ns(column: &ColumnView<'_>, page: usize, is_range: bool) -> u64 {
    let page = column.page(page);
    match page.codes {
        Codes::Constant(_) => 10,
        Codes::U8(_) => 170,
        Codes::U16(_) if is_range || page.max_code < 1024 => 340,
        Codes::U16(_) => 4500,
        Codes::U32(_) => 700,
        Codes::U64(_) => 4000,
    }
}

/// Time of looking up the rows of one profile and what they come to: nothing of them is in the cache.
const OF_PROFILE_NS: u64 = 800;

/// Time of marking all pages of a chunk.
pub(super) fn pages_ns(column: &ColumnView<'_>, chunk: usize, is_range: bool) -> u64 {
    (chunk * CHUNK_PAGES..(chunk + 1) * CHUNK_PAGES).map(|page| page_ns(column, page, is_range)).sum()
}

/// Time of setting or clearing a container's ids in bits.
pub(super) fn container_ns(container: ContainerRef<'_>) -> u64 {
    match container {
        ContainerRef::Empty => 2,
        ContainerRef::Array(ids) => 60 + ids.len() as u64 * 4 / 5,
        ContainerRef::Bits(..) => 300,
        ContainerRef::Runs(runs, _) => 20 + runs.len() as u64 * 4,
    }
}

impl StripeNode<'_> {
    /// Time of working out a chunk's members as bits.
    pub(super) fn bits_ns(&self, chunk: usize) -> u64 {
        match self {
            StripeNode::Everyone | StripeNode::Nobody => 50,
            StripeNode::And(nodes) | StripeNode::Or(nodes) => nodes.iter().map(|n| n.bits_ns(chunk)).sum(),
            StripeNode::Not(inner) | StripeNode::Shared(_, inner) => inner.bits_ns(chunk) + 50,
            StripeNode::AmongLive(inner) => inner.bits_ns(chunk) + 300,
            StripeNode::Containers(containers) => container_ns(containers[chunk]),
            StripeNode::Values(leaf) => leaf.bits_ns(chunk),
            StripeNode::Column(leaf) => match leaf.known_count(chunk) {
                Some(_) => 100,
                None => pages_ns(&leaf.column, chunk, matches!(leaf.test, ColumnTest::Range(_))),
            },
            StripeNode::Lists(_) => FAR_TOO_MUCH_NS,
            StripeNode::Bucket(_) => 9000,
            StripeNode::Behaviour(leaf) => leaf.bits_ns(chunk),
            StripeNode::InOrder(leaf) => leaf.bits_ns(chunk),
        }
    }

    /// Time of working out a chunk's members, at most so many, as ids.
    pub(super) fn ids_ns(&self, chunk: usize, upper: u32) -> u64 {
        match self {
            StripeNode::Containers(containers) if !matches!(containers[chunk], ContainerRef::Bits(..)) => 50,
            node => node.bits_ns(chunk) + to_ids_ns(upper),
        }
    }

    /// Time of looking so many candidates up.
    pub(super) fn probes_ns(&self, chunk: usize, candidates: u64) -> u64 {
        match self {
            StripeNode::Everyone | StripeNode::Nobody => 0,
            StripeNode::And(nodes) | StripeNode::Or(nodes) => {
                nodes.iter().map(|n| n.probes_ns(chunk, candidates)).sum::<u64>() + candidates
            }
            StripeNode::Not(inner) | StripeNode::Shared(_, inner) | StripeNode::AmongLive(inner) => {
                inner.probes_ns(chunk, candidates)
            }
            StripeNode::Containers(containers) => match containers[chunk] {
                ContainerRef::Empty => 0,
                ContainerRef::Bits(..) => candidates,
                ContainerRef::Array(ids) => candidates * 7 / 10 + ids.len() as u64 / 10,
                ContainerRef::Runs(runs, _) => candidates * 2 + runs.len() as u64 * 2,
            },
            StripeNode::Values(_) | StripeNode::Column(_) => candidates * 5 / 2,
            StripeNode::Bucket(_) => candidates * 2,
            StripeNode::Lists(_) => candidates * 15,
            StripeNode::Behaviour(_) => candidates * OF_PROFILE_NS,
            StripeNode::InOrder(leaf) => candidates * OF_PROFILE_NS * leaf.steps.len() as u64,
        }
    }
}
