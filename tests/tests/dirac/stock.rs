//! Stock Debians, made pilots' machines by the recipe, run a real job.

use std::{env, fs, os::unix::fs::MetadataExt, path::Path, process::Command, time::Duration};

use broker::pilot::{
    rows::{NewPilot, PilotRows, PilotStatus},
    user_data,
};
use secrecy::ExposeSecret;
use serde_json::Value;
use testbeds::{
    host::{
        apt, choice,
        process::{Process, run},
    },
    systems::dirac::{Ce, Dirac},
};

use super::recipes::pilot;

/// What Debian calls 12 and 13.
const DEBIANS: [&str; 2] = ["bookworm", "trixie"];
/// This machine may reach PyPI only with an authority of its own.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command inside of `root`, with processes and mounts of its own, which end with it.
fn inside(root: &Path, line: &str) -> Command {
    const ENTER: &str =
        r#"mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" /bin/sh -ec "$1""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", ENTER]).arg(root).arg(line);
    // Nothing of this machine but how it reaches PyPI.
    let ways = env::vars().filter(|(name, _)| name.to_lowercase().ends_with("_proxy"));
    command.env_clear().envs(ways).env("PATH", PATH).env("HOME", "/root").env("PIP_CERT", "/authorities.crt");
    command
}

/// A fresh Debian at `root`, with what its cloud images have and a debootstrap has not.
fn debian(suite: &str, root: &Path) {
    apt::ensure("a stock Debian", &["debootstrap"]).unwrap();
    run("debootstrap", Command::new("debootstrap").args(["--variant=minbase", suite]).arg(root)).unwrap();
    for file in ["/etc/hosts", "/etc/resolv.conf"] {
        fs::copy(file, root.join(&file[1..])).unwrap();
    }
    fs::copy(AUTHORITIES, root.join("authorities.crt")).unwrap();
}

/// The recipe as diskimage-builder runs it, with the folders that it makes.
fn element(recipe: &Path, root: &Path) {
    let hooks = root.join("tmp/in_target.d");
    fs::create_dir_all(&hooks).unwrap();
    let element = recipe.join("elements/dirac-pilot");
    let mut outside = Command::new(element.join("extra-data.d/50-dirac-pilot"));
    let elements = format!("/usr/share/diskimage-builder/elements:{}", recipe.join("elements").display());
    run("extra-data.d", outside.env("TMP_HOOKS_PATH", &hooks).env("ELEMENTS_PATH", elements)).unwrap();
    fs::create_dir(hooks.join("install.d")).unwrap();
    fs::copy(element.join("install.d/50-dirac-pilot"), hooks.join("install.d/50-dirac-pilot")).unwrap();
    run("install.d", &mut inside(root, "/tmp/in_target.d/install.d/50-dirac-pilot")).unwrap();
    fs::remove_dir_all(hooks).unwrap();
}

/// Does what cloud-init does with the files of the operator's user-data.
fn first_boot(root: &Path, pilot: &broker::pilot::Pilot) {
    let config = user_data::render(pilot, None).unwrap();
    let config: Value = serde_saphyr::from_str(config.expose_secret()).unwrap();
    for file in config["write_files"].as_array().unwrap() {
        let path = root.join(&file["path"].as_str().unwrap()[1..]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file["content"].as_str().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn stock_debians_become_pilots_machines_that_run_a_job_and_not_as_root() {
    if !choice::is_chosen("stock", true) {
        println!("only with --full: Debian and DIRAC's client are installed anew");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let ce = Ce { name: pilot().ce, queues: vec![pilot().queue] };
    let dirac = Dirac::start(&state.path().join("dirac"), &[ce]).await.unwrap();
    let recipe = dirac.recipe().unwrap();
    // These have DIRAC's client of their own, not that of the services.
    let settings = fs::read_to_string(recipe.join("settings")).unwrap();
    let settings: Vec<&str> = settings.lines().filter(|line| !line.starts_with("DIRAC_ENVIRONMENT=")).collect();
    fs::write(recipe.join("settings"), settings.join("\n")).unwrap();
    let rows = super::super::PilotManager::new(super::super::client(
        &dirac,
        "PILOTMANAGER",
        "biomed_admin",
        &dirac.credentials("user").unwrap(),
        30,
    ));

    for (n, suite) in DEBIANS.into_iter().enumerate() {
        let root = state.path().join(suite);
        debian(suite, &root);
        element(&recipe, &root);
        let uid = format!("0c0ffee0-0000-4000-8000-00000000001{n}");
        let pilot = broker::pilot::Pilot {
            reference: broker::pilot::stamp::reference(&uid),
            stamp: broker::pilot::stamp::stamp(&uid),
            ..pilot()
        };
        let row = NewPilot {
            reference: pilot.reference.clone(),
            stamp: pilot.stamp.clone(),
            vo: pilot.vo.clone(),
            site: pilot.site.clone(),
            ce: pilot.ce.clone(),
            queue: pilot.queue.clone(),
        };
        rows.register(&row).await.unwrap();
        first_boot(&root, &pilot);
        dirac.submit("biomed_user", 1, &super::super::JDL.replace("@TAGS@", "")).unwrap();
        let mut vm =
            Process::spawn(suite, inside(&root, "/opt/dirac-pilot/start-pilot"), &state.path().join("pilot.log"))
                .unwrap();
        let done = || {
            dirac.sql("select count(*) from JobDB.Jobs where Status = 'Done'").unwrap().trim() == (n + 1).to_string()
        };
        vm.wait_until("a Done job", Duration::from_secs(180), done).unwrap();
        assert!(vm.wait(Duration::from_secs(180)).unwrap().is_some(), "the pilot ends by itself");
        let row = rows.rows(std::slice::from_ref(&pilot.reference)).await.unwrap().remove(0);
        assert_eq!(row.status, PilotStatus::Done, "the JobAgent says its end");
        for written in ["etc/dirac.cfg", "work"] {
            let owner = fs::metadata(root.join("var/lib/dirac-pilot").join(written)).unwrap().uid();
            assert_ne!(owner, 0, "{written} is of the pilot's user");
        }
        fs::remove_dir_all(&root).unwrap();
        println!("{suite} ran a job");
    }
}
