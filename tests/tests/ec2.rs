//! Clouds with the API of EC2: the contract of all clouds, and AWS's own failures, against the stand-in.
#![cfg(feature = "ec2")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clouds {
    pub mod amazon;
    pub mod bed;
    pub mod clauses;
    pub mod contract;
    pub mod ec2 {
        pub mod account;
        pub mod credentials;
        pub mod ends;
        pub mod launches;
        pub mod policy;
    }
    pub mod hands;
}

use clouds::{amazon::Amazon, bed::Bed, clauses, ec2, hands::*};

#[tokio::test(flavor = "multi_thread")]
async fn the_ec2_driver_keeps_the_contract_and_survives_aws() {
    let state = tempfile::tempdir().unwrap();
    let bed = Amazon::start(state.path()).await;
    clouds::contract::holds(bed.driver().as_ref(), "t2.micro", &bed.image()).await;
    let cannot = clauses::hold(&bed).await;
    assert_eq!(cannot, Vec::<String>::new(), "EC2 can do everything");

    ec2::account::what_is_offered_is_what_the_subnets_zones_sell(&bed).await;
    ec2::account::what_a_cloud_names_and_there_is_not_is_said(&bed).await;
    ec2::account::quotas_are_counted_by_class(&bed).await;
    ec2::launches::an_instance_is_made_as_it_should_be(&bed).await;
    ec2::launches::of_several_choices_the_first_that_can_be_had_is_bought(&bed).await;
    ec2::launches::a_template_that_was_left_behind_is_swept(&bed).await;
    ec2::launches::an_instance_that_answers_lack_for_a_while_is_no_second_one(&bed).await;
    ec2::launches::orders_that_cannot_work_are_invalid(&bed).await;
    ec2::ends::an_end_says_how_it_came(&bed).await;
    ec2::ends::an_announcement_comes_out_of_the_queue(&bed).await;
    ec2::credentials::wrong_ended_and_weak_credentials_are_told_apart(&bed).await;
    ec2::credentials::a_role_is_entered_and_entered_again_when_it_ends(&bed).await;
    ec2::credentials::too_many_requests_are_said_and_slow_us_down(&bed).await;
    ec2::launches::a_template_of_the_account_says_what_fields_do_not(&bed).await;
    ec2::ends::a_console_is_kept(&bed).await;
    bed.nothing_is_left().await;
    ec2::policy::the_policy_of_the_page_is_what_the_driver_needs(&bed).await;
}
