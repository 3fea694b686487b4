//! Decisions drawn from bytes. When the bytes end every further one is zero.

use arbitrary::Unstructured;

/// The rest of an input.
pub struct Script<'a>(Unstructured<'a>);

impl<'a> Script<'a> {
    /// All of an input.
    pub fn new(bytes: &'a [u8]) -> Script<'a> {
        Script(Unstructured::new(bytes))
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// Two bytes, little-endian.
    pub fn short(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// True for odd bytes.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A byte that says how many, and so many bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let wanted = usize::from(self.byte()).min(self.0.len());
        self.0.bytes(wanted).unwrap_or(&[])
    }

    /// A number from one byte: close to one that matters now, small, or where something may turn.
    pub fn number(&mut self, near: u64) -> u64 {
        let byte = self.byte();
        let by = u64::from(byte >> 5);
        match byte & 31 {
            0..=7 => near.saturating_add(by),
            8..=11 => near.saturating_sub(by),
            12..=17 => by,
            18 => 8 + by,
            19 => (1 << 32) - 4 + by,
            20 => (1 << 62) - 4 + by,
            21 => (1 << 63) - 4 + by,
            22 => u64::MAX - by,
            23 => near.saturating_add(u64::from(u32::MAX) - 4 + by),
            24 => near.saturating_mul(2).saturating_add(by),
            25..=28 => u64::from(self.byte()),
            _ => near,
        }
    }
}
