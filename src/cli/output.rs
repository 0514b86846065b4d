//! What commands print: lines to standard output, tables, and notes to standard error.
//!
//! Nothing here panics where the reader has gone: a closed output ends the command quietly.

use std::io::{self, BufWriter, Write};

use prost::{Message, Name};

use super::failure::Failure;
use crate::wire::json;

/// The output of a command, line by line.
pub(super) struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
}

impl Output {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self {
            writer: BufWriter::new(Box::new(io::stdout())),
        }
    }

    /// Writes a line; it is seen at the latest with the next [`Output::flush`].
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        let written = self
            .writer
            .write_all(text.as_bytes())
            .and_then(|()| self.writer.write_all(b"\n"));
        written.map_err(failure)
    }

    /// Writes a message as a line of canonical JSON.
    pub(super) fn json<T: Message + Name>(&mut self, message: &T) -> Result<(), Failure> {
        self.line(&json_of(message)?)
    }

    /// Writes bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(bytes).map_err(failure)
    }

    /// Shows what was written.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(failure)
    }
}

/// A message as canonical JSON.
pub(super) fn json_of<T: Message + Name>(message: &T) -> Result<String, Failure> {
    json::to_json(message).map_err(|error| Failure::local("the message can't be printed", &error))
}

/// Writes a line for the user's eyes to standard error. That nobody may read it is no failure.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Rows in columns as wide as their widest cell. Numbers stand to the right.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this header.
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            rows: vec![header.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// The lines of the table.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }

    /// Prints the table.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        self.lines().iter().try_for_each(|line| output.line(line))
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let numeric = !cell.is_empty() && cell.chars().all(|character| character.is_ascii_digit());
        if numeric {
            line.push_str(&format!("{cell:>width$}  "));
        } else {
            line.push_str(&format!("{cell:<width$}  "));
        }
    }
    line.trim_end().to_owned()
}

fn failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::local("writing the output failed", &error)
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let mut table = Table::new(["status", "cases"]);
        table.row(["Registered".into(), "7".into()]);
        assert_eq!(table.lines(), ["status      cases", "Registered      7"]);
    }
}
