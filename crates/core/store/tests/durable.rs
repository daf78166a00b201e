//! Orchestrations over the journal: what was done stays done when the process goes, and how long a
//! step takes.

#![expect(clippy::print_stderr, reason = "a test says what it measured or skipped")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use duroxide::providers::{Provider as _, TagFilter, WorkItem};
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{
    ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus,
};
use kiln_store::{Database, Journal};

async fn database(folder: &tempfile::TempDir) -> Database {
    Database::open(&format!("sqlite://{}/kiln.db", folder.path().display())).await.unwrap()
}

async fn journal(folder: &tempfile::TempDir) -> Arc<Journal> {
    Arc::new(Journal::new(database(folder).await))
}

fn options() -> RuntimeOptions {
    RuntimeOptions {
        orchestrator_lock_timeout: Duration::from_secs(1),
        worker_lock_timeout: Duration::from_secs(1),
        ..RuntimeOptions::default()
    }
}

/// As many steps, one after another, as the input says.
fn orchestrations() -> OrchestrationRegistry {
    let steps = |context: OrchestrationContext, input: String| async move {
        let steps: usize = input.parse().map_err(|error| format!("{error}"))?;
        for step in 0..steps {
            context.schedule_activity("step", step.to_string()).await?;
        }
        Ok("done".to_owned())
    };
    OrchestrationRegistry::builder().register("steps", steps).build()
}

/// Three steps; the first process goes away while the second step runs, which never ends there.
#[tokio::test]
async fn what_was_done_stays_done_when_the_process_goes() {
    let folder = tempfile::tempdir().unwrap();
    let ended: Arc<[AtomicUsize; 3]> = Arc::default();
    for process in 0..2 {
        let counts = ended.clone();
        let step = move |_: ActivityContext, input: String| {
            let counts = counts.clone();
            async move {
                let step: usize = input.parse().unwrap();
                if process == 0 && step == 1 {
                    std::future::pending::<()>().await;
                }
                counts[step].fetch_add(1, Ordering::SeqCst);
                Ok(String::new())
            }
        };
        let activities = ActivityRegistry::builder().register("step", step).build();
        let store = journal(&folder).await;
        let runtime =
            Runtime::start_with_options(store.clone(), activities, orchestrations(), options())
                .await;
        let client = Client::new(store);
        if process == 0 {
            client.start_orchestration("one", "steps", "3").await.unwrap();
            let start = Instant::now();
            while ended[0].load(Ordering::SeqCst) == 0 {
                assert!(start.elapsed() < Duration::from_secs(30), "the first step never ran");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            runtime.shutdown(Some(0)).await;
        } else {
            let status =
                client.wait_for_orchestration("one", Duration::from_secs(60)).await.unwrap();
            assert!(matches!(status, OrchestrationStatus::Completed { .. }), "{status:?}");
            runtime.shutdown(None).await;
        }
    }
    assert_eq!(
        ended.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>(),
        [1, 1, 1]
    );
}

/// What a killed process held for an hour, it has again when it comes back, and nobody else has.
#[tokio::test]
async fn a_node_that_comes_back_goes_on_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3600);
    let work = || WorkItem::ActivityExecute {
        instance: "one".into(),
        execution_id: 1,
        id: 1,
        name: "step".into(),
        input: String::new(),
        session_id: None,
        tag: None,
    };
    let take = async |node: &str| {
        let journal = Journal::resume(database(&folder).await, node).await.unwrap();
        let filter = TagFilter::default();
        journal.fetch_work_item(hour, Duration::ZERO, None, &filter).await.unwrap().is_some()
    };
    journal(&folder).await.enqueue_for_worker(work()).await.unwrap();
    assert!(take("first").await, "it is there");
    assert!(!take("second").await, "it is held");
    assert!(!take("firs").await, "a name that another begins with is another name");
    assert!(take("first").await, "and let go");
}

/// Prints, and judges nothing: the figure is the machine's.
#[tokio::test]
async fn time_of_a_step() {
    const STEPS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let step = |_: ActivityContext, _: String| async move { Ok(String::new()) };
    let activities = ActivityRegistry::builder().register("step", step).build();
    let store = journal(&folder).await;
    let runtime =
        Runtime::start_with_options(store.clone(), activities, orchestrations(), options()).await;
    let (client, start) = (Client::new(store), Instant::now());
    client.start_orchestration("many", "steps", STEPS.to_string()).await.unwrap();
    client.wait_for_orchestration("many", Duration::from_secs(120)).await.unwrap();
    let each = start.elapsed().as_secs_f64() * 1000.0 / STEPS as f64;
    eprintln!("{each:.2} ms for each of {STEPS} steps, one after another");
    runtime.shutdown(None).await;
}
