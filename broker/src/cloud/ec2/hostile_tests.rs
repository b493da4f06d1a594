//! Of an endpoint that does its worst: nothing of it costs more memory or time than it may, no part of a list passes for the whole, and no
//! secret comes back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use secrecy::SecretString;

use super::{Config, Credential, Ec2Cloud, ImageRef, http::Http};
use crate::{
    address::Policy,
    clock::Clock,
    cloud::{
        Attempt, Choice, Cloud, CloudError, Offers, Order, Owner, Pace, Purchase, Rate, Room, Shape, Wanted,
        site::{Asked, Said, Site},
    },
    pilot::Pilot,
};

const SESSION: &str = "hunter2-of-the-session-with-forty-letters";
const USER_DATA: &str = "#cloud-config\npassword: hunter2-of-the-pilot\n";
/// Where EC2 is asked: all calls are one POST.
const CALL: &str = "POST /";

fn config(address: &str) -> Config {
    let credential = Credential::Keys {
        id: "AKIDEXAMPLE".to_owned(),
        secret: "hunter2-of-the-keys".into(),
        session_token: Some(SESSION.into()),
        expires: None,
    };
    Config {
        region: "eu-west-3".to_owned(),
        endpoint: Some(address.to_owned()),
        credential,
        role: None,
        session: "test".to_owned(),
        addresses: Policy::OPEN,
        subnets: vec!["subnet-1".to_owned()],
        security_groups: Vec::new(),
        images: BTreeMap::from([("default".to_owned(), ImageRef::Id("ami-1".to_owned()))]),
        launch_template: None,
        root_volume_gib: None,
        queue: None,
        gpus: BTreeMap::new(),
    }
}

fn cloud_of(config: Config) -> Ec2Cloud {
    let many = std::num::NonZeroU32::MIN.saturating_add(9_999);
    let pace = Arc::new(Pace::new(Rate { per_second: many, burst: many }));
    Ec2Cloud::new(config, pace, Room::default(), Clock::system()).unwrap()
}

/// The driver of an endpoint that answers everything so.
async fn hostile(answer: impl Fn() -> Said + Send + 'static) -> (Site, Ec2Cloud) {
    let site = Site::serve(move |_| answer()).await;
    let cloud = cloud_of(config(&site.address));
    (site, cloud)
}

/// Holds that a list fails with an error that says this, and that it may come again.
async fn refused(cloud: &Ec2Cloud, words: &str) {
    let outcome = cloud.list("k").await;
    assert!(matches!(&outcome, Err(CloudError::Transient(said)) if said.contains(words)), "{words}: {outcome:?}");
}

/// An instance of the cluster `k`, as EC2 lists it.
fn instance(id: &str) -> String {
    format!(
        "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>running</name></instanceState><tagSet>\
         <item><key>dirac-operator:cluster</key><value>k</value></item><item><key>dirac-operator:pilotvm</key><value>u</value></item>\
         </tagSet></item></instancesSet></item>"
    )
}

fn list(instances: &str, next: &str) -> String {
    format!(
        "<DescribeInstancesResponse><reservationSet>{instances}</reservationSet><nextToken>{next}</nextToken></DescribeInstancesResponse>"
    )
}

fn order() -> Order {
    Order {
        owner: Owner { cluster: "k".to_owned(), uid: "u".to_owned() },
        name: "dirac-u".to_owned(),
        attempt: Attempt { n: 1, since: jiff::Timestamp::now(), repeated: false, look_only: false },
        choices: vec![Choice { flavor: "m5.large".to_owned(), ..Choice::default() }],
        image_id: "ami-1".to_owned(),
        user_data: SecretString::from(USER_DATA),
        pilot: Pilot::default(),
        metadata: BTreeMap::new(),
    }
}

/// What an account that works and sells one type says to this call.
fn usual(asked: &Asked) -> String {
    let action = asked.body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default();
    let inside = match action {
        "DescribeImages" => {
            "<imagesSet><item><imageId>ami-1</imageId><imageState>available</imageState><architecture>x86_64</architecture>\
             <rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName></item></imagesSet>"
        }
        "DescribeSubnets" => {
            "<subnetSet><item><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><availabilityZone>z</availabilityZone>\
             <availableIpAddressCount>9</availableIpAddressCount></item></subnetSet>"
        }
        "DescribeInstanceTypes" => {
            "<instanceTypeSet><item><instanceType>m5.large</instanceType><supportedUsageClasses><item>on-demand</item><item>spot</item>\
             </supportedUsageClasses><processorInfo><supportedArchitectures><item>x86_64</item></supportedArchitectures></processorInfo>\
             <vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo></item></instanceTypeSet>"
        }
        "DescribeInstanceTypeOfferings" => {
            "<instanceTypeOfferingSet><item><instanceType>m5.large</instanceType><location>z</location></item></instanceTypeOfferingSet>"
        }
        "DescribeSpotPriceHistory" => {
            "<spotPriceHistorySet><item><instanceType>m5.large</instanceType><availabilityZone>z</availabilityZone>\
             <spotPrice>0.03</spotPrice><timestamp>2026-11-30T12:00:00Z</timestamp></item></spotPriceHistorySet>"
        }
        "GetCallerIdentity" => "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>",
        _ => "",
    };
    format!("<{action}Response>{inside}</{action}Response>")
}

/// Whether a call is this action.
fn is(asked: &Asked, action: &str) -> bool {
    asked.body.split('&').any(|pair| pair.strip_prefix("Action=") == Some(action))
}

/// What an account offers whose answers to one action never end: each page has another token.
async fn offers(endless: &'static str, config: impl Fn(&str) -> Config) -> Result<Offers, CloudError> {
    let mut n = 0;
    let site = Site::serve(move |asked| {
        let usual = usual(asked);
        n += 1;
        let end = format!("</{endless}Response>");
        Said::new(
            200,
            if is(asked, endless) { usual.replace(&end, &format!("<nextToken>{n}</nextToken>{end}")) } else { usual },
        )
    })
    .await;
    let shape = Shape {
        flavors: vec!["m5.large".to_owned()],
        purchase: vec![Purchase::OnDemand, Purchase::Spot],
        ..Shape::default()
    };
    cloud_of(config(&site.address)).offers(&Wanted { shapes: vec![shape] }).await
}

#[tokio::test]
async fn an_answer_of_a_hundred_megabytes_is_not_read_whether_its_length_is_said_or_not() {
    let huge = || Said::new(200, vec![b' '; 100 << 20]);
    refused(&hostile(huge).await.1, "larger than").await;
    refused(&hostile(move || huge().of_unsaid_length()).await.1, "larger than").await;
    let (_site, wordy) = hostile(|| Said::new(403, vec![b'x'; 2 << 20])).await;
    assert!(wordy.list("k").await.is_err(), "of a refusal the beginning is enough");
}

#[tokio::test]
async fn entities_nesting_and_very_many_entries_are_not_understood() {
    let bomb = "<!DOCTYPE D [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\">]>";
    let nested = "<a>".repeat(1 << 20) + &"</a>".repeat(1 << 20);
    let many = list(&"<item/>".repeat(1 << 20), "");
    for body in [format!("{bomb}{}", list(&instance("i-1"), "")), nested, many] {
        refused(&hostile(move || Said::new(200, body.clone())).await.1, "not understood").await;
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_is_not_taken_for_whole() {
    let whole = list(&[instance("i-1"), instance("i-2")].concat(), "");
    let (_site, honest) = hostile({
        let whole = whole.clone();
        move || Said::new(200, whole.clone()).of_unsaid_length()
    })
    .await;
    assert_eq!(honest.list("k").await.unwrap().len(), 2);
    let half = whole[..whole.find("i-2").unwrap()].to_owned();
    refused(&hostile(move || Said::new(200, half.clone()).of_unsaid_length()).await.1, "not understood").await;
}

#[tokio::test]
async fn a_list_that_never_ends_is_given_up() {
    let (site, turns) = hostile(|| Said::new(200, list(&instance("i-1"), "again"))).await;
    refused(&turns, "does not end").await;
    assert_eq!(site.asked(CALL), 2, "the token of the page itself leads nowhere");
    let mut n = 0;
    let site = Site::serve(move |_| {
        n += 1;
        Said::new(200, list(&instance(&format!("i-{n}")), &n.to_string()))
    })
    .await;
    refused(&cloud_of(config(&site.address)), "does not end after 50 pages").await;
    assert_eq!(site.asked(CALL), 50);
}

#[tokio::test]
async fn texts_that_are_none_of_ec2s_are_not_kept() {
    let id = "i".repeat(9 << 20);
    refused(&hostile(move || Said::new(200, list(&instance(&id), ""))).await.1, "none of EC2's").await;
    let named = instance("i-1")
        .replace("<tagSet>", &format!("<tagSet><item><key>Name</key><value>{}</value></item>", "é".repeat(9_999)));
    let (_site, cloud) = hostile(move || Said::new(200, list(&named, ""))).await;
    let found = cloud.list("k").await.unwrap();
    assert!(found.len() == 1 && found[0].name.len() <= 128, "{} bytes", found[0].name.len());
    let other = instance("i-1").replace("<value>k</value>", "<value>another</value>");
    let (_site, cloud) = hostile(move || Said::new(200, list(&other, ""))).await;
    assert_eq!(cloud.list("k").await.unwrap(), [], "what nobody asked for is not ours");
}

#[tokio::test]
async fn nobody_follows_a_redirect() {
    let elsewhere = Site::serve(|_| Said::new(200, list("", ""))).await;
    let to = elsewhere.address.clone();
    let (_site, cloud) = hostile(move || Said::new(307, "").with("Location", &to)).await;
    let outcome = cloud.list("k").await;
    assert!(matches!(&outcome, Err(CloudError::Invalid(said)) if said.contains("spec.ec2.endpoint")), "{outcome:?}");
    assert_eq!(elsewhere.asked(""), 0);
}

#[tokio::test]
async fn an_answer_that_stops_is_given_up() {
    let site = Site::serve(|_| Said::new(200, list("", "")).that_stops()).await;
    let http = Http::made(Some(Policy::OPEN), Room::default(), Duration::from_millis(500)).unwrap();
    let request = http::Request::post(&site.address).body(aws_smithy_types::body::SdkBody::empty()).unwrap();
    let none = http.send(request.try_into().unwrap()).await.unwrap_err();
    assert!(none.reached && matches!(none.error, CloudError::Transient(_)), "{none:?}");
}

#[tokio::test]
async fn what_a_request_told_is_not_said_again() {
    let site = Site::serve(|asked| {
        if !is(asked, "RunInstances") {
            return Said::new(200, usual(asked));
        }
        let user_data = asked.body.split('&').find_map(|pair| pair.strip_prefix("UserData=")).unwrap_or_default();
        let plain = user_data.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
        let said = format!("of {} and {} and {plain} and {user_data}", asked.session, asked.authorization);
        Said::new(
            400,
            format!("<Response><Errors><Error><Code>InvalidParameterValue</Code><Message>{said}</Message></Error></Errors></Response>"),
        )
    })
    .await;
    let outcome = cloud_of(config(&site.address)).create(&order()).await;
    let said = outcome.unwrap_err().to_string();
    assert!(said.contains("InvalidParameterValue of …"), "{said}");
    use base64::{Engine, engine::general_purpose::STANDARD};
    let user_data = STANDARD.encode(USER_DATA);
    for secret in [SESSION, &user_data[..20], "Signature="] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
}

#[tokio::test]
async fn offers_that_were_read_in_part_are_not_taken_for_all() {
    let all = offers("Nothing", config).await.unwrap();
    assert_eq!(all.offers.len(), 2, "on demand and as Spot: {all:?}");
    for action in
        ["DescribeInstanceTypes", "DescribeInstanceTypeOfferings", "DescribeSpotPriceHistory", "DescribeSubnets"]
    {
        let outcome = offers(action, config).await;
        assert!(
            matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("does not end")),
            "{action}: {outcome:?}"
        );
    }
    let newest = |address: &str| {
        let image = ImageRef::Newest { name: "pilot-*".to_owned(), owner: "self".to_owned() };
        Config { images: BTreeMap::from([("default".to_owned(), image)]), ..config(address) }
    };
    assert_eq!(offers("Nothing", newest).await.unwrap().missing, Vec::<String>::new());
    let missing = offers("DescribeImages", newest).await.unwrap().missing;
    assert!(missing.iter().any(|said| said.contains("which is the newest is not known")), "{missing:?}");
}
