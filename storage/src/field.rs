//! Fields: who lives, the id types and the tags, each as stripes of bitmaps and a forward part.
//! Knows how the parts of a field belong together; the meaning of a change is `apply`'s matter.
//!
//! ```text
//!   Field ── stripes[Arc<FieldStripe>] · values (category, set) · index (id type)
//!   FieldStripe ── bitmaps + forward:   live        KNOWN bitmap
//!                                       id type     KNOWN bitmap + keys
//!                                       flag        0 and 1 and KNOWN
//!                                       category    a bitmap a value and KNOWN + column (base 0)
//!                                       set         a bitmap a value and KNOWN + lists
//!                                       number/date KNOWN + column
//! ```

use std::sync::{Arc, LazyLock};

use crate::bitmaps::{BitmapsView, StripeBitmaps};
use crate::column::{ColumnView, StripeColumn};
use crate::error::Result;
use crate::ids::{KNOWN, ValueId};
use crate::index::HashIndex;
use crate::keys::{KeysView, StripeKeys};
use crate::lists::{ListsView, StripeLists};
use crate::schema::{EventId, IdTypeId, TagId, TagType};
use crate::values::Values;

/// Values numbered from here on have no bitmap: tags of so many values are read from their column or lists.
pub const INDEXED_VALUES_MAX: u32 = 1 << 14;
/// The bitmap of a flag's known false.
pub const FALSE: ValueId = ValueId(0);
/// The bitmap of a flag's true.
pub const TRUE: ValueId = ValueId(1);

/// Which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldId {
    /// Who lives.
    Live,
    /// An id type.
    IdType(IdTypeId),
    /// A tag.
    Tag(TagId),
}

/// What a part of a store snapshot belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A field of profiles.
    Field(FieldId),
    /// An event.
    Event(EventId),
    /// Who was joined to whom.
    Joins,
}

impl Owner {
    const JOINS: u32 = 1;
    const EVENTS_FROM: u32 = 1 << 18;

    /// The number that packs and manifests know it by.
    pub fn number(self) -> u32 {
        match self {
            Owner::Field(id) => id.number(),
            Owner::Event(event) => Owner::EVENTS_FROM + event.0,
            Owner::Joins => Owner::JOINS,
        }
    }

    /// What a number stands for.
    pub fn from_number(number: u32) -> Option<Owner> {
        match number.checked_sub(Owner::EVENTS_FROM) {
            Some(event) => Some(Owner::Event(EventId(event))),
            None if number == Owner::JOINS => Some(Owner::Joins),
            None => FieldId::from_number(number).map(Owner::Field),
        }
    }
}

impl FieldId {
    const ID_TYPES_FROM: u32 = 1 << 16;
    const TAGS_FROM: u32 = 1 << 17;

    /// The number that packs and manifests know the field by.
    pub fn number(self) -> u32 {
        match self {
            FieldId::Live => 0,
            FieldId::IdType(id_type) => FieldId::ID_TYPES_FROM + id_type.0,
            FieldId::Tag(tag) => FieldId::TAGS_FROM + tag.0,
        }
    }

    /// The field of a number.
    pub fn from_number(number: u32) -> Option<FieldId> {
        match number {
            0 => Some(FieldId::Live),
            FieldId::ID_TYPES_FROM..FieldId::TAGS_FROM => {
                Some(FieldId::IdType(IdTypeId(number - FieldId::ID_TYPES_FROM)))
            }
            FieldId::TAGS_FROM.. => Some(FieldId::Tag(TagId(number - FieldId::TAGS_FROM))),
            _ => None,
        }
    }
}

/// What lies beside the bitmaps of a stripe.
#[derive(Debug, Clone)]
pub enum Forward {
    /// Nothing.
    None,
    /// A code for each profile.
    Column(StripeColumn),
    /// A list of codes for each profile.
    Lists(StripeLists),
    /// The identities of each profile.
    Keys(StripeKeys),
}

/// One field in one stripe.
#[derive(Debug, Clone)]
pub struct FieldStripe {
    pub(crate) bitmaps: StripeBitmaps,
    pub(crate) forward: Forward,
}

impl FieldStripe {
    /// Nobody yet.
    pub(crate) fn empty(field: FieldId, tag_type: Option<TagType>) -> FieldStripe {
        let forward = match (field, tag_type) {
            (FieldId::Live, _) | (_, Some(TagType::Flag)) => Forward::None,
            (FieldId::IdType(_), _) => Forward::Keys(StripeKeys::default()),
            (_, Some(TagType::Set)) => Forward::Lists(StripeLists::default()),
            _ => Forward::Column(StripeColumn::default()),
        };
        FieldStripe { bitmaps: StripeBitmaps::default(), forward }
    }

    /// Its bitmaps, verified.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn bitmaps(&self) -> Result<BitmapsView<'_>> {
        self.bitmaps.open()
    }

    /// Whether it has a column, as categories, numbers and dates do.
    pub fn has_column(&self) -> bool {
        matches!(self.forward, Forward::Column(_))
    }

    /// Its column, verified; of a field without one, a column of unknowns.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn column(&self) -> Result<ColumnView<'_>> {
        static NONE: LazyLock<StripeColumn> = LazyLock::new(StripeColumn::default);
        match &self.forward {
            Forward::Column(column) => column.open(),
            _ => NONE.open(),
        }
    }

    /// Its lists, verified; of a field without any, empty ones.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn lists(&self) -> Result<ListsView<'_>> {
        static NONE: LazyLock<StripeLists> = LazyLock::new(StripeLists::default);
        match &self.forward {
            Forward::Lists(lists) => lists.open(),
            _ => NONE.open(),
        }
    }

    /// Its identities, verified; of a field without any, none.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn keys(&self) -> Result<KeysView<'_>> {
        static NONE: LazyLock<StripeKeys> = LazyLock::new(StripeKeys::default);
        match &self.forward {
            Forward::Keys(keys) => keys.open(),
            _ => NONE.open(),
        }
    }

    /// Whether nothing has changed since the last store snapshot.
    pub(crate) fn is_mapped_only(&self) -> bool {
        self.bitmaps.is_mapped_only()
            && match &self.forward {
                Forward::None => true,
                Forward::Column(column) => column.is_mapped_only(),
                Forward::Lists(lists) => lists.is_mapped_only(),
                Forward::Keys(keys) => keys.is_mapped_only(),
            }
    }

    /// Heap bytes of what has changed since: of the bitmaps, and of the forward part.
    pub(crate) fn owned_bytes(&self) -> (usize, usize) {
        let forward = match &self.forward {
            Forward::None => 0,
            Forward::Column(column) => column.owned_bytes(),
            Forward::Lists(lists) => lists.owned_bytes(),
            Forward::Keys(keys) => keys.owned_bytes(),
        };
        (self.bitmaps.owned_bytes(), forward)
    }

    /// Bytes in packs: of the bitmaps, and of the forward part.
    pub(crate) fn mapped_bytes(&self) -> (u64, u64) {
        let length = |part: Option<&Arc<crate::pack::Part>>| part.map_or(0, |p| p.place().length);
        let forward = match &self.forward {
            Forward::None => 0,
            Forward::Column(column) => length(column.base()),
            Forward::Lists(lists) => length(lists.base()),
            Forward::Keys(keys) => length(keys.base()),
        };
        (length(self.bitmaps.base()), forward)
    }
}

/// A field of one view.
#[derive(Debug, Clone)]
pub struct Field {
    pub(crate) id: FieldId,
    pub(crate) tag_type: Option<TagType>,
    pub(crate) stripes: Vec<Arc<FieldStripe>>,
    pub(crate) values: Values,
    pub(crate) index: HashIndex,
}

/// Where the bytes of a field are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldBytes {
    /// Mapped bytes of bitmaps.
    pub bitmaps_disk: u64,
    /// Mapped bytes of column, lists or keys.
    pub forward_disk: u64,
    /// Mapped bytes of values and of the hash table.
    pub dictionary_disk: u64,
    /// Heap bytes of all that changed since the last store snapshot.
    pub memory: u64,
}

impl FieldBytes {
    /// All mapped bytes.
    pub fn disk(&self) -> u64 {
        self.bitmaps_disk + self.forward_disk + self.dictionary_disk
    }
}

impl Field {
    pub(crate) fn empty(id: FieldId, tag_type: Option<TagType>) -> Field {
        Field { id, tag_type, stripes: Vec::new(), values: Values::default(), index: HashIndex::default() }
    }

    /// Its type, if it is a tag.
    pub fn tag_type(&self) -> Option<TagType> {
        self.tag_type
    }

    /// One stripe; beyond the last, nobody.
    pub fn stripe(&self, stripe: usize) -> &FieldStripe {
        static NOBODY: LazyLock<FieldStripe> =
            LazyLock::new(|| FieldStripe { bitmaps: StripeBitmaps::default(), forward: Forward::None });
        self.stripes.get(stripe).map_or(&NOBODY, |s| s)
    }

    /// Texts of its values.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// How many profiles have a value, from the directories alone.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn cardinality(&self, value: ValueId) -> Result<u64> {
        self.stripes.iter().try_fold(0, |sum, stripe| Ok(sum + u64::from(stripe.bitmaps()?.cardinality(value))))
    }

    /// How many profiles it is known of.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn known_count(&self) -> Result<u64> {
        self.cardinality(KNOWN)
    }

    /// Where its bytes are.
    pub fn bytes(&self) -> FieldBytes {
        let mut bytes = FieldBytes::default();
        for stripe in &self.stripes {
            let (mapped, owned) = (stripe.mapped_bytes(), stripe.owned_bytes());
            bytes.bitmaps_disk += mapped.0;
            bytes.forward_disk += mapped.1;
            bytes.memory += (owned.0 + owned.1) as u64;
        }
        let tables: u64 = self.index.tables().iter().map(|t| t.place().length).sum();
        bytes.dictionary_disk = tables + self.values.base().map_or(0, |p| p.place().length);
        bytes.memory += (self.index.owned_bytes() + self.values.owned_bytes()) as u64;
        bytes
    }

    /// Whether a value has a bitmap.
    pub fn is_indexed(value: ValueId) -> bool {
        value.0 < INDEXED_VALUES_MAX || value == KNOWN
    }

    pub(crate) fn stripe_mut(&mut self, stripe: usize) -> &mut FieldStripe {
        if self.stripes.len() <= stripe {
            let empty = Arc::new(FieldStripe::empty(self.id, self.tag_type));
            self.stripes.resize(stripe + 1, empty);
        }
        Arc::make_mut(&mut self.stripes[stripe])
    }
}
