//! The state machine that every contender feeds: cheap enough to hide nothing, yet wrong if a command is lost,
//! doubled or damaged.

/// What a replica has applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// Commands.
    pub count: u64,
    /// The sum of their numbers.
    pub sum: u64,
    /// The sum of their lengths.
    pub bytes: u64,
}

impl State {
    /// Applies one command.
    pub fn apply(&mut self, command: &[u8]) {
        let Some(number) = command.first_chunk() else { return };
        self.count += 1;
        self.sum = self.sum.wrapping_add(u64::from_le_bytes(*number));
        self.bytes += command.len() as u64;
    }

    /// What two have applied together.
    pub fn and(self, other: State) -> State {
        let sum = self.sum.wrapping_add(other.sum);
        State { count: self.count + other.count, sum, bytes: self.bytes + other.bytes }
    }

    /// The state after commands `0..count`.
    pub fn after(count: u64, bytes: usize) -> State {
        State { count, sum: count * count.saturating_sub(1) / 2, bytes: count * bytes as u64 }
    }
}

/// Writes command `number` into `to`: its number, and filling.
pub fn write_command(number: u64, to: &mut [u8]) {
    to[..8].copy_from_slice(&number.to_le_bytes());
    to[8..].fill(0x5a);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_after_n_commands_is_that_of_applying_each() {
        let mut state = State::default();
        let mut command = [0; 16];
        for number in 0..100 {
            write_command(number, &mut command);
            state.apply(&command);
        }
        assert_eq!(state, State::after(100, 16));
        state.apply(&command);
        assert_ne!(state, State::after(101, 16), "a doubled command shows");
    }
}
