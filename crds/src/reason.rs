//! Reasons: the machine-readable words of conditions, events, ends of VMs, unmet demand and metrics, as the API they are.
//!
//! A word has one meaning wherever it stands. docs/conditions.md is made from this table.

use crate::word::words;

words! {
    /// Why something is as it is.
    pub enum Reason / UnknownReason {
        "All is well" {
            Ready: "The object is valid, everything that it needs is there, and the operator acts on it.", "";
            Supported: "This version acts on everything that the object asks for.", "";
            Resolved: "Every object that this one names exists and fits.", "";
            Read: "DIRAC was read at the last attempt.", "";
            Met: "Every waiting job has a VM or gets one.", "";
            Valid: "The template can be rendered, or the credential is accepted.", "";
            Usable: "VMs can be bought from at least one cloud of the pool.", "";
            Configured: "DIRAC knows everything that pilots on the VMs need.", "";
            NothingToConfigure: "The installation is simulated: there is no DIRAC that would have to know anything.", "";
            Funded: "The budget has something left for new VMs.", "";
            Owned: "No other VirtualOrganization claims a group of this one.", "";
            Answers: "The provider answers.", "";
            Readable: "This version can read every PilotVM of the object.", "";
            Listed: "The provider's last list has every VM of ours that should be in it.", "";
            NotFrozen: "Nothing is held back: of a Cloud, what the provider lists agrees with the PilotVMs, apart from a few VMs; of a pool, no change would drain most of its VMs at once.", "";
            NotPaused: "Nobody has asked for a pause.", "";
            Announced: "The downtime has not reached that stage yet.", "";
            Over: "The downtime is over: all is as before.", "";
            NotDraining: "The reason for which the VM drained is gone: it works on.", "";
            Registered: "The pilot has its row in DIRAC.", "";
            Launched: "The cloud has made the VM.", "";
            Booting: "The VM is there, and its pilot has not asked DIRAC for work yet.", "";
            Running: "The pilot asks DIRAC for work, or runs jobs.", "";
            ServicesRun: "Every part of the managed installation runs.", "";
            DemandKnown: "The task queues can be read again after a time in which they could not.", "";
        }
        "Not known yet" {
            NotRead: "DIRAC has not been read since the operator started.", "Wait for one poll (spec.demand.pollInterval); after that the reason says what fails.";
            NotAsked: "The provider has not been asked since the operator started.", "Wait a minute; after that the reason says what fails.";
            NotTried: "The credential has not been tried, since the provider was not asked or does not answer.", "See the condition Reachable.";
            NotReady: "Something that this step needs is not there yet.", "Wait; the message says for what.";
            DemandUnknown: "The task queues cannot be read, so what waits is unknown: nothing is made and nothing is taken away.", "See the condition DemandRead of the DiracInstallation.";
        }
        "The manifest" {
            NotActedOn: "The object asks for something that this version accepts and does not act on; the rest is done.", "Take out what the message names, or know that it has no effect.";
            NotSupported: "This version cannot do what the object needs before anything else, for example enter a cloud of that kind.", "Use what the message offers instead.";
            ReferenceMissing: "An object, image, network or flavor that this object names does not exist, or does not fit.", "Create it or correct the name; the order does not matter.";
            UserDataInvalid: "The template in machine.userData cannot be rendered, or does not give a cloud-config.", "Correct the template; the message says where it fails. No VM is made until then.";
            ImageMissing: "The cloud has no image under the name for which the pool asks.", "Add the name to spec.images of the Cloud, or correct machine.image of the PilotPool.";
            GroupTaken: "Another VirtualOrganization had a group of this one before, and keeps it: the jobs of that group count as the other's.", "Take the group out of one of the two.";
            DuplicateName: "Another object has the same name in DIRAC (diracName, or CE and queue), or reads the same DIRAC installation: jobs or pilots would be counted twice.", "Give each its own name, or delete one of the two.";
            NoUsableCloud: "VMs can be bought from none of the pool's clouds; the message says what each of them lacks.", "See the conditions of these Clouds.";
            NoSimulatedInstallation: "The site of a simulated cloud belongs to no simulated installation, so no simulated pilot could find a job.", "Use a simulated DiracInstallation with simulated clouds.";
            Malformed: "This version cannot read the object, for example since another version wrote it. A PilotVM counts against every limit all the same.", "Correct the object, or run the version that wrote it.";
        }
        "Secrets and trust" {
            SecretMissing: "The Secret does not exist in the object's namespace.", "Create it; the operator finds it by itself.";
            SecretDeleted: "Somebody deleted the Secret while VMs can be deleted only with it: it stays until they are gone, by its finalizer diracgrid.org/in-use, and nothing is bought with it.", "To renew a credential, change the Secret in place. If it may go at once, with nobody left to delete the VMs: `kubectl annotate secret NAME diracgrid.org/let-go=true`.";
            SecretUnreadable: "The API server did not give the Secret to the operator.", "See whether the operator has its Role in this namespace (the chart's watchNamespaces).";
            SecretIncomplete: "The Secret lacks a key, or a value is empty or not text.", "Add the key that the message names.";
            SecretNotMarked: "The Secret does not say that the operator may use it, so nothing is sent anywhere.", "`kubectl label secret NAME diracgrid.org/credential=true`, if the object that names it may have it.";
            AddressNotAllowed: "The address is not https, or lies in a private network, and the operator was installed without permission for such addresses.", "Use https and a public address, or install the chart with allowHttp or allowPrivateAddresses.";
            PodRoleNotAllowed: "The cloud is entered with the rights of the operator's own pod, and the operator was installed without permission for that, or its pod has no such rights.", "Name a Secret with keys in spec.ec2.auth.secretRef, or install the chart with podRole and give the pod's service account a role.";
            OtherProject: "The credential opens another project than the one in which VMs of ours live; nobody would delete these.", "Put back a credential of that project, or make another Cloud for the new one.";
            RefreshTokenNotKept: "The provider gave another refresh token, and it could not be written into the Secret. The operator has it in memory and tries again; if it stops before, the login is lost.", "See the message: the operator needs the right to patch the Secret, and the Secret must not be immutable. Otherwise log in again and put another refresh token into the Secret.";
            Expired: "The credential has ended.", "Renew it and change the Secret; the operator notices by itself.";
        }
        "What a cloud answers" {
            Unauthorized: "The cloud, or DIRAC, refuses the credential, or the credential has too few rights.", "Renew the credential or give it the right that the message names. It is not tried again at once, so that no account is locked.";
            Invalid: "The cloud refuses what the request says, and would refuse it again.", "Correct what the message names: flavor, image, network, security group.";
            NotFound: "The cloud says that there is no such thing.", "Correct the name, if it stands in a manifest.";
            MissingFromLists: "The cloud's list lacks VMs of ours, and nobody has proved that they are gone: each is asked for by its id, and counts as alive until then.", "Nothing, when it passes. When it lasts: ask the provider whether a part of the cloud is down.";
            Conflict: "The cloud refuses the request since something else is being done with the same thing. It is tried again.", "";
            NoCapacity: "The cloud has no room for this flavor now. Other offerings are tried, and this one again later.", "Add another flavor or cloud to the pool, or ask the provider for capacity.";
            QuotaExceeded: "The project's quota is used up, by us or by others in the project.", "Ask the provider for more quota, or let the pool use another cloud.";
            Throttled: "The cloud asks for a pause, which is kept.", "Lower spec.requests of the Cloud when it happens often.";
            Transient: "The cloud did not answer, or failed. It is tried again.", "When it lasts: see the cloud's own status, its address, and the network policy.";
            Unclear: "The cloud was asked to make a VM and the outcome is not known. The VM is looked for, and no second one is asked for, until it is.", "";
        }
        "What DIRAC answers" {
            ReadInPart: "DIRAC's task queues were read, apart from some that this version does not understand. Their jobs get no VM.", "See which version DIRAC runs; the message says what is wrong with one of them.";
            JobsUnknown: "The pilots' rows were read, but not which of the pilots' jobs run. A VM that had a job when they were last read is taken to be busy.", "See the message: the address spec.external.jobMonitoring of the DiracInstallation, and DIRAC's JobMonitoring.";
            NotConfigured: "DIRAC lacks something without which pilots cannot start or get no jobs. The message names the first of it. VMs are made all the same.", "`dirac-operator check --namespace NAMESPACE --installation NAME` prints the very lines to add to DIRAC's configuration; docs/dirac.md explains them.";
            BadUrl: "The address of the DIRAC service cannot be used.", "Correct it in spec.external of the DiracInstallation.";
            BadCredentials: "The certificate, key or authorities in the Secret cannot be read or do not belong together.", "Put a certificate, its key and ca.crt in PEM form into the Secret.";
            CertificateExpired: "The operator's own certificate has ended.", "Renew it in the Secret; the operator notices by itself.";
            CertificateNotYetValid: "The operator's own certificate is not valid yet.", "Wait, or correct the clock of the machine that runs the operator.";
            CertificateRefused: "The certificate of the DIRAC service, or ours, is refused.", "Put the authority that signed the service's host certificate into ca.crt; the message says whose is refused.";
            NoTls: "What answers at this address does not speak TLS.", "Correct host and port.";
            Unreachable: "Nothing answers at this address.", "Correct host and port, and see whether firewalls and the chart's networkPolicy let DISET's ports out.";
            Timeout: "The service took the connection and did not answer in time.", "See the log of the DIRAC service.";
            UnknownMethod: "The service does not have a method that the operator needs.", "See whether the address is that of the right service; DIRAC 9 is needed.";
            ServiceError: "The service answered with an error of its own, which the message repeats.", "See the log of the DIRAC service.";
            AnswerTooLarge: "The answer is larger than is read.", "See whether the address is that of the right service.";
            Garbage: "The answer is not what the protocol says.", "See whether the address is that of the right service, and which version it runs.";
        }
        "A managed installation" {
            PartsNotReady: "A part of the installation does not run yet, or does not run now. Parts are made stage by stage: what comes after it waits.", "Wait while it is being made. When it lasts: `kubectl describe` and `kubectl logs` of the part that the message names.";
            ManifestImpossible: "The manifest asks for something that cannot be done, so nothing of it is changed.", "Correct what the message names.";
            ManagedNotAllowed: "The operator was installed without permission to run installations.", "Install the chart with managed.enabled.";
            KeysMissing: "The Secret with the installation's passwords and keys is gone or not whole, although its volumes are there. New ones would not fit: nothing is changed.", "Put the Secret back from a backup. If the data may be lost: delete the volumes that the message names.";
        }
        "Why jobs wait" {
            NoPool: "No PilotPool serves the VO.", "Name the VO in spec.vos of a PilotPool and of its Site.";
            GroupUnclaimed: "Jobs of groups that no VirtualOrganization names wait in DIRAC, and get no VM.", "Add the groups to spec.groups of a VirtualOrganization, or leave their jobs to other resources.";
            NoMatch: "Pools serve the VO, and none takes these jobs; the message names what the closest one lacks.", "Change matching (tags, maxCpuTime) or the flavors of a pool, or make another pool for such jobs.";
            NoOffering: "The pool's clouds have no usable flavor that the pool takes.", "See the conditions of the clouds, and machine of the pool.";
            PoolMax: "The pool has as many VMs as it may have.", "Raise spec.scaling.max; `kubectl scale pool NAME --replicas N` does it.";
            VoLimit: "The VO holds as much as it may.", "Raise spec.limits of the VirtualOrganization.";
            CloudCeiling: "The VMs of all pools hold as much of the cloud as they may.", "Raise spec.ceiling of the Cloud.";
            CloudQuota: "The provider's quota leaves no room.", "Ask the provider for more; the message says what more of it would bring.";
            VmsFail: "The last VMs of this offering never asked for work, so no more are bought for a while.", "See the console logs of these VMs (ConfigMaps with the label diracgrid.org/console): image, userData, network.";
            Ramp: "No more VMs of this kind may be on their way until some of them have shown that they can be had and that they work. At first that is one order of a flavor, and eight VMs that boot; each VM that the cloud makes, and each pilot that asks for work, doubles that.", "Wait until the cloud has made the first VMs and their pilots ask for work. When none does: see the console logs of these VMs.";
            NeverMatched: "VMs of this kind asked DIRAC for work and never got a job of this kind, so few more are bought for it.", "See the site mask, and which site, platform, CE or tags the jobs ask for; one VM at a time goes on trying.";
            JobsDie: "Jobs of this kind ended within two minutes on VMs of this kind, so few more are bought for it.", "See the jobs' logs in DIRAC, and the image of the pool.";
            SiteLimit: "The VMs of the site hold as much as they may.", "Raise spec.limits of the Site.";
            InstallationLimit: "The VMs of the installation hold as much as they may.", "Raise spec.limits of the DiracInstallation.";
            Budget: "What is left of the VO's budget does not pay for another VM.", "Raise spec.budget of the VirtualOrganization, or wait: what was spent a period ago counts no more.";
            NoPrice: "The VO has a budget in money, and no price in its currency is known of what could be bought.", "Name the prices in spec.prices of the Cloud, and its spec.currency where budgets count in several. For machines that cost nothing: spec.budget.withoutPrice: Free.";
            Downtime: "A Downtime closes the cloud, now or soon, and the jobs would not end before it begins; what may stay is used.", "Wait until it is over, raise spec.keep of the Downtime, or add another cloud to the pool.";
            CredentialEnds: "The credential of the cloud has ended, or ends before the jobs would, and nobody could delete VMs after that. What ends in time is still bought; VMs drain before it.", "Renew the credential in its Secret; VMs that drained for it work on. Or add another cloud to the pool.";
            Pace: "One round makes no more VMs; the next one goes on.", "Wait for the next round.";
            Held: "VMs are planned and none is made, since something must be known or cleared first: the message says what.", "Do as the message says; where it names nothing to do, it passes.";
            PilotVMsNotMade: "The API server did not take the PilotVMs that were decided.", "See the message; often a quota or an admission webhook of the namespace.";
        }
        "Nothing is done until a person says so" {
            Paused: "The annotation diracgrid.org/paused holds: nothing is made or taken away here; all is still shown.", "`kubectl annotate KIND NAME diracgrid.org/paused-` ends the pause.";
            MassLoss: "Many VMs of ours are gone from the cloud at once. They are not believed gone, nothing is replaced, and their jobs count as running.", "Look at the cloud. If they are really gone: `kubectl annotate cloud NAME diracgrid.org/acknowledge-change=N` with the number in the message.";
            MassChange: "A change would drain more than half of the pool's VMs that run, and more than five, at once: a limit was lowered, or image, user-data, flavors or VOs of the pool are others. None of them drains, and VMs that drained before go on.", "Put the manifest back. If these VMs are to go: `kubectl annotate pool NAME diracgrid.org/acknowledge-change=N` with the number in the message.";
            OrphansNotAcknowledged: "Many VMs carry our tag and have no PilotVM, for example after the cluster was restored from a backup. None of them is deleted.", "If they may go with their jobs: `kubectl annotate cloud NAME diracgrid.org/acknowledge-orphans=N` with the number in the message.";
        }
        "Waiting to go" {
            Deleting: "The object was deleted, and goes as soon as what needs it is gone.", "Wait; the message counts what it waits for.";
            Draining: "Of a pool: it was deleted or scaled to 0, so that no new VM is made, and the ones with jobs go when their jobs are done. Of a VM: it goes when it has no job; its condition Draining says why.", "Wait. The pool's VMs with their jobs, at once: `kubectl annotate pool NAME diracgrid.org/delete-vms=now`.";
            Drifted: "The VM is not as its pool says any more: it runs with another image, flavor or user-data, or belongs to a VO that the pool serves no more. It goes when it has no job, and where jobs wait a new one is made.", "Wait; spec.disruption of the pool says how many go at a time, and when. To keep such VMs, put the manifest back: they work on.";
            VMsLeft: "The downtime has begun, and VMs are still there beyond what may stay. They drain; the operator kills no job.", "Wait until their jobs are done. To lose these jobs: `kubectl delete pvm NAME`; the message says how to find the VMs.";
            WaitsForCloud: "The VM must be deleted at its cloud, which cannot be asked now.", "Mend the Cloud or its Secret. If the VM can never be deleted from here: `kubectl annotate pvm NAME diracgrid.org/let-go=true`.";
            WaitsForDirac: "The pilot's row must be closed in DIRAC, or its jobs given back to DIRAC's queue, and DIRAC cannot be asked now or refuses it.", "Mend the DiracInstallation or its Secret. If its DIRAC is gone for good: `kubectl annotate pvm NAME diracgrid.org/let-go=true`.";
            ReclaimAnnounced: "The provider has announced that it takes the VM back.", "Buy OnDemand where that happens too often (machine.purchase).";
            RebalanceAnnounced: "The provider would rather have the VM elsewhere, and may take it back soon.", "Buy OnDemand where that happens too often (machine.purchase).";
            MaintenanceAnnounced: "The provider has announced that it stops the VM for work on its host.", "Ask the provider how long it takes; jobs that are still there then may be lost.";
            ApiServer: "The API server did not take a write. It is tried again.", "When it lasts: see the message, and the operator's rights.";
        }
        "How a VM ended" {
            Idle: "The VM stopped by itself, since its pilot found no more work. The usual end.", "";
            Surplus: "It was given back while it had no job: the jobs for which it was made are gone, or it was to drain.", "";
            Deleted: "Somebody deleted the PilotVM, and the VM went with it.", "";
            NeverRan: "It stopped before its pilot asked for work.", "See its console log: image, userData, network.";
            BootDeadlineMissed: "Its pilot did not ask for work within scaling.bootDeadline.", "See its console log. Raise bootDeadline if the image only boots slowly.";
            LaunchTimedOut: "The cloud made no VM within scaling.bootDeadline.", "See the conditions of its Cloud and DiracInstallation.";
            Vanished: "Somebody else deleted the VM at the provider, which says that there is no such VM.", "Ask which people have rights in the project.";
            Reclaimed: "The provider took the VM back, as it may with one that was bought as Spot. What becomes of the jobs that ran there, spec.external.lostJobs of the DiracInstallation says.", "Buy OnDemand where that happens too often (machine.purchase).";
            PilotSilent: "Its pilot had no job, since it first asked for work or since its last one ended, for longer than scaling.idleTimeout and a grace, and the VM did not stop by itself.", "See its console log, and whether what starts the pilot obeys DIRAC_IDLE_TIMEOUT.";
            HardLimit: "It was older than scaling.maxLifetime and the longest job together, so no job can still be within its time.", "See which job ran last. Keep maxLifetime well above matching.maxCpuTime.";
            Other: "Another version of the operator ended it, for a reason that this one does not know.", "Look the reason up in the documentation of that version.";
        }
        "Events beside these" {
            Ended: "A VM's life ended; the message begins with the reason.", "Look the reason up here.";
            OrphanDeleted: "A VM with our tag had no PilotVM and was deleted.", "A few after a crash are usual. Many: see whether two clusters use one id (the chart's clusterId).";
            JobsGivenBack: "Jobs that DIRAC had on a pilot whose VM is gone were put back into DIRAC's queue: others get them.", "Nothing. Where it happens often, see what ends the VMs: their event Reclaimed or Ended says it.";
            JobsNotGivenBack: "Jobs that DIRAC had on a pilot whose VM is gone could not be put back into its queue: DIRAC had rescheduled them as often as it does, or could not be asked for an hour, or refused.", "See the message. `dirac-operator check` says whether the operator's group has the property JobAdministrator; the owners may reschedule their jobs by hand (`dirac-wms-job-reschedule`).";
            RowLeft: "A pilot's row could not be closed in DIRAC and was left as it is.", "DIRAC's own cleaning closes it later.";
            LetGo: "Somebody said by annotation that the object goes without its cloud or DIRAC.", "Look for the VM at the provider: nobody else deletes it.";
        }
    }
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;
