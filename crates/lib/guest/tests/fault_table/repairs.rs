//! The laws of every repair, over every planted fault whose item it answers: the fault is mended or
//! refused by the code that is written here, nothing else gets worse, a second run plans nothing,
//! and a write that fails leaves no trace.

use kiln_fixtures::deb::Deb;
use kiln_fixtures::phony::elf;
use kiln_guest::repair::{
    Bundle, Edit, Editor, Entry, Mode, Options, Plan, Repair, Staging, StepResult, apply, codes,
    plan, select, worse,
};
use kiln_guest::{CHECKS, Inspection, Item, Status, run};
use kiln_volume::{Error, Result};

use crate::table::{Row, inspection};

/// Rows whose fault a repair does not mend: by which code (or word, where it is skipped) it says so,
/// and why it does not. A number that several rows share stands for all of them that are refused.
const REFUSED: &[(u32, &str, &str)] = &[
    (25, "Repair.VirtioNoModule", "the module is on no disk, and no other kernel is installed"),
    (34, "Repair.VirtioNoModule", "as row 25"),
    (38, "Repair.VirtioNoModule", "as row 25"),
    (41, "Repair.VirtioNoModule", "Linux 2.6.18 never had the driver"),
    (29, "Repair.ExecDisabled", "nothing to append to: only a new initramfs would help"),
    (30, "Repair.ExecDisabled", "nothing that what is appended would fit"),
    (31, "Repair.ExecDisabled", "as row 30"),
    (146, "Repair.ExecDisabled", "as row 30"),
    (7, codes::SYSTEM_IMAGE_INVALID, "no loader is on the disk"),
    (20, "nothing_to_do", "what is declared is not on the disk"),
    (21, codes::SYSTEM_IMAGE_INVALID, "no loader is on the disk"),
    (22, codes::NOT_MENDED, "a loader would have to be installed, in a partition that is gone"),
    (59, codes::GRUB_NO_CONFIG, "only the guest's own tool writes a menu, and it may not run"),
    (60, codes::GRUB_NO_CONFIG, "as row 59"),
    (62, codes::NOT_MENDED, "no other kernel is installed"),
    (76, "nothing_to_do", "installing the loader anew is left to grub-install"),
    (81, codes::DHCP_NO_CLIENT, "ifupdown without a client, and no other network service"),
    (90, codes::ROOT_NOT_LAST, "something is behind the root"),
    (91, "nothing_to_do", "on LVM: it cannot grow where it is"),
    (154, codes::NOT_MENDED, "a filesystem of a kind that does not grow"),
    (154, codes::EXEC_DISABLED, "only the guest's dracut makes the initramfs that grows it"),
    (94, codes::NO_BUNDLE, "the bundle of these tests has packages for Debian 12 only"),
    (148, "nothing_to_do", "a swap partition that is used is the owner's choice"),
    (156, codes::AEGIS_NEEDS_NETWORK, "the bundle of these tests has no installer"),
];

/// Rows that a repair mends as far as the row's own fault goes: what is left, and why.
const LEFT: &[(u32, &str, &str)] = &[];

/// What the repairs of the table can install.
fn bundle() -> Bundle {
    let version = "/usr/lib/python3/dist-packages/cloudinit/version.py";
    let unit = "[Service]\nExecStart=/x\n[Install]\nWantedBy=cloud-init.target\n";
    let units = ["cloud-init-local", "cloud-init", "cloud-config", "cloud-final"];
    let cloud_init = units
        .iter()
        .fold(Deb::new("cloud-init", "23.4-1", "all"), |deb, name| {
            deb.file(&format!("/usr/lib/systemd/system/{name}.service"), 0o644, unit)
        })
        .file("/usr/lib/systemd/system/cloud-init.target", 0o644, "[Unit]\n")
        .file("/usr/bin/cloud-init", 0o755, "#!/usr/bin/python3\n")
        .file(version, 0o644, "__VERSION__ = \"23.4\"\n")
        .file("/etc/cloud/cloud.cfg", 0o644, "cloud_init_modules: [growpart, resizefs]\n");
    let files = [
        cloud_init,
        Deb::new("python3", "3.11.2-1+b1", "amd64").file("/usr/bin/python3", 0o755, elf()),
        Deb::new("cloud-guest-utils", "0.33-1", "all").file(
            "/usr/bin/growpart",
            0o755,
            "#!/bin/sh\n",
        ),
    ];
    let mut n = 0;
    let files = files.map(|deb| {
        n += 1;
        (format!("debian/12/x86_64/{n}.deb"), deb.build())
    });
    let bundle = Bundle::new(files).and_then(|bundle| bundle.with_own_agent("x86_64", elf()));
    bundle.expect("a sound bundle")
}

/// An editor whose `n`-th write fails.
struct FailingAt<'a> {
    editor: &'a mut dyn Editor,
    n: usize,
}

impl Editor for FailingAt<'_> {
    fn entry(&mut self, path: &str) -> Result<Option<Entry>> {
        self.editor.entry(path)
    }

    fn size_bytes(&mut self, path: &str) -> Result<Option<u64>> {
        self.editor.size_bytes(path)
    }

    fn mode(&mut self, path: &str) -> Result<Option<u16>> {
        self.editor.mode(path)
    }

    fn perform(&mut self, edit: &Edit) -> Result<()> {
        match self.n.checked_sub(1) {
            Some(left) => self.n = left,
            None => return Err(Error::unsupported("no space left on device")),
        }
        self.editor.perform(edit)
    }
}

fn repair_of(row: &Row) -> Option<&'static Repair> {
    let found = select(Mode::Customized, &[row.item.to_owned()]).ok()?;
    found.into_iter().next()
}

fn planned(inspection: &Inspection, repair: &'static Repair) -> Plan {
    let options = Options::default();
    plan(inspection, &[repair], &options, &bundle()).expect("the image can be repaired")
}

/// What is wrong with what kiln would do about a row; empty: nothing.
fn judge(row: &Row, repair: &'static Repair) -> Vec<String> {
    let name = format!("row {} ({}), {}", row.number, row.what, repair.name);
    let broken = inspection(&row.spoilt());
    let untouched = run(&broken, CHECKS);
    let left_over =
        LEFT.iter().find(|(number, ..)| *number == row.number).map(|(_, code, _)| *code);
    let plan = match kiln_guest::repair::plan(&broken, &[repair], &Options::default(), &bundle()) {
        Ok(plan) => plan,
        Err(refusal) => return expect_refusal(&name, row.number, refusal.code),
    };
    let edits = match &plan.steps[0].result {
        StepResult::Planned { left, .. } if left.as_deref() == left_over => plan.edits(),
        StepResult::Planned { left, .. } => return vec![format!("{name}: {left:?} is left")],
        StepResult::Refused(refusal) => {
            let wrong = expect_refusal(&name, row.number, refusal.code);
            let told = |wrong: String| format!("{wrong}: {}", refusal.reason);
            return wrong.into_iter().map(told).collect();
        }
        StepResult::Skipped(why) => return expect_refusal(&name, row.number, why),
    };
    let mut wrong = Vec::new();
    let mut mended = Staging::new(&broken);
    if let Err(error) = apply(&mut mended, &edits, &mut |_| ()) {
        return vec![format!("{name}: the plan cannot be applied: {error}")];
    }
    mended.look_again();
    let after = run(mended.inspection(), CHECKS);
    if !passes(&after, row.item) && left_over.is_none() {
        wrong.push(format!("{name}: mended, yet {} does not pass", row.item));
    }
    let worse = worse(&untouched, &after);
    if !worse.is_empty() {
        wrong.push(format!("{name}: {worse:?} got worse"));
    }
    let again = planned(mended.inspection(), repair);
    if !again.edits().is_empty() {
        wrong.push(format!("{name}: a second run changes more: {:?}", again.edits()));
    }
    wrong.extend(failing(&name, &broken, &edits, &untouched));
    wrong
}

fn expect_refusal(name: &str, number: u32, code: &'static str) -> Vec<String> {
    match REFUSED.iter().any(|(known, expected, _)| (*known, *expected) == (number, code)) {
        true => Vec::new(),
        false => vec![format!("{name}: refused by {code}")],
    }
}

/// Every write fails once; what was written before it is dropped with the overlay.
fn failing(name: &str, broken: &Inspection, edits: &[Edit], untouched: &[Item]) -> Vec<String> {
    let mut wrong = Vec::new();
    for n in 0..edits.len() {
        let mut overlay = Staging::new(broken);
        let mark = overlay.mark();
        let failed = apply(&mut FailingAt { editor: &mut overlay, n }, edits, &mut |_| ());
        overlay.rewind(mark);
        if failed.is_ok() || run(overlay.inspection(), CHECKS) != untouched {
            wrong.push(format!("{name}: write {n} failed and left a trace"));
        }
    }
    if run(broken, CHECKS) != untouched {
        wrong.push(format!("{name}: the input changed"));
    }
    wrong
}

fn passes(items: &[Item], name: &str) -> bool {
    let full = format!("GUESTOS.{name}");
    items.iter().any(|item| item.name == full && item.status == Status::Pass)
}

#[test]
fn repairs_keep_their_laws() {
    let rows: Vec<_> =
        crate::rows().filter_map(|row| repair_of(row).map(|repair| (row, repair))).collect();
    assert!(!rows.is_empty(), "no planted fault is any repair's");
    let wrong: Vec<String> = rows.iter().flat_map(|(row, repair)| judge(row, repair)).collect();
    assert!(wrong.is_empty(), "{} rows\n{}", rows.len(), wrong.join("\n"));
}
