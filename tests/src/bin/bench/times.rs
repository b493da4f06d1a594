//! What the commands took when they last ran, as they note it in the cache: none of them is run here, each takes too long.

use std::{fs, path::Path};

use anyhow::Result;

/// Command, the figure's name, file, budget.
const ROWS: [(&str, &str, &str, &str); 4] = [
    ("demo", "`cargo xtask demo` to the first picture, nothing cached", "demo-cold", ""),
    ("demo", "`cargo xtask demo` to the first picture, caches warm", "demo-warm", ""),
    ("test", "`cargo xtask test`, nothing cached", "test-cold", "60 min"),
    ("test", "`cargo xtask test`, caches warm", "test-warm", "20 min"),
];

/// What, figure and budget of each row.
pub fn rows() -> Result<Vec<(&'static str, String, &'static str)>> {
    let folder = testbeds::host::cache::dir()?.join("times");
    Ok(ROWS.iter().map(|&(command, what, file, budget)| (what, figure(&folder.join(file), command), budget)).collect())
}

fn figure(noted: &Path, command: &str) -> String {
    match fs::read_to_string(noted).ok().and_then(|text| text.trim().parse::<f64>().ok()) {
        Some(seconds) => {
            let whole = seconds.round() as u64;
            format!("{} min {:02} s, when it last ran here", whole / 60, whole % 60)
        }
        None => format!("not measured here: run `cargo xtask {command}` with the caches so"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_noted_is_shown_and_one_that_was_not_says_how_to_measure_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test-warm");
        assert!(figure(&file, "test").contains("not measured here: run `cargo xtask test`"));
        fs::write(&file, "1624.4\n").unwrap();
        assert_eq!(figure(&file, "test"), "27 min 04 s, when it last ran here");
    }
}
