//! What a check tells: a line for each finding, up to a limit, and one for the whole.

use serde_json::json;

use super::super::failure::Failure;
use super::super::names;
use super::super::output::{Output, note};
use crate::ledger::audit::Finding;
use crate::ledger::check::Checked;

/// The findings of a check, told as they come.
pub(super) struct Report {
    output: Output,
    json: bool,
    limit: u64,
    findings: u64,
    /// That nobody reads it any more changes nothing in what is found.
    failure: Option<Failure>,
}

impl Report {
    pub(super) fn new(json: bool, limit: u64) -> Self {
        Self {
            output: Output::stdout(),
            json,
            limit,
            findings: 0,
            failure: None,
        }
    }

    /// Tells a finding.
    pub(super) fn tell(&mut self, finding: &Finding) {
        self.findings = self.findings.saturating_add(1);
        if self.findings > self.limit || self.failure.is_some() {
            return;
        }
        let line = if self.json {
            let kind = finding.kind.name();
            json!({"kind": kind, "position": finding.position.to_string(), "what": finding.what})
                .to_string()
        } else {
            finding.to_string()
        };
        let told = self.output.line(&line).and_then(|()| self.output.flush());
        self.failure = told.err();
    }

    /// Tells how it ended.
    ///
    /// # Errors
    /// `Failed` where anything was found.
    pub(super) fn end(mut self, checked: &Checked) -> Result<(), Failure> {
        for each in &checked.notes {
            note(&format!("note: {each}"));
        }
        let what = self.summary(checked);
        if self.failure.is_none() {
            self.failure = self.print(&what, checked).err();
        }
        match self.failure {
            _ if self.findings > 0 => Err(Failure::Failed(what)),
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn summary(&self, checked: &Checked) -> String {
        let Checked { records, cases, .. } = checked;
        let shown = self.findings.min(self.limit);
        match self.findings {
            0 => format!("sound: {records} records of {cases} cases"),
            1 => format!("not sound: 1 finding in {records} records of {cases} cases"),
            all if all > shown => format!(
                "not sound: {all} findings in {records} records of {cases} cases, of which {shown} \
                 are shown"
            ),
            all => format!("not sound: {all} findings in {records} records of {cases} cases"),
        }
    }

    fn print(&mut self, what: &str, checked: &Checked) -> Result<(), Failure> {
        let digest = checked.views_digest.map(|digest| names::hex(&digest));
        if self.json {
            let kind = if self.findings == 0 {
                "sound"
            } else {
                "unsound"
            };
            let line = json!({
                "kind": kind,
                "what": what,
                "findings": self.findings.to_string(),
                "records": checked.records.to_string(),
                "cases": checked.cases.to_string(),
                "views": digest,
            });
            self.output.line(&line.to_string())?;
        } else if self.findings == 0 {
            self.output.line(what)?;
            if let Some(digest) = digest {
                self.output.line(&format!("views {digest}"))?;
            }
        }
        self.output.flush()
    }
}
