//! The OSS endpoint alone, over directories, for the conformance test of the official client:
//! `oss_endpoint 127.0.0.1:8099 /some/directory` has the bucket `conformance` there.

use std::sync::Arc;

use anyhow::Context;
use kiln_server::oss::{Credentials, OssState, router};
use kiln_store::{BucketSettings, Buckets};

/// One key that may do everything.
struct One;

impl Credentials for One {
    fn secret(&self, access_key_id: &str) -> Option<String> {
        (access_key_id == "conformance-id").then(|| "conformance-secret".into())
    }

    fn may(&self, _: &str, _: &str, _: &str) -> bool {
        true
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("name an address to listen on")?;
    let root = arguments.next().context("name a directory")?;
    let bucket = BucketSettings {
        name: "conformance".into(),
        region: "cn-hangzhou".into(),
        url: root.clone(),
        authorized: true,
    };
    let state = OssState {
        buckets: Buckets::new(vec![bucket])?,
        credentials: Arc::new(One),
        endpoint: String::new(),
        spool: root.into(),
    };
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, router(state)).await?)
}
