//! The fused evaluator: a plan over one stripe, chunk by chunk, without materialising what is only counted.
//! Knows containers, pages and kernels; knows no names and no threads.
//!
//! ```text
//!   Stripe::open   resolves each leaf to borrowed containers or pages of this stripe; what nobody has is pruned
//!   count_chunk    headers alone for a bare leaf, popcount of an AND in registers, else the size of …
//!   chunk          … a ChunkSet: ids where few can be in it (the smallest leaf drives, the rest is probed), else bits
//! ```
//! Invariant: every node is a subset of the live profiles.

use storage::View;
use storage::column::ColumnView;
use storage::container::{ARRAY_MAX, Bits, Container, ContainerRef, count_bits};
use storage::ids::{
    CHUNK_PAGES, CHUNK_PROFILES, CHUNK_WORDS, KNOWN, PAGE_PROFILES, PAGE_WORDS, STRIPE_CHUNKS, STRIPE_PROFILES,
};
use storage::lists::ListsView;

use super::error::Result;
use super::kernels::{self, PageBits};
use super::plan::{ColumnTest, Leaf, LeafKind, Node};

/// Below so many candidates the rest of an AND is probed id by id rather than computed a chunk at a time.
const PROBE_BELOW: u32 = 2048;

/// A plan resolved against one stripe.
pub(crate) struct Stripe<'a> {
    live: [ContainerRef<'a>; STRIPE_CHUNKS],
    root: StripeNode<'a>,
    first_one_id: u32,
}

enum StripeNode<'a> {
    Everyone,
    Nobody,
    And(Vec<StripeNode<'a>>),
    Or(Vec<StripeNode<'a>>),
    Not(Box<StripeNode<'a>>),
    Containers(Box<[ContainerRef<'a>; STRIPE_CHUNKS]>),
    Test(Test<'a>),
}

enum Test<'a> {
    Column(ColumnView<'a>, &'a ColumnTest),
    Lists(ListsView<'a>, &'a [u32]),
    Bucket { seed: u64, of: u32, range: super::number::Range },
}

/// The members of one chunk.
#[derive(Debug)]
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
            ChunkSet::Bits(bits) => count_bits(bits),
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

    /// The set as a container of its own.
    pub(crate) fn into_container(self) -> Container {
        match self {
            ChunkSet::Ids(ids) if ids.len() <= ARRAY_MAX => Container::Array(ids),
            ChunkSet::Ids(ids) => ContainerRef::Array(&ids).to_container(),
            ChunkSet::Bits(bits) => {
                let count = count_bits(&bits);
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

/// Buffers that are used again from chunk to chunk.
#[derive(Default)]
pub(crate) struct Scratch {
    bits: Vec<Box<Bits>>,
    ids: Vec<Vec<u16>>,
}

impl Scratch {
    fn bits(&mut self) -> Box<Bits> {
        self.bits.pop().unwrap_or_else(|| Box::new([0; CHUNK_WORDS]))
    }

    fn ids(&mut self) -> Vec<u16> {
        let mut ids = self.ids.pop().unwrap_or_default();
        ids.clear();
        ids
    }

    /// Takes a set's buffer back.
    pub(crate) fn recycle(&mut self, set: ChunkSet) {
        match set {
            ChunkSet::Ids(ids) => self.ids.push(ids),
            ChunkSet::Bits(bits) => self.bits.push(bits),
        }
    }

    fn set_of(&mut self, container: ContainerRef<'_>) -> ChunkSet {
        match container {
            ContainerRef::Empty | ContainerRef::Array(_) => {
                let mut ids = self.ids();
                container.push_ids(&mut ids);
                ChunkSet::Ids(ids)
            }
            other => {
                let mut bits = self.bits();
                kernels::fill(other, &mut bits);
                ChunkSet::Bits(bits)
            }
        }
    }
}

impl<'a> Stripe<'a> {
    /// Resolves a plan's leaves in one stripe; verifies the parts that it touches, once each.
    ///
    /// # Errors
    /// Damage of the store.
    pub(crate) fn open(view: &'a View, plan: &'a Node, stripe: usize) -> Result<Stripe<'a>> {
        let live = view.live().stripe(stripe).bitmaps()?.value(KNOWN).containers;
        let root = resolve(view, plan, stripe)?;
        Ok(Stripe { live, root, first_one_id: stripe as u32 * STRIPE_PROFILES })
    }

    /// Whether nobody of the stripe can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.root, StripeNode::Nobody)
    }

    /// How many of the stripe are in it.
    pub(crate) fn count(&self, scratch: &mut Scratch) -> u64 {
        if self.is_empty() {
            return 0;
        }
        (0..STRIPE_CHUNKS).map(|chunk| u64::from(self.count_node(&self.root, chunk, scratch))).sum()
    }

    /// Who of a chunk is in it; `None` is nobody.
    pub(crate) fn chunk(&self, chunk: usize, scratch: &mut Scratch) -> Option<ChunkSet> {
        if self.upper(&self.root, chunk) == 0 {
            return None;
        }
        let set = self.eval(&self.root, chunk, scratch);
        if set.count() == 0 {
            scratch.recycle(set);
            return None;
        }
        Some(set)
    }

    fn live_count(&self, chunk: usize) -> u32 {
        self.live[chunk].cardinality()
    }

    /// At most how many of a chunk are in a node; from headers alone.
    fn upper(&self, node: &StripeNode<'_>, chunk: usize) -> u32 {
        match node {
            StripeNode::Nobody => 0,
            StripeNode::Everyone => self.live_count(chunk),
            StripeNode::Containers(containers) => containers[chunk].cardinality(),
            StripeNode::Test(Test::Column(column, test)) if !self.may_pass(column, test, chunk) => 0,
            StripeNode::Test(_) => self.live_count(chunk),
            StripeNode::And(nodes) => nodes.iter().map(|n| self.upper(n, chunk)).min().unwrap_or(0),
            StripeNode::Or(nodes) => {
                let sum = nodes.iter().fold(0u32, |sum, n| sum.saturating_add(self.upper(n, chunk)));
                sum.min(self.live_count(chunk))
            }
            StripeNode::Not(node) => match &**node {
                StripeNode::Containers(containers) => self.live_count(chunk) - containers[chunk].cardinality(),
                _ => self.live_count(chunk),
            },
        }
    }

    /// Whether any page of a chunk can hold a value that passes; by the pages' bounds.
    fn may_pass(&self, column: &ColumnView<'_>, test: &ColumnTest, chunk: usize) -> bool {
        (0..CHUNK_PAGES).any(|page| {
            let page = column.page(chunk * CHUNK_PAGES + page);
            code_range(&page, test).is_some()
        })
    }

    fn count_node(&self, node: &StripeNode<'_>, chunk: usize, scratch: &mut Scratch) -> u32 {
        match node {
            StripeNode::Everyone | StripeNode::Nobody | StripeNode::Containers(_) => self.upper(node, chunk),
            StripeNode::Not(inner) => self.live_count(chunk) - self.count_node(inner, chunk, scratch),
            StripeNode::And(nodes) => {
                if let [StripeNode::Containers(a), StripeNode::Containers(b)] = &nodes[..] {
                    match (a[chunk], b[chunk]) {
                        (ContainerRef::Bits(a, _), b) => return kernels::count_in_bits(b, a),
                        (a, ContainerRef::Bits(b, _)) => return kernels::count_in_bits(a, b),
                        (ContainerRef::Array(a), b) => return kernels::count_in_ids(b, a),
                        (a, ContainerRef::Array(b)) => return kernels::count_in_ids(a, b),
                        _ => {}
                    }
                }
                self.count_set(node, chunk, scratch)
            }
            StripeNode::Or(_) | StripeNode::Test(_) => self.count_set(node, chunk, scratch),
        }
    }

    fn count_set(&self, node: &StripeNode<'_>, chunk: usize, scratch: &mut Scratch) -> u32 {
        if self.upper(node, chunk) == 0 {
            return 0;
        }
        let set = self.eval(node, chunk, scratch);
        let count = set.count();
        scratch.recycle(set);
        count
    }

    fn eval(&self, node: &StripeNode<'_>, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
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
            StripeNode::And(nodes) => self.eval_and(nodes, chunk, scratch),
            StripeNode::Or(nodes) => self.eval_or(nodes, chunk, scratch),
            StripeNode::Test(test) => {
                let mut bits = scratch.bits();
                kernels::fill(self.live[chunk], &mut bits);
                self.and_test(test, chunk, &mut bits);
                ChunkSet::Bits(bits)
            }
        }
    }

    /// Few can be in it: the smallest child drives and the others are probed. Many: all dense children at once.
    fn eval_and(&self, nodes: &[StripeNode<'_>], chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let uppers = nodes.iter().map(|n| self.upper(n, chunk));
        let Some((driver, upper)) = uppers.enumerate().min_by_key(|(_, upper)| *upper) else {
            return scratch.set_of(ContainerRef::Empty);
        };
        if upper == 0 {
            return scratch.set_of(ContainerRef::Empty);
        }
        if upper as usize <= ARRAY_MAX {
            let mut ids = self.eval_ids(&nodes[driver], chunk, scratch);
            self.probe(
                nodes.iter().enumerate().filter(|(at, _)| *at != driver).map(|(_, n)| n),
                chunk,
                &mut ids,
                scratch,
            );
            return ChunkSet::Ids(ids);
        }
        let mut bits = scratch.bits();
        let dense: Vec<&Bits> = nodes.iter().filter_map(|n| n.dense(chunk)).collect();
        if dense.is_empty() {
            kernels::fill(self.live[chunk], &mut bits);
        } else {
            kernels::and_all(&dense, &mut bits);
        }
        let mut rest = nodes.iter().filter(|n| n.dense(chunk).is_none());
        while let Some(node) = rest.next() {
            if node.is_composed() && count_bits(&bits) <= PROBE_BELOW {
                let mut ids = scratch.ids();
                kernels::for_each_bit(&bits, |low| ids.push(low));
                scratch.bits.push(bits);
                self.probe(std::iter::once(node).chain(rest), chunk, &mut ids, scratch);
                return ChunkSet::Ids(ids);
            }
            self.intersect(node, chunk, &mut bits, scratch);
        }
        ChunkSet::Bits(bits)
    }

    fn probe<'n>(
        &self,
        nodes: impl Iterator<Item = &'n StripeNode<'n>>,
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

    fn eval_ids(&self, node: &StripeNode<'_>, chunk: usize, scratch: &mut Scratch) -> Vec<u16> {
        match self.eval(node, chunk, scratch) {
            ChunkSet::Ids(ids) => ids,
            ChunkSet::Bits(bits) => {
                let mut ids = scratch.ids();
                kernels::for_each_bit(&bits, |low| ids.push(low));
                scratch.bits.push(bits);
                ids
            }
        }
    }

    fn eval_or(&self, nodes: &[StripeNode<'_>], chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let upper = nodes.iter().fold(0u32, |sum, n| sum.saturating_add(self.upper(n, chunk)));
        if upper <= PROBE_BELOW {
            let mut ids = scratch.ids();
            for node in nodes {
                let mut more = self.eval_ids(node, chunk, scratch);
                ids.append(&mut more);
                scratch.ids.push(more);
            }
            ids.sort_unstable();
            ids.dedup();
            return ChunkSet::Ids(ids);
        }
        let mut bits = scratch.bits();
        bits.fill(0);
        for node in nodes {
            match node {
                StripeNode::Containers(containers) => containers[chunk].or_into(&mut bits),
                other => {
                    let set = self.eval(other, chunk, scratch);
                    match &set {
                        ChunkSet::Ids(ids) => ContainerRef::Array(ids).or_into(&mut bits),
                        ChunkSet::Bits(more) => bits.iter_mut().zip(&more[..]).for_each(|(o, b)| *o |= b),
                    }
                    scratch.recycle(set);
                }
            }
        }
        ChunkSet::Bits(bits)
    }

    /// `bits &= node`.
    fn intersect(&self, node: &StripeNode<'_>, chunk: usize, bits: &mut Bits, scratch: &mut Scratch) {
        match node {
            StripeNode::Everyone => {}
            StripeNode::Not(inner) => self.remove(inner, chunk, bits, scratch),
            StripeNode::Test(test) => self.and_test(test, chunk, bits),
            StripeNode::Containers(containers) => {
                let mut buffer = scratch.bits();
                kernels::and_container(bits, containers[chunk], &mut buffer);
                scratch.bits.push(buffer);
            }
            other => {
                let set = self.eval(other, chunk, scratch);
                let mut buffer = scratch.bits();
                match &set {
                    ChunkSet::Ids(ids) => kernels::and_container(bits, ContainerRef::Array(ids), &mut buffer),
                    ChunkSet::Bits(more) => kernels::and_assign(bits, more),
                }
                scratch.bits.push(buffer);
                scratch.recycle(set);
            }
        }
    }

    /// `bits &= !node`.
    fn remove(&self, node: &StripeNode<'_>, chunk: usize, bits: &mut Bits, scratch: &mut Scratch) {
        match node {
            StripeNode::Nobody => {}
            StripeNode::Everyone => bits.fill(0),
            StripeNode::Or(nodes) => nodes.iter().for_each(|n| self.remove(n, chunk, bits, scratch)),
            StripeNode::Test(test) => {
                // Only the candidates are tested.
                let mut passing = scratch.bits();
                passing.copy_from_slice(&bits[..]);
                self.and_test(test, chunk, &mut passing);
                kernels::and_not_assign(bits, &passing);
                scratch.bits.push(passing);
            }
            StripeNode::Containers(containers) => {
                let mut buffer = scratch.bits();
                kernels::and_not_container(bits, containers[chunk], &mut buffer);
                scratch.bits.push(buffer);
            }
            other => {
                let set = self.eval(other, chunk, scratch);
                match &set {
                    ChunkSet::Ids(ids) => ids.iter().for_each(|low| bits[usize::from(low >> 6)] &= !(1 << (low & 63))),
                    ChunkSet::Bits(more) => kernels::and_not_assign(bits, more),
                }
                scratch.recycle(set);
            }
        }
    }

    /// Keeps the ids that are in a node, or those that are not.
    fn filter(&self, node: &StripeNode<'_>, chunk: usize, keep: bool, ids: &mut Vec<u16>, scratch: &mut Scratch) {
        match node {
            StripeNode::Everyone if keep => {}
            StripeNode::Nobody if !keep => {}
            StripeNode::Everyone | StripeNode::Nobody => ids.clear(),
            StripeNode::Containers(containers) => kernels::retain(containers[chunk], keep, ids),
            StripeNode::Not(inner) => self.filter(inner, chunk, !keep, ids, scratch),
            StripeNode::And(nodes) if keep => self.probe(nodes.iter(), chunk, ids, scratch),
            StripeNode::Or(nodes) if !keep => nodes.iter().for_each(|n| self.filter(n, chunk, false, ids, scratch)),
            StripeNode::And(nodes) => {
                let mut inside = scratch.ids();
                inside.extend_from_slice(ids);
                self.probe(nodes.iter(), chunk, &mut inside, scratch);
                kernels::retain(ContainerRef::Array(&inside), false, ids);
                scratch.ids.push(inside);
            }
            StripeNode::Or(nodes) => {
                let mut outside = scratch.ids();
                outside.extend_from_slice(ids);
                nodes.iter().for_each(|n| self.filter(n, chunk, false, &mut outside, scratch));
                kernels::retain(ContainerRef::Array(&outside), false, ids);
                scratch.ids.push(outside);
            }
            StripeNode::Test(test) => {
                let first = chunk as u32 * CHUNK_PROFILES;
                ids.retain(|low| self.passes(test, first + u32::from(*low)) == keep);
            }
        }
    }

    fn passes(&self, test: &Test<'_>, in_stripe: u32) -> bool {
        match test {
            Test::Column(column, test) => column.value(in_stripe).is_some_and(|value| test.passes(value)),
            Test::Lists(lists, values) => {
                let list = lists.list(in_stripe);
                values.iter().any(|value| list.contains(*value))
            }
            Test::Bucket { seed, of, range } => {
                range.contains(bucket(*seed, *of, self.first_one_id + in_stripe).into())
            }
        }
    }

    /// `bits &= test`; pages without a candidate are passed over.
    fn and_test(&self, test: &Test<'_>, chunk: usize, bits: &mut Bits) {
        let first = chunk as u32 * CHUNK_PROFILES;
        if let Test::Bucket { seed, of, range } = test {
            let (low, span) = (range.low as u32, (range.high - range.low) as u32);
            let first = self.first_one_id + first;
            return kernels::and_marked(bits, |low_id| bucket(*seed, *of, first + low_id).wrapping_sub(low) <= span);
        }
        let Test::Column(column, test) = test else {
            for (at, word) in bits.iter_mut().enumerate() {
                let mut left = *word;
                while left != 0 {
                    let low = at as u32 * 64 + left.trailing_zeros();
                    if !self.passes(test, first + low) {
                        *word &= !(left & left.wrapping_neg());
                    }
                    left &= left - 1;
                }
            }
            return;
        };
        for (page, words) in bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut().enumerate() {
            if words.iter().any(|word| *word != 0) {
                and_page(column, chunk * CHUNK_PAGES + page, test, words);
            }
        }
    }
}

/// The bucket of a profile. Part of the language's meaning and never to change, or splits would not stay the same:
/// two rounds of MurmurHash3's 32-bit finalizer, `mix(mix(one_id + low(seed)) ^ high(seed))`, scaled to `of` buckets by
/// the high half of a product; `seed` is XXH3-64 of the salt's UTF-8.
#[inline(always)]
pub(crate) fn bucket(seed: u64, of: u32, one_id: u32) -> u32 {
    let hash = mix(mix(one_id.wrapping_add(seed as u32)) ^ (seed >> 32) as u32);
    ((u64::from(hash) * u64::from(of)) >> 32) as u32
}

#[inline(always)]
fn mix(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85EB_CA6B);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

/// Codes of a page that can pass, as a range; `None` where none can.
fn code_range(page: &storage::column::Page<'_>, test: &ColumnTest) -> Option<(u64, u64)> {
    let bounds = test.bounds()?;
    let low = i128::from(bounds.0) - i128::from(page.base) + 1;
    let high = i128::from(bounds.1) - i128::from(page.base) + 1;
    let (low, high) = (low.max(1), high.min(page.max_code.into()));
    (low <= high).then_some((low as u64, high as u64))
}

fn and_page(column: &ColumnView<'_>, page: usize, test: &ColumnTest, words: &mut PageBits) {
    let page = column.page(page);
    let Some((low, high)) = code_range(&page, test) else { return words.fill(0) };
    let mut marks = [0; PAGE_WORDS];
    match test {
        ColumnTest::Range(_) => kernels::page_range(&page, low, high, &mut marks),
        ColumnTest::Values(values) => {
            let base = page.base.wrapping_sub(1);
            let has = |code: u64| code > 0 && values.contains(base.wrapping_add(code as i64));
            if page.max_code < u64::from(PAGE_PROFILES) {
                let table: Vec<bool> = (0..=page.max_code).map(has).collect();
                kernels::page_test(&page, |code| table[code as usize], &mut marks);
            } else {
                kernels::page_test(&page, has, &mut marks);
            }
        }
        other => kernels::page_test(&page, |code| page.value_of(code).is_some_and(|v| other.passes(v)), &mut marks),
    }
    words.iter_mut().zip(&marks).for_each(|(word, mark)| *word &= mark);
}

impl StripeNode<'_> {
    fn dense(&self, chunk: usize) -> Option<&Bits> {
        match self {
            StripeNode::Containers(containers) => match containers[chunk] {
                ContainerRef::Bits(bits, _) => Some(bits),
                _ => None,
            },
            _ => None,
        }
    }

    fn is_composed(&self) -> bool {
        !matches!(self, StripeNode::Containers(_) | StripeNode::Everyone | StripeNode::Nobody)
    }
}

fn resolve<'a>(view: &'a View, node: &'a Node, stripe: usize) -> Result<StripeNode<'a>> {
    Ok(match node {
        Node::Everyone => StripeNode::Everyone,
        Node::Nobody => StripeNode::Nobody,
        Node::Not(inner) => match resolve(view, inner, stripe)? {
            StripeNode::Nobody => StripeNode::Everyone,
            StripeNode::Everyone => StripeNode::Nobody,
            other => StripeNode::Not(Box::new(other)),
        },
        Node::And(nodes) => {
            let mut resolved = Vec::with_capacity(nodes.len());
            for node in nodes {
                match resolve(view, node, stripe)? {
                    StripeNode::Nobody => return Ok(StripeNode::Nobody),
                    StripeNode::Everyone => {}
                    other => resolved.push(other),
                }
            }
            single(resolved, StripeNode::Everyone, StripeNode::And)
        }
        Node::Or(nodes) => {
            let mut resolved = Vec::with_capacity(nodes.len());
            for node in nodes {
                match resolve(view, node, stripe)? {
                    StripeNode::Everyone => return Ok(StripeNode::Everyone),
                    StripeNode::Nobody => {}
                    other => resolved.push(other),
                }
            }
            single(resolved, StripeNode::Nobody, StripeNode::Or)
        }
        Node::Leaf(leaf) => resolve_leaf(view, leaf, stripe)?,
    })
}

fn single<'a>(
    mut nodes: Vec<StripeNode<'a>>,
    none: StripeNode<'a>,
    many: impl Fn(Vec<StripeNode<'a>>) -> StripeNode<'a>,
) -> StripeNode<'a> {
    match nodes.len() {
        0 => none,
        1 => nodes.remove(0),
        _ => many(nodes),
    }
}

fn resolve_leaf<'a>(view: &'a View, leaf: &'a Leaf, stripe: usize) -> Result<StripeNode<'a>> {
    let containers = |containers: [ContainerRef<'a>; STRIPE_CHUNKS]| {
        if containers.iter().all(|c| c.cardinality() == 0) {
            StripeNode::Nobody
        } else {
            StripeNode::Containers(Box::new(containers))
        }
    };
    Ok(match &leaf.kind {
        LeafKind::Bitmap { field, value } => {
            containers(view.field(*field).stripe(stripe).bitmaps()?.value(*value).containers)
        }
        LeafKind::Ids(set) => containers(set.stripe(stripe)),
        LeafKind::Column { tag, test } => {
            let column = view.tag(*tag).stripe(stripe).column()?;
            let may_pass = (0..column.page_count()).any(|page| code_range(&column.page(page), test).is_some());
            if may_pass { StripeNode::Test(Test::Column(column, test)) } else { StripeNode::Nobody }
        }
        LeafKind::Lists { tag, values } => {
            StripeNode::Test(Test::Lists(view.tag(*tag).stripe(stripe).lists()?, values))
        }
        LeafKind::Bucket { seed, of, range } => StripeNode::Test(Test::Bucket { seed: *seed, of: *of, range: *range }),
    })
}
