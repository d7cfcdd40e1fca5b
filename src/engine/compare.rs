//! Asking how audiences compare: overlaps of several, and where one differs from its base.
//! Knows requests and answers; the numbers are `query`'s.

use super::ask::{Answer, Question, Where};
use super::{Result, Space};
use crate::query::bind::request_fault;
use crate::query::differences::{Differences, differences};
use crate::query::distribution::Sides;
use crate::query::overlap::{AUDIENCES_MAX, Overlap, overlap};
use crate::query::plan::Node;

/// Values that are told of differences unless said.
const TOP_DEFAULT: usize = 20;

impl Space {
    /// Every region of 2 to 12 audiences, each within the question's own.
    ///
    /// # Errors
    /// As [`Space::count`], of any of them.
    pub fn overlap(&self, question: &Question, audiences: &[Where]) -> Result<Answer<Overlap>> {
        self.ask(question, |asked| {
            if !(2..=AUDIENCES_MAX).contains(&audiences.len()) {
                let message = format!("an overlap is of 2 to {AUDIENCES_MAX} audiences, not {}", audiences.len());
                return Err(request_fault("wrong_type", "/audiences", message, None).into());
            }
            let everyone = asked.ctx.everyone();
            let mut nodes = Vec::with_capacity(audiences.len());
            for (audience, at) in audiences.iter().zip(0..) {
                let node = asked.bound(audience, &format!("/audiences/{at}"))?;
                nodes.push(Node::and(vec![asked.audience.clone(), node]).ordered(everyone));
            }
            Ok(overlap(asked.ctx, &nodes)?)
        })
    }

    /// The tag values in which an audience differs most from its base.
    ///
    /// # Errors
    /// As [`Space::count`].
    pub fn differences(&self, question: &Question, top: Option<usize>) -> Result<Answer<Differences>> {
        self.ask(question, |asked| {
            let sides = Sides::new(asked.ctx, asked.audience, asked.base)?;
            Ok(differences(asked.ctx, &sides, top.unwrap_or(TOP_DEFAULT))?)
        })
    }
}
