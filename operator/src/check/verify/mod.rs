//! The command `verify`: says once whether an operator can do its work here: its rights, the kinds as this version writes them, and
//! whether one leads. `helm test` runs it in a pod, with the operator's account. It writes nothing.

mod rights;
mod schema;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Client,
    api::{ApiResource, Object, PostParams},
    core::NotUsed,
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    api::LONGEST_CALL,
    args::{Release, Verify},
};
use rights::{OURS, needed};

/// A leader renews its Lease each four seconds; a new one takes it after fifteen.
const PATIENCE: Duration = Duration::from_secs(40);
const BETWEEN: Duration = Duration::from_secs(1);

/// Whether something is as it must be, and the sentence that says so.
struct Said {
    ok: bool,
    text: String,
}

/// Runs it; what it prints goes to standard output. Exit code 0: it can do its work; 1: it cannot, or nobody could say.
pub async fn run(args: Verify) -> ExitCode {
    let said = match all(&args).await {
        Ok(said) => said,
        Err(error) => vec![Said { ok: false, text: format!("{error:#}") }],
    };
    for Said { ok, text } in &said {
        println!("{:<8} {text}", if *ok { "ok" } else { "missing" });
    }
    if said.iter().all(|said| said.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn all(args: &Verify) -> anyhow::Result<Vec<Said>> {
    let client = Client::try_default().await.context("no Kubernetes API server is configured: set KUBECONFIG")?;
    let mut said = may(&client, args).await?;
    said.extend(kinds(&client).await?);
    said.push(leader(&client, &args.release).await?);
    Ok(said)
}

/// One call, which ends in time.
async fn call<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
    let answer = timeout(LONGEST_CALL, call).await;
    answer
        .with_context(|| format!("the API server did not answer when {what}"))?
        .with_context(|| format!("it failed when {what}"))
}

/// The rights, each asked for by itself.
async fn may(client: &Client, args: &Verify) -> anyhow::Result<Vec<Said>> {
    let api = kube::Api::all(client.clone());
    let mut said = Vec::new();
    for right in needed(args) {
        let (mut has, mut has_not) = (Vec::new(), Vec::new());
        for verb in right.verbs {
            let (post, review) = (PostParams::default(), right.review(verb));
            let answer = call("it was asked what the operator may", api.create(&post, &review)).await?;
            let list = if answer.status.is_some_and(|status| status.allowed) { &mut has } else { &mut has_not };
            list.push(*verb);
        }
        for (ok, word, verbs) in [(true, "may", has), (false, "may not", has_not)] {
            if !verbs.is_empty() {
                said.push(Said { ok, text: format!("it {word} {} {}", verbs.join(", "), right.place()) });
            }
        }
    }
    Ok(said)
}

/// The kinds, as the API server tells them to everybody.
async fn kinds(client: &Client) -> anyhow::Result<Vec<Said>> {
    let path = format!("/openapi/v3/apis/{OURS}/{}", crds::VERSION);
    let request = http::Request::get(&path).body(Vec::new()).context("the path of the kinds")?;
    let told: Value = match call("it was asked for the kinds", client.request(request)).await {
        Ok(told) => told,
        Err(error) => {
            bail!("the API server has no kinds {OURS}/{}: install the chart's CRDs ({error:#})", crds::VERSION)
        }
    };
    let definitions = crds::generate::definitions().map_err(anyhow::Error::msg)?;
    definitions
        .into_iter()
        .map(|definition| {
            let kind = &definition.spec.names.kind;
            let ours = serde_json::to_value(&definition)?;
            let ours = &ours["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            Ok(match schema::of_kind(&told, kind).map(|theirs| schema::lacks(ours, theirs)) {
                None => Said { ok: false, text: format!("there is no kind {kind}: install the chart's CRDs") },
                Some(lacks) if lacks.is_empty() => {
                    Said { ok: true, text: format!("the kind {kind} has every field of this version") }
                }
                Some(lacks) => {
                    let text = format!(
                        "the kind {kind} is of another version, and lacks {}: install the chart's CRDs",
                        lacks.join(", ")
                    );
                    Said { ok: false, text }
                }
            })
        })
        .collect()
}

/// Whether one leads: its Lease changes while we look, whatever the clocks say.
async fn leader(client: &Client, release: &Release) -> anyhow::Result<Said> {
    type Held = Object<Option<Value>, NotUsed>;
    let api: kube::Api<Held> =
        kube::Api::namespaced_with(client.clone(), &release.namespace, &ApiResource::erase::<Lease>(&()));
    let name = format!("{}/{}", release.namespace, release.lease_name);
    let ends = Instant::now() + PATIENCE;
    let mut before: Option<(String, Option<String>)> = None;
    loop {
        let lease = call("it was asked for the Lease", api.get_opt(&release.lease_name)).await?;
        let now = lease.and_then(|lease| {
            let holder = lease.spec?["holderIdentity"].as_str().filter(|name| !name.is_empty())?.to_owned();
            Some((holder, lease.metadata.resource_version))
        });
        match (&before, &now) {
            (Some((was, then)), Some((is, version))) if was == is && then != version => {
                return Ok(Said {
                    ok: true,
                    text: format!("{is} leads: the Lease {name} was renewed while we looked"),
                });
            }
            _ if Instant::now() >= ends => {
                let text = match now {
                    None => format!("nobody holds the Lease {name}: no operator runs"),
                    Some((holder, _)) => format!("{holder} holds the Lease {name} and does not renew it"),
                };
                return Ok(Said { ok: false, text });
            }
            _ => {}
        }
        before = now.or(before);
        sleep(BETWEEN).await;
    }
}
