//! A kernel of the host for the helper machine, with its modules.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_guest::{KernelImage, Modules, compare_versions, unpack_module};

use crate::helper::Driver;
use crate::qemu::Arch;
use crate::{Error, Result};

/// Kernels with everything built in are no larger.
const MAX_IMAGE_BYTES: u64 = 256 << 20;
const MODULES: &str = "/lib/modules";

/// A kernel to boot the helper machine with.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The image.
    pub image: PathBuf,
    /// `uname -r`.
    pub release: String,
    /// Where `modules.dep` lies.
    pub modules_dir: PathBuf,
}

/// A file of a kernel that was looked at, and why it will not do.
struct Rejected {
    image: PathBuf,
    reason: String,
}

impl Kernel {
    /// The kernel `image`, with its modules in `modules_dir` or where they usually lie: beside it,
    /// or in `/lib/modules`. Without `image`, the newest kernel of the host that has modules.
    ///
    /// # Errors
    ///
    /// `Missing`, with what was found instead and the command that installs a kernel.
    pub fn find(image: Option<&Path>, modules_dir: Option<&Path>) -> Result<Self> {
        if let Some(image) = image {
            return Self::at(image, modules_dir).map_err(|rejected| Error::Unsupported {
                what: format!("kernel {}: {}", rejected.image.display(), rejected.reason),
                hint: "--helper-kernel wants a kernel image whose modules lie beside it in \
                       lib/modules/VERSION, or in /lib/modules/VERSION"
                    .to_owned(),
            });
        }
        let mut usable = Vec::new();
        let mut rejected = Vec::new();
        for image in images() {
            match Self::at(&image, modules_dir) {
                Ok(kernel) => usable.push(kernel),
                Err(because) => rejected.push(because),
            }
        }
        let newest = usable.into_iter().max_by(|a, b| compare_versions(&a.release, &b.release));
        newest.ok_or_else(|| missing(&rejected))
    }

    fn at(image: &Path, modules_dir: Option<&Path>) -> std::result::Result<Self, Rejected> {
        let reject = |reason: String| Rejected { image: image.to_path_buf(), reason };
        let bytes = read(image).map_err(|error| reject(error.to_string()))?;
        let release = KernelImage::from_bytes(bytes)
            .and_then(|image| image.version())
            .map_err(|error| reject(error.to_string()))?
            .ok_or_else(|| reject("is no kernel image that tells its version".to_owned()))?;
        let beside = image.parent().unwrap_or(Path::new("/"));
        let places = match modules_dir {
            Some(given) => vec![given.to_path_buf(), given.join(&release)],
            None => {
                let below = Path::new("lib/modules").join(&release);
                let above = beside.parent().unwrap_or(beside);
                let host = Path::new(MODULES).join(&release);
                vec![beside.to_path_buf(), beside.join(&below), above.join(&below), host]
            }
        };
        let found = places.into_iter().find(|place| place.join("modules.dep").is_file());
        let modules_dir =
            found.ok_or_else(|| reject(format!("has no modules ({MODULES}/{release})")))?;
        Ok(Self { image: image.to_path_buf(), release, modules_dir })
    }

    /// The kernel as the machine boots it: unpacked here, where a processor does it, and not there,
    /// where an emulator would.
    pub(super) fn unpacked(&self) -> Result<Vec<u8>> {
        let bytes = read(&self.image).map_err(Error::io(self.image.display().to_string()))?;
        let unpacked = KernelImage::from_bytes(bytes).and_then(|image| image.unpack());
        let unpacked = unpacked.ok().flatten().filter(|kernel| kernel.starts_with(b"\x7FELF"));
        unpacked.ok_or_else(|| Error::Unsupported {
            what: format!("{} cannot be unpacked", self.image.display()),
            hint: "name another kernel with --helper-kernel".to_owned(),
        })
    }

    /// Name and content of the modules that `drivers` need, in the order of loading.
    pub(super) fn modules(&self, drivers: &[Driver]) -> Result<Vec<(String, Vec<u8>)>> {
        let index = |name: &str| {
            let path = self.modules_dir.join(name);
            fs::read_to_string(&path).map_err(Error::io(path.display().to_string()))
        };
        let modules = Modules::from_indexes(&index("modules.dep")?, &index("modules.builtin")?);
        let mut names = Vec::new();
        let is_there = |name: &str| modules.files.contains_key(name);
        for driver in drivers {
            names.extend(helpful(*driver).iter().filter(|name| is_there(name)));
        }
        names.extend(MACHINE);
        names.extend(drivers.iter().map(|driver| required(*driver)));
        let order = modules.load_order(&names).map_err(|name| Error::Unsupported {
            what: format!("kernel {} has no module {name}", self.release),
            hint: "name another kernel with --helper-kernel".to_owned(),
        })?;
        order.into_iter().map(|name| Ok((name.clone(), self.module(&modules, &name)?))).collect()
    }

    fn module(&self, modules: &Modules, name: &str) -> Result<Vec<u8>> {
        let file = modules.files.get(name).map(String::as_str).unwrap_or_default();
        let path = self.modules_dir.join(file);
        let bytes = fs::read(&path).map_err(Error::io(path.display().to_string()))?;
        unpack_module(bytes).map_err(Error::io(format!("cannot unpack {}", path.display())))
    }
}

/// The machine's own devices.
const MACHINE: [&str; 3] = ["virtio_pci", "virtio_console", "virtio_blk"];

fn required(driver: Driver) -> &'static str {
    match driver {
        Driver::Ext4 => "ext4",
        Driver::Xfs => "xfs",
        Driver::Btrfs => "btrfs",
        Driver::Vfat => "vfat",
        Driver::DeviceMapper => "dm_mod",
    }
}

/// Modules that a driver asks the kernel for by other names at run time, and that not every kernel
/// has as modules: nothing in the machine could load them then.
fn helpful(driver: Driver) -> &'static [&'static str] {
    match driver {
        Driver::Ext4 | Driver::Xfs => &["crc32c_generic", "crc32c_intel"],
        Driver::Btrfs => &[
            "crc32c_generic",
            "crc32c_intel",
            "xxhash_generic",
            "sha256_generic",
            "blake2b_generic",
        ],
        Driver::Vfat => &["nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8"],
        Driver::DeviceMapper => &[],
    }
}

/// Where distributions put kernel images.
fn images() -> Vec<PathBuf> {
    let entries = |dir: &str| fs::read_dir(dir).into_iter().flatten().flatten();
    let is_image = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("vmlinuz-") && !name.contains("rescue")
    };
    let in_boot = entries("/boot").map(|entry| entry.path()).filter(is_image);
    let beside_modules = entries(MODULES).map(|entry| entry.path().join("vmlinuz"));
    in_boot.chain(beside_modules.filter(|path| path.exists())).collect()
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_IMAGE_BYTES {
        return Err(std::io::Error::other("is too large for a kernel image"));
    }
    fs::read(path)
}

fn missing(rejected: &[Rejected]) -> Error {
    let mut what = "a kernel for the helper machine".to_owned();
    for Rejected { image, reason } in rejected {
        // Writing to a string cannot fail.
        let _ = write!(what, " ({}: {reason})", image.display());
    }
    let package = match Arch::host() {
        Arch::X86_64 => "linux-image-cloud-amd64",
        Arch::Aarch64 => "linux-image-cloud-arm64",
    };
    let install = crate::qemu::install_hint(package, "kernel-core");
    let unreadable = "Ubuntu's kernels are readable for root only: sudo chmod +r /boot/vmlinuz-*";
    Error::Missing {
        what,
        hint: format!("{install}, or name a kernel with --helper-kernel. {unreadable}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage as far as its version goes: setup header, pointer, text.
    fn image(release: &str) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20E..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x300 + release.len()].copy_from_slice(release.as_bytes());
        image
    }

    #[test]
    fn a_given_kernel_is_found_with_the_modules_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boot/vmlinuz");
        fs::create_dir_all(folder.path().join("boot")).unwrap();
        fs::write(&path, image("6.1.0-test (somebody)")).unwrap();

        let error = Kernel::find(Some(&path), None).unwrap_err();
        assert!(error.to_string().ends_with("has no modules (/lib/modules/6.1.0-test)"), "{error}");
        assert!(error.hint().unwrap().contains("--helper-kernel"));

        let modules = folder.path().join("lib/modules/6.1.0-test");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("modules.dep"), "").unwrap();
        for given in [None, Some(&*modules), modules.parent()] {
            let kernel = Kernel::find(Some(&path), given).unwrap();
            assert_eq!((kernel.release.as_str(), &kernel.modules_dir), ("6.1.0-test", &modules));
        }
    }

    #[test]
    fn what_is_no_kernel_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmlinuz");
        let error = || Kernel::find(Some(&path), None).unwrap_err().to_string();
        assert!(error().contains("No such file"));
        fs::write(&path, "text").unwrap();
        assert!(error().ends_with("is no kernel image that tells its version"));
    }

    #[test]
    fn a_host_without_kernels_is_told_how_to_get_one() {
        let rejected = Rejected { image: "/boot/vmlinuz-1".into(), reason: "broken".to_owned() };
        let error = missing(&[rejected]);
        let expected = "a kernel for the helper machine (/boot/vmlinuz-1: broken) is not installed";
        assert_eq!(error.to_string(), expected);
        let hint = error.hint().unwrap();
        assert!(hint.contains("apt-get install linux-image-cloud-"), "{hint}");
        assert!(hint.contains("--helper-kernel"), "{hint}");
    }

    #[test]
    fn a_kernel_without_a_needed_module_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("modules.dep", "kernel/xfs.ko: kernel/gone.ko\n");
        write("modules.builtin", "kernel/virtio_pci.ko\nvirtio_console.ko\nvirtio_blk.ko\n");
        let kernel = Kernel {
            image: PathBuf::new(),
            release: "6.1".to_owned(),
            modules_dir: folder.path().to_path_buf(),
        };
        let error = |drivers: &[Driver]| kernel.modules(drivers).unwrap_err().to_string();
        assert_eq!(error(&[Driver::Vfat]), "kernel 6.1 has no module vfat");
        assert_eq!(error(&[Driver::Xfs]), "kernel 6.1 has no module gone");
        assert_eq!(kernel.modules(&[]).unwrap(), []);
    }
}
