//! The application's half of a protocol: its promises, its readers, its state machine. And the jobs that a
//! port hands out, so that no step is ever long.

use crate::{Blobs, Protocol, Rng, ScopeId, Time, Wall};
use std::any::Any;
use std::fmt::{self, Debug};

/// What stands between a protocol and the application.
pub trait Port<P: Protocol>: Send + 'static {
    /// What handles ask; carries its own promise.
    type Ask: Send + 'static;

    /// Told once, before anything else: the scope under which its jobs keep their objects.
    fn placed(&mut self, _scope: ScopeId) {}
    /// A handle asks.
    fn ask(&mut self, ask: Self::Ask, cx: &mut PortCx<'_, P>);
    /// The protocol tells.
    fn event(&mut self, event: P::Event, cx: &mut PortCx<'_, P>);
    /// The next job, if there is one and its turn has come. Called after every step until it is `None`. Of
    /// [`JobKind::Own`] jobs at most one may be out.
    fn job(&mut self, _protocol: &P) -> Option<Job> {
        None
    }
    /// A job ended: with its answer, or in a panic. Jobs that were out when a node crashed never end.
    fn done(&mut self, _answer: Result<Answer, JobPanic>, _cx: &mut PortCx<'_, P>) {}
    /// When the port itself wants to be woken: deadlines of its promises.
    fn wake_at(&self) -> Time {
        Time::NEVER
    }
    /// Its time has come.
    fn wake(&mut self, _cx: &mut PortCx<'_, P>) {}
    /// The node stops: every promise is to be settled. Dropping them does.
    fn stop(&mut self) {}
}

/// What a port may know and do while it is called.
pub struct PortCx<'a, P: Protocol> {
    /// This node's clock.
    pub now: Time,
    /// UTC as the machine believes.
    pub wall: Wall,
    /// Chance, of this scope's own stream.
    pub rng: &'a mut Rng,
    /// The protocol, to read from: the log by reference, say.
    pub protocol: &'a P,
    pub(crate) commands: &'a mut Vec<P::Cmd>,
    pub(crate) notices: &'a mut Vec<Box<dyn Notice>>,
}

impl<'a, P: Protocol> PortCx<'a, P> {
    /// A context that writes into these, for ports that hold others.
    pub fn new(
        now: Time,
        wall: Wall,
        rng: &'a mut Rng,
        protocol: &'a P,
        commands: &'a mut Vec<P::Cmd>,
        notices: &'a mut Vec<Box<dyn Notice>>,
    ) -> PortCx<'a, P> {
        PortCx { now, wall, rng, protocol, commands, notices }
    }

    /// Asks the protocol; taken before anything else comes in.
    pub fn command(&mut self, cmd: P::Cmd) {
        self.commands.push(cmd);
    }

    /// Tells observers and the wires to other scopes.
    pub fn notice(&mut self, notice: impl Notice) {
        self.notices.push(Box::new(notice));
    }

    /// The same for one that is boxed already.
    pub fn boxed_notice(&mut self, notice: Box<dyn Notice>) {
        self.notices.push(notice);
    }
}

/// What a port tells observers. Lossy for them: they have bounded queues that count what they dropped. One value
/// is shared by all of them, on whatever threads they are: hence `Sync`.
pub trait Notice: Any + Debug + Send + Sync {}
impl<T: Any + Debug + Send + Sync> Notice for T {}

/// A notice for whoever runs the node, in words: something is wrong that nothing here mends. Nodes write it to their log as a
/// warning, whoever else watches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm(String);

impl Alarm {
    /// With these words.
    pub fn new(text: impl Into<String>) -> Alarm {
        Alarm(text.into())
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a job answers; the port that made it knows the type.
pub type Answer = Box<dyn Any + Send>;

/// Who runs a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobKind {
    /// In order, one at a time a scope: the job owns the user's state while it runs.
    Own,
    /// Pure: any thread, any order.
    Pool,
}

type Run = Box<dyn FnOnce(&mut dyn Blobs) -> Answer + Send>;

/// Long work, as a value that the driver runs where it likes.
pub struct Job {
    kind: JobKind,
    run: Run,
}

/// A job panicked. The state it owned is lost, and its scope is poisoned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job panicked: {0}")]
pub struct JobPanic(pub String);

impl Job {
    /// Work that runs alone for its scope and in order.
    pub fn own<A: Any + Send>(run: impl FnOnce(&mut dyn Blobs) -> A + Send + 'static) -> Job {
        Job { kind: JobKind::Own, run: Box::new(move |blobs| Box::new(run(blobs))) }
    }

    /// Work that may run anywhere and end in any order.
    pub fn pool<A: Any + Send>(run: impl FnOnce(&mut dyn Blobs) -> A + Send + 'static) -> Job {
        Job { kind: JobKind::Pool, run: Box::new(move |blobs| Box::new(run(blobs))) }
    }

    /// Who runs it.
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// Runs it, here. A panic inside is caught and becomes the job's end.
    pub fn run(self, blobs: &mut dyn Blobs) -> Result<Answer, JobPanic> {
        // The state that the job owned is dropped with it, so nothing half-changed can be seen afterwards.
        let run = std::panic::AssertUnwindSafe(|| (self.run)(blobs));
        std::panic::catch_unwind(run).map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            JobPanic(
                text.or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".into()),
            )
        })
    }
}

impl Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({:?})", self.kind)
    }
}
