//! The figures as text for a terminal.

use super::{Figures, Spans};

/// Seconds in the largest two units that matter.
pub fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{:.1} h", seconds as f64 / 3_600.0),
    }
}

pub fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", 100.0 * part / whole) } else { "-".to_owned() }
}

/// A waiting time; of a class of which no job started there is none.
pub fn wait(started: u64, seconds: u32) -> String {
    if started > 0 { time(seconds.into()) } else { "-".to_owned() }
}

/// The figures of one run as text for a terminal.
pub fn text(f: &Figures) -> String {
    let mut out = format!("{}, policy {}, seed {}\n", f.scenario, f.policy, f.seed);
    let mut line = |name: &str, value: String| out.push_str(&format!("  {name:<27} {value}\n"));
    line("VMs made", f.vms_made.to_string());
    line("VMs that never ran a job", format!("{} ({})", f.vms_idle, percent(f.vms_idle as f64, f.vms_made as f64)));
    if f.pools.len() > 1 {
        f.pools.iter().for_each(|of| line("of each pool", of.sentence()));
    }
    line("VM-hours", format!("{:.1}", f.vm_hours));
    line("core-hours bought", format!("{:.1}", f.core_hours_bought));
    line("core-hours used", format!("{:.1} ({})", f.core_hours_used, percent(f.core_hours_used, f.core_hours_bought)));
    line("core-hours of lost jobs", format!("{:.1}", f.core_hours_lost));
    let Spans { never, before, beside, after, .. } = f.spans;
    let free = [
        (before, "before the first job"),
        (beside, "beside jobs"),
        (after, "after the last"),
        (never, "never ran a job"),
    ];
    let free = free.map(|(hours, when)| format!("{} {when}", percent(hours, f.core_hours_bought)));
    line("core-hours free", free.join(", "));
    line("cost", format!("{:.2}", f.cost));
    let [waiting, running, done, failed, lost] = f.jobs;
    line("jobs", format!("{done} done, {failed} failed, {lost} lost, {running} running, {waiting} waiting"));
    line("waiting time", format!("{} median, {} 95th", time(f.wait_median.into()), time(f.wait_95.into())));
    line("all jobs ended after", f.all_ended.map_or("not all did".to_owned(), time));
    let calls: Vec<String> = f.calls.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    line("calls", calls.join(", "));
    let passed: Vec<String> =
        f.passed.iter().map(|p| format!("{}: {} VMs, first after {}", p.limit, p.vms, time(p.first_seconds))).collect();
    line("limits passed", if passed.is_empty() { "none".to_owned() } else { passed.join("; ") });
    f.replaced.iter().for_each(|replaced| line("drift", replaced.sentence()));
    for class in &f.classes {
        let name = format!("{}, {}", class.vo, class.asks);
        let value = format!(
            "{} of {} done, {} failed, {} lost; waited {} median, {} 95th",
            class.done,
            class.arrived,
            class.failed,
            class.lost,
            wait(class.started, class.wait_median),
            wait(class.started, class.wait_95)
        );
        line(&name, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_parts_are_written_for_people() {
        assert_eq!([time(0), time(119), time(120), time(9_000)], ["0 s", "119 s", "2 min", "2.5 h"]);
        assert_eq!([percent(1.0, 3.0), percent(1.0, 0.0)], ["33.3 %", "-"]);
    }
}
