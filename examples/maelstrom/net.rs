//! quorate's frames as Maelstrom's messages: the transport, whole.

use crate::wire::{Message, Out};
use bytes::Bytes;
use quorate::NodeId;
use quorate::transport::{Frame, Inbox, Transport};
use serde_json::json;

/// Sends as one of the nodes, which are numbered from 1 in the order of their names.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) me: String,
    pub(crate) nodes: Vec<String>,
    pub(crate) out: Out,
}

impl Net {
    pub(crate) fn id(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node == name).map(|at| NodeId(at as u64 + 1))
    }

    /// Takes a message that another node sent. What is none of ours, or finds no room, is lost.
    pub(crate) fn take(&self, message: &Message, inbox: &Inbox) {
        let frame = message.text("frame").and_then(from_hex);
        if let (Some(from), Some(frame)) = (self.id(&message.src), frame) {
            let _ = inbox.deliver(from, frame);
        }
    }
}

impl Transport for Net {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        let Some(name) = to.0.checked_sub(1).and_then(|at| self.nodes.get(at as usize)) else { return };
        self.out.tell(&self.me, name, &json!({ "type": "frame", "frame": hex(&frame.to_bytes()) }));
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &str) -> Option<Bytes> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = |two: &[u8]| u8::try_from(digit(two.first()?)? << 4 | digit(two.get(1)?)?).ok();
    text.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text_and_text_bytes_and_nonsense_nothing() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&hex(&all)).as_deref(), Some(&all[..]));
        assert_eq!(from_hex(""), Some(Bytes::new()));
        for nonsense in ["0", "0g", "+1", "é"] {
            assert_eq!(from_hex(nonsense), None, "{nonsense}");
        }
    }
}
