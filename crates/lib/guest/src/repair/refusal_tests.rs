//! Every code by which a plan as a whole, or a repair that is like any other, is refused.

use kiln_fixtures::phony::{Phony, i386_elf};

use super::drivers::VIRTIO;
use super::standardized_time_zone::STANDARDIZED_TIME_ZONE;
use super::{Bundle, Draft, Options, Repair, StepResult, Stop, codes, plan, testing};
use crate::{Declared, Inspection, inspect};

fn look(guest: &Phony) -> Inspection {
    inspect(guest.layout(), Declared::default())
}

/// The code and reason by which the whole image is refused.
fn whole(inspection: &Inspection) -> (&'static str, String) {
    let repairs = [&STANDARDIZED_TIME_ZONE];
    let refusal = plan(inspection, &repairs, &Options::default(), &Bundle::default()).unwrap_err();
    (refusal.code, refusal.reason)
}

#[test]
fn what_kiln_does_not_repair_is_refused_as_a_whole() {
    let mut windows = look(&Phony::debian());
    windows.windows = Some("/Windows/System32".to_owned());
    assert_eq!(whole(&windows).0, codes::UNSUPPORTED_OS);

    let mut ostree = look(&Phony::debian());
    let chosen = ostree.chosen.unwrap();
    ostree.systems[chosen].ostree_deployment = Some("fedora/deploy/abc.0".to_owned());
    let (code, reason) = whole(&ostree);
    assert_eq!(code, codes::IMMUTABLE_OS);
    assert!(reason.contains("abc.0"), "{reason}");

    let mut old = Phony::debian();
    for path in ["/usr/bin/env", "/usr/bin/bash", "/usr/bin/dash", "/usr/bin/sh"] {
        if old.has(path) {
            old.program(path, i386_elf());
        }
    }
    let (code, reason) = whole(&look(&old));
    assert_eq!((code, reason.contains("i386")), (codes::UNSUPPORTED_ARCH, true), "{reason}");

    let mut none = look(&Phony::debian());
    none.chosen = None;
    assert_eq!(whole(&none).0, codes::SYSTEM_IMAGE_INVALID);
}

/// Mends the clock and breaks the table of filesystems.
static HARMFUL: Repair = Repair {
    name: "harmful",
    items: &["RtcTimeMode"],
    summary: "",
    plan: |draft: &mut Draft| -> Result<(), Stop> {
        draft.write("/etc/adjtime", "0.0 0 0.0\n0\nUTC\n", "the clock")?;
        draft.write("/etc/fstab", "/dev/sdz9 / ext4 defaults 0 1\n", "harm")?;
        Ok(())
    },
};

#[test]
fn a_repair_that_breaks_another_item_is_refused() {
    let mut guest = Phony::debian();
    guest.put("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
    let inspection = look(&guest);
    let repairs = [&HARMFUL, &STANDARDIZED_TIME_ZONE];
    let plan = plan(&inspection, &repairs, &Options::default(), &Bundle::default()).unwrap();
    let StepResult::Refused(refusal) = &plan.steps[0].result else { panic!("{plan:?}") };
    assert_eq!(refusal.code, codes::REGRESSED);
    assert!(refusal.reason.contains("Fstab"), "{}", refusal.reason);
    // What was staged of it is gone: the next repair does the same work.
    assert!(plan.edits().iter().all(|edit| edit.path != "/etc/fstab"));
    assert!(!plan.steps[1].edits().is_empty());
}

#[test]
fn drivers_need_a_kernel_that_boots() {
    let mut guest = Phony::debian();
    guest.initrd().without("virtio_blk");
    guest.menu_replace("/vmlinuz-", "/vmlinuz-gone-");
    let told = testing::told(&guest, &VIRTIO, &Options::default());
    assert!(told.starts_with("refused: Repair.GrubNoConfig: "), "{told}");
}
