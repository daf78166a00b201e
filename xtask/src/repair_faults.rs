//! What goes wrong while a repair runs: whatever it is, the input is as it was, there is no output, no
//! file and no machine is left, and a run after it succeeds.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::host::{root_script, run};
use crate::{images, repair_guests, repairs};

/// How often a repair is killed at a moment of its course.
const KILLS: u32 = 20;
/// A killed machine, and the shell that sweeps after it, are gone within this time.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(20);

/// A fault in an fstab and the clock: two small edits, so that a run is short.
pub(crate) const TWO_EDITS: &str = r#"printf '0.0 0 0.0\n0\nLOCAL\n' > "$1/etc/adjtime"
echo '/dev/sdb1 /mnt/old ext4 defaults 0 2' >> "$1/etc/fstab""#;
pub(crate) const ITEMS: &str = "fstab,standardizedtimezone";

/// All of them.
///
/// # Errors
///
/// The first that leaves something, or that is told badly.
pub(crate) fn test(kiln: &Path) -> Result<()> {
    let broken = repairs::planted("bookworm-bios-ext4", &[TWO_EDITS])?;
    let scene = Scene { kiln, input: &broken, folder: tempfile::tempdir_in(images::folder())? };
    let before = crc32(&broken)?;
    scene.refusals()?;
    scene.disk_full()?;
    scene.kills()?;
    scene.succeeds()?;
    ensure!(crc32(&broken)? == before, "the input changed");
    fs::remove_file(&broken)?;
    repair_guests::test(kiln)
}

fn crc32(path: &Path) -> Result<u32> {
    let mut file = fs::File::open(path)?;
    let mut hash = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize()),
            n => hash.update(&buffer[..n]),
        }
    }
}

struct Scene<'a> {
    kiln: &'a Path,
    input: &'a Path,
    folder: tempfile::TempDir,
}

impl Scene<'_> {
    fn output(&self) -> PathBuf {
        self.folder.path().join("out.raw")
    }

    fn command(&self, output: &Path) -> Command {
        let mut command = Command::new(self.kiln);
        command.arg("repair").arg(self.input).args(["--items", ITEMS, "-o"]).arg(output);
        command
    }

    /// Ends with status 2, says `words`, leaves nothing.
    fn fails(&self, command: &mut Command, words: &[&str]) -> Result<()> {
        let ended = command.output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.code() == Some(2), "{command:?} ended with {}: {said}", ended.status);
        for word in words {
            ensure!(said.contains(word), "{command:?} does not say `{word}`: {said}");
        }
        self.is_empty()
    }

    fn is_empty(&self) -> Result<()> {
        let left: Vec<_> = fs::read_dir(self.folder.path())?.flatten().map(|e| e.path()).collect();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }

    fn refusals(&self) -> Result<()> {
        let output = self.output();
        self.fails(
            self.command(&output).env("PATH", "/nowhere"),
            &["qemu-system-x86_64 is not installed", "hint: sudo apt-get install"],
        )?;
        self.fails(
            self.command(&output).args(["--helper-kernel", "/nowhere/vmlinuz"]),
            &["/nowhere/vmlinuz", "hint:"],
        )?;
        let beside = self.folder.path().join("no/such/folder/out.raw");
        self.fails(&mut self.command(&beside), &["there is no folder"])?;
        self.fails(&mut self.command(self.input), &["is the input, which is never written"])?;
        eprintln!("told: QEMU missing, kernel missing, folder missing, output that is the input");
        Ok(())
    }

    /// The output's filesystem has less room than the image.
    fn disk_full(&self) -> Result<()> {
        let small = self.folder.path().join("small");
        fs::create_dir(&small)?;
        root_script("mount -t tmpfs -o size=64m tmpfs \"$1\"", &[&small])?;
        let full = self.command(&small.join("out.raw")).output();
        let left: Vec<_> = fs::read_dir(&small)?.flatten().map(|entry| entry.path()).collect();
        root_script("umount \"$1\"", &[&small])?;
        fs::remove_dir(&small)?;
        let full = full?;
        let said = String::from_utf8_lossy(&full.stderr);
        ensure!(full.status.code() == Some(2), "a full disk: {}: {said}", full.status);
        ensure!(said.contains("No space left on device"), "a full disk: {said}");
        ensure!(left.is_empty(), "left on the full disk: {left:?}");
        eprintln!("told: no space for the output");
        self.is_empty()
    }

    /// Kill kiln, or its machine, at moments all over the course of a repair.
    fn kills(&self) -> Result<()> {
        let start = Instant::now();
        self.succeeds()?;
        let course = start.elapsed();
        let mut n_interrupted = 0;
        for n in 0..KILLS {
            // Multiples of the golden ratio fall everywhere, and nowhere twice.
            let after = course.mul_f64((f64::from(n) * 0.618_034 + 0.05).fract());
            let mut command = self.command(&self.output());
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            std::thread::sleep(after);
            let what = if n % 2 == 1 { kill_machine(&mut child)? } else { kill(&mut child)? };
            let told = || format!("{what} killed after {after:?}");
            // Past the rename the repair is made, whoever is killed then.
            if self.output().exists() {
                self.is_whole().with_context(told)?;
                fs::remove_file(self.output())?;
            } else {
                n_interrupted += 1;
            }
            self.is_swept().with_context(told)?;
        }
        ensure!(n_interrupted > KILLS / 2, "only {n_interrupted} of {KILLS} came in time");
        eprintln!(
            "killed {KILLS} times within {course:?}, {n_interrupted} before the end: nothing left"
        );
        Ok(())
    }

    /// What has the output's name is a repaired image.
    fn is_whole(&self) -> Result<()> {
        let plan = repairs::repair(self.kiln, &self.output(), &["--items", ITEMS])?;
        ensure!(plan["status"] == "NothingToDo", "a half-made output: {plan:#}");
        Ok(())
    }

    fn is_swept(&self) -> Result<()> {
        let deadline = Instant::now() + SWEEP_TIMEOUT;
        loop {
            let machines = machines_in(self.folder.path())?;
            match (self.is_empty(), machines.is_empty()) {
                (Ok(()), true) => return Ok(()),
                (left, _) if Instant::now() > deadline => {
                    left?;
                    ensure!(machines.is_empty(), "machines left: {machines:?}");
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn succeeds(&self) -> Result<()> {
        let output = self.output();
        let ended = self.command(&output).output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "a run after all this: {}: {said}", ended.status);
        fs::remove_file(output)?;
        self.is_empty()
    }
}

fn kill(child: &mut Child) -> Result<&'static str> {
    child.kill()?;
    let status = child.wait()?;
    ensure!(status.signal() == Some(9) || status.success(), "kiln ended with {status}");
    Ok("kiln")
}

/// The machine of `child`, where it runs one just now; else there is nothing to kill.
fn kill_machine(child: &mut Child) -> Result<&'static str> {
    let machine = children(child.id())?.into_iter().find(|(_, name)| name.starts_with("qemu-sys"));
    let Some((id, _)) = machine else {
        let status = child.wait()?;
        ensure!(status.success(), "kiln ended with {status}");
        return Ok("no machine yet, or no longer:");
    };
    run(Command::new("kill").args(["-KILL", &id.to_string()]))?;
    let status = child.wait()?;
    // A machine that has finished its work may be killed without harm.
    ensure!(matches!(status.code(), Some(0 | 2)), "a killed machine ends kiln with {status}");
    Ok("the machine")
}

/// Processes whose parent is `parent`: id and name.
fn children(parent: u32) -> Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for (id, stat) in processes()? {
        // pid (name) state ppid ...; the name may hold spaces.
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        let is_child = tail.split(' ').nth(1) == Some(&*parent.to_string());
        if let (true, Some((_, name))) = (is_child, head.split_once('(')) {
            found.push((id, name.to_owned()));
        }
    }
    Ok(found)
}

/// Machines that work in a folder below `folder`.
fn machines_in(folder: &Path) -> Result<Vec<u32>> {
    let is_there = |id: &u32| {
        let cwd = fs::read_link(format!("/proc/{id}/cwd"));
        cwd.is_ok_and(|cwd| cwd.starts_with(folder))
    };
    let is_machine = |stat: &str| stat.contains("(qemu-system");
    let all = processes()?.into_iter().filter(|(_, stat)| is_machine(stat)).map(|(id, _)| id);
    Ok(all.filter(is_there).collect())
}

fn processes() -> Result<Vec<(u32, String)>> {
    let ids = fs::read_dir("/proc")?.flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids
        .filter_map(|id| Some((id, fs::read_to_string(format!("/proc/{id}/stat")).ok()?)))
        .collect())
}
