//! Values as text writes them: numbers, texts, TRUE and FALSE, dates, days relative to CURRENT_DATE, intervals.

use std::fmt;

use super::Parser;
use crate::ast::{Decimal, Interval, Literal, LiteralValue, Span, Unit};
use crate::dates;
use crate::diagnostic::{Fault, Outcome};
use crate::lexer::TokenKind;

impl Parser<'_> {
    /// Whether a literal begins here. A `date` that no text follows is a name.
    pub(super) fn at_literal(&self) -> bool {
        match self.current.kind {
            TokenKind::Text | TokenKind::Number | TokenKind::Minus | TokenKind::Plus => true,
            TokenKind::Word if self.at_any_word(&["TRUE", "FALSE", "CURRENT_DATE"]) => true,
            TokenKind::Word => self.next.kind == TokenKind::Text && self.at_any_word(&["DATE", "TIMESTAMP"]),
            _ => false,
        }
    }

    /// A literal, or "expected `what`" with what to write instead.
    pub(super) fn literal(&mut self, what: impl fmt::Display) -> Outcome<Literal> {
        let start = self.current.start;
        let value = match self.current.kind {
            TokenKind::Text => LiteralValue::Text(self.text_token()),
            TokenKind::Number | TokenKind::Minus | TokenKind::Plus => LiteralValue::Number(self.number(what)?),
            _ if !self.at_literal() => return Err(self.not_a_value(what)),
            _ => match self.bump().of(self.text).to_ascii_uppercase().as_str() {
                "TRUE" => LiteralValue::Bool(true),
                "FALSE" => LiteralValue::Bool(false),
                "CURRENT_DATE" => LiteralValue::RelativeDate(self.intervals()?),
                "DATE" => LiteralValue::Date(self.checked_text(dates::date)?),
                _ => self.checked_text(dates::timestamp)?,
            },
        };
        Ok(Literal { value, span: self.span_from(start) })
    }

    /// The error where a value was expected: most often quotes are missing, or of the wrong kind.
    fn not_a_value(&self, what: impl fmt::Display) -> Box<Fault> {
        let written = self.current.of(self.text);
        let fault = self.expected(what);
        match self.current.kind {
            TokenKind::Quoted => {
                let inside = &written[1..written.len() - 1];
                fault.hint(format!("double quotes are for names; a text stands in single quotes: '{inside}'"))
            }
            TokenKind::Word if self.at_word("NULL") => fault.hint("to ask for the unknown, write IS NULL"),
            TokenKind::Word if self.at_word("INTERVAL") => {
                fault.hint("a day is written CURRENT_DATE - INTERVAL '90' DAY")
            }
            TokenKind::Word if self.at_name() => fault.hint(format!("a text stands in single quotes: '{written}'")),
            TokenKind::LeftParen if self.next.kind != TokenKind::Word => fault.hint("leave out the parentheses"),
            _ => fault,
        }
    }

    /// The text of the current token, which is a `Text`.
    fn text_token(&mut self) -> String {
        let written = self.bump().of(self.text);
        written[1..written.len() - 1].replace("''", "'")
    }

    /// The current text, read by `read`, whose error is a sentence.
    fn checked_text<T>(&mut self, read: impl FnOnce(&str) -> Result<T, String>) -> Outcome<T> {
        let span = self.current.span();
        let text = self.text_token();
        read(&text).map_err(|message| Fault::new("bad_date", span, message))
    }

    /// A text literal.
    pub(super) fn text_literal(&mut self, what: impl fmt::Display) -> Outcome<Literal> {
        if !self.at(TokenKind::Text) {
            return Err(self.not_a_value(what));
        }
        let span = self.current.span();
        Ok(Literal { value: LiteralValue::Text(self.text_token()), span })
    }

    /// A number with or without a sign.
    pub(super) fn number(&mut self, what: impl fmt::Display) -> Outcome<Decimal> {
        let start = self.current.start;
        let negative = match self.current.kind {
            TokenKind::Minus | TokenKind::Plus => self.bump().kind == TokenKind::Minus,
            _ => false,
        };
        let token = self.need(TokenKind::Number, what)?;
        match Decimal::parse(token.of(self.text)) {
            Some(number) => Ok(if negative { Decimal { digits: -number.digits, ..number } } else { number }),
            None => {
                let message = format!("a number has at most {} digits", Decimal::DIGITS_MAX);
                Err(Fault::new("bad_number", self.span_from(start), message))
            }
        }
    }

    /// A whole number from 0 without sign, at most `most`.
    pub(super) fn whole_number(&mut self, most: u64, what: impl fmt::Display) -> Outcome<u64> {
        let token = self.need(TokenKind::Number, &what)?;
        let number = Decimal::parse(token.of(self.text)).and_then(Decimal::to_integer);
        let fitting = number.and_then(|n| u64::try_from(n).ok()).filter(|&n| n <= most);
        fitting.ok_or_else(|| {
            let at_most = if most < u64::MAX { format!(", and at most {most}") } else { String::new() };
            let message = format!("expected {what}, found {}: it must be whole{at_most}", self.found(token));
            Fault::new("bad_number", token.span(), message)
        })
    }

    /// `[+|- INTERVAL 'n' UNIT | +|- n] …` behind CURRENT_DATE. Distances of zero are left out.
    fn intervals(&mut self) -> Outcome<Vec<Interval>> {
        let mut intervals = Vec::new();
        while matches!(self.current.kind, TokenKind::Plus | TokenKind::Minus) {
            let start = self.current.start;
            let back = self.bump().kind == TokenKind::Minus;
            let interval = if self.at_word("INTERVAL") {
                self.interval()?
            } else {
                let days = self.whole_number(i32::MAX as u64, "INTERVAL 'n' DAY or a number of days")?;
                Interval { count: days as i32, unit: Unit::Day }
            };
            let signed = if back { dates::turned(interval) } else { Some(interval) };
            let span = self.span_from(start);
            intervals.push(signed.ok_or_else(|| Fault::new("bad_interval", span, "the interval is too long"))?);
            if intervals.len() > self.limits.intervals_max {
                let message = format!("more than {} intervals in one date", self.limits.intervals_max);
                return Err(Fault::new("too_many_intervals", span, message));
            }
        }
        intervals.retain(|interval| interval.count != 0);
        Ok(intervals)
    }

    /// `INTERVAL '90' DAY`, or PostgreSQL's `INTERVAL '90 days'`.
    pub(super) fn interval(&mut self) -> Outcome<Interval> {
        self.need_word("INTERVAL", "'n' DAY")?;
        if !self.at(TokenKind::Text) {
            return Err(self.expected("a number in quotes after INTERVAL").hint("write INTERVAL '90' DAY"));
        }
        let span = self.current.span();
        let text = self.text_token();
        let (number, unit) = match text.trim().split_once(' ') {
            Some((number, word)) => (number, Some(self.known_unit(word.trim(), true, span)?)),
            None => (text.trim(), None),
        };
        let count: i32 = number.parse().map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            Fault::new("bad_interval", span, format!("'{shown}' is not a whole number of days, weeks, months or years"))
        })?;
        if let Some(unit) = unit {
            return Ok(Interval { count, unit });
        }
        let token = self.need(TokenKind::Word, "DAY, WEEK, MONTH or YEAR")?;
        let unit = self.known_unit(token.of(self.text), false, token.span())?;
        Ok(Interval { count, unit })
    }

    fn known_unit(&self, word: &str, plural: bool, span: Span) -> Outcome<Unit> {
        dates::unit(word, plural).ok_or_else(|| {
            let shown: String = word.chars().take(40).collect();
            let fault = Fault::new("bad_interval", span, format!("expected DAY, WEEK, MONTH or YEAR, found `{shown}`"));
            match dates::unit(word, true) {
                Some(unit) => fault.hint(format!("write {}", dates::unit_word(unit))),
                None => fault,
            }
        })
    }
}
