//! Messages as Maelstrom has them: a line of JSON each, `{"src": .., "dest": .., "body": {"type": .., ..}}`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::spawn;

/// Lines that wait to be written. Beyond it nodes' messages are dropped, and answers wait.
const WAITING_MAX: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) src: String,
    pub(crate) dest: String,
    pub(crate) body: Map<String, Value>,
}

impl Message {
    pub(crate) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }

    /// The number under which its sender waits for an answer.
    pub(crate) fn id(&self) -> Option<u64> {
        self.body.get("msg_id")?.as_u64()
    }
}

/// Where messages leave. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    lines: SyncSender<String>,
}

impl Out {
    /// Writes there from now on, a line at a time.
    pub(crate) fn to(out: impl Write + Send + 'static) -> Out {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        spawn(move || write_all(out, &waiting));
        Out { lines }
    }

    /// Waits if many wait.
    pub(crate) fn answer(&self, from: &str, request: &Message, mut body: Value) {
        body["in_reply_to"] = json!(request.id());
        // When nobody reads any more the process is about to end.
        let _ = self.lines.send(line(from, &request.src, &body));
    }

    /// Never waits.
    pub(crate) fn tell(&self, from: &str, to: &str, body: &Value) {
        let _ = self.lines.try_send(line(from, to, body));
    }
}

fn line(src: &str, dest: &str, body: &Value) -> String {
    format!("{}\n", json!({ "src": src, "dest": dest, "body": body }))
}

fn write_all(mut out: impl Write, waiting: &Receiver<String>) {
    for line in waiting {
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
