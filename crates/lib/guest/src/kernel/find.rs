//! Which kernels are installed, by the places where distributions put them.

use std::collections::BTreeMap;

use kiln_volume::{Result, Tree};

use crate::kernel::{Kernel, version};

/// A machine with more kernels than this is an attack on whoever lists them.
const MAX_KERNELS: usize = 512;
/// What names of kernel images start with.
const IMAGE_PREFIXES: [&str; 5] = ["vmlinuz-", "vmlinux-", "kernel-", "Image-", "bzImage-"];

/// The installed kernels, the highest version first: every one with modules, and every image in
/// `/boot` that has none, which is a fact some check needs.
///
/// # Errors
///
/// What the filesystems say.
pub(crate) fn kernels(tree: &Tree) -> Result<Vec<Kernel>> {
    let places = Places::read(tree)?;
    let mut found = BTreeMap::new();
    for parent in ["/usr/lib/modules", "/lib/modules"] {
        for entry in tree.list(parent)? {
            let name = entry.name_lossy();
            let dir = format!("{parent}/{name}");
            if found.len() < MAX_KERNELS && is_version(&name) && holds_modules(tree, &dir)? {
                found.insert(name.clone(), Some(dir));
            }
        }
    }
    let unversioned: Vec<String> = known_images(tree, &found)?;
    for (version, _) in places.versioned_images() {
        if found.len() < MAX_KERNELS && !unversioned.contains(&version) {
            found.entry(version).or_insert(None);
        }
    }
    let mut kernels = Vec::new();
    for (version, modules_dir) in found {
        kernels.push(places.kernel(tree, version, modules_dir)?);
    }
    kernels.sort_by(|a, b| version::compare(&b.version, &a.version));
    Ok(kernels)
}

/// Flavours (`lts`, `linux`) that name images of the kernels found: not versions of their own.
fn known_images(tree: &Tree, found: &BTreeMap<String, Option<String>>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (version, dir) in found {
        names.extend(flavours(tree, version, dir.as_deref())?);
    }
    Ok(names)
}

/// `6.1.0-40-amd64` and the like; not `kabi-current` or `extramodules`.
fn is_version(name: &str) -> bool {
    let mut parts = name.splitn(3, '.');
    let is_number = |part: Option<&str>| {
        part.and_then(|part| part.chars().next()).is_some_and(|c| c.is_ascii_digit())
    };
    is_number(parts.next()) && is_number(parts.next())
}

fn holds_modules(tree: &Tree, dir: &str) -> Result<bool> {
    Ok(tree.exists(format!("{dir}/modules.dep"))? || tree.is_dir(format!("{dir}/kernel"))?)
}

fn is_rescue(name: &str) -> bool {
    name.contains("rescue") || name.contains("kdump")
}

/// Names without version under which `/boot` holds the kernel `version`: Arch's package, Alpine's
/// flavour.
fn flavours(tree: &Tree, version: &str, dir: Option<&str>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if let Some(dir) = dir
        && let Some(package) = tree.read_text(format!("{dir}/pkgbase"))?
    {
        names.push(package.trim().to_owned());
    }
    if let Some((_, flavour)) = version.rsplit_once('-')
        && flavour.chars().all(|c| c.is_ascii_alphabetic())
    {
        names.push(flavour.to_owned());
    }
    Ok(names)
}

/// Names in `/boot`, and the directories below it that hold kernels.
struct Places {
    boot: Vec<String>,
    /// `/boot/ostree/<os>-<checksum>`.
    ostree: Vec<String>,
    /// `/boot/<machine-id>` and the same on the ESP, of systemd's kernel-install.
    installed: Vec<String>,
}

impl Places {
    fn read(tree: &Tree) -> Result<Self> {
        let names = |dir: &str| -> Result<Vec<String>> {
            Ok(tree.list(dir)?.iter().map(|entry| entry.name_lossy()).collect())
        };
        let machine = tree.read_text("/etc/machine-id")?.unwrap_or_default();
        let tokens = [machine.trim().to_owned(), "Default".to_owned()];
        let mut installed = Vec::new();
        for parent in ["/boot", "/efi", "/boot/efi"] {
            for token in tokens.iter().filter(|token| !token.is_empty() && !token.contains('/')) {
                let dir = format!("{parent}/{token}");
                if tree.is_dir(&dir)? {
                    installed.push(dir);
                }
            }
        }
        let ostree = names("/boot/ostree")?;
        let ostree = ostree.into_iter().take(64).map(|name| format!("/boot/ostree/{name}"));
        Ok(Self { boot: names("/boot")?, ostree: ostree.collect(), installed })
    }

    /// Versions and paths of the images whose names have a version, or are a rescue image.
    fn versioned_images(&self) -> impl Iterator<Item = (String, String)> {
        self.boot.iter().filter_map(|name| {
            let version = IMAGE_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
            let is_file_of_tools = [".hmac", ".old", ".sig", ".bak", ".sha512hmac"]
                .iter()
                .any(|suffix| version.ends_with(suffix));
            let is_kernel = (is_version(version) || is_rescue(version)) && !is_file_of_tools;
            is_kernel.then(|| (version.to_owned(), format!("/boot/{name}")))
        })
    }

    fn kernel(&self, tree: &Tree, version: String, modules_dir: Option<String>) -> Result<Kernel> {
        let flavours = flavours(tree, &version, modules_dir.as_deref())?;
        let first = |paths: Vec<String>| -> Result<Option<String>> {
            for path in paths {
                if tree.is_file(&path)? {
                    return Ok(Some(path));
                }
            }
            Ok(None)
        };
        let image = first(self.images(&version, &flavours, modules_dir.as_deref()))?;
        let initramfs = first(self.initramfses(&version, &flavours, modules_dir.as_deref()))?;
        let mut configs = vec![format!("/boot/config-{version}")];
        configs.extend(
            modules_dir
                .iter()
                .flat_map(|dir| [format!("{dir}/config"), format!("{dir}/build/.config")]),
        );
        let config = first(configs)?;
        let is_rescue = is_rescue(&version);
        Ok(Kernel { version, image, initramfs, config, modules_dir, is_rescue })
    }

    fn images(&self, version: &str, flavours: &[String], dir: Option<&str>) -> Vec<String> {
        let named = |name: &str| -> Vec<String> {
            IMAGE_PREFIXES.iter().map(|prefix| format!("/boot/{prefix}{name}")).collect()
        };
        let mut paths = named(version);
        paths.extend(self.installed.iter().map(|dir| format!("{dir}/{version}/linux")));
        paths.extend(self.ostree.iter().map(|dir| format!("{dir}/vmlinuz-{version}")));
        paths.extend(dir.map(|dir| format!("{dir}/vmlinuz")));
        paths.extend(flavours.iter().flat_map(|name| named(name)));
        paths
    }

    fn initramfses(&self, version: &str, flavours: &[String], dir: Option<&str>) -> Vec<String> {
        let named = |name: &str| {
            [
                format!("/boot/initrd.img-{name}"),
                format!("/boot/initramfs-{name}.img"),
                format!("/boot/initrd-{name}.img"),
                format!("/boot/initrd-{name}"),
                format!("/boot/initramfs-{name}"),
            ]
        };
        let mut paths = named(version).to_vec();
        paths.extend(self.installed.iter().map(|dir| format!("{dir}/{version}/initrd")));
        paths.extend(self.ostree.iter().map(|dir| format!("{dir}/initramfs-{version}.img")));
        paths.extend(dir.map(|dir| format!("{dir}/initramfs.img")));
        paths.extend(flavours.iter().flat_map(|name| named(name)));
        paths
    }
}
