//! Consoles of real guests, recorded from QEMU 7.2, and lines of many kinds.

use super::*;
use Stage::{CloudInit, Firmware, Init, Initramfs, Kernel, Loader, Login, Network, RootMounted};

const BIOS: &[u8] = include_bytes!("recorded/initramfs-tools-bios.console");
const UEFI: &[u8] = include_bytes!("recorded/initramfs-tools-uefi.console");
const DRACUT: &[u8] = include_bytes!("recorded/dracut-uefi.console");
const NO_ROOT: &[u8] = include_bytes!("recorded/initramfs-tools-no-root.console");

const SECOND: Duration = Duration::from_secs(1);

/// Fed in pieces of `size`, a second apart.
fn fed(console: &[u8], size: usize) -> Recogniser {
    let mut recogniser = Recogniser::new(None);
    for (n, piece) in console.chunks(size).enumerate() {
        recogniser.feed(piece, SECOND * u32::try_from(n).unwrap());
    }
    recogniser
}

fn said(text: &str) -> Recogniser {
    fed(text.as_bytes(), usize::MAX)
}

fn stages(recogniser: &Recogniser) -> Vec<Stage> {
    recogniser.stages().iter().map(|reached| reached.stage).collect()
}

fn code(text: &str) -> Option<&'static str> {
    said(text).failure().map(|failure| failure.code)
}

#[test]
fn real_guests_pass_all_stages_by_their_own_words() {
    for (name, console) in [("bios", BIOS), ("uefi", UEFI), ("dracut", DRACUT)] {
        for size in [1, 4096] {
            let recogniser = fed(console, size);
            let expected = [Firmware, Loader, Kernel, Initramfs, RootMounted, Init, Login];
            assert_eq!(stages(&recogniser), expected, "{name}");
            let implied: Vec<_> =
                recogniser.stages().iter().filter(|reached| reached.implied).collect();
            assert_eq!(implied, Vec::<&Reached>::new(), "{name}");
            assert_eq!(recogniser.failure(), None, "{name}");
            assert_eq!(recogniser.n_restarts(), 0, "{name}");
        }
    }
}

/// The words that proved each stage: a wrong table shows here.
#[test]
fn evidence_is_the_line() {
    let recogniser = fed(BIOS, 4096);
    let evidence = |stage| &*recogniser.reached(stage).unwrap().evidence;
    assert_eq!(evidence(Firmware), "SeaBIOS (version 1.16.2-debian-1.16.2-1)");
    assert_eq!(evidence(Loader), "GRUB loading..");
    assert!(evidence(Kernel).starts_with("[    0.000000] Linux version 6.1.0-"));
    assert!(evidence(Initramfs).ends_with("Run /init as init process"));
    assert!(evidence(RootMounted).contains("EXT4-fs (vda2): mounted filesystem"));
    assert_eq!(evidence(Init), "Welcome to Debian GNU/Linux 12 (bookworm)!");
    assert_eq!(evidence(Login), "kiln-fixture login:");
}

/// An initramfs on a bus that it has no driver for.
#[test]
fn a_real_guest_without_its_driver_is_told() {
    let recogniser = fed(NO_ROOT, 4096);
    assert_eq!(stages(&recogniser), [Firmware, Loader, Kernel, Initramfs]);
    let failure = recogniser.failure().unwrap();
    assert_eq!(failure.code, "Initramfs.RootNotFound");
    assert!(failure.evidence.contains("Gave up waiting for root file system device"));
    let has_alert = recogniser.clues().iter().any(|clue| clue.starts_with("ALERT!"));
    assert!(has_alert, "{:?}", recogniser.clues());
}

#[test]
fn failures_by_what_guests_print() {
    for (text, expected) in [
        (
            "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n",
            "Panic.NoRoot",
        ),
        ("[ 1.0] Kernel panic - not syncing: No working init found.\n", "Panic.NoInit"),
        (
            "[ 1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x100\n",
            "Panic.NoInit",
        ),
        ("[ 1.0] Kernel panic - not syncing: Fatal exception\n", "Panic.Other"),
        ("BusyBox v1.35.0 (Debian)\n\n(initramfs) ", "Initramfs.Shell"),
        (
            "[  140.2] dracut-initqueue[402]: Warning: dracut-initqueue: timeout, still waiting for following initqueue hooks:\n",
            "Initramfs.RootNotFound",
        ),
        ("Entering emergency mode. Exit the shell to continue.\n", "Initramfs.Shell"),
        ("dracut:/# ", "Initramfs.Shell"),
        (
            "Welcome to Fedora Linux 40!\nYou are in emergency mode. After logging in, type\n",
            "System.EmergencyMode",
        ),
        (
            "Welcome to Fedora Linux 40!\n[  OK  ] Reached target emergency.target - Emergency Mode.\n",
            "System.EmergencyMode",
        ),
        ("[ 2.0] systemd[1]: Freezing execution.\n", "System.InitFailed"),
        (
            "error: no such device: 1111.\nEntering rescue mode...\ngrub rescue> ",
            "Loader.GrubRescue",
        ),
        ("\x1b[1;1HGNU GRUB  version 2.06\n\ngrub> ", "Loader.GrubPrompt"),
        ("error: you need to load the kernel first.\n", "Loader.NoKernel"),
        (
            "Booting from Hard Disk...\nBoot failed: not a bootable disk\n\nNo bootable device.\n",
            "Firmware.NothingToBoot",
        ),
        ("BdsDxe: No bootable option or device was found.\n", "Firmware.NothingToBoot"),
        ("UEFI Interactive Shell v2.2\n", "Firmware.NothingToBoot"),
        ("[ 99.0] reboot: Power down\n", "System.PoweredOff"),
    ] {
        assert_eq!(code(text), Some(expected), "{text}");
    }
}

#[test]
fn near_misses_are_no_failures() {
    for text in [
        "Type `grub> help' in the manual\n",
        "see (initramfs) in the documentation\n",
        "BdsDxe: failed to load Boot0001 \"UEFI PXE\" from Pci: Not Found\n",
        "error: no such device: 1111.\n",
        "[  OK  ] Started emergency.service watcher\n",
        "[ 5.0] Not activating Mandatory Access Control as /sbin/tomoyo-init does not exist.\n",
    ] {
        assert_eq!(code(text), None, "{text}");
    }
}

#[test]
fn prompts_need_no_line_end_and_a_host_name() {
    for text in ["debian login: ", "\r\nlocalhost login:", "a-b.example.org login: \n"] {
        assert!(said(text).reached(Login).is_some(), "{text}");
    }
    for text in ["Last login: Mon Nov 25", "no user login: here", " login: ", "the last login: x"] {
        assert!(said(text).reached(Login).is_none(), "{text}");
    }
}

#[test]
fn a_login_implies_what_said_nothing() {
    let recogniser = said("SeaBIOS (version 1)\nhost login: ");
    let implied: Vec<_> = recogniser.stages().iter().map(|r| (r.stage, r.implied)).collect();
    let silent = [Loader, Kernel, Initramfs, RootMounted, Init].map(|stage| (stage, true));
    let expected = [&[(Firmware, false)][..], &silent, &[(Login, false)]].concat();
    assert_eq!(implied, expected);
}

#[test]
fn other_inits_and_cloud_init() {
    assert!(said("   OpenRC 0.52.1 is starting up Linux 6.6\n").reached(Init).is_some());
    assert!(said("INIT: version 2.88 booting\n").reached(Init).is_some());
    assert!(said("Welcome to GRUB!\n").reached(Init).is_none());
    let initramfs = said("Welcome to Debian GNU/Linux 12 (bookworm) dracut-059-4 (Initramfs)!\n");
    assert_eq!((initramfs.reached(Init), initramfs.reached(Initramfs).is_some()), (None, true));
    let done = "[   19.1] cloud-init[603]: Cloud-init v. 22.4.2 finished at Wed, 25 Nov 2026\n";
    assert!(said(done).reached(CloudInit).is_some());
    assert!(said("Cloud-init v. 22.4.2 running 'modules:final' at\n").reached(CloudInit).is_none());
}

#[test]
fn a_marker_is_found_in_any_line_and_in_none() {
    let mut recogniser = Recogniser::new(Some("app: ready"));
    recogniser.feed(b"my app: starting\n", SECOND);
    assert_eq!(recogniser.marked(), None);
    recogniser.feed(b"my app: re", 2 * SECOND);
    recogniser.feed(b"ady", 3 * SECOND);
    let marked = recogniser.marked().unwrap();
    assert_eq!((marked.at, &*marked.evidence), (3 * SECOND, "my app: ready"));
}

#[test]
fn restarts_are_counted_by_the_firmware() {
    let once = "SeaBIOS (version 1)\n[    0.0] Linux version 6\n";
    assert_eq!(said(once).n_restarts(), 0);
    assert_eq!(said(&once.repeat(3)).n_restarts(), 2);
    assert_eq!(said("SeaBIOS (version 1)\nSeaBIOS (version 1)\n").n_restarts(), 0, "no kernel ran");
}

#[test]
fn what_is_noted_from_outside_is_noted_once() {
    let mut recogniser = Recogniser::default();
    recogniser.note(Network, "DHCP", SECOND);
    recogniser.note(Network, "DHCP", 2 * SECOND);
    assert_eq!(recogniser.stages().len(), 1);
    assert_eq!(recogniser.reached(Network).unwrap().at, SECOND);
}

/// A hostile guest prints faults without end.
#[test]
fn what_is_kept_is_bounded() {
    let mut recogniser = Recogniser::new(Some("x"));
    for n in 0..1000 {
        recogniser.feed(format!("error: {n} {}\n", "x".repeat(2000)).as_bytes(), SECOND);
    }
    assert_eq!(recogniser.clues().len(), MAX_CLUES);
    let longest = recogniser.clues().iter().map(|clue| clue.chars().count()).max();
    assert!(longest <= Some(MAX_EVIDENCE_CHARS + 3), "{longest:?}");
}
