//! A site of two regions and three accounts with an empty store, for the tests of the actions.

use std::{collections::BTreeMap, sync::Arc};

use kiln_ecs::answer::Format;
use kiln_ecs::error::ApiError;
use kiln_factory::executions::{Clock, Engine, Executions, Shelf, Web};
use kiln_factory::images::{Images, Settings};
use kiln_model::{
    Architecture, BootMode, Disk, DiskKind, Image, ImageStatus, ImdsSupport, LicenseType, OsType,
    Policy, Support,
};
use kiln_store::{Blobs, Buckets, Change, Database, Journal, Parameters, Records, Tags, Templates};
use serde_json::Value;

use crate::{
    accounts::{Accounts, Caller, Key, State},
    ecs::{Call, Handler, Service},
    oos_api::{self, InProcess, Oos, StoreLibrary},
    regions::{Quotas, Region, Regions},
};

/// The account that owns what the tests make.
pub(crate) const OWNER: &str = "1000000000000001";

/// An image of [`OWNER`] in `cn-a` that can be used.
pub(crate) fn sound(id: &str) -> Image {
    Image {
        id: id.to_owned(),
        region: "cn-a".to_owned(),
        owner: OWNER.to_owned(),
        name: format!("name-{id}"),
        description: String::new(),
        family: None,
        version: "1".to_owned(),
        architecture: Architecture::X86_64,
        os_type: OsType::Linux,
        platform: "Ubuntu".to_owned(),
        os_name: String::new(),
        boot_mode: BootMode::Bios,
        license_type: LicenseType::Auto,
        status: ImageStatus::Available,
        progress: 100,
        created: "2025-07-01T08:09:10Z".parse().unwrap(),
        disks: vec![Disk {
            kind: DiskKind::System,
            device: "/dev/xvda".to_owned(),
            size_gib: 40,
            virtual_size: None,
            format: Some("raw".to_owned()),
            declared_format: None,
            source_size: None,
            source: None,
            snapshot: format!("s-{id}"),
            blob: None,
            is_stored: true,
            progress: 100,
        }],
        detection: None,
        nvme: Support::Unsupported,
        imds: ImdsSupport::V1,
        has_cloud_init: true,
        tags: BTreeMap::new(),
        resource_group: None,
        shared: BTreeMap::new(),
        is_public: false,
        copied_from: None,
        task: None,
        exports: Vec::new(),
    }
}

/// What templates run with: what kiln ships, and hosts that nobody may go to.
async fn oos(database: &Database, journal: Arc<Journal>) -> (Oos, Arc<InProcess>) {
    let shelf = Arc::new(Shelf::shipped());
    let web = Arc::new(Web::new(Vec::new(), "it is a test"));
    let caller = Arc::new(InProcess::new(None, Arc::clone(&web)));
    let templates = Templates::new(database.clone());
    let parameters = Parameters::new(database.clone());
    let library = StoreLibrary {
        shelf: Arc::clone(&shelf),
        templates: templates.clone(),
        parameters: parameters.clone(),
    };
    let executions = Executions::open(
        database.clone(),
        Arc::clone(&caller) as Arc<dyn kiln_factory::executions::Caller>,
        Arc::new(library),
        Clock::real(),
        kiln_oos::run::Settings::default(),
        "test",
    );
    let executions = executions.await.unwrap();
    let engine = Engine::start(executions.clone(), journal).await.unwrap();
    let tags = Tags::new(database.clone());
    (Oos { executions, engine, shelf, templates, parameters, tags, web }, caller)
}

/// A server's state.
pub(crate) struct Site {
    pub(crate) records: Records,
    pub(crate) service: Arc<Service>,
    _folder: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("kiln.db").display());
        let region = |id: &str| Region {
            id: id.to_owned(),
            name: String::new(),
            url: String::new(),
            zones: Vec::new(),
        };
        let database = Database::open(&url).await.unwrap();
        let records = Records::open(database.clone()).await.unwrap();
        let journal = Arc::new(Journal::new(database.clone()));
        let images = Images::start(
            records.clone(),
            Arc::clone(&journal) as Arc<dyn duroxide::providers::Provider>,
            Buckets::default(),
            Blobs::default(),
            Settings {
                program: "/nonexistent".into(),
                spool: folder.path().join("spool"),
                concurrency: 1,
                threads: 1,
                zstd_level: 3,
            },
        );
        let accounts = [OWNER, "1000000000000002", "1000000000000003"];
        let administrator = |account: &str| Key {
            secret: String::new(),
            is_disabled: false,
            caller: Caller::new(account.to_owned(), "u".to_owned(), vec![Policy::administrator()]),
        };
        let state = State {
            keys: accounts.map(|account| (account.to_owned(), administrator(account))).into(),
            accounts: accounts
                .into_iter()
                .map(str::to_owned)
                .chain((1..200).map(|n: u32| n.to_string()))
                .collect(),
            ..State::default()
        };
        let images = images.await.unwrap();
        let (oos, caller) = oos(&database, journal).await;
        let service = Arc::new(Service {
            database,
            records: records.clone(),
            images,
            oos,
            regions: Regions::new(vec![region("cn-a"), region("cn-b")]),
            quotas: Quotas::default(),
            accounts: Accounts::new(state),
            metrics: Arc::default(),
        });
        caller.serve(&service);
        Self { records, service, _folder: folder }
    }

    /// With these images.
    pub(crate) async fn of(images: impl IntoIterator<Item = Image>) -> Self {
        let site = Self::open().await;
        site.records.apply(images.into_iter().map(Change::InsertImage).collect()).await.unwrap();
        site
    }

    /// `run` with a call of `account`, which may do everything, or nothing if it is `nobody`.
    pub(crate) async fn with<T>(
        &self,
        account: &str,
        action: &str,
        pairs: &[(&str, &str)],
        run: impl AsyncFnOnce(&Call<'_>) -> T,
    ) -> T {
        let policies = if account == "nobody" { Vec::new() } else { vec![Policy::administrator()] };
        let caller = Caller::new(account.to_owned(), "u".to_owned(), policies);
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let service = &*self.service;
        let host = "127.0.0.1:8080";
        let accounts = service.accounts.now();
        let call =
            Call { service, accounts: &accounts, caller: &caller, action, pairs: &pairs, host };
        run(&call).await
    }

    /// What an action answers to `account`, through the table of actions.
    pub(crate) async fn call(
        &self,
        account: &str,
        action: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Value, ApiError> {
        self.run(super::find(action).unwrap(), account, pairs).await
    }

    /// As [`Self::call`], an action of OOS.
    pub(crate) async fn oos(
        &self,
        account: &str,
        action: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Value, ApiError> {
        self.run(oos_api::find(action).unwrap(), account, pairs).await
    }

    async fn run(
        &self,
        (name, run): (&'static str, Handler),
        account: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Value, ApiError> {
        let answer = self.with(account, name, pairs, async |call| run(call).await).await?;
        let text = answer.text(Format::Json, name, "R").unwrap();
        assert!(!text.contains(":null"), "what is absent is left out: {text}");
        let mut fields: Value = serde_json::from_str(&text).unwrap();
        fields.as_object_mut().unwrap().remove("RequestId");
        Ok(fields)
    }

    /// The same in `cn-a` as [`OWNER`], the error as its status and code.
    pub(crate) async fn ask(
        &self,
        action: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Value, (u16, String)> {
        let mut all = vec![("RegionId", "cn-a")];
        all.extend(pairs);
        self.call(OWNER, action, &all).await.map_err(|error| (error.status, error.code))
    }

    /// An image of `cn-a` as it is stored.
    pub(crate) async fn image(&self, id: &str) -> Image {
        self.records.image("cn-a", id).await.unwrap().unwrap().value
    }
}
