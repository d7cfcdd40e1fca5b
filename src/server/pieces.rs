//! Pieces: what a thread writes becomes the parts of a body, with back pressure.
//! Knows bytes and a channel; what they spell is the writer's matter.

use std::io::{self, Write};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::reply::Piece;

/// Bytes of a piece.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// Pieces that may wait for the reader.
pub(super) const PIECES_WAITING_MAX: usize = 4;

/// Collects bytes and sends them on. Waits while the reader is behind: not for async threads, nor for the pool.
pub(super) struct Pieces {
    waiting: Vec<u8>,
    sender: mpsc::Sender<Piece>,
}

impl Pieces {
    pub(super) fn new(sender: mpsc::Sender<Piece>) -> Pieces {
        Pieces { waiting: Vec::new(), sender }
    }

    /// Sends what is left, as the last piece. Without this the body counts as broken off.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] once the reader has gone.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.waiting);
        self.send(Piece::Last(rest.into()))
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE_BYTES {
            let full = Bytes::from(std::mem::take(&mut self.waiting));
            self.waiting.reserve(PIECE_BYTES);
            self.send(Piece::Part(full))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_and_the_end_is_told() {
        let (sender, mut receiver) = mpsc::channel(PIECES_WAITING_MAX);
        let mut out = Pieces::new(sender);
        out.write_all(&[1; PIECE_BYTES - 1]).unwrap();
        assert!(receiver.try_recv().is_err(), "not yet");
        out.write_all(&[2; 2]).unwrap();
        assert!(matches!(receiver.try_recv(), Ok(Piece::Part(bytes)) if bytes.len() == PIECE_BYTES + 1));
        out.write_all(b"end").unwrap();
        out.end().unwrap();
        assert!(matches!(receiver.try_recv(), Ok(Piece::Last(bytes)) if &bytes[..] == b"end"));
        drop(receiver);
        assert_eq!(out.end().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
