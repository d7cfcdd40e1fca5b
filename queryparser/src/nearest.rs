//! "Did you mean …?": the name nearest to one that does not exist.
//! Optimal string alignment distance: insert, delete, replace, and swap two neighbours.

/// Names longer than this are not compared: a caller's long name must not cost time.
const NAME_CHARACTERS_MAX: usize = 80;

/// The name that `wanted` most probably means, or none if all are too far off: up to three characters may lack, be too
/// many, differ or be swapped, but no more than one in three. Letter case does not count. The first of equals wins.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(wanted)?;
    let allowed = (wanted.len().div_ceil(3)).min(3);
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let Some(candidate) = folded(name) else { continue };
        let most = best.map_or(allowed, |(distance, _)| distance.saturating_sub(1));
        if candidate.len().abs_diff(wanted.len()) > most {
            continue;
        }
        let distance = distance(&wanted, &candidate);
        if distance <= most && distance < candidate.len() && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

fn folded(name: &str) -> Option<Vec<char>> {
    let characters: Vec<char> = name.chars().take(NAME_CHARACTERS_MAX + 1).flat_map(char::to_lowercase).collect();
    (characters.len() <= NAME_CHARACTERS_MAX && !characters.is_empty()).then_some(characters)
}

/// Optimal string alignment distance, three rows at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        let names = ["sex", "age", "has_all", "has_none", "interests", "country_code", "purchase"];
        let check = |wanted: &str, expected: Option<&str>| assert_eq!(nearest(wanted, names), expected, "{wanted}");
        check("sexx", Some("sex"));
        check("has_al", Some("has_all"));
        check("HAS_LAL", Some("has_all"));
        check("intrests", Some("interests"));
        check("purchaes", Some("purchase"));
        check("countrycode", Some("country_code"));
        check("aeg", Some("age"));
        check("wholly_else", None);
        check("x", None);
        check("", None);
        check(&"a".repeat(10_000), None);
    }
}
