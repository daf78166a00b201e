//! The table of planted faults: for every row the right item says the right code, and no other item
//! changes.
//!
//! The numbers are those of the project's specification of the image checks. A row is data; the
//! sound guests that faults are planted in come from `kiln_fixtures::phony`.

#[path = "fault_table/dhcp.rs"]
mod dhcp;
#[path = "fault_table/drivers.rs"]
mod drivers;
#[path = "fault_table/fstab.rs"]
mod fstab;
#[path = "fault_table/grub.rs"]
mod grub;
#[path = "fault_table/software.rs"]
mod software;
#[path = "fault_table/sound.rs"]
mod sound;
#[path = "fault_table/system.rs"]
mod system;
#[path = "fault_table/table.rs"]
mod table;

use table::Row;

fn rows() -> impl Iterator<Item = &'static Row> {
    [system::ROWS, drivers::ROWS, fstab::ROWS, grub::ROWS, dhcp::ROWS, software::ROWS]
        .into_iter()
        .flatten()
}

#[test]
fn every_planted_fault_trips_its_code_and_nothing_else() {
    let wrong: Vec<String> = rows().flat_map(Row::judge).collect();
    println!("{} rows, {} complaints", rows().count(), wrong.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
