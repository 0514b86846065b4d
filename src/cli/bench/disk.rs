//! `casetrail bench disk`: what a disk can do, with nothing around it: records appended to a fresh
//! file, each batch of them with one write and one fdatasync. No log that is durable before it
//! answers one submission at a time commits faster than this with batches of one.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::figures::{Figures, Report};
use super::load::Tally;
use super::target::fresh_folder;
use super::{RoundArguments, TimeArguments, latencies};
use crate::cli::failure::Failure;

/// What is written, and where.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail bench disk
  casetrail bench disk --folder /var/lib --batch 1 --batch 64 --rounds 5 --json")]
pub(super) struct DiskArguments {
    /// Length of a record, in bytes
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    bytes: u64,
    /// Number of records of a batch; may be given several times
    #[arg(long = "batch", value_name = "N", default_values_t = [1, 16, 64, 256, 1024], value_parser = clap::value_parser!(u64).range(1..=65_536))]
    batches: Vec<u64>,
    /// Folder whose disk is measured
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    rounds: RoundArguments,
}

pub(super) async fn run(arguments: &DiskArguments) -> Result<(), Failure> {
    for batch in &arguments.batches {
        let mut report = Report::new(arguments.rounds.json);
        for _ in 0..arguments.rounds.rounds {
            let folder = fresh_folder(arguments.folder.as_deref())?;
            let (bytes, batch) = (arguments.bytes, *batch);
            let measured = measure(folder.path(), bytes, batch, arguments.time.duration());
            report.round(measured.await?)?;
        }
        report.finish()?;
        super::blank_line(arguments.rounds.json)?;
    }
    Ok(())
}

/// Appends for this long to a fresh file in `folder`.
///
/// # Errors
/// What the system says.
pub(super) async fn measure(
    folder: &Path,
    bytes: u64,
    batch: u64,
    duration: Duration,
) -> Result<Figures, Failure> {
    let path = folder.join("limit");
    let failed =
        |error: &dyn std::error::Error| Failure::local("writing to the disk failed", error);
    let measured = tokio::task::spawn_blocking(move || append(&path, bytes * batch, duration));
    let tally = measured.await.map_err(|error| failed(&error))?;
    let tally = tally.map_err(|error| failed(&error))?;
    let mut figures = Figures::of("disk");
    figures.count("bytes", bytes);
    figures.count("batch", batch);
    figures.rate("events_per_s", tally.recorded * batch, tally.elapsed);
    figures.rate("commits_per_s", tally.recorded, tally.elapsed);
    figures.append(latencies(&tally.latencies));
    figures.count("events", tally.recorded * batch);
    figures.seconds("seconds", Some(tally.elapsed));
    Ok(figures)
}

fn append(path: &Path, bytes: u64, duration: Duration) -> std::io::Result<Tally> {
    let mut file = File::create_new(path)?;
    let mut batch = vec![0; usize::try_from(bytes).unwrap_or_default()];
    // Not the same bytes throughout, for disks that compress.
    for (place, byte) in (0_u64..).zip(&mut batch) {
        let mixed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        *byte = mixed.to_be_bytes()[1];
    }
    let mut tally = Tally::default();
    let began_at = Instant::now();
    while began_at.elapsed() < duration {
        let sent_at = Instant::now();
        file.write_all(&batch)?;
        file.sync_data()?;
        tally.answered(sent_at);
    }
    tally.elapsed = began_at.elapsed();
    drop(file);
    std::fs::remove_file(path)?;
    Ok(tally)
}
