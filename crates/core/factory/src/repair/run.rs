//! The steps of a repair, in their order.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::copy::{self, Way};
use super::editor::HelperEditor;
use super::volumes::Mount;
use super::{Job, Machine, Progress, Repaired, Target, Times, look, plan_of, verify, volumes};
use crate::{Error, Result};
use kiln_compute::helper::{self, Disk, Exec, Kernel, MountOptions, Session};
use kiln_compute::qemu::{Arch, Qemu, WorkDir, drive};
use kiln_disk::{Format, Image, OpenOptions};
use kiln_guest::repair::{Edit, GuestCommand, Plan, apply};
use kiln_guest::{Inspection, Item};

/// The file in the work folder that becomes the output.
const PART: &str = "part";
/// A package's scripts may take minutes under emulation.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What a package's script may expect of a shell without a terminal.
const COMMAND_ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LC_ALL", "C"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// Repair an image: see the module.
///
/// # Errors
///
/// Where a repair is refused and the job does not ask for the others; where the image, the helper VM
/// or the host fails; where the result is not what was planned. There is no output then.
pub fn repair(
    job: &Job,
    target: &Target,
    machine: &Machine,
    watch: &mut dyn FnMut(Progress),
) -> Result<Repaired> {
    let start = Instant::now();
    let folder = check_target(job, target)?;
    watch(Progress::Planning);
    let (mut image, mut inspection) = look(&job.input, &job.open, &job.declared)?;
    spare_input(&image, &target.output)?;
    let format = target.format.unwrap_or(image.format);
    let work = WorkDir::new_in(&folder)?;
    let mut shop = Shop { job, machine, work: &work, watch, times: Times::default() };
    if let Some(settled) = shop.settle(&image, &inspection)? {
        (image, inspection) = settled;
    }
    let planning = Instant::now();
    let plan = plan_of(job, &inspection)?;
    if plan.refusals().next().is_some() && !job.options.best_effort {
        return Err(Error::RefusedInPart(Box::new(plan)));
    }
    shop.times.plan = planning.elapsed();
    let edited = shop.edit(&image, &inspection, &plan, format)?;
    let (image, after, items) = shop.verify(&inspection, &plan)?;
    let boot = shop.boot(&image, &after, &target.output)?;
    let mut times = shop.times;
    copy::publish(&work.join(PART), &target.output, target.overwrite)?;
    times.total = start.elapsed();
    let Edited { unlocked, output } = edited;
    Ok(Repaired { plan, items, unlocked, output, boot, times })
}

/// The folder of the output, where the output can be made.
fn check_target(job: &Job, target: &Target) -> Result<PathBuf> {
    let output = &target.output;
    let request = |what: String, hint: &str| Error::Request { what, hint: hint.to_owned() };
    let folder = match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    if output.file_name().is_none() || output.is_dir() {
        let what = format!("{} names no file", output.display());
        return Err(request(what, "name the file to write"));
    }
    if !folder.is_dir() {
        let what = format!("there is no folder {}", folder.display());
        return Err(request(what, "make it first"));
    }
    let is_input = match (fs::canonicalize(&job.input), fs::canonicalize(output)) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    if is_input {
        let what = format!("{} is the input, which is never written", output.display());
        return Err(request(what, "name another file"));
    }
    if !target.overwrite && output.symlink_metadata().is_ok() {
        let what = format!("{} is there already", output.display());
        return Err(request(what, "name another file, or ask for it to be replaced (--force)"));
    }
    Ok(folder)
}

/// The output, and the log that may come to lie beside it, must replace no file of the input: a backing
/// file or an extent is one as well.
fn spare_input(image: &Image, output: &Path) -> Result<()> {
    let links = image.chain.iter().map(|link| link.location.as_str());
    let parts: Vec<PathBuf> = std::iter::once(image.location.as_str())
        .chain(links)
        .filter_map(|location| fs::canonicalize(location).ok())
        .collect();
    for written in [output.to_path_buf(), console_log(output)] {
        if fs::canonicalize(&written).is_ok_and(|path| parts.contains(&path)) {
            return Err(Error::Request {
                what: format!("{} is a file that the input is made of", written.display()),
                hint: "name another file".to_owned(),
            });
        }
    }
    Ok(())
}

/// Where the console of a result that does not start is kept.
fn console_log(output: &Path) -> PathBuf {
    let mut log = output.as_os_str().to_owned();
    log.push(".console.log");
    PathBuf::from(log)
}

/// What the steps share.
struct Shop<'a> {
    job: &'a Job,
    machine: &'a Machine,
    work: &'a WorkDir,
    watch: &'a mut dyn FnMut(Progress),
    times: Times,
}

/// What the helper VM has to tell.
#[derive(Debug, Default)]
struct Edited {
    unlocked: Vec<String>,
    output: Vec<String>,
}

/// What the helper VM is to do.
struct Work<'a> {
    sector_bytes: u32,
    mounts: Vec<Mount>,
    edits: &'a [Edit],
    commands: &'a [GuestCommand],
}

impl Shop<'_> {
    /// Where a log hides newer files than kiln can read: the image after a kernel replayed it.
    fn settle(
        &mut self,
        image: &Image,
        inspection: &Inspection,
    ) -> Result<Option<(Image, Inspection)>> {
        let Some(guest) = inspection.guest() else { return Ok(None) };
        let mounts = volumes::stale_mounts(guest)?;
        if mounts.is_empty() {
            return Ok(None);
        }
        (self.watch)(Progress::Replaying);
        let qemu = Qemu::find(Arch::host())?;
        let node = drive::overlay(&qemu, self.work, image, "replay")?;
        self.machine_work(
            &qemu,
            &node,
            &Work { sector_bytes: sector_bytes(inspection), mounts, edits: &[], commands: &[] },
        )?;
        let settled = self.work.join("settled");
        copy::convert(&qemu, self.work, &node, Format::Qcow2, &settled)?;
        let location = utf8(&settled)?;
        look(&location, &OpenOptions::default(), &self.job.declared).map(Some)
    }

    /// Make the edits, and the file that will be the output.
    fn edit(
        &mut self,
        image: &Image,
        inspection: &Inspection,
        plan: &Plan,
        format: Format,
    ) -> Result<Edited> {
        let part = self.work.join(PART);
        let way = Way::of(image, format);
        let (edits, commands) = (plan.edits(), plan.commands());
        if plan.is_empty() {
            (self.watch)(Progress::Copying);
            let copying = Instant::now();
            match way {
                Way::Clone => copy::clone(image, &part, &AtomicBool::new(false))?,
                Way::Convert => {
                    let node = drive::read_only(image)?.to_string();
                    copy::convert(&Qemu::find(Arch::host())?, self.work, &node, format, &part)?;
                }
            }
            self.times.copy = copying.elapsed();
            return Ok(Edited::default());
        }
        let qemu = Qemu::find(Arch::host())?;
        let guest = inspection.guest().ok_or_else(|| no_guest("before the edits"))?;
        let mounts = volumes::mounts(guest, &edits, !commands.is_empty())?;
        let node = drive::overlay(&qemu, self.work, image, "overlay")?;
        let sector_bytes = sector_bytes(inspection);
        let work = Work { sector_bytes, mounts, edits: &edits, commands: &commands };
        let edited = match way {
            Way::Clone => self.edit_beside_copy(&qemu, &node, image, &part, &work)?,
            Way::Convert => self.machine_work(&qemu, &node, &work)?,
        };
        let committing = Instant::now();
        (self.watch)(Progress::Copying);
        match way {
            Way::Clone => copy::commit(&qemu, self.work, "overlay.qcow2", PART, format)?,
            Way::Convert => copy::convert(&qemu, self.work, &node, format, &part)?,
        }
        self.times.commit = committing.elapsed();
        Ok(edited)
    }

    /// Edit in the machine while the image is copied: the one waits for a processor, the other for
    /// the disk.
    fn edit_beside_copy(
        &mut self,
        qemu: &Qemu,
        node: &str,
        image: &Image,
        part: &Path,
        work: &Work,
    ) -> Result<Edited> {
        let cancelled = AtomicBool::new(false);
        thread::scope(|scope| {
            let copying = scope.spawn(|| copy::clone(image, part, &cancelled));
            let edited = self.machine_work(qemu, node, work);
            if edited.is_err() {
                cancelled.store(true, Ordering::Relaxed);
            } else {
                (self.watch)(Progress::Copying);
            }
            let waiting = Instant::now();
            let copied = copying.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            self.times.copy = waiting.elapsed();
            let edited = edited?;
            copied.map(|()| edited)
        })
    }

    /// Do `work` on the disk that `node` describes, in a helper VM.
    fn machine_work(&mut self, qemu: &Qemu, node: &str, work: &Work) -> Result<Edited> {
        (self.watch)(Progress::Starting);
        let starting = Instant::now();
        let kernel = Kernel::find(self.machine.kernel.as_deref(), None)?;
        let mut drivers: Vec<_> = work.mounts.iter().flat_map(Mount::drivers).collect();
        drivers.sort_unstable();
        drivers.dedup();
        let disk = Disk::node(volumes::SERIAL, node)?.with_sector_bytes(work.sector_bytes);
        let mut session = Session::start(helper::Options {
            qemu,
            work: self.work,
            accelerator: qemu.accelerator(self.machine.accel)?,
            kernel: &kernel,
            disks: vec![disk],
            drivers,
            exec: !work.commands.is_empty(),
            timeouts: helper::Timeouts::default(),
            on_progress: None,
        })?;
        self.times.machine += starting.elapsed();
        let mounting = Instant::now();
        for Mount { volume, at, fstype, subvolume } in &work.mounts {
            let how = MountOptions { subvolume: subvolume.as_deref(), ..MountOptions::default() };
            session.mount(volume.clone(), at, fstype, &how)?;
        }
        self.times.mount += mounting.elapsed();
        let editing = Instant::now();
        let edited = self.session_edits(&mut session, work)?;
        self.times.edits += editing.elapsed();
        let unmounting = Instant::now();
        session.finish()?;
        self.times.unmount += unmounting.elapsed();
        Ok(edited)
    }

    fn session_edits(&mut self, session: &mut Session, work: &Work) -> Result<Edited> {
        let total = work.edits.len();
        let mut editor = HelperEditor::new(session);
        apply(&mut editor, work.edits, &mut |done| {
            (self.watch)(Progress::Editing { done, total })
        })?;
        let unlocked = std::mem::take(&mut editor.unlocked);
        let mut output = Vec::new();
        for command in work.commands {
            let program = command.argv.first().cloned().unwrap_or_default();
            (self.watch)(Progress::Running(program.clone()));
            let end = session.exec(Exec {
                argv: command.argv.clone(),
                env: COMMAND_ENVIRONMENT.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
                timeout_ms: u64::try_from(COMMAND_TIMEOUT.as_millis()).unwrap_or(u64::MAX),
            })?;
            let said = String::from_utf8_lossy(&end.output).into_owned();
            if end.status != Some(0) {
                let how = match end.status {
                    _ if end.timed_out => "took too long".to_owned(),
                    Some(status) => format!("ended with status {status}"),
                    None => "was killed".to_owned(),
                };
                let line = command.argv.join(" ");
                return Err(Error::NotAsPlanned(format!("`{line}` {how}: {}", said.trim())));
            }
            output.push(said);
        }
        Ok(Edited { unlocked, output })
    }

    /// Read the result from its first byte and judge it.
    fn verify(
        &mut self,
        before: &Inspection,
        plan: &Plan,
    ) -> Result<(Image, Inspection, Vec<Item>)> {
        (self.watch)(Progress::Verifying);
        let verifying = Instant::now();
        let part = utf8(&self.work.join(PART))?;
        let (image, after) = look(&part, &OpenOptions::default(), &self.job.declared)?;
        let items = verify::verify(before, plan, &after)?;
        self.times.verify = verifying.elapsed();
        Ok((image, after, items))
    }

    /// Boot the result, where that was asked for.
    fn boot(
        &mut self,
        image: &Image,
        inspection: &Inspection,
        output: &Path,
    ) -> Result<Option<kiln_compute::boot::Report>> {
        let Some(options) = &self.machine.verify_boot else { return Ok(None) };
        (self.watch)(Progress::Booting);
        let booting = Instant::now();
        let log = console_log(output);
        let report = super::boot::boot(image, inspection, options, self.work, &log)?;
        self.times.boot = booting.elapsed();
        Ok(Some(report))
    }
}

/// As the partition table counts.
fn sector_bytes(inspection: &Inspection) -> u32 {
    inspection.layout.disks.first().map_or(512, |disk| disk.sector_bytes)
}

fn no_guest(when: &str) -> Error {
    Error::NotAsPlanned(format!("no operating system is found {when}"))
}

fn utf8(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::Request {
        what: format!("{} is not UTF-8", path.display()),
        hint: "write to a folder with another name".to_owned(),
    })
}
