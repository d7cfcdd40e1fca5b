//! Waterfalls: audiences in order of priority made disjoint, each taking whom those before it have left; one pass.
//! Knows bits of a chunk; knows no names.

use storage::container::Bits;
use storage::ids::CHUNK_WORDS;

use super::context::Context;
use super::error::Result;
use super::exec::{Scratch, Stripe};
use super::kernels;
use super::plan::Node;

/// Most audiences of one waterfall.
pub const STEPS_MAX: usize = 64;

/// How many each audience has, and how many it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waterfall {
    /// Members of all.
    pub count: u64,
    /// By audience: its members, and those of them whom none before it has taken.
    pub steps: Vec<(u64, u64)>,
}

impl Waterfall {
    /// Whom nobody has taken.
    pub fn remainder(&self) -> u64 {
        self.count - self.steps.iter().map(|(_, taken)| taken).sum::<u64>()
    }
}

/// Lets audiences take from `all` in their order; members of theirs that are not in it count for nothing.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn waterfall(ctx: &Context<'_>, all: &Node, audiences: &[Node]) -> Result<Waterfall> {
    ctx.fold_shares(
        || (Waterfall { count: 0, steps: vec![(0, 0); audiences.len()] }, Scratch::default()),
        |(sum, scratch), share| {
            let whole = Stripe::open(ctx.view, all, share)?;
            let runs = audiences.iter().map(|node| Stripe::open(ctx.view, node, share)).collect::<Result<Vec<_>>>()?;
            share.chunks.clone().for_each(|chunk| sum.add(&whole, &runs, chunk, scratch));
            Ok(())
        },
        |(a, scratch), (b, _)| {
            let steps = a.steps.iter().zip(&b.steps).map(|(a, b)| (a.0 + b.0, a.1 + b.1)).collect();
            (Waterfall { count: a.count + b.count, steps }, scratch)
        },
    )
    .map(|(sum, _)| sum)
}

impl Waterfall {
    fn add(&mut self, whole: &Stripe<'_>, runs: &[Stripe<'_>], chunk: usize, scratch: &mut Scratch) {
        let Some(set) = whole.chunk(chunk, scratch) else { return };
        self.count += u64::from(set.count());
        let empty = || Box::new([0; CHUNK_WORDS]);
        let (mut all, mut left, mut own) = (empty(), empty(), empty());
        kernels::fill(set.as_container(), &mut all);
        left.copy_from_slice(&all[..]);
        scratch.recycle(set);
        for (run, (members, taken)) in runs.iter().zip(&mut self.steps) {
            let Some(set) = run.chunk(chunk, scratch) else { continue };
            kernels::fill(set.as_container(), &mut own);
            scratch.recycle(set);
            kernels::and_assign(&mut own, &all);
            *members += u64::from(kernels::count(&own));
            *taken += u64::from(take(&mut left, &own));
        }
    }
}

/// Takes those away that are in both, and gives their number.
fn take(left: &mut Bits, own: &Bits) -> u32 {
    let mut taken = 0;
    for (left, own) in left.iter_mut().zip(own) {
        taken += (*left & own).count_ones();
        *left &= !own;
    }
    taken
}
