//! Frozen audiences: members kept as those of a day, listed, let go, and read for questions.
//! Knows audiences and days; how a set lies on disk is the store's matter, what a question makes of it `query`'s.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::civil::Date;
use queryparser::ast::LiteralValue;
use roaring::RoaringBitmap;
use serde::Serialize;
use storage::portable::write_portable;
use storage::{Freezing, Frozen, FrozenInfo, FrozenSets, Request, State, StateRef, View, ViewGuard};

use super::ask::{answer, parse_limited};
use super::audiences::Lookup;
use super::{Answer, Error, Question, Result, Space, Where};
use crate::query;
use crate::query::Binder;
use crate::query::bind::{day_from, request_fault};
use crate::query::frozen::{days_hint, snapshots_used_by};
use crate::query::plan::IdSet;
use crate::query::totals::collect;

/// Most snapshots of an audience.
pub const SNAPSHOTS_MAX: usize = 1_000;
/// Most bytes that the snapshots of all audiences of a space take.
pub const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;
/// Most bytes of sets that are kept read, for questions.
const READ_BYTES_MAX: usize = 128 << 20;
/// How often members are looked for anew where the definition was changed meanwhile.
const TRIES: usize = 5;

/// A snapshot, shown.
#[derive(Debug, Clone, Serialize)]
pub struct FrozenShown {
    /// The day whose members they are.
    pub date: String,
    /// Members when they were frozen.
    pub count: u64,
    /// Of them, those who still live.
    pub living: u64,
    /// Version of the definition that they were members by.
    pub version: u64,
    /// When they were frozen.
    pub frozen_at: String,
    /// Bytes that the snapshot takes.
    pub bytes: u64,
}

/// A snapshot that was just taken. The answer's data version is the one at which they were members.
#[derive(Debug, Clone, Serialize)]
pub struct FrozenAnswer {
    /// The audience.
    pub name: String,
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: FrozenShown,
}

/// The snapshots of an audience.
#[derive(Debug, Clone, Serialize)]
pub struct FrozenList {
    /// The audience.
    pub name: String,
    /// Ascending by day.
    pub snapshots: Vec<FrozenListed>,
}

/// A snapshot of a list.
#[derive(Debug, Clone, Serialize)]
pub struct FrozenListed {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: FrozenShown,
    /// Data version at which they were members.
    pub data_version: u64,
}

/// Sets of an audience, by day.
pub(super) fn frozen_of<'f>(
    sets: &'f FrozenSets,
    name: &str,
) -> impl DoubleEndedIterator<Item = (Date, &'f Arc<Frozen>)> {
    let name: Arc<str> = name.into();
    let of = sets.range((name.clone(), Date::MIN)..=(name, Date::MAX));
    of.map(|((_, date), frozen)| (*date, frozen))
}

/// Sets as questions take them, the last used at the end.
#[derive(Default)]
pub(super) struct FrozenMemory(Mutex<Vec<(Date, FrozenInfo, Arc<IdSet>)>>);

impl FrozenMemory {
    /// A set, read once for many questions.
    ///
    /// # Errors
    /// Damage of the store.
    pub(super) fn read(&self, date: Date, frozen: &Frozen) -> query::Result<Arc<IdSet>> {
        // No two sets share number and data version: a number is taken again only after its set was let go.
        let is_it = |(of, info, _): &(Date, FrozenInfo, Arc<IdSet>)| (*of, info) == (date, frozen.info());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(is_it) {
            let known = all.remove(at);
            let set = known.2.clone();
            all.push(known);
            return Ok(set);
        }
        drop(all);
        let set = Arc::new(IdSet::from_bitmap(&frozen.members()?));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !is_it(other));
        all.push((date, *frozen.info(), set.clone()));
        let mut bytes: usize = all.iter().map(|(_, _, set)| set.heap_bytes()).sum();
        while bytes > READ_BYTES_MAX && !all.is_empty() {
            bytes -= all.remove(0).2.heap_bytes();
        }
        Ok(set)
    }
}

impl Lookup<'_> {
    /// Names of the audiences that are built on a snapshot, by the day that it is today.
    fn users_of_snapshot(&self, name: &str, date: Date, today: Date) -> Result<Vec<String>> {
        let mut users = Vec::new();
        for other in self.saved.keys() {
            let Some(saved) = self.saved(other)? else { continue };
            let uses = snapshots_used_by(&saved.parsed.ast).into_iter().any(|(audience, on)| {
                let is_day = match &on.value {
                    LiteralValue::Date(day) => *day == date,
                    LiteralValue::RelativeDate(intervals) => day_from(today, intervals) == Some(date),
                    _ => false,
                };
                audience.text == name && is_day
            });
            if uses {
                users.push(other.clone());
            }
        }
        Ok(users)
    }
}

fn shown(date: Date, frozen: &Frozen, living: &RoaringBitmap) -> Result<FrozenShown> {
    let info = frozen.info();
    Ok(FrozenShown {
        date: date.to_string(),
        count: info.count,
        living: frozen.members()?.intersection_len(living),
        version: info.version,
        frozen_at: jiff::Timestamp::from_second(info.frozen_at).unwrap_or_default().to_string(),
        bytes: frozen.bytes(),
    })
}

/// What was found to be frozen.
struct Found {
    view: Arc<View>,
    members: RoaringBitmap,
    version: u64,
}

impl Space {
    /// Keeps an audience's members as those of a day, instead of what was kept as that before: of today the present
    /// ones, of an earlier day those at its end, CURRENT_DATE being that day, where that day's state is kept.
    ///
    /// # Errors
    /// An unknown audience; a day that is yet to come, or whose state is not kept; too many snapshots; a failed write.
    pub fn freeze(&self, name: &str, date: Option<Date>, question: &Question) -> Result<Answer<FrozenAnswer>> {
        let start = Instant::now();
        let today = self.store.today();
        let date = date.unwrap_or(today);
        let Found { view, members, version } = self.find_members(name, date, today, question)?;
        let _writing = self.audiences.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.store.view();
        let lookup = self.lookup(&present);
        if !lookup.saved.contains_key(name) {
            return Err(self.no_audience(&lookup, name));
        }
        let bytes = write_portable(&members);
        check_room(lookup.frozen, name, date, bytes.len() as u64)?;
        let (count, data_version, erasures) = (members.len(), view.data_version(), view.erasures());
        let members = Some(Freezing { bytes, count, version, data_version, erasures });
        self.store.write_and_wait(Request::Frozen { audience: name.into(), date, members })?;
        let now = self.store.view();
        let frozen = now.frozen().get(&(name.into(), date)).cloned();
        let frozen = frozen.ok_or_else(|| no_snapshot(&self.lookup(&now), name, date))?;
        let snapshot = shown(date, &frozen, &storage::frozen::living(&now)?)?;
        Ok(answer(FrozenAnswer { name: name.into(), snapshot }, &view, start, Vec::new()))
    }

    fn find_members(&self, name: &str, date: Date, today: Date, question: &Question) -> Result<Found> {
        let mut tries = 1;
        loop {
            let present = ViewGuard::into_inner(self.store.view());
            let lookup = self.lookup(&present);
            let Some(saved) = lookup.saved(name)? else { return Err(self.no_audience(&lookup, name)) };
            let view = if date == today { present.clone() } else { self.view_of_day(date, today)? };
            let state = (date != today).then(|| date.to_string());
            let question = Question { as_of: Some(date), state, ..question.clone() };
            let budget = question.budget(Instant::now(), self.shared.limits.elapsed_ms_max);
            let ids = self.in_context(&view, &question, &budget, |ctx| {
                let text = format!("in_audience('{name}')");
                let parsed = parse_limited(&Where::Text(text), ctx.limits)?;
                Ok(collect(ctx, &Binder::new(ctx, &parsed.source).plan(&parsed.ast)?, 0, u64::MAX)?)
            })?;
            let now = self.lookup(&self.store.view()).saved(name)?.map(|saved| saved.version);
            if now == Some(saved.version) || tries == TRIES {
                let members = RoaringBitmap::from_sorted_iter(ids).unwrap_or_default();
                return Ok(Found { view, members, version: saved.version });
            }
            tries += 1;
        }
    }

    /// The state of exactly one earlier day.
    fn view_of_day(&self, date: Date, today: Date) -> Result<Arc<View>> {
        let fault = |code, message: String, hint: &str| request_fault(code, "/date", message, Some(hint.into()));
        if date > today {
            return Err(
                fault("future_date", format!("{date} is yet to come; it is {today}"), "leave the date out").into()
            );
        }
        match self.store.state(&StateRef::Date(date)) {
            Ok(State { view, found: Some(StateRef::Date(found)) }) if found == date => Ok(view),
            Err(storage::StateError::Failed(error)) => Err(error.into()),
            _ => {
                let hint = "an earlier day's members are those of the state that is kept of it: see GET …/snapshots";
                Err(fault("unknown_state", format!("no state of {date} is kept"), hint).into())
            }
        }
    }

    /// The snapshots of an audience.
    ///
    /// # Errors
    /// An unknown audience; damage of the store.
    pub fn frozen_list(&self, name: &str) -> Result<Answer<FrozenList>> {
        let start = Instant::now();
        let view = self.store.view();
        let lookup = self.lookup(&view);
        if !lookup.saved.contains_key(name) {
            return Err(self.no_audience(&lookup, name));
        }
        let living = storage::frozen::living(&view)?;
        let listed = frozen_of(view.frozen(), name).map(|(date, frozen)| {
            let data_version = frozen.info().data_version;
            Ok(FrozenListed { snapshot: shown(date, frozen, &living)?, data_version })
        });
        let snapshots = listed.collect::<Result<Vec<_>>>()?;
        Ok(answer(FrozenList { name: name.into(), snapshots }, &view, start, Vec::new()))
    }

    /// Lets a snapshot go that no audience is built on.
    ///
    /// # Errors
    /// An unknown audience or day; one that is in use; a failed write.
    pub fn delete_frozen(&self, name: &str, date: Date) -> Result<u64> {
        let _writing = self.audiences.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.store.view();
        let lookup = self.lookup(&view);
        if !lookup.saved.contains_key(name) {
            return Err(self.no_audience(&lookup, name));
        }
        if !view.frozen().contains_key(&(name.into(), date)) {
            return Err(no_snapshot(&lookup, name, date));
        }
        let users = lookup.users_of_snapshot(name, date, self.store.today())?;
        if !users.is_empty() {
            let message = format!("the snapshot of `{name}` of {date} is in use by {}", users.join(", "));
            return Err(Error::Request { code: "snapshot_in_use", message, hint: None });
        }
        let outcome = self.store.write_and_wait(Request::Frozen { audience: name.into(), date, members: None })?;
        Ok(outcome.data_version)
    }
}

pub(super) fn no_snapshot(lookup: &Lookup<'_>, name: &str, date: Date) -> Error {
    let days: Vec<Date> = frozen_of(lookup.frozen, name).map(|(date, _)| date).collect();
    let message = format!("audience `{name}` has no snapshot of {date}");
    Error::Request { code: "unknown_snapshot", message, hint: Some(days_hint(&days, date)) }
}

/// Whether one more snapshot may be kept, instead of the one of the same day if there is one.
fn check_room(sets: &FrozenSets, name: &str, date: Date, bytes: u64) -> Result<()> {
    let of_others = frozen_of(sets, name).filter(|(other, _)| *other != date).count();
    if of_others >= SNAPSHOTS_MAX {
        let message = format!("an audience has at most {SNAPSHOTS_MAX} snapshots: delete some");
        return Err(request_fault("too_many_snapshots", "", message, None).into());
    }
    let others = sets.iter().filter(|((other, day), _)| (&**other, *day) != (name, date));
    if others.map(|(_, frozen)| frozen.bytes()).sum::<u64>() + bytes > SNAPSHOT_BYTES_MAX {
        let message =
            format!("the snapshots of a space's audiences take at most {SNAPSHOT_BYTES_MAX} bytes: delete some");
        return Err(request_fault("too_many_snapshot_bytes", "", message, None).into());
    }
    Ok(())
}
