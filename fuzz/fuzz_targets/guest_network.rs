//! Any bytes as one of the files that `dhcp`, `cloudinit` and `growpart` edit; the first byte chooses
//! which, and the network service that reads it. What is planned can be carried out, mends, and
//! leaves nothing to plan.
#![no_main]

use kiln_fuzz::Firmware;
use kiln_guest::repair::{
    Bundle, Mode, Options, Repair, Staging, StepResult, apply, plan, select,
};

const CFG: &str = "/etc/cloud/cloud.cfg.d/95_site.cfg";
/// The service that starts, and the file that is the input.
const PLACES: &[(&str, &str)] = &[
    ("networking", "/etc/network/interfaces"),
    ("networking", "/etc/network/interfaces.d/a"),
    ("NetworkManager", "/etc/NetworkManager/system-connections/a.nmconnection"),
    ("NetworkManager", "/etc/NetworkManager/conf.d/a.conf"),
    ("systemd-networkd", "/etc/systemd/network/10-a.network"),
    ("systemd-networkd", "/etc/systemd/network/10-a.link"),
    ("systemd-networkd", "/etc/netplan/10-a.yaml"),
    ("systemd-networkd", "/etc/resolv.conf"),
    ("wicked", "/etc/sysconfig/network/ifcfg-eth0"),
    ("wicked", "/etc/sysconfig/network/ifcfg-ens5"),
    ("wicked", "/etc/udev/rules.d/70-persistent-net.rules"),
    ("networking", CFG),
    ("networking", "/etc/cloud/ds-identify.cfg"),
    ("networking", "/etc/cloud/cloud.cfg"),
];
const UNIT: &[u8] = b"[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, content)) = data.split_first() else { return };
    let (service, path) = PLACES[usize::from(*first) % PLACES.len()];
    let unit = format!("/usr/lib/systemd/system/{service}.service");
    let link = format!("/etc/systemd/system/multi-user.target.wants/{service}.service");
    let mut files: Vec<(&str, &[u8])> = vec![(&unit, UNIT), (&link, UNIT), (path, content)];
    if path.contains("netplan") {
        files.push(("/usr/sbin/netplan", b""));
    }
    let inspection = kiln_fuzz::inspect_guest(Firmware::Bios, &files);
    let names = ["dhcp", "cloudinit", "growpart"].map(str::to_owned);
    let repairs = select(Mode::Customized, &names).expect("they are there");
    for preserve_static in [false, true] {
        let options = Options { preserve_static, ..Options::default() };
        exercise(&inspection, &repairs, &options);
    }
});

fn exercise(
    inspection: &kiln_guest::Inspection,
    repairs: &[&'static Repair],
    options: &Options,
) {
    let Ok(found) = plan(inspection, repairs, options, &Bundle::default()) else { return };
    let mut mended = Staging::new(inspection);
    apply(&mut mended, &found.edits(), &mut |_| ()).expect("a plan can be carried out");
    mended.look_again();
    let again = plan(mended.inspection(), repairs, options, &Bundle::default());
    let again = again.expect("a mended guest can be planned for");
    for (step, later) in found.steps.iter().zip(&again.steps) {
        if matches!(step.result, StepResult::Planned { left: None, .. }) {
            assert!(later.edits().is_empty(), "{}: {:?}", step.repair, later.edits());
        }
    }
}
