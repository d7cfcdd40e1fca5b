//! Smaller predicates that still fail: each child in place of its parent, as long as one of them does.

use queryparser::ast::{Predicate, PredicateKind, Scalar};

use super::predicates::made;

/// The smallest failing predicate that is reached step by step, and how it fails.
pub fn shrunken(predicate: &Predicate, fails: impl Fn(&Predicate) -> Option<String>) -> Option<(Predicate, String)> {
    let mut smallest = (predicate.clone(), fails(predicate)?);
    while let Some(smaller) = smaller(&smallest.0).into_iter().find_map(|p| fails(&p).map(|how| (p, how))) {
        smallest = smaller;
    }
    Some(smallest)
}

fn smaller(predicate: &Predicate) -> Vec<Predicate> {
    match &predicate.kind {
        PredicateKind::And(children) | PredicateKind::Or(children) => {
            let is_and = matches!(predicate.kind, PredicateKind::And(_));
            let mut all = children.clone();
            for at in 0..children.len() {
                let mut rest = children.clone();
                rest.remove(at);
                if rest.len() > 1 {
                    all.push(made(if is_and { PredicateKind::And(rest) } else { PredicateKind::Or(rest) }));
                }
                for small in smaller(&children[at]) {
                    let mut changed = children.clone();
                    changed[at] = small;
                    all.push(super::predicates::chain(is_and, changed));
                }
            }
            all
        }
        PredicateKind::Not(inner) => {
            let mut all = vec![(**inner).clone()];
            all.extend(smaller(inner).into_iter().map(super::predicates::not));
            all
        }
        PredicateKind::Top(top) => top
            .filter
            .iter()
            .flat_map(|filter| {
                let with = |filter| {
                    let mut top = top.clone();
                    top.filter = filter;
                    made(PredicateKind::Top(top))
                };
                [filter.clone(), with(None)]
                    .into_iter()
                    .chain(smaller(filter).into_iter().map(move |f| with(Some(f))))
                    .collect::<Vec<_>>()
            })
            .collect(),
        PredicateKind::In { operand, negated, list } if list.len() > 1 => {
            let with = |list: &[_]| {
                made(PredicateKind::In { operand: operand.clone(), negated: *negated, list: list.to_vec() })
            };
            vec![with(&list[..list.len() / 2]), with(&list[list.len() / 2..])]
        }
        PredicateKind::Compare { operand, op, scalar: Scalar::ProfileAggregate(aggregate) } => {
            let Some(filter) = &aggregate.filter else { return Vec::new() };
            let with = |filter| {
                let mut aggregate = aggregate.clone();
                aggregate.filter = filter;
                made(PredicateKind::Compare {
                    operand: operand.clone(),
                    op: *op,
                    scalar: Scalar::ProfileAggregate(aggregate),
                })
            };
            let mut all = vec![(**filter).clone(), with(None)];
            all.extend(smaller(filter).into_iter().map(|f| with(Some(Box::new(f)))));
            all
        }
        _ => Vec::new(),
    }
}
