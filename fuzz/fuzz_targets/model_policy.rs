//! Any text as a policy of access, asked about any action: a refusal or an answer, and a denial that
//! no other policy undoes.
#![no_main]

use kiln_model::{Decision, Policy, decide};

libfuzzer_sys::fuzz_target!(|input: (&str, &str, &str)| {
    let (document, action, resource) = input;
    let Ok(policy) = Policy::parse(document) else { return };
    let alone = decide(std::slice::from_ref(&policy), action, resource);
    let with_all = decide(&[Policy::administrator(), policy], action, resource);
    assert_eq!(alone == Decision::Denied, with_all == Decision::Denied);
});
