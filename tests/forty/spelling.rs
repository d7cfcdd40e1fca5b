//! Requests in both spellings of the language: as they are written, or with every condition as a rule tree.
//! Knows which fields are conditions; knows nothing of what they say.

use queryparser::{Limits, parse_predicate, predicate_tree};
use serde_json::Value;

/// Fields of a request that are conditions, or lists of them.
const CONDITIONS: [&str; 4] = ["where", "base", "event_where", "audiences"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spelling {
    Text,
    Tree,
}

/// A request whose conditions are texts, in a spelling.
pub fn spelled(mut request: Value, spelling: Spelling) -> Value {
    if spelling == Spelling::Tree {
        spell(&mut request, false);
    }
    request
}

fn spell(value: &mut Value, is_condition: bool) {
    match value {
        Value::String(text) if is_condition => {
            let parsed = parse_predicate(text, &Limits::default()).unwrap_or_else(|e| panic!("{}", e.render(text)));
            *value = predicate_tree(&parsed.ast);
        }
        Value::Array(list) => list.iter_mut().for_each(|value| spell(value, is_condition)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, value)| spell(value, CONDITIONS.contains(&name.as_str())));
        }
        _ => {}
    }
}
