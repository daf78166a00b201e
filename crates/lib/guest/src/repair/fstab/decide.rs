//! What becomes of each line that the item holds against the guest.

use std::collections::BTreeMap;

use kiln_volume::{Content, Result};

use super::lines::LineChange;
use crate::check::Finding;
use crate::check::fstab::entry::mismatch;
use crate::check::fstab::table::{reliable, twins, unlisted};
use crate::check::fstab::{self, Mount, Table};
use crate::inspect::devices::{Resolved, lasting_name, partition_of, resolve_device};
use crate::repair::Stop;
use crate::repair::refusal::{Refusal, codes};
use crate::syntax::fstab::ProblemKind;
use crate::{Guest, Inspection, Role};

/// Options for what may be missing. systemd would look for it for 90 s all the same.
const MAY_BE_MISSING: &[&str] = &["nofail", "x-systemd.device-timeout=5s"];
const NETWORK: &[&str] = &["_netdev", "nofail"];
/// Drives that an instance does not have.
const REMOVABLE: [&str; 6] =
    ["/dev/cdrom", "/dev/dvd", "/dev/sr", "/dev/scd", "/dev/fd", "/dev/hdc"];

/// A round of changes. What a changed line comes to is seen in the next one.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// By table and line, one change each.
    pub(super) lines: BTreeMap<(String, u32), LineChange>,
    /// Lines of bytes that no table may have.
    pub(super) cleaning: Vec<(ProblemKind, u32)>,
    pub(super) directories: Vec<String>,
    pub(super) first_line: Option<String>,
    pub(super) last_lines: Vec<String>,
    /// Links that start units nobody can mount.
    pub(super) links: Vec<String>,
}

/// Decide on all findings of the item.
pub(super) fn decide(inspection: &Inspection, guest: &Guest) -> Result<Decided, Stop> {
    let table = Table::read(&guest.tree)?;
    let judged = fstab::judge(inspection, guest, &table)?;
    let decider = Decider { inspection, guest, table: &table };
    let mut decided = Decided::default();
    let mut changes: BTreeMap<(String, u32), (usize, LineChange)> = BTreeMap::new();
    for (at, mount) in table.mounts.iter().enumerate() {
        let found = judged.findings.iter().filter(|finding| is_about(finding, mount));
        for finding in found {
            if finding.code == "Fstab.MountPointMissing" {
                decided.directories.push(mount.entry.mount_point.clone());
            } else if let Some(change) = decider.line(mount, finding)? {
                changes.entry(key(mount)).or_insert((at, change));
            }
        }
        if let Some(change) = decider.unasked(mount) {
            changes.entry(key(mount)).or_insert((at, change));
        }
    }
    decider.twins(&mut changes);
    for (key, (at, change)) in changes {
        let mount = table.mounts.get(at);
        match (change, mount.and_then(|mount| mount.enabled_by.clone())) {
            (LineChange::AddOptions(_) | LineChange::Comment, Some(link)) => {
                decided.links.push(link)
            }
            (LineChange::BindTo(_), Some(_)) => {}
            (change, _) => {
                decided.lines.insert(key, change);
            }
        }
    }
    decided.cleaning.extend(table.problems.iter().map(|problem| (problem.kind, problem.line)));
    if judged.findings.iter().any(|finding| finding.code == "Fstab.RootMissing") {
        decided.first_line = fstab::table::root_line(guest);
    }
    for found in unlisted(inspection, guest, &table.mounts) {
        decided.last_lines.extend(fstab::table::boot_line(guest, found));
    }
    Ok(decided)
}

fn key(mount: &Mount) -> (String, u32) {
    (mount.path.clone(), mount.entry.line)
}

fn is_about(finding: &Finding, mount: &Mount) -> bool {
    finding.evidence.first().is_some_and(|seen| {
        seen.path.as_deref() == Some(&mount.path) && seen.line == Some(mount.entry.line)
    })
}

struct Decider<'a> {
    inspection: &'a Inspection,
    guest: &'a Guest,
    table: &'a Table,
}

impl Decider<'_> {
    fn line(&self, mount: &Mount, finding: &Finding) -> Result<Option<LineChange>, Stop> {
        Ok(match finding.code {
            "Fstab.UnstableDeviceName"
            | "Fstab.UuidNotFound"
            | "Fstab.DeviceNotFound"
            | "Fstab.RootMismatch" => Some(self.device(mount)?),
            "Fstab.SwapMissing" => Some(match self.name_for(mount) {
                Some(name) => LineChange::Spec(name),
                None => LineChange::Comment,
            }),
            "Fstab.TypeMismatch" => Some(self.fs_type(mount)?),
            "Fstab.BadOption" => Some(self.subvolume(mount)?),
            "Fstab.NetworkMount" => Some(LineChange::AddOptions(NETWORK)),
            "Fstab.HypervisorMount" => Some(LineChange::Comment),
            _ => None,
        })
    }

    /// A line that does not stop the boot and is better with another name, or never works.
    fn unasked(&self, mount: &Mount) -> Option<LineChange> {
        let spec = mount.entry.spec.as_str();
        if mount.critical {
            let is_drive = REMOVABLE.iter().any(|drive| spec.starts_with(drive));
            let is_medium =
                mount.entry.fs_type.split(',').any(|name| matches!(name, "iso9660" | "udf"));
            let is_absent = resolve_device(&self.guest.layout, spec).volume().is_none();
            return (is_drive && (is_medium || !spec.starts_with("/dev/hdc")) && is_absent)
                .then_some(LineChange::Comment);
        }
        let resolved = resolve_device(&self.guest.layout, spec);
        if !matches!(resolved, Resolved::KernelName { volume: Some(_), stable: false }) {
            return None;
        }
        self.name_for(mount).map(LineChange::Spec)
    }

    /// Another name for a device that will not be found under its own, or leave to be missing.
    fn device(&self, mount: &Mount) -> Result<LineChange, Stop> {
        if let Some(name) = self.name_for(mount) {
            return Ok(LineChange::Spec(name));
        }
        self.absent(mount)
    }

    fn absent(&self, mount: &Mount) -> Result<LineChange, Stop> {
        let place = mount.entry.mount_point.as_str();
        let told = format!("line {} of {}", mount.entry.line, mount.path);
        if place == "/" {
            let reason =
                format!("{told}: which volume is the root cannot be told from its content");
            return Err(Refusal::new(codes::FSTAB_ROOT_AMBIGUOUS, reason)
                .hint(format!("name the root in {told} by UUID="))
                .into());
        }
        // Without these the system starts and is none.
        if matches!(place, "/usr" | "/var") {
            let reason = format!("{told} mounts {place}, which no volume of the image is");
            return Err(Refusal::new(codes::NOT_MENDED, reason)
                .hint("give the disk with that volume as well")
                .into());
        }
        Ok(match self.table.has_systemd {
            true => LineChange::AddOptions(MAY_BE_MISSING),
            false => LineChange::Comment,
        })
    }

    /// The lasting name of the volume that the line means.
    fn name_for(&self, mount: &Mount) -> Option<String> {
        let name = lasting_name(&self.guest.layout, self.volume(mount)?)?;
        (name != mount.entry.spec).then_some(name)
    }

    /// The volume that the line means: by its place in the tree where that tells it, else by its name
    /// as long as it holds what the line says.
    fn volume(&self, mount: &Mount) -> Option<usize> {
        let Guest { layout, .. } = self.guest;
        let entry = &mount.entry;
        let resolved = resolve_device(layout, &entry.spec);
        let named = resolved.volume();
        if entry.is_swap() {
            let only = || self.only_swap().filter(|_| resolved != Resolved::NotADevice);
            return named.filter(|index| self.is_swap(*index)).or_else(only);
        }
        if entry.mount_point == "/" {
            return self.root();
        }
        let fits = |index: &usize| {
            let content = layout.volumes.get(*index).map(|volume| volume.content);
            content.is_some_and(|content| mismatch(&entry.fs_type, content).is_none())
        };
        let by_name = named.filter(fits).filter(|index| *index != self.guest.root_volume);
        by_name.or_else(|| {
            self.by_role(&entry.mount_point).filter(|index| self.is_free(*index, mount))
        })
    }

    /// The root, unless there are several and nothing decides.
    fn root(&self) -> Option<usize> {
        (!self.inspection.is_choice_a_guess()).then_some(self.guest.root_volume)
    }

    /// The only volume with the role of that mount point.
    fn by_role(&self, place: &str) -> Option<usize> {
        let wanted = match place {
            "/boot" => Role::Boot,
            "/boot/efi" | "/efi" => Role::Esp,
            "/usr" => Role::LinuxUsr,
            "/var" => Role::Var,
            _ => return None,
        };
        let mut found = self.inspection.roles.iter().filter(|found| found.role == wanted);
        let only = found.next().filter(|_| found.next().is_none());
        only.map(|found| found.volume)
    }

    /// Whether no other line mounts the volume.
    fn is_free(&self, index: usize, mount: &Mount) -> bool {
        !self.table.mounts.iter().any(|other| {
            key(other) != key(mount) && reliable(self.guest, &other.entry.spec) == Some(index)
        })
    }

    fn is_swap(&self, index: usize) -> bool {
        let content = self.guest.layout.volumes.get(index).map(|volume| volume.content);
        matches!(content, Some(Content::Swap | Content::SwapSuspended))
    }

    /// The only swap partition, where no line has it.
    fn only_swap(&self) -> Option<usize> {
        let n_lines = self.table.mounts.iter().filter(|mount| mount.entry.is_swap()).count();
        let mut found = (0..self.guest.layout.volumes.len()).filter(|index| {
            self.is_swap(*index) && partition_of(&self.guest.layout, *index).is_some()
        });
        let only = found.next().filter(|_| found.next().is_none() && n_lines == 1)?;
        Some(only)
    }

    fn fs_type(&self, mount: &Mount) -> Result<LineChange, Stop> {
        let named = resolve_device(&self.guest.layout, &mount.entry.spec).volume();
        let content =
            named.and_then(|index| self.guest.layout.volumes.get(index)).map(|v| v.content);
        match content {
            Some(content) if is_mountable(content) => {
                Ok(LineChange::Type(content.name().to_owned()))
            }
            _ => self.absent(mount),
        }
    }

    /// `subvol=` of a subvolume that is not there: the root's own for `/`, else the only one whose
    /// last name is that of the mount point or what was asked for without its `@`.
    fn subvolume(&self, mount: &Mount) -> Result<LineChange, Stop> {
        const OPTIONS: &[&str] = &["subvol", "subvolid"];
        let entry = &mount.entry;
        let index = resolve_device(&self.guest.layout, &entry.spec).volume();
        let volume = index.and_then(|index| self.guest.layout.volumes.get(index));
        let Some(volume) = volume.filter(|volume| volume.content == Content::Btrfs) else {
            return Ok(LineChange::DropOptions(OPTIONS));
        };
        let set = |path: &str| match entry.option("subvol") {
            Some(_) => LineChange::SetOption { name: "subvol", value: path.to_owned() },
            // A number that is gone: the name says which one is meant, and the number must go.
            None => LineChange::DropOptions(OPTIONS),
        };
        if entry.mount_point == "/" {
            return Ok(match &self.guest.root_subvolume {
                Some(root) => set(&root.path),
                None => LineChange::DropOptions(OPTIONS),
            });
        }
        let plain = |path: &str| {
            let name = path.trim_matches('/').rsplit('/').next().unwrap_or_default();
            name.trim_start_matches('@').to_owned()
        };
        let wanted = [plain(entry.option("subvol").unwrap_or_default()), plain(&entry.mount_point)];
        let subvolumes = volume.open()?.subvolumes()?;
        let mut found = subvolumes.iter().filter(|subvolume| {
            let name = plain(&subvolume.path);
            !subvolume.is_snapshot && !name.is_empty() && wanted.contains(&name)
        });
        match (found.next(), found.next()) {
            (Some(only), None) if entry.option("subvol").is_some() => Ok(set(&only.path)),
            _ => self.absent(mount),
        }
    }

    /// Of two lines for one place the one that leads nowhere is switched off; a volume that is at a
    /// place already comes to the second one from there.
    fn twins(&self, changes: &mut BTreeMap<(String, u32), (usize, LineChange)>) {
        for twins in twins(self.guest, &self.table.mounts) {
            let mounts = &self.table.mounts;
            let (Some(first), Some(second)) = (mounts.get(twins.first), mounts.get(twins.second))
            else {
                continue;
            };
            if !twins.of_place {
                if !first.entry.has_option("noauto") && !changes.contains_key(&key(second)) {
                    let place = first.entry.mount_point.clone();
                    changes.insert(key(second), (twins.second, LineChange::BindTo(place)));
                }
                continue;
            }
            let resolves = |mount: &Mount| reliable(self.guest, &mount.entry.spec).is_some();
            let goes = match resolves(second) && !resolves(first) && first.enabled_by.is_none() {
                true => (first, twins.first),
                false => (second, twins.second),
            };
            changes.insert(key(goes.0), (goes.1, LineChange::Comment));
        }
    }
}

fn is_mountable(content: Content) -> bool {
    matches!(
        content,
        Content::Ext2
            | Content::Ext3
            | Content::Ext4
            | Content::Xfs
            | Content::Btrfs
            | Content::Fat
            | Content::ExFat
            | Content::F2fs
            | Content::Iso9660
            | Content::Udf
            | Content::Squashfs
            | Content::Erofs
            | Content::Jfs
            | Content::Reiserfs
    )
}
