//! Text → AST: the cursor over the tokens that all reading functions share. Their rooms are by noun:
//!
//! ```text
//!   predicate  NOT, AND, OR (Pratt) and clauses        subquery   (SELECT …) in all its places
//!   call       has_all(…), followed_by(…), bucket(…)   statement  SELECT … GROUP BY … LIMIT
//!   value      literals, CURRENT_DATE, intervals       having     conditions over groups
//! ```
//!
//! The cursor sees two tokens and never goes back, so reading is linear. Every function that may come round to itself
//! goes through [`Parser::deeper`], which counts.

mod call;
mod having;
mod predicate;
mod statement;
mod subquery;
mod value;

use std::fmt;

use crate::Limits;
use crate::ast::{Name, Span};
use crate::diagnostic::{Fault, Outcome, visible};
use crate::lexer::{self, Lexer, Token, TokenKind};
use crate::source::locate_in_text;
use crate::words;

/// Characters of a token that a message repeats.
const SHOWN_CHARACTERS_MAX: usize = 40;

/// A reader of one text.
pub(crate) struct Parser<'t> {
    text: &'t str,
    limits: &'t Limits,
    lexer: Lexer<'t>,
    current: Token,
    next: Token,
    previous_end: u32,
    depth: u32,
    terms: u32,
}

impl<'t> Parser<'t> {
    pub(crate) fn new(text: &'t str, limits: &'t Limits) -> Parser<'t> {
        let mut lexer = Lexer::new(text);
        let (current, next) = (lexer.token(), lexer.token());
        Parser { text, limits, lexer, current, next, previous_end: 0, depth: 0, terms: 0 }
    }

    // -- looking and stepping ---------------------------------------------------------------------------------

    /// Steps over the current token and returns it.
    fn bump(&mut self) -> Token {
        let token = self.current;
        self.previous_end = token.end;
        self.current = std::mem::replace(&mut self.next, self.lexer.token());
        token
    }

    fn at(&self, kind: TokenKind) -> bool {
        self.current.kind == kind
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let here = self.at(kind);
        if here {
            self.bump();
        }
        here
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == TokenKind::Word && token.of(self.text).eq_ignore_ascii_case(word)
    }

    fn at_word(&self, word: &str) -> bool {
        self.is_word(self.current, word)
    }

    fn at_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.at_word(word))
    }

    fn next_is_word(&self, word: &str) -> bool {
        self.is_word(self.next, word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let here = self.at_word(word);
        if here {
            self.bump();
        }
        here
    }

    /// From `start` to the end of what was last stepped over.
    fn span_from(&self, start: u32) -> Span {
        Span { start, len: self.previous_end.saturating_sub(start) }
    }

    // -- what must be there -----------------------------------------------------------------------------------

    fn need(&mut self, kind: TokenKind, what: impl fmt::Display) -> Outcome<Token> {
        if self.at(kind) { Ok(self.bump()) } else { Err(self.expected(what)) }
    }

    fn need_word(&mut self, word: &str, place: impl fmt::Display) -> Outcome<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.expected(format_args!("{word} {place}"))) }
    }

    /// Steps over the `)` that closes `open`.
    fn close(&mut self, open: Token) -> Outcome<()> {
        if self.eat(TokenKind::RightParen) {
            return Ok(());
        }
        let place = locate_in_text(self.text, open.span());
        Err(self.expected(format_args!("`)` to close the `(` at {place}")))
    }

    /// A name: unquoted in lower case, or quoted as it stands.
    fn name(&mut self, what: impl fmt::Display) -> Outcome<Name> {
        let token = self.current;
        let written = token.of(self.text);
        let text = match token.kind {
            TokenKind::Quoted => written[1..written.len() - 1].replace("\"\"", "\""),
            TokenKind::Word => written.to_ascii_lowercase(),
            _ => return Err(self.expected(what)),
        };
        if token.kind == TokenKind::Word && words::is_reserved(&text) {
            let fault = self.expected(what);
            let named = !matches!(self.next.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::LeftParen);
            return Err(if named && !STRUCTURE.contains(&text.as_str()) {
                fault.hint(format!("`{written}` is a word of SQL; as a name, write \"{text}\""))
            } else {
                fault
            });
        }
        self.bump();
        Ok(Name { text, span: token.span() })
    }

    /// Whether the current token can be a name.
    fn at_name(&self) -> bool {
        match self.current.kind {
            TokenKind::Quoted => true,
            TokenKind::Word => !words::is_reserved(&self.current.of(self.text).to_ascii_lowercase()),
            _ => false,
        }
    }

    // -- errors and bounds ------------------------------------------------------------------------------------

    /// "expected …, found …" at the current token; if that is no token at all, what is wrong with it.
    fn expected(&self, what: impl fmt::Display) -> Box<Fault> {
        if let TokenKind::Bad(bad) = self.current.kind {
            return lexer::fault(bad, self.current, self.text);
        }
        let message = format!("expected {what}, found {}", self.found(self.current));
        Fault::new("syntax", self.current.span(), message)
    }

    /// A token in words.
    fn found(&self, token: Token) -> String {
        if token.kind == TokenKind::End {
            return "the end of the text".to_owned();
        }
        let written = token.of(self.text);
        let mut shown: String = written.chars().take(SHOWN_CHARACTERS_MAX).map(visible).collect();
        if written.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
            shown.push('…');
        }
        match token.kind {
            TokenKind::Text => format!("the text {shown}"),
            TokenKind::Number => format!("the number {shown}"),
            TokenKind::Quoted => format!("the name {shown}"),
            _ => format!("`{shown}`"),
        }
    }

    /// An error for what SQL has and this language has not, at the current token.
    fn unsupported(&self, message: impl Into<String>) -> Box<Fault> {
        Fault::new("unsupported", self.current.span(), message)
    }

    /// Reads something inside something else, unless it is too deep.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth >= self.limits.depth_max {
            let message = format!("nested more than {} deep", self.limits.depth_max);
            return Err(Fault::new("nesting_too_deep", self.current.span(), message));
        }
        self.depth += 1;
        let inner = read(self)?;
        self.depth -= 1;
        Ok(inner)
    }

    /// Counts a clause, or an item of a SELECT list.
    fn count_term(&mut self) -> Outcome<()> {
        self.terms += 1;
        if self.terms <= self.limits.terms_max {
            return Ok(());
        }
        let message = format!("more than {} clauses", self.limits.terms_max);
        Err(Fault::new("too_many_terms", self.current.span(), message)
            .hint("many values of one tag fit in one IN list"))
    }
}

/// Reserved words that nobody means as a name.
const STRUCTURE: [&str; 20] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "like",
    "ilike",
    "between",
    "select",
    "from",
    "where",
    "having",
    "limit",
    "as",
    "null",
    "true",
    "false",
    "exists",
    "interval",
    "current_date",
];
