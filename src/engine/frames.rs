//! Members as frames: what an export writes, in batches of rows.
//! Knows cells and frame columns; the formats are `import`'s.

use storage::{TagType, View};

use super::{MembersRequest, Question, Result, Space};
use crate::import::frame::{Column, Frame, UNKNOWN_CODE};
use crate::import::read::FRAME_ROWS;
use crate::import::texts::Texts;
use crate::query;
use crate::query::cell::Cell;

/// What a column of an export is.
enum Building {
    Number(u8, Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
    Date(Vec<Option<i32>>),
    Plain(Vec<u32>, Vec<u8>),
    Text(Texts, Vec<u32>),
    Set(Texts, Vec<u32>, Vec<u32>),
}

impl Space {
    /// Calls `write` with frames of the members of an audience; gives how many there were.
    /// The first frame may be empty: it still names the columns.
    ///
    /// # Errors
    /// As [`Space::members`]; what `write` gives.
    pub fn member_frames(
        &self,
        question: &Question,
        request: &MembersRequest,
        write: &mut dyn FnMut(Frame) -> query::Result<()>,
    ) -> Result<u64> {
        let view = self.store().view();
        let names = std::cell::RefCell::new(Vec::new());
        let mut columns: Vec<Building> = Vec::new();
        let (mut rows, mut total) = (0usize, 0u64);
        let flush =
            |columns: &mut Vec<Building>, rows: &mut usize, write: &mut dyn FnMut(Frame) -> query::Result<()>| {
                let built = columns.drain(..).map(Building::finish);
                let frame = Frame {
                    rows: std::mem::take(rows),
                    columns: names.borrow().iter().cloned().zip(built).collect(),
                    lines: Vec::new(),
                    first_line: 1,
                };
                write(frame)
            };
        self.members(
            question,
            request,
            |found, _| {
                *names.borrow_mut() = found.to_vec();
                Ok(())
            },
            |_, cells| {
                if columns.is_empty() {
                    columns = names.borrow().iter().map(|name| Building::of(&view, name)).collect();
                }
                columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
                (rows, total) = (rows + 1, total + 1);
                if rows == FRAME_ROWS { flush(&mut columns, &mut rows, write) } else { Ok(()) }
            },
        )?;
        if rows > 0 || total == 0 {
            if columns.is_empty() {
                columns = names.borrow().iter().map(|name| Building::of(&view, name)).collect();
            }
            flush(&mut columns, &mut rows, write)?;
        }
        Ok(total)
    }
}

impl Building {
    fn of(view: &View, name: &str) -> Building {
        match view.schema().tag(name).map(|(_, tag)| tag.tag_type) {
            Some(TagType::Flag) => Building::Flag(Vec::new()),
            Some(TagType::Category) => Building::Text(Texts::default(), Vec::new()),
            Some(TagType::Set) => Building::Set(Texts::default(), vec![0], Vec::new()),
            Some(TagType::Number { scale }) => Building::Number(scale, Vec::new()),
            Some(TagType::Date) => Building::Date(Vec::new()),
            None if name == "one_id" => Building::Number(0, Vec::new()),
            None => Building::Plain(vec![0], Vec::new()),
        }
    }

    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Building::Number(_, values), Cell::Int(value)) => values.push(Some(*value)),
            (Building::Number(_, values), Cell::Decimal(value, _)) => values.push(i64::try_from(*value).ok()),
            (Building::Number(_, values), _) => values.push(None),
            (Building::Flag(values), Cell::Bool(value)) => values.push(Some(*value)),
            (Building::Flag(values), _) => values.push(None),
            (Building::Date(values), Cell::Date(day)) => values.push(i32::try_from(*day).ok()),
            (Building::Date(values), _) => values.push(None),
            (Building::Plain(offsets, bytes), cell) => {
                if let Cell::Text(text) = cell {
                    bytes.extend_from_slice(text.as_bytes());
                }
                offsets.push(bytes.len() as u32);
            }
            (Building::Text(dictionary, codes), Cell::Text(text)) => codes.push(dictionary.code(text)),
            (Building::Text(_, codes), _) => codes.push(UNKNOWN_CODE),
            (Building::Set(dictionary, offsets, codes), cell) => {
                if let Cell::List(texts) = cell {
                    codes.extend(texts.iter().map(|text| dictionary.code(text)));
                }
                offsets.push(codes.len() as u32);
            }
        }
    }

    fn finish(self) -> Column {
        match self {
            Building::Number(scale, values) => Column::Number { scale, values },
            Building::Flag(values) => Column::Flag(values),
            Building::Date(values) => Column::Date(values),
            Building::Plain(offsets, bytes) => Column::Plain { offsets, bytes },
            Building::Text(texts, codes) => Column::Text { dictionary: texts.dictionary(), codes },
            Building::Set(texts, offsets, codes) => Column::Set { dictionary: texts.dictionary(), offsets, codes },
        }
    }
}
