//! Bodies: read within a bound and at a least rate, then inflated within the same bound.
//! Knows bytes and time; what they mean is the handlers' matter.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::app::{App, Held, Outcome};
use super::coding::Coding;
use super::failure::Failure;

/// Room made for a body by what it says of its length; more is made as it comes.
const FIRST_BYTES_MAX: usize = 4 << 20;
/// What is read and thrown away of a body that is refused, so that its sender gets to read why.
const DRAINED_BYTES_MAX: u64 = 1 << 30;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(3);

/// A body as it came.
#[derive(Debug)]
pub(super) struct RawBody {
    bytes: Bytes,
    coding: Coding,
    bytes_max: usize,
    _held: Held,
}

impl RawBody {
    /// The bytes that are meant. Inflates: not for async threads.
    ///
    /// # Errors
    /// 413 beyond the bound; 400 where the bytes are not of the coding named.
    pub(super) fn inflated(&self, app: &App) -> Outcome<(Cow<'_, [u8]>, Option<Held>)> {
        let Some(name) = self.coding.name() else { return Ok((Cow::Borrowed(&self.bytes), None)) };
        let bytes = self
            .coding
            .inflate(&self.bytes, self.bytes_max)
            .map_err(|e| Failure::bad("bad_encoding", format!("the body is not {name}, or ends too early: {e}")))?;
        let bytes = bytes.ok_or_else(|| Failure::body_too_large(self.bytes_max))?;
        let held = app.hold(bytes.len())?;
        Ok((Cow::Owned(bytes), Some(held)))
    }
}

/// Reads a body to its end. On failure what is left stays in `body`.
///
/// # Errors
/// 413, 415 for a coding that we do not have, 408 for one that comes too slowly, 400 where it breaks off, 503.
pub(super) async fn read(app: &App, headers: &HeaderMap, body: &mut Body, bytes_max: usize) -> Outcome<RawBody> {
    let coding = Coding::of_body(headers).ok_or_else(|| {
        let message = "a body comes plain, or in gzip or zstd";
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_encoding", message)
    })?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(Failure::body_too_large(bytes_max));
    }
    let mut held = app.hold(0)?;
    let mut clock = Clock::new(app);
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    let mut length = 0;
    while let Some(part) = clock.next(body).await? {
        length += part.len();
        if length > bytes_max {
            return Err(Failure::body_too_large(bytes_max));
        }
        app.hold_more(&mut held, part.len())?;
        if first.is_empty() {
            first = part;
            continue;
        }
        if all.is_empty() {
            all.reserve(announced.map_or(0, |bytes| bytes as usize).min(FIRST_BYTES_MAX));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&part);
    }
    let bytes = if all.is_empty() { first } else { all.into() };
    Ok(RawBody { bytes, coding, bytes_max, _held: held })
}

/// Throws away what is left of a body, for a while.
pub(super) async fn drain(mut body: Body) {
    let start = Instant::now();
    let mut drained_bytes = 0;
    while drained_bytes < DRAINED_BYTES_MAX {
        let Some(left) = DRAIN_TIME_MAX.checked_sub(start.elapsed()) else { return };
        match timeout(left, body.frame()).await {
            Ok(Some(Ok(frame))) => drained_bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => return,
        }
    }
}

/// Holds a sender to the least rate.
struct Clock {
    start: Instant,
    stall_timeout: Duration,
    rate_min: u64,
    bytes: u64,
}

impl Clock {
    fn new(app: &App) -> Clock {
        let limits = &app.options.limits;
        let (stall_timeout, rate_min) = (limits.stall_timeout, limits.rate_min.max(1));
        Clock { start: Instant::now(), stall_timeout, rate_min, bytes: 0 }
    }

    /// The next bytes; none at the end.
    async fn next(&mut self, body: &mut Body) -> Outcome<Option<Bytes>> {
        loop {
            let allowed = self.stall_timeout + Duration::from_secs(self.bytes / self.rate_min);
            let left = allowed.saturating_sub(self.start.elapsed()).min(self.stall_timeout);
            match timeout(left, body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    // Trailers are passed over.
                    let Ok(data) = frame.into_data() else { continue };
                    self.bytes += data.len() as u64;
                    return Ok(Some(data));
                }
                Ok(Some(Err(_))) => return Err(Failure::bad("body_broken_off", "the body ended before its end")),
                Err(_) => {
                    let message = "the body came too slowly";
                    return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message));
                }
            }
        }
    }
}
