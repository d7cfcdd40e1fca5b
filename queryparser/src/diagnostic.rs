//! What is wrong with a question, and where: one object for the log, the API, the page and the terminal.
//! Knows how to draw a place; the sentences come from whoever found the problem.
//!
//! ```text
//!   country = AND plan = 'x'
//!             ^^^ expected a value after `=`, found `AND`
//! ```

use std::error::Error;
use std::fmt;

use crate::ast::Span;
use crate::source::{At, Source, byte_range};

/// Columns of a line that are drawn; longer lines are shown around the place.
const WINDOW_COLUMNS: usize = 100;

/// Columns before the place in a line that is too long to be drawn whole.
const WINDOW_BEFORE_COLUMNS: usize = 40;

/// A problem with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable, for programs. Of this crate: `empty`, `syntax`, `unsupported`; `unknown_` `function`, `key`, `operator`,
    /// `combinator`, `mode`, `part`; `missing_key`, `wrong_type`; `bad_` `number`, `date`, `interval`; and for the limits
    /// `text_too_long`, `nesting_too_deep`, `too_many_terms`, `too_many_literals`, `too_many_intervals`.
    pub code: &'static str,
    /// One sentence for people: what was expected, what was found.
    pub message: String,
    /// Where, as the AST counts.
    pub span: Span,
    /// Where, as people and pages count.
    pub at: At,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Draws the line of `source_text` that the problem is in, carets under the place, the message and the hint.
    /// A problem in a tree has no line: its pointer is named instead.
    pub fn render(&self, source_text: &str) -> String {
        let mut drawn = match &self.at {
            At::Tree { .. } => format!("at {}: {}", self.at, self.message),
            At::Text { line, .. } => self.render_line(source_text, *line),
        };
        if let Some(hint) = &self.hint {
            drawn.push_str("\nhint: ");
            drawn.push_str(hint);
        }
        drawn
    }

    fn render_line(&self, text: &str, line: u32) -> String {
        let (start, end) = byte_range(text, self.span);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let (shown_start, shown_end) = window(text, line_start, line_end, start);
        let marked = &text[start..end.clamp(start, shown_end.max(start))];

        let gutter = if text.trim_end().contains('\n') { format!("{line} | ") } else { String::new() };
        let open = if shown_start > line_start { "…" } else { "" };
        let close = if shown_end < line_end { "…" } else { "" };
        let shown: String = text[shown_start..shown_end].trim_end().chars().map(visible).collect();
        let indent = gutter.len() + open.chars().count() + columns(&text[shown_start..start]);
        let carets = "^".repeat(columns(marked).max(1));
        format!("{gutter}{open}{shown}{close}\n{:indent$}{carets} {}", "", self.message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl Error for Diagnostic {}

/// The part of the line from `line_start` to `line_end` that is drawn: all of it, or some around `place`.
fn window(text: &str, line_start: usize, line_end: usize, place: usize) -> (usize, usize) {
    let long = text[line_start..line_end].chars().nth(WINDOW_COLUMNS).is_some();
    if !long {
        return (line_start, line_end);
    }
    let before = text[line_start..place].char_indices().rev().nth(WINDOW_BEFORE_COLUMNS - 1);
    let shown_start = before.map_or(line_start, |(offset, _)| line_start + offset);
    let after = text[shown_start..line_end].char_indices().nth(WINDOW_COLUMNS);
    (shown_start, after.map_or(line_end, |(offset, _)| shown_start + offset))
}

/// A tab or a control character would move the carets: a blank stands for it.
pub(crate) fn visible(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Columns that a terminal gives to `text`.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// East Asian wide characters and emoji, in the blocks that people type (Unicode Standard Annex 11).
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD)
}

/// A problem before its place is worked out: what the parsers return, boxed, so that results stay small.
#[derive(Debug)]
pub(crate) struct Fault {
    code: &'static str,
    message: String,
    span: Span,
    hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(code: &'static str, span: Span, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { code, message: message.into(), span, hint: None })
    }

    /// The same with what to write instead.
    pub(crate) fn hint(mut self: Box<Fault>, hint: impl Into<String>) -> Box<Fault> {
        self.hint = Some(hint.into());
        self
    }

    /// The same with "did you mean …?" where a name is near.
    pub(crate) fn suggest(self: Box<Fault>, nearest: Option<&str>) -> Box<Fault> {
        match nearest {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    pub(crate) fn located(self, source: &Source) -> Diagnostic {
        let Fault { code, message, span, hint } = self;
        Diagnostic { code, message, span, at: source.locate(span), hint }
    }
}

/// What a reading function returns.
pub(crate) type Outcome<T> = Result<T, Box<Fault>>;
