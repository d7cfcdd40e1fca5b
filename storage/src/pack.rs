//! Packs: immutable files of checksummed parts, written once at a store snapshot and mapped ever after.
//! Knows parts as bytes with a name; knows nothing of what is inside one.
//!
//! ```text
//!   file   = header(64) part* directory footer(40)               integers little-endian, parts 64-byte aligned
//!   header = "HCPACK\0\0" format:u32 0:u32 number:u64 0[32] crc:u64
//!   dir    = count:u64, then per part: field:u32 stripe:u32 kind:u32 0:u32 offset:u64 length:u64 checksum:u64
//!   footer = dir_offset:u64 dir_length:u64 dir_checksum:u64 "HCPACKEN" footer_checksum:u64
//! ```
//! Checksums are XXH3-64 seeded with the pack's number and the offset, so that a stale or swapped block shows.
//! A part is verified when it is first touched, and that is remembered: opening costs nothing, and no byte is used
//! before it was checked. Padding between parts is zero and covered by `verify`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::{Reader, put_u32, put_u64};
use crate::error::{Error, Result};
use crate::files;
use crate::mapping::map_file;

/// Format of packs that this build writes; it reads this one and all before it.
pub const PACK_FORMAT: u32 = 5;
const MAGIC: &[u8; 8] = b"HCPACK\0\0";
const END_MAGIC: &[u8; 8] = b"HCPACKEN";
const HEADER_BYTES: usize = 64;
const FOOTER_BYTES: usize = 40;
const ENTRY_BYTES: usize = 40;
/// Alignment of parts within a pack.
pub const PART_ALIGN: usize = 64;

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u32)]
pub enum PartKind {
    /// Bitmaps of all values of a field in one stripe.
    Bitmaps = 1,
    /// Forward column of codes in one stripe.
    Column = 2,
    /// Forward lists of a set in one stripe.
    Lists = 3,
    /// Identities of one type in one stripe.
    Keys = 4,
    /// Values of a tag, by code, and the table that finds them.
    Values = 5,
    /// Hash table from identities (or keys of events) to OneIDs.
    Index = 6,
    /// Rows of an event in one stripe.
    Rows = 7,
    /// Members of a frozen audience.
    Frozen = 8,
}

impl PartKind {
    fn from_u32(kind: u32) -> Option<PartKind> {
        use PartKind::{Bitmaps, Column, Frozen, Index, Keys, Lists, Rows, Values};
        [Bitmaps, Column, Lists, Keys, Values, Index, Rows, Frozen].into_iter().find(|k| *k as u32 == kind)
    }
}

/// Which part of the store: field, stripe and kind. The field numbering is the manifest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartName {
    /// Number of the field.
    pub field: u32,
    /// Stripe, or table number of an index.
    pub stripe: u32,
    /// What it holds.
    pub kind: PartKind,
}

/// Where a part lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPlace {
    /// Number of the pack.
    pub pack: u64,
    /// Offset in the pack, in bytes.
    pub offset: u64,
    /// Length in bytes, without padding.
    pub length: u64,
    /// XXH3-64 of the bytes, seeded with pack and offset.
    pub checksum: u64,
}

/// One mapped pack.
#[derive(Debug)]
pub struct Pack {
    path: PathBuf,
    number: u64,
    map: Mmap,
    directory: Vec<(PartName, PartPlace)>,
}

/// One part of a mapped pack; its bytes are handed out only once they have been verified.
#[derive(Debug)]
pub struct Part {
    pack: Arc<Pack>,
    place: PartPlace,
    verified: OnceLock<Result<()>>,
}

/// File name of a pack.
pub fn pack_file_name(number: u64) -> String {
    format!("{number:016x}.pack")
}

fn seed(pack: u64, offset: u64) -> u64 {
    pack.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ offset
}

fn checksum(pack: u64, offset: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, seed(pack, offset))
}

impl Pack {
    /// Maps a pack and checks header, footer and directory; touches no part.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`], [`Error::Newer`].
    pub fn open(dir: &Path, number: u64) -> Result<Arc<Pack>> {
        let path = dir.join(pack_file_name(number));
        let map = map_file(&path)?;
        let bad = |offset: usize, expected: &str, found: &str| Error::corrupt(&path, offset as u64, expected, found);
        if map.len() < HEADER_BYTES + FOOTER_BYTES {
            return Err(bad(0, "a pack's header and footer", &format!("{} bytes", map.len())));
        }
        let header = &map[..HEADER_BYTES];
        if &header[..8] != MAGIC {
            return Err(bad(0, "the mark of a pack", "other bytes"));
        }
        let mut reader = Reader::new(&header[8..]);
        let (format, _, found_number) = (reader.u32(), reader.u32(), reader.u64());
        if u64::from_le_bytes(header[56..].try_into().unwrap_or_default()) != checksum(0, 0, &header[..56]) {
            return Err(bad(56, "the header's checksum", "another"));
        }
        match format {
            Some(f) if f > PACK_FORMAT => {
                return Err(Error::Newer { file: path.clone(), found: f, known: PACK_FORMAT });
            }
            _ => {}
        }
        if found_number != Some(number) {
            return Err(bad(16, &format!("pack number {number}"), &format!("{found_number:?}")));
        }
        let directory = read_directory(&path, &map, number)?;
        Ok(Arc::new(Pack { path, number, map, directory }))
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Size of the file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Every part it holds.
    pub fn directory(&self) -> &[(PartName, PartPlace)] {
        &self.directory
    }

    /// The part at a place that a manifest names; the place must be the directory's own.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where manifest and pack disagree.
    pub fn part(self: &Arc<Self>, name: PartName, place: PartPlace) -> Result<Arc<Part>> {
        let key = (name, place.offset);
        let listed =
            self.directory.binary_search_by_key(&key, |(n, p)| (*n, p.offset)).ok().map(|at| self.directory[at].1);
        if listed != Some(place) {
            return Err(Error::corrupt(
                &self.path,
                place.offset,
                format!("{name:?} at {place:?}"),
                format!("{listed:?}"),
            ));
        }
        Ok(Arc::new(Part { pack: self.clone(), place, verified: OnceLock::new() }))
    }

    /// Checks every part and that all bytes between them are zero. Reads the whole file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first byte range that is wrong.
    pub fn verify(&self) -> Result<()> {
        let mut places: Vec<PartPlace> = self.directory.iter().map(|(_, place)| *place).collect();
        places.sort_by_key(|p| p.offset);
        let mut at = HEADER_BYTES as u64;
        let directory_at = self.map.len() - FOOTER_BYTES - 8 - ENTRY_BYTES * self.directory.len();
        for place in &places {
            check_part(&self.path, &self.map, self.number, *place)?;
            self.verify_padding(at, place.offset)?;
            at = place.offset + place.length;
        }
        self.verify_padding(at, directory_at as u64)
    }

    fn verify_padding(&self, from: u64, to: u64) -> Result<()> {
        let gap = self.map.get(from as usize..to as usize);
        match gap {
            Some(gap) if gap.len() < PART_ALIGN && gap.iter().all(|b| *b == 0) => Ok(()),
            _ => Err(Error::corrupt(&self.path, from, "zeros up to the next part", "other bytes")),
        }
    }
}

fn read_directory(path: &Path, map: &[u8], number: u64) -> Result<Vec<(PartName, PartPlace)>> {
    let bad = |offset: usize, expected: &str| Error::corrupt(path, offset as u64, expected, "other bytes");
    let footer_at = map.len() - FOOTER_BYTES;
    let footer = &map[footer_at..];
    let mut reader = Reader::new(footer);
    let (at, length, sum) = (reader.u64(), reader.u64(), reader.u64());
    let (Some(at), Some(length), Some(sum)) = (at, length, sum) else { return Err(bad(footer_at, "a footer")) };
    if &footer[24..32] != END_MAGIC
        || u64::from_le_bytes(footer[32..].try_into().unwrap_or_default())
            != checksum(number, footer_at as u64, &footer[..32])
    {
        return Err(bad(footer_at, "a whole pack's footer"));
    }
    let end = at.checked_add(length).filter(|end| *end == footer_at as u64 && at >= HEADER_BYTES as u64);
    if end.is_none() || checksum(number, at, &map[at as usize..footer_at]) != sum {
        return Err(bad(at.min(footer_at as u64) as usize, "the directory's checksum"));
    }
    let mut reader = Reader::new(&map[at as usize..footer_at]);
    let count = reader.u64().unwrap_or(0);
    if length != 8 + count.saturating_mul(ENTRY_BYTES as u64) {
        return Err(bad(at as usize, "a directory of the length it claims"));
    }
    let mut entries = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let entry = read_entry(&mut reader, number).ok_or_else(|| bad(at as usize, "a directory entry"))?;
        if entry.1.offset.checked_add(entry.1.length).is_none_or(|end| end > at) {
            return Err(bad(at as usize, "parts that end before the directory"));
        }
        entries.push(entry);
    }
    if !entries.is_sorted_by(|a, b| (a.0, a.1.offset) < (b.0, b.1.offset)) {
        return Err(bad(at as usize, "directory entries in order"));
    }
    Ok(entries)
}

fn read_entry(reader: &mut Reader<'_>, pack: u64) -> Option<(PartName, PartPlace)> {
    let (field, stripe, kind, _) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let place = PartPlace { pack, offset: reader.u64()?, length: reader.u64()?, checksum: reader.u64()? };
    Some((PartName { field, stripe, kind: PartKind::from_u32(kind)? }, place))
}

fn check_part(path: &Path, map: &[u8], pack: u64, place: PartPlace) -> Result<()> {
    let bytes = &map[place.offset as usize..(place.offset + place.length) as usize];
    let found = checksum(pack, place.offset, bytes);
    if found == place.checksum {
        return Ok(());
    }
    Err(Error::corrupt(
        path,
        place.offset,
        format!("checksum {:016x} over {} bytes", place.checksum, place.length),
        format!("{found:016x}"),
    ))
}

impl Part {
    /// The verified bytes. The first call reads all of them once (about 10 GB/s); `check` looks at their structure.
    ///
    /// # Errors
    /// [`Error::Corrupt`], now and at every later call.
    pub fn bytes_checked(&self, check: impl FnOnce(&[u8]) -> Result<(), String>) -> Result<&[u8]> {
        let bytes = self.unverified();
        let verdict = self.verified.get_or_init(|| {
            check_part(&self.pack.path, &self.pack.map, self.pack.number, self.place)?;
            check(bytes)
                .map_err(|found| Error::corrupt(&self.pack.path, self.place.offset, "a well-formed part", found))
        });
        verdict.clone().map(|()| bytes)
    }

    /// The verified bytes, where there is no structure to check.
    ///
    /// # Errors
    /// [`Error::Corrupt`], now and at every later call.
    pub fn bytes(&self) -> Result<&[u8]> {
        self.bytes_checked(|_| Ok(()))
    }

    /// Where it lies.
    pub fn place(&self) -> PartPlace {
        self.place
    }

    /// The pack it lies in.
    pub fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    fn unverified(&self) -> &[u8] {
        &self.pack.map[self.place.offset as usize..(self.place.offset + self.place.length) as usize]
    }
}

/// Writes one pack: parts as they come, then directory and footer.
pub struct PackWriter {
    file: files::Pending,
    number: u64,
    at: u64,
    directory: Vec<(PartName, PartPlace)>,
}

impl PackWriter {
    /// Starts pack `number` in `dir`, under a temporary name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(dir: &Path, number: u64) -> Result<PackWriter> {
        let mut file = files::Pending::create(dir, &pack_file_name(number))?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        put_u32(&mut header, PACK_FORMAT);
        put_u32(&mut header, 0);
        put_u64(&mut header, number);
        header.resize(56, 0);
        let sum = checksum(0, 0, &header);
        put_u64(&mut header, sum);
        file.write(&header)?;
        Ok(PackWriter { file, number, at: HEADER_BYTES as u64, directory: Vec::new() })
    }

    /// Appends a part.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, name: PartName, bytes: &[u8]) -> Result<PartPlace> {
        self.pad()?;
        let place = PartPlace {
            pack: self.number,
            offset: self.at,
            length: bytes.len() as u64,
            checksum: checksum(self.number, self.at, bytes),
        };
        self.file.write(bytes)?;
        self.at += place.length;
        self.directory.push((name, place));
        Ok(place)
    }

    /// Bytes written so far.
    pub fn written_bytes(&self) -> u64 {
        self.at
    }

    /// Writes directory and footer, makes the file durable, gives it its name and maps it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self, dir: &Path) -> Result<Arc<Pack>> {
        self.pad()?;
        self.directory.sort_by_key(|(name, place)| (*name, place.offset));
        let mut end = Vec::new();
        put_u64(&mut end, self.directory.len() as u64);
        for (name, place) in &self.directory {
            for word in [name.field, name.stripe, name.kind as u32, 0] {
                put_u32(&mut end, word);
            }
            for word in [place.offset, place.length, place.checksum] {
                put_u64(&mut end, word);
            }
        }
        let (length, sum) = (end.len() as u64, checksum(self.number, self.at, &end));
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        for word in [self.at, length, sum] {
            put_u64(&mut footer, word);
        }
        footer.extend_from_slice(END_MAGIC);
        let footer_sum = checksum(self.number, self.at + length, &footer);
        put_u64(&mut footer, footer_sum);
        end.extend_from_slice(&footer);
        self.file.write(&end)?;
        self.file.commit()?;
        Pack::open(dir, self.number)
    }

    fn pad(&mut self) -> Result<()> {
        let rest = self.at as usize % PART_ALIGN;
        if rest > 0 {
            let zeros = [0; PART_ALIGN];
            self.file.write(&zeros[rest..])?;
            self.at += (PART_ALIGN - rest) as u64;
        }
        Ok(())
    }
}

impl files::Pending {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.path().to_path_buf();
        self.write_all(bytes).map_err(|e| Error::io("writing", &path, &e))
    }
}
