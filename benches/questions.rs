//! Counts, named by the question: booleans from one tag to fourteen leaves, lists, sets, numbers, dates and ids.
//! Every answer is asserted against an independent way to it (members looked at one by one) before it is timed.

mod population;

use std::collections::HashSet;

use criterion::{Criterion, criterion_group, criterion_main};
use headcount::engine::MAIN_SPACE;
use headcount::query::bind::date_of;
use headcount::query::cell::Cell;

use population::{asked, count_one_by_one, day, engine, has, is, is_any, label, number, people, yes};

/// A question, the columns that its members are looked at by, and the same condition on those cells.
type Case = (&'static str, &'static str, &'static [&'static str], fn(&[Cell<'_>]) -> bool);

/// The most frequent ones: 30 % to 6 % of people.
const INTERESTS: &[&str] = &[
    "calligraphy",
    "dinosaurs",
    "watches",
    "hair styling",
    "jewellery",
    "coffee",
    "bonsai",
    "medicinal food",
    "barbecue",
    "hanfu",
    "silk",
    "model kits",
    "woodwork",
    "languages",
    "idol shows",
    "vegetarian food",
    "home fragrance",
    "bubble tea",
    "shoes",
    "lolita fashion",
];
const CITIES: &[&str] = &[
    "Shanghai",
    "Beijing",
    "Hangzhou",
    "Shenzhen",
    "Guangzhou",
    "Chengdu",
    "Chongqing",
    "Wuhan",
    "Suzhou",
    "Nanjing",
    "Tianjin",
    "Changsha",
    "Zhengzhou",
    "Ningbo",
    "Qingdao",
    "Dongguan",
    "Foshan",
    "Hefei",
    "Wuxi",
    "Jinan",
];
/// 0.1 % of people and fewer.
const RARE_CITIES: &[&str] = &["Tacheng", "Jiaozuo", "Huangshi", "Baise", "Yangjiang"];
/// The day before which the population's last ninety lie: 2026-08-03.
const NINETY_DAYS_BACK: i64 = 20_668;

const BOOLEANS: &[Case] = &[
    ("one_tag", "gender = 'F'", &["gender"], |c| is(&c[0], "F")),
    ("not_one_city", "NOT city = 'Beijing'", &["city"], |c| !is(&c[0], "Beijing")),
    ("2_dense_flags", "subscribed AND app_installed", &["subscribed", "app_installed"], |c| yes(&c[0]) && yes(&c[1])),
    (
        "3_dense_tags",
        "subscribed AND app_installed AND gender = 'F'",
        &["subscribed", "app_installed", "gender"],
        |c| yes(&c[0]) && yes(&c[1]) && is(&c[2], "F"),
    ),
    (
        "5_dense_tags",
        "subscribed AND app_installed AND gender = 'F' AND tier = 'V1' AND lifecycle = 'churned'",
        &["subscribed", "app_installed", "gender", "tier", "lifecycle"],
        |c| yes(&c[0]) && yes(&c[1]) && is(&c[2], "F") && is(&c[3], "V1") && is(&c[4], "churned"),
    ),
    (
        "4_sparse_tags",
        "interests = 'gym' AND interests = 'podcasts' AND tier = 'V4' AND city = 'Hangzhou'",
        &["interests", "tier", "city"],
        |c| has(&c[0], "gym") && has(&c[0], "podcasts") && is(&c[1], "V4") && is(&c[2], "Hangzhou"),
    ),
    (
        "sparse_city_and_dense_or",
        "city = 'Tacheng' AND (subscribed OR app_installed OR gender = 'F')",
        &["city", "subscribed", "app_installed", "gender"],
        |c| is(&c[0], "Tacheng") && (yes(&c[1]) || yes(&c[2]) || is(&c[3], "F")),
    ),
    (
        "gender_2_cities_ages_not_2_lifecycles",
        "gender = 'F' AND city IN ('Shanghai', 'Hangzhou') AND age BETWEEN 25 AND 39 AND NOT lifecycle IN ('churned', 'lapsed')",
        &["gender", "city", "age", "lifecycle"],
        |c| {
            is(&c[0], "F")
                && is_any(&c[1], &["Shanghai", "Hangzhou"])
                && matches!(number(&c[2]), Some(25..=39))
                && !is_any(&c[3], &["churned", "lapsed"])
        },
    ),
    (
        "14_leaves_nested",
        "(gender = 'F' AND (city IN ('Shanghai', 'Hangzhou') OR province = 'Guangdong') AND NOT (lifecycle = 'churned' OR lifecycle = 'lapsed')) \
         OR (tier IN ('V4', 'V5') AND device = 'ios' AND interests = 'coffee' AND NOT staff) \
         OR (subscribed AND app_installed AND interests = 'hanfu')",
        &[
            "gender",
            "city",
            "province",
            "lifecycle",
            "tier",
            "device",
            "interests",
            "staff",
            "subscribed",
            "app_installed",
        ],
        |c| {
            is(&c[0], "F")
                && (is_any(&c[1], &["Shanghai", "Hangzhou"]) || is(&c[2], "Guangdong"))
                && !is_any(&c[3], &["churned", "lapsed"])
                || is_any(&c[4], &["V4", "V5"]) && is(&c[5], "ios") && has(&c[6], "coffee") && !yes(&c[7])
                || yes(&c[8]) && yes(&c[9]) && has(&c[6], "hanfu")
        },
    ),
];

const SETS_AND_NUMBERS: &[Case] = &[
    ("all_of_3_interests", "has_all(interests, 'calligraphy', 'coffee', 'hanfu')", &["interests"], |c| {
        has(&c[0], "calligraphy") && has(&c[0], "coffee") && has(&c[0], "hanfu")
    }),
    (
        "none_of_3_interests_of_a_tier",
        "has_none(interests, 'calligraphy', 'dinosaurs', 'watches') AND tier = 'V3'",
        &["interests", "tier"],
        |c| is(&c[1], "V3") && !INTERESTS[..3].iter().any(|i| has(&c[0], i)),
    ),
    ("interest_and_spend", "interests = 'yoga' AND spend > 1000", &["interests", "spend"], |c| {
        has(&c[0], "yoga") && number(&c[1]).is_some_and(|cents| cents > 100_000)
    }),
    ("ages_from_60", "age >= 60", &["age"], |c| number(&c[0]).is_some_and(|age| age >= 60)),
    ("spend_range_and_gender", "spend BETWEEN 500 AND 20000 AND gender = 'F'", &["spend", "gender"], |c| {
        matches!(number(&c[0]), Some(50_000..=2_000_000)) && is(&c[1], "F")
    }),
    ("unknown_spend", "spend IS NULL", &["spend"], |c| c[0] == Cell::Null),
];

const DATES: &[Case] = &[
    (
        "signed_up_in_90_days_and_flag",
        "signup >= CURRENT_DATE - INTERVAL '90' DAY AND subscribed",
        &["signup", "subscribed"],
        |c| day(&c[0]).is_some_and(|day| day >= NINETY_DAYS_BACK) && yes(&c[1]),
    ),
    ("last_order_in_a_month", "last_order BETWEEN DATE '2026-05-01' AND DATE '2026-05-31'", &["last_order"], |c| {
        day(&c[0]).is_some_and(|day| date_of(day).year() == 2026 && date_of(day).month() == 5)
    }),
    ("birthday_around_new_year", "month_day(birthday) BETWEEN '12-29' AND '01-04'", &["birthday"], |c| {
        let date = day(&c[0]).map(date_of);
        date.is_some_and(|d| matches!((d.month(), d.day()), (12, 29..) | (1, ..=4)))
    }),
];

fn listed(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ")
}

fn benches(criterion: &mut Criterion) {
    let engine = engine();
    let space = engine.space(MAIN_SPACE).expect("the space");
    let mut bench = |group: &str, name: &str, text: &str, columns: &[&str], test: &dyn Fn(&[Cell<'_>]) -> bool| {
        let question = asked(text);
        let count = space.count(&question, false).expect(text).value.count;
        assert_eq!(count, count_one_by_one(&space, columns, test), "{text}");
        criterion.bench_function(&format!("{group}/{name}/{}", label()), |b| b.iter(|| space.count(&question, false)));
    };
    for (group, cases) in [("boolean", BOOLEANS), ("sets_and_numbers", SETS_AND_NUMBERS), ("dates", DATES)] {
        for (name, text, columns, test) in cases {
            bench(group, name, text, columns, test);
        }
    }
    let text = format!("interests IN ({})", listed(INTERESTS));
    bench("lists", "any_of_20_interests", &text, &["interests"], &|c| INTERESTS.iter().any(|i| has(&c[0], i)));
    let text = format!("city IN ({})", listed(CITIES));
    bench("lists", "20_cities", &text, &["city"], &|c| is_any(&c[0], CITIES));
    let text = format!("city IN ({}) AND gender = 'F'", listed(RARE_CITIES));
    let test = |c: &[Cell<'_>]| is_any(&c[0], RARE_CITIES) && is(&c[1], "F");
    bench("lists", "5_rare_cities_and_gender", &text, &["city", "gender"], &test);
    let ids: Vec<String> = (0..500).map(|n| format!("M{:07}", n * (people() / 500) + 1)).collect();
    let text = format!("member IN ({}) AND gender = 'F'", listed(&ids.iter().map(String::as_str).collect::<Vec<_>>()));
    let ids: HashSet<String> = ids.into_iter().collect();
    let test = |c: &[Cell<'_>]| is(&c[1], "F") && ids.contains(&c[0].to_csv());
    bench("lists", "500_ids_and_gender", &text, &["member", "gender"], &test);
}

criterion_group! { name = questions; config = population::criterion(); targets = benches }
criterion_main!(questions);
