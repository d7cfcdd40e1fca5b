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

use crate::apply::{Installed, schema_from, schema_to};
use crate::bitmaps::StripeBitmaps;
use crate::column::StripeColumn;
use crate::error::{Error, Result};
use crate::field::{Field, FieldId, FieldStripe, Forward};
use crate::files::create_dir;
use crate::ids::KNOWN;
use crate::index::HashIndex;
use crate::keys::StripeKeys;
use crate::lists::StripeLists;
use crate::manifest::{CURRENT, Manifest};
use crate::pack::{Pack, PackWriter, Part, PartKind, PartName, PartPlace, pack_file_name};
use crate::parallel;
use crate::schema::{TagId, TagType};
use crate::values::Values;
use crate::view::View;

/// Directory of packs within a space.
pub(crate) const PACKS_DIR: &str = "packs";

/// Packs that are mapped, by number.
pub(crate) type Packs = BTreeMap<u64, Arc<Pack>>;

/// What a store snapshot came to.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    pub(crate) packs: Packs,
    pub(crate) installed: Vec<Installed>,
    pub(crate) values: Vec<(TagId, u32, Values)>,
    /// New tables, and the index that they hold.
    pub(crate) indexes: Vec<(FieldId, Vec<Arc<Part>>, HashIndex)>,
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
    let mut tables: BTreeMap<FieldId, Vec<Arc<Part>>> = BTreeMap::new();
    for (name, place) in &manifest.parts {
        let part = packs[&place.pack].part(*name, *place)?;
        let id = FieldId::from_number(name.field).filter(|id| field_exists(&view, *id));
        let Some(id) = id else {
            let expected = "a field of the schema";
            return Err(Error::corrupt(&space.join(CURRENT), 0, expected, format!("field {}", name.field)));
        };
        let field = view.field_mut(id);
        match name.kind {
            PartKind::Values => field.values = Values::mapped(part)?,
            PartKind::Index => tables.entry(id).or_default().push(part),
            kind => put_part(field.stripe_mut(name.stripe as usize), kind, part),
        }
    }
    for (id, tables) in tables {
        view.field_mut(id).index = HashIndex::mapped(tables);
    }
    Ok(view)
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
        PartKind::Values | PartKind::Index => {}
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
    encode_and_put(jobs(view), &|job| encode(view, job, options.purge), options.threads, &mut out, &leave)?;
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
        parts,
        stretches: Vec::new(),
    };
    let mut written =
        Written { manifest, packs, installed: Vec::new(), values: Vec::new(), indexes: Vec::new(), moved };
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
    Index(&'a Field),
}

/// All of a view, the longest first.
fn jobs(view: &View) -> Vec<Job<'_>> {
    let stripes = view.fields().flat_map(|field| (0..field.stripes.len()).map(move |at| Job::Stripe(field, at)));
    let indexes = view.id_types.iter().map(|field| Job::Index(field));
    indexes.chain(stripes).chain(view.tags.iter().map(|field| Job::Values(field))).collect()
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

fn encode(view: &View, job: Job<'_>, purge: bool) -> Result<Leaves> {
    match job {
        Job::Stripe(field, stripe) => {
            let name = |kind| PartName { field: field.id.number(), stripe: stripe as u32, kind };
            Ok(leaves(field, stripe)?.into_iter().map(|(kind, leaf)| (name(kind), leaf)).collect())
        }
        Job::Values(field) => encode_values(field),
        Job::Index(field) => encode_index(view, field, purge),
    }
}

fn encode_values(field: &Field) -> Result<Leaves> {
    let name = PartName { field: field.id.number(), stripe: 0, kind: PartKind::Values };
    let leaf = match field.values.base().filter(|_| field.values.is_mapped_only()) {
        Some(part) => Some(Leaf::Keep(part.clone())),
        None => field.values.encode()?.map(Leaf::Write),
    };
    Ok(leaf.map(|leaf| (name, leaf)).into_iter().collect())
}

fn encode_index(view: &View, field: &Field, purge: bool) -> Result<Leaves> {
    let live = view.live.stripes.iter().map(|s| Ok(s.bitmaps()?.value(KNOWN))).collect::<Result<Vec<_>>>()?;
    let keep = |one_id: u32| {
        let stripe = live.get(crate::ids::stripe_of(one_id));
        !purge || stripe.is_some_and(|live| live.contains(crate::ids::in_stripe(one_id)))
    };
    let (kept, table) = field.index.encode(purge, keep)?;
    let tables = field.index.tables()[..kept].iter().cloned().map(Leaf::Keep).chain(table.map(Leaf::Write));
    let name = |at| PartName { field: field.id.number(), stripe: at, kind: PartKind::Index };
    Ok((0..).zip(tables).map(|(at, leaf)| (name(at), leaf)).collect())
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

/// Packs whose parts are all to be moved: mostly unnamed ones, and at a purge any that hold something unnamed.
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
    let mut leave = options.leave.clone();
    for (number, (bytes, parts)) in named {
        if let Some(pack) = packs.get(&number)
            && (bytes * 2 < pack.file_bytes() || (options.purge && parts < pack.directory().len()))
        {
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
        Ok(())
    }

    fn find_installed_dictionary(&mut self, field: &Field) -> Result<()> {
        let number = field.id.number();
        if let FieldId::Tag(tag) = field.id {
            let name = PartName { field: number, stripe: 0, kind: PartKind::Values };
            if let Some(place) = self.manifest.parts.get(&name)
                && field.values.base().map(|p| p.place()) != Some(*place)
            {
                let values = Values::mapped(self.packs[&place.pack].part(name, *place)?)?;
                self.values.push((tag, field.values.count(), values));
            }
        }
        if matches!(field.id, FieldId::IdType(_)) {
            let of_field = self.manifest.parts.iter().filter(|(n, _)| n.field == number && n.kind == PartKind::Index);
            let tables: Result<Vec<Arc<Part>>> =
                of_field.map(|(n, place)| self.packs[&place.pack].part(*n, *place)).collect();
            self.indexes.push((field.id, tables?, field.index.clone()));
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
        for (id, tables, taken) in &self.indexes {
            let field = view.field_mut(*id);
            field.index = field.index.over(tables.clone(), taken);
        }
    }
}
