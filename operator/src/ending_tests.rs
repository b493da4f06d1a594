//! Of ends, their reasons and their rows.

use broker::cloud::Scope;

use super::*;
use crate::trouble::of_cloud;

#[test]
fn each_end_is_found_again_by_its_reason() {
    for why in Why::ALL {
        assert_eq!(Why::of(Some(why.reason())), *why);
    }
    assert_eq!(Why::of(None), Why::Other, "a later version's word");
}

#[test]
fn each_error_of_a_cloud_keeps_its_kind() {
    let errors = [
        CloudError::NotFound(String::new()),
        CloudError::AddressNotAllowed(String::new()),
        CloudError::Conflict(String::new()),
        CloudError::NoCapacity { message: String::new(), scope: Scope::Offer },
        CloudError::Quota { message: String::new(), scope: Scope::Cloud },
        CloudError::Throttled { message: String::new(), retry_after: None },
        CloudError::Unauthorized(String::new()),
        CloudError::Invalid(String::new()),
        CloudError::Transient(String::new()),
    ];
    for error in errors {
        assert_eq!(Ending::failed(&error, false).why.reason(), of_cloud(&error));
    }
}

#[test]
fn a_guest_that_hangs_keeps_its_console_and_blames_no_offering() {
    let vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
    for ending in [Ending::silent(&vm), Ending::hard_limit(&vm)] {
        assert!(ending.why.wants_console() && ending.why.is_trouble());
        assert_eq!((ending.blame(), ending.row), (Blame::Nothing, PilotStatus::Failed));
    }
}

#[test]
fn a_vm_whose_pilot_worked_blames_no_offering_for_a_fault() {
    let error = CloudError::Transient("a host is gone".into());
    assert_eq!(Ending::failed(&error, false).blame(), Blame::Failed);
    assert_eq!(Ending::failed(&error, true).blame(), Blame::Nothing);
    let full = CloudError::NoCapacity { message: "full".into(), scope: Scope::Offer };
    assert_eq!(Ending::failed(&full, true).blame(), Blame::Refused);
}

#[test]
fn the_row_of_a_pilot_that_never_asked_is_aborted() {
    assert_eq!(Ending::vanished(false).row, PilotStatus::Aborted);
    assert_eq!(Ending::vanished(true).row, PilotStatus::Deleted);
    assert_eq!(Ending::halted(true).row, PilotStatus::Done);
}
