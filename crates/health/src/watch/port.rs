//! The port: asks become commands, events become notices. It keeps no promises but reads.

use super::{Census, Verdict, Watch, WatchCmd, WatchCounters, WatchEvent};
use quorate_core::{Port, PortCx, Promise};

/// News of a watch, for observers and for the wires to other scopes. Levels: see [`Verdict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts(pub Vec<Verdict>);

/// What a handle, or a wire of another scope, asks.
#[derive(Debug)]
pub enum WatchAsk {
    /// Do this. There is no answer: what it leads to is told in beats and verdicts.
    Do(WatchCmd),
    /// How do all stand?
    Status(Promise<WatchStatus>),
}

/// How all stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchStatus {
    /// Nodes watched here.
    pub nodes: Census,
    /// Agents watched here.
    pub agents: Census,
    /// Agents that live here.
    pub hosted: usize,
    /// What was refused.
    pub counters: WatchCounters,
}

/// The port of a [`Watch`].
#[derive(Debug, Default)]
pub struct WatchPort;

impl Port<Watch> for WatchPort {
    type Ask = WatchAsk;

    fn ask(&mut self, ask: WatchAsk, cx: &mut PortCx<'_, Watch>) {
        match ask {
            WatchAsk::Do(cmd) => cx.command(cmd),
            WatchAsk::Status(promise) => {
                let (nodes, agents) = cx.protocol.census();
                let (hosted, counters) = (cx.protocol.hosted(), cx.protocol.counters());
                promise.done(WatchStatus { nodes, agents, hosted, counters });
            }
        }
    }

    fn event(&mut self, event: WatchEvent, cx: &mut PortCx<'_, Watch>) {
        match event {
            WatchEvent::Verdicts(verdicts) => cx.notice(Verdicts(verdicts)),
        }
    }
}
