//! Where things stand: turns the spans of an AST into places that a person or a page can find.
//! Knows the text, or the shape of the tree; knows nothing of what either means.
//!
//! ```text
//!   Text   span = byte offset, byte length      → line, column, length in characters
//!   Tree   span = node of a path table          → JSON Pointer, RFC 6901
//!          node = parent u32, segment u32: an array index, or (top bit set) a key of `keys`
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::ast::Span;
use crate::diagnostic::{Diagnostic, Fault};

/// The node of the whole tree.
pub(crate) const ROOT: u32 = 0;

/// Set in segments that are keys.
const KEY: u32 = 1 << 31;

/// What the spans of one question refer to. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Source {
    /// The text as it was sent.
    Text(Arc<str>),
    /// The paths of a rule tree.
    Tree(Arc<PathTable>),
}

/// A place for a person or a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// In text. Line and column count from 1, in characters; a length is at least 1, also at the end of the text.
    Text {
        /// Line.
        line: u32,
        /// Column of the first character.
        column: u32,
        /// Characters.
        length: u32,
    },
    /// In a rule tree.
    Tree {
        /// RFC 6901; "" is the root.
        pointer: String,
    },
}

impl Source {
    /// The place of `span`. One pass over the text before it.
    pub fn locate(&self, span: Span) -> At {
        match self {
            Source::Text(text) => locate_in_text(text, span),
            Source::Tree(paths) => At::Tree { pointer: paths.pointer(span.start) },
        }
    }

    /// An error at `span`; for what only the caller can find out, such as a name that the schema has not.
    pub fn diagnostic(
        &self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Diagnostic {
        let fault = Fault::new(code, span, message);
        Diagnostic { hint, ..fault.located(self) }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Text { line: 1, column, .. } => write!(f, "column {column}"),
            At::Text { line, column, .. } => write!(f, "line {line}, column {column}"),
            At::Tree { pointer } if pointer.is_empty() => write!(f, "the root of the tree"),
            At::Tree { pointer } => write!(f, "{pointer}"),
        }
    }
}

/// The byte range of `span` in `text`, pulled in to character borders: spans of another text do not panic.
pub(crate) fn byte_range(text: &str, span: Span) -> (usize, usize) {
    let start = text.floor_char_boundary(span.start as usize);
    let end = text.floor_char_boundary((span.start as usize).saturating_add(span.len as usize));
    (start, end.max(start))
}

/// Line, column and length of `span`, in characters.
pub(crate) fn locate_in_text(text: &str, span: Span) -> At {
    let (start, end) = byte_range(text, span);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let newlines = before.bytes().filter(|&b| b == b'\n').count();
    At::Text {
        line: characters(newlines + 1),
        column: characters(text[line_start..start].chars().count() + 1),
        length: characters(text[start..end].chars().count().max(1)),
    }
}

fn characters(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The paths of all values of a rule tree that the AST refers to: 8 bytes each, pointers built when asked for.
#[derive(Debug, Clone)]
pub struct PathTable {
    nodes: Vec<Node>,
    keys: Vec<Cow<'static, str>>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    segment: u32,
}

impl PathTable {
    /// A table that knows the root only.
    pub(crate) fn new() -> PathTable {
        PathTable { nodes: vec![Node { parent: ROOT, segment: 0 }], keys: Vec::new() }
    }

    /// The node of element `index` of the array at `parent`.
    pub(crate) fn element(&mut self, parent: u32, index: usize) -> u32 {
        debug_assert!((index as u64) < u64::from(KEY), "an array longer than the limits allow");
        self.push(parent, index as u32 & !KEY)
    }

    /// The node of `key` of the object at `parent`. Keys are few: each is kept once.
    pub(crate) fn key(&mut self, parent: u32, key: Cow<'static, str>) -> u32 {
        let known = self.keys.iter().position(|k| *k == key);
        let index = known.unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        });
        self.push(parent, index as u32 | KEY)
    }

    fn push(&mut self, parent: u32, segment: u32) -> u32 {
        self.nodes.push(Node { parent, segment });
        u32::try_from(self.nodes.len() - 1).unwrap_or(ROOT)
    }

    /// The JSON Pointer of a node; "" for nodes of another table.
    fn pointer(&self, node: u32) -> String {
        let mut segments = Vec::new();
        let mut at = node;
        while at != ROOT {
            let Some(step) = self.nodes.get(at as usize) else { return String::new() };
            segments.push(step.segment);
            at = step.parent;
        }
        let mut pointer = String::new();
        for segment in segments.into_iter().rev() {
            pointer.push('/');
            match segment & KEY {
                0 => pointer.push_str(&segment.to_string()),
                _ => pointer.push_str(&self.keys[(segment & !KEY) as usize].replace('~', "~0").replace('/', "~1")),
            }
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_text_count_characters() {
        let check = |text: &str, start, len, expected| {
            let At::Text { line, column, length } = locate_in_text(text, Span { start, len }) else { unreachable!() };
            assert_eq!((line, column, length), expected, "{text:?}");
        };
        check("age = 1", 6, 1, (1, 7, 1));
        check("city = '上海' AND x", 19, 1, (1, 16, 1));
        check("a\r\nbc", 4, 1, (2, 2, 1));
        check("a", 1, 0, (1, 2, 1));
        check("上", 1, 1, (1, 1, 1));
        check("", 9, 9, (1, 1, 1));
    }

    #[test]
    fn pointers_are_escaped() {
        let mut paths = PathTable::new();
        let rules = paths.key(ROOT, "rules".into());
        let third = paths.element(rules, 2);
        let odd = paths.key(third, "a/b~c".into());
        let again = paths.key(rules, "rules".into());
        assert_eq!(paths.pointer(ROOT), "");
        assert_eq!(paths.pointer(third), "/rules/2");
        assert_eq!(paths.pointer(odd), "/rules/2/a~1b~0c");
        assert_eq!(paths.pointer(again), "/rules/rules");
        assert_eq!(paths.pointer(99), "");
    }
}
