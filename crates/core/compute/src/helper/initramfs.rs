//! The initramfs of the helper machine: the agent as `/init`, modules, and the order to load them.

use kiln_guest::CpioWriter;

use crate::helper::{Driver, Kernel};
use crate::{Error, Result};

/// kiln's agent as a static program for the architecture of this host: the first process of the helper
/// machine, and the service that the repair `assist` may install.
pub const AGENT: &[u8] = include_bytes!(env!("KILN_AGENT"));

/// The archive, not compressed: the machine would take longer to unpack it than QEMU to copy it.
pub(super) fn make(kernel: &Kernel, drivers: &[Driver]) -> Result<Vec<u8>> {
    let modules = kernel.modules(drivers)?;
    let mut archive = CpioWriter::new();
    let mut order = String::new();
    let mut fill = || {
        for directory in ["dev", "proc", "sys"] {
            archive.directory(directory, 0o755)?;
        }
        archive.file("init", 0o755, AGENT)?;
        for (name, content) in &modules {
            let path = format!("kiln/{name}.ko");
            archive.file(&path, 0o644, content)?;
            order += &format!("/{path}\n");
        }
        archive.file("kiln/modules", 0o644, order.as_bytes()).map(|_| ())
    };
    fill().map_err(|error: kiln_guest::CpioError| Error::Unsupported {
        what: format!("the initramfs of the helper machine: {error}"),
        hint: "name another kernel with --helper-kernel".to_owned(),
    })?;
    Ok(archive.finish())
}
