//! The figures of all measurements beside their targets.

use std::fmt;

/// Rows in the order in which they were measured.
#[derive(Default)]
pub struct Table(Vec<Row>);

enum Row {
    Title(String),
    Figure { what: String, figure: String, target: Option<Target> },
}

struct Target {
    text: &'static str,
    met: bool,
}

impl Table {
    pub fn title(&mut self, text: String) {
        self.0.push(Row::Title(text));
    }

    /// A figure that has no target.
    pub fn note(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        self.0.push(Row::Figure { what: what.into(), figure: figure.into(), target: None });
    }

    pub fn figure(
        &mut self,
        what: impl Into<String>,
        figure: impl Into<String>,
        text: &'static str,
        met: bool,
    ) {
        let target = Some(Target { text, met });
        self.0.push(Row::Figure { what: what.into(), figure: figure.into(), target });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.0 {
            match row {
                Row::Title(text) => writeln!(out, "\n{text}")?,
                Row::Figure { what, figure, target: None } => writeln!(out, "  {what:<44} {figure}")?,
                Row::Figure { what, figure, target: Some(Target { text, met }) } => {
                    let met = if *met { "met" } else { "MISSED" };
                    writeln!(out, "  {what:<44} {figure:<34} {text:<12} {met}")?;
                }
            }
        }
        Ok(())
    }
}
