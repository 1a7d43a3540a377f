//! PURE  What was found, as text and as JSON.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// It could not be looked at, and the text says why.
    Skip,
    /// It is as it should be.
    Ok,
    /// It works, but not for everybody, or not for long.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it is to be taken.
    pub level: Level,
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub text: String,
    /// What to do. Empty if nothing is to be done, or if the text says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds what is as it should be.
    pub fn ok(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Ok, subject.into(), text.into(), String::new());
    }

    /// Adds what could not be looked at, and why.
    pub fn skip(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Skip, subject.into(), text.into(), String::new());
    }

    /// Adds what works, but not for everybody or not for long.
    pub fn warn(&mut self, subject: impl Into<String>, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Warn, subject.into(), text.into(), remedy.into());
    }

    /// Adds what does not work.
    pub fn fail(&mut self, subject: impl Into<String>, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Fail, subject.into(), text.into(), remedy.into());
    }

    /// The worst level; [`Level::Ok`] if nothing was found.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok).max(Level::Ok)
    }

    fn add(&mut self, level: Level, subject: String, text: String, remedy: String) {
        self.findings.push(Finding { level, subject, text, remedy });
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Skip => "SKIP",
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
        for Finding { level, subject, text, remedy } in &self.findings {
            let indent = " ".repeat(LEVEL + width + 2);
            let mut lines = text.lines();
            writeln!(out, "{level:LEVEL$}{subject:width$}  {}", lines.next().unwrap_or_default())?;
            lines.try_for_each(|line| writeln!(out, "{indent}{line}"))?;
            for (at, line) in remedy.lines().enumerate() {
                writeln!(out, "{indent}{}{line}", if at == 0 { "-> " } else { "   " })?;
            }
        }
        let count = |level| self.findings.iter().filter(|finding| finding.level == level).count();
        let mut sum = String::new();
        for level in [Level::Fail, Level::Warn, Level::Ok, Level::Skip] {
            if count(level) > 0 {
                write!(sum, "{}{} {level}", if sum.is_empty() { "" } else { ", " }, count(level))?;
            }
        }
        writeln!(out, "\n{sum}")
    }
}

/// Columns of the level.
const LEVEL: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.ok("configuration", "/etc/hairpin/config.toml");
        report.fail("UDP 3478", "nothing answers", "start the daemon:\nsystemctl start hairpin");
        report.skip("firewall", "nft is not installed");
        report
    }

    #[test]
    fn each_finding_is_a_line_with_what_to_do_below_it() {
        assert_eq!(
            report().to_string(),
            "OK    configuration  /etc/hairpin/config.toml\n\
             FAIL  UDP 3478       nothing answers\n\
             \x20                    -> start the daemon:\n\
             \x20                       systemctl start hairpin\n\
             SKIP  firewall       nft is not installed\n\
             \n1 FAIL, 1 OK, 1 SKIP\n"
        );
    }

    #[test]
    fn the_worst_level_decides_and_what_was_skipped_is_no_fault() {
        assert_eq!(report().worst(), Level::Fail);
        assert_eq!(Report::default().worst(), Level::Ok);
        let mut skipped = Report::default();
        skipped.skip("firewall", "nft is not installed");
        assert_eq!(skipped.worst(), Level::Ok);
    }

    #[test]
    fn scripts_read_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["findings"][1]["level"], "FAIL");
        assert_eq!(json["findings"][1]["remedy"], "start the daemon:\nsystemctl start hairpin");
        assert_eq!(json["findings"][0].get("remedy"), None);
    }
}
