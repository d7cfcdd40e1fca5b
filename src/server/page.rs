//! The page: the segment builder and the API reference, as files that are part of the program.
//! Knows files, media types and caches; what the page asks, it asks as any other client does.
//!
//! ```text
//!   page/src ── npm ci && npx vite build ──► page/dist (checked in) ── include_bytes ──► one table of files here
//! ```
//! Nothing is fetched from elsewhere, and the policy that is sent along holds the browser to that.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use xxhash_rust::xxh3::xxh3_64;

use super::app::Outcome;
use super::call::Call;
use super::coding::Coding;
use super::failure::Failure;
use super::reply::Reply;

/// Scripts, styles, pictures and answers from here and nowhere else; nothing inline, nothing framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Browsers keep a file and ask each time whether it is still the one.
const CACHE: &str = "no-cache";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// One file of the page, ready to be sent.
struct File {
    name: &'static str,
    content_type: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
    /// Weak when sent: the same for the bytes as they are and compressed.
    etag: String,
}

/// All files. Compressed once, at the first request for any.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    macro_rules! file {
        ($name:literal, $content_type:expr) => {
            File::new($name, $content_type, include_bytes!(concat!("page/dist/", $name)))
        };
    }
    vec![
        file!("index.html", HTML),
        file!("docs.html", HTML),
        file!("page.js", SCRIPT),
        file!("docs.js", SCRIPT),
        file!("shared.js", SCRIPT),
        file!("style.css", STYLE),
        file!("icon.svg", PICTURE),
    ]
});

impl File {
    fn new(name: &'static str, content_type: &'static str, plain: &'static [u8]) -> File {
        let gzip = Coding::Gzip.compress(plain).unwrap_or_default();
        File { name, content_type, plain, gzip, etag: format!("\"{:016x}\"", xxh3_64(plain)) }
    }

    fn reply(&self, call: &Call) -> Reply {
        let known = call.headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or("");
        let reply = if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.etag) {
            Reply::bytes(self.content_type, Vec::new()).status(StatusCode::NOT_MODIFIED)
        } else if Coding::best_of(&call.headers, &[Coding::Gzip]) == Coding::Gzip && !self.gzip.is_empty() {
            Reply::bytes(self.content_type, self.gzip.clone()).coded(Coding::Gzip)
        } else {
            Reply::bytes(self.content_type, self.plain.to_vec())
        };
        reply
            .header("etag", format!("W/{}", self.etag))
            .header("cache-control", CACHE)
            .header("content-security-policy", POLICY)
            .header("referrer-policy", "no-referrer")
    }
}

fn named(call: &Call, name: &str) -> Outcome<Reply> {
    let file = FILES.iter().find(|file| file.name == name);
    let missing = || Failure::not_found("unknown_file", format!("the page has no file `{name}`"));
    file.map(|file| file.reply(call)).ok_or_else(missing)
}

/// `GET /`
pub(super) async fn index(call: Call) -> Outcome<Reply> {
    named(&call, "index.html")
}

/// `GET /docs`
pub(super) async fn docs(call: Call) -> Outcome<Reply> {
    named(&call, "docs.html")
}

/// `GET /page/{file}`
pub(super) async fn file(call: Call) -> Outcome<Reply> {
    named(&call, call.part("file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_a_page_names_is_there() {
        for page in FILES.iter().filter(|file| file.content_type == HTML) {
            let text = std::str::from_utf8(page.plain).unwrap();
            let named: Vec<&str> = text.split("\"/page/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert!(named.len() >= 3, "{}: {named:?}", page.name);
            for name in named {
                assert!(FILES.iter().any(|file| file.name == name), "{} names {name}", page.name);
            }
        }
    }

    #[test]
    fn pages_hold_nothing_inline_and_name_no_other_host() {
        for file in FILES.iter() {
            let text = std::str::from_utf8(file.plain).unwrap();
            assert!(
                file.content_type != HTML || !(text.contains("<style") || text.contains("style=")),
                "{}",
                file.name
            );
            // Names of XML vocabularies are no addresses.
            let addresses = text.matches("://").count() - text.matches("http://www.w3.org/").count();
            assert_eq!(addresses, 0, "{}", file.name);
        }
    }

    #[test]
    fn what_is_compressed_is_what_is_plain() {
        for file in FILES.iter() {
            assert_eq!(
                Coding::Gzip.inflate(&file.gzip, file.plain.len()).unwrap().unwrap(),
                file.plain,
                "{}",
                file.name
            );
        }
    }
}
