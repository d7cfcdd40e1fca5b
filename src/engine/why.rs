//! Asking of one person: why she is in an audience or not.
//! Knows requests and who is meant; the reasons are `query`'s.

use std::time::Instant;

use super::ask::{answer, parse};
use super::{Answer, Question, Result, Space, Where, find_in};
use crate::query::why::{Why, why};

impl Space {
    /// Why a person is in an audience or not, clause by clause, and when that changes.
    ///
    /// # Errors
    /// As [`Space::count`]; [`super::Error::UnknownProfile`], an unknown id type.
    pub fn explain(&self, question: &Question, id_type: &str, id: &str) -> Result<Answer<Why>> {
        let start = Instant::now();
        let mut warnings = Vec::new();
        let view = self.view_for(question, &mut warnings)?;
        let one_id = find_in(&view, id_type, id)?;
        let budget = question.budget(start, self.shared.limits.elapsed_ms_max);
        self.in_context(&view, question, &budget, |ctx| {
            let everyone = Where::Text("TRUE".into());
            let parsed = parse(question.audience.as_ref().unwrap_or(&everyone), ctx)?;
            let (why, more) = why(ctx, &parsed, one_id)?;
            warnings.extend(more);
            Ok(answer(why, &view, start, warnings))
        })
    }
}
