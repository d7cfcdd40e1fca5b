//! Watched connections: a stream that knows whether its client keeps moving.
//! Knows times and bytes; the HTTP in them is hyper's.
//!
//! ```text
//!   Idle ──first byte──► Head ──whole head──► Busy ──answer sent──► Idle
//!    60 s                 10 s                 a write that is stuck: 30 s, or slower than the least rate
//! ```
//! Bodies have their own clock, in `body`.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::ServeLimits;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Keep,
    /// It is closed at once.
    Cut,
}

/// What is known of one connection. The lock is never contended: one task reads and writes.
#[derive(Debug)]
pub(super) struct Watch {
    state: Mutex<State>,
    head_timeout: Duration,
    idle_timeout: Duration,
    stall_timeout: Duration,
    rate_min: u64,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// When the write that is stuck got stuck.
    stuck_since: Option<Instant>,
    /// Of the answer that is being sent.
    stuck: Duration,
    written_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
}

impl Watch {
    pub(super) fn new(limits: &ServeLimits) -> Watch {
        let state = State {
            phase: Phase::Idle,
            since: Instant::now(),
            stuck_since: None,
            stuck: Duration::ZERO,
            written_bytes: 0,
        };
        Watch {
            state: Mutex::new(state),
            head_timeout: limits.head_timeout,
            idle_timeout: limits.idle_timeout,
            stall_timeout: limits.stall_timeout,
            rate_min: limits.rate_min.max(1),
        }
    }

    /// Whether the client may go on.
    pub(super) fn verdict(&self) -> Verdict {
        let state = self.state();
        let late = match (state.phase, state.stuck_since) {
            (Phase::Idle, None) => state.since.elapsed() > self.idle_timeout,
            (Phase::Head, None) => state.since.elapsed() > self.head_timeout,
            (Phase::Busy, None) => false,
            (_, Some(since)) => {
                let stuck = since.elapsed();
                let allowed = self.stall_timeout + Duration::from_secs(state.written_bytes / self.rate_min);
                stuck > self.stall_timeout || state.stuck + stuck > allowed
            }
        };
        if late { Verdict::Cut } else { Verdict::Keep }
    }

    /// A head is complete; the answer's body is to be wrapped by what this gives.
    pub(super) fn request_begins(self: &Arc<Watch>) -> UnderWay {
        let mut state = self.state();
        (state.phase, state.stuck, state.written_bytes) = (Phase::Busy, Duration::ZERO, 0);
        UnderWay(self.clone())
    }

    fn has_read(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Head, Instant::now());
        }
    }

    fn has_written(&self, bytes: usize) {
        let mut state = self.state();
        state.written_bytes += bytes as u64;
        if let Some(since) = state.stuck_since.take() {
            state.stuck += since.elapsed();
        }
    }

    fn is_stuck(&self) {
        self.state().stuck_since.get_or_insert_with(Instant::now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request of a connection; when dropped, the connection is idle again.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Watch>);

impl UnderWay {
    /// Keeps the request under way until the body has been handed over.
    pub(super) fn until_sent(self, body: Body) -> Body {
        Body::new(Sending { body, _under_way: self })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        (state.phase, state.since) = (Phase::Idle, Instant::now());
    }
}

struct Sending {
    body: Body,
    _under_way: UnderWay,
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells its watch what moves.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    watch: Arc<Watch>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, watch: Arc<Watch>) -> Watched {
        Watched { stream, watch }
    }

    pub(super) fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.watch.has_written(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watch.is_stuck(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watch.has_read();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ServeLimits {
        let short = Duration::from_millis(30);
        ServeLimits { head_timeout: short, idle_timeout: short * 4, stall_timeout: short, ..ServeLimits::default() }
    }

    #[test]
    fn each_phase_has_its_own_time() {
        let watch = Arc::new(Watch::new(&limits()));
        let passes = |ms| {
            std::thread::sleep(Duration::from_millis(ms));
            watch.verdict()
        };
        assert_eq!(passes(40), Verdict::Keep, "idle");
        watch.has_read();
        assert_eq!(passes(40), Verdict::Cut, "head");
        let under_way = watch.request_begins();
        assert_eq!(passes(150), Verdict::Keep, "busy");
        watch.is_stuck();
        assert_eq!(passes(40), Verdict::Cut, "stuck");
        watch.has_written(5);
        drop(under_way);
        assert_eq!(passes(40), Verdict::Keep, "idle again");
        assert_eq!(passes(120), Verdict::Cut, "idle too long");
    }
}
