//! The language as its description gives it: each text and the rule tree that says the same, in both directions.

use queryparser::*;
use serde_json::{Value, json};

/// The text and the tree have one AST, apart from plain-string dates in the tree, which stay texts.
fn check(text: &str, tree: Value) {
    let limits = Limits::default();
    let from_text = parse_predicate(text, &limits).unwrap_or_else(|problem| panic!("{}", problem.render(text)));
    let from_tree = parse_tree(&tree, &limits).unwrap_or_else(|problem| panic!("{tree}\n{problem}"));
    assert_eq!(without_spans(from_tree.ast.clone()), without_spans(from_text.ast), "{text}\n{tree}");
    let printed = predicate_tree(&from_tree.ast);
    let again = parse_tree(&printed, &limits).unwrap();
    assert_eq!(predicate_text(&again.ast), predicate_text(&from_tree.ast));
}

/// A group of rules that must all hold.
fn all_of(rules: &[Value]) -> Value {
    json!({"combinator": "and", "rules": rules})
}

fn rule(field: &str, operator: &str, value: Value) -> Value {
    json!({"field": field, "operator": operator, "value": value})
}

fn matched(field: &str, matching: Value, value: Value) -> Value {
    json!({"field": field, "operator": "=", "match": matching, "value": value})
}

#[test]
fn the_example_of_the_description() {
    let bakery = rule("category", "=", json!("bakery"));
    let tree = json!({"combinator": "and", "rules": [
        {"field": "gender", "operator": "=", "value": "F"},
        {"field": "city", "operator": "in", "value": ["Shanghai", "Hangzhou"]},
        {"field": "age", "operator": "between", "value": [25, 39]},
        {"not": true, "combinator": "or", "rules": [{"field": "lifecycle", "operator": "in", "value": ["churned"]}]},
        matched("purchase", json!({"mode": "atLeast", "threshold": 2}),
            all_of(&[bakery, rule("day", ">=", json!({"days_ago": 30}))])),
        {"field": "purchase", "aggregate": {"fn": "sum", "of": "amount"}, "operator": ">=", "value": 500,
         "where": {"combinator": "and", "rules": [{"field": "day", "operator": ">=", "value": {"days_ago": 90}}]}},
        {"audience": "vip"}]});
    check(
        "gender = 'F' AND city IN ('Shanghai', 'Hangzhou') AND age BETWEEN 25 AND 39 AND NOT lifecycle IN ('churned') \
         AND (SELECT count(*) FROM purchase WHERE category = 'bakery' AND day >= CURRENT_DATE - INTERVAL '30' DAY) >= 2 \
         AND (SELECT sum(amount) FROM purchase WHERE day >= CURRENT_DATE - INTERVAL '90' DAY) >= 500 AND in_audience('vip')",
        tree,
    );
}

#[test]
fn operators() {
    let a = |operator, value| rule("a", operator, value);
    check("a = 'x'", a("=", json!("x")));
    check("a <> 'x'", a("!=", json!("x")));
    check("a < 1 AND a <= 2", all_of(&[a("<", json!(1)), a("<=", json!(2))]));
    check("a > -1 AND a >= 0.25", all_of(&[a(">", json!(-1)), a(">=", json!(0.25))]));
    check("a IN ('x', 'y, z')", a("in", json!(["x", "y, z"])));
    check("a NOT IN ('x', 'y')", a("notIn", json!("x, y ,")));
    check("a IN ('x,y', 'z')", a("in", json!("x\\,y,z")));
    check("a BETWEEN 1 AND 2", a("between", json!([1, 2])));
    check("a NOT BETWEEN '1' AND '2'", a("notBetween", json!("1,2")));
    check(
        "a IS NULL AND a IS NOT NULL",
        all_of(&[a("null", Value::Null), json!({"field": "a", "operator": "notNull"})]),
    );
    check(r"a LIKE '%50\%\_\\%'", a("contains", json!(r"50%_\")));
    check("a LIKE 'x%' AND a LIKE '%x'", all_of(&[a("beginsWith", json!("x")), a("endsWith", json!("x"))]));
    check("a NOT LIKE '%x%'", a("doesNotContain", json!("x")));
    check(
        "a NOT LIKE 'x%' AND a NOT LIKE '%x'",
        all_of(&[a("doesNotBeginWith", json!("x")), a("doesNotEndWith", json!("x"))]),
    );
    check("a LIKE 'x_' AND a NOT LIKE 'x%y'", all_of(&[a("like", json!("x_")), a("notLike", json!("x%y"))]));
    check("a ILIKE 'x_' AND a NOT ILIKE 'x%'", all_of(&[a("ilike", json!("x_")), a("notIlike", json!("x%"))]));
    check("a LIKE 'x!_' ESCAPE '!'", json!({"field": "a", "operator": "like", "value": "x!_", "escape": "!"}));
    check(
        "has_all(a, 'x', 'y') AND has_none(a, 'z')",
        all_of(&[a("hasAll", json!(["x", "y"])), a("hasNone", json!("z"))]),
    );
    check("a", a("=", json!(true)));
    check("a = FALSE", a("=", json!(false)));
}

#[test]
fn match_modes() {
    let x = || all_of(&[rule("x", "=", json!(1))]);
    let count = |op| format!("(SELECT count(*) FROM e WHERE x = 1) {op}");
    check("EXISTS (SELECT 1 FROM e WHERE x = 1)", matched("e", json!({"mode": "some"}), x()));
    check("NOT EXISTS (SELECT 1 FROM e WHERE x = 1)", matched("e", json!({"mode": "none"}), x()));
    check("NOT EXISTS (SELECT 1 FROM e WHERE NOT x = 1)", matched("e", json!({"mode": "all"}), x()));
    check(&count(">= 2"), matched("e", json!({"mode": "atLeast", "threshold": 2}), x()));
    check(&count("<= 2"), matched("e", json!({"mode": "atMost", "threshold": 2}), x()));
    check(&count("= 2"), matched("e", json!({"mode": "exactly", "threshold": 2}), x()));
    check("EXISTS (SELECT 1 FROM e)", matched("e", json!({"mode": "some"}), all_of(&[])));
    check("NOT EXISTS (SELECT 1 FROM e WHERE FALSE)", matched("e", json!({"mode": "all"}), all_of(&[])));
}

#[test]
fn rules_of_our_own() {
    check(
        "followed_by((SELECT 1 FROM a WHERE x = 1), (SELECT 1 FROM b), INTERVAL '14' DAY)",
        json!({"followed_by": [{"event": "a", "where": rule("x", "=", json!(1))}, {"event": "b"}], "within": {"days": 14}}),
    );
    check(
        "one_id IN (SELECT one_id FROM profiles WHERE vip ORDER BY spend DESC LIMIT 100000)",
        json!({"top": {"by": "spend", "order": "desc", "n": 100_000, "where": rule("vip", "=", json!(true))}}),
    );
    check("one_id IN (SELECT one_id FROM profiles WHERE vip)", json!({"among": rule("vip", "=", json!(true))}));
    check(
        "spend >= (SELECT quantile(spend, 0.8) FROM profiles)",
        rule("spend", ">=", json!({"quantile": 0.8, "of": "spend"})),
    );
    check(
        "spend >= (SELECT avg(spend) FROM profiles WHERE vip)",
        rule("spend", ">=", json!({"aggregate": {"fn": "avg", "of": "spend"}, "where": rule("vip", "=", json!(true))})),
    );
    check(
        "month_day(birthday) BETWEEN '12-29' AND '01-04'",
        json!({"field": "birthday", "part": "month_day", "operator": "between", "value": ["12-29", "01-04"]}),
    );
    check(
        "bucket('summer sale', 100) < 45",
        json!({"bucket": {"salt": "summer sale", "of": 100}, "operator": "<", "value": 45}),
    );
    check("in_bitmap('OjAAAA==')", json!({"bitmap": "OjAAAA=="}));
    check("in_audience('vip')", json!({"audience": "vip"}));
    check("in_snapshot('vip', DATE '2026-11-01')", json!({"snapshot": "vip", "on": "2026-11-01"}));
    check("was(DATE '2026-10-31', tier = 'V4')", json!({"was": "2026-10-31", "rule": rule("tier", "=", json!("V4"))}));
    check("was('before', TRUE)", json!({"was": "before", "rule": all_of(&[])}));
    let aggregates = ["sum", "avg", "min", "max", "first", "last"];
    for function in aggregates {
        let rule = json!({"field": "e", "aggregate": {"fn": function, "of": "x"}, "operator": ">", "value": 1});
        check(&format!("(SELECT {function}(x) FROM e) > 1"), rule);
    }
    check(
        "(SELECT count(DISTINCT x) FROM e) > 1",
        json!({"field": "e", "aggregate": {"fn": "count_distinct", "of": "x"}, "operator": ">", "value": 1}),
    );
    check(
        "(SELECT count(*) FROM e) > 1",
        json!({"field": "e", "aggregate": {"fn": "count"}, "operator": ">", "value": 1}),
    );
}

#[test]
fn dates() {
    let a = |value| rule("a", ">=", value);
    check("a >= '2026-11-01'", a(json!("2026-11-01")));
    check("a >= DATE '2026-11-01'", a(json!({"date": "2026-11-01"})));
    check("a >= TIMESTAMP '2026-11-01 09:00:00'", a(json!({"timestamp": "2026-11-01T09:00"})));
    check("a >= CURRENT_DATE", a(json!({"days_ago": 0})));
    check("a >= CURRENT_DATE - INTERVAL '2' WEEK", a(json!({"weeks_ago": 2})));
    check("a >= CURRENT_DATE + INTERVAL '3' MONTH", a(json!({"months_ahead": 3})));
    check("a >= CURRENT_DATE + INTERVAL '3' YEAR", a(json!({"years_ago": -3})));
    check(
        "a >= CURRENT_DATE - INTERVAL '1' MONTH + INTERVAL '3' DAY",
        a(json!({"current_date": [{"months_ago": 1}, {"days_ahead": 3}]})),
    );
}

#[test]
fn groups() {
    let (a, b) = (|| rule("a", "=", json!(true)), || rule("b", "=", json!(true)));
    check("TRUE", all_of(&[]));
    check("TRUE", json!({"combinator": "or", "rules": []}));
    check("FALSE", json!({"not": true, "combinator": "and", "rules": []}));
    check("a", all_of(&[a()]));
    check("a", a());
    check("NOT a", json!({"not": true, "combinator": "or", "rules": [a()]}));
    check("NOT (a OR b)", json!({"not": true, "combinator": "or", "rules": [a(), b()]}));
    check("a AND b AND a", all_of(&[a(), all_of(&[b(), a()])]));
    check("a AND (b OR a)", all_of(&[a(), json!({"combinator": "OR", "rules": [b(), a()], "not": false})]));
    let disabled = |mut rule: Value| {
        rule["disabled"] = json!(true);
        rule
    };
    check("a", all_of(&[a(), disabled(b())]));
    check("TRUE", all_of(&[disabled(b())]));
    check("TRUE", json!({"combinator": "or", "rules": [disabled(a())]}));
    check("TRUE", disabled(a()));
    check("a", json!({"combinator": "and", "rules": [a(), disabled(all_of(&[b()]))], "disabled": false}));
    check("a", json!({"combinator": "and", "rules": [disabled(json!({"nonsense": 1})), a()]}));
    check(
        "a = 1",
        json!({"id": "g", "path": [], "combinator": "and", "rules": [
            {"id": "r", "path": [0], "field": "a", "operator": "=", "value": 1, "valueSource": "value", "inputType": "number", "match": null}]}),
    );
}

#[test]
fn numbers_in_trees_are_exact() {
    let check = |json: &str, text: &str| {
        let tree =
            serde_json::from_str(&format!(r#"{{"field": "a", "operator": "=", "value": {json}}}"#)).expect("JSON");
        let ast = parse_tree(&tree, &Limits::default()).unwrap().ast;
        assert_eq!(predicate_text(&ast), format!("a = {text}"));
        let again = parse_tree(&predicate_tree(&ast), &Limits::default()).unwrap().ast;
        assert_eq!(without_spans(again), without_spans(ast));
    };
    check("1000.35", "1000.35");
    check("0.1", "0.1");
    check("-0.0", "0");
    check("10.00", "10");
    check("1e3", "1000");
    check("18446744073709551615", "18446744073709551615");
    check("-9223372036854775808", "-9223372036854775808");
    check(r#"{"number": "12345678901234567890.123456789"}"#, "12345678901234567890.123456789");
}

#[test]
fn an_empty_list_is_nobody_or_everyone_known() {
    let check = |operator: &str, text: &str| {
        let ast = parse_tree(&rule("a", operator, json!([])), &Limits::default()).unwrap().ast;
        assert_eq!(predicate_text(&ast), text);
        assert_eq!(predicate_tree(&ast), all_of(&[rule("a", operator, json!([]))]));
    };
    check("in", "FALSE");
    check("notIn", "a IS NOT NULL");
}

#[test]
fn names_have_their_place_in_trees() {
    let tree = all_of(&[rule("a", "null", Value::Null), rule("sexx", "=", json!("F"))]);
    let parsed = parse_tree(&tree, &Limits::default()).unwrap();
    let queryparser::ast::PredicateKind::And(children) = &parsed.ast.kind else { panic!("two rules") };
    let queryparser::ast::PredicateKind::Compare { operand: queryparser::ast::Operand::Name(name), .. } =
        &children[1].kind
    else {
        panic!("a comparison")
    };
    let problem = parsed.source.diagnostic(
        "unknown_tag",
        name.span,
        "there is no tag `sexx`",
        Some("did you mean `sex`?".into()),
    );
    assert_eq!(problem.at, At::Tree { pointer: "/rules/1/field".to_owned() });
    assert_eq!(problem.render(""), "at /rules/1/field: there is no tag `sexx`\nhint: did you mean `sex`?");
}

#[test]
fn clauses_are_the_rules_of_the_canonical_tree() {
    let ast =
        parse_predicate("a AND NOT (b OR c) AND NOT d AND NOT EXISTS (SELECT 1 FROM e) AND TRUE", &Limits::default())
            .unwrap()
            .ast;
    let found: Vec<(String, Vec<usize>)> =
        clauses(&ast).into_iter().map(|clause| (clause.path, clause.steps)).collect();
    let expected = [
        ("/rules/0", vec![0]),
        ("/rules/1/rules/0", vec![1, 0, 0]),
        ("/rules/1/rules/1", vec![1, 0, 1]),
        ("/rules/2/rules/0", vec![2, 0]),
        ("/rules/3", vec![3]),
    ];
    assert_eq!(found, expected.map(|(path, steps)| (path.to_owned(), steps)));
    let single = parse_predicate("a", &Limits::default()).unwrap().ast;
    assert_eq!(clauses(&single), [Clause { path: "/rules/0".to_owned(), steps: vec![] }]);
}

#[test]
fn orders_are_read_alone() {
    let check = |text: &str, expected: &str| {
        let read = match parse_order_by(text, &Limits::default()) {
            Ok(parsed) => parsed.ast.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(read, expected, "{text}");
    };
    check("age DESC", "age DESC");
    check("Age asc, count(*) desc nulls last", "age, count(*) DESC");
    check("age down", "column 5: expected `,` or the end of the text, found `down`");
    check(
        "",
        "column 1: expected a column, an aggregate or the place of an item to order by, found the end of the text",
    );
    check("1", "column 1: there is no item 1: the list of SELECT has 0");
}
