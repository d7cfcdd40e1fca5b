//! Differences: the tag values in which an audience and its base differ most, with enough people to trust.
//! Knows tallies and one test; knows no request.
//!
//! A value is told where a two-proportion z-test (pooled, two-sided) of the audience against the rest of the base says
//! so: with at least five people expected in each of the four cells, and a p-value that, times the number of values
//! looked at (Bonferroni), is at most 0.01. Values are ranked by what they add to the population stability index,
//! `(share - base share) × ln(share ÷ base share)`: large shares that shift much come first.

use serde::Serialize;
use storage::{TagId, TagType, ValueId};

use super::cell::Cell;
use super::context::Context;
use super::count::ratio;
use super::distribution::Sides;
use super::error::Result;
use super::plan::Node;
use super::totals::{Tally, count, tally};

/// Fewest people that each cell of the test is expected to hold.
pub const EXPECTED_MIN: f64 = 5.0;
/// Largest p-value, times the number of values looked at.
pub const P_MAX: f64 = 0.01;

/// What differs.
#[derive(Debug, Clone, Serialize)]
pub struct Differences {
    /// Most first.
    pub values: Vec<Difference>,
    /// Members of the audience.
    pub count: u64,
    /// Members of the base.
    pub base_count: u64,
    /// Values that were looked at.
    pub looked_at: usize,
    /// Which test a value has passed.
    pub test: &'static str,
}

/// One value of a tag.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// The tag.
    pub tag: String,
    /// Its value.
    pub value: Cell<'static>,
    /// Members of the audience with it.
    pub count: u64,
    /// Of the audience.
    pub share: f64,
    /// Members of the base with it.
    pub base_count: u64,
    /// Of the base.
    pub base_share: f64,
    /// 100 × share ÷ base share; null where nobody of the base has it.
    pub index: Option<f64>,
    /// How likely so large a difference is by chance alone.
    pub p_value: f64,
    #[serde(skip)]
    weight: f64,
}

/// The tag values in which both sides differ most, at most `top`; of flags, categories and sets.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn differences(ctx: &Context<'_>, sides: &Sides, top: usize) -> Result<Differences> {
    let rest = Node::and(vec![sides.base.clone(), Node::not(sides.audience.clone())]).ordered(ctx.everyone());
    // Of everyone the rest is what is left; else it is counted.
    let is_part = matches!(sides.base, Node::Everyone);
    let rest_count = if is_part { sides.base_count() - sides.audience_count() } else { count(ctx, &rest)? };
    let (mut values, mut looked_at) = (Vec::new(), 0);
    let schema = ctx.view.schema();
    for (declared, tag) in schema.tags.iter().zip(0..) {
        let tag = TagId(tag);
        if !matches!(declared.tag_type, TagType::Flag | TagType::Category | TagType::Set) {
            continue;
        }
        let counted = tally(ctx, &sides.audience, tag)?;
        let base = tally(ctx, &sides.base, tag)?;
        let of_rest = if is_part { None } else { Some(tally(ctx, &rest, tag)?) };
        let of = |tally: &Tally, value: usize| tally.counts.get(value).copied().unwrap_or(0);
        for value in 0..counted.counts.len().max(base.counts.len()) {
            let (inside, in_base) = (of(&counted, value), of(&base, value));
            if inside == 0 && in_base == 0 {
                continue;
            }
            looked_at += 1;
            let outside = of_rest.as_ref().map_or_else(|| in_base - inside, |rest| of(rest, value));
            let Some(p_value) = p_value((inside, sides.audience_count()), (outside, rest_count)) else { continue };
            let shares = (ratio(inside, sides.audience_count()), ratio(in_base, sides.base_count()));
            let (Some(share), Some(base_share)) = shares else { continue };
            let label = match declared.tag_type {
                TagType::Flag => Cell::Bool(value == 1),
                _ => Cell::Text(ctx.view.tag(tag).values().text(ValueId(value as u32))?.to_string().into()),
            };
            // Half a person where there is none, so that the logarithm has a value.
            let at_least = |share: f64, of: u64| share.max(0.5 / of.max(1) as f64);
            let (a, b) = (at_least(share, sides.audience_count()), at_least(base_share, sides.base_count()));
            values.push(Difference {
                tag: declared.name.clone(),
                value: label,
                count: inside,
                share,
                base_count: in_base,
                base_share,
                index: (base_share > 0.0).then(|| 100.0 * share / base_share),
                p_value,
                weight: (a - b) * (a / b).ln(),
            });
        }
    }
    values.retain(|value| value.p_value * looked_at as f64 <= P_MAX);
    values.sort_by(|a, b| {
        b.weight.total_cmp(&a.weight).then_with(|| (&a.tag, a.value.to_csv()).cmp(&(&b.tag, b.value.to_csv())))
    });
    values.truncate(top);
    let test = "two-proportion z-test of the audience against the rest of the base, pooled, two-sided; at least 5 \
                expected in each cell; p × values looked at ≤ 0.01";
    Ok(Differences { values, count: sides.audience_count(), base_count: sides.base_count(), looked_at, test })
}

/// How likely a difference as large between two proportions is by chance; none where too few are expected to tell.
fn p_value((one, of_one): (u64, u64), (two, of_two): (u64, u64)) -> Option<f64> {
    let (n, m) = (of_one as f64, of_two as f64);
    let pooled = (one + two) as f64 / (n + m);
    let expected = [n * pooled, n * (1.0 - pooled), m * pooled, m * (1.0 - pooled)];
    if !expected.iter().all(|cell| *cell >= EXPECTED_MIN) {
        return None;
    }
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    let z = (one as f64 / n - two as f64 / m) / error;
    Some(complementary_error(z.abs() / std::f64::consts::SQRT_2))
}

/// erfc(x) for x >= 0, to about seven digits (a Chebyshev fit: Numerical Recipes, erfcc).
fn complementary_error(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let fit = FIT.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (-x * x + fit).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_as_in_the_tables() {
        for (z, wanted) in [(0.0, 1.0), (1.0, 0.317_310_5), (1.959_964, 0.05), (2.575_829, 0.01), (4.0, 6.334_25e-5)] {
            let found = complementary_error(z / std::f64::consts::SQRT_2);
            assert!((found - wanted).abs() < 1e-6 * wanted.max(0.1), "{z}: {found}");
        }
        // 60 of 100 against 40 of 100: z = 2.828.
        let p = p_value((60, 100), (40, 100)).unwrap();
        assert!((p - 0.004_677_7).abs() < 1e-6, "{p}");
        assert_eq!(p_value((4, 8), (0, 1_000_000)), None);
        assert_eq!(p_value((0, 0), (0, 0)), None);
    }
}
