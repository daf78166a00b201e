//! A `kiln serve` of a test's own: accounts, regions and buckets that the tests know by their parts,
//! on free ports, with its state in a folder of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::host::run;
use crate::postgres::{free_port, last_lines};

/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The regions: of the tests' images, and of their copies.
pub(crate) const REGIONS: [&str; 2] = ["cn-hangzhou", "cn-beijing"];

/// What tests call a bucket, its name, its region, and whether kiln may use it.
const BUCKETS: &[(&str, &str, &str, bool)] = &[
    ("usable", "tests-usable", "cn-hangzhou", true),
    ("elsewhere", "tests-elsewhere", "cn-beijing", true),
    ("refused", "tests-refused", "cn-hangzhou", false),
];

/// The account that most tests act for.
pub(crate) const MAIN_ACCOUNT: &str = "1000000000000001";

/// What tests call a key, the account and the user.
const KEYS: &[(&str, &str, &str)] = &[
    ("main", MAIN_ACCOUNT, "admin"),
    ("restricted", MAIN_ACCOUNT, "restricted"),
    ("inactive", MAIN_ACCOUNT, "inactive"),
    ("other", "1000000000000002", "admin"),
    ("third", "1000000000000003", "admin"),
];

/// A server, running or not.
#[derive(Debug)]
pub(crate) struct Server {
    kiln: PathBuf,
    folder: PathBuf,
    database: String,
    ports: [u16; 3],
    /// Where a bucket `tests-remote` is, if there is one: an endpoint of S3's protocol.
    remote: Option<u16>,
    child: Option<Child>,
}

impl Server {
    /// Write a configuration below `folder`, which must not be in use; start nothing. Without a
    /// `database`, it is SQLite in that folder.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written.
    pub(crate) fn prepare(kiln: &Path, folder: &Path, database: Option<String>) -> Result<Self> {
        let folder = folder.to_path_buf();
        let sqlite = || format!("sqlite://{}", folder.join("state/kiln.db").display());
        let server = Self {
            kiln: kiln.to_path_buf(),
            database: database.unwrap_or_else(sqlite),
            ports: [free_port()?, free_port()?, free_port()?],
            remote: None,
            child: None,
            folder,
        };
        for region in REGIONS {
            fs::create_dir_all(server.store(region))?;
        }
        for (name, ..) in BUCKETS {
            fs::create_dir_all(server.bucket(name))?;
        }
        fs::create_dir_all(server.state())?;
        fs::write(server.config(), server.configuration())?;
        fs::write(server.site(), format!("{:#}", server.description()))?;
        Ok(server)
    }

    /// Add a bucket `tests-remote` in an object store on a port of this machine.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be written.
    pub(crate) fn add_remote_bucket(&mut self, port: u16) -> Result<()> {
        self.remote = Some(port);
        let bucket = "[[bucket]]\nname = \"tests-remote\"\nregion = \"cn-hangzhou\"\n\
                      url = \"s3://tests-remote\"\nauthorized = true\n";
        Ok(fs::write(self.config(), format!("{}\n{bucket}", self.configuration()))?)
    }

    /// Let an account have that many images in a region.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be written.
    pub(crate) fn limit_images(&self, count: u64) -> Result<()> {
        let text = format!("{}\n[quota]\nimages = {count}\n", self.configuration());
        Ok(fs::write(self.config(), text)?)
    }

    /// Start it and wait until it says that it is ready.
    ///
    /// # Errors
    ///
    /// Where it ends or does not become ready in time, with the end of its log.
    pub(crate) fn start(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&self.kiln);
        command.arg("serve").arg("--config").arg(self.config());
        command.arg("--state").arg(self.state());
        if let Some(port) = self.remote {
            command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
            command.env("AWS_REGION", "tests");
            command.env("AWS_ACCESS_KEY_ID", "tests").env("AWS_SECRET_ACCESS_KEY", "tests");
        }
        self.child =
            Some(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready() {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > deadline {
                bail!("kiln serve is not ready:\n{}", last_lines(&self.log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// End it as a power cut would, as far as one process goes: `kill -9`.
    ///
    /// # Errors
    ///
    /// Where it had ended by itself: it must not.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(status) = child.try_wait()? {
            bail!("kiln serve ended by itself, {status}:\n{}", last_lines(&self.log()));
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ask it to end, and wait.
    ///
    /// # Errors
    ///
    /// Where it does not in time, or ends with an error.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        run(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                if !status.success() {
                    bail!("kiln serve ended with {status}:\n{}", last_lines(&self.log()));
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        bail!("kiln serve does not end when it is asked to:\n{}", last_lines(&self.log()))
    }

    /// Whether it answers, and says that it can work.
    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.ports[2]))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: kiln\r\nConnection: close\r\n\r\n")?;
            let mut answer = Vec::new();
            stream.take(64 << 10).read_to_end(&mut answer)?;
            Ok(answer.starts_with(b"HTTP/1.1 200"))
        };
        ask().unwrap_or(false)
    }

    /// Its process, where it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where the server keeps what is its own.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Where the image store of a region is.
    pub(crate) fn store(&self, region: &str) -> PathBuf {
        self.folder.join("stores").join(region)
    }

    /// Where the objects of a bucket are, by what the tests call it.
    pub(crate) fn bucket(&self, name: &str) -> PathBuf {
        self.folder.join("buckets").join(name)
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("kiln.toml")
    }

    /// What it said.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("serve.log")
    }

    /// What the tests need to know of it, as they read it.
    pub(crate) fn site(&self) -> PathBuf {
        self.folder.join("site.json")
    }

    /// Where the API answers, as host and port.
    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// The database's URL.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// A `kiln` that works on the same state.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.kiln);
        command.arg(name).arg("--config").arg(self.config()).arg("--state").arg(self.state());
        command
    }

    fn description(&self) -> Value {
        let keys = KEYS.iter().map(|(name, account, user)| {
            let (id, secret) = key(account, user);
            ((*name).to_owned(), json!({ "account": account, "id": id, "secret": secret }))
        });
        let buckets = BUCKETS.iter().map(|(part, name, ..)| ((*part).to_owned(), json!(name)));
        let folders =
            BUCKETS.iter().map(|(part, ..)| ((*part).to_owned(), json!(self.bucket(part))));
        json!({
            "endpoint": self.endpoint(),
            "oss": format!("127.0.0.1:{}", self.ports[1]),
            "ops": format!("127.0.0.1:{}", self.ports[2]),
            "regions": REGIONS,
            "keys": keys.collect::<serde_json::Map<_, _>>(),
            "buckets": buckets.collect::<serde_json::Map<_, _>>(),
            "bucket_folders": folders.collect::<serde_json::Map<_, _>>(),
            "stores": REGIONS.map(|region| self.store(region)),
            "state": self.state(),
            "database": self.database,
            "log": self.log(),
        })
    }

    fn configuration(&self) -> String {
        let [api, oss, ops] = self.ports;
        let mut text = format!("database = {:?}\n", self.database);
        for (name, port) in [("listen", api), ("oss_listen", oss), ("ops_listen", ops)] {
            text += &format!("{name} = \"127.0.0.1:{port}\"\n");
        }
        for region in REGIONS {
            text += &format!("\n[[region]]\nid = {region:?}\nurl = {:?}\n", self.store(region));
        }
        for (part, name, region, authorized) in BUCKETS {
            text += &format!("\n[[bucket]]\nname = {name:?}\nregion = {region:?}\n");
            text += &format!("url = {:?}\nauthorized = {authorized}\n", self.bucket(part));
        }
        text + &accounts()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The access key of a user: made up of its name, because nothing else is protected by it.
fn key(account: &str, user: &str) -> (String, String) {
    let last = account.chars().last().unwrap_or('0');
    (format!("LTAItests{last}{user}"), format!("secret-of-{user}-{last}"))
}

/// What the user `restricted` may do: all but delete images.
const RESTRICTED: &str = r#"{"Version":"1","Statement":[
    {"Effect":"Allow","Action":"ecs:*","Resource":"*"},
    {"Effect":"Deny","Action":"ecs:DeleteImage","Resource":"*"}]}"#;

/// Accounts with their users' keys.
fn accounts() -> String {
    let mut text = String::new();
    let mut last = "";
    for (_, account, user) in KEYS {
        if last != *account {
            text += &format!("\n[[account]]\nid = {account:?}\n");
            last = account;
        }
        let (id, secret) = key(account, user);
        text += &format!("\n[[account.key]]\nid = {id:?}\nsecret = {secret:?}\nuser = {user:?}\n");
        match *user {
            "restricted" => text += &format!("policies = ['''{RESTRICTED}''']\n"),
            "inactive" => text += "disabled = true\n",
            _ => {}
        }
    }
    text
}
