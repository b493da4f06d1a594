//! What the command `check` prints of an installation: a table, then the lines to add and what else is to be done. Pure.

use std::fmt;

use broker::readiness::{Finding, State, holds, lines};

use crate::names::Key;

/// What came of looking at one installation.
pub struct Report {
    pub key: Key,
    pub outcome: Outcome,
}

/// What came of it.
pub enum Outcome {
    /// DIRAC was looked at.
    Looked {
        findings: Vec<Finding>,
        /// Whether the object names a DiracX too.
        has_diracx: bool,
    },
    /// There is no DIRAC.
    Simulated,
    /// It is managed: its services have no address outside the cluster that the manifest would name.
    Managed,
    /// DIRAC could not be asked, for example since the Secret lacks a key: a sentence.
    NotReached(String),
}

impl Outcome {
    /// Whether all is well; `None`: nobody could say.
    fn holds(&self) -> Option<bool> {
        match self {
            Self::Looked { findings, .. } => holds(findings),
            Self::Simulated => Some(true),
            Self::Managed | Self::NotReached(_) => None,
        }
    }
}

/// 0: all is well everywhere; 1: something lacks somewhere; 2: nothing lacks that could be looked at, and not everything could.
pub fn exit_code(reports: &[Report]) -> u8 {
    let holds = |wanted| reports.iter().any(|report| report.outcome.holds() == wanted);
    if holds(Some(false)) { 1 } else { 2 * u8::from(holds(None)) }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "DiracInstallation {}", self.key)?;
        match &self.outcome {
            Outcome::Simulated => {
                writeln!(f, "ok       it is simulated: there is no DIRAC that would have to know anything\n")
            }
            Outcome::Managed => {
                writeln!(f, "unknown  it is managed: the operator itself looks at it, see its condition DiracReady\n")
            }
            Outcome::NotReached(why) => writeln!(f, "unknown  DIRAC could not be asked: {}\n", plain(why)),
            Outcome::Looked { findings, has_diracx } => {
                if *has_diracx {
                    writeln!(f, "note     spec.external.diracx is not asked: this version speaks DISET alone")?;
                }
                looked(f, findings)
            }
        }
    }
}

fn looked(f: &mut fmt::Formatter<'_>, findings: &[Finding]) -> fmt::Result {
    let width = findings.iter().map(|finding| finding.place.chars().count()).max().unwrap_or_default();
    for finding in findings {
        let (word, text) = match finding.state {
            State::Met => ("ok", finding.needed.clone()),
            State::Missing => ("missing", format!("needs {}; there is {}", finding.needed, finding.found)),
            State::Unknown => ("unknown", format!("needs {}; {}", finding.needed, finding.found)),
        };
        writeln!(f, "{word:<8} {:<width$}  {}", plain(&finding.place), plain(&text))?;
    }
    let lines = lines(findings);
    if let Some(lines) = &lines {
        writeln!(
            f,
            "\nAdd these lines to DIRAC's configuration. For example put them into a file lacks.cfg, and in dirac-configuration-cli"
        )?;
        writeln!(f, "say `mergeFromFile lacks.cfg` and `writeToServer`:\n\n{lines}")?;
    }
    let steps: Vec<&String> = findings.iter().flat_map(|finding| &finding.steps).collect();
    if !steps.is_empty() {
        writeln!(f, "{}Then:", if lines.is_none() { "\n" } else { "" })?;
        steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
    }
    writeln!(f)
}

/// Words of others, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
