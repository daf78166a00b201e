//! kiln's own chores: `cargo xtask demo` and `cargo xtask test` set a fresh machine up and run.
#![expect(clippy::print_stderr, reason = "a chore talks to the terminal")]

mod bench;
mod bench_api;
mod bench_import;
mod bench_imports;
mod bench_oos;
mod bench_repair;
mod boots;
mod crash;
mod demo;
mod diff_map;
mod diff_walk;
mod fuzz;
mod fuzz_seeds;
mod host;
mod images;
mod plant;
mod postgres;
mod python;
mod real;
mod repair_faults;
mod repair_guests;
mod repairs;
mod serve_tests;
mod server;
mod setup;
mod suite;
mod tidy;
mod unchanged;

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
    /// Install what is missing and show kiln at work on real images
    Demo,
    /// Install what is missing and run all tests, or only the named tiers of them
    Test {
        /// setup, tidy, cargo, build, images, diff-walk, diff-map, faults, boot, repair, repair-faults,
        /// serve, serve-postgres, serve-faults, serve-crash; repair-matrix only by name
        tiers: Vec<String>,
    },
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
    /// Compare every filesystem of an image with the kernel's mount (needs root)
    DiffWalk { image: PathBuf },
    /// Measure kiln beside what people use today
    #[command(subcommand)]
    Bench(Bench),
    /// Check the layers and the changelog
    Tidy,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The full check, beside virt-inspector and the decompression of the initramfs
    Check,
    /// Repairs of one image, beside virt-customize
    Repair,
    /// Packing a raw disk as qcow2, beside qemu-img
    Import {
        /// This raw disk instead of a Debian one that is made
        #[arg(long)]
        image: Option<PathBuf>,
        /// This program instead of one that is built
        #[arg(long)]
        kiln: Option<PathBuf>,
    },
    /// DescribeImages over 100,000 images, asked by wrk
    Api,
    /// Runs of OOS templates, on SQLite and on PostgreSQL
    Oos,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Demo => demo::run_demo(),
        Command::Bench(Bench::Check) => bench::check(),
        Command::Bench(Bench::Repair) => bench_repair::repair(),
        Command::Bench(Bench::Import { image, kiln }) => bench_import::import(image, kiln),
        Command::Bench(Bench::Api) => bench_api::bench(),
        Command::Bench(Bench::Oos) => bench_oos::bench(),
        Command::Test { tiers } => suite::run_tiers(&tiers),
        Command::Fixtures => {
            setup::ensure(&[setup::FIXTURES])?;
            images::build_all()
        }
        Command::Fuzz { seconds, target } => {
            setup::ensure(&[setup::FIXTURES])?;
            fuzz::run(seconds, target.as_deref())
        }
        Command::DiffMap { image, allow_backing } => diff_map::run(&image, &allow_backing),
        Command::DiffWalk { image } => diff_walk::run(&image),
        Command::Tidy => tidy::run(),
    }
}
