//! Rule tree → AST: react-querybuilder's groups and rules, and the rules of our own.
//! Values and their places travel together as [`Spot`]s; a place costs 8 bytes and becomes a pointer only when asked for.
//!
//! ```text
//!   group  {combinator, rules, not?}               rule   this file tells the kinds apart by their keys
//!   field  {field, operator, value, match?, …}     value  literals, relative dates, quantiles, lists
//! ```
//!
//! Keys that the component keeps for itself are passed over, and keys that are null; any other unknown key is an error. `disabled` rules are
//! left out; a group with nothing left is TRUE (with `not`, FALSE: a group and its negation are never both everyone).

mod field;
mod own;
mod value;

pub(crate) use field::{EVENT_FUNCTIONS, escaped};
pub(crate) use value::RELATIVE;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::Limits;
use crate::ast::{Name, Predicate, PredicateKind, Span};
use crate::diagnostic::{Fault, Outcome};
use crate::nearest::nearest;
use crate::predicates::{self, Junction};
use crate::source::{PathTable, ROOT};

/// Keys of the component's own, on groups and rules alike.
const PASSED_OVER: [&str; 12] = [
    "disabled",
    "id",
    "path",
    "parent",
    "valueSource",
    "inputType",
    "type",
    "label",
    "muted",
    "locked",
    "meta",
    "placeholder",
];

/// Keys that tell the kinds of rules apart, each with the others that go with it. The first that is there decides.
const KINDS: [(&str, &[&str]); 10] = [
    ("rules", &["combinator", "not"]),
    ("audience", &[]),
    ("snapshot", &["on"]),
    ("bitmap", &[]),
    ("was", &["rule"]),
    ("followed_by", &["within"]),
    ("top", &[]),
    ("among", &[]),
    ("bucket", &["operator", "value", "escape"]),
    ("field", &["operator", "value", "match", "aggregate", "where", "part", "escape"]),
];

/// A value of the tree with its node in the path table.
#[derive(Debug, Clone, Copy)]
struct Spot<'v> {
    value: &'v Value,
    node: u32,
}

impl Spot<'_> {
    fn span(self) -> Span {
        Span { start: self.node, len: 0 }
    }

    /// "expected …, found …".
    fn wrong(self, what: &str) -> Box<Fault> {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Fault::new("wrong_type", self.span(), format!("expected {what}, found {found}"))
    }
}

/// An object of the tree with its node.
#[derive(Debug, Clone, Copy)]
struct Object<'v> {
    map: &'v Map<String, Value>,
    node: u32,
}

impl Object<'_> {
    fn span(self) -> Span {
        Span { start: self.node, len: 0 }
    }
}

/// A reader of one tree.
pub(crate) struct Reader<'l> {
    limits: &'l Limits,
    paths: PathTable,
    depth: u32,
    terms: u32,
}

impl<'l> Reader<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Reader<'l> {
        Reader { limits, paths: PathTable::new(), depth: 0, terms: 0 }
    }

    pub(crate) fn into_paths(self) -> PathTable {
        self.paths
    }

    /// The whole tree as one predicate; TRUE if all of it is disabled.
    pub(crate) fn root(&mut self, tree: &Value) -> Outcome<Predicate> {
        let spot = Spot { value: tree, node: ROOT };
        let predicate = self.predicate(spot)?;
        Ok(predicate.unwrap_or(Predicate { kind: PredicateKind::Constant(true), span: spot.span() }))
    }

    /// A group or a rule; nothing if it is disabled.
    fn predicate(&mut self, spot: Spot<'_>) -> Outcome<Option<Predicate>> {
        let object = self.object(spot, "a rule or a group")?;
        if let Some(disabled) = self.get(object, "disabled")
            && self.bool(disabled)?
        {
            return Ok(None);
        }
        let kind = self.kind(object)?;
        if kind == "rules" {
            return self.group(object).map(Some);
        }
        self.count_term(spot)?;
        let kind = match kind {
            "field" => self.field_rule(object)?,
            own => self.own_rule(own, object)?,
        };
        Ok(Some(Predicate { kind, span: spot.span() }))
    }

    /// The key that tells what kind of rule this is; the other keys must go with it.
    fn kind(&mut self, object: Object<'_>) -> Outcome<&'static str> {
        let has = |key: &str| object.map.get(key).is_some_and(|value| !value.is_null());
        let found = KINDS.into_iter().find(|(key, _)| has(key));
        let Some((kind, others)) = found else {
            let kinds = || KINDS.into_iter().map(|(key, _)| key);
            let strange = object.map.keys().find(|key| nearest(key, kinds()).is_some());
            if let Some(key) = strange {
                return Err(self.unknown_key(object, key).suggest(nearest(key, kinds())));
            }
            if object.map.contains_key("combinator") {
                return Err(Fault::new("missing_key", object.span(), "a group has `rules`"));
            }
            let message = "expected a group with `rules`, or a rule with `field` and `operator`";
            return Err(Fault::new("missing_key", object.span(), message));
        };
        self.known_keys(object, kind, others)?;
        Ok(kind)
    }

    /// Refuses keys that are neither `kind`, nor one of `others`, nor the component's own.
    fn known_keys(&mut self, object: Object<'_>, kind: &'static str, others: &[&'static str]) -> Outcome<()> {
        for (key, value) in object.map {
            let known =
                value.is_null() || key == kind || others.contains(&key.as_str()) || PASSED_OVER.contains(&key.as_str());
            if !known {
                let names = others.iter().copied().chain([kind, "disabled"]);
                return Err(self.unknown_key(object, key).suggest(nearest(key, names)));
            }
        }
        if let Some(source) = self.get(object, "valueSource")
            && source.value.as_str().is_none_or(|source| source != "value")
        {
            let message = "a tag is compared with a value, not with another field: `valueSource` must be \"value\"";
            return Err(Fault::new("unsupported", source.span(), message));
        }
        Ok(())
    }

    fn unknown_key(&mut self, object: Object<'_>, key: &str) -> Box<Fault> {
        let node = self.paths.key(object.node, Cow::Owned(key.to_owned()));
        let shown: String = key.chars().take(60).collect();
        Fault::new("unknown_key", Span { start: node, len: 0 }, format!("`{shown}` does not belong here"))
    }

    fn group(&mut self, object: Object<'_>) -> Outcome<Predicate> {
        let junction = self.combinator(object)?;
        let negated = match self.get(object, "not") {
            Some(spot) => self.bool(spot)?,
            None => false,
        };
        let rules = self.need(object, "rules")?;
        let children = self.deeper(rules, |reader| reader.rules(rules))?;
        let span = object.span();
        let predicate = match children.len() {
            0 => {
                self.count_term(rules)?;
                return Ok(Predicate { kind: PredicateKind::Constant(!negated), span });
            }
            _ => predicates::joined(junction, children, span),
        };
        Ok(if negated { Predicate { kind: PredicateKind::Not(Box::new(predicate)), span } } else { predicate })
    }

    fn combinator(&mut self, object: Object<'_>) -> Outcome<Junction> {
        let Some(spot) = self.get(object, "combinator") else {
            return Err(Fault::new("missing_key", object.span(), "a group has a `combinator`: \"and\" or \"or\""));
        };
        let word = self.string(spot, "\"and\" or \"or\"")?;
        match word {
            _ if word.eq_ignore_ascii_case("and") => Ok(Junction::And),
            _ if word.eq_ignore_ascii_case("or") => Ok(Junction::Or),
            _ => Err(Fault::new("unknown_combinator", spot.span(), "a combinator is \"and\" or \"or\"")),
        }
    }

    fn rules(&mut self, spot: Spot<'_>) -> Outcome<Vec<Predicate>> {
        let Value::Array(rules) = spot.value else { return Err(spot.wrong("an array of rules")) };
        let mut children = Vec::new();
        for (index, value) in rules.iter().enumerate() {
            let child = Spot { value, node: self.paths.element(spot.node, index) };
            if value.is_string() {
                let message = "combinators between rules are not supported";
                return Err(Fault::new("unsupported", child.span(), message)
                    .hint("give each group one `combinator`, and its rules only"));
            }
            children.extend(self.predicate(child)?);
        }
        Ok(children)
    }

    // -- shared by all rules ------------------------------------------------------------------------------------

    fn object<'v>(&self, spot: Spot<'v>, what: &str) -> Outcome<Object<'v>> {
        match spot.value {
            Value::Object(map) => Ok(Object { map, node: spot.node }),
            _ => Err(spot.wrong(what)),
        }
    }

    /// The value of a key; null is as good as absent.
    fn get<'v>(&mut self, object: Object<'v>, key: &'static str) -> Option<Spot<'v>> {
        let value = object.map.get(key).filter(|value| !value.is_null())?;
        Some(Spot { value, node: self.paths.key(object.node, Cow::Borrowed(key)) })
    }

    /// The value of a key that must be there.
    fn need<'v>(&mut self, object: Object<'v>, key: &'static str) -> Outcome<Spot<'v>> {
        if let Some(spot) = self.get(object, key) {
            return Ok(spot);
        }
        if !object.map.contains_key(key) {
            return Err(Fault::new("missing_key", object.span(), format!("`{key}` is missing")));
        }
        let span = Span { start: self.paths.key(object.node, Cow::Borrowed(key)), len: 0 };
        let fault = Fault::new("missing_key", span, format!("`{key}` is null"));
        Err(if key == "value" { fault.hint("to ask for the unknown, use the operator `null`") } else { fault })
    }

    fn string<'v>(&self, spot: Spot<'v>, what: &str) -> Outcome<&'v str> {
        spot.value.as_str().ok_or_else(|| spot.wrong(what))
    }

    fn bool(&self, spot: Spot<'_>) -> Outcome<bool> {
        spot.value.as_bool().ok_or_else(|| spot.wrong("true or false"))
    }

    /// A string that names something.
    fn name(&self, spot: Spot<'_>, what: &str) -> Outcome<Name> {
        let text = self.string(spot, what)?;
        if text.is_empty() {
            return Err(Fault::new("wrong_type", spot.span(), format!("expected {what}, found an empty string")));
        }
        Ok(Name { text: text.to_owned(), span: spot.span() })
    }

    /// A whole number from 0 to `most`.
    fn whole_number(&self, spot: Spot<'_>, most: u64, what: &str) -> Outcome<u64> {
        let Value::Number(number) = spot.value else { return Err(spot.wrong(what)) };
        let whole = crate::ast::Decimal::parse(&number.to_string()).and_then(|n| u64::try_from(n.to_integer()?).ok());
        whole.filter(|&n| n <= most).ok_or_else(|| {
            let most = if most < i64::MAX as u64 { format!(" to {most}") } else { String::new() };
            let message = format!("expected {what}, found {number}: it must be whole, from 0{most}");
            Fault::new("bad_number", spot.span(), message)
        })
    }

    /// Reads something inside something else, unless it is too deep.
    fn deeper<T>(&mut self, spot: Spot<'_>, read: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth > self.limits.depth_max {
            let message = format!("nested more than {} deep", self.limits.depth_max);
            return Err(Fault::new("nesting_too_deep", spot.span(), message));
        }
        self.depth += 1;
        let inner = read(self)?;
        self.depth -= 1;
        Ok(inner)
    }

    fn count_term(&mut self, spot: Spot<'_>) -> Outcome<()> {
        self.terms += 1;
        if self.terms <= self.limits.terms_max {
            return Ok(());
        }
        let message = format!("more than {} rules", self.limits.terms_max);
        Err(Fault::new("too_many_terms", spot.span(), message).hint("many values of one tag fit in one `in` list"))
    }
}
