//! The data directory: its lock, and the spaces in it.
//! Knows names and places; what is in a space is `store`'s matter.
//!
//! ```text
//!   DIR/lock                      held exclusively by whoever writes, shared by readers
//!   DIR/spaces/<space>/           manifest · packs/ · log/ · snapshots/
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::bulk::BulkLoader;
use crate::error::{Error, Result};
use crate::files::{PENDING_SUFFIX, create_dir, list_dir};
use crate::manifest::CURRENT;
use crate::schema::is_name;
use crate::store::{Options, Store, create};

const LOCK_FILE: &str = "lock";
const SPACES_DIR: &str = "spaces";

/// A locked data directory.
#[derive(Debug)]
pub struct DataDir {
    dir: PathBuf,
    read_only: bool,
    _lock: File,
}

impl DataDir {
    /// Locks a data directory for writing, making it if need be.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Io`].
    pub fn open(dir: &Path) -> Result<DataDir> {
        create_dir(&dir.join(SPACES_DIR))?;
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = file.map_err(|e| Error::io("opening", &path, &e))?;
        DataDir::locked(dir, lock.try_lock(), lock, false)
    }

    /// Locks a data directory for reading: others may read too, nobody may write.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, [`Error::Locked`], [`Error::Io`].
    pub fn open_read_only(dir: &Path) -> Result<DataDir> {
        let path = dir.join(LOCK_FILE);
        if !path.exists() {
            return Err(Error::Missing { file: path, needed_by: "reading a data directory".into() });
        }
        let lock = File::open(&path).map_err(|e| Error::io("opening", &path, &e))?;
        DataDir::locked(dir, lock.try_lock_shared(), lock, true)
    }

    fn locked(dir: &Path, locked: Result<(), TryLockError>, lock: File, read_only: bool) -> Result<DataDir> {
        match locked {
            Ok(()) => Ok(DataDir { dir: dir.into(), read_only, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { dir: dir.into() }),
            Err(TryLockError::Error(e)) => Err(Error::io("locking", &dir.join(LOCK_FILE), &e)),
        }
    }

    /// Names of the spaces, sorted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn spaces(&self) -> Result<Vec<String>> {
        let dir = self.dir.join(SPACES_DIR);
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        Ok(list_dir(&dir)?.into_iter().filter(|name| is_name(name)).collect())
    }

    /// Where a space lies.
    pub fn space_dir(&self, space: &str) -> PathBuf {
        self.dir.join(SPACES_DIR).join(space)
    }

    /// Opens a space that exists.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_space(&self, space: &str, options: &Options) -> Result<Store> {
        let options = Options { read_only: self.read_only || options.read_only, ..options.clone() };
        Store::open(&self.space_dir(space), &options)
    }

    /// Makes a space unless it is there. It appears whole: it is built aside and renamed.
    ///
    /// # Errors
    /// [`Error::Refused`] for a bad name or where there are left-overs that cannot be read, [`Error::Io`].
    pub fn create_space(&self, space: &str) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        if !is_name(space) {
            let reason =
                format!("`{space}` is not a name: a lower-case letter, then letters, digits and _, at most 64");
            return Err(Error::Refused { code: "bad_name", reason });
        }
        let dir = self.space_dir(space);
        if dir.join(CURRENT).exists() {
            return Ok(());
        }
        if dir.exists() {
            return Err(Error::Missing { file: dir.join(CURRENT), needed_by: format!("space `{space}`") });
        }
        let aside = self.dir.join(SPACES_DIR).join(format!("{space}{PENDING_SUFFIX}"));
        if aside.exists() {
            std::fs::remove_dir_all(&aside).map_err(|e| Error::io("removing", &aside, &e))?;
        }
        create_dir(&aside)?;
        create(&aside)?;
        std::fs::rename(&aside, &dir).map_err(|e| Error::io("renaming", &aside, &e))?;
        crate::files::sync_dir(&self.dir.join(SPACES_DIR))
    }

    /// Opens a space for bulk loading, making it if need be.
    ///
    /// # Errors
    /// As [`DataDir::create_space`] and [`BulkLoader::open`].
    pub fn bulk_load(&self, space: &str, owned_bytes_max: u64) -> Result<BulkLoader> {
        self.create_space(space)?;
        BulkLoader::open(&self.space_dir(space), owned_bytes_max)
    }
}
