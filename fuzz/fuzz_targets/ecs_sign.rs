//! Any request's canonical forms under both schemes: no panic, and no request is let in by the secret
//! of somebody else.
#![no_main]

use kiln_ecs::sign::{Request, Scheme, v1, v3};

type Pairs = Vec<(String, String)>;

libfuzzer_sys::fuzz_target!(|input: (&str, Pairs, Pairs)| {
    let (method, query, headers) = input;
    let request = Request {
        method,
        path: "/",
        query: &query,
        headers: &headers,
        body_sha256: v3::EMPTY_SHA256,
    };
    let _ = Scheme::of(&request);
    let _ = v1::verify(&request, "secret");
    if let Some(authorization) = request.header("authorization")
        && let Ok(authorization) = v3::Authorization::parse(authorization)
    {
        let _ = v3::verify(&request, &authorization, "secret");
        let again = v3::Authorization::parse(&authorization.to_string());
        assert_eq!(again.ok().as_ref(), Some(&authorization));
    }
    let mut signed = query.clone();
    signed.retain(|(name, _)| name != "Signature" && name != "SignatureMethod");
    signed.push(("SignatureMethod".to_owned(), "HMAC-SHA1".to_owned()));
    let signature = v1::sign(&Request { query: &signed, ..request }, "secret");
    signed.push(("Signature".to_owned(), signature));
    let request = Request { query: &signed, ..request };
    assert!(v1::verify(&request, "secret").is_ok());
    assert!(v1::verify(&request, "another").is_err());
});
