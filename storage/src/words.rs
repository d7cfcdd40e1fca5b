//! Words that one thread changes while many read: in large pages where they are many, since whoever looks one up at random
//! waits longer for its address than for itself.
//! Knows memory; knows no entries.
#![allow(unsafe_code)] // mapped bytes as words

use std::ops::Deref;
use std::sync::atomic::AtomicU64;

use memmap2::MmapMut;

/// From so many on they are mapped: eight large pages.
const MAPPED_FROM: usize = 1 << 21;

/// Words, all 0 at first.
#[derive(Debug)]
pub(crate) struct Words(Memory);

#[derive(Debug)]
enum Memory {
    Heap(Box<[AtomicU64]>),
    Mapped(MmapMut),
}

impl Words {
    pub(crate) fn zeroed(count: usize) -> Words {
        let map = || MmapMut::map_anon(count.checked_mul(size_of::<AtomicU64>())?).ok();
        match (count >= MAPPED_FROM).then(map).flatten() {
            Some(map) => {
                // Small pages do, too.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                Words(Memory::Mapped(map))
            }
            None => Words(Memory::Heap((0..count).map(|_| AtomicU64::new(0)).collect())),
        }
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        match &self.0 {
            Memory::Heap(words) => words,
            // SAFETY: the map begins at a page, holds so many words that are 0 or were stored as such, and nobody takes its
            // bytes otherwise while it is shared.
            Memory::Mapped(map) => unsafe {
                std::slice::from_raw_parts(map.as_ptr().cast(), map.len() / size_of::<AtomicU64>())
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn few_and_many_words_begin_as_zero_and_are_kept() {
        for count in [0, 1, 1024, MAPPED_FROM, MAPPED_FROM + 1] {
            let words = Words::zeroed(count);
            assert_eq!(words.len(), count);
            assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
            words.iter().zip(7..).for_each(|(word, n)| word.store(n, Ordering::Relaxed));
            assert!(words.iter().zip(7..).all(|(word, n)| word.load(Ordering::Relaxed) == n));
        }
    }
}
