//! Text → tokens, one at a time: no list of tokens is kept, so a long text costs no memory.
//! Knows characters, quotes and comments; knows no keywords. What cannot be a token becomes [`TokenKind::Bad`], and the
//! parser reports it if it gets that far.
//!
//! ```text
//!   word    letter or _, then letters, digits, _ and $    (keywords are words too)
//!   quoted  "any ""quoted"" name"          text   'it''s'
//!   number  12  3.5  .5  1e3               comment  -- to the end of the line   /* nested */
//! ```

use crate::ast::Span;
use crate::diagnostic::Fault;

/// A token with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    Quoted,
    Text,
    Number,
    LeftParen,
    RightParen,
    Comma,
    Semicolon,
    Star,
    Plus,
    Minus,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    End,
    Bad(Bad),
}

/// Why something is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    UnclosedText,
    UnclosedName,
    EmptyName,
    UnclosedComment,
    Number,
    Stray,
}

impl Token {
    pub(crate) fn span(self) -> Span {
        Span { start: self.start, len: self.end - self.start }
    }

    /// Its bytes in the text that it came from.
    pub(crate) fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// Reads tokens from the front of a text of less than 4 GiB.
#[derive(Debug)]
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Lexer<'t> {
        assert!(u32::try_from(text.len()).is_ok(), "spans count bytes in 32 bits");
        Lexer { text, at: 0 }
    }

    /// The next token; after the last one `End` for ever.
    pub(crate) fn token(&mut self) -> Token {
        let unclosed_comment = self.skip_blanks();
        let start = self.at;
        let kind = match unclosed_comment {
            Some(comment_start) => return self.finish(TokenKind::Bad(Bad::UnclosedComment), comment_start),
            None => match self.byte(0) {
                None => TokenKind::End,
                Some(b'\'') => self.quoted(b'\'', TokenKind::Text, Bad::UnclosedText),
                Some(b'"') => self.quoted(b'"', TokenKind::Quoted, Bad::UnclosedName),
                Some(b'0'..=b'9') => self.number(),
                Some(b'.') if matches!(self.byte(1), Some(b'0'..=b'9')) => self.number(),
                Some(_) if self.starts_word() => self.word(),
                Some(byte) => self.symbol(byte),
            },
        };
        self.finish(kind, start)
    }

    fn finish(&self, kind: TokenKind, start: usize) -> Token {
        Token { kind, start: start as u32, end: self.at as u32 }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn character(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// Passes blanks and comments; the start of a comment that never ends.
    fn skip_blanks(&mut self) -> Option<usize> {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r'), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => {
                    let rest = &self.text[self.at..];
                    self.at += rest.find('\n').unwrap_or(rest.len());
                }
                (Some(b'/'), Some(b'*')) => {
                    let start = self.at;
                    if !self.skip_comment() {
                        return Some(start);
                    }
                }
                _ => return None,
            }
        }
    }

    /// Passes one block comment and those inside it; false if the text ends first.
    fn skip_comment(&mut self) -> bool {
        let mut open: u32 = 0;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => (open, self.at) = (open + 1, self.at + 2),
                (Some(b'*'), Some(b'/')) => (open, self.at) = (open - 1, self.at + 2),
                (Some(_), _) => self.at += 1,
                (None, _) => return false,
            }
            if open == 0 {
                return true;
            }
        }
    }

    fn quoted(&mut self, quote: u8, kind: TokenKind, unclosed: Bad) -> TokenKind {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            match rest.iter().position(|&b| b == quote) {
                None => {
                    self.at = self.text.len();
                    return TokenKind::Bad(unclosed);
                }
                Some(length) if rest.get(length + 1) == Some(&quote) => self.at += length + 2,
                Some(length) => {
                    self.at += length + 1;
                    let empty = kind == TokenKind::Quoted && self.at - start == 2;
                    return if empty { TokenKind::Bad(Bad::EmptyName) } else { kind };
                }
            }
        }
    }

    /// Digits, a point, digits, an exponent. Letters right behind make it bad, whole: `12ab`, `1.2.3`, `5.`.
    fn number(&mut self) -> TokenKind {
        self.skip_digits();
        if self.byte(0) == Some(b'.') && matches!(self.byte(1), Some(b'0'..=b'9')) {
            self.at += 1;
            self.skip_digits();
        }
        if matches!(self.byte(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.byte(1), Some(b'+' | b'-')));
            if matches!(self.byte(1 + sign), Some(b'0'..=b'9')) {
                self.at += 1 + sign;
                self.skip_digits();
            }
        }
        let end = self.at;
        while self.character().is_some_and(|c| is_word_character(c) || c == '.') {
            self.at += self.character().map_or(0, char::len_utf8);
        }
        if self.at == end { TokenKind::Number } else { TokenKind::Bad(Bad::Number) }
    }

    fn skip_digits(&mut self) {
        while matches!(self.byte(0), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn starts_word(&self) -> bool {
        self.character().is_some_and(|c| c == '_' || c.is_alphabetic())
    }

    fn word(&mut self) -> TokenKind {
        while let Some(c) = self.character().filter(|&c| is_word_character(c)) {
            self.at += c.len_utf8();
        }
        TokenKind::Word
    }

    fn symbol(&mut self, byte: u8) -> TokenKind {
        let (kind, length) = match (byte, self.byte(1)) {
            (b'(', _) => (TokenKind::LeftParen, 1),
            (b')', _) => (TokenKind::RightParen, 1),
            (b',', _) => (TokenKind::Comma, 1),
            (b';', _) => (TokenKind::Semicolon, 1),
            (b'*', _) => (TokenKind::Star, 1),
            (b'+', _) => (TokenKind::Plus, 1),
            (b'-', _) => (TokenKind::Minus, 1),
            (b'<', Some(b'>')) | (b'!', Some(b'=')) => (TokenKind::NotEqual, 2),
            (b'<', Some(b'=')) => (TokenKind::LessOrEqual, 2),
            (b'<', _) => (TokenKind::Less, 1),
            (b'>', Some(b'=')) => (TokenKind::GreaterOrEqual, 2),
            (b'>', _) => (TokenKind::Greater, 1),
            (b'=', Some(b'=' | b'>' | b'<')) | (b'&', Some(b'&')) | (b'|', Some(b'|')) | (b':', Some(b':')) => {
                (TokenKind::Bad(Bad::Stray), 2)
            }
            (b'=', _) => (TokenKind::Equal, 1),
            _ => (TokenKind::Bad(Bad::Stray), self.character().map_or(1, char::len_utf8)),
        };
        self.at += length;
        kind
    }
}

fn is_word_character(c: char) -> bool {
    c == '_' || c == '$' || c.is_ascii_digit() || c.is_alphabetic()
}

/// The error for something that is not a token.
pub(crate) fn fault(bad: Bad, token: Token, text: &str) -> Box<Fault> {
    let first = Span { start: token.start, len: 1 };
    let written = token.of(text);
    match bad {
        Bad::UnclosedText => Fault::new("syntax", first, "this text has no closing `'`")
            .hint("a quote inside a text is written twice: 'it''s'"),
        Bad::UnclosedName => Fault::new("syntax", first, "this quoted name has no closing `\"`"),
        Bad::EmptyName => {
            Fault::new("syntax", token.span(), "a name cannot be empty").hint("an empty text is written ''")
        }
        Bad::UnclosedComment => {
            let span = Span { start: token.start, len: 2 };
            Fault::new("syntax", span, "this comment has no closing `*/`")
        }
        Bad::Number => {
            let shown: String = written.chars().take(40).collect();
            Fault::new("bad_number", token.span(), format!("`{shown}` is not a number"))
                .hint(format!("a text stands in single quotes: '{shown}'"))
        }
        Bad::Stray => stray(written, token.span()),
    }
}

fn stray(written: &str, span: Span) -> Box<Fault> {
    let shown: String = written.chars().flat_map(char::escape_debug).collect();
    let fault = Fault::new("syntax", span, format!("`{shown}` is not part of the language"));
    let instead = match written {
        "==" => "write `=`",
        "=>" => "write `>=`",
        "=<" => "write `<=`",
        "&&" => "write AND",
        "||" => "write OR",
        "!" => "write NOT",
        "::" => "write DATE '2026-11-01' for a date",
        "‘" | "’" | "‚" | "＇" | "`" => "texts stand in straight single quotes: '…'",
        "“" | "”" | "„" | "＂" => "texts stand in straight single quotes: '…'; names, if need be, in \"…\"",
        "（" | "）" | "，" | "＝" | "＜" | "＞" | "；" => "write the ASCII character",
        "\u{a0}" | "\u{3000}" | "\u{feff}" => "write an ordinary blank",
        "/" | "%" => "the language has no arithmetic",
        _ => return fault,
    };
    fault.hint(instead)
}
