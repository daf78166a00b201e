//! What a console says when a guest will not come further, and what that means.

use std::time::Duration;

use serde::Serialize;

use crate::boot::stage::seconds;

/// Why a guest did not come further.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// A name for programs. It keeps its meaning.
    pub code: &'static str,
    /// What happened, for people.
    pub reason: String,
    /// What to look at.
    pub hint: Option<&'static str>,
    /// The line that told; text of the guest's. Empty where there was none.
    pub evidence: String,
    /// When, counted from the start of the machine, as `seconds`.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub at: Duration,
}

/// When a row of the table holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// The words are used by an initramfs and by the system: here by the former.
    BeforeInit,
    /// Here by the latter.
    AfterInit,
}

struct Trouble {
    code: &'static str,
    words: &'static [&'static str],
    /// The words are a prompt: they begin the line.
    is_prompt: bool,
    when: When,
    reason: &'static str,
    hint: Option<&'static str>,
}

const ROOT_HINT: Option<&str> = Some(
    "the initramfs lacks the driver of this disk (kiln check, items Virtio and Nvme), or root= names \
     a filesystem that is not there (item Grub)",
);
const FSTAB_HINT: Option<&str> =
    Some("a line of /etc/fstab asks for a device that is not there (kiln check, item Fstab)");
const LOADER_HINT: Option<&str> = Some(
    "the disk does not start with this firmware; try the other one with --firmware, and see kiln \
     check, item BootMode",
);

/// The first row that holds is told, so the narrow ones come before the wide ones.
const TROUBLES: &[Trouble] = &[
    Trouble {
        code: "Panic.NoRoot",
        words: &["Kernel panic - not syncing: VFS: Unable to mount root fs"],
        is_prompt: false,
        when: When::Always,
        reason: "the kernel has no root filesystem: it loaded no initramfs, or could not unpack it",
        hint: ROOT_HINT,
    },
    Trouble {
        code: "Panic.NoInit",
        words: &[
            "Kernel panic - not syncing: No working init found",
            "Kernel panic - not syncing: Requested init",
            "Kernel panic - not syncing: Attempted to kill init",
        ],
        is_prompt: false,
        when: When::Always,
        reason: "the first program of the system could not be started, or ended",
        hint: None,
    },
    Trouble {
        code: "Panic.Other",
        words: &["Kernel panic - not syncing"],
        is_prompt: false,
        when: When::Always,
        reason: "the kernel stopped",
        hint: None,
    },
    Trouble {
        code: "Initramfs.RootNotFound",
        words: &[
            "Gave up waiting for root file system device",
            "Gave up waiting for root device",
            "dracut-initqueue: timeout",
            "dracut-initqueue timeout",
            "dracut Warning: Could not boot",
            "Warning: Could not boot.",
        ],
        is_prompt: false,
        when: When::Always,
        reason: "the initramfs waited for the root filesystem in vain",
        hint: ROOT_HINT,
    },
    Trouble {
        code: "Initramfs.Shell",
        words: &["(initramfs)", "dracut:/#", "initramfs:/#"],
        is_prompt: true,
        when: When::Always,
        reason: "the initramfs gave up and started a shell",
        hint: ROOT_HINT,
    },
    Trouble {
        code: "Initramfs.Shell",
        words: &[
            "Entering emergency mode",
            "Reached target emergency.target",
            "You are in emergency mode",
        ],
        is_prompt: false,
        when: When::BeforeInit,
        reason: "the initramfs gave up and started a shell",
        hint: ROOT_HINT,
    },
    Trouble {
        code: "System.EmergencyMode",
        words: &[
            "You are in emergency mode",
            "You are in rescue mode",
            "Entering emergency mode",
            "Reached target emergency.target",
            "Reached target Emergency Mode",
            "Give root password for maintenance",
            "Cannot open access to console, the root account is locked",
        ],
        is_prompt: false,
        when: When::AfterInit,
        reason: "the system started in emergency mode: something it waits for did not come",
        hint: FSTAB_HINT,
    },
    Trouble {
        code: "System.InitFailed",
        words: &["systemd[1]: Freezing execution", "!!!!!! Failed to "],
        is_prompt: false,
        when: When::Always,
        reason: "systemd could not go on",
        hint: None,
    },
    Trouble {
        code: "Loader.GrubRescue",
        words: &["grub rescue>"],
        is_prompt: true,
        when: When::Always,
        reason: "GRUB did not find its own files",
        hint: Some("its prefix names a partition that is not there, or /boot/grub is damaged"),
    },
    Trouble {
        code: "Loader.GrubPrompt",
        words: &["grub>"],
        is_prompt: true,
        when: When::Always,
        reason: "GRUB found no menu and waits for commands",
        hint: Some("grub.cfg is missing or empty (kiln check, item Grub)"),
    },
    Trouble {
        code: "Loader.NoKernel",
        words: &["you need to load the kernel first"],
        is_prompt: false,
        when: When::Always,
        reason: "GRUB could not load the kernel",
        hint: Some(
            "the entry names a file or filesystem that is not there (kiln check, item Grub)",
        ),
    },
    Trouble {
        code: "Firmware.NothingToBoot",
        words: &["No bootable device", "No bootable option or device was found"],
        is_prompt: false,
        when: When::Always,
        reason: "the firmware found nothing to boot on the disk",
        hint: LOADER_HINT,
    },
    Trouble {
        code: "Firmware.NothingToBoot",
        words: &["Shell>", "UEFI Interactive Shell"],
        is_prompt: true,
        when: When::Always,
        reason: "the firmware found nothing to boot on the disk",
        hint: LOADER_HINT,
    },
    Trouble {
        code: "System.PoweredOff",
        words: &["reboot: Power down", "reboot: System halted"],
        is_prompt: false,
        when: When::Always,
        reason: "the guest switched itself off",
        hint: None,
    },
];

/// Words that hint at a fault, in guests that fail and in some that do not.
const CLUES: &[&str] = &[
    "ALERT!",
    "Boot failed",
    "BTRFS error",
    "BTRFS: error",
    "Cannot open root device",
    "Dependency failed for",
    "EXT4-fs error",
    "EXT4-fs warning",
    "Failed to mount",
    "failed to load Boot",
    "failed to start Boot",
    "I/O error",
    "Timed out waiting for device",
    "Unable to mount",
    "XFS: Corruption",
    "[FAILED]",
    "Warning: /dev/",
    "error: ",
];

/// Whether a line hints at a fault.
pub(super) fn is_clue(message: &str) -> bool {
    CLUES.iter().any(|clue| message.contains(clue))
}

/// The failure that `message`, a line or a prompt, tells. `line` is the evidence to keep; `has_init`
/// says whether the system's own init has started.
pub(super) fn recognise(
    message: &str,
    line: &str,
    has_init: bool,
    at: Duration,
) -> Option<Failure> {
    let fits = |words: &&str, trouble: &Trouble| match trouble.is_prompt {
        true => message.trim_start().starts_with(*words),
        false => message.contains(*words),
    };
    let trouble = TROUBLES.iter().find(|trouble| {
        let now = match trouble.when {
            When::Always => true,
            When::BeforeInit => !has_init,
            When::AfterInit => has_init,
        };
        now && trouble.words.iter().any(|words| fits(words, trouble))
    })?;
    let reason = trouble.reason.to_owned();
    Some(Failure { code: trouble.code, reason, hint: trouble.hint, evidence: line.to_owned(), at })
}
