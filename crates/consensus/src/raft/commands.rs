//! Commands on their way into the log, many at a time and laid out as the log keeps them: whoever gathers them
//! writes their bytes once, and the leader, the journals and the messages share these.

use super::batch::{check_entries, split_entry, write_entry};
use super::{Index, payload::Payload};
use bytes::{Bytes, BytesMut};
use quorate_core::WireError;

/// One command or more, in order. They get consecutive places in the log, all or none.
#[derive(Clone, PartialEq, Eq)]
pub struct Commands {
    count: u32,
    /// Each as an entry of a [`super::Batch`].
    bytes: Payload,
}

impl Commands {
    /// A single one.
    pub fn one(command: &[u8]) -> Commands {
        let mut bytes = BytesMut::new();
        write_entry(&mut bytes, command);
        Commands { count: 1, bytes: Payload::take(&mut bytes) }
    }

    /// How many; at least one.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of all of them, lengths included.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The commands, lent in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (data, behind) = split_entry(rest)?;
            rest = behind;
            Some(data)
        })
    }

    /// Whether one of them is longer than this.
    pub(super) fn any_longer_than(&self, bytes_max: usize) -> bool {
        // Nearly always all of them together are shorter.
        self.bytes.len() > bytes_max && self.iter().any(|command| command.len() > bytes_max)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_bytes(self) -> Payload {
        self.bytes
    }

    /// Checks that the bytes are just as many whole commands: nothing behind this looks again.
    pub(super) fn checked(count: u32, bytes: Bytes) -> Result<Commands, WireError> {
        check_entries(count, &bytes)?;
        Ok(Commands { count, bytes: bytes.into() })
    }
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} commands, {} bytes", self.count, self.bytes.len())
    }
}

/// Gathers commands.
#[derive(Debug, Default)]
pub struct Gathered {
    count: u32,
    bytes: BytesMut,
}

impl Gathered {
    /// Puts one behind the others.
    pub fn push(&mut self, command: &[u8]) {
        write_entry(&mut self.bytes, command);
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of all of them, lengths included.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Takes them; `None` if there are none. Spare memory is kept for the next ones.
    pub fn take(&mut self) -> Option<Commands> {
        let count = std::mem::take(&mut self.count);
        (count > 0).then(|| Commands { count, bytes: Payload::take(&mut self.bytes) })
    }
}

/// Where the commands of one proposal came to stand: from this index on, one behind the other.
pub(super) fn last_of(first: Index, count: u32) -> Option<Index> {
    first.checked_add(u64::from(count))?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathered_commands_come_out_as_they_went_in() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.take(), None);
        for round in 0..3usize {
            let commands: Vec<Vec<u8>> = (0..5).map(|i| vec![i as u8; round * 100 + i]).collect();
            commands.iter().for_each(|command| gathered.push(command));
            let taken = gathered.take().unwrap();
            assert_eq!((taken.count(), gathered.count(), gathered.bytes()), (5, 0, 0));
            assert!(taken.iter().eq(commands.iter().map(Vec::as_slice)));
            let longest = commands.iter().map(Vec::len).max().unwrap();
            assert!(!taken.any_longer_than(longest) && taken.any_longer_than(longest - 1));
            let again = Bytes::copy_from_slice(taken.as_bytes());
            assert_eq!(Commands::checked(5, again).unwrap(), taken);
        }
        assert_eq!(Commands::one(b"x").iter().collect::<Vec<_>>(), [b"x"]);
    }

    #[test]
    fn bytes_that_are_not_just_so_many_commands_are_refused() {
        let good = Bytes::copy_from_slice(Commands::one(b"abc").as_bytes());
        for (count, bytes) in [(0, good.clone()), (2, good.clone()), (1, good.slice(..2)), (0, Bytes::new())]
        {
            assert!(Commands::checked(count, bytes).is_err());
        }
    }
}
