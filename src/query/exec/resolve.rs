//! A plan against one stripe: leaves become borrowed containers and pages; what nobody of it has falls away.
//! Knows the view; how nodes are evaluated is the room's.

use std::sync::Arc;

use storage::View;
use storage::column::ColumnView;
use storage::container::ContainerRef;
use storage::events::EventStripe;
use storage::ids::{KNOWN, STRIPE_CHUNKS};

use super::behaviour::BehaviourLeaf;
use super::in_order::InOrderLeaf;
use super::leaves::{self, BucketLeaf, ColumnLeaf, Fit, ListsLeaf, ValuesLeaf};
use super::rows::RowsRun;
use super::{Share, StripeNode};
use crate::query::error::Result;
use crate::query::plan::{ColumnTest, Leaf, LeafKind, Node};

pub(super) fn resolve<'a>(view: &'a View, node: &'a Node, share: &Share) -> Result<StripeNode<'a>> {
    let inner = |node: &'a Node| resolve(view, node, share);
    Ok(match node {
        Node::Everyone => StripeNode::Everyone,
        Node::Nobody => StripeNode::Nobody,
        Node::Not(node) => match inner(node)? {
            StripeNode::Nobody => StripeNode::Everyone,
            StripeNode::Everyone => StripeNode::Nobody,
            other => StripeNode::Not(Box::new(other)),
        },
        Node::And(nodes) => {
            let mut resolved = Vec::with_capacity(nodes.len());
            for node in nodes {
                match inner(node)? {
                    StripeNode::Nobody => return Ok(StripeNode::Nobody),
                    StripeNode::Everyone => {}
                    other => resolved.push(other),
                }
            }
            // Members that are looked up one after the other are looked up in containers first.
            resolved.sort_by_key(|node| !matches!(node, StripeNode::Containers(_)));
            single(resolved, StripeNode::Everyone, StripeNode::And)
        }
        Node::Or(nodes) => {
            let mut resolved = Vec::with_capacity(nodes.len());
            for node in nodes {
                match inner(node)? {
                    StripeNode::Everyone => return Ok(StripeNode::Everyone),
                    StripeNode::Nobody => {}
                    other => resolved.push(other),
                }
            }
            any_of(resolved)
        }
        Node::Shared(_, node) => match inner(node)? {
            plain @ (StripeNode::Everyone | StripeNode::Nobody | StripeNode::Containers(_)) => plain,
            // Plans that were made apart may be run together: their numbers mean nothing to each other.
            other => StripeNode::Shared(Arc::as_ptr(node) as usize, Box::new(other)),
        },
        Node::Leaf(leaf) => resolve_leaf(view, leaf, share)?,
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

/// Any of some nodes.
pub(super) fn any_of(nodes: Vec<StripeNode<'_>>) -> StripeNode<'_> {
    single(nodes, StripeNode::Nobody, StripeNode::Or)
}

/// Members as they lie in containers.
pub(super) fn containers(containers: [ContainerRef<'_>; STRIPE_CHUNKS]) -> StripeNode<'_> {
    if containers.iter().all(|c| c.cardinality() == 0) {
        return StripeNode::Nobody;
    }
    StripeNode::Containers(Box::new(containers))
}

/// Whether no container has more members than there are, as none has of a store that is sound.
fn are_within(owners: &StripeNode<'_>, live: &[ContainerRef<'_>; STRIPE_CHUNKS]) -> bool {
    let fits = |containers: &[ContainerRef<'_>; STRIPE_CHUNKS]| {
        containers.iter().zip(live).all(|(owners, live)| owners.cardinality() <= live.cardinality())
    };
    match owners {
        StripeNode::Containers(containers) => fits(containers),
        StripeNode::Column(leaf) => fits(&leaf.known),
        StripeNode::Or(nodes) => nodes.iter().all(|node| are_within(node, live)),
        _ => true,
    }
}

/// Whose value in a column passes, of those who have one.
pub(super) fn column_node<'a>(
    column: ColumnView<'a>,
    test: &'a ColumnTest,
    known: [ContainerRef<'a>; STRIPE_CHUNKS],
) -> StripeNode<'a> {
    let fits: [Fit; STRIPE_CHUNKS] = std::array::from_fn(|chunk| leaves::fit(&column, test, chunk));
    match fits {
        fits if fits.iter().all(|fit| *fit == Fit::Outside) => StripeNode::Nobody,
        fits if fits.iter().all(|fit| *fit == Fit::Inside) => containers(known),
        fits => StripeNode::Column(Box::new(ColumnLeaf { column, test, known, fits })),
    }
}

fn live(view: &View, stripe: usize) -> Result<[ContainerRef<'_>; STRIPE_CHUNKS]> {
    Ok(view.live().stripe(stripe).bitmaps()?.value(KNOWN).containers)
}

fn resolve_leaf<'a>(view: &'a View, leaf: &'a Leaf, share: &Share) -> Result<StripeNode<'a>> {
    let stripe = share.stripe;
    Ok(match &leaf.kind {
        LeafKind::Bitmap { field, value } => {
            containers(view.field(*field).stripe(stripe).bitmaps()?.value(*value).containers)
        }
        LeafKind::Ids(set) => containers(set.stripe(stripe)),
        LeafKind::Column { tag, test } => {
            let part = view.tag(*tag).stripe(stripe);
            let (column, known) = (part.column()?, part.bitmaps()?.value(KNOWN).containers);
            column_node(column, test, known)
        }
        LeafKind::Values { tag, values, set, is_indexed, .. } => {
            let part = view.tag(*tag).stripe(stripe);
            let bitmaps = part.bitmaps()?;
            let known = bitmaps.value(KNOWN).containers;
            let mut of_values = Vec::new();
            if *is_indexed {
                let held = values.iter().map(|value| bitmaps.value(*value)).filter(|bitmap| bitmap.cardinality > 0);
                of_values.extend(held.map(|bitmap| bitmap.containers));
                match of_values.len() {
                    0 => return Ok(StripeNode::Nobody),
                    1 => return Ok(containers(of_values.remove(0))),
                    _ => {}
                }
            }
            StripeNode::Values(Box::new(ValuesLeaf::new(part.column()?, set, of_values, known)))
        }
        LeafKind::Lists { tag, values } => {
            StripeNode::Lists(ListsLeaf { lists: view.tag(*tag).stripe(stripe).lists()?, values })
        }
        LeafKind::Behaviour(behaviour) => {
            let Some(mut rows) = RowsRun::open(view, &behaviour.rows, share)? else { return Ok(StripeNode::Nobody) };
            let live = live(view, stripe)?;
            // What the folded rows keep of their owners, and the rows of all others.
            let mut any = Vec::new();
            if behaviour.is_any() {
                let owners = any_of(rows.take_owners(&behaviour.rows.test, share));
                let has_dead = view.event(behaviour.rows.event).stripe(stripe).is_some_and(EventStripe::has_dead);
                let may_be_gone = has_dead || !are_within(&owners, &live);
                match owners {
                    StripeNode::Nobody => {}
                    owners if may_be_gone => any.push(StripeNode::AmongLive(Box::new(owners))),
                    owners => any.push(owners),
                }
            }
            if rows.has_segments() {
                any.push(StripeNode::Behaviour(Box::new(BehaviourLeaf { rows, behaviour, live })));
            }
            any_of(any)
        }
        LeafKind::InOrder(in_order) => {
            let mut steps = Vec::with_capacity(in_order.steps.len());
            for step in &in_order.steps {
                let Some(rows) = RowsRun::open(view, step, share)? else { return Ok(StripeNode::Nobody) };
                steps.push(rows);
            }
            StripeNode::InOrder(Box::new(InOrderLeaf { steps, in_order, live: live(view, stripe)? }))
        }
        LeafKind::Bucket { seed, of, low, high } => {
            StripeNode::Bucket(BucketLeaf::new(*seed, *of, *low, *high, share.first_one_id(0)))
        }
    })
}
