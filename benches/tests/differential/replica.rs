//! What the two implementations have in common here: one replica as a value.

/// A message on its way: to whom, what.
pub type Sent<M> = Vec<(u64, M)>;

/// One replica. Nodes are numbered from 1. It has a clock of its own, which only the schedule moves, and never stands
/// for election by itself.
pub trait Replica: Sized {
    const NAME: &'static str;
    type Msg;
    /// What a crash leaves.
    type Disk: Default;
    /// How it is made.
    type Setup: Clone;

    /// Starts on what is on disk.
    fn start(
        id: u64,
        nodes: u64,
        life: u64,
        disk: Self::Disk,
        setup: &Self::Setup,
        out: &mut Sent<Self::Msg>,
    ) -> Self;
    /// A handshake: the peer is there, in this life.
    fn meet(&mut self, peer: u64, life: u64, out: &mut Sent<Self::Msg>);
    fn receive(&mut self, from: u64, msg: Self::Msg, out: &mut Sent<Self::Msg>);
    /// Asks a leader to commit a command.
    fn propose(&mut self, command: u64, out: &mut Sent<Self::Msg>);
    /// A heartbeat interval passes.
    fn beat(&mut self, out: &mut Sent<Self::Msg>);
    /// An election timeout passes in which nobody is heard.
    fn silence(&mut self);
    /// Stands for election.
    fn campaign(&mut self, out: &mut Sent<Self::Msg>);
    /// The disk stops writing, or goes on.
    fn hang(&mut self, hung: bool, out: &mut Sent<Self::Msg>);
    /// Power loss.
    fn crash(self) -> Self::Disk;
    fn leads(&self) -> bool;
    /// The commands in its log, committed or not.
    fn log(&self) -> Vec<u64>;
    /// The commands that were committed, as far as this life has learned since it was asked last.
    fn take_committed(&mut self) -> Vec<u64>;
}

/// A command as bytes.
pub fn bytes_of(command: u64) -> [u8; 8] {
    command.to_le_bytes()
}

/// And back; `None` for what the protocol itself puts into the log.
pub fn command_of(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}
