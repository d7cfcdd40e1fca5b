//! Splits: an audience in parts of given shares, the same people in the same part for ever.
//! Knows shares and buckets; the hash behind them is the language's `bucket`.
//!
//! Parts are stretches of the salted hash one after the other, so they are disjoint, and somebody new moves nobody. A
//! share is exact to as many digits as it is written with: 0.45 is 45 buckets of 100, 0.4501 is 4,501 of 10,000, and
//! both begin and end at the same hashes where they mean the same.

use queryparser::ast::{CompareOp, Decimal, Literal, LiteralValue, Operand, Predicate, PredicateKind, Scalar, Span};

use super::bind::{Binder, request_fault};
use super::compose::all_of;
use super::context::Context;
use super::error::Result;
use super::plan::Node;
use super::totals::{count, materialized};

/// Most parts of one split.
pub const PARTS_MAX: usize = 100;
/// Digits after the point of a share.
const SHARE_DIGITS_MAX: u8 = 6;
/// And at least so many buckets.
const SHARE_DIGITS_MIN: u8 = 2;

/// A part of an audience.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its share of the hash.
    pub share: Decimal,
    /// Who is in it.
    pub predicate: Predicate,
    /// How many.
    pub count: u64,
}

/// Parts an audience by shares, in their order; last comes what they leave, if they leave anything.
///
/// # Errors
/// Shares that cannot be; the budget's, or damage of the store.
pub fn split(
    ctx: &Context<'_>,
    audience: (&Node, Option<&Predicate>),
    salt: &str,
    shares: &[Decimal],
) -> Result<Vec<Part>> {
    let (of, ends) = ends_of(shares)?;
    let members = materialized(ctx, audience.0)?;
    let source = queryparser::Source::Text("".into());
    let (mut parts, mut start) = (Vec::with_capacity(ends.len() + 1), 0);
    let rest = (ends.last() != Some(&of)).then_some(of);
    for end in ends.into_iter().chain(rest) {
        let within = (start > 0 || end < of).then(|| buckets(salt, of, start, end));
        let plan = match &within {
            Some(within) => Binder::new(ctx, &source).plan(within)?,
            None => Node::Everyone,
        };
        let plan = Node::and(vec![members.clone(), plan]).ordered(ctx.everyone());
        parts.push(Part {
            share: Decimal { digits: (end - start).into(), scale: of.ilog10() as u8 },
            predicate: all_of(audience.1.cloned().into_iter().chain(within)),
            count: count(ctx, &plan)?,
        });
        start = end;
    }
    Ok(parts)
}

/// How many buckets, and with which of them each part ends.
fn ends_of(shares: &[Decimal]) -> Result<(u32, Vec<u32>)> {
    let fault = |code, pointer: String, message: String| Err(request_fault(code, &pointer, message, None));
    if shares.is_empty() || shares.len() > PARTS_MAX {
        return fault("too_many_parts", "/parts".into(), format!("a split has 1 to {PARTS_MAX} parts"));
    }
    let scale = shares.iter().map(|share| share.scale).max().unwrap_or(0).max(SHARE_DIGITS_MIN);
    let (mut ends, mut end) = (Vec::with_capacity(shares.len()), 0u32);
    for (share, at) in shares.iter().zip(0..) {
        let pointer = format!("/parts/{at}/share");
        if share.scale > SHARE_DIGITS_MAX {
            let message = format!("a share has at most {SHARE_DIGITS_MAX} digits after the point");
            return fault("bad_share", pointer, message);
        }
        let buckets = share.digits.checked_mul(10i128.pow((scale - share.scale).into()));
        let of = 10u32.pow(scale.into());
        match buckets.and_then(|buckets| u32::try_from(buckets).ok()).filter(|buckets| (1..=of).contains(buckets)) {
            Some(buckets) if end + buckets <= of => end += buckets,
            Some(_) => return fault("bad_share", pointer, "with this one the shares are more than the whole".into()),
            None => return fault("bad_share", pointer, "a share is above 0 and at most 1".into()),
        }
        ends.push(end);
    }
    Ok((10u32.pow(scale.into()), ends))
}

/// `bucket(salt, of)` from `start` up to, but not including, `end`; not all of them.
fn buckets(salt: &str, of: u32, start: u32, end: u32) -> Predicate {
    let span = Span::default();
    let salt = Literal { value: LiteralValue::Text(salt.into()), span };
    let operand = Operand::Bucket { salt, of, span };
    let number = |bucket: u32| {
        let value = LiteralValue::Number(Decimal { digits: bucket.into(), scale: 0 });
        Scalar::Literal(Literal { value, span })
    };
    let compared = |operand, op, bucket| PredicateKind::Compare { operand, op, scalar: number(bucket) };
    let kind = match (start, end) {
        (0, end) => compared(operand, CompareOp::Less, end),
        (start, end) if end == of => compared(operand, CompareOp::GreaterOrEqual, start),
        (start, end) if end == start + 1 => compared(operand, CompareOp::Equal, start),
        (start, end) => PredicateKind::Between { operand, negated: false, low: number(start), high: number(end - 1) },
    };
    Predicate { kind, span }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(shares: &[&str]) -> std::result::Result<(u32, Vec<u32>), String> {
        let shares: Vec<Decimal> = shares.iter().map(|share| Decimal::parse(share).unwrap()).collect();
        ends_of(&shares).map_err(|error| error.to_string())
    }

    #[test]
    fn shares_are_as_exact_as_they_are_written() {
        assert_eq!(ends(&["0.45", "0.45", "0.10"]), Ok((100, vec![45, 90, 100])));
        assert_eq!(ends(&["0.5"]), Ok((100, vec![50])));
        assert_eq!(ends(&["0.0001", "0.5"]), Ok((10_000, vec![1, 5001])));
        assert_eq!(ends(&["0.000001", "0.999999"]), Ok((1_000_000, vec![1, 1_000_000])));
        assert_eq!(ends(&["1"]), Ok((100, vec![100])));
        for bad in [&["0"][..], &["-0.1"], &["1.01"], &["0.5", "0.51"], &["0.0000001"], &[]] {
            assert!(ends(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parts_are_written_as_people_would() {
        let text = |start, end| queryparser::predicate_text(&buckets("it's", 100, start, end));
        assert_eq!(text(0, 45), "bucket('it''s', 100) < 45");
        assert_eq!(text(45, 90), "bucket('it''s', 100) BETWEEN 45 AND 89");
        assert_eq!(text(45, 46), "bucket('it''s', 100) = 45");
        assert_eq!(text(90, 100), "bucket('it''s', 100) >= 90");
    }
}
