//! The project's own tasks.

mod diff_map;

use std::path::PathBuf;

use clap::Parser;

/// What to do.
#[derive(Debug, Parser)]
enum Task {
    /// Compare an image as kiln sees it with qemu-img: every byte, and the map.
    DiffMap {
        /// The image.
        image: PathBuf,
        /// A folder in which files that the image names may be opened, besides its own.
        #[arg(long, value_name = "DIR")]
        allow_backing: Vec<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::DiffMap { image, allow_backing } => diff_map::run(&image, &allow_backing),
    }
}
