//! What is kept of an initramfs while it streams by: names of modules, small files that checks
//! read, and who built it. Most entries cost a few comparisons and no memory.

use crate::initramfs::{Generator, Initramfs};
use crate::kernel::module_name;

/// A file of the index or of configuration is never larger.
const MAX_FILE_BYTES: u32 = 4 << 20;
const MAX_KEPT_BYTES: u64 = 64 << 20;
/// Real ones have some hundreds.
const MAX_DIRECTORIES: usize = 20_000;
/// A target is a path.
const MAX_TARGET_BYTES: u32 = 4096;

const TYPE_MASK: u32 = 0o170_000;
const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_REGULAR: u32 = 0o100_000;
const TYPE_LINK: u32 = 0o120_000;

/// What to do with an entry's data.
pub(super) enum Entry {
    /// Skip it.
    Pass,
    /// Keep it under this path.
    Keep(String),
    /// Keep it as the target of the link of this path.
    Link(String),
}

/// An [`Initramfs`] being read.
#[derive(Default)]
pub(super) struct Content {
    found: Initramfs,
    kept_bytes: u64,
    marks: Marks,
}

/// Signs of generators, set as they go by.
#[derive(Default)]
struct Marks {
    initramfs_tools: bool,
    dracut: bool,
    mkinitcpio: bool,
    mkinitfs: bool,
    suse: bool,
    booster: bool,
}

impl Content {
    /// Number of entries and bytes so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.found.n_entries, self.found.unpacked_bytes)
    }

    pub(super) fn unpacked(&mut self, n: u64) {
        self.found.unpacked_bytes += n;
    }

    pub(super) fn boot_config(&mut self) {
        self.found.has_boot_config = true;
    }

    /// Note a segment that is done, from its counts before it.
    pub(super) fn segment(&mut self, codec: Option<&'static str>, before: (u64, u64)) {
        let name = codec.unwrap_or("cpio");
        self.found.last_codec = codec;
        let (n_entries, bytes) =
            (self.found.n_entries - before.0, self.found.unpacked_bytes - before.1);
        self.found
            .segments
            .push(format!("{name}: {n_entries} entries, {} MiB", bytes.div_ceil(1 << 20)));
    }

    pub(super) fn fail(&mut self, why: String) {
        self.found.error = Some(why);
    }

    /// See an entry.
    pub(super) fn enter(&mut self, name: &[u8], mode: u32, data_bytes: u32) -> Entry {
        self.found.n_entries += 1;
        let Ok(path) = std::str::from_utf8(name) else { return Entry::Pass };
        let path = path.strip_prefix("./").unwrap_or(path).trim_start_matches('/');
        let kind = mode & TYPE_MASK;
        self.mark(path, kind);
        if let Some(rest) = below_modules(path) {
            let version = rest.split('/').next().unwrap_or(rest);
            if !version.is_empty() && !self.found.kernel_versions.contains(version) {
                self.found.kernel_versions.insert(version.to_owned());
            }
            self.module(version, path);
        } else if let Some(rest) = below_lib(path)
            && !rest.contains('/')
        {
            // RHEL 5 keeps modules in /lib itself.
            self.module("", path);
        }
        match kind {
            TYPE_DIRECTORY => {
                if self.found.directories.len() < MAX_DIRECTORIES {
                    self.found.directories.insert(path.to_owned());
                }
                return Entry::Pass;
            }
            TYPE_LINK if is_followed(path) && data_bytes < MAX_TARGET_BYTES => {
                return Entry::Link(path.to_owned());
            }
            TYPE_REGULAR if is_read_by_checks(path) => {}
            _ => return Entry::Pass,
        }
        // A later file replaces an earlier one, even where it is too large to keep.
        if let Some(old) = self.found.files.remove(path) {
            self.kept_bytes -= old.len() as u64;
        }
        if data_bytes > MAX_FILE_BYTES || self.kept_bytes + u64::from(data_bytes) > MAX_KEPT_BYTES {
            return Entry::Pass;
        }
        Entry::Keep(path.to_owned())
    }

    pub(super) fn keep(&mut self, path: String, data: Vec<u8>) {
        self.kept_bytes += data.len() as u64;
        self.found.files.insert(path, data);
    }

    pub(super) fn link(&mut self, path: String, target: Vec<u8>) {
        if self.found.links.len() < MAX_DIRECTORIES {
            self.found.links.insert(path, target);
        }
    }

    fn module(&mut self, version: &str, path: &str) {
        let base = path.rsplit('/').next().unwrap_or(path);
        // Cheap test first: most files in /lib are libraries.
        if base.contains(".ko")
            && let Some(name) = module_name(base)
        {
            self.found.modules.insert((version.to_owned(), name), path.to_owned());
        }
    }

    fn mark(&mut self, path: &str, kind: u32) {
        let marks = &mut self.marks;
        match path {
            "conf/arch.conf" | "conf/initramfs.conf" | "scripts/functions" => {
                marks.initramfs_tools = true;
            }
            "init_functions" | "etc/mkinitcpio.conf" | "hooks/udev" => marks.mkinitcpio = true,
            "etc/mkinitfs" | "sbin/nlplug-findfs" | "usr/sbin/nlplug-findfs" => {
                marks.mkinitfs = true;
                self.found.has_udev = true;
            }
            "run_all.sh" => marks.suse = true,
            "etc/booster.init.yaml" => marks.booster = true,
            _ if path.starts_with("usr/lib/dracut") || path.starts_with("lib/dracut") => {
                marks.dracut = true;
            }
            _ => {}
        }
        if kind == TYPE_DIRECTORY {
            return;
        }
        match path.rsplit('/').next().unwrap_or(path) {
            "systemd-udevd" | "udevd" | "udevadm" | "mdev" if is_program(path) => {
                self.found.has_udev = true;
            }
            "modprobe" | "kmod" if is_program(path) => self.found.has_modprobe = true,
            _ => {}
        }
    }

    /// End.
    pub(super) fn finish(mut self) -> Initramfs {
        let marks = &self.marks;
        let is_nash = || {
            let init = self.found.files.get("init").map_or(&b""[..], |init| init);
            init.starts_with(b"#!/bin/nash")
        };
        self.found.generator = if marks.booster {
            // Its init loads modules by alias itself.
            self.found.has_udev = true;
            self.found.has_modprobe = true;
            Generator::Booster
        } else if marks.dracut {
            Generator::Dracut
        } else if marks.initramfs_tools {
            Generator::InitramfsTools
        } else if marks.mkinitcpio {
            Generator::Mkinitcpio
        } else if marks.suse {
            Generator::MkinitrdSuse
        } else if marks.mkinitfs {
            Generator::Mkinitfs
        } else if is_nash() {
            Generator::MkinitrdNash
        } else {
            Generator::Unknown
        };
        self.found
    }
}

fn below_modules(path: &str) -> Option<&str> {
    path.strip_prefix("usr/").unwrap_or(path).strip_prefix("lib/modules/")
}

fn below_lib(path: &str) -> Option<&str> {
    path.strip_prefix("usr/").unwrap_or(path).strip_prefix("lib/")
}

fn is_program(path: &str) -> bool {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    matches!(
        parent.strip_prefix("usr/").unwrap_or(parent),
        "bin" | "sbin" | "lib/systemd" | "lib/udev"
    )
}

fn is_followed(path: &str) -> bool {
    matches!(path, "lib" | "usr" | "usr/lib" | "etc")
        || (path.ends_with(".device") && path.contains(".wants/"))
}

fn is_read_by_checks(path: &str) -> bool {
    let (parent, base) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = parent.strip_prefix("usr/").unwrap_or(parent);
    match parent {
        "" => matches!(base, "init" | "linuxrc" | "config" | "run_all.sh"),
        "conf" | "conf/conf.d" | "config" | "etc/cmdline.d" | "etc/conf.d" => true,
        "etc/modprobe.d" | "lib/modprobe.d" | "run/modprobe.d" => true,
        "etc/modules-load.d" | "lib/modules-load.d" | "run/modules-load.d" => true,
        "etc" => matches!(
            base,
            "modprobe.conf" | "modules" | "cmdline" | "initrd-release" | "booster.init.yaml"
        ),
        "lib/dracut" => base == "hostonly-kernel-modules.txt",
        // dracut before version 009 kept its hooks in /initqueue-finished.
        "var/lib/dracut/hooks/initqueue/finished"
        | "lib/dracut/hooks/initqueue/finished"
        | "initqueue-finished" => base.ends_with(".sh"),
        _ if parent.starts_with("lib/modules/") => matches!(
            base,
            "modules.alias"
                | "modules.alias.bin"
                | "modules.builtin"
                | "modules.builtin.bin"
                | "modules.dep"
                | "modules.dep.bin"
                | "modules.dep.bb"
                | "modules.devname"
                | "modules.softdep"
                | "modules.symbols"
                | "modules.symbols.bin"
                | "modules.weakdep"
        ),
        _ => false,
    }
}
