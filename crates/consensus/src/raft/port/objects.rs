//! What a port has done to objects: pieces of snapshots read for followers and stored for a leader, old ones removed. One
//! after the other, in the order in which the protocol asked.

use crate::raft::{Cmd, Event, NotRead, Raft};
use bytes::Bytes;
use quorate_core::{BlobError, BlobId, Blobs, Job, NodeId, PortCx, ScopeId};
use std::collections::VecDeque;

/// Refusals in a row after which a place of a snapshot counts as damaged: a medium that says no may say yes later, a bad place on
/// it does not (guess: some windows, a second).
const REFUSALS_MAX: u32 = 100;

/// Something to be done.
pub(super) enum Errand {
    /// Remove all but these.
    Keep(Vec<u64>),
    Discard(u64),
    Read {
        to: NodeId,
        blob: u64,
        offset: u64,
        bytes: usize,
    },
    Store {
        blob: u64,
        offset: u64,
        total: u64,
        data: Bytes,
    },
    Resume {
        blob: u64,
        total: u64,
    },
}

/// What came of it.
pub(super) enum Errands {
    /// Nothing of earlier lives is there that is not needed.
    Swept,
    Discarded,
    /// What the protocol waits for.
    Answer(Cmd),
}

/// What is to be done, and whether a job is at it.
#[derive(Default)]
pub(super) struct Objects {
    waiting: VecDeque<Errand>,
    is_out: bool,
    /// Nothing of earlier lives is removed any more: what is made now stays.
    swept: bool,
    /// Objects that this port made in this life.
    made: u64,
    /// Pieces in a row that could not be read for followers.
    refusals: u32,
}

impl Objects {
    /// Those of a port that has made so many, and has nothing to do.
    pub fn swept(made: u64) -> Objects {
        Objects { swept: true, made, ..Objects::default() }
    }

    /// Whether nothing is left to be done, what earlier lives left behind included.
    pub fn is_idle(&self) -> bool {
        self.swept && self.waiting.is_empty() && !self.is_out
    }

    /// How many it has made in this life.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// The protocol tells something that concerns objects.
    pub fn event(&mut self, event: Event, poisoned: bool, cx: &mut PortCx<'_, Raft>) {
        match event {
            Event::Keep { blobs } => self.push(Errand::Keep(blobs)),
            Event::Discard { blob } => self.push(Errand::Discard(blob)),
            // A leader whose disk hangs asks again.
            Event::ReadPiece { to, blob, offset, .. } if self.is_asked_for(to, blob, offset) => {}
            Event::ReadPiece { to, blob, offset, bytes } => {
                self.push(Errand::Read { to, blob, offset, bytes })
            }
            // Nothing is restored any more, so nothing is stored for it.
            Event::StorePiece { blob, .. } | Event::Resume { blob, .. } if poisoned => {
                cx.command(Cmd::Stored { blob, upto: Err(NotRead::Refused) })
            }
            Event::StorePiece { blob, offset, total, data } => {
                self.push(Errand::Store { blob, offset, total, data })
            }
            Event::Resume { blob, total } => self.push(Errand::Resume { blob, total }),
            _ => {}
        }
    }

    fn is_asked_for(&self, to: NodeId, blob: u64, offset: u64) -> bool {
        let asked = (to, blob, offset);
        let is =
            |e: &Errand| matches!(e, Errand::Read { to, blob, offset, .. } if (*to, *blob, *offset) == asked);
        self.waiting.iter().any(is)
    }

    /// The bound is the protocol's: of each snapshot under way no more pieces than its window has.
    pub fn push(&mut self, errand: Errand) {
        self.waiting.push_back(errand);
    }

    pub fn job(&mut self, scope: ScopeId) -> Option<Job> {
        if self.is_out {
            return None;
        }
        let errand = self.waiting.pop_front()?;
        self.is_out = true;
        Some(Job::pool(move |blobs| errand.run(scope, blobs)))
    }

    /// A job ended. True if it was the one that found out that its own snapshot is damaged.
    pub fn done(&mut self, came: Errands, cx: &mut PortCx<'_, Raft>) -> bool {
        self.is_out = false;
        match came {
            Errands::Swept => self.swept = true,
            Errands::Discarded => {}
            Errands::Answer(mut answer) => {
                self.count_refusals(&mut answer);
                let mut damaged = false;
                match &answer {
                    Cmd::Piece { blob, piece: Err(NotRead::Damaged), .. } => {
                        damaged = cx.protocol.snapshot().is_some_and(|snapshot| snapshot.blob == *blob);
                    }
                    Cmd::Stored { blob, upto: Err(_) } => {
                        // They would stand behind a gap.
                        let of =
                            |errand: &Errand| matches!(errand, Errand::Store { blob: at, .. } if at == blob);
                        self.waiting.retain(|errand| !of(errand));
                    }
                    _ => {}
                }
                cx.command(answer);
                return damaged;
            }
        }
        false
    }

    fn count_refusals(&mut self, answer: &mut Cmd) {
        let Cmd::Piece { piece, .. } = answer else { return };
        match piece {
            Err(NotRead::Refused) if self.refusals >= REFUSALS_MAX => *piece = Err(NotRead::Damaged),
            Err(NotRead::Refused) => self.refusals += 1,
            Ok(_) | Err(NotRead::Damaged) => self.refusals = 0,
        }
    }

    /// A number for an object of this port's own: of this life, and even. `None` while older ones may still be removed.
    pub fn next(&mut self, incarnation: u64) -> Option<u64> {
        if !self.swept {
            return None;
        }
        self.made += 1;
        Some((incarnation << 32) | (self.made << 1))
    }
}

impl Errand {
    fn run(self, scope: ScopeId, blobs: &mut dyn Blobs) -> Errands {
        let id = |number| BlobId { scope, number };
        match self {
            Errand::Keep(kept) => {
                // What cannot be removed now is at the next start.
                let whole = blobs.list(scope).unwrap_or_default();
                let unfinished = blobs.list_unfinished(scope).unwrap_or_default();
                for number in whole.into_iter().chain(unfinished).filter(|number| !kept.contains(number)) {
                    let _ = blobs.delete(id(number));
                }
                Errands::Swept
            }
            Errand::Discard(number) => {
                let _ = blobs.delete(id(number));
                Errands::Discarded
            }
            Errand::Read { to, blob, offset, bytes } => {
                let piece = match blobs.read(id(blob), offset, bytes) {
                    Ok(piece) if piece.len() < bytes => Err(NotRead::Damaged),
                    Ok(piece) => {
                        let crc = crc32fast::hash(&piece);
                        Ok((Bytes::from(piece), crc))
                    }
                    Err(error) => Err(NotRead::from(error)),
                };
                Errands::Answer(Cmd::Piece { to, blob, offset, piece })
            }
            Errand::Store { blob, offset, total, data } => {
                Errands::Answer(Cmd::Stored { blob, upto: store(blobs, id(blob), offset, total, &data) })
            }
            Errand::Resume { blob, total } => {
                Errands::Answer(Cmd::Stored { blob, upto: look(blobs, id(blob), total) })
            }
        }
    }
}

fn store(blobs: &mut dyn Blobs, id: BlobId, offset: u64, total: u64, data: &[u8]) -> Result<u64, NotRead> {
    let upto = offset + data.len() as u64;
    match blobs.append(id, offset, data) {
        Ok(()) => {}
        Err(BlobError::Sealed(_)) => return look(blobs, id, total),
        // Whatever happened to it: the next look says what is left of it.
        Err(_) => return Err(NotRead::Refused),
    }
    if upto == total {
        blobs.seal(id).map_err(|_| NotRead::Refused)?;
    }
    Ok(upto)
}

fn look(blobs: &mut dyn Blobs, id: BlobId, total: u64) -> Result<u64, NotRead> {
    if let Some(len) = blobs.len(id)? {
        return if len == total { Ok(len) } else { Err(NotRead::Damaged) };
    }
    let upto = blobs.unfinished(id)?.unwrap_or(0);
    if upto > total {
        return Err(NotRead::Damaged);
    }
    if upto == total {
        blobs.seal(id)?;
    }
    Ok(upto)
}

impl From<BlobError> for NotRead {
    fn from(error: BlobError) -> NotRead {
        match error {
            BlobError::Io(_) => NotRead::Refused,
            BlobError::Missing(_) | BlobError::Corrupt(_) | BlobError::Sealed(_) | BlobError::Gap(_) => {
                NotRead::Damaged
            }
        }
    }
}
