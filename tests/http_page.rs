//! The page and the reference, as a browser gets them: bytes, caches, and the policy that holds them to this server.

mod http_client;

use std::io::Read;

use http_client::{Answer, Client, Server};
use serde_json::json;

#[track_caller]
fn fetch(client: &mut Client, path: &str, headers: &[(&str, &str)], status: u16) -> Answer {
    let answer = client.call("GET", path, headers, None);
    assert_eq!(answer.status, status, "{path}: {}", answer.head);
    answer
}

#[test]
fn the_page_and_what_it_is_made_of_come_from_here() {
    let server = Server::start();
    let mut client = server.client();
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/docs.js", "text/javascript; charset=utf-8"),
        ("/page/shared.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer = fetch(&mut client, path, &[], 200);
        assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(
            !policy.contains("inline") && !policy.contains("eval") && !policy.contains('*') && !policy.contains("http"),
            "{path}: {policy}"
        );
    }
    for missing in ["/page/other.js", "/page/..%2Fopenapi.json"] {
        let (status, code, _) = client.get(missing).failure();
        assert_eq!((status, code.as_str()), (404, "unknown_file"), "{missing}");
    }
}

#[test]
fn a_browser_that_has_a_file_is_told_so() {
    let server = Server::start();
    let mut client = server.client();
    let first = fetch(&mut client, "/page/page.js", &[], 200);
    let tag = first.header("etag").unwrap().to_string();
    let again = fetch(&mut client, "/page/page.js", &[("if-none-match", &tag)], 304);
    assert!(again.body.is_empty());
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    let other = fetch(&mut client, "/page/style.css", &[("if-none-match", &tag)], 200);
    assert_ne!(other.header("etag"), Some(tag.as_str()));
    assert!(other.body.len() > 1000);
}

#[test]
fn files_travel_compressed_to_whoever_takes_gzip() {
    let server = Server::start();
    let mut client = server.client();
    let plain = fetch(&mut client, "/page/page.js", &[], 200);
    assert_eq!(plain.header("content-encoding"), None);
    let small = fetch(&mut client, "/page/page.js", &[("accept-encoding", "gzip, deflate, br, zstd")], 200);
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert!(small.body.len() * 2 < plain.body.len(), "{} of {}", small.body.len(), plain.body.len());
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&small.body[..]).read_to_end(&mut inflated).unwrap();
    assert_eq!(inflated, plain.body);
    let refused = fetch(&mut client, "/page/page.js", &[("accept-encoding", "gzip;q=0, zstd")], 200);
    assert_eq!(refused.header("content-encoding"), None);
    assert_eq!(refused.body, plain.body);
}

#[test]
fn answers_about_people_are_never_kept_by_a_browser() {
    let server = Server::with_people();
    let answer = server.client().ask("count", &json!({"where": "age >= 30"}));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.expect(200)["count"], 2);
}
