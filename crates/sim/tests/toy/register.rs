//! A register on one node that others ask: the smallest thing that a checker can judge. Planted: a copy on the asking
//! node that answers reads from what it saw last.

use quorate_core::{
    Assembly, ClusterId, Corrupt, Cx, Door, HostBuilder, Input, NodeId, Port, PortCx, Promise, Protocol,
    ScopeId, Ticket, Time, promise, wire_by_postcard,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const REGISTER: ScopeId = ScopeId::new("toy", "register", 0);
const KEEPER: NodeId = NodeId(1);

/// Where reads are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    AtTheKeeper,
    /// The planted bug.
    FromTheCopy,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Msg {
    Write { id: u64, value: u64 },
    Read { id: u64 },
    Answer { id: u64, value: Option<u64> },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Written {
    id: u64,
    value: u64,
}
wire_by_postcard!(Msg, Written);

#[derive(Debug)]
struct Register {
    reads: Reads,
    me: NodeId,
    /// Writes that were taken: who is asked again does not write again.
    written: BTreeSet<u64>,
    value: Option<u64>,
    copy: Option<u64>,
    asked: BTreeMap<u64, (Msg, Time)>,
}

impl Register {
    fn answer(&mut self, id: u64, value: Option<u64>, cx: &mut Cx<'_, Register>) {
        if self.asked.remove(&id).is_some() {
            self.copy = value;
            cx.emit((id, value));
        }
    }
}

impl Protocol for Register {
    type Msg = Msg;
    type Cmd = Msg;
    type Event = (u64, Option<u64>);
    type Record = Written;

    fn step(&mut self, input: Input<Register>, cx: &mut Cx<'_, Register>) {
        match input {
            Input::Command(msg) => {
                let (Msg::Write { id, .. } | Msg::Read { id } | Msg::Answer { id, .. }) = msg;
                if self.reads == Reads::FromTheCopy && self.copy.is_some() && matches!(msg, Msg::Read { .. })
                {
                    return cx.emit((id, self.copy));
                }
                self.asked.insert(id, (msg, cx.now));
            }
            Input::Wake => {
                let now = cx.now;
                for (msg, again) in self.asked.values_mut().filter(|(_, again)| *again <= now) {
                    *again = now + Duration::from_millis(20);
                    cx.send(KEEPER, *msg);
                }
            }
            Input::Message { from, msg } if self.me == KEEPER => match msg {
                Msg::Write { id, value } => {
                    if self.written.insert(id) {
                        cx.append(Written { id, value });
                        self.value = Some(value);
                    }
                    cx.send(from, Msg::Answer { id, value: self.value });
                }
                Msg::Read { id } => cx.send(from, Msg::Answer { id, value: self.value }),
                Msg::Answer { .. } => {}
            },
            Input::Message { msg: Msg::Answer { id, value }, .. } => self.answer(id, value, cx),
            _ => {}
        }
    }

    fn wake_at(&self) -> Time {
        self.asked.values().map(|(_, again)| *again).min().unwrap_or(Time::NEVER)
    }

    fn replay(&mut self, Written { id, value }: Written) -> Result<(), Corrupt> {
        self.written.insert(id);
        self.value = Some(value);
        Ok(())
    }
}

struct Ask {
    write: Option<u64>,
    promise: Promise<Option<u64>>,
}

#[derive(Default)]
struct Desk(BTreeMap<u64, Promise<Option<u64>>>);

impl Port<Register> for Desk {
    type Ask = Ask;

    fn ask(&mut self, mut ask: Ask, cx: &mut PortCx<'_, Register>) {
        let id = cx.rng.bits();
        ask.promise.mark_in_doubt();
        self.0.insert(id, ask.promise);
        cx.command(ask.write.map_or(Msg::Read { id }, |value| Msg::Write { id, value }));
    }

    fn event(&mut self, (id, value): (u64, Option<u64>), _: &mut PortCx<'_, Register>) {
        if let Some(promise) = self.0.remove(&id) {
            promise.done(value);
        }
    }
}

/// The handle.
pub struct App(Door);

impl App {
    pub fn read(&self) -> Ticket<Option<u64>> {
        self.ask(None)
    }

    pub fn write(&self, value: u64) -> Ticket<Option<u64>> {
        self.ask(Some(value))
    }

    fn ask(&self, write: Option<u64>) -> Ticket<Option<u64>> {
        let (promise, ticket) = promise();
        match self.0.enter() {
            Ok(place) => place.put(REGISTER, Box::new(Ask { write, promise })),
            Err(reason) => promise.reject(reason),
        }
        ticket
    }
}

pub fn node(id: NodeId, reads: Reads) -> (Assembly, App) {
    let mut host = HostBuilder::new();
    let register =
        Register { reads, me: id, written: BTreeSet::new(), value: None, copy: None, asked: BTreeMap::new() };
    host.scope(REGISTER, register, Desk::default());
    let door = Door::new(1000);
    let host = host.build().expect("one scope fits with itself");
    (Assembly { id, cluster: ClusterId(7), host, door: door.clone() }, App(door))
}
