//! Content codings: gzip and zstd, both ways, in bounds.
//! Knows bytes only. What is inflated is counted while it is inflated, never after.

use std::io::{self, Read, Write};

use axum::http::{HeaderMap, header};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// How bytes are coded on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Coding {
    /// As they are.
    #[default]
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Window of a zstd frame that is accepted: 2^27 bytes, what every decoder is asked to take.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
const ZSTD_LEVEL: i32 = 3;
/// First allocation when inflating; the rest grows with what comes.
const INFLATED_FIRST_BYTES: usize = 64 << 10;

impl Coding {
    /// As headers name it; none for the plain one.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Zstd => Some("zstd"),
        }
    }

    /// The coding that a client likes best of those we have; zstd where it does not care.
    pub(super) fn accepted(headers: &HeaderMap) -> Coding {
        Coding::best_of(headers, &[Coding::Zstd, Coding::Gzip])
    }

    /// The coding of `offered` that a client likes best, the first of them where it does not care.
    pub(super) fn best_of(headers: &HeaderMap, offered: &[Coding]) -> Coding {
        let place = |coding| offered.iter().position(|one| *one == coding);
        let mut best = (0.0, Coding::Identity);
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for item in value.to_str().unwrap_or("").split(',') {
                let (name, weight) = weighted(item);
                let coding = match name {
                    "zstd" => Coding::Zstd,
                    "gzip" | "x-gzip" => Coding::Gzip,
                    _ => continue,
                };
                let Some(at) = place(coding) else { continue };
                let is_earlier = place(best.1).is_none_or(|other| at < other);
                if weight > best.0 || (weight == best.0 && weight > 0.0 && is_earlier) {
                    best = (weight, coding);
                }
            }
        }
        best.1
    }

    /// The coding of a request's body; none where we do not have it.
    pub(super) fn of_body(headers: &HeaderMap) -> Option<Coding> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Some(Coding::Identity) };
        match value.to_str().ok()?.trim() {
            "" | "identity" => Some(Coding::Identity),
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    /// Compresses a whole answer.
    ///
    /// # Errors
    /// What the coder gives.
    pub(super) fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = Encoder::new(self, Vec::with_capacity(bytes.len() / 4))?;
        encoder.write_all(bytes)?;
        encoder.finish()
    }

    /// Inflates a body; `None` where it would have more than `bytes_max` bytes.
    ///
    /// # Errors
    /// Bytes that are not of this coding, or end too early.
    pub(super) fn inflate(self, bytes: &[u8], bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let limit = bytes_max as u64 + 1;
        let mut out = Vec::with_capacity(INFLATED_FIRST_BYTES.min(bytes_max));
        match self {
            Coding::Identity => bytes.take(limit).read_to_end(&mut out)?,
            Coding::Gzip => MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out)?,
            Coding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                decoder.take(limit).read_to_end(&mut out)?
            }
        };
        Ok((out.len() <= bytes_max).then_some(out))
    }
}

fn weighted(item: &str) -> (&str, f32) {
    let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
    let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse().unwrap_or(0.0));
    (name.trim(), weight)
}

/// Compresses what is written to it.
pub(super) enum Encoder<W: Write> {
    /// Passes on.
    Identity(W),
    /// Boxed: its state is large.
    Gzip(Box<GzEncoder<W>>),
    /// As above.
    Zstd(Box<zstd::stream::write::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    /// An encoder into `inner`.
    ///
    /// # Errors
    /// What the coder gives.
    pub(super) fn new(coding: Coding, inner: W) -> io::Result<Encoder<W>> {
        Ok(match coding {
            Coding::Identity => Encoder::Identity(inner),
            Coding::Gzip => Encoder::Gzip(Box::new(GzEncoder::new(inner, Compression::fast()))),
            Coding::Zstd => Encoder::Zstd(Box::new(zstd::stream::write::Encoder::new(inner, ZSTD_LEVEL)?)),
        })
    }

    /// Writes the end and gives the inner writer back.
    ///
    /// # Errors
    /// What the inner writer gives.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Encoder::Identity(inner) => Ok(inner),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::Identity(inner) => inner.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Identity(inner) => inner.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_inflates_within_its_bound() {
        let text = "age >= 30 AND city = 'Paris'\n".repeat(10_000).into_bytes();
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let small = coding.compress(&text).unwrap();
            assert_eq!(coding.inflate(&small, text.len()).unwrap().as_ref(), Some(&text), "{coding:?}");
            assert_eq!(coding.inflate(&small, text.len() - 1).unwrap(), None, "{coding:?}");
            if coding != Coding::Identity {
                assert!(coding.inflate(&small[..small.len() - 3], text.len()).is_err(), "{coding:?}");
                assert!(coding.inflate(b"plain", 100).is_err(), "{coding:?}");
            }
        }
    }

    #[test]
    fn the_client_chooses() {
        let check = |accept: &str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(Coding::accepted(&headers), expected, "{accept}");
        };
        check("identity", Coding::Identity);
        check("gzip, deflate", Coding::Gzip);
        check("gzip, deflate, br, zstd", Coding::Zstd);
        check("zstd;q=0.5, gzip;q=0.8", Coding::Gzip);
        check("gzip;q=0", Coding::Identity);
        check("*", Coding::Identity);
    }
}
