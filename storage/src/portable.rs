//! The portable Roaring format, read strictly: whatever two readers could take for two different sets is refused.
//! Knows the format (RoaringFormatSpec, 32 bits); building and writing is the `roaring` crate's.
//!
//! Refused beyond what libraries refuse: offsets that are not where the containers are, cardinalities that differ from
//! the bits or runs, runs that touch, stray run flags, bytes after the end, and the 64-bit format.

use roaring::RoaringBitmap;

use crate::container::ARRAY_MAX;

const COOKIE_PLAIN: u32 = 12346;
const COOKIE_RUNS: u32 = 12347;
const OFFSETS_FROM: usize = 4;
const CONTAINERS_MAX: usize = 1 << 16;
const BITS_BYTES: usize = 8192;

/// What is wrong with the bytes of a bitmap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a portable 32-bit Roaring bitmap: {what} at byte {at}")]
pub struct BadBitmap {
    /// Offset of the damage.
    pub at: usize,
    /// In words.
    pub what: String,
}

/// Reads a portable bitmap. Linear in its length; allocates no more than the bitmap itself.
///
/// # Errors
/// [`BadBitmap`].
pub fn read_portable(bytes: &[u8]) -> Result<RoaringBitmap, BadBitmap> {
    check(bytes)?;
    RoaringBitmap::deserialize_from(bytes).map_err(|e| BadBitmap { at: 0, what: e.to_string() })
}

/// Writes a portable bitmap, runs where they are smaller.
pub fn write_portable(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut small = bitmap.clone();
    small.optimize();
    let mut out = Vec::with_capacity(small.serialized_size());
    // Writing to memory does not fail.
    let _ = small.serialize_into(&mut out);
    out
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn bad<T>(&self, what: impl Into<String>) -> Result<T, BadBitmap> {
        Err(BadBitmap { at: self.at, what: what.into() })
    }

    fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8], BadBitmap> {
        match self.bytes.get(self.at..self.at.saturating_add(n)) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => self.bad(format!("it ends inside of {what}")),
        }
    }

    fn u16s(&mut self, n: usize, what: &str) -> Result<impl Iterator<Item = u16> + use<'a>, BadBitmap> {
        let taken = self.take(n * 2, what)?;
        Ok(taken.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])))
    }

    fn u32(&mut self, what: &str) -> Result<u32, BadBitmap> {
        Ok(u32::from_le_bytes(self.take(4, what)?.try_into().unwrap_or_default()))
    }
}

fn check(bytes: &[u8]) -> Result<(), BadBitmap> {
    let mut walk = Walk { bytes, at: 0 };
    let cookie = walk.u32("the cookie")?;
    let (count, flags) = if cookie & 0xFFFF == COOKIE_RUNS {
        let count = (cookie >> 16) as usize + 1;
        (count, Some(walk.take(count.div_ceil(8), "the run flags")?))
    } else if cookie == COOKIE_PLAIN {
        let count = walk.u32("the container count")? as usize;
        if count > CONTAINERS_MAX {
            return walk.bad(format!("{count} containers, of at most {CONTAINERS_MAX}"));
        }
        (count, None)
    } else {
        walk.at = 0;
        let kind = if is_64_bit(bytes) { "this is the 64-bit format; OneIDs are 32-bit" } else { "no cookie" };
        return walk.bad(kind);
    };
    if let Some(flags) = flags
        && count % 8 != 0
        && flags[flags.len() - 1] >> (count % 8) != 0
    {
        return walk.bad("run flags beyond the last container");
    }
    check_containers(&mut walk, count, flags)
}

fn check_containers(walk: &mut Walk<'_>, count: usize, flags: Option<&[u8]>) -> Result<(), BadBitmap> {
    let heads: Vec<u16> = walk.u16s(count * 2, "the container heads")?.collect();
    if !heads.chunks_exact(2).is_sorted_by(|a, b| a[0] < b[0]) {
        return walk.bad("container keys that do not ascend");
    }
    let has_offsets = flags.is_none() || count >= OFFSETS_FROM;
    let offsets = if has_offsets { walk.take(count * 4, "the offsets")? } else { &[] };
    for (at, head) in heads.chunks_exact(2).enumerate() {
        if has_offsets {
            let offset = u32::from_le_bytes(offsets[at * 4..at * 4 + 4].try_into().unwrap_or_default());
            if offset as usize != walk.at {
                return walk.bad(format!("container {at} lies here, its offset says {offset}"));
            }
        }
        let is_runs = flags.is_some_and(|flags| flags[at / 8] >> (at % 8) & 1 == 1);
        check_container(walk, at, usize::from(head[1]) + 1, is_runs)?;
    }
    if walk.at < walk.bytes.len() {
        return walk.bad("bytes after the end");
    }
    Ok(())
}

fn check_container(walk: &mut Walk<'_>, at: usize, cardinality: usize, is_runs: bool) -> Result<(), BadBitmap> {
    let found = if is_runs {
        let run_count = walk.u16s(1, "a run count")?.next().unwrap_or(0);
        let words: Vec<u16> = walk.u16s(usize::from(run_count) * 2, "runs")?.collect();
        let mut next_free = 0u32;
        let mut found = 0;
        for (place, run) in words.chunks_exact(2).enumerate() {
            let (start, end) = (u32::from(run[0]), u32::from(run[0]) + u32::from(run[1]));
            if (place > 0 && start < next_free) || end > u32::from(u16::MAX) {
                return walk.bad(format!("runs of container {at} that touch, overlap or leave it"));
            }
            // One id must lie between two runs.
            next_free = end + 2;
            found += (end - start + 1) as usize;
        }
        found
    } else if cardinality <= ARRAY_MAX {
        let ids: Vec<u16> = walk.u16s(cardinality, "an array")?.collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return walk.bad(format!("the array of container {at} does not ascend"));
        }
        ids.len()
    } else {
        let bits = walk.take(BITS_BYTES, "bits")?;
        bits.iter().map(|b| b.count_ones() as usize).sum()
    };
    if found != cardinality {
        return walk.bad(format!("container {at} holds {found} ids, its head says {cardinality}"));
    }
    Ok(())
}

/// The 64-bit format starts with a count of maps, each of which is a key and a 32-bit bitmap.
fn is_64_bit(bytes: &[u8]) -> bool {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    match (word(0), word(4), word(12)) {
        (Some(0), Some(0), None) => bytes.len() == 8,
        (Some(_), Some(0), Some(cookie)) => cookie == COOKIE_PLAIN || cookie & 0xFFFF == COOKIE_RUNS,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(bitmap: &RoaringBitmap) -> Vec<u8> {
        let mut out = Vec::new();
        bitmap.serialize_into(&mut out).unwrap();
        out
    }

    fn sample() -> RoaringBitmap {
        let mut bitmap: RoaringBitmap = (0..10_000).step_by(3).collect();
        bitmap.insert_range(70_000..90_000);
        bitmap.extend((200_000..260_000).step_by(2));
        bitmap.extend([300_000, 4_000_000_000]);
        bitmap
    }

    #[test]
    fn what_is_written_is_read() {
        for bitmap in [RoaringBitmap::new(), sample(), (0..200_000).collect(), [7].into_iter().collect()] {
            assert_eq!(read_portable(&write_portable(&bitmap)), Ok(bitmap.clone()));
            assert_eq!(read_portable(&plain(&bitmap)), Ok(bitmap));
        }
    }

    #[test]
    fn every_truncation_and_every_longer_file_is_refused() {
        let bytes = write_portable(&sample());
        for length in 0..bytes.len() {
            assert!(read_portable(&bytes[..length]).is_err(), "cut at {length}");
        }
        assert!(read_portable(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn what_libraries_overlook_is_refused() {
        let bitmap: RoaringBitmap = [1, 2, 3, 70_000].into_iter().collect();
        let good = plain(&bitmap);
        let lying_offset = {
            let mut b = good.clone();
            b[16] ^= 2;
            b
        };
        assert!(read_portable(&lying_offset).unwrap_err().what.contains("offset"));
        let mut runs: RoaringBitmap = (10..500).collect();
        runs.optimize();
        let good = plain(&runs);
        let lying_cardinality = {
            let mut b = good.clone();
            b[7] ^= 1;
            b
        };
        assert!(read_portable(&lying_cardinality).is_err());
        let stray_flag = {
            let mut b = good;
            b[4] |= 2;
            b
        };
        assert!(read_portable(&stray_flag).unwrap_err().what.contains("run flags"));
        let map64 = [&1u64.to_le_bytes()[..], &0u32.to_le_bytes(), &plain(&bitmap)].concat();
        assert!(read_portable(&map64).unwrap_err().what.contains("64-bit"));
        assert!(read_portable(&0u64.to_le_bytes()).unwrap_err().what.contains("64-bit"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in any::<Vec<u8>>(), cookie in prop_oneof![Just(12346u32), Just(12347), any::<u32>()]) {
            bytes.splice(0..0, cookie.to_le_bytes());
            if let Ok(bitmap) = read_portable(&bytes) {
                prop_assert_eq!(read_portable(&write_portable(&bitmap)), Ok(bitmap));
            }
        }

        #[test]
        fn a_flipped_bit_is_refused_or_another_set(at in any::<usize>(), bit in 0u8..8) {
            let mut bytes = write_portable(&sample());
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(read) = read_portable(&bytes) {
                prop_assert_ne!(read, sample());
            }
        }
    }
}
