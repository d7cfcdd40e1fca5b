//! Acting on audiences: parts of given shares, and audiences made disjoint by priority; saved if asked to.
//! Knows requests and answers; who is in which part is `query`'s.

use queryparser::ast::{Decimal, Predicate};
use serde::Serialize;
use storage::schema::is_name;

use super::ask::{at_field, parse};
use super::{Answer, AudienceRequest, Error, Question, Result, Space, Where};
use crate::query::bind::{Binder, request_fault};
use crate::query::cell::Cell;
use crate::query::compose::{all_of, any_of, not};
use crate::query::plan::Node;
use crate::query::split::split;
use crate::query::waterfall::{STEPS_MAX, waterfall};
use crate::query::{self};

/// Longest salt, and longest name of a part that is not saved, in bytes.
const NAME_BYTES_MAX: usize = 1_000;
/// Most bytes of all definitions that an answer hands back.
const TEXTS_BYTES_MAX: u64 = 16 << 20;

/// What is asked of a split.
#[derive(Debug, Clone)]
pub struct SplitRequest {
    /// Which split of all those that could be.
    pub salt: String,
    /// Names and shares, in order.
    pub parts: Vec<(String, Decimal)>,
    /// A name for whom the parts leave.
    pub holdout: Option<String>,
}

/// An audience in parts.
#[derive(Debug, Clone, Serialize)]
pub struct SplitAnswer {
    /// Members of the whole.
    pub count: u64,
    /// Which split it is.
    pub salt: String,
    /// In the order asked for.
    pub parts: Vec<PartShown>,
    /// Whom they leave; null where the shares are the whole.
    pub holdout: Option<PartShown>,
}

/// A part of an audience.
#[derive(Debug, Clone, Serialize)]
pub struct PartShown {
    /// Its name; null of what is left where it was given none.
    pub name: Option<String>,
    /// Its share of everyone's hashes.
    pub share: Cell<'static>,
    /// Its definition, as text.
    #[serde(rename = "where")]
    pub definition: String,
    /// Members.
    pub count: u64,
}

/// An audience of a waterfall.
#[derive(Debug, Clone)]
pub struct StepRequest {
    /// What it is called; a number unless said.
    pub name: Option<String>,
    /// Who would be in it.
    pub audience: Where,
}

/// What is asked of a waterfall.
#[derive(Debug, Clone)]
pub struct WaterfallRequest {
    /// In order of priority.
    pub audiences: Vec<StepRequest>,
    /// A name for whom they leave.
    pub remainder: Option<String>,
}

/// Audiences made disjoint.
#[derive(Debug, Clone, Serialize)]
pub struct WaterfallAnswer {
    /// Members of the whole.
    pub count: u64,
    /// In order of priority.
    pub steps: Vec<StepShown>,
    /// Whom nobody takes.
    pub remainder: StepShown,
}

/// What an audience of a waterfall takes.
#[derive(Debug, Clone, Serialize)]
pub struct StepShown {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its members within the whole.
    pub count: u64,
    /// Those whom none before it has taken.
    pub taken: u64,
    /// Their definition, as text.
    #[serde(rename = "where")]
    pub definition: String,
}

/// A definition to be saved under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSave {
    /// The audience's name.
    pub name: String,
    /// Its definition.
    pub definition: String,
    /// For people.
    pub description: String,
}

impl Space {
    /// The question that a saved audience is.
    ///
    /// # Errors
    /// An unknown name, with the nearest one.
    pub fn where_of(&self, name: &str) -> Result<Where> {
        let view = self.store.view();
        if !view.audiences().contains_key(name) {
            return Err(self.no_audience(&self.lookup(&view), name));
        }
        Ok(Where::Text(format!("in_audience('{name}')")))
    }

    /// Parts an audience by shares of a salted hash: the same people are in the same part whoever comes and goes.
    ///
    /// # Errors
    /// As [`Space::count`]; names and shares that cannot be.
    pub fn split(&self, question: &Question, request: &SplitRequest) -> Result<Answer<SplitAnswer>> {
        check_names(request.parts.iter().zip(0..).map(|((name, _), at)| (name, format!("/parts/{at}/name"))))?;
        if request.salt.is_empty() || request.salt.len() > NAME_BYTES_MAX {
            let message = format!("a salt is a text of 1 to {NAME_BYTES_MAX} bytes");
            return Err(request_fault("bad_salt", "/salt", message, None).into());
        }
        self.ask(question, |asked| {
            let shares: Vec<Decimal> = request.parts.iter().map(|(_, share)| *share).collect();
            let predicate = asked.predicate.map(|parsed| &parsed.ast);
            let parts = split(asked.ctx, (asked.audience, predicate), &request.salt, &shares)?;
            let length = predicate.map_or(0, |predicate| queryparser::predicate_text(predicate).len());
            check_texts(length as u64 * parts.len() as u64)?;
            let names = request.parts.iter().map(|(name, _)| Some(name.clone())).chain([request.holdout.clone()]);
            let shown = names.zip(&parts).map(|(name, part)| PartShown {
                name,
                share: Cell::Decimal(part.share.digits, part.share.scale),
                definition: queryparser::predicate_text(&part.predicate),
                count: part.count,
            });
            let mut shown: Vec<PartShown> = shown.collect();
            let holdout = (shown.len() > shares.len()).then(|| shown.pop()).flatten();
            let count = parts.iter().map(|part| part.count).sum();
            Ok(SplitAnswer { count, salt: request.salt.clone(), parts: shown, holdout })
        })
    }

    /// Makes audiences disjoint by priority: each takes whom those before it have left of the question's own.
    ///
    /// # Errors
    /// As [`Space::count`], of any of them.
    pub fn waterfall(&self, question: &Question, request: &WaterfallRequest) -> Result<Answer<WaterfallAnswer>> {
        let steps = &request.audiences;
        if !(1..=STEPS_MAX).contains(&steps.len()) {
            let message = format!("a waterfall is of 1 to {STEPS_MAX} audiences, not {}", steps.len());
            return Err(request_fault("wrong_type", "/audiences", message, None).into());
        }
        let named = steps.iter().zip(0..).filter_map(|(step, at)| Some((step.name.as_ref()?, at)));
        check_names(named.map(|(name, at)| (name, format!("/audiences/{at}/name"))))?;
        self.ask(question, |asked| {
            let everyone = asked.ctx.everyone();
            let (mut nodes, mut predicates) = (Vec::with_capacity(steps.len()), Vec::with_capacity(steps.len()));
            for (step, at) in steps.iter().zip(0..) {
                let placed = |error: Error| match error {
                    Error::Query(error) => Error::Query(at_field(error, &format!("/audiences/{at}"))),
                    other => other,
                };
                let parsed = parse(&step.audience, asked.ctx).map_err(placed)?;
                let mut binder = Binder::new(asked.ctx, &parsed.source);
                let node = binder.plan(&parsed.ast).map_err(|error| placed(error.into()))?;
                asked.warnings.extend(binder.into_warnings());
                nodes.push(node.ordered(everyone));
                predicates.push(parsed.ast);
            }
            let all: &Node = asked.audience;
            let found = waterfall(asked.ctx, all, &nodes)?;
            let texts = disjoint_texts(asked.predicate.map(|parsed| &parsed.ast), predicates)?;
            let names = steps.iter().map(|step| step.name.clone()).chain([request.remainder.clone()]);
            let remainder = found.remainder();
            let counts = found.steps.iter().copied().chain([(remainder, remainder)]);
            let shown = names.zip(counts).zip(texts);
            let shown = shown.map(|((name, (count, taken)), definition)| StepShown { name, count, taken, definition });
            let mut steps: Vec<StepShown> = shown.collect();
            let Some(remainder) = steps.pop() else { unreachable!("what is left is always there") };
            Ok(WaterfallAnswer { count: found.count, steps, remainder })
        })
    }

    /// Saves definitions under their names, as [`Space::put_audience`] does, one after the other.
    ///
    /// # Errors
    /// As there; those before the one that fails are saved.
    pub fn save_all(&self, saves: &[ToSave], by: Option<&str>) -> Result<()> {
        for save in saves {
            let request = AudienceRequest {
                definition: Where::Text(save.definition.clone()),
                description: save.description.clone(),
                labels: Vec::new(),
                by: by.map(String::from),
            };
            self.put_audience(&save.name, &request)?;
        }
        Ok(())
    }
}

impl SplitAnswer {
    /// The parts as they are to be saved, the rest only if it has a name.
    ///
    /// # Errors
    /// A name that no audience can have.
    pub fn to_save(&self) -> Result<Vec<ToSave>> {
        let named = self.parts.iter().chain(&self.holdout).filter_map(|part| Some((part.name.clone()?, part)));
        let saves: Vec<ToSave> = named
            .map(|(name, part)| ToSave {
                name,
                definition: part.definition.clone(),
                description: format!("{} of the split `{}`", part.share.to_csv(), self.salt),
            })
            .collect();
        check_saves(saves)
    }
}

impl WaterfallAnswer {
    /// What each step takes as it is to be saved, the rest only if it has a name.
    ///
    /// # Errors
    /// A step without a name, or with one that no audience can have.
    pub fn to_save(&self) -> Result<Vec<ToSave>> {
        if let Some(at) = self.steps.iter().position(|step| step.name.is_none()) {
            let message = "what is to be saved needs a name".into();
            return Err(request_fault("missing_key", &format!("/audiences/{at}"), message, None).into());
        }
        let named = self.steps.iter().chain([&self.remainder]).filter_map(|step| Some((step.name.clone()?, step)));
        let saves = named.map(|(name, step)| ToSave {
            name,
            definition: step.definition.clone(),
            description: "of a waterfall: whom none before it has taken".into(),
        });
        check_saves(saves.collect())
    }
}

/// Before anything is saved, every name is one.
fn check_saves(saves: Vec<ToSave>) -> Result<Vec<ToSave>> {
    for (save, at) in saves.iter().zip(0..) {
        let is_twice = saves[..at].iter().any(|other| other.name == save.name);
        if !is_name(&save.name) || is_twice {
            let message = match is_twice {
                true => format!("`{}` stands there twice", save.name),
                false => format!(
                    "`{}` is not a name: a lower-case letter, then letters, digits and _, at most 64",
                    save.name
                ),
            };
            return Err(request_fault("bad_name", "", message, None).into());
        }
    }
    Ok(saves)
}

fn check_names<'n>(names: impl Iterator<Item = (&'n String, String)>) -> Result<()> {
    let mut seen: Vec<&String> = Vec::new();
    for (name, pointer) in names {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || seen.contains(&name) {
            let message = format!("a name is a text of 1 to {NAME_BYTES_MAX} bytes, and of one of them only");
            return Err(request_fault("bad_name", &pointer, message, None).into());
        }
        seen.push(name);
    }
    Ok(())
}

fn check_texts(bytes: u64) -> Result<()> {
    match bytes > TEXTS_BYTES_MAX {
        true => {
            let max = TEXTS_BYTES_MAX;
            Err(query::Error::TooLarge { what: "bytes of definitions", asked: bytes, max }.into())
        }
        false => Ok(()),
    }
}

/// The definition of what each step takes, and of what is left.
fn disjoint_texts(all: Option<&Predicate>, steps: Vec<Predicate>) -> Result<Vec<String>> {
    let length = |predicate: &Predicate| queryparser::predicate_text(predicate).len() as u64;
    let times = steps.len() as u64 + 1;
    let bytes = all.map_or(0, length) * times
        + steps.iter().zip(0..).map(|(step, at): (_, u64)| length(step) * (times - at)).sum::<u64>();
    check_texts(bytes)?;
    let mut texts = Vec::with_capacity(steps.len() + 1);
    for at in 0..=steps.len() {
        let own = all.cloned().into_iter().chain(steps.get(at).cloned());
        let others = not(any_of(steps[..at].iter().cloned()));
        texts.push(queryparser::predicate_text(&all_of(own.chain([others]))));
    }
    Ok(texts)
}
