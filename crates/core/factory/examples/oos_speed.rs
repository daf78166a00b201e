//! How fast runs go: `oos_speed DATABASE-URL` prints one JSON line a case. `cargo xtask bench oos`
//! runs it on both databases.
//!
//! Calls are answered at once, so what is measured is the engine and the database: every step is
//! durable, as always.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use kiln_factory::executions::{
    Caller, Clock, Engine, Executions, Held, Later, Shelf, ShelfLibrary, StartSpec,
};
use kiln_oos::run::{
    ApiError, Context, Found, HttpAnswer, HttpRequest, Loaded, Mode, Request, SafetyCheck,
    Settings, Status,
};
use kiln_store::{Database, Journal};
use serde_json::{Map, Value, json};

const ACCOUNT: &str = "1000000000000000";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Answers at once.
struct Instantly;

impl Caller for Instantly {
    fn call<'a>(
        &'a self,
        request: &'a Request,
        _now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>> {
        Box::pin(async move { Ok(json!({ "RequestId": request.token, "Value": 1 })) })
    }

    fn http<'a>(&'a self, _request: &'a HttpRequest) -> Later<'a, Result<HttpAnswer, String>> {
        Box::pin(async { Err("no HTTP here".to_owned()) })
    }
}

const CALL: &str = "Action: ACS::ExecuteAPI\n  Properties: {Service: ECS, API: DescribeRegions}\n  \
                    Outputs: {v: {Type: Number, ValueSelector: Value}}\n";

/// `n` calls one after the other.
fn sequence(n: usize) -> String {
    let mut text = "FormatVersion: OOS-2019-06-01\nTasks:\n".to_owned();
    for at in 0..n {
        text += &format!("- Name: t{at}\n  {CALL}");
    }
    text
}

fn looped(items: usize, concurrency: usize) -> String {
    let items: Vec<_> = (0..items).map(|item| item.to_string()).collect();
    format!(
        "FormatVersion: OOS-2019-06-01\nTasks:\n- Name: each\n  {CALL}  Loop: {{Items: [{}], \
         RateControl: {{Mode: Concurrency, Concurrency: {concurrency}, MaxErrors: 0}}, Outputs: \
         {{all: {{AggregateType: 'Fn::ListJoin', AggregateField: v}}}}}}\n",
        items.join(",")
    )
}

async fn open(url: &str) -> Result<(Executions, Engine), Failure> {
    let database = Database::open(url).await?;
    let library = Arc::new(ShelfLibrary::new(Shelf::default()));
    let settings = Settings { max_starts: 2000, ..Settings::default() };
    let owner = format!("speed:{}", std::process::id());
    let journal = Arc::new(Journal::new(database.clone()));
    let caller = Arc::new(Instantly);
    let executions =
        Executions::open(database, caller, library, Clock::real(), settings, &owner).await?;
    let engine = Engine::start(executions.clone(), journal).await?;
    Ok((executions, engine))
}

async fn create(executions: &Executions, id: &str, template: Arc<Loaded>) -> Result<Held, Failure> {
    let spec = StartSpec {
        template: Found { name: String::new(), version: String::new(), template },
        parameters: Map::new(),
        context: Context {
            region: "cn-hangzhou".to_owned(),
            account: ACCOUNT.to_owned(),
            user: "speed".to_owned(),
            mode: Mode::Automatic,
            loop_mode: None,
            safety_check: SafetyCheck::Skip,
        },
        description: String::new(),
        resource_group: String::new(),
        tags: BTreeMap::new(),
    };
    Ok(executions.create(id, spec).await?.held)
}

async fn check(executions: &Executions, id: &str) -> Result<(), Failure> {
    let view = executions.view(ACCOUNT, id).await?.ok_or("the execution is gone")?;
    match view.status {
        Status::Success => Ok(()),
        _ => Err(format!("{id} ended as {:?}: {}", view.status, view.message).into()),
    }
}

/// One in this process, as `kiln run` does.
async fn run(executions: &Executions, id: &str, template: Arc<Loaded>) -> Result<(), Failure> {
    let held = create(executions, id, template).await?;
    executions.drive(held, true, None).await?;
    check(executions, id).await
}

/// All of them begun by requests, 64 at a time, and driven as the server does.
async fn side_by_side(
    executions: &Executions,
    engine: &Engine,
    ids: &[String],
    template: Arc<Loaded>,
) -> Result<(), Failure> {
    let mut begun = futures::stream::iter(ids)
        .map(|id| create(executions, id, Arc::clone(&template)))
        .buffer_unordered(64);
    while let Some(held) = begun.next().await {
        engine.begin(held?);
    }
    while executions.records().count_running(ACCOUNT).await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for id in ids {
        check(executions, id).await?;
    }
    Ok(())
}

fn loaded(text: &str) -> Result<Arc<Loaded>, Failure> {
    Ok(Arc::new(Loaded::new(text)?))
}

fn report(case: &str, n: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    #[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
    {
        println!(
            "{}",
            json!({
                "case": case,
                "tasks": n,
                "seconds": seconds,
                "msPerTask": seconds * 1000.0 / n as f64,
                "tasksPerSecond": n as f64 / seconds,
                "peakMiB": peak_mib(),
            })
        );
    }
}

/// The most memory that this process had so far.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::args().nth(1).ok_or("name the URL of a database")?;
    let (executions, engine) = open(&url).await?;
    let stamp = Timestamp::now().as_microsecond();
    let id = |case: &str, at: usize| format!("exec-{stamp:x}{case}{at}");

    // A template may have a hundred tasks: the thousand are ten of them, one after the other.
    let hundred = loaded(&sequence(100))?;
    let begun = Instant::now();
    for at in 0..10 {
        run(&executions, &id("a", at), Arc::clone(&hundred)).await?;
    }
    report("1,000 tasks in sequence", 1000, begun.elapsed());

    let five = loaded(&sequence(5))?;
    let ids: Vec<String> = (0..1000).map(|at| id("b", at)).collect();
    let begun = Instant::now();
    side_by_side(&executions, &engine, &ids, five).await?;
    report("1,000 executions of 5 tasks, side by side", 5000, begun.elapsed());

    let loops = loaded(&looped(10_000, 100))?;
    let begun = Instant::now();
    run(&executions, &id("c", 0), loops).await?;
    report("a loop of 10,000 items, 100 at a time", 10_000, begun.elapsed());
    Ok(())
}
