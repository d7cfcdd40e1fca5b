//! What the tests share: the example files, and random ASTs in the form that the parsers make.
#![allow(dead_code)]

pub(crate) mod random;

/// The examples of a file: text, and its canonical spelling or (after `!`) its error.
pub(crate) fn examples(file: &'static str) -> Vec<(&'static str, Expected)> {
    let mut found: Vec<(&str, Expected)> = Vec::new();
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(canonical) = line.strip_prefix("= ") {
            found.last_mut().expect("a text stands above").1 = Expected::Text(canonical);
        } else if let Some(message) = line.strip_prefix("! ") {
            found.last_mut().expect("a text stands above").1 = Expected::Error(message);
        } else {
            found.push((line, Expected::Text(line)));
        }
    }
    found
}

/// What is to become of an example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Expected {
    /// It is understood and printed so.
    Text(&'static str),
    /// It is refused with this message.
    Error(&'static str),
}

/// Conditions, from `cases/texts.txt`.
pub(crate) fn texts() -> Vec<(&'static str, Expected)> {
    examples(include_str!("../cases/texts.txt"))
}

/// Statements, from `cases/statements.txt`.
pub(crate) fn statements() -> Vec<(&'static str, Expected)> {
    examples(include_str!("../cases/statements.txt"))
}

/// Blocks of a golden file: `=== title`, what is asked, `---`, what is answered. All ends with a blank line.
pub(crate) fn blocks(file: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for block in file.split("=== ").skip(1) {
        let (title, rest) = block.split_once('\n').expect("a title ends its line");
        let (asked, answered) = rest.split_once("\n---\n").unwrap_or((rest.trim_end(), ""));
        found.push((title.to_owned(), asked.to_owned(), answered.trim_end().to_owned()));
    }
    found
}

/// Compares every block's answer with the golden one; with `UPDATE_CASES=1` writes the golden ones anew.
pub(crate) fn check_blocks(path: &str, answer: impl Fn(&str, &str) -> String) {
    let path = format!("{}/tests/cases/{path}", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read_to_string(&path).expect("the golden file");
    let head = file.split("=== ").next().unwrap_or("").to_owned();
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut written = head;
    for (title, asked, expected) in blocks(&file) {
        let answered = answer(&title, &asked);
        assert!(update || answered == expected, "{title}: {asked}\n{answered}\n-- but expected --\n{expected}");
        written.push_str(&format!("=== {title}\n{asked}\n---\n{answered}\n\n"));
    }
    if update {
        std::fs::write(&path, written).expect("the golden file can be written");
    }
}
