//! The identities of one id type in one stripe: for each OneID its keys, in order of acceptance; changed pages owned.
//! Knows bytes; the table that finds a OneID by key is `index`.
//!
//! ```text
//!   entry of a profile = key (0x00 key)*                      keys hold no 0x00; no bytes = no identity of this type
//!   entry of a page = at:u32 (8-byte units) prefix_len:u16 fixed_len:u16 mode:u32 bytes:u32
//!   page  = prefix pad8 ends[4096] pad8 bytes pad8            the prefix is common to all entries of the page
//!   mode  = 0 nobody · 1 entries of fixed_len for the first bytes/fixed_len slots, no ends · 2, 4 width of ends
//! ```

use crate::codec::pad_to;
use crate::pages::{Entry, Form, PAGE, PagesView, Slot, StripePages, VarPage};

const MODE_FIXED: u32 = 1;
/// Stands between the keys of one profile.
pub(crate) const SEPARATOR: u8 = 0;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Identities of one id type in one stripe.
pub type StripeKeys = StripePages<KeyPages>;
/// Verified identities, ready to read.
pub type KeysView<'a> = PagesView<'a, KeyPages>;

/// How pages of identities are spelled.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyPages;

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

    /// All keys as bytes, in order of acceptance.
    pub(crate) fn to_list(self) -> Vec<Vec<u8>> {
        if self.is_empty() {
            return Vec::new();
        }
        self.to_bytes().split(|b| *b == SEPARATOR).map(<[u8]>::to_vec).collect()
    }

    /// Prefix and rest as one.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [self.prefix, self.rest].concat()
    }
}

impl<'a> KeysView<'a> {
    /// Keys of a place in the stripe.
    pub fn keys(&self, in_stripe: u32) -> Keys<'a> {
        match self.slot(in_stripe) {
            Slot::Owned(entry) => Keys { prefix: &[], rest: entry },
            Slot::Mapped { entry, payload, slot } => mapped_keys(entry, payload, slot).unwrap_or(Keys::NONE),
            Slot::Nobody => Keys::NONE,
        }
    }
}

impl Form for KeyPages {
    type Item = u8;

    fn put(page: &VarPage<u8>, payload: &mut Vec<u8>) -> Entry {
        put_page(page, payload)
    }

    fn is_empty(entry: &Entry) -> bool {
        entry[2] == 0
    }

    fn bytes(entry: &Entry, payload: &[u8]) -> Option<usize> {
        mapped_keys(entry, payload, PAGE - 1)?;
        let [_, lengths, mode, bytes] = entry.map(|word| word as usize);
        let ends_bytes = if entry[2] == MODE_FIXED { 0 } else { PAGE * mode };
        Some((lengths & 0xFFFF).next_multiple_of(8) + ends_bytes + bytes.next_multiple_of(8))
    }

    fn push_slot(entry: &Entry, payload: &[u8], slot: usize, items: &mut Vec<u8>) {
        let keys = mapped_keys(entry, payload, slot).unwrap_or(Keys::NONE);
        if !keys.is_empty() {
            items.extend_from_slice(keys.prefix);
            items.extend_from_slice(keys.rest);
        }
    }
}

fn put_page(page: &VarPage<u8>, payload: &mut Vec<u8>) -> Entry {
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

fn mapped_keys<'a>(entry: &Entry, payload: &'a [u8], slot: usize) -> Option<Keys<'a>> {
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
