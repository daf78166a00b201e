//! `.rpm` packages as `rpmbuild` makes them, read, installed and spoiled.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use kiln_fixtures::phony::Phony;

use super::{Body, Package, install};
use crate::repair::draft::Draft;
use crate::repair::edit::{Change, Edit};
use crate::repair::refusal::Refusal;
use crate::repair::staging::Staging;
use crate::repair::{Bundle, Options, codes};
use crate::{Declared, inspect};

const SPEC: &str = r#"
Name: sample
Epoch: 1
Version: 2.0
Release: 3.el9
Summary: x
License: x
BuildArch: noarch
Requires: have >= 1, /usr/bin/bash, (have or nothing)
Provides: thing = 2
Conflicts: older < 1
%description
x
%install
mkdir -p %{buildroot}/etc %{buildroot}/usr/bin %{buildroot}/usr/share/sample %{buildroot}/usr/lib
echo packaged > %{buildroot}/etc/sample.conf
echo program > %{buildroot}/usr/bin/sample
ln %{buildroot}/usr/bin/sample %{buildroot}/usr/bin/twin
ln -s sample %{buildroot}/usr/bin/alias
touch %{buildroot}/usr/lib/ghost
%files
%config(noreplace) /etc/sample.conf
%attr(4755,root,root) /usr/bin/sample
%attr(4755,root,root) /usr/bin/twin
/usr/bin/alias
%attr(0750,nobody,adm) %dir /usr/share/sample
%ghost /usr/lib/ghost
"#;

const HAVE: &str = "
Name: have
Version: 1.5
Release: 1
Summary: x
License: x
BuildArch: noarch
Provides: virtual = 4
%description
x
%files
";

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// The package that `rpmbuild` makes of `spec`, with its payload written by `io`.
fn built(spec: &str, io: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.spec");
    std::fs::write(&file, spec).unwrap();
    let top = format!("_topdir {}", dir.path().display());
    let payload = format!("_binary_payload {io}");
    let mut command = Command::new("rpmbuild");
    command.args(["-bb", "--quiet", "--define", &top, "--define", &payload]);
    run(command.arg(&file).env("HOME", dir.path()));
    let out = dir.path().join("RPMS/noarch");
    let package = std::fs::read_dir(out).unwrap().next().unwrap().unwrap();
    std::fs::read(package.path()).unwrap()
}

fn sample() -> Arc<[u8]> {
    static SAMPLE: OnceLock<Arc<[u8]>> = OnceLock::new();
    Arc::clone(SAMPLE.get_or_init(|| built(SPEC, "w9.gzdio").into()))
}

#[test]
fn what_rpmbuild_makes_is_read_in_each_compression() {
    for io in ["w9.gzdio", "w7.xzdio", "w3.zstdio", "w9.bzdio", "w.ufdio"] {
        let package = Package::read("a.rpm", built(SPEC, io).into()).unwrap();
        assert_eq!(package.title(), "sample 1:2.0-3.el9", "{io}");
        assert!(package.runs_on("x86_64") && package.runs_on("arm64"));
        let requires: Vec<_> = package.requires.iter().map(ToString::to_string).collect();
        for expected in ["have (>= 1)", "/usr/bin/bash", "have or nothing"] {
            assert!(requires.iter().any(|found| found == expected), "{requires:?}");
        }
        assert!(!requires.iter().any(|found| found.contains("rpmlib")), "{requires:?}");
        let thing = package.provides.iter().find(|one| one.name == "thing").unwrap();
        assert_eq!(thing.version.as_deref(), Some("2"));
        assert_eq!(package.conflicts[0].to_string(), "older (< 1)");
        assert_eq!(package.conffiles, ["/etc/sample.conf"]);
        let files: Vec<_> = package
            .payload()
            .unwrap()
            .into_iter()
            .map(|file| {
                let body = match file.body {
                    Body::Directory => "directory".to_owned(),
                    Body::Symlink(target) => format!("-> {target}"),
                    Body::File(content) => content.text().unwrap().to_owned(),
                };
                (file.path, file.mode, body, file.owner.user)
            })
            .collect();
        let file = |path: &str, mode, body: &str, user: &str| {
            (path.to_owned(), mode, body.to_owned(), user.to_owned())
        };
        assert_eq!(
            files,
            [
                file("/etc/sample.conf", 0o644, "packaged\n", "root"),
                file("/usr/bin/alias", 0o777, "-> sample", "root"),
                file("/usr/bin/sample", 0o4755, "program\n", "root"),
                file("/usr/bin/twin", 0o4755, "program\n", "root"),
                file("/usr/share/sample", 0o750, "directory", "nobody"),
            ],
            "{io}"
        );
    }
}

/// A guest with rpm's database, in which `have` is.
fn guest() -> Phony {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("have.rpm");
    std::fs::write(&package, built(HAVE, "w9.gzdio")).unwrap();
    let database = dir.path().join("db");
    let mut command = Command::new("rpm");
    command.arg("--dbpath").arg(&database).args(["--define", "_db_backend sqlite"]);
    run(command.args(["--justdb", "--nodeps", "--noscripts", "-i"]).arg(&package));
    let mut guest = Phony::el9();
    guest.put("/var/lib/rpm/rpmdb.sqlite", checkpointed(&database));
    guest
}

/// The database without its write-ahead log, which a clean shutdown leaves empty.
fn checkpointed(database: &Path) -> Vec<u8> {
    let log = std::fs::metadata(database.join("rpmdb.sqlite-wal"));
    assert!(log.is_err() || log.unwrap().len() == 0, "rpm left a log");
    std::fs::read(database.join("rpmdb.sqlite")).unwrap()
}

fn planned(
    guest: &Phony,
    files: Vec<(&str, Arc<[u8]>)>,
    options: &Options,
) -> Result<(Vec<Edit>, Vec<String>), Refusal> {
    let files = files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let bundle = Bundle::new(files).unwrap();
    let mut staging = Staging::new(&inspect(guest.layout(), Declared::default()));
    let mut draft = Draft::new(&mut staging, options, &bundle);
    install(&mut draft, &["sample"], "for a test").map_err(Refusal::from)?;
    let (edits, commands) = draft.finish();
    Ok((edits, commands.into_iter().flat_map(|command| command.argv).collect()))
}

#[test]
fn a_package_is_unpacked_where_rpm_knows_what_it_needs() {
    let mut guest = guest();
    guest.put("/etc/sample.conf", "mine\n");
    guest.append("/etc/passwd", "nobody:x:99:99::/:\n").put("/etc/group", "adm:x:4:\n");
    let at = "rhel/9/noarch/sample.rpm";
    let (edits, _) = planned(&guest, vec![(at, sample())], &Options::default()).unwrap();
    let paths: Vec<_> = edits.iter().map(|edit| edit.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/usr/bin/alias", "/usr/bin/sample", "/usr/bin/twin", "/usr/share", "/usr/share/sample"]
    );
    assert_eq!(
        edits[1].reason,
        "install sample 1:2.0-3.el9 (rpm's database is not told): for a test"
    );
    let Change::MakeDirectory { attributes } = &edits[4].change else { panic!("{:?}", edits[4]) };
    assert_eq!((attributes.uid, attributes.gid, attributes.mode), (99, 4, 0o750));
    let options = Options { exec: true, ..Options::default() };
    let (_, argv) = planned(&guest, vec![(at, sample())], &options).unwrap();
    let staged = "/var/lib/kiln/bundle/sample";
    let file = format!("{staged}/sample.rpm");
    assert_eq!(argv, ["rpm", "-U", "--replacepkgs", &file, "rm", "-r", staged]);
}

#[test]
fn what_cannot_be_is_refused_by_its_reason() {
    let options = Options::default();
    let at = "any/any/noarch/sample.rpm";
    let needy = SPEC.replace("Requires: have >= 1,", "Requires: have >= 2, virtual >= 4, none,");
    let refusal = planned(&guest(), vec![(at, built(&needy, "w9.gzdio").into())], &options);
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.code, codes::NO_BUNDLE);
    assert!(
        refusal.reason.ends_with("/x86_64: have (>= 2) for sample, none for sample"),
        "{}",
        refusal.reason
    );
    let early = format!("{SPEC}%pre\nuseradd x\n");
    let refusal = planned(&guest(), vec![(at, built(&early, "w9.gzdio").into())], &options);
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.code, codes::EXEC_DISABLED);
    assert!(refusal.reason.contains("its %pre script has to run"), "{}", refusal.reason);
}

#[test]
fn broken_packages_are_named_by_what_is_wrong() {
    let sound = sample();
    let signatures = 96 + 16;
    for (at, bytes, expected) in [
        (0, &b"\0"[..], "not a .deb"),
        (96, b"\0", "no header where one must be (at byte 96)"),
        (signatures - 8, b"\xFF", "a header that is longer than the file (at byte 96)"),
    ] {
        let mut spoilt = sound.to_vec();
        spoilt[at..at + bytes.len()].copy_from_slice(bytes);
        let found = Package::read("a.rpm", spoilt.into()).unwrap_err().to_string();
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let cut = &sound[..sound.len() - 40];
    let error = Package::read("a.rpm", cut.into()).unwrap().payload().unwrap_err().to_string();
    assert!(error.contains("cannot be unpacked"), "{error}");
}

/// No byte of a package may make kiln panic; what it makes of one is its own matter.
#[test]
fn spoiled_packages_never_panic() {
    let plain: Vec<u8> = built(SPEC, "w.ufdio");
    let mut random = crate::testing::Random(11);
    for _ in 0..3000 {
        let bytes: Arc<[u8]> = random.spoil(&plain).into();
        if let Ok(package) = Package::read("a.rpm", bytes) {
            let _ = package.payload();
        }
    }
}
