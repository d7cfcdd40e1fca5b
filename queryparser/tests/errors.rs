//! Errors as people see them: each golden block is compared word for word, its code too.

mod common;

use queryparser::*;

#[test]
fn text_errors_are_drawn() {
    let limits = Limits::default();
    common::check_blocks("errors.txt", |title, asked| {
        let (kind, code) = title.split_once(' ').expect("kind and code");
        let problem = match kind {
            "statement" => parse_statement(asked, &limits).map(|parsed| statement_text(&parsed.ast)),
            _ => parse_predicate(asked, &limits).map(|parsed| predicate_text(&parsed.ast)),
        };
        match problem {
            Ok(understood) => panic!("{asked}\nis understood as\n{understood}"),
            Err(problem) => {
                assert_eq!(problem.code, code, "{asked}\n{}", problem.render(asked));
                problem.render(asked)
            }
        }
    });
}

#[test]
fn tree_errors_name_a_pointer() {
    common::check_blocks("tree_errors.txt", |code, asked| {
        let tree: serde_json::Value = serde_json::from_str(asked).expect("JSON");
        let problem = parse_tree(&tree, &Limits::default()).expect_err(asked);
        assert_eq!(problem.code, code, "{asked}\n{problem}");
        let At::Tree { pointer } = &problem.at else { panic!("{asked}: a tree has pointers") };
        assert!(tree.pointer(pointer).is_some(), "{asked}: nothing at {pointer}");
        problem.render("")
    });
}

#[test]
fn every_error_has_a_place_inside_the_text() {
    let check = |text: &str, expected: At| {
        assert_eq!(parse_predicate(text, &Limits::default()).unwrap_err().at, expected, "{text}");
    };
    check("country = AND plan='x'", At::Text { line: 1, column: 11, length: 3 });
    check("a = 1 AND", At::Text { line: 1, column: 10, length: 1 });
    check("", At::Text { line: 1, column: 1, length: 1 });
    check("city = '上海' AND x y", At::Text { line: 1, column: 19, length: 1 });
    check("a = 1\n AND ?", At::Text { line: 2, column: 6, length: 1 });
}
