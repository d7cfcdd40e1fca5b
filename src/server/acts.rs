//! Acting on an audience: one person explained, audiences parted and made disjoint, what comes of it saved.
//! Knows the fields of each; what they mean is the engine's.

use std::collections::BTreeMap;

use queryparser::ast::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::app::Outcome;
use super::call::Call;
use super::dispatch::check_role;
use super::failure::Failure;
use super::json::{Fields, misfit};
use super::questions::{ask, ask_for};
use super::reply::Reply;
use super::states::refuse;
use super::tokens::Role;
use crate::engine::{Answer, SplitRequest, StepRequest, ToSave, WaterfallRequest, Where};

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

/// `POST …/split`
pub(super) async fn split(call: Call) -> Outcome<Reply> {
    split_of(call, None).await
}

/// `POST …/audiences/{name}/split`
pub(super) async fn split_audience(call: Call) -> Outcome<Reply> {
    let name = call.part("name").to_string();
    split_of(call, Some(name)).await
}

async fn split_of(call: Call, audience: Option<String>) -> Outcome<Reply> {
    let may_save = check_role(&call, Role::Write);
    let found = ask_for(&call, &["parts", "salt", "holdout", "save"], move |space, question, fields| {
        refuse(fields, &["base"], "a split is measured against nothing")?;
        let mut question = question.clone();
        let mut salt: Option<String> = fields.get("salt", "a text")?;
        if let Some(name) = audience {
            refuse(fields, &["where"], "the audience of the path is split")?;
            question.audience = Some(space.where_of(&name)?);
            salt.get_or_insert(name);
        }
        let missing =
            || Failure::bad("missing_key", "`salt` is missing: a text that says which split it is").pointer("");
        let request = SplitRequest {
            parts: parts(fields)?,
            salt: salt.ok_or_else(missing)?,
            holdout: fields.get("holdout", "a name for whom the parts leave")?,
        };
        let save = saving(fields, may_save)?;
        let answer = space.split(&question, &request)?;
        let saves = if save { answer.value.to_save()? } else { Vec::new() };
        Ok((answer, saves))
    });
    let (answer, saves) = found.await?;
    saved(&call, answer, saves).await
}

fn parts(fields: &Fields<'_>) -> Outcome<Vec<(String, Decimal)>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        name: String,
        share: Box<RawValue>,
    }
    let parts: Vec<Part> = fields.need("parts", "a list of {\"name\", \"share\"}")?;
    let share = |(part, at): (Part, usize)| match Decimal::parse(part.share.get()) {
        Some(share) => Ok((part.name, share)),
        None => {
            let failure = Failure::bad("bad_share", "a share is a number above 0 and at most 1");
            Err(failure.pointer(format!("/parts/{at}/share")))
        }
    };
    parts.into_iter().zip(0..).map(share).collect()
}

/// `POST …/waterfall`
pub(super) async fn waterfall(call: Call) -> Outcome<Reply> {
    let may_save = check_role(&call, Role::Write);
    let found = ask_for(&call, &["audiences", "remainder", "save"], move |space, question, fields| {
        refuse(fields, &["base"], "a waterfall is measured against nothing")?;
        let request = WaterfallRequest {
            audiences: steps(fields)?,
            remainder: fields.get("remainder", "a name for whom nobody takes")?,
        };
        let save = saving(fields, may_save)?;
        let answer = space.waterfall(question, &request)?;
        let saves = if save { answer.value.to_save()? } else { Vec::new() };
        Ok((answer, saves))
    });
    let (answer, saves) = found.await?;
    saved(&call, answer, saves).await
}

/// Texts, or `{name?, where}`, or `{name?, audience}`: a saved one, whose name it has unless it is given another.
fn steps(fields: &Fields<'_>) -> Outcome<Vec<StepRequest>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Step {
        Text(String),
        Named(Named),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: Option<String>,
        #[serde(rename = "where")]
        definition: Option<Where>,
        audience: Option<String>,
    }
    let expected = "a list of texts, {\"name\", \"where\"} or {\"name\", \"audience\"}";
    let steps: Vec<Step> = fields.need("audiences", expected)?;
    let step = |(step, at): (Step, usize)| {
        let misfit = |message| Failure::bad("wrong_type", message).pointer(format!("/audiences/{at}"));
        match step {
            Step::Text(text) => Ok(StepRequest { name: None, audience: Where::Text(text) }),
            Step::Named(Named { name, definition: Some(audience), audience: None }) => {
                Ok(StepRequest { name, audience })
            }
            Step::Named(Named { name, definition: None, audience: Some(saved) }) => {
                let text = format!("in_audience('{}')", saved.replace('\'', "''"));
                Ok(StepRequest { name, audience: Where::Text(text) })
            }
            Step::Named(_) => Err(misfit("it has either a `where` or the name of a saved `audience`")),
        }
    };
    steps.into_iter().zip(0..).map(step).collect()
}

/// Whether what is found is to be saved, which takes more than reading.
fn saving(fields: &Fields<'_>, may_save: Outcome<()>) -> Outcome<bool> {
    let save = fields.get("save", "true or false")?.unwrap_or(false);
    if save {
        may_save?;
        refuse(fields, &["state"], "what is saved is of the present, not of an earlier state")?;
    }
    Ok(save)
}

/// Saves what is to be saved, and then answers.
async fn saved<T: Serialize + Send + 'static>(call: &Call, answer: Answer<T>, saves: Vec<ToSave>) -> Outcome<Reply> {
    if !saves.is_empty() {
        let (space, by) = (call.space()?, call.caller.name().map(String::from));
        call.app.chore(move || Ok(space.save_all(&saves, by.as_deref())?)).await?;
    }
    Ok(Reply::json(&answer)?.compressed(call.coding()))
}
