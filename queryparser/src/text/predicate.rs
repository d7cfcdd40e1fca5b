//! Conditions: a Pratt parser for NOT, AND and OR over clauses, and the clauses themselves.
//!
//! ```text
//!   expression  = prefix { AND prefix | OR prefix }       OR < AND < NOT; a chain is one n-ary node
//!   prefix      = NOT prefix | ( expression ) | clause
//!   clause      = side [ op side | [NOT] BETWEEN … | [NOT] IN … | [NOT] LIKE … | IS [NOT] … ]
//! ```

use super::Parser;
use crate::ast::{CompareOp, Literal, LiteralValue, Name, Operand, Predicate, PredicateKind, Scalar, Span};
use crate::diagnostic::{Fault, Outcome};
use crate::lexer::TokenKind;
use crate::predicates::{self, Junction};

/// How strongly an operator binds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Strength {
    None,
    Or,
    And,
    Not,
}

/// One side of a comparison before it is known which side it is.
pub(super) enum Side {
    Operand(Operand),
    Scalar(Scalar),
    /// A function that is a condition by itself.
    Predicate(PredicateKind),
}

/// What may stand behind a bare flag. Anything else means that a comparison was begun.
const AFTER_FLAG: [&str; 13] = [
    "AND",
    "OR",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "FOR",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "WINDOW",
];

impl Parser<'_> {
    /// The whole text as one condition.
    pub(crate) fn whole_predicate(&mut self) -> Outcome<Predicate> {
        if self.at(TokenKind::End) {
            return Err(
                Fault::new("empty", self.current.span(), "the condition is empty").hint("write TRUE to mean everyone")
            );
        }
        if self.at_word("WHERE") {
            return Err(self.expected("a condition").hint("leave out WHERE: only what stands after it is wanted"));
        }
        if self.at_any_word(&["SELECT", "EXPLAIN"]) {
            return Err(self.expected("a condition").hint("only what stands after WHERE is wanted here"));
        }
        let predicate = self.predicate()?;
        match self.current.kind {
            TokenKind::End => Ok(predicate),
            TokenKind::RightParen => {
                Err(Fault::new("syntax", self.current.span(), "there is no `(` that this `)` could close"))
            }
            TokenKind::Semicolon => {
                Err(self.expected("AND, OR or the end of the text").hint("a condition ends without `;`"))
            }
            _ => Err(self.unexpected("AND, OR or the end of the text")),
        }
    }

    /// A condition, up to the first token that cannot belong to it.
    pub(super) fn predicate(&mut self) -> Outcome<Predicate> {
        self.expression(Strength::None)
    }

    fn expression(&mut self, floor: Strength) -> Outcome<Predicate> {
        let start = self.current.start;
        let mut left = self.prefix()?;
        loop {
            let (word, strength, junction) = if self.at_word("AND") {
                ("AND", Strength::And, Junction::And)
            } else if self.at_word("OR") {
                ("OR", Strength::Or, Junction::Or)
            } else {
                return Ok(left);
            };
            if strength <= floor {
                return Ok(left);
            }
            let mut children = vec![left];
            while self.eat_word(word) {
                children.push(self.expression(strength)?);
            }
            left = predicates::joined(junction, children, self.span_from(start));
        }
    }

    fn prefix(&mut self) -> Outcome<Predicate> {
        let start = self.current.start;
        if self.eat_word("NOT") {
            let inner = self.deeper(|parser| parser.expression(Strength::Not))?;
            return Ok(Predicate { kind: PredicateKind::Not(Box::new(inner)), span: self.span_from(start) });
        }
        if self.at(TokenKind::LeftParen) && !self.next_is_word("SELECT") {
            let open = self.bump();
            let inner = self.deeper(Parser::predicate)?;
            if !self.at(TokenKind::RightParen) {
                self.refuse_unexpected()?;
            }
            self.close(open)?;
            return match self.compare_op() {
                Some(_) => Err(self.unexpected("AND, OR or the end of the condition")),
                None => Ok(inner),
            };
        }
        let kind = self.clause()?;
        Ok(Predicate { kind, span: self.span_from(start) })
    }

    fn clause(&mut self) -> Outcome<PredicateKind> {
        self.count_term()?;
        if self.at_word("EXISTS") {
            return self.exists();
        }
        match self.side()? {
            Side::Predicate(kind) => Ok(kind),
            Side::Operand(operand) => self.clause_of(operand),
            Side::Scalar(Scalar::Literal(Literal { value: LiteralValue::Bool(value), .. }))
                if self.compare_op().is_none() =>
            {
                Ok(PredicateKind::Constant(value))
            }
            Side::Scalar(scalar) => self.turned_clause(scalar),
        }
    }

    /// What may stand left of an operator.
    fn side(&mut self) -> Outcome<Side> {
        let called =
            matches!(self.current.kind, TokenKind::Word | TokenKind::Quoted) && self.next.kind == TokenKind::LeftParen;
        if self.at(TokenKind::LeftParen) {
            self.scalar_subquery()
        } else if called && self.at_name() {
            self.call()
        } else if self.at_literal() {
            Ok(Side::Scalar(Scalar::Literal(self.literal("a value")?)))
        } else {
            Ok(Side::Operand(Operand::Name(self.name("a condition")?)))
        }
    }

    /// The rest of a clause that begins with what it looks at.
    fn clause_of(&mut self, operand: Operand) -> Outcome<PredicateKind> {
        if let Some(op) = self.compare_op() {
            let symbol = self.bump();
            let scalar = self.scalar(format_args!("a value after `{}`", symbol.of(self.text)))?;
            return Ok(predicates::compared(operand, op, scalar));
        }
        if self.at_word("IS") {
            return self.is(operand);
        }
        let negated = self.at_word("NOT") && self.eat_word("NOT");
        if self.eat_word("BETWEEN") {
            return self.between(operand, negated);
        }
        if self.eat_word("IN") {
            return self.in_list(operand, negated);
        }
        for (word, fold_case) in [("LIKE", false), ("ILIKE", true)] {
            if self.eat_word(word) {
                return self.like(operand, negated, fold_case, word);
            }
        }
        if negated {
            return Err(self.expected("IN, BETWEEN, LIKE or ILIKE after NOT"));
        }
        match operand {
            Operand::Name(name) => self.flag(name),
            _ => Err(self.unexpected("a comparison such as `>=`, IN or BETWEEN")),
        }
    }

    /// `18 <= age` says `age >= 18`.
    fn turned_clause(&mut self, scalar: Scalar) -> Outcome<PredicateKind> {
        let Some(op) = self.compare_op() else {
            return Err(self.unexpected("a comparison such as `=` after the value"));
        };
        let symbol = self.bump();
        let what = format!("a tag after `{}`", symbol.of(self.text));
        if self.at_literal() {
            return Err(self.expected(what).hint("one side of a comparison is a tag"));
        }
        let start = self.current.start;
        match self.side()? {
            Side::Operand(operand) => Ok(predicates::compared(operand, predicates::turned(op), scalar)),
            _ => {
                let message = format!("expected {what}");
                Err(Fault::new("syntax", self.span_from(start), message).hint("one side of a comparison is a tag"))
            }
        }
    }

    /// The comparison that the current token is.
    pub(super) fn compare_op(&self) -> Option<CompareOp> {
        match self.current.kind {
            TokenKind::Equal => Some(CompareOp::Equal),
            TokenKind::NotEqual => Some(CompareOp::NotEqual),
            TokenKind::Less => Some(CompareOp::Less),
            TokenKind::LessOrEqual => Some(CompareOp::LessOrEqual),
            TokenKind::Greater => Some(CompareOp::Greater),
            TokenKind::GreaterOrEqual => Some(CompareOp::GreaterOrEqual),
            _ => None,
        }
    }

    /// What may stand right of an operator.
    fn scalar(&mut self, what: std::fmt::Arguments<'_>) -> Outcome<Scalar> {
        if !self.at(TokenKind::LeftParen) || !self.next_is_word("SELECT") {
            return Ok(Scalar::Literal(self.literal(what)?));
        }
        let start = self.current.start;
        match self.scalar_subquery()? {
            Side::Scalar(scalar) => Ok(scalar),
            _ => {
                let message = "events are looked at on the left of a comparison, and held against one value";
                let hint = "on the right may stand a value, or (SELECT … FROM profiles): one number for everyone";
                Err(Fault::new("unsupported", self.span_from(start), message).hint(hint))
            }
        }
    }

    fn is(&mut self, operand: Operand) -> Outcome<PredicateKind> {
        let start = self.bump().start;
        let negated = self.eat_word("NOT");
        if self.eat_word("NULL") {
            return Ok(PredicateKind::IsNull { operand, negated });
        }
        let truth = self.at_word("TRUE");
        if !truth && !self.at_word("FALSE") {
            return Err(self.expected("NULL, TRUE or FALSE after IS"));
        }
        let literal = self.literal("TRUE or FALSE")?;
        let span = Span { start, ..self.span_from(start) };
        let kind = predicates::compared(operand, CompareOp::Equal, Scalar::Literal(literal));
        Ok(if negated { PredicateKind::Not(Box::new(Predicate { kind, span })) } else { kind })
    }

    fn between(&mut self, operand: Operand, negated: bool) -> Outcome<PredicateKind> {
        if self.at_any_word(&["SYMMETRIC", "ASYMMETRIC"]) {
            return Err(self.unsupported("BETWEEN takes the lower end first, and no SYMMETRIC"));
        }
        let low = self.scalar(format_args!("a value after BETWEEN"))?;
        self.need_word("AND", "and the upper end of BETWEEN")?;
        let high = self.scalar(format_args!("the upper end of BETWEEN"))?;
        Ok(PredicateKind::Between { operand, negated, low, high })
    }

    /// Behind IN: a list, or the top of all profiles.
    fn in_list(&mut self, operand: Operand, negated: bool) -> Outcome<PredicateKind> {
        let open = self.need(TokenKind::LeftParen, "`(` after IN")?;
        if self.at_word("SELECT") {
            return self.top(operand, negated, open);
        }
        if self.at(TokenKind::RightParen) {
            return Err(self.expected("a value in the list of IN"));
        }
        let list = self.literals("a value in the list of IN")?;
        if self.at_literal() {
            return Err(self.expected("`,` or `)` in the list of IN"));
        }
        self.close(open)?;
        Ok(PredicateKind::In { operand, negated, list })
    }

    /// One or more values with commas between.
    pub(super) fn literals(&mut self, what: &str) -> Outcome<Vec<Literal>> {
        let mut list = vec![self.literal(what)?];
        while self.eat(TokenKind::Comma) {
            list.push(self.literal(what)?);
            if list.len() > self.limits.list_literals_max {
                let message = format!("more than {} values in one list", self.limits.list_literals_max);
                return Err(Fault::new("too_many_literals", self.span_from(self.previous_end), message)
                    .hint("upload so many as a bitmap, or as an audience"));
            }
        }
        Ok(list)
    }

    fn like(&mut self, operand: Operand, negated: bool, fold_case: bool, word: &str) -> Outcome<PredicateKind> {
        let pattern = self.text_literal(format_args!("a pattern in single quotes after {word}"))?;
        let mut escape = Some('\\');
        if self.eat_word("ESCAPE") {
            let literal = self.text_literal("one character in single quotes after ESCAPE")?;
            let LiteralValue::Text(text) = literal.value else { unreachable!("text_literal reads texts") };
            let mut characters = text.chars();
            escape = characters.next();
            if characters.next().is_some() {
                return Err(Fault::new("syntax", literal.span, "ESCAPE takes one character, or none"));
            }
        }
        Ok(PredicateKind::Like { operand, negated, fold_case, pattern, escape })
    }

    /// A name alone is a flag, if the clause ends behind it.
    fn flag(&mut self, name: Name) -> Outcome<PredicateKind> {
        let ends = matches!(self.current.kind, TokenKind::End | TokenKind::RightParen | TokenKind::Semicolon)
            || self.at_any_word(&AFTER_FLAG);
        if ends {
            return Ok(PredicateKind::Flag(name));
        }
        if let Some(whole) = self.dashed_name(&name) {
            let written = whole.of(self.text);
            let fault = Fault::new("syntax", whole.span(), format!("`{written}` is not a name: a name has no `-`"));
            return Err(fault.hint(format!("if it is one, write it in double quotes: \"{written}\"")));
        }
        Err(self.unexpected(format_args!("a comparison such as `=` after `{}`", name.text)))
    }

    /// `country-code`: a name, a minus and a name without blanks between them.
    fn dashed_name(&self, name: &Name) -> Option<crate::lexer::Token> {
        let (minus, end) = (self.current, name.span.start + name.span.len);
        let adjacent = minus.kind == TokenKind::Minus && minus.start == end && self.next.start == minus.end;
        let rest = &self.text[minus.start as usize..];
        let length = rest.find(|c: char| c != '-' && c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        let whole = crate::lexer::Token { start: name.span.start, end: minus.start + length as u32, ..minus };
        (adjacent && self.next.kind == TokenKind::Word).then_some(whole)
    }

    /// "expected …, found …", with a word about arithmetic and double comparisons, which people try.
    pub(super) fn unexpected(&self, what: impl std::fmt::Display) -> Box<Fault> {
        if let Err(fault) = self.refuse_unexpected() {
            return fault;
        }
        let fault = self.expected(what);
        match self.compare_op() {
            Some(_) => fault.hint("a comparison has two sides: a tag and a value"),
            None => fault,
        }
    }

    /// Refuses, with a word of their own, tokens that no condition can go on with.
    fn refuse_unexpected(&self) -> Outcome<()> {
        match self.current.kind {
            TokenKind::Plus | TokenKind::Minus | TokenKind::Star => {
                Err(self.unsupported("the language has no arithmetic, except with CURRENT_DATE"))
            }
            TokenKind::Word if self.at_word("COLLATE") => Err(self.unsupported("the language has no collations")),
            _ => Ok(()),
        }
    }
}
