//! Any bytes as what the other side of kiln's agent sends: the greeting, then frames, taken as each
//! message there is.
#![no_main]

use kiln_rpc::{Call, Event, Greeting};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut stream = data;
    while let Ok(frame) = kiln_rpc::read(&mut stream) {
        if let Ok(greeting) = Greeting::decode(&frame) {
            let again = Greeting::decode(&greeting.encode()).expect("a greeting that was read");
            assert_eq!(again.protocol, greeting.protocol);
        }
        let mut framed = Vec::new();
        kiln_rpc::write(&mut framed, &frame).expect("a frame that was read");
        if let Ok(call) = kiln_rpc::receive::<Call>(&mut &framed[..]) {
            again(&call);
        }
        if let Ok(event) = kiln_rpc::receive::<Event>(&mut &framed[..]) {
            again(&event);
        }
    }
});

/// What was decoded is encoded and decoded to the same.
fn again<T>(message: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let mut bytes = Vec::new();
    kiln_rpc::send(&mut bytes, message).expect("a message that was read");
    assert_eq!(kiln_rpc::receive::<T>(&mut &bytes[..]).expect("a message that was sent"), *message);
}
