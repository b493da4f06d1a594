//! The end of the demo: everything is deleted, it is waited for, and said what came of it all.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use testbeds::{
    host::say::{Step, line},
    systems::operator::Operator,
};

use crate::{
    Begun,
    home::{Home, Lives},
    jobs::Numbers,
    signals::{Cut, Signals},
};

/// The VMs go while there is still all that they need to end well: their cloud, DIRAC's address, the operator's rights; and before their
/// pools, with which the operator forgets what it counted for them.
const VMS: &str = "pilotvms";
const OTHERS: [&str; 2] = ["pilotpools", "downtimes,clouds,sites,virtualorganizations,diracinstallations"];

/// What became of a clean-up.
struct Cleaned {
    /// Objects that are left.
    left: Vec<String>,
    /// What the operator counted, when the VMs had gone.
    counted: Counted,
}

/// What the operator counted over all pools.
#[derive(Clone, Copy, Default)]
struct Counted {
    made: f64,
    never_ran_job: f64,
    spent: f64,
}

impl Counted {
    async fn by(operator: &Operator) -> Result<Self> {
        let sum = async |name: &str| operator.metric(&[name]).await;
        Ok(Self {
            made: sum("launches_total").await?,
            never_ran_job: sum("vms_never_ran_job_total").await?,
            spent: sum("spent_total").await?,
        })
    }
}

/// After a start that failed or was interrupted: only somebody else's cluster has anything that does not go with our processes.
pub async fn after_failed_start(begun: &mut Begun, signals: &mut Signals) -> Result<()> {
    let Some(home) = &begun.home else { return Ok(()) };
    if !matches!(home.lives, Lives::Elsewhere(_)) {
        return Ok(());
    }
    match watched(begun, signals).await?.left {
        left if left.is_empty() => Ok(()),
        left => bail!("{} objects are left:\n{}", left.len(), left.join("\n")),
    }
}

/// After the live part, however it ended: cleans up, and then says what came of it.
pub async fn after_life(
    begun: &mut Begun,
    lived: Result<Option<Cut>>,
    signals: &mut Signals,
    seen: Numbers,
) -> Result<ExitCode> {
    let cleaned = watched(begun, signals).await;
    let cut = match lived {
        Ok(cut) => cut,
        Err(error) => {
            match cleaned {
                Ok(Cleaned { left, .. }) if left.is_empty() => line("cleaned up; nothing is left"),
                Ok(Cleaned { left, .. }) => line(&format!("{} objects are left:\n{}", left.len(), left.join("\n"))),
                Err(also) => line(&format!("error while cleaning up: {also:#}")),
            }
            return Err(error);
        }
    };
    let Cleaned { left, counted } = cleaned?;
    let Some(home) = &begun.home else { bail!("nothing was started") };
    summary(seen, counted, &home.clouds_said().await?, left.len() + home.servers_left().await?);
    if !left.is_empty() || home.servers_left().await? > 0 {
        bail!("objects or servers are left:\n{}", left.join("\n"));
    }
    match cut {
        // Ctrl-C is how a demo is meant to end, at any time.
        Some(Cut::Interrupt) => {}
        Some(cut) => return Ok(ExitCode::from(cut.code())),
        None if seen.served == 0 => bail!("no job was served: the first VMs need about a minute, try --for 3m"),
        None => {}
    }
    print("\nNext: read examples/egi and docs/architecture.md, or run `cargo xtask test`.");
    Ok(ExitCode::SUCCESS)
}

/// The clean-up, which a second signal cuts off; what is left.
async fn watched(begun: &mut Begun, signals: &mut Signals) -> Result<Cleaned> {
    tokio::select! {
        cleaned = clean_up(begun) => cleaned,
        _ = signals.next() => bail!("interrupted while cleaning up: look what is left in the namespace of the demo"),
    }
}

async fn clean_up(begun: &mut Begun) -> Result<Cleaned> {
    let home = begun.home.as_mut().context("nothing was started")?;
    let step = Step::start("cleaning up: the pools go, and their VMs with them");
    let mut left = Vec::new();
    let mut counted = Counted::default();
    if home.applied {
        if let Some(operator) = &mut begun.operator
            && !operator.process().is_running()
        {
            // Only an operator frees what carries its finalizer.
            *operator = home.start_operator(&begun.log)?;
            operator.ready().await?;
        }
        // Where somebody deleted the pools, no VM is made either.
        home.kubectl.run(&["scale", "pilotpools", "--all", "--replicas=0", "--namespace", home.namespace]).ok();
        left.extend(delete(home, VMS).await?);
        if let Some(operator) = &begun.operator {
            counted = Counted::by(operator).await?;
        }
        for kinds in OTHERS {
            left.extend(delete(home, kinds).await?);
        }
    }
    let namespace = home.namespace;
    match &mut home.lives {
        Lives::Elsewhere(borrowed) if left.is_empty() => left.extend(borrowed.give_back().await?),
        // Without its rights the operator could not end what is left.
        Lives::Elsewhere(_) => {}
        Lives::Here(_) | Lives::ForReal(_) => {
            home.kubectl.run(&["delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s"])?;
            let vms = home.kubectl.run(&["get", "pilotvms", "--all-namespaces", "--output=name"])?;
            left.extend(vms.lines().map(str::to_owned));
        }
    }
    step.done();
    Ok(Cleaned { left, counted })
}

/// Deletes the objects of some kinds; what is left after three minutes.
async fn delete(home: &Home, kinds: &str) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for turn in 0..360 {
        if turn % 20 == 0 {
            let args = ["delete", kinds, "--all", "--namespace", home.namespace, "--wait=false"];
            home.kubectl.run(&args)?;
        }
        let names = home.kubectl.run(&["get", kinds, "--namespace", home.namespace, "--output=name"])?;
        left = names.lines().map(str::to_owned).collect();
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(left)
}

fn summary(seen: Numbers, counted: Counted, clouds: &[(&str, String)], left: usize) {
    let Counted { made, never_ran_job, spent } = counted;
    print(&format!("jobs arrived              {}", seen.arrived));
    print(&format!("jobs served               {}", seen.served));
    print(&format!("jobs that lost their VM   {} before the clean-up", seen.requeued));
    print(&format!("VMs made                  {made}"));
    for (what, number) in clouds {
        print(&format!("{what:<26}{number}"));
    }
    print(&format!("VMs that never ran a job  {never_ran_job} (those that still booted at the end are among them)"));
    print(&format!("cost                      {spent:.2}"));
    print(&format!(
        "left                      {}",
        if left == 0 { "nothing".to_owned() } else { format!("{left} objects") }
    ));
}

/// A line to standard output, also when nobody reads it any more.
fn print(text: &str) {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").ok();
}
