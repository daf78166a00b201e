//! The EFI system partition: a loader where every firmware looks for one, and what leads GRUB from
//! there to its menu.
//!
//! The loader is the vendor's own, signatures and all. shim starts the GRUB beside it; GRUB built for a
//! vendor's directory reads its configuration there, GRUB of newer Enterprise Linux beside itself.

use kiln_volume::Content;

use super::super::refusal::{Refusal, codes};
use super::super::{Draft, Stop};
use super::{needs_loader, on_volume, uuid_of};
use crate::boot::places::find_ignoring_case;
use crate::check::Finding;
use crate::inspect::architecture;
use crate::{Guest, Result};

/// Vendor directories are a few; files in them a dozen.
const MAX_ENTRIES: usize = 64;
/// What leads to the menu has three lines; EL 7 has the whole menu at its place.
const MAX_STUB_BYTES: usize = 4096;

/// The EFI system partition as the guest has it.
struct Esp {
    volume: usize,
    /// Its directory `EFI`, as it is spelt.
    efi: String,
}

fn esp(guest: &Guest) -> Option<Esp> {
    guest.mounts.iter().find_map(|mount| {
        let content = guest.layout.volumes.get(mount.volume).map(|volume| volume.content);
        let top = mount.path.trim_end_matches('/');
        let efi = find_ignoring_case(&guest.tree, &format!("{top}/EFI"))?;
        (content == Some(Content::Fat)).then_some(Esp { volume: mount.volume, efi })
    })
}

/// A vendor's loader.
struct Vendor {
    directory: String,
    shim: Option<String>,
    grub: Option<String>,
    mok_manager: Option<String>,
    systemd_boot: Option<String>,
}

/// The vendors with a loader for `architecture`, the one of the system that is there first.
fn vendors(guest: &Guest, esp: &Esp, architecture: &str) -> Result<Vec<Vendor>> {
    let suffix = suffix(architecture);
    let mut found = Vec::new();
    for entry in guest.tree.list(&esp.efi)?.iter().take(MAX_ENTRIES) {
        let name = entry.name_lossy();
        let directory = format!("{}/{name}", esp.efi);
        if ["boot", "microsoft"].iter().any(|other| name.eq_ignore_ascii_case(other))
            || !guest.tree.is_dir(&directory)?
        {
            continue;
        }
        let program = |name: &str| -> Result<Option<String>> {
            let path = find_ignoring_case(&guest.tree, &format!("{directory}/{name}{suffix}.efi"));
            let Some(path) = path else { return Ok(None) };
            let machine = architecture::of_file(&guest.tree, &path)?;
            Ok(Some(path).filter(|_| machine == Some(architecture)))
        };
        let vendor = Vendor {
            shim: program("shim")?,
            grub: program("grub")?,
            mok_manager: program("mm")?,
            systemd_boot: program("systemd-boot")?,
            directory: directory.clone(),
        };
        if vendor.loader().is_some() {
            found.push(vendor);
        }
    }
    let id = guest.os.id.clone().unwrap_or_default();
    found.sort_by_key(|vendor| {
        let name = vendor.directory.rsplit('/').next().unwrap_or_default();
        (!name.eq_ignore_ascii_case(&id), vendor.shim.is_none(), vendor.directory.clone())
    });
    Ok(found)
}

impl Vendor {
    /// What firmware starts; a shim without what it starts is none.
    fn loader(&self) -> Option<&String> {
        let shim = self.shim.as_ref().filter(|_| self.grub.is_some());
        shim.or(self.grub.as_ref()).or(self.systemd_boot.as_ref())
    }
}

/// In names of loaders.
fn suffix(architecture: &str) -> &'static str {
    if architecture == "arm64" { "aa64" } else { "x64" }
}

/// Copy the vendor's loader to the path for removable media, with what it starts and reads.
pub(super) fn copy_fallback(draft: &mut Draft, finding: &Finding) -> Result<bool, Stop> {
    const REASON: &str = "firmware of an instance knows no loader but the one at this path";
    let guest = draft.guest()?.clone();
    let architecture = guest.os.architecture.clone().unwrap_or_default();
    let Some(esp) = esp(&guest) else { return Err(needs_loader(finding)) };
    let Some(vendor) = vendors(&guest, &esp, &architecture)?.into_iter().next() else {
        return Err(needs_loader(finding));
    };
    let Some(loader) = vendor.loader() else { return Err(needs_loader(finding)) };
    let boot = format!("{}/BOOT", esp.efi);
    let boot = find_ignoring_case(&guest.tree, &boot).unwrap_or(boot);
    let suffix = suffix(&architecture);
    put(draft, loader, &format!("{boot}/BOOT{}.EFI", suffix.to_ascii_uppercase()), REASON)?;
    if vendor.shim.as_ref() == Some(loader) {
        for (file, name) in [(&vendor.grub, "grub"), (&vendor.mok_manager, "mm")] {
            if let Some(file) = file {
                put(
                    draft,
                    file,
                    &format!("{boot}/{name}{suffix}.efi"),
                    "shim starts it from there",
                )?;
            }
        }
    }
    if vendor.grub.is_some() {
        let config = find_ignoring_case(&guest.tree, &format!("{}/grub.cfg", vendor.directory));
        if let (Some(config), Some(uuid)) = (config, uuid_of(&guest, esp.volume)) {
            let text = guest.tree.read(&config, 4 << 20)?.unwrap_or_default();
            let vendor = vendor.directory.rsplit('/').next().unwrap_or_default();
            let text = match text.len() <= MAX_STUB_BYTES {
                true => text,
                false => stub(uuid, &format!("/EFI/{vendor}")).into_bytes(),
            };
            draft.write(
                &format!("{boot}/grub.cfg"),
                text,
                "GRUB looks for it beside itself too",
            )?;
        }
    }
    Ok(true)
}

/// The file at `from` at `to` as well, whatever was there.
fn put(draft: &mut Draft, from: &str, to: &str, reason: &str) -> Result<(), Stop> {
    let to = find_ignoring_case(draft.tree()?, to).unwrap_or_else(|| to.to_owned());
    if !draft.tree()?.exists(&to)? {
        draft.copy(from, &to, reason)?;
    } else if let Some(bytes) = draft.tree()?.read(from, 16 << 20)? {
        draft.write(&to, bytes, reason)?;
    }
    Ok(())
}

/// Write what leads from GRUB on the EFI system partition to its menu.
pub(super) fn write_stub(draft: &mut Draft) -> Result<bool, Stop> {
    let guest = draft.guest()?.clone();
    let architecture = guest.os.architecture.clone().unwrap_or_default();
    let Some(esp) = esp(&guest) else { return Ok(false) };
    let mut menu = None;
    for path in ["/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"] {
        if guest.tree.is_file(path)? {
            menu = on_volume(&guest, path).filter(|(volume, _)| *volume != esp.volume);
            break;
        }
    }
    let place = menu.as_ref().and_then(|(volume, path)| {
        let (directory, _) = path.rsplit_once('/')?;
        Some(stub(uuid_of(&guest, *volume)?, directory))
    });
    let Some(text) = place else {
        let reason =
            "GRUB on the EFI system partition has no menu, and there is none in /boot either";
        return Err(Refusal::new(codes::GRUB_NO_CONFIG, reason)
            .hint("write the menu in the guest: update-grub, or grub2-mkconfig")
            .into());
    };
    let mut changed = false;
    for vendor in vendors(&guest, &esp, &architecture)? {
        if vendor.grub.is_some() {
            let path = format!("{}/grub.cfg", vendor.directory);
            draft.write(&path, text.as_str(), "GRUB finds its menu by it")?;
            changed = true;
        }
    }
    Ok(changed)
}

/// As the installers of Enterprise Linux write it; Debian's GRUB has these commands too.
fn stub(uuid: &str, directory: &str) -> String {
    format!(
        "search --no-floppy --fs-uuid --set=dev {uuid}\nset prefix=($dev)'{directory}'\nexport \
         prefix\nconfigfile $prefix/grub.cfg\n"
    )
}
