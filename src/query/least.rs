//! The least of many, kept while they go by: at most about twice as many are held as are wanted.
//! Knows keys and OneIDs; equal keys go to the lower OneID.

/// So many more than twice the wanted ones are held before they are cut back.
const SPARE: usize = 64;

/// People with the least keys so far.
#[derive(Debug, Clone)]
pub(crate) struct Least<K> {
    wanted: usize,
    kept: Vec<(K, u32)>,
    /// Keys above it are of no use.
    bound: Option<K>,
}

impl<K: Ord + Copy> Least<K> {
    /// Of nobody yet.
    pub(crate) fn new(wanted: usize) -> Least<K> {
        Least { wanted, kept: Vec::new(), bound: None }
    }

    /// How many are wanted.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// The greatest key that may still be among them; none while all may.
    pub(crate) fn bound(&self) -> Option<K> {
        self.bound
    }

    /// Whether somebody with a key may be among them.
    pub(crate) fn takes(&self, key: K) -> bool {
        self.wanted > 0 && self.bound.is_none_or(|bound| key <= bound)
    }

    /// Takes somebody in; true where the bound has become another.
    pub(crate) fn push(&mut self, key: K, one_id: u32) -> bool {
        if !self.takes(key) {
            return false;
        }
        self.kept.push((key, one_id));
        let is_full = self.kept.len() >= 2 * self.wanted + SPARE;
        if is_full {
            self.cut();
        }
        is_full
    }

    /// Takes in whom another has kept.
    pub(crate) fn merge(&mut self, other: Least<K>) {
        other.kept.into_iter().for_each(|(key, one_id)| _ = self.push(key, one_id));
    }

    /// As many as were wanted, the least first.
    pub(crate) fn into_sorted(mut self) -> Vec<(K, u32)> {
        self.cut();
        self.kept.sort_unstable();
        self.kept
    }

    fn cut(&mut self) {
        if self.wanted > 0 && self.kept.len() > self.wanted {
            self.kept.select_nth_unstable(self.wanted - 1);
            self.kept.truncate(self.wanted);
            self.bound = Some(self.kept[self.wanted - 1].0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_are_kept_whatever_the_order() {
        let mut state = 3u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 20
        };
        for wanted in [0, 1, 7, 130, 6000] {
            let people: Vec<(u64, u32)> = (0..5000).map(|one_id| (next() % 1000, one_id)).collect();
            let (mut least, mut other) = (Least::new(wanted), Least::new(wanted));
            people[..2000].iter().for_each(|(key, one_id)| _ = least.push(*key, *one_id));
            people[2000..].iter().rev().for_each(|(key, one_id)| _ = other.push(*key, *one_id));
            assert!(other.kept.len() < 2 * wanted + SPARE);
            least.merge(other);
            let mut expected = people;
            expected.sort_unstable();
            expected.truncate(wanted);
            assert_eq!(least.into_sorted(), expected);
        }
    }
}
