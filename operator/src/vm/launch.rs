//! The launch: row registered, VM made or adopted, both written down. Every call may be repeated; a crash between two is healed by
//! the next attempt.

use std::collections::BTreeMap;

use broker::{
    clock::moment,
    cloud::{Attempt, Choice, CloudError, Disposition, Order, Owner, Purchase, Scope, Vm},
    pilot::rows::{NewPilot, PilotStatus},
};
use crds::PilotVM;
use kube::ResourceExt;

use super::{Error, pilot};
use crate::{
    context::Context,
    crash::crash_point,
    ending::{Ending, Why},
    known::{cloud::Question, place::Lot},
    names::{Key, server},
    trouble::Trouble,
};

/// What a row says when its pilot has a VM.
pub const EXISTS: &str = "the VM exists";

/// How a launch ended.
pub enum Launched {
    /// The VM is there, and the row says this.
    Made(Vm, PilotStatus),
    /// The same order will not make a VM. An earlier attempt may have: the cloud is asked before the PilotVM goes.
    Refused(CloudError),
    /// What its pool says cannot be ordered from this cloud.
    Unfit(Ending),
}

/// Registers the row and makes the VM.
pub async fn launch(ctx: &Context, vm: &PilotVM) -> Result<Launched, Error> {
    let key = Key::of(vm);
    let cloud_key = key.beside(&vm.spec.cloud_ref.name);
    let cloud = ctx.state.clouds.get(&cloud_key);
    let facts = cloud.facts();
    let driver = facts.driver.ok_or_else(|| not_ready("cloud", &cloud_key, facts.not_driven.as_ref()))?;
    let installation_key = key.beside(&vm.spec.installation_ref.name);
    let installation = ctx.state.installations.get(&installation_key).facts();
    let rows = installation
        .rows
        .ok_or_else(|| not_ready("installation", &installation_key, installation.not_reached.as_ref()))?;
    let Some(offers) = facts.offers else {
        return Err(Error::NotReady(format!("the offers of cloud {cloud_key} have not been read yet")));
    };
    let Some(image_id) = offers.images.get(&vm.spec.image).map(|image| image.id.clone()) else {
        let message = format!("cloud {cloud_key} has no image {:?}: see its condition Resolved", vm.spec.image);
        return Ok(Launched::Unfit(Ending::unfit(Why::ImageMissing, message)));
    };
    let pilot = pilot::describe(&ctx.state, vm);
    let new = new_pilot(vm);
    let user_data = match pilot::contextualise(&ctx.state, vm, &pilot) {
        Ok(user_data) => user_data,
        Err(error) => return Ok(Launched::Unfit(Ending::unfit(Why::UserDataInvalid, error.to_string()))),
    };
    let order = Order {
        owner: owner(ctx, vm),
        attempt: attempt(ctx, vm),
        name: server(&key.name),
        choices: vec![Choice {
            flavor: vm.spec.offering.flavor.clone(),
            zone: vm.spec.offering.zone.clone(),
            purchase: Purchase::OnDemand,
            max_price_micros: None,
        }],
        image_id,
        user_data,
        pilot,
        metadata: metadata(vm),
    };

    crash_point("register-row");
    rows.register(&new).await.map_err(|source| Error::Row { what: "registered", source })?;
    let mut planned = None;
    ctx.state.memory.note(&order.owner.uid, |m| planned = m.planned.take());
    if let Some(planned) = planned {
        ctx.metrics.ordered(ctx.clock.now().duration_since(planned));
    }
    crash_point("create-vm");
    let uid = &order.owner.uid;
    // A call that is cut off leaves its attempt in doubt.
    ctx.state.memory.note(uid, |m| m.attempt = Some(Attempt { repeated: true, ..order.attempt }));
    let outcome = driver.create(&order).await;
    let in_doubt = matches!(outcome, Err(CloudError::Unclear { .. }));
    ctx.state.memory.note(uid, |m| m.attempt = Some(Attempt { repeated: in_doubt, ..order.attempt }));
    let place = Lot::of(vm).place;
    let machine = match outcome {
        Ok(machine) => machine,
        Err(error) => {
            return match error.disposition() {
                Disposition::Retry | Disposition::RetryAfter(_) | Disposition::LookUntil(_) => {
                    Err(Error::Cloud { what: "make the VM", source: error })
                }
                Disposition::Elsewhere(scope) => {
                    cloud.refused(scope, &place, moment());
                    Ok(Launched::Refused(error))
                }
                Disposition::GiveUp | Disposition::Gone => {
                    if matches!(error, CloudError::Unauthorized(_)) {
                        // Nothing more is bought here until the poller has had a better answer.
                        cloud.not_answered(Question::Launch, &error, moment());
                    }
                    // A credential that may read and not make VMs would else be tried at every round.
                    cloud.refused(Scope::Offer, &place, moment());
                    ctx.bells.poll(&cloud_key);
                    Ok(Launched::Refused(error))
                }
            };
        }
    };
    cloud.granted(&place, moment());
    crash_point("row-waiting");
    let row = match rows.set_status(&new, PilotStatus::Waiting, EXISTS).await {
        Ok(()) => PilotStatus::Waiting,
        Err(error) => {
            // It is written when the rows are read next.
            tracing::warn!(vm = %key, %error, "the pilot's row still says Submitted");
            PilotStatus::Submitted
        }
    };
    Ok(Launched::Made(machine, row))
}

fn not_ready(kind: &str, key: &Key, trouble: Option<&Trouble>) -> Error {
    let why = trouble.map_or("the operator has not looked at it yet", |t| t.message.as_str());
    Error::NotReady(format!("{kind} {key} cannot be used now: {why}"))
}

/// The attempt that is in doubt, or the next.
fn attempt(ctx: &Context, vm: &PilotVM) -> Attempt {
    let last = ctx.state.memory.of(&vm.uid().unwrap_or_default()).attempt;
    match last {
        Some(doubted) if doubted.repeated => doubted,
        last => Attempt { n: last.map_or(1, |a| a.n.saturating_add(1)), since: ctx.clock.now(), repeated: false },
    }
}

/// Whose the VM is.
pub fn owner(ctx: &Context, vm: &PilotVM) -> Owner {
    Owner { cluster: ctx.state.cluster.clone(), uid: vm.uid().unwrap_or_default() }
}

/// The pilot's row.
pub fn new_pilot(vm: &PilotVM) -> NewPilot {
    let uid = vm.uid().unwrap_or_default();
    NewPilot {
        reference: broker::pilot::stamp::reference(&uid),
        stamp: broker::pilot::stamp::stamp(&uid),
        vo: vm.spec.dirac_vo.clone(),
        site: vm.spec.site.clone(),
        ce: vm.spec.ce.clone(),
        queue: vm.spec.queue.clone(),
    }
}

/// For people who look at the VM at the provider's.
fn metadata(vm: &PilotVM) -> BTreeMap<String, String> {
    let words = [
        ("dirac_pool", &vm.spec.pool_ref.name),
        ("dirac_vo", &vm.spec.dirac_vo),
        ("dirac_site", &vm.spec.site),
        ("dirac_ce", &vm.spec.ce),
    ];
    words.into_iter().map(|(k, v)| (k.to_owned(), v.clone())).collect()
}
