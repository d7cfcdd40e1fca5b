//! Kernels: pure functions over the words, ids and codes of one chunk or page.
//! Know slices; know nothing of tags, plans or files. Each has a naive twin in the tests, which hold it at every level.
//!
//! ```text
//!   level   baseline · AVX2 · AVX-512: found once at run time; one body, three copies
//!   words   bits against bits: AND of many at once, OR of many, counts
//!   ids     sorted ids against ids and bits; bits to ids
//!   program many sets of a chunk joined in many ways, block by block, and counts of what comes out
//!   codes   pages of a column: ranges, look-ups, sums
//!   spans   rows profile by profile: which stand before and after which
//!   seen    different values of each id, a few
//!   x86     the few by hand, where the compiler's vectors fall short
//! ```
//! Loops that follow ids into bits stay scalar and outside of the copies: as gathers they are four times slower.

mod level;

mod codes;
mod histogram;
mod ids;
mod program;
mod seen;
mod spans;
mod words;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use codes::{
    CodeSet, Known, MEAN_SUM_BITS, PageBits, PagePlaces, Sums, bucket_hash, bucket_hashes, code_set, known, lookup,
    means, range, range_i64, range_u16, range_u32, sum_and_count, sums, write_places,
};
pub use histogram::{SMALL_CODES, SmallCounts, count_small};
pub use ids::{
    WRITTEN_BEYOND, and_not_ids, count_in_bits, count_in_ids, fetch, fetch_list, for_each_bit, push_bits,
    retain_in_container, write_bits,
};
pub use level::{Level, level};
pub use program::{Operand, Program, Room};
pub use seen::{SEEN_MAX, see, seen_count};
pub use spans::{NO_ROW, after, before, push_nearest_before, push_ranks, push_span_bounds, push_span_owners};
pub use words::{
    TERMS_MAX, Term, and_assign, and_count_page, and_not_assign, and_terms, and_terms_count, count, drain, fill,
    or_all, or_container,
};

#[cfg(test)]
pub(crate) use level::at_each_level;
