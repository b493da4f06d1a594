//! The pages of docs/ that are made from what this crate and the chart say, so that none of them can be stale.

pub mod conditions;
pub mod kinds;
pub mod values;

use std::fmt::Write;

/// Path in docs/ and text of each page; `values` and `schema` are the chart's values.yaml and values.schema.json.
///
/// An error says what cannot be read.
pub fn pages(values: &str, schema: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = vec![(conditions::FILE.to_owned(), conditions::conditions())];
    all.extend(kinds::pages()?);
    all.push((values::FILE.to_owned(), values::page(values, schema)?));
    Ok(all)
}

/// A table with this head: each row is as long as the head.
fn table<const N: usize>(page: &mut String, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    // Writing to a String does not fail.
    let _ = write!(page, "| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.map(|cell| cell.replace('\n', " ").replace('|', "\\|")).join(" | "));
    }
}

/// Words that a value may be: `A, B or C`.
fn one_of(words: &[String]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> String {
        std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_default()
    }

    #[test]
    fn the_pages_in_docs_are_the_ones_that_are_made() {
        let chart = |file: &str| read(&format!("charts/dirac-operator/{file}"));
        for (file, text) in pages(&chart("values.yaml"), &chart("values.schema.json")).unwrap() {
            assert!(read(&format!("docs/{file}")) == text, "docs/{file} is stale: run `cargo xtask generate`");
        }
    }
}
