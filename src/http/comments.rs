//! PURE  Leaves out the comments of scripts and styles: a third of what a browser would load.

/// Where a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    /// In a comment that began on an earlier line.
    Comment,
    /// In a template literal that began on an earlier line.
    Template,
}

/// A script without the lines that are only comments. They become empty, so that the browser's line numbers stay those of the
/// file in git. Comments beside code stay: to find them, strings and regular expressions would have to be understood.
pub(super) fn script(text: &str) -> String {
    without(text, true)
}

/// The same for a style sheet, where `//` begins no comment.
pub(super) fn style(text: &str) -> String {
    without(text, false)
}

fn without(text: &str, is_script: bool) -> String {
    let (mut result, mut place) = (String::with_capacity(text.len()), Place::Code);
    for line in text.lines() {
        let kept;
        (kept, place) = keep(line, place, is_script);
        result.push_str(kept);
        result.push('\n');
    }
    result
}

/// What stays of a line, and where the next one begins.
fn keep(line: &str, place: Place, is_script: bool) -> (&str, Place) {
    let bare = line.trim();
    match place {
        Place::Template => (line, after(line, place)),
        Place::Comment => ended(bare, bare),
        Place::Code if is_script && bare.starts_with("//") => ("", Place::Code),
        Place::Code => match bare.strip_prefix("/*") {
            Some(comment) => ended(comment, line),
            None => (line, after(line, place)),
        },
    }
}

/// The same for a line that begins in a comment. Code behind the comment stays, with `whole` of what is around it.
fn ended<'a>(comment: &'a str, whole: &'a str) -> (&'a str, Place) {
    match comment.split_once("*/") {
        None => ("", Place::Comment),
        Some((_, "")) => ("", Place::Code),
        // On the comment's first line all of it stays, and on a later line only the code does.
        Some((_, code)) if whole.trim_start().starts_with("/*") => (whole, after(code, Place::Code)),
        Some((_, code)) => (code, after(code, Place::Code)),
    }
}

/// Where the line after one with this code begins.
fn after(code: &str, before: Place) -> Place {
    let ticks = code.matches('`').count() - code.matches("\\`").count();
    match (ticks % 2, before) {
        (0, _) => before,
        (_, Place::Template) => Place::Code,
        (_, Place::Code | Place::Comment) => Place::Template,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_comments_become_empty_and_all_others_stay() {
        let text = "// @ts-check\n/** What it does. */\nimport a from \"//a\"; // beside\n\n  /**\n   * Of several\n   * lines. */\n  \
                    const b = /** @type {B} */ (a); /* and */\n  /** @type {C} */ (b).c();\n/* one\n*/ c();\n";
        let kept = "\n\nimport a from \"//a\"; // beside\n\n\n\n\n  \
                    const b = /** @type {B} */ (a); /* and */\n  /** @type {C} */ (b).c();\n\n c();\n";
        assert_eq!(script(text), kept);
    }

    #[test]
    fn a_template_literal_is_no_comment() {
        let text = "const t = `a\n// b\n/* c */\n\\`\n`;\n// d\nconst u = `e`;\n// f\n";
        assert_eq!(script(text), "const t = `a\n// b\n/* c */\n\\`\n`;\n\nconst u = `e`;\n\n");
    }

    #[test]
    fn in_a_style_sheet_only_what_ends_is_a_comment() {
        assert_eq!(
            style("/* a */\n//b {\n/* c\n d */\n  color: red; /* e */\n}\n"),
            "\n//b {\n\n\n  color: red; /* e */\n}\n"
        );
    }
}
