//! What a file without a schema seems to hold: a proposal of id types and tags, from the head of the file.
//! Knows which reader samples which format; what the samples of a column say is told in `infer_kinds`.
//!
//! A proposal is a guess that people confirm: it prints as a table, names what is left out, and reads the file with
//! exactly the columns it has shown. Values after the head that do not fit are rejected lines, never silently changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use jiff::tz::TimeZone;
use storage::schema::{SchemaJson, TagJson, TagType};

use super::fill::shown;
use super::frame::{Column, Frame};
use super::infer_kinds::{KEY, Seen, Verdict};
use super::names::legal_name;
use super::read::{Expect, Format, Kind, Others, ReadError, Wanted};
use super::read_parquet_columns::{Bad, Convert, fits};
use super::write::{Shape, encode_rows};
use super::{read_csv, read_ndjson, read_parquet};

/// Rows of a file's head that a proposal goes by.
pub const SAMPLE_ROWS: usize = 10_000;
/// Example values that a proposal shows for each column.
const EXAMPLES: usize = 3;

/// What a file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A row for each person.
    Profiles,
    /// A row for each thing that a person did.
    Events,
}

/// What a file seems to hold.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// What the file is about.
    pub about: About,
    /// Columns in file order.
    pub columns: Vec<Proposed>,
    /// Rows looked at.
    pub rows: usize,
}

/// What a column seems to hold.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// Its name in the file.
    pub source: String,
    /// The tag or id type that it would be.
    pub name: String,
    /// Its kind; none where the column is left out.
    pub kind: Option<Kind>,
    /// Why it is left out, or what to look at.
    pub note: String,
    /// Rows of the sample in which it is known.
    pub known: usize,
    /// Some of its values.
    pub examples: Vec<String>,
}

/// Proposes what a file's columns are, from its first [`SAMPLE_ROWS`] rows (Parquet: its schema too).
///
/// # Errors
/// [`ReadError`] where the file cannot be read.
pub fn infer(path: &Path, about: About) -> Result<Proposal, ReadError> {
    let (columns, rows) = match Format::of_file(path)? {
        Format::Csv => sample_csv(path)?,
        Format::Ndjson => sample_ndjson(path)?,
        Format::Parquet => sample_parquet(path)?,
    };
    Ok(propose(columns, rows, about))
}

impl Proposal {
    /// The schema that the file needs: its id types, and of a profiles file the tags.
    pub fn schema_json(&self) -> SchemaJson {
        let mut schema = SchemaJson::default();
        for column in &self.columns {
            match column.kind {
                Some(Kind::Id) if self.about == About::Events && column.name == KEY => {}
                Some(Kind::Id) => schema.id_types.push(column.name.clone()),
                Some(kind) if self.about == About::Profiles => {
                    if let Some(tag_type) = tag_type_of(kind) {
                        schema.tags.insert(column.name.clone(), TagJson::from(tag_type));
                    }
                }
                _ => {}
            }
        }
        schema
    }

    /// What a reader of the file is to expect.
    pub fn expect(&self, time_zone: TimeZone) -> Expect {
        let expect = Expect { columns: Vec::new(), others: Others::Skip, time_zone };
        let kept = self.columns.iter().filter_map(|column| Some((column, column.kind?)));
        kept.fold(expect, |expect, (column, kind)| expect.want_as(&column.source, &column.name, kind))
    }

    /// The proposal as lines of a table: column, name, type, share known, examples.
    pub fn lines(&self) -> Vec<String> {
        let head = ["column", "becomes", "type", "known", "examples"].map(String::from);
        let rows = self.columns.iter().map(|column| column.cells(self.rows));
        let table: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
        let width = |at: usize| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3)];
        table
            .iter()
            .map(|row| {
                let mut line = String::new();
                for (cell, width) in row.iter().zip(widths) {
                    line.push_str(cell);
                    line.push_str(&" ".repeat(width - cell.chars().count() + 2));
                }
                line.push_str(&row[4]);
                line.trim_end().to_string()
            })
            .collect()
    }
}

impl Proposed {
    fn cells(&self, rows: usize) -> [String; 5] {
        let kind = match self.kind {
            None => "left out".into(),
            Some(Kind::Number { scale }) if scale > 0 => format!("number({scale})"),
            Some(kind) => kind.name().into(),
        };
        let name = if self.kind.is_some() { self.name.clone() } else { "-".into() };
        let known = format!("{:.1}%", 100.0 * self.known as f64 / rows.max(1) as f64);
        let mut examples = self.examples.join(", ");
        if !self.note.is_empty() {
            examples = if examples.is_empty() { self.note.clone() } else { format!("{examples} ({})", self.note) };
        }
        [self.source.clone(), name, kind, known, examples]
    }
}

fn tag_type_of(kind: Kind) -> Option<TagType> {
    match kind {
        Kind::Flag => Some(TagType::Flag),
        Kind::Text => Some(TagType::Category),
        Kind::Set => Some(TagType::Set),
        Kind::Number { scale } => Some(TagType::Number { scale }),
        Kind::Date => Some(TagType::Date),
        Kind::Id | Kind::Instant => None,
    }
}

fn propose(columns: Vec<(String, Seen)>, rows: usize, about: About) -> Proposal {
    let mut taken = BTreeSet::new();
    let columns = columns
        .into_iter()
        .map(|(source, seen)| {
            let like = legal_name(&source);
            let numbered = (2..).map(|number| format!("{like}_{number}"));
            let name = std::iter::once(like.clone()).chain(numbered).find(|name| !taken.contains(name));
            let name = name.expect("numbers do not end");
            taken.insert(name.clone());
            let Verdict { kind, note } = seen.verdict(&name, about);
            let examples = seen.examples.iter().take(EXAMPLES).map(|text| shown(text)).collect();
            Proposed { source, name, kind, note, known: seen.known, examples }
        })
        .collect();
    Proposal { about, columns, rows }
}

type Samples = (Vec<(String, Seen)>, usize);

fn sample_csv(path: &Path) -> Result<Samples, ReadError> {
    let (header, rows) = read_csv::sample(path, SAMPLE_ROWS)?;
    let mut columns: Vec<(String, Seen)> = header.into_iter().map(|name| (name, Seen::default())).collect();
    for row in &rows {
        for ((_, seen), cell) in columns.iter_mut().zip(row) {
            if !cell.is_empty() {
                seen.cell(cell);
            }
        }
    }
    Ok((columns, rows.len()))
}

fn sample_ndjson(path: &Path) -> Result<Samples, ReadError> {
    let rows = read_ndjson::sample(path, SAMPLE_ROWS)?;
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut columns: Vec<(String, Seen)> = Vec::new();
    for (name, value) in rows.iter().flatten() {
        let place = *places.entry(name.clone()).or_insert_with(|| {
            columns.push((name.clone(), Seen::default()));
            columns.len() - 1
        });
        columns[place].1.json(value);
    }
    Ok((columns, rows.len()))
}

fn sample_parquet(path: &Path) -> Result<Samples, ReadError> {
    let (schema, batches) = read_parquet::sample(path, SAMPLE_ROWS)?;
    let rows = batches.iter().map(|batch| batch.num_rows()).sum();
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let mut seen = Seen::default();
        for batch in &batches {
            see_array(&mut seen, batch.column(at));
        }
        if batches.is_empty() {
            see_type(&mut seen, field.data_type());
        }
        (field.name().clone(), seen)
    });
    Ok((columns.collect(), rows))
}

/// What an Arrow type says by itself.
fn see_type(seen: &mut Seen, data_type: &DataType) {
    match data_type {
        DataType::Dictionary(_, values) => see_type(seen, values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {}
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {}
        DataType::Boolean => seen.fixed = Some(Kind::Flag),
        DataType::Date32 | DataType::Date64 => seen.fixed = Some(Kind::Date),
        DataType::Timestamp(..) => seen.fixed = Some(Kind::Instant),
        DataType::List(_) | DataType::LargeList(_) => seen.fixed = Some(Kind::Set),
        DataType::Decimal128(_, scale @ 0..=9) => seen.fixed = Some(Kind::Number { scale: *scale as u8 }),
        other if other.is_integer() => seen.fixed = Some(Kind::Number { scale: 0 }),
        _ => {}
    }
}

/// What an array's type and values say.
fn see_array(seen: &mut Seen, array: &ArrayRef) {
    see_type(seen, array.data_type());
    match array.data_type() {
        DataType::Float32 => {
            array.as_primitive::<Float32Type>().iter().flatten().for_each(|v| seen.float(v.is_nan(), &v.to_string()));
        }
        DataType::Float64 => {
            array.as_primitive::<Float64Type>().iter().flatten().for_each(|v| seen.float(v.is_nan(), &v.to_string()));
        }
        DataType::Decimal128(_, scale) if !(0..=9).contains(scale) => {
            let scale = i32::from(*scale);
            let text = |v: i128| format!("{v}e{}", -scale);
            array.as_primitive::<Decimal128Type>().iter().flatten().for_each(|v| seen.float(false, &text(v)));
        }
        _ => see_texts(seen, array),
    }
}

/// Shows the values of an array as texts, by way of the reader's own conversion.
fn see_texts(seen: &mut Seen, array: &ArrayRef) {
    let kind = match seen.fixed {
        // Whole numbers may be an id's.
        Some(Kind::Number { scale: 0 }) | None => Kind::Id,
        Some(kind) => kind,
    };
    if !fits(kind, array.data_type()) {
        seen.refused = Some(array.data_type().to_string());
        return;
    }
    let wanted = Wanted { source: String::new(), name: String::new(), kind };
    let mut bad = Bad::new(array.len());
    match Convert::default().column(&wanted, &TimeZone::UTC, array, &mut bad) {
        Ok(column) => see_column(seen, column, array.len()),
        Err(_) => seen.refused = Some(array.data_type().to_string()),
    }
}

fn see_column(seen: &mut Seen, column: Column, rows: usize) {
    let frame = Frame { rows, columns: vec![("v".into(), column)], ..Frame::default() };
    let mut lines = Vec::new();
    encode_rows(Format::Ndjson, &Shape::Flat, &frame, &mut lines);
    for line in String::from_utf8_lossy(&lines).lines() {
        // A line is {"v":…}, or {} where the value is unknown.
        if let Some(value) = line.strip_prefix("{\"v\":").and_then(|line| line.strip_suffix('}')) {
            seen.json(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::read;

    fn infer_text(name: &str, text: &str, about: About) -> (Proposal, Frame) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let proposal = infer(&path, about).unwrap();
        let mut reader = read::open(&path, &proposal.expect(TimeZone::UTC)).unwrap();
        let frame = reader.next_frame().unwrap().unwrap();
        assert_eq!(reader.take_rejected(), []);
        (proposal, frame)
    }

    #[test]
    fn csv_gives_a_schema_and_a_table() {
        let text = "Member,Home City,Age,spend,Interests,VIP,joined,城市,date\n\
                    M1,Shanghai,31,1.5,tea|yoga,true,2026-01-01,,a\nM2,,5,2,tea|golf,false,2026-01-02,,b\n";
        let (proposal, frame) = infer_text("people.csv", text, About::Profiles);
        let schema = serde_json::to_value(proposal.schema_json()).unwrap();
        let expected = serde_json::json!({"id_types": ["member"], "tags": {
            "home_city": {"type": "category"}, "age": {"type": "number"}, "spend": {"type": "number", "scale": 2},
            "interests": {"type": "set"}, "vip": {"type": "flag"}, "joined": {"type": "date"},
            "date_value": {"type": "category"}}});
        assert_eq!(schema, expected);
        assert_eq!((frame.rows, frame.columns.len()), (2, 8));
        let lines = proposal.lines();
        assert_eq!(lines[2], "Home City  home_city   category   50.0%   Shanghai");
        assert!(lines[8].contains("left out") && lines[8].contains("no value"), "{}", lines[8]);
    }

    #[test]
    fn ndjson_gives_columns_in_order_of_appearance() {
        let text = "{\"id\":{\"member\":\"M1\"},\"set\":{\"age\":3}}\n\
                    {\"id\":{\"member\":\"M2\"},\"set\":{\"tags\":[\"a\"],\"age\":4}}\n";
        let (proposal, _) = infer_text("people.ndjson", text, About::Profiles);
        let found: Vec<_> = proposal.columns.iter().map(|c| (c.name.as_str(), c.kind)).collect();
        let expected =
            [("member", Some(Kind::Id)), ("age", Some(Kind::Number { scale: 0 })), ("tags", Some(Kind::Set))];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_events_file_gives_no_tags() {
        let text = "customer_id,event,at,amount,key\n1,buy,2026-11-01 10:00:00,1.5,a\n1,buy,2026-11-01 11:00:00,2,b\n";
        let (proposal, frame) = infer_text("buys.csv", text, About::Events);
        let schema = proposal.schema_json();
        assert_eq!(schema.id_types, ["customer_id"]);
        assert!(schema.tags.is_empty());
        assert!(matches!(frame.column("at"), Some(Column::Instant(_))));
    }
}
