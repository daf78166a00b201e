//! `/etc/crypttab`: the devices that boot opens before it mounts anything.

use kiln_volume::{Content, Layout, Result};

use crate::inspect::devices::{Resolved, lasting_name, partition_name, resolve_device};
use crate::repair::{Draft, Stop};

const PATH: &str = "/etc/crypttab";

/// Name the devices so that they are found, and let boot go on without those that are not there.
pub(super) fn plan(draft: &mut Draft) -> Result<(), Stop> {
    let layout = draft.guest()?.layout.clone();
    draft.rewrite(PATH, "boot opens only what is there", |text| edited(text, &layout))?;
    Ok(())
}

fn edited(text: &str, layout: &Layout) -> String {
    let line = |line: &str| match words(line).as_slice() {
        [name, ..] if name.starts_with('#') => line.to_owned(),
        [_, device, rest @ ..] => match resolve_device(layout, device) {
            Resolved::KernelName { volume: Some(index), stable: false } => {
                let name = lasting(layout, index).unwrap_or_else(|| (*device).to_owned());
                with_word(line, 1, &name)
            }
            Resolved::Absent | Resolved::KernelName { volume: None, stable: false } => {
                let options = rest.get(1).copied().unwrap_or_default();
                let is_missing_allowed =
                    options.split(',').any(|option| matches!(option, "nofail" | "noauto"));
                match (is_missing_allowed, rest) {
                    (true, _) => line.to_owned(),
                    (false, []) => format!("{} none nofail", line.trim_end()),
                    (false, [_]) => format!("{} nofail", line.trim_end()),
                    (false, [..]) => with_word(line, 3, &format!("{options},nofail")),
                }
            }
            _ => line.to_owned(),
        },
        _ => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// LUKS keeps its UUID; what is encrypted anew at each start (swap with a random key) has none that
/// lasts, and its partition has.
fn lasting(layout: &Layout, index: usize) -> Option<String> {
    match layout.volumes.get(index)?.content {
        Content::Luks1 | Content::Luks2 => lasting_name(layout, index),
        _ => partition_name(layout, index),
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

fn with_word(line: &str, n: usize, new: &str) -> String {
    let mut rest = line;
    let mut at = 0;
    for index in 0..=n {
        let blanks = rest.len() - rest.trim_start().len();
        rest = rest.get(blanks..).unwrap_or_default();
        at += blanks;
        let length = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        if index == n {
            let before = line.get(..at).unwrap_or_default();
            return format!("{before}{new}{}", rest.get(length..).unwrap_or_default());
        }
        rest = rest.get(length..).unwrap_or_default();
        at += length;
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Disk, UUID_ROOT};
    use kiln_volume::MemFs;

    #[test]
    fn devices_get_names_that_last() {
        let mut disk = Disk::gpt();
        disk.swap();
        disk.add("0fc63daf-8483-4772-8e79-3d69d8477de4", 0x83, Content::Luks2).uuid =
            Some("11-22".into());
        disk.partition(MemFs::new(), UUID_ROOT, "");
        let layout = disk.build();
        for (before, after) in [
            ("data  /dev/sda2 none luks", "data  UUID=11-22 none luks"),
            (
                "swap /dev/sda1 /dev/urandom swap\t# new each time",
                "swap PARTUUID=00000000-0000-4000-8000-000000000001 /dev/urandom swap\t# new each time",
            ),
            ("old UUID=dead /key luks,discard", "old UUID=dead /key luks,discard,nofail"),
            ("old UUID=dead", "old UUID=dead none nofail"),
            ("old /dev/sdb1 none", "old /dev/sdb1 none nofail"),
        ] {
            let text = format!("# note\n{before}\n");
            let found = edited(&text, &layout);
            assert_eq!(found, format!("# note\n{after}\n"));
            assert_eq!(edited(&found, &layout), found);
        }
        for untouched in
            ["# d /dev/sda2 none", "d UUID=11-22 none luks", "d UUID=x none nofail", "", "d"]
        {
            assert_eq!(edited(untouched, &layout), untouched);
        }
    }
}
