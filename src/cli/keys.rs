//! `casetrail keys`: looks after the keys of a server that is stopped.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::Output;
use crate::seal::{self, KeyError, KeyStore, MASTER_KEY_FILE, MasterKeySource};

/// What to do with keys.
#[derive(Debug, Args)]
#[command(after_help = "\
The keys of persons are wrapped under the master key. `rotate` wraps them all under another one and
overwrites the old wrappings; the log is not touched, and what was sealed stays readable. Without
--new-master-key the file master.key in the folder gets a new key. It can be interrupted at any point,
and done again. A source is asked twice, and has to give the same key each time.

Examples:
  casetrail keys rotate --keys /var/lib/casetrail/keys
  casetrail keys rotate --keys /srv/keys --master-key file:/run/keys/old --new-master-key file:/run/keys/new
  casetrail keys check --keys /srv/keys --master-key command:/usr/local/bin/master-key")]
pub(super) struct KeysArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wrap all keys under another master key
    Rotate(RotateArguments),
    /// Tell whether the master key is the right one, and of how many persons there are keys
    Check(StoreArguments),
}

/// Which keys.
#[derive(Debug, Args)]
struct StoreArguments {
    /// Folder of the keys, as `serve` was told
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// Where the master key comes from: file:PATH, env:NAME or command:LINE. Unless given, it is the
    /// file master.key in the folder of the keys
    #[arg(
        long,
        value_name = "SOURCE",
        env = "CASETRAIL_MASTER_KEY",
        hide_env_values = true
    )]
    master_key: Option<MasterKeySource>,
}

#[derive(Debug, Args)]
struct RotateArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Where the new master key comes from
    #[arg(long, value_name = "SOURCE")]
    new_master_key: Option<MasterKeySource>,
}

impl StoreArguments {
    fn master_key(&self) -> MasterKeySource {
        let own = || MasterKeySource::File(self.keys.join(MASTER_KEY_FILE));
        self.master_key.clone().unwrap_or_else(own)
    }
}

pub(super) fn run(arguments: &KeysArguments) -> Result<(), Failure> {
    let mut output = Output::stdout();
    match &arguments.command {
        Command::Rotate(arguments) => {
            let store = &arguments.store;
            let to = arguments.new_master_key.as_ref();
            if to.is_none() && store.master_key.is_some() {
                return Err(Failure::Usage(
                    "--new-master-key: needed where --master-key names a source of its own"
                        .to_owned(),
                ));
            }
            let persons = seal::rotate(&store.keys, &store.master_key(), to)
                .map_err(|error| Failure::Failed(error.to_string()))?;
            output.line(&format!(
                "the keys of {persons} persons are wrapped under the new master key"
            ))?;
        }
        Command::Check(store) => {
            let opened = KeyStore::open(&store.keys, &store.master_key())
                .and_then(|opened| {
                    let folder = store.keys.clone();
                    opened.ok_or(KeyError::NoStore { folder })
                })
                .map_err(|error| Failure::Failed(error.to_string()))?;
            output.line(&format!(
                "the master key is the right one; there are keys of {} persons",
                opened.subjects()
            ))?;
            let damaged = opened.damaged_slots();
            if damaged > 0 {
                output.line(&format!("{damaged} slots of the store are damaged"))?;
            }
        }
    }
    output.flush()
}
