//! Packages installed into a staged guest, and what dpkg itself says of the result.

use std::path::Path;
use std::process::Command;

use kiln_fixtures::deb::Deb;
use kiln_fixtures::phony::Phony;
use kiln_volume::Tree;

use super::install;
use crate::repair::draft::{Draft, GuestCommand};
use crate::repair::edit::{Change, Edit};
use crate::repair::refusal::Refusal;
use crate::repair::staging::Staging;
use crate::repair::{Bundle, Options, codes};
use crate::{Declared, inspect};

type Planned = std::result::Result<(Vec<Edit>, Vec<GuestCommand>, Staging), Refusal>;

fn bundle(debs: Vec<(&str, Deb)>) -> Bundle {
    let file = |(directory, deb): (&str, Deb)| {
        let bytes = deb.build();
        let name = super::Package::read("a.deb", bytes.clone().into()).unwrap().title();
        (format!("{directory}/{}.deb", name.replace(' ', "_")), bytes)
    };
    Bundle::new(debs.into_iter().map(file)).unwrap()
}

fn planned(guest: &Phony, bundle: &Bundle, options: &Options, names: &[&str]) -> Planned {
    let mut staging = Staging::new(&inspect(guest.layout(), Declared::default()));
    let mut draft = Draft::new(&mut staging, options, bundle);
    install(&mut draft, names, "for a test").map_err(Refusal::from)?;
    let (edits, commands) = draft.finish();
    Ok((edits, commands, staging))
}

fn installed(guest: &Phony, bundle: &Bundle, names: &[&str]) -> (Vec<Edit>, Staging) {
    let (edits, _, staging) = planned(guest, bundle, &Options::default(), names).unwrap();
    (edits, staging)
}

fn refused(guest: &Phony, bundle: &Bundle, names: &[&str]) -> (&'static str, String) {
    let refusal = planned(guest, bundle, &Options::default(), names).unwrap_err();
    (refusal.code, refusal.reason)
}

fn text(staging: &Staging, path: &str) -> Option<String> {
    staging.inspection().guest().unwrap().tree.read_text(path).unwrap()
}

fn tool() -> Deb {
    Deb::new("tool", "1.2-1", "amd64")
        .field("Depends", "lib-tool (>= 1), ifupdown | connman")
        .control("conffiles", "/etc/tool.conf\n")
        .control("postinst", "#!/bin/sh\nexit 0\n")
        .control("md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/bin/tool\n")
        .dir("/etc")
        .file("/etc/tool.conf", 0o644, "packaged\n")
        .dir("/lib/systemd/system")
        .file("/lib/systemd/system/tool.service", 0o644, "[Service]\nExecStart=/usr/bin/tool\n")
        .file("/usr/bin/tool", 0o755, "#!/bin/sh\n")
        .entry("./usr/bin/t", tar::EntryType::Symlink, "tool")
}

fn library() -> Deb {
    Deb::new("lib-tool", "1.0", "all").dir("/usr/share").file("/usr/share/lib", 0o644, "x")
}

const AT: &str = "debian/12/x86_64";

#[test]
fn a_package_and_what_it_needs_are_unpacked_and_recorded() {
    let bundle = bundle(vec![(AT, tool()), ("debian/any/all", library())]);
    let (edits, staging) = installed(&Phony::debian(), &bundle, &["tool"]);
    // The link of merged directories is followed, not replaced.
    let unit = edits.iter().find(|edit| edit.path.ends_with("tool.service")).unwrap();
    assert_eq!(unit.path, "/usr/lib/systemd/system/tool.service");
    assert_eq!(unit.reason, "install tool 1.2-1: for a test");
    let Change::Create { content, attributes } = &unit.change else { panic!("{unit:?}") };
    assert_eq!(attributes.mode, 0o644);
    assert_eq!(content.source(), Some("debian/12/x86_64/tool_1.2-1.deb"));
    let list = text(&staging, "/var/lib/dpkg/info/tool.list").unwrap();
    assert!(list.starts_with("/.\n/etc\n/etc/tool.conf\n/lib/systemd/system\n"), "{list}");
    let status = text(&staging, "/var/lib/dpkg/status").unwrap();
    let stanza = status.split("\n\n").find(|stanza| stanza.starts_with("Package: tool\n")).unwrap();
    assert_eq!(
        stanza,
        "Package: tool\nStatus: install ok unpacked\nDepends: lib-tool (>= 1), ifupdown | connman\n\
         Version: 1.2-1\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.com>\n\
         Description: made for a test\n Of kiln.\nConffiles:\n /etc/tool.conf \
         997710386ced649a27695de80cdd0721"
    );
    let script =
        staging.inspection().guest().unwrap().tree.stat("/var/lib/dpkg/info/tool.postinst");
    assert_eq!(script.unwrap().unwrap().mode, 0o755);
}

/// dpkg reads the database that kiln wrote, says what is left to do, and does it.
#[test]
fn dpkg_takes_the_database_and_finishes_the_work() {
    let bundle = bundle(vec![(AT, tool()), ("debian/any/all", library())]);
    let mut guest = Phony::debian();
    guest.put("/var/lib/dpkg/info/format", "1\n").dir("/var/lib/dpkg/updates");
    guest.dir("/var/lib/dpkg/triggers").put("/var/lib/dpkg/available", "");
    let (_, staging) = installed(&guest, &bundle, &["tool"]);
    let root = tempfile::tempdir().unwrap();
    let tree = &staging.inspection().guest().unwrap().tree;
    for dir in ["/var/lib/dpkg", "/etc", "/usr/bin", "/usr/lib/systemd/system", "/usr/share"] {
        copy_out(tree, dir, root.path());
    }
    let dpkg = |program: &str, arguments: &[&str]| {
        let out = Command::new(program)
            .arg(format!("--root={}", root.path().display()))
            .args(arguments)
            .output()
            .unwrap();
        assert!(out.status.success(), "{program} {arguments:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let state = |name: &str| dpkg("dpkg-query", &["-W", "-f=${db:Status-Status} ${Version}", name]);
    assert_eq!(state("tool"), "unpacked 1.2-1");
    assert_eq!(state("lib-tool"), "unpacked 1.0");
    let audit = dpkg("dpkg", &["--audit"]);
    assert!(
        audit.contains("unpacked but not yet configured") && audit.contains(" tool "),
        "{audit}"
    );
    assert!(dpkg("dpkg-query", &["-L", "tool"]).contains("/usr/bin/t\n"));
    dpkg(
        "dpkg",
        &["--force-script-chrootless", "--force-not-root", "--configure", "tool", "lib-tool"],
    );
    assert_eq!(state("tool"), "installed 1.2-1");
    let config = std::fs::read_to_string(root.path().join("etc/tool.conf")).unwrap();
    assert_eq!(config, "packaged\n");
}

fn copy_out(tree: &Tree, dir: &str, root: &Path) {
    let to = root.join(dir.trim_start_matches('/'));
    std::fs::create_dir_all(&to).unwrap();
    for entry in tree.list(dir).unwrap() {
        let path = format!("{dir}/{}", entry.name_lossy());
        if let Some(target) = tree.read_link(&path).unwrap() {
            let target = String::from_utf8(target).unwrap();
            std::os::unix::fs::symlink(target, to.join(entry.name_lossy())).unwrap();
        } else if tree.is_dir(&path).unwrap() {
            copy_out(tree, &path, root);
        } else {
            let file = to.join(entry.name_lossy());
            std::fs::write(&file, tree.read(&path, 1 << 30).unwrap().unwrap()).unwrap();
            let mode = u32::from(tree.stat(&path).unwrap().unwrap().mode);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&file, mode).unwrap();
        }
    }
}

#[test]
fn an_owners_configuration_stays_and_replaced_files_are_kept() {
    let bundle = bundle(vec![(AT, tool()), (AT, library())]);
    let mut guest = Phony::debian();
    guest.put("/etc/tool.conf", "mine\n").program("/usr/bin/tool", "old");
    let (_, staging) = installed(&guest, &bundle, &["tool"]);
    assert_eq!(text(&staging, "/etc/tool.conf").unwrap(), "mine\n");
    assert_eq!(text(&staging, "/usr/bin/tool").unwrap(), "#!/bin/sh\n");
    assert_eq!(text(&staging, "/var/lib/kiln/original/usr/bin/tool").unwrap(), "old");
}

#[test]
fn a_second_run_changes_nothing() {
    let bundle = bundle(vec![(AT, tool()), (AT, library())]);
    let options = Options::default();
    let mut staging = Staging::new(&inspect(Phony::debian().layout(), Declared::default()));
    for n in 0..2 {
        let mut draft = Draft::new(&mut staging, &options, &bundle);
        install(&mut draft, &["tool"], "for a test").unwrap();
        assert_eq!(draft.finish().0.is_empty(), n == 1, "run {n}");
    }
}

/// The newest of the first directory is taken; an installed package is upgraded and never set back.
#[test]
fn versions_decide() {
    let deb = |version: &str| Deb::new("cloud-init", version, "all").file("/usr/v", 0o644, version);
    let new = bundle(vec![(AT, deb("23.1")), (AT, deb("24.2")), ("any/any/noarch", deb("25.1"))]);
    let mut guest = Phony::debian();
    guest.put("/var/lib/dpkg/info/cloud-init.list", "/.\n/usr/stale\n/etc/stale\n");
    guest.put("/usr/stale", "x").put("/etc/stale", "x");
    let (_, staging) = installed(&guest, &new, &["cloud-init"]);
    assert_eq!(text(&staging, "/usr/v").unwrap(), "24.2");
    assert_eq!(text(&staging, "/usr/stale"), None, "the new version has it no longer");
    assert!(text(&staging, "/etc/stale").is_some(), "configuration stays");
    let status = text(&staging, "/var/lib/dpkg/status").unwrap();
    assert!(status.contains("Status: install ok unpacked\nConfig-Version: 22.4.2-1\n"), "{status}");
    let old = bundle(vec![(AT, deb("19.1"))]);
    assert_eq!(
        refused(&guest, &old, &["cloud-init"]),
        (
            codes::NO_BUNDLE,
            "the bundle has no package for debian/12/x86_64: cloud-init (22.4.2-1 or newer)".into()
        )
    );
}

#[test]
fn what_is_missing_is_named_all_at_once() {
    let none = Bundle::default();
    let (code, reason) = refused(&Phony::debian(), &none, &["cloud-init", "growpart"]);
    assert_eq!(code, codes::NO_BUNDLE);
    assert_eq!(reason, "the bundle has no package for debian/12/x86_64: cloud-init, growpart");
    let needy = tool().field("Pre-Depends", "a | b, c (>= 2)");
    let bundle = bundle(vec![(AT, needy)]);
    assert_eq!(
        refused(&Phony::debian(), &bundle, &["tool"]).1,
        "the bundle has no package for debian/12/x86_64: a or b for tool, c (>= 2) for tool, \
         lib-tool (>= 1) for tool"
    );
}

#[test]
fn what_cannot_be_is_refused_by_its_reason() {
    let guest = Phony::debian();
    let refusal = |debs, names: &[&str]| refused(&guest, &bundle(debs), names);
    let against = Deb::new("new", "1", "all").field("Breaks", "ifupdown (<< 1)");
    let (code, reason) = refusal(vec![(AT, against)], &["new"]);
    assert_eq!(code, codes::NO_BUNDLE);
    assert_eq!(reason, "the packages of the bundle do not fit: new 1 cannot be beside ifupdown");
    let early = Deb::new("new", "1", "all").control("preinst", "#!/bin/sh\nadduser x\n");
    let (code, reason) = refusal(vec![(AT, early)], &["new"]);
    assert_eq!(code, codes::EXEC_DISABLED);
    assert_eq!(
        reason,
        "debian/12/x86_64/new_1.deb: its preinst has to run before its files are there, and nothing \
         of the guest is run"
    );
    let mut owned = guest.clone();
    owned.put("/var/lib/dpkg/info/bash.list", "/.\n/usr/bin/bash\n");
    let over = Deb::new("new", "1", "all").file("/usr/bin/bash", 0o755, "x");
    let (_, reason) = refused(&owned, &bundle(vec![(AT, over)]), &["new"]);
    assert!(reason.contains("a file of the package bash"), "{reason}");
    let (code, _) = refused(&Phony::alpine(), &Bundle::default(), &["x"]);
    assert_eq!(code, codes::NO_BUNDLE);
}

#[test]
fn with_exec_the_guests_own_package_manager_does_it() {
    let early = tool().control("preinst", "#!/bin/sh\nadduser x\n");
    let bundle = bundle(vec![(AT, early), (AT, library())]);
    let options = Options { exec: true, ..Options::default() };
    let (edits, commands, staging) =
        planned(&Phony::debian(), &bundle, &options, &["tool"]).unwrap();
    let made: Vec<_> = edits.iter().filter(|edit| edit.path.ends_with(".deb")).collect();
    assert_eq!(made.len(), 2);
    assert_eq!(
        commands[0].argv,
        [
            "dpkg",
            "--force-confold",
            "--force-confdef",
            "-i",
            "/var/lib/kiln/bundle/tool_1.2-1.deb",
            "/var/lib/kiln/bundle/lib-tool_1.0.deb"
        ]
    );
    assert!(text(&staging, "/var/lib/dpkg/status").unwrap().contains("Package: cloud-init\n"));
    assert_eq!(text(&staging, "/usr/bin/tool"), None);
}

#[test]
fn owners_are_the_guests_by_name() {
    let mut guest = Phony::debian();
    guest.append("/etc/passwd", "daemon:x:7:7::/:\n").put("/etc/group", "root:x:0:\nadm:x:4:\n");
    let (edits, _) = installed(&guest, &bundle(vec![(AT, owned("daemon", "adm"))]), &["owned"]);
    let attributes = |edits: &[Edit]| {
        let edit = edits.iter().find(|edit| edit.path == "/usr/owned").unwrap();
        let Change::Create { attributes, .. } = &edit.change else { panic!("{edit:?}") };
        (attributes.uid, attributes.gid, attributes.mode)
    };
    assert_eq!(attributes(&edits), (7, 4, 0o2755));
}

/// A package with one file of another owner, whose numbers in the package are the builder's.
fn owned(user: &str, group: &str) -> Deb {
    Deb::new("owned", "1", "all").owner(user, group).file("/usr/owned", 0o2755, "x")
}
