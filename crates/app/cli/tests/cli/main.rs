//! The built `kiln`, from outside: what it prints on either stream and with which status it ends.
//!
//! Images are made by each test: a partition table and an ext4 made by `mke2fs -d`, which needs
//! neither root nor a mount. What a snapshot must not depend on is hidden by a named filter.

mod boot;
mod check;
mod command;
mod convert;
mod disk;
mod images;
mod inspect;
mod remote;
mod repair;
mod reports;
mod run;
mod templates;
