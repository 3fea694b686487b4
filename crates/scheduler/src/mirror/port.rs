//! The port: asks become commands, and what a mirror tells becomes notices, for the wires to other scopes.

use super::{Mirror, MirrorCmd, MirrorCounters, MirrorEvent};
use quorate_core::{Port, PortCx, Promise};

/// What a handle, or a wire of another scope, asks.
#[derive(Debug)]
pub enum MirrorAsk {
    /// Do these, in order: they leave in one message a peer.
    Do(Vec<MirrorCmd>),
    /// What happened so far?
    Counters(Promise<MirrorCounters>),
}

/// The port of a [`Mirror`]. Its notices are [`MirrorEvent`]s.
#[derive(Debug, Default)]
pub struct MirrorPort;

impl Port<Mirror> for MirrorPort {
    type Ask = MirrorAsk;

    fn ask(&mut self, ask: MirrorAsk, cx: &mut PortCx<'_, Mirror>) {
        match ask {
            MirrorAsk::Do(commands) => commands.into_iter().for_each(|cmd| cx.command(cmd)),
            MirrorAsk::Counters(promise) => promise.done(cx.protocol.counters()),
        }
    }

    fn event(&mut self, event: MirrorEvent, cx: &mut PortCx<'_, Mirror>) {
        cx.notice(event);
    }
}
