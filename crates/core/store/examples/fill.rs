//! Many image records at once, for `cargo xtask bench api`: made through the store itself, so that a
//! change of its tables cannot leave this behind, and here, so that the chores need no database.
//!
//! `fill URL REGION ACCOUNT COUNT`

use std::collections::BTreeMap;
use std::error::Error;

use jiff::{Timestamp, ToSpan};
use kiln_model::{
    Architecture, Blob, BootMode, Disk, DiskKind, Image, ImageStatus, ImdsSupport, LicenseType,
    OsType, Support,
};
use kiln_store::{Change, Database, Records};

/// Records in one transaction.
const BATCH: usize = 5_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, region, account, count] = arguments.as_slice() else {
        return Err("usage: fill URL REGION ACCOUNT COUNT".into());
    };
    let count: usize = count.parse()?;
    let records = Records::open(Database::open(url).await?).await?;
    for from in (0..count).step_by(BATCH) {
        let numbers = from..count.min(from + BATCH);
        let changes = numbers.map(|number| Change::InsertImage(image(region, account, number)));
        records.apply(changes.collect()).await?;
    }
    Ok(())
}

/// One image as an import leaves it. A family has 100 images, a tag's value 1 in 50 of all.
fn image(region: &str, owner: &str, number: usize) -> Image {
    let seconds = i64::try_from(number).unwrap_or_default();
    let created = Timestamp::UNIX_EPOCH + 1_700_000_000.seconds() + seconds.seconds();
    Image {
        id: format!("m-{number:020}"),
        region: region.to_owned(),
        owner: owner.to_owned(),
        name: format!("image-{number:05}"),
        description: "one of many".to_owned(),
        family: Some(format!("family-{}", number / 100)),
        version: String::new(),
        architecture: Architecture::X86_64,
        os_type: OsType::Linux,
        platform: "Debian".to_owned(),
        os_name: "Debian 12 64-bit".to_owned(),
        boot_mode: BootMode::Uefi,
        license_type: LicenseType::Auto,
        status: ImageStatus::Available,
        progress: 100,
        created,
        disks: vec![disk(number)],
        detection: None,
        nvme: Support::Supported,
        imds: ImdsSupport::V1,
        has_cloud_init: true,
        tags: BTreeMap::from([("team".to_owned(), format!("team-{}", number % 50))]),
        resource_group: None,
        shared: BTreeMap::new(),
        is_public: false,
        copied_from: None,
        task: None,
        exports: Vec::new(),
    }
}

fn disk(number: usize) -> Disk {
    Disk {
        kind: DiskKind::System,
        device: "/dev/xvda".to_owned(),
        size_gib: 20,
        virtual_size: Some(20 << 30),
        format: Some("qcow2".to_owned()),
        declared_format: None,
        source_size: None,
        source: None,
        snapshot: format!("s-{number:020}"),
        blob: Some(Blob { hash: format!("{number:064x}"), size: 1 << 30 }),
        is_stored: true,
        progress: 100,
    }
}
