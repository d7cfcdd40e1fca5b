//! Names of columns made into legal names of tags. Knows the schema's rules for names; knows no file.

use storage::schema::{NAME_BYTES_MAX, Schema, SchemaError, TagType, is_name};

/// A legal name of a tag that is like the name of a column: `Customer ID` and `customerId` give `customer_id`.
pub fn legal_name(column: &str) -> String {
    let mut name = String::new();
    let mut before = ' ';
    let chars: Vec<char> = column.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let next_is_small = chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let begins_word = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || before.is_ascii_digit() || before.is_ascii_uppercase() && next_is_small);
        if begins_word && !name.ends_with('_') {
            name.push('_');
        }
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('_') {
            name.push('_');
        }
        before = *c;
    }
    let mut name = name.trim_matches('_').to_string();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name = format!("column_{name}").trim_end_matches('_').to_string();
    }
    // Room for what makes it distinct.
    name.truncate(NAME_BYTES_MAX - 8);
    if let Err(SchemaError::ReservedName { .. }) = Schema::default().add_tag(&name, TagType::Category) {
        name.push_str("_value");
    }
    debug_assert!(is_name(&name));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal() {
        for (column, name) in [
            ("Customer ID", "customer_id"),
            ("customerID", "customer_id"),
            ("InvoiceNo", "invoice_no"),
            ("HTTPStatus", "http_status"),
            ("education-num", "education_num"),
            (" spend (CNY) ", "spend_cny"),
            ("2nd", "column_2nd"),
            ("城市", "column"),
            ("date", "date_value"),
            ("", "column"),
        ] {
            assert_eq!(legal_name(column), name, "{column}");
        }
        assert!(is_name(&legal_name(&"long ".repeat(50))));
    }
}
