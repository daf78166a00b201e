//! `diff-map`: an image as kiln sees it, against `qemu-img`.
//!
//! qemu-img writes the disk to a temporary raw file. Every byte must be the same, no byte that
//! kiln's map calls zero may be anything else, and the data that kiln maps must be data, or unknown,
//! to `qemu-img map`. What differs becomes a fixture.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use kiln_disk::{BlockSource, ExtentKind, OpenOptions};

/// How much is compared at a time.
const STEP_BYTES: u64 = 4 << 20;

/// Compare `image` and print one line. Files that the image names may lie in `extra_allow` too.
pub(crate) fn run(image: &Path, extra_allow: &[PathBuf]) -> anyhow::Result<()> {
    let location = image.to_str().context("the path is not UTF-8")?;
    let options = OpenOptions { allow_backing: extra_allow.to_vec(), ..OpenOptions::default() };
    let opened = kiln_disk::open(location, &options)?;
    let format = match opened.format.name() {
        "vhd" => "vpc",
        name => name,
    };
    let flat = tempfile::NamedTempFile::new()?;
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", format, "-O", "raw"]).arg(image).arg(flat.path());
    let status = convert.status().context("qemu-img")?;
    ensure!(status.success(), "qemu-img convert failed on {location}");

    let ours = &*opened.source;
    let theirs = flat.as_file();
    same_size(ours, theirs)?;
    let (data_bytes, extents) = compare(ours, theirs)?;
    let told_bytes = told_data_bytes(image, format)?;
    ensure!(
        data_bytes <= told_bytes,
        "kiln maps {data_bytes} bytes of data, qemu-img map only {told_bytes}"
    );
    say(format_args!(
        "{location}: {}, {} bytes equal; {data_bytes} bytes of data in {extents} extents \
         (qemu-img map: {told_bytes})",
        format!("{} {}", opened.format, opened.variant).trim_end(),
        ours.size_bytes()
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the summary is what the command is for")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

/// qemu-img fills a raw disk up to whole sectors.
fn same_size(ours: &dyn BlockSource, theirs: &File) -> anyhow::Result<()> {
    let (kiln, qemu) = (ours.size_bytes(), theirs.metadata()?.len());
    ensure!(kiln.next_multiple_of(512) == qemu, "kiln sees {kiln} bytes, qemu-img {qemu}");
    Ok(())
}

/// Go through the map and compare what it says and what is read with the flat file. Gives the
/// bytes of data and the number of extents.
fn compare(ours: &dyn BlockSource, theirs: &File) -> anyhow::Result<(u64, u64)> {
    let (mut data_bytes, mut extents, mut next) = (0, 0, 0);
    let (mut have, mut want) = (Vec::new(), Vec::new());
    for item in kiln_disk::map(ours) {
        let (start, extent) = item?;
        ensure!(start == next, "the map goes on at {start}, not at {next}");
        next = start + extent.length_bytes;
        extents += 1;
        if extent.kind == ExtentKind::Data {
            data_bytes += extent.length_bytes;
        }
        for at in (start..next).step_by(usize::try_from(STEP_BYTES)?) {
            let length = usize::try_from(STEP_BYTES.min(next - at))?;
            have.resize(length, 0);
            want.resize(length, 0);
            ours.read_at(at, &mut have)?;
            theirs.read_exact_at(&mut want, at)?;
            if have != want {
                let differs = have.iter().zip(&want).position(|(a, b)| a != b).unwrap_or(0);
                bail!("byte {} differs", at + u64::try_from(differs)?);
            }
            if extent.kind == ExtentKind::Zero {
                ensure!(want.iter().all(|byte| *byte == 0), "the map calls {at} zero, it is not");
            }
        }
    }
    ensure!(next == ours.size_bytes(), "the map ends at {next}, not at {}", ours.size_bytes());
    Ok((data_bytes, extents))
}

/// The bytes that `qemu-img map` does not know to be zero.
fn told_data_bytes(image: &Path, format: &str) -> anyhow::Result<u64> {
    #[derive(serde::Deserialize)]
    struct Told {
        length: u64,
        zero: bool,
    }
    let mut map = Command::new("qemu-img");
    let output = map.args(["map", "--output=json", "-f", format]).arg(image).output()?;
    ensure!(output.status.success(), "qemu-img map: {}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<Told> = serde_json::from_slice(&output.stdout)?;
    Ok(told.iter().filter(|extent| !extent.zero).map(|extent| extent.length).sum())
}
