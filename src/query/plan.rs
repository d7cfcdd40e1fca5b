//! The plan of a predicate: a tree of set operations over leaves that are resolved against one view.
//! Knows fields, values and ranges; knows no names, no text and no thread.
//!
//! ```text
//!   Node ── Everyone · Nobody · And · Or · Not · Leaf
//!   Leaf ── Bitmap   (field, value)          containers
//!           Ids      (a set of OneIDs)       containers
//!           Column   (tag, test)             codes, a page at a time or one by one
//!           Lists    (tag, values)           forward lists of a set, for values without bitmaps
//!           Bucket   (salted hash)           one by one
//! ```
//! Every leaf denotes a subset of the live profiles, so `Not` is live minus the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;
use storage::container::{Container, ContainerRef};
use storage::field::{Field, FieldId};
use storage::ids::{CHUNK_PROFILES, KNOWN, STRIPE_CHUNKS};
use storage::{TagId, ValueId, View};

use super::error::Result;
use super::number::Range;

/// A set of live profiles.
#[derive(Debug, Clone)]
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
}

/// A leaf: what is looked up, and about how many it holds.
#[derive(Debug)]
pub struct Leaf {
    /// What is looked up.
    pub kind: LeafKind,
    /// How many profiles it holds, exactly for bitmaps and ids, else at most.
    pub estimate: u64,
}

/// What a leaf looks up.
#[derive(Debug)]
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
    /// A test on the column of a category, number or date.
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
    /// Salted hash of the OneID, modulo `of`, in a range.
    Bucket {
        /// From the salt.
        seed: u64,
        /// Number of buckets.
        of: u32,
        /// Which of them.
        range: Range,
    },
}

/// Which values of a column.
#[derive(Debug)]
pub enum ColumnTest {
    /// From one to another.
    Range(Range),
    /// Any of these, sorted.
    Any(Vec<i64>),
    /// Any of these values of a category, or days: a bit a value.
    Values(ValueBits),
}

/// A set of values that lie close together: a bit for each, from the first on.
#[derive(Debug)]
pub struct ValueBits {
    first: i64,
    bits: Vec<u64>,
}

impl ValueBits {
    /// Those of `first..=last` for which `holds`.
    fn new(first: i64, last: i64, holds: impl Fn(i64) -> bool) -> ValueBits {
        let mut bits = vec![0u64; ((last - first) / 64 + 1).max(0) as usize];
        for value in (first..=last).filter(|value| holds(*value)) {
            bits[((value - first) / 64) as usize] |= 1 << ((value - first) % 64);
        }
        ValueBits { first, bits }
    }

    /// The days of `first..=last` whose month × 100 + day lies in any of some ranges, both ends included.
    pub fn of_month_days(first: i64, last: i64, ranges: &[(u16, u16)]) -> ValueBits {
        ValueBits::new(first, last, |day| {
            let month_day = month_day_of(day);
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&month_day))
        })
    }

    /// Whether a value is in it.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        let at = value.wrapping_sub(self.first) as u64;
        self.bits.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
    }

    fn bounds(&self) -> (i64, i64) {
        (self.first, self.first + self.bits.len() as i64 * 64 - 1)
    }
}

impl ColumnTest {
    /// Whether a known value passes.
    pub fn passes(&self, value: i64) -> bool {
        match self {
            ColumnTest::Range(range) => range.contains(value),
            ColumnTest::Any(values) => values.binary_search(&value).is_ok(),
            ColumnTest::Values(values) => values.contains(value),
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
}

/// Month × 100 + day of a day since 1970-01-01.
fn month_day_of(day: i64) -> u16 {
    // Civil from days, after Howard Hinnant's "chrono-compatible low-level date algorithms".
    let shifted = day + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (month * 100 + day_of_month) as u16
}

/// A set of OneIDs as containers by chunk.
#[derive(Debug, Default)]
pub struct IdSet {
    chunks: BTreeMap<u32, Container>,
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
                set.chunks.insert(chunk, container);
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
        let chunks: BTreeMap<u32, Container> = chunks.into_iter().collect();
        let count = chunks.values().map(|c| u64::from(c.as_ref().cardinality())).sum();
        IdSet { chunks, count }
    }

    /// From a Roaring bitmap.
    pub fn from_bitmap(bitmap: &RoaringBitmap) -> IdSet {
        IdSet::from_sorted(bitmap.iter())
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Its containers in one stripe.
    pub fn stripe(&self, stripe: usize) -> [ContainerRef<'_>; STRIPE_CHUNKS] {
        let first = (stripe * STRIPE_CHUNKS) as u32;
        let mut containers = [ContainerRef::Empty; STRIPE_CHUNKS];
        for (chunk, container) in self.chunks.range(first..first + STRIPE_CHUNKS as u32) {
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

    /// At most how many profiles it holds, of `everyone`.
    pub fn estimate(&self, everyone: u64) -> u64 {
        match self {
            Node::Everyone => everyone,
            Node::Nobody => 0,
            Node::And(nodes) => nodes.iter().map(|n| n.estimate(everyone)).min().unwrap_or(everyone),
            Node::Or(nodes) => nodes.iter().map(|n| n.estimate(everyone)).sum::<u64>().min(everyone),
            Node::Not(node) => match &**node {
                Node::Leaf(leaf) if leaf.is_exact() => everyone.saturating_sub(leaf.estimate),
                _ => everyone,
            },
            Node::Leaf(leaf) => leaf.estimate.min(everyone),
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
                LeafKind::Column { .. } => 2,
                LeafKind::Bucket { .. } | LeafKind::Lists { .. } => 4,
            },
            Node::Not(node) => node.cost_class().max(1),
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().map(Node::cost_class).max().unwrap_or(0).max(3),
        }
    }
}

impl Leaf {
    /// Whether the estimate is exact.
    pub fn is_exact(&self) -> bool {
        matches!(self.kind, LeafKind::Bitmap { .. } | LeafKind::Ids(_))
    }
}

/// Any of some values of a category or set: their bitmaps, or one pass over the column or lists where that is less.
///
/// # Errors
/// Damage of the store.
pub fn any_of(view: &View, tag: TagId, is_set: bool, values: &[ValueId]) -> Result<Node> {
    let id = FieldId::Tag(tag);
    let field = view.field(id);
    let mut estimate = 0;
    let mut all_indexed = true;
    for value in values {
        all_indexed &= Field::is_indexed(*value);
        estimate += if Field::is_indexed(*value) { field.cardinality(*value)? } else { 0 };
    }
    let chunks = u64::from(view.next_one_id()).div_ceil(CHUNK_PROFILES.into());
    // Setting bits from arrays costs about 0.5 ns an id and 20 ns a container; a column pass about 0.6 ns a profile.
    let by_bitmaps_ns = estimate / 2 + values.len() as u64 * chunks * 20;
    let by_column_ns = u64::from(view.next_one_id()) * if is_set { 12 } else { 1 };
    if all_indexed && (values.len() == 1 || is_set || by_bitmaps_ns <= by_column_ns) {
        return Ok(Node::or(values.iter().map(|v| Node::bitmap(view, id, *v)).collect::<Result<_>>()?));
    }
    let estimate = if all_indexed { estimate } else { field.known_count()? };
    if is_set {
        let mut values: Vec<u32> = values.iter().map(|v| v.0).collect();
        values.sort_unstable();
        return Ok(Node::leaf(LeafKind::Lists { tag, values }, estimate));
    }
    let sorted: std::collections::BTreeSet<i64> = values.iter().map(|v| v.0.into()).collect();
    let last = sorted.last().copied().unwrap_or(-1);
    let test = ColumnTest::Values(ValueBits::new(0, last, |value| sorted.contains(&value)));
    Ok(Node::leaf(LeafKind::Column { tag, test }, estimate))
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
