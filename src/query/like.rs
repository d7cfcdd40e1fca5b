//! LIKE and ILIKE: `%` any characters, `_` one, an escape before either; the whole text must match.
//! Knows characters; ILIKE folds case on both sides as Unicode does.

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    parts: Vec<Part>,
    fold_case: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Char(char),
    One,
    Any,
}

impl Pattern {
    /// Compiles a pattern; `escape` takes the meaning from the character behind it.
    ///
    /// # Errors
    /// An escape with nothing behind it, in words.
    pub fn new(text: &str, escape: Option<char>, fold_case: bool) -> Result<Pattern, String> {
        let mut parts = Vec::new();
        let push_char = |c: char, parts: &mut Vec<Part>| {
            if fold_case {
                parts.extend(c.to_lowercase().map(Part::Char));
            } else {
                parts.push(Part::Char(c));
            }
        };
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                c if Some(c) == escape => match chars.next() {
                    Some(next) => push_char(next, &mut parts),
                    None => return Err("the pattern ends with its escape character".into()),
                },
                '%' if parts.last() == Some(&Part::Any) => {}
                '%' => parts.push(Part::Any),
                '_' => parts.push(Part::One),
                c => push_char(c, &mut parts),
            }
        }
        Ok(Pattern { parts, fold_case })
    }

    /// Whether a whole text matches. Linear in text times parts at worst.
    pub fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> =
            if self.fold_case { text.chars().flat_map(char::to_lowercase).collect() } else { text.chars().collect() };
        let (mut at, mut part) = (0, 0);
        // Where to go on after the last `%`: the part behind it, and the next text place to try.
        let mut retry: Option<(usize, usize)> = None;
        while at < chars.len() {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    retry = Some((part + 1, at));
                    part += 1;
                }
                Some(Part::One) => (at, part) = (at + 1, part + 1),
                Some(Part::Char(c)) if *c == chars[at] => (at, part) = (at + 1, part + 1),
                _ => match retry {
                    Some((after, from)) => {
                        (at, part) = (from + 1, after);
                        retry = Some((after, from + 1));
                    }
                    None => return false,
                },
            }
        }
        self.parts[part..].iter().all(|p| *p == Part::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, wanted: bool) {
        let compiled = Pattern::new(pattern, Some('\\'), false).unwrap();
        assert_eq!(compiled.matches(text), wanted, "{text} LIKE {pattern}");
    }

    #[test]
    fn the_whole_text_must_match() {
        for (pattern, text, wanted) in [
            ("Married%", "Married-civ-spouse", true),
            ("%-repair", "Craft-repair", true),
            ("%gov%", "State-gov", true),
            ("1_th", "10th", true),
            ("1_th", "1st-4th", false),
            ("private", "Private", false),
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("a%b%c", "axxbyybzzc", true),
            ("a%b%c", "axxbyybzz", false),
            ("100\\%", "100%", true),
            ("100\\%", "1000", false),
            ("_", "é", true),
            ("%%%a", "bbba", true),
        ] {
            check(pattern, text, wanted);
        }
    }

    #[test]
    fn ilike_folds_case() {
        let pattern = Pattern::new("%ÄRZTE_", None, true).unwrap();
        assert!(pattern.matches("Die Ärzte!"));
        assert!(!pattern.matches("Die Ärzte"));
    }

    #[test]
    fn a_dangling_escape_is_refused() {
        assert!(Pattern::new("a\\", Some('\\'), false).is_err());
        assert!(Pattern::new("a\\", None, false).is_ok());
    }
}
