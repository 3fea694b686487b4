use super::ByPlace;
use quorate::ScopeId;
use quorate::raft::{LogId, RaftPort};
use quorate::sim::{Invariant, Touch, Touched, World};
use quorate::work::{Dispatcher, Work};

/// No task lost, none committed twice, every result under the live lease, the order of the graph kept: the
/// scheduler's books, read again whenever a replica has applied something.
#[derive(Debug)]
pub struct WorkAudit {
    scope: ScopeId,
    seen: ByPlace<LogId>,
}

impl WorkAudit {
    /// Of this scope.
    pub fn new(scope: ScopeId) -> Self {
        WorkAudit { scope, seen: ByPlace::default() }
    }
}

impl<A> Invariant<A> for WorkAudit {
    fn name(&self) -> &str {
        "no task lost, none committed twice"
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        let seen = self.seen.of(touch.place);
        if touch.how != Touched::Stepped {
            *seen = LogId::ZERO;
        }
        let port = |host: &'_ quorate::core::Host| -> Option<(LogId, bool, String)> {
            let (work, at) = host.port::<RaftPort<Work, Dispatcher>>(self.scope)?.state()?;
            if at == *seen {
                return None;
            }
            let audit = work.audit();
            Some((at, audit.is_clean(), if audit.is_clean() { String::new() } else { format!("{audit:?}") }))
        };
        let Some((at, clean, text)) = world.host_at(touch.place).and_then(port) else { return Ok(()) };
        *seen = at;
        match clean {
            true => Ok(()),
            false => Err(format!("on {} at {at}: {text}", touch.node)),
        }
    }
}
