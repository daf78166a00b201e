//! Whether a driver is there when a kernel needs it to find its root: built in, or in the initial
//! ramdisk with all that it needs, and nothing keeps it from being loaded.
//!
//! Names are compared exactly. A search for `nvme` would find `nvmem_core`, and one for `virtio`
//! finds `virtio_mem` in images that cannot start.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::initramfs::{Generator, Initramfs};
use crate::inspect::Guest;
use crate::kernel::{self, KernelConfig, Modules, alias_matches, index_entries, text_aliases};
use crate::{BootEntry, Kernel, Result};

/// What is known about a kernel and what it starts with.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// `uname -r`.
    pub(crate) version: String,
    /// What its module directory lists.
    pub(crate) modules: Arc<Modules>,
    /// Those of the modules asked for, with what they need, that are really there.
    pub(crate) on_disk: BTreeSet<String>,
    /// Its configuration.
    pub(crate) config: Option<Arc<KernelConfig>>,
    /// What it starts with.
    pub(crate) ramdisk: Ramdisk,
    /// Of the boot entry.
    pub(crate) cmdline: String,
}

/// What a kernel starts with.
#[derive(Clone, Debug)]
pub(crate) enum Ramdisk {
    /// Nothing, or a file that is not there.
    None,
    /// This.
    Read(Arc<Initramfs>),
}

/// Whether a driver is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// In the kernel itself.
    BuiltIn,
    /// In the initial ramdisk with all that it needs.
    InInitramfs,
    /// Neither in the kernel nor among its modules.
    NotInstalled,
    /// A module, and there is no initial ramdisk to load it from.
    NoInitramfs,
    /// The initial ramdisk could not be read to its end.
    Unreadable(String),
    /// The initial ramdisk has modules of these kernels only.
    OtherKernel(Vec<String>),
    /// These are missing in the initial ramdisk: the driver, or what it needs.
    NotInInitramfs(Vec<String>),
    /// Something keeps it from being loaded.
    Blocked(String),
}

impl Availability {
    /// Whether the driver will be there.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self, Self::BuiltIn | Self::InInitramfs)
    }
}

/// The kernel that boots when nobody presses a key.
pub(crate) struct DefaultKernel<'a> {
    /// `uname -r`.
    pub(crate) version: String,
    /// The entry that starts it; `None`: assumed from the newest kernel.
    pub(crate) entry: Option<&'a BootEntry>,
    /// What it starts with.
    pub(crate) initrds: Vec<String>,
}

/// Which kernel boots by default. `None`: no entry names one that can be told, and none is there.
pub(crate) fn default_kernel(guest: &Guest) -> Result<Option<DefaultKernel<'_>>> {
    let Some(entry) = guest.boot.default_entry() else {
        let newest = guest.kernels.iter().find(|kernel| !kernel.is_rescue);
        return Ok(newest.map(|kernel| DefaultKernel {
            version: kernel.version.clone(),
            entry: None,
            initrds: kernel.initramfs.iter().cloned().collect(),
        }));
    };
    let Some(path) = entry.kernel.as_deref() else { return Ok(None) };
    let version = match kernel::image_version(&guest.tree, path)? {
        Some(version) => Some(version),
        None => kernels_at(guest, path)?.first().map(|kernel| kernel.version.clone()),
    };
    let initrds = entry.initrds.iter().filter(|path| !entry.missing_initrds.contains(path));
    Ok(version.map(|version| DefaultKernel {
        version,
        entry: Some(entry),
        initrds: initrds.cloned().collect(),
    }))
}

/// The installed kernels whose image `path` leads to, or which it names.
pub(crate) fn kernels_at<'a>(guest: &'a Guest, path: &str) -> Result<Vec<&'a Kernel>> {
    let place = |path: &str| -> Result<_> {
        Ok(guest.tree.locate(path)?.map(|at| (at.filesystem, at.node)))
    };
    let wanted = place(path)?;
    let mut found = Vec::new();
    for kernel in &guest.kernels {
        let Some(image) = &kernel.image else { continue };
        if image == path || (wanted.is_some() && place(image)? == wanted) {
            found.push(kernel);
        }
    }
    Ok(found)
}

impl Facts {
    /// Read what is known of the kernel `version`, as far as `drivers` need it.
    pub(crate) fn read(
        guest: &Guest,
        version: &str,
        initrds: &[String],
        cmdline: &str,
        drivers: &[&str],
    ) -> Result<Self> {
        let modules = guest.modules(version)?;
        let mut on_disk = BTreeSet::new();
        for driver in drivers {
            if guest.module_path(version, driver)?.is_some() {
                on_disk.insert((*driver).to_owned());
            }
        }
        let ramdisk = if initrds.is_empty() {
            Ramdisk::None
        } else {
            Ramdisk::Read(guest.initramfs(initrds)?)
        };
        // The configuration may cost unpacking the kernel, so it is read only where it decides:
        // without a list of what is built in, and for kernels old enough to be made for Xen alone.
        let needs_config =
            modules.builtin.is_none() || kernel::version::numbers::<1>(version) < [5];
        let config = if needs_config { guest.kernel_config(version)? } else { None };
        Ok(Self {
            version: version.to_owned(),
            modules,
            on_disk,
            config,
            ramdisk,
            cmdline: cmdline.to_owned(),
        })
    }

    /// Whether `driver` is in the kernel itself. `modules.builtin` is exact where it exists; the
    /// names of options are not those of modules.
    pub(crate) fn is_built_in(&self, driver: &str) -> bool {
        if let Some(builtin) = &self.modules.builtin {
            return builtin.contains(driver);
        }
        let Some(option) = config_option(driver) else { return false };
        self.config.as_ref().is_some_and(|config| config.is_builtin(option))
    }

    /// Whether `driver` is in the kernel or among its modules: enough for what is not needed to
    /// find the root.
    pub(crate) fn is_installed(&self, driver: &str) -> bool {
        self.is_built_in(driver) || self.on_disk.contains(driver)
    }
}

/// The option that builds `driver` into a kernel.
fn config_option(driver: &str) -> Option<&'static str> {
    Some(match driver {
        "virtio" | "virtio_ring" => "VIRTIO",
        "virtio_pci" => "VIRTIO_PCI",
        "virtio_blk" => "VIRTIO_BLK",
        "virtio_net" => "VIRTIO_NET",
        "virtio_scsi" => "SCSI_VIRTIO",
        "virtio_console" => "VIRTIO_CONSOLE",
        "nvme" => "BLK_DEV_NVME",
        "nvme_core" => "NVME_CORE",
        "ext2" => "EXT2_FS",
        "ext3" => "EXT3_FS",
        "ext4" => "EXT4_FS",
        "xfs" => "XFS_FS",
        "btrfs" => "BTRFS_FS",
        "dm_mod" => "BLK_DEV_DM",
        _ => return None,
    })
}

/// What the device of `driver` calls itself, any of which must lead to the driver. Empty: it is
/// loaded by name, or because another one needs it.
fn modaliases(driver: &str) -> &'static [&'static str] {
    match driver {
        // A transitional and a modern device.
        "virtio_pci" => &[
            "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00",
            "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00",
        ],
        "virtio_blk" => &["virtio:d00000002v00001AF4"],
        "nvme" => &["pci:v00001DEDd00005001sv00001DEDsd00005001bc01sc08i02"],
        _ => &[],
    }
}

/// Whether `driver` is there when the kernel looks for its root.
pub(crate) fn availability(driver: &str, facts: &Facts) -> Availability {
    if facts.is_built_in(driver) {
        return Availability::BuiltIn;
    }
    if !facts.on_disk.contains(driver) {
        return Availability::NotInstalled;
    }
    let Ramdisk::Read(initramfs) = &facts.ramdisk else { return Availability::NoInitramfs };
    // What was read before the error is there; what was not may be in the rest.
    let or_unreadable = |verdict| match &initramfs.error {
        Some(why) => Availability::Unreadable(why.clone()),
        None => verdict,
    };
    let versions = &initramfs.kernel_versions;
    let is_flat = initramfs.modules.keys().any(|(version, _)| version.is_empty());
    if !versions.is_empty() && !versions.contains(&facts.version) && !is_flat {
        return or_unreadable(Availability::OtherKernel(versions.iter().cloned().collect()));
    }
    let has = |name: &str| {
        let key = |version: &str| (version.to_owned(), name.to_owned());
        initramfs.modules.contains_key(&key(&facts.version))
            || initramfs.modules.contains_key(&key(""))
    };
    let mut needed = facts.modules.closure(driver);
    needed.insert(driver.to_owned());
    let missing: Vec<String> =
        needed.iter().filter(|name| !facts.is_built_in(name) && !has(name)).cloned().collect();
    if !missing.is_empty() {
        return or_unreadable(Availability::NotInInitramfs(missing));
    }
    match blocked(driver, &needed, facts, initramfs) {
        Some(why) => or_unreadable(Availability::Blocked(why)),
        None => Availability::InInitramfs,
    }
}

/// What keeps `driver` from being loaded, though all of it is there.
fn blocked(
    driver: &str,
    needed: &BTreeSet<String>,
    facts: &Facts,
    initramfs: &Initramfs,
) -> Option<String> {
    if let Some(word) = blacklist_on_cmdline(driver, &facts.cmdline) {
        return Some(format!("`{word}` is on the command line"));
    }
    if let Some((path, line)) = blacklist_in_files(driver, needed, initramfs) {
        return Some(format!("{path} in the initramfs says `{line}`"));
    }
    if is_found(driver, facts, initramfs) {
        return None;
    }
    if !initramfs.has_udev && !initramfs.has_modprobe {
        return Some("the initramfs has neither udev nor modprobe to load it".to_owned());
    }
    Some("no alias in the initramfs leads to it, so nothing loads it".to_owned())
}

/// Whether something in the initramfs asks for `driver`: an alias of its device, or a list. True of
/// what is loaded because another one needs it.
pub(crate) fn is_found(driver: &str, facts: &Facts, initramfs: &Initramfs) -> bool {
    let aliases = modaliases(driver);
    let has_loader = initramfs.has_udev || initramfs.has_modprobe;
    aliases.is_empty()
        || is_listed(driver, facts, initramfs)
        || (has_loader && loads_by_alias(driver, aliases, facts, initramfs))
}

fn blacklist_on_cmdline<'a>(driver: &str, cmdline: &'a str) -> Option<&'a str> {
    cmdline.split_ascii_whitespace().find(|word| {
        let Some((name, list)) = word.split_once('=') else { return false };
        matches!(
            name,
            "modprobe.blacklist" | "rd.driver.blacklist" | "module_blacklist" | "rdblacklist"
        ) && list.split(',').any(|name| same(name, driver))
    })
}

/// `blacklist` keeps a module from being loaded by alias; `install` replaces loading it in any way,
/// so it also hits what the driver needs.
fn blacklist_in_files<'a>(
    driver: &str,
    needed: &BTreeSet<String>,
    initramfs: &'a Initramfs,
) -> Option<(&'a str, String)> {
    for (path, content) in initramfs.files.iter().filter(|(path, _)| is_modprobe_config(path)) {
        let text = String::from_utf8_lossy(content);
        if let Some(line) = text.lines().find(|line| keeps_from_loading(line, driver, needed)) {
            return Some((path, line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    None
}

/// Whether `path` of an initramfs is a file that modprobe and udev take rules from.
pub(crate) fn is_modprobe_config(path: &str) -> bool {
    path == "etc/modprobe.conf" || (path.contains("modprobe.d/") && path.ends_with(".conf"))
}

/// Whether `line` of such a file keeps `driver`, which needs `needed`, from being loaded.
pub(crate) fn keeps_from_loading(line: &str, driver: &str, needed: &BTreeSet<String>) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words[..] {
        ["blacklist", name, ..] => same(name, driver),
        ["install", name, command, ..] => {
            let command = command.rsplit('/').next().unwrap_or(command);
            matches!(command, "true" | "false" | ":")
                && needed.iter().any(|needed| same(name, needed))
        }
        _ => false,
    }
}

fn same(written: &str, driver: &str) -> bool {
    written.len() == driver.len() && written.replace('-', "_") == driver
}

/// Whether the initramfs, or the command line, loads `driver` by its name.
fn is_listed(driver: &str, facts: &Facts, initramfs: &Initramfs) -> bool {
    let asked = facts.cmdline.split_ascii_whitespace().any(|word| {
        let list =
            ["rd.driver.pre=", "rdloaddriver=", "modules=", "modules-load=", "rd.modules-load="]
                .iter()
                .find_map(|prefix| word.strip_prefix(prefix));
        list.is_some_and(|list| list.split(',').any(|name| same(name, driver)))
    });
    asked
        || initramfs.files.iter().any(|(path, content)| {
            let names = is_list(path, initramfs.generator);
            names && names_driver(&String::from_utf8_lossy(content), driver)
        })
}

/// Whether `path` is a file whose words are modules that are loaded.
fn is_list(path: &str, generator: Generator) -> bool {
    match generator {
        // The scripts say `insmod /lib/virtio_blk.ko` or set INITRD_MODULES.
        Generator::MkinitrdNash => path == "init" || path == "linuxrc",
        Generator::MkinitrdSuse if path.starts_with("config/") || path == "run_all.sh" => true,
        Generator::Mkinitcpio if path == "config" => true,
        _ => path == "conf/modules" || path == "etc/modules" || path.contains("modules-load.d/"),
    }
}

fn names_driver(text: &str, driver: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(|line| {
        line.split(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '=' | '(' | ')'))
    });
    words.any(|word| {
        let base = word.rsplit('/').next().unwrap_or(word);
        same(base.strip_suffix(".ko").unwrap_or(base), driver)
    })
}

/// Whether one of `aliases` leads to `driver` in the initramfs. The binary index counts where it
/// exists, because udev and kmod read no other; busybox reads the text.
fn loads_by_alias(driver: &str, aliases: &[&str], facts: &Facts, initramfs: &Initramfs) -> bool {
    let file = |name: &str| {
        ["usr/lib", "lib"]
            .iter()
            .find_map(|lib| initramfs.files.get(&format!("{lib}/modules/{}/{name}", facts.version)))
    };
    let fits = |pattern: &[u8], module: &[u8]| {
        same(&String::from_utf8_lossy(module), driver)
            && aliases.iter().any(|alias| alias_matches(pattern, alias.as_bytes()))
    };
    let mut found = false;
    if let Some(index) = file("modules.alias.bin") {
        // A broken index loads nothing, which is what is said of it.
        let _ = index_entries(index, &mut |pattern, module| found |= fits(pattern, module));
    } else if let Some(text) = file("modules.alias") {
        let text = String::from_utf8_lossy(text);
        found = text_aliases(&text)
            .any(|(pattern, module)| fits(pattern.as_bytes(), module.as_bytes()));
    }
    found
}
