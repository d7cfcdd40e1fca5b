//! Who the rows of a batch mean: known people, new ones, and rows that cannot be taken.
//! Knows identities; knows no tag. Changes nothing.
//!
//! Rows are taken in order, so that a later one may mean a person whom an earlier one makes. Most identities of a bulk
//! load are new: a first pass asks the index for all of a column's at once, which overlaps the cache misses, and only
//! those that it may hold are looked up.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use crate::batch::{IdColumn, OnUnknown, Outcome, Rejected, Upserts};
use crate::changes::Identities;
use crate::error::{Error, Result};
use crate::ids::PROFILES_MAX;
use crate::keys::{KEY_BYTES_MAX, SEPARATOR};
use crate::schema::IdTypeId;
use crate::view::View;

/// Marks a row that does not count.
pub(crate) const NOBODY: u32 = u32::MAX;

/// Who the rows of a batch mean.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The OneID of each row; [`NOBODY`] of one that does not count.
    pub(crate) one_ids: Vec<u32>,
    /// New profiles, ascending.
    pub(crate) created: Vec<u32>,
    /// New identities, in order of acceptance.
    pub(crate) identities: Identities,
    /// The next OneID to give out, afterwards.
    pub(crate) next_one_id: u32,
}

/// Why a row does not count: code and message.
type Fault = (&'static str, Cow<'static, str>);

/// Finds out who each row means, but for those that are `refused` already, in row order. An atomic batch with a row that
/// does not count means nobody at all.
///
/// # Errors
/// [`Error::Full`], [`Error::Corrupt`].
pub(crate) fn resolve(view: &View, batch: &Upserts, refused: Vec<Rejected>) -> Result<(Resolved, Outcome)> {
    let mut people = People {
        view,
        unknown: batch.unknown,
        columns: batch.ids.iter().map(|column| Known::new(view, column, batch.rows)).collect::<Result<_>>()?,
        resolved: Resolved { next_one_id: view.next_one_id, ..Resolved::default() },
        new_keys: Vec::new(),
    };
    let mut skipped: Vec<u32> = batch.refused.iter().copied().chain(refused.iter().map(|r| r.row)).collect();
    skipped.sort_unstable();
    skipped.dedup();
    let mut skipped = skipped.into_iter().peekable();
    let mut outcome = Outcome { rejected: refused, ..Outcome::default() };
    people.resolved.one_ids.reserve(batch.rows as usize);
    for row in 0..batch.rows {
        let one_id = match skipped.next_if_eq(&row) {
            Some(_) => NOBODY,
            None => match people.resolve(row)? {
                Ok(one_id) => one_id,
                Err((code, message)) => {
                    outcome.rejected.push(Rejected { row, code, message: message.into_owned() });
                    NOBODY
                }
            },
        };
        people.resolved.one_ids.push(one_id);
    }
    let mut resolved = people.resolved;
    outcome.rejected.sort_by_key(|rejected| rejected.row);
    if batch.atomic && !(outcome.rejected.is_empty() && batch.refused.is_empty()) {
        resolved = Resolved { next_one_id: view.next_one_id, ..Resolved::default() };
    }
    outcome.created = resolved.created.len() as u32;
    outcome.accepted = resolved.one_ids.iter().filter(|id| **id != NOBODY).count() as u32;
    Ok((resolved, outcome))
}

/// The rows so far.
struct People<'a> {
    view: &'a View,
    unknown: OnUnknown,
    columns: Vec<Known<'a>>,
    resolved: Resolved,
    /// Columns in which the present row has a key that nobody has.
    new_keys: Vec<usize>,
}

impl People<'_> {
    fn resolve(&mut self, row: u32) -> Result<Result<u32, Fault>> {
        let names = &self.view.schema.id_types;
        let mut meant: Option<(u32, IdTypeId)> = None;
        let mut any = false;
        self.new_keys.clear();
        for (at, column) in self.columns.iter().enumerate() {
            let (id_type, key) = (column.ids.id_type, column.ids.key(row));
            if key.is_empty() {
                continue;
            }
            any = true;
            if key.len() > KEY_BYTES_MAX || key.contains(&SEPARATOR) {
                let name = &names[id_type.0 as usize];
                let message = format!("an identity is 1 to {KEY_BYTES_MAX} bytes without NUL; this `{name}` is not");
                return Ok(Err(("bad_identity", message.into())));
            }
            match (column.find(self.view, &self.resolved.identities, row, key)?, meant) {
                (None, _) => self.new_keys.push(at),
                (Some(found), Some((other, first))) if found != other => {
                    let names = [first, id_type].map(|t| &names[t.0 as usize]);
                    let message = format!(
                        "`{}` and `{}` belong to two profiles ({other} and {found}); joining profiles is not done here",
                        names[0], names[1]
                    );
                    return Ok(Err(("two_profiles", message.into())));
                }
                (Some(found), _) => meant = Some((found, id_type)),
            }
        }
        if !any {
            return Ok(Err(("no_identity", "a line names at least one identity".into())));
        }
        let one_id = match (meant, self.unknown) {
            (Some((one_id, _)), _) => one_id,
            (None, OnUnknown::Reject) => return Ok(Err(("unknown_profile", "nobody has this identity".into()))),
            (None, OnUnknown::Create) => self.create()?,
        };
        for at in &self.new_keys {
            self.columns[*at].add(&mut self.resolved.identities, row, one_id);
        }
        Ok(Ok(one_id))
    }

    fn create(&mut self) -> Result<u32> {
        let one_id = self.resolved.next_one_id;
        if one_id >= PROFILES_MAX {
            return Err(Error::Full { profiles: one_id });
        }
        self.resolved.next_one_id += 1;
        self.resolved.created.push(one_id);
        Ok(one_id)
    }
}

/// One column of identities: what the view may know of them, and those that the batch has added.
struct Known<'a> {
    ids: &'a IdColumn,
    hashes: Vec<u64>,
    /// Whether the index may hold the key of a row.
    may_hold: Vec<bool>,
    /// Open addressing over places in the batch's new identities: `hash >> 32 << 32 | place + 1`; 0 is free.
    added: Vec<u64>,
}

impl<'a> Known<'a> {
    fn new(view: &View, ids: &'a IdColumn, rows: u32) -> Result<Known<'a>> {
        let hashes: Vec<u64> = (0..rows).map(|row| xxh3_64(ids.key(row))).collect();
        let may_hold = view.id_type(ids.id_type).index.may_hold(&hashes)?;
        Ok(Known { ids, hashes, may_hold, added: Vec::new() })
    }

    fn find(&self, view: &View, identities: &Identities, row: u32, key: &[u8]) -> Result<Option<u32>> {
        if !self.added.is_empty() {
            let hash = self.hashes[row as usize];
            let mask = self.added.len() - 1;
            let mut slot = hash as usize & mask;
            while self.added[slot] != 0 {
                let (tag, place) = (self.added[slot] >> 32, self.added[slot] as u32 as usize - 1);
                if tag == hash >> 32 {
                    let (_, one_id, known) = identities.get(place);
                    if known == key {
                        return Ok(Some(one_id));
                    }
                }
                slot = (slot + 1) & mask;
            }
        }
        if !self.may_hold[row as usize] {
            return Ok(None);
        }
        Ok(view.find_identity(self.ids.id_type, key)?.map(|one_id| one_id.0))
    }

    fn add(&mut self, identities: &mut Identities, row: u32, one_id: u32) {
        if self.added.is_empty() {
            // A row adds at most one key of this type.
            self.added = vec![0; (self.hashes.len() * 2).next_power_of_two()];
        }
        let hash = self.hashes[row as usize];
        let mask = self.added.len() - 1;
        let mut slot = hash as usize & mask;
        while self.added[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.added[slot] = (hash >> 32) << 32 | (identities.len() as u64 + 1);
        identities.push(self.ids.id_type, one_id, self.ids.key(row));
    }
}
