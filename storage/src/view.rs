//! A view: one data version of a space, immutable, held by a question for as long as it needs.
//! Knows all fields and who lives; knows no query word.
//!
//! A view costs a few vectors of `Arc`s. Mapped and owned leaves look the same from here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::events::EventField;
use crate::field::{Field, FieldId};
use crate::frozen::FrozenSets;
use crate::ids::{KNOWN, OneId, in_stripe, stripe_of, stripes_for};
use crate::index::hash_key;
use crate::joins::Joins;
use crate::keys::Keys;
use crate::schema::{EventId, IdTypeId, Schema, TagId};
use crate::values::Values;

/// One data version of a space.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) data_version: u64,
    pub(crate) schema: Arc<Schema>,
    pub(crate) next_one_id: u32,
    pub(crate) profile_count: u32,
    /// How often somebody was erased since the space was opened: earlier states are held against it.
    pub(crate) erasures: u64,
    pub(crate) live: Arc<Field>,
    pub(crate) joins: Joins,
    pub(crate) id_types: Vec<Arc<Field>>,
    pub(crate) tags: Vec<Arc<Field>>,
    pub(crate) events: Vec<Arc<EventField>>,
    pub(crate) audiences: Arc<BTreeMap<String, Arc<str>>>,
    pub(crate) frozen: Arc<FrozenSets>,
    /// Data version of the last change of an audience or of a frozen set since the space was opened.
    pub(crate) catalogue: u64,
}

impl View {
    /// A space with nobody in it.
    pub(crate) fn empty() -> View {
        View {
            data_version: 0,
            schema: Arc::new(Schema::default()),
            next_one_id: 0,
            profile_count: 0,
            erasures: 0,
            live: Arc::new(Field::empty(FieldId::Live, None)),
            joins: Joins::default(),
            id_types: Vec::new(),
            tags: Vec::new(),
            events: Vec::new(),
            audiences: Arc::default(),
            frozen: Arc::default(),
            catalogue: 0,
        }
    }

    /// Sequence number of the last change that it holds.
    pub fn data_version(&self) -> u64 {
        self.data_version
    }

    /// Its schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Live profiles.
    pub fn profile_count(&self) -> u32 {
        self.profile_count
    }

    /// The OneID that the next new profile gets; all OneIDs given out are below.
    pub fn next_one_id(&self) -> u32 {
        self.next_one_id
    }

    /// Stripes that OneIDs have been given out of.
    pub fn stripe_count(&self) -> usize {
        stripes_for(self.next_one_id)
    }

    /// Who lives: the `KNOWN` bitmap of this field.
    pub fn live(&self) -> &Field {
        &self.live
    }

    /// A tag's field.
    pub fn tag(&self, tag: TagId) -> &Field {
        &self.tags[tag.0 as usize]
    }

    /// All events of one kind.
    pub fn event(&self, event: EventId) -> &EventField {
        &self.events[event.0 as usize]
    }

    /// Saved audiences by name, as their keeper spells them.
    pub fn audiences(&self) -> &Arc<BTreeMap<String, Arc<str>>> {
        &self.audiences
    }

    /// Changes whenever an audience or a frozen set does.
    pub fn catalogue(&self) -> u64 {
        self.catalogue
    }

    /// Saves an audience, or lets it go.
    pub(crate) fn set_audience(&mut self, name: &str, definition: Option<&str>) {
        let audiences = Arc::make_mut(&mut self.audiences);
        match definition {
            Some(definition) => _ = audiences.insert(name.into(), definition.into()),
            None => {
                audiences.remove(name);
                self.drop_frozen(name);
            }
        }
    }

    /// An id type's field.
    pub fn id_type(&self, id_type: IdTypeId) -> &Field {
        &self.id_types[id_type.0 as usize]
    }

    /// Any field.
    pub fn field(&self, id: FieldId) -> &Field {
        match id {
            FieldId::Live => &self.live,
            FieldId::IdType(id_type) => self.id_type(id_type),
            FieldId::Tag(tag) => self.tag(tag),
        }
    }

    /// All fields: who lives, the id types, the tags.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        std::iter::once(&*self.live).chain(self.id_types.iter().map(|f| &**f)).chain(self.tags.iter().map(|f| &**f))
    }

    /// Whether a OneID is a live profile.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn is_live(&self, one_id: OneId) -> Result<bool> {
        Ok(self.live.stripe(stripe_of(one_id.0)).bitmaps()?.value(KNOWN).contains(in_stripe(one_id.0)))
    }

    /// The live profile that a OneID is, or was joined to; nothing for one that was erased, or never given out.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn lives_as(&self, one_id: OneId) -> Result<Option<OneId>> {
        let mut at = one_id;
        while !self.is_live(at)? {
            let Some(survivor) = self.joins.survivor_of(at.0)? else { return Ok(None) };
            at = OneId(survivor);
        }
        Ok(Some(at))
    }

    /// The profile that has an identity. A few cache lines.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn find_identity(&self, id_type: IdTypeId, key: &[u8]) -> Result<Option<OneId>> {
        let field = self.id_type(id_type);
        let mut failed = None;
        let found = field.index.find(hash_key(key), |one_id| match self.keys_of(id_type, OneId(one_id)) {
            Ok(keys) => keys.contains(key),
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(found.map(OneId)),
        }
    }

    /// The identities of a profile of one type.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn keys_of(&self, id_type: IdTypeId, one_id: OneId) -> Result<Keys<'_>> {
        Ok(self.id_type(id_type).stripe(stripe_of(one_id.0)).keys()?.keys(in_stripe(one_id.0)))
    }

    /// The field to change, copied first unless nobody else holds it.
    pub(crate) fn field_mut(&mut self, id: FieldId) -> &mut Field {
        Arc::make_mut(match id {
            FieldId::Live => &mut self.live,
            FieldId::IdType(id_type) => &mut self.id_types[id_type.0 as usize],
            FieldId::Tag(tag) => &mut self.tags[tag.0 as usize],
        })
    }

    /// The view as a store snapshot is to take it; what changes here from now on is not in it.
    pub(crate) fn split(&mut self) -> View {
        let mut taken = self.clone();
        taken.joins.index = self.joins.index.split();
        for (mine, taken) in self.id_types.iter_mut().zip(&mut taken.id_types) {
            let index = Arc::make_mut(mine).index.split();
            Arc::make_mut(taken).index = index;
        }
        for (mine, taken) in self.events.iter_mut().zip(&mut taken.events) {
            let mine = Arc::make_mut(mine);
            Arc::make_mut(taken).keys = mine.keys.split();
            mine.stripes.iter_mut().filter(|stripe| !stripe.is_mapped_only()).for_each(|s| Arc::make_mut(s).take());
        }
        taken
    }

    /// The same people under a schema that holds more.
    pub(crate) fn set_schema(&mut self, schema: Schema) {
        for id_type in self.id_types.len()..schema.id_types.len() {
            let id = FieldId::IdType(IdTypeId(id_type as u32));
            self.id_types.push(Arc::new(Field::empty(id, None)));
        }
        for (tag, declared) in schema.tags.iter().enumerate().skip(self.tags.len()) {
            let id = FieldId::Tag(TagId(tag as u32));
            self.tags.push(Arc::new(Field::empty(id, Some(declared.tag_type))));
        }
        for event in self.events.len()..schema.events.len() {
            self.events.push(Arc::new(EventField::empty(EventId(event as u32))));
        }
        for (field, declared) in self.events.iter_mut().zip(&schema.events) {
            if field.values.len() < declared.properties.len() {
                Arc::make_mut(field).values.resize_with(declared.properties.len(), Values::default);
            }
        }
        // Rows whose day is over go with the next store snapshot.
        for (field, (before, now)) in self.events.iter_mut().zip(self.schema.events.iter().zip(&schema.events)) {
            if before.kept_from != now.kept_from {
                Arc::make_mut(field).stripes.iter_mut().for_each(|stripe| Arc::make_mut(stripe).mark_dead());
            }
        }
        self.schema = Arc::new(schema);
    }
}
