//! The real systems, each alone, and the programs and certificates with which an administrator works on them.

pub mod cluster;
pub mod controlplane;
pub mod dirac;
pub mod ec2;
mod guest;
pub mod helm;
pub mod image;
pub mod images;
pub mod kubectl;
pub mod openstack;
pub mod operator;
pub mod pki;
