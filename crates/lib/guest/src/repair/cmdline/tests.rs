//! Edits over whole guests: every file that holds the command line, and no other.

use kiln_volume::MemFs;

use super::*;
use crate::repair::{Bundle, Edit, Options, Staging};
use crate::testing::systems::*;
use crate::testing::{Disk, UUID_ROOT, grubenv};
use crate::{Declared, inspect};

fn planned(
    disk: Disk,
    entries: Entries,
    edits: &[ArgEdit],
) -> (Result<bool, Stop>, Vec<Edit>, Staging) {
    let mut staging = Staging::new(&inspect(disk.build(), Declared::default()));
    let (options, bundle) = (Options { backup: false, ..Options::default() }, Bundle::default());
    let mut draft = Draft::new(&mut staging, &options, &bundle);
    let result = edit_args(&mut draft, entries, edits, "a test");
    let (edits, _) = draft.finish();
    (result, edits, staging)
}

/// The paths that an edit of all entries changes; a second one changes nothing.
fn changed(disk: Disk, edits: &[ArgEdit]) -> Vec<String> {
    let (result, made, mut staging) = planned(disk, Entries::All, edits);
    assert_eq!(result.unwrap(), !made.is_empty());
    let (options, bundle) = (Options::default(), Bundle::default());
    let mut again = Draft::new(&mut staging, &options, &bundle);
    assert!(!edit_args(&mut again, Entries::All, edits, "a test").unwrap());
    assert_eq!(again.finish().0, []);
    made.into_iter().map(|edit| edit.path).collect()
}

fn cmdline(staging: &Staging) -> String {
    staging.inspection().guest().unwrap().boot.default_entry().unwrap().cmdline.clone()
}

#[test]
fn each_loader_has_its_files() {
    let root = |to: &str| ArgEdit::replace(format!("root=UUID={UUID_ROOT}"), to);
    let set = ArgEdit::set("nvme_core.io_timeout", "4294967295");
    let mut debian_fs = debian();
    debian_fs.file("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n");
    debian_fs.file("/etc/default/grub.d/50-cloud.cfg", "GRUB_CMDLINE_LINUX_DEFAULT='quiet'\n");
    let (el8_root, el8_boot) = el(8);
    let (mut el9_root, el9_boot) = el(9);
    el9_root.file("/etc/kernel/cmdline", format!("root=UUID={UUID_ROOT} ro\n"));
    let el9_entries = [
        "/boot/loader/entries/ab-0-rescue.conf",
        "/boot/loader/entries/ab-5.14.0-503.el9.x86_64.conf",
    ];
    for (disk, all, of_root) in [
        (
            bios_disk(debian_fs),
            vec!["/boot/grub/grub.cfg", "/etc/default/grub"],
            vec!["/boot/grub/grub.cfg"],
        ),
        (
            two_partitions((el8_root, el8_boot)),
            vec!["/boot/grub2/grubenv"],
            vec!["/boot/grub2/grubenv"],
        ),
        (
            two_partitions((el9_root, el9_boot)),
            [&["/boot/grub2/grubenv"], &el9_entries[..], &["/etc/kernel/cmdline"]].concat(),
            [&["/boot/grub2/grubenv"], &el9_entries[..], &["/etc/kernel/cmdline"]].concat(),
        ),
        (legacy_disk(el6()), vec!["/boot/grub/grub.conf"], vec!["/boot/grub/grub.conf"]),
        (alpine(), vec!["/boot/extlinux.conf"], vec!["/boot/extlinux.conf"]),
    ] {
        let build = |disk: &Disk| Disk {
            bytes: disk.bytes.clone(),
            layout: disk.layout.clone(),
            volumes: disk.volumes.clone(),
        };
        let copy = build(&disk);
        let mut found = changed(disk, std::slice::from_ref(&set));
        found.sort();
        assert_eq!(found, all);
        let mut found = changed(copy, &[root("root=PARTUUID=1")]);
        found.sort();
        assert_eq!(found, of_root);
    }
}

#[test]
fn the_entry_that_boots_gets_the_new_words() {
    let set = [ArgEdit::set("a", "1")];
    for disk in [
        bios_disk(debian()),
        uefi_disk(debian(), debian_esp()),
        two_partitions(el(8)),
        two_partitions(el(9)),
        legacy_disk(el6()),
        suse(),
        arch(),
        alpine(),
    ] {
        let (result, _, staging) = planned(disk, Entries::Default, &set);
        assert!(result.unwrap());
        assert!(cmdline(&staging).ends_with(" a=1"), "{}", cmdline(&staging));
    }
}

#[test]
fn only_the_default_entry_changes_where_that_is_asked_for() {
    let word = format!("root=UUID={UUID_ROOT}");
    let (_, _, staging) =
        planned(bios_disk(debian()), Entries::Default, &[ArgEdit::replace(&word, "root=LABEL=x")]);
    let guest = staging.inspection().guest().unwrap();
    let roots: Vec<_> = guest.boot.entries.iter().map(|entry| entry.arg("root").unwrap()).collect();
    let uuid = format!("UUID={UUID_ROOT}");
    assert_eq!(roots, ["LABEL=x", &uuid, &uuid]);
}

#[test]
fn the_environment_block_keeps_its_size_or_the_edit_is_refused() {
    let (root, boot) = el(8);
    let set = [ArgEdit::set("a", "1")];
    let (result, edits, _) =
        planned(two_partitions((root.clone(), boot.clone())), Entries::All, &set);
    assert!(result.unwrap());
    let [Edit { change: crate::repair::Change::Replace { after, .. }, .. }] = &edits[..] else {
        panic!("{edits:?}")
    };
    assert_eq!(after.size_bytes(), 1024);

    let mut full = boot;
    full.file(
        "/grub2/grubenv",
        grubenv(&format!("kernelopts=root=UUID={UUID_ROOT} {}\n", "x".repeat(938))),
    );
    let (result, edits, _) = planned(two_partitions((root, full)), Entries::All, &set);
    assert!(matches!(result, Err(Stop::Refused(refusal)) if refusal.code == codes::NOT_MENDED));
    assert_eq!(edits, []);
}

#[test]
fn shell_snippets_that_count_last_get_new_words() {
    let with = |main: &str, snippet: &str| {
        let mut fs = debian();
        fs.file("/etc/default/grub", main).file("/etc/default/grub.d/a.cfg", snippet);
        let mut found = changed(bios_disk(fs), &[ArgEdit::set("a", "1")]);
        found.retain(|path| path.starts_with("/etc"));
        found
    };
    assert_eq!(
        with("GRUB_CMDLINE_LINUX=\"b\"\n", "GRUB_CMDLINE_LINUX=\"c\"\n"),
        ["/etc/default/grub.d/a.cfg"]
    );
    assert_eq!(
        with("GRUB_CMDLINE_LINUX=\"a=2\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"c\"\n"),
        ["/etc/default/grub"]
    );
    assert_eq!(with("GRUB_CMDLINE_LINUX_DEFAULT=\"c\"\n", ""), ["/etc/default/grub"]);
    assert_eq!(with("GRUB_TIMEOUT=5\n", ""), ["/etc/default/grub"]);
    assert_eq!(with("GRUB_CMDLINE_LINUX=\"a=1\"\n", ""), [""; 0]);
}

#[test]
fn a_unified_image_is_refused() {
    let mut esp = MemFs::new();
    let cmdline = format!("root=UUID={UUID_ROOT} ro");
    esp.file("/EFI/BOOT/BOOTX64.EFI", unified(&cmdline));
    let mut disk = Disk::gpt();
    disk.esp(esp);
    let mut root = debian();
    root.remove("/boot/grub").dir("/boot/efi");
    disk.partition(root, UUID_ROOT, "");
    let (result, edits, _) = planned(disk, Entries::All, &[ArgEdit::set("a", "1")]);
    assert!(matches!(result, Err(Stop::Refused(refusal)) if refusal.code == codes::UKI_SIGNED));
    assert_eq!(edits, []);
}

/// A PE file with the sections `.linux` and `.cmdline`.
fn unified(cmdline: &str) -> Vec<u8> {
    let mut image = crate::testing::pe(0x8664);
    image.resize(2048, 0);
    image[0x86..0x88].copy_from_slice(&2u16.to_le_bytes());
    for (index, (name, at, length)) in
        [(&b".linux\0\0"[..], 1024u32, 16u32), (b".cmdline", 1536, cmdline.len() as u32)]
            .into_iter()
            .enumerate()
    {
        let header = 0x80 + 24 + index * 40;
        image[header..header + 8].copy_from_slice(name);
        for (offset, value) in [(8, length), (16, 512), (20, at)] {
            image[header + offset..header + offset + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    image[1536..1536 + cmdline.len()].copy_from_slice(cmdline.as_bytes());
    image
}

#[test]
fn mutated_files_never_panic() {
    let edits = [
        ArgEdit::replace("root=/dev/sda1", "root=UUID=1"),
        ArgEdit::remove("quiet"),
        ArgEdit::set("a", "1"),
    ];
    let text = "set x=\"a\"\nmenuentry 'x' {\n\tlinux /k root=/dev/sda1 quiet\n}\nX=\"quiet b\"\noptions quiet\n\
                kernel /k quiet\nappend root=/dev/sda1 quiet\n";
    crate::syntax::mutation::mutated(text.as_bytes(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for format in [
            Format::Grub(None),
            Format::Grub(Some(3)),
            Format::Bls { may_add: true },
            Format::Legacy(None),
            Format::Extlinux(Some(2)),
            Format::Shell { add_to: Some(0), add_line: false },
            Format::Whole,
        ] {
            let once = format.edited(&text, &edits);
            assert_eq!(format.edited(&once, &edits), once, "{format:?}\n{text}");
        }
    });
}
