//! The bitmaps of one field in one stripe: for each value, a container per chunk; mapped, with changed ones owned.
//! Knows values as numbers; knows nothing of their texts or of the forward column beside it.
//!
//! ```text
//!   StripeBitmaps = base: Part (mapped)  +  owned: [(value, OwnedValue)]       owned containers hide mapped ones
//!
//!   part      = value_count:u32 container_count:u32 payload_at:u32 0:u32 value* container* pad64 payload
//!   value     = value:u32 cardinality:u32 first_container:u32 chunks:u32       ascending; `chunks` has a bit a chunk
//!   container = at:u32 (2-byte units in the payload)  count_less_1:u16 kind:u16
//!   payload   = u16*  |  64-byte aligned [u64; 1024]  |  run_count:u16 [start:u16 length_less_1:u16]*
//! ```
//! Reads: [`StripeBitmaps::open`] verifies the part once and gives a [`BitmapsView`] that borrows it.

use std::sync::Arc;

use crate::codec::{pad_to, put_u32};
use crate::container::{Bits, Container, ContainerRef, Edit, runs_if_smaller};
use crate::error::Result;
use crate::ids::{KNOWN, STRIPE_CHUNKS, ValueId};
use crate::pack::{PART_ALIGN, Part};

const KIND_ARRAY: u32 = 0;
const KIND_BITS: u32 = 1;
const KIND_RUNS: u32 = 2;
const HEADER_BYTES: usize = 16;

/// Bitmaps of one field in one stripe.
#[derive(Debug, Clone, Default)]
pub struct StripeBitmaps {
    base: Option<Arc<Part>>,
    /// Sorted by value; each has at least one owned container.
    owned: Vec<(u32, Arc<OwnedValue>)>,
}

#[derive(Debug, Clone, Default)]
struct OwnedValue {
    /// Of the whole stripe, mapped containers included.
    cardinality: u32,
    /// `None`: what the base has.
    containers: [Option<Arc<Container>>; STRIPE_CHUNKS],
}

/// The containers of one value in one stripe.
#[derive(Debug, Clone, Copy)]
pub struct ValueBitmap<'a> {
    /// One a chunk.
    pub containers: [ContainerRef<'a>; STRIPE_CHUNKS],
    /// Ids in all of them.
    pub cardinality: u32,
}

impl ValueBitmap<'_> {
    /// Nobody.
    pub const EMPTY: ValueBitmap<'static> =
        ValueBitmap { containers: [ContainerRef::Empty; STRIPE_CHUNKS], cardinality: 0 };

    /// Whether the id at that place in the stripe is in it.
    pub fn contains(&self, in_stripe: u32) -> bool {
        self.containers[(in_stripe >> 16) as usize].contains(in_stripe as u16)
    }
}

/// Verified bitmaps of one stripe, ready to read.
#[derive(Debug, Clone, Copy)]
pub struct BitmapsView<'a> {
    directory: Directory<'a>,
    owned: &'a [(u32, Arc<OwnedValue>)],
}

/// Sets or clears one id of one value: `value << 32 | in_stripe << 1 | set`, so that sorting groups them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BitmapEdit(u64);

impl BitmapEdit {
    pub(crate) fn new(value: u32, in_stripe: u32, set: bool) -> BitmapEdit {
        BitmapEdit(u64::from(value) << 32 | u64::from(in_stripe) << 1 | u64::from(set))
    }

    fn target(self) -> u64 {
        self.0 >> 1
    }

    fn value(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn in_stripe(self) -> u32 {
        self.0 as u32 >> 1
    }

    fn chunk(self) -> usize {
        (self.in_stripe() >> 16) as usize
    }

    fn edit(self) -> Edit {
        Edit { low: self.in_stripe() as u16, set: self.0 & 1 == 1 }
    }
}

impl StripeBitmaps {
    /// Bitmaps as a store snapshot has them.
    pub fn mapped(part: Arc<Part>) -> StripeBitmaps {
        StripeBitmaps { base: Some(part), owned: Vec::new() }
    }

    /// The mapped part below, if any.
    pub fn base(&self) -> Option<&Arc<Part>> {
        self.base.as_ref()
    }

    /// Whether nothing has changed since the part was written.
    pub fn is_mapped_only(&self) -> bool {
        self.owned.is_empty()
    }

    /// Bytes of owned containers.
    pub fn owned_bytes(&self) -> usize {
        let of_value = |value: &OwnedValue| {
            size_of::<OwnedValue>() + value.containers.iter().flatten().map(|c| c.heap_bytes() + 48).sum::<usize>()
        };
        self.owned.iter().map(|(_, value)| 16 + of_value(value)).sum()
    }

    /// Verifies the part (once) and gives what can be read.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn open(&self) -> Result<BitmapsView<'_>> {
        let directory = match &self.base {
            None => Directory::EMPTY,
            Some(part) => {
                let bytes = part.bytes_checked(check_part)?;
                Directory::read(bytes).unwrap_or(Directory::EMPTY)
            }
        };
        Ok(BitmapsView { directory, owned: &self.owned })
    }

    /// Applies edits in the order given: of several to one id of one value the last one stands.
    /// Copies each touched container at most once, unless nobody else holds it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn apply(&mut self, edits: Vec<BitmapEdit>) -> Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        let edits = sorted(edits);
        let base = self.base.clone();
        let below = StripeBitmaps { base, owned: Vec::new() };
        let below = below.open()?;
        let mut old = std::mem::take(&mut self.owned).into_iter().peekable();
        let mut scratch = Vec::new();
        for group in edits.chunk_by(|a, b| a.value() == b.value()) {
            let value = group[0].value();
            while let Some(entry) = old.next_if(|(v, _)| *v < value) {
                self.owned.push(entry);
            }
            let mut owned = match old.next_if(|(v, _)| *v == value) {
                Some((_, owned)) => owned,
                None => Arc::new(OwnedValue { cardinality: below.cardinality(ValueId(value)), ..Default::default() }),
            };
            Arc::make_mut(&mut owned).apply(&below.value(ValueId(value)), group, &mut scratch);
            self.owned.push((value, owned));
        }
        self.owned.extend(old);
        Ok(())
    }

    /// The part that a store snapshot keeps: every container in its smallest form; `None` when nobody is in it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn encode(&self) -> Result<Option<Vec<u8>>> {
        let view = self.open()?;
        let (mut values, mut containers, mut payload) = (Vec::new(), Vec::new(), Vec::new());
        for (value, cardinality) in view.values() {
            let bitmap = view.value(value);
            let first = containers.len() as u32 / 2;
            let mut chunks = 0u32;
            for (chunk, container) in bitmap.containers.iter().enumerate() {
                if container.cardinality() > 0 {
                    chunks |= 1 << chunk;
                    let (at, kind) = put_container(*container, &mut payload);
                    containers.extend([at, (container.cardinality() - 1) | (kind << 16)]);
                }
            }
            values.extend([value.0, cardinality, first, chunks]);
        }
        if values.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(HEADER_BYTES + values.len() * 4 + containers.len() * 4 + payload.len() + 64);
        let payload_at = (HEADER_BYTES + (values.len() + containers.len()) * 4).next_multiple_of(PART_ALIGN);
        for word in [values.len() as u32 / 4, containers.len() as u32 / 2, payload_at as u32, 0] {
            put_u32(&mut out, word);
        }
        values.into_iter().chain(containers).for_each(|word| put_u32(&mut out, word));
        pad_to(&mut out, PART_ALIGN);
        out.extend_from_slice(&payload);
        Ok(Some(out))
    }
}

/// Edits by value and id; those of one target stay in turn. They come by ascending id nearly always, so that putting
/// each into its value's place is enough.
fn sorted(mut edits: Vec<BitmapEdit>) -> Vec<BitmapEdit> {
    if edits.is_sorted_by_key(|e| e.target()) {
        return edits;
    }
    let largest = edits.iter().map(|e| e.value()).filter(|v| *v != KNOWN.0).max().unwrap_or(0) as usize;
    if largest > edits.len() {
        edits.sort_by_key(|e| e.target());
        return edits;
    }
    // Everyone's values in order, and behind them who is known.
    let place = |edit: &BitmapEdit| (edit.value() as usize).min(largest + 1);
    let mut starts = vec![0usize; largest + 3];
    edits.iter().for_each(|edit| starts[place(edit) + 1] += 1);
    (1..starts.len()).for_each(|at| starts[at] += starts[at - 1]);
    let mut placed = vec![BitmapEdit(0); edits.len()];
    for edit in edits {
        let start = &mut starts[place(&edit)];
        placed[*start] = edit;
        *start += 1;
    }
    if !placed.is_sorted_by_key(|e| e.target()) {
        placed.sort_by_key(|e| e.target());
    }
    placed
}

impl OwnedValue {
    fn apply(&mut self, below: &ValueBitmap<'_>, edits: &[BitmapEdit], scratch: &mut Vec<Edit>) {
        for group in edits.chunk_by(|a, b| a.chunk() == b.chunk()) {
            scratch.clear();
            for edit in group {
                match scratch.last_mut() {
                    Some(last) if last.low == edit.edit().low => *last = edit.edit(),
                    _ => scratch.push(edit.edit()),
                }
            }
            let chunk = group[0].chunk();
            let container =
                self.containers[chunk].get_or_insert_with(|| Arc::new(below.containers[chunk].to_container()));
            let before = container.as_ref().as_ref().cardinality();
            Arc::make_mut(container).apply(scratch);
            self.cardinality = self.cardinality - before + container.as_ref().as_ref().cardinality();
        }
    }
}

fn put_container(container: ContainerRef<'_>, payload: &mut Vec<u8>) -> (u32, u32) {
    let put_words = |payload: &mut Vec<u8>, words: &[u16]| {
        let at = payload.len() as u32 / 2;
        payload.extend(words.iter().flat_map(|w| w.to_le_bytes()));
        at
    };
    if let Some(runs) = runs_if_smaller(container) {
        let at = put_words(payload, &[runs.len() as u16]);
        put_words(payload, runs.as_flattened());
        return (at, KIND_RUNS);
    }
    match container {
        ContainerRef::Bits(bits, _) => {
            pad_to(payload, PART_ALIGN);
            let at = payload.len() as u32 / 2;
            payload.extend(bits.iter().flat_map(|w| w.to_le_bytes()));
            (at, KIND_BITS)
        }
        ContainerRef::Array(ids) => (put_words(payload, ids), KIND_ARRAY),
        ContainerRef::Empty | ContainerRef::Runs(..) => unreachable!("empty ones are skipped, runs stay runs"),
    }
}

impl<'a> BitmapsView<'a> {
    /// Bitmaps that lie in some bytes as a part does; `None` where those are none.
    pub(crate) fn over(bytes: &'a [u8]) -> Option<BitmapsView<'a>> {
        Some(BitmapsView { directory: Directory::read(bytes)?, owned: &[] })
    }

    /// Containers of a value; all empty if nobody has it.
    pub fn value(&self, value: ValueId) -> ValueBitmap<'a> {
        let mut bitmap = self.directory.value(value);
        if let Ok(at) = self.owned.binary_search_by_key(&value.0, |(v, _)| *v) {
            let owned: &'a OwnedValue = &self.owned[at].1;
            bitmap.cardinality = owned.cardinality;
            for (slot, container) in bitmap.containers.iter_mut().zip(&owned.containers) {
                if let Some(container) = container {
                    *slot = container.as_ref().as_ref();
                }
            }
        }
        bitmap
    }

    /// How many ids of the stripe have a value; from the directory alone.
    pub fn cardinality(&self, value: ValueId) -> u32 {
        match self.owned.binary_search_by_key(&value.0, |(v, _)| *v) {
            Ok(at) => self.owned[at].1.cardinality,
            Err(_) => self.directory.find(value).map_or(0, |at| self.directory.values[at][1]),
        }
    }

    /// The values that anyone in the stripe has, ascending, with how many.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, u32)> + use<'a> {
        let mut mapped = self.directory.values.iter().map(|v| (v[0], v[1])).peekable();
        let mut owned = self.owned.iter().map(|(v, o)| (*v, o.cardinality)).peekable();
        std::iter::from_fn(move || match (mapped.peek().copied(), owned.peek().copied()) {
            (Some(m), Some(o)) if m.0 < o.0 => mapped.next(),
            (Some(m), Some(o)) => {
                if m.0 == o.0 {
                    mapped.next();
                }
                owned.next()
            }
            (Some(_), None) => mapped.next(),
            (None, _) => owned.next(),
        })
        .filter(|(_, cardinality)| *cardinality > 0)
        .map(|(value, cardinality)| (ValueId(value), cardinality))
    }

    /// Checks what is too slow to check at first touch: every container's order and stored cardinality.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn verify_deep(&self) -> Result<(), String> {
        for (value, cardinality) in self.values() {
            let bitmap = self.value(value);
            let mut total = 0;
            for (chunk, container) in bitmap.containers.iter().enumerate() {
                let found =
                    counted(*container).ok_or_else(|| format!("value {}, chunk {chunk}: out of order", value.0))?;
                if found != container.cardinality() {
                    return Err(format!(
                        "value {}, chunk {chunk}: {found} ids, not {}",
                        value.0,
                        container.cardinality()
                    ));
                }
                total += found;
            }
            if total != cardinality {
                return Err(format!("value {}: {total} ids, not {cardinality}", value.0));
            }
        }
        Ok(())
    }
}

fn counted(container: ContainerRef<'_>) -> Option<u32> {
    match container {
        ContainerRef::Empty => Some(0),
        ContainerRef::Array(ids) => ids.is_sorted_by(|a, b| a < b).then_some(ids.len() as u32),
        ContainerRef::Bits(bits, _) => Some(crate::container::count_bits(bits)),
        ContainerRef::Runs(runs, _) => {
            let end = |run: &[u16; 2]| u32::from(run[0]) + u32::from(run[1]);
            let apart = runs.windows(2).all(|w| end(&w[0]) + 1 < u32::from(w[1][0]));
            let inside = runs.iter().all(|run| end(run) <= u32::from(u16::MAX));
            (apart && inside).then(|| runs.iter().map(|run| u32::from(run[1]) + 1).sum())
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Directory<'a> {
    values: &'a [[u32; 4]],
    containers: &'a [[u32; 2]],
    payload: &'a [u8],
}

impl<'a> Directory<'a> {
    const EMPTY: Directory<'static> = Directory { values: &[], containers: &[], payload: &[] };

    fn read(bytes: &'a [u8]) -> Option<Directory<'a>> {
        let header: &[u32] = bytemuck::try_cast_slice(bytes.get(..HEADER_BYTES)?).ok()?;
        let (value_count, container_count, payload_at) = (header[0] as usize, header[1] as usize, header[2] as usize);
        let values_end = HEADER_BYTES.checked_add(value_count.checked_mul(16)?)?;
        let containers_end = values_end.checked_add(container_count.checked_mul(8)?)?;
        if payload_at != containers_end.next_multiple_of(PART_ALIGN) {
            return None;
        }
        Some(Directory {
            values: bytemuck::try_cast_slice(bytes.get(HEADER_BYTES..values_end)?).ok()?,
            containers: bytemuck::try_cast_slice(bytes.get(values_end..containers_end)?).ok()?,
            payload: bytes.get(payload_at..)?,
        })
    }

    fn find(&self, value: ValueId) -> Option<usize> {
        match self.values.get(value.0 as usize) {
            Some(entry) if entry[0] == value.0 => Some(value.0 as usize),
            _ => self.values.binary_search_by_key(&value.0, |v| v[0]).ok(),
        }
    }

    fn value(&self, value: ValueId) -> ValueBitmap<'a> {
        let mut bitmap = ValueBitmap::EMPTY;
        let Some(at) = self.find(value) else { return bitmap };
        let [_, cardinality, first, chunks] = self.values[at];
        bitmap.cardinality = cardinality;
        let mut next = first as usize;
        for (chunk, slot) in bitmap.containers.iter_mut().enumerate() {
            if chunks >> chunk & 1 == 1 {
                *slot = self.container(next).unwrap_or(ContainerRef::Empty);
                next += 1;
            }
        }
        bitmap
    }

    fn container(&self, at: usize) -> Option<ContainerRef<'a>> {
        let [at, count_and_kind] = *self.containers.get(at)?;
        let (cardinality, kind) = ((count_and_kind & 0xFFFF) + 1, count_and_kind >> 16);
        let rest = self.payload.get(at as usize * 2..)?;
        match kind {
            KIND_ARRAY => {
                Some(ContainerRef::Array(bytemuck::try_cast_slice(rest.get(..cardinality as usize * 2)?).ok()?))
            }
            KIND_BITS => {
                let words: &[u64] = bytemuck::try_cast_slice(rest.get(..size_of::<Bits>())?).ok()?;
                Some(ContainerRef::Bits(words.try_into().ok()?, cardinality))
            }
            KIND_RUNS => {
                let count = usize::from(u16::from_le_bytes(rest.get(..2)?.try_into().ok()?));
                let runs = bytemuck::try_cast_slice(rest.get(2..2 + count * 4)?).ok()?;
                Some(ContainerRef::Runs(runs, cardinality))
            }
            _ => None,
        }
    }
}

pub(crate) fn check_part(bytes: &[u8]) -> Result<(), String> {
    let directory = Directory::read(bytes).ok_or("a directory that does not fit")?;
    if !directory.values.is_sorted_by(|a, b| a[0] < b[0]) {
        return Err("values out of order".into());
    }
    let mut next = 0;
    for [value, _, first, chunks] in directory.values {
        if *first != next || *chunks >> STRIPE_CHUNKS != 0 {
            return Err(format!("value {value} with containers that are not its own"));
        }
        next += chunks.count_ones();
    }
    if next as usize != directory.containers.len() {
        return Err(format!("{} containers for {next} named ones", directory.containers.len()));
    }
    match (0..directory.containers.len()).find(|at| directory.container(*at).is_none()) {
        Some(at) => Err(format!("container {at} outside of the part")),
        None => Ok(()),
    }
}
