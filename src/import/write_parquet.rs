//! Frames to Parquet: strings with dictionaries, lists of strings, decimals, dates and UTC timestamps.
//! Row groups are encoded apart from the file, so that several threads can each encode one.
//!
//! ```text
//!   PartsFile ── layout() ──► PartsLayout ── begin() ──► PartWriter ── write(frame)* ── finish() ──► Part
//!       └──────────────────────────── append(part), in order ◄──────────────────────────────────────┘
//! ```
//! No Arrow schema is put into the file: every reader sees plain Parquet types.

use std::io::Write;
use std::mem;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, ListArray,
    StringArray, TimestampMillisecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriter, ArrowWriterOptions, compute_leaves,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::frame::{Column, Frame, UNKNOWN_CODE};
use super::write::{FrameWriter, WriteError};

/// Rows of a row group where nobody says otherwise.
const GROUP_ROWS: usize = 1 << 20;
/// Digits of a scaled number: the most that Parquet keeps in 64 bits.
const DECIMAL_DIGITS: u8 = 18;
const UTC: &str = "UTC";

/// A Parquet file that takes row groups encoded elsewhere.
pub(crate) struct PartsFile<W: Write + Send> {
    file: SerializedFileWriter<W>,
    layout: Arc<PartsLayout>,
}

/// What a file's columns are, shared by those who encode its row groups.
pub(crate) struct PartsLayout {
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
}

/// A dictionary of a frame, as Arrow has it.
type Known = Option<(Arc<Vec<Box<str>>>, ArrayRef)>;

/// A row group being encoded.
pub(crate) struct PartWriter {
    layout: Arc<PartsLayout>,
    columns: Vec<ArrowColumnWriter>,
    /// For each column the last dictionary seen, as Arrow has it.
    dictionaries: Vec<Known>,
    rows: usize,
}

/// An encoded row group.
pub(crate) struct Part(Vec<ArrowColumnChunk>);

impl<W: Write + Send> PartsFile<W> {
    /// Begins a file of which all frames have the columns of `like`.
    pub(crate) fn new(bytes: W, like: &Frame) -> Result<Self, WriteError> {
        let schema = schema_of(like);
        let options = ArrowWriterOptions::new().with_properties(properties(like)).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(bytes, Arc::clone(&schema), options)?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(PartsFile { file, layout: Arc::new(PartsLayout { factory, schema }) })
    }

    pub(crate) fn layout(&self) -> Arc<PartsLayout> {
        Arc::clone(&self.layout)
    }

    /// Writes an encoded row group after those before.
    pub(crate) fn append(&mut self, part: Part) -> Result<(), WriteError> {
        let mut group = self.file.next_row_group()?;
        for chunk in part.0 {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes the footer and gives the file's length in bytes.
    pub(crate) fn finish(mut self) -> Result<u64, WriteError> {
        self.file.finish()?;
        self.file.inner_mut().flush()?;
        Ok(self.file.bytes_written() as u64)
    }
}

impl PartsLayout {
    /// Begins a row group, the `number`th of the file.
    pub(crate) fn begin(self: &Arc<Self>, number: usize) -> Result<PartWriter, WriteError> {
        let columns = self.factory.create_column_writers(number)?;
        let dictionaries = vec![None; self.schema.fields().len()];
        Ok(PartWriter { layout: Arc::clone(self), columns, dictionaries, rows: 0 })
    }
}

impl PartWriter {
    pub(crate) fn write(&mut self, frame: &Frame) -> Result<(), WriteError> {
        let schema = Arc::clone(&self.layout.schema);
        if frame.columns.len() != schema.fields().len() {
            let column = frame.columns.last().map_or(String::new(), |(name, _)| name.clone());
            return Err(WriteError::Column { column, detail: "the first frame had other columns".into() });
        }
        let mut writers = self.columns.iter_mut();
        for (at, ((name, column), field)) in frame.columns.iter().zip(schema.fields()).enumerate() {
            let array = array_of(column, &mut self.dictionaries[at])
                .map_err(|detail| WriteError::Column { column: name.clone(), detail })?;
            if name != field.name() || array.data_type() != field.data_type() {
                return Err(WriteError::Column {
                    column: name.clone(),
                    detail: format!("the first frame had `{}` of {}", field.name(), field.data_type()),
                });
            }
            for leaf in compute_leaves(field, &array)? {
                writers.next().expect("a writer for each leaf").write(&leaf)?;
            }
        }
        self.rows += frame.rows;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Part, WriteError> {
        Ok(Part(self.columns.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>()?))
    }
}

/// Writes a Parquet file frame by frame.
pub(crate) struct ParquetWriter<W: Write + Send> {
    state: State<W>,
    groups: usize,
}

enum State<W: Write + Send> {
    /// The columns are not known before the first frame.
    Waiting(W),
    Writing(Box<PartsFile<W>>, Option<PartWriter>),
    Failed,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(bytes: W) -> Self {
        ParquetWriter { state: State::Waiting(bytes), groups: 0 }
    }

    fn begin(&mut self, frame: &Frame) -> Result<(&mut PartsFile<W>, &mut Option<PartWriter>), WriteError> {
        self.state = match mem::replace(&mut self.state, State::Failed) {
            State::Waiting(bytes) => State::Writing(Box::new(PartsFile::new(bytes, frame)?), None),
            begun => begun,
        };
        match &mut self.state {
            State::Writing(file, part) => Ok((file, part)),
            _ => Err(std::io::Error::other("an earlier write failed").into()),
        }
    }
}

impl<W: Write + Send> FrameWriter for ParquetWriter<W> {
    fn write(&mut self, frame: &Frame) -> Result<(), WriteError> {
        let number = self.groups;
        let (file, part) = self.begin(frame)?;
        let mut group = match part.take() {
            Some(group) => group,
            None => file.layout().begin(number)?,
        };
        group.write(frame)?;
        if group.rows >= GROUP_ROWS {
            file.append(group.finish()?)?;
            self.groups += 1;
        } else {
            *part = Some(group);
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64, WriteError> {
        self.begin(&Frame::default())?;
        match self.state {
            State::Writing(mut file, part) => {
                if let Some(part) = part.filter(|part| part.rows > 0) {
                    file.append(part.finish()?)?;
                }
                file.finish()
            }
            _ => Err(std::io::Error::other("an earlier write failed").into()),
        }
    }
}

fn properties(like: &Frame) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by("headcount".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level of zstd")))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None);
    for (name, column) in &like.columns {
        // Texts that hardly repeat would only fill a dictionary to throw it away.
        if matches!(column, Column::Plain { .. }) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(name.as_str()), false);
        }
    }
    properties.build()
}

fn schema_of(frame: &Frame) -> SchemaRef {
    let fields: Vec<Field> =
        frame.columns.iter().map(|(name, column)| Field::new(name, type_of(column), true)).collect();
    Arc::new(Schema::new(fields))
}

fn type_of(column: &Column) -> DataType {
    match column {
        Column::Text { .. } => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Column::Plain { .. } => DataType::Utf8,
        Column::Flag(_) => DataType::Boolean,
        Column::Number { scale: 0, .. } => DataType::Int64,
        Column::Number { scale, .. } => DataType::Decimal128(DECIMAL_DIGITS, *scale as i8),
        Column::Date(_) => DataType::Date32,
        // Parquet has no whole seconds.
        Column::Instant(_) => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        Column::Set { .. } => DataType::List(item_field()),
    }
}

fn item_field() -> Arc<Field> {
    let strings = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Field::new("element", strings, false))
}

fn array_of(column: &Column, known: &mut Known) -> Result<ArrayRef, String> {
    Ok(match column {
        Column::Text { dictionary, codes } => strings(dictionary, codes, known)?,
        Column::Plain { offsets, bytes } => plain(offsets, bytes)?,
        Column::Flag(values) => Arc::new(BooleanArray::from(values.clone())),
        Column::Number { scale: 0, values } => Arc::new(Int64Array::from(values.clone())),
        Column::Number { scale, values } => decimals(*scale, values)?,
        Column::Date(values) => Arc::new(Date32Array::from(values.clone())),
        Column::Instant(values) => {
            let millis = values.iter().map(|v| v.map(|v| v.saturating_mul(1_000)));
            Arc::new(TimestampMillisecondArray::from_iter(millis).with_timezone(UTC))
        }
        Column::Set { dictionary, offsets, codes } => {
            let items = strings(dictionary, codes, known)?;
            let nulls = NullBuffer::from_iter(offsets.windows(2).map(|span| span[0] != span[1]));
            let offsets = OffsetBuffer::new(ScalarBuffer::from_iter(offsets.iter().map(|o| *o as i32)));
            Arc::new(ListArray::try_new(item_field(), offsets, items, Some(nulls)).map_err(|e| e.to_string())?)
        }
    })
}

fn strings(dictionary: &Arc<Vec<Box<str>>>, codes: &[u32], known: &mut Known) -> Result<ArrayRef, String> {
    let values = match known {
        Some((last, values)) if Arc::ptr_eq(last, dictionary) => Arc::clone(values),
        _ => {
            let values: ArrayRef = Arc::new(StringArray::from_iter_values(dictionary.iter()));
            *known = Some((Arc::clone(dictionary), Arc::clone(&values)));
            values
        }
    };
    let nulls = NullBuffer::from(BooleanBuffer::collect_bool(codes.len(), |at| codes[at] != UNKNOWN_CODE));
    let keys = ScalarBuffer::from_iter(codes.iter().map(|code| if *code == UNKNOWN_CODE { 0 } else { *code as i32 }));
    let keys =
        Int32Array::try_new(keys, Some(nulls).filter(|nulls| nulls.null_count() > 0)).map_err(|e| e.to_string())?;
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values).map_err(|e| e.to_string())?))
}

fn plain(offsets: &[u32], bytes: &[u8]) -> Result<ArrayRef, String> {
    let nulls = NullBuffer::from_iter(offsets.windows(2).map(|span| span[0] != span[1]));
    let offsets =
        offsets.iter().map(|o| i32::try_from(*o)).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let array = StringArray::try_new(offsets, Buffer::from_slice_ref(bytes), Some(nulls)).map_err(|e| e.to_string())?;
    Ok(Arc::new(array))
}

fn decimals(scale: u8, values: &[Option<i64>]) -> Result<ArrayRef, String> {
    let limit = 10u64.pow(DECIMAL_DIGITS.into());
    if let Some(value) = values.iter().flatten().find(|v| v.unsigned_abs() >= limit) {
        return Err(format!("{value} has more than {DECIMAL_DIGITS} digits"));
    }
    let array = Decimal128Array::from_iter(values.iter().map(|v| v.map(i128::from)));
    let array = array.with_data_type(DataType::Decimal128(DECIMAL_DIGITS, scale as i8));
    Ok(Arc::new(array))
}
