//! PURE  The text format of Prometheus: families of samples, each with its type and its help.

use std::fmt::{Display, Write as _};

/// A text that grows by families.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// The samples of one family.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// A name and a value that tell a sample from the others of its family.
pub(super) type Label<'a> = (&'static str, &'a str);

impl Text {
    /// Begins a family whose values only grow.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// Begins a family whose values grow and shrink.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Begins a family of histograms.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect(INFALLIBLE);
        Family { text: &mut self.0, name }
    }
}

impl Family<'_> {
    /// Adds a sample without labels.
    pub(super) fn value(&mut self, value: impl Display) {
        self.sample("", &[], value);
    }

    /// Adds a sample.
    pub(super) fn with(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.sample("", labels, value);
    }

    /// Adds a sample for each entry, with the entry's name as its only label.
    pub(super) fn each<'k, V: Display>(
        &mut self,
        label: &'static str,
        entries: impl IntoIterator<Item = (&'k str, V)>,
    ) {
        for (name, value) in entries {
            self.with(&[(label, name)], value);
        }
    }

    /// Adds a sample whose name is that of the family with this ending.
    pub(super) fn sample(&mut self, ending: &str, labels: &[Label<'_>], value: impl Display) {
        let Self { text, name } = self;
        write!(text, "{name}{ending}").expect(INFALLIBLE);
        for (index, (label, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(text, "{before}{label}=\"{}\"", escape(value)).expect(INFALLIBLE);
        }
        let after = if labels.is_empty() { "" } else { "}" };
        writeln!(text, "{after} {value}").expect(INFALLIBLE);
    }
}

/// A label's value, as the format writes it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const INFALLIBLE: &str = "writing to a String cannot fail";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_a_head_and_its_samples() {
        let mut text = Text::default();
        text.counter("drops_total", "Drops.").each("why", [("late", 1), ("large", 2)]);
        text.gauge("rooms", "Rooms.").value(3);
        let drops = "# HELP drops_total Drops.\n# TYPE drops_total counter\ndrops_total{why=\"late\"} 1\n";
        let rooms = "# HELP rooms Rooms.\n# TYPE rooms gauge\nrooms 3\n";
        assert_eq!(text.finish(), format!("{drops}drops_total{{why=\"large\"}} 2\n{rooms}"));
    }

    #[test]
    fn a_label_cannot_end_its_quotes() {
        let mut text = Text::default();
        text.gauge("threads", "Threads.").with(&[("name", "a\"b\\c\nd"), ("state", "on")], 0.5);
        assert!(text.finish().ends_with("\nthreads{name=\"a\\\"b\\\\c\\nd\",state=\"on\"} 0.5\n"));
    }
}
