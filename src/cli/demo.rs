//! `headcount demo`: the whole in one command, on people that do not exist.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use storage::{DataDir, SchemaJson};

use super::import::OWNED_BYTES_MAX;
use super::serve::{ServeArgs, serve};
use super::show::{grouped, progress_bar, table};
use super::{Failure, Outcome};
use crate::engine::{DistributionRequest, Engine, EngineOptions, MAIN_SPACE, Question, Where};
use crate::generate::{AS_OF, Population};
use crate::import::infer::About;
use crate::import::load::{StoreTarget, Target};
use crate::query::bind::date_of;

/// People that are loaded at a time.
const FRAME_PEOPLE: u32 = 1 << 16;

/// Questions that the demo asks, in words and as text.
const QUESTIONS: &[(&str, &str)] = &[
    (
        "Women 25 to 39 in Shanghai or Hangzhou",
        "gender = 'F' AND city IN ('Shanghai', 'Hangzhou') AND age BETWEEN 25 AND 39",
    ),
    ("Members of tier V4 or V5 without a phone number", "tier IN ('V4', 'V5') AND phone IS NULL"),
    ("Everyone not known to be in Beijing", "NOT city = 'Beijing'"),
    ("Birthday in the next seven days", "month_day(birthday) BETWEEN '11-01' AND '11-07'"),
    ("The top 20 % by spend", "spend >= (SELECT quantile(spend, 0.8) FROM profiles)"),
    (
        "Bought at least twice in the 30 days before 1 November",
        "(SELECT count(*) FROM purchase WHERE day >= CURRENT_DATE - INTERVAL '30' DAY AND day < CURRENT_DATE) >= 2",
    ),
    (
        "Bought bakery, then fruit within 14 days",
        "followed_by((SELECT 1 FROM purchase WHERE category = 'bakery'), (SELECT 1 FROM purchase WHERE category = 'fruit'), INTERVAL '14' DAY)",
    ),
    (
        "The 1,000 lapsed customers with the highest spend",
        "one_id IN (SELECT one_id FROM profiles WHERE lifecycle IN ('churned', 'lapsed') ORDER BY spend DESC LIMIT 1000)",
    ),
];

/// Arguments of `demo`.
#[derive(Args)]
pub(super) struct DemoArgs {
    /// How many people
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    profiles: u32,
    /// Stop after the answers instead of serving
    #[arg(long)]
    no_serve: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Generates and loads unless the directory has people, asks, and serves.
pub(super) fn run(args: &DemoArgs) -> Outcome {
    let data = &args.serve.data.data;
    load_unless_there(data, args.profiles)?;
    let start = Instant::now();
    let engine = Arc::new(Engine::open(data, &EngineOptions::default())?);
    println!("opened in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    ask(&engine)?;
    if args.no_serve {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nTry it:");
    println!(
        "  curl -s http://{}/v1/spaces/main/count -d '{{\"where\": \"gender = '\\''F'\\'' AND age < 30\"}}'",
        args.serve.listen
    );
    println!("Ctrl-C ends it; the people stay in {}.\n", data.display());
    serve(engine, &args.serve)
}

fn load_unless_there(data: &Path, profiles: u32) -> Result<(), Failure> {
    let dir = DataDir::open(data)?;
    let mut loader = dir.bulk_load(MAIN_SPACE, OWNED_BYTES_MAX)?;
    if loader.view().profile_count() > 0 {
        println!("{} already holds {} people", data.display(), grouped(loader.view().profile_count().into()));
        return Ok(());
    }
    let start = Instant::now();
    let population = Population::new(1, profiles);
    loader.extend_schema(&serde_json::from_value::<SchemaJson>(population.schema_json())?)?;
    let bar = progress_bar(profiles.into(), "people");
    let mut first = 0;
    while first < profiles {
        let end = profiles.min(first.saturating_add(FRAME_PEOPLE));
        StoreTarget(&mut loader).add(&population.profiles(first..end), About::Profiles)?;
        StoreTarget(&mut loader).add(&population.purchases(first..end), About::Events)?;
        bar.set_position(end.into());
        first = end;
    }
    let finished = loader.finish()?;
    bar.finish_and_clear();
    let events = finished.schema().event("purchase").map(|(id, _)| finished.event(id).row_count());
    println!(
        "{} people and {} purchases generated and loaded in {:.1} s",
        grouped(profiles.into()),
        grouped(events.transpose()?.unwrap_or(0)),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn ask(engine: &Engine) -> Result<(), Failure> {
    let space = engine.space(MAIN_SPACE)?;
    let question = |text: &str| Question {
        audience: Some(Where::Text(text.into())),
        as_of: Some(date_of(AS_OF.into())),
        ..Question::default()
    };
    for (words, text) in QUESTIONS {
        // The first time reads and verifies what the question touches. It is spelled otherwise, so that the second is bound
        // anew: what every later question takes, and not what the same one again would.
        space.count(&question(&format!("({text})")), false)?;
        let answer = space.count(&question(text), false)?;
        println!(
            "\n{words}\n  {text}\n  {} people, {:.2} ms",
            grouped(answer.value.count),
            answer.took_us as f64 / 1e3
        );
    }
    let request = DistributionRequest { tags: vec!["city".into()], top: Some(5), ..DistributionRequest::default() };
    let last = QUESTIONS[QUESTIONS.len() - 1].1;
    space.distribution(&question(last), &request)?;
    let answer = space.distribution(&question(&format!("(({last}))")), &request)?;
    println!("\nWhere do those 1,000 live, against everyone? ({:.2} ms)", answer.took_us as f64 / 1e3);
    let columns = ["city", "people", "share", "share of all", "index"].map(String::from);
    let percent =
        |share: Option<f64>| serde_json::json!(share.map_or(String::new(), |s| format!("{:.1} %", s * 100.0)));
    let rows: Vec<Vec<serde_json::Value>> = answer.value.tags[0]
        .1
        .values
        .iter()
        .map(|v| {
            let index = serde_json::json!(v.index.map(|i| i.round()));
            vec![v.value.to_csv().into(), v.count.into(), percent(v.share), percent(v.base_share), index]
        })
        .collect();
    println!("{}", table(&columns, &rows));
    Ok(())
}
