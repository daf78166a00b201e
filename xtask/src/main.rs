//! kiln's own chores: `cargo xtask demo` and `cargo xtask test` set a fresh machine up and run.
#![expect(clippy::print_stderr, reason = "a chore talks to the terminal")]

mod diff_map;
mod fuzz;
mod fuzz_seeds;
mod images;
mod setup;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// kiln's own chores
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the real images under target/fixtures (installs what is missing)
    Fixtures,
    /// Compare kiln's map and every byte of an image with qemu-img
    DiffMap {
        image: PathBuf,
        /// Let the image name files in this folder
        #[arg(long)]
        allow_backing: Vec<PathBuf>,
    },
    /// Run the fuzz targets, from seeds that are made first
    Fuzz {
        /// How long to run each target
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
        /// Only this one
        target: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Fixtures => {
            setup::ensure(&[setup::FIXTURES])?;
            images::build_all()
        }
        Command::Fuzz { seconds, target } => {
            setup::ensure(&[setup::FIXTURES])?;
            fuzz::run(seconds, target.as_deref())
        }
        Command::DiffMap { image, allow_backing } => diff_map::run(&image, &allow_backing),
    }
}
