//! The identities of one id type in one stripe: for each OneID its keys, in order of acceptance; changed pages owned.
//! Knows bytes; the table that finds a OneID by key is `index`.
//!
//! ```text
//!   entry of a profile = key (0x00 key)*                      keys hold no 0x00; no bytes = no identity of this type
//!   part  = page_count:u32 0:u32 entry{page_count} payload
//!   entry = at:u32 (8-byte units) prefix_len:u16 fixed_len:u16 mode:u32 bytes:u32
//!   page  = prefix pad8 ends[4096] pad8 bytes pad8            the prefix is common to all entries of the page
//!   mode  = 0 nobody · 1 entries of fixed_len for the first bytes/fixed_len slots, no ends · 2, 4 width of ends
//! ```

use std::sync::Arc;

use crate::codec::{pad_to, put_u32};
use crate::error::Result;
use crate::ids::{PAGE_PROFILES, STRIPE_PAGES};
use crate::pack::Part;
use crate::varpage::VarPage;

const PAGE: usize = PAGE_PROFILES as usize;
const HEADER_BYTES: usize = 8;
const MODE_FIXED: u32 = 1;
/// Stands between the keys of one profile.
pub(crate) const SEPARATOR: u8 = 0;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Identities of one id type in one stripe.
#[derive(Debug, Clone, Default)]
pub struct StripeKeys {
    base: Option<Arc<Part>>,
    owned: Vec<Option<Arc<VarPage<u8>>>>,
}

/// Verified identities, ready to read.
#[derive(Debug, Clone, Copy)]
pub struct KeysView<'a> {
    entries: &'a [[u32; 4]],
    payload: &'a [u8],
    owned: &'a [Option<Arc<VarPage<u8>>>],
}

/// The keys of one profile: a prefix that its page shares, and the rest.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    prefix: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Keys<'a> {
    const NONE: Keys<'static> = Keys { prefix: &[], rest: &[] };

    /// Whether the profile has no identity of this type.
    pub fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// Appends the first accepted key.
    pub fn push_first(self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            // The separator, if any, is never in the prefix alone: every entry is longer than the prefix.
            let start = out.len();
            out.extend_from_slice(self.prefix);
            out.extend_from_slice(self.rest);
            if let Some(end) = out[start..].iter().position(|b| *b == SEPARATOR) {
                out.truncate(start + end);
            }
        }
    }

    /// Whether a key is among them.
    pub fn contains(self, key: &[u8]) -> bool {
        if self.is_empty() {
            return false;
        }
        if let Some(rest) = key.strip_prefix(self.prefix)
            && rest == self.rest
        {
            return true;
        }
        let has_more = self.rest.contains(&SEPARATOR) || self.prefix.contains(&SEPARATOR);
        has_more && self.to_bytes().split(|b| *b == SEPARATOR).any(|k| k == key)
    }

    /// All keys, in order of acceptance.
    pub fn to_texts(self) -> Vec<String> {
        if self.is_empty() {
            return Vec::new();
        }
        self.to_bytes().split(|b| *b == SEPARATOR).map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// Prefix and rest as one.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [self.prefix, self.rest].concat()
    }
}

impl StripeKeys {
    /// The identities as a store snapshot has them.
    pub fn mapped(part: Arc<Part>) -> StripeKeys {
        StripeKeys { base: Some(part), owned: Vec::new() }
    }

    /// The mapped part below, if any.
    pub fn base(&self) -> Option<&Arc<Part>> {
        self.base.as_ref()
    }

    /// Whether nothing has changed since the part was written.
    pub fn is_mapped_only(&self) -> bool {
        self.owned.is_empty()
    }

    /// Bytes of owned pages.
    pub fn owned_bytes(&self) -> usize {
        self.owned.len() * 8 + self.owned.iter().flatten().map(|p| p.heap_bytes() + 64).sum::<usize>()
    }

    /// Verifies the part (once) and gives what can be read.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn open(&self) -> Result<KeysView<'_>> {
        let (entries, payload) = match &self.base {
            None => (&[][..], &[][..]),
            Some(part) => read_part(part.bytes_checked(check_part)?).unwrap_or((&[], &[])),
        };
        Ok(KeysView { entries, payload, owned: &self.owned })
    }

    /// Replaces whole entries of a page; sorted by slot, each once.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn apply(&mut self, page: usize, changes: &[(u16, &[u8])]) -> Result<()> {
        let next = match self.owned.get(page) {
            Some(Some(owned)) => owned.with(changes),
            _ => self.open()?.owned_copy(page).with(changes),
        };
        if self.owned.is_empty() {
            self.owned.resize(STRIPE_PAGES, None);
        }
        self.owned[page] = Some(Arc::new(next));
        Ok(())
    }

    /// The part that a store snapshot keeps; `None` when nobody has an identity of this type.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn encode(&self) -> Result<Option<Vec<u8>>> {
        let view = self.open()?;
        let pages = view.entries.len().max(self.owned.len());
        let (mut entries, mut payload) = (Vec::new(), Vec::new());
        for page in 0..pages {
            let copy;
            let page = match self.owned.get(page) {
                Some(Some(owned)) => owned.as_ref(),
                _ => {
                    copy = view.owned_copy(page);
                    &copy
                }
            };
            entries.push(put_page(page, &mut payload));
        }
        let Some(last) = entries.iter().rposition(|e| e[2] > 0) else { return Ok(None) };
        entries.truncate(last + 1);
        let mut out = Vec::with_capacity(HEADER_BYTES + entries.len() * 16 + payload.len());
        put_u32(&mut out, entries.len() as u32);
        put_u32(&mut out, 0);
        entries.as_flattened().iter().for_each(|word| put_u32(&mut out, *word));
        out.extend_from_slice(&payload);
        Ok(Some(out))
    }
}

impl<'a> KeysView<'a> {
    /// Keys of a place in the stripe.
    pub fn keys(&self, in_stripe: u32) -> Keys<'a> {
        let (page, slot) = ((in_stripe / PAGE_PROFILES) as usize, (in_stripe % PAGE_PROFILES) as usize);
        if let Some(Some(owned)) = self.owned.get(page) {
            return Keys { prefix: &[], rest: owned.get(slot) };
        }
        self.entries.get(page).and_then(|entry| mapped_keys(entry, self.payload, slot)).unwrap_or(Keys::NONE)
    }

    fn owned_copy(&self, page: usize) -> VarPage<u8> {
        let first = page as u32 * PAGE_PROFILES;
        VarPage::build(|slot, items| {
            let keys = self.keys(first + slot as u32);
            if !keys.is_empty() {
                items.extend_from_slice(keys.prefix);
                items.extend_from_slice(keys.rest);
            }
        })
    }
}

fn put_page(page: &VarPage<u8>, payload: &mut Vec<u8>) -> [u32; 4] {
    let present: Vec<&[u8]> = (0..PAGE).map(|slot| page.get(slot)).collect();
    let Some(last) = present.iter().rposition(|e| !e.is_empty()) else { return [0; 4] };
    let prefix = common_prefix(&present[..=last]);
    let first_len = present[0].len();
    let fixed = first_len <= usize::from(u16::MAX) && present[..=last].iter().all(|e| e.len() == first_len);
    let at = payload.len() as u32 / 8;
    payload.extend_from_slice(prefix);
    pad_to(payload, 8);
    let rests: Vec<&[u8]> = present.iter().map(|e| e.get(prefix.len()..).unwrap_or(&[])).collect();
    let bytes: usize = rests.iter().map(|r| r.len()).sum();
    let (mode, fixed_len) = match (fixed, bytes) {
        (true, _) => (MODE_FIXED, first_len - prefix.len()),
        (false, 0..=0xFFFF) => (2, 0),
        (false, _) => (4, 0),
    };
    if mode != MODE_FIXED {
        let mut end = 0u32;
        for rest in &rests {
            end += rest.len() as u32;
            payload.extend_from_slice(&end.to_le_bytes()[..mode as usize]);
        }
        pad_to(payload, 8);
    }
    rests.iter().for_each(|rest| payload.extend_from_slice(rest));
    pad_to(payload, 8);
    [at, prefix.len() as u32 | (fixed_len as u32) << 16, mode, bytes as u32]
}

/// Common start of all entries, shorter than each of them so that a rest is never empty.
fn common_prefix<'a>(entries: &[&'a [u8]]) -> &'a [u8] {
    let mut present = entries.iter().filter(|e| !e.is_empty());
    let Some(first) = present.next() else { return &[] };
    let mut length = first.len() - 1;
    for entry in present {
        length = length.min(entry.len() - 1);
        length = first[..length].iter().zip(*entry).take_while(|(a, b)| a == b).count();
    }
    &first[..length.min(usize::from(u16::MAX))]
}

fn mapped_keys<'a>(entry: &[u32; 4], payload: &'a [u8], slot: usize) -> Option<Keys<'a>> {
    let [at, lengths, mode, bytes] = *entry;
    let (prefix_len, fixed_len) = ((lengths & 0xFFFF) as usize, (lengths >> 16) as usize);
    let page = payload.get(at as usize * 8..)?;
    let prefix = page.get(..prefix_len)?;
    let after_prefix = page.get(prefix_len.next_multiple_of(8)..)?;
    let (start, end, rests) = match mode {
        MODE_FIXED => {
            let start = slot * fixed_len;
            if start >= bytes as usize {
                return Some(Keys::NONE);
            }
            (start, start + fixed_len, after_prefix.get(..bytes as usize)?)
        }
        2 | 4 => {
            let ends_bytes = PAGE * mode as usize;
            let ends = after_prefix.get(..ends_bytes)?;
            let end_of = |slot: usize| -> Option<usize> {
                Some(match mode {
                    2 => bytemuck::try_cast_slice::<u8, u16>(ends).ok()?[slot].into(),
                    _ => bytemuck::try_cast_slice::<u8, u32>(ends).ok()?[slot] as usize,
                })
            };
            let start = if slot == 0 { 0 } else { end_of(slot - 1)? };
            (start, end_of(slot)?, after_prefix.get(ends_bytes..ends_bytes + bytes as usize)?)
        }
        _ => return None,
    };
    let rest = rests.get(start..end)?;
    Some(if rest.is_empty() { Keys::NONE } else { Keys { prefix, rest } })
}

fn read_part(bytes: &[u8]) -> Option<(&[[u32; 4]], &[u8])> {
    let page_count = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let entries_end = HEADER_BYTES + page_count.checked_mul(16)?;
    Some((bytemuck::try_cast_slice(bytes.get(HEADER_BYTES..entries_end)?).ok()?, bytes.get(entries_end..)?))
}

fn check_part(bytes: &[u8]) -> Result<(), String> {
    let (entries, payload) = read_part(bytes).ok_or("a page directory that does not fit")?;
    if entries.len() > STRIPE_PAGES {
        return Err(format!("{} pages in a stripe", entries.len()));
    }
    let broken = |entry: &[u32; 4]| entry[2] != 0 && mapped_keys(entry, payload, PAGE - 1).is_none();
    match entries.iter().position(broken) {
        Some(page) => Err(format!("page {page} outside of the part")),
        None => Ok(()),
    }
}
