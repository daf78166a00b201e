//! What an initramfs waits for before it starts the root: devices of the machine it was made on.
//!
//! dracut writes them into an initramfs that it makes for one machine (`hostonly`), and initramfs-tools
//! the swap to resume from. What is not in the image under a name that lasts is waited for no more.

use kiln_volume::Layout;

use super::{Draft, Stop, drivers};
use crate::check::grub::names_what_is_there;
use crate::initramfs::Initramfs;
use crate::inspect::devices::{Resolved, resolve_device};

/// What to put into the initramfs instead.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// Files and their new content.
    pub(super) overrides: Vec<(String, Vec<u8>)>,
    /// Links and their targets.
    pub(super) links: Vec<(String, String)>,
}

impl Waits {
    /// Those of `initramfs` that would be in vain on `layout`.
    pub(super) fn in_vain(layout: &Layout, initramfs: &Initramfs) -> Self {
        let mut waits = Self::default();
        for (path, content) in &initramfs.files {
            let Ok(text) = std::str::from_utf8(content) else { continue };
            if let Some(text) = mended(layout, path, text) {
                waits.overrides.push((path.clone(), text.into_bytes()));
            }
        }
        for path in initramfs.links.keys() {
            let unit = path.rsplit('/').next().unwrap_or(path);
            let device = unit.strip_suffix(".device").and_then(device_of_unit);
            if device.is_some_and(|device| !lasts(layout, &device)) {
                let mask = format!("etc/systemd/system/{unit}");
                if !initramfs.links.contains_key(&mask) {
                    waits.links.push((mask, "/dev/null".to_owned()));
                }
            }
        }
        waits.links.sort();
        waits.links.dedup();
        waits
    }

    fn is_empty(&self) -> bool {
        self.overrides.is_empty() && self.links.is_empty()
    }
}

/// Let the initramfs of the kernel that boots wait for nothing in vain. Where it cannot be told or
/// changed, it stays: that is for the repairs of the boot menu and of drivers to say.
pub(super) fn lift(draft: &mut Draft) -> Result<(), Stop> {
    let Ok(booted) = drivers::booted(draft.guest()?) else { return Ok(()) };
    if booted.initrds.is_empty() {
        return Ok(());
    }
    let initramfs = draft.guest()?.initramfs(&booted.initrds)?;
    if Waits::in_vain(&draft.guest()?.layout, &initramfs).is_empty() {
        return Ok(());
    }
    if let Ok(segment) = drivers::segment(draft.guest()?, &booted, &[]) {
        let reason = "the initramfs waits for devices that are not in the image".to_owned();
        drivers::append(draft, segment, reason)?;
    }
    Ok(())
}

/// The file without its waits in vain; `None`: it has none.
fn mended(layout: &Layout, path: &str, text: &str) -> Option<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if folder.ends_with("cmdline.d") {
        return without_words(text, |word| !word_lasts(layout, word));
    }
    if folder.ends_with("initqueue/finished") || folder == "initqueue-finished" {
        let is_in_vain = devices_in(text).any(|device| !lasts(layout, device));
        // Sourced by dracut, which asks for its status: that of nothing is success.
        return is_in_vain.then(|| "# kiln: this device is not in the image\n".to_owned());
    }
    if path == "conf/conf.d/resume" {
        let device = text.trim().strip_prefix("RESUME=")?;
        let is_word = matches!(device, "" | "none" | "auto");
        return (!is_word && !lasts(layout, device)).then(|| "RESUME=none\n".to_owned());
    }
    None
}

/// The text without the words that `is_in_vain`; `None`: there is none.
fn without_words(text: &str, is_in_vain: impl Fn(&str) -> bool) -> Option<String> {
    if !text.split_ascii_whitespace().any(&is_in_vain) {
        return None;
    }
    let line = |line: &str| {
        let kept = line.split_ascii_whitespace().filter(|word| !is_in_vain(word));
        kept.collect::<Vec<_>>().join(" ") + "\n"
    };
    Some(text.lines().map(line).collect())
}

fn word_lasts(layout: &Layout, word: &str) -> bool {
    match word.split_once('=') {
        Some(("root" | "resume", device)) => lasts(layout, device.trim_start_matches("block:")),
        Some((name, value)) => names_what_is_there(layout, name, value),
        None => true,
    }
}

fn lasts(layout: &Layout, device: &str) -> bool {
    !matches!(
        resolve_device(layout, device),
        Resolved::Absent | Resolved::KernelName { stable: false, .. }
    )
}

/// What a script of dracut's asks for: `[ -e "/dev/disk/by-uuid/..." ]`.
fn devices_in(script: &str) -> impl Iterator<Item = &str> {
    let words = script.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    words.filter(|word| word.starts_with("/dev/"))
}

/// The device whose unit has this name, by the rules of `systemd-escape --path`.
fn device_of_unit(name: &str) -> Option<String> {
    let mut path = vec![b'/'];
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'-' => path.push(b'/'),
            b'\\' => {
                let (code, tail) = tail.strip_prefix(b"x")?.split_at_checked(2)?;
                path.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
                rest = tail;
            }
            other => path.push(*other),
        }
    }
    String::from_utf8(path).ok().filter(|path| path.starts_with("/dev/"))
}

#[cfg(test)]
mod tests {
    use kiln_fixtures::phony::{FOREIGN_UUID, Phony, ROOT_UUID};

    use super::*;
    use crate::{Declared, inspect};

    fn in_vain(files: &[(&str, &str)], links: &[&str]) -> Waits {
        let inspection = inspect(Phony::el9().layout(), Declared::default());
        let mut initramfs = Initramfs::default();
        for (path, text) in files {
            initramfs.files.insert((*path).to_owned(), text.as_bytes().to_vec());
        }
        for path in links {
            initramfs.links.insert((*path).to_owned(), b"..".to_vec());
        }
        Waits::in_vain(&inspection.layout, &initramfs)
    }

    #[test]
    fn waits_for_what_is_there_stay() {
        let finished = "var/lib/dracut/hooks/initqueue/finished/devexists-x.sh";
        let unit = format!("dev-disk-by\\x2duuid-{}.device", ROOT_UUID.replace('-', "\\x2d"));
        let waits = in_vain(
            &[
                (
                    "etc/cmdline.d/95root-dev.conf",
                    &format!(" root=UUID={ROOT_UUID} rootfstype=xfs\n"),
                ),
                (finished, &format!("[ -e \"/dev/disk/by-uuid/{ROOT_UUID}\" ]\n")),
                ("conf/conf.d/resume", "RESUME=none\n"),
                ("etc/modprobe.d/a.conf", "root=/dev/sda1\n"),
            ],
            &[&format!("usr/lib/systemd/system/initrd.target.wants/{unit}")],
        );
        assert_eq!(waits, Waits::default());
    }

    #[test]
    fn waits_for_what_is_gone_are_lifted() {
        let finished = "usr/lib/dracut/hooks/initqueue/finished/devexists-x.sh";
        let unit = format!("dev-disk-by\\x2duuid-{}.device", FOREIGN_UUID.replace('-', "\\x2d"));
        let waits = in_vain(
            &[
                ("etc/cmdline.d/95root-dev.conf", " root=/dev/sda2 rootfstype=xfs\n"),
                ("etc/cmdline.d/90lvm.conf", "rd.lvm.lv=no/such quiet\n"),
                (finished, "[ -e \"/dev/sda2\" ]\n"),
                ("conf/conf.d/resume", &format!("RESUME=UUID={FOREIGN_UUID}\n")),
            ],
            &[&format!("etc/systemd/system/initrd.target.wants/{unit}")],
        );
        let text = |path: &str| {
            let found = waits.overrides.iter().find(|(name, _)| name == path);
            found.map(|(_, content)| String::from_utf8_lossy(content).into_owned())
        };
        assert_eq!(waits.overrides.len(), 4);
        assert_eq!(text("etc/cmdline.d/95root-dev.conf").unwrap(), "rootfstype=xfs\n");
        assert_eq!(text("etc/cmdline.d/90lvm.conf").unwrap(), "quiet\n");
        assert_eq!(text("conf/conf.d/resume").unwrap(), "RESUME=none\n");
        assert!(text(finished).unwrap().starts_with('#'));
        let mask = format!("etc/systemd/system/{unit}");
        assert_eq!(waits.links, [(mask, "/dev/null".to_owned())]);
    }
}
