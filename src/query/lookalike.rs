//! Look-alikes: whoever is most like a seed audience, by weights of tag values that anyone can read.
//! Knows counts, weights and scores; a transparent baseline (naive Bayes), not a model that is trained.
//!
//! ```text
//!   weights   of each value: how much more likely it is in the seed than in the base, as a logarithm, smoothed
//!             flag, category, number, date   ln (p ÷ q)            one of several that exclude each other, unknown too
//!             set                            ln (p ÷ q) − ln ((1 − p) ÷ (1 − q))        each value for itself
//!             p = (count + s) ÷ (all + s × outcomes) in the seed, q likewise in the base; s is the smoothing
//!   scores    the sum of the weights of a person's values, in units of 2⁻¹⁶; one pass over all candidates
//! ```
//! Numbers and dates are in bins of about as many people of the base each. A value that too few have gets no weight.

use serde::Serialize;
use storage::{TagId, TagType, ValueId};

use super::bind::request_fault;
use super::bins::Edges;
use super::cell::Cell;
use super::context::Context;
use super::distribution::{Unit, bin_label, quantile_edges};
use super::error::{Error, Result};
use super::exec::{Scratch, Stripe};
use super::groups::{Axis, Keys, UNKNOWN, keys_of_chunk};
use super::least::Least;
use super::plan::Node;
use super::ranks::values_of_ranks;
use super::totals::{count, materialized, tally, totals};

/// Most tags that are weighed.
pub const TAGS_MAX: usize = 1_000;
/// Bins of a number or date.
const BINS: u32 = 10;
/// People of the seed that a value must have, or be expected to have if the seed were as the base is.
pub const PEOPLE_MIN: f64 = 5.0;
/// Units of a score.
const UNITS: f64 = 65_536.0;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// What people are compared by.
    pub tags: Vec<Axis>,
    /// How many look-alikes.
    pub n: u64,
    /// People added to each outcome, so that one that nobody has is not impossible.
    pub smoothing: f64,
}

/// What a value says of whether someone is like the seed.
#[derive(Debug, Clone, Serialize)]
pub struct Weight {
    /// The tag.
    pub tag: String,
    /// The value, or the bin; null is unknown.
    pub value: Cell<'static>,
    /// Above 0 for the seed, below against it.
    pub weight: f64,
    /// Members of the seed who have it.
    pub count: u64,
    /// Members of the base who have it.
    pub base_count: u64,
}

/// Whoever is most like the seed.
#[derive(Debug, Clone)]
pub struct Lookalikes {
    /// The largest first, whichever way they weigh.
    pub weights: Vec<Weight>,
    /// Members of the seed, of the base, and those who were scored.
    pub counts: [u64; 3],
    /// Scores and OneIDs, the highest first, then the lower OneID.
    pub people: Vec<(f64, u32)>,
}

/// A tag's weights, ready to score by.
struct Scorer {
    axis: Axis,
    unknown: i64,
    /// By value number, or by bin.
    values: Vec<i64>,
    bins: Option<(Edges, i64, i64)>,
}

/// Finds the candidates that are most like a seed, as against a base.
///
/// # Errors
/// An empty seed; more look-alikes than an answer may hold; the budget's, or damage of the store.
pub fn lookalikes(
    ctx: &Context<'_>,
    seed: &Node,
    base: &Node,
    among: Option<&Node>,
    request: &Request,
) -> Result<Lookalikes> {
    let max = ctx.limits.answer_cells_max;
    if request.n > max {
        return Err(Error::TooLarge { what: "people", asked: request.n, max });
    }
    let (seed, base) = (materialized(ctx, seed)?, materialized(ctx, base)?);
    let candidates = match among {
        Some(among) => among.clone(),
        None => Node::and(vec![base.clone(), Node::not(seed.clone())]).ordered(ctx.everyone()),
    };
    let candidates = materialized(ctx, &candidates)?;
    let sides = Sides { of_seed: count(ctx, &seed)?, of_base: count(ctx, &base)?, seed, base };
    if sides.of_seed == 0 {
        let message = "nobody is in the seed, and nobody is like nobody".into();
        return Err(request_fault("empty_seed", "/where", message, None));
    }
    let (mut weights, mut scorers) = (Vec::new(), Vec::new());
    for axis in &request.tags {
        ctx.budget.check()?;
        scorers.push(weigh(ctx, &sides, *axis, request.smoothing, &mut weights)?);
    }
    weights.retain(|weight| weight.weight != 0.0);
    weights.sort_by(|a, b| {
        let by_weight = b.weight.abs().total_cmp(&a.weight.abs());
        by_weight.then_with(|| (&a.tag, a.value.to_csv()).cmp(&(&b.tag, b.value.to_csv())))
    });
    let counts = [sides.of_seed, sides.of_base, count(ctx, &candidates)?];
    let people = scored(ctx, &candidates, &scorers, request.n as usize)?;
    let people = people.into_iter().map(|(loss, one_id)| (-loss as f64 / UNITS, one_id)).collect();
    Ok(Lookalikes { weights, counts, people })
}

struct Sides {
    seed: Node,
    base: Node,
    of_seed: u64,
    of_base: u64,
}

impl Sides {
    fn are_enough(&self, count: u64, base_count: u64) -> bool {
        let expected = self.of_seed as f64 * base_count as f64 / (self.of_base as f64).max(1.0);
        (count as f64).max(expected) >= PEOPLE_MIN
    }

    /// The weight of an outcome that so many of each side have, of so many outcomes that exclude each other, or of one that
    /// is there or not; 0 where too few have it.
    fn weight(&self, count: u64, base_count: u64, outcomes: usize, smoothing: f64, is_alone: bool) -> f64 {
        if !self.are_enough(count, base_count) {
            return 0.0;
        }
        let (of_seed, of_base) = (self.of_seed as f64, self.of_base as f64);
        let share = |count: u64, of: f64| (count as f64 + smoothing) / (of + smoothing * outcomes as f64);
        let (p, q) = (share(count, of_seed), share(base_count, of_base));
        match is_alone {
            true => (p / q).ln() - ((1.0 - p) / (1.0 - q)).ln(),
            false => (p / q).ln(),
        }
    }
}

/// Weighs the values of one tag.
fn weigh(ctx: &Context<'_>, sides: &Sides, axis: Axis, smoothing: f64, weights: &mut Vec<Weight>) -> Result<Scorer> {
    let declared = &ctx.view.schema().tags[axis.tag.0 as usize];
    let counted = counted(ctx, sides, axis)?;
    let is_set = axis.tag_type == TagType::Set;
    // Unknown is an outcome, too; of a set each value is there or not.
    let had = counted.counts.iter().filter(|counts| **counts != (0, 0)).count();
    let outcomes = if is_set { 2 } else { had + 1 };
    let mut weight = |value: Cell<'static>, (count, base_count): (u64, u64)| {
        let found = sides.weight(count, base_count, outcomes, smoothing, is_set);
        weights.push(Weight { tag: declared.name.clone(), value, weight: found, count, base_count });
        (found * UNITS).round() as i64
    };
    let mut values = Vec::with_capacity(counted.labels.len());
    let known: [u64; 2] = counted.known;
    for (label, counts) in counted.labels.into_iter().zip(counted.counts) {
        values.push(weight(label, counts));
    }
    // Of a set that is not known nothing is said: that each value is missing is said by all of them alike.
    let unknown = match is_set {
        true => 0,
        false => weight(Cell::Null, (sides.of_seed - known[0], sides.of_base - known[1])),
    };
    Ok(Scorer { axis, unknown, values, bins: counted.bins })
}

/// A tag's values, and how many of each side have them.
struct Counted {
    labels: Vec<Cell<'static>>,
    counts: Vec<(u64, u64)>,
    known: [u64; 2],
    bins: Option<(Edges, i64, i64)>,
}

fn counted(ctx: &Context<'_>, sides: &Sides, axis: Axis) -> Result<Counted> {
    if matches!(axis.tag_type, TagType::Number { .. } | TagType::Date) {
        return counted_in_bins(ctx, sides, axis.tag, axis.tag_type);
    }
    let (seed, base) = (tally(ctx, &sides.seed, axis.tag)?, tally(ctx, &sides.base, axis.tag)?);
    let values = ctx.view.tag(axis.tag).values();
    let (mut labels, mut counts) = (Vec::new(), Vec::new());
    for value in 0..seed.counts.len().max(base.counts.len()) {
        let of = |counts: &[u64]| counts.get(value).copied().unwrap_or(0);
        let both = (of(&seed.counts), of(&base.counts));
        labels.push(match axis.tag_type {
            // Of what has no weight the name is not shown.
            _ if !sides.are_enough(both.0, both.1) => Cell::Null,
            TagType::Flag => Cell::Bool(value == 1),
            _ => Cell::Text(values.text(ValueId(value as u32))?.to_string().into()),
        });
        counts.push(both);
    }
    Ok(Counted { labels, counts, known: [seed.known, base.known], bins: None })
}

fn counted_in_bins(ctx: &Context<'_>, sides: &Sides, tag: TagId, tag_type: TagType) -> Result<Counted> {
    let (seed, base) = (totals(ctx, &sides.seed, tag)?, totals(ctx, &sides.base, tag)?);
    let known = [seed.known, base.known];
    let Some(bounds) = base.bounds else {
        return Ok(Counted { labels: Vec::new(), counts: Vec::new(), known, bins: None });
    };
    let edges =
        quantile_edges(BINS, base.known, bounds, |ranks| values_of_ranks(ctx, &sides.base, tag, base.known, ranks))?;
    let bins = Edges::new(&edges);
    let (of_seed, of_base) = (bins.count(ctx, &sides.seed, tag)?, bins.count(ctx, &sides.base, tag)?);
    let unit = Unit { tag_type };
    let labels = (0..of_base.len()).map(|at| bin_label(&unit, &edges, at)).collect();
    let counts = of_seed.into_iter().zip(of_base).collect();
    Ok(Counted { labels, counts, known, bins: Some((bins, bounds.0, bounds.1)) })
}

impl Scorer {
    /// Adds what a tag says of each member of a chunk.
    fn add(&self, keys: &Keys, scores: &mut [i64]) {
        for (score, member) in scores.iter_mut().zip(0..) {
            for key in keys.of(member) {
                *score += self.of(*key);
            }
        }
    }

    fn of(&self, key: i64) -> i64 {
        if key == UNKNOWN {
            return self.unknown;
        }
        let at = match &self.bins {
            // Candidates need not be of the base: what lies outside of its bounds is in the first or last bin.
            Some((edges, low, high)) => edges.bin_of(key.clamp(*low, *high)),
            None => usize::try_from(key).ok(),
        };
        at.and_then(|at| self.values.get(at)).copied().unwrap_or(0)
    }
}

/// Scores everyone and keeps the highest, as losses: the least first.
fn scored(ctx: &Context<'_>, candidates: &Node, scorers: &[Scorer], n: usize) -> Result<Vec<(i64, u32)>> {
    let best = ctx.fold_shares(
        || (Least::new(n), Scratch::default()),
        |(best, scratch), share| {
            let run = Stripe::open(ctx.view, candidates, share)?;
            let (mut ids, mut scores) = (Vec::new(), Vec::new());
            for chunk in share.chunks.clone() {
                let Some(set) = run.chunk(chunk, scratch) else { continue };
                ctx.budget.check()?;
                ids.clear();
                set.push_one_ids(share.first_one_id(chunk), scratch, &mut ids);
                scores.clear();
                scores.resize(ids.len(), 0i64);
                for scorer in scorers {
                    scorer.add(&keys_of_chunk(ctx, scorer.axis, share.stripe, chunk, &set)?, &mut scores);
                }
                scores.iter().zip(&ids).for_each(|(score, one_id)| _ = best.push(-score, *one_id));
                scratch.recycle(set);
            }
            Ok(())
        },
        |(mut a, scratch), (b, _)| {
            a.merge(b);
            (a, scratch)
        },
    )?;
    Ok(best.0.into_sorted())
}
