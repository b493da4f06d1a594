//! What the commands took when they last ran, as `cargo xtask` notes it in the cache: none of them is run here, each takes too long.

use std::{collections::BTreeMap, fs, io, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

const FILE: &str = "times.json";
/// Command, the figure's name, which of the two times, budget.
const ROWS: [(&str, &str, bool, &str); 4] = [
    ("demo", "`cargo xtask demo`, nothing cached", true, ""),
    ("demo", "`cargo xtask demo`, caches warm", false, ""),
    ("test", "`cargo xtask test`, nothing cached", true, "60 min"),
    ("test", "`cargo xtask test`, caches warm", false, "20 min"),
];

/// Seconds of one command.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Times {
    cold: Option<f64>,
    warm: Option<f64>,
}

/// What, figure and budget of each row.
pub fn rows() -> Result<Vec<(&'static str, String, &'static str)>> {
    let noted = read(&testbeds::cache::dir()?.join(FILE))?;
    Ok(ROWS.iter().map(|&(command, what, cold, budget)| (what, figure(&noted, command, cold), budget)).collect())
}

fn read(path: &Path) -> Result<BTreeMap<String, Times>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{} is no list of times: delete it and run the commands again", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn figure(noted: &BTreeMap<String, Times>, command: &str, cold: bool) -> String {
    let times = noted.get(command).copied().unwrap_or_default();
    match if cold { times.cold } else { times.warm } {
        Some(seconds) => {
            let whole = seconds.round() as u64;
            format!("{} min {:02} s, when it last ran here", whole / 60, whole % 60)
        }
        None if cold => format!("not measured here: run `cargo xtask {command}` on a machine without our cache"),
        None => format!("not measured here: run `cargo xtask {command}` a second time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_noted_is_shown_and_one_that_was_not_says_how_to_measure_it() {
        let noted = serde_json::from_str(r#"{"test": {"warm": 1624.4}}"#).unwrap();
        assert_eq!(figure(&noted, "test", false), "27 min 04 s, when it last ran here");
        assert!(figure(&noted, "test", true).contains("not measured here: run `cargo xtask test`"));
        assert!(figure(&noted, "demo", false).contains("not measured here: run `cargo xtask demo`"));
    }

    #[test]
    fn no_file_is_no_times_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert!(read(&path).unwrap().is_empty());
        fs::write(&path, "{").unwrap();
        assert!(read(&path).is_err());
    }
}
