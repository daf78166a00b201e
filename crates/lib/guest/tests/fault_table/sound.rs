//! The guests that faults are planted in are sound, or the table proves nothing.

use kiln_fixtures::phony::Phony;
use kiln_guest::{Level, Status};

use crate::table::{Base, look};

/// Every base by name.
pub(crate) const BASES: &[(&str, Base)] = &[
    ("debian", Phony::debian),
    ("debian_uefi", Phony::debian_uefi),
    ("debian_mbr", Phony::debian_mbr),
    ("debian_bare", Phony::debian_bare),
    ("debian_home", Phony::debian_home),
    ("debian_btrfs", Phony::debian_btrfs),
    ("debian_arm64", Phony::debian_arm64),
    ("ubuntu", Phony::ubuntu),
    ("el5", Phony::el5),
    ("el5_with_xen", Phony::el5_with_xen),
    ("el6", Phony::el6),
    ("el7", Phony::el7),
    ("el7_bare", Phony::el7_bare),
    ("el7_labeled", Phony::el7_labeled),
    ("el7_lvm", Phony::el7_lvm),
    ("el8", Phony::el8),
    ("el9", Phony::el9),
    ("el9_bare", Phony::el9_bare),
    ("el9_lvm", Phony::el9_lvm),
    ("el9_rescue", Phony::el9_rescue),
    ("el10", Phony::el10),
    ("suse", Phony::suse),
    ("alpine", Phony::alpine),
];

/// What a sound base cannot have: EL5 is older than NVMe drivers.
const KNOWN_HIGH: &[(&str, &str)] =
    &[("el5", "NVMe.NotInstalled"), ("el5_with_xen", "NVMe.NotInstalled")];

#[test]
fn sound_guests_have_no_high_risk() {
    let mut wrong = Vec::new();
    for (name, base) in BASES {
        for item in look(&base()).items {
            let code = item.risk_code.clone().unwrap_or_default();
            let is_known = KNOWN_HIGH.contains(&(*name, code.as_str()));
            let is_bad = item.risk_level == Some(Level::High) || item.status == Status::Unknown;
            if is_bad && !is_known {
                wrong.push(format!(
                    "{name}: {} {code}: {} {:?}",
                    item.name, item.message, item.evidence
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_debian_guests_pass_every_item() {
    for base in [Phony::debian, Phony::debian_uefi, Phony::debian_mbr] {
        let items = look(&base()).items;
        let wrong: Vec<_> = items.iter().filter(|item| item.status != Status::Pass).collect();
        assert_eq!(items.len(), 18);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
