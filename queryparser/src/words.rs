//! The words of the language: which may not be bare names, and what the functions are called.

/// Functions that may stand in a condition.
pub const FUNCTIONS: [&str; 9] =
    ["has_all", "has_none", "followed_by", "in_audience", "in_snapshot", "was", "in_bitmap", "month_day", "bucket"];

/// Functions over many profiles or events: in SELECT lists, HAVING and subqueries.
pub const AGGREGATES: [&str; 8] = ["count", "sum", "avg", "min", "max", "quantile", "first", "last"];

/// The name of all profiles after FROM: no event can be called so.
pub(crate) const PROFILES: &str = "profiles";

/// Words that are not names unless quoted: PostgreSQL's reserved words, the operators of its grammar, and the words
/// that the `sqlparser` crate takes for something else at the start of a condition. Sorted.
const RESERVED: [&str; 123] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "explain",
    "extract",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "primary",
    "qualify",
    "references",
    "regexp",
    "returning",
    "right",
    "rlike",
    "row",
    "select",
    "session_user",
    "similar",
    "some",
    "sort",
    "struct",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "top",
    "trailing",
    "trim",
    "true",
    "union",
    "unique",
    "unnest",
    "user",
    "using",
    "values",
    "variadic",
    "verbose",
    "view",
    "when",
    "where",
    "window",
    "with",
    "within",
    "xor",
];

/// Words that are names where they stand alone but begin a literal before a string: quoted in print, for readers' sake.
const BEGIN_LITERALS: [&str; 3] = ["date", "time", "timestamp"];

/// Whether the word, in lower case, may be a name only in double quotes.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Whether `name` can be printed without quotes and read back as the same name.
pub(crate) fn is_bare(name: &str) -> bool {
    let shaped = name.bytes().enumerate().all(|(i, b)| match b {
        b'a'..=b'z' | b'_' => true,
        b'0'..=b'9' => i > 0,
        _ => false,
    });
    shaped && !name.is_empty() && !is_reserved(name) && !BEGIN_LITERALS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn names_are_quoted_only_when_needed() {
        let check = |name: &str, expected: bool| assert_eq!(is_bare(name), expected, "{name}");
        check("one_id", true);
        check("_x9", true);
        check("day", true);
        check("Day", false);
        check("9x", false);
        check("", false);
        check("order", false);
        check("date", false);
        check("country-code", false);
        check("城市", false);
    }
}
