//! The picture of a scenario: waiting jobs, VMs and cores over time, a line for each policy.

use super::{Figures, Sample};
use crate::time::HOUR;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 70.0;
const COLOURS: [&str; 4] = ["#1f6fb4", "#d1603d", "#3f8f4f", "#7a55a3"];

/// A panel: its title, and its lines: what is drawn, and how the line is dashed.
type Panel = (&'static str, &'static [(fn(&Sample) -> u64, &'static str)]);

const PANELS: [Panel; 3] = [
    ("waiting jobs", &[(|s| s.waiting, "")]),
    ("VMs; dashed: those whose pilot has not asked for work yet", &[(|s| s.vms, ""), (|s| s.booting, "4 3")]),
    ("cores bought; dashed: cores that jobs hold", &[(|s| s.cores, ""), (|s| s.busy, "4 3")]),
];

/// One picture of the runs, each in a colour of its own, as SVG.
pub fn picture(title: &str, runs: &[Figures]) -> String {
    let full = (LEFT + WIDTH + 20.0, 60.0 + PANELS.len() as f64 * (HEIGHT + 50.0));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
        full.0,
        full.1,
        escaped(title)
    );
    for (i, run) in runs.iter().enumerate() {
        let x = LEFT + 200.0 * i as f64;
        let name = escaped(&format!("{}, seed {}", run.policy, run.seed));
        let colour = COLOURS[i % COLOURS.len()];
        out += &format!(
            "<path d=\"M{x} 38h24\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{}\" y=\"42\">{name}</text>\n",
            x + 30.0
        );
    }
    let end = runs.iter().flat_map(|r| r.samples.last()).map(|s| s.at).max().unwrap_or(1).max(1);
    for (i, (name, lines)) in PANELS.iter().enumerate() {
        let top = 80.0 + i as f64 * (HEIGHT + 50.0);
        let values = runs.iter().flat_map(|r| &r.samples).flat_map(|s| lines.iter().map(move |(of, _)| of(s)));
        let most = values.max().unwrap_or(0).max(1);
        out += &frame(name, top, most, end);
        for (run, colour) in runs.iter().zip(COLOURS.iter().cycle()) {
            for (of, dash) in *lines {
                out += &line(&run.samples, *of, top, most, end, colour, dash);
            }
        }
    }
    out + "</svg>\n"
}

fn frame(name: &str, top: f64, most: u64, end: u64) -> String {
    let bottom = top + HEIGHT;
    let mut out = format!(
        "<text x=\"{LEFT}\" y=\"{}\">{name}</text>\n<path d=\"M{LEFT} {top}V{bottom}H{}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{most}</text><text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>\n",
        top - 8.0,
        LEFT + WIDTH,
        LEFT - 6.0,
        top + 8.0,
        LEFT - 6.0
    );
    for quarter in 0..=4_u32 {
        let part = f64::from(quarter) / 4.0;
        out += &format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#555\">{:.1} h</text>\n",
            LEFT + WIDTH * part,
            bottom + 16.0,
            end as f64 * part / HOUR as f64
        );
    }
    out
}

fn line(samples: &[Sample], of: fn(&Sample) -> u64, top: f64, most: u64, end: u64, colour: &str, dash: &str) -> String {
    let point = |s: &Sample| {
        let x = LEFT + WIDTH * s.at as f64 / end as f64;
        let y = top + HEIGHT * (1.0 - of(s) as f64 / most as f64);
        format!("{x:.1},{y:.1}")
    };
    let points: Vec<String> = samples.iter().map(point).collect();
    format!(
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-dasharray=\"{dash}\" points=\"{}\"/>\n",
        points.join(" ")
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
