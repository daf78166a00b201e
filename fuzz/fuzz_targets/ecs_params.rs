//! Any text as parameters of an action: a request or an error, and what was read is written and read
//! to the same.
#![no_main]

use kiln_ecs::params;
use kiln_ecs::types::describe_images::DescribeImagesRequest;
use kiln_ecs::types::import_image::ImportImageRequest;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut pairs = Vec::new();
    if params::parse(text, &mut pairs).is_err() {
        return;
    }
    let _ = params::from_params::<DescribeImagesRequest>(&pairs);
    if let Ok(request) = params::from_params::<ImportImageRequest>(&pairs) {
        let written = params::to_params(&request).expect("a request that was read");
        let again: ImportImageRequest = params::from_params(&written).expect("what was written");
        // Not the request itself: a struct without any field is nothing once it is written.
        assert_eq!(params::to_params(&again).expect("a request that was read"), written);
    }
});
