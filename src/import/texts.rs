//! Texts to codes: the growing dictionary behind one column of a reader, of an export or of a batch of upserts.
//! Knows texts; knows no column.
//!
//! A reader's dictionary is kept from frame to frame while it is small, so that whoever empties the frames can see by the
//! `Arc` that nothing is new; past [`TEXTS_KEPT_MAX`] it is begun afresh, so that it never grows with the file.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Texts in a dictionary that is still kept for the next frame.
const TEXTS_KEPT_MAX: usize = 1 << 16;
const EMPTY: u32 = u32::MAX;

/// Distinct texts and the code of each.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    dictionary: Arc<Vec<Box<str>>>,
    /// Open addressing over places in `dictionary`; at least twice as long.
    slots: Vec<u32>,
}

impl Texts {
    /// The code of a text, new or not.
    pub(crate) fn code(&mut self, text: &str) -> u32 {
        if self.slots.len() < 2 * (self.dictionary.len() + 1) {
            self.grow();
        }
        let slot = match self.find(text) {
            Ok(code) => return code,
            Err(slot) => slot,
        };
        let code = self.dictionary.len() as u32;
        // Copies the texts once a frame, if the last frame still holds them.
        Arc::make_mut(&mut self.dictionary).push(text.into());
        self.slots[slot] = code;
        code
    }

    /// The texts as of now.
    pub(crate) fn dictionary(&self) -> Arc<Vec<Box<str>>> {
        Arc::clone(&self.dictionary)
    }

    /// Begins afresh if there are too many texts to keep. Codes given before mean nothing after. True where it did.
    pub(crate) fn end_frame(&mut self) -> bool {
        let full = self.dictionary.len() > TEXTS_KEPT_MAX;
        if full {
            *self = Texts::default();
        }
        full
    }

    fn find(&self, text: &str) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = xxh3_64(text.as_bytes()) as usize & mask;
        loop {
            match self.slots[slot] {
                EMPTY => return Err(slot),
                code if *self.dictionary[code as usize] == *text => return Ok(code),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(64);
        self.slots = vec![EMPTY; length];
        for code in 0..self.dictionary.len() {
            let text = Arc::clone(&self.dictionary);
            let slot = self.find(&text[code]).expect_err("a dictionary's texts are distinct");
            self.slots[slot] = code as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_code() {
        let mut texts = Texts::default();
        let codes: Vec<u32> = (0..1000).map(|n| texts.code(&format!("t{}", n % 300))).collect();
        assert!(codes.iter().enumerate().all(|(n, code)| *code == (n % 300) as u32));
        assert_eq!(texts.dictionary().len(), 300);
    }

    #[test]
    fn a_dictionary_is_shared_while_nothing_is_new() {
        let mut texts = Texts::default();
        texts.code("a");
        let first = texts.dictionary();
        texts.code("a");
        assert!(Arc::ptr_eq(&first, &texts.dictionary()));
        texts.code("b");
        assert_eq!(first.len(), 1);
        assert_eq!(texts.dictionary().len(), 2);
    }

    #[test]
    fn a_large_dictionary_is_begun_afresh() {
        let mut texts = Texts::default();
        for n in 0..=TEXTS_KEPT_MAX {
            texts.code(&n.to_string());
        }
        assert!(texts.end_frame());
        assert_eq!(texts.code("x"), 0);
    }
}
