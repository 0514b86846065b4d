//! `casetrail backup`: a copy of the log, made while the server works, and continued.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use tonic::Streaming;

use super::connection::{Connection, ServerArguments};
use super::failure::Failure;
use super::names;
use super::output::{Output, note};
use super::replay::verified;
use crate::log::backup::{Anchor, BackupError, BackupFile, BackupWriter, ExistingBackup, Header};
use crate::wire::block::RecordBlock;
use crate::wire::v1::replay_events_request::{End, Start};
use crate::wire::v1::replay_events_response::Item;
use crate::wire::v1::{
    GetServerStatusRequest, GetServerStatusResponse, ReplayEventsRequest, ReplayEventsResponse,
};

/// What to back up, and where to.
#[derive(Debug, Args)]
#[command(after_help = "\
The server goes on working; the backup ends at the position that its views have at the beginning,
which is the end of a commit, and keeps the digest of the views there. A new file is written aside,
as FILE.new, and takes its name once it is complete and on disk.

A file that exists is verified as a whole, compared with the server's log at its end, and continued
from there. What a former run left behind its end, because it was cut off, is cut off first. A file
that is not a backup, is damaged, or is of another log is refused and not changed.

With --from a file of its own begins at a position, for instance at the one where another ended.

Examples:
  casetrail backup /mnt/backup/casetrail.ctb
  casetrail backup --from 120000 /mnt/backup/second.ctb
  casetrail backup - > /mnt/backup/casetrail.ctb")]
pub(super) struct BackupArguments {
    /// The file, or - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Begin a new file at this position instead of 0
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &BackupArguments) -> Result<(), Failure> {
    let path = &arguments.file;
    if path == Path::new("-") {
        return to_stdout(arguments).await;
    }
    // The file first: one that can't be continued is told even where there is no server.
    match ExistingBackup::open(path) {
        Ok(existing) => go_on(existing, arguments).await,
        Err(error) if error.is_not_found() => create(arguments).await,
        Err(error @ BackupError::System(_)) => Err(Failure::Failed(error.to_string())),
        Err(error) => Err(Failure::Failed(format!(
            "{}: {error}\nNothing was changed. Name another file.",
            path.display()
        ))),
    }
}

/// Continues a backup that exists.
async fn go_on(mut existing: ExistingBackup, arguments: &BackupArguments) -> Result<(), Failure> {
    let path = arguments.file.display();
    let first = existing.header().first_position;
    if let Some(from) = arguments.from.filter(|from| *from != first) {
        return Err(Failure::Usage(format!(
            "--from: {path} exists and begins at position {first}, not {from}; leave --from out to \
             continue it, or name another file"
        )));
    }
    let connection = arguments.server.connect().await?;
    let position = existing.position();
    let mut stream = BlockStream::open(&connection, position, &path.to_string()).await?;
    if stream.anchor != existing.anchor() {
        return Err(Failure::Failed(format!(
            "{path}: it is of another log than the server's: the record before position {position} \
             differs. Nothing was changed. Name another file."
        )));
    }
    if existing.torn_bytes() > 0 {
        let failed = |error: BackupError| Failure::Failed(error.to_string());
        let bytes = existing.torn_bytes();
        existing.cut().map_err(failed)?;
        note(&format!(
            "{path}: a former run did not come to its end; the {bytes} bytes that it left were cut \
             off"
        ));
    }
    if stream.end() == position {
        return tell(&format!(
            "nothing new: the backup has all records up to position {position}"
        ));
    }
    let backup = existing
        .go_on()
        .map_err(|error| Failure::Failed(error.to_string()))?;
    write(backup, &mut stream, position).await
}

/// Makes a new backup.
async fn create(arguments: &BackupArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let from = arguments.from.unwrap_or(0);
    let mut stream = BlockStream::open(&connection, from, "--from").await?;
    let backup = BackupFile::create(&arguments.file, &stream.header())
        .map_err(|error| Failure::Failed(error.to_string()))?;
    write(backup, &mut stream, from).await
}

/// Writes a run into a file.
async fn write(
    mut backup: BackupFile,
    stream: &mut BlockStream<'_>,
    from: u64,
) -> Result<(), Failure> {
    let failed = |error: BackupError| Failure::Failed(error.to_string());
    let copied = tokio::select! {
        copied = stream.copy(|block| backup.block(block)) => copied,
        _ = tokio::signal::ctrl_c() => Err(Failure::Failed(
            "Interrupted; the backup is as it was before.".to_owned(),
        )),
    };
    copied?;
    let (views_digest, software) = stream.views();
    let bytes = backup.end(views_digest, software).map_err(failed)?;
    tell(&format!(
        "{} records from position {from} to {}; the backup has {bytes} bytes\nviews {}",
        stream.end().saturating_sub(from),
        stream.end(),
        names::hex(&views_digest),
    ))
}

/// Writes a backup of its own to standard output.
async fn to_stdout(arguments: &BackupArguments) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "a backup is no text: send standard output to a file or another program".to_owned(),
        ));
    }
    let connection = arguments.server.connect().await?;
    let mut stream = BlockStream::open(&connection, arguments.from.unwrap_or(0), "--from").await?;
    // A reader that leaves early has no backup, so that a closed output is a failure here.
    let failed =
        |error: BackupError| Failure::Failed(format!("writing the backup failed: {error}"));
    let output = io::BufWriter::new(io::stdout());
    let mut backup = BackupWriter::begin(output, &stream.header()).map_err(failed)?;
    stream.copy(|block| backup.block(block)).await?;
    let (views_digest, software) = stream.views();
    let mut output = backup.end(views_digest, software).map_err(failed)?;
    output.flush().map_err(|error| failed(error.into()))
}

/// What a server sends for a backup: the blocks from a position up to that of its views.
struct BlockStream<'a> {
    connection: &'a Connection,
    answers: Streaming<ReplayEventsResponse>,
    from: u64,
    /// The record before the first.
    anchor: Anchor,
    /// A block that came with that record.
    first: Option<RecordBlock>,
    status: GetServerStatusResponse,
    views_digest: [u8; 32],
}

impl<'a> BlockStream<'a> {
    /// Asks a server for what it has from a position on. `what` is where the position comes from.
    async fn open(connection: &'a Connection, from: u64, what: &str) -> Result<Self, Failure> {
        let request = GetServerStatusRequest { with_digest: true };
        let status = connection.admin().get_server_status(request).await;
        let status = status
            .map_err(|status| connection.failure(&status))?
            .into_inner();
        let views_digest = <[u8; 32]>::try_from(&*status.digest).map_err(|_| {
            Failure::Failed("The server did not tell the digest of its views.".to_owned())
        })?;
        if from > status.view_position {
            return Err(Failure::Failed(format!(
                "{what}: position {from} lies beyond the {} records that the server has: it is \
                 another log, or one that lost records. Nothing was changed.",
                status.view_position
            )));
        }
        let request = ReplayEventsRequest {
            // The record before it comes along, to tell whether it is the same log.
            start: Some(Start::FromPosition(from.saturating_sub(1))),
            end: Some(End::UntilPosition(status.view_position)),
            filter: None,
        };
        let answers = connection.audit().replay_events(request).await;
        let answers = answers.map_err(|status| connection.failure(&status))?;
        let mut stream = Self {
            connection,
            answers: answers.into_inner(),
            from,
            anchor: Anchor::default(),
            first: None,
            status,
            views_digest,
        };
        if from > 0 {
            stream.take_anchor().await?;
        }
        Ok(stream)
    }

    /// Takes the record before the first.
    async fn take_anchor(&mut self) -> Result<(), Failure> {
        let block = self.next_block().await?;
        let before = block.as_ref().and_then(|block| {
            let (position, record) = block.records().next()?;
            (position.checked_add(1) == Some(self.from)).then_some(record)
        });
        let before = before.ok_or_else(|| {
            Failure::Failed(format!(
                "The server did not send the record before position {}.",
                self.from
            ))
        })?;
        self.anchor = Sha256::digest(&before).into();
        self.first = block.and_then(|block| block.starting_at(self.from));
        Ok(())
    }

    /// The position at which it ends.
    fn end(&self) -> u64 {
        self.status.view_position
    }

    /// The digest of the views there, and the version that folded them.
    fn views(&self) -> ([u8; 32], &str) {
        (self.views_digest, &self.status.version)
    }

    /// What a new backup begins with.
    fn header(&self) -> Header {
        Header {
            first_position: self.from,
            anchor: self.anchor,
        }
    }

    /// Passes on each block, verified, up to the end.
    async fn copy(
        &mut self,
        mut each: impl FnMut(&RecordBlock) -> Result<(), BackupError>,
    ) -> Result<(), Failure> {
        let bar = progress_bar(self.end().saturating_sub(self.from));
        let mut reached = self.from;
        while reached < self.end() {
            let block = match self.first.take() {
                Some(block) => Some(block),
                None => self.next_block().await?,
            };
            let block = block.ok_or_else(|| {
                Failure::Failed(format!(
                    "The server ended the replay at position {reached} instead of {}.",
                    self.end()
                ))
            })?;
            each(&block)
                .map_err(|error| Failure::Failed(format!("writing the backup failed: {error}")))?;
            reached = block.end_position();
            bar.set_position(reached.saturating_sub(self.from));
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn next_block(&mut self) -> Result<Option<RecordBlock>, Failure> {
        loop {
            let answer = self.answers.message().await;
            let answer = answer.map_err(|status| self.connection.failure(&status))?;
            match answer.map(|answer| answer.item) {
                None => return Ok(None),
                Some(Some(Item::Block(block))) => return verified(block).map(Some),
                Some(_) => {}
            }
        }
    }
}

fn tell(text: &str) -> Result<(), Failure> {
    let mut output = Output::stdout();
    output.line(text)?;
    output.flush()
}

/// A progress bar on a terminal; nothing elsewhere.
pub(super) fn progress_bar(records: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len}, {eta} left");
    ProgressBar::new(records).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
