//! The values of one Arrow array, as texts, numbers, days and moments. Knows Arrow types; knows no frame's rows.
//! A value that does not fit is put down in `bad` and unknown in the column.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};
use jiff::tz::TimeZone;

use super::fill::{Fill, misfit, number_misfit};
use super::frame::Column;
use super::moments::{self, DAY_SECONDS};
use super::numbers::{self, NumberMisfit};
use super::read::Wanted;
use super::read_parquet_columns::{Bad, is_text_dictionary};

/// An array with what its values are to become.
pub(crate) struct Source<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) zone: &'a TimeZone,
    pub(crate) array: &'a ArrayRef,
    pub(crate) bad: &'a mut Bad,
}

impl Source<'_> {
    fn misfit(&self, value: &str, rule: &str) -> String {
        misfit(&self.wanted.source, self.wanted.kind, value, rule)
    }

    fn unsupported<T>(&self) -> Result<T, String> {
        Err(format!("its type {} cannot become {}", self.array.data_type(), self.wanted.kind.phrase()))
    }

    /// Hands every known value as text to `take`, by row.
    pub(crate) fn each_text(self, mut take: impl FnMut(usize, &str)) -> Result<(), String> {
        use DataType as T;
        match self.array.data_type() {
            T::Utf8 => {
                let array = self.array.as_string::<i32>();
                array.iter().enumerate().filter_map(|(r, v)| Some((r, v?))).for_each(|(r, v)| take(r, v));
            }
            T::Binary => {
                let array = self.array.as_binary::<i32>();
                for (row, value) in array.iter().enumerate().filter_map(|(r, v)| Some((r, v?))) {
                    match std::str::from_utf8(value) {
                        Ok(text) => take(row, text),
                        Err(_) => self.bad.add(row, self.misfit("…", "it is not UTF-8")),
                    }
                }
            }
            T::Boolean => {
                let array = self.array.as_boolean();
                let values = array.iter().enumerate().filter_map(|(r, v)| Some((r, v?)));
                values.for_each(|(r, v)| take(r, if v { "true" } else { "false" }));
            }
            _ if is_text_dictionary(self.array.data_type()) => {
                let array = self.array.as_dictionary::<Int32Type>();
                let values = array.values().as_string::<i32>();
                for (row, key) in array.keys().iter().enumerate() {
                    if let Some(key) = key.filter(|key| values.is_valid(*key as usize)) {
                        take(row, values.value(key as usize));
                    }
                }
            }
            _ => {
                let mut text = Vec::with_capacity(24);
                for (row, value) in self.numbers(0)?.into_iter().enumerate() {
                    if let Some(value) = value {
                        text.clear();
                        numbers::write_decimal(value, 0, &mut text);
                        take(row, std::str::from_utf8(&text).expect("digits are UTF-8"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Fills a column from texts, as CSV does.
    fn filled_from_text(self) -> Result<Column, String> {
        let mut fill = Fill::new(self.wanted, self.zone);
        let (wanted, zone, array) = (self.wanted, self.zone, self.array);
        let mut filled = 0;
        let mut misfits = Vec::new();
        Source { wanted, zone, array, bad: &mut *self.bad }.each_text(|row, text| {
            (filled..row).for_each(|_| fill.push_unknown());
            filled = row + 1;
            if text.is_empty() {
                fill.push_unknown();
            } else if let Err(message) = fill.push_text(text) {
                misfits.push((row, message));
                fill.push_unknown();
            }
        })?;
        (filled..array.len()).for_each(|_| fill.push_unknown());
        misfits.into_iter().for_each(|(row, message)| self.bad.add(row, message));
        Ok(fill.take())
    }

    fn is_text(&self) -> bool {
        matches!(self.array.data_type(), DataType::Utf8 | DataType::Binary)
            || is_text_dictionary(self.array.data_type())
    }

    pub(crate) fn joined_sets(self) -> Result<Column, String> {
        if self.is_text() { self.filled_from_text() } else { self.unsupported() }
    }

    pub(crate) fn plain(self) -> Result<Column, String> {
        let rows = self.array.len();
        let mut offsets = Vec::with_capacity(rows + 1);
        let mut bytes = Vec::new();
        offsets.push(0);
        self.each_text(|row, text| {
            offsets.resize(row + 1, bytes.len() as u32);
            bytes.extend_from_slice(text.as_bytes());
            offsets.push(bytes.len() as u32);
        })?;
        offsets.resize(rows + 1, bytes.len() as u32);
        Ok(Column::Plain { offsets, bytes })
    }

    pub(crate) fn flags(self) -> Result<Column, String> {
        if *self.array.data_type() == DataType::Boolean {
            return Ok(Column::Flag(self.array.as_boolean().iter().collect()));
        }
        if self.is_text() {
            return self.filled_from_text();
        }
        let Source { wanted, zone, array, bad } = self;
        let numbers = Source { wanted, zone, array, bad: &mut *bad }.numbers(0)?;
        let mut flag = |(row, value): (usize, Option<i64>)| match value? {
            0 => Some(false),
            1 => Some(true),
            other => {
                bad.add(row, misfit(&wanted.source, wanted.kind, &other.to_string(), "a flag is 0 or 1"));
                None
            }
        };
        Ok(Column::Flag(numbers.into_iter().enumerate().map(&mut flag).collect()))
    }

    pub(crate) fn numbers(self, scale: u8) -> Result<Vec<Option<i64>>, String> {
        use DataType as T;
        let whole = |value: i128| numbers::rescale(value, 0, scale);
        let of = |decimals: i8| move |value: i128| numbers::rescale(value, i32::from(decimals), scale);
        match *self.array.data_type() {
            T::Int8 => self.primitive::<Int8Type>(|v| whole(v.into())),
            T::Int16 => self.primitive::<Int16Type>(|v| whole(v.into())),
            T::Int32 => self.primitive::<Int32Type>(|v| whole(v.into())),
            T::Int64 if scale == 0 => Ok(self.array.as_primitive::<Int64Type>().iter().collect()),
            T::Int64 => self.primitive::<Int64Type>(|v| whole(v.into())),
            T::UInt8 => self.primitive::<UInt8Type>(|v| whole(v.into())),
            T::UInt16 => self.primitive::<UInt16Type>(|v| whole(v.into())),
            T::UInt32 => self.primitive::<UInt32Type>(|v| whole(v.into())),
            T::UInt64 => self.primitive::<UInt64Type>(|v| whole(v.into())),
            T::Decimal32(_, from) => self.primitive::<Decimal32Type>(|v| of(from)(v.into())),
            T::Decimal64(_, from) => self.primitive::<Decimal64Type>(|v| of(from)(v.into())),
            T::Decimal128(_, from) if i32::from(from) == i32::from(scale) => {
                self.primitive::<Decimal128Type>(|v| i64::try_from(v).map_err(|_| NumberMisfit::TooLarge))
            }
            T::Decimal128(_, from) => self.primitive::<Decimal128Type>(of(from)),
            T::Decimal256(_, from) => {
                self.primitive::<Decimal256Type>(|v| v.to_i128().map_or(Err(NumberMisfit::TooLarge), of(from)))
            }
            T::Float16 => self.floats::<Float16Type>(|v| numbers::from_f32(v.to_f32(), scale)),
            T::Float32 => self.floats::<Float32Type>(|v| numbers::from_f32(v, scale)),
            T::Float64 => self.floats::<Float64Type>(|v| numbers::from_f64(v, scale)),
            _ if self.is_text() => match self.filled_from_text()? {
                Column::Number { values, .. } => Ok(values),
                _ => Err("a number was expected".into()),
            },
            _ => self.unsupported(),
        }
    }

    /// The values of a primitive array, each put through `convert`.
    fn primitive<T: ArrowPrimitiveType>(
        self,
        convert: impl Fn(T::Native) -> Result<i64, NumberMisfit>,
    ) -> Result<Vec<Option<i64>>, String> {
        let array: &PrimitiveArray<T> = self.array.as_primitive();
        let mut values = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            values.push(match value.map(&convert) {
                None => None,
                Some(Ok(value)) => Some(value),
                Some(Err(reason)) => {
                    let text = array.value(row);
                    let text = format!("{text:?}");
                    self.bad.add(row, number_misfit(&self.wanted.source, self.wanted.kind, &text, reason));
                    None
                }
            });
        }
        Ok(values)
    }

    /// As [`Source::primitive`]; NaN is unknown, as data frames write it.
    fn floats<T: ArrowPrimitiveType>(
        self,
        convert: impl Fn(T::Native) -> Result<i64, NumberMisfit>,
    ) -> Result<Vec<Option<i64>>, String>
    where
        T::Native: PartialEq,
    {
        let array: &PrimitiveArray<T> = self.array.as_primitive();
        #[allow(clippy::eq_op)]
        let is_nan = |value: T::Native| value != value;
        let mut values = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            values.push(match value.filter(|v| !is_nan(*v)).map(|v| (v, convert(v))) {
                None => None,
                Some((_, Ok(value))) => Some(value),
                Some((value, Err(reason))) => {
                    let text = format!("{value:?}");
                    self.bad.add(row, number_misfit(&self.wanted.source, self.wanted.kind, &text, reason));
                    None
                }
            });
        }
        Ok(values)
    }

    pub(crate) fn dates(self) -> Result<Column, String> {
        if self.is_text() {
            return self.filled_from_text();
        }
        if *self.array.data_type() == DataType::Date32 {
            let values = self.times::<Date32Type>(|day| moments::checked_day(day.into()).map(i64::from))?;
            return Ok(Column::Date(values.into_iter().map(|day| day.map(|day| day as i32)).collect()));
        }
        let zone = self.zone;
        let has_zone = matches!(self.array.data_type(), DataType::Timestamp(_, Some(_)));
        let day = move |seconds: i64| {
            if has_zone {
                moments::day_in_zone(seconds, zone).map(i64::from)
            } else {
                moments::checked_day(seconds.div_euclid(DAY_SECONDS)).map(i64::from)
            }
        };
        let values = self.seconds(day)?;
        Ok(Column::Date(values.into_iter().map(|day| day.map(|day| day as i32)).collect()))
    }

    pub(crate) fn instants(self) -> Result<Column, String> {
        if self.is_text() {
            return self.filled_from_text();
        }
        let zone = self.zone;
        if *self.array.data_type() == DataType::Date32 {
            return Ok(Column::Instant(self.times::<Date32Type>(|day| moments::midnight_in_zone(day, zone))?));
        }
        let has_zone = matches!(self.array.data_type(), DataType::Timestamp(_, Some(_)));
        let moment = move |seconds: i64| if has_zone { Some(seconds) } else { moments::clock_in_zone(seconds, zone) };
        Ok(Column::Instant(self.seconds(moment)?))
    }

    /// The values of an array of times, as seconds rounded down, each put through `convert`.
    fn seconds(self, convert: impl Fn(i64) -> Option<i64>) -> Result<Vec<Option<i64>>, String> {
        use TimeUnit as U;
        match self.array.data_type() {
            DataType::Timestamp(U::Second, _) => self.times::<TimestampSecondType>(convert),
            DataType::Timestamp(U::Millisecond, _) => {
                self.times::<TimestampMillisecondType>(|v| convert(v.div_euclid(1_000)))
            }
            DataType::Timestamp(U::Microsecond, _) => {
                self.times::<TimestampMicrosecondType>(|v| convert(v.div_euclid(1_000_000)))
            }
            DataType::Timestamp(U::Nanosecond, _) => {
                self.times::<TimestampNanosecondType>(|v| convert(v.div_euclid(1_000_000_000)))
            }
            DataType::Date64 => self.times::<Date64Type>(|v| convert(v.div_euclid(1_000))),
            _ => self.unsupported(),
        }
    }

    fn times<T: ArrowPrimitiveType>(
        self,
        convert: impl Fn(T::Native) -> Option<i64>,
    ) -> Result<Vec<Option<i64>>, String> {
        let array: &PrimitiveArray<T> = self.array.as_primitive();
        let mut values = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            let converted = value.and_then(&convert);
            if let (Some(value), None) = (value, converted) {
                self.bad.add(row, self.misfit(&format!("{value:?}"), "it lies outside the years 1 to 9999"));
            }
            values.push(converted);
        }
        Ok(values)
    }
}
