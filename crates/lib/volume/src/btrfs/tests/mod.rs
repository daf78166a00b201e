//! Images that `mkfs.btrfs` made and a test then spoiled.

mod faults;
mod mutations;
mod sample;
