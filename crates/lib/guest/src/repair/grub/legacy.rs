//! GRUB legacy on the disk that an instance starts from, which is its first.

use super::super::cmdline::configurations;
use super::super::{Draft, Stop};
use super::boot_volume;
use crate::Loader;
use crate::inspect::devices::partition_of;

/// Let the entries of this system take their files from the partition where they are.
pub(super) fn use_first_disk(draft: &mut Draft) -> Result<bool, Stop> {
    let guest = draft.guest()?;
    let partition = boot_volume(guest).and_then(|index| partition_of(&guest.layout, index));
    let Some((0, partition)) = partition else { return Ok(false) };
    let Some(index) = partition.number.checked_sub(1) else { return Ok(false) };
    let device = format!("(hd0,{index})");
    let mut changed = false;
    for (loader, path) in configurations(guest)? {
        if loader == Loader::GrubLegacy {
            let reason = "the system disk of an instance is its first one";
            changed |= draft.rewrite(&path, reason, |text| edited(text, &device))?;
        }
    }
    Ok(changed)
}

/// `text` with each device on a later disk replaced, except in entries that start no Linux: those are
/// of systems on another disk.
pub(super) fn edited(text: &str, device: &str) -> String {
    let mut blocks: Vec<String> = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if key_of(line) == "title" {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
        }
    }
    let block = |(index, block): (usize, &String)| {
        let is_ours = index == 0 || block.lines().any(|line| key_of(line) == "kernel");
        let line = |line: &str| match key_of(line) {
            "root" | "rootnoverify" | "kernel" | "module" | "initrd" | "splashimage" => {
                with_device(line, device)
            }
            _ => line.to_owned(),
        };
        match is_ours {
            true => block.split_inclusive('\n').map(line).collect(),
            false => block.clone(),
        }
    };
    blocks.iter().enumerate().map(block).collect()
}

fn key_of(line: &str) -> &str {
    line.trim().split([' ', '\t', '=']).next().unwrap_or_default()
}

/// `line` with `device` for each `(hdN,M)` that is not on the first disk.
fn with_device(line: &str, device: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("(hd") {
        out.push_str(before);
        let Some((inner, after)) = after.split_once(')') else {
            out.push_str("(hd");
            rest = after;
            continue;
        };
        let disk = inner.split(',').next().unwrap_or_default();
        let is_later = disk.parse::<u32>().is_ok_and(|disk| disk > 0);
        match is_later && inner.contains(',') {
            true => out.push_str(device),
            false => out.push_str(&format!("(hd{inner})")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::edited;

    #[test]
    fn only_entries_of_this_system_change() {
        let before = "default=0\nsplashimage=(hd1,0)/grub/x.gz\ntitle a\n\troot (hd1,0)\n\tkernel \
                      (hd2,1)/vmlinuz ro\n\tinitrd /i\ntitle Other\n\trootnoverify \
                      (hd1,0)\n\tchainloader +1\ntitle b (hd3,0)\n\troot (hd0,4)\n\tkernel /v\n";
        let after = "default=0\nsplashimage=(hd0,0)/grub/x.gz\ntitle a\n\troot (hd0,0)\n\tkernel \
                     (hd0,0)/vmlinuz ro\n\tinitrd /i\ntitle Other\n\trootnoverify \
                     (hd1,0)\n\tchainloader +1\ntitle b (hd3,0)\n\troot (hd0,4)\n\tkernel /v\n";
        assert_eq!(edited(before, "(hd0,0)"), after);
        for text in ["root (hd", "root (hd1", "root (hdx,1)", "root (hd1)"] {
            assert_eq!(edited(text, "(hd0,0)"), text);
        }
    }
}
