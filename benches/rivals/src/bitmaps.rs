//! The bitmap libraries, one operation at a time over whole bitmaps, each used as well as it allows: ANDs from the
//! smallest up and in place, ORs of many by the library's own, the last operation of a count without a result.
//! Knows set algebra; knows no store.

use std::collections::HashMap;
use std::time::Instant;

use roaring::{MultiOps, RoaringBitmap};

use crate::answer::{self, Answer};
use crate::questions::{Algebra, Kind, Question};
use crate::taken::Taken;

/// What is asked of a library.
pub trait Bitmap: Clone {
    /// Of ascending ids, in the library's smallest form.
    fn of(ids: &[u32]) -> Self;
    /// How many.
    fn len(&self) -> u64;
    /// Keeps those in both.
    fn and(&mut self, other: &Self);
    /// Those in both.
    fn both(&self, other: &Self) -> Self;
    /// Keeps those not in the other.
    fn minus(&mut self, other: &Self);
    /// Those not in the other.
    fn without(&self, other: &Self) -> Self;
    /// How many are in both.
    fn and_len(&self, other: &Self) -> u64;
    /// How many are in either.
    fn or_len(&self, other: &Self) -> u64;
    /// How many are not in the other.
    fn minus_len(&self, other: &Self) -> u64;
    /// Those in any.
    fn any(of: &[&Self]) -> Self;
    /// Its ids.
    fn ids(&self) -> Vec<u32>;
}

impl Bitmap for RoaringBitmap {
    fn of(ids: &[u32]) -> Self {
        let mut bitmap = RoaringBitmap::from_sorted_iter(ids.iter().copied()).expect("ids ascend");
        bitmap.optimize();
        bitmap
    }
    fn len(&self) -> u64 {
        RoaringBitmap::len(self)
    }
    fn and(&mut self, other: &Self) {
        *self &= other;
    }
    fn both(&self, other: &Self) -> Self {
        self & other
    }
    fn minus(&mut self, other: &Self) {
        *self -= other;
    }
    fn without(&self, other: &Self) -> Self {
        self - other
    }
    fn and_len(&self, other: &Self) -> u64 {
        self.intersection_len(other)
    }
    fn or_len(&self, other: &Self) -> u64 {
        self.union_len(other)
    }
    fn minus_len(&self, other: &Self) -> u64 {
        self.difference_len(other)
    }
    fn any(of: &[&Self]) -> Self {
        of.iter().copied().union()
    }
    fn ids(&self) -> Vec<u32> {
        let mut ids = vec![0; RoaringBitmap::len(self) as usize];
        let filled = self.iter().next_many(&mut ids).len();
        assert_eq!(filled, ids.len());
        ids
    }
}

impl Bitmap for croaring::Bitmap {
    fn of(ids: &[u32]) -> Self {
        let mut bitmap = croaring::Bitmap::of(ids);
        bitmap.run_optimize();
        bitmap.shrink_to_fit();
        bitmap
    }
    fn len(&self) -> u64 {
        self.cardinality()
    }
    fn and(&mut self, other: &Self) {
        self.and_inplace(other);
    }
    fn both(&self, other: &Self) -> Self {
        croaring::Bitmap::and(self, other)
    }
    fn minus(&mut self, other: &Self) {
        self.andnot_inplace(other);
    }
    fn without(&self, other: &Self) -> Self {
        self.andnot(other)
    }
    fn and_len(&self, other: &Self) -> u64 {
        self.and_cardinality(other)
    }
    fn or_len(&self, other: &Self) -> u64 {
        self.or_cardinality(other)
    }
    fn minus_len(&self, other: &Self) -> u64 {
        self.andnot_cardinality(other)
    }
    fn any(of: &[&Self]) -> Self {
        croaring::Bitmap::fast_or(of)
    }
    fn ids(&self) -> Vec<u32> {
        self.to_vec()
    }
}

struct Tag<B> {
    values: HashMap<String, B>,
    known: B,
}

/// A library with the bitmaps of a population.
pub struct Library<B> {
    tags: HashMap<String, Tag<B>>,
    everyone: B,
    nobody: B,
}

/// A bitmap that is held, or one made on the way.
enum Found<'a, B> {
    Held(&'a B),
    Made(B),
}

impl<B: Bitmap> Found<'_, B> {
    fn get(&self) -> &B {
        match self {
            Found::Held(bitmap) => bitmap,
            Found::Made(bitmap) => bitmap,
        }
    }

    fn and(self, other: &B) -> Self {
        match self {
            Found::Held(bitmap) => Found::Made(bitmap.both(other)),
            Found::Made(mut bitmap) => {
                bitmap.and(other);
                Found::Made(bitmap)
            }
        }
    }

    fn minus(self, other: &B) -> Self {
        match self {
            Found::Held(bitmap) => Found::Made(bitmap.without(other)),
            Found::Made(mut bitmap) => {
                bitmap.minus(other);
                Found::Made(bitmap)
            }
        }
    }
}

impl<B: Bitmap> Library<B> {
    /// A library in which everyone is, and nothing is known of anyone.
    pub fn new(everyone: &[u32]) -> Library<B> {
        Library { tags: HashMap::new(), everyone: B::of(everyone), nobody: B::of(&[]) }
    }

    /// Adds a tag.
    pub fn add(&mut self, taken: &Taken) {
        let values = taken.values.iter().map(|(text, ids)| (text.clone(), B::of(ids))).collect();
        self.tags.insert(taken.tag.clone(), Tag { values, known: B::of(&taken.known) });
    }

    /// Answers a question and says how long that took, in milliseconds.
    pub fn ask(&self, question: &Question) -> Option<(f64, Answer)> {
        let algebra = question.bitmaps.as_ref()?;
        let start = Instant::now();
        let elapsed_ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
        Some(match &question.kind {
            Kind::Count => {
                let count = self.count(algebra);
                (elapsed_ms(start), answer::single(count as f64))
            }
            Kind::Ids => {
                let ids = self.find(algebra).get().ids();
                (elapsed_ms(start), answer::of_ids(&ids, false))
            }
            Kind::Distribution { tag, bin_width } => {
                let is_set = question.json["is_set"] == true;
                let counts = self.distribution(algebra, tag, is_set);
                (elapsed_ms(start), binned(counts, *bin_width))
            }
            Kind::Crosstab { rows, columns } => {
                let counts = self.crosstab(algebra, rows, columns);
                let cells = counts.into_iter().map(|(row, column, n)| (format!("{row}|{column}"), n as f64));
                (elapsed_ms(start), cells.collect())
            }
            Kind::Average { .. }
            | Kind::Quantile { .. }
            | Kind::Top { .. }
            | Kind::Series { .. }
            | Kind::Table { .. } => return None,
        })
    }

    fn distribution(&self, audience: &Algebra, tag: &str, is_set: bool) -> Vec<(&str, u64)> {
        let audience = self.find(audience);
        let tag = &self.tags[tag];
        let mut counts: Vec<(&str, u64)> =
            tag.values.iter().map(|(text, bitmap)| (text.as_str(), audience.get().and_len(bitmap))).collect();
        if !is_set {
            let known: u64 = counts.iter().map(|(_, count)| count).sum();
            counts.push(("", audience.get().len() - known));
        }
        counts
    }

    fn crosstab(&self, audience: &Algebra, rows: &str, columns: &str) -> Vec<(&str, &str, u64)> {
        let audience = self.find(audience);
        let (rows, columns) = (&self.tags[rows], &self.tags[columns]);
        let unknown = ("", audience.get().without(&columns.known));
        let known = columns.values.iter().map(|(text, bitmap)| (text.as_str(), audience.get().both(bitmap)));
        let mut counts = Vec::new();
        for (column, members) in known.chain([unknown]) {
            let first = counts.len();
            counts.extend(rows.values.iter().map(|(row, bitmap)| (row.as_str(), column, members.and_len(bitmap))));
            let in_rows: u64 = counts[first..].iter().map(|(.., count)| count).sum();
            counts.push(("", column, members.len() - in_rows));
        }
        counts
    }

    fn leaf(&self, tag: &str, value: &str) -> &B {
        self.tags[tag].values.get(value).unwrap_or(&self.nobody)
    }

    fn find(&self, algebra: &Algebra) -> Found<'_, B> {
        match algebra {
            Algebra::Leaf { tag, value } => Found::Held(self.leaf(tag, value)),
            Algebra::Not(inner) => Found::Held(&self.everyone).minus(self.find(inner).get()),
            Algebra::Or(parts) => {
                let found: Vec<Found<'_, B>> = parts.iter().map(|part| self.find(part)).collect();
                Found::Made(B::any(&found.iter().map(Found::get).collect::<Vec<_>>()))
            }
            Algebra::And(parts) => {
                let (with, without) = self.sides(parts);
                let both = with.into_iter().reduce(|all, part| all.and(part.get()));
                let both = both.unwrap_or(Found::Held(&self.everyone));
                without.iter().fold(both, |left, part| left.minus(part.get()))
            }
        }
    }

    /// What is in an AND, the smallest first, and what is taken away: each part of a negated OR on its own.
    fn sides(&self, parts: &[Algebra]) -> (Vec<Found<'_, B>>, Vec<Found<'_, B>>) {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Algebra::Not(inner) => match &**inner {
                    Algebra::Or(parts) => without.extend(parts.iter().map(|p| self.find(p))),
                    inner => without.push(self.find(inner)),
                },
                part => with.push(self.find(part)),
            }
        }
        with.sort_by_key(|found| found.get().len());
        (with, without)
    }

    fn count(&self, algebra: &Algebra) -> u64 {
        match algebra {
            Algebra::Leaf { tag, value } => self.leaf(tag, value).len(),
            Algebra::Not(inner) => self.everyone.len() - self.count(inner),
            Algebra::Or(parts) => match &parts[..] {
                [a, b] => self.find(a).get().or_len(self.find(b).get()),
                _ => self.find(algebra).get().len(),
            },
            Algebra::And(parts) => {
                let (mut with, mut without) = self.sides(parts);
                let last_without = without.pop();
                let last_with = if last_without.is_none() { with.pop() } else { None };
                let left = with.into_iter().reduce(|all, part| all.and(part.get()));
                let left = left.unwrap_or(Found::Held(&self.everyone));
                let left = without.iter().fold(left, |left, part| left.minus(part.get()));
                match (last_with, last_without) {
                    (_, Some(last)) => left.get().minus_len(last.get()),
                    (Some(last), None) => left.get().and_len(last.get()),
                    (None, None) => left.get().len(),
                }
            }
        }
    }
}

fn binned(counts: Vec<(&str, u64)>, width: Option<u32>) -> Answer {
    let mut answer = Answer::new();
    for (text, count) in counts {
        let label = match (width, text.parse::<u32>()) {
            (Some(width), Ok(number)) => (number / width * width).to_string(),
            _ => text.to_string(),
        };
        *answer.entry(label).or_default() += count as f64;
    }
    answer
}
