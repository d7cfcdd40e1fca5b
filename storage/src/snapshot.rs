//! Store snapshots: a view becomes parts in a pack and a manifest, and comes back from them.
//! Knows which parts of a view have changed; knows nothing of the log and of who is writing meanwhile.
//!
//! ```text
//!   write:  changed leaves → new pack (fsync) → manifest (fsync, rename, fsync dir) → packs nobody names are removed
//!   open:   manifest → packs mapped → parts, none of them touched yet
//! ```
//! Unchanged parts are shared with older snapshots. A pack of which less than half is still named is rewritten on the
//! way; at a purge (people were erased) every pack that holds anything unnamed is.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crossbeam::channel::bounded;
use roaring::RoaringBitmap;

use crate::apply::{Installed, schema_from, schema_to};
use crate::bitmaps::StripeBitmaps;
use crate::column::StripeColumn;
use crate::erased::Living;
use crate::error::{Error, Result};
use crate::events::{EventField, EventStripe};
use crate::field::{Field, FieldId, FieldStripe, Forward, Owner};
use crate::files::create_dir;
use crate::frozen::{self, Frozen, FrozenKey, FrozenSets};
use crate::ids::KNOWN;
use crate::index::HashIndex;
use crate::keys::StripeKeys;
use crate::lists::StripeLists;
use crate::manifest::{CURRENT, Manifest};
use crate::pack::{Pack, PackWriter, Part, PartKind, PartName, PartPlace, pack_file_name};
use crate::parallel;
use crate::schema::{EventId, PropertyId, TagId, TagType};
use crate::values::Values;
use crate::view::View;

/// Directory of packs within a space.
pub(crate) const PACKS_DIR: &str = "packs";

/// Packs that are mapped, by number.
pub(crate) type Packs = BTreeMap<u64, Arc<Pack>>;

/// A stripe of an event as it was taken, and the part that has its rows.
pub(crate) struct FoldedRows {
    event: EventId,
    stripe: usize,
    taken: Arc<EventStripe>,
    folded: Option<Arc<Part>>,
}

/// What a store snapshot came to.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    pub(crate) packs: Packs,
    pub(crate) installed: Vec<Installed>,
    pub(crate) values: Vec<(TagId, u32, Values)>,
    /// New tables, and the index that they hold.
    pub(crate) indexes: Vec<(Owner, Vec<Arc<Part>>, HashIndex)>,
    /// Stripes of events that were folded.
    pub(crate) rows: Vec<FoldedRows>,
    /// New values of properties, and how many there were.
    pub(crate) property_values: Vec<(EventId, PropertyId, u32, Values)>,
    /// Frozen audiences that lie in parts now, as they were taken and as they lie.
    frozen: Vec<(FrozenKey, Arc<Frozen>, Arc<Frozen>)>,
    /// Parts that were copied as they are, from where to where.
    moved: Vec<(PartPlace, PartPlace)>,
}

/// How a store snapshot is taken.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Threads that encode parts, besides the one that writes them; 1: the same.
    pub(crate) threads: usize,
    /// Leave nothing behind of people who were erased.
    pub(crate) purge: bool,
    /// Packs to leave entirely, besides those that are mostly unnamed.
    pub(crate) leave: BTreeSet<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { threads: 1, purge: false, leave: BTreeSet::new() }
    }
}

/// One leaf of a view as a snapshot keeps it.
enum Leaf {
    Keep(Arc<Part>),
    Write(Vec<u8>),
}

/// Maps the packs of a manifest that are not mapped yet.
///
/// # Errors
/// [`Error::Missing`], or as [`Pack::open`].
pub(crate) fn open_packs(space: &Path, manifest: &Manifest, packs: &mut Packs) -> Result<()> {
    let dir = space.join(PACKS_DIR);
    for number in manifest.packs() {
        let Entry::Vacant(slot) = packs.entry(number) else { continue };
        let file = dir.join(pack_file_name(number));
        if !file.exists() {
            let needed_by = format!("the store snapshot of data version {}", manifest.data_version);
            return Err(Error::Missing { file, needed_by });
        }
        slot.insert(Pack::open(&dir, number)?);
    }
    Ok(())
}

/// The view that a manifest describes. Touches no part but the heads of value dictionaries.
///
/// # Errors
/// [`Error::Corrupt`] where manifest and packs disagree.
pub(crate) fn open_view(space: &Path, manifest: &Manifest, packs: &mut Packs) -> Result<View> {
    open_packs(space, manifest, packs)?;
    let mut view = View::empty();
    view.set_schema(schema_from(&manifest.schema)?);
    view.data_version = manifest.data_version;
    view.next_one_id = manifest.next_one_id;
    view.profile_count = manifest.profile_count;
    view.audiences = manifest.audiences.clone();
    let mut tables: BTreeMap<Owner, Vec<Arc<Part>>> = BTreeMap::new();
    for (name, place) in &manifest.parts {
        let part = packs[&place.pack].part(*name, *place)?;
        let stray = || {
            let expected = "a field of the schema";
            Error::corrupt(&space.join(CURRENT), 0, expected, format!("field {}", name.field))
        };
        if name.kind == PartKind::Frozen {
            // Found by its row, below.
            continue;
        }
        let owner = Owner::from_number(name.field).ok_or_else(stray)?;
        match (owner, name.kind) {
            (_, PartKind::Index) => tables.entry(owner).or_default().push(part),
            (Owner::Field(id), kind) if field_exists(&view, id) => match kind {
                PartKind::Values => view.field_mut(id).values = Values::mapped(part)?,
                kind => put_part(view.field_mut(id).stripe_mut(name.stripe as usize), kind, part),
            },
            (Owner::Event(event), kind) => {
                let field = view.events.get_mut(event.0 as usize).map(Arc::make_mut).ok_or_else(stray)?;
                match kind {
                    PartKind::Rows => *field.stripe_mut(name.stripe as usize) = EventStripe::mapped(part),
                    PartKind::Values => {
                        *field.values.get_mut(name.stripe as usize).ok_or_else(stray)? = Values::mapped(part)?;
                    }
                    _ => return Err(stray()),
                }
            }
            _ => return Err(stray()),
        }
    }
    for (owner, tables) in tables {
        if let Some(index) = index_of(&mut view, owner) {
            *index = HashIndex::mapped(tables);
        }
    }
    view.frozen = Arc::new(frozen_sets(space, manifest, packs)?);
    Ok(view)
}

/// The frozen audiences of a manifest: each has a part, and no part is nobody's.
fn frozen_sets(space: &Path, manifest: &Manifest, packs: &Packs) -> Result<FrozenSets> {
    let bad = |expected: &str, found: String| Error::corrupt(&space.join(CURRENT), 0, expected, found);
    let mut sets = FrozenSets::new();
    for (key, info) in &manifest.frozen {
        let name = info.part_name();
        let place = manifest.parts.get(&name);
        let place =
            place.ok_or_else(|| bad("a part of each frozen audience", format!("none of {} {}", key.0, key.1)))?;
        sets.insert(key.clone(), Arc::new(Frozen::mapped(*info, packs[&place.pack].part(name, *place)?)));
    }
    let parts = manifest.parts.keys().filter(|name| name.kind == PartKind::Frozen).count();
    if parts != sets.len() {
        return Err(bad("a frozen audience of each part", format!("{parts} parts of {}", sets.len())));
    }
    Ok(sets)
}

/// The index of an id type, of the keys of an event, or of who was joined.
fn index_of(view: &mut View, owner: Owner) -> Option<&mut HashIndex> {
    match owner {
        Owner::Joins => Some(&mut view.joins.index),
        Owner::Field(id) if field_exists(view, id) => Some(&mut view.field_mut(id).index),
        Owner::Event(event) => view.events.get_mut(event.0 as usize).map(|field| &mut Arc::make_mut(field).keys),
        Owner::Field(_) => None,
    }
}

fn field_exists(view: &View, id: FieldId) -> bool {
    match id {
        FieldId::Live => true,
        FieldId::IdType(id_type) => (id_type.0 as usize) < view.id_types.len(),
        FieldId::Tag(tag) => (tag.0 as usize) < view.tags.len(),
    }
}

fn put_part(stripe: &mut FieldStripe, kind: PartKind, part: Arc<Part>) {
    match kind {
        PartKind::Bitmaps => stripe.bitmaps = StripeBitmaps::mapped(part),
        PartKind::Column => stripe.forward = Forward::Column(StripeColumn::mapped(part)),
        PartKind::Lists => stripe.forward = Forward::Lists(StripeLists::mapped(part)),
        PartKind::Keys => stripe.forward = Forward::Keys(StripeKeys::mapped(part)),
        PartKind::Values | PartKind::Index | PartKind::Rows | PartKind::Frozen => {}
    }
}

/// Writes what has changed since `previous` into a new pack; the manifest is given back, not yet written.
///
/// # Errors
/// [`Error::Io`], [`Error::Corrupt`] from a part that must be read.
pub(crate) fn write_parts(
    space: &Path,
    view: &View,
    previous: &Manifest,
    packs: &Packs,
    options: &Options,
) -> Result<Written> {
    let leave = packs_to_leave(view, packs, options);
    let dir = space.join(PACKS_DIR);
    create_dir(&dir)?;
    let mut out =
        Output { writer: PackWriter::create(&dir, previous.next_pack)?, parts: BTreeMap::new(), moved: Vec::new() };
    let purges_frozen = options.purge && !view.frozen.is_empty();
    let living = purges_frozen.then(|| frozen::living(view)).transpose()?;
    let purge = Purge { indexes: options.purge, living: living.as_ref() };
    encode_and_put(jobs(view), &|job| encode(view, job, purge), options.threads, &mut out, &leave)?;
    let Output { writer, parts, moved } = out;
    let mut packs = packs.clone();
    let any = parts.values().any(|place| place.pack == previous.next_pack);
    if any {
        packs.insert(previous.next_pack, writer.finish(&dir)?);
    }
    let manifest = Manifest {
        data_version: view.data_version,
        taken_at: jiff::Timestamp::now().as_second(),
        name: None,
        date: None,
        next_one_id: view.next_one_id,
        profile_count: view.profile_count,
        next_pack: previous.next_pack + u64::from(any),
        schema: schema_to(&view.schema),
        audiences: view.audiences.clone(),
        parts,
        stretches: Vec::new(),
        frozen: view.frozen.iter().map(|(key, frozen)| (key.clone(), *frozen.info())).collect(),
    };
    let mut written = Written {
        manifest,
        packs,
        installed: Vec::new(),
        values: Vec::new(),
        indexes: Vec::new(),
        rows: Vec::new(),
        property_values: Vec::new(),
        frozen: Vec::new(),
        moved,
    };
    written.find_installed(view)?;
    Ok(written)
}

struct Output {
    writer: PackWriter,
    parts: BTreeMap<PartName, PartPlace>,
    moved: Vec<(PartPlace, PartPlace)>,
}

impl Output {
    fn put(&mut self, name: PartName, leaf: Leaf, leave: &BTreeSet<u64>) -> Result<()> {
        let place = match leaf {
            Leaf::Write(bytes) => self.writer.add(name, &bytes)?,
            Leaf::Keep(part) if leave.contains(&part.place().pack) => {
                let place = self.writer.add(name, part.bytes()?)?;
                self.moved.push((part.place(), place));
                place
            }
            Leaf::Keep(part) => part.place(),
        };
        self.parts.insert(name, place);
        Ok(())
    }
}

/// What is encoded in one go.
#[derive(Debug, Clone, Copy)]
enum Job<'a> {
    Stripe(&'a Field, usize),
    Values(&'a Field),
    Index(Owner, &'a HashIndex),
    Rows(&'a EventField, usize),
    /// Values of the properties, and the table of keys.
    Dictionaries(&'a EventField),
    Frozen(&'a Frozen),
}

/// What of erased people is left out.
#[derive(Debug, Clone, Copy)]
struct Purge<'a> {
    /// Of the tables of identities.
    indexes: bool,
    /// Of frozen audiences, all but these.
    living: Option<&'a RoaringBitmap>,
}

/// All of a view, the longest first.
fn jobs(view: &View) -> Vec<Job<'_>> {
    let stripes = view.fields().flat_map(|field| (0..field.stripes.len()).map(move |at| Job::Stripe(field, at)));
    let indexes = view.id_types.iter().map(|field| Job::Index(Owner::Field(field.id), &field.index));
    let indexes = indexes.chain([Job::Index(Owner::Joins, &view.joins.index)]);
    let rows = view.events.iter().flat_map(|field| (0..field.stripes.len()).map(move |at| Job::Rows(field, at)));
    let dictionaries = view.events.iter().map(|field| Job::Dictionaries(field));
    let values = view.tags.iter().map(|field| Job::Values(field));
    let frozen = view.frozen.values().map(|frozen| Job::Frozen(frozen));
    indexes.chain(dictionaries).chain(rows).chain(stripes).chain(values).chain(frozen).collect()
}

type Leaves = Vec<(PartName, Leaf)>;

/// Encodes on some threads and puts on this one, whatever is ready first.
fn encode_and_put(
    jobs: Vec<Job<'_>>,
    encode: &(dyn Fn(Job<'_>) -> Result<Leaves> + Sync),
    threads: usize,
    out: &mut Output,
    leave: &BTreeSet<u64>,
) -> Result<()> {
    let mut put = |leaves: Leaves| leaves.into_iter().try_for_each(|(name, leaf)| out.put(name, leaf, leave));
    if threads < 2 {
        return jobs.into_iter().try_for_each(|job| put(encode(job)?));
    }
    let (sender, receiver) = bounded::<Leaves>(threads);
    let stopped = |_| Error::WritesStopped { reason: "the store snapshot was given up".into() };
    std::thread::scope(|scope| {
        let each = move |job: Job<'_>| sender.send(encode(job)?).map_err(stopped);
        let encoding = scope.spawn(move || parallel::for_each(jobs.into_iter(), threads, each));
        // Dropped when putting fails, so that nobody goes on encoding.
        let mut receiver = receiver.into_iter();
        let written = receiver.try_for_each(put);
        drop(receiver);
        let encoded = encoding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(encoded)
    })
}

fn encode(view: &View, job: Job<'_>, purge: Purge<'_>) -> Result<Leaves> {
    match job {
        Job::Stripe(field, stripe) => {
            let name = |kind| PartName { field: field.id.number(), stripe: stripe as u32, kind };
            Ok(leaves(field, stripe)?.into_iter().map(|(kind, leaf)| (name(kind), leaf)).collect())
        }
        Job::Values(field) => encode_values(Owner::Field(field.id), 0, &field.values),
        Job::Index(owner, index) => encode_index(view, owner, index, purge.indexes),
        Job::Rows(field, stripe) => encode_rows(view, field, stripe),
        Job::Dictionaries(field) => {
            let owner = Owner::Event(field.id);
            let mut leaves = encode_index(view, owner, &field.keys, purge.indexes)?;
            for (values, property) in field.values.iter().zip(0..) {
                leaves.extend(encode_values(owner, property, values)?);
            }
            Ok(leaves)
        }
        Job::Frozen(frozen) => {
            let leaf = match (frozen.encode(purge.living)?, frozen.part()) {
                (Some(bytes), _) => Some(Leaf::Write(bytes)),
                (None, part) => part.cloned().map(Leaf::Keep),
            };
            Ok(leaf.map(|leaf| (frozen.info().part_name(), leaf)).into_iter().collect())
        }
    }
}

fn encode_values(owner: Owner, number: u32, values: &Values) -> Result<Leaves> {
    let name = PartName { field: owner.number(), stripe: number, kind: PartKind::Values };
    let leaf = match values.base().filter(|_| values.is_mapped_only()) {
        Some(part) => Some(Leaf::Keep(part.clone())),
        None => values.encode()?.map(Leaf::Write),
    };
    Ok(leaf.map(|leaf| (name, leaf)).into_iter().collect())
}

fn encode_index(view: &View, owner: Owner, index: &HashIndex, purge: bool) -> Result<Leaves> {
    let living = Living::of(view)?;
    // Of who was joined, the survivor.
    let keep = |one_id: u32| if purge { living.lives_as(one_id) } else { Some(one_id) };
    let (kept, table) = index.encode(purge, keep)?;
    let tables = index.tables()[..kept].iter().cloned().map(Leaf::Keep).chain(table.map(Leaf::Write));
    let name = |at| PartName { field: owner.number(), stripe: at, kind: PartKind::Index };
    Ok((0..).zip(tables).map(|(at, leaf)| (name(at), leaf)).collect())
}

/// Folds the rows of a stripe, without those whose profile was erased or whose day is over.
fn encode_rows(view: &View, field: &EventField, number: usize) -> Result<Leaves> {
    let name = PartName { field: Owner::Event(field.id).number(), stripe: number as u32, kind: PartKind::Rows };
    let stripe = &field.stripes[number];
    let live = view.live.stripe(number).bitmaps()?.value(KNOWN);
    let event = &view.schema.events[field.id.0 as usize];
    let first_day = event.kept_from.map_or(i64::MIN, i64::from);
    let keep = |owner: u32, day: i64| day >= first_day && live.contains(owner);
    let leaf = leaf(stripe.base(), stripe.is_mapped_only(), &|| stripe.encode(&event.properties, &keep))?;
    Ok(leaf.map(|leaf| (name, leaf)).into_iter().collect())
}

fn leaves(field: &Field, stripe: usize) -> Result<Vec<(PartKind, Leaf)>> {
    let stripe = &field.stripes[stripe];
    let bitmaps = &stripe.bitmaps;
    let first = leaf(bitmaps.base(), bitmaps.is_mapped_only(), &|| bitmaps.encode())?;
    let fixed_base = field.tag_type == Some(TagType::Category);
    let second = match &stripe.forward {
        Forward::None => None,
        Forward::Column(c) => {
            leaf(c.base(), c.is_mapped_only(), &|| c.encode(fixed_base))?.map(|l| (PartKind::Column, l))
        }
        Forward::Lists(l) => leaf(l.base(), l.is_mapped_only(), &|| l.encode())?.map(|l| (PartKind::Lists, l)),
        Forward::Keys(k) => leaf(k.base(), k.is_mapped_only(), &|| k.encode())?.map(|l| (PartKind::Keys, l)),
    };
    Ok(first.map(|l| (PartKind::Bitmaps, l)).into_iter().chain(second).collect())
}

fn leaf(base: Option<&Arc<Part>>, same: bool, encode: &dyn Fn() -> Result<Option<Vec<u8>>>) -> Result<Option<Leaf>> {
    match (same, base) {
        (true, base) => Ok(base.cloned().map(Leaf::Keep)),
        (false, _) => Ok(encode()?.map(Leaf::Write)),
    }
}

/// Packs whose parts are all to be moved: mostly unnamed ones, at a purge any that hold something unnamed, and those that
/// were left before. A stripe that is written to while its parts are moved keeps the old ones, whose pack is gone by then.
fn packs_to_leave(view: &View, packs: &Packs, options: &Options) -> BTreeSet<u64> {
    let mut named: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    let mut count = |part: &Arc<Part>| {
        let entry = named.entry(part.place().pack).or_default();
        entry.0 += part.place().length;
        entry.1 += 1;
    };
    for field in view.fields() {
        for stripe in &field.stripes {
            stripe.bitmaps.base().filter(|_| stripe.bitmaps.is_mapped_only()).map(&mut count);
            let forward = match &stripe.forward {
                Forward::None => None,
                Forward::Column(c) => c.base().filter(|_| c.is_mapped_only()),
                Forward::Lists(l) => l.base().filter(|_| l.is_mapped_only()),
                Forward::Keys(k) => k.base().filter(|_| k.is_mapped_only()),
            };
            forward.map(&mut count);
        }
        field.values.base().map(&mut count);
        field.index.tables().iter().for_each(&mut count);
    }
    for field in &view.events {
        field.stripes.iter().filter(|s| s.is_mapped_only()).filter_map(|s| s.base()).for_each(&mut count);
        field.values.iter().filter_map(Values::base).for_each(&mut count);
        field.keys.tables().iter().for_each(&mut count);
    }
    view.frozen.values().filter_map(|frozen| frozen.part()).for_each(&mut count);
    view.joins.index.tables().iter().for_each(&mut count);
    let mut leave = options.leave.clone();
    for (number, (bytes, parts)) in named {
        let stays = packs
            .get(&number)
            .is_some_and(|pack| bytes * 2 >= pack.file_bytes() && !(options.purge && parts < pack.directory().len()));
        if !stays {
            leave.insert(number);
        }
    }
    leave
}

impl Written {
    /// Pairs each leaf of the view that was written or moved with its mapped form.
    fn find_installed(&mut self, view: &View) -> Result<()> {
        for field in view.fields() {
            for (at, old) in field.stripes.iter().enumerate() {
                let kinds = [PartKind::Bitmaps, PartKind::Column, PartKind::Lists, PartKind::Keys];
                let mut new = FieldStripe::empty(field.id, field.tag_type);
                let mut changed = !old.is_mapped_only();
                for kind in kinds {
                    let name = PartName { field: field.id.number(), stripe: at as u32, kind };
                    if let Some(place) = self.manifest.parts.get(&name) {
                        changed |= self.moved.iter().any(|(_, to)| to == place);
                        put_part(&mut new, kind, self.packs[&place.pack].part(name, *place)?);
                    }
                }
                if changed {
                    self.installed.push(Installed {
                        field: field.id,
                        stripe: at,
                        old: old.clone(),
                        new: Arc::new(new),
                    });
                }
            }
            self.find_installed_dictionary(field)?;
        }
        let joins = self.tables_of(Owner::Joins.number())?;
        self.indexes.push((Owner::Joins, joins, view.joins.index.clone()));
        view.events.iter().try_for_each(|field| self.find_installed_events(field))?;
        for (key, taken) in view.frozen.iter() {
            let name = taken.info().part_name();
            if let Some(place) = self.manifest.parts.get(&name)
                && taken.part().map(|part| part.place()) != Some(*place)
            {
                let part = self.packs[&place.pack].part(name, *place)?;
                self.frozen.push((key.clone(), taken.clone(), Arc::new(Frozen::mapped(*taken.info(), part))));
            }
        }
        Ok(())
    }

    fn find_installed_events(&mut self, field: &EventField) -> Result<()> {
        let number = Owner::Event(field.id).number();
        for (at, old) in field.stripes.iter().enumerate() {
            let name = PartName { field: number, stripe: at as u32, kind: PartKind::Rows };
            let place = self.manifest.parts.get(&name).copied();
            if !old.is_mapped_only() || old.base().map(|part| part.place()) != place {
                let part = place.map(|place| self.packs[&place.pack].part(name, place)).transpose()?;
                self.rows.push(FoldedRows { event: field.id, stripe: at, taken: old.clone(), folded: part });
            }
        }
        for (values, property) in field.values.iter().zip(0..) {
            if let Some(mapped) = self.newly_mapped(number, property, values)? {
                self.property_values.push((field.id, PropertyId(property), values.count(), mapped));
            }
        }
        let tables = self.tables_of(number)?;
        self.indexes.push((Owner::Event(field.id), tables, field.keys.clone()));
        Ok(())
    }

    /// Values whose part is another than the one they lie over.
    fn newly_mapped(&self, field: u32, number: u32, values: &Values) -> Result<Option<Values>> {
        let name = PartName { field, stripe: number, kind: PartKind::Values };
        match self.manifest.parts.get(&name) {
            Some(place) if values.base().map(|part| part.place()) != Some(*place) => {
                Values::mapped(self.packs[&place.pack].part(name, *place)?).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn tables_of(&self, field: u32) -> Result<Vec<Arc<Part>>> {
        let of_field = self.manifest.parts.iter().filter(|(n, _)| n.field == field && n.kind == PartKind::Index);
        of_field.map(|(n, place)| self.packs[&place.pack].part(*n, *place)).collect()
    }

    fn find_installed_dictionary(&mut self, field: &Field) -> Result<()> {
        let number = field.id.number();
        if let FieldId::Tag(tag) = field.id
            && let Some(values) = self.newly_mapped(number, 0, &field.values)?
        {
            self.values.push((tag, field.values.count(), values));
        }
        if matches!(field.id, FieldId::IdType(_)) {
            let tables = self.tables_of(number)?;
            self.indexes.push((Owner::Field(field.id), tables, field.index.clone()));
        }
        Ok(())
    }

    /// Swaps the mapped forms into a later view.
    pub(crate) fn install(&self, view: &mut View) {
        crate::apply::install(view, &self.installed);
        for (tag, count, values) in &self.values {
            let field = view.field_mut(FieldId::Tag(*tag));
            if field.values.count() == *count {
                field.values = values.clone();
            }
        }
        for rows in &self.rows {
            let field = view.events.get_mut(rows.event.0 as usize).map(Arc::make_mut);
            if let Some(stripe) = field.and_then(|field| field.stripes.get_mut(rows.stripe))
                && let Some(next) = stripe.over(&rows.taken, rows.folded.clone())
            {
                *stripe = Arc::new(next);
            }
        }
        for (event, property, count, values) in &self.property_values {
            let field = view.events.get_mut(event.0 as usize).map(Arc::make_mut);
            if let Some(current) = field.and_then(|field| field.values.get_mut(property.0 as usize))
                && current.count() == *count
            {
                *current = values.clone();
            }
        }
        for (key, taken, mapped) in &self.frozen {
            if view.frozen.get(key).is_some_and(|current| Arc::ptr_eq(current, taken)) {
                Arc::make_mut(&mut view.frozen).insert(key.clone(), mapped.clone());
            }
        }
        for (owner, tables, taken) in &self.indexes {
            if let Some(index) = index_of(view, *owner) {
                *index = index.over(tables.clone(), taken);
            }
        }
    }
}
