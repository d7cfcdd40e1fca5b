//! Manifests: which parts make up a store snapshot, and where they lie.
//! Knows places and names; knows nothing of what a part holds.
//!
//! ```text
//!   file  = "headcount manifest <format> <checksum>\n" json           checksum: XXH3-64 of the JSON, 16 hex digits
//!   json  = {data_version, taken_at, name?, date?, next_one_id, profile_count, next_pack, schema, parts, stretches?}
//!   parts = [[field, "kind", stripe, pack, offset, length, "checksum"]…]
//!   stretches = [[after, upto, length, "checksum"]…]      of a kept one, format 2: what came after its parts
//!   frozen = [[audience, date, number, count, version, data_version, frozen_at]…]     of the current one, format 3
//! ```
//! `manifest` is the current one; `snapshots/` holds the kept ones: `<name>.manifest`, `@<date>.manifest`, and the
//! `@tail.manifest` that later ones go on from. Each appears by rename, so it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::files::{Pending, list_dir};
use crate::frozen::{FrozenInfo, FrozenKey};
use crate::pack::{PartKind, PartName, PartPlace};
use crate::stretch::Stretch;

/// Format of manifests that this build writes; it reads this one and all before it.
pub const MANIFEST_FORMAT: u32 = 3;
/// The current manifest's file name.
pub(crate) const CURRENT: &str = "manifest";
/// Directory of the kept ones.
pub(crate) const KEPT_DIR: &str = "snapshots";
const KEPT_SUFFIX: &str = ".manifest";
/// The kept one that nobody asked for: where the next ones go on from.
const TAIL: &str = "@tail.manifest";
const MARK: &str = "headcount manifest";

/// One store snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Data version that its parts hold.
    pub data_version: u64,
    /// When it was taken: seconds since 1970-01-01T00:00:00Z.
    pub taken_at: i64,
    /// Its name, if it is kept under one.
    pub name: Option<String>,
    /// The day at whose end it was like this, if it is kept under one.
    pub date: Option<Date>,
    /// Next OneID to give out, by its parts.
    pub next_one_id: u32,
    /// Live profiles of its parts.
    pub profile_count: u32,
    /// Number of the next pack to write.
    pub next_pack: u64,
    /// The schema, as stored.
    pub schema: String,
    /// Saved audiences by name.
    pub audiences: Arc<BTreeMap<String, Arc<str>>>,
    /// Every part.
    pub parts: BTreeMap<PartName, PartPlace>,
    /// Of a kept one: what came after its parts, in order.
    pub stretches: Vec<Stretch>,
    /// Of the current one: frozen audiences, each of which has a part.
    pub frozen: BTreeMap<FrozenKey, FrozenInfo>,
}

#[derive(Serialize, Deserialize)]
struct ManifestJson {
    data_version: u64,
    taken_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    next_one_id: u32,
    profile_count: u32,
    next_pack: u64,
    schema: serde_json::Value,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    audiences: BTreeMap<String, String>,
    parts: Vec<(u32, PartKind, u32, u64, u64, u64, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stretches: Vec<(u64, u64, u64, String, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frozen: Vec<FrozenRow>,
}

impl Manifest {
    /// A space with nobody in it.
    pub(crate) fn empty(schema: String) -> Manifest {
        Manifest {
            data_version: 0,
            taken_at: 0,
            name: None,
            date: None,
            next_one_id: 0,
            profile_count: 0,
            next_pack: 1,
            schema,
            audiences: Arc::default(),
            parts: BTreeMap::new(),
            stretches: Vec::new(),
            frozen: BTreeMap::new(),
        }
    }

    /// Data version of the state: that of its parts, or where the last stretch after them ends.
    pub fn upto(&self) -> u64 {
        self.stretches.last().map_or(self.data_version, |stretch| stretch.upto)
    }

    /// Live profiles of the state.
    pub fn profiles_then(&self) -> u32 {
        self.stretches.last().map_or(self.profile_count, |stretch| stretch.profile_count)
    }

    /// Bytes of its parts.
    pub fn part_bytes(&self) -> u64 {
        self.parts.values().map(|part| part.length).sum()
    }

    /// Bytes of its stretches.
    pub fn stretch_bytes(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.length).sum()
    }

    /// Whether it is the one that nobody asked for.
    pub(crate) fn is_tail(&self) -> bool {
        self.name.is_none() && self.date.is_none()
    }

    /// File name of a kept one.
    pub(crate) fn kept_file_name(&self) -> String {
        match (&self.name, self.date) {
            (Some(name), _) => kept_file_name(name),
            (None, Some(date)) => format!("@{date}{KEPT_SUFFIX}"),
            (None, None) => TAIL.into(),
        }
    }

    /// Packs that it needs.
    pub(crate) fn packs(&self) -> BTreeSet<u64> {
        self.parts.values().map(|place| place.pack).collect()
    }

    /// Writes it under `path`, whole and durable.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn write(&self, dir: &Path, name: &str) -> Result<()> {
        let part = |(name, place): (&PartName, &PartPlace)| {
            let sum = format!("{:016x}", place.checksum);
            (name.field, name.kind, name.stripe, place.pack, place.offset, place.length, sum)
        };
        let json = ManifestJson {
            data_version: self.data_version,
            taken_at: self.taken_at,
            name: self.name.clone(),
            date: self.date.map(|date| date.to_string()),
            next_one_id: self.next_one_id,
            profile_count: self.profile_count,
            next_pack: self.next_pack,
            schema: serde_json::from_str(&self.schema).unwrap_or_default(),
            audiences: self.audiences.iter().map(|(name, text)| (name.clone(), text.to_string())).collect(),
            parts: self.parts.iter().map(part).collect(),
            stretches: self.stretches.iter().map(Stretch::to_row).collect(),
            frozen: self.frozen.iter().map(frozen_row).collect(),
        };
        let json = serde_json::to_string(&json).unwrap_or_default();
        let mut file = Pending::create(dir, name)?;
        writeln!(file, "{MARK} {MANIFEST_FORMAT} {:016x}", xxh3_64(json.as_bytes()))
            .and_then(|()| file.write_all(json.as_bytes()))
            .map_err(|e| Error::io("writing", file.path(), &e))?;
        file.commit()
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`], [`Error::Newer`].
    pub(crate) fn read(path: &Path) -> Result<Manifest> {
        let text = std::fs::read(path).map_err(|e| Error::io("reading", path, &e))?;
        let bad = |offset: usize, expected: &str, found: &str| Error::corrupt(path, offset as u64, expected, found);
        let end = text.iter().position(|b| *b == b'\n').ok_or_else(|| bad(0, "a manifest's first line", "none"))?;
        let head = std::str::from_utf8(&text[..end]).unwrap_or("");
        let mut words = head.strip_prefix(MARK).unwrap_or("").split(' ').skip(1);
        let (format, sum) = (words.next().and_then(|f| f.parse::<u32>().ok()), words.next());
        let (Some(format), Some(sum), None) = (format, sum, words.next()) else {
            return Err(bad(0, "a manifest's first line", head));
        };
        if format > MANIFEST_FORMAT {
            return Err(Error::Newer { file: path.into(), found: format, known: MANIFEST_FORMAT });
        }
        let body = &text[end + 1..];
        let found = format!("{:016x}", xxh3_64(body));
        if found != sum {
            return Err(bad(end + 1, &format!("checksum {sum}"), &found));
        }
        let json: ManifestJson =
            serde_json::from_slice(body).map_err(|e| bad(end + 1, "a manifest's JSON", &e.to_string()))?;
        let mut parts = BTreeMap::new();
        for (field, kind, stripe, pack, offset, length, sum) in json.parts {
            let checksum = u64::from_str_radix(&sum, 16).map_err(|_| bad(end + 1, "a part's checksum", &sum))?;
            parts.insert(PartName { field, stripe, kind }, PartPlace { pack, offset, length, checksum });
        }
        let stretches: Option<Vec<Stretch>> = json.stretches.into_iter().map(Stretch::of_row).collect();
        let stretches = stretches.ok_or_else(|| bad(end + 1, "a stretch's checksum", "other text"))?;
        let ends = std::iter::once(json.data_version).chain(stretches.iter().map(|stretch| stretch.upto));
        if stretches.iter().zip(ends).any(|(stretch, end)| stretch.after != end || stretch.upto <= end) {
            return Err(bad(end + 1, "stretches that follow each other", "others"));
        }
        let frozen: Option<BTreeMap<_, _>> = json.frozen.into_iter().map(frozen_of_row).collect();
        let frozen = frozen.ok_or_else(|| bad(end + 1, "the day of a frozen audience", "other text"))?;
        let date = json.date.map(|date| date.parse().map_err(|_| bad(end + 1, "a date", &date))).transpose()?;
        let manifest = Manifest {
            data_version: json.data_version,
            taken_at: json.taken_at,
            name: json.name,
            date,
            next_one_id: json.next_one_id,
            profile_count: json.profile_count,
            next_pack: json.next_pack,
            schema: json.schema.to_string(),
            audiences: Arc::new(json.audiences.into_iter().map(|(name, text)| (name, text.into())).collect()),
            parts,
            stretches,
            frozen,
        };
        // A sound one under another's name would answer for that one.
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let own = manifest.kept_file_name();
        if file_name.ends_with(KEPT_SUFFIX) && *file_name != own {
            return Err(bad(end + 1, &format!("what is kept as {file_name}"), &format!("what is kept as {own}")));
        }
        Ok(manifest)
    }

    /// All kept store snapshots of a space, the tail too.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub(crate) fn read_kept(space: &Path) -> Result<Vec<Manifest>> {
        let dir = space.join(KEPT_DIR);
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let names = list_dir(&dir)?.into_iter().filter(|name| name.ends_with(KEPT_SUFFIX));
        names.map(|name| Manifest::read(&dir.join(name))).collect()
    }
}

type FrozenRow = (String, String, u32, u64, u64, u64, i64);

fn frozen_row(((audience, date), info): (&FrozenKey, &FrozenInfo)) -> FrozenRow {
    let FrozenInfo { number, count, version, data_version, frozen_at } = *info;
    (audience.to_string(), date.to_string(), number, count, version, data_version, frozen_at)
}

fn frozen_of_row(row: FrozenRow) -> Option<(FrozenKey, FrozenInfo)> {
    let (audience, date, number, count, version, data_version, frozen_at) = row;
    let info = FrozenInfo { number, count, version, data_version, frozen_at };
    Some(((audience.into(), date.parse().ok()?), info))
}

/// File name of a kept store snapshot; the name is spelled in hex so that any name is a file name.
pub(crate) fn kept_file_name(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && name.len() <= 100;
    let spelled = if plain { name.to_string() } else { name.bytes().map(|b| format!("%{b:02x}")).collect() };
    format!("{spelled}{KEPT_SUFFIX}")
}
