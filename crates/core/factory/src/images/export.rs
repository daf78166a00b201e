//! Exporting: the disks of an image become objects of a bucket, in the format that is asked for.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use kiln_disk::{NoSiblings, OpenOptions, Source, write};
use kiln_model::{
    Disk, DiskKind, Image, ImageStatus, ObjectName, OsType, Prefix, Step, Task, TaskAction,
    TaskStatus, new_id,
};
use kiln_store::{Change, StoreError};

use super::fault::{Fault, Outcome, Stop};
use super::import::of_refusal;
use super::meter::Meter;
use super::work::{Fate, Inner, Spooled, now, on_thread};
use super::{Images, Refusal, Result};

/// The most data disks that an export has.
const MAX_DATA_DISKS: usize = 4;

/// The largest data disk that is exported, in GiB.
const MAX_DATA_DISK_GIB: u64 = 500;

/// What an export writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// The bytes of the disk in a compressed archive, `.raw.tar.gz`.
    Raw,
    /// Virtual PC, dynamic.
    Vhd,
    /// QEMU, compressed by zstd: the bytes that are stored.
    Qcow2,
    /// VMware, stream-optimised.
    Vmdk,
    /// VirtualBox, dynamic.
    Vdi,
}

impl ExportFormat {
    /// The format of a word of the wire.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "raw" => Some(Self::Raw),
            "vhd" => Some(Self::Vhd),
            "qcow2" => Some(Self::Qcow2),
            "vmdk" => Some(Self::Vmdk),
            "vdi" => Some(Self::Vdi),
            _ => None,
        }
    }

    /// Its word, lower case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw.tar.gz",
            other => other.word(),
        }
    }
}

/// An export to make. Its texts were checked already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSpec {
    /// Account that asks.
    pub owner: String,
    /// Region of the image and of the bucket.
    pub region: String,
    /// Identifier of the image.
    pub image: String,
    /// Bucket that the objects are written to.
    pub bucket: String,
    /// What their keys begin with.
    pub prefix: Option<String>,
    /// Their format.
    pub format: ExportFormat,
}

impl Images {
    /// Begin an export, unless it is only to be examined.
    ///
    /// # Errors
    ///
    /// What is in the way; nothing is changed then.
    pub async fn export(&self, spec: &ExportSpec, is_real: bool) -> Result<Task> {
        let mut image = self.inner.own(&spec.owner, &spec.region, &spec.image).await?;
        exportable(&image.value)?;
        self.inner.find_bucket(&spec.region, &spec.bucket)?;
        let task = record(spec, &image.value);
        if is_real {
            image.value.exports.push(task.id.clone());
            let changes = vec![Change::UpdateImage(image), Change::InsertTask(task.clone())];
            self.inner.records.apply(changes).await?;
            self.inner.begin(&task).await;
        }
        Ok(task)
    }
}

fn exportable(image: &Image) -> Result<()> {
    if !matches!(image.status, ImageStatus::Available | ImageStatus::Deprecated) {
        return Err(Refusal::NotAvailable);
    }
    if image.os_type == OsType::Windows {
        return Err(Refusal::License);
    }
    if !image.exports.is_empty() {
        return Err(Refusal::Exporting);
    }
    let data = image.disks.iter().filter(|disk| disk.kind == DiskKind::Data);
    let n_data = data.clone().count();
    if n_data > MAX_DATA_DISKS {
        let told = format!("the image has {n_data} data disks; {MAX_DATA_DISKS} can be exported");
        return Err(Refusal::TooLarge(told));
    }
    match data.map(|disk| disk.size_gib).find(|size| *size > MAX_DATA_DISK_GIB) {
        Some(size) => Err(Refusal::TooLarge(format!(
            "a data disk has {size} GiB; {MAX_DATA_DISK_GIB} GiB can be exported"
        ))),
        None => Ok(()),
    }
}

fn record(spec: &ExportSpec, image: &Image) -> Task {
    let id = new_id(Prefix::Task);
    let is_alone = image.disks.len() == 1;
    let key = |disk: &Disk| key(spec, &id, disk, is_alone);
    let steps = image.disks.iter().map(|disk| Step {
        status: TaskStatus::Processing,
        object: Some(ObjectName { bucket: spec.bucket.clone(), object: key(disk) }),
        progress: 0,
        error_code: None,
        error_message: None,
    });
    Task {
        steps: steps.collect(),
        region: spec.region.clone(),
        owner: spec.owner.clone(),
        action: TaskAction::ExportImage,
        status: TaskStatus::Processing,
        image: image.id.clone(),
        format: Some(spec.format.word().to_owned()),
        is_checked: false,
        is_cancelled: false,
        created: now(),
        finished: None,
        id,
    }
}

/// The key of one disk's object: prefix, image, task, and the disk where there are several.
fn key(spec: &ExportSpec, task: &str, disk: &Disk, is_alone: bool) -> String {
    let prefix = spec.prefix.as_ref().map(|prefix| format!("{prefix}_")).unwrap_or_default();
    let which = match disk.kind {
        _ if is_alone => String::new(),
        DiskKind::System => "_system".to_owned(),
        DiskKind::Data => format!("_data_{}", disk.device.trim_start_matches("/dev/")),
    };
    format!("{prefix}{}_{task}{which}.{}", spec.image, spec.format.extension())
}

/// Export one disk: write it in its format into the spool folder, then upload it.
pub(super) async fn export_disk(inner: &Arc<Inner>, task: &str, index: usize) -> Outcome {
    match try_export_disk(inner, task, index).await {
        Ok(()) => Outcome::Done,
        Err(stop) => stop.into(),
    }
}

async fn try_export_disk(inner: &Arc<Inner>, task_id: &str, index: usize) -> Result<(), Stop> {
    let (task, image) = inner.load(task_id).await?;
    let missing = || Fault::lasting("InternalError", format!("disk {index} has no bytes"));
    let step = task.steps.get(index).ok_or_else(missing)?;
    if step.status == TaskStatus::Finished {
        return Ok(());
    }
    let object = step.object.clone().ok_or_else(missing)?;
    let format = task.format.as_deref().and_then(ExportFormat::parse).ok_or_else(missing)?;
    let disk = image.disks.get(index).ok_or_else(missing)?;
    let blob = disk.blob.as_ref().ok_or_else(missing)?;
    let location = inner.blobs.location(&task.region, &blob.hash)?;
    let spooled = inner.spool_file(task_id, index, format.word());
    write_out(inner, task_id, index, location, format, &spooled, &object).await?;
    upload(inner, &task, index, &object, &spooled).await?;
    inner
        .change(task_id, |task, _| {
            let Some(step) = task.steps.get_mut(index) else { return Fate::Untouched };
            step.status = TaskStatus::Finished;
            step.progress = 100;
            Fate::Write
        })
        .await?;
    Ok(())
}

async fn write_out(
    inner: &Arc<Inner>,
    task: &str,
    index: usize,
    location: String,
    format: ExportFormat,
    spooled: &Spooled,
    object: &ObjectName,
) -> Result<(), Stop> {
    let out = spooled.create()?;
    let (meter, threads) = (Meter::default(), inner.settings.threads);
    let (told, key) = (meter.clone(), object.object.clone());
    let work = on_thread(move || {
        let stored = super::object::source(&location)?;
        if format == ExportFormat::Qcow2 {
            return copy_bytes(&stored, out, &told);
        }
        let (siblings, options) = (Arc::new(NoSiblings), OpenOptions::default());
        let disk = kiln_disk::open_source(stored, &key, siblings, &options)
            .map_err(|error| Fault::lasting("ExportImageFailed", error.to_string()))?
            .source;
        if format == ExportFormat::Raw {
            let name = key.trim_end_matches(".tar.gz").to_owned();
            return archive(&disk, &name, out, &told);
        }
        convert(&disk, format, out, threads, &told)
    });
    inner.watch(task, index, (0, 80), &meter, work).await
}

fn convert(
    disk: &Source,
    format: ExportFormat,
    out: File,
    threads: usize,
    meter: &Meter,
) -> Result<(), Stop> {
    let options = write::Options { zstd_level: None, threads };
    let vmdk = write::VmdkOptions { deflate_level: 4, threads };
    let total = disk.size_bytes();
    let progress = |done: u64| meter.set(done, total);
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let written = match format {
        ExportFormat::Vhd => write::vhd(disk, &mut out, &options, &progress),
        ExportFormat::Vmdk => write::vmdk(disk, &mut out, &vmdk, &progress),
        _ => write::vdi(disk, &mut out, &options, &progress),
    };
    match written {
        Ok(_) => flush(out),
        Err(error) if error.kind() == kiln_disk::Kind::Cancelled => Err(Stop::Cancelled),
        Err(error) => Err(Fault::passing("ExportImageFailed", error.to_string()).into()),
    }
}

/// The bytes of a disk as the one file of a compressed archive.
fn archive(disk: &Source, name: &str, out: File, meter: &Meter) -> Result<(), Stop> {
    let failed = |error: io::Error| stopped(meter, &error);
    let out = BufWriter::with_capacity(1 << 20, out);
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(disk.size_bytes());
    header.set_mode(0o644);
    let reader = DiskReader { disk: Arc::clone(disk), offset: 0, meter: meter.clone() };
    archive.append_data(&mut header, name, reader).map_err(failed)?;
    let out = archive.into_inner().and_then(GzEncoder::finish).map_err(failed)?;
    flush(out)
}

fn copy_bytes(stored: &Source, out: File, meter: &Meter) -> Result<(), Stop> {
    let mut reader = DiskReader { disk: Arc::clone(stored), offset: 0, meter: meter.clone() };
    let mut out = BufWriter::with_capacity(1 << 20, out);
    match io::copy(&mut reader, &mut out) {
        Ok(_) => flush(out),
        Err(error) => Err(stopped(meter, &error)),
    }
}

/// Why copying ended: a reader whose meter was cancelled gives an error, too.
fn stopped(meter: &Meter, error: &io::Error) -> Stop {
    if meter.is_cancelled() {
        return Stop::Cancelled;
    }
    Fault::file("the spooled export", error).into()
}

fn flush(mut out: BufWriter<File>) -> Result<(), Stop> {
    let done = out.flush().and_then(|()| out.seek(SeekFrom::End(0)));
    done.map_err(|error| Fault::file("the spooled export", &error))?;
    Ok(())
}

/// A source from its first byte to its last. Ends early where the meter was cancelled.
struct DiskReader {
    disk: Source,
    offset: u64,
    meter: Meter,
}

impl Read for DiskReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let ControlFlow::Break(()) = self.meter.set(self.offset, self.disk.size_bytes()) {
            return Err(io::Error::other("cancelled"));
        }
        let left = self.disk.size_bytes().saturating_sub(self.offset);
        let n_bytes = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..n_bytes) else { return Ok(0) };
        self.disk.read_at(self.offset, part).map_err(io::Error::other)?;
        self.offset = self.offset.saturating_add(n_bytes as u64);
        Ok(n_bytes)
    }
}

async fn upload(
    inner: &Arc<Inner>,
    task: &Task,
    index: usize,
    object: &ObjectName,
    spooled: &Spooled,
) -> Result<(), Stop> {
    let meter = Meter::default();
    let (shared, told) = (Arc::clone(inner), meter.clone());
    let (region, object, path) = (task.region.clone(), object.clone(), spooled.path().to_owned());
    let work = tokio::spawn(async move {
        let bucket = shared.find_bucket(&region, &object.bucket).map_err(|it| of_refusal(&it))?;
        let progress = |done: u64, total: u64| {
            let _ = told.set(done, total);
        };
        bucket.put_file(&object.object, &path, &progress).await?;
        Ok(())
    });
    inner.watch(&task.id, index, (80, 100), &meter, work).await
}

impl Inner {
    /// An export that ended no longer holds its image.
    fn release(task: &Task, image: Option<&mut Image>) {
        if let Some(image) = image {
            image.exports.retain(|it| *it != task.id);
        }
    }
}

/// End an export whose objects are all there.
pub(super) async fn finish(inner: &Inner, task: &str) -> Result<Outcome, StoreError> {
    let task = inner
        .change(task, |task, image| {
            if task.status.is_final() || task.is_cancelled {
                return Fate::Untouched;
            }
            task.status = TaskStatus::Finished;
            task.finished = Some(now());
            Inner::release(task, image);
            Fate::Write
        })
        .await?;
    Ok(if task.status == TaskStatus::Finished { Outcome::Done } else { Outcome::Cancelled })
}

/// End an export that did not go well, and take away what it has written.
pub(super) async fn abort(
    inner: &Inner,
    task_id: &str,
    outcome: &Outcome,
    step: usize,
) -> Result<(), StoreError> {
    // The objects of an export that ended well are its owner's.
    let task = inner.records.task(task_id).await?.filter(|task| !task.value.status.is_final());
    if let Some(task) = task {
        for object in task.value.steps.iter().filter_map(|step| step.object.as_ref()) {
            // A bucket that is gone has no objects to take away.
            if let Some(bucket) = inner.buckets.get(&object.bucket)
                && let Err(error) = bucket.delete(&object.object).await
            {
                tracing::warn!(task = task_id, key = object.object, %error, "an object stays");
            }
        }
    }
    let end = |task: &mut Task, image: Option<&mut Image>| {
        Inner::release(task, image);
        Fate::Write
    };
    inner.end(task_id, outcome, step, end).await.map(|_| ())
}
