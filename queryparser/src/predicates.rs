//! How clauses are put together, the same from text and tree: what reads alike must become the same AST.

use crate::ast::{CompareOp, EventFilter, Literal, LiteralValue, Operand, Predicate, PredicateKind, Scalar, Span};

/// AND or OR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Junction {
    And,
    Or,
}

/// Two or more predicates as one; a child of the same kind gives its own children. One predicate is itself.
pub(crate) fn joined(junction: Junction, mut children: Vec<Predicate>, span: Span) -> Predicate {
    if children.len() == 1 {
        return children.remove(0);
    }
    let mut flat = Vec::with_capacity(children.len());
    for child in children {
        match (junction, child.kind) {
            (Junction::And, PredicateKind::And(inner)) | (Junction::Or, PredicateKind::Or(inner)) => flat.extend(inner),
            (_, kind) => flat.push(Predicate { kind, span: child.span }),
        }
    }
    let kind = match junction {
        Junction::And => PredicateKind::And(flat),
        Junction::Or => PredicateKind::Or(flat),
    };
    Predicate { kind, span }
}

/// `operand op scalar`; `tag = TRUE` is the flag.
pub(crate) fn compared(operand: Operand, op: CompareOp, scalar: Scalar) -> PredicateKind {
    match (operand, op, scalar) {
        (Operand::Name(name), CompareOp::Equal, Scalar::Literal(Literal { value: LiteralValue::Bool(true), .. })) => {
            PredicateKind::Flag(name)
        }
        (operand, op, scalar) => PredicateKind::Compare { operand, op, scalar },
    }
}

/// The operator seen from the other side.
pub(crate) fn turned(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Equal | CompareOp::NotEqual => op,
        CompareOp::Less => CompareOp::Greater,
        CompareOp::LessOrEqual => CompareOp::GreaterOrEqual,
        CompareOp::Greater => CompareOp::Less,
        CompareOp::GreaterOrEqual => CompareOp::LessOrEqual,
    }
}

/// A condition of a subquery; `WHERE TRUE` is none.
pub(crate) fn condition(predicate: Option<Predicate>) -> Option<Predicate> {
    predicate.filter(|p| p.kind != PredicateKind::Constant(true))
}

/// NOT around a predicate, at the same place.
pub(crate) fn negated(predicate: Predicate) -> Predicate {
    let span = predicate.span;
    Predicate { kind: PredicateKind::Not(Box::new(predicate)), span }
}

/// The predicates directly inside one, with those of its subqueries; none for other clauses.
pub fn children(predicate: &Predicate) -> Vec<&Predicate> {
    match &predicate.kind {
        PredicateKind::And(children) | PredicateKind::Or(children) => children.iter().collect(),
        PredicateKind::Not(inner) => vec![inner],
        PredicateKind::Was { predicate, .. } => vec![predicate],
        PredicateKind::Exists(filter) => of_filter(filter).collect(),
        PredicateKind::FollowedBy { steps, .. } => steps.iter().flat_map(of_filter).collect(),
        PredicateKind::Top(top) => top.filter.iter().collect(),
        PredicateKind::Among(inner) => vec![inner],
        PredicateKind::Compare { operand, scalar, .. } => of_operand(operand).chain(of_scalar(scalar)).collect(),
        PredicateKind::Between { operand, low, high, .. } => {
            of_operand(operand).chain(of_scalar(low)).chain(of_scalar(high)).collect()
        }
        PredicateKind::In { operand, .. }
        | PredicateKind::Like { operand, .. }
        | PredicateKind::IsNull { operand, .. } => of_operand(operand).collect(),
        PredicateKind::Constant(_)
        | PredicateKind::Flag(_)
        | PredicateKind::HasAll { .. }
        | PredicateKind::HasNone { .. }
        | PredicateKind::InAudience(_)
        | PredicateKind::InSnapshot { .. }
        | PredicateKind::InBitmap(_) => Vec::new(),
    }
}

fn of_filter(filter: &EventFilter) -> impl Iterator<Item = &Predicate> {
    filter.condition.iter().map(AsRef::as_ref)
}

fn of_operand(operand: &Operand) -> impl Iterator<Item = &Predicate> {
    let filter = match operand {
        Operand::EventAggregate(aggregate) => Some(&aggregate.filter),
        _ => None,
    };
    filter.into_iter().flat_map(of_filter)
}

fn of_scalar(scalar: &Scalar) -> impl Iterator<Item = &Predicate> {
    let filter = match scalar {
        Scalar::ProfileAggregate(aggregate) => aggregate.filter.as_deref(),
        Scalar::Literal(_) => None,
    };
    filter.into_iter()
}
