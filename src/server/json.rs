//! JSON of requests: an object's fields, each read on its own, so that a mistake is told with its place.
//! Knows shapes and bounds; what a field means is the handlers'.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::app::Outcome;
use super::failure::Failure;
use crate::engine::Pairs;

/// Deepest nesting of a body; predicates have a limit of their own, below.
const DEPTH_MAX: usize = 120;

/// How deep JSON is nested, and at most how many values it holds; one pass, before anything is built from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) depth: usize,
    pub(super) values: usize,
}

impl Extent {
    /// Of bytes that need not be JSON at all.
    pub(super) fn of(bytes: &[u8]) -> Extent {
        let (mut extent, mut depth) = (Extent { depth: 0, values: 1 }, 0usize);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => at = string_end(bytes, at),
                b'{' | b'[' => {
                    depth += 1;
                    extent.depth = extent.depth.max(depth);
                    extent.values += 1;
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => extent.values += 1,
                _ => {}
            }
        }
        extent
    }
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// The fields of a request's object.
pub(super) struct Fields<'a> {
    pairs: Vec<(Cow<'a, str>, &'a RawValue)>,
    pub(super) extent: Extent,
}

impl<'a> Fields<'a> {
    /// Reads an object of which only the `known` fields may be there; nothing at all is an object without any.
    ///
    /// # Errors
    /// 400 with the place and the nearest name; 422 beyond the bounds.
    pub(super) fn read(bytes: &'a [u8], known: &[&str], values_max: usize) -> Outcome<Fields<'a>> {
        let extent = Extent::of(bytes);
        if extent.depth > DEPTH_MAX {
            let message = format!("the body is nested {} deep; at most {DEPTH_MAX} are read", extent.depth);
            return Err(Failure::refused("nesting_too_deep", message).pointer(""));
        }
        if extent.values > values_max {
            let message = format!("the body holds about {} values; at most {values_max} are read", extent.values);
            return Err(Failure::refused("too_many_values", message).pointer(""));
        }
        if bytes.trim_ascii().is_empty() {
            return Ok(Fields { pairs: Vec::new(), extent });
        }
        let Pairs(pairs) = serde_json::from_slice(bytes).map_err(|e| bad_json(&e))?;
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&name.as_ref())) {
            let shown: String = name.chars().take(64).collect();
            let failure = Failure::bad("unknown_key", format!("there is no `{shown}` in this request"));
            let failure = failure.pointer(format!("/{}", shown.replace('~', "~0").replace('/', "~1")));
            return Err(match queryparser::nearest(name, known.iter().copied()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(format!("it takes {}", known.join(", "))),
            });
        }
        Ok(Fields { pairs, extent })
    }

    /// A field as it stands; null is as good as left out.
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.pairs.iter().find(|(field, _)| field == name).map(|(_, raw)| *raw);
        found.filter(|raw| raw.get() != "null")
    }

    /// A field; `expected` says in words what it is.
    ///
    /// # Errors
    /// 400 where it is something else.
    pub(super) fn get<T: Deserialize<'a>>(&self, name: &str, expected: &str) -> Outcome<Option<T>> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| misfit(name, expected, raw))
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// 400 where it is not, or is something else.
    pub(super) fn need<T: Deserialize<'a>>(&self, name: &str, expected: &str) -> Outcome<T> {
        let missing = || Failure::bad("missing_key", format!("`{name}` is missing: {expected}"));
        self.get(name, expected)?.ok_or_else(|| missing().pointer(""))
    }
}

/// A field that is not what was expected.
pub(super) fn misfit(name: &str, expected: &str, found: &RawValue) -> Failure {
    let shown: String = found.get().chars().take(40).collect();
    Failure::bad("wrong_type", format!("`{name}` is {expected}, not {shown}")).pointer(format!("/{name}"))
}

/// JSON that cannot be read.
pub(super) fn bad_json(error: &serde_json::Error) -> Failure {
    let mut failure = Failure::bad("bad_json", format!("the body is not the JSON object that was expected: {error}"));
    failure.at = Some(Box::new(serde_json::json!({"line": error.line(), "column": error.column(), "length": 1})));
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extent_bounds_what_is_built() {
        let check = |text: &str, depth, values| {
            let extent = Extent::of(text.as_bytes());
            assert_eq!(extent.depth, depth, "{text}");
            assert!(extent.values >= values, "{text}: {extent:?}");
        };
        check("{}", 1, 1);
        check(r#"{"where": "a, b [[[ {{{ \" ]]"}"#, 1, 1);
        check("[[1,2],[3,[4]]]", 3, 7);
        check("]]]][", 1, 1);
        check(r#""\"#, 0, 1);
    }

    #[test]
    fn fields_tell_what_is_wrong_and_where() {
        let check = |text: &str, code: &str, pointer: &str| {
            let read = Fields::read(text.as_bytes(), &["where", "top"], 100);
            let failure = read.and_then(|fields| fields.get::<u32>("top", "a whole number")).unwrap_err();
            assert_eq!((failure.code, failure.at.unwrap()["pointer"].as_str()), (code, Some(pointer)), "{text}");
        };
        check(r#"{"wher": "x"}"#, "unknown_key", "/wher");
        check(r#"{"top": "x"}"#, "wrong_type", "/top");
        check(r#"{"top": -1}"#, "wrong_type", "/top");
        check(&format!("{}1{}", "[".repeat(200), "]".repeat(200)), "nesting_too_deep", "");
        check(&format!("[{}]", "1,".repeat(200)), "too_many_values", "");
        let twice = Fields::read(br#"{"top": 1, "top": 2}"#, &["top"], 100).err().unwrap();
        assert_eq!((twice.code, twice.at.unwrap()["line"].as_u64()), ("bad_json", Some(1)));
        assert!(Fields::read(b" ", &[], 1).unwrap().raw("top").is_none());
    }
}
