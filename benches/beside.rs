//! Questions beside writes: how long they take while 200,000 tag changes come in a second, each batch durable before it is
//! acknowledged, and how long without; and how long after its acknowledgement a batch is in an answer.
//! `HEADCOUNT_BENCH_PEOPLE`, `CHANGES_A_SECOND` and `SECONDS` in the environment change that, `HEADCOUNT_BENCH_DATA=DIR` is
//! for generated people who are there already. Nothing is written but into a copy.
//!
//! Every batch gives 1,000 people from all over a tier and a number that nobody else has: whoever counts those who have
//! that number after the acknowledgement must find all of them.

mod population;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headcount::engine::{DistributionRequest, Engine, EngineOptions, MAIN_SPACE, Question, Space};

use population::{asked, own_copy, upsert};

/// Callers that write at a time, each to people of its own.
const WRITERS: u32 = 2;
const BATCH_PEOPLE: u32 = 1000;
/// Tags that each of them is given anew.
const TAGS: u32 = 2;
/// Between a question and the next one.
const PAUSE: Duration = Duration::from_millis(2);
/// Of so many batches one is looked for.
const LOOKED_FOR_EVERY: usize = 5;
/// Most times that a question may take beside writes, for what it takes without; at its 99th percentile.
const WORST_RATIO: f64 = 2.0;

/// Questions that are asked in turn: counts, and of the last one the tiers.
const QUESTIONS: [(&str, &str); 6] = [
    ("two dense flags", "subscribed AND app_installed"),
    ("four clauses", "gender = 'F' AND tier IN ('V3', 'V4') AND spend > 500 AND NOT lifecycle = 'churned'"),
    ("cities and ages", "city IN ('Shanghai', 'Beijing', 'Hangzhou') AND age BETWEEN 25 AND 39"),
    ("a set", "interests IN ('coffee', 'hanfu', 'gym') AND NOT tier = 'V1'"),
    ("two purchases in 30 days", "(SELECT count(*) FROM purchase WHERE day >= CURRENT_DATE - 30) >= 2"),
    ("tiers of the active", "lifecycle = 'active'"),
];

fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// One batch: its lines, and the number that all of its people get.
struct Batch {
    lines: Vec<u8>,
    spend: String,
}

/// Batches of one writer, before the clock runs. People come from all over its share, each at most once a batch.
fn batches(writer: u32, people: u32, count: usize) -> Vec<Batch> {
    let share = people / WRITERS;
    let mut next = 0u64;
    let mut member = || {
        next += 1;
        // A prime that no share is a multiple of: all of them once before anyone again.
        writer * share + (next * 1_000_000_007 % u64::from(share)) as u32 + 1
    };
    let batch = |n: usize| {
        let spend = format!("{}.{:02}", 1_000_000 + n, 10 + writer);
        let line = |member: u32| {
            let tier = 1 + (n as u32 + member) % 5;
            format!("{{\"id\":{{\"member\":\"M{member:07}\"}},\"set\":{{\"tier\":\"V{tier}\",\"spend\":{spend}}}}}\n")
        };
        let lines = (0..BATCH_PEOPLE).map(|_| line(member())).collect::<String>().into_bytes();
        Batch { lines, spend }
    };
    (0..count).map(batch).collect()
}

fn ask(space: &Space, at: usize, question: &Question) {
    if at + 1 < QUESTIONS.len() {
        space.count(question, false).expect(QUESTIONS[at].0);
        return;
    }
    let request = DistributionRequest { tags: vec!["tier".into()], ..DistributionRequest::default() };
    let answer = space.distribution(question, &request).expect(QUESTIONS[at].0).value;
    let tiers = &answer.tags[0].1;
    let known: u64 = tiers.values.iter().map(|value| value.count).sum();
    assert_eq!(known + tiers.unknown, answer.count, "everyone once, whatever is written meanwhile");
}

/// Asks until it is over, each question in its turn; how long each took.
fn ask_until(space: &Space, is_over: impl Fn() -> bool) -> Vec<Vec<Duration>> {
    let questions = QUESTIONS.map(|(_, text)| asked(text));
    let mut times = vec![Vec::new(); QUESTIONS.len()];
    while !is_over() {
        for (at, (question, times)) in questions.iter().zip(&mut times).enumerate() {
            let start = Instant::now();
            ask(space, at, question);
            times.push(start.elapsed());
            std::thread::sleep(PAUSE);
        }
    }
    times
}

/// What one writer saw.
#[derive(Default)]
struct Written {
    people: u32,
    acknowledged: Vec<Duration>,
    /// From the acknowledgement to the answer that has the batch.
    seen: Vec<Duration>,
}

fn write(space: &Space, batches: &[Batch], every: Duration, over: Duration) -> Written {
    let (mut written, start) = (Written::default(), Instant::now());
    for (n, batch) in (0u32..).zip(batches) {
        std::thread::sleep((every * n).saturating_sub(start.elapsed()));
        if start.elapsed() > over {
            break;
        }
        let sent = Instant::now();
        let answer = upsert(space, &batch.lines);
        let acknowledged = Instant::now();
        assert_eq!(answer.accepted, BATCH_PEOPLE, "{:?}", answer.rejected.first());
        written.acknowledged.push(acknowledged - sent);
        written.people += BATCH_PEOPLE;
        if (n as usize).is_multiple_of(LOOKED_FOR_EVERY) {
            let text = format!("spend = {}", batch.spend);
            let count = space.count(&asked(&text), false).expect("a count").value.count;
            assert_eq!(count, u64::from(BATCH_PEOPLE), "{text}: what is acknowledged is seen");
            written.seen.push(acknowledged.elapsed());
        }
    }
    written
}

/// Milliseconds below which a share of the times lie.
fn at(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3
}

fn main() {
    let (rate, seconds) = (setting("CHANGES_A_SECOND", 200_000), setting("SECONDS", 30));
    let dir = own_copy();
    let engine = Engine::open(dir.path(), &EngineOptions::default()).expect("opening");
    let space = engine.space(MAIN_SPACE).expect("the space");
    let people = space.store().view().profile_count();
    let over = Duration::from_secs(seconds.into());
    let every = Duration::from_secs_f64(f64::from(WRITERS * BATCH_PEOPLE * TAGS) / f64::from(rate.max(1)));
    let count = (over.as_secs_f64() / every.as_secs_f64()) as usize + 1;
    let of_writers: Vec<Vec<Batch>> = (0..WRITERS).map(|writer| batches(writer, people, count)).collect();

    ask_until(&space, || true);
    let start = Instant::now();
    let mut alone = ask_until(&space, || start.elapsed() > over);
    let (is_over, start) = (AtomicBool::new(false), Instant::now());
    let (mut beside, written, elapsed) = std::thread::scope(|scope| {
        let writers = of_writers.iter().map(|batches| scope.spawn(|| write(&space, batches, every, over)));
        let writers: Vec<_> = writers.collect();
        let asking = scope.spawn(|| ask_until(&space, || is_over.load(Ordering::Relaxed)));
        let written: Vec<Written> = writers.into_iter().map(|writer| writer.join().expect("a writer")).collect();
        let elapsed = start.elapsed();
        is_over.store(true, Ordering::Relaxed);
        (asking.join().expect("who asks"), written, elapsed)
    });

    println!("{people} people; milliseconds, {seconds} s alone and {:.0} s beside writes\n", elapsed.as_secs_f64());
    println!(
        "| question | asked | median alone | beside | 99 % alone | beside | ratio |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let line = |name: &str, alone: &mut [Duration], beside: &mut [Duration]| {
        let [medians, worst] = [0.5, 0.99].map(|share| (at(alone, share), at(beside, share)));
        let ratio = worst.1 / worst.0;
        println!(
            "| {name} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {ratio:.2} |",
            beside.len(),
            medians.0,
            medians.1,
            worst.0,
            worst.1
        );
        ratio
    };
    for ((name, _), (alone, beside)) in QUESTIONS.iter().zip(alone.iter_mut().zip(&mut beside)) {
        line(name, alone, beside);
    }
    let ratio = line("all", &mut alone.concat(), &mut beside.concat());
    let (mut acknowledged, mut seen): (Vec<Duration>, Vec<Duration>) = Default::default();
    let changes: u32 = written.iter().map(|written| written.people * TAGS).sum();
    for mut written in written {
        acknowledged.append(&mut written.acknowledged);
        seen.append(&mut written.seen);
    }
    println!(
        "\n{:.0} changes a second, durable; acknowledged after {:.1} ms (median), {:.1} (99 %), {:.1} (longest); in an \
         answer {:.1} ms after that (median), {:.1} (99 %), {:.1} (longest) of {}; {}",
        f64::from(changes) / elapsed.as_secs_f64(),
        at(&mut acknowledged, 0.5),
        at(&mut acknowledged, 0.99),
        at(&mut acknowledged, 1.0),
        at(&mut seen, 0.5),
        at(&mut seen, 0.99),
        at(&mut seen, 1.0),
        seen.len(),
        if ratio <= WORST_RATIO { "within twice the time alone" } else { "NOT within twice the time alone" }
    );
}
