//! The guests of testbeds: what a VM of the OpenStack's and of the EC2's stand-in does with its user-data.

pub(super) mod rights;

/// The program that is a guest's first process.
pub(super) const PROGRAM: &str = include_str!("guest.py");
