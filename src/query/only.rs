//! One person alone: whether a plan holds her, by the same evaluator as everyone's counts.
//! Knows plans and one OneID; what is asked of her is the caller's.

use std::cell::RefCell;
use std::collections::HashMap;

use storage::OneId;
use storage::ids::stripe_of;

use super::audiences::{Moment, Saved};
use super::context::Context;
use super::error::Result;
use super::exec::{Scratch, Share, Stripe};
use super::plan::{IdSet, Node};

/// The one person that a question is about. Audiences and earlier states in it are found of her alone, once each.
#[derive(Debug)]
pub struct Only {
    one_id: OneId,
    audiences: RefCell<HashMap<(String, u64, Moment), Node>>,
}

impl Only {
    /// Of a person.
    pub fn new(one_id: OneId) -> Only {
        Only { one_id, audiences: RefCell::default() }
    }

    /// Who she is.
    pub fn one_id(&self) -> OneId {
        self.one_id
    }

    /// Whether a plan holds her: the count of the plan AND this one profile.
    ///
    /// # Errors
    /// Damage of the store.
    pub fn is_in(&self, ctx: &Context<'_>, plan: &Node) -> Result<bool> {
        if !ctx.view.is_live(self.one_id)? {
            return Ok(false);
        }
        let both = Node::and(vec![Node::ids(IdSet::from_sorted([self.one_id.0])), plan.clone()]);
        let both = both.ordered(ctx.everyone());
        Ok(Stripe::open(ctx.view, &both, &Share::whole(stripe_of(self.one_id.0)))?.count(&mut Scratch::default()) > 0)
    }

    /// The part of a plan that she is.
    ///
    /// # Errors
    /// Damage of the store.
    pub(super) fn set(&self, ctx: &Context<'_>, plan: &Node) -> Result<IdSet> {
        Ok(IdSet::from_sorted(self.is_in(ctx, plan)?.then_some(self.one_id.0)))
    }

    pub(super) fn remembered(&self, saved: &Saved, moment: &Moment) -> Option<Node> {
        self.audiences.borrow().get(&(saved.name.clone(), saved.version, moment.clone())).cloned()
    }

    pub(super) fn remember(&self, saved: &Saved, moment: Moment, members: &Node) {
        self.audiences.borrow_mut().insert((saved.name.clone(), saved.version, moment), members.clone());
    }
}
