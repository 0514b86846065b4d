//! The master key, under which the keys of subjects are wrapped: 32 bytes that come from a file, the
//! environment, or what a command prints, so that a key management service or a hardware module can
//! stand behind it. It is written as 64 hexadecimal digits.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::error::{KeyError, failed};
use super::key::{KEY_BYTES, KeyBytes};

/// The file in a key store's folder that holds the master key, where nothing else is said.
pub const MASTER_KEY_FILE: &str = "master.key";

/// Where the master key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// What a command prints, run by `sh -c`.
    Command(String),
}

impl FromStr for MasterKeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("command", line)) if !line.is_empty() => Ok(Self::Command(line.to_owned())),
            _ => Err("is no source of a key; give file:PATH, env:NAME or command:LINE".to_owned()),
        }
    }
}

impl fmt::Display for MasterKeySource {
    /// Names the source. A command is not repeated, since it may hold a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "the file {}", path.display()),
            Self::Environment(name) => write!(formatter, "the variable {name}"),
            Self::Command(_) => write!(formatter, "the command"),
        }
    }
}

impl MasterKeySource {
    /// Reads the key.
    pub(super) fn read(&self) -> Result<XChaCha20Poly1305, KeyError> {
        let text = match self {
            Self::File(path) => self.read_file(path)?,
            Self::Environment(name) => {
                let value = std::env::var(name);
                Zeroizing::new(value.map_err(|_| self.fault("is not set, or not text"))?)
            }
            Self::Command(line) => self.run(line)?,
        };
        let key = parse(text.trim_ascii());
        let key = key.ok_or_else(|| self.fault("is not written as 64 hexadecimal digits"))?;
        Ok(XChaCha20Poly1305::new((&*key).into()))
    }

    /// Reads the key; makes a new one where it belongs into a file that is not there.
    pub(super) fn read_or_make(&self) -> Result<XChaCha20Poly1305, KeyError> {
        if let Self::File(path) = self
            && !path.exists()
        {
            make(path)?;
        }
        self.read()
    }

    fn read_file(&self, path: &Path) -> Result<Zeroizing<String>, KeyError> {
        let mut file = File::open(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => self.fault(
                "is not there; the keys were wrapped under it, and can't be read without it: put \
                 it back, or name its place by --master-key",
            ),
            _ => failed("open", path)(cause),
        })?;
        let metadata = file.metadata().map_err(failed("read", path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let fault = format!("can be read by others (mode {mode:o}); chmod 600 it");
            return Err(self.fault(&fault));
        }
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX));
        let mut limited = (&mut file).take(TEXT_BYTES_MAX as u64);
        limited
            .read_to_string(&mut text)
            .map_err(failed("read", path))?;
        Ok(text)
    }

    fn run(&self, line: &str) -> Result<Zeroizing<String>, KeyError> {
        let command = Command::new("sh")
            .args(["-c", line])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output();
        let output = command.map_err(|cause| self.fault(&format!("can't be run: {cause}")))?;
        let printed = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(self.fault(&format!("failed: {}", output.status)));
        }
        let text = std::str::from_utf8(&printed);
        let text = text.map_err(|_| self.fault("printed something that is not text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The error of a source that gives no key that would do.
    pub(super) fn fault(&self, fault: &str) -> KeyError {
        KeyError::MasterKey {
            source: self.to_string(),
            fault: fault.to_owned(),
        }
    }
}

/// No more of a key's file is read.
const TEXT_BYTES_MAX: usize = 256;

/// Makes a file with a new key, for its owner alone. It gets its name once it is whole and durable, so
/// that a power cut leaves it or none.
pub(super) fn make(path: &Path) -> Result<(), KeyError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut key[..]).map_err(|error| KeyError::Random {
        cause: error.to_string(),
    })?;
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
    for byte in key.iter() {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    replace(path, &aside(path), text.as_bytes())
}

/// Where a file with a new key stands until it is whole.
pub(super) fn aside(path: &Path) -> PathBuf {
    path.with_extension("making")
}

/// Puts a file for its owner alone in its place, whole and durable; where that fails nothing of it stays.
pub(super) fn replace(path: &Path, aside: &Path, content: &[u8]) -> Result<(), KeyError> {
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(aside)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    let placed = written
        .map_err(failed("write", aside))
        .and_then(|()| fs::rename(aside, path).map_err(failed("put in place", path)));
    if placed.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(aside);
    }
    placed?;
    sync_folder_of(path)
}

/// Syncs the folder that a file is in.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), KeyError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed("sync", folder))
}

fn parse(text: &str) -> Option<KeyBytes> {
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    for byte in key.iter_mut() {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(key)
}
