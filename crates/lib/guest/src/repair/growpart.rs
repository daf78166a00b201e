//! `growpart`: the root filesystem grows with the disk at the first start.
//!
//! Planned after `cloudinit`, since it is cloud-init that grows the root: what that repair mended
//! need not be mended here.

use super::package::install;
use super::refusal::{Refusal, codes};
use super::{Draft, Repair, Stop, yaml_text};
use crate::Family;
use crate::check::Finding;
use crate::check::cloud_init::cloud_init_state;
use crate::check::online_resize_fs as check;

pub(super) static GROWPART: Repair = Repair {
    name: "growpart",
    items: &["OnlineResizeFS"],
    summary: "let the root filesystem grow with the disk at the first start",
    plan,
};

const FILE: &str = "/etc/cloud/cloud.cfg.d/91-kiln-growpart.cfg";
const CONTENT: &str = "growpart: {mode: auto, devices: [\"/\"], ignore_growroot_disabled: false}\nresize_rootfs: true\n";
const MODULES: &str = "cloud_init_modules";
/// As many files as may each say the same wrong thing.
const MAX_FILES: usize = 64;

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    if let Some(finding) = check::place(draft.guest()?) {
        return match finding.code {
            // How space is given to logical volumes is the owner's choice.
            "OnlineResizeFS.Lvm" => Ok(()),
            _ => Err(misplaced(&finding).into()),
        };
    }
    let is_left = |draft: &Draft, code: &str| -> Result<Option<Finding>, Stop> {
        Ok(check::means(draft.guest()?)?.filter(|finding| finding.code == code))
    };
    if is_left(draft, "OnlineResizeFS.CloudInitModule")?.is_some() {
        configure(draft)?;
    }
    while let Some(tool) = check::missing_tool(draft.guest()?)? {
        let package = package_of(tool, draft.guest()?.os.family);
        install(draft, &[package], &format!("it has {tool}, which grows the root"))?;
        if check::missing_tool(draft.guest()?)? == Some(tool) {
            break; // the package has it not: the item says so
        }
    }
    if let Some(finding) = is_left(draft, "OnlineResizeFS.KernelTooOld")? {
        let reason = format!(
            "{}, so the initramfs would have to grow it, and only the guest's own dracut makes one \
             that does",
            finding.message
        );
        return Err(Refusal::new(codes::EXEC_DISABLED, reason)
            .hint("install dracut-modules-growroot in the guest and run dracut -f there")
            .into());
    }
    Ok(())
}

/// A root that no configuration makes grow.
fn misplaced(finding: &Finding) -> Refusal {
    let code = match finding.code {
        "OnlineResizeFS.RootNotLast" => codes::ROOT_NOT_LAST,
        _ => codes::NOT_MENDED,
    };
    Refusal { hint: finding.suggestion.clone(), ..Refusal::new(code, finding.message.clone()) }
}

/// Tell cloud-init to do it.
fn configure(draft: &mut Draft) -> Result<(), Stop> {
    if !cloud_init_state(draft.guest()?)?.is_effective() {
        let reason = "it is cloud-init that grows the root filesystem, and it will not run";
        return Err(Refusal::new(codes::NOT_MENDED, reason)
            .hint("ask for the repair cloudinit too, which is planned before this one")
            .into());
    }
    draft.remove("/etc/growroot-disabled", "it keeps growpart from growing the root")?;
    for (module, before) in [("resizefs", "disk_setup"), ("growpart", "resizefs")] {
        add_module(draft, module, before)?;
    }
    let reason = "cloud-init grows the root partition and its filesystem";
    draft.write(FILE, CONTENT, reason)?;
    // Files that sort after it still win.
    for key in ["growpart", "resize_rootfs"] {
        for _ in 0..MAX_FILES {
            let config = cloud_init_state(draft.guest()?)?.config;
            if check::why_cloud_init_refuses(draft.guest()?)?.is_none() {
                return Ok(());
            }
            let Some(file) = config.set_in(&[key]).filter(|file| *file != FILE) else { break };
            if !yaml_text::drop_key(draft, file, key, "it keeps cloud-init from growing the root")?
            {
                break;
            }
        }
    }
    Ok(())
}

/// Let cloud-init run `module`. Lists of several files are not joined, so the one that counts is
/// changed where it is.
fn add_module(draft: &mut Draft, module: &str, before: &str) -> Result<(), Stop> {
    let config = cloud_init_state(draft.guest()?)?.config;
    if check::runs_module(&config.merged, module) {
        return Ok(());
    }
    if let Some(file) = config.set_in(&[MODULES]) {
        let reason = format!("cloud-init runs its module {module}");
        draft.rewrite(file, reason, |text| {
            yaml_text::with_item(text, MODULES, module, before).unwrap_or_else(|| text.to_owned())
        })?;
    }
    Ok(())
}

/// The package that has `tool`.
fn package_of(tool: &str, family: Family) -> &'static str {
    match (tool, family) {
        ("growpart", Family::Debian) => "cloud-guest-utils",
        ("growpart", Family::Suse) => "growpart",
        ("growpart", _) => "cloud-utils-growpart",
        ("sfdisk", Family::Debian) => "fdisk",
        ("sfdisk", Family::Alpine) => "sfdisk",
        ("flock", Family::Alpine) => "flock",
        ("sfdisk" | "flock", _) => "util-linux",
        ("xfs_growfs", _) => "xfsprogs",
        ("btrfs", Family::Suse) => "btrfsprogs",
        ("btrfs", _) => "btrfs-progs",
        _ => "e2fsprogs",
    }
}

#[cfg(test)]
mod tests {
    use kiln_fixtures::phony::disk::Part;
    use kiln_fixtures::phony::{Phony, SWAP_UUID};

    use super::super::{Options, testing};
    use super::GROWPART;

    fn told(mut guest: Phony, plant: impl FnOnce(&mut Phony)) -> String {
        plant(&mut guest);
        testing::told(&guest, &GROWPART, &Options::default())
    }

    #[test]
    fn cloud_init_is_told_to_grow_the_root() {
        let told = told(Phony::debian(), |guest| {
            guest.put("/etc/growroot-disabled", "");
            guest.replace("/etc/cloud/cloud.cfg", " - growpart\n - resizefs\n", "");
            let text = "growpart:\n  mode: off\nlocale: C\nresize_rootfs: false\n";
            guest.put("/etc/cloud/cloud.cfg.d/92_site.cfg", text);
        });
        insta::assert_snapshot!(told, @r#"
        # it keeps growpart from growing the root
        rename from etc/growroot-disabled
        rename to etc/growroot-disabled.kiln-orig
        # cloud-init runs its module resizefs; cloud-init runs its module growpart
        --- a/etc/cloud/cloud.cfg
        +++ b/etc/cloud/cloud.cfg
        @@ -7,6 +7,8 @@
          - seed_random
          - bootcmd
          - write-files
        + - growpart
        + - resizefs
          - disk_setup
          - mounts
          - set_hostname
        # cloud-init grows the root partition and its filesystem
        new file mode 100644
        --- /dev/null
        +++ b/etc/cloud/cloud.cfg.d/91-kiln-growpart.cfg
        @@ -0,0 +1,2 @@
        +growpart: {mode: auto, devices: ["/"], ignore_growroot_disabled: false}
        +resize_rootfs: true
        # it keeps cloud-init from growing the root
        --- a/etc/cloud/cloud.cfg.d/92_site.cfg
        +++ b/etc/cloud/cloud.cfg.d/92_site.cfg
        @@ -1,4 +1 @@
        -growpart:
        -  mode: off
         locale: C
        -resize_rootfs: false
        "#);
    }

    #[test]
    fn what_cannot_be_mended_says_why() {
        type Planted = (Phony, fn(&mut Phony));
        let plant: [Planted; 5] = [
            (Phony::debian(), |guest| guest.disk.parts.push(Part::swap(SWAP_UUID))),
            (Phony::el7(), |guest| {
                guest.root_on_lvm("cl");
            }),
            (Phony::debian(), |guest| {
                guest.remove("/usr/bin/growpart");
            }),
            (Phony::el6(), |guest| {
                guest.remove("/usr/share/dracut/modules.d/50growroot");
            }),
            (Phony::debian(), |guest| {
                guest.put("/etc/cloud/cloud-init.disabled", "");
            }),
        ];
        let told: String = plant.into_iter().map(|(guest, plant)| told(guest, plant)).collect();
        insta::assert_snapshot!(told, @r#"
        refused: Repair.RootNotLast: partition 3 begins after the root partition 2 and leaves it no room to grow
        skipped: nothing_to_do
        refused: Repair.NoBundle: the bundle has no package for debian/12/x86_64: cloud-guest-utils
        refused: Repair.ExecDisabled: kernel 2.6.32-754.35.1.el6.x86_64 cannot grow a partition that is mounted, so the initramfs would have to grow it, and only the guest's own dracut makes one that does
        refused: Repair.NotMended: it is cloud-init that grows the root filesystem, and it will not run
        "#);
    }
}
