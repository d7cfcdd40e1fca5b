//! ASTs without their places: for comparing what two questions say, and for sharing equal parts of one.

use crate::ast::{
    Aggregate, EventFilter, Having, Literal, Name, Operand, OrderBy, Predicate, PredicateKind, ProfileAggregate,
    Scalar, Select, SelectExpression, SelectItem, Span, Statement,
};

/// An AST, or a part of one, whose places can be forgotten.
pub trait Placed {
    /// Sets every span in it to nowhere.
    fn clear_spans(&mut self);
}

/// Sets every span in `ast` to nowhere.
pub fn clear_spans(ast: &mut impl Placed) {
    ast.clear_spans();
}

/// `ast` with every span set to nowhere: equal for equal questions, wherever and in whichever spelling they were written.
pub fn without_spans<T: Placed>(mut ast: T) -> T {
    ast.clear_spans();
    ast
}

const NOWHERE: Span = Span { start: 0, len: 0 };

impl<T: Placed> Placed for Vec<T> {
    fn clear_spans(&mut self) {
        self.iter_mut().for_each(Placed::clear_spans);
    }
}

impl<T: Placed> Placed for Option<T> {
    fn clear_spans(&mut self) {
        self.iter_mut().for_each(Placed::clear_spans);
    }
}

impl<T: Placed> Placed for Box<T> {
    fn clear_spans(&mut self) {
        T::clear_spans(self);
    }
}

impl Placed for Name {
    fn clear_spans(&mut self) {
        self.span = NOWHERE;
    }
}

impl Placed for Literal {
    fn clear_spans(&mut self) {
        self.span = NOWHERE;
    }
}

impl Placed for Predicate {
    fn clear_spans(&mut self) {
        self.span = NOWHERE;
        match &mut self.kind {
            PredicateKind::Constant(_) => {}
            PredicateKind::And(children) | PredicateKind::Or(children) => children.clear_spans(),
            PredicateKind::Not(inner) => inner.clear_spans(),
            PredicateKind::Flag(name) | PredicateKind::InAudience(name) => name.clear_spans(),
            PredicateKind::Compare { operand, scalar, .. } => {
                operand.clear_spans();
                scalar.clear_spans();
            }
            PredicateKind::Between { operand, low, high, .. } => {
                operand.clear_spans();
                low.clear_spans();
                high.clear_spans();
            }
            PredicateKind::In { operand, list, .. } => {
                operand.clear_spans();
                list.clear_spans();
            }
            PredicateKind::Like { operand, pattern, .. } => {
                operand.clear_spans();
                pattern.clear_spans();
            }
            PredicateKind::IsNull { operand, .. } => operand.clear_spans(),
            PredicateKind::HasAll { tag, list } | PredicateKind::HasNone { tag, list } => {
                tag.clear_spans();
                list.clear_spans();
            }
            PredicateKind::Exists(filter) => filter.clear_spans(),
            PredicateKind::FollowedBy { steps, .. } => steps.clear_spans(),
            PredicateKind::Top(top) => {
                top.span = NOWHERE;
                top.by.clear_spans();
                top.filter.clear_spans();
            }
            PredicateKind::Among(inner) => inner.clear_spans(),
            PredicateKind::InSnapshot { audience, on } => {
                audience.clear_spans();
                on.clear_spans();
            }
            PredicateKind::Was { state, predicate } => {
                state.clear_spans();
                predicate.clear_spans();
            }
            PredicateKind::InBitmap(literal) => literal.clear_spans(),
        }
    }
}

impl Placed for Operand {
    fn clear_spans(&mut self) {
        match self {
            Operand::Name(name) | Operand::MonthDay(name) => name.clear_spans(),
            Operand::Bucket { salt, span, .. } => {
                salt.clear_spans();
                *span = NOWHERE;
            }
            Operand::EventAggregate(aggregate) => {
                aggregate.of.clear_spans();
                aggregate.filter.clear_spans();
            }
        }
    }
}

impl Placed for Scalar {
    fn clear_spans(&mut self) {
        match self {
            Scalar::Literal(literal) => literal.clear_spans(),
            Scalar::ProfileAggregate(aggregate) => aggregate.clear_spans(),
        }
    }
}

impl Placed for EventFilter {
    fn clear_spans(&mut self) {
        self.span = NOWHERE;
        self.event.clear_spans();
        self.condition.clear_spans();
    }
}

impl Placed for ProfileAggregate {
    fn clear_spans(&mut self) {
        self.span = NOWHERE;
        self.aggregate.clear_spans();
        self.filter.clear_spans();
    }
}

impl Placed for Aggregate {
    fn clear_spans(&mut self) {
        match self {
            Aggregate::CountAll => {}
            Aggregate::CountDistinct(name)
            | Aggregate::Sum(name)
            | Aggregate::Avg(name)
            | Aggregate::Min(name)
            | Aggregate::Max(name)
            | Aggregate::Quantile(name, _) => name.clear_spans(),
        }
    }
}

impl Placed for Statement {
    fn clear_spans(&mut self) {
        let (Statement::Select(select) | Statement::Explain(select)) = self;
        select.clear_spans();
    }
}

impl Placed for Select {
    fn clear_spans(&mut self) {
        self.items.clear_spans();
        self.from.clear_spans();
        self.filter.clear_spans();
        self.group_by.clear_spans();
        self.having.clear_spans();
        self.order_by.clear_spans();
    }
}

impl Placed for SelectItem {
    fn clear_spans(&mut self) {
        self.span = NOWHERE;
        self.expression.clear_spans();
        self.alias.clear_spans();
    }
}

impl Placed for SelectExpression {
    fn clear_spans(&mut self) {
        match self {
            SelectExpression::Column(name) => name.clear_spans(),
            SelectExpression::Aggregate(aggregate) => aggregate.clear_spans(),
        }
    }
}

impl Placed for Having {
    fn clear_spans(&mut self) {
        match self {
            Having::And(children) | Having::Or(children) => children.clear_spans(),
            Having::Not(inner) => inner.clear_spans(),
            Having::Compare { aggregate, value, span, .. } => {
                aggregate.clear_spans();
                value.clear_spans();
                *span = NOWHERE;
            }
        }
    }
}

impl Placed for OrderBy {
    fn clear_spans(&mut self) {
        self.span = NOWHERE;
        self.expression.clear_spans();
    }
}
