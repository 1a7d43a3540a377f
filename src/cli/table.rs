//! Tables for people: text in columns, and numbers with units.

use std::time::Duration;

use crate::unseen::is_unseen;

/// The rows in columns, each as wide as its widest cell. Cells may hold text from outside: characters that a terminal would
/// obey, or not show, are replaced.
pub(super) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    std::iter::once(line(header))
        .chain(rows.iter().map(|row| line(row.each_ref().map(String::as_str))))
        .collect()
}

/// A text as a terminal may show it.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_unseen(c) { '\u{FFFD}' } else { c }).collect()
}

/// An amount of bytes, such as "1.5 MB".
pub(super) fn bytes(bytes: u64) -> String {
    with_unit(bytes, ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A rate in bits, such as "1.5 Mbit/s".
pub(super) fn bits_per_second(bytes_per_second: u64) -> String {
    let units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s", "Ebit/s"];
    with_unit(bytes_per_second.saturating_mul(8), units)
}

/// A number of seconds, such as "1h 2m 5s".
pub(super) fn time(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

fn with_unit(number: u64, units: [&str; 7]) -> String {
    let (mut scaled, mut unit) = (number as f64, 0);
    // What would be rounded to 1000 is shown in the next unit.
    while scaled >= 999.95 && unit + 1 < units.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} {}", units[0]) } else { format!("{scaled:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_nothing_follows_the_last_word() {
        let rows = [["1".to_owned(), "한국어".to_owned()], ["22222".to_owned(), String::new()]];
        assert_eq!(table(["ID", "USER"], &rows), "ID     USER\n1      한국어\n22222\n");
        assert_eq!(table(["ID", "USER"], &[]), "ID  USER\n");
    }

    /// A backend decides what stands in a user tag.
    #[test]
    fn a_terminal_is_never_told_what_to_do() {
        let rows = [["\x1b[2Jalice\r\n\u{202e}".to_owned()]];
        assert_eq!(table(["USER"], &rows), "USER\n\u{FFFD}[2Jalice\u{FFFD}\u{FFFD}\u{FFFD}\n");
    }

    #[test]
    fn numbers_have_the_unit_that_people_would_use() {
        for (number, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_550, "1.6 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), shown);
        }
        assert_eq!(bits_per_second(125_000), "1.0 Mbit/s");
        assert_eq!(bits_per_second(u64::MAX), "18.4 Ebit/s");
        assert_eq!(time(3725), "1h 2m 5s");
    }
}
