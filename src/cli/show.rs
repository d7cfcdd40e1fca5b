//! What people see on a terminal: tables, progress bars, numbers with separators.
//! Knows spelling only.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// A bar that shows how far, how fast and how long still.
pub(super) fn progress_bar(total: u64, unit: &str) -> ProgressBar {
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar over bytes of a file, with a message for the rows.
pub(super) fn bytes_bar() -> ProgressBar {
    let template = "{bar:30} {bytes}/{total_bytes}  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// A whole number with thin groups: 12 345 678.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Columns and rows as a table; numbers to the right.
pub(super) fn table(columns: &[String], rows: &[Vec<serde_json::Value>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(columns);
    for row in rows {
        table.add_row(row.iter().map(plain));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        if rows.iter().all(|row| row.get(at).is_none_or(|cell| cell.is_number() || cell.is_null())) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A cell as text.
pub(super) fn plain(cell: &serde_json::Value) -> String {
    match cell {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join("|"),
        other => other.to_string(),
    }
}
