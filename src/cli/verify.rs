//! `headcount verify`.

use std::process::ExitCode;

use clap::Args;
use storage::DataDir;
use storage::verify::verify_space;

use super::show::grouped;
use super::{DataArgs, Outcome};

/// Arguments of `verify`.
#[derive(Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Only this space
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
}

/// Reads everything once and says what is wrong.
pub(super) fn run(args: &VerifyArgs) -> Outcome {
    let dir = DataDir::open_read_only(&args.data.data)?;
    let spaces = match &args.space {
        Some(name) => vec![name.clone()],
        None => dir.spaces()?,
    };
    let mut sound = true;
    for space in spaces {
        let start = std::time::Instant::now();
        match verify_space(&dir.space_dir(&space)) {
            Ok(report) => {
                println!(
                    "space {space}: {} people, {} packs of {} bytes, {} log records, {} kept store snapshots, {:.1} s",
                    grouped(report.profiles),
                    report.packs,
                    grouped(report.pack_bytes),
                    grouped(report.log_records as u64),
                    report.kept,
                    start.elapsed().as_secs_f64()
                );
                sound &= report.problems.is_empty();
                report.problems.iter().for_each(|problem| println!("  {problem}"));
            }
            Err(error) => {
                sound = false;
                println!("space {space}: {error}");
            }
        }
    }
    println!("{}", if sound { "all is well" } else { "damaged" });
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
