//! Smaller predicates that still fail: each child in place of its parent, as long as one of them does.
//! A condition over events stays inside its subquery; it only gets smaller there.

use queryparser::ast::{EventFilter, Operand, Predicate, PredicateKind, Scalar};

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
        PredicateKind::Exists(filter) => {
            smaller_filters(filter).into_iter().map(|filter| made(PredicateKind::Exists(filter))).collect()
        }
        PredicateKind::FollowedBy { steps, within } => {
            let with = |steps| made(PredicateKind::FollowedBy { steps, within: *within });
            let mut all = Vec::new();
            for at in 0..steps.len() {
                let mut rest = steps.clone();
                rest.remove(at);
                all.extend((rest.len() > 1).then(|| with(rest)));
                for filter in smaller_filters(&steps[at]) {
                    let mut changed = steps.clone();
                    changed[at] = filter;
                    all.push(with(changed));
                }
            }
            all.extend(within.map(|_| made(PredicateKind::FollowedBy { steps: steps.clone(), within: None })));
            all
        }
        PredicateKind::Was { state, predicate } => {
            let with = |p| made(PredicateKind::Was { state: state.clone(), predicate: Box::new(p) });
            let mut all = vec![(**predicate).clone()];
            all.extend(smaller(predicate).into_iter().map(with));
            all
        }
        PredicateKind::In { operand, negated, list } if list.len() > 1 => {
            let with = |operand: &Operand, list: &[_]| {
                made(PredicateKind::In { operand: operand.clone(), negated: *negated, list: list.to_vec() })
            };
            let mut all = vec![with(operand, &list[..list.len() / 2]), with(operand, &list[list.len() / 2..])];
            all.extend(smaller_operands(operand).iter().map(|operand| with(operand, list)));
            all
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
        kind => {
            let (PredicateKind::Compare { operand, .. }
            | PredicateKind::Between { operand, .. }
            | PredicateKind::In { operand, .. }
            | PredicateKind::Like { operand, .. }
            | PredicateKind::IsNull { operand, .. }) = kind
            else {
                return Vec::new();
            };
            let with = |smaller: Operand| {
                let mut kind = kind.clone();
                if let PredicateKind::Compare { operand, .. }
                | PredicateKind::Between { operand, .. }
                | PredicateKind::In { operand, .. }
                | PredicateKind::Like { operand, .. }
                | PredicateKind::IsNull { operand, .. } = &mut kind
                {
                    *operand = smaller;
                }
                made(kind)
            };
            smaller_operands(operand).into_iter().map(with).collect()
        }
    }
}

/// The same aggregate over events under a smaller condition.
fn smaller_operands(operand: &Operand) -> Vec<Operand> {
    let Operand::EventAggregate(aggregate) = operand else { return Vec::new() };
    let with = |filter| {
        let mut aggregate = aggregate.clone();
        aggregate.filter = filter;
        Operand::EventAggregate(aggregate)
    };
    smaller_filters(&aggregate.filter).into_iter().map(with).collect()
}

fn smaller_filters(filter: &EventFilter) -> Vec<EventFilter> {
    let Some(condition) = &filter.condition else { return Vec::new() };
    let with = |condition: Option<Predicate>| EventFilter { condition: condition.map(Box::new), ..filter.clone() };
    std::iter::once(with(None)).chain(smaller(condition).into_iter().map(|p| with(Some(p)))).collect()
}
