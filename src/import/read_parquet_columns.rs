//! Arrow arrays to frame columns: which types may become which kinds, and how each value does.
//! Knows Arrow types and kinds; knows no file.
//!
//! | kind | from |
//! |---|---|
//! | identity, category | strings, binary of UTF-8, integers, decimals and floats that are whole, booleans (category) |
//! | flag | booleans, integers 0 and 1, strings |
//! | number | integers, decimals, floats by their shortest text (NaN is unknown), strings |
//! | date, time | dates, timestamps, strings |
//! | set | lists of strings, integers or binary; strings as in CSV |
//! | any | the null type |

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use jiff::tz::TimeZone;

use super::fill::{Fill, close_set};
use super::frame::{Column, Frame, UNKNOWN_CODE};
use super::read::{Kind, Wanted};
use super::read_parquet_values::Source;
use super::texts::Texts;

/// Rows of a batch that do not fit, with the first reason of each.
#[derive(Debug)]
pub(crate) struct Bad {
    rows: usize,
    reasons: BTreeMap<usize, String>,
}

impl Bad {
    pub(crate) fn new(rows: usize) -> Self {
        Bad { rows, reasons: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    pub(crate) fn reasons(&self) -> impl Iterator<Item = (usize, String)> {
        self.reasons.iter().map(|(row, message)| (*row, message.clone()))
    }

    pub(crate) fn add(&mut self, row: usize, message: String) {
        debug_assert!(row < self.rows);
        self.reasons.entry(row).or_insert(message);
    }
}

/// True where a column of that type can become that kind, some of its values perhaps not.
pub(crate) fn fits(kind: Kind, found: &DataType) -> bool {
    use DataType as T;
    let text = matches!(found, T::Utf8 | T::Binary) || is_text_dictionary(found);
    match found {
        T::Null => return true,
        _ if text => return true,
        _ => {}
    }
    match kind {
        Kind::Id => found.is_integer() || is_decimal(found) || found.is_floating(),
        Kind::Text => found.is_integer() || is_decimal(found) || found.is_floating() || *found == T::Boolean,
        Kind::Flag => found.is_integer() || *found == T::Boolean,
        Kind::Number { .. } => found.is_integer() || is_decimal(found) || found.is_floating(),
        Kind::Date | Kind::Instant => matches!(found, T::Date32 | T::Date64 | T::Timestamp(..)),
        Kind::Set => match found {
            T::List(item) | T::LargeList(item) => {
                let item = item.data_type();
                is_text_dictionary(item) || item.is_integer() || matches!(item, T::Utf8 | T::Binary | T::Null)
            }
            _ => false,
        },
    }
}

pub(crate) fn is_text_dictionary(found: &DataType) -> bool {
    matches!(found, DataType::Dictionary(_, values) if **values == DataType::Utf8)
}

fn is_decimal(found: &DataType) -> bool {
    use DataType as T;
    matches!(found, T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..))
}

/// What is kept from batch to batch for one column.
#[derive(Debug, Default)]
pub(crate) struct Convert {
    texts: Texts,
    /// Codes of the last Arrow dictionary seen, so that one shared by batches is translated once.
    translated: Option<(ArrayRef, Vec<u32>)>,
}

impl Convert {
    /// The frame's column of an array. Rows that do not fit are put down in `bad` and unknown in the column.
    ///
    /// # Errors
    /// A message where the array's type is not one that was agreed upon.
    pub(crate) fn column(
        &mut self,
        wanted: &Wanted,
        zone: &TimeZone,
        array: &ArrayRef,
        bad: &mut Bad,
    ) -> Result<Column, String> {
        let rows = array.len();
        if *array.data_type() == DataType::Null {
            let mut fill = Fill::new(wanted, zone);
            (0..rows).for_each(|_| fill.push_unknown());
            return Ok(fill.take());
        }
        let source = Source { wanted, zone, array, bad };
        Ok(match wanted.kind {
            Kind::Id => source.plain()?,
            Kind::Text => {
                let codes = self.codes(source)?;
                let dictionary = self.end_frame();
                Column::Text { dictionary, codes }
            }
            Kind::Flag => source.flags()?,
            Kind::Number { scale } => Column::Number { scale, values: source.numbers(scale)? },
            Kind::Date => source.dates()?,
            Kind::Instant => source.instants()?,
            Kind::Set => self.set(source)?,
        })
    }

    fn end_frame(&mut self) -> Arc<Vec<Box<str>>> {
        let dictionary = self.texts.dictionary();
        if self.texts.end_frame() {
            self.translated = None;
        }
        dictionary
    }

    /// A code for each value of a text-like array.
    fn codes(&mut self, source: Source) -> Result<Vec<u32>, String> {
        if !is_text_dictionary(source.array.data_type()) {
            let mut codes = vec![UNKNOWN_CODE; source.array.len()];
            source.each_text(|row, text| codes[row] = self.texts.code(text))?;
            return Ok(codes);
        }
        let array = source.array.as_dictionary::<Int32Type>();
        let values = array.values();
        if !self.translated.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, values)) {
            let texts = values.as_string::<i32>();
            let codes = texts.iter().map(|text| text.map_or(UNKNOWN_CODE, |text| self.texts.code(text))).collect();
            self.translated = Some((Arc::clone(values), codes));
        }
        let translated = self.translated.as_ref().map_or(&[][..], |(_, codes)| codes);
        let keys = array.keys();
        Ok(match keys.nulls() {
            None => keys.values().iter().map(|key| translated[*key as usize]).collect(),
            Some(nulls) => keys
                .values()
                .iter()
                .zip(nulls)
                .map(|(key, known)| if known { translated[*key as usize] } else { UNKNOWN_CODE })
                .collect(),
        })
    }

    fn set(&mut self, source: Source) -> Result<Column, String> {
        let ends: Vec<usize> = match source.array.data_type() {
            DataType::List(_) => source.array.as_list::<i32>().offsets().iter().map(|o| *o as usize).collect(),
            DataType::LargeList(_) => source.array.as_list::<i64>().offsets().iter().map(|o| *o as usize).collect(),
            _ => return source.joined_sets(),
        };
        let items = match source.array.data_type() {
            DataType::List(_) => source.array.as_list::<i32>().values(),
            _ => source.array.as_list::<i64>().values(),
        };
        let item_codes = if *items.data_type() == DataType::Null {
            vec![UNKNOWN_CODE; items.len()]
        } else {
            // Items that do not fit are found by their place among all items, and belong to the row that spans it.
            let mut bad_items = Bad::new(items.len());
            let codes = self.codes(Source { array: items, bad: &mut bad_items, ..source })?;
            for (item, message) in bad_items.reasons() {
                source.bad.add(ends.partition_point(|end| *end <= item).saturating_sub(1), message);
            }
            codes
        };
        let (mut offsets, mut codes) = (Vec::with_capacity(ends.len()), Vec::with_capacity(item_codes.len()));
        offsets.push(0);
        for row in 0..source.array.len() {
            if source.array.is_valid(row) {
                let items = &item_codes[ends[row]..ends[row + 1]];
                codes.extend(items.iter().copied().filter(|code| *code != UNKNOWN_CODE));
            }
            close_set(&mut codes, &mut offsets);
        }
        Ok(Column::Set { dictionary: self.end_frame(), offsets, codes })
    }
}

/// Takes the bad rows out of a frame, and gives the rest their lines.
pub(crate) fn retain_rows(frame: &mut Frame, bad: &Bad) {
    let keep: Vec<bool> = (0..frame.rows).map(|row| !bad.reasons.contains_key(&row)).collect();
    frame.lines = (0..frame.rows).filter(|row| keep[*row]).map(|row| frame.first_line + row as u64).collect();
    frame.rows = frame.lines.len();
    for (_, column) in &mut frame.columns {
        match column {
            Column::Text { codes, .. } => retain(codes, &keep),
            Column::Flag(values) => retain(values, &keep),
            Column::Number { values, .. } => retain(values, &keep),
            Column::Date(values) => retain(values, &keep),
            Column::Instant(values) => retain(values, &keep),
            Column::Plain { offsets, bytes } => retain_spans(offsets, bytes, &keep),
            Column::Set { offsets, codes, .. } => retain_spans(offsets, codes, &keep),
        }
    }
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next().copied().unwrap_or(true));
}

fn retain_spans<T: Copy>(offsets: &mut Vec<u32>, items: &mut Vec<T>, keep: &[bool]) {
    let mut kept_offsets = vec![0];
    let mut kept = Vec::with_capacity(items.len());
    for (span, keep) in offsets.windows(2).zip(keep) {
        if *keep {
            kept.extend_from_slice(&items[span[0] as usize..span[1] as usize]);
            kept_offsets.push(kept.len() as u32);
        }
    }
    (*offsets, *items) = (kept_offsets, kept);
}
