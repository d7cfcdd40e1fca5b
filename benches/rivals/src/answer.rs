//! Answers in one shape, so that contenders can be held against each other: numbers by label.
//! Knows how they are compared; knows no contender.

use std::collections::BTreeMap;

/// Numbers by label: of a count one without label, of a distribution one a value, of ids their number and sum.
pub type Answer = BTreeMap<String, f64>;

/// One number.
pub fn single(number: f64) -> Answer {
    Answer::from([(String::new(), number)])
}

/// How many ids there are, their sum, and for those in order the sum of place × id.
pub fn of_ids(ids: &[u32], is_ordered: bool) -> Answer {
    let sum: u64 = ids.iter().map(|&id| u64::from(id)).sum();
    let mut answer = Answer::from([("count".into(), ids.len() as f64), ("sum".into(), sum as f64)]);
    if is_ordered {
        let places: u64 = (1..).zip(ids).map(|(place, &id)| place * u64::from(id)).sum();
        answer.insert("places".into(), places as f64);
    }
    answer
}

/// The numbers of rows by their labels and columns.
pub fn table(rows: impl Iterator<Item = (String, Vec<f64>)>) -> Answer {
    let cells = rows.flat_map(|(label, numbers)| {
        (1..).zip(numbers).map(move |(column, number)| (format!("{label}|{column}"), number))
    });
    cells.collect()
}

/// How many rows a table has.
pub fn row_count(table: &Answer) -> f64 {
    table.keys().filter(|key| key.ends_with("|1")).count() as f64
}

/// What the table shows of an answer: the count, the number of values, or the number itself.
pub fn shown(answer: &Answer) -> f64 {
    match (answer.get(""), answer.get("count")) {
        (Some(number), _) if answer.len() == 1 => *number,
        (_, Some(count)) => *count,
        _ => answer.len() as f64,
    }
}

/// Where two answers differ by more than `tolerance` of themselves; sums of floats may differ in their last digits.
pub fn difference(ours: &Answer, theirs: &Answer, tolerance: f64) -> Option<String> {
    let labels: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    labels.into_iter().find_map(|label| {
        let (a, b) = (ours.get(label).copied(), theirs.get(label).copied());
        let is_near = match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= a.abs().max(b.abs()) * tolerance.max(1e-9),
            (Some(only), None) | (None, Some(only)) => only == 0.0,
            (None, None) => true,
        };
        (!is_near).then(|| format!("`{label}`: {a:?} and {b:?}"))
    })
}
