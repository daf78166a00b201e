//! Any host, path, query and headers as a request to the object store: its address, its signature, its
//! range, and its body as a list of parts.
#![no_main]

use kiln_oss::{address::Address, documents, range, sign};

type Pairs = Vec<(String, String)>;

libfuzzer_sys::fuzz_target!(|input: (&str, &str, Pairs, Pairs, &[u8])| {
    let (host, path, query, headers, body) = input;
    let _ = documents::complete_parts(body);
    let size_bytes = body.len() as u64;
    if let range::Answer::Part(part) = range::answer(Some(host), size_bytes) {
        assert!(part.size_bytes() <= size_bytes);
    }
    let Ok(address) = Address::parse(host, "oss.example.com", path) else { return };
    if let Some(key) = address.key() {
        assert!(key.split(['/', '\\']).all(|segment| segment != ".."), "{key}");
    }
    let request = sign::Request {
        method: "GET",
        bucket: address.bucket(),
        key: address.key(),
        query: &query,
        headers: &headers,
    };
    if let Ok(Some(presented)) = sign::Presented::parse(&request) {
        let _ = presented.verify(&request, "secret", jiff::Timestamp::UNIX_EPOCH);
    }
});
