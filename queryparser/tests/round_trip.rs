//! What is printed reads back as the same, from text and from tree; and what we accept, `sqlparser` accepts with the same
//! structure. Failures print the seed and the smallest question that fails.

mod common;

use common::random;
use common::{Expected, statements, texts};
use proptest::prelude::*;
use queryparser::ast::{CompareOp, Predicate, PredicateKind};
use queryparser::*;
use sqlparser::ast::{BinaryOperator, Expr, SelectItem, SetExpr, Statement as Sql, UnaryOperator};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

fn limits() -> Limits {
    Limits::default()
}

fn read_text(text: &str) -> Predicate {
    match parse_predicate(text, &limits()) {
        Ok(parsed) => without_spans(parsed.ast),
        Err(problem) => panic!("{text}\n{}", problem.render(text)),
    }
}

fn read_tree(tree: &serde_json::Value) -> Predicate {
    match parse_tree(tree, &limits()) {
        Ok(parsed) => without_spans(parsed.ast),
        Err(problem) => panic!("{tree}\n{problem}"),
    }
}

/// Text and tree of a predicate read back as it; each leaf's pointer names the rule that stands for it.
fn check(predicate: &Predicate) {
    let (text, tree) = (predicate_text(predicate), predicate_tree(predicate));
    assert_eq!(&read_text(&text), predicate, "text {text}");
    assert_eq!(&read_tree(&tree), predicate, "tree {tree}");
    assert_eq!(predicate_text(&read_tree(&tree)), text);
    assert_eq!(predicate_tree(&read_text(&text)), tree);
    for clause in clauses(predicate) {
        let rule = tree.pointer(&clause.path).unwrap_or_else(|| panic!("{} in {tree}", clause.path));
        let leaf = clause.steps.iter().fold(predicate, |at, &step| match &at.kind {
            PredicateKind::And(children) | PredicateKind::Or(children) => &children[step],
            PredicateKind::Not(inner) if step == 0 => inner,
            _ => panic!("{:?} leads nowhere", clause.steps),
        });
        assert_eq!(&read_tree(rule), leaf, "{} in {tree}", clause.path);
    }
    assert_eq!(clauses(predicate).len(), count_rules(&tree), "{tree}");
}

fn count_rules(group: &serde_json::Value) -> usize {
    let rules = group["rules"].as_array().expect("a group");
    rules.iter().map(|rule| if rule.get("rules").is_some() { count_rules(rule) } else { 1 }).sum()
}

#[test]
fn examples_are_understood_and_printed_canonically() {
    for (text, expected) in texts() {
        let read = match parse_predicate(text, &limits()) {
            Ok(parsed) => Ok(parsed.ast),
            Err(problem) => Err(problem),
        };
        match (read, expected) {
            (Ok(ast), Expected::Text(canonical)) => {
                assert_eq!(predicate_text(&ast), canonical, "{text}");
                check(&without_spans(ast));
            }
            (Err(problem), Expected::Error(message)) => assert_eq!(problem.message, message, "{text}"),
            (Ok(ast), Expected::Error(message)) => panic!("{text}\nread as {ast:?}, but expected {message}"),
            (Err(problem), Expected::Text(_)) => panic!("{}", problem.render(text)),
        }
    }
}

#[test]
fn statements_are_understood_and_printed_canonically() {
    for (text, expected) in statements() {
        let parsed = parse_statement(text, &limits()).unwrap_or_else(|problem| panic!("{}", problem.render(text)));
        let printed = statement_text(&parsed.ast);
        assert_eq!(Expected::Text(&printed.clone().leak()[..]), expected, "{text}");
        let again = parse_statement(&printed, &limits()).unwrap();
        let (mut first, mut second) = (without_spans(parsed.ast), without_spans(again.ast));
        clear_spans(&mut first);
        clear_spans(&mut second);
        assert_eq!(first, second, "{text}");
        for sql in [text, &printed] {
            Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap_or_else(|e| panic!("sqlparser: {e}\n{sql}"));
        }
    }
}

#[test]
fn sqlparser_reads_the_examples_alike() {
    for (text, expected) in texts() {
        if let Expected::Text(_) = expected {
            same_structure(text, &read_text(text));
        }
    }
}

#[test]
fn sqlparser_accepts_every_bare_name() {
    for word in sqlparser::keywords::ALL_KEYWORDS {
        for text in
            [format!("{word} = 1"), format!("{word} AND x"), format!("NOT {word} IN ('x')"), format!("{word} LIKE 'x'")]
        {
            if parse_predicate(&text, &limits()).is_ok() {
                same_structure(&text, &read_text(&text));
            }
        }
    }
}

#[test]
fn sqlparser_accepts_examples_with_a_word_changed() {
    let others = [
        "",
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        "a",
        "\"b c\"",
        "'x'",
        "1",
        "-1",
        ".5",
        ",",
        "=",
        "<>",
        "IN",
        "IS",
        "NULL",
        "TRUE",
        "LIKE",
        "BETWEEN",
        "EXISTS",
        "SELECT",
        "FROM",
        "WHERE",
        "day",
        "at",
        "date",
        "DATE '2026-11-01'",
        "CURRENT_DATE",
        "- 3",
        "+ INTERVAL '1' DAY",
        "INTERVAL '3' WEEK",
        "count",
        "has_all",
        "ESCAPE ''",
        "ORDER BY a",
        "LIMIT 3",
        "profiles",
        "interval",
        "timestamp",
        "ILIKE",
        "values",
        "(SELECT count(*) FROM e)",
        "(SELECT max(a) FROM profiles)",
    ];
    let mut accepted = 0;
    for (text, _) in texts() {
        let padded = text.replace('(', " ( ").replace(')', " ) ").replace(',', " , ");
        let words: Vec<&str> = padded.split_whitespace().collect();
        for at in 0..words.len() {
            for other in others {
                let mut changed = words.clone();
                changed[at] = other;
                let changed = changed.join(" ");
                if let Ok(parsed) = parse_predicate(&changed, &limits()) {
                    accepted += 1;
                    same_structure(&changed, &parsed.ast);
                    check(&without_spans(parsed.ast));
                }
            }
        }
    }
    assert!(accepted > 3_000, "only {accepted} are understood");
}

/// NOT, AND, OR and the kinds of leaves, as both parsers see them.
#[derive(Debug, PartialEq)]
enum Outline {
    And(Vec<Outline>),
    Or(Vec<Outline>),
    Not(Box<Outline>),
    Leaf(&'static str),
}

fn same_structure(text: &str, predicate: &Predicate) {
    let sql = format!("SELECT 1 FROM profiles WHERE {text}");
    let statements =
        Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap_or_else(|e| panic!("sqlparser: {e}\n{text}"));
    let [Sql::Query(query)] = statements.as_slice() else { panic!("not one query: {text}") };
    let SetExpr::Select(select) = query.body.as_ref() else { panic!("not a select: {text}") };
    assert!(matches!(select.projection.as_slice(), [SelectItem::UnnamedExpr(_)]));
    let theirs = select.selection.as_ref().map(their_outline).expect("a WHERE");
    assert_eq!(theirs, our_outline(predicate), "{text}");
}

fn our_outline(predicate: &Predicate) -> Outline {
    let all = |children: &[Predicate]| children.iter().map(our_outline).collect();
    match &predicate.kind {
        PredicateKind::And(children) => Outline::And(all(children)),
        PredicateKind::Or(children) => Outline::Or(all(children)),
        PredicateKind::Not(inner) => Outline::Not(Box::new(our_outline(inner))),
        PredicateKind::Constant(_) | PredicateKind::Flag(_) => Outline::Leaf("value"),
        PredicateKind::Compare { op: CompareOp::Equal, scalar, .. } if is_true(scalar) => Outline::Leaf("value"),
        PredicateKind::Compare { .. } => Outline::Leaf("compare"),
        PredicateKind::Between { .. } => Outline::Leaf("between"),
        PredicateKind::In { .. } => Outline::Leaf("in list"),
        PredicateKind::Like { fold_case: false, .. } => Outline::Leaf("like"),
        PredicateKind::Like { fold_case: true, .. } => Outline::Leaf("ilike"),
        PredicateKind::IsNull { .. } => Outline::Leaf("is null"),
        PredicateKind::Exists(_) => Outline::Leaf("exists"),
        PredicateKind::Top(_) | PredicateKind::Among(_) => Outline::Leaf("in subquery"),
        _ => Outline::Leaf("function"),
    }
}

fn their_outline(expression: &Expr) -> Outline {
    let negated = |outline, negated: bool| if negated { Outline::Not(Box::new(outline)) } else { outline };
    match expression {
        Expr::Nested(inner) => their_outline(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let open = |outline| if let Outline::And(inner) = outline { inner } else { vec![outline] };
            Outline::And([their_outline(left), their_outline(right)].into_iter().flat_map(open).collect())
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            let open = |outline| if let Outline::Or(inner) = outline { inner } else { vec![outline] };
            Outline::Or([their_outline(left), their_outline(right)].into_iter().flat_map(open).collect())
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if is_true(left) || is_true(right) => {
            Outline::Leaf("value")
        }
        Expr::BinaryOp { .. } => Outline::Leaf("compare"),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Outline::Not(Box::new(their_outline(expr))),
        Expr::IsTrue(_) => Outline::Leaf("value"),
        Expr::IsNotTrue(_) => Outline::Not(Box::new(Outline::Leaf("value"))),
        Expr::IsFalse(_) => Outline::Leaf("compare"),
        Expr::IsNotFalse(_) => Outline::Not(Box::new(Outline::Leaf("compare"))),
        Expr::Exists { negated: not, .. } => negated(Outline::Leaf("exists"), *not),
        Expr::InSubquery { negated: not, .. } => negated(Outline::Leaf("in subquery"), *not),
        Expr::Between { .. } => Outline::Leaf("between"),
        Expr::InList { .. } => Outline::Leaf("in list"),
        Expr::Like { .. } => Outline::Leaf("like"),
        Expr::ILike { .. } => Outline::Leaf("ilike"),
        Expr::IsNull(_) | Expr::IsNotNull(_) => Outline::Leaf("is null"),
        Expr::Function(_) => Outline::Leaf("function"),
        Expr::Identifier(_) | Expr::Value(_) => Outline::Leaf("value"),
        other => panic!("sqlparser reads {other:?}"),
    }
}

/// `x = TRUE` is a comparison or, of a tag, the flag: the outline takes it for a value on both sides.
fn is_true(expression: &impl ToString) -> bool {
    expression.to_string().eq_ignore_ascii_case("true")
}

/// Where `sqlparser` itself gives up: nested deeper than its own bound.
fn is_shallow(predicate: &Predicate) -> bool {
    predicate_text(predicate).matches('(').count() < 40
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_predicates_survive_both_spellings(predicate in random::predicate()) {
        check(&predicate);
    }

    #[test]
    fn sqlparser_reads_random_predicates_alike(predicate in random::predicate()) {
        prop_assume!(is_shallow(&predicate));
        same_structure(&predicate_text(&predicate), &predicate);
    }
}
