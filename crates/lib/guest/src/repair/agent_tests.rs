//! The agents' repairs on guests of every init, with every kind of bundle.

use kiln_fixtures::deb::{Deb, gzip, tar};
use kiln_fixtures::phony::{Phony, arm64_elf, elf};
use kiln_volume::Tree;

use super::aegis::AEGIS;
use super::assist::ASSIST;
use super::staging::Staging;
use super::{Bundle, Options, Plan, Repair, StepResult, apply, codes, plan};
use crate::{CHECKS, Declared, Inspection, Item, Status, inspect, run};

const HOME: &str = "/usr/local/share/aliyun-assist";

fn inspection(guest: &Phony) -> Inspection {
    inspect(guest.layout(), Declared::default())
}

/// A guest without the vendor's agent. `Phony::debian` has it as a package would install it.
fn without_assist(mut guest: Phony) -> Phony {
    for path in [
        HOME,
        "/usr/sbin/aliyun-service",
        "/etc/systemd/system/aliyun.service",
        "/etc/systemd/system/multi-user.target.wants/aliyun.service",
        "/etc/rc.d/init.d/aliyun-service",
    ] {
        if guest.has(path) {
            guest.remove(path);
        }
    }
    guest
}

fn bundle(files: &[(&str, Vec<u8>)]) -> Bundle {
    Bundle::new(files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone()))).unwrap()
}

fn of_kiln() -> Bundle {
    Bundle::default().with_own_agent("x86_64", elf()).unwrap()
}

fn made(guest: &Phony, repair: &'static Repair, options: &Options, bundle: &Bundle) -> Plan {
    plan(&inspection(guest), &[repair], options, bundle).unwrap()
}

/// What the item says of the mended guest, and its files; a second plan must be empty.
fn mended(guest: &Phony, repair: &'static Repair, bundle: &Bundle) -> (Item, Tree) {
    let options = Options::default();
    let plan = made(guest, repair, &options, bundle);
    if let StepResult::Refused(refusal) = &plan.steps[0].result {
        panic!("{refusal:?}");
    }
    let mut staging = Staging::new(&inspection(guest));
    apply(&mut staging, &plan.edits(), &mut |_| ()).unwrap();
    staging.look_again();
    let again = super::plan(staging.inspection(), &[repair], &options, bundle).unwrap();
    assert!(again.is_empty(), "{:?}", again.edits());
    let name = format!("GUESTOS.{}", repair.items[0]);
    let items = run(staging.inspection(), CHECKS);
    let item = items.into_iter().find(|item| item.name == name).unwrap();
    assert_eq!(item.status, Status::Pass, "{item:?}");
    (item, staging.inspection().guest().unwrap().tree.clone())
}

fn refusal(guest: &Phony, repair: &'static Repair, bundle: &Bundle) -> (&'static str, String) {
    match &made(guest, repair, &Options::default(), bundle).steps[0].result {
        StepResult::Refused(refusal) => (refusal.code, refusal.reason.clone()),
        other => panic!("{other:?}"),
    }
}

fn read(tree: &Tree, path: &str) -> String {
    tree.read_text(path).unwrap().unwrap_or_else(|| panic!("no {path}"))
}

fn evidence(item: &Item) -> Vec<&str> {
    item.evidence.iter().map(|evidence| evidence.text.as_str()).collect()
}

fn vendors_archive(program: Vec<u8>) -> Vec<u8> {
    let entry = |name: &str, kind, data: Vec<u8>, mode| (name.to_owned(), kind, data, mode);
    gzip(&tar(
        vec![
            entry("2.2.3.967/", ::tar::EntryType::Directory, Vec::new(), 0o755),
            entry("2.2.3.967/aliyun-service", ::tar::EntryType::Regular, program, 0o644),
            entry("2.2.3.967/config/x", ::tar::EntryType::Regular, b"x".to_vec(), 0o600),
        ],
        ("root", "root"),
    ))
}

#[test]
fn kilns_own_agent_is_installed_where_no_vendors_is_bundled() {
    let (item, tree) = mended(&without_assist(Phony::debian()), &ASSIST, &of_kiln());
    assert_eq!(item.value, "Installed");
    assert!(evidence(&item).contains(&"kiln agent: it stands in for the vendor's"), "{item:?}");
    assert_eq!(
        read(&tree, "/etc/systemd/system/kiln-assist.service"),
        "[Unit]\nDescription=kiln's agent\nWants=network-online.target\n\
         After=network-online.target\nConditionPathExists=/dev/virtio-ports/kiln\n\n[Service]\n\
         Type=simple\nRestart=on-failure\nRestartSec=5\n\
         ExecStart=/usr/local/lib/kiln/kiln-agent assist\n\n[Install]\nWantedBy=multi-user.target\n"
    );
    assert_eq!(tree.stat("/usr/local/lib/kiln/kiln-agent").unwrap().unwrap().mode, 0o755);
}

#[test]
fn every_init_starts_it() {
    for (guest, by) in [
        (Phony::el6(), "/etc/rc.d/rc2.d/S98kiln-assist"),
        (Phony::alpine(), "/etc/runlevels/default/kiln-assist"),
        (Phony::el9(), "/etc/systemd/system/multi-user.target.wants/kiln-assist.service"),
    ] {
        let (item, tree) = mended(&without_assist(guest), &ASSIST, &of_kiln());
        let starts = item.evidence.iter().find(|evidence| evidence.text == "starts it").unwrap();
        assert_eq!(starts.path.as_deref(), Some(by));
        assert!(tree.exists(by).unwrap(), "{by} leads nowhere");
    }
}

/// The scripts are run: one that a shell cannot read starts nothing.
#[test]
fn scripts_of_other_inits_are_sound_shell() {
    for (guest, path, words) in [
        (Phony::el6(), "/etc/rc.d/init.d/kiln-assist", "# chkconfig: 2345 98 10"),
        (Phony::alpine(), "/etc/init.d/kiln-assist", "command_background=true"),
    ] {
        let (_, tree) = mended(&without_assist(guest), &ASSIST, &of_kiln());
        let script = read(&tree, path);
        assert!(script.contains(words), "{script}");
        let checked = std::process::Command::new("sh").args(["-nc", &script]).output().unwrap();
        assert!(checked.status.success(), "{script}\n{checked:?}");
    }
}

#[test]
fn the_vendors_archive_is_taken_before_kilns_own_agent() {
    let bundle = bundle(&[("assist/x86_64/assist.tar.gz", vendors_archive(elf()))]);
    let bundle = bundle.with_own_agent("x86_64", elf()).unwrap();
    let (item, tree) = mended(&without_assist(Phony::debian()), &ASSIST, &bundle);
    let program = format!("{HOME}/2.2.3.967/aliyun-service");
    assert_eq!(item.evidence[0].path.as_ref(), Some(&program));
    assert_eq!(tree.read_link("/usr/sbin/aliyun-service").unwrap(), Some(program.into_bytes()));
    assert!(
        read(&tree, "/etc/systemd/system/aliyun.service").contains("=/usr/sbin/aliyun-service\n")
    );
    assert_eq!(tree.stat(format!("{HOME}/2.2.3.967/config/x")).unwrap().unwrap().mode, 0o600);
    let (_, tree) = mended(&without_assist(Phony::el6()), &ASSIST, &bundle);
    assert!(read(&tree, "/etc/rc.d/init.d/aliyun-service").contains("/usr/sbin/aliyun-service"));
}

#[test]
fn the_vendors_package_is_installed_and_started() {
    let program = format!("{HOME}/2.2.3.967/aliyun-service");
    let package = |architecture, elf| {
        Deb::new("aliyun-assist", "2.2.3.967", architecture).file(&program, 0o755, elf).build()
    };
    let amd64 = bundle(&[("assist/amd64/assist.deb", package("amd64", elf()))]);
    let (item, tree) = mended(&without_assist(Phony::debian()), &ASSIST, &amd64);
    assert_eq!(item.evidence[0].path.as_ref(), Some(&program));
    assert!(read(&tree, "/var/lib/dpkg/status").contains("Package: aliyun-assist\n"));
    let arm64 = bundle(&[("assist/arm64/assist.deb", package("arm64", arm64_elf()))]);
    let (code, reason) = refusal(&without_assist(Phony::debian()), &ASSIST, &arm64);
    assert_eq!(code, codes::NO_BUNDLE);
    assert!(reason.contains("no agent for x86_64 in assist/x86_64/"), "{reason}");
    // With exec the guest's package manager does it, and the item is judged when it has.
    let options = Options { exec: true, ..Options::default() };
    let guest = without_assist(Phony::debian());
    let plan = made(&guest, &ASSIST, &options, &amd64);
    assert_eq!(
        plan.commands()[0].argv.last().unwrap(),
        "/var/lib/kiln/bundle/aliyun-assist/assist.deb"
    );
    assert!(matches!(&plan.steps[0].result, StepResult::Planned { left: None, .. }));
}

/// The newest version counts by its number, so a foreign program of it has to go.
#[test]
fn a_program_for_another_architecture_gives_way() {
    let mut guest = Phony::debian();
    guest.program(&format!("{HOME}/9.9.9.9/aliyun-service"), arm64_elf());
    let bundle = bundle(&[("assist/x86_64/assist.tar.gz", vendors_archive(elf()))]);
    let (item, tree) = mended(&guest, &ASSIST, &bundle);
    assert!(item.evidence[0].path.as_deref().unwrap().contains("2.2.3.967"), "{item:?}");
    let kept = format!("/var/lib/kiln/original{HOME}/9.9.9.9/aliyun-service");
    assert!(tree.exists(kept).unwrap());
}

#[test]
fn what_is_only_held_back_is_started_without_a_bundle() {
    let mut guest = Phony::debian();
    guest.disable("aliyun.service");
    let plan = made(&guest, &ASSIST, &Options::default(), &Bundle::default());
    let paths: Vec<_> = plan.steps[0].edits().iter().map(|edit| edit.path.as_str()).collect();
    assert_eq!(paths, ["/etc/systemd/system/multi-user.target.wants/aliyun.service"]);
    // The unit is gone and the program is there.
    let mut guest = Phony::debian();
    guest.disable("aliyun.service").remove("/etc/systemd/system/aliyun.service");
    mended(&guest, &ASSIST, &Bundle::default());
}

#[test]
fn archives_that_hold_no_agent_are_refused_by_name() {
    let guest = without_assist(Phony::debian());
    let file = "assist/x86_64/assist.tar.gz";
    let (code, reason) = refusal(&guest, &ASSIST, &bundle(&[(file, vendors_archive(arm64_elf()))]));
    assert_eq!(code, codes::NO_BUNDLE);
    assert!(reason.starts_with("assist/x86_64/assist.tar.gz of the bundle has no"), "{reason}");
    let (code, reason) = refusal(&guest, &ASSIST, &bundle(&[(file, b"PK\x03\x04".to_vec())]));
    assert_eq!(code, codes::UNREADABLE);
    assert!(reason.contains(file), "{reason}");
    let (code, _) = refusal(&guest, &ASSIST, &Bundle::default());
    assert_eq!(code, codes::NO_BUNDLE);
}

#[test]
fn aegis_waits_for_the_first_start_or_is_refused() {
    let mut guest = Phony::debian();
    guest.disable("aegis.service").remove("/usr/lib/systemd/system/aegis.service");
    guest.remove("/usr/local/aegis");
    let (code, _) = refusal(&guest, &AEGIS, &Bundle::default());
    assert_eq!(code, codes::AEGIS_NEEDS_NETWORK);
    let other = bundle(&[("aegis/arm64/install.sh", b"#!/bin/sh\n".to_vec())]);
    assert_eq!(refusal(&guest, &AEGIS, &other).0, codes::AEGIS_NEEDS_NETWORK);
    let installer = bundle(&[("aegis/x86_64/AliAqsInstall.sh", b"#!/bin/sh\nexit 0\n".to_vec())]);
    let (item, tree) = mended(&guest, &AEGIS, &installer);
    assert_eq!(item.value, "NotInstalled");
    assert_eq!(evidence(&item), ["installs the agent at the first start"]);
    let unit = read(&tree, "/etc/systemd/system/kiln-aegis.service");
    assert!(unit.contains("ConditionPathExists=!/var/lib/kiln/aegis-installed\n"), "{unit}");
    assert!(unit.contains("Type=oneshot\n"), "{unit}");
    // It may hold a key.
    let installer = tree.stat("/usr/local/lib/kiln/aegis/install.sh").unwrap().unwrap();
    assert_eq!(installer.mode, 0o700);
}
