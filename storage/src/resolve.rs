//! Who the rows of a batch mean: known people, new ones, those who become one, and rows that cannot be taken.
//! Knows identities; knows no tag. Changes nothing.
//!
//! Rows are taken in order, so that a later one may mean a person whom an earlier one makes, or joins to another. Whom the
//! view has is found before that, for a whole column at once and by several threads where there are many rows: most
//! identities of a bulk load are new, which the index says for many keys at a time, so that the cache misses overlap, and
//! only those that it may hold are looked up.

use std::borrow::Cow;
use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::batch::{IdColumn, OnUnknown, Outcome, Rejected, Upserts};
use crate::changes::{Identities, Join};
use crate::error::{Error, Result};
use crate::ids::{OneId, PROFILES_MAX, in_stripe, stripe_of};
use crate::keys::{KEY_BYTES_MAX, SEPARATOR};
use crate::meant::{Meant, NOBODY};
use crate::parallel;
use crate::schema::IdTypeId;
use crate::seen::{KeySet, SeenKeys};
use crate::view::View;

/// Most events that the joins of a batch take along, beyond those of its first: they are logged with it.
const MOVED_EVENTS_MAX: u64 = 1 << 22;

/// Rows whose identities one thread looks up before it takes others.
const ROWS_OF_SHARE: usize = 1 << 13;

/// Who the rows of a batch mean.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// Whom each row means, and who is joined.
    pub(crate) meant: Meant,
    /// New profiles, ascending; some of them may be joined to others by a later row.
    pub(crate) created: Vec<u32>,
    /// New identities in order of acceptance, each profile's; those of the joined are the survivor's, behind its own.
    pub(crate) identities: Identities,
    /// The next OneID to give out, afterwards.
    pub(crate) next_one_id: u32,
    /// Keys of the events that count.
    pub(crate) keys: KeySet,
}

/// Why a row does not count: code and message.
type Fault = (&'static str, Cow<'static, str>);

/// Finds out who each row means, but for those that are `refused` already, in row order. An atomic batch with a row that
/// does not count means nobody at all. `under_way` are keys of events that the view has not got yet.
///
/// # Errors
/// [`Error::Full`], [`Error::Corrupt`].
pub(crate) fn resolve(
    view: &View,
    batch: &Upserts,
    refused: Vec<Rejected>,
    under_way: &[&KeySet],
) -> Result<(Resolved, Outcome)> {
    let mut people = People::new(view, batch)?;
    let mut skipped: Vec<u32> = batch.refused.iter().copied().chain(refused.iter().map(|r| r.row)).collect();
    skipped.sort_unstable();
    skipped.dedup();
    let mut skipped = skipped.into_iter().peekable();
    let mut outcome = Outcome { rejected: refused, ..Outcome::default() };
    let mut one_ids = Vec::with_capacity(batch.rows as usize);
    let mut keys = SeenKeys::new(view, batch, under_way)?;
    for row in 0..batch.rows {
        let one_id = match skipped.next_if_eq(&row) {
            Some(_) => NOBODY,
            None if keys.has(row)? => {
                outcome.duplicates += 1;
                NOBODY
            }
            None => match people.resolve(row)? {
                Ok(one_id) => {
                    keys.take(row);
                    one_id
                }
                Err((code, message)) => {
                    outcome.rejected.push(Rejected { row, code, message: message.into_owned() });
                    NOBODY
                }
            },
        };
        one_ids.push(one_id);
    }
    outcome.rejected.sort_by_key(|rejected| rejected.row);
    if batch.atomic && !(outcome.rejected.is_empty() && batch.refused.is_empty()) {
        outcome.duplicates = 0;
        return Ok((Resolved { next_one_id: view.next_one_id, ..Resolved::default() }, outcome));
    }
    outcome.accepted = one_ids.iter().filter(|id| **id != NOBODY).count() as u32 + outcome.duplicates;
    outcome.created = people.created.len() as u32;
    outcome.joined = people.joins.len() as u32;
    Ok((Resolved { keys: keys.into_taken(), ..people.settled(one_ids)? }, outcome))
}

/// The rows so far.
struct People<'a> {
    view: &'a View,
    unknown: OnUnknown,
    columns: Vec<Known<'a>>,
    /// By id type.
    added: Vec<Added>,
    created: Vec<u32>,
    next_one_id: u32,
    /// New identities as the rows brought them.
    identities: Identities,
    /// The row that each of them came with.
    rows: Vec<u32>,
    joins: Vec<(u32, Join)>,
    /// Whom the retired were joined to.
    survivors: HashMap<u32, u32>,
    moved_events: u64,
    /// Columns in which the present row has a key that nobody has.
    new_keys: Vec<usize>,
    /// Whose the other keys of the present row are.
    owners: Vec<u32>,
}

impl<'a> People<'a> {
    fn new(view: &'a View, batch: &'a Upserts) -> Result<People<'a>> {
        let mut added: Vec<Added> = view.id_types.iter().map(|_| Added::default()).collect();
        batch.ids.iter().for_each(|column| added[column.id_type.0 as usize].keys_max += batch.rows as usize);
        Ok(People {
            view,
            unknown: batch.unknown,
            columns: batch.ids.iter().map(|column| Known::new(view, column, batch.rows)).collect::<Result<_>>()?,
            added,
            created: Vec::new(),
            next_one_id: view.next_one_id,
            identities: Identities::default(),
            rows: Vec::new(),
            joins: Vec::new(),
            survivors: HashMap::new(),
            moved_events: 0,
            new_keys: Vec::new(),
            owners: Vec::new(),
        })
    }

    fn resolve(&mut self, row: u32) -> Result<Result<u32, Fault>> {
        let mut any = false;
        self.new_keys.clear();
        self.owners.clear();
        for (at, column) in self.columns.iter().enumerate() {
            let (id_type, key) = (column.ids.id_type, column.ids.key(row));
            if key.is_empty() {
                continue;
            }
            any = true;
            if key.len() > KEY_BYTES_MAX || key.contains(&SEPARATOR) {
                let name = &self.view.schema.id_types[id_type.0 as usize];
                let message = format!("an identity is 1 to {KEY_BYTES_MAX} bytes without NUL; this `{name}` is not");
                return Ok(Err(("bad_identity", message.into())));
            }
            let added = self.added[id_type.0 as usize].find(column.hashes[row as usize], key, &self.identities);
            match added.or(column.found[row as usize]).map(|one_id| self.lives_as(one_id)) {
                None => self.new_keys.push(at),
                Some(owner) if !self.owners.contains(&owner) => self.owners.push(owner),
                Some(_) => {}
            }
        }
        if !any {
            return Ok(Err(("no_identity", "a line names at least one identity".into())));
        }
        let one_id = match (&self.owners[..], self.unknown) {
            ([one_id], _) => *one_id,
            ([], OnUnknown::Reject) => return Ok(Err(("unknown_profile", "nobody has this identity".into()))),
            ([], OnUnknown::Create) => self.create()?,
            _ => match self.join(row)? {
                Ok(survivor) => survivor,
                Err(fault) => return Ok(Err(fault)),
            },
        };
        self.add_keys(row, one_id);
        Ok(Ok(one_id))
    }

    /// Who a OneID is by now: joins of this batch are in no view yet.
    fn lives_as(&self, mut one_id: u32) -> u32 {
        while let Some(survivor) = self.survivors.get(&one_id) {
            one_id = *survivor;
        }
        one_id
    }

    fn create(&mut self) -> Result<u32> {
        let one_id = self.next_one_id;
        if one_id >= PROFILES_MAX {
            return Err(Error::Full { profiles: one_id });
        }
        self.next_one_id += 1;
        self.created.push(one_id);
        Ok(one_id)
    }

    /// Joins the owners of a row's keys: the others to the lowest, the lower ones first.
    fn join(&mut self, row: u32) -> Result<Result<u32, Fault>> {
        self.owners.sort_unstable();
        let [survivor, retired @ ..] = &self.owners[..] else { return Ok(Ok(NOBODY)) };
        let events: u64 = retired.iter().map(|one_id| event_count(self.view, *one_id)).sum::<Result<_>>()?;
        if self.moved_events > 0 && self.moved_events + events > MOVED_EVENTS_MAX {
            let message =
                format!("the joins of a batch take along at most {MOVED_EVENTS_MAX} events; send it in another");
            return Ok(Err(("too_many_joined", message.into())));
        }
        self.moved_events += events;
        for retired in retired {
            self.joins.push((row, Join { retired: *retired, survivor: *survivor }));
            self.survivors.insert(*retired, *survivor);
        }
        Ok(Ok(*survivor))
    }

    fn add_keys(&mut self, row: u32, one_id: u32) {
        for (nth, at) in self.new_keys.iter().enumerate() {
            let ids = self.columns[*at].ids;
            let is_same = |other: &usize| {
                let other = self.columns[*other].ids;
                other.id_type == ids.id_type && other.key(row) == ids.key(row)
            };
            if !self.new_keys[..nth].iter().any(is_same) {
                let hash = self.columns[*at].hashes[row as usize];
                self.added[ids.id_type.0 as usize].put(hash, self.identities.len());
                self.identities.push(ids.id_type, one_id, ids.key(row));
                self.rows.push(row);
            }
        }
    }

    /// What the batch comes to: identities of the joined are their survivors'.
    fn settled(self, one_ids: Vec<u32>) -> Result<Resolved> {
        let People { view, created, next_one_id, identities, rows, joins, .. } = self;
        let meant = Meant::new(one_ids, joins);
        let identities = if meant.has_joins() { joined(view, &meant, &identities, &rows)? } else { identities };
        Ok(Resolved { meant, created, identities, next_one_id, keys: KeySet::default() })
    }
}

/// How many events of any kind a profile has.
fn event_count(view: &View, one_id: u32) -> Result<u64> {
    let mut stripes = view.events.iter().filter_map(|field| field.stripe(stripe_of(one_id)));
    stripes.try_fold(0, |sum, stripe| Ok(sum + u64::from(stripe.row_count_of(in_stripe(one_id))?)))
}

/// The new identities where somebody is joined: a survivor's own ones, then those that the other had, then its new ones.
fn joined(view: &View, meant: &Meant, new: &Identities, rows: &[u32]) -> Result<Identities> {
    let mut all = Identities::default();
    let is_member = |one_id: &u32| meant.members().binary_search(one_id).is_ok();
    new.iter().filter(|(_, one_id, _)| !is_member(one_id)).for_each(|(of, one_id, key)| all.push(of, one_id, key));
    let retired: std::collections::HashSet<u32> = meant.joins().map(|join| join.retired).collect();
    for id_type in (0..view.id_types.len() as u32).map(IdTypeId) {
        let mut keys: Vec<Vec<Cow<'_, [u8]>>> = Vec::with_capacity(meant.members().len());
        for one_id in meant.members() {
            // What a survivor has stays where it is.
            let had = retired.contains(one_id).then(|| view.keys_of(id_type, OneId(*one_id))).transpose()?;
            keys.push(had.map_or(Vec::new(), |had| had.to_list().into_iter().map(Cow::Owned).collect()));
        }
        let of_type = rows.iter().zip(new.iter()).filter(|(_, (of, ..))| *of == id_type);
        let added = of_type.map(|(row, (_, one_id, key))| (*row, one_id, Cow::Borrowed(key))).collect();
        meant.fold(&mut keys, added, |keys, key| keys.push(key), |keys, others| keys.extend(others));
        for (one_id, keys) in meant.members().iter().zip(keys) {
            keys.iter().for_each(|key| all.push(id_type, *one_id, key));
        }
    }
    Ok(all)
}

/// One column of identities, and whose the view says that they are.
struct Known<'a> {
    ids: &'a IdColumn,
    hashes: Vec<u64>,
    found: Vec<Option<u32>>,
}

impl<'a> Known<'a> {
    fn new(view: &View, ids: &'a IdColumn, rows: u32) -> Result<Known<'a>> {
        let (mut hashes, mut found) = (vec![0; rows as usize], vec![None; rows as usize]);
        let shares = hashes.chunks_mut(ROWS_OF_SHARE).zip(found.chunks_mut(ROWS_OF_SHARE)).zip(0u32..);
        let shares: Vec<_> = shares.collect();
        let threads = if shares.len() < 2 { 1 } else { parallel::half_of_cores() };
        parallel::for_each(shares.into_iter(), threads, |((hashes, found), share)| {
            let rows = share * ROWS_OF_SHARE as u32..;
            hashes.iter_mut().zip(rows.clone()).for_each(|(hash, row)| *hash = xxh3_64(ids.key(row)));
            let may_hold = view.id_type(ids.id_type).index.may_hold(hashes)?;
            for ((found, row), _) in found.iter_mut().zip(rows).zip(may_hold).filter(|(_, may_hold)| *may_hold) {
                *found = view.find_identity(ids.id_type, ids.key(row))?.map(|OneId(one_id)| one_id);
            }
            Ok(())
        })?;
        Ok(Known { ids, hashes, found })
    }
}

/// Identities of one type that the batch has added.
#[derive(Default)]
struct Added {
    /// Open addressing over places in the batch's new identities: `hash >> 32 << 32 | place + 1`; 0 is free.
    slots: Vec<u64>,
    keys_max: usize,
}

impl Added {
    fn find(&self, hash: u64, key: &[u8], identities: &Identities) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            let (tag, place) = (self.slots[slot] >> 32, self.slots[slot] as u32 as usize - 1);
            if tag == hash >> 32 {
                let (_, one_id, known) = identities.get(place);
                if known == key {
                    return Some(one_id);
                }
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    fn put(&mut self, hash: u64, place: usize) {
        if self.slots.is_empty() {
            self.slots = vec![0; (self.keys_max * 2).next_power_of_two()];
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = (hash >> 32) << 32 | (place as u64 + 1);
    }
}
