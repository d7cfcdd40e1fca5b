//! Random predicates in the form that the parsers make: flattened, `tag = TRUE` as a flag, no condition instead of TRUE.

use jiff::civil::{Date, DateTime};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use queryparser::ast::*;

const NOWHERE: Span = Span { start: 0, len: 0 };

/// A predicate of some depth.
pub(crate) fn predicate() -> impl Strategy<Value = Predicate> {
    leaf().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..5).prop_map(|children| flat(true, children)),
            vec(inner.clone(), 2..5).prop_map(|children| flat(false, children)),
            inner.clone().prop_map(|p| PredicateKind::Not(Box::new(p))),
            filter(inner.clone()).prop_map(PredicateKind::Exists),
            (vec(filter(inner.clone()), 2..4), option::of(within()))
                .prop_map(|(steps, within)| PredicateKind::FollowedBy { steps, within }),
            (name(), any::<bool>(), any::<u64>(), condition(inner.clone())).prop_map(|(by, descending, n, filter)| {
                PredicateKind::Top(Box::new(Top { by, descending, n, filter, span: NOWHERE }))
            }),
            inner.clone().prop_map(|p| PredicateKind::Among(Box::new(p))),
            (state(), inner.clone()).prop_map(|(state, p)| PredicateKind::Was { state, predicate: Box::new(p) }),
            clause(operand(inner.clone()), scalar(inner)),
        ]
        .prop_map(placed)
    })
}

fn placed(kind: PredicateKind) -> Predicate {
    Predicate { kind, span: NOWHERE }
}

fn flat(all: bool, children: Vec<Predicate>) -> PredicateKind {
    let open = |child: Predicate| match child.kind {
        PredicateKind::And(inner) if all => inner,
        PredicateKind::Or(inner) if !all => inner,
        kind => vec![placed(kind)],
    };
    let children = children.into_iter().flat_map(open).collect();
    if all { PredicateKind::And(children) } else { PredicateKind::Or(children) }
}

fn leaf() -> impl Strategy<Value = Predicate> {
    let simple = prop_oneof![name().prop_map(Operand::Name), name().prop_map(Operand::MonthDay), bucket()];
    prop_oneof![
        any::<bool>().prop_map(PredicateKind::Constant),
        name().prop_map(PredicateKind::Flag),
        (name(), vec(literal(), 1..4)).prop_map(|(tag, list)| PredicateKind::HasAll { tag, list }),
        (name(), vec(literal(), 1..4)).prop_map(|(tag, list)| PredicateKind::HasNone { tag, list }),
        name().prop_map(PredicateKind::InAudience),
        (name(), day()).prop_map(|(audience, on)| PredicateKind::InSnapshot { audience, on }),
        text().prop_map(PredicateKind::InBitmap),
        clause(simple, literal().prop_map(Scalar::Literal)),
    ]
    .prop_map(placed)
}

/// `operand operator value`, in all its forms.
fn clause(
    operand: impl Strategy<Value = Operand> + 'static,
    scalar: impl Strategy<Value = Scalar> + 'static,
) -> impl Strategy<Value = PredicateKind> {
    let escape = prop_oneof![3 => Just(Some('\\')), 1 => any::<char>().prop_map(Some), 1 => Just(None)];
    let scalar = scalar.boxed();
    let form =
        (0..5, any::<[bool; 2]>(), compare_op(), scalar.clone(), scalar, vec(literal(), 1..5), pattern(), escape);
    (operand, form).prop_map(|(operand, (form, [negated, fold_case], op, low, high, list, pattern, escape))| match form
    {
        0 => match (operand, op, low) {
            (
                Operand::Name(name),
                CompareOp::Equal,
                Scalar::Literal(Literal { value: LiteralValue::Bool(true), .. }),
            ) => PredicateKind::Flag(name),
            (operand, op, scalar) => PredicateKind::Compare { operand, op, scalar },
        },
        1 => PredicateKind::Between { operand, negated, low, high },
        2 => PredicateKind::In { operand, negated, list },
        3 => PredicateKind::Like { operand, negated, fold_case, pattern, escape },
        _ => PredicateKind::IsNull { operand, negated },
    })
}

fn compare_op() -> impl Strategy<Value = CompareOp> {
    use CompareOp::*;
    prop_oneof![Just(Equal), Just(NotEqual), Just(Less), Just(LessOrEqual), Just(Greater), Just(GreaterOrEqual)]
}

fn bucket() -> impl Strategy<Value = Operand> {
    (text(), 1..=u32::MAX).prop_map(|(salt, of)| Operand::Bucket { salt, of, span: NOWHERE })
}

fn operand(inner: impl Strategy<Value = Predicate>) -> impl Strategy<Value = Operand> {
    use EventFunction::*;
    let function = prop_oneof![
        3 => Just(Count), 1 => Just(Sum), 1 => Just(Avg), 1 => Just(Min), 1 => Just(Max), 1 => Just(CountDistinct),
        1 => Just(First), 1 => Just(Last)
    ];
    (function, name(), filter(inner)).prop_map(|(function, of, filter)| {
        let of = (function != Count).then_some(of);
        Operand::EventAggregate(Box::new(EventAggregate { function, of, filter }))
    })
}

fn scalar(inner: impl Strategy<Value = Predicate> + 'static) -> impl Strategy<Value = Scalar> {
    let share = (0_i128..=100).prop_map(|percent| Decimal::parse(&format!("{percent}e-2")).expect("a share"));
    let aggregate = prop_oneof![
        Just(Aggregate::CountAll),
        name().prop_map(Aggregate::CountDistinct),
        name().prop_map(Aggregate::Sum),
        name().prop_map(Aggregate::Avg),
        name().prop_map(Aggregate::Min),
        name().prop_map(Aggregate::Max),
        (name(), share).prop_map(|(name, share)| Aggregate::Quantile(name, share)),
    ];
    let over = (aggregate, condition(inner)).prop_map(|(aggregate, filter)| {
        Scalar::ProfileAggregate(Box::new(ProfileAggregate { aggregate, filter: filter.map(Box::new), span: NOWHERE }))
    });
    prop_oneof![3 => literal().prop_map(Scalar::Literal), 1 => over]
}

fn condition(inner: impl Strategy<Value = Predicate>) -> impl Strategy<Value = Option<Predicate>> {
    option::of(inner).prop_map(|found| found.filter(|p| p.kind != PredicateKind::Constant(true)))
}

fn filter(inner: impl Strategy<Value = Predicate>) -> impl Strategy<Value = EventFilter> {
    let event = name().prop_filter("all profiles are no event", |name| name.text != "profiles");
    (event, condition(inner)).prop_map(|(event, condition)| EventFilter {
        event,
        condition: condition.map(Box::new),
        span: NOWHERE,
    })
}

fn within() -> impl Strategy<Value = Interval> {
    (1..=i32::MAX, prop_oneof![Just(Unit::Day), Just(Unit::Week)]).prop_map(|(count, unit)| Interval { count, unit })
}

/// Plain names, names like words of the language, and names that only quotes can hold.
pub(crate) fn name() -> impl Strategy<Value = Name> {
    let odd = vec(any::<char>(), 1..6).prop_map(String::from_iter);
    let text = prop_oneof![
        6 => "[a-z][a-z0-9_]{0,8}",
        1 => prop_oneof![
            Just("order"), Just("date"), Just("timestamp"), Just("interval"), Just("not"), Just("true"), Just("profiles"),
            Just("one_id"), Just("count"), Just("has_all"), Just("user"), Just("in"), Just("City"), Just("a\"b"), Just("x-y")
        ].prop_map(str::to_owned),
        1 => odd,
    ];
    text.prop_map(|text| Name { text, span: NOWHERE })
}

fn text() -> impl Strategy<Value = Literal> {
    let plain = prop_oneof![4 => "[A-Za-z0-9 '%_-]{0,8}", 1 => vec(any::<char>(), 0..6).prop_map(String::from_iter)];
    plain.prop_map(|text| Literal { value: LiteralValue::Text(text), span: NOWHERE })
}

fn pattern() -> impl Strategy<Value = Literal> {
    r"%?[a-c%_\\']{0,5}%?".prop_map(|text| Literal { value: LiteralValue::Text(text), span: NOWHERE })
}

fn date() -> impl Strategy<Value = Date> {
    (1..=9999_i16, 1..=12_i8, 1..=28_i8).prop_map(|(y, m, d)| Date::new(y, m, d).expect("a date"))
}

fn relative() -> impl Strategy<Value = LiteralValue> {
    let unit = prop_oneof![Just(Unit::Day), Just(Unit::Week), Just(Unit::Month), Just(Unit::Year)];
    let count = any::<i32>().prop_filter("zero is left out, the least has no opposite", |&n| n != 0 && n != i32::MIN);
    let interval = (count, unit).prop_map(|(count, unit)| Interval { count, unit });
    vec(interval, 0..4).prop_map(LiteralValue::RelativeDate)
}

fn day() -> impl Strategy<Value = Literal> {
    let value = prop_oneof![date().prop_map(LiteralValue::Date), relative()];
    value.prop_map(|value| Literal { value, span: NOWHERE })
}

fn state() -> impl Strategy<Value = Literal> {
    prop_oneof![2 => day(), 1 => "[a-z ']{1,9}".prop_map(|text| Literal { value: LiteralValue::Text(text), span: NOWHERE })]
}

fn literal() -> impl Strategy<Value = Literal> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        "-?[0-9]{1,4}\\.[0-9]{1,4}",
        "-?[0-9]{1,20}\\.[0-9]{1,16}",
    ];
    let local = (date(), 0..24_i8, 0..60_i8, 0..60_i8);
    let value = prop_oneof![
        any::<bool>().prop_map(LiteralValue::Bool),
        number.prop_map(|text| LiteralValue::Number(Decimal::parse(&text).expect("a number"))),
        text().prop_map(|text| text.value),
        date().prop_map(LiteralValue::Date),
        local.prop_map(|(d, h, m, s)| LiteralValue::LocalTimestamp(
            DateTime::new(d.year(), d.month(), d.day(), h, m, s, 0).expect("a moment")
        )),
        (-62_135_596_800..=253_402_207_200_i64).prop_map(LiteralValue::Instant),
        relative(),
    ];
    value.prop_map(|value| Literal { value, span: NOWHERE })
}
