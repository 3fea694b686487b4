//! One scope behind erased types.

use super::{Host, HostEvent, HostMsg, HostRecord, Marks, pass_on};
use crate::{
    Answer, AnyAsk, Boot, Corrupt, Cx, Effect, Hold, Input, JobPanic, LinkState, Mark, NodeId, Notice,
    Outbox, Port, PortCx, Protocol, Rng, ScopeId, Slots, Time, Wire, wire,
};
use bytes::{Bytes, BytesMut};
use std::any::Any;

/// Effects that room is kept for from one call to the next: what a burst took is given back.
const EFFECTS_KEPT: usize = 256;

/// What a scope may use while it is called.
pub(crate) struct Env<'a, 'b> {
    pub(crate) scope: ScopeId,
    pub(crate) cx: &'a mut Cx<'b, Host>,
    pub(crate) scratch: &'a mut BytesMut,
    pub(crate) notices: &'a mut Vec<Box<dyn Notice>>,
}

pub(crate) trait AnyScope: Send {
    fn seed(&mut self, rng: Rng);
    fn start(&mut self, boot: Boot, env: &mut Env<'_, '_>);
    /// False if the body is not a message of this scope.
    fn message(&mut self, from: NodeId, body: Bytes, env: &mut Env<'_, '_>) -> bool;
    /// False if the ask is not of this scope's type.
    fn ask(&mut self, ask: AnyAsk, env: &mut Env<'_, '_>) -> bool;
    fn done(&mut self, answer: Result<Answer, JobPanic>, env: &mut Env<'_, '_>);
    fn wake(&mut self, env: &mut Env<'_, '_>);
    fn durable(&mut self, host: Mark, env: &mut Env<'_, '_>);
    fn link(&mut self, peer: NodeId, state: LinkState, env: &mut Env<'_, '_>);
    fn stop(&mut self, env: &mut Env<'_, '_>);
    fn replay(&mut self, record: Bytes) -> Result<(), Corrupt>;
    fn wake_at(&self) -> Time;
    fn held(&self) -> usize;
    fn protocol(&self) -> &dyn Any;
    fn port(&self) -> &dyn Any;
}

pub(super) struct Scoped<P: Protocol, Q> {
    protocol: P,
    port: Q,
    rng: Rng,
    out: Outbox<P>,
    hold: Hold<P>,
    marks: Marks,
    effects: Slots<Effect<P>>,
    commands: Vec<P::Cmd>,
}

impl<P: Protocol, Q> Scoped<P, Q> {
    pub(super) fn new(protocol: P, port: Q) -> Self {
        Scoped {
            protocol,
            port,
            // Replaced at the start by a fork of the node's own.
            rng: Rng::from_seed(0),
            out: Outbox::default(),
            hold: Hold::default(),
            marks: Marks::default(),
            effects: Slots::default(),
            commands: Vec::new(),
        }
    }
}

impl<P, Q> Scoped<P, Q>
where
    P: Protocol,
    P::Msg: Wire,
    P::Record: Wire,
    Q: Port<P>,
{
    fn step(&mut self, input: Input<P>, env: &mut Env<'_, '_>) {
        self.protocol.step(input, &mut Cx::new(env.cx.now, env.cx.wall, &mut self.rng, &mut self.out));
        self.settle(env);
    }

    fn with_port(&mut self, env: &mut Env<'_, '_>, f: impl FnOnce(&mut Q, &mut PortCx<'_, P>)) {
        let mut cx = PortCx {
            now: env.cx.now,
            wall: env.cx.wall,
            rng: &mut self.rng,
            protocol: &self.protocol,
            commands: &mut self.commands,
            notices: env.notices,
        };
        f(&mut self.port, &mut cx);
    }

    /// Carries out effects and the port's commands until there are none, then hands out jobs.
    fn settle(&mut self, env: &mut Env<'_, '_>) {
        loop {
            self.out.swap(&mut self.effects);
            let mut effects = std::mem::take(&mut self.effects);
            let mut appended = Mark(
                self.out.appended().0
                    - effects.iter().filter(|e| matches!(e, Effect::Append(_))).count() as u64,
            );
            for effect in effects.drain() {
                match effect {
                    Effect::Append(record) => {
                        appended.0 += 1;
                        let bytes = wire::encode(&record, env.scratch);
                        let host = env.cx.append(HostRecord { scope: env.scope, bytes });
                        self.marks.push(host, appended);
                    }
                    Effect::Compact { upto, base } => {
                        assert!(!base.is_empty(), "a base says whose it is, so it has a record at least");
                        let scope = env.scope;
                        let encode = |record: &P::Record| HostRecord {
                            scope,
                            bytes: wire::encode(record, env.scratch),
                        };
                        let base = base.iter().map(encode).collect();
                        env.cx.compact(upto, base);
                    }
                    effect if effect.after() > self.out.durable() => self.hold.push(effect),
                    effect => self.carry_out(effect, env),
                }
            }
            effects.shrink_to(EFFECTS_KEPT);
            self.effects = effects;
            if self.commands.is_empty() && self.out.is_empty() {
                break;
            }
            let mut commands = std::mem::take(&mut self.commands);
            for cmd in commands.drain(..) {
                let mut cx = Cx::new(env.cx.now, env.cx.wall, &mut self.rng, &mut self.out);
                self.protocol.step(Input::Command(cmd), &mut cx);
            }
            self.commands = commands;
        }
        while let Some(job) = self.port.job(&self.protocol) {
            // A job is work inside this node; it promises nothing to anybody.
            env.cx.emit_now(HostEvent::Job { scope: env.scope, job });
        }
    }

    fn carry_out(&mut self, effect: Effect<P>, env: &mut Env<'_, '_>) {
        match effect {
            Effect::Send { to, msg, .. } => {
                let body = wire::encode(&msg, env.scratch);
                pass_on(env.cx, to, HostMsg { scope: env.scope, class: msg.class(), body });
            }
            Effect::Emit { event, .. } => self.with_port(env, |port, cx| port.event(event, cx)),
            Effect::Append(_) | Effect::Compact { .. } => unreachable!("records are never held"),
        }
    }
}

impl<P, Q> AnyScope for Scoped<P, Q>
where
    P: Protocol + Send + 'static,
    P::Msg: Wire + Send,
    P::Record: Wire + Send,
    P::Cmd: Send,
    P::Event: Send,
    Q: Port<P>,
{
    fn seed(&mut self, rng: Rng) {
        self.rng = rng;
    }

    fn start(&mut self, boot: Boot, env: &mut Env<'_, '_>) {
        self.step(Input::Start(boot), env);
    }

    fn message(&mut self, from: NodeId, body: Bytes, env: &mut Env<'_, '_>) -> bool {
        let Ok(msg) = wire::decode(body) else { return false };
        self.step(Input::Message { from, msg }, env);
        true
    }

    fn ask(&mut self, ask: AnyAsk, env: &mut Env<'_, '_>) -> bool {
        let Ok(ask) = ask.downcast::<Q::Ask>() else { return false };
        self.with_port(env, |port, cx| port.ask(*ask, cx));
        self.settle(env);
        true
    }

    fn done(&mut self, answer: Result<Answer, JobPanic>, env: &mut Env<'_, '_>) {
        self.with_port(env, |port, cx| port.done(answer, cx));
        self.settle(env);
    }

    fn wake(&mut self, env: &mut Env<'_, '_>) {
        if self.port.wake_at() <= env.cx.now {
            self.with_port(env, |port, cx| port.wake(cx));
            self.settle(env);
        }
        if self.protocol.wake_at() <= env.cx.now {
            self.step(Input::Wake, env);
        }
    }

    fn durable(&mut self, host: Mark, env: &mut Env<'_, '_>) {
        let Some(mark) = self.marks.durable(host) else { return };
        self.out.note_durable(mark);
        while let Some(effect) = self.hold.release(mark) {
            self.carry_out(effect, env);
        }
        self.step(Input::Durable(mark), env);
    }

    fn link(&mut self, peer: NodeId, state: LinkState, env: &mut Env<'_, '_>) {
        self.step(Input::Link { peer, state }, env);
    }

    fn stop(&mut self, _: &mut Env<'_, '_>) {
        self.port.stop();
    }

    fn replay(&mut self, record: Bytes) -> Result<(), Corrupt> {
        let record = wire::decode(record).map_err(|e| Corrupt::new(e.to_string()))?;
        self.protocol.replay(record)?;
        self.out.note_replayed();
        Ok(())
    }

    fn wake_at(&self) -> Time {
        self.protocol.wake_at().min(self.port.wake_at())
    }

    fn held(&self) -> usize {
        self.hold.len()
    }

    fn protocol(&self) -> &dyn Any {
        &self.protocol
    }

    fn port(&self) -> &dyn Any {
        &self.port
    }
}
