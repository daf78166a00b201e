//! From console text to stages and failures: a struct that is fed bytes and a clock, and does no I/O.
//!
//! What stands for a stage or a failure is in tables. They hold words that programs have printed for
//! many versions and that `quiet` does not silence where there is a choice. Nothing here is proof
//! against a guest that prints what it likes: it judges images, it does not guard anything.

use std::time::Duration;

use crate::boot::console::Lines;
use crate::boot::stage::{Reached, Stage};
use crate::boot::trouble::{self, Failure};

/// Lines that hint at why something fails are kept up to this number, the first ones.
const MAX_CLUES: usize = 12;

/// Evidence is for people: a longer line is cut.
const MAX_EVIDENCE_CHARS: usize = 160;

/// Where a sign stands in a line, the kernel's time stamp left out.
enum Sign {
    /// At its start.
    Start(&'static str),
    /// Anywhere in it.
    Within(&'static str),
    /// Both of these, in this order.
    Pair(&'static str, &'static str),
}

impl Sign {
    fn is_in(&self, line: &str) -> bool {
        match self {
            Self::Start(text) => line.starts_with(text),
            Self::Within(text) => line.contains(text),
            Self::Pair(first, then) => {
                line.split_once(first).is_some_and(|(_, rest)| rest.contains(then))
            }
        }
    }
}

use Sign::{Pair, Start, Within};

const SIGNS: &[(Stage, &[Sign])] = &[
    (
        Stage::Firmware,
        &[Start("SeaBIOS"), Start("BdsDxe: loading"), Start("iPXE"), Start("UEFI firmware")],
    ),
    (
        Stage::Loader,
        &[
            Start("GRUB "),
            Start("GNU GRUB"),
            Start("Welcome to GRUB"),
            Start("Loading Linux"),
            Start("Loading initial ramdisk"),
            Start("EFI stub: "),
            Start("systemd-boot"),
            Start("SYSLINUX"),
            Start("EXTLINUX"),
            Start("ISOLINUX"),
            Start("BdsDxe: starting"),
        ],
    ),
    (
        Stage::Kernel,
        &[Start("Linux version "), Start("Decompressing Linux"), Start("early console")],
    ),
    (
        Stage::Initramfs,
        &[
            // initramfs-tools, dracut, and the kernel itself.
            Start("Loading, please wait..."),
            Start("Begin: "),
            Start("dracut"),
            Within("(Initramfs)"),
            Within("Running in initrd"),
            Within("Running in initial RAM disk"),
            Start("Run /init as init process"),
        ],
    ),
    (
        Stage::RootMounted,
        &[
            Pair("EXT4-fs (", "mounted filesystem"),
            Pair("EXT3-fs (", "mounted filesystem"),
            Pair("XFS (", "Ending clean mount"),
            Pair("XFS (", "Ending recovery"),
            // btrfs says nothing at the end of a mount.
            Start("Begin: Running /scripts/init-bottom"),
            Within("Mounted sysroot.mount"),
            Within("Mounted /sysroot"),
            Within("Reached target initrd-root-fs.target"),
            Within("Switching root"),
            Within("Starting initrd-switch-root"),
        ],
    ),
    (
        Stage::Init,
        &[
            Within("Reached target multi-user.target"),
            Within("Reached target Multi-User System"),
            Within("Reached target graphical.target"),
            Within("Reached target getty.target"),
            Within("Reached target Login Prompts"),
            Within("Started Getty on"),
            Within("Started Serial Getty on"),
            Pair("OpenRC ", " is starting up"),
            Pair("INIT: version ", " booting"),
        ],
    ),
    (
        Stage::CloudInit,
        &[
            Pair("Cloud-init v. ", " finished at "),
            Within("Reached target cloud-init.target"),
            Within("Reached target Cloud-init target"),
        ],
    ),
];

/// Recognises stages and failures in what a guest writes to its console.
#[derive(Debug, Default)]
pub struct Recogniser {
    lines: Lines,
    marker: Option<String>,
    marked: Option<Reached>,
    stages: Vec<Reached>,
    clues: Vec<String>,
    failure: Option<Failure>,
    n_restarts: u32,
    kernel_since_restart: bool,
    said_anything: bool,
}

impl Recogniser {
    /// One that looks for the stages, and for `marker` in any line.
    pub fn new(marker: Option<&str>) -> Self {
        Self { marker: marker.map(str::to_owned), ..Self::default() }
    }

    /// Take what the console said, at `now` after the start of the machine.
    pub fn feed(&mut self, bytes: &[u8], now: Duration) {
        for byte in bytes {
            if let Some(line) = self.lines.push(*byte) {
                self.line(&line, now);
            }
        }
        let unfinished = self.lines.unfinished();
        if !unfinished.is_empty() {
            self.prompt(&unfinished, now);
        }
    }

    /// Note a stage that the console does not tell.
    pub fn note(&mut self, stage: Stage, evidence: &str, now: Duration) {
        if self.reached(stage).is_some() {
            return;
        }
        let implied: Vec<Stage> =
            stage.implied().filter(|stage| self.reached(*stage).is_none()).collect();
        let evidence = shortened(evidence);
        for (stage, implied) in
            implied.into_iter().map(|stage| (stage, true)).chain([(stage, false)])
        {
            self.stages.push(Reached { stage, at: now, evidence: evidence.clone(), implied });
        }
    }

    /// The stages so far, in the order in which they were reached.
    pub fn stages(&self) -> &[Reached] {
        &self.stages
    }

    /// When and by what `stage` was reached.
    pub fn reached(&self, stage: Stage) -> Option<&Reached> {
        self.stages.iter().find(|reached| reached.stage == stage)
    }

    /// The line with the marker.
    pub fn marked(&self) -> Option<&Reached> {
        self.marked.as_ref()
    }

    /// Why the guest will not come further, once that is certain.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Lines that hint at what is wrong. A guest that starts well has some, too.
    pub fn clues(&self) -> &[String] {
        &self.clues
    }

    /// How often the guest restarted.
    pub fn n_restarts(&self) -> u32 {
        self.n_restarts
    }

    /// Whether there was any text at all.
    pub fn said_anything(&self) -> bool {
        self.said_anything
    }

    fn line(&mut self, line: &str, now: Duration) {
        self.said_anything = true;
        let (message, is_kernels) = without_time_stamp(line);
        self.count_restarts(message, is_kernels);
        if is_kernels {
            self.note(Stage::Kernel, line, now);
        }
        for (stage, signs) in SIGNS {
            if signs.iter().any(|sign| sign.is_in(message)) {
                self.note(*stage, line, now);
            }
        }
        if is_welcome(message) {
            self.note(Stage::Init, line, now);
        }
        if self.clues.len() < MAX_CLUES && trouble::is_clue(message) {
            let clue = shortened(line);
            if !self.clues.contains(&clue) {
                self.clues.push(clue);
            }
        }
        self.prompt(line, now);
    }

    /// What may stand in a line that has not ended: a marker, a prompt.
    fn prompt(&mut self, line: &str, now: Duration) {
        self.said_anything = true;
        let (message, _) = without_time_stamp(line);
        if is_login(message) {
            self.note(Stage::Login, line, now);
        }
        let is_marked = self.marker.as_ref().is_some_and(|marker| line.contains(marker));
        if is_marked && self.marked.is_none() {
            let stage = self.stages.last().map_or(Stage::Firmware, |reached| reached.stage);
            self.marked =
                Some(Reached { stage, at: now, evidence: shortened(line), implied: false });
        }
        if self.failure.is_none() {
            let has_init = self.reached(Stage::Init).is_some();
            self.failure = trouble::recognise(message, &shortened(line), has_init, now);
        }
    }

    fn count_restarts(&mut self, message: &str, is_kernels: bool) {
        if is_kernels {
            self.kernel_since_restart = true;
        } else if self.kernel_since_restart
            && (message.starts_with("SeaBIOS") || message.starts_with("BdsDxe: loading"))
        {
            self.kernel_since_restart = false;
            self.n_restarts += 1;
        }
    }
}

/// `[    6.477587] evm: HMAC attrs` without its time stamp, and whether it had one.
fn without_time_stamp(line: &str) -> (&str, bool) {
    let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match stamped {
        Some((stamp, message)) if is_time(stamp.trim_start()) => (message, true),
        _ => (line, false),
    }
}

fn is_time(stamp: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // With CONFIG_PRINTK_CALLER a thread or processor follows: `12.345678][    T1`.
    let time = stamp.split(']').next().unwrap_or_default();
    time.split_once('.').is_some_and(|(seconds, rest)| is_number(seconds) && is_number(rest))
}

/// systemd's first words, those of an initramfs left out: `Welcome to Debian GNU/Linux 12!`.
fn is_welcome(message: &str) -> bool {
    let name = message.strip_prefix("Welcome to ").and_then(|rest| rest.strip_suffix('!'));
    name.is_some_and(|name| {
        let of_initramfs = name.contains("nitramfs") || name.contains("dracut");
        !of_initramfs && name != "GRUB" && !name.contains("mergency")
    })
}

/// `localhost login:`, by getty; not `Last login: Mon`.
fn is_login(message: &str) -> bool {
    let Some((host, rest)) = message.split_once(" login:") else { return false };
    let is_name = !host.is_empty() && host.len() <= 64 && !host.contains(char::is_whitespace);
    is_name && host != "Last" && !rest.contains(':')
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(MAX_EVIDENCE_CHARS) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
