//! Images that `mkfs.btrfs` made and a test then spoiled.

mod faults;
mod files;
mod mutations;
pub(super) mod sample;
