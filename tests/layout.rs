//! The shape of the code, tested as code: imports go down only, every file says what it owns, files stay readable.

use std::path::{Path, PathBuf};

/// Longest file, in lines.
const LINES_MAX: usize = 700;

/// Entries of the repository's top.
const TOP: &[&str] = &[
    ".ci",
    ".git",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "benches",
    "queryparser",
    "rustfmt.toml",
    "src",
    "storage",
    "test.sh",
    "tests",
];

/// Left there by tools, and ignored by git.
const LEFT: &[&str] = &["target", "headcount-data"];

/// Files that may hold `unsafe`: mapped bytes, and kernels by name.
const UNSAFE: &[&str] = &[
    "storage/src/mapping.rs",
    "storage/src/words.rs",
    "src/query/threads/help.rs",
    "src/query/kernels/codes.rs",
    "src/query/kernels/ids.rs",
    "src/query/kernels/level.rs",
    "src/query/kernels/spans.rs",
    "src/query/kernels/words.rs",
    "src/query/kernels/x86.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rust files under a folder, or the file itself: path from the root, and text.
fn sources(under: &str) -> Vec<(String, String)> {
    files(under, &["rs"])
}

/// What the page is written in.
fn page_sources() -> Vec<(String, String)> {
    ["src/server/page/src", "tests/browser"]
        .into_iter()
        .flat_map(|under| files(under, &["js", "jsx", "css", "mjs"]))
        .collect()
}

fn files(under: &str, extensions: &[&str]) -> Vec<(String, String)> {
    fn walk(dir: &Path, extensions: &[&str], into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                walk(&path, extensions, into);
            } else if path.extension().is_some_and(|e| extensions.iter().any(|one| e == *one)) {
                into.push(path);
            }
        }
    }
    let (top, mut paths) = (root().join(under), Vec::new());
    if top.is_file() {
        paths.push(top);
    } else if top.is_dir() {
        walk(&top, extensions, &mut paths);
    }
    paths.sort();
    let named = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (named(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn everywhere() -> Vec<(String, String)> {
    ["src", "storage", "queryparser", "tests", "benches"].into_iter().flat_map(sources).collect()
}

/// Code without its comments.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in `code` as a word of its own.
fn mentions(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(part);
        let after = code[at + word.len()..].chars().next().is_some_and(part);
        !before && !after
    })
}

/// No file under `floor` names a room above it: as `crate::room`, `super::room` of the root, or a crate.
fn check_floor(floor: &str, above: &[&str]) {
    for (path, text) in sources(floor) {
        let code = code(&text);
        for room in above {
            for way in [format!("crate::{room}"), format!("headcount::{room}")] {
                assert!(!mentions(&code, &way), "{path} reaches up to {way}");
            }
            let grouped =
                code.split("crate::{").skip(1).any(|rest| mentions(rest.split(';').next().unwrap_or(""), room));
            assert!(!grouped, "{path} reaches up to crate::{{{room}}}");
        }
    }
}

fn check_crate(floor: &str, strangers: &[&str]) {
    for (path, text) in sources(floor) {
        for stranger in strangers {
            let code = code(&text);
            assert!(!mentions(&code, &format!("use {stranger}")), "{path} uses {stranger}");
            assert!(!code.contains(&format!("{stranger}::")), "{path} names {stranger}::");
        }
    }
}

#[test]
fn crates_below_know_nothing_of_each_other_nor_of_what_is_above() {
    check_crate("queryparser/src", &["storage", "headcount"]);
    check_crate("storage/src", &["queryparser", "headcount"]);
    for (manifest, strangers) in [("queryparser", ["storage", "headcount"]), ("storage", ["queryparser", "headcount"])]
    {
        let text = std::fs::read_to_string(root().join(manifest).join("Cargo.toml")).unwrap();
        for stranger in strangers {
            let named = text
                .lines()
                .any(|line| line.starts_with(stranger) && line[stranger.len()..].starts_with([' ', '.', '=']));
            assert!(!named, "{manifest}/Cargo.toml depends on {stranger}");
        }
    }
}

#[test]
fn rooms_import_downward_only() {
    check_floor("src/query", &["engine", "import", "generate", "server", "cli"]);
    check_floor("src/engine", &["server", "cli"]);
    check_floor("src/import", &["server", "cli"]);
    check_floor("src/generate", &["server", "cli"]);
    check_floor("src/server", &["cli"]);
}

#[test]
fn only_the_server_speaks_http() {
    for (path, text) in sources("src").into_iter().chain(sources("storage/src")).chain(sources("queryparser/src")) {
        let is_server = path.starts_with("src/server/") || path == "src/server.rs";
        for word in ["axum", "tokio", "hyper"] {
            assert!(is_server || !mentions(&code(&text), word), "{path} mentions {word}");
        }
    }
}

#[test]
fn unsafe_stands_only_where_it_is_named() {
    let word = concat!("un", "safe");
    for (path, text) in everywhere() {
        let code = code(&text);
        assert!(UNSAFE.contains(&path.as_str()) || !mentions(&code, word), "{path} has {word} code");
        if mentions(&code, word) {
            assert!(text.contains("// SAFETY:"), "{path} does not say why it is sound");
        }
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for (path, text) in everywhere() {
        assert!(text.starts_with("//! "), "{path} does not open with //!");
    }
    for (path, text) in page_sources() {
        assert!(text.starts_with("// ") || text.starts_with("/* "), "{path} does not open with what it owns");
    }
}

#[test]
fn files_stay_readable_in_size() {
    let long: Vec<String> = everywhere()
        .into_iter()
        .chain(page_sources())
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(path, text)| format!("{path}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines: {long:?}");
}

#[test]
fn the_top_of_the_repository_is_a_known_list() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(TOP.contains(&name.as_str()) || LEFT.contains(&name.as_str()), "{name} at the top of the repository");
    }
}
