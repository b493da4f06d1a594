//! Which of the long tests a person asked for, by environment variables that `cargo xtask test` sets or a developer does.

use std::env;

/// Set by `cargo xtask test --full`: what takes long is run too.
const FULL: &str = "DIRAC_OPERATOR_TEST_FULL";
/// Names of scenarios with commas between them: these alone are run, also without `FULL`. Empty or not set: all.
const SCENARIOS: &str = "DIRAC_OPERATOR_TEST_SCENARIOS";

/// Whether everything is run, and not only the short form of each layer.
pub fn is_full() -> bool {
    env::var(FULL).is_ok_and(|value| value == "1")
}

/// Whether a scenario is run that is part of the short form or, where `is_long`, only of the full one.
pub fn is_chosen(name: &str, is_long: bool) -> bool {
    chooses(env::var(SCENARIOS).ok().as_deref(), is_full(), name, is_long)
}

fn chooses(named: Option<&str>, full: bool, name: &str, is_long: bool) -> bool {
    match named.filter(|named| !named.is_empty()) {
        Some(named) => named.split(',').any(|one| one.trim() == name),
        None => full || !is_long,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_scenario_is_run_when_all_is_asked_for_or_when_it_is_named() {
        assert!(chooses(None, false, "cell", false) && chooses(Some(""), false, "cell", false));
        assert!(!chooses(None, false, "hung", true));
        assert!(chooses(None, true, "hung", true));
        assert!(chooses(Some("cell, hung"), false, "hung", true));
        assert!(!chooses(Some("cell"), true, "hung", true));
    }
}
