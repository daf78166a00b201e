use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use kiln_volume::MemFs;

use super::*;

fn lines(packages: &[Package]) -> Vec<String> {
    packages
        .iter()
        .map(|p| {
            let broken = if p.broken { " broken" } else { "" };
            format!("{} {} {}{broken}", p.name, p.version, p.architecture)
        })
        .collect()
}

/// An RPM database of `backend` with two packages, one with a header of more than a page, made by
/// rpm itself.
fn rpmdb(backend: &str, dir: &Path) {
    let spec = |name: &str, files: usize| {
        let list: String =
            (0..files).map(|n| format!("%ghost /opt/{name}/file-{n:06}\n")).collect();
        format!(
            "Name: {name}\nEpoch: 2\nVersion: 1.5\nRelease: 3.el9\nSummary: x\nLicense: MIT\n\
             BuildArch: noarch\n%description\nx\n%files\n{list}"
        )
    };
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).env("HOME", dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let top = format!("_topdir {}", dir.display());
    let db = dir.join("db");
    let db = db.to_str().unwrap();
    let backend = format!("_db_backend {backend}");
    run("rpm", &["--define", &backend, "--dbpath", db, "--initdb"]);
    for (name, files) in [("alpha", 1), ("beta", 900)] {
        let path = dir.join(format!("{name}.spec"));
        std::fs::write(&path, spec(name, files)).unwrap();
        run("rpmbuild", &["--define", &top, "-bb", path.to_str().unwrap()]);
        let rpm = dir.join(format!("RPMS/noarch/{name}-1.5-3.el9.noarch.rpm"));
        run(
            "rpm",
            &[
                "--define",
                &backend,
                "--dbpath",
                db,
                "-i",
                "--justdb",
                "--nodeps",
                "--force-debian",
                rpm.to_str().unwrap(),
            ],
        );
    }
}

const TWO: [&str; 2] = ["alpha 2:1.5-3.el9 noarch", "beta 2:1.5-3.el9 noarch"];

#[test]
fn the_database_of_rpm_itself_is_read() {
    let dir = tempfile::tempdir().unwrap();
    rpmdb("sqlite", dir.path());
    let bytes = std::fs::read(dir.path().join("db/rpmdb.sqlite")).unwrap();
    assert_eq!(lines(&PackageDb::parse(PackageDbKind::RpmSqlite, &bytes).unwrap()), TWO);
    survives(PackageDbKind::RpmSqlite, &bytes);
}

/// Enough rows for interior pages, in small pages.
#[test]
fn a_deep_database_of_sqlite_is_read() {
    const SCRIPT: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('pragma page_size=512')
db.execute('create table Other (a)')
db.execute('create table Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)')
for line in open(sys.argv[2]):
    db.execute('insert into Packages (blob) values (?)', (bytes.fromhex(line),))
db.commit()
";
    let dir = tempfile::tempdir().unwrap();
    let (db, list) = (dir.path().join("db"), dir.path().join("list"));
    let hex = |n: usize| -> String {
        let header = header(&format!("p{n:04}"), n * 7 % 1500);
        header.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]).collect()
    };
    std::fs::write(&list, (0..600).map(hex).collect::<String>()).unwrap();
    let status = Command::new("python3").args(["-c", SCRIPT]).args([&db, &list]).status();
    assert!(status.unwrap().success());
    let packages = PackageDb::parse(PackageDbKind::RpmSqlite, &std::fs::read(db).unwrap()).unwrap();
    let wanted: Vec<String> = (0..600).map(|n| format!("p{n:04} 1.0-2 x86_64")).collect();
    assert_eq!(lines(&packages), wanted);
}

/// Slots, of which one is free, and the headers behind the slot page.
#[test]
fn ndb_databases_are_read() {
    let mut file = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RpmP");
    put(12, &1_u32.to_le_bytes());
    put(32, b"Slot");
    let mut blobs: Vec<u8> = Vec::new();
    for (index, name) in ["beta", "alpha"].into_iter().enumerate() {
        let header = header(name, 100);
        let block = ((4096 + blobs.len()) / 16) as u32;
        let slot = [u32::from_le_bytes(*b"Slot"), index as u32 + 1, block, 9];
        put(48 + 16 * index, &slot.map(u32::to_le_bytes).concat());
        blobs.extend(
            [u32::from_le_bytes(*b"BlbS"), index as u32 + 1, 1, header.len() as u32]
                .map(u32::to_le_bytes)
                .concat(),
        );
        blobs.extend(header);
        blobs.resize(blobs.len().next_multiple_of(16), 0);
    }
    file.extend(blobs);
    let packages = PackageDb::parse(PackageDbKind::RpmNdb, &file).unwrap();
    assert_eq!(lines(&packages), ["alpha 1.0-2 x86_64", "beta 1.0-2 x86_64"]);
    file[4096] = b'X';
    let error = PackageDb::parse(PackageDbKind::RpmNdb, &file).unwrap_err();
    assert_eq!(error.to_string(), "an ndb slot that leads to no package (at byte 48)");
    file[4096] = b'B';
    survives(PackageDbKind::RpmNdb, &file);
}

/// Seeded mutations and cuts: an error or a shorter list, never a panic.
fn survives(kind: PackageDbKind, sound: &[u8]) {
    let mut state = 11_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for _ in 0..400 {
        let mut bytes = sound.to_vec();
        for _ in 0..=random() % 8 {
            // Most of what decides lies in front.
            let at = random() % bytes.len().min(if random() % 2 == 0 { 512 } else { usize::MAX });
            bytes[at] = random() as u8;
        }
        bytes.truncate(bytes.len() - random() % bytes.len().min(9000));
        let _ = PackageDb::parse(kind, &bytes);
    }
}

/// A header as databases hold it.
fn header(name: &str, padding: usize) -> Vec<u8> {
    let mut store = Vec::new();
    let mut tags = Vec::new();
    for (tag, text) in [(1000_u32, name), (1001, "1.0"), (1002, "2"), (1022, "x86_64")] {
        tags.extend([tag, 6, store.len() as u32, 1].map(u32::to_be_bytes).concat());
        store.extend_from_slice(text.as_bytes());
        store.push(0);
    }
    store.resize(store.len() + padding, 7);
    [&4_u32.to_be_bytes()[..], &(store.len() as u32).to_be_bytes(), &tags, &store].concat()
}

/// A hash of one page with an inline value, and one whose value lies on two overflow pages.
fn berkeley() -> Vec<u8> {
    const PAGE: usize = 512;
    let (small, large) = (header("inline", 0), header("chained", 700));
    let mut file = vec![0; 4 * PAGE];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(12, &0x0006_1561_u32.to_le_bytes());
    put(20, &(PAGE as u32).to_le_bytes());
    let page = PAGE;
    put(page + 20, &4_u16.to_le_bytes());
    put(page + 25, &[13]);
    let off_page =
        [&[3, 0, 0, 0][..], &2_u32.to_le_bytes(), &(large.len() as u32).to_le_bytes()].concat();
    let items = [vec![1, 1, 0, 0, 0], [&[1][..], &small].concat(), vec![1, 2, 0, 0, 0], off_page];
    let mut end = PAGE;
    for (index, item) in items.iter().enumerate() {
        end -= item.len();
        put(page + end, item);
        put(page + 26 + 2 * index, &(end as u16).to_le_bytes());
    }
    for (number, (data, next)) in [(&large[..486], 3_u32), (&large[486..], 0)].iter().enumerate() {
        let page = (2 + number) * PAGE;
        put(page + 16, &next.to_le_bytes());
        put(page + 22, &(data.len() as u16).to_le_bytes());
        put(page + 25, &[7]);
        put(page + 26, data);
    }
    file
}

#[test]
fn berkeley_databases_are_read() {
    let file = berkeley();
    let packages = PackageDb::parse(PackageDbKind::RpmBdb, &file).unwrap();
    assert_eq!(lines(&packages), ["chained 1.0-2 x86_64", "inline 1.0-2 x86_64"]);
    // An overflow chain that goes round ends with the pages there are.
    let mut looping = file.clone();
    looping[2 * 512 + 16] = 2;
    looping[2 * 512 + 22..2 * 512 + 24].copy_from_slice(&[1, 0]);
    let error = PackageDb::parse(PackageDbKind::RpmBdb, &looping).unwrap_err();
    assert_eq!(error.to_string(), "a broken page of a Berkeley DB hash (at byte 512)");
    survives(PackageDbKind::RpmBdb, &file);
}

#[test]
fn other_files_are_told_apart() {
    for (kind, message) in [
        (PackageDbKind::RpmSqlite, "not an SQLite database: wrong magic (at byte 0)"),
        (PackageDbKind::RpmNdb, "not an ndb database: wrong magic (at byte 0)"),
        (PackageDbKind::RpmBdb, "not a Berkeley DB hash: wrong magic (at byte 12)"),
    ] {
        assert_eq!(PackageDb::parse(kind, b"hello").unwrap_err().to_string(), message);
    }
}

#[test]
fn text_databases_are_read() {
    let mut fs = MemFs::new();
    fs.file(
        "/var/lib/dpkg/status",
        "Package: b\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\n\n\
         Package: a\nStatus: install ok half-configured\nVersion: 1\nArchitecture: all\n\n\
         Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n",
    );
    fs.file("/var/lib/dpkg/status.d/base", "Package: base\nVersion: 7\nArchitecture: all\n");
    fs.file(
        "/lib/apk/db/installed",
        "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\n\nP:zlib\nV:1.3\nA:x86_64\n",
    );
    fs.file(
        "/var/lib/pacman/local/bash-5/desc",
        "%NAME%\nbash\n\n%VERSION%\n5.2-1\n\n%ARCH%\nx86_64\n",
    );
    let found = read_all(&Tree::new(Arc::new(fs))).unwrap();
    let all: Vec<_> = found.iter().map(|db| (db.path.as_str(), lines(&db.packages))).collect();
    let list = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        all,
        [
            ("/var/lib/dpkg/status", list(&["a 1 all broken", "b 1:2-3 amd64"])),
            ("/lib/apk/db/installed", list(&["musl 1.2.5-r0 x86_64", "zlib 1.3 x86_64"])),
            ("/var/lib/dpkg/status.d", list(&["base 7 all"])),
            ("/var/lib/pacman/local", list(&["bash 5.2-1 x86_64"])),
        ]
    );
}
