//! The boot chain: what firmware finds on the disk, which loader, which entry boots when nobody
//! presses a key, and what was odd on the way. Facts only; the `Grub` and `BootMode` items judge.

pub(crate) mod bls;
mod core_image;
mod evaluate;
mod extlinux;
pub(crate) mod firmware;
mod grub;
pub(crate) mod grubenv;
mod legacy;
pub(crate) mod places;
mod systemd_boot;
#[cfg(test)]
mod tests;
pub(crate) mod uki;

use self::places::Place;
use crate::check::Evidence;

pub(crate) use self::evaluate::of_guest;

/// What firmware finds on the system disk, before any operating system is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firmware {
    /// The complete chains, by which the disk would start.
    pub chains: Vec<BootChain>,
    /// What is incomplete or odd, each with why.
    pub facts: Vec<BootFact>,
}

/// A complete way from firmware to a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootChain {
    /// By which firmware.
    pub firmware: FirmwareKind,
    /// To which loader.
    pub loader: Loader,
    /// `x86_64`, `arm64`, `i386`: of the EFI binary; `x86_64` for BIOS.
    pub architecture: String,
    /// Where it was seen (boot sector, `/EFI/BOOT/BOOTX64.EFI`).
    pub evidence: Evidence,
}

/// By which firmware a chain starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FirmwareKind {
    /// Legacy BIOS.
    Bios,
    /// UEFI by the removable-media path, which needs no variable in NVRAM.
    Uefi,
}

/// A boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Loader {
    Grub2,
    GrubLegacy,
    Syslinux,
    SystemdBoot,
    /// A unified kernel image.
    Uki,
    WindowsBootManager,
    Unknown,
}

/// What the loader of a guest does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// The configuration files that were read, the one that counts first.
    pub configs: Vec<(Loader, String)>,
    /// All entries, in the order of the menu.
    pub entries: Vec<BootEntry>,
    /// Index into `entries` of the one that boots with no key pressed.
    pub default: Option<usize>,
    /// The default could not be derived and the newest kernel is assumed.
    pub assumed: bool,
    /// Seconds the menu waits; negative: for ever.
    pub timeout_s: Option<i64>,
    /// What is odd.
    pub facts: Vec<BootFact>,
    /// Index of the volume the menu was read from.
    pub config_volume: Option<usize>,
}

/// What a reader of one configuration format gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Menu {
    pub(crate) entries: Vec<BootEntry>,
    pub(crate) default: Option<usize>,
    pub(crate) timeout_s: Option<i64>,
    pub(crate) facts: Vec<BootFact>,
}

impl Menu {
    /// Make entry `wanted` the default; one that is not there is a fact, and the first boots.
    fn set_default(&mut self, wanted: usize, path: &str) {
        if self.entries.is_empty() {
            return;
        }
        self.default = Some(if wanted < self.entries.len() { wanted } else { 0 });
        if wanted >= self.entries.len() {
            let n = self.entries.len();
            let message = format!("the default entry {wanted} is not among the {n} of {path}");
            let evidence = Evidence::file(path, format!("default={wanted}"));
            self.facts.push(BootFact { code: "Grub.DefaultEntryInvalid", message, evidence });
        }
    }
}

impl Boot {
    /// Add what was read from the configuration `path`.
    fn take(&mut self, loader: Loader, path: &str, menu: Menu) {
        self.configs.push((loader, path.to_owned()));
        self.entries = menu.entries;
        self.default = menu.default;
        self.timeout_s = menu.timeout_s;
        self.facts.extend(menu.facts);
    }

    /// The entry that boots with no key pressed.
    pub fn default_entry(&self) -> Option<&BootEntry> {
        self.entries.get(self.default?)
    }
}

/// One entry of a boot menu. Paths are paths in the guest's tree, mount points included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// Whose entry.
    pub loader: Loader,
    /// `--id`, the BLS file name without `.conf`, or the number.
    pub id: String,
    /// What the configuration's `default` says to name it: the `id`, in submenus of GRUB with those
    /// of the submenus before it (`advanced>6.1`).
    pub selector: String,
    /// As the menu shows it.
    pub title: String,
    /// The kernel, as a path in the guest's tree where the file was found, else as written.
    pub kernel: Option<String>,
    /// Whether the kernel's path leads to a file.
    pub kernel_found: bool,
    /// The initial ramdisks in order, likewise.
    pub initrds: Vec<String>,
    /// Those of `initrds` that lead to no file.
    pub missing_initrds: Vec<String>,
    /// The command line with variables replaced.
    pub cmdline: String,
    /// The command that loads the kernel (`linux`, `linux16`, `linuxefi`, `kernel`, `options`).
    pub command: String,
    /// The filesystem UUID the entry searches for, with whether a later `set root` could replace it.
    pub search_uuid: Option<String>,
    /// The drive GRUB legacy's `root (hdX,Y)` names.
    pub legacy_root: Option<String>,
    /// Whether anybody may start it, where `superusers` is set.
    pub unrestricted: bool,
    /// In which file and line the kernel is named.
    pub source: String,
    /// See `source`; counted from 1.
    pub line: u32,
}

impl BootEntry {
    /// An entry without a kernel, yet.
    fn new(loader: Loader, id: &str, title: &str, source: &str, line: u32) -> Self {
        Self {
            loader,
            id: id.into(),
            selector: id.into(),
            title: title.into(),
            kernel: None,
            kernel_found: false,
            initrds: Vec::new(),
            missing_initrds: Vec::new(),
            cmdline: String::new(),
            command: String::new(),
            search_uuid: None,
            legacy_root: None,
            unrestricted: true,
            source: source.into(),
            line,
        }
    }

    fn add_initrd(&mut self, place: Place) {
        if !place.found {
            self.missing_initrds.push(place.path.clone());
        }
        self.initrds.push(place.path);
    }

    /// The value of the last `name=` word of the command line.
    pub fn arg<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.args(name).last()
    }

    /// The values of all `name=` words of the command line.
    pub fn args<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.cmdline
            .split_ascii_whitespace()
            .filter_map(move |word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether the bare `word` is on the command line.
    pub fn has_arg(&self, word: &str) -> bool {
        self.cmdline.split_ascii_whitespace().any(|found| found == word)
    }
}

/// Something seen on the way through the boot chain that an item may hold against the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFact {
    /// The risk code an item would use for it (`Grub.ConfigCorrupt`, `BootMode.NoUefiFallback`).
    pub code: &'static str,
    /// One sentence with the facts.
    pub message: String,
    /// Where.
    pub evidence: Evidence,
}
