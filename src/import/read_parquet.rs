//! Reads Parquet, only the wanted columns. Knows the file's schema and batches; the values of a batch become a frame's
//! columns in `read_parquet_columns`.
//!
//! Strings that are to become categories and sets are asked for with their dictionaries, so that a value repeated a
//! million times is looked at once. A row with a value that does not fit is rejected whole, by its number from 1.
//! The Parquet library panics on some damaged files; here that becomes an error that names the file.

use std::fs::File;
use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use jiff::tz::TimeZone;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;

use super::frame::Frame;
use super::read::{Expect, FRAME_ROWS, FrameReader, Kind, Others, ReadError, Rejected, Wanted};
use super::read_parquet_columns::{Bad, Convert, fits, retain_rows};

const FORMAT: &str = "Parquet";

/// Reads a Parquet file.
pub struct ParquetReader {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    columns: Vec<(Wanted, Convert)>,
    zone: TimeZone,
    rejected: Vec<Rejected>,
    rows_first: u64,
    rows_read: u64,
    rows_total: u64,
    bytes_total: u64,
    failed: bool,
}

impl ParquetReader {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ReadError`] where the file is not Parquet, a wanted column cannot become what is expected, or nobody expects one.
    pub fn open(path: &Path, expect: &Expect) -> Result<Self, ReadError> {
        let metadata = load(path)?;
        let groups = metadata.metadata().num_row_groups();
        Self::open_groups(path, expect, &metadata, 0..groups)
    }

    /// Opens a file as at most `parts` readers of about equal numbers of row groups, in file order: one for each thread.
    ///
    /// # Errors
    /// As [`ParquetReader::open`].
    pub fn open_parts(path: &Path, expect: &Expect, parts: usize) -> Result<Vec<Self>, ReadError> {
        let metadata = load(path)?;
        let groups = metadata.metadata().num_row_groups();
        let parts = parts.clamp(1, groups.max(1));
        (0..parts)
            .map(|part| Self::open_groups(path, expect, &metadata, groups * part / parts..groups * (part + 1) / parts))
            .collect()
    }

    fn open_groups(
        path: &Path,
        expect: &Expect,
        metadata: &ArrowReaderMetadata,
        groups: Range<usize>,
    ) -> Result<Self, ReadError> {
        let found = metadata.schema();
        let columns = choose(path, found, expect)?;
        let places: Vec<usize> = columns.iter().map(|(place, _)| *place).collect();
        let asked = asked_schema(found, &columns, metadata);
        let options = ArrowReaderOptions::new().with_schema(asked);
        let metadata = guarded(path, || ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options))?;
        let rows_of = |range: Range<usize>| -> u64 {
            range.map(|g| metadata.metadata().row_group(g).num_rows().max(0) as u64).sum()
        };
        let (rows_first, rows_total) = (rows_of(0..groups.start), rows_of(groups.clone()));
        let mask = ProjectionMask::roots(metadata.parquet_schema(), places);
        let file = File::open(path).map_err(|e| ReadError::io(path, e))?;
        let bytes_total = file.metadata().map_err(|e| ReadError::io(path, e))?.len();
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_row_groups(groups.collect())
            .with_batch_size(FRAME_ROWS);
        let batches = guarded(path, || builder.build())?;
        Ok(ParquetReader {
            path: path.into(),
            batches,
            columns: columns.into_iter().map(|(_, wanted)| (wanted, Convert::default())).collect(),
            zone: expect.time_zone.clone(),
            rejected: Vec::new(),
            rows_first,
            rows_read: 0,
            rows_total,
            bytes_total,
            failed: false,
        })
    }

    fn convert(&mut self, batch: &RecordBatch) -> Result<Frame, ReadError> {
        let first_line = self.rows_first + self.rows_read + 1;
        let mut bad = Bad::new(batch.num_rows());
        let mut columns = Vec::with_capacity(self.columns.len());
        for ((wanted, convert), array) in self.columns.iter_mut().zip(batch.columns()) {
            let column = convert
                .column(wanted, &self.zone, array, &mut bad)
                .map_err(|detail| ReadError::column(&self.path, &wanted.source, detail))?;
            columns.push((wanted.name.clone(), column));
        }
        self.rows_read += batch.num_rows() as u64;
        let mut frame = Frame { rows: batch.num_rows(), columns, lines: Vec::new(), first_line };
        if !bad.is_empty() {
            for (row, message) in bad.reasons() {
                self.rejected.push(Rejected { line: first_line + row as u64, code: "bad_value", message });
            }
            retain_rows(&mut frame, &bad);
        }
        Ok(frame)
    }
}

impl FrameReader for ParquetReader {
    fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        if self.failed {
            return Ok(None);
        }
        let path = self.path.clone();
        let frame = guarded(&path, || match self.batches.next() {
            None => Ok(Ok(None)),
            Some(Ok(batch)) => Ok(self.convert(&batch).map(Some)),
            Some(Err(e)) => Err(e),
        });
        let frame = frame.and_then(|frame| frame);
        self.failed = frame.is_err();
        frame
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        mem::take(&mut self.rejected)
    }

    fn bytes_read(&self) -> u64 {
        let share = u128::from(self.bytes_total) * u128::from(self.rows_read) / u128::from(self.rows_total.max(1));
        share as u64
    }

    fn bytes_total(&self) -> u64 {
        self.bytes_total
    }
}

fn load(path: &Path) -> Result<ArrowReaderMetadata, ReadError> {
    let file = File::open(path).map_err(|e| ReadError::io(path, e))?;
    guarded(path, || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))
}

/// Does `work` of the Parquet library; its errors and panics say that the file is damaged.
fn guarded<T, E: ToString>(path: &Path, work: impl FnOnce() -> Result<T, E>) -> Result<T, ReadError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|e| ReadError::malformed(path, FORMAT, e)),
        Err(_) => Err(ReadError::malformed(path, FORMAT, "it is damaged")),
    }
}

/// The wanted ones among a file's columns, with their places in it.
fn choose(path: &Path, found: &Schema, expect: &Expect) -> Result<Vec<(usize, Wanted)>, ReadError> {
    let mut chosen: Vec<(usize, Wanted)> = Vec::new();
    let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
    for (at, (field, place)) in found.fields().iter().zip(expect.places(&names)).enumerate() {
        let Some(place) = place else {
            if expect.others == Others::Skip {
                continue;
            }
            return Err(ReadError::column(path, field.name(), "no tag, id type or property is called that"));
        };
        let wanted = &expect.columns[place];
        if chosen.iter().any(|(_, other)| other == wanted) {
            return Err(ReadError::column(path, field.name(), "the file has two of that name"));
        }
        if !fits(wanted.kind, &plain_type(field.data_type(), wanted.kind)) {
            let detail = format!("its type {} cannot become {}", field.data_type(), wanted.kind.phrase());
            return Err(ReadError::column(path, field.name(), detail));
        }
        chosen.push((at, wanted.clone()));
    }
    Ok(chosen)
}

/// The file's schema as we want to be given it: wanted columns in the few types that the conversion knows.
fn asked_schema(found: &SchemaRef, columns: &[(usize, Wanted)], metadata: &ArrowReaderMetadata) -> SchemaRef {
    let physical = |at: usize| {
        let leaves = metadata.parquet_schema();
        (0..leaves.num_columns())
            .find(|leaf| leaves.get_column_root_idx(*leaf) == at)
            .map(|leaf| leaves.column(leaf).physical_type())
    };
    let fields: Fields = found
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| match columns.iter().find(|(place, _)| *place == at) {
            None => Arc::clone(field),
            // Nanoseconds would not reach beyond the year 2262, whole seconds do.
            Some(_) if physical(at) == Some(PhysicalType::INT96) => {
                Arc::new(field.as_ref().clone().with_data_type(DataType::Timestamp(TimeUnit::Second, None)))
            }
            Some((_, wanted)) => {
                Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type(), wanted.kind)))
            }
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// Strings with their dictionary where they repeat, plain where not; no dictionaries of anything else.
fn plain_type(found: &DataType, kind: Kind) -> DataType {
    match found {
        DataType::Dictionary(_, values) => plain_type(values, kind),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match kind {
            Kind::Text | Kind::Set => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            _ => DataType::Utf8,
        },
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(plain_item(item, kind)),
        DataType::LargeList(item) => DataType::LargeList(plain_item(item, kind)),
        other => other.clone(),
    }
}

fn plain_item(item: &Arc<Field>, kind: Kind) -> Arc<Field> {
    Arc::new(item.as_ref().clone().with_data_type(plain_type(item.data_type(), kind)))
}

/// The file's schema and its first rows, strings without dictionaries, for inference.
pub(crate) fn sample(path: &Path, rows_max: usize) -> Result<(SchemaRef, Vec<RecordBatch>), ReadError> {
    let metadata = load(path)?;
    let plain = |field: &Arc<Field>| field.as_ref().clone().with_data_type(plain_type(field.data_type(), Kind::Id));
    let schema: SchemaRef = Arc::new(Schema::new(metadata.schema().fields().iter().map(plain).collect::<Fields>()));
    let options = ArrowReaderOptions::new().with_schema(Arc::clone(&schema));
    let metadata = guarded(path, || ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options))?;
    let file = File::open(path).map_err(|e| ReadError::io(path, e))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let builder = builder.with_batch_size(rows_max).with_limit(rows_max);
    let batches = guarded(path, || -> Result<Vec<RecordBatch>, ArrowError> { builder.build()?.collect() })?;
    Ok((schema, batches))
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int64Builder, ListBuilder, StringBuilder};
    use arrow_array::types::Int8Type;
    use arrow_array::{
        Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array,
        DictionaryArray, Float32Array, Float64Array, Int8Array, Int64Array, LargeStringArray, NullArray, StringArray,
        StringViewArray, StructArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
    };
    use parquet::arrow::ArrowWriter;

    use super::super::read::Rejected;
    use super::super::write::{Shape, encode_rows};
    use super::*;

    fn write(path: &Path, columns: &[(&str, ArrayRef)]) {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(n, a)| (*n, Arc::clone(a), true)));
        let batch = batch.unwrap();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    /// Reads one column of a file as the values that NDJSON would show, and the rows rejected.
    fn read(array: ArrayRef, kind: Kind) -> Result<(Vec<String>, Vec<Rejected>), ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.parquet");
        write(&path, &[("v", array)]);
        let expect = Expect { time_zone: TimeZone::get("Asia/Shanghai").unwrap(), ..Expect::default() };
        let mut reader = ParquetReader::open(&path, &expect.want("v", kind))?;
        let frame = reader.next_frame()?.unwrap();
        let mut text = Vec::new();
        encode_rows(super::super::read::Format::Ndjson, &Shape::Flat, &frame, &mut text);
        let value = |line: &str| {
            line.trim_start_matches('{').trim_end_matches('}').trim_start_matches("\"v\":").replace('"', "")
        };
        let values = String::from_utf8(text).unwrap().lines().map(value).collect();
        Ok((values, reader.take_rejected()))
    }

    fn check(array: impl Array + 'static, kind: Kind, expected: &[&str]) {
        let data_type = array.data_type().clone();
        let (values, rejected) = read(Arc::new(array), kind).unwrap();
        assert_eq!(values, expected, "{data_type} as {kind:?}");
        assert_eq!(rejected, [], "{data_type} as {kind:?}");
    }

    #[test]
    fn texts_of_every_type_become_categories_and_identities() {
        let dictionary =
            || vec![Some("a"), None, Some("b"), Some("a")].into_iter().collect::<DictionaryArray<Int8Type>>();
        for kind in [Kind::Text, Kind::Id] {
            check(StringArray::from(vec![Some("a"), None, Some("b")]), kind, &["a", "", "b"]);
            check(LargeStringArray::from(vec![Some("a"), None]), kind, &["a", ""]);
            check(
                StringViewArray::from(vec![Some("a text beyond twelve bytes"), None]),
                kind,
                &["a text beyond twelve bytes", ""],
            );
            check(BinaryArray::from_opt_vec(vec![Some(b"a"), None]), kind, &["a", ""]);
            check(dictionary(), kind, &["a", "", "b", "a"]);
            check(Int8Array::from(vec![Some(-7), None]), kind, &["-7", ""]);
            check(Int64Array::from(vec![17_850]), kind, &["17850"]);
            check(Float64Array::from(vec![Some(17_850.0), Some(f64::NAN), None]), kind, &["17850", "", ""]);
            check(NullArray::new(2), kind, &["", ""]);
        }
        check(BooleanArray::from(vec![true, false]), Kind::Text, &["true", "false"]);
    }

    #[test]
    fn numbers_are_exact_whatever_their_type() {
        let two = Kind::Number { scale: 2 };
        check(Int64Array::from(vec![Some(3), None]), two, &["3.00", ""]);
        check(UInt64Array::from(vec![7]), Kind::Number { scale: 0 }, &["7"]);
        check(Float64Array::from(vec![0.1, 19.99, -2.5, f64::NAN]), two, &["0.10", "19.99", "-2.50", ""]);
        check(Float32Array::from(vec![0.1, 19.99]), two, &["0.10", "19.99"]);
        check(StringArray::from(vec![Some("1.5"), Some(""), None]), two, &["1.50", "", ""]);
        let decimals = Decimal128Array::from(vec![Some(12_500), None]).with_precision_and_scale(10, 3).unwrap();
        check(decimals, two, &["12.50", ""]);
        let wide =
            Decimal256Array::from_iter_values([arrow_buffer::i256::from(125)]).with_precision_and_scale(50, 1).unwrap();
        check(wide, two, &["12.50"]);
    }

    #[test]
    fn times_become_days_and_moments_of_the_zone() {
        check(Date32Array::from(vec![Some(20_758), None]), Kind::Date, &["2026-11-01", ""]);
        check(Date64Array::from(vec![20_758 * 86_400_000]), Kind::Date, &["2026-11-01"]);
        check(StringArray::from(vec!["2026-11-01"]), Kind::Date, &["2026-11-01"]);
        let evening = 20_758 * 86_400 + 20 * 3600;
        check(TimestampSecondArray::from(vec![evening]).with_timezone("UTC"), Kind::Date, &["2026-11-02"]);
        check(TimestampMicrosecondArray::from(vec![evening * 1_000_000]), Kind::Date, &["2026-11-01"]);
        check(TimestampMicrosecondArray::from(vec![evening * 1_000_000 + 5]), Kind::Instant, &["2026-11-01T12:00:00Z"]);
        check(TimestampSecondArray::from(vec![evening]).with_timezone("UTC"), Kind::Instant, &["2026-11-01T20:00:00Z"]);
        check(Date32Array::from(vec![20_758]), Kind::Instant, &["2026-10-31T16:00:00Z"]);
    }

    #[test]
    fn lists_and_joined_texts_become_sets() {
        let mut texts = ListBuilder::new(StringBuilder::new());
        texts.append_value([Some("a"), None, Some("b"), Some("a")]);
        texts.append_null();
        texts.append_value([None::<&str>; 0]);
        check(texts.finish(), Kind::Set, &["[a,b]", "", ""]);
        let mut numbers = ListBuilder::new(Int64Builder::new());
        numbers.append_value([Some(1), Some(2)]);
        check(numbers.finish(), Kind::Set, &["[1,2]"]);
        check(StringArray::from(vec![Some("a|b"), None]), Kind::Set, &["[a,b]", ""]);
    }

    #[test]
    fn a_row_that_does_not_fit_is_rejected_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.parquet");
        let mut interests = ListBuilder::new(StringBuilder::new());
        (0..4).for_each(|n| interests.append_value([Some(n.to_string()), Some("x".into())]));
        write(
            &path,
            &[
                ("member", Arc::new(StringArray::from(vec!["M1", "M2", "M3", "M4"]))),
                ("spend", Arc::new(Float64Array::from(vec![1.5, 1.555, 2.5, f64::INFINITY]))),
                ("interests", Arc::new(interests.finish())),
                ("city", Arc::new(StringArray::from(vec!["A", "B", "C", "D"]))),
            ],
        );
        let expect = Expect::default()
            .want("member", Kind::Id)
            .want("spend", Kind::Number { scale: 2 })
            .want("interests", Kind::Set)
            .want("city", Kind::Text);
        let mut reader = ParquetReader::open(&path, &expect).unwrap();
        let frame = reader.next_frame().unwrap().unwrap();
        let mut text = Vec::new();
        encode_rows(super::super::read::Format::Ndjson, &Shape::Flat, &frame, &mut text);
        let expected = "{\"member\":\"M1\",\"spend\":1.50,\"interests\":[\"0\",\"x\"],\"city\":\"A\"}\n\
                        {\"member\":\"M3\",\"spend\":2.50,\"interests\":[\"2\",\"x\"],\"city\":\"C\"}\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert_eq!((frame.rows, &frame.lines[..]), (2, &[1, 3][..]));
        let rejected = reader.take_rejected();
        assert_eq!(rejected.iter().map(|r| (r.line, r.code)).collect::<Vec<_>>(), [(2, "bad_value"), (4, "bad_value")]);
        assert!(rejected[0].message.contains("`spend`") && rejected[0].message.contains("1.555"), "{rejected:?}");
    }

    #[test]
    fn columns_that_cannot_be_are_refused_by_name() {
        let field = Arc::new(Field::new("x", DataType::Int64, true));
        let nested = StructArray::from(vec![(field, Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
        for (array, kind) in [
            (Arc::new(nested) as ArrayRef, Kind::Text),
            (Arc::new(BooleanArray::from(vec![true])), Kind::Number { scale: 0 }),
            (Arc::new(Date32Array::from(vec![1])), Kind::Text),
            (Arc::new(Int64Array::from(vec![1])), Kind::Set),
        ] {
            let error = read(array, kind).unwrap_err().to_string();
            assert!(error.contains("column `v`") && error.contains("cannot become"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_whole_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.parquet");
        write(&path, &[("v", Arc::new(Int64Array::from((0..1000).collect::<Vec<_>>())))]);
        let whole = std::fs::read(&path).unwrap();
        let expect = Expect::default().want("v", Kind::Number { scale: 0 });
        for bytes in [&b""[..], b"not parquet at all", &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
            std::fs::write(&path, bytes).unwrap();
            let error = ParquetReader::open(&path, &expect).err().unwrap().to_string();
            assert!(error.contains("people.parquet: not a readable Parquet file"), "{error}");
        }
    }

    #[test]
    fn parts_together_are_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.parquet");
        let batch = |from: i64| {
            RecordBatch::try_from_iter([("v", Arc::new(Int64Array::from_iter_values(from..from + 10)) as ArrayRef)])
        };
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch(0).unwrap().schema(), None).unwrap();
        for from in [0, 10, 20] {
            writer.write(&batch(from).unwrap()).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
        let expect = Expect::default().want("v", Kind::Text);
        for parts in [1, 2, 3, 9] {
            let readers = ParquetReader::open_parts(&path, &expect, parts).unwrap();
            let mut lines = Vec::new();
            for mut reader in readers {
                while let Some(frame) = reader.next_frame().unwrap() {
                    lines.extend((0..frame.rows).map(|row| frame.line(row)));
                }
                assert_eq!(reader.bytes_read(), reader.bytes_total());
            }
            assert_eq!(lines, (1..=30).collect::<Vec<u64>>(), "{parts} parts");
        }
    }
}
