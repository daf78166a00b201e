#![no_main]
//! Any bytes as a kernel image, and as its configuration.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut fs = kiln_volume::MemFs::new();
    fs.file("/image", data);
    let tree = kiln_volume::Tree::new(std::sync::Arc::new(fs));
    if let Ok(Some(file)) = tree.open("/image") {
        let image = kiln_guest::KernelImage::new(file);
        let _ = (image.version(), image.architecture(), image.embedded_config());
    }
    let _ = kiln_guest::KernelConfig::parse(&String::from_utf8_lossy(data));
});
