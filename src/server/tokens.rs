//! Tokens: who may do what in which spaces. Secrets are shown once and kept as hashes.
//! Knows `tokens.json` and roles; which route needs which role is `routes`' matter.
//!
//! ```text
//!   token       = hc_<id: 8 hex>_<secret: 64 hex>          256 random bits
//!   tokens.json = {"format": 1, "tokens": [{"id", "name", "role", "spaces": [..] | null, "sha256", "created"}]}
//! ```
//! A token is found by its id and accepted by the hash of its whole text, compared in constant time.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The file within the data directory.
pub const TOKENS_FILE: &str = "tokens.json";
const FORMAT: u32 = 1;
const NAME_BYTES_MAX: usize = 64;

/// What a token may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask.
    Read,
    /// Ask, and change people.
    Write,
    /// All of that, and schemas, snapshots and erasing.
    Admin,
}

impl Role {
    /// As the file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Public part of the token.
    pub id: String,
    /// What people know it by.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where; everywhere unless said.
    pub spaces: Option<Vec<String>>,
    /// Of the token's whole text, in hex.
    pub sha256: String,
    /// When it was made, in UTC.
    pub created: String,
}

impl TokenEntry {
    /// Whether it may touch a space.
    pub fn covers(&self, space: &str) -> bool {
        self.spaces.as_ref().is_none_or(|spaces| spaces.iter().any(|s| s == space))
    }
}

impl fmt::Display for TokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spaces = self.spaces.as_ref().map_or("all spaces".into(), |spaces| spaces.join(", "));
        write!(f, "{}  {}  {}  hc_{}_…  {}", self.name, self.role.name(), spaces, self.id, self.created)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct TokenFile {
    format: u32,
    tokens: Vec<TokenEntry>,
}

/// Why the list of tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TokenFileError {
    #[error("{doing} {}: {reason}", path.display())]
    Io { doing: &'static str, path: PathBuf, reason: String },
    #[error("{} is not a list of tokens: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{0}")]
    Refused(String),
}

type Result<T> = std::result::Result<T, TokenFileError>;

/// Makes a token and gives its text, which is kept nowhere. No `spaces` means all.
///
/// # Errors
/// [`TokenFileError`]; a name that is taken, or a space that is not a name.
pub fn create_token(data_dir: &Path, role: Role, spaces: &[String], name: &str) -> Result<String> {
    let refuse = |text: String| Err(TokenFileError::Refused(text));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return refuse(format!("a token's name is 1 to {NAME_BYTES_MAX} bytes of text"));
    }
    if let Some(bad) = spaces.iter().find(|space| !storage::schema::is_name(space)) {
        return refuse(format!("`{bad}` is not a space's name"));
    }
    fs::create_dir_all(data_dir).map_err(|e| io("making", data_dir, &e))?;
    let mut tokens = list_tokens(data_dir)?;
    if tokens.iter().any(|token| token.name == name) {
        return refuse(format!("there is a token named `{name}` already; revoke it first"));
    }
    let mut random = [0u8; 36];
    getrandom::fill(&mut random).map_err(|e| TokenFileError::Refused(format!("no random numbers: {e}")))?;
    let (id, secret) = (hex(&random[..4]), hex(&random[4..]));
    let text = format!("hc_{id}_{secret}");
    let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let spaces = (!spaces.is_empty()).then(|| spaces.to_vec());
    tokens.push(TokenEntry { id, name: name.into(), role, spaces, sha256: hash(&text), created });
    write_tokens(data_dir, tokens)?;
    Ok(text)
}

/// All tokens, in the order in which they were made.
///
/// # Errors
/// [`TokenFileError`]; no file is no tokens.
pub fn list_tokens(data_dir: &Path) -> Result<Vec<TokenEntry>> {
    let path = data_dir.join(TOKENS_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io("reading", &path, &e)),
    };
    let damaged = |reason: String| TokenFileError::Damaged { path: path.clone(), reason };
    let file: TokenFile = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if file.format != FORMAT {
        return Err(damaged(format!("its format is {}, this headcount reads {FORMAT}", file.format)));
    }
    Ok(file.tokens)
}

/// Takes a token back by its name. A running server notices within seconds.
///
/// # Errors
/// [`TokenFileError`]; no token of that name.
pub fn revoke_token(data_dir: &Path, name: &str) -> Result<()> {
    let mut tokens = list_tokens(data_dir)?;
    let before = tokens.len();
    tokens.retain(|token| token.name != name);
    if tokens.len() == before {
        return Err(TokenFileError::Refused(format!("there is no token named `{name}`")));
    }
    write_tokens(data_dir, tokens)
}

/// Written aside, synced, renamed, and the directory synced: a crash leaves the old list or the new one.
fn write_tokens(data_dir: &Path, tokens: Vec<TokenEntry>) -> Result<()> {
    let path = data_dir.join(TOKENS_FILE);
    let aside = data_dir.join(format!("{TOKENS_FILE}.new"));
    let text = serde_json::to_string_pretty(&TokenFile { format: FORMAT, tokens }).unwrap_or_default();
    let written = || {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(data_dir)?.sync_all()
    };
    written().map_err(|e| io("writing", &path, &e))
}

fn io(doing: &'static str, path: &Path, error: &std::io::Error) -> TokenFileError {
    TokenFileError::Io { doing, path: path.into(), reason: error.to_string() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// The tokens of a running server.
pub(super) struct TokenGuard {
    data_dir: PathBuf,
    is_loopback: bool,
    tokens: RwLock<Vec<TokenEntry>>,
    seen: Mutex<Option<Stamp>>,
}

/// By which a changed file is told.
type Stamp = (Option<SystemTime>, u64);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// No tokens are configured: whoever is on this machine.
    Anyone,
    /// The bearer of a token.
    Bearer(TokenEntry),
    /// Tokens are configured and none was shown: only what is open to all.
    Nobody,
}

impl Caller {
    pub(super) fn covers(&self, space: &str) -> bool {
        match self {
            Caller::Anyone => true,
            Caller::Bearer(token) => token.covers(space),
            Caller::Nobody => false,
        }
    }

    pub(super) fn may(&self, role: Role) -> bool {
        match self {
            Caller::Anyone => true,
            Caller::Bearer(token) => token.role >= role,
            Caller::Nobody => false,
        }
    }

    /// The name of its token, if it has one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Caller::Bearer(token) => Some(&token.name),
            Caller::Anyone | Caller::Nobody => None,
        }
    }

    /// Whether it may see that other spaces exist.
    pub(super) fn covers_all(&self) -> bool {
        matches!(self, Caller::Anyone | Caller::Bearer(TokenEntry { spaces: None, .. }))
    }
}

impl TokenGuard {
    pub(super) fn load(data_dir: &Path, is_loopback: bool) -> Result<TokenGuard> {
        let seen = stamp(data_dir);
        let tokens = list_tokens(data_dir)?;
        Ok(TokenGuard { data_dir: data_dir.into(), is_loopback, tokens: RwLock::new(tokens), seen: Mutex::new(seen) })
    }

    /// Whether nobody could be let in.
    pub(super) fn is_locked_out(&self) -> bool {
        !self.is_loopback && self.tokens.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Reads the file again if it is another. A list that cannot be read leaves the last one in force.
    pub(super) fn reload_if_changed(&self) {
        let now = stamp(&self.data_dir);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        match list_tokens(&self.data_dir) {
            Ok(tokens) => *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens,
            Err(error) => eprintln!("headcount: the list of tokens stays as it was: {error}"),
        }
    }

    /// Who bears this token; none where tokens are needed and this is not one.
    pub(super) fn caller(&self, bearer: Option<&str>) -> Option<Caller> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        if tokens.is_empty() && self.is_loopback {
            return Some(Caller::Anyone);
        }
        let text = bearer?;
        let found = hash(text);
        // All are compared, each in constant time: neither ids nor hashes can be felt out.
        let mut caller = None;
        for token in tokens.iter() {
            if bool::from(token.sha256.as_bytes().ct_eq(found.as_bytes())) {
                caller = Some(Caller::Bearer(token.clone()));
            }
        }
        caller
    }
}

fn stamp(data_dir: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(data_dir.join(TOKENS_FILE)).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_made_found_and_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let guard = TokenGuard::load(dir.path(), true).unwrap();
        assert_eq!(guard.caller(None), Some(Caller::Anyone));
        let secret = create_token(dir.path(), Role::Write, &["main".into()], "loader").unwrap();
        assert!(create_token(dir.path(), Role::Read, &[], "loader").is_err(), "the name is taken");
        assert!(create_token(dir.path(), Role::Read, &["No".into()], "x").is_err(), "not a name");
        guard.reload_if_changed();
        assert_eq!(guard.caller(None), None);
        assert_eq!(guard.caller(Some("hc_00000000_00")), None);
        let caller = guard.caller(Some(&secret)).unwrap();
        assert!(caller.may(Role::Read) && caller.may(Role::Write) && !caller.may(Role::Admin));
        assert!(caller.covers("main") && !caller.covers("other") && !caller.covers_all());
        let kept = fs::read_to_string(dir.path().join(TOKENS_FILE)).unwrap();
        assert!(!kept.contains(secret.rsplit('_').next().unwrap()), "the secret is not kept");
        assert!(list_tokens(dir.path()).unwrap()[0].to_string().starts_with("loader  write  main  hc_"));
        revoke_token(dir.path(), "loader").unwrap();
        assert!(revoke_token(dir.path(), "loader").is_err());
        let open = TokenGuard::load(dir.path(), false).unwrap();
        assert!(open.is_locked_out() && open.caller(None).is_none());
    }

    #[test]
    fn a_damaged_list_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{}", r#"{"format": 2, "tokens": []}"#, r#"{"format": 1, "tokens": [{}]}"#] {
            fs::write(dir.path().join(TOKENS_FILE), text).unwrap();
            assert!(TokenGuard::load(dir.path(), true).is_err(), "{text}");
        }
    }
}
