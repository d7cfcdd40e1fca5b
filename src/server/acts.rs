//! Acting on an audience: one person explained.
//! Knows the fields of each; what they mean is the engine's.

use std::collections::BTreeMap;

use super::app::Outcome;
use super::call::Call;
use super::json::misfit;
use super::questions::ask;
use super::reply::Reply;
use super::states::refuse;

/// `POST …/explain`
pub(super) async fn explain(call: Call) -> Outcome<Reply> {
    ask(call, &["id"], |space, question, fields| {
        refuse(fields, &["base"], "a person is explained against nothing")?;
        let expected = "one identity, like {\"member\": \"C123\"}";
        let id: BTreeMap<String, String> = fields.need("id", expected)?;
        match (id.len(), id.first_key_value(), fields.raw("id")) {
            (1, Some((id_type, id)), _) => Reply::json(&space.explain(question, id_type, id)?),
            (_, _, Some(raw)) => Err(misfit("id", expected, raw)),
            (_, _, None) => unreachable!("it was needed"),
        }
    })
    .await
}
