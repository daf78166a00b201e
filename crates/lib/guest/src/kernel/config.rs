//! The configuration a kernel was built with: a file beside it, or the copy it carries inside.

use std::sync::Arc;

use kiln_volume::Result;

use crate::inspect::Guest;
use crate::kernel::{KernelConfig, KernelImage};

impl KernelConfig {
    /// Parse the `CONFIG_NAME=value` lines of a `.config`.
    pub fn parse(text: &str) -> Self {
        let values = text.lines().filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("CONFIG_")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        });
        Self { values: values.collect() }
    }

    /// Whether `name` (without `CONFIG_`) is `y`.
    pub fn is_builtin(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value == "y")
    }
}

impl Guest {
    /// The configuration of the kernel `version`: from its file, else from the image, where it was
    /// built with `CONFIG_IKCONFIG`. `None`: neither is there.
    ///
    /// # Errors
    ///
    /// What reading the files says.
    pub fn kernel_config(&self, version: &str) -> Result<Option<Arc<KernelConfig>>> {
        let mut cached = self.cache.configs.lock().unwrap_or_else(|lock| lock.into_inner());
        if let Some(known) = cached.get(version) {
            return known.clone();
        }
        let result = self.read_config(version).map(|config| config.map(Arc::new));
        cached.insert(version.to_owned(), result.clone());
        result
    }

    fn read_config(&self, version: &str) -> Result<Option<KernelConfig>> {
        let kernel = self.kernels.iter().find(|kernel| kernel.version == version);
        let named = kernel.and_then(|kernel| kernel.config.clone());
        let usual = [
            format!("/boot/config-{version}"),
            format!("/lib/modules/{version}/config"),
            format!("/lib/modules/{version}/build/.config"),
        ];
        for path in named.into_iter().chain(usual) {
            if let Some(text) = self.tree.read_text(&path)? {
                return Ok(Some(KernelConfig::parse(&text)));
            }
        }
        let Some(image) = kernel.and_then(|kernel| kernel.image.as_deref()) else {
            return Ok(None);
        };
        let Some(file) = self.tree.open(image)? else { return Ok(None) };
        let text = KernelImage::new(file).embedded_config()?;
        Ok(text.map(|text| KernelConfig::parse(&String::from_utf8_lossy(&text))))
    }
}
