//! Mapped files: the one place where a file becomes memory.
//! Knows files and bytes; what the bytes mean is decided by whoever reads them.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a whole file read-only. An empty file maps to no bytes.
///
/// The file must not be shortened while it is mapped: packs are immutable after their rename and only ever unlinked,
/// and the store holds the directory's lock. A stranger who truncates one gets the process killed (SIGBUS), which is
/// loud, and never a page of zeros taken for data.
pub fn map_file(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(|e| Error::io("opening", path, &e))?;
    // SAFETY: the mapping is read-only and private to this process's view of an immutable file; see above for the
    // one way in which the file could change under it, which faults rather than yielding wrong bytes.
    let map = unsafe { Mmap::map(&file) };
    map.map_err(|e| Error::io("mapping", path, &e))
}
