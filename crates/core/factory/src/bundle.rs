//! Reading a bundle directory: what repairs may install.

use std::fs;
use std::path::Path;

use kiln_compute::helper::AGENT;
use kiln_guest::repair::Bundle;

use crate::{Error, Result};

/// A bundle is packages of a few systems, not a mirror.
const MAX_FILES: usize = 10_000;
const MAX_TOTAL_BYTES: u64 = 2 << 30;
const MAX_DEPTH: usize = 8;

/// Read all files below `dir`. Links are followed: the directory is the caller's own.
///
/// # Errors
///
/// Where it cannot be read, or is larger than a bundle is.
pub fn read_dir(dir: &Path) -> Result<Bundle> {
    let mut files = Vec::new();
    let mut total_bytes = 0;
    let mut pending = vec![(String::new(), 0)];
    while let Some((below, depth)) = pending.pop() {
        let here = dir.join(&below);
        let cannot = || format!("cannot read the bundle {}", here.display());
        for entry in fs::read_dir(&here).map_err(Error::io(cannot()))? {
            let entry = entry.map_err(Error::io(cannot()))?;
            let name = entry.file_name().into_string().map_err(|name| Error::Request {
                what: format!("{}: not UTF-8", here.join(name).display()),
                hint: "rename the file".to_owned(),
            })?;
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let full = entry.path();
            let cannot = || format!("cannot read {}", full.display());
            let metadata = fs::metadata(&full).map_err(Error::io(cannot()))?;
            if metadata.is_dir() && depth < MAX_DEPTH {
                pending.push((path, depth + 1));
            } else if metadata.is_file() {
                total_bytes += metadata.len();
                if files.len() >= MAX_FILES || total_bytes > MAX_TOTAL_BYTES {
                    return Err(too_large(dir));
                }
                files.push((path, fs::read(&full).map_err(Error::io(cannot()))?));
            }
        }
    }
    Ok(Bundle::new(files)?)
}

/// The same with kiln's own agent, for guests of this host's architecture.
///
/// # Errors
///
/// Where kiln was built with an agent that is none.
pub fn with_own_agent(bundle: Bundle) -> Result<Bundle> {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    Ok(bundle.with_own_agent(architecture, AGENT.to_vec())?)
}

fn too_large(dir: &Path) -> Error {
    Error::Request {
        what: format!(
            "{} has more than {MAX_FILES} files or {} GiB",
            dir.display(),
            MAX_TOTAL_BYTES >> 30
        ),
        hint: "give a directory with the packages of the systems that are repaired".to_owned(),
    }
}
