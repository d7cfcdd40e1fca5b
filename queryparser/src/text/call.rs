//! Functions of conditions: `has_all(…)`, `followed_by(…)`, `was(…)`, `bucket(…)` and the others of
//! [`crate::FUNCTIONS`]. Each reads its own arguments, so each can say what it expects.

use super::Parser;
use super::predicate::Side;
use crate::ast::{Literal, LiteralValue, Name, Operand, PredicateKind, Span, Unit};
use crate::dates;
use crate::diagnostic::{Fault, Outcome};
use crate::lexer::{Token, TokenKind};
use crate::nearest::nearest;
use crate::words::{AGGREGATES, FUNCTIONS};

impl Parser<'_> {
    /// A call; the current token is its name and the next one its `(`.
    pub(super) fn call(&mut self) -> Outcome<Side> {
        let function = self.name("a function")?;
        let open = self.bump();
        let kind = match function.text.as_str() {
            "has_all" | "has_none" => self.has(&function.text)?,
            "followed_by" => self.followed_by()?,
            "in_audience" => PredicateKind::InAudience(self.audience()?),
            "in_snapshot" => self.in_snapshot()?,
            "was" => self.was()?,
            "in_bitmap" => PredicateKind::InBitmap(self.text_literal("a bitmap in base64, in single quotes")?),
            "month_day" => {
                let tag = self.name("a date tag in month_day")?;
                self.close(open)?;
                return Ok(Side::Operand(Operand::MonthDay(tag)));
            }
            "bucket" => return self.bucket(&function, open),
            _ => return Err(unknown(&function)),
        };
        self.close(open)?;
        Ok(Side::Predicate(kind))
    }

    fn has(&mut self, function: &str) -> Outcome<PredicateKind> {
        let tag = self.name(format_args!("a set tag as the first argument of {function}"))?;
        self.need(TokenKind::Comma, format_args!("`,` and a value in {function}"))?;
        let list = self.literals(&format!("a value in {function}"))?;
        Ok(match function {
            "has_all" => PredicateKind::HasAll { tag, list },
            _ => PredicateKind::HasNone { tag, list },
        })
    }

    fn followed_by(&mut self) -> Outcome<PredicateKind> {
        let mut steps = vec![self.event_filter("followed_by")?];
        let mut within = None;
        while within.is_none() && self.eat(TokenKind::Comma) {
            if !self.at_word("INTERVAL") {
                self.count_term()?;
                steps.push(self.event_filter("followed_by")?);
                continue;
            }
            let start = self.current.start;
            let interval = self.interval()?;
            let span = self.span_from(start);
            let refused = |message: &str| Err(Fault::new("bad_interval", span, message));
            match interval.unit {
                Unit::Day | Unit::Week if interval.count > 0 => within = Some(interval),
                Unit::Day | Unit::Week => return refused("the limit of followed_by is at least one day"),
                Unit::Month | Unit::Year => return refused("the limit of followed_by is in DAY or WEEK"),
            }
        }
        if steps.len() < 2 {
            return Err(self.expected("`,` and a second step (SELECT 1 FROM …) in followed_by"));
        }
        Ok(PredicateKind::FollowedBy { steps, within })
    }

    /// The name of an audience, in single quotes.
    fn audience(&mut self) -> Outcome<Name> {
        match self.text_literal("the name of an audience in single quotes")? {
            Literal { value: LiteralValue::Text(text), span } if text.is_empty() => {
                Err(Fault::new("syntax", span, "the name of an audience cannot be empty"))
            }
            Literal { value: LiteralValue::Text(text), span } => Ok(Name { text, span }),
            _ => unreachable!("text_literal reads texts"),
        }
    }

    fn in_snapshot(&mut self) -> Outcome<PredicateKind> {
        let audience = self.audience()?;
        self.need(TokenKind::Comma, "`,` and the day of the snapshot")?;
        let on = self.day("the day of the snapshot, such as DATE '2026-11-01'")?;
        if let LiteralValue::Text(text) = &on.value {
            let date = dates::date(text).map_err(|message| Fault::new("bad_date", on.span, message))?;
            return Ok(PredicateKind::InSnapshot { audience, on: Literal { value: LiteralValue::Date(date), ..on } });
        }
        Ok(PredicateKind::InSnapshot { audience, on })
    }

    fn was(&mut self) -> Outcome<PredicateKind> {
        let state = self.day("an earlier state: DATE '2026-10-31' or the name of a store snapshot")?;
        let state = match &state.value {
            LiteralValue::Text(text) if dates::is_date_shaped(text) => {
                let date = dates::date(text).map_err(|message| Fault::new("bad_date", state.span, message))?;
                Literal { value: LiteralValue::Date(date), ..state }
            }
            _ => state,
        };
        self.need(TokenKind::Comma, "`,` and what held then")?;
        let predicate = Box::new(self.deeper(Parser::predicate)?);
        Ok(PredicateKind::Was { state, predicate })
    }

    /// A date, a relative date or a text.
    fn day(&mut self, what: &str) -> Outcome<Literal> {
        let literal = self.literal(what)?;
        match literal.value {
            LiteralValue::Date(_) | LiteralValue::RelativeDate(_) | LiteralValue::Text(_) => Ok(literal),
            _ => Err(Fault::new("wrong_type", literal.span, format!("expected {what}"))),
        }
    }

    fn bucket(&mut self, function: &Name, open: Token) -> Outcome<Side> {
        let salt = self.text_literal("a salt in single quotes")?;
        self.need(TokenKind::Comma, "`,` and the number of buckets")?;
        let at = self.current.span();
        let of = self.whole_number(u64::from(u32::MAX), "the number of buckets")? as u32;
        if of == 0 {
            return Err(Fault::new("bad_number", at, "there must be at least one bucket"));
        }
        self.close(open)?;
        Ok(Side::Operand(Operand::Bucket { salt, of, span: self.span_from(function.span.start) }))
    }
}

fn unknown(function: &Name) -> Box<Fault> {
    let shown: String = function.text.chars().take(60).collect();
    let span: Span = function.span;
    if AGGREGATES.contains(&function.text.as_str()) {
        return Fault::new("syntax", span, format!("`{shown}` needs a subquery"))
            .hint(format!("write (SELECT {shown}(…) FROM …): an event's name, or profiles"));
    }
    Fault::new("unknown_function", span, format!("there is no function `{shown}`"))
        .suggest(nearest(&function.text, FUNCTIONS))
}
