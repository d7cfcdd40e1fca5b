//! What stands in several places of a plan: found by its shape, and from then on worked out once a chunk.
//! Knows nodes as values; how they are run is `exec`'s.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{ColumnTest, LeafKind, Node};

/// Most things that one plan shares: each holds a chunk's bits while it runs.
const SHARED_MAX: usize = 64;

/// The same set, with every AND, OR and column test that stands in several places marked as one.
pub fn share(node: Node) -> Node {
    let mut places = HashMap::new();
    shape(&node, &mut places);
    if places.values().all(|count| *count < 2) {
        return node;
    }
    let mut shared = Vec::new();
    rebuilt(node, &places, &mut shared)
}

/// Whether working it out once rather than twice is worth keeping it.
fn is_worth_it(node: &Node) -> bool {
    match node {
        Node::And(_) | Node::Or(_) => true,
        Node::Leaf(leaf) => {
            matches!(
                leaf.kind,
                LeafKind::Values { .. }
                    | LeafKind::Column { .. }
                    | LeafKind::Lists { .. }
                    | LeafKind::Bucket { .. }
                    | LeafKind::Behaviour(_)
                    | LeafKind::InOrder(_)
            )
        }
        Node::Everyone | Node::Nobody | Node::Not(_) | Node::Shared(..) => false,
    }
}

/// A number that equal nodes have in common; counts how often each is met.
fn shape(node: &Node, places: &mut HashMap<u64, u32>) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(node).hash(&mut hasher);
    match node {
        Node::Everyone | Node::Nobody => {}
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|n| shape(n, places).hash(&mut hasher)),
        Node::Not(inner) => shape(inner, places).hash(&mut hasher),
        Node::Shared(_, inner) => shape(inner, places).hash(&mut hasher),
        Node::Leaf(leaf) => {
            std::mem::discriminant(&leaf.kind).hash(&mut hasher);
            match &leaf.kind {
                LeafKind::Bitmap { field, value } => (field, value).hash(&mut hasher),
                LeafKind::Ids(set) => set.count().hash(&mut hasher),
                LeafKind::Values { tag, values, .. } => (tag, values).hash(&mut hasher),
                LeafKind::Column { tag, test } => {
                    tag.hash(&mut hasher);
                    match test {
                        ColumnTest::Range(range) => range.hash(&mut hasher),
                        ColumnTest::Any(values) => values.hash(&mut hasher),
                        ColumnTest::Values(set) => set.bounds().hash(&mut hasher),
                    }
                }
                LeafKind::Lists { tag, values } => (tag, values).hash(&mut hasher),
                LeafKind::Bucket { seed, of, low, high } => (seed, of, low, high).hash(&mut hasher),
                // Which of them are the same is seen by comparing; a number for each event is enough to look.
                LeafKind::Behaviour(behaviour) => behaviour.rows.event.hash(&mut hasher),
                LeafKind::InOrder(in_order) => in_order.within_s.hash(&mut hasher),
            }
        }
    }
    let number = hasher.finish();
    if is_worth_it(node) {
        *places.entry(number).or_insert(0) += 1;
    }
    number
}

fn rebuilt(node: Node, places: &HashMap<u64, u32>, shared: &mut Vec<(Node, Arc<Node>)>) -> Node {
    if !is_worth_it(&node) {
        return match node {
            Node::Not(inner) => Node::Not(Box::new(rebuilt(*inner, places, shared))),
            other => other,
        };
    }
    let is_repeated = places.get(&shape(&node, &mut HashMap::new())).is_some_and(|count| *count > 1);
    if is_repeated && let Some(number) = shared.iter().position(|(known, _)| *known == node) {
        return Node::Shared(number, shared[number].1.clone());
    }
    let original = (is_repeated && shared.len() < SHARED_MAX).then(|| node.clone());
    let inner = match node {
        Node::And(nodes) => Node::And(nodes.into_iter().map(|n| rebuilt(n, places, shared)).collect()),
        Node::Or(nodes) => Node::Or(nodes.into_iter().map(|n| rebuilt(n, places, shared)).collect()),
        other => other,
    };
    match original {
        Some(original) => {
            let inner = Arc::new(inner);
            shared.push((original, inner.clone()));
            Node::Shared(shared.len() - 1, inner)
        }
        None => inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::number::Range;
    use storage::TagId;

    fn range(low: i64) -> Node {
        Node::leaf(LeafKind::Column { tag: TagId(1), test: ColumnTest::Range(Range { low, high: 9 }) }, 5)
    }

    #[test]
    fn what_stands_twice_is_one() {
        let both = |low| Node::And(vec![range(low), range(low + 1)]);
        let shared = share(Node::Or(vec![both(1), Node::Not(Box::new(both(1))), both(3)]));
        let Node::Or(nodes) = shared else { panic!("an OR stays one") };
        let (Node::Shared(a, first), Node::Not(inner)) = (&nodes[0], &nodes[1]) else { panic!("{nodes:?}") };
        let Node::Shared(b, second) = &**inner else { panic!("{inner:?}") };
        assert_eq!((a, first), (b, second));
        assert!(Arc::ptr_eq(first, second));
        assert_eq!(nodes[2], both(3));
    }

    #[test]
    fn what_stands_once_stays_as_it_is() {
        let node = Node::Or(vec![range(1), Node::Not(Box::new(range(2)))]);
        assert_eq!(share(node.clone()), node);
    }
}
