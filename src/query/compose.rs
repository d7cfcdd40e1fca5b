//! Predicates put together of others, for definitions that an answer hands back.
//! Knows AND, OR and NOT; places are of no use in what nobody wrote, and are kept as they are.

use queryparser::ast::{Predicate, PredicateKind, Span};

/// All of some predicates, flattened; of none, everyone.
pub fn all_of(predicates: impl IntoIterator<Item = Predicate>) -> Predicate {
    joined(predicates, true)
}

/// Any of some predicates, flattened; of none, nobody.
pub fn any_of(predicates: impl IntoIterator<Item = Predicate>) -> Predicate {
    joined(predicates, false)
}

/// Everyone else.
pub fn not(predicate: Predicate) -> Predicate {
    let span = predicate.span;
    let kind = match predicate.kind {
        PredicateKind::Constant(value) => PredicateKind::Constant(!value),
        PredicateKind::Not(inner) => return *inner,
        kind => PredicateKind::Not(Box::new(Predicate { kind, span })),
    };
    Predicate { kind, span }
}

/// `is_all` is what leaves an AND as it is, and the other what leaves an OR.
fn joined(predicates: impl IntoIterator<Item = Predicate>, is_all: bool) -> Predicate {
    let mut flat = Vec::new();
    for predicate in predicates {
        match predicate.kind {
            PredicateKind::And(inner) if is_all => flat.extend(inner),
            PredicateKind::Or(inner) if !is_all => flat.extend(inner),
            PredicateKind::Constant(value) if value == is_all => {}
            PredicateKind::Constant(_) => return predicate,
            kind => flat.push(Predicate { kind, span: predicate.span }),
        }
    }
    let span = flat.first().map_or(Span::default(), |first: &Predicate| first.span);
    match flat.len() {
        0 => Predicate { kind: PredicateKind::Constant(is_all), span },
        1 => flat.remove(0),
        _ if is_all => Predicate { kind: PredicateKind::And(flat), span },
        _ => Predicate { kind: PredicateKind::Or(flat), span },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_reads_as_if_it_had_been_written() {
        let read = |text: &str| queryparser::parse_predicate(text, &queryparser::Limits::default()).unwrap().ast;
        let check = |predicate: &Predicate, text: &str| {
            assert_eq!(queryparser::predicate_text(predicate), text);
            assert_eq!(queryparser::predicate_text(&read(text)), text);
        };
        check(&all_of([read("a AND b"), read("c OR d"), read("TRUE")]), "a AND b AND (c OR d)");
        check(&all_of([read("a"), not(any_of([read("b"), read("c OR d"), read("FALSE")]))]), "a AND NOT (b OR c OR d)");
        check(&all_of([]), "TRUE");
        check(&not(any_of([])), "TRUE");
        check(&all_of([read("a"), not(read("NOT b"))]), "a AND b");
        check(&all_of([read("a"), read("FALSE")]), "FALSE");
    }
}
