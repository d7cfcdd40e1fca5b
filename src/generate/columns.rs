//! The columns of profiles and purchases while they are filled. Knows frames; knows no person.

use super::tables::{Dictionary, Tables, dictionary};
use super::words;
use crate::import::frame::{Column, Frame};

/// Dictionaries that do not depend on tables.
#[derive(Debug)]
pub(super) struct Dictionaries {
    genders: Dictionary,
    tiers: Dictionary,
    lifecycles: Dictionary,
    devices: Dictionary,
    channels: Dictionary,
    shops: Dictionary,
    coupons: Dictionary,
    sources: Dictionary,
    occupations: Dictionary,
    events: Dictionary,
}

impl Dictionaries {
    pub(super) fn new() -> Self {
        let words = |words: &'static [&'static str]| dictionary(words.iter().copied());
        Dictionaries {
            genders: words(words::GENDERS),
            tiers: words(words::TIERS),
            lifecycles: words(words::LIFECYCLES),
            devices: words(words::DEVICES),
            channels: words(words::CHANNELS),
            shops: words(words::SHOPS),
            coupons: words(words::COUPONS),
            sources: words(words::SOURCES),
            occupations: words(words::OCCUPATIONS),
            events: words(&["purchase", "visit", "cart"]),
        }
    }
}

/// Texts one after another.
#[derive(Debug, Default)]
pub(super) struct Plain {
    pub(super) offsets: Vec<u32>,
    pub(super) bytes: Vec<u8>,
}

impl Plain {
    pub(super) fn push(&mut self, is_known: bool, write: impl FnOnce(&mut Vec<u8>)) {
        if is_known {
            write(&mut self.bytes);
        }
        self.offsets.push(self.bytes.len() as u32);
    }

    pub(super) fn into_column(self) -> Column {
        Column::Plain { offsets: self.offsets, bytes: self.bytes }
    }
}

#[derive(Debug, Default)]
pub(super) struct Sets {
    pub(super) offsets: Vec<u32>,
    pub(super) codes: Vec<u32>,
}

impl Sets {
    pub(super) fn into_column(self, dictionary: &Dictionary) -> Column {
        Column::Set { dictionary: dictionary.clone(), offsets: self.offsets, codes: self.codes }
    }
}

fn text(dictionary: &Dictionary, codes: Vec<u32>) -> Column {
    Column::Text { dictionary: dictionary.clone(), codes }
}

fn named<const N: usize>(columns: [(&str, Column); N]) -> Vec<(String, Column)> {
    columns.into_iter().map(|(name, column)| (name.to_string(), column)).collect()
}

#[derive(Debug, Default)]
pub(super) struct ProfileColumns {
    pub(super) member: Plain,
    pub(super) phone: Plain,
    pub(super) email: Plain,
    pub(super) gender: Vec<u32>,
    pub(super) age: Vec<Option<i64>>,
    pub(super) birthday: Vec<Option<i32>>,
    pub(super) city: Vec<u32>,
    pub(super) province: Vec<u32>,
    pub(super) tier: Vec<u32>,
    pub(super) lifecycle: Vec<u32>,
    pub(super) interests: Sets,
    pub(super) channels: Sets,
    pub(super) spend: Vec<Option<i64>>,
    pub(super) orders: Vec<Option<i64>>,
    pub(super) last_order: Vec<Option<i32>>,
    pub(super) signup: Vec<Option<i32>>,
    pub(super) subscribed: Vec<Option<bool>>,
    pub(super) app_installed: Vec<Option<bool>>,
    pub(super) staff: Vec<Option<bool>>,
    pub(super) device: Vec<u32>,
    pub(super) source: Vec<u32>,
    pub(super) occupation: Vec<u32>,
    pub(super) score: Vec<Option<i64>>,
}

impl ProfileColumns {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let mut columns = ProfileColumns::default();
        let ProfileColumns { member, phone, email, interests, channels, .. } = &mut columns;
        for offsets in
            [&mut member.offsets, &mut phone.offsets, &mut email.offsets, &mut interests.offsets, &mut channels.offsets]
        {
            offsets.reserve(rows + 1);
            offsets.push(0);
        }
        columns
    }

    pub(super) fn into_frame(self, tables: &Tables, words: &Dictionaries) -> Vec<(String, Column)> {
        named([
            ("member", self.member.into_column()),
            ("phone", self.phone.into_column()),
            ("email", self.email.into_column()),
            ("gender", text(&words.genders, self.gender)),
            ("age", Column::Number { scale: 0, values: self.age }),
            ("birthday", Column::Date(self.birthday)),
            ("city", text(&tables.cities, self.city)),
            ("province", text(&tables.provinces, self.province)),
            ("tier", text(&words.tiers, self.tier)),
            ("lifecycle", text(&words.lifecycles, self.lifecycle)),
            ("interests", self.interests.into_column(&tables.interests)),
            ("channels", self.channels.into_column(&words.channels)),
            ("spend", Column::Number { scale: 2, values: self.spend }),
            ("orders", Column::Number { scale: 0, values: self.orders }),
            ("last_order", Column::Date(self.last_order)),
            ("signup", Column::Date(self.signup)),
            ("subscribed", Column::Flag(self.subscribed)),
            ("app_installed", Column::Flag(self.app_installed)),
            ("staff", Column::Flag(self.staff)),
            ("device", text(&words.devices, self.device)),
            ("source", text(&words.sources, self.source)),
            ("occupation", text(&words.occupations, self.occupation)),
            ("score", Column::Number { scale: 2, values: self.score }),
        ])
    }
}

#[derive(Debug, Default)]
pub(super) struct PurchaseColumns {
    pub(super) member: Plain,
    pub(super) at: Vec<Option<i64>>,
    pub(super) category: Vec<u32>,
    pub(super) store: Vec<u32>,
    pub(super) shop: Vec<u32>,
    pub(super) amount: Vec<Option<i64>>,
    pub(super) coupon: Vec<u32>,
    pub(super) key: Plain,
}

impl PurchaseColumns {
    pub(super) fn new() -> Self {
        let mut columns = PurchaseColumns::default();
        columns.member.offsets.push(0);
        columns.key.offsets.push(0);
        columns
    }

    pub(super) fn into_frame(self, tables: &Tables, words: &Dictionaries) -> Frame {
        let rows = self.at.len();
        let columns = named([
            ("member", self.member.into_column()),
            ("event", text(&words.events, vec![0; rows])),
            ("at", Column::Instant(self.at)),
            ("category", text(&tables.categories, self.category)),
            ("store", text(&tables.stores, self.store)),
            ("channel", text(&words.shops, self.shop)),
            ("amount", Column::Number { scale: 2, values: self.amount }),
            ("coupon", text(&words.coupons, self.coupon)),
            ("key", self.key.into_column()),
        ]);
        Frame { rows, columns, lines: Vec::new(), first_line: 1 }
    }
}

#[derive(Debug, Default)]
pub(super) struct VisitColumns {
    pub(super) member: Plain,
    pub(super) event: Vec<u32>,
    pub(super) at: Vec<Option<i64>>,
    pub(super) category: Vec<u32>,
    pub(super) shop: Vec<u32>,
    pub(super) price: Vec<Option<i64>>,
}

impl VisitColumns {
    pub(super) fn new() -> Self {
        let mut columns = VisitColumns::default();
        columns.member.offsets.push(0);
        columns
    }

    pub(super) fn into_frame(self, tables: &Tables, words: &Dictionaries) -> Frame {
        let rows = self.at.len();
        let columns = named([
            ("member", self.member.into_column()),
            ("event", text(&words.events, self.event)),
            ("at", Column::Instant(self.at)),
            ("category", text(&tables.categories, self.category)),
            ("channel", text(&words.shops, self.shop)),
            ("price", Column::Number { scale: 2, values: self.price }),
        ]);
        Frame { rows, columns, lines: Vec::new(), first_line: 1 }
    }
}
