//! Figures by name, in an order: for people as lines, for programs as a line of JSON, and the
//! median of several rounds.

use std::time::Duration;

use serde_json::Value;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// What was measured. A name ends in its unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures(Vec<(&'static str, Figure)>);

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Figure {
    /// A number of things.
    Count(u64),
    /// Anything else that was measured.
    Number(f64),
    /// What was measured, in words.
    Text(String),
}

impl Figures {
    /// No figures yet, of a benchmark with this name.
    pub(super) fn of(bench: &str) -> Self {
        let mut figures = Self::default();
        figures.text("bench", bench);
        figures
    }

    pub(super) fn count(&mut self, name: &'static str, count: u64) {
        self.0.push((name, Figure::Count(count)));
    }

    pub(super) fn number(&mut self, name: &'static str, number: f64) {
        self.0.push((name, Figure::Number(number)));
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.0.push((name, Figure::Text(text.to_owned())));
    }

    /// A count where it is known.
    pub(super) fn known(&mut self, name: &'static str, count: Option<u64>) {
        if let Some(count) = count {
            self.count(name, count);
        }
    }

    /// A duration in seconds, where it is known.
    pub(super) fn seconds(&mut self, name: &'static str, duration: Option<Duration>) {
        if let Some(duration) = duration {
            self.number(name, duration.as_secs_f64());
        }
    }

    /// How many a second.
    pub(super) fn rate(&mut self, name: &'static str, count: u64, duration: Duration) {
        self.number(name, ratio(count, 1) / duration.as_secs_f64());
    }

    /// Takes all figures of others, in their order.
    pub(super) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// A figure by its name.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        match self.0.iter().find(|(known, _)| *known == name)? {
            (_, Figure::Count(count)) => Some(ratio(*count, 1)),
            (_, Figure::Number(number)) => Some(*number),
            (_, Figure::Text(_)) => None,
        }
    }

    /// The median of each figure of several rounds, which have the same figures.
    pub(super) fn median(rounds: &[Self]) -> Self {
        let mut medians = Self::default();
        for (name, figure) in rounds.first().into_iter().flat_map(|round| &round.0) {
            let mut values: Vec<f64> = rounds.iter().filter_map(|round| round.get(name)).collect();
            values.sort_by(f64::total_cmp);
            let upper = values.get(values.len() / 2).copied();
            let lower = values.get(values.len().saturating_sub(1) / 2).copied();
            match (figure, lower, upper) {
                (Figure::Text(text), ..) => medians.text(name, text),
                (Figure::Count(_), Some(lower), Some(upper)) if lower == upper => {
                    let same = |round: &&Self| round.get(name) == Some(lower);
                    let round = rounds.iter().find(same);
                    medians.0.extend(round.and_then(|round| round.entry(name)));
                }
                (_, Some(lower), Some(upper)) => medians.number(name, (lower + upper) / 2.0),
                _ => {}
            }
        }
        medians
    }

    fn entry(&self, name: &str) -> Option<(&'static str, Figure)> {
        self.0.iter().find(|(known, _)| *known == name).cloned()
    }

    /// As one line of JSON.
    pub(super) fn json(&self) -> String {
        let fields: Vec<_> = self
            .0
            .iter()
            .map(|(name, figure)| format!("{}:{}", Value::from(*name), figure.json()))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    /// As lines for people: a name, and its figure in a column.
    pub(super) fn lines(&self) -> Vec<String> {
        let width = self.0.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default();
        self.0
            .iter()
            .map(|(name, figure)| format!("{name:<width$}  {}", figure.text()))
            .collect()
    }
}

impl Figure {
    fn json(&self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            // A number that is none, such as a rate over no time, is null.
            Self::Number(number) => Value::from(rounded(*number)).to_string(),
            Self::Text(text) => Value::from(text.as_str()).to_string(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Count(count) => grouped(&count.to_string()),
            Self::Number(number) if number.abs() >= 1000.0 => grouped(&format!("{number:.0}")),
            Self::Number(number) => rounded(*number).to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Prints the rounds of a benchmark as they end, and then their medians.
pub(super) struct Report {
    json: bool,
    rounds: Vec<Figures>,
    output: Output,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            rounds: Vec::new(),
            output: Output::stdout(),
        }
    }

    /// Takes and prints the figures of a round.
    pub(super) fn round(&mut self, figures: Figures) -> Result<(), Failure> {
        if !self.rounds.is_empty() && !self.json {
            self.output.line("")?;
        }
        self.print(&figures)?;
        self.rounds.push(figures);
        Ok(())
    }

    /// Prints the medians, where there was more than one round, and then `more`.
    pub(super) fn finish(mut self) -> Result<Figures, Failure> {
        let mut medians = Figures::median(&self.rounds);
        if self.rounds.len() > 1 {
            let rounds = u64::try_from(self.rounds.len()).unwrap_or(u64::MAX);
            medians.count("median_of_rounds", rounds);
            if !self.json {
                self.output.line("")?;
            }
            self.print(&medians)?;
        }
        Ok(medians)
    }

    fn print(&mut self, figures: &Figures) -> Result<(), Failure> {
        if self.json {
            self.output.line(&figures.json())?;
        } else {
            for line in figures.lines() {
                self.output.line(&line)?;
            }
        }
        self.output.flush()
    }
}

/// A quotient of two counts.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read to three or four digits"
)]
pub(super) fn ratio(numerator: u64, denominator: u64) -> f64 {
    numerator as f64 / denominator as f64
}

/// Four significant digits, or all before the point.
fn rounded(number: f64) -> f64 {
    let places = match number.abs() {
        n if n >= 1000.0 => 0,
        n if n >= 100.0 => 1,
        n if n >= 10.0 => 2,
        n if n >= 1.0 => 3,
        _ => 4,
    };
    let scale = 10.0_f64.powi(places);
    (number * scale).round() / scale
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn round(events: u64, latency: f64) -> Figures {
        let mut figures = Figures::of("commit");
        figures.count("events", events);
        figures.number("p50_ms", latency);
        figures
    }

    #[test]
    fn the_median_is_of_each_figure_by_itself() {
        let rounds = [round(3, 0.5), round(1, 9.0), round(2, 0.25)];
        assert_eq!(Figures::median(&rounds), round(2, 0.5));
    }

    #[test]
    fn the_median_of_two_rounds_lies_between_them() {
        let median = Figures::median(&[round(1, 1.0), round(2, 2.0)]);
        assert_eq!(median.get("events"), Some(1.5));
    }

    #[test]
    fn json_is_one_object_a_line_in_the_order_of_the_figures() {
        let line = round(1_234_567, 0.123_456).json();
        assert_eq!(
            line,
            r#"{"bench":"commit","events":1234567,"p50_ms":0.1235}"#
        );
    }

    #[test]
    fn people_read_large_numbers_in_groups() {
        let lines = round(1_234_567, 12_345.6).lines();
        assert_eq!(
            lines,
            ["bench   commit", "events  1,234,567", "p50_ms  12,346"]
        );
    }
}
