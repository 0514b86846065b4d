//! The texts in a backup: its header and its end marks. Only what is exactly as it is written here
//! is taken for one.

use super::{Anchor, BACKUP_FORMAT, BackupError};

/// The first line of a backup.
pub(super) const TITLE: &str = "casetrail backup\n";
/// The most bytes of a header or of an end mark.
pub(super) const TEXT_BYTES_MAX: usize = 512;
/// How an end mark begins. A block begins with another byte.
pub(super) const END_BEGINS: &str = "\nend position ";

/// What a backup begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The position of its first record.
    pub first_position: u64,
    /// The record before it.
    pub anchor: Anchor,
}

/// What each run of a backup ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndMark {
    /// The position after the last record.
    pub position: u64,
    /// SHA-256 over the header and all records of the file before this mark.
    pub records_digest: [u8; 32],
    /// SHA-256 of the views at the position, as the server told it.
    pub views_digest: [u8; 32],
    /// The version of the software that folded these views: another one may fold otherwise. Graphic
    /// ASCII, which may be empty.
    pub software: String,
}

impl Header {
    pub(super) fn render(&self) -> String {
        let Self {
            first_position,
            anchor,
        } = self;
        let text = format!(
            "{TITLE}format: {BACKUP_FORMAT}\nfirst position: {first_position}\nrecord before: {}\n",
            hex(anchor)
        );
        let checksum = crc32fast::hash(text.as_bytes());
        format!("{text}checksum: {checksum:08x}\n\n")
    }

    /// The header of a text that ends in an empty line.
    pub(super) fn parse(text: &[u8]) -> Result<Self, BackupError> {
        let rest = text
            .strip_prefix(TITLE.as_bytes())
            .ok_or(BackupError::NotABackup)?;
        let damaged = || BackupError::Damaged {
            offset: 0,
            position: 0,
            what: "the header is not as it was written".to_owned(),
        };
        let mut lines = str::from_utf8(rest).map_err(|_| damaged())?.lines();
        let mut value = |name| lines.next().and_then(|line| line.strip_prefix(name));
        let found = value("format: ").and_then(|format| format.parse().ok());
        match found {
            Some(found) if found > BACKUP_FORMAT => {
                return Err(BackupError::NewerFormat { found });
            }
            _ => {}
        }
        let first_position = value("first position: ").and_then(|text| text.parse().ok());
        let anchor = value("record before: ").and_then(from_hex);
        let header = first_position
            .zip(anchor)
            .map(|(first_position, anchor)| Self {
                first_position,
                anchor,
            });
        header
            .filter(|header| header.render().as_bytes() == text)
            .ok_or_else(damaged)
    }
}

impl EndMark {
    pub(super) fn render(&self) -> String {
        let text = format!(
            "{END_BEGINS}{} records {} views {} software {}",
            self.position,
            hex(&self.records_digest),
            hex(&self.views_digest),
            self.software
        );
        let checksum = crc32fast::hash(text.as_bytes());
        format!("{text} checksum {checksum:08x}\n")
    }

    /// The end mark of a text that begins as one does and ends in its second line feed.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let inner = str::from_utf8(text).ok()?.strip_prefix(END_BEGINS)?;
        let mut words = inner.split(' ');
        let position = words.next()?.parse().ok()?;
        let mut value = |name| words.next().filter(|word| *word == name).and(words.next());
        let mark = Self {
            position,
            records_digest: value("records").and_then(from_hex)?,
            views_digest: value("views").and_then(from_hex)?,
            software: value("software")?.to_owned(),
        };
        (mark.render().as_bytes() == text).then_some(mark)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let start = index.checked_mul(2)?;
        *byte = u8::from_str_radix(text.get(start..start.checked_add(2)?)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{EndMark, Header};

    #[test]
    fn a_header_and_an_end_mark_are_read_as_they_were_written() {
        let header = Header {
            first_position: 7,
            anchor: [0xa5; 32],
        };
        assert!(matches!(Header::parse(header.render().as_bytes()), Ok(read) if read == header));
        let mark = EndMark {
            position: u64::MAX,
            records_digest: [1; 32],
            views_digest: [0xff; 32],
            software: "0.1.0".to_owned(),
        };
        assert_eq!(EndMark::parse(mark.render().as_bytes()), Some(mark));
    }
}
