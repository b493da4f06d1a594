//! What a check of a hostile template takes of memory, counted at the allocator. One test, since the count is the process's.

use broker::pilot::user_data::{Verdicts, check};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// Bytes beyond what was held before that `what` took at its worst.
fn peak(what: impl FnOnce()) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    what();
    MEMORY.peak_usage().saturating_sub(before)
}

#[test]
fn no_template_takes_more_than_a_few_mebibytes() {
    let laughs: String =
        (0..10).map(|n: usize| format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n.max(1) - 1).repeat(9))).collect();
    let templates = [
        "a: &a {{ 'x' * 1000000 }}\nb: [{{ '*a, ' * 64 }}1]".to_owned(),
        "a: &a {{ 'x' * 1000 }}\nb: [{{ '*a, ' * 64 }}1]".to_owned(),
        laughs,
        "{{ 'x' * 600000 }}".to_owned(),
        "{{ ('x' * 300000) | quote | b64 }}".to_owned(),
        "{{ (\"'\" * 300000) | quote | length }}".to_owned(),
        "{% for x in range(10000) %}{{ 'x' * 10000 }}{% endfor %}".to_owned(),
        "{{ range(10000) | join('x' * 10000) }}".to_owned(),
        "{{ ('x' * 10000) | replace('', 'y' * 10000) }}".to_owned(),
        "{{ '%99999999d' | format(1) }}".to_owned(),
        "{{ 'x' | indent(99999999, true) }}".to_owned(),
        "a: [{{ '{},' * 1900 }}]".to_owned(),
        "a: {{ 'x\n ' * 15000 }}".to_owned(),
        "{{vo}}".repeat(2_000),
        "{{".repeat(8_000),
        "#".repeat(16_000),
    ];
    for template in &templates {
        let taken = peak(|| drop(check(template)));
        let begins: String = template.chars().take(60).collect();
        println!("{taken:>9} bytes for {begins:?}");
        assert!(taken < 6 * MIB, "{taken} bytes for {begins:?}");
    }
    let verdicts = Verdicts::new(512);
    let before = MEMORY.current_usage();
    for n in 0..5_000 {
        drop(verdicts.of(&format!("{{{{ nobody{n} }}}}")));
    }
    let kept = MEMORY.current_usage().saturating_sub(before);
    println!("{kept:>9} bytes kept of 5000 verdicts");
    assert!(kept < 2 * MIB, "{kept} bytes are kept of 5000 verdicts");
}
