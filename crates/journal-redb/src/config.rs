//! What can be set.

/// Settings of a journal on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of memory for redb's cache of pages, reads and unsynced writes together. Records are read once, at
    /// the start, so a journal gains little from more. At least 1 MiB. Default 16 MiB (guess; redb's own is 1 GiB).
    pub cache_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { cache_bytes: 16 << 20 }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// [`Config::cache_bytes`] is below 1 MiB.
    #[error("cache_bytes is {0}, which is less than 1 MiB")]
    CacheTooSmall(usize),
}

impl Config {
    /// Whether the settings make sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.cache_bytes < 1 << 20 {
            return Err(ConfigError::CacheTooSmall(self.cache_bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_makes_sense_and_a_tiny_cache_does_not() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config { cache_bytes: 1 }.validate(), Err(ConfigError::CacheTooSmall(1)));
    }
}
