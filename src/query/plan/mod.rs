//! The plan of a predicate: a tree of set operations over leaves that are resolved against one view.
//! Knows fields, values and ranges; knows no names, no text and no thread.
//!
//! ```text
//!   Node ── Everyone · Nobody · And · Or · Not · Leaf · Shared (what stands in several places)
//!   Leaf ── Bitmap   (field, value)          containers
//!           Ids      (a set of OneIDs)       containers
//!           Values   (category, values)      column or containers, chosen chunk by chunk
//!           Column   (tag, test)             codes, a page at a time or one by one
//!           Lists    (tag, values)           forward lists of a set, for values without bitmaps
//!           Bucket   (salted hash)           computed
//!           Behaviour, InOrder               rows of events
//! ```
//! Every leaf denotes a subset of the live profiles, so `Not` is live minus the rest.

mod events;
mod share;

use std::sync::Arc;

use roaring::RoaringBitmap;
use storage::column::Page;
use storage::container::{Container, ContainerRef};
use storage::field::{Field, FieldId};
use storage::ids::{CHUNK_PROFILES, CHUNK_WORDS, KNOWN, PAGE_WORDS, STRIPE_CHUNKS, STRIPE_PAGES};
use storage::{TagId, ValueId, View};

use super::error::Result;
use super::kernels::{self, CodeSet};
use super::number::Range;
use super::spell::civil_of;
pub use events::{Amount, Behaviour, EventRows, InOrder, RowColumn, RowTest};
pub use share::share;

/// Most values of which a leaf keeps the bitmaps beside the column.
const VALUES_WITH_BITMAPS_MAX: usize = 256;

/// A set of live profiles.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// All live profiles.
    Everyone,
    /// None.
    Nobody,
    /// All of; two or more.
    And(Vec<Node>),
    /// Any of; two or more.
    Or(Vec<Node>),
    /// Live profiles that are not in it.
    Not(Box<Node>),
    /// A leaf.
    Leaf(Arc<Leaf>),
    /// What stands in several places: found once a chunk, under its number.
    Shared(usize, Arc<Node>),
}

/// A leaf: what is looked up, and about how many it holds.
#[derive(Debug, PartialEq)]
pub struct Leaf {
    /// What is looked up.
    pub kind: LeafKind,
    /// How many profiles it holds: exactly where headers say it, else as a sample of pages has it.
    pub estimate: u64,
}

/// What a leaf looks up.
#[derive(Debug, PartialEq)]
pub enum LeafKind {
    /// The bitmap of a value.
    Bitmap {
        /// Whose.
        field: FieldId,
        /// Which; [`KNOWN`] for all whose tag is known.
        value: ValueId,
    },
    /// A set of OneIDs, all of them live.
    Ids(IdSet),
    /// Any of several values of a category.
    Values {
        /// Which tag.
        tag: TagId,
        /// Sorted.
        values: Vec<ValueId>,
        /// The same, for look-ups.
        set: CodeSet,
        /// Whether each of them has a bitmap, and they are few enough to look at those.
        is_indexed: bool,
        /// Whether the estimate is exact.
        is_exact: bool,
    },
    /// A test on the column of a number or date.
    Column {
        /// Which tag.
        tag: TagId,
        /// Which values.
        test: ColumnTest,
    },
    /// Any of these values, by the forward lists of a set.
    Lists {
        /// Which tag.
        tag: TagId,
        /// Sorted.
        values: Vec<u32>,
    },
    /// Salted hash of the OneID, scaled to `of` buckets, in a range.
    Bucket {
        /// From the salt.
        seed: u64,
        /// Number of buckets.
        of: u32,
        /// The least of them.
        low: u32,
        /// The greatest.
        high: u32,
    },
    /// What the rows of an event come to.
    Behaviour(Behaviour),
    /// Rows of several steps, one after the other.
    InOrder(InOrder),
}

/// Which values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnTest {
    /// From one to another.
    Range(Range),
    /// Any of these, sorted.
    Any(Vec<i64>),
    /// Any of these, which lie close together.
    Values(CodeSet),
}

impl ColumnTest {
    /// The days of `first..=last` whose month × 100 + day lies in any of some ranges, both ends included.
    pub fn of_month_days(first: i64, last: i64, ranges: &[(u16, u16)]) -> ColumnTest {
        ColumnTest::Values(CodeSet::new(first, last, |day| {
            let month_day = month_day_of(day);
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&month_day))
        }))
    }

    /// Whether a known value passes.
    pub fn passes(&self, value: i64) -> bool {
        match self {
            ColumnTest::Range(range) => range.contains(value),
            ColumnTest::Any(values) => values.binary_search(&value).is_ok(),
            ColumnTest::Values(values) => values.contains(value),
        }
    }

    /// Bytes that it holds on the heap.
    fn heap_bytes(&self) -> usize {
        match self {
            ColumnTest::Range(_) => 0,
            ColumnTest::Any(values) => size_of_val(&values[..]),
            ColumnTest::Values(set) => set.heap_bytes(),
        }
    }

    /// Least and greatest value that can pass; none where nothing can.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        match self {
            ColumnTest::Range(range) => Some((range.low, range.high)),
            ColumnTest::Any(values) => Some((*values.first()?, *values.last()?)),
            ColumnTest::Values(values) => Some(values.bounds()),
        }
    }

    /// Marks the ids of a page whose value passes.
    pub(crate) fn mark(&self, page: &Page<'_>, out: &mut kernels::PageBits) {
        let Some((low, high)) = self.code_range(page) else { return out.fill(0) };
        match self {
            ColumnTest::Range(_) => kernels::range(page, low, high, out),
            ColumnTest::Values(set) => kernels::lookup(page, set, out),
            ColumnTest::Any(values) => kernels::code_set(page, values, out),
        }
    }

    /// Codes of a page that can pass, as a range; `None` where none can.
    pub(crate) fn code_range(&self, page: &Page<'_>) -> Option<(u64, u64)> {
        let bounds = self.bounds()?;
        let low = i128::from(bounds.0) - i128::from(page.base) + 1;
        let high = i128::from(bounds.1) - i128::from(page.base) + 1;
        let (low, high) = (low.max(1), high.min(page.max_code.into()));
        (low <= high).then_some((low as u64, high as u64))
    }
}

/// Month × 100 + day of a day since 1970-01-01.
fn month_day_of(day: i64) -> u16 {
    let (_, month, day) = civil_of(day);
    u16::from(month) * 100 + u16::from(day)
}

/// A set of OneIDs as containers by chunk.
#[derive(Debug, Default, PartialEq)]
pub struct IdSet {
    /// By ascending number of the chunk; none of them empty.
    chunks: Vec<(u32, Container)>,
    count: u64,
}

impl IdSet {
    /// From OneIDs in ascending order, each once.
    pub fn from_sorted(one_ids: impl IntoIterator<Item = u32>) -> IdSet {
        let mut set = IdSet::default();
        let mut edits = Vec::new();
        let mut chunk = 0;
        let close = |set: &mut IdSet, chunk: u32, edits: &mut Vec<storage::container::Edit>| {
            if !edits.is_empty() {
                let mut container = Container::empty();
                container.apply(edits);
                set.count += edits.len() as u64;
                set.chunks.push((chunk, container));
                edits.clear();
            }
        };
        for one_id in one_ids {
            if one_id / CHUNK_PROFILES != chunk {
                close(&mut set, chunk, &mut edits);
                chunk = one_id / CHUNK_PROFILES;
            }
            edits.push(storage::container::Edit { low: one_id as u16, set: true });
        }
        close(&mut set, chunk, &mut edits);
        set
    }

    /// From containers that are not empty, by ascending number of their chunk.
    pub(crate) fn from_chunks(chunks: impl IntoIterator<Item = (u32, Container)>) -> IdSet {
        let chunks: Vec<(u32, Container)> = chunks.into_iter().collect();
        let count = chunks.iter().map(|(_, c)| u64::from(c.as_ref().cardinality())).sum();
        IdSet { chunks, count }
    }

    /// All from one OneID to another.
    pub fn of_range(low: u32, high: u32) -> IdSet {
        let chunks = low / CHUNK_PROFILES..=high / CHUNK_PROFILES;
        IdSet::from_chunks(chunks.map(|chunk| {
            let first = chunk * CHUNK_PROFILES;
            let (from, to) = (low.max(first) - first, high.min(first | (CHUNK_PROFILES - 1)) - first);
            let run = [[from as u16, (to - from) as u16]];
            (chunk, ContainerRef::Runs(&run, to - from + 1).to_container())
        }))
    }

    /// Those that live: what is handed in from outside is cut down to them, for every leaf is a subset of them.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn among_live(&self, view: &View) -> Result<IdSet> {
        let mut live_chunks = Vec::with_capacity(self.chunks.len());
        for (chunk, container) in &self.chunks {
            let live = view.live().stripe(*chunk as usize / STRIPE_CHUNKS).bitmaps()?.value(KNOWN);
            let live = live.containers[*chunk as usize % STRIPE_CHUNKS];
            let (mut ids, mut lives) = (Box::new([0; CHUNK_WORDS]), Box::new([0; CHUNK_WORDS]));
            kernels::fill(container.as_ref(), &mut ids);
            kernels::fill(live, &mut lives);
            kernels::and_assign(&mut ids, &lives);
            let count = kernels::count(&ids);
            if count > 0 {
                live_chunks.push((*chunk, ContainerRef::Bits(&ids, count).to_container()));
            }
        }
        Ok(IdSet::from_chunks(live_chunks))
    }

    /// Those of a few that are in it.
    pub fn intersect(&self, few: &IdSet) -> IdSet {
        let mut chunks = Vec::with_capacity(few.chunks.len());
        let mut ids = Vec::new();
        for (chunk, container) in &few.chunks {
            let Ok(at) = self.chunks.binary_search_by_key(chunk, |(own, _)| *own) else { continue };
            ids.clear();
            container.as_ref().push_ids(&mut ids);
            ids.retain(|low| self.chunks[at].1.as_ref().contains(*low));
            let edits: Vec<_> = ids.iter().map(|low| storage::container::Edit { low: *low, set: true }).collect();
            let mut both = Container::empty();
            both.apply(&edits);
            if !ids.is_empty() {
                chunks.push((*chunk, both));
            }
        }
        IdSet::from_chunks(chunks)
    }

    /// From a Roaring bitmap.
    pub fn from_bitmap(bitmap: &RoaringBitmap) -> IdSet {
        IdSet::from_sorted(bitmap.iter())
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.chunks.iter().map(|(_, container)| container.heap_bytes() + size_of::<(u32, Container)>()).sum()
    }

    /// Its containers in one stripe.
    pub fn stripe(&self, stripe: usize) -> [ContainerRef<'_>; STRIPE_CHUNKS] {
        let first = (stripe * STRIPE_CHUNKS) as u32;
        let mut containers = [ContainerRef::Empty; STRIPE_CHUNKS];
        let from = self.chunks.partition_point(|(chunk, _)| *chunk < first);
        let here = self.chunks[from..].iter().take_while(|(chunk, _)| *chunk < first + STRIPE_CHUNKS as u32);
        for (chunk, container) in here {
            containers[(chunk - first) as usize] = container.as_ref();
        }
        containers
    }
}

impl Node {
    /// A leaf; `Nobody` where it is known to hold none.
    pub fn leaf(kind: LeafKind, estimate: u64) -> Node {
        if estimate == 0 { Node::Nobody } else { Node::Leaf(Arc::new(Leaf { kind, estimate })) }
    }

    /// The bitmap of a value.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn bitmap(view: &View, field: FieldId, value: ValueId) -> Result<Node> {
        Ok(Node::leaf(LeafKind::Bitmap { field, value }, view.field(field).cardinality(value)?))
    }

    /// All whose tag or identity is known.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn known(view: &View, field: FieldId) -> Result<Node> {
        Node::bitmap(view, field, KNOWN)
    }

    /// A set of OneIDs.
    pub fn ids(set: IdSet) -> Node {
        let count = set.count();
        Node::leaf(LeafKind::Ids(set), count)
    }

    /// The OneIDs that it names; none where it is not a set of OneIDs.
    pub fn id_set(&self) -> &IdSet {
        static NOBODY: IdSet = IdSet { chunks: Vec::new(), count: 0 };
        match self {
            Node::Leaf(leaf) => match &leaf.kind {
                LeafKind::Ids(set) => set,
                _ => &NOBODY,
            },
            _ => &NOBODY,
        }
    }

    /// The same OneIDs in another view.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn of_view(&self, view: &View) -> Result<Node> {
        Ok(Node::ids(self.id_set().among_live(view)?))
    }

    /// All of; flattened, the smallest first.
    pub fn and(nodes: Vec<Node>) -> Node {
        let mut flat = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Everyone => {}
                Node::Nobody => return Node::Nobody,
                Node::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Node::Everyone,
            1 => flat.remove(0),
            _ => Node::And(flat),
        }
    }

    /// Any of; flattened.
    pub fn or(nodes: Vec<Node>) -> Node {
        let mut flat = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Nobody => {}
                Node::Everyone => return Node::Everyone,
                Node::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Node::Nobody,
            1 => flat.remove(0),
            _ => Node::Or(flat),
        }
    }

    /// Everyone else.
    #[allow(clippy::should_implement_trait)]
    pub fn not(node: Node) -> Node {
        match node {
            Node::Everyone => Node::Nobody,
            Node::Nobody => Node::Everyone,
            Node::Not(inner) => *inner,
            other => Node::Not(Box::new(other)),
        }
    }

    /// Bytes that it holds on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Node::Everyone | Node::Nobody => 0,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().map(|n| size_of::<Node>() + n.heap_bytes()).sum(),
            Node::Not(inner) => size_of::<Node>() + inner.heap_bytes(),
            Node::Shared(_, inner) => size_of::<Node>() + inner.heap_bytes(),
            Node::Leaf(leaf) => {
                let own = match &leaf.kind {
                    LeafKind::Ids(set) => set.heap_bytes(),
                    LeafKind::Values { values, set, .. } => size_of_val(&values[..]) + set.heap_bytes(),
                    LeafKind::Lists { values, .. } => size_of_val(&values[..]),
                    LeafKind::Column { test, .. } => test.heap_bytes(),
                    LeafKind::Behaviour(behaviour) => behaviour.rows.heap_bytes() + behaviour.amount.heap_bytes(),
                    LeafKind::InOrder(in_order) => in_order.steps.iter().map(EventRows::heap_bytes).sum(),
                    LeafKind::Bitmap { .. } | LeafKind::Bucket { .. } => 0,
                };
                size_of::<Leaf>() + own
            }
        }
    }

    /// How many profiles it holds, where headers say it.
    pub fn exact_count(&self, everyone: u64) -> Option<u64> {
        match self {
            Node::Everyone => Some(everyone),
            Node::Nobody => Some(0),
            Node::Leaf(leaf) => leaf.is_exact().then_some(leaf.estimate),
            Node::Not(inner) => Some(everyone - inner.exact_count(everyone)?),
            Node::Shared(_, inner) => inner.exact_count(everyone),
            Node::And(_) | Node::Or(_) => None,
        }
    }

    /// About how many profiles it holds, of `everyone`: as if the parts of an AND or OR had nothing to do with each other.
    pub fn estimate(&self, everyone: u64) -> u64 {
        (self.share(everyone as f64) * everyone as f64).round() as u64
    }

    fn share(&self, everyone: f64) -> f64 {
        match self {
            Node::Everyone => 1.0,
            Node::Nobody => 0.0,
            Node::And(nodes) => nodes.iter().map(|n| n.share(everyone)).product(),
            Node::Or(nodes) => 1.0 - nodes.iter().map(|n| 1.0 - n.share(everyone)).product::<f64>(),
            Node::Not(node) => 1.0 - node.share(everyone),
            Node::Leaf(leaf) => (leaf.estimate as f64 / everyone.max(1.0)).min(1.0),
            Node::Shared(_, node) => node.share(everyone),
        }
    }

    /// The same set with the children of each AND and OR in the order in which they are best run.
    pub fn ordered(self, everyone: u64) -> Node {
        match self {
            Node::And(nodes) => {
                let mut nodes: Vec<Node> = nodes.into_iter().map(|n| n.ordered(everyone)).collect();
                nodes.sort_by_key(|n| (n.cost_class(), n.estimate(everyone)));
                Node::And(nodes)
            }
            Node::Or(nodes) => {
                let mut nodes: Vec<Node> = nodes.into_iter().map(|n| n.ordered(everyone)).collect();
                nodes.sort_by_key(|n| (n.cost_class(), std::cmp::Reverse(n.estimate(everyone))));
                Node::Or(nodes)
            }
            Node::Not(node) => Node::Not(Box::new(node.ordered(everyone))),
            other => other,
        }
    }

    /// Containers first, then columns, then what is composed, then what is looked at one by one.
    fn cost_class(&self) -> u8 {
        match self {
            Node::Everyone | Node::Nobody => 0,
            Node::Leaf(leaf) => match leaf.kind {
                LeafKind::Bitmap { .. } | LeafKind::Ids(_) => 0,
                LeafKind::Values { .. } | LeafKind::Column { .. } => 2,
                LeafKind::Bucket { .. } | LeafKind::Lists { .. } => 4,
                LeafKind::Behaviour(_) => 5,
                LeafKind::InOrder(_) => 6,
            },
            Node::Not(node) => node.cost_class().max(1),
            Node::Shared(_, node) => node.cost_class(),
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().map(Node::cost_class).max().unwrap_or(0).max(3),
        }
    }
}

impl Leaf {
    /// Whether the estimate is exact.
    pub fn is_exact(&self) -> bool {
        matches!(self.kind, LeafKind::Bitmap { .. } | LeafKind::Ids(_) | LeafKind::Values { is_exact: true, .. })
    }
}

/// Any of some values of a category or set.
///
/// # Errors
/// Damage of the store.
pub fn any_of(view: &View, tag: TagId, is_set: bool, values: &[ValueId]) -> Result<Node> {
    let id = FieldId::Tag(tag);
    let field = view.field(id);
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    let all_indexed = values.iter().all(|value| Field::is_indexed(*value));
    if all_indexed && (is_set || values.len() < 2) {
        return Ok(Node::or(values.iter().map(|v| Node::bitmap(view, id, *v)).collect::<Result<_>>()?));
    }
    if is_set {
        let estimate = field.known_count()?;
        return Ok(Node::leaf(LeafKind::Lists { tag, values: values.iter().map(|v| v.0).collect() }, estimate));
    }
    let estimate = if all_indexed {
        values.iter().try_fold(0, |sum, value| Ok::<_, storage::Error>(sum + field.cardinality(*value)?))?
    } else {
        field.known_count()?
    };
    let (first, last) = (values.first().map_or(0, |v| v.0), values.last().map_or(0, |v| v.0));
    let set = CodeSet::of(first.into(), last.into(), values.iter().map(|v| v.0.into()));
    let is_indexed = all_indexed && values.len() <= VALUES_WITH_BITMAPS_MAX;
    Ok(Node::leaf(LeafKind::Values { tag, values, set, is_indexed, is_exact: all_indexed }, estimate))
}

/// A test on the column of a number or date; its estimate comes from a sample of pages.
///
/// # Errors
/// Damage of the store.
pub fn column_test(view: &View, tag: TagId, test: ColumnTest) -> Result<Node> {
    let known = view.tag(tag).known_count()?;
    if test.bounds().is_none_or(|(low, high)| low > high) || known == 0 {
        return Ok(Node::Nobody);
    }
    let (seen, passed) = sample(view, tag, &test)?;
    // Never none: that would say that nobody passes.
    let estimate = (u128::from(known) * u128::from(passed.max(1)) / u128::from(seen.max(1))) as u64;
    Ok(Node::leaf(LeafKind::Column { tag, test }, estimate.clamp(1, known)))
}

/// Known values on some pages, and how many of them pass.
fn sample(view: &View, tag: TagId, test: &ColumnTest) -> Result<(u32, u32)> {
    /// Pages looked at, at most.
    const PAGES: usize = 8;
    let (mut seen, mut passed) = (0, 0);
    let stripes = view.stripe_count();
    let mut marks = [0; PAGE_WORDS];
    for at in 0..PAGES.min(stripes * STRIPE_PAGES) {
        // Spread over all stripes, at another place in each.
        let column = view.tag(tag).stripe(at * stripes / PAGES).column()?;
        let pages = column.page_count();
        if pages == 0 {
            continue;
        }
        let page = column.page((at * 2 + 1) * pages / (PAGES * 2));
        ColumnTest::Range(Range::ALL).mark(&page, &mut marks);
        seen += marks.iter().map(|word| word.count_ones()).sum::<u32>();
        test.mark(&page, &mut marks);
        passed += marks.iter().map(|word| word.count_ones()).sum::<u32>();
    }
    Ok((seen, passed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn month_and_day_are_those_of_the_calendar() {
        for day in (-200_000..200_000).step_by(17) {
            let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap();
            assert_eq!(month_day_of(day), date.month() as u16 * 100 + date.day() as u16, "{date}");
        }
    }

    #[test]
    fn an_id_set_gives_its_ids_by_stripe() {
        let ids: Vec<u32> = (0..3_000_000).step_by(7).collect();
        let set = IdSet::from_sorted(ids.iter().copied());
        assert_eq!(set.count(), ids.len() as u64);
        let mut back = Vec::new();
        for stripe in 0..3 {
            for (chunk, container) in set.stripe(stripe).into_iter().enumerate() {
                let mut lows = Vec::new();
                container.push_ids(&mut lows);
                back.extend(lows.iter().map(|low| ((stripe * 16 + chunk) as u32) << 16 | u32::from(*low)));
            }
        }
        assert_eq!(back, ids);
    }
}
