//! The EC2 stand-in does what the other layers count on. boto3 speaks to it here: no line of the driver's SDK judges it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use testbeds::{
    host::{process::run, root, until::until},
    systems::ec2::{Ec2, Loss, Purchase, Reclaims},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs one of the Python files in `testbed_ec2/`; what it says of its checks.
fn checked(it: &Ec2, name: &str) {
    let script = root().join("tests/tests/testbed_ec2").join(name);
    let said = run(name, it.python().arg("-B").arg(script)).unwrap();
    assert!(said.lines().count() > 2, "{name} has checked something: {said}");
    eprint!("{said}");
}

/// Processes of this machine whose command line has `word`.
fn processes(word: &str) -> usize {
    let has = |pid: &Path| {
        fs::read(pid.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(word))
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| has(&entry.path())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_and_fleets_are_as_aws_documents() {
    let folder = tempfile::tempdir().unwrap();
    let it = Ec2::start(&folder.path().join("ec2")).await.unwrap();
    checked(&it, "launches.py");
    checked(&it, "fleets.py");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_calls_are_as_aws_documents() {
    let folder = tempfile::tempdir().unwrap();
    let it = Ec2::start(&folder.path().join("ec2")).await.unwrap();
    checked(&it, "listings.py");
    checked(&it, "calls.py");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_do_their_user_data_and_end_with_their_instances_and_with_the_testbed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("ec2");
    let it = Ec2::start(&state).await.unwrap();
    checked(&it, "guests.py");
    let image = tempfile::tempdir().unwrap();
    fs::write(image.path().join("pilot"), "in the image").unwrap();
    it.in_the_image(image.path(), "/opt/image").unwrap();
    let script = "#!/bin/sh\ncat /opt/image/pilot\nsleep 600\n";
    let id = it.run_with(&BTreeMap::new(), "last", Purchase::OnDemand, script).await.unwrap();
    until("the guest is up", PATIENCE, async || {
        let said = it.old_console(&id);
        if said.contains("in the image") { Ok(()) } else { Err(said) }
    })
    .await
    .unwrap();
    let here = state.display().to_string();
    assert!(processes(&here) > 1, "the stand-in and its guest");
    drop(it);
    until("nothing of the testbed is left", PATIENCE, async || match processes(&here) {
        0 => Ok(()),
        some => Err(format!("{some} processes")),
    })
    .await
    .unwrap();
}

/// What the other layers do with it from Rust.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_has_hands_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let it = Ec2::start(&folder.path().join("ec2")).await.unwrap();
    assert_eq!(
        it.subnets().iter().map(|(_, zone)| zone.as_str()).collect::<Vec<_>>(),
        ["eu-west-3a", "eu-west-3b", "eu-west-3c"]
    );
    assert!(it.subnets().iter().all(|(id, _)| *id != it.other_subnet()));
    assert!(["default", "newer", "gpu", "arm"].iter().all(|word| it.images()[*word].starts_with("ami-")));
    assert!(it.queue_url().starts_with(&it.endpoint()) && it.web_identity_token().is_file());
    let tags = BTreeMap::from([("dirac-cluster".to_owned(), "c".to_owned())]);
    let first = it.run_instance(&tags, "one").await.unwrap();
    assert_eq!(it.run_instance(&tags, "one").await.unwrap(), first, "one token, one instance");
    let spot = it.run_with(&tags, "two", Purchase::Spot, "").await.unwrap();
    let all = it.instances().await.unwrap();
    let of = |id: &str| all.iter().find(|one| one.id == id).unwrap();
    assert_eq!(
        (of(&first).spot, of(&first).tags.clone(), of(&first).client_token.as_str()),
        (false, tags.clone(), "one")
    );
    assert_eq!((of(&spot).spot, of(&spot).quota_class.as_deref()), (true, Some("L-34B43A08")));
    let taken = it.storm(1.0, Duration::ZERO).await.unwrap();
    assert_eq!(taken, std::slice::from_ref(&spot), "only Spot instances are taken back");
    let often = Reclaims { kind: "m5.*".to_owned(), zone: "*".to_owned(), per_hour: 36_000.0 };
    it.reclaim_at_random(1, &[often], Duration::ZERO).await.unwrap();
    let another = it.run_with(&tags, "three", Purchase::Spot, "").await.unwrap();
    it.power_off(&first).await.unwrap();
    until("all have ended", PATIENCE, async || {
        let all = it.instances().await.map_err(|e| e.to_string())?;
        if all.iter().all(|one| one.state == "terminated") { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .await
    .unwrap();
    let ends = it.history().await.unwrap().into_iter().filter(|e| e.what == "terminated");
    let ends: BTreeMap<String, Option<String>> = ends.map(|e| (e.id, e.reason)).collect();
    assert_eq!(ends[&first].as_deref(), Some("Client.InstanceInitiatedShutdown"));
    assert_eq!(ends[&spot].as_deref(), Some("Server.SpotInstanceTermination"));
    assert_eq!(ends[&another].as_deref(), Some("Server.SpotInstanceTermination"), "at random");
    let wrong = it.reclaim(&first, Duration::ZERO).await.unwrap_err().to_string();
    assert!(wrong.contains("refuses reclaim"), "{wrong}");
    it.lose(Loss::Late(Duration::from_secs(1))).await.unwrap();
    it.lose(Loss::Answer(500, "InternalError".to_owned(), "An internal error has occurred".to_owned())).await.unwrap();
    assert_eq!(it.losses_left().await.unwrap(), 2);
    assert_eq!(it.calls().await.unwrap(), BTreeMap::new(), "what a test does is no call");
}

#[test]
fn it_is_started_by_hand_and_taken_down() {
    let folder = tempfile::tempdir().unwrap();
    let run = |action: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
        let output = command.args([action, "ec2", "--state"]).arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let exported = run("up");
    for words in
        ["export AWS_ENDPOINT_URL=http://127.0.0.1:", "export AWS_SHARED_CREDENTIALS_FILE=", "subnet-", "(default)"]
    {
        assert!(exported.contains(words), "no {words} in {exported}");
    }
    let credentials = folder.path().join("ec2/credentials");
    let secret = fs::read_to_string(&credentials).unwrap();
    let secret = secret.lines().last().unwrap().split(" = ").last().unwrap().to_owned();
    assert!(secret.len() == 40 && !exported.contains(&secret), "the secret is in the file only");
    assert_eq!(run("status"), exported);
    run("down");
    assert_eq!(processes(&folder.path().display().to_string()), 0);
}
