//! Drivers for an initramfs that was built without them: one more archive behind its end.
//!
//! The kernel unpacks every archive of an initramfs, and files of later ones replace those of
//! earlier ones. So an archive with the missing modules and with indexes over all modules, appended
//! to the file, does what rebuilding it with the drivers would, with nothing of the guest run and no
//! byte of the old file touched. In front of the old file it would fail: the old indexes would
//! replace the new ones.
//!
//! Who loads them: udev in every generator's image, by `modules.alias.bin` and `modules.dep.bin`;
//! busybox (Alpine) by the texts. Both are written. `modules.builtin.modinfo` and
//! `modules.builtin.alias.bin` tell of the kernel and stay as they are.
//!
//! Source: init/initramfs.c. An uncompressed archive must start at a multiple of 4 from the start of
//! the file, with zeroes before it; a compressed one may start anywhere.

use std::collections::{BTreeSet, HashMap};

use kiln_volume::{Error, Kind, Tree};

use crate::Guest;
use crate::check::driver::{Facts, is_modprobe_config, keeps_from_loading};
use crate::initramfs::union::Union;
use crate::initramfs::{Codec, CpioWriter, Initramfs, SegmentError, SegmentRefusal};
use crate::kernel::depmod::builtin_index;
use crate::kernel::{MAX_MODULE_BYTES, module_info, pe, unpack_module};

const PLAIN: &str = ".ko";

/// What is to be added to what.
#[derive(Clone, Copy, Debug, Default)]
pub struct SegmentRequest<'a> {
    /// The kernel that starts with it (`uname -r`).
    pub version: &'a str,
    /// The files of its initramfs in the order of loading. The segment belongs behind the last.
    pub initrds: &'a [String],
    /// Modules that must be loadable, with `_` for `-`. Built-in ones are passed over.
    pub drivers: &'a [&'a str],
    /// Files of the initramfs (paths without leading slash) and what is to be in them instead.
    pub overrides: &'a [(String, Vec<u8>)],
    /// Symbolic links to put in, path and target: a unit of systemd linked to `/dev/null` is
    /// waited for no more.
    pub links: &'a [(String, String)],
    /// Whether to compress it, because space is scarce.
    pub packed: bool,
}

/// What to append to a file of an initramfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The file, as a path in the guest's tree.
    pub path: String,
    /// Zeroes to write between the file's end and `bytes`.
    pub padding_bytes: usize,
    /// The archive.
    pub bytes: Vec<u8>,
    /// The modules in it, by name.
    pub added: Vec<String>,
    /// The files in it, in its order.
    pub files: Vec<SegmentFile>,
    /// Its length before compression, in bytes.
    pub unpacked_bytes: u64,
}

/// A file of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Without leading slash.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// Whether a file of this path was in the initramfs before.
    pub replaces: bool,
}

impl Segment {
    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that comes behind the file's end: the zeroes and the archive.
    pub fn tail(&self) -> Vec<u8> {
        let mut tail = vec![0; self.padding_bytes];
        tail.extend_from_slice(&self.bytes);
        tail
    }

    /// A line for each file, for people to read: `+ usr/lib/modules/.../virtio_blk.ko (31 KiB)`; `~`
    /// instead of `+` where it replaces one.
    pub fn listing(&self) -> Vec<String> {
        let line = |file: &SegmentFile| {
            let sign = if file.replaces { '~' } else { '+' };
            format!("{sign} {} ({} KiB)", file.path, file.size_bytes.div_ceil(1024))
        };
        self.files.iter().map(line).collect()
    }
}

/// What to append to the initramfs so that the drivers load. Empty where they already do and there
/// is nothing to override.
///
/// # Errors
///
/// `Refused` where it cannot be or would not help; `Failed` where the guest cannot be read.
pub fn driver_segment(
    guest: &Guest,
    request: &SegmentRequest<'_>,
) -> Result<Segment, SegmentError> {
    let path = request.initrds.last().ok_or(SegmentRefusal::NoInitramfs)?;
    let mut end_bytes = 0;
    for initrd in request.initrds {
        let file = guest.tree.open(initrd)?;
        let file =
            file.ok_or_else(|| Error::new(Kind::NotFound, format!("{initrd}: no such file")))?;
        if pe::section(&file, b".initrd")? != pe::Section::NotPe {
            return Err(SegmentRefusal::UnifiedKernelImage { path: initrd.clone() }.into());
        }
        end_bytes = file.size_bytes();
    }
    let initramfs = guest.initramfs(request.initrds)?;
    initramfs.accepts(request.version)?;
    let facts = Facts::read(guest, request.version, request.initrds, "", request.drivers)?;
    let mut contents = Contents::new(&initramfs);
    contents.add_drivers(guest, &facts, request)?;
    for (path, data) in request.overrides {
        // What hooks of dracut do is in scripts; kiln adds no other programs.
        let mode = if path.ends_with(".sh") { 0o755 } else { 0o644 };
        contents.file(path, mode, data)?;
    }
    for (path, target) in request.links {
        contents.archive.symlink(path, target).map_err(unwritable)?;
        contents.note(path, target.len() as u64);
    }
    Ok(contents.finish(path, end_bytes, request.packed)?)
}

/// A segment being made.
struct Contents<'a> {
    initramfs: &'a Initramfs,
    archive: CpioWriter,
    added: Vec<String>,
    files: Vec<SegmentFile>,
}

impl<'a> Contents<'a> {
    fn new(initramfs: &'a Initramfs) -> Self {
        let links = initramfs.links.keys();
        let existing = initramfs.directories.iter().chain(links).cloned();
        let archive = CpioWriter::over(existing);
        Self { initramfs, archive, added: Vec::new(), files: Vec::new() }
    }

    fn note(&mut self, path: &str, size_bytes: u64) {
        let replaces = self.initramfs.files.contains_key(path);
        self.files.push(SegmentFile { path: path.to_owned(), size_bytes, replaces });
    }

    fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<(), SegmentRefusal> {
        self.archive.file(path, mode, data).map_err(unwritable)?;
        self.note(path, data.len() as u64);
        Ok(())
    }

    fn add_drivers(
        &mut self,
        guest: &Guest,
        facts: &Facts,
        request: &SegmentRequest<'_>,
    ) -> Result<(), SegmentError> {
        let union = Union::read(guest, facts, self.initramfs);
        let needed = union.needed(request.drivers);
        let missing = union.missing(&needed)?;
        let dir = guest.modules_dir(&facts.version);
        let mut added = HashMap::new();
        for (name, path) in missing {
            let (ending, data) = module_file(&guest.tree, &path, facts, &union.endings())?;
            let below = below_modules(&path, &dir);
            let stem = below.rfind(PLAIN).map_or(&below[..], |at| &below[..at]);
            let below = format!("{stem}{ending}");
            self.file(&format!("{}/{below}", union.root), 0o644, &data)?;
            self.added.push(name.clone());
            added.insert(name, below);
        }
        if !added.is_empty() || !union.is_indexed(request.drivers, &needed) {
            let files = union.index(added).files().map_err(unwritable)?;
            for (name, data) in files {
                self.file(&format!("{}/{name}", union.root), 0o644, &data)?;
            }
            self.add_builtin(&union)?;
        }
        self.lift_blacklists(facts, request.drivers)
    }

    /// What tells modprobe that a driver is in the kernel, where the initramfs has not got it.
    fn add_builtin(&mut self, union: &Union<'_>) -> Result<(), SegmentError> {
        let name = format!("{}/modules.builtin", union.root);
        if let Some(text) = union.absent_text("modules.builtin") {
            self.file(&name, 0o644, text.as_bytes())?;
            let index = builtin_index(&text).map_err(unwritable)?;
            self.file(&format!("{name}.bin"), 0o644, &index)?;
        } else if let Some(text) = self.initramfs.files.get(&name)
            && !self.initramfs.files.contains_key(&format!("{name}.bin"))
        {
            let index = builtin_index(&String::from_utf8_lossy(text)).map_err(unwritable)?;
            self.file(&format!("{name}.bin"), 0o644, &index)?;
        }
        Ok(())
    }

    /// Comment out, in the configuration of modprobe, what keeps `drivers` from being loaded.
    fn lift_blacklists(&mut self, facts: &Facts, drivers: &[&str]) -> Result<(), SegmentError> {
        let drivers: Vec<(&str, BTreeSet<String>)> = drivers
            .iter()
            .filter(|driver| !facts.is_built_in(driver))
            .map(|driver| {
                let mut needed = facts.modules.closure(driver);
                needed.insert((*driver).to_owned());
                (*driver, needed)
            })
            .collect();
        let initramfs = self.initramfs;
        for (path, content) in initramfs.files.iter().filter(|(path, _)| is_modprobe_config(path)) {
            let text = String::from_utf8_lossy(content);
            let keeps = |line: &str| {
                drivers.iter().any(|(driver, needed)| keeps_from_loading(line, driver, needed))
            };
            if !text.lines().any(keeps) {
                continue;
            }
            let lines = text.split_inclusive('\n').map(|line| match keeps(line) {
                true => format!("# kiln: {line}"),
                false => line.to_owned(),
            });
            self.file(path, 0o644, lines.collect::<String>().as_bytes())?;
        }
        Ok(())
    }

    fn finish(self, path: &str, end_bytes: u64, packed: bool) -> Result<Segment, SegmentRefusal> {
        let mut segment = Segment { path: path.to_owned(), ..Segment::default() };
        if self.archive.n_entries() == 0 {
            return Ok(segment);
        }
        let last_codec = self.initramfs.last_codec.and_then(Codec::by_name);
        let codec = match last_codec {
            // The frame has no end mark: what follows is taken for a block of it, and is given up
            // as broken. Another frame continues it, in all kernels.
            Some(Codec::Lz4) => Some(Codec::Lz4),
            _ if packed => used_codec(self.initramfs),
            _ => None,
        };
        (segment.added, segment.files) = (self.added, self.files);
        let bytes = self.archive.finish();
        segment.unpacked_bytes = bytes.len() as u64;
        let encoded = match codec {
            Some(codec) => codec.encode(&bytes).map_err(unwritable)?,
            None => None,
        };
        if last_codec != Some(Codec::Lz4) {
            segment.padding_bytes = (end_bytes.next_multiple_of(4) - end_bytes) as usize;
        }
        segment.bytes = encoded.unwrap_or(bytes);
        Ok(segment)
    }
}

/// A compression that the kernel is known to unpack, because it unpacks this initramfs.
fn used_codec(initramfs: &Initramfs) -> Option<Codec> {
    let names = initramfs.segments.iter().rev();
    let mut codecs = names.filter_map(|line| Codec::by_name(line.split(':').next()?));
    codecs.find(|codec| *codec != Codec::Lzo)
}

/// A module as it goes into the initramfs, and the end of its name: as the guest has it, or plain
/// where those in the initramfs are, because then nothing there may be able to unpack it.
fn module_file(
    tree: &Tree,
    path: &str,
    facts: &Facts,
    endings: &BTreeSet<&str>,
) -> Result<(String, Vec<u8>), SegmentError> {
    let wrong = |why: &str| SegmentRefusal::WrongModule {
        path: path.to_owned(),
        version: facts.version.clone(),
        why: why.to_owned(),
    };
    let bytes = tree.read(path, MAX_MODULE_BYTES)?.ok_or_else(|| wrong("it is not there"))?;
    let module = unpack_module(bytes.clone()).map_err(|_| wrong("it does not unpack"))?;
    if !module.starts_with(b"\x7FELF") {
        return Err(wrong("it is no ELF file").into());
    }
    let magic = module_info(&module, "vermagic=").unwrap_or_default();
    let magic = String::from_utf8_lossy(magic);
    let built_for = magic.split(' ').next().unwrap_or_default();
    // Enterprise Linux links modules of older kernels that keep to its stable interface.
    if built_for != facts.version && !path.contains("/weak-updates/") {
        return Err(wrong(&format!("it was built for `{}`", built_for.escape_debug())).into());
    }
    let ending = path.rfind(PLAIN).map_or(PLAIN, |at| &path[at..]);
    if endings.is_empty() || endings.contains(ending) || !endings.contains(PLAIN) {
        return Ok((ending.to_owned(), bytes));
    }
    Ok((PLAIN.to_owned(), module))
}

/// The path of a module below the module directory, where it lies there; else a new one.
fn below_modules(path: &str, dir: &str) -> String {
    match path.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')) {
        Some(below) => below.to_owned(),
        None => format!("extra/{}", path.rsplit('/').next().unwrap_or(path)),
    }
}

fn unwritable(error: impl std::fmt::Display) -> SegmentRefusal {
    SegmentRefusal::Unwritable { why: error.to_string() }
}
