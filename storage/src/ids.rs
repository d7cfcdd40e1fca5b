//! The id space: OneIDs, and how they fall into pages, chunks and stripes.
//! Knows arithmetic only.
//!
//! ```text
//!   OneID (u32) = stripe (12 bits) · chunk in stripe (4) · low (16)
//!   page        = 4,096 ids: the unit in which columns are copied on write
//!   chunk       = 65,536 ids: the span of one Roaring container, the unit of a kernel
//!   stripe      = 2^20 ids: the unit of scheduling, checksums and snapshots
//! ```

use serde::{Deserialize, Serialize};

/// The dense number of a profile; never reused, never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OneId(pub u32);

/// The dense number of a value within its tag; never reused, never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub u32);

/// Profiles in one chunk: the span of one Roaring container.
pub const CHUNK_PROFILES: u32 = 1 << 16;
/// Profiles in one stripe.
pub const STRIPE_PROFILES: u32 = 1 << 20;
/// Profiles in one page.
pub const PAGE_PROFILES: u32 = 1 << 12;
/// Chunks in one stripe.
pub const STRIPE_CHUNKS: usize = (STRIPE_PROFILES / CHUNK_PROFILES) as usize;
/// Pages in one stripe.
pub const STRIPE_PAGES: usize = (STRIPE_PROFILES / PAGE_PROFILES) as usize;
/// Pages in one chunk.
pub const CHUNK_PAGES: usize = (CHUNK_PROFILES / PAGE_PROFILES) as usize;
/// 64-bit words of a chunk's bits.
pub const CHUNK_WORDS: usize = CHUNK_PROFILES as usize / 64;
/// 64-bit words of a page's bits.
pub const PAGE_WORDS: usize = PAGE_PROFILES as usize / 64;
/// Most profiles of a space: two OneIDs are kept back as marks.
pub const PROFILES_MAX: u32 = u32::MAX - 1;

const _: () = assert!(STRIPE_PROFILES.is_multiple_of(CHUNK_PROFILES) && CHUNK_PROFILES.is_multiple_of(PAGE_PROFILES));
const _: () = assert!(STRIPE_CHUNKS <= 16, "a stripe's chunks are named by the bits of a u16");

/// The pseudo value whose bitmap holds everyone whose tag is known at all.
pub const KNOWN: ValueId = ValueId(u32::MAX);

/// Stripe that a OneID falls into.
#[inline]
pub fn stripe_of(one_id: u32) -> usize {
    (one_id / STRIPE_PROFILES) as usize
}

/// Stripes needed for `profiles` OneIDs.
#[inline]
pub fn stripes_for(profiles: u32) -> usize {
    profiles.div_ceil(STRIPE_PROFILES) as usize
}

/// Place of a OneID in its stripe.
#[inline]
pub fn in_stripe(one_id: u32) -> u32 {
    one_id % STRIPE_PROFILES
}
