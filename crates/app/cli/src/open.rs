//! From a location on the command line to an inspection.

use kiln_disk::{Image, OpenOptions};
use kiln_guest::{Declared, Inspection};

use crate::args::{DeclaredArgs, OpenArgs};

/// An inspected image with the disks it was read from.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) images: Vec<Image>,
    pub(crate) inspection: Inspection,
}

impl Opened {
    /// Bytes fetched from files or servers so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.images.iter().map(Image::bytes_read).sum()
    }
}

/// Open `location` and the disks attached to it, and inspect them.
pub(crate) fn inspect(
    location: &str,
    open: &OpenArgs,
    declared: Declared,
) -> kiln_disk::Result<Opened> {
    let options = OpenOptions { allow_backing: open.allow_backing.clone(), ..Default::default() };
    let locations = std::iter::once(location).chain(open.attach.iter().map(String::as_str));
    let images = locations
        .map(|location| kiln_disk::open(location, &options))
        .collect::<kiln_disk::Result<Vec<_>>>()?;
    let sources: Vec<_> = images.iter().map(|image| image.source.clone()).collect();
    let inspection = kiln_guest::inspect(kiln_volume::scan(&sources), declared);
    Ok(Opened { images, inspection })
}

impl From<&DeclaredArgs> for Declared {
    fn from(args: &DeclaredArgs) -> Self {
        Self {
            platform: args.platform.clone(),
            boot_mode: args.boot_mode.clone(),
            architecture: args.architecture.clone(),
            nvme: args.nvme,
        }
    }
}
