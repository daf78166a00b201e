//! `virtio` and `nvme`: the kernel that boots finds its disk.
//!
//! A driver that the initramfs lacks is put behind its end, as one more archive that the kernel
//! unpacks like the others; nothing of the guest runs for it. The generator's own configuration is
//! told as well, so that the next initramfs has the driver without kiln.

use std::collections::BTreeSet;

use super::cmdline::{self, ArgEdit, Entries};
use super::refusal::codes;
use super::waits::Waits;
use super::{Draft, Refusal, Repair, Stop};
use crate::check::driver::{Facts, availability, default_kernel, keeps_from_loading};
use crate::check::nvme::missing_io_timeout;
use crate::initramfs::{Segment, SegmentRefusal, SegmentRequest, driver_segment};
use crate::kernel::is_xen_pv_only;
use crate::{Family, Generator, Guest, Result, SegmentError, nvme_drivers, virtio_drivers};

pub(super) static VIRTIO: Repair = Repair {
    name: "virtio",
    items: &["Virtio"],
    summary: "put the virtio drivers into the initramfs of the kernel that boots",
    plan: |draft| plan(draft, &Wanted::VIRTIO),
};

pub(super) static NVME: Repair = Repair {
    name: "nvme",
    items: &["Nvme"],
    summary: "put the NVMe drivers into the initramfs of the kernel that boots",
    plan: |draft| {
        plan(draft, &Wanted::NVME)?;
        lengthen_timeout(draft)
    },
};

/// What one of the two repairs wants.
struct Wanted {
    /// The drivers that a kernel needs.
    drivers: fn(&Guest, &str) -> Result<Vec<&'static str>>,
    /// Drivers that are needed later, from the root: it is enough that the kernel has them.
    installed: &'static [&'static str],
    /// What the generator's configuration names, without what these need themselves.
    configured: &'static [&'static str],
}

impl Wanted {
    const VIRTIO: Self = Self {
        drivers: virtio_drivers,
        installed: &["virtio_net"],
        configured: &["virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net"],
    };
    const NVME: Self = Self { drivers: nvme_drivers, installed: &[], configured: &["nvme"] };
}

/// A disk behind a network that stalls for half a minute comes back; with the default it is given up.
fn lengthen_timeout(draft: &mut Draft) -> Result<(), Stop> {
    const REASON: &str = "a disk that stalls for longer than 30 s is given up for good without it";
    if let Some((name, value)) = missing_io_timeout(draft.inspection())? {
        let edit = ArgEdit::set(name, &value.to_string());
        cmdline::edit_args(draft, Entries::All, &[edit], REASON)?;
    }
    Ok(())
}

/// The kernel that boots by default, with what it starts with.
pub(super) struct Booted {
    version: String,
    pub(super) initrds: Vec<String>,
    generator: Option<Generator>,
}

fn plan(draft: &mut Draft, wanted: &Wanted) -> Result<(), Stop> {
    let booted = booted(draft.guest()?)?;
    if let Some(why) = why_never(draft.guest()?, &booted.version, wanted)? {
        return boot_another(draft, wanted, &booted, &why);
    }
    let drivers = (wanted.drivers)(draft.guest()?, &booted.version)?;
    lift_blacklists(draft, &drivers)?;
    match segment(draft.guest()?, &booted, &drivers) {
        Ok(segment) => append(draft, segment, reason_to_append(&booted, &drivers))?,
        Err(SegmentError::Failed(error)) => return Err(error.into()),
        Err(SegmentError::Refused(refusal)) => otherwise(draft, wanted, &booted, refusal)?,
    }
    configure(draft, &booted, wanted.configured)
}

/// Why no initramfs would make the kernel `version` start on an instance.
fn why_never(guest: &Guest, version: &str, wanted: &Wanted) -> Result<Option<String>> {
    let drivers = (wanted.drivers)(guest, version)?;
    let needed = [&drivers, wanted.installed].concat();
    let facts = Facts::read(guest, version, &[], "", &needed)?;
    if is_xen_pv_only(version, facts.config.as_deref()) {
        return Ok(Some(format!("kernel {version} runs only as a paravirtual guest of Xen")));
    }
    let missing: Vec<&str> =
        needed.into_iter().filter(|driver| !facts.is_installed(driver)).collect();
    let why = || format!("kernel {version} has no module {}", missing.join(", "));
    Ok((!missing.is_empty()).then(why))
}

/// Make the entry of another installed kernel, which has the drivers or can get them, the default.
fn boot_another(
    draft: &mut Draft,
    wanted: &Wanted,
    booted: &Booted,
    why: &str,
) -> Result<(), Stop> {
    for (entry, version) in cmdline::bootable(draft.guest()?)? {
        if version == booted.version || why_never(draft.guest()?, &version, wanted)?.is_some() {
            continue;
        }
        let generator = match entry.initrds.is_empty() {
            true => None,
            false => Some(draft.guest()?.initramfs(&entry.initrds)?.generator),
        };
        let other = Booted { version, initrds: entry.initrds.clone(), generator };
        let drivers = (wanted.drivers)(draft.guest()?, &other.version)?;
        let segment = match segment(draft.guest()?, &other, &drivers) {
            Ok(segment) => segment,
            // What cannot grow may have all that is needed.
            Err(SegmentError::Refused(_)) if has_all(draft.guest()?, &other, &drivers)? => {
                Segment::default()
            }
            Err(SegmentError::Refused(_)) => continue,
            Err(SegmentError::Failed(error)) => return Err(error.into()),
        };
        let reason = format!("{why}; kernel {} can start", other.version);
        cmdline::set_default_entry(draft, &entry, &reason)?;
        lift_blacklists(draft, &drivers)?;
        append(draft, segment, reason_to_append(&other, &drivers))?;
        return configure(draft, &other, wanted.configured);
    }
    Err(no_module(format!("{why}, and no other kernel of the boot menu could start instead")))
}

/// Whether the kernel finds all of `drivers` in itself or in its initramfs.
fn has_all(guest: &Guest, booted: &Booted, drivers: &[&str]) -> Result<bool> {
    let facts = Facts::read(guest, &booted.version, &booted.initrds, "", drivers)?;
    Ok(drivers.iter().all(|driver| availability(driver, &facts).is_good()))
}

pub(super) fn booted(guest: &Guest) -> Result<Booted, Stop> {
    let Some(default) = default_kernel(guest)? else {
        let reason = "the kernel that boots by default cannot be told";
        return Err(Refusal::new(codes::GRUB_NO_CONFIG, reason)
            .hint("mend the boot menu first: the repair grub")
            .into());
    };
    let generator = match default.initrds.is_empty() {
        true => None,
        false => Some(guest.initramfs(&default.initrds)?.generator),
    };
    Ok(Booted { version: default.version, initrds: default.initrds, generator })
}

/// With it come corrections of what the initramfs waits for.
pub(super) fn segment(
    guest: &Guest,
    booted: &Booted,
    drivers: &[&str],
) -> Result<Segment, SegmentError> {
    let waits = Waits::in_vain(&guest.layout, &*guest.initramfs(&booted.initrds)?);
    let request = SegmentRequest {
        version: &booted.version,
        initrds: &booted.initrds,
        drivers,
        overrides: &waits.overrides,
        links: &waits.links,
        ..SegmentRequest::default()
    };
    let segment = driver_segment(guest, &request)?;
    let size_bytes = (segment.padding_bytes + segment.bytes.len()) as u64;
    let at = guest.tree.locate(&segment.path)?;
    let free_bytes = at.and_then(|at| guest.tree.filesystem(&at).info().free_bytes);
    match free_bytes {
        Some(free_bytes) if free_bytes < size_bytes.saturating_mul(2) => {
            driver_segment(guest, &SegmentRequest { packed: true, ..request })
        }
        _ => Ok(segment),
    }
}

fn reason_to_append(booted: &Booted, drivers: &[&str]) -> String {
    format!(
        "kernel {} needs {} to find its disk, and its initramfs lacks what is added",
        booted.version,
        drivers.join(", ")
    )
}

/// Put the segment behind the initramfs.
pub(super) fn append(draft: &mut Draft, segment: Segment, reason: String) -> Result<(), Stop> {
    if segment.is_empty() {
        return Ok(());
    }
    let listing = segment.listing();
    let mut tail = vec![0; segment.padding_bytes];
    tail.extend(segment.bytes);
    draft.append(&segment.path, tail, listing, reason)?;
    Ok(())
}

/// What is left where appending does not help: another kernel, the guest's own generator, a refusal.
fn otherwise(
    draft: &mut Draft,
    wanted: &Wanted,
    booted: &Booted,
    refusal: SegmentRefusal,
) -> Result<(), Stop> {
    if let SegmentRefusal::NotInstalled { .. } = refusal {
        return boot_another(draft, wanted, booted, &refusal.to_string());
    }
    if let SegmentRefusal::UnifiedKernelImage { .. } = refusal {
        return Err(Refusal::new(codes::UKI_SIGNED, refusal.to_string())
            .hint("build the image anew in the guest with the drivers in it")
            .into());
    }
    let Some(argv) = generator_command(draft.guest()?, booted, wanted.configured)? else {
        let reason = format!("{refusal}, and no program that could build another is installed");
        return Err(Refusal::new(codes::EXEC_DISABLED, reason).into());
    };
    if !draft.options().exec {
        let reason = format!("{refusal}: only a new one, built in the guest, would help");
        return Err(Refusal::new(codes::EXEC_DISABLED, reason)
            .hint(format!("--exec runs `{}` in the helper VM", argv.join(" ")))
            .into());
    }
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    draft.run(&argv, refusal.to_string())?;
    Ok(())
}

fn no_module(reason: String) -> Stop {
    Refusal::new(codes::VIRTIO_NO_MODULE, reason)
        .hint("install a kernel with these drivers in the guest")
        .into()
}

/// Comment out what keeps drivers from being loaded, in the guest's own configuration; the copy of it
/// in the initramfs is overridden by the segment.
fn lift_blacklists(draft: &mut Draft, drivers: &[&str]) -> Result<(), Stop> {
    const REASON: &str = "this line keeps a driver that the disk needs from being loaded";
    let nothing = BTreeSet::new();
    let keeps =
        |line: &str| drivers.iter().any(|driver| keeps_from_loading(line, driver, &nothing));
    let mut files = vec!["/etc/modprobe.conf".to_owned()];
    for entry in draft.tree()?.list("/etc/modprobe.d")? {
        let name = entry.name_lossy();
        if name.ends_with(".conf") {
            files.push(format!("/etc/modprobe.d/{name}"));
        }
    }
    for path in files {
        draft.rewrite(&path, REASON, |text| {
            let line = |line: &str| match keeps(line) {
                true => format!("# kiln: {line}"),
                false => line.to_owned(),
            };
            text.split_inclusive('\n').map(line).collect()
        })?;
    }
    let edits: Vec<ArgEdit> = draft
        .guest()?
        .boot
        .entries
        .iter()
        .flat_map(|entry| entry.cmdline.split_ascii_whitespace())
        .filter_map(|word| without_drivers(word, drivers))
        .collect();
    cmdline::edit_args(draft, Entries::All, &edits, REASON)?;
    Ok(())
}

/// The edit that takes `drivers` out of a list of modules that are not loaded, where `word` is one.
fn without_drivers(word: &str, drivers: &[&str]) -> Option<ArgEdit> {
    const LISTS: [&str; 4] =
        ["modprobe.blacklist", "rd.driver.blacklist", "module_blacklist", "rdblacklist"];
    let (name, list) = word.split_once('=').filter(|(name, _)| LISTS.contains(name))?;
    let is_ours = |module: &&str| drivers.contains(&module.replace('-', "_").as_str());
    let kept: Vec<&str> = list.split(',').filter(|module| !is_ours(module)).collect();
    if kept.len() == list.split(',').count() {
        return None;
    }
    let by = if kept.is_empty() { String::new() } else { format!("{name}={}", kept.join(",")) };
    Some(ArgEdit::replace(word, by))
}

/// Tell the generator of the next initramfs. Nothing where the guest has none.
fn configure(draft: &mut Draft, booted: &Booted, drivers: &[&str]) -> Result<(), Stop> {
    const REASON: &str = "the next initramfs has the drivers as well";
    let family = draft.guest()?.os.family;
    match booted.generator {
        Some(Generator::InitramfsTools) => {
            let path = "/etc/initramfs-tools/modules";
            if draft.tree()?.is_file(path)? {
                draft.rewrite(path, REASON, |text| with_lines(text, drivers))?;
            }
        }
        Some(Generator::Dracut) => {
            let names: Vec<&str> = drivers.to_vec();
            let path = "/etc/dracut.conf.d/90-kiln.conf";
            let known = draft.tree()?.read_text(path)?.unwrap_or_default();
            draft.write(path, with_dracut(&known, &names), REASON)?;
        }
        Some(Generator::Mkinitcpio) => {
            draft.rewrite("/etc/mkinitcpio.conf", REASON, |text| {
                with_words(text, "MODULES=", drivers, '(', ')')
            })?;
        }
        Some(Generator::Mkinitfs) => {
            let features: &[&str] = if drivers.contains(&"nvme") { &["nvme"] } else { &["virtio"] };
            draft.rewrite("/etc/mkinitfs/mkinitfs.conf", REASON, |text| {
                with_words(text, "features=", features, '"', '"')
            })?;
        }
        Some(Generator::MkinitrdSuse) if family == Family::Suse => {
            draft.rewrite("/etc/sysconfig/kernel", REASON, |text| {
                with_words(text, "INITRD_MODULES=", drivers, '"', '"')
            })?;
        }
        _ => {}
    }
    Ok(())
}

/// `text` with a line for each of `names` that has none.
fn with_lines(text: &str, names: &[&str]) -> String {
    let mut text = text.to_owned();
    for name in names {
        if text.lines().any(|line| line.split_ascii_whitespace().next() == Some(name)) {
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(name);
        text.push('\n');
    }
    text
}

/// dracut's own file of kiln, with `names` among those it adds. The spaces inside the quotes are
/// dracut's rule.
fn with_dracut(text: &str, names: &[&str]) -> String {
    const START: &str = "add_drivers+=\" ";
    let known = text.lines().find_map(|line| line.strip_prefix(START)?.strip_suffix(" \""));
    let mut all: Vec<&str> = known.unwrap_or_default().split_ascii_whitespace().collect();
    all.extend(
        names.iter().filter(|name| !known.is_some_and(|k| k.split(' ').any(|n| n == **name))),
    );
    format!("# kiln: the drivers that cloud instances need\n{START}{} \"\n", all.join(" "))
}

/// `text` with `names` among the words between `open` and `close` of the last `key` assignment.
fn with_words(text: &str, key: &str, names: &[&str], open: char, close: char) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let Some(at) = lines.iter().rposition(|line| line.trim_start().starts_with(key)) else {
        return format!("{text}{key}{open}{}{close}\n", names.join(" "));
    };
    let line = &lines[at];
    let (Some(start), Some(end)) = (line.find(open), line.rfind(close)) else {
        return text.to_owned();
    };
    let words = line.get(start + open.len_utf8()..end).unwrap_or_default();
    let known: Vec<&str> = words.split_ascii_whitespace().collect();
    let new: Vec<&str> = names.iter().copied().filter(|name| !known.contains(name)).collect();
    if new.is_empty() {
        return text.to_owned();
    }
    let all = [known, new].concat().join(" ");
    let rest = line.get(end..).unwrap_or_default();
    lines[at] = format!("{}{open}{all}{rest}", &line[..start]);
    lines.join("\n")
}

/// What builds an initramfs for `booted` in the guest, where it is installed.
fn generator_command(
    guest: &Guest,
    booted: &Booted,
    drivers: &[&str],
) -> Result<Option<Vec<String>>> {
    let version = &booted.version;
    let initrd = booted.initrds.last().cloned();
    let names = drivers.join(" ");
    let dracut_image = initrd.clone().unwrap_or_else(|| match guest.os.family {
        Family::Suse => format!("/boot/initrd-{version}"),
        _ => format!("/boot/initramfs-{version}.img"),
    });
    let words = |words: &[&str]| Some(words.iter().map(ToString::to_string).collect());
    for (program, argv) in [
        (
            "/usr/sbin/update-initramfs",
            words(&["update-initramfs", if initrd.is_some() { "-u" } else { "-c" }, "-k", version]),
        ),
        (
            "/usr/bin/dracut",
            words(&["dracut", "-f", "--add-drivers", &names, &dracut_image, version]),
        ),
        ("/usr/bin/mkinitcpio", words(&["mkinitcpio", "-P"])),
        ("/sbin/mkinitfs", words(&["mkinitfs", version])),
        (
            "/sbin/mkinitrd",
            words(&[
                "mkinitrd",
                "-f",
                "--with=virtio_pci",
                "--with=virtio_blk",
                &dracut_image,
                version,
            ]),
        ),
    ] {
        if guest.tree.is_file(program)? {
            return Ok(argv);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use kiln_fixtures::phony::{Phony, ROOT_UUID};

    use super::*;
    use crate::repair::Options;
    use crate::repair::testing::told;

    /// Debian whose newer kernel, the default one, was built without `virtio_blk`.
    fn two_kernels() -> Phony {
        let old = "6.1.0-30-amd64";
        let mut guest = Phony::debian();
        guest.without_module("virtio_blk").initrd().without("virtio_blk");
        guest.debian_kernel(old);
        let entry = format!(
            "menuentry 'Older' --id older {{\n\tsearch --no-floppy --fs-uuid --set=root {ROOT_UUID}\n\t\
             linux /boot/vmlinuz-{old} root=UUID={ROOT_UUID} ro\n\tinitrd /boot/initrd.img-{old}\n}}\n"
        );
        guest.append("/boot/grub/grub.cfg", &entry);
        guest
    }

    #[test]
    fn another_kernel_boots_where_the_first_never_gets_the_driver() {
        let guest = two_kernels();
        insta::assert_snapshot!(told(&guest, &VIRTIO, &Options::default()), @r#"
        # kernel 6.1.0-40-amd64 has no module virtio_blk; kernel 6.1.0-30-amd64 can start
        --- a/boot/grub/grub.cfg
        +++ b/boot/grub/grub.cfg
        @@ -12,7 +12,7 @@
            save_env next_entry
            set boot_once=true
         else
        -   set default="0"
        +   set default="older"
         fi
         
         if [ x"${feature_menuentry_id}" = xy ]; then
        "#);
        let mut guest = two_kernels();
        let old = "/boot/initrd.img-6.1.0-30-amd64";
        guest.initrds.get_mut(old).unwrap().without("virtio_blk");
        let told = told(&guest, &VIRTIO, &Options::default());
        assert!(told.contains("+   set default=\"older\"\n"), "{told}");
        assert!(told.contains("virtio_blk.ko"), "{told}");
    }

    #[test]
    fn kernels_that_cannot_start_either_are_no_choice() {
        let mut guest = Phony::el5_with_xen();
        guest.menu_replace("default=0", "default=1");
        insta::assert_snapshot!(told(&guest, &VIRTIO, &Options::default()), @r"
        # kernel 2.6.18-398.el5xen runs only as a paravirtual guest of Xen; kernel 2.6.18-398.el5 can start
        --- a/boot/grub/grub.conf
        +++ b/boot/grub/grub.conf
        @@ -1,6 +1,6 @@
         # grub.conf generated by anaconda
         #boot=/dev/vda
        -default=1
        +default=0
         timeout=5
         splashimage=(hd0,0)/grub/splash.xpm.gz
         hiddenmenu
        ");
        insta::assert_snapshot!(told(&guest, &NVME, &Options::default()), @"refused: Repair.VirtioNoModule: kernel 2.6.18-398.el5xen runs only as a paravirtual guest of Xen, and no other kernel of the boot menu could start instead");
    }

    #[test]
    fn words_are_added_once_and_in_place() {
        let before = "# MODULES=(a)\nMODULES=(ext4)\nHOOKS=(base)\n";
        let after = with_words(before, "MODULES=", &["virtio_blk", "ext4"], '(', ')');
        assert_eq!(after, "# MODULES=(a)\nMODULES=(ext4 virtio_blk)\nHOOKS=(base)\n");
        assert_eq!(with_words(&after, "MODULES=", &["virtio_blk"], '(', ')'), after);
        assert_eq!(
            with_words("x=1\n", "features=", &["nvme"], '"', '"'),
            "x=1\nfeatures=\"nvme\"\n"
        );
    }

    #[test]
    fn lines_and_dracut_lists_grow_only_by_what_is_new() {
        assert_eq!(with_lines("# x\nnvme", &["nvme", "virtio_blk"]), "# x\nnvme\nvirtio_blk\n");
        let once = with_dracut("", &["virtio_blk"]);
        assert_eq!(
            once,
            "# kiln: the drivers that cloud instances need\nadd_drivers+=\" virtio_blk \"\n"
        );
        let twice = with_dracut(&once, &["nvme", "virtio_blk"]);
        assert!(twice.ends_with("add_drivers+=\" virtio_blk nvme \"\n"), "{twice}");
        assert_eq!(with_dracut(&twice, &["nvme"]), twice);
    }
}
