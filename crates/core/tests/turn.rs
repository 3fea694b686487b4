//! The rules by which effects leave, with a protocol that does as it is told.

use quorate_core::{
    Corrupt, Cx, Input, Io, Mark, NodeId, Protocol, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};

/// What one step is to do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write(u32),
    Promise(u32),
    Say(u32),
    Tell(u32),
}

/// Does what it is told, and answers each sync by one more record for as long as it is told to.
#[derive(Debug)]
struct Obedient {
    more: u32,
}

impl Protocol for Obedient {
    type Msg = u32;
    type Cmd = Vec<Act>;
    type Event = u32;
    type Record = u32;

    fn step(&mut self, input: Input<Obedient>, cx: &mut Cx<'_, Obedient>) {
        match input {
            Input::Command(acts) => acts.into_iter().for_each(|act| match act {
                Act::Write(record) => {
                    cx.append(record);
                }
                Act::Promise(msg) => cx.send(NodeId(1), msg),
                Act::Say(msg) => cx.send_now(NodeId(1), msg),
                Act::Tell(event) => cx.emit(event),
            }),
            Input::Durable(mark) => {
                assert_eq!(mark, cx.durable());
                cx.send_now(NodeId(2), mark.0 as u32);
                if self.more > 0 {
                    self.more -= 1;
                    cx.append(1000);
                    cx.send(NodeId(3), 1000);
                }
            }
            _ => {}
        }
    }

    fn wake_at(&self) -> Time {
        Time::NEVER
    }

    fn replay(&mut self, _: u32) -> Result<(), Corrupt> {
        Ok(())
    }
}

/// What became of effects, in order.
#[derive(Debug, PartialEq)]
enum Done {
    Wrote(u32),
    Sent(u64, u32),
    Told(u32),
}

struct Hands {
    at_once: bool,
    done: Vec<Done>,
}

impl Io<Obedient> for Hands {
    fn append(&mut self, record: u32) -> usize {
        self.done.push(Done::Wrote(record));
        4
    }
    fn keeps_at_once(&self) -> bool {
        self.at_once
    }
    fn compact(&mut self, _: Mark, _: Vec<u32>) {}
    fn send(&mut self, to: Recipients, msg: u32) {
        self.done.extend(to.as_slice().iter().map(|to| Done::Sent(to.0, msg)));
    }
    fn emit(&mut self, event: u32) {
        self.done.push(Done::Told(event));
    }
}

struct Bed {
    turn: Turn<Obedient>,
    hands: Hands,
    rng: Rng,
}

impl Bed {
    fn new(at_once: bool, more: u32) -> Bed {
        let turn = Turn::new(Obedient { more }, TurnLimits::default());
        Bed { turn, hands: Hands { at_once, done: Vec::new() }, rng: Rng::from_seed(1) }
    }

    fn step(&mut self, input: Input<Obedient>) -> Vec<Done> {
        self.turn.step(input, Time(1), Wall(0), &mut self.rng, &mut self.hands);
        std::mem::take(&mut self.hands.done)
    }
}

const ACTS: [Act; 6] =
    [Act::Promise(1), Act::Write(2), Act::Promise(3), Act::Say(4), Act::Tell(5), Act::Write(6)];

#[test]
fn what_promises_leaves_when_all_before_it_is_on_disk_and_not_before() {
    use Done::{Sent, Told, Wrote};
    let mut bed = Bed::new(false, 0);
    assert_eq!(
        bed.step(Input::Command(ACTS.to_vec())),
        [Sent(1, 1), Wrote(2), Sent(1, 4), Wrote(6)],
        "the promise behind the record waits, and so does what is told"
    );
    assert_eq!((bed.turn.sync_due(), bed.turn.undurable_bytes()), (Some(Mark(2)), 8));
    assert_eq!(bed.turn.sync_due(), None, "one sync at a time");
    assert_eq!(bed.step(Input::Durable(Mark(2))), [Sent(1, 3), Told(5), Sent(2, 2)]);
    assert_eq!((bed.turn.sync_due(), bed.turn.undurable_bytes()), (None, 0));
}

#[test]
fn with_a_journal_that_keeps_at_once_nothing_waits_and_the_protocol_hears_of_it_in_the_same_turn() {
    use Done::{Sent, Told, Wrote};
    let mut bed = Bed::new(true, 2);
    assert_eq!(
        bed.step(Input::Command(ACTS.to_vec())),
        [
            Sent(1, 1),
            Wrote(2),
            Sent(1, 3),
            Sent(1, 4),
            Told(5),
            Wrote(6),
            Sent(2, 2),
            Wrote(1000),
            Sent(3, 1000),
            Sent(2, 3),
            Wrote(1000),
            Sent(3, 1000),
            Sent(2, 4),
        ],
        "each of its answers is on disk as well, until it has none"
    );
    assert_eq!((bed.turn.sync_due(), bed.turn.undurable_bytes()), (None, 0));
    assert!(!bed.turn.is_full());
}
