//! Calls: a request on its way to its handler, with the space and the caller already settled.
//! Knows paths, parameters and bodies; what they ask for is the handlers' matter.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::body::Body;
use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::app::{App, Outcome};
use super::body::{self, RawBody};
use super::coding::Coding;
use super::failure::Failure;
use super::routes::Route;
use super::tokens::Caller;
use crate::engine::Space;

/// A request on its way to its handler.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
    /// All routes, for what the server says of itself.
    pub(super) routes: Arc<Vec<Route>>,
    pub(super) headers: HeaderMap,
    pub(super) started: Instant,
    pub(super) space: Option<Arc<Space>>,
    pub(super) path: Vec<(String, String)>,
    pub(super) query: String,
    pub(super) body: BodySlot,
}

/// A body until somebody reads it; what nobody has read can be thrown away at the end.
#[derive(Clone)]
pub(super) struct BodySlot(Arc<Mutex<Option<Body>>>);

impl BodySlot {
    pub(super) fn new(body: Body) -> BodySlot {
        BodySlot(Arc::new(Mutex::new(Some(body))))
    }

    pub(super) fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put_back(&self, body: Body) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }
}

impl Call {
    /// The space of the path.
    ///
    /// # Errors
    /// 404; for routes of a space never, since it was found before.
    pub(super) fn space(&self) -> Outcome<Arc<Space>> {
        self.space.clone().ok_or_else(|| Failure::unknown_space(self.part("space")))
    }

    /// A part of the path, decoded.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(part, _)| part == name).map_or("", |(_, value)| value)
    }

    /// How the client likes answers coded.
    pub(super) fn coding(&self) -> Coding {
        Coding::accepted(&self.headers)
    }

    /// Time since the request came.
    pub(super) fn took_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Parameters of the query, of which only the `known` may be there.
    ///
    /// # Errors
    /// 400.
    pub(super) fn parameters(&self, known: &[&str]) -> Outcome<Parameters> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text: &str| {
                let text = text.replace('+', " ");
                percent_decode_str(&text).decode_utf8().map(Into::into)
            };
            let (Ok(name), Ok(value)) = (decoded(name), decoded(value)) else {
                return Err(Failure::bad("bad_parameter", "a parameter is not UTF-8"));
            };
            let (name, value): (String, String) = (name, value);
            if !known.contains(&name.as_str()) {
                let failure = Failure::bad("unknown_parameter", format!("this route takes no parameter `{name}`"));
                return Err(failure.nearest(&name, known.iter().copied()));
            }
            if pairs.iter().any(|(taken, _)| *taken == name) {
                return Err(Failure::bad("bad_parameter", format!("`{name}` stands there twice")));
            }
            pairs.push((name, value));
        }
        Ok(Parameters(pairs))
    }

    /// Reads the body.
    ///
    /// # Errors
    /// As [`body::read`].
    pub(super) async fn read_body(&self, bytes_max: usize) -> Outcome<RawBody> {
        let mut body = self.body.take().unwrap_or_default();
        let read = body::read(&self.app, &self.headers, &mut body, bytes_max).await;
        if read.is_err() {
            self.body.put_back(body);
        }
        read
    }
}

/// Parameters of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The one of `choices` that a parameter names; the first unless it is there.
    ///
    /// # Errors
    /// 400 where it names none of them.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&'static str, T)]) -> Outcome<T> {
        let Some((_, value)) = self.0.iter().find(|(known, _)| known == name) else { return Ok(choices[0].1) };
        let chosen = choices.iter().find(|(spelling, _)| spelling == value);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let all: Vec<&str> = choices.iter().map(|(spelling, _)| *spelling).collect();
            Failure::bad("bad_parameter", format!("`{name}` is {}, not `{value}`", all.join(" or ")))
        })
    }

    /// A parameter as it stands.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is `true` or `false`.
    ///
    /// # Errors
    /// 400.
    pub(super) fn flag(&self, name: &str) -> Outcome<bool> {
        self.choice(name, &[("false", false), ("true", true), ("1", true), ("0", false), ("", true)])
    }
}
