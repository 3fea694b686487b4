//! The suite is a check, so it must be able to fail: it passes the loopback and a transport that is as bad as
//! transports may be, and finds each of the broken ones.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests may fail them.

use bytes::Bytes;
use quorate_transport::conformance::{Lab, check};
use quorate_transport::{Frame, Inbox, Loopback, LoopbackTransport, NodeId, Transport};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Time that passes by being asked for, and by being waited for.
#[derive(Clone, Default)]
struct Clock(Arc<Mutex<Duration>>);

impl Clock {
    fn pass(&self, time: Duration) -> Duration {
        let mut now = self.0.lock().unwrap();
        *now += time;
        *now
    }
}

struct OverLoopback(Loopback, Clock);

impl Lab for OverLoopback {
    type Net = LoopbackTransport;
    fn start(&mut self, id: NodeId, inbox: Inbox) -> LoopbackTransport {
        self.0.transport(id, inbox)
    }
    fn wait(&mut self, done: &mut dyn FnMut() -> bool) -> bool {
        done()
    }
    fn now(&mut self) -> Duration {
        self.1.pass(Duration::from_micros(1))
    }
}

#[test]
fn the_loopback_conforms() {
    check(&mut OverLoopback(Loopback::new(), Clock::default())).unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    /// Loses, doubles and reorders, which is allowed.
    Unkind,
    DropsEverything,
    DropsEmptyBodies,
    DropsTheLargest,
    Truncates,
    TruncatesLarge,
    CorruptsOneBit,
    CorruptsTheHead,
    SwapsSender,
    Misdelivers,
    RepeatsTheHeadOfAnother,
    MergesFrames,
    SplitsFrames,
    CutsWhatIsTooLarge,
    StopsAfterTheUnknown,
    BlocksWhenAbsent,
    BlocksWhenFull,
    StallsForAllWhenOneIsFull,
    ForgetsRestartedReceivers,
    ForgetsRestartedSenders,
    DeliversToTheDead,
    CarriesNothing,
}

#[derive(Default)]
struct Air {
    inboxes: BTreeMap<NodeId, Vec<Inbox>>,
    starts: BTreeMap<NodeId, usize>,
    /// Waits for the next frame: to be merged with it, or to be overtaken.
    kept: Option<(NodeId, NodeId, Bytes)>,
    last_head: Option<(Bytes, [u8; 32])>,
    sent: usize,
    running: usize,
    stuck: bool,
}

struct Toy {
    me: NodeId,
    broken: Broken,
    air: Arc<Mutex<Air>>,
    clock: Clock,
}

impl Toy {
    fn put(&self, air: &mut Air, from: NodeId, to: NodeId, frame: Bytes) {
        let Some(lives) = air.inboxes.get(&to) else {
            air.stuck |= self.broken == Broken::StopsAfterTheUnknown && to.0 == 99;
            if self.broken == Broken::BlocksWhenAbsent {
                self.clock.pass(Duration::from_secs(1));
            }
            return;
        };
        let life = match self.broken {
            Broken::DeliversToTheDead => 0,
            _ => lives.len() - 1,
        };
        if self.broken == Broken::ForgetsRestartedReceivers && lives.len() > 1 {
            return;
        }
        if self.broken == Broken::ForgetsRestartedSenders && air.starts[&from] > 1 {
            return;
        }
        if lives[life].deliver(from, frame).is_err() {
            match self.broken {
                Broken::BlocksWhenFull => drop(self.clock.pass(Duration::from_secs(1))),
                Broken::StallsForAllWhenOneIsFull => air.stuck = true,
                _ => {}
            }
        }
    }
}

impl Transport for Toy {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        let shared = self.air.clone();
        let air = &mut *shared.lock().unwrap();
        let (me, whole) = (self.me, frame.to_bytes());
        let most = self.frame_bytes_max();
        air.sent += 1;
        if air.stuck || (whole.len() > most && self.broken != Broken::CutsWhatIsTooLarge) {
            return;
        }
        let changed = |at: usize| {
            let mut bytes = whole.to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 4;
            }
            Bytes::from(bytes)
        };
        match self.broken {
            Broken::Unkind => {
                let kept = air.kept.take();
                if air.sent.is_multiple_of(3) {
                    self.put(air, me, to, whole.clone());
                    self.put(air, me, to, whole);
                } else if !air.sent.is_multiple_of(5) {
                    air.kept = Some((me, to, whole));
                }
                if let Some((from, to, frame)) = kept {
                    self.put(air, from, to, frame);
                }
            }
            Broken::DropsEverything => {}
            Broken::DropsEmptyBodies if frame.body.is_empty() => {}
            Broken::DropsTheLargest if whole.len() == most => {}
            Broken::Truncates => self.put(air, me, to, whole.slice(..whole.len() - 1)),
            Broken::TruncatesLarge => self.put(air, me, to, whole.slice(..whole.len().min(65_535))),
            Broken::CorruptsOneBit => self.put(air, me, to, changed(whole.len() / 2)),
            Broken::CorruptsTheHead => self.put(air, me, to, changed(31)),
            Broken::SwapsSender => self.put(air, NodeId(me.0 % 4 + 1), to, whole),
            Broken::Misdelivers => {
                self.put(air, me, NodeId(if to.0 == 3 { 4 } else { to.0 }), whole);
            }
            Broken::RepeatsTheHeadOfAnother => {
                let head = match &air.last_head {
                    Some((body, head)) if *body == frame.body => *head,
                    _ => frame.head,
                };
                air.last_head = Some((frame.body.clone(), head));
                self.put(air, me, to, Frame { head, body: frame.body.clone() }.to_bytes());
            }
            Broken::MergesFrames => match air.kept.take() {
                Some((from, kept_to, kept)) if (from, kept_to) == (me, to) => {
                    self.put(air, me, to, Bytes::from([&kept[..], &whole[..]].concat()));
                }
                _ => air.kept = Some((me, to, whole)),
            },
            Broken::SplitsFrames => {
                let cut = whole.len().min(1400);
                self.put(air, me, to, whole.slice(..cut));
                if cut < whole.len() {
                    self.put(air, me, to, whole.slice(cut..));
                }
            }
            Broken::CutsWhatIsTooLarge => self.put(air, me, to, whole.slice(..whole.len().min(most))),
            _ => self.put(air, me, to, whole),
        }
    }

    fn frame_bytes_max(&self) -> usize {
        if self.broken == Broken::CarriesNothing { 32 } else { 100_000 }
    }
}

struct Workshop(Broken, Arc<Mutex<Air>>, Clock);

impl Lab for Workshop {
    type Net = Toy;
    fn start(&mut self, id: NodeId, inbox: Inbox) -> Toy {
        let mut air = self.1.lock().unwrap();
        air.inboxes.entry(id).or_default().push(inbox);
        *air.starts.entry(id).or_default() += 1;
        air.running += 1;
        Toy { me: id, broken: self.0, air: self.1.clone(), clock: self.2.clone() }
    }
    fn stop(&mut self, id: NodeId, net: Toy) {
        drop(net);
        let mut air = self.1.lock().unwrap();
        match self.0 {
            Broken::DeliversToTheDead => {}
            Broken::ForgetsRestartedReceivers => {
                air.inboxes.insert(id, vec![Inbox::default()]);
            }
            _ => drop(air.inboxes.remove(&id)),
        }
        air.running -= 1;
        // The suite stops all nodes between two checks: then a toy forgets everything.
        if air.running == 0 {
            *air = Air::default();
        }
    }
    fn wait(&mut self, done: &mut dyn FnMut() -> bool) -> bool {
        done()
    }
    fn now(&mut self) -> Duration {
        self.2.pass(Duration::from_micros(1))
    }
}

fn verdict(broken: Broken) -> Option<String> {
    check(&mut Workshop(broken, Arc::default(), Clock::default())).err().map(|flaw| flaw.to_string())
}

#[test]
fn loss_doubling_and_disorder_are_no_flaws() {
    assert_eq!(verdict(Broken::Unkind), None);
}

#[test]
fn every_broken_transport_is_found_and_told_what_it_did() {
    use Broken::*;
    let cases = [
        (DropsEverything, "every size", "never came"),
        (DropsEmptyBodies, "every size", "of 32 bytes"),
        (DropsTheLargest, "every size", "of 100000 bytes"),
        (Truncates, "every size", "that nobody sent"),
        (TruncatesLarge, "every size", "of 65535 bytes"),
        (CorruptsOneBit, "every size", "that nobody sent"),
        (CorruptsTheHead, "every size", "that nobody sent"),
        (SwapsSender, "every size", "a frame of n1 under the name of n2"),
        (CarriesNothing, "every size", "no body fits"),
        (SplitsFrames, "every size", "that nobody sent"),
        (MergesFrames, "every size", "of 64 bytes"),
        (RepeatsTheHeadOfAnother, "the head of each", "n3 got a frame that was for n2"),
        (Misdelivers, "the head of each", "n4 got a frame that was for n3"),
        (CutsWhatIsTooLarge, "beyond the maximum", "of 100000 bytes"),
        (StopsAfterTheUnknown, "unknown peer", "never came"),
        (BlocksWhenAbsent, "unknown peer", "send waits"),
        (BlocksWhenFull, "takes nothing", "send waits"),
        (StallsForAllWhenOneIsFull, "takes nothing", "never came"),
        (ForgetsRestartedReceivers, "that restarted", "never came"),
        (ForgetsRestartedSenders, "that restarted", "never came"),
        (DeliversToTheDead, "that restarted", "after it was stopped"),
    ];
    for (broken, check, what) in cases {
        let found = verdict(broken).unwrap_or_else(|| panic!("{broken:?} passes"));
        assert!(found.contains(check) && found.contains(what), "{broken:?}: {found}");
        println!("{broken:?}: {found}");
    }
}
