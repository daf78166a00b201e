//! The table of planted faults: for every row the right item says the right code, and no other item
//! changes.
//!
//! The numbers are those of the project's specification of the image checks. A row is data; the
//! sound guests that faults are planted in come from `kiln_fixtures::phony`.

#[path = "fault_table/bytes.rs"]
mod bytes;
#[path = "fault_table/dhcp.rs"]
mod dhcp;
#[path = "fault_table/drivers.rs"]
mod drivers;
#[path = "fault_table/fstab.rs"]
mod fstab;
#[path = "fault_table/grub.rs"]
mod grub;
#[path = "fault_table/repairs.rs"]
mod repairs;
#[path = "fault_table/software.rs"]
mod software;
#[path = "fault_table/sound.rs"]
mod sound;
#[path = "fault_table/system.rs"]
mod system;
#[path = "fault_table/table.rs"]
mod table;
#[path = "fault_table/traps.rs"]
mod traps;

use std::collections::BTreeSet;

use table::Row;

fn rows() -> impl Iterator<Item = &'static Row> {
    [
        system::ROWS,
        bytes::VOLUME_ROWS,
        drivers::ROWS,
        fstab::ROWS,
        grub::ROWS,
        dhcp::ROWS,
        software::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// Rows of Windows, whose items this version has not.
const WINDOWS: [std::ops::RangeInclusive<u32>; 2] = [104..=138, 158..=162];

/// Rows that are not in the table, and why.
const LEFT_OUT: &[(u32, &str)] =
    &[(15, "an image with a backing file is refused when it is opened: kiln-disk tests it")];

/// The last row of the specification.
const LAST_ROW: u32 = 162;

/// Traps of Windows.
const WINDOWS_TRAPS: std::ops::RangeInclusive<u32> = 17..=24;

/// Traps with a test of their own, in `bytes`.
const TRAPS_IN_BYTES: [u32; 3] = [26, 29, 30];

const LAST_TRAP: u32 = 30;

#[test]
#[allow(clippy::print_stdout, reason = "the summary, for who asks with --nocapture")]
fn every_row_is_accounted_for_once() {
    let tabled: BTreeSet<u32> =
        rows().map(|row| row.number).chain(bytes::ROWS.iter().map(|row| row.row.number)).collect();
    for number in 1..=LAST_ROW {
        let places = [
            tabled.contains(&number),
            WINDOWS.iter().any(|range| range.contains(&number)),
            LEFT_OUT.iter().any(|left| left.0 == number),
        ];
        let n = places.into_iter().filter(|&is_there| is_there).count();
        assert_eq!(n, 1, "row {number} is in {n} places");
    }
    let traps: BTreeSet<u32> = traps::TRAPS.iter().map(|trap| trap.number).collect();
    for number in 1..=LAST_TRAP {
        let places = [
            traps.contains(&number),
            WINDOWS_TRAPS.contains(&number),
            TRAPS_IN_BYTES.contains(&number),
        ];
        let n = places.into_iter().filter(|&is_there| is_there).count();
        assert_eq!(n, 1, "trap N{number} is in {n} places");
    }
    println!(
        "rows tripped: {} ({} faults), traps clean: {}, rows left out: {}",
        tabled.len(),
        rows().count() + bytes::ROWS.len(),
        traps.len() + TRAPS_IN_BYTES.len(),
        LEFT_OUT.len(),
    );
    for (number, why) in LEFT_OUT {
        println!("  row {number}: {why}");
    }
}

#[test]
fn every_planted_fault_trips_its_code_and_nothing_else() {
    let wrong: Vec<String> = rows().flat_map(Row::judge).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
