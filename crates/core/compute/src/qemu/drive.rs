//! An image as the disk of a machine: read only, below an overlay that takes all writes.
//!
//! QEMU follows names that it finds inside an image: a backing file could be any file of the host.
//! So it is told every file of the chain and its format, as kiln's own readers found them under
//! kiln's own rules, and the overlay names no backing file at all. `qemu-img` never sees the image.

use std::fs;
use std::process::Command;
use std::time::Duration;

use kiln_disk::{Format, Image};
use serde_json::{Value, json};

use crate::qemu::{Qemu, WorkDir, process};
use crate::{Error, Result};

/// Making an empty overlay takes milliseconds; a dying disk takes longer.
const CREATE_TIMEOUT: Duration = Duration::from_secs(60);

/// A new overlay over `image` in `work`, as the value of QEMU's `-blockdev` with the node name
/// `node`. The overlay is the file `NODE.qcow2`.
///
/// # Errors
///
/// Where the image is remote, a file of its chain is gone, or the overlay cannot be made.
pub fn overlay(qemu: &Qemu, work: &WorkDir, image: &Image, node: &str) -> Result<String> {
    let name = format!("{node}.qcow2");
    let size_bytes = image.source.size_bytes().next_multiple_of(512);
    let mut create = Command::new(&qemu.img);
    create.current_dir(work.path());
    create.args(["create", "-q", "-f", "qcow2", &name, &size_bytes.to_string()]);
    process::run(create, CREATE_TIMEOUT)?;
    let overlay = json!({
        "driver": "qcow2",
        "node-name": node,
        "discard": "unmap",
        // What the guest flushes is thrown away with the overlay anyway.
        "cache": { "direct": false, "no-flush": true },
        "file": { "driver": "file", "filename": name },
        "backing": read_only(image)?,
    });
    Ok(overlay.to_string())
}

/// The image with the files below it as a value of QEMU's `-blockdev`, read only.
///
/// # Errors
///
/// Where the image is remote, or a file is gone.
pub fn read_only(image: &Image) -> Result<Value> {
    let links = image.chain.iter().map(|link| (link.location.as_str(), link.format));
    let mut files = vec![(image.location.as_str(), image.format)];
    for link in links {
        // Below any other format than qcow2 lie extents, which QEMU finds as kiln did.
        if files.last().is_some_and(|(_, format)| *format == Format::Qcow2) {
            files.push(link);
        }
    }
    let mut below = Value::Null;
    for (location, format) in files.into_iter().rev() {
        below = file_node(location, format, below)?;
    }
    Ok(below)
}

fn file_node(location: &str, format: Format, backing: Value) -> Result<Value> {
    if location.contains("://") {
        return Err(Error::Unsupported {
            what: format!("{location} is not on this host"),
            hint: "download the image first".to_owned(),
        });
    }
    // Absolute, because QEMU runs elsewhere and would take `a:b` for a protocol.
    let path = fs::canonicalize(location).map_err(Error::io(location))?;
    let path = path.to_str().ok_or_else(|| Error::Unsupported {
        what: format!("{} is not UTF-8", path.display()),
        hint: "rename the image".to_owned(),
    })?;
    let mut node = json!({
        "driver": driver(format),
        "read-only": true,
        "file": { "driver": "file", "filename": path, "read-only": true },
    });
    if matches!(format, Format::Qcow2 | Format::Vmdk) {
        node["backing"] = backing;
    }
    Ok(node)
}

/// QEMU's name of a format.
fn driver(format: Format) -> &'static str {
    match format {
        Format::Vhd => "vpc",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kiln_disk::OpenOptions;

    use super::*;
    use crate::qemu::program;

    fn img(folder: &Path, arguments: &[&str]) {
        let mut command = Command::new(program("qemu-img").expect("qemu-utils is installed"));
        command.current_dir(folder).args(arguments);
        process::run(command, CREATE_TIMEOUT).unwrap();
    }

    fn opened(folder: &Path, name: &str) -> Image {
        let location = folder.join(name).to_str().unwrap().to_owned();
        kiln_disk::open(&location, &OpenOptions::default()).unwrap()
    }

    /// Every file and format is spelt out, to the end of the chain.
    #[test]
    fn a_chain_is_spelt_out() {
        let folder = tempfile::tempdir().unwrap();
        let folder = &folder.path().canonicalize().unwrap();
        img(folder, &["create", "-q", "-f", "raw", "./base,a:b.raw", "1M"]);
        img(folder, &["create", "-q", "-f", "qcow2", "-b", "./base,a:b.raw", "-F", "raw", "top"]);
        let node = read_only(&opened(folder, "top")).unwrap();
        assert_eq!((&node["driver"], &node["read-only"]), (&json!("qcow2"), &json!(true)));
        let below = &node["backing"];
        assert_eq!(below["driver"], "raw");
        let name = below["file"]["filename"].as_str().unwrap();
        assert_eq!(Path::new(name), folder.join("base,a:b.raw"));
        assert!(below.get("backing").is_none(), "raw has nothing below it: {below}");
    }

    #[test]
    fn an_image_without_backing_may_not_get_one() {
        let folder = tempfile::tempdir().unwrap();
        for (format, driver) in [("qcow2", "qcow2"), ("vmdk", "vmdk")] {
            img(folder.path(), &["create", "-q", "-f", format, format, "1M"]);
            let node = read_only(&opened(folder.path(), format)).unwrap();
            assert_eq!(node["driver"], driver);
            assert_eq!(node.get("backing"), Some(&Value::Null), "{format}");
        }
        img(folder.path(), &["create", "-q", "-f", "vpc", "vhd", "1M"]);
        assert_eq!(read_only(&opened(folder.path(), "vhd")).unwrap()["driver"], "vpc");
    }

    #[test]
    fn a_remote_image_is_refused_with_a_hint() {
        let error = file_node("https://example.com/a.raw", Format::Raw, Value::Null).unwrap_err();
        assert_eq!(error.to_string(), "https://example.com/a.raw is not on this host");
        assert_eq!(error.hint(), Some("download the image first"));
    }
}
