//! HAVING: AND, OR and NOT over comparisons of aggregates with values. Bound like conditions, so read like them.

use super::Parser;
use crate::ast::{Aggregate, CompareOp, Having, Literal};
use crate::diagnostic::Outcome;
use crate::lexer::TokenKind;
use crate::predicates;

impl Parser<'_> {
    /// A condition over groups.
    pub(super) fn having(&mut self) -> Outcome<Having> {
        let mut children = vec![self.having_all()?];
        while self.eat_word("OR") {
            children.push(self.having_all()?);
        }
        Ok(any_of(children))
    }

    fn having_all(&mut self) -> Outcome<Having> {
        let mut children = vec![self.having_prefix()?];
        while self.eat_word("AND") {
            children.push(self.having_prefix()?);
        }
        Ok(all_of(children))
    }

    fn having_prefix(&mut self) -> Outcome<Having> {
        if self.eat_word("NOT") {
            let inner = self.deeper(Parser::having_prefix)?;
            return Ok(Having::Not(Box::new(inner)));
        }
        if !self.at(TokenKind::LeftParen) {
            return self.having_clause();
        }
        let open = self.bump();
        let inner = self.deeper(Parser::having)?;
        self.close(open)?;
        Ok(inner)
    }

    fn having_clause(&mut self) -> Outcome<Having> {
        self.count_term()?;
        let start = self.current.start;
        if self.at_literal() {
            let value = self.literal("a value")?;
            let Some(op) = self.compare_op() else { return Err(self.unexpected("a comparison after the value")) };
            self.bump();
            let aggregate = self.having_aggregate()?;
            return Ok(Having::Compare { aggregate, op: predicates::turned(op), value, span: self.span_from(start) });
        }
        let aggregate = self.having_aggregate()?;
        let negated = self.eat_word("NOT");
        if self.eat_word("BETWEEN") {
            return self.having_between(aggregate, negated, start);
        }
        let op = self.compare_op().filter(|_| !negated);
        let Some(op) = op else { return Err(self.unexpected("a comparison or BETWEEN after the aggregate")) };
        let symbol = self.bump();
        let value = self.literal(format_args!("a value after `{}`", symbol.of(self.text)))?;
        Ok(Having::Compare { aggregate, op, value, span: self.span_from(start) })
    }

    fn having_aggregate(&mut self) -> Outcome<Aggregate> {
        if !self.at_aggregate() {
            return Err(self
                .expected("an aggregate such as count(*) in HAVING")
                .hint("a condition on columns goes after WHERE"));
        }
        let computed = self.aggregate()?;
        self.over_profiles(computed)
    }

    /// Both ends as comparisons: `>= low AND <= high`, or `< low OR > high`.
    fn having_between(&mut self, aggregate: Aggregate, negated: bool, start: u32) -> Outcome<Having> {
        let low = self.literal("a value after BETWEEN")?;
        self.need_word("AND", "and the upper end of BETWEEN")?;
        let high = self.literal("the upper end of BETWEEN")?;
        let span = self.span_from(start);
        let compare =
            |aggregate: Aggregate, op: CompareOp, value: Literal| Having::Compare { aggregate, op, value, span };
        Ok(if negated {
            let below = compare(aggregate.clone(), CompareOp::Less, low);
            any_of(vec![below, compare(aggregate, CompareOp::Greater, high)])
        } else {
            let from = compare(aggregate.clone(), CompareOp::GreaterOrEqual, low);
            all_of(vec![from, compare(aggregate, CompareOp::LessOrEqual, high)])
        })
    }
}

/// All of them as one node; a child of the same kind gives its own children.
fn all_of(children: Vec<Having>) -> Having {
    let flat = |child| match child {
        Having::And(inner) => inner,
        other => vec![other],
    };
    one_or(children.into_iter().flat_map(flat).collect(), Having::And)
}

/// Any of them as one node; a child of the same kind gives its own children.
fn any_of(children: Vec<Having>) -> Having {
    let flat = |child| match child {
        Having::Or(inner) => inner,
        other => vec![other],
    };
    one_or(children.into_iter().flat_map(flat).collect(), Having::Or)
}

fn one_or(mut children: Vec<Having>, join: fn(Vec<Having>) -> Having) -> Having {
    if children.len() == 1 { children.remove(0) } else { join(children) }
}
