//! How often each code of a page occurs, among its members and among all others, in one pass over the page.
//! Knows codes of one byte and bits.
#![allow(unsafe_code)] // the dispatch by level

use storage::ids::PAGE_PROFILES;

use super::codes::PageBits;
use super::level::at_levels;

/// Codes below it can be counted: the bit that they leave says who is a member.
pub const SMALL_CODES: u64 = 1 << 7;

const MEMBER: u8 = 1 << 7;
const PAGE: usize = PAGE_PROFILES as usize;

/// How often each small code was met: of members, and of others.
pub struct SmallCounts {
    /// Taken in turn, for an increment need not wait for the one before of the same code.
    tables: [[u32; 2 * SMALL_CODES as usize]; 4],
}

impl Default for SmallCounts {
    fn default() -> SmallCounts {
        SmallCounts { tables: [[0; 2 * SMALL_CODES as usize]; 4] }
    }
}

impl SmallCounts {
    /// How often a code was met of members, and how often at all.
    pub fn of(&self, code: usize) -> (u32, u32) {
        let met = |at: usize| self.tables.iter().map(|table| table[at]).sum::<u32>();
        let members = met(code | usize::from(MEMBER));
        (members, met(code) + members)
    }
}

at_levels! {
    /// Counts the codes of a page, all of them below [`SMALL_CODES`].
    pub fn count_small(codes: &[u8], members: &PageBits, counts: &mut SmallCounts) {
        let mut marked = [0u8; PAGE];
        let words = marked.as_chunks_mut::<64>().0.iter_mut().zip(codes.as_chunks::<64>().0).zip(members);
        for ((marked, codes), word) in words {
            let eights = marked.as_chunks_mut::<8>().0.iter_mut().zip(codes.as_chunks::<8>().0);
            for ((marked, codes), bits) in eights.zip(word.to_le_bytes()) {
                for at in 0..8 {
                    let member = if bits & (1 << at) != 0 { MEMBER } else { 0 };
                    marked[at] = codes[at] | member;
                }
            }
        }
        for eight in marked.as_chunks::<8>().0 {
            for (code, at) in eight.iter().zip(0..) {
                let count = &mut counts.tables[at % 4][usize::from(*code)];
                *count = count.wrapping_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::at_each_level;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
        #[test]
        fn codes_are_counted_as_one_by_one(seed in any::<u64>(), spread in 1u64..=SMALL_CODES) {
            let mix = |slot: u64| slot.wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
            let codes: Vec<u8> = (0..PAGE as u64).map(|slot| (mix(slot) % spread) as u8).collect();
            let members: PageBits = std::array::from_fn(|word| mix(word as u64 + 9_999) & mix(word as u64 + 77));
            at_each_level(|level| {
                let mut counts = SmallCounts::default();
                count_small(&codes, &members, &mut counts);
                count_small(&codes, &[0; PAGE / 64], &mut counts);
                for code in 0..SMALL_CODES as usize {
                    let of_code = |slot: &usize| usize::from(codes[*slot]) == code;
                    let is_member = |slot: &usize| members[slot / 64] >> (slot % 64) & 1 == 1;
                    let all = (0..PAGE).filter(of_code).count();
                    let wanted = ((0..PAGE).filter(of_code).filter(is_member).count() as u32, 2 * all as u32);
                    assert_eq!(counts.of(code), wanted, "{level:?} {code}");
                }
            });
        }
    }
}
