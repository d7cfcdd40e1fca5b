//! Stretches: what the log held between two data versions, copied aside for the kept states that lie on it.
//! Knows records and files; which states need which stretch is in their manifests.
//!
//! ```text
//!   snapshots/<after>-<upto>-<checksum>.changes        in hex; a file is never changed, another one takes its place
//!   file    = header(48) record*                       integers little-endian
//!   header  = "HCSTRCH\0" format:u32 0:u32 after:u64 upto:u64 length:u64 checksum:u64
//!   record  = seqno:varint length:varint payload[length]
//! ```
//! The checksum is XXH3-64 of the records, seeded with that of the header before it; the manifest has it too. Sequence
//! numbers ascend within `after + 1..=upto`. A purge takes out what is of people who are erased; where the last user of
//! a value went with them its text is blanked, and a record of the same number behind it retires the value.

use std::io::Write;
use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::changes::Record;
use crate::codec::{Reader, put_bytes, put_u32, put_u64, put_varint};
use crate::error::{Error, Result};
use crate::files::Pending;
use crate::log::LogRecord;
use crate::manifest::KEPT_DIR;

/// Format of stretches that this build writes.
pub const STRETCH_FORMAT: u32 = 2;
/// How the files' names end.
pub(crate) const STRETCH_SUFFIX: &str = ".changes";
const MAGIC: &[u8; 8] = b"HCSTRCH\0";
const HEADER_BYTES: usize = 48;
const CHECKSUM_AT: usize = 40;

/// Where a stretch is, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// Data version that it goes on from.
    pub after: u64,
    /// Data version that it leads to.
    pub upto: u64,
    /// Bytes of the file.
    pub length: u64,
    /// As in the file's header.
    pub checksum: u64,
    /// Live profiles at its end.
    pub profile_count: u32,
}

impl Stretch {
    /// The file's name.
    pub fn file_name(&self) -> String {
        format!("{:016x}-{:016x}-{:016x}{STRETCH_SUFFIX}", self.after, self.upto, self.checksum)
    }

    /// As a manifest keeps it.
    pub(crate) fn to_row(&self) -> (u64, u64, u64, String, u32) {
        (self.after, self.upto, self.length, format!("{:016x}", self.checksum), self.profile_count)
    }

    /// Reads what [`Stretch::to_row`] wrote.
    pub(crate) fn of_row(row: (u64, u64, u64, String, u32)) -> Option<Stretch> {
        let checksum = u64::from_str_radix(&row.3, 16).ok()?;
        Some(Stretch { after: row.0, upto: row.1, length: row.2, checksum, profile_count: row.4 })
    }

    /// Writes a stretch, whole and durable.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn write(
        space: &Path,
        (after, upto): (u64, u64),
        records: &[LogRecord],
        profile_count: u32,
    ) -> Result<Stretch> {
        let mut body = Vec::with_capacity(records.iter().map(|record| record.payload.len() + 12).sum());
        for record in records {
            put_varint(&mut body, record.seqno);
            put_bytes(&mut body, &record.payload);
        }
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        put_u32(&mut header, STRETCH_FORMAT);
        put_u32(&mut header, 0);
        put_u64(&mut header, after);
        put_u64(&mut header, upto);
        put_u64(&mut header, body.len() as u64);
        let checksum = xxh3_64_with_seed(&body, xxh3_64(&header));
        put_u64(&mut header, checksum);
        let length = (HEADER_BYTES + body.len()) as u64;
        let stretch = Stretch { after, upto, length, checksum, profile_count };
        let mut file = Pending::create(&space.join(KEPT_DIR), &stretch.file_name())?;
        let written = file.write_all(&header).and_then(|()| file.write_all(&body));
        written.map_err(|e| Error::io("writing", file.path(), &e))?;
        file.commit()?;
        Ok(stretch)
    }

    /// Its records, in order; the whole file is checked first.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Corrupt`], [`Error::Newer`], [`Error::Io`].
    pub(crate) fn read(&self, space: &Path) -> Result<Vec<(u64, Record)>> {
        let path = space.join(KEPT_DIR).join(self.file_name());
        if !path.exists() {
            let needed_by = format!("a store snapshot of data version {} or later", self.upto);
            return Err(Error::Missing { file: path, needed_by });
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io("reading", &path, &e))?;
        let bad = |offset: usize, expected: &str, found: &str| Error::corrupt(&path, offset as u64, expected, found);
        if bytes.len() < HEADER_BYTES || &bytes[..8] != MAGIC {
            return Err(bad(0, "the header of a stretch", "other bytes"));
        }
        let (header, body) = bytes.split_at(HEADER_BYTES);
        let mut reader = Reader::new(&header[8..]);
        let (format, _) = (reader.u32().unwrap_or(0), reader.u32());
        if format > STRETCH_FORMAT {
            return Err(Error::Newer { file: path.clone(), found: format, known: STRETCH_FORMAT });
        }
        let found = (reader.u64(), reader.u64(), reader.u64(), reader.u64());
        let wanted = (Some(self.after), Some(self.upto), Some(body.len() as u64), Some(self.checksum));
        if found != wanted || bytes.len() as u64 != self.length {
            return Err(bad(8, "the stretch that the manifest names", "another"));
        }
        if xxh3_64_with_seed(body, xxh3_64(&header[..CHECKSUM_AT])) != self.checksum {
            return Err(bad(HEADER_BYTES, &format!("checksum {:016x}", self.checksum), "other bytes"));
        }
        let mut reader = Reader::new(body);
        let (mut records, mut last) = (Vec::new(), self.after + 1);
        while reader.remaining() > 0 {
            let at = bytes.len() - reader.remaining();
            let record = reader.varint().zip(reader.bytes()).filter(|(n, _)| (last..=self.upto).contains(n));
            let decoded = record.and_then(|(n, payload)| Some((n, Record::decode(payload)?)));
            let (seqno, record) = decoded.ok_or_else(|| bad(at, "a record", "none that makes sense"))?;
            last = seqno;
            records.push((seqno, record));
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_truncation_and_every_bit_flip_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(KEPT_DIR)).unwrap();
        let records = [Record::Erase(vec![3]), Record::Schema("{}".into())];
        let logged: Vec<LogRecord> =
            (5..).zip(&records).map(|(seqno, r)| LogRecord { seqno, payload: r.encode() }).collect();
        let stretch = Stretch::write(dir.path(), (4, 6), &logged, 7).unwrap();
        let read: Vec<Record> = stretch.read(dir.path()).unwrap().into_iter().map(|(_, record)| record).collect();
        assert_eq!(read, records);
        let path = dir.path().join(KEPT_DIR).join(stretch.file_name());
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            assert!(stretch.read(dir.path()).is_err(), "bit {bit}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(stretch.read(dir.path()).is_err(), "cut at {length}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(stretch.read(dir.path()), Err(Error::Missing { .. })));
    }
}
