//! What the demo shows: what the queue wants, what the VMs do, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{IsTerminal, Write as _, stdout},
    process::Command,
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use testbeds::systems::kubectl::Kubectl;

use crate::jobs::Numbers;

/// The picture, drawn again each second on a terminal; a line now and then elsewhere.
pub struct View {
    namespace: &'static str,
    drawn: usize,
    /// VMs whose reason was said, where nothing is drawn.
    said: BTreeSet<String>,
    /// What happened, for people: it stays in the picture.
    events: Vec<String>,
}

impl View {
    pub fn new(namespace: &'static str) -> Self {
        Self { namespace, drawn: 0, said: BTreeSet::new(), events: Vec::new() }
    }

    /// Something happened, which is shown from now on.
    pub fn say(&mut self, sentence: String) {
        self.events.push(sentence);
    }

    /// Time between two pictures.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(if stdout().is_terminal() { 1 } else { 10 })
    }

    /// Draws.
    pub fn show(&mut self, kubectl: &Kubectl, numbers: &Numbers, since: Duration, end: Option<Duration>) -> Result<()> {
        let left = end.map(|e| format!(" of {} s", e.as_secs())).unwrap_or_default();
        let mut head = format!(
            "{:>4} s{left}   jobs: {} arrived, {} waiting, {} running, {} served",
            since.as_secs(),
            numbers.arrived,
            numbers.waiting,
            numbers.running,
            numbers.served
        );
        let vms: Value = serde_json::from_str(&kubectl.run(&[
            "get",
            "pilotvms",
            "--namespace",
            self.namespace,
            "--output=json",
        ])?)?;
        let items = vms["items"].as_array().cloned().unwrap_or_default();
        let mut unmet = self.unmet(kubectl)?;
        unmet.extend(self.events.iter().cloned());
        if !stdout().is_terminal() {
            let count = |phase: &str| items.iter().filter(|vm| vm["status"]["phase"] == phase).count();
            let mut text = format!(
                "{head}   VMs: {} booting, {} running, {} ending{}\n",
                count("Booting"),
                count("Running") + count("Draining"),
                count("Ending"),
                by_cloud(&items)
            );
            for vm in &items {
                let (name, vo, flavor, why) = about(vm);
                if self.said.insert(name.clone()) {
                    writeln!(text, "       new: {name} for {vo} of flavor {flavor}: {why}")?;
                }
            }
            for sentence in &unmet {
                if self.said.insert(sentence.clone()) {
                    writeln!(text, "       {sentence}")?;
                }
            }
            // The reader may have gone.
            stdout().write_all(text.as_bytes()).ok();
            return Ok(());
        }
        let size = size();
        head.push_str(&by_cloud(&items));
        self.draw(&picture(&head, &unmet, &items, size))
    }

    /// What gets no VM and why, as pools, VOs and the installation say it: each sentence once.
    fn unmet(&self, kubectl: &Kubectl) -> Result<BTreeSet<String>> {
        let kinds = "pilotpools,virtualorganizations,diracinstallations";
        let all: Value =
            serde_json::from_str(&kubectl.run(&["get", kinds, "--namespace", self.namespace, "--output=json"])?)?;
        Ok(sentences(&all))
    }

    /// Draws over the last picture.
    fn draw(&mut self, lines: &[String]) -> Result<()> {
        let mut out = stdout().lock();
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        writeln!(out, "{}", lines.join("\n"))?;
        out.flush()?;
        self.drawn = lines.len();
        Ok(())
    }
}

/// The lines of a picture: what gets no VM stands before the VMs, since a terminal of 24 rows ends in the middle of them. What does not
/// fit into so many rows and columns is cut: a terminal that scrolls could not be drawn over.
fn picture(head: &str, unmet: &BTreeSet<String>, vms: &[Value], (rows, columns): (usize, usize)) -> Vec<String> {
    let rows = rows.saturating_sub(1);
    let mut lines = vec![head.to_owned(), String::new()];
    let told = unmet.len().min(rows / 2);
    lines.extend(unmet.iter().take(told).cloned());
    if told < unmet.len() {
        lines.push(format!("and {} more sentences of this kind", unmet.len() - told));
    }
    if !unmet.is_empty() {
        lines.push(String::new());
    }
    let width = vms.iter().map(|vm| about(vm).2.len()).max().unwrap_or_default().max(8);
    lines.push(format!("{:<10} {:<8} {:<width$} {:<9} why", "VM", "VO", "flavor", "phase"));
    let room = rows.saturating_sub(lines.len());
    // The last row says what is left out.
    let drawn = if vms.len() <= room { vms.len() } else { room.saturating_sub(1) };
    for vm in &vms[..drawn] {
        let phase = vm["status"]["phase"].as_str().unwrap_or("Pending");
        let (name, vo, flavor, why) = about(vm);
        lines.push(format!("{name:<10} {vo:<8} {flavor:<width$} {phase:<9} {why}"));
    }
    if drawn < vms.len() {
        lines.push(format!("and {} more VMs", vms.len() - drawn));
    }
    lines.into_iter().take(rows).map(|line| line.chars().take(columns).collect()).collect()
}

/// The unmet demand in the statuses of these objects.
fn sentences(all: &Value) -> BTreeSet<String> {
    let lists = all["items"].as_array().into_iter().flatten().filter_map(|o| o["status"]["unmet"].as_array());
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let sentence = |u: &Value| format!("{} jobs of {} get no VM: {}", u["jobs"], word(&u["vo"]), word(&u["message"]));
    lists.flatten().map(sentence).collect()
}

/// Name, VO, flavor and reason of a VM.
fn about(vm: &Value) -> (String, String, String, String) {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let spot = if is_spot(vm) { " (Spot)" } else { "" };
    (
        word(&vm["metadata"]["name"]),
        word(&vm["spec"]["vo"]),
        format!("{}{spot}", word(&vm["spec"]["offering"]["flavor"])),
        word(&vm["spec"]["reason"]),
    )
}

fn is_spot(vm: &Value) -> bool {
    vm["spec"]["offering"]["purchase"] == "Spot"
}

/// How many VMs are of which cloud, and how many are Spot, where more than one cloud has any or one is Spot.
fn by_cloud(vms: &[Value]) -> String {
    let mut clouds: BTreeMap<&str, usize> = BTreeMap::new();
    for vm in vms {
        *clouds.entry(vm["spec"]["cloudRef"]["name"].as_str().unwrap_or("-")).or_default() += 1;
    }
    let spot = vms.iter().filter(|vm| is_spot(vm)).count();
    if clouds.len() < 2 && spot == 0 {
        return String::new();
    }
    let each: Vec<String> = clouds.iter().map(|(cloud, number)| format!("{number} at {cloud}")).collect();
    format!(" ({}; {spot} Spot)", each.join(", "))
}

/// Rows and columns of the terminal, asked for each time: it may be made smaller.
fn size() -> (usize, usize) {
    let ask = || {
        let answer = Command::new("stty").arg("size").stdin(File::open("/dev/tty").ok()?).output().ok()?;
        parse(&String::from_utf8_lossy(&answer.stdout))
    };
    ask().unwrap_or((24, 80))
}

/// What `stty size` says; a terminal that does not know its size says zero.
fn parse(answer: &str) -> Option<(usize, usize)> {
    let (rows, columns) = answer.trim().split_once(' ')?;
    let size = (rows.parse().ok()?, columns.parse().ok()?);
    (size.0 > 1 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pool_and_vo_both_say_is_shown_once() {
        let unmet =
            serde_json::json!([{"vo": "biomed", "jobs": 3, "reason": "PoolMax", "message": "the pool is full"}]);
        let object = serde_json::json!({"status": {"unmet": unmet}});
        let said = sentences(&serde_json::json!({"items": [object, object, {"status": {}}, {}]}));
        assert_eq!(said.into_iter().collect::<Vec<_>>(), ["3 jobs of biomed get no VM: the pool is full"]);
    }

    #[test]
    fn on_24_rows_with_25_vms_what_gets_no_vm_is_read_before_the_vms_and_the_rest_is_counted() {
        let vm = |n: usize| {
            serde_json::json!({
                "metadata": {"name": format!("cpu-{n}")}, "status": {"phase": "Running"},
                "spec": {"vo": "biomed", "offering": {"flavor": "small"}, "reason": "a job waits"},
            })
        };
        let vms: Vec<Value> = (0..25).map(vm).collect();
        let unmet = BTreeSet::from(["3 jobs of biomed get no VM: the pool is full".to_owned()]);
        let lines = picture("60 s", &unmet, &vms, (24, 80));
        assert_eq!(lines.len(), 23, "the cursor has the last row");
        let (words, table) = lines.split_at(4);
        assert_eq!(words, ["60 s", "", "3 jobs of biomed get no VM: the pool is full", ""]);
        assert!(table[0].starts_with("VM ") && table[1].starts_with("cpu-0 "), "{table:?}");
        assert_eq!((table[17].split(' ').next(), table[18].as_str()), (Some("cpu-16"), "and 8 more VMs"));

        let many = (0..30).map(|n| format!("sentence {n}, which is longer than the terminal is wide")).collect();
        let lines = picture("60 s", &many, &vms, (24, 40));
        assert_eq!((lines.len(), lines[13].as_str()), (23, "and 19 more sentences of this kind"));
        assert!(lines.iter().all(|line| line.len() <= 40) && lines[15].starts_with("VM "), "{lines:?}");
        assert_eq!(picture("60 s", &many, &vms, (2, 80)), ["60 s"]);
        assert_eq!(picture("60 s", &BTreeSet::new(), &vms[..2], (24, 80)).len(), 5, "all of them, and nothing else");
    }

    #[test]
    fn vms_are_counted_by_cloud_where_there_is_a_choice() {
        let vm = |cloud: &str, purchase: &str| {
            serde_json::json!({
                "metadata": {"name": "cpu-1"},
                "spec": {"vo": "biomed", "cloudRef": {"name": cloud}, "offering": {"flavor": "c8", "purchase": purchase}, "reason": "so"},
            })
        };
        let (lyon, paris) = (vm("lyon", "OnDemand"), vm("paris", "Spot"));
        assert_eq!(by_cloud(&[lyon.clone(), lyon.clone()]), "");
        assert_eq!(by_cloud(&[lyon.clone(), paris.clone(), lyon]), " (2 at lyon, 1 at paris; 1 Spot)");
        assert_eq!(about(&paris).2, "c8 (Spot)");
    }

    #[test]
    fn a_terminal_without_a_size_is_not_believed() {
        assert_eq!(parse("40 132\n"), Some((40, 132)));
        assert_eq!(parse("0 0\n"), None);
        assert_eq!(parse(""), None);
    }
}
