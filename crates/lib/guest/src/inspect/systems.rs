//! The operating systems of a disk, each with its volumes joined: plain Linux roots, ostree
//! deployments, CoreOS with its `/usr` slots.

use std::sync::Arc;

use kiln_volume::{Filesystem, Layout, MemFs, Tree};

use super::devices::partition_of;
use super::mounts::Mounter;
use super::os;
use super::roots::Candidate;
use crate::boot::{Boot, bls};
use crate::kernel::Cache;
use crate::{Guest, MountedVolume, OsInfo, Role};

/// A disk with more systems than this is not one that boots as a cloud instance.
const MAX_SYSTEMS: usize = 64;

/// All systems, in the order of their volumes.
pub(super) fn systems(layout: &Arc<Layout>, candidates: &[Candidate]) -> Vec<Guest> {
    let mut systems = Vec::new();
    for candidate in candidates {
        match candidate.role {
            Role::LinuxRoot | Role::BsdRoot => systems.push(plain(layout, candidates, candidate)),
            Role::OstreeRoot => systems.extend(ostree(layout, candidates, candidate)),
            _ => {}
        }
        if systems.len() == MAX_SYSTEMS {
            break;
        }
    }
    if systems.is_empty() {
        systems.extend(coreos(layout, candidates));
    }
    systems
}

fn plain(layout: &Arc<Layout>, candidates: &[Candidate], root: &Candidate) -> Guest {
    let subvolume = root.subvolume.as_ref().filter(|found| !found.is_default);
    let mounted = MountedVolume {
        path: "/".into(),
        volume: root.volume,
        subvolume: subvolume.map(|found| found.path.clone()),
        in_fstab: false,
    };
    let mut mounter = Mounter::new(layout, candidates, root.tree(), mounted);
    mounter.mount_fstab();
    // A Flatcar root is a Linux root without /usr: the slot comes in before anything is read.
    if let Some(usr) = usr_slot(layout, candidates) {
        let _mounted = mounter.mount("/usr", usr.volume, &usr.fs, usr.root, None, false);
    }
    mounter.mount_by_role();
    guest(layout, root, mounter)
}

fn guest(layout: &Arc<Layout>, root: &Candidate, mounter: Mounter<'_>) -> Guest {
    let Mounter { tree, mounts, .. } = mounter;
    let mut os = os::identify(&tree);
    if root.role == Role::BsdRoot && !matches!(os.family, crate::Family::Bsd) {
        os = OsInfo { family: crate::Family::Bsd, ..os };
    }
    Guest {
        layout: Arc::clone(layout),
        root_volume: root.volume,
        root_subvolume: root.subvolume.clone(),
        ostree_deployment: None,
        mounts,
        os,
        // A kernel directory that cannot be read leaves the list empty; the items that need a kernel
        // then read it themselves and say why they could not look.
        kernels: crate::kernel::kernels(&tree).unwrap_or_default(),
        boot: Boot::default(),
        cache: Cache::default(),
        tree,
    }
}

/// The deployment that the default boot entry names; without entries, the first there is.
fn ostree(layout: &Arc<Layout>, candidates: &[Candidate], root: &Candidate) -> Option<Guest> {
    let physical = root.tree();
    let boot = candidates.iter().find(|candidate| candidate.role == Role::Boot);
    let (boot_tree, boot_top) = match boot {
        Some(boot) => (boot.tree(), ""),
        None => (physical.clone(), "/boot"),
    };
    let path = bls::sorted_entries(&boot_tree, &format!("{boot_top}/loader/entries"))
        .into_iter()
        .find_map(|entry| {
            entry
                .options
                .split_whitespace()
                .find_map(|word| word.strip_prefix("ostree=").map(String::from))
        })
        .filter(|path| physical.is_dir(path).unwrap_or(false))
        .or_else(|| first_deployment(&physical))?;
    let at = physical.locate(&path).ok()??;
    let deployment = String::from_utf8_lossy(&at.path).into_owned();
    let tree = Tree::with_root(Arc::clone(&root.fs), at.node);
    let mounted = MountedVolume {
        path: "/".into(),
        volume: root.volume,
        subvolume: root.subvolume.as_ref().map(|found| found.path.clone()),
        in_fstab: false,
    };
    let mut mounter = Mounter::new(layout, candidates, tree, mounted);
    mount_below(&mut mounter, root, "/sysroot", &physical, "/");
    // /ostree/deploy/<os>/deploy/<checksum>.<n>: /var is beside the inner "deploy".
    if let Some((os_dir, _)) = deployment.rsplit_once("/deploy/") {
        mount_below(&mut mounter, root, "/var", &physical, &format!("{os_dir}/var"));
    }
    mounter.mount_fstab();
    match boot {
        Some(boot) if !mounter.mounts.iter().any(|mount| mount.path == "/boot") => {
            let _mounted = mounter.mount("/boot", boot.volume, &boot.fs, boot.root, None, false);
        }
        None => mount_below(&mut mounter, root, "/boot", &physical, "/boot"),
        Some(_) => {}
    }
    mounter.mount_by_role();
    let mut guest = guest(layout, root, mounter);
    guest.ostree_deployment = Some(deployment);
    Some(guest)
}

/// Mount the directory `from` of the physical root at `path` of the deployment.
fn mount_below(
    mounter: &mut Mounter<'_>,
    root: &Candidate,
    path: &str,
    physical: &Tree,
    from: &str,
) {
    if let Ok(Some(at)) = physical.locate(from) {
        let _mounted = mounter.tree.mount(path, Arc::clone(&root.fs), at.node);
    }
}

fn first_deployment(physical: &Tree) -> Option<String> {
    for os in physical.list("/ostree/deploy").ok()? {
        let deploy = format!("/ostree/deploy/{}/deploy", os.name_lossy());
        let found = physical.list(&deploy).ok()?.into_iter().find_map(|entry| {
            let path = format!("{deploy}/{}", entry.name_lossy());
            physical.is_dir(&path).unwrap_or(false).then_some(path)
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// CoreOS before its first boot: the root filesystem is empty, everything is in the `/usr` slot.
fn coreos(layout: &Arc<Layout>, candidates: &[Candidate]) -> Option<Guest> {
    let usr = usr_slot(layout, candidates)?;
    let is_root = |candidate: &&Candidate| {
        candidate.role == Role::CoreosRoot
            || layout.volumes.get(candidate.volume).and_then(|v| v.label.as_deref()) == Some("ROOT")
    };
    let root = candidates.iter().find(is_root).unwrap_or(usr);
    // The first boot makes the directories of the root: here they are made in memory, the slot
    // mounted over /usr.
    let mut skeleton = MemFs::new();
    for path in ["/usr", "/etc", "/boot", "/var"] {
        skeleton.dir(path);
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        skeleton.symlink(&format!("/{name}"), &format!("usr/{name}"));
    }
    let skeleton: Arc<dyn Filesystem> = Arc::new(skeleton);
    let mounted =
        MountedVolume { path: "/".into(), volume: root.volume, subvolume: None, in_fstab: false };
    let mut mounter = Mounter::new(layout, candidates, Tree::new(skeleton), mounted);
    let _mounted = mounter.mount("/usr", usr.volume, &usr.fs, usr.root, None, false);
    if let Some(esp) = candidates.iter().find(|candidate| candidate.role == Role::Esp) {
        let _mounted = mounter.mount("/boot", esp.volume, &esp.fs, esp.root, None, false);
    }
    Some(guest(layout, root, mounter))
}

/// The active one of the slots `USR-A` and `USR-B`: the one with the newer version.
fn usr_slot<'a>(layout: &Layout, candidates: &'a [Candidate]) -> Option<&'a Candidate> {
    let is_slot = |candidate: &&Candidate| {
        candidate.role == Role::CoreosUsr
            && partition_of(layout, candidate.volume)
                .and_then(|(_, partition)| partition.part_label.as_deref())
                .is_none_or(|label| label.starts_with("USR-"))
    };
    candidates.iter().filter(is_slot).max_by(|a, b| {
        let version = |candidate: &Candidate| {
            let text = candidate.tree().read_text("/lib/os-release").ok().flatten()?;
            let found = crate::syntax::assignments::parse(&text);
            let version = crate::syntax::assignments::last(&found, "VERSION_ID");
            version.map(|found| found.value.clone())
        };
        bls::compare_versions(&version(a).unwrap_or_default(), &version(b).unwrap_or_default())
    })
}
