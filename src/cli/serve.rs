//! `headcount serve`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{DataArgs, Outcome};
use crate::engine::{Engine, EngineOptions};
use crate::server;

/// Arguments of `serve`.
#[derive(Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", env = "HEADCOUNT_LISTEN", default_value = "127.0.0.1:7077")]
    pub(super) listen: SocketAddr,
    /// Longest time of a question, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    pub(super) timeout_ms: u64,
    /// Threads for questions; 0 takes one for each core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) threads: usize,
}

/// Opens the data directory and serves until told to stop.
pub(super) fn run(args: &ServeArgs) -> Outcome {
    let mut options = EngineOptions { threads: args.threads, ..EngineOptions::default() };
    options.limits.elapsed_ms_max = args.timeout_ms;
    let start = std::time::Instant::now();
    let engine = Arc::new(Engine::open(&args.data.data, &options)?);
    let opened_ms = start.elapsed().as_secs_f64() * 1e3;
    for space in engine.spaces() {
        let view = space.store().view();
        let (name, people) = (space.name(), view.profile_count());
        eprintln!("space {name}: {people} people, data version {}", view.data_version());
    }
    eprintln!("opened {} in {opened_ms:.1} ms", args.data.data.display());
    serve(engine, args)
}

/// Serves an engine that is open already.
pub(super) fn serve(engine: Arc<Engine>, args: &ServeArgs) -> Outcome {
    let options = server::ServeOptions::new(args.listen, &args.data.data);
    server::serve(engine, options, |address| eprintln!("listening on http://{address}"))?;
    Ok(ExitCode::SUCCESS)
}
