//! What the images hold that a site runs for its DIRAC. Each is built over a Debian that is made here, and kept in the cache.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "images/contents.rs"]
mod contents;

use testbeds::systems::images::{Image, built};

/// One of each.
const NAMES: [&str; 6] = ["dirac", "diracx", "mariadb", "opensearch", "redis", "s3"];

#[test]
fn no_image_holds_a_secret_or_a_private_key_or_a_compiler() {
    let images: Vec<Image> = NAMES.iter().map(|name| built(name, &[]).unwrap()).collect();
    contents::are_as_they_should_be(&images);
}
