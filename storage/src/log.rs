//! Write-ahead log: makes a batch durable before anyone sees it.
//! Knows bytes and fsync; knows nothing of tags.
//!
//! ```text
//!   log/       = segments, named by the sequence number of their first record, in hex
//!   segment    = header(32) record*                    integers little-endian, records 8-byte aligned
//!   header     = "HCLOG\0\0\0" format:u32 0:u32 first_seqno:u64 checksum:u64
//!   record     = length:u32 0:u32 seqno:u64 durable:u64 checksum:u64 payload[length] pad8
//! ```
//! A record is valid iff its checksum (XXH3-64 over length, seqno, durable and payload, seeded with the segment's
//! first seqno and the offset) matches and seqno = previous + 1. `durable` is the last sequence number known to be on
//! stable storage when the record was written, so damage below it is told from a torn tail:
//!
//! - what is not valid at the end of the last segment, with nothing valid behind it, is an unacknowledged tail: dropped;
//! - anything else that is not valid is damage, and refuses to open.
//!
//! The limit that remains: damage within the very last group, if nothing was written after it, looks like a torn tail.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::{Reader, pad_to, put_u32, put_u64};
use crate::error::{Error, Result};
use crate::files::{PENDING_SUFFIX, list_dir, sync_dir};

/// Format of logs that this build writes; it reads this one and all before it.
pub const LOG_FORMAT: u32 = 3;
const MAGIC: &[u8; 8] = b"HCLOG\0\0\0";
const HEADER_BYTES: usize = 32;
const RECORD_HEADER_BYTES: usize = 32;
const SUFFIX: &str = ".log";

/// The open end of the log.
#[derive(Debug)]
pub(crate) struct Log {
    dir: PathBuf,
    file: File,
    path: PathBuf,
    first_seqno: u64,
    at: u64,
    next_seqno: u64,
}

/// One record as read back.
#[derive(Debug)]
pub(crate) struct LogRecord {
    pub(crate) seqno: u64,
    pub(crate) payload: Vec<u8>,
}

/// Records of a log after a sequence number, and where its valid end is.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) records: Vec<LogRecord>,
    /// The last segment and its valid length; bytes beyond are an unacknowledged tail.
    tail: Option<(PathBuf, u64, u64)>,
    /// Bytes of all segments.
    pub(crate) log_bytes: u64,
}

fn segment_name(first_seqno: u64) -> String {
    format!("{first_seqno:016x}{SUFFIX}")
}

fn checksum(first_seqno: u64, at: u64, length: u32, seqno: u64, durable: u64, payload: &[u8]) -> u64 {
    let mut head = Vec::with_capacity(20);
    put_u32(&mut head, length);
    put_u64(&mut head, seqno);
    put_u64(&mut head, durable);
    let seed = first_seqno.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ at;
    xxh3_64_with_seed(payload, xxh3_64_with_seed(&head, seed))
}

impl Log {
    /// Goes on after what was recovered: cuts the unacknowledged tail off, or starts the first segment.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn open(dir: &Path, recovered: &Recovered, next_seqno: u64) -> Result<Log> {
        let Some((path, first_seqno, valid)) = &recovered.tail else { return Log::start(dir, next_seqno) };
        debug_assert_eq!(recovered.records.last().map_or(next_seqno, |r| r.seqno + 1), next_seqno);
        let failed = |e: &std::io::Error| Error::io("opening", path, e);
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| failed(&e))?;
        if file.metadata().map_err(|e| failed(&e))?.len() != *valid {
            file.set_len(*valid).and_then(|()| file.sync_all()).map_err(|e| failed(&e))?;
        }
        file.seek(SeekFrom::Start(*valid)).map_err(|e| failed(&e))?;
        Ok(Log { dir: dir.into(), file, path: path.clone(), first_seqno: *first_seqno, at: *valid, next_seqno })
    }

    /// Starts a segment, durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn start(dir: &Path, first_seqno: u64) -> Result<Log> {
        let log = Log::create(dir, dir.join(segment_name(first_seqno)), first_seqno)?;
        let waiting = waiting_path(dir, first_seqno);
        if waiting.exists() {
            std::fs::remove_file(&waiting).map_err(|e| Error::io("removing", &waiting, &e))?;
            sync_dir(dir)?;
        }
        Ok(log)
    }

    fn create(dir: &Path, path: PathBuf, first_seqno: u64) -> Result<Log> {
        let failed = |e: &std::io::Error| Error::io("creating", &path, e);
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        put_u32(&mut header, LOG_FORMAT);
        put_u32(&mut header, 0);
        put_u64(&mut header, first_seqno);
        let sum = xxh3_64_with_seed(&header, 0);
        put_u64(&mut header, sum);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let mut file = options.map_err(|e| failed(&e))?;
        file.write_all(&header).and_then(|()| file.sync_all()).map_err(|e| failed(&e))?;
        sync_dir(dir)?;
        Ok(Log { dir: dir.into(), file, path, first_seqno, at: HEADER_BYTES as u64, next_seqno: first_seqno })
    }

    /// Appends a record under the next sequence number, which it gives; not durable before [`Log::sync_handle`] syncs.
    ///
    /// # Errors
    /// [`Error::DiskFull`]: nothing of the record is left, and it may be tried again once there is room;
    /// [`Error::Io`]: nothing more may be written.
    pub(crate) fn append(&mut self, payload: &[u8], durable: u64) -> Result<u64> {
        let too_long = |_| Error::Refused { code: "batch_too_large", reason: "a batch of 4 GiB or more".into() };
        let length = u32::try_from(payload.len()).map_err(too_long)?;
        let seqno = self.next_seqno;
        let mut record = Vec::with_capacity(RECORD_HEADER_BYTES + payload.len() + 8);
        put_u32(&mut record, length);
        put_u32(&mut record, 0);
        put_u64(&mut record, seqno);
        put_u64(&mut record, durable);
        put_u64(&mut record, checksum(self.first_seqno, self.at, length, seqno, durable, payload));
        record.extend_from_slice(payload);
        pad_to(&mut record, 8);
        if let Err(error) = self.file.write_all(&record) {
            let failed = Error::io("writing", &self.path, &error);
            if error.kind() != ErrorKind::StorageFull {
                return Err(failed);
            }
            let undone = self.file.set_len(self.at).and_then(|()| self.file.seek(SeekFrom::Start(self.at)));
            return Err(if undone.is_ok() { Error::DiskFull { path: self.path.clone() } } else { failed });
        }
        self.at += record.len() as u64;
        self.next_seqno += 1;
        Ok(seqno)
    }

    /// A second handle on the current segment, for whoever syncs it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn sync_handle(&self) -> Result<File> {
        self.file.try_clone().map_err(|e| Error::io("opening", &self.path, &e))
    }

    /// The current segment's file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the current segment.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.at
    }

    /// Sequence number of the last record.
    pub(crate) fn last_seqno(&self) -> u64 {
        self.next_seqno - 1
    }

    /// Starts a new segment, after making the old one durable: only the last segment may have a torn tail.
    ///
    /// # Errors
    /// [`Error::Io`]; nothing more may then be written.
    pub(crate) fn rotate(&mut self) -> Result<()> {
        if self.at > HEADER_BYTES as u64 {
            self.file.sync_data().map_err(|e| Error::io("syncing", &self.path, &e))?;
            *self = Log::start(&self.dir, self.next_seqno)?;
        }
        Ok(())
    }
}

fn waiting_path(dir: &Path, first_seqno: u64) -> PathBuf {
    dir.join(format!("{}{PENDING_SUFFIX}", segment_name(first_seqno)))
}

/// Makes the segment that will follow a store snapshot whose records were never logged (a bulk load), aside: until the
/// snapshot's manifest is there it is no part of the log, and from then on it counts as empty.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn prepare_segment(dir: &Path, first_seqno: u64) -> Result<()> {
    Log::create(dir, waiting_path(dir, first_seqno), first_seqno).map(|_| ())
}

/// Gives a prepared segment its name, once the manifest that it follows is durable.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn adopt_segment(dir: &Path, first_seqno: u64) -> Result<()> {
    let (waiting, path) = (waiting_path(dir, first_seqno), dir.join(segment_name(first_seqno)));
    std::fs::rename(&waiting, &path).map_err(|e| Error::io("renaming", &waiting, &e))?;
    sync_dir(dir)
}

/// Removes the segments whose records are all in a durable store snapshot up to `seqno`.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn cut(dir: &Path, seqno: u64) -> Result<()> {
    let segments = segments(dir)?;
    let ends = segments.iter().skip(1).map(|(first, _)| *first);
    let mut any = false;
    for ((_, path), next_first) in segments.iter().zip(ends) {
        if next_first <= seqno + 1 {
            std::fs::remove_file(path).map_err(|e| Error::io("removing", path, &e))?;
            any = true;
        }
    }
    if any { sync_dir(dir) } else { Ok(()) }
}

/// The records `after + 1..=upto`, all of them in segments that are closed.
///
/// # Errors
/// [`Error::Missing`] where the first of them are cut off already, [`Error::Corrupt`], [`Error::Io`].
pub(crate) fn read_between(dir: &Path, after: u64, upto: u64) -> Result<Vec<LogRecord>> {
    let mut records = Vec::new();
    if after == upto {
        return Ok(records);
    }
    let segments = segments(dir)?;
    let from = segments.partition_point(|(first, _)| *first <= after + 1);
    for (first, path) in &segments[from.saturating_sub(1)..] {
        if *first > upto {
            break;
        }
        let bytes = std::fs::read(path).map_err(|e| Error::io("reading", path, &e))?;
        check_header(path, &bytes, *first, false)?;
        read_segment(path, &bytes, *first, false, &mut records)?;
    }
    records.retain(|record| (after + 1..=upto).contains(&record.seqno));
    if !records.iter().map(|record| record.seqno).eq(after + 1..=upto) {
        let file = dir.join(segment_name(after + 1));
        return Err(Error::Missing { file, needed_by: format!("a store snapshot of data version {upto}") });
    }
    Ok(records)
}

/// When a record was last written, by the file that it is in; nothing where there is none.
pub(crate) fn last_change(dir: &Path) -> Option<jiff::Timestamp> {
    let segments = segments(dir).ok()?;
    let times = segments.iter().filter_map(|(_, path)| {
        let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.len() > HEADER_BYTES as u64)?;
        jiff::Timestamp::try_from(metadata.modified().ok()?).ok()
    });
    times.max()
}

/// Bytes of all segments.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn bytes_on_disk(dir: &Path) -> Result<u64> {
    let sizes = segments(dir)?.into_iter().map(|(_, path)| std::fs::metadata(path).map_or(0, |m| m.len()));
    Ok(sizes.sum())
}

fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for name in list_dir(dir)? {
        let first = name.strip_suffix(SUFFIX).filter(|n| n.len() == 16).and_then(|n| u64::from_str_radix(n, 16).ok());
        if let Some(first) = first {
            segments.push((first, dir.join(name)));
        }
    }
    segments.sort();
    Ok(segments)
}

/// Reads all records after `seqno`, the data version of the store snapshot. The segment that starts right after it was
/// made before the snapshot's manifest was, so it must be there; older ones are left-overs.
///
/// # Errors
/// [`Error::Corrupt`] for damage that is not an unacknowledged tail, [`Error::Missing`], [`Error::Newer`], [`Error::Io`].
pub(crate) fn recover(dir: &Path, seqno: u64) -> Result<Recovered> {
    let segments: Vec<_> = segments(dir)?.into_iter().filter(|(first, _)| *first > seqno).collect();
    if segments.first().is_none_or(|(first, _)| *first != seqno + 1) {
        if segments.is_empty() && waiting_path(dir, seqno + 1).exists() {
            // The crash came between the manifest of a bulk load and the naming of its segment.
            return Ok(Recovered::default());
        }
        let file = dir.join(segment_name(seqno + 1));
        return Err(Error::Missing { file, needed_by: format!("the store snapshot of data version {seqno}") });
    }
    let mut recovered = Recovered::default();
    let mut last = seqno;
    for (at, (first, path)) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        let bytes = std::fs::read(path).map_err(|e| Error::io("reading", path, &e))?;
        recovered.log_bytes += bytes.len() as u64;
        if !check_header(path, &bytes, *first, is_last && at > 0)? {
            // The crash came while this segment was being started: it holds nothing, and is started again.
            recovered.tail = None;
            break;
        }
        if *first != last + 1 {
            let expected = format!("records from {} on", last + 1);
            return Err(Error::corrupt(path, 16, expected, format!("records from {first} on")));
        }
        let valid = read_segment(path, &bytes, *first, is_last, &mut recovered.records)?;
        last = valid.last_seqno;
        recovered.tail = Some((path.clone(), *first, valid.end));
    }
    Ok(recovered)
}

fn check_header(path: &Path, bytes: &[u8], first: u64, may_be_torn: bool) -> Result<bool> {
    let sound = bytes.len() >= HEADER_BYTES && &bytes[..8] == MAGIC && {
        let sum = u64::from_le_bytes(bytes[24..32].try_into().unwrap_or_default());
        sum == xxh3_64_with_seed(&bytes[..24], 0)
    };
    if !sound {
        if may_be_torn && bytes.len() <= HEADER_BYTES {
            return Ok(false);
        }
        return Err(Error::corrupt(path, 0, "the header of a log segment", "other bytes"));
    }
    let mut reader = Reader::new(&bytes[8..24]);
    match (reader.u32(), reader.u32(), reader.u64()) {
        (Some(format), ..) if format > LOG_FORMAT => {
            Err(Error::Newer { file: path.into(), found: format, known: LOG_FORMAT })
        }
        (_, _, Some(found)) if found == first => Ok(true),
        (.., found) => Err(Error::corrupt(path, 16, format!("first record {first}"), format!("{found:?}"))),
    }
}

struct ValidEnd {
    end: u64,
    last_seqno: u64,
}

fn read_segment(
    path: &Path,
    bytes: &[u8],
    first: u64,
    is_last: bool,
    records: &mut Vec<LogRecord>,
) -> Result<ValidEnd> {
    let mut valid = ValidEnd { end: HEADER_BYTES as u64, last_seqno: first - 1 };
    while (valid.end as usize) < bytes.len() {
        let Some((record, _, end)) = read_record(bytes, valid.end as usize, first) else { break };
        if record.seqno != valid.last_seqno + 1 {
            break;
        }
        valid = ValidEnd { end: end as u64, last_seqno: record.seqno };
        records.push(record);
    }
    if (valid.end as usize) < bytes.len() {
        let damage =
            |found: String| Err(Error::corrupt(path, valid.end, format!("record {}", valid.last_seqno + 1), found));
        if !is_last {
            return damage("other bytes, and a later segment".into());
        }
        // Any of the records behind may be the one that knows: those of one group all carry the same `durable`.
        let places = (valid.end as usize + 8..bytes.len()).step_by(8);
        let mut later = places.filter_map(|at| read_record(bytes, at, first));
        if let Some((record, ..)) = later.find(|(_, durable, _)| *durable > valid.last_seqno) {
            return damage(format!("other bytes, and record {} behind them", record.seqno));
        }
    }
    Ok(valid)
}

fn read_record(bytes: &[u8], at: usize, first: u64) -> Option<(LogRecord, u64, usize)> {
    let mut reader = Reader::new(bytes.get(at..)?);
    let (length, zero, seqno, durable, sum) =
        (reader.u32()?, reader.u32()?, reader.u64()?, reader.u64()?, reader.u64()?);
    let payload = reader.take(length as usize)?;
    let end = (at + RECORD_HEADER_BYTES + length as usize).next_multiple_of(8);
    let padding = bytes.get(end - (end - (at + RECORD_HEADER_BYTES + length as usize))..end)?;
    let sound = zero == 0 && padding.iter().all(|b| *b == 0);
    if !sound || sum != checksum(first, at as u64, length, seqno, durable, payload) {
        return None;
    }
    Some((LogRecord { seqno, payload: payload.to_vec() }, durable, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dir: &Path, payloads: &[&[u8]]) -> PathBuf {
        let mut log = Log::start(dir, 1).unwrap();
        for (at, payload) in payloads.iter().enumerate() {
            log.append(payload, at as u64).unwrap();
        }
        log.path().to_path_buf()
    }

    fn payloads(recovered: &Recovered) -> Vec<Vec<u8>> {
        recovered.records.iter().map(|r| r.payload.clone()).collect()
    }

    const RECORDS: &[&[u8]] = &[b"first", b"", b"the third record", b"fourth 8"];

    #[test]
    fn every_truncation_is_a_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), RECORDS);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            if length < HEADER_BYTES {
                assert!(recover(dir.path(), 0).is_err(), "the first segment was durable before anything else");
                continue;
            }
            let recovered = recover(dir.path(), 0).unwrap();
            let found = payloads(&recovered);
            assert!(found.len() < RECORDS.len() && found[..] == RECORDS[..found.len()], "cut at {length}");
            let next = found.len() as u64 + 1;
            let mut log = Log::open(dir.path(), &recovered, next).unwrap();
            assert_eq!(log.append(b"after", next - 1).unwrap(), next);
            assert_eq!(payloads(&recover(dir.path(), 0).unwrap()).len() as u64, next);
        }
    }

    #[test]
    fn every_bit_flip_is_a_prefix_or_a_refusal() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), RECORDS);
        let whole = std::fs::read(&path).unwrap();
        let last_group_at = whole.len() - RECORD_HEADER_BYTES - 8;
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            match recover(dir.path(), 0) {
                Ok(recovered) => {
                    // Record 4 says that 3 are durable: only the last may be missing.
                    assert_eq!(payloads(&recovered), RECORDS[..3], "bit {bit}");
                    assert!(bit / 8 >= last_group_at, "bit {bit} is of an acknowledged record");
                }
                Err(error) => assert!(matches!(error, Error::Corrupt { .. } | Error::Newer { .. }), "{error}"),
            }
        }
    }

    #[test]
    fn segments_follow_each_other_and_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::start(dir.path(), 1).unwrap();
        for seqno in 1..=6u64 {
            assert_eq!(log.append(&seqno.to_le_bytes(), seqno - 1).unwrap(), seqno);
            if seqno % 2 == 0 {
                log.rotate().unwrap();
            }
        }
        assert_eq!(recover(dir.path(), 0).unwrap().records.len(), 6);
        assert_eq!(recover(dir.path(), 2).unwrap().records.len(), 4);
        let between = |after, upto| read_between(dir.path(), after, upto).map(|records| records.len());
        assert_eq!((between(0, 6).unwrap(), between(1, 3).unwrap(), between(3, 3).unwrap()), (6, 2, 0));
        assert!(between(4, 7).is_err(), "record 7 is not there");
        cut(dir.path(), 4).unwrap();
        assert_eq!(recover(dir.path(), 4).unwrap().records.len(), 2);
        assert!(recover(dir.path(), 2).is_err() && between(2, 6).is_err(), "records 3 and 4 are gone");
        assert_eq!(read_between(dir.path(), 4, 6).unwrap().len(), 2);
        std::fs::remove_file(dir.path().join(segment_name(5))).unwrap();
        assert!(recover(dir.path(), 4).is_err(), "a missing segment is damage");
    }
}
