//! Putting a host together, with every mistake named before anything runs.

use super::scope::Scoped;
use super::{Cable, Host, HostCounters, Slot};
use crate::{AnyAsk, Port, Protocol, ScopeId, Time, Wire};
use bytes::BytesMut;
use std::any::Any;

/// Collects scopes and the wires between them.
#[derive(Default)]
pub struct HostBuilder {
    scopes: Vec<Slot>,
    cables: Vec<Cable>,
}

/// Scopes that do not fit together. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Two scopes of one kind, name and generation (or, with odds of 2^-64, of one hash).
    #[error("scope {0} is there twice")]
    Twice(ScopeId),
    /// A wire ends at a scope that is not here.
    #[error("a wire names scope {0}, which is not here")]
    LooseWire(ScopeId),
    /// Wires lead from a scope back to itself.
    #[error("the wires run in a circle through {0}")]
    Circle(ScopeId),
}

impl HostBuilder {
    /// No scopes yet.
    pub fn new() -> HostBuilder {
        HostBuilder::default()
    }

    /// Adds a protocol with its port.
    pub fn scope<P, Q>(&mut self, id: ScopeId, protocol: P, mut port: Q) -> &mut Self
    where
        P: Protocol + Send + 'static,
        P::Msg: Wire + Send,
        P::Record: Wire + Send,
        P::Cmd: Send,
        P::Event: Send,
        Q: Port<P>,
    {
        port.placed(id);
        let scope = Box::new(Scoped::new(protocol, port));
        self.scopes.push(Slot { id, wake_at: Time::NEVER, scope });
        self
    }

    /// Carries what the port of `from` tells, where `convert` makes an ask of it, to the port of `to`. What
    /// crosses is a level, not an edge: it is told again after a start, and its target is idempotent.
    pub fn wire<N: 'static, A: Send + 'static>(
        &mut self,
        from: ScopeId,
        to: ScopeId,
        mut convert: impl FnMut(&N) -> Option<A> + Send + 'static,
    ) -> &mut Self {
        let convert = move |notice: &dyn Any| {
            let ask = convert(notice.downcast_ref::<N>()?)?;
            Some(Box::new(ask) as AnyAsk)
        };
        self.cables.push(Cable { from, to, convert: Box::new(convert) });
        self
    }

    /// The host, or what is wrong with it.
    pub fn build(mut self) -> Result<Host, HostError> {
        self.scopes.sort_by_key(|slot| slot.id);
        if let Some(pair) = self.scopes.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(HostError::Twice(pair[0].id));
        }
        for cable in &self.cables {
            for end in [cable.from, cable.to] {
                if !self.scopes.iter().any(|slot| slot.id == end) {
                    return Err(HostError::LooseWire(end));
                }
            }
        }
        self.refuse_circles()?;
        Ok(Host {
            scopes: self.scopes,
            cables: self.cables,
            counters: HostCounters::default(),
            scratch: BytesMut::new(),
            notices: Vec::new(),
        })
    }

    /// Takes away scopes that nothing leads to until none is left or all have something leading to them.
    fn refuse_circles(&self) -> Result<(), HostError> {
        let mut left: Vec<(ScopeId, ScopeId)> =
            self.cables.iter().map(|cable| (cable.from, cable.to)).collect();
        loop {
            let before = left.len();
            let targets: Vec<ScopeId> = left.iter().map(|(_, to)| *to).collect();
            left.retain(|(from, _)| targets.contains(from));
            match left.first() {
                None => return Ok(()),
                Some((from, _)) if left.len() == before => return Err(HostError::Circle(*from)),
                Some(_) => {}
            }
        }
    }
}

impl std::fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostBuilder({} scopes, {} wires)", self.scopes.len(), self.cables.len())
    }
}
