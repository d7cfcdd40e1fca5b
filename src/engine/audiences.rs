//! Saved audiences: definitions under a name, with what they were before and who uses whom.
//! Knows definitions and their history; who is in one is `query`'s, that it is kept the store's.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use jiff::civil::Date;
use queryparser::Parsed;
use queryparser::ast::Predicate;
use serde::{Deserialize, Serialize};
use storage::schema::is_name;
use storage::{FrozenSets, Request, Store, View};

use super::ask::{answer, parse_limited};
use super::frozen::{FrozenMemory, frozen_of};
use super::{Answer, Error, Question, Result, Space, Where};
use crate::query::audiences::{Audiences, Moment, Saved, looks_back, used_by};
use crate::query::bind::{Binder, request_fault};
use crate::query::frozen::snapshots_used_by;
use crate::query::plan::{IdSet, Node};
use crate::query::totals::count;
use crate::query::{self};

/// Most audiences of a space.
pub const AUDIENCES_MAX: usize = 10_000;
/// Versions that are kept of each.
const HISTORY_MAX: usize = 50;
/// Sets of members that are remembered.
const REMEMBERED_MAX: usize = 256;
/// Longest description, in bytes; most labels, and the longest of them.
const DESCRIPTION_BYTES_MAX: usize = 4096;
const LABELS_MAX: usize = 32;
const LABEL_BYTES_MAX: usize = 100;

/// One version of a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Counts up from 1 with each change.
    pub version: u64,
    /// Text or rule tree, as it was given.
    #[serde(rename = "where")]
    pub definition: serde_json::Value,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// To find it by.
    #[serde(default)]
    pub labels: Vec<String>,
    /// When it became so.
    pub changed_at: String,
    /// By whom, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
}

/// A definition as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    present: Version,
    /// Newest first.
    #[serde(default)]
    history: Vec<Version>,
}

/// An audience shown.
#[derive(Debug, Clone, Serialize)]
pub struct AudienceShown {
    /// Its name.
    pub name: String,
    /// As it is now.
    #[serde(flatten)]
    pub present: Version,
    /// The definition as canonical text.
    pub text: String,
    /// And as canonical tree.
    pub tree: serde_json::Value,
    /// Audiences that it is built on, or on a snapshot of which.
    pub uses: Vec<String>,
    /// Audiences that are built on it, or on a snapshot of it.
    pub used_by: Vec<String>,
    /// How many are in it; none where only the list was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What it was before, newest first; none where only the list was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<Version>>,
}

/// All audiences.
#[derive(Debug, Clone, Serialize)]
pub struct AudienceList {
    /// By name.
    pub audiences: Vec<AudienceShown>,
}

/// What is asked to be saved.
#[derive(Debug, Clone)]
pub struct AudienceRequest {
    /// The definition.
    pub definition: Where,
    /// For people.
    pub description: String,
    /// To find it by.
    pub labels: Vec<String>,
    /// Who asks.
    pub by: Option<String>,
}

/// Audience and version, by which catalogue and earlier states, and when; and what the present is, where that matters.
type MembersKey = (String, u64, (u64, u64), Moment, Option<(u64, Date)>);

/// Who was in which.
pub(super) type MembersMemory = HashMap<MembersKey, Node>;

/// A spelling that was read, and what it says.
type Read = (Arc<str>, Arc<Saved>);

/// What a space keeps of its audiences besides the store.
#[derive(Default)]
pub(super) struct Memory {
    /// By name: the spelling that was read, and what it says.
    read: Mutex<HashMap<String, Read>>,
    /// Who was in which version at which moment.
    members: Mutex<MembersMemory>,
    /// Sets that were frozen, read.
    pub(super) frozen: FrozenMemory,
    /// Held while a definition is checked and written: two that are checked at once could make a circle.
    pub(super) writing: Mutex<()>,
}

/// The audiences of a space, as they are at the start of a question.
pub(super) struct Lookup<'a> {
    pub(super) saved: &'a BTreeMap<String, Arc<str>>,
    pub(super) frozen: &'a FrozenSets,
    /// Which definitions and snapshots these are: what an earlier state holds depends on them, too.
    pub(super) catalogue: u64,
    /// And which earlier states there are.
    pub(super) state_changes: u64,
    /// The present's data version.
    pub(super) present: u64,
    /// Which tells the day that it is, once for this question.
    pub(super) store: &'a Store,
    pub(super) today: OnceLock<Date>,
    pub(super) memory: &'a Memory,
    /// Who is in which, where that was found already.
    pub(super) members: &'a Mutex<MembersMemory>,
    pub(super) limits: &'a query::Limits,
}

impl Lookup<'_> {
    fn key(&self, saved: &Saved, moment: &Moment) -> MembersKey {
        // Of an earlier state, too, today is the present.
        let looks_at_present = self
            .built_of(&saved.parsed.ast)
            .is_none_or(|all| looks_back(&saved.parsed.ast) || all.values().any(|of| looks_back(&of.parsed.ast)));
        let present = looks_at_present.then_some((self.present, *self.today.get_or_init(|| self.store.today())));
        (saved.name.clone(), saved.version, (self.catalogue, self.state_changes), moment.clone(), present)
    }

    fn kept(&self, name: &str) -> Result<Option<Kept>> {
        let broken = |e: serde_json::Error| Error::Request {
            code: "internal",
            message: format!("audience `{name}` cannot be read: {e}"),
            hint: None,
        };
        self.saved.get(name).map(|text| serde_json::from_str(text).map_err(broken)).transpose()
    }

    pub(super) fn saved(&self, name: &str) -> Result<Option<Arc<Saved>>> {
        let Some(text) = self.saved.get(name) else { return Ok(None) };
        let mut read = self.memory.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, saved)) = read.get(name)
            && Arc::ptr_eq(known, text)
        {
            return Ok(Some(saved.clone()));
        }
        let Some(kept) = self.kept(name)? else { return Ok(None) };
        let parsed = parse_definition(&kept.present.definition, self.limits)?;
        let saved = Arc::new(Saved { name: name.into(), version: kept.present.version, parsed });
        read.insert(name.into(), (text.clone(), saved.clone()));
        Ok(Some(saved))
    }

    /// The definitions that a condition is built on, at any depth, each once, by name; nothing where one is not to be
    /// found or read.
    pub(super) fn built_of(&self, asked: &Predicate) -> Option<BTreeMap<String, Arc<Saved>>> {
        let mut found = BTreeMap::new();
        let mut open = names_in(asked);
        while let Some(name) = open.pop() {
            if let Entry::Vacant(place) = found.entry(name) {
                let saved = self.saved(place.key()).ok()??;
                open.extend(names_in(&saved.parsed.ast));
                place.insert(saved);
            }
        }
        Some(found)
    }

    /// Names that an audience is built on.
    pub(super) fn uses(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.saved(name)?.map_or_else(Vec::new, |saved| names_in(&saved.parsed.ast)))
    }

    /// The same, and names of audiences that it is built on snapshots of.
    fn built_on(&self, name: &str) -> Result<Vec<String>> {
        let mut names = self.uses(name)?;
        if let Some(saved) = self.saved(name)? {
            for (audience, _) in snapshots_used_by(&saved.parsed.ast) {
                if !names.contains(&audience.text) {
                    names.push(audience.text.clone());
                }
            }
        }
        Ok(names)
    }

    /// Names of the others that are built on an audience, or on a snapshot of it.
    fn used_by(&self, name: &str) -> Result<Vec<String>> {
        let mut users = Vec::new();
        for other in self.saved.keys().filter(|other| *other != name) {
            if self.built_on(other)?.iter().any(|used| used == name) {
                users.push(other.clone());
            }
        }
        Ok(users)
    }

    /// A way from one of some audiences to `name`, if there is one: it would be a circle.
    fn way_to(&self, name: &str, from: &[String]) -> Result<Option<Vec<String>>> {
        let mut seen = std::collections::BTreeSet::new();
        let mut ways: Vec<Vec<String>> = from.iter().map(|first| vec![first.clone()]).collect();
        while let Some(way) = ways.pop() {
            let Some(last) = way.last() else { continue };
            if last == name {
                return Ok(Some(way));
            }
            if seen.insert(last.clone()) {
                let uses = self.uses(last)?;
                ways.extend(uses.into_iter().map(|next| way.iter().cloned().chain([next]).collect()));
            }
        }
        Ok(None)
    }

    fn shown(&self, name: &str) -> Result<Option<(AudienceShown, Vec<Version>)>> {
        let (Some(kept), Some(saved)) = (self.kept(name)?, self.saved(name)?) else { return Ok(None) };
        let shown = AudienceShown {
            name: name.into(),
            present: kept.present,
            text: queryparser::predicate_text(&saved.parsed.ast),
            tree: queryparser::predicate_tree(&saved.parsed.ast),
            uses: self.built_on(name)?,
            used_by: self.used_by(name)?,
            count: None,
            history: None,
        };
        Ok(Some((shown, kept.history)))
    }
}

impl Audiences for Lookup<'_> {
    fn find(&self, name: &str) -> query::Result<Option<Arc<Saved>>> {
        self.saved(name).map_err(|error| match error {
            Error::Query(error) => error,
            other => request_fault("internal", "", other.to_string(), None),
        })
    }

    fn names(&self) -> Vec<String> {
        self.saved.keys().cloned().collect()
    }

    fn remembered(&self, saved: &Saved, moment: &Moment) -> Option<Node> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.get(&self.key(saved, moment)).cloned()
    }

    fn remember(&self, saved: &Saved, moment: &Moment, members: &Node) {
        let mut all = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX {
            all.retain(|(_, _, _, of, _), _| of == moment);
        }
        if all.len() >= REMEMBERED_MAX {
            all.clear();
        }
        all.insert(self.key(saved, moment), members.clone());
    }

    fn frozen(&self, name: &str, date: Date) -> query::Result<Option<Arc<IdSet>>> {
        let found = self.frozen.get(&(name.into(), date));
        found.map(|frozen| self.memory.frozen.read(date, frozen)).transpose()
    }

    fn frozen_days(&self, name: &str) -> Vec<Date> {
        frozen_of(self.frozen, name).map(|(date, _)| date).collect()
    }
}

fn names_in(predicate: &Predicate) -> Vec<String> {
    used_by(predicate).into_iter().map(|name| name.text).collect()
}

fn parse_definition(definition: &serde_json::Value, limits: &query::Limits) -> Result<Parsed<Predicate>> {
    match definition {
        serde_json::Value::String(text) => parse_limited(&Where::Text(text.clone()), limits),
        tree => parse_limited(&Where::Tree(tree.clone()), limits),
    }
}

impl Space {
    pub(super) fn lookup<'a>(&'a self, view: &'a View) -> Lookup<'a> {
        let (saved, frozen, catalogue) = (view.audiences(), view.frozen(), view.catalogue());
        let (memory, limits) = (&self.audiences, &self.shared.limits);
        let state_changes = self.store.state_changes();
        let (present, store, today) = (view.data_version(), &self.store, OnceLock::new());
        let members = &memory.members;
        Lookup { saved, frozen, catalogue, state_changes, present, store, today, memory, members, limits }
    }

    /// Saves an audience under a name; the same again changes nothing.
    ///
    /// # Errors
    /// A bad name, a definition's faults, a circle; a failed write.
    pub fn put_audience(&self, name: &str, request: &AudienceRequest) -> Result<Answer<AudienceShown>> {
        check(name, request)?;
        let start = Instant::now();
        let writing = self.audiences.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.store.view();
        let lookup = self.lookup(&view);
        if !lookup.saved.contains_key(name) && lookup.saved.len() >= AUDIENCES_MAX {
            let message = format!("a space has at most {AUDIENCES_MAX} audiences");
            return Err(request_fault("too_many_audiences", "", message, None).into());
        }
        let definition = match &request.definition {
            Where::Text(text) => serde_json::Value::String(text.clone()),
            Where::Tree(tree) => tree.clone(),
        };
        let placed = |error: Error| match error {
            Error::Query(error) => Error::Query(super::ask::at_field(error, "/where")),
            other => other,
        };
        let parsed = parse_definition(&definition, lookup.limits).map_err(placed)?;
        if let Some(way) = lookup.way_to(name, &names_in(&parsed.ast))? {
            let circle: Vec<&str> = [name].into_iter().chain(way.iter().map(String::as_str)).collect();
            let message = format!("an audience cannot be built on itself: {}", circle.join(" → "));
            return Err(request_fault("audience_circle", "/where", message, None).into());
        }
        // Names, types and values are looked up once here, so that a definition that cannot be asked is not saved.
        let question = Question::default();
        // Others may have been waited for.
        let budget = question.budget(Instant::now(), lookup.limits.elapsed_ms_max);
        self.in_context(&view, &question, &budget, |ctx| {
            Binder::new(ctx, &parsed.source).plan(&parsed.ast).map_err(|error| placed(error.into()))
        })?;
        let before = lookup.kept(name)?;
        let next = Version {
            version: before.as_ref().map_or(1, |kept| kept.present.version + 1),
            definition,
            description: request.description.clone(),
            labels: request.labels.clone(),
            changed_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            changed_by: request.by.clone(),
        };
        let is_same = |kept: &Kept| {
            let stands = &kept.present;
            (&stands.definition, &stands.description, &stands.labels)
                == (&next.definition, &next.description, &next.labels)
        };
        if !before.as_ref().is_some_and(is_same) {
            let history = before.map_or_else(Vec::new, |kept| {
                [kept.present].into_iter().chain(kept.history).take(HISTORY_MAX - 1).collect()
            });
            let kept = Kept { present: next, history };
            let text = serde_json::to_string(&kept).unwrap_or_default();
            self.store.write_and_wait(Request::Audience { name: name.into(), definition: Some(text) })?;
        }
        drop(writing);
        let mut shown = self.audience(name)?;
        shown.took_us = start.elapsed().as_micros() as u64;
        Ok(shown)
    }

    /// An audience, with how many are in it and what it was before.
    ///
    /// # Errors
    /// An unknown name, with the nearest one; a definition that cannot be asked any more.
    pub fn audience(&self, name: &str) -> Result<Answer<AudienceShown>> {
        let start = Instant::now();
        let view = self.store.view();
        let lookup = self.lookup(&view);
        let Some((mut shown, history)) = lookup.shown(name)? else { return Err(self.no_audience(&lookup, name)) };
        shown.history = Some(history);
        let question = Question::default();
        let budget = question.budget(start, lookup.limits.elapsed_ms_max);
        shown.count = Some(self.in_context(&view, &question, &budget, |ctx| {
            let text = format!("in_audience('{name}')");
            let parsed = parse_limited(&Where::Text(text), lookup.limits)?;
            Ok(count(ctx, &Binder::new(ctx, &parsed.source).plan(&parsed.ast)?)?)
        })?);
        Ok(answer(shown, &view, start, Vec::new()))
    }

    pub(super) fn no_audience(&self, lookup: &Lookup<'_>, name: &str) -> Error {
        let near = queryparser::nearest(name, lookup.saved.keys().map(String::as_str));
        Error::UnknownAudience { name: name.into(), hint: near.map(|near| format!("did you mean `{near}`?")) }
    }

    /// All audiences, by name.
    ///
    /// # Errors
    /// A definition that cannot be read.
    pub fn audience_list(&self) -> Result<Answer<AudienceList>> {
        let start = Instant::now();
        let view = self.store.view();
        let lookup = self.lookup(&view);
        let mut audiences = Vec::with_capacity(lookup.saved.len());
        for name in lookup.saved.keys() {
            audiences.extend(lookup.shown(name)?.map(|(shown, _)| shown));
        }
        Ok(answer(AudienceList { audiences }, &view, start, Vec::new()))
    }

    /// Lets an audience go that no other is built on, and its snapshots with it.
    ///
    /// # Errors
    /// An unknown name; [`Error::AudienceInUse`]; a failed write.
    pub fn delete_audience(&self, name: &str) -> Result<u64> {
        let _writing = self.audiences.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.store.view();
        let lookup = self.lookup(&view);
        if !lookup.saved.contains_key(name) {
            return Err(self.no_audience(&lookup, name));
        }
        let users = lookup.used_by(name)?;
        if !users.is_empty() {
            return Err(Error::AudienceInUse { name: name.into(), users });
        }
        let outcome = self.store.write_and_wait(Request::Audience { name: name.into(), definition: None })?;
        Ok(outcome.data_version)
    }
}

fn check(name: &str, request: &AudienceRequest) -> Result<()> {
    let fault = |code, pointer: &str, message: String| Err(request_fault(code, pointer, message, None).into());
    if !is_name(name) {
        let message = format!("`{name}` is not a name: a lower-case letter, then letters, digits and _, at most 64");
        return fault("bad_name", "", message);
    }
    if request.description.len() > DESCRIPTION_BYTES_MAX {
        return fault("too_long", "/description", format!("a description is at most {DESCRIPTION_BYTES_MAX} bytes"));
    }
    if request.labels.len() > LABELS_MAX || request.labels.iter().any(|label| label.len() > LABEL_BYTES_MAX) {
        let message = format!("at most {LABELS_MAX} labels of {LABEL_BYTES_MAX} bytes");
        return fault("too_long", "/labels", message);
    }
    Ok(())
}
