//! The transport over Maelstrom's messages under the suite that every transport must pass.

use crate::net::Net;
use crate::wire::{Message, Out};
use quorate::NodeId;
use quorate::transport::Inbox;
use quorate::transport::conformance::{Lab, NODES, check};
use std::collections::BTreeMap;
use std::io::{Result, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Those that run, by name.
type Running = Arc<Mutex<BTreeMap<String, (Net, Inbox)>>>;

/// Takes each line to its addressee at once.
struct Carrier(Running);

impl Write for Carrier {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        let message: Message = serde_json::from_slice(line)?;
        if let Some((net, inbox)) = self.0.lock().unwrap().get(&message.dest) {
            net.take(&message, inbox);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

struct Workbench {
    running: Running,
    begun: Instant,
}

impl Lab for Workbench {
    type Net = Net;

    fn start(&mut self, id: NodeId, inbox: Inbox) -> Net {
        let nodes: Vec<String> = NODES.map(|id| format!("n{}", id.0 - 1)).to_vec();
        let me = nodes[id.0 as usize - 1].clone();
        let net = Net { me: me.clone(), nodes, out: Out::to(Carrier(self.running.clone())) };
        self.running.lock().unwrap().insert(me, (net.clone(), inbox));
        net
    }

    fn stop(&mut self, _: NodeId, net: Net) {
        self.running.lock().unwrap().remove(&net.me);
    }

    fn wait(&mut self, done: &mut dyn FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            if done() {
                return true;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        false
    }

    fn now(&mut self) -> Duration {
        self.begun.elapsed()
    }
}

#[test]
fn messages_of_maelstrom_conform() {
    check(&mut Workbench { running: Running::default(), begun: Instant::now() }).unwrap();
}
