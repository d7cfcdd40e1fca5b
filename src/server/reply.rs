//! Replies: what a handler gives back, before it becomes an HTTP response.
//! Knows media types and headers; shapes are the handlers'.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use tokio::sync::mpsc;

use super::app::{CancelOnDrop, Outcome};
use super::coding::Coding;
use super::failure::Failure;

pub(super) const JSON: &str = "application/json";
pub(super) const ROARING: &str = "application/vnd.roaring";
/// Answers shorter than this are not worth compressing.
const COMPRESSED_FROM_BYTES: usize = 1024;

/// What a handler gives back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    content_type: &'static str,
    coding: Coding,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: ReplyBody,
}

enum ReplyBody {
    Whole(Vec<u8>),
    Parts(Parts),
}

impl Reply {
    /// Bytes of a media type.
    pub(super) fn bytes(content_type: &'static str, bytes: Vec<u8>) -> Reply {
        let (status, body) = (StatusCode::OK, ReplyBody::Whole(bytes));
        Reply { status, content_type, coding: Coding::Identity, headers: Vec::new(), body }
    }

    /// JSON, spelled here and now.
    ///
    /// # Errors
    /// None that a shape of ours can give.
    pub(super) fn json(value: &impl Serialize) -> Outcome<Reply> {
        let bytes = serde_json::to_vec(value)
            .map_err(|e| Failure { detail: Some(e.to_string().into()), ..Failure::panicked() })?;
        Ok(Reply::bytes(JSON, bytes))
    }

    /// What arrives piece by piece, compressed already if at all.
    pub(super) fn parts(content_type: &'static str, coding: Coding, parts: Parts) -> Reply {
        Reply { coding, body: ReplyBody::Parts(parts), ..Reply::bytes(content_type, Vec::new()) }
    }

    /// The same with another status.
    pub(super) fn status(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self
    }

    /// The same with a header more.
    pub(super) fn header(mut self, name: &'static str, value: impl ToString) -> Reply {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// The same, compressed as the client likes if that pays. Not for async threads.
    pub(super) fn compressed(mut self, coding: Coding) -> Reply {
        if let ReplyBody::Whole(bytes) = &self.body
            && coding != Coding::Identity
            && self.coding == Coding::Identity
            && bytes.len() >= COMPRESSED_FROM_BYTES
            && let Ok(small) = coding.compress(bytes)
        {
            (self.body, self.coding) = (ReplyBody::Whole(small), coding);
        }
        self
    }

    /// The same, with bytes that are compressed already.
    pub(super) fn coded(mut self, coding: Coding) -> Reply {
        self.coding = coding;
        self
    }

    /// As HTTP.
    pub(super) fn into_response(self) -> Response {
        let body = match self.body {
            ReplyBody::Whole(bytes) => Body::from(bytes),
            ReplyBody::Parts(parts) => Body::new(parts),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(name) = self.coding.name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        headers.extend(self.headers);
        // Answers are as old as they are; only what says so may be kept.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

impl From<&Failure> for Reply {
    fn from(failure: &Failure) -> Reply {
        let mut reply = Reply::bytes(JSON, failure.to_json()).status(failure.status);
        if let Some(seconds) = failure.retry_after_s {
            reply = reply.header("retry-after", seconds);
        }
        if let Some(methods) = &failure.allow {
            reply = reply.header("allow", methods);
        }
        if failure.status == StatusCode::UNAUTHORIZED {
            reply = reply.header("www-authenticate", "Bearer");
        }
        reply
    }
}

/// A piece of a body that is made while it is sent.
pub(super) enum Piece {
    /// More follows.
    Part(Bytes),
    /// The end; without one the body was broken off.
    Last(Bytes),
}

/// A body that is made while it is sent. If its maker goes away before the last piece, the connection is cut, so that
/// nobody takes what has come for the whole.
pub(super) struct Parts {
    first: Option<Piece>,
    rest: mpsc::Receiver<Piece>,
    is_over: bool,
    _cancel: CancelOnDrop,
}

impl Parts {
    /// The first piece, those to come, and what tells their maker that nobody reads any more.
    pub(super) fn new(first: Piece, rest: mpsc::Receiver<Piece>, cancel: CancelOnDrop) -> Parts {
        Parts { first: Some(first), rest, is_over: false, _cancel: cancel }
    }
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = match self.first.take() {
            Some(piece) => Some(piece),
            None => std::task::ready!(self.rest.poll_recv(cx)),
        };
        let frame = match piece {
            Some(Piece::Part(bytes)) => Ok(Frame::data(bytes)),
            Some(Piece::Last(bytes)) => {
                self.is_over = true;
                Ok(Frame::data(bytes))
            }
            None => {
                self.is_over = true;
                Err(std::io::Error::other("broken off"))
            }
        };
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        match &self.first {
            Some(Piece::Last(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
