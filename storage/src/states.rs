//! Earlier states: kept store snapshots, found by date or name, and opened beside the present view.
//! Knows which days there are, and what an earlier view must be rid of; knows nothing of the writer.
//!
//! ```text
//!   date or name → kept manifest → parts mapped → records of its stretches applied → a view like any other
//! ```
//! People erased since are in no earlier state, so what is open is held against the present view at each use: who has
//! gone meanwhile is erased in it. Two states that lie on the same parts are opened one from the other; many days in a row
//! are walked through by one view, which nobody else sees and which is changed where it lies.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jiff::civil::Date;

use crate::apply::apply;
use crate::changes::Record;
use crate::erased::Living;
use crate::error::{Error, Result};
use crate::manifest::{KEPT_DIR, Manifest};
use crate::pack::Pack;
use crate::parallel::cores;
use crate::snapshot::{Packs, open_view};
use crate::stretch::Stretch;
use crate::view::View;

/// Most states that stay open. Each holds what came after its parts on the heap.
const OPEN_MAX: usize = 4;
/// How often a state is looked for anew where its files were replaced meanwhile.
const TRIES: usize = 5;

/// Which state is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateRef {
    /// The state at the end of a day.
    Date(Date),
    /// A named store snapshot.
    Name(String),
}

/// A state, open.
#[derive(Debug, Clone)]
pub struct State {
    /// Everyone as they were, without those who were erased since, under the present schema.
    pub view: Arc<View>,
    /// How to ask for exactly this state again; nothing for the present.
    pub found: Option<StateRef>,
}

/// Why there is no such state.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs)]
pub enum StateError {
    #[error("no dated state is kept yet")]
    NoneYet,
    #[error("{asked} is before the first dated state, of {first}")]
    TooEarly { asked: Date, first: Date },
    #[error("{asked} is yet to come; it is {today}")]
    TooLate { asked: Date, today: Date },
    #[error("there is no store snapshot named `{name}`")]
    UnknownName { name: String, names: Vec<String> },
    #[error(transparent)]
    Failed(#[from] Error),
}

/// A kept state, as far as finding it goes.
#[derive(Debug, Clone)]
struct Known {
    file_name: String,
    name: Option<String>,
    date: Option<Date>,
    /// Data version of what its parts hold.
    base: u64,
    data_version: u64,
}

struct Opened {
    /// Data version of what its parts hold.
    base: u64,
    view: Arc<View>,
}

/// Goes from day to day through kept states, ascending. What has to be copied of a view is copied once, not for each day.
pub struct StateWalk<'s> {
    states: &'s States,
    space: &'s Path,
    present: Box<dyn Fn() -> Arc<View> + 's>,
    at: Option<Walked>,
}

/// Where a walk is.
struct Walked {
    opened: Opened,
    /// All that lie on the same parts.
    stretches: Vec<Stretch>,
    /// How often all states had been let go of when it was opened.
    closings: u64,
}

/// What of the kept states is known and open.
#[derive(Default)]
pub(crate) struct States {
    /// Read when first asked for; held while kept manifests are changed.
    known: Mutex<Option<Arc<Vec<Known>>>>,
    /// The last used at the end.
    open: Mutex<Vec<Opened>>,
    /// One state is opened at a time: it takes all cores. How often all were let go of.
    opening: Mutex<u64>,
    /// Packs that anyone has mapped, so that what was verified is verified once.
    packs: Mutex<BTreeMap<u64, Weak<Pack>>>,
    /// How often kept manifests were changed.
    changes: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl States {
    /// Changes kept manifests: nobody looks for a state meanwhile, and all are looked for anew afterwards.
    pub(crate) fn changing<T>(&self, change: impl FnOnce() -> T) -> T {
        let mut known = locked(&self.known);
        *known = None;
        let changed = change();
        self.changes.fetch_add(1, Ordering::Release);
        changed
    }

    /// How often that was done.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Lets go of what is open: its files have been replaced.
    pub(crate) fn close_all(&self) {
        // One that is being opened from old files waits for its turn to be closed.
        let mut closings = locked(&self.opening);
        *closings += 1;
        locked(&self.open).clear();
    }

    /// Tells which packs are mapped already.
    pub(crate) fn share_packs(&self, mapped: &Packs) {
        let mut packs = locked(&self.packs);
        packs.retain(|_, pack| pack.strong_count() > 0);
        packs.extend(mapped.iter().map(|(number, pack)| (*number, Arc::downgrade(pack))));
    }

    /// Finds and opens a state. What is open is a matter of microseconds; else it takes as long as its stretches do.
    ///
    /// # Errors
    /// [`StateError`].
    pub(crate) fn get(
        &self,
        space: &Path,
        wanted: &StateRef,
        today: Date,
        present: impl Fn() -> Arc<View>,
    ) -> Result<State, StateError> {
        let mut tries = 1;
        loop {
            let known = self.known(space)?;
            let Some(found) = find(&known, wanted, today)? else {
                return Ok(State { view: present(), found: None });
            };
            let exactly = match (&found.name, found.date) {
                (Some(name), _) => Some(StateRef::Name(name.clone())),
                (None, date) => date.map(StateRef::Date),
            };
            let path = space.join(KEPT_DIR).join(&found.file_name);
            let manifest = Manifest::read(&path);
            match manifest.as_ref().map_err(Error::clone).and_then(|manifest| self.open(space, manifest, &present)) {
                Ok(view) => return Ok(State { view, found: exactly }),
                // Between finding and opening its files were replaced, or the policy did without it.
                Err(Error::Missing { .. } | Error::Io { .. })
                    if tries < TRIES
                        && (Manifest::read(&path).ok().as_ref() != manifest.as_ref().ok()
                            || !Arc::ptr_eq(&known, &self.known(space)?)) =>
                {
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The days that have a state of their own, ascending.
    pub(crate) fn days(&self, space: &Path) -> Result<Vec<Date>> {
        Ok(self.known(space)?.iter().filter_map(|known| known.date).collect())
    }

    fn known(&self, space: &Path) -> Result<Arc<Vec<Known>>> {
        let mut known = locked(&self.known);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let kept = Manifest::read_kept(space)?;
        let of = |m: &Manifest| Known {
            file_name: m.kept_file_name(),
            name: m.name.clone(),
            date: m.date,
            base: m.data_version,
            data_version: m.upto(),
        };
        let mut all: Vec<Known> = kept.iter().filter(|m| !m.is_tail()).map(of).collect();
        all.sort_by_key(|known| known.date);
        Ok(known.insert(Arc::new(all)).clone())
    }

    fn open(&self, space: &Path, manifest: &Manifest, present: &dyn Fn() -> Arc<View>) -> Result<Arc<View>> {
        if let Some(view) = self.open_already(manifest.upto(), &present())? {
            return Ok(view);
        }
        let _alone = locked(&self.opening);
        let now = present();
        if let Some(view) = self.open_already(manifest.upto(), &now)? {
            return Ok(view);
        }
        let mut view = match self.nearest_open(manifest.data_version, manifest.upto()) {
            Some(view) => (*view).clone(),
            None => self.open_base(space, manifest, &now)?,
        };
        advance(&mut view, space, &manifest.stretches, manifest.upto(), &now)?;
        let opened = Opened { base: manifest.data_version, view: Arc::new(view) };
        let view = opened.view.clone();
        self.keep_open(opened);
        Ok(view)
    }

    fn keep_open(&self, opened: Opened) {
        let mut open = locked(&self.open);
        open.retain(|other| other.view.data_version != opened.view.data_version);
        open.push(opened);
        let surplus = open.len().saturating_sub(OPEN_MAX);
        open.drain(..surplus);
    }

    /// A state that is open, held against the present view.
    fn open_already(&self, data_version: u64, present: &Arc<View>) -> Result<Option<Arc<View>>> {
        if present.data_version == data_version {
            return Ok(Some(present.clone()));
        }
        let mut open = locked(&self.open);
        let Some(at) = open.iter().position(|opened| opened.view.data_version == data_version) else { return Ok(None) };
        let mut opened = open.remove(at);
        if !is_up_to_date(&opened.view, present) {
            hold_against(Arc::make_mut(&mut opened.view), present)?;
        }
        let view = opened.view.clone();
        open.push(opened);
        Ok(Some(view))
    }

    /// The open state that is nearest before one, with nothing between them that stretches on the same parts do not hold.
    fn nearest_open(&self, base: u64, data_version: u64) -> Option<Arc<View>> {
        let open = locked(&self.open);
        let before = |opened: &&Opened| opened.base == base && (base..data_version).contains(&opened.view.data_version);
        open.iter().filter(before).max_by_key(|opened| opened.view.data_version).map(|opened| opened.view.clone())
    }

    fn open_base(&self, space: &Path, manifest: &Manifest, now: &View) -> Result<View> {
        let known = locked(&self.packs);
        let needed = manifest.packs().into_iter().filter_map(|n| Some((n, known.get(&n)?.upgrade()?)));
        let mut packs: Packs = needed.collect();
        drop(known);
        let mut view = open_view(space, manifest, &mut packs)?;
        self.share_packs(&packs);
        // How often somebody was erased is counted from the opening of the store on: of parts nothing is known.
        hold_against(&mut view, now)?;
        Ok(view)
    }
}

/// The state that is meant; nothing for the present.
fn find<'k>(known: &'k [Known], wanted: &StateRef, today: Date) -> Result<Option<&'k Known>, StateError> {
    match wanted {
        StateRef::Name(name) => {
            let found = known.iter().find(|known| known.name.as_ref() == Some(name));
            let names = || known.iter().filter_map(|known| known.name.clone()).collect();
            found.map(Some).ok_or_else(|| StateError::UnknownName { name: name.clone(), names: names() })
        }
        StateRef::Date(asked) => {
            if *asked > today {
                return Err(StateError::TooLate { asked: *asked, today });
            }
            // Ascending by date, those without one first.
            let last = known.iter().rev().find(|known| known.date.is_some_and(|date| date <= *asked));
            if *asked == today && last.is_none_or(|last| last.date != Some(today)) {
                return Ok(None);
            }
            let first = known.iter().find_map(|known| known.date);
            match (last, first) {
                (Some(last), _) => Ok(Some(last)),
                (None, Some(first)) => Err(StateError::TooEarly { asked: *asked, first }),
                (None, None) => Err(StateError::NoneYet),
            }
        }
    }
}

impl<'s> StateWalk<'s> {
    pub(crate) fn new(states: &'s States, space: &'s Path, present: impl Fn() -> Arc<View> + 's) -> StateWalk<'s> {
        StateWalk { states, space, present: Box::new(present), at: None }
    }

    /// The state at the end of a day, if it is kept.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn state(&mut self, day: Date) -> Result<Option<&View>> {
        let mut tries = 1;
        loop {
            let known = self.states.known(self.space)?;
            let Some(wanted) = known.iter().find(|known| known.date == Some(day)) else { return Ok(None) };
            match self.go_to(&known, wanted) {
                Ok(()) => return Ok(self.at.as_ref().map(|at| &*at.opened.view)),
                // Files were replaced meanwhile, as in `States::get`.
                Err(Error::Missing { .. } | Error::Io { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn go_to(&mut self, known: &[Known], wanted: &Known) -> Result<()> {
        let closings = locked(&self.states.opening);
        let now = (self.present)();
        let leads_there = |at: &Walked| {
            let end = at.stretches.last().map_or(at.opened.base, |stretch| stretch.upto);
            at.opened.base == wanted.base && (at.opened.view.data_version..=end).contains(&wanted.data_version)
        };
        // Whatever fails on the way leaves a view that is not to be used.
        let mut at = match self.at.take().filter(leads_there) {
            Some(at) => at,
            None => self.begin(known, wanted, *closings, &now)?,
        };
        let view = Arc::make_mut(&mut at.opened.view);
        advance(view, self.space, &at.stretches, wanted.data_version, &now)?;
        self.at = Some(at);
        Ok(())
    }

    /// Before a state, as near as one is open.
    fn begin(&self, known: &[Known], wanted: &Known, closings: u64, now: &View) -> Result<Walked> {
        // The last state on the same parts has all stretches on them.
        let on_the_same = known.iter().filter(|other| other.base == wanted.base);
        let last = on_the_same.max_by_key(|other| other.data_version).unwrap_or(wanted);
        let file = self.space.join(KEPT_DIR).join(&last.file_name);
        let manifest = Manifest::read(&file)?;
        if manifest.data_version != wanted.base || manifest.upto() < wanted.data_version {
            // Another has taken its name since it was looked for.
            let needed_by = format!("a store snapshot of data version {}", wanted.data_version);
            return Err(Error::Missing { file, needed_by });
        }
        let view = match self.states.nearest_open(wanted.base, wanted.data_version) {
            Some(view) => view,
            None => self.states.open_base(self.space, &manifest, now)?.into(),
        };
        let opened = Opened { base: manifest.data_version, view };
        Ok(Walked { opened, stretches: manifest.stretches, closings })
    }
}

impl Drop for StateWalk<'_> {
    fn drop(&mut self) {
        // Whoever is done waits for nobody: while another state is opened, this one is let go of.
        let Ok(closings) = self.states.opening.try_lock() else { return };
        if let Some(at) = self.at.take().filter(|at| at.closings == *closings) {
            self.states.keep_open(at.opened);
        }
    }
}

/// Leads a view to a later data version: by what stretches hold between, without who has been erased since.
fn advance(view: &mut View, space: &Path, stretches: &[Stretch], data_version: u64, now: &View) -> Result<()> {
    bring_up_to_date(view, now)?;
    let living = Living::of(now)?;
    let between = view.data_version + 1..=data_version;
    for stretch in stretches.iter().filter(|stretch| stretch.upto >= *between.start() && stretch.after < data_version) {
        for (seqno, record) in stretch.read(space)? {
            if between.contains(&seqno) {
                let (record, _) = living.without_gone(record);
                apply(view, &record, seqno, cores())?;
            }
        }
    }
    view.data_version = data_version;
    // Records may have told of an older schema, or of others who were erased.
    bring_up_to_date(view, now)
}

/// Whether a view that was held against the present before is as it would be now.
fn is_up_to_date(view: &View, present: &View) -> bool {
    view.erasures == present.erasures && view.schema == present.schema
}

/// As [`hold_against`], where that would change anything.
fn bring_up_to_date(view: &mut View, present: &View) -> Result<()> {
    if is_up_to_date(view, present) { Ok(()) } else { hold_against(view, present) }
}

/// Who has been erased since is erased; what the schema has gained since is unknown of everyone.
fn hold_against(view: &mut View, present: &View) -> Result<()> {
    if view.schema != present.schema {
        view.set_schema((*present.schema).clone());
    }
    let gone = Living::of(present)?.gone_from(view)?;
    if !gone.is_empty() {
        let data_version = view.data_version;
        apply(view, &Record::Erase(gone), data_version, cores())?;
    }
    view.erasures = present.erasures;
    Ok(())
}
