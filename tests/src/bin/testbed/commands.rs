//! `up`, `down` and `status`, as a person meets them: news go to standard error, what a shell may evaluate to standard output.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream, ToSocketAddrs},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testbeds::{host::say::Step, systems::controlplane::build};

use crate::{
    place::{Found, Place, Ready, Record},
    system::{System, quoted},
};

/// How long a holder may take to end its system before it is killed. It lets an installation of packages finish.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts what is missing, one after the other, and returns when all is ready.
pub async fn up(places: &[Place], state: &Path, at: Ipv4Addr) -> Result<()> {
    for place in places {
        let name = place.system.name();
        match place.look()? {
            Found::Up(record, ready) => {
                eprintln!("{name} runs already, for {}", record.age());
                check(place, &record, &ready)?;
                say(&ready);
                continue;
            }
            Found::Starting(record) => bail!(
                "{name} is being started by another `up` for {}; wait for it, or end it with: cargo xtask testbed down {name}",
                record.age()
            ),
            Found::Stale(record) => clean(place, &record)?,
            Found::Nothing => {}
        }
        let step = Step::start(format!("starting {name}"));
        place.clear()?;
        let mut holder = spawn(place, state, at)?;
        tokio::select! {
            ready = wait(place, &mut holder) => {
                let ready = ready?;
                step.done();
                say(&ready);
            }
            _ = tokio::signal::ctrl_c() => {
                holder_ends(place, i32::try_from(holder.id())?)?;
                bail!("interrupted; {name} was ended, what was up before still is");
            }
        }
    }
    if places.iter().any(|p| matches!(p.system, System::Controlplane | System::Cluster)) {
        let kubectl = build::kubectl()?;
        if let Some(folder) = kubectl.parent().filter(|_| !build::is_on_path(&kubectl)) {
            eprintln!("kubectl is not on your PATH; for this shell: export PATH={}:\"$PATH\"", quoted(folder));
        }
    }
    eprintln!("everything is in {0}; to end it: cargo xtask testbed down --state {0}", state.display());
    Ok(())
}

/// Ends what runs, the newest kind first.
pub fn down(places: &[Place]) -> Result<()> {
    for place in places.iter().rev() {
        let name = place.system.name();
        match place.look()? {
            Found::Nothing => eprintln!("{name} does not run"),
            Found::Stale(record) => clean(place, &record)?,
            Found::Starting(record) | Found::Up(record, _) => {
                holder_ends(place, record.pid)?;
                eprintln!("{name} has ended after {}; its logs stay in {}", record.age(), place.folder.display());
            }
        }
    }
    Ok(())
}

/// Says what there is.
pub fn status(places: &[Place]) -> Result<()> {
    for place in places {
        let name = place.system.name();
        match place.look()? {
            Found::Nothing => eprintln!("{name} does not run"),
            Found::Stale(record) => clean(place, &record)?,
            Found::Starting(record) => {
                eprintln!("{name} is starting, for {}; its log is {}", record.age(), place.log().display());
            }
            Found::Up(record, ready) => {
                eprintln!("{name} runs for {}; its logs are in {}", record.age(), place.folder.join("log").display());
                for (what, address) in unreachable(&ready) {
                    eprintln!("{name}: {what} does not answer on {address}; look at the logs, or `down` and `up`");
                }
                say(&ready);
            }
        }
    }
    Ok(())
}

fn say(ready: &Ready) {
    for line in &ready.reach {
        println!("{line}");
    }
}

/// The holder was killed; watchdogs have ended what it held, so what is left is its record.
fn clean(place: &Place, record: &Record) -> Result<()> {
    eprintln!(
        "{} was up and its holder (process {}) is gone without a word: the system ended with it; that is cleaned now",
        place.system.name(),
        record.pid
    );
    place.forget()
}

fn check(place: &Place, record: &Record, ready: &Ready) -> Result<()> {
    match unreachable(ready).first() {
        None => Ok(()),
        Some((what, address)) => bail!(
            "{0} is held by process {1}, and {what} does not answer on {address}; end it first: cargo xtask testbed down {0}",
            place.system.name(),
            record.pid
        ),
    }
}

fn unreachable(ready: &Ready) -> Vec<&(String, String)> {
    let answers = |address: &str| {
        let mut addresses = address.to_socket_addrs().into_iter().flatten();
        addresses.any(|a| TcpStream::connect_timeout(&a, Duration::from_secs(2)).is_ok())
    };
    ready.listens.iter().filter(|(_, address)| !answers(address)).collect()
}

fn spawn(place: &Place, state: &Path, at: Ipv4Addr) -> Result<Child> {
    let log = File::create(place.log()).with_context(|| format!("cannot write {}", place.log().display()))?;
    let mut holder = Command::new(std::env::current_exe()?);
    holder.args(["hold", place.system.name(), "--state"]).arg(state).args(["--at", &at.to_string()]);
    // A folder that may be deleted under it is no place for a process that stays.
    holder.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    holder.spawn().context("cannot start a holder")
}

/// Waits until the system is ready, and passes on what its holder says.
async fn wait(place: &Place, holder: &mut Child) -> Result<Ready> {
    let mut log = File::open(place.log())?;
    loop {
        let ended = holder.try_wait()?;
        let mut news = Vec::new();
        log.read_to_end(&mut news)?;
        std::io::stderr().write_all(&news)?;
        if let Some(status) = ended {
            bail!(
                "{} did not come up ({status}); what its holder said is above and in {}, the logs of its processes are in {}",
                place.system.name(),
                place.log().display(),
                place.folder.join("log").display()
            );
        }
        let theirs = |r: &Record| u32::try_from(r.pid) == Ok(holder.id());
        if let Found::Up(record, ready) = place.look()?
            && theirs(&record)
        {
            return Ok(ready);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Has the holder end, and waits until nobody has the lock.
fn holder_ends(place: &Place, pid: i32) -> Result<()> {
    for (signal, patience) in [(Signal::SIGTERM, PATIENCE), (Signal::SIGKILL, Duration::from_secs(10))] {
        // It may be gone by itself just now.
        kill(Pid::from_raw(pid), signal).ok();
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if place.take()?.is_some() {
                return place.forget();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    bail!("process {pid}, which holds {}, does not end even when it is killed", place.system.name())
}
