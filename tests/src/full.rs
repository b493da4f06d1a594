//! How much a layer does: its short form, which every run has, or its full form.

/// Whether the full form is wanted: `cargo xtask test --full` says so by `DIRAC_OPERATOR_TEST_FULL=1`.
pub fn full() -> bool {
    std::env::var_os("DIRAC_OPERATOR_TEST_FULL").is_some_and(|value| value == "1")
}
