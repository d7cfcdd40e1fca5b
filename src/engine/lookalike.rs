//! Look-alikes at the engine's level: which tags, whose likes, and how they are handed back.
//! Knows requests and answers; weights and scores are `query`'s.

use base64::Engine;
use roaring::RoaringBitmap;
use serde::Serialize;

use super::ask::{named_tag, parse, plan_of};
use super::{Answer, Error, Question, Result, Space, Where};
use crate::query::bind::request_fault;
use crate::query::groups::Axis;
use crate::query::lookalike::{Lookalikes, Request, TAGS_MAX, Weight, lookalikes};
use crate::query::{self};
use storage::TagId;

/// Weights that an answer shows.
const WEIGHTS_SHOWN_MAX: usize = 1_000;
/// People that an answer shows unless said, and at most.
const SHOWN_DEFAULT: usize = 100;
const SHOWN_MAX: usize = 10_000;
/// Most people of whom a definition is handed back: it names each of them.
const DEFINED_MAX: usize = 10_000;
/// People added to each outcome unless said, and at most.
const SMOOTHING_DEFAULT: f64 = 1.0;
const SMOOTHING_MAX: f64 = 1e6;

/// What is asked of look-alikes, besides the seed and the base.
#[derive(Debug, Clone, Default)]
pub struct LookalikeRequest {
    /// Whom to choose from; of the base whoever is not in the seed, unless said.
    pub among: Option<Where>,
    /// Names of tags; all unless said.
    pub tags: Option<Vec<String>>,
    /// How many.
    pub n: u64,
    /// People added to each outcome.
    pub smoothing: Option<f64>,
    /// How many of them are shown one by one.
    pub limit: Option<usize>,
}

/// Look-alikes, found.
#[derive(Debug, Clone)]
pub struct LookalikeFound {
    found: Lookalikes,
    shown: usize,
}

/// Look-alikes as an answer shows them.
#[derive(Debug, Clone, Serialize)]
pub struct LookalikeAnswer {
    /// What speaks for being like the seed and what against, the largest first.
    pub weights: Vec<Weight>,
    /// Members of the seed.
    pub seed_count: u64,
    /// Members of the base.
    pub base_count: u64,
    /// How many were scored.
    pub candidate_count: u64,
    /// How many were chosen.
    pub count: u64,
    /// The score of the last of them; null of nobody.
    pub threshold: Option<f64>,
    /// Their definition; null where they are too many to name each.
    #[serde(rename = "where")]
    pub definition: Option<String>,
    /// The first of them, the highest score first.
    pub members: Vec<Scored>,
}

/// Somebody, and how much like the seed.
#[derive(Debug, Clone, Serialize)]
pub struct Scored {
    /// The OneID.
    pub one_id: u32,
    /// The sum of the weights of what she is.
    pub score: f64,
}

impl Space {
    /// Whoever is most like a question's audience, as against its base.
    ///
    /// # Errors
    /// As [`Space::count`]; tags that do not exist, an empty seed.
    pub fn lookalike(&self, question: &Question, request: &LookalikeRequest) -> Result<Answer<LookalikeFound>> {
        self.ask(question, |asked| {
            let ctx = asked.ctx;
            let smoothing = request.smoothing.unwrap_or(SMOOTHING_DEFAULT);
            if !(smoothing > 0.0 && smoothing <= SMOOTHING_MAX) {
                let message = format!("the smoothing is above 0 and at most {SMOOTHING_MAX}");
                return Err(request_fault("bad_smoothing", "/smoothing", message, None).into());
            }
            let tags = match &request.tags {
                Some(names) if names.len() > TAGS_MAX => {
                    let message = format!("{} tags in one call; at most {TAGS_MAX} are taken", names.len());
                    return Err(request_fault("too_many_tags", "/tags", message, None).into());
                }
                Some(names) => {
                    let named = names.iter().zip(0..);
                    named.map(|(name, at)| named_tag(ctx.view, name, &format!("/tags/{at}"))).collect::<Result<_>>()?
                }
                None => {
                    let all = ctx.view.schema().tags.iter().zip(0..).take(TAGS_MAX);
                    all.map(|(declared, at)| Axis { tag: TagId(at), tag_type: declared.tag_type }).collect()
                }
            };
            let among = match &request.among {
                Some(among) => {
                    let placed = |error: Error| match error {
                        Error::Query(error) => Error::Query(super::ask::at_field(error, "/among")),
                        other => other,
                    };
                    let parsed = parse(among, ctx).map_err(placed)?;
                    Some(plan_of(ctx, Some(&parsed), &mut asked.warnings).map_err(placed)?)
                }
                None => None,
            };
            let wanted = Request { tags, n: request.n, smoothing };
            let found = lookalikes(ctx, asked.audience, asked.base, among.as_ref(), &wanted)?;
            let shown = request.limit.unwrap_or(SHOWN_DEFAULT);
            if shown > SHOWN_MAX {
                let (asked, max) = (shown as u64, SHOWN_MAX as u64);
                return Err(query::Error::TooLarge { what: "people one by one", asked, max }.into());
            }
            Ok(LookalikeFound { found, shown })
        })
    }
}

impl LookalikeFound {
    /// Everyone who was chosen.
    pub fn bitmap(&self) -> RoaringBitmap {
        self.found.people.iter().map(|(_, one_id)| *one_id).collect()
    }

    /// Everyone who was chosen, the highest score first.
    pub fn people(&self) -> impl ExactSizeIterator<Item = Scored> {
        self.found.people.iter().map(|(score, one_id)| Scored { one_id: *one_id, score: *score })
    }

    /// As an answer shows them.
    pub fn shown(&self) -> LookalikeAnswer {
        let people = &self.found.people;
        let definition = (people.len() <= DEFINED_MAX).then(|| {
            let bytes = storage::portable::write_portable(&self.bitmap());
            format!("in_bitmap('{}')", base64::engine::general_purpose::STANDARD.encode(bytes))
        });
        let [seed_count, base_count, candidate_count] = self.found.counts;
        LookalikeAnswer {
            weights: self.found.weights.iter().take(WEIGHTS_SHOWN_MAX).cloned().collect(),
            seed_count,
            base_count,
            candidate_count,
            count: people.len() as u64,
            threshold: people.last().map(|(score, _)| *score),
            definition,
            members: self.people().take(self.shown).collect(),
        }
    }
}
