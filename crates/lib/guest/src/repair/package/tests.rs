//! Packages read, held against the tools that know them, and spoiled.

use std::process::Command;
use std::sync::Arc;

use kiln_fixtures::deb::Deb;
use tar::EntryType;

use super::*;

fn read(deb: Deb) -> Package {
    Package::read("a.deb", deb.build().into()).unwrap()
}

fn sample() -> Deb {
    Deb::new("sample", "1:2.0-3", "amd64")
        .field("Depends", "libc6 (>= 2.36), python3:any | python (<< 3), virtual")
        .field("Provides", "thing (= 2), other")
        .field("Breaks", "older (<< 1)")
        .control("postinst", "#!/bin/sh\n")
        .control("conffiles", "/etc/sample.conf\n")
        .dir("")
        .dir("/etc")
        .file("/etc/sample.conf", 0o640, "a=1\n")
        .file("/usr/bin/sample", 0o4755, "program")
        .entry("./usr/bin/alias", EntryType::Symlink, "sample")
        .entry("./usr/bin/twin", EntryType::Link, "./usr/bin/sample")
}

#[test]
fn a_package_says_what_it_is_and_needs() {
    let package = read(sample());
    assert_eq!(package.title(), "sample 1:2.0-3");
    assert!(package.runs_on("x86_64") && !package.runs_on("arm64"));
    let requires: Vec<_> = package.requires.iter().map(ToString::to_string).collect();
    assert_eq!(requires, ["libc6 (>= 2.36)", "python3 or python (< 3)", "virtual"]);
    let provides: Vec<_> =
        package.provides.iter().map(|one| (one.name.as_str(), one.version.as_deref())).collect();
    assert_eq!(provides, [("thing", Some("2")), ("other", None)]);
    assert_eq!(package.conflicts[0].to_string(), "older (< 1)");
    assert_eq!(package.early_scripts, []);
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
            (file.path, file.mode, body)
        })
        .collect();
    let file = |path: &str, mode, body: &str| (path.to_owned(), mode, body.to_owned());
    assert_eq!(
        files,
        [
            file("/etc", 0o755, "directory"),
            file("/etc/sample.conf", 0o640, "a=1\n"),
            file("/usr/bin/sample", 0o4755, "program"),
            file("/usr/bin/alias", 0o777, "-> sample"),
            file("/usr/bin/twin", 0o777, "program"),
        ]
    );
}

/// Each compression that `dpkg-deb` knows, with its own listing as the oracle.
#[test]
fn what_dpkg_deb_builds_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    let long = format!("usr/share/{}/{}", "d".repeat(120), "f".repeat(120));
    std::fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    std::fs::create_dir_all(tree.join(&long).parent().unwrap()).unwrap();
    std::fs::write(tree.join(&long), "long").unwrap();
    std::fs::write(tree.join("usr/empty"), "").unwrap();
    let control = "Package: built\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.com>\n\
                   Description: x\n";
    std::fs::write(tree.join("DEBIAN/control"), control).unwrap();
    std::os::unix::fs::symlink("empty", tree.join("usr/link")).unwrap();
    for compression in ["none", "gzip", "xz", "zstd"] {
        let file = dir.path().join("built.deb");
        let arguments = ["--root-owner-group", &format!("-Z{compression}"), "-b"];
        let out = Command::new("dpkg-deb").args(arguments).arg(&tree).arg(&file).output().unwrap();
        assert!(out.status.success(), "{compression}: {out:?}");
        let package = Package::read("built.deb", std::fs::read(&file).unwrap().into()).unwrap();
        assert_eq!(package.title(), "built 1", "{compression}");
        let listed = Command::new("dpkg-deb").arg("-c").arg(&file).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let mut expected: Vec<String> = listed
            .lines()
            .map(|line| line.split(" ./").nth(1).unwrap().split(" -> ").next().unwrap())
            .map(|path| format!("/{}", path.trim_end_matches('/')))
            .filter(|path| path != "/")
            .collect();
        let mut found: Vec<_> =
            package.payload().unwrap().into_iter().map(|file| file.path).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{compression}");
        assert!(found.contains(&format!("/{long}")), "{compression}");
    }
}

#[test]
fn hostile_payloads_are_refused_by_what_is_wrong() {
    let cases: [(&str, EntryType, &str, &str); 8] = [
        (
            "./../etc/passwd",
            EntryType::Regular,
            "x",
            "`./../etc/passwd`: not a path below the root",
        ),
        ("./usr/../../x", EntryType::Regular, "x", "`./usr/../../x`: not a path below the root"),
        ("./a\nb", EntryType::Regular, "x", "`./a\\nb`: not a path below the root"),
        (
            "./dev/sda",
            EntryType::Block,
            "",
            "/dev/sda: neither a file, a directory nor a link (type `4`)",
        ),
        ("./x", EntryType::Fifo, "", "/x: neither a file, a directory nor a link (type `6`)"),
        (
            "./x",
            EntryType::Link,
            "./etc/shadow",
            "/x: a hard link to /etc/shadow, no file before it",
        ),
        ("./x", EntryType::Symlink, "", "/x: a link without a sound target"),
        ("./link/file", EntryType::Regular, "x", "/link/file: behind /link, which is a link in it"),
    ];
    for (name, kind, data, message) in cases {
        let deb = Deb::new("a", "1", "all").entry("./link", EntryType::Symlink, "/etc");
        let error = read(deb.entry(name, kind, data)).payload().unwrap_err().to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
    let twice = Deb::new("a", "1", "all").file("/x", 0o644, "1").file("/x", 0o644, "2");
    let error = read(twice).payload().unwrap_err().to_string();
    assert!(error.contains("/x: twice in it"), "{error}");
    // An absolute path is one below the guest's root.
    let absolute = Deb::new("a", "1", "all").entry("/etc/x", EntryType::Regular, "x");
    assert_eq!(read(absolute).payload().unwrap()[0].path, "/etc/x");
}

#[test]
fn broken_packages_are_named_by_what_is_wrong() {
    let sound = sample().build();
    let message = |bytes: Vec<u8>| Package::read("a.deb", bytes.into()).unwrap_err().to_string();
    let spoil = |from: &[u8], to: &[u8]| {
        let mut bytes = sound.clone();
        let at = memchr::memmem::find(&bytes, from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    for (bytes, expected) in [
        (b"PK\x03\x04".to_vec(), "not a .deb"),
        (spoil(b"debian-binary", b"debian-bin4ry"), "another format than 2"),
        (spoil(b"2.0\n", b"3.0\n"), "another format than 2"),
        (spoil(b"control.tar.gz", b"control_tar.gz"), "no control.tar in it"),
        (sound[..200].to_vec(), "which are not there"),
        (Deb::new("../x", "1", "all").build(), "its control file has no sound Package"),
        (Deb::new("a", "", "all").build(), "its control file has no sound Version"),
    ] {
        let found = message(bytes);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn a_preinst_counts_unless_tools_wrote_it() {
    let helper = "#!/bin/sh\nset -e\n# Automatically added by dh_installinit/13.11.4\nif [ \"$1\" \
                  = install ]; then\n\tchmod +x /x\nfi\n# End automatically added section\n";
    for (script, needed) in [
        (helper, false),
        ("#!/bin/sh\ndpkg-maintscript-helper rm_conffile /etc/x 1 -- \"$@\"\n", false),
        ("#!/bin/sh\nset -e\nadduser --system x\n", true),
        (&format!("{helper}\nadduser x\n"), true),
    ] {
        let package = read(Deb::new("a", "1", "all").control("preinst", script));
        assert_eq!(package.early_scripts, [EarlyScript { name: "preinst", needed }], "{script}");
    }
}

/// No byte of a package may make kiln panic; what it makes of one is its own matter.
#[test]
fn spoiled_packages_never_panic() {
    let sound = sample().build();
    let mut random = crate::testing::Random(9);
    for _ in 0..3000 {
        let bytes: Arc<[u8]> = random.spoil(&sound).into();
        if let Ok(package) = Package::read("a.deb", bytes) {
            let _ = package.payload();
        }
    }
}
