//! Files that appear whole or not at all: write, fsync the file, rename, fsync the directory, in that order.
//! Knows names and durability; knows nothing of what is written.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Suffix of a file that has not got its name yet; such a file is debris after a crash and is removed at open.
pub const PENDING_SUFFIX: &str = ".pending";
const BUFFER_BYTES: usize = 1 << 20;

/// A file being written under a temporary name; dropped without [`Pending::commit`], it is removed.
#[derive(Debug)]
pub struct Pending {
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    target: PathBuf,
}

impl Pending {
    /// Starts `dir/name`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(dir: &Path, name: &str) -> Result<Pending> {
        let temporary = dir.join(format!("{name}{PENDING_SUFFIX}"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary);
        let file = file.map_err(|e| Error::io("creating", &temporary, &e))?;
        let file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Pending { file, temporary, target: dir.join(name) })
    }

    /// Where the bytes are for now.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Makes the bytes durable, then gives the file its name, durably.
    ///
    /// # Errors
    /// [`Error::Io`]; the file then may or may not have its name, but is whole if it has.
    pub fn commit(mut self) -> Result<()> {
        let Some(writer) = self.file.take() else { return Ok(()) };
        let failed = |e: &std::io::Error| Error::io("syncing", &self.temporary, e);
        let file = writer.into_inner().map_err(|e| failed(e.error()))?;
        file.sync_all().map_err(|e| failed(&e))?;
        drop(file);
        fs::rename(&self.temporary, &self.target).map_err(|e| Error::io("renaming", &self.temporary, &e))?;
        match self.target.parent() {
            Some(dir) => sync_dir(dir),
            None => Ok(()),
        }
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Debris is harmless: open removes it too.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes names in a directory durable.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io("syncing directory", dir, &e))
}

/// Creates a directory and those above it, durably.
///
/// # Errors
/// [`Error::Io`].
pub fn create_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dir(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(Error::io("creating directory", dir, &e)),
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(parent)
}

/// Names of the files in a directory, sorted.
///
/// # Errors
/// [`Error::Io`].
pub fn list_dir(dir: &Path) -> Result<Vec<String>> {
    let failed = |e: &std::io::Error| Error::io("listing", dir, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| failed(&e))? {
        names.push(entry.map_err(|e| failed(&e))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
