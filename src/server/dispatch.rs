//! Dispatch: what every request goes through between the router and its handler.
//! Knows ids, tokens, counting and the log; knows nothing of what is asked.
//!
//! ```text
//!   id → route by method → caller → space → role → handler → rest of the body → count → log
//! ```
//! A space that a token does not cover is answered exactly as one that does not exist, before anything else of it
//! is looked at.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;

use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::app::{App, Outcome};
use super::body::drain;
use super::call::{BodySlot, Call};
use super::failure::Failure;
use super::reply::Reply;
use super::routes::{Access, Route};
use super::tokens::{Caller, Role};

/// Longest id that is taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 64;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request to one of the routes of a path; none of them for a path that is not known.
pub(super) async fn dispatch(app: Arc<App>, routes: Arc<Vec<Route>>, at: Vec<usize>, request: Request) -> Response {
    let started = Instant::now();
    let _in_flight = app.metrics.in_flight.enter();
    let id = request_id(&app, request.headers());
    let method = request.method().clone();
    let expects_continue = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let body = BodySlot::new(body);
    let asked = if method == Method::HEAD { Method::GET } else { method.clone() };
    let chosen = at.iter().copied().find(|at| routes[*at].method == asked);
    let outcome = match chosen {
        Some(at) => {
            let called = call(&app, &routes, at, parts, body.clone(), started);
            uncaught(called).await
        }
        None => Err(nothing_there(&routes, &at, &method)),
    };
    if outcome.is_err()
        && !expects_continue
        && let Some(unread) = body.take()
    {
        drain(unread).await;
    }
    let (failure, reply) = match outcome {
        Ok(reply) => (None, reply),
        Err(failure) => {
            let reply = Reply::from(&failure);
            (Some(failure), reply)
        }
    };
    let status = reply.status;
    let counted = chosen.map_or(&app.metrics.unknown, |at| &routes[at].metrics);
    counted.observe(status.as_u16(), started.elapsed());
    let path = chosen.map_or("-", |at| routes[at].path);
    log(&app, &id, &method, path, status, started, failure.as_ref());
    let mut response = reply.into_response();
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn call(
    app: &Arc<App>,
    routes: &Arc<Vec<Route>>,
    at: usize,
    mut parts: axum::http::request::Parts,
    body: BodySlot,
    started: Instant,
) -> Outcome<Reply> {
    let route = &routes[at];
    let path = match RawPathParams::from_request_parts(&mut parts, &()).await {
        Ok(path) => path.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        Err(rejection) => return Err(Failure::bad("bad_path", rejection.body_text())),
    };
    let caller = app.tokens.caller(bearer(&parts.headers));
    let caller = match (caller, route.access) {
        (Some(caller), _) => caller,
        (None, Access::Open) => Caller::Nobody,
        (None, _) => {
            let message = "this server asks for a token: send `Authorization: Bearer …`";
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        }
    };
    let query = parts.uri.query().unwrap_or("").to_string();
    let (app, routes, headers) = (app.clone(), routes.clone(), parts.headers);
    let mut call = Call { app, caller, routes: routes.clone(), headers, started, space: None, path, query, body };
    match route.access {
        Access::Open => {}
        Access::Server(role) => check_role(&call, role)?,
        Access::Space(role) | Access::NewSpace(role) => {
            let name = call.part("space");
            if !call.caller.covers(name) {
                return Err(Failure::unknown_space(name));
            }
            let found = call.app.engine.space(name);
            if matches!(route.access, Access::Space(_)) {
                call.space = Some(found?);
            }
            check_role(&call, role)?;
        }
    }
    (route.handler)(call).await
}

/// # Errors
/// 403.
pub(super) fn check_role(call: &Call, role: Role) -> Outcome<()> {
    if call.caller.may(role) {
        return Ok(());
    }
    let message = format!("this needs a token of the role `{}`", role.name());
    Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", message))
}

/// RFC 6750; the scheme's name keeps no case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn nothing_there(routes: &[Route], at: &[usize], method: &Method) -> Failure {
    if at.is_empty() {
        return Failure::not_found("unknown_route", "there is nothing at this path").hint("see /openapi.json");
    }
    let methods: Vec<&str> = at.iter().map(|at| routes[*at].method.as_str()).collect();
    let message = format!("this path does not take {method}");
    let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    Failure { allow: Some(methods.join(", ").into()), ..failure }
}

/// Polls a handler; a panic in it becomes a failure instead of a dropped connection.
async fn uncaught(handler: impl Future<Output = Outcome<Reply>>) -> Outcome<Reply> {
    let mut handler = pin!(handler);
    std::future::poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx)))
            .unwrap_or_else(|_| Poll::Ready(Err(Failure::panicked())))
    })
    .await
}

/// The client's own id where it is fit for a log, or a new one.
fn request_id(app: &App, headers: &HeaderMap) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let fit = |id: &&str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_plain)
    };
    match headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(fit) {
        Some(id) => id.into(),
        None => format!("{}-{:x}", app.run_id, NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

/// Failures of ours always, requests if asked for. Neither bodies nor parameters: they hold what people are.
fn log(
    app: &App,
    id: &str,
    method: &Method,
    path: &str,
    status: StatusCode,
    started: Instant,
    failure: Option<&Failure>,
) {
    let code = failure.map_or("-", |failure| failure.code);
    if code == Failure::panicked().code {
        app.metrics.panics.add(1);
    }
    // A question out of time and a server out of room are answers, not faults.
    let is_ours = status.is_server_error() && !matches!(code, "busy" | "timed_out");
    if is_ours || app.options.log_requests {
        let level = if is_ours { "error" } else { "info" };
        let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
        let detail = failure.and_then(|failure| failure.detail.as_deref()).unwrap_or("");
        eprintln!("{level} request={id} {method} {path} status={} {elapsed_ms:.1}ms {code} {detail}", status.as_u16());
    }
}
