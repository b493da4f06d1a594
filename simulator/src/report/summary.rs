//! Several seeds of one scenario in a few lines: how much the figures vary.

use std::collections::BTreeMap;

use super::{Figures, text::time};

/// For each policy the least, the middle and the most of the main figures over all seeds.
pub fn summary(runs: &[Figures]) -> String {
    let mut by_policy: BTreeMap<&str, Vec<&Figures>> = BTreeMap::new();
    for run in runs {
        by_policy.entry(&run.policy).or_default().push(run);
    }
    let mut out = String::new();
    for (policy, runs) in by_policy {
        let passed = runs.iter().filter(|f| !f.passed.is_empty()).count();
        out += &format!("policy {policy}, {} seeds: least, middle, most; limits passed in {passed}\n", runs.len());
        let part = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
        let mut line = |name: &str, of: &dyn Fn(&Figures) -> f64, write: &dyn Fn(f64) -> String| {
            let mut values: Vec<f64> = runs.iter().map(|f| of(f)).collect();
            values.sort_by(f64::total_cmp);
            let [least, middle, most] = [0, values.len() / 2, values.len() - 1].map(|i| write(values[i]));
            out += &format!("  {name:<27} {least}, {middle}, {most}\n");
        };
        line("VMs made", &|f| f.vms_made as f64, &|v| format!("{v:.0}"));
        line("never ran a job", &|f| part(f.vms_idle as f64, f.vms_made as f64), &|v| format!("{v:.1} %"));
        line("core-hours bought", &|f| f.core_hours_bought, &|v| format!("{v:.1}"));
        line("used", &|f| part(f.core_hours_used, f.core_hours_bought), &|v| format!("{v:.1} %"));
        line("cost", &|f| f.cost, &|v| format!("{v:.2}"));
        line("waiting time, 95th", &|f| f64::from(f.wait_95), &|v| time(v as u64));
    }
    out
}
