//! Importing: objects of a bucket become the disks of a new image.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_disk::write::write_behind;
use kiln_model::{
    Architecture, Blob, BootMode, Disk, DiskKind, Image, ImageStatus, ImdsSupport, LicenseType,
    ObjectName, OsType, Prefix, Step, Support, Task, TaskAction, TaskStatus, new_id,
};
use kiln_sandbox::{ConvertLimits, ConvertRequest, SandboxError};
use kiln_store::Change;
use sha2::{Digest as _, Sha256};

use super::fault::{Fault, Outcome, Stop};
use super::meter::Meter;
use super::work::{Fate, Inner, Spooled, now, on_thread};
use super::{Images, Refusal, Result, object};

/// A disk to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportDisk {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub object: String,
    /// The format it is said to have, in the word of the wire (`RAW`); told by content where none.
    pub format: Option<String>,
    /// Size in GiB that instances get; that of the disk, rounded up, where none.
    pub size_gib: Option<u64>,
}

/// The largest disk, in GiB.
const MAX_GIB: u64 = 2048;

/// An image to import. Its texts were checked already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSpec {
    /// Region of the buckets and of the image.
    pub region: String,
    /// Account that asks.
    pub owner: String,
    /// Name; the identifier where none.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// Processor.
    pub architecture: Architecture,
    /// Kind of operating system.
    pub os_type: OsType,
    /// Distribution.
    pub platform: String,
    /// Firmware.
    pub boot_mode: BootMode,
    /// Licence.
    pub license_type: LicenseType,
    /// Resource group.
    pub resource_group: Option<String>,
    /// Disks, the system disk first; at least one.
    pub disks: Vec<ImportDisk>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Whether the image is to be checked.
    pub is_checked: bool,
    /// Whether it is said to start from NVMe.
    pub nvme: Support,
    /// Metadata service.
    pub imds: ImdsSupport,
}

/// What was found of the objects of an import when it was examined: it is held to that later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// In bytes, one for each disk.
    sizes: Vec<u64>,
}

impl Images {
    /// Whether an import can begin: buckets, objects, formats and sizes, the name and the quota (of
    /// images the account may have in the region). Nothing is changed.
    ///
    /// # Errors
    ///
    /// What is in the way.
    pub async fn examine_import(&self, spec: &ImportSpec, quota: u64) -> Result<Examined> {
        let inner = &self.inner;
        if let Some(name) = &spec.name
            && inner.is_name_taken(&spec.region, &spec.owner, name).await?
        {
            return Err(Refusal::NameTaken);
        }
        if inner.records.count_images(&spec.owner, &spec.region).await? >= quota {
            return Err(Refusal::Quota { limit: quota });
        }
        let busy = inner.objects_in_import(&spec.region).await?;
        let mut sizes = Vec::with_capacity(spec.disks.len());
        for disk in &spec.disks {
            let (location, size) =
                inner.find_object(&spec.region, &disk.bucket, &disk.object).await?;
            sizes.push(size);
            if busy.iter().any(|it| it.bucket == disk.bucket && it.object == disk.object) {
                return Err(Refusal::ObjectBusy { object: disk.object.clone() });
            }
            inner.probe(location, disk).await?;
        }
        Ok(Examined { sizes })
    }

    /// Begin an import that was examined. `remember` makes the record of the client token from the
    /// identifiers of image and task, if there is a token.
    ///
    /// # Errors
    ///
    /// [`Refusal::NameTaken`], [`Refusal::TokenInUse`], or where the database fails.
    pub async fn import(
        &self,
        spec: ImportSpec,
        examined: Examined,
        remember: impl FnOnce(&str, &str) -> Option<Change> + Send,
    ) -> Result<(Image, Task)> {
        let (mut image, task) = records(spec);
        for (disk, size) in image.disks.iter_mut().zip(examined.sizes) {
            disk.source_size = Some(size);
        }
        let mut changes =
            vec![Change::InsertImage(image.clone()), Change::InsertTask(task.clone())];
        changes.extend(remember(&image.id, &task.id));
        self.inner.records.apply(changes).await?;
        self.inner.begin(&task).await;
        Ok((image, task))
    }
}

/// The records that an import begins with.
fn records(spec: ImportSpec) -> (Image, Task) {
    let (id, task_id, created) = (new_id(Prefix::Image), new_id(Prefix::Task), now());
    let steps = spec.disks.iter().map(step).collect();
    let disks = spec.disks.iter().enumerate().map(|(index, it)| disk(index, it)).collect();
    let task = Task {
        id: task_id.clone(),
        region: spec.region.clone(),
        owner: spec.owner.clone(),
        action: TaskAction::ImportImage,
        status: TaskStatus::Processing,
        image: id.clone(),
        format: None,
        is_checked: spec.is_checked,
        is_cancelled: false,
        created,
        finished: None,
        steps,
    };
    let image = Image {
        name: spec.name.unwrap_or_else(|| id.clone()),
        id,
        region: spec.region,
        owner: spec.owner,
        description: spec.description,
        family: None,
        version: String::new(),
        architecture: spec.architecture,
        os_type: spec.os_type,
        os_name: String::new(),
        platform: spec.platform,
        boot_mode: spec.boot_mode,
        license_type: spec.license_type,
        status: ImageStatus::Creating,
        progress: 0,
        created,
        disks,
        detection: None,
        nvme: spec.nvme,
        imds: spec.imds,
        has_cloud_init: false,
        tags: spec.tags,
        resource_group: spec.resource_group,
        shared: BTreeMap::new(),
        is_public: false,
        copied_from: None,
        task: Some(task_id),
        exports: Vec::new(),
    };
    (image, task)
}

fn step(disk: &ImportDisk) -> Step {
    Step {
        status: TaskStatus::Processing,
        object: Some(name(disk)),
        progress: 0,
        error_code: None,
        error_message: None,
    }
}

fn name(disk: &ImportDisk) -> ObjectName {
    ObjectName { bucket: disk.bucket.clone(), object: disk.object.clone() }
}

fn disk(index: usize, disk: &ImportDisk) -> Disk {
    let letter = u8::try_from(index).ok().and_then(|index| b'a'.checked_add(index)).unwrap_or(b'z');
    Disk {
        kind: if index == 0 { DiskKind::System } else { DiskKind::Data },
        device: format!("/dev/xvd{}", char::from(letter)),
        size_gib: disk.size_gib.unwrap_or(0),
        virtual_size: None,
        format: None,
        declared_format: disk.format.clone(),
        source_size: None,
        source: Some(name(disk)),
        snapshot: new_id(Prefix::Snapshot),
        blob: None,
        is_stored: false,
        progress: 0,
    }
}

impl Inner {
    async fn is_name_taken(&self, region: &str, owner: &str, name: &str) -> Result<bool> {
        let query = kiln_store::ImageQuery {
            region: region.to_owned(),
            caller: owner.to_owned(),
            scope: kiln_store::Scope { own: true, shared: false, public: false },
            name: Some(name.to_owned()),
            take: usize::MAX,
            ..Default::default()
        };
        // The query finds parts of names, in any case of letters.
        Ok(self.records.images(&query).await?.items.iter().any(|image| image.name == name))
    }

    /// The objects that imports of a region read now.
    async fn objects_in_import(&self, region: &str) -> Result<Vec<ObjectName>> {
        let tasks = self.records.unfinished_tasks().await?;
        let imports = tasks
            .into_iter()
            .filter(|task| task.region == region && task.action == TaskAction::ImportImage);
        Ok(imports.flat_map(|task| task.steps).filter_map(|step| step.object).collect())
    }

    /// Find an object of a bucket that is in the region and that the service may read; and its size in bytes.
    pub(super) async fn find_object(
        &self,
        region: &str,
        bucket: &str,
        key: &str,
    ) -> Result<(String, u64)> {
        let found = self.find_bucket(region, bucket)?;
        let missing =
            || Refusal::ObjectNotFound { bucket: bucket.to_owned(), object: key.to_owned() };
        let meta = found.stat(key).await?.ok_or_else(missing)?;
        if meta.size == 0 {
            return Err(Refusal::ObjectEmpty { object: key.to_owned() });
        }
        let location = found.location(key).ok_or_else(missing)?;
        Ok((location, meta.size))
    }

    /// Find a bucket that is in the region and that the service may use.
    pub(super) fn find_bucket(&self, region: &str, bucket: &str) -> Result<&kiln_store::Bucket> {
        let found = self
            .buckets
            .get(bucket)
            .ok_or_else(|| Refusal::BucketNotFound { bucket: bucket.to_owned() })?;
        let settings = &found.settings;
        if settings.region != region {
            let region = settings.region.clone();
            return Err(Refusal::BucketElsewhere { bucket: bucket.to_owned(), region });
        }
        if !settings.authorized {
            return Err(Refusal::BucketForbidden { bucket: bucket.to_owned() });
        }
        Ok(found)
    }

    /// Look at the head of an image: its format and its size.
    async fn probe(&self, location: String, disk: &ImportDisk) -> Result<()> {
        let (program, name) = (self.settings.program.clone(), disk.object.clone());
        let format = disk.format.as_deref().map(str::to_lowercase);
        let probing = tokio::task::spawn_blocking(move || {
            let input = match object::input(&location) {
                Ok(input) => input,
                // Nothing is said about the image by a store that fails: the task will try again.
                Err(_) => return Ok(None),
            };
            kiln_sandbox::probe(&program, &input, &name, format.as_deref(), &limits()).map(Some)
        });
        let probed = probing.await.map_err(|error| Refusal::Format(error.to_string()))?;
        let probed = match probed {
            Ok(None)
            | Err(SandboxError::NotConverted { refusal: kiln_sandbox::Refusal::Read, .. }) => {
                return Ok(());
            }
            Ok(Some(probed)) => probed,
            Err(error) => return Err(of_probe(error)),
        };
        fits(disk.size_gib, probed.virtual_size_bytes).map_err(Refusal::ImageSize).map(|_| ())
    }
}

/// The largest disk that is imported: what a disk of the API can be given.
fn limits() -> ConvertLimits {
    ConvertLimits { virtual_size_bytes: MAX_GIB << 30, ..ConvertLimits::default() }
}

/// Why an import is refused before it begins.
fn of_probe(error: SandboxError) -> Refusal {
    use kiln_sandbox::Refusal as Cause;
    match &error {
        SandboxError::NotConverted { refusal: Cause::SizeFields, .. } => Refusal::VhdSize,
        SandboxError::NotConverted { refusal: Cause::UnitSize, .. } => {
            Refusal::BlockSize(error.to_string())
        }
        SandboxError::NotConverted { refusal: Cause::TooLarge, .. } => {
            Refusal::ImageSize(error.to_string())
        }
        _ => Refusal::Format(error.to_string()),
    }
}

/// The size in GiB that a disk of `virtual_size` bytes gets where `wanted` was asked for.
fn fits(wanted: Option<u64>, virtual_size: u64) -> std::result::Result<u64, String> {
    let needed = virtual_size.div_ceil(1 << 30).max(1);
    match wanted {
        Some(wanted) if wanted < needed => Err(format!(
            "the disk has {needed} GiB, which is more than the {wanted} GiB that were asked for"
        )),
        None if needed > MAX_GIB => {
            Err(format!("the disk has {needed} GiB, and {MAX_GIB} GiB are allowed"))
        }
        wanted => Ok(wanted.unwrap_or(needed)),
    }
}

/// Import one disk of a task: convert it into the spool folder, then store it under its hash.
pub(super) async fn import_disk(inner: &Arc<Inner>, task: &str, index: usize) -> Outcome {
    match try_import_disk(inner, task, index).await {
        Ok(()) => Outcome::Done,
        Err(stop) => stop.into(),
    }
}

async fn try_import_disk(
    inner: &Arc<Inner>,
    task_id: &str,
    index: usize,
) -> std::result::Result<(), Stop> {
    let (task, image) = inner.load(task_id).await?;
    let disk = image
        .disks
        .get(index)
        .ok_or_else(|| Fault::lasting("InternalError", format!("there is no disk {index}")))?;
    if disk.is_stored {
        return Ok(());
    }
    let spooled = inner.spool_file(task_id, index, "qcow2");
    let converted = convert(inner, &task, disk, index, &spooled).await?;
    let size_gib = fits((disk.size_gib > 0).then_some(disk.size_gib), converted.virtual_size)
        .map_err(|told| Fault::lasting("InvalidImageSize", told))?;
    let guard = inner.storing.read().await;
    inner
        .change(task_id, |_, image| {
            let Some(disk) = image.and_then(|image| image.disks.get_mut(index)) else {
                return Fate::Untouched;
            };
            disk.size_gib = size_gib;
            disk.virtual_size = Some(converted.virtual_size);
            disk.format = Some(converted.format.clone());
            disk.blob = Some(converted.blob.clone());
            Fate::Write
        })
        .await?;
    store(inner, task_id, &task.region, index, (85, 100), &converted.blob, &spooled).await?;
    drop(guard);
    inner.stored(task_id, index).await?;
    Ok(())
}

struct Converted {
    format: String,
    virtual_size: u64,
    blob: Blob,
}

async fn convert(
    inner: &Arc<Inner>,
    task: &Task,
    disk: &Disk,
    index: usize,
    spooled: &Spooled,
) -> std::result::Result<Converted, Stop> {
    let source =
        disk.source.as_ref().ok_or_else(|| Fault::lasting("InternalError", "no source"))?;
    let (location, size) = inner
        .find_object(&task.region, &source.bucket, &source.object)
        .await
        .map_err(|refusal| of_refusal(&refusal))?;
    if disk.source_size.is_some_and(|accepted| accepted != size) {
        let told = format!("the object {} was changed after the import began", source.object);
        return Err(Fault::lasting("InvalidOSSObject.Unreadable", told).into());
    }
    let (name, output) = (source.object.clone(), spooled.create()?);
    let expected_format = disk.declared_format.as_deref().map(str::to_lowercase);
    let settings = &inner.settings;
    let (zstd_level, threads) = (settings.zstd_level, settings.threads);
    let program = inner.settings.program.clone();
    let meter = Meter::default();
    let told = meter.clone();
    let work = on_thread(move || {
        let input = object::input(&location)?;
        let request =
            ConvertRequest { input, location: name, expected_format, output, zstd_level, threads };
        let out = &request.output;
        let convert = || {
            let tell = |done, total| told.set(done, total);
            kiln_sandbox::convert(&program, &request, &limits(), &tell)
        };
        let done = write_behind(out, convert);
        let done = done.map_err(|error| Fault::file("the spooled disk", &error))??;
        let blob = hash(out, &told)?;
        Ok(Converted { format: done.format, virtual_size: done.virtual_size_bytes, blob })
    });
    inner.watch(&task.id, index, (0, 85), &meter, work).await
}

/// The hash of a file, from its first byte.
fn hash(file: &std::fs::File, meter: &Meter) -> std::result::Result<Blob, Stop> {
    use std::os::unix::fs::FileExt as _;
    let failed = |error: std::io::Error| Fault::file("the spooled disk", &error);
    let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0u64, vec![0; 1 << 20]);
    loop {
        if meter.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let n_bytes = file.read_at(&mut buffer, size).map_err(failed)?;
        let Some(read) = buffer.get(..n_bytes).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
        size = size.saturating_add(read.len() as u64);
    }
    Ok(Blob { hash: format!("{:x}", hasher.finalize()), size })
}

/// Put a spooled file into the store of a region.
pub(super) async fn store(
    inner: &Arc<Inner>,
    task: &str,
    region: &str,
    step: usize,
    span: (u8, u8),
    blob: &Blob,
    spooled: &Spooled,
) -> std::result::Result<(), Stop> {
    let meter = Meter::default();
    let (shared, told) = (Arc::clone(inner), meter.clone());
    let (region, blob, path) = (region.to_owned(), blob.clone(), spooled.path().to_owned());
    let work = tokio::spawn(async move {
        let progress = |done: u64| {
            let _ = told.set(done, blob.size);
        };
        shared.blobs.keep(&region, &blob, &path, &progress).await?;
        if told.is_cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
    });
    inner.watch(task, step, span, &meter, work).await
}

impl Inner {
    /// Write down that a disk is stored, and its step done.
    pub(super) async fn stored(
        &self,
        task: &str,
        index: usize,
    ) -> std::result::Result<(), kiln_store::StoreError> {
        self.change(task, |task, image| {
            if let Some(step) = task.steps.get_mut(index) {
                step.status = TaskStatus::Finished;
                step.progress = 100;
            }
            let all = task.progress();
            let Some(image) = image else { return Fate::Untouched };
            image.progress = all.min(99);
            if let Some(disk) = image.disks.get_mut(index) {
                disk.is_stored = true;
                disk.progress = 100;
            }
            Fate::Write
        })
        .await
        .map(|_| ())
    }
}

/// What a request's refusal is to a task that finds the same later.
pub(super) fn of_refusal(refusal: &Refusal) -> Stop {
    let code = match refusal {
        Refusal::BucketNotFound { .. } => "InvalidOSSBucket.NotFound",
        Refusal::BucketElsewhere { .. } => "InvalidOSSBucket.NotMatched",
        Refusal::BucketForbidden { .. } => "InvalidOSS.NotAuthorized",
        Refusal::ObjectNotFound { .. } => "InvalidOSSObject.NotFound",
        Refusal::ObjectEmpty { .. } => "InvalidOSSObject.Size",
        Refusal::Store(error) if error.is_transient() => {
            return Fault::passing("ServiceUnavailable", error.to_string()).into();
        }
        _ => "InternalError",
    };
    Fault::lasting(code, refusal.to_string()).into()
}
