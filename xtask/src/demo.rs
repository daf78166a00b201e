//! `cargo xtask demo`: kiln's main job for real, on a Debian image made on the spot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use kiln_fixtures::http::{Behaviour, Server};

use crate::host::{run, workspace};
use crate::{images, real, setup, suite};

/// The faults that are planted together in the demo, by their codes.
const SHOWN: [&str; 4] =
    ["Virtio.NotInInitramfs", "Grub.RootDeviceName", "Fstab.UuidNotFound", "CloudInit.Disabled"];

/// Make a sound image and a broken one, and show what kiln says of both.
///
/// # Errors
///
/// Where something cannot be made, or kiln says the wrong thing: the demo proves itself.
pub(crate) fn run_demo() -> Result<()> {
    setup::ensure(&[setup::FIXTURES, setup::MACHINES])?;
    let kiln = suite::kiln("release")?;
    let sound = images::by_name("bookworm-bios-ext4")?;

    title("A sound Debian 12: nothing that would stop it");
    shown(&kiln, &["check", &sound.to_string_lossy()], 0)?;

    title("The same with four faults planted, as a VMDK: each one found, with what to do");
    let faults: Vec<_> = real::FAULTS.iter().filter(|f| SHOWN.contains(&f.code)).collect();
    let broken = real::plant(&faults, "demo.raw")?;
    let vmdk = images::folder().join("demo.vmdk");
    run(Command::new("qemu-img").args(["convert", "-O", "vmdk"]).arg(&broken).arg(&vmdk))?;
    shown(&kiln, &["check", &vmdk.to_string_lossy()], 1)?;
    let report = real::check(&kiln, &vmdk)?;
    for fault in &faults {
        real::expect(&report, fault)?;
    }

    let fixed = mend(&kiln, &vmdk)?;

    title("The sound one again over HTTP: only what the check reads is fetched");
    let server = Server::start(&images::folder(), Behaviour::Ranges)?;
    shown(&kiln, &["check", &server.url("bookworm-bios-ext4.raw")], 0)?;
    let size = fs::metadata(&sound)?.len();
    eprintln!(
        "fetched {:.1} MiB of a disk of {} MiB in {} requests",
        server.body_bytes() as f64 / f64::from(1 << 20),
        size >> 20,
        server.n_requests()
    );

    serve(&kiln, &fixed)?;
    rehearse(&kiln)?;

    title("What is on it");
    run(Command::new(&kiln).arg("inspect").arg(&sound))?;
    for made in [broken, vmdk, fixed] {
        fs::remove_file(made)?;
    }
    eprintln!("\nthe images are in {}; kiln is {}", images::folder().display(), kiln.display());
    Ok(())
}

fn title(text: &str) {
    eprintln!("\n=== {text}");
}

/// Serve, and let the official clients upload the image, import it with a check, and list it.
fn serve(kiln: &Path, image: &Path) -> Result<()> {
    title("Served: uploaded by the official OSS client, imported and checked by the official SDK");
    let folder = tempfile::Builder::new().prefix("kiln-demo-").tempdir()?;
    let mut server = crate::server::Server::prepare(kiln, folder.path(), None)?;
    server.start()?;
    let python = crate::python::environment()?;
    let mut demo = crate::python::script(&python, &crate::python::tests().join("demo.py"));
    run(demo.arg(server.site()).arg(image))?;
    server.stop()
}

/// Rehearse the template that repairs an image, once to success, and once with a call that fails.
fn rehearse(kiln: &Path) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("kiln-demo-").tempdir()?;
    let (parameters, broken) = (folder.path().join("repair.yml"), folder.path().join("world.yml"));
    fs::write(
        &parameters,
        "zoneId: cn-hangzhou-b\nrepairImageId: m-broken0001\nbaseImageId: \
         aliyun_3_x64_20G_alibase_20250629.vhd\ninstanceType: ecs.g7.large\nsecurityGroupId: \
         sg-1\nvSwitchId: vsw-1\nrepairItems: [fstab, cloudinit]\n",
    )?;
    let world = workspace().join("crates/lib/sim/worlds/repair-image.yml");
    let fault = "faults: [{api: CreateImage, nth: every, status: 400, code: QuotaExceed.Image}]\n";
    fs::write(&broken, format!("{}{fault}", fs::read_to_string(world)?))?;
    let (state, parameters) = (folder.path().to_string_lossy(), parameters.to_string_lossy());
    let run = |world: &str, expected: i32| {
        let line = ["run", "ACS-ECS-RepairImage", "--time-scale", "0", "--state", &state];
        shown(kiln, &[&line[..], &["--params", &parameters, "--sim", world]].concat(), expected)
    };
    title("A template rehearsed: three minutes of waiting take no time, nothing real is called");
    run("repair-image", 0)?;
    title("The same where the image cannot be made: what was made before is deleted again");
    run(&broken.to_string_lossy(), 1)?;
    shown(kiln, &["executions", "--state", &state, "list"], 0)
}

/// Plan, repair, check and boot the broken image; the repaired one.
fn mend(kiln: &Path, broken: &Path) -> Result<PathBuf> {
    let broken = broken.to_string_lossy();
    title("What would mend it, as diffs: nothing is written");
    shown(kiln, &["repair", &broken], 0)?;

    let fixed = images::folder().join("demo.fixed.qcow2");
    let out = fixed.to_string_lossy();
    title("Mended, in a copy: nothing of the guest runs, the result is judged before it is there");
    shown(kiln, &["repair", &broken, "-o", &out, "--format-out", "qcow2", "--force", "-v"], 0)?;

    title("Checked again");
    shown(kiln, &["check", &out], 0)?;

    title("And it starts, from an NVMe disk, to a login with an address");
    let console = images::folder().join("demo.console.log");
    let console = console.to_string_lossy();
    let boot = ["boot", "--bus", "nvme", "--until", "network", "--console", &console, &out];
    shown(kiln, &[&boot[..], &["--timeout", "900"]].concat(), 0)?;
    Ok(fixed)
}

/// Run kiln in sight of the user, and hold it to its exit status.
fn shown(kiln: &Path, arguments: &[&str], expected: i32) -> Result<()> {
    eprintln!("$ kiln {}", arguments.join(" "));
    let status = Command::new(kiln).args(arguments).status()?;
    ensure!(status.code() == Some(expected), "kiln ended with {status} instead of {expected}");
    Ok(())
}
