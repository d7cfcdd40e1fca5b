//! Nothing that is sent may crash, hang or take memory without bound: limits, deep and wide questions, broken ones.

mod common;

use common::{statements, texts};
use queryparser::*;
use serde_json::{Value, json};

fn limits() -> Limits {
    Limits::default()
}

/// Reads, prints and drops on a small stack.
fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap().join().unwrap();
}

/// The code of the error, or "" if the text is understood and its print is too.
fn code(text: &str) -> &'static str {
    match parse_predicate(text, &limits()) {
        Ok(parsed) => {
            let again = parse_predicate(&predicate_text(&parsed.ast), &limits()).expect("prints are understood");
            assert_eq!(without_spans(again.ast), without_spans(parsed.ast.clone()));
            drop(predicate_tree(&parsed.ast));
            drop(clauses(&parsed.ast));
            ""
        }
        Err(problem) => problem.code,
    }
}

fn tree_code(tree: &Value) -> &'static str {
    parse_tree(tree, &limits()).map_or_else(|problem| problem.code, |_| "")
}

#[test]
fn wide_questions_are_one_node() {
    on_small_stack(|| {
        assert_eq!(code(&vec!["a = 1"; 100_000].join(" OR ")), "");
        assert_eq!(code(&vec!["a = 1"; 100_000].join(" AND ")), "");
        assert_eq!(code(&vec!["a = 1 OR b = 2"; 50_000].join(" AND ")), "");
        assert_eq!(code(&vec!["(a = 1 OR b = 2)"; 50_000].join(" AND ")), "");
        assert_eq!(code(&vec!["a = 1"; 100_001].join(" OR ")), "too_many_terms");
        let rules =
            |count| json!({"combinator": "or", "rules": vec![json!({"field": "a", "operator": "null"}); count]});
        assert_eq!(tree_code(&rules(100_000)), "");
        assert_eq!(tree_code(&rules(100_001)), "too_many_terms");
    });
}

#[test]
fn deep_questions_are_refused() {
    on_small_stack(|| {
        let nested = |open: &str, close: &str, depth| format!("{}a = 1{}", open.repeat(depth), close.repeat(depth));
        let kinds = [
            ("NOT ", ""),
            ("(", ")"),
            ("NOT (", ")"),
            ("was('x', ", ")"),
            ("EXISTS (SELECT 1 FROM e WHERE ", ")"),
            ("(SELECT count(*) FROM e WHERE ", ") > 1"),
            ("n > (SELECT count(*) FROM profiles WHERE ", ")"),
            ("one_id IN (SELECT one_id FROM profiles WHERE ", " ORDER BY a LIMIT 1)"),
            ("followed_by((SELECT 1 FROM a), (SELECT 1 FROM b WHERE ", "))"),
            ("b = 2 OR c = 3 AND (", ")"),
        ];
        for (open, close) in kinds {
            assert_eq!(code(&nested(open, close, 30)), "", "{open}");
            assert_eq!(code(&nested(open, close, 65)), "nesting_too_deep", "{open}");
            assert_eq!(code(&nested(open, close, 20_000)), "nesting_too_deep", "{open}");
        }
        assert_eq!(code(&nested("NOT ", "", 64)), "");
        assert_eq!(code(&"(".repeat(20_000)), "nesting_too_deep");
        let having = format!("SELECT count(*) FROM profiles HAVING {}count(*) > 1", "NOT ".repeat(20_000));
        assert_eq!(parse_statement(&having, &limits()).unwrap_err().code, "nesting_too_deep");
        let having = format!("SELECT count(*) FROM profiles HAVING {}", "(".repeat(20_000));
        assert_eq!(parse_statement(&having, &limits()).unwrap_err().code, "nesting_too_deep");
    });
}

#[test]
fn deep_trees_are_refused() {
    let group = |inner: Value| json!({"not": true, "combinator": "or", "rules": [inner]});
    let was = |inner: Value| json!({"was": "2026-10-31", "rule": inner});
    let matched = |inner: Value| json!({"field": "e", "operator": "=", "match": {"mode": "some"}, "value": inner});
    let nested = |wrap: &dyn Fn(Value) -> Value, depth: usize| {
        (0..depth).fold(json!({"field": "a", "operator": "null"}), |inner, _| wrap(inner))
    };
    for wrap in [&group as &dyn Fn(Value) -> Value, &was, &matched] {
        assert_eq!(tree_code(&nested(wrap, 60)), "");
        assert_eq!(tree_code(&nested(wrap, 66)), "nesting_too_deep");
        assert_eq!(tree_code(&nested(wrap, 1_000)), "nesting_too_deep");
    }
}

#[test]
fn a_question_within_the_limits_is_so_in_both_spellings() {
    let text = "a = 1 OR b = 2 AND (".repeat(31) + "c = 3" + &")".repeat(31);
    let ast = parse_predicate(&text, &limits()).unwrap().ast;
    let tree = predicate_tree(&ast);
    let again = parse_tree(&tree, &limits()).unwrap().ast;
    assert_eq!(without_spans(again), without_spans(ast.clone()));
    assert_eq!(code(&predicate_text(&ast)), "");
}

#[test]
fn a_million_ids_fit_in_a_list() {
    let list: Vec<String> = (0..1_000_000).map(|n| format!("'M{n:07}'")).collect();
    let text = format!("member IN ({})", list.join(", "));
    let started = std::time::Instant::now();
    let parsed = parse_predicate(&text, &limits()).unwrap();
    let elapsed_ms = started.elapsed().as_millis();
    println!("1,000,000 ids, {} bytes of text: {elapsed_ms} ms", text.len());
    assert!(elapsed_ms < 5_000, "{elapsed_ms} ms");
    assert_eq!(predicate_text(&parsed.ast), text);

    let tree = predicate_tree(&parsed.ast);
    let started = std::time::Instant::now();
    let again = parse_tree(&tree, &limits()).unwrap();
    println!("1,000,000 ids in a tree: {} ms", started.elapsed().as_millis());
    let queryparser::ast::PredicateKind::In { list, .. } = &again.ast.kind else { panic!("an IN list") };
    assert_eq!(again.source.locate(list[999_999].span), At::Tree { pointer: "/rules/0/value/999999".to_owned() });
}

#[test]
fn each_limit_has_its_code() {
    let small = Limits { text_bytes_max: 60, depth_max: 2, terms_max: 2, list_literals_max: 3, intervals_max: 1 };
    let check = |text: &str, code: &str| {
        assert_eq!(parse_predicate(text, &small).map_or_else(|problem| problem.code, |_| ""), code, "{text}");
    };
    check("a IN (1, 2, 3)", "");
    check("a IN (1, 2, 3, 4)", "too_many_literals");
    check("has_all(a, 1, 2, 3, 4)", "too_many_literals");
    check("a AND b AND c", "too_many_terms");
    check("NOT NOT NOT a", "nesting_too_deep");
    check("a > CURRENT_DATE - 1 - 1", "too_many_intervals");
    check(&" ".repeat(61), "text_too_long");
    check(&" ".repeat(60), "empty");
    let check = |tree: Value, code: &str| {
        assert_eq!(parse_tree(&tree, &small).map_or_else(|problem| problem.code, |_| ""), code, "{tree}");
    };
    check(json!({"field": "a", "operator": "in", "value": [1, 2, 3, 4]}), "too_many_literals");
    check(json!({"field": "a", "operator": "in", "value": "1,2,3,4"}), "too_many_literals");
    check(
        json!({"field": "a", "operator": "=", "value": {"current_date": [{"days_ago": 1}, {"days_ago": 1}]}}),
        "too_many_intervals",
    );
}

#[test]
fn broken_texts_are_errors() {
    let nines = "9".repeat(100_000);
    for text in [
        nines.clone(),
        format!("a = {nines}"),
        format!("a = 1e{nines}"),
        format!("a = -.{nines}"),
        format!("a = '{nines}"),
        format!("a = {nines}.{nines}"),
        format!("{nines} = {nines}"),
        "a = 'x\0y' AND \0".into(),
        "\u{feff}a = 1".into(),
        "a\u{a0}= 1".into(),
        "\u{202e}".into(),
        "'".repeat(99_999),
        "\"".repeat(99_999),
        "/*".repeat(50_000),
        "-".repeat(3),
        "$a = 1".into(),
        format!("joined > CURRENT_DATE{}", " - 1".repeat(10_000)),
        format!("a > CURRENT_DATE - INTERVAL '{nines}' DAY"),
        format!("joined > DATE '{nines}'"),
        format!("at > TIMESTAMP '{nines}'"),
        format!("{}(1)", "x".repeat(100_000)),
    ] {
        let problem = parse_predicate(&text, &limits()).expect_err("broken");
        let drawn = problem.render(&text);
        assert!(drawn.len() < 1_500, "{} bytes drawn", drawn.len());
        assert!(problem.message.len() < 400, "{}", problem.message);
    }
    let kept = parse_predicate("a = 'x\0\u{1}\u{feff}\n'", &limits()).unwrap().ast;
    assert_eq!(predicate_text(&kept), "a = 'x\0\u{1}\u{feff}\n'");
}

/// Reading it does not panic, whatever it says; an error can be drawn.
fn survive(text: &str) {
    for problem in
        [parse_predicate(text, &limits()).err(), parse_statement(text, &limits()).err()].into_iter().flatten()
    {
        let _ = problem.render(text);
        let _ = problem.render("another text");
    }
}

#[test]
fn every_prefix_of_an_example_survives() {
    for (text, _) in texts().into_iter().chain(statements()) {
        for (end, _) in text.char_indices() {
            survive(&text[..end]);
            survive(&text[end..]);
        }
    }
}

#[test]
fn every_change_of_one_byte_survives() {
    let others = b"'\"()*,-./0;<=>A_e \0\n%\\[\x7f";
    for (text, _) in texts().into_iter().chain(statements()) {
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            for &other in others {
                bytes[at] = other;
                survive(&String::from_utf8_lossy(&bytes));
            }
            bytes.remove(at);
            survive(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn every_tree_with_a_part_replaced_survives() {
    let strange = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!([]),
        json!({}),
        json!([[]]),
        json!({"rules": 1}),
    ];
    for (text, _) in texts() {
        let Ok(parsed) = parse_predicate(text, &limits()) else { continue };
        let tree = predicate_tree(&parsed.ast);
        for pointer in pointers(&tree) {
            for value in &strange {
                let mut changed = tree.clone();
                *changed.pointer_mut(&pointer).unwrap() = value.clone();
                if let Err(Diagnostic { at: At::Tree { pointer }, .. }) = parse_tree(&changed, &limits()) {
                    assert!(changed.pointer(&pointer).is_some(), "nothing at {pointer} in {changed}");
                }
            }
        }
    }
}

/// The pointers of all values of a tree.
fn pointers(tree: &Value) -> Vec<String> {
    let below = |key: String, value: &Value| {
        let prefix = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        pointers(value).into_iter().map(move |rest| format!("{prefix}{rest}")).collect::<Vec<_>>()
    };
    let inside: Vec<String> = match tree {
        Value::Array(values) => values.iter().enumerate().flat_map(|(i, v)| below(i.to_string(), v)).collect(),
        Value::Object(map) => map.iter().flat_map(|(key, v)| below(key.clone(), v)).collect(),
        _ => Vec::new(),
    };
    std::iter::once(String::new()).chain(inside).collect()
}
