//! Promises to the application. Every request resolves exactly once: done with its answer, `Rejected` (did
//! not and will not happen) or `Unknown` (may have happened, or may still).

use crate::NodeId;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It did not happen and never will.
    #[error("rejected: {0}")]
    Rejected(Reason),
    /// It may have happened, or may still happen. Ask again under the same session to find out.
    #[error("unknown whether it happened: {0}")]
    Unknown(Reason),
}

/// What stood in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A bound was reached. Try later.
    #[error("too much is waiting")]
    Busy,
    /// This node does not lead, and knows who does or not.
    #[error("not the leader (leader: {0:?})")]
    NotLeader(Option<NodeId>),
    /// The node that had taken the request lost its leadership before it was decided.
    #[error("leadership was lost")]
    LeadershipLost,
    /// The cluster is not founded yet: these founders were not met, and all must have been once.
    #[error("not all founders have met: {0:?} did not come")]
    Founding(Vec<NodeId>),
    /// The node was stopped, or the scope removed.
    #[error("the node stopped")]
    Stopped,
    /// The scope is poisoned: its state machine panicked, or its disk failed.
    #[error("poisoned: {0}")]
    Poisoned(String),
    /// The request's own deadline passed.
    #[error("its deadline passed")]
    Deadline,
    /// It is larger than what may be proposed.
    #[error("{bytes} bytes, at most {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The session it was made under is gone.
    #[error("the session expired")]
    SessionExpired,
    /// The state machine's own no, or another reason in words.
    #[error("{0}")]
    Refused(String),
}

/// The port's half: resolves the ticket. Dropped unresolved it answers by itself, so that no caller waits for ever.
pub struct Promise<T> {
    sender: Option<oneshot::Sender<Result<T, Failure>>>,
    in_doubt: bool,
}

/// The caller's half.
#[must_use = "a ticket is the only way to learn what became of the request"]
pub struct Ticket<T> {
    receiver: oneshot::Receiver<Result<T, Failure>>,
    in_world: bool,
}

/// A promise and its ticket.
pub fn promise<T>() -> (Promise<T>, Ticket<T>) {
    let (sender, receiver) = oneshot::channel();
    (Promise { sender: Some(sender), in_doubt: false }, Ticket { receiver, in_world: false })
}

impl<T> Promise<T> {
    /// From now on the request may happen: dropped, it answers Unknown and no longer Rejected.
    pub fn mark_in_doubt(&mut self) {
        self.in_doubt = true;
    }

    /// Whether the request may happen.
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// It happened.
    pub fn done(self, answer: T) {
        self.settle(Ok(answer));
    }

    /// It did not happen and never will.
    pub fn reject(self, reason: Reason) {
        self.settle(Err(Failure::Rejected(reason)));
    }

    /// It failed: Unknown if it was in doubt, else Rejected.
    pub fn fail(self, reason: Reason) {
        let failure = if self.in_doubt { Failure::Unknown(reason) } else { Failure::Rejected(reason) };
        self.settle(Err(failure));
    }

    /// The outcome as a value.
    pub fn settle(mut self, outcome: Result<T, Failure>) {
        if let Some(sender) = self.sender.take() {
            // The caller may have dropped its ticket: then nobody wants to know.
            let _ = sender.send(outcome);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            let reason = Reason::Stopped;
            let _ = sender.send(Err(if self.in_doubt {
                Failure::Unknown(reason)
            } else {
                Failure::Rejected(reason)
            }));
        }
    }
}

impl<T> Ticket<T> {
    /// A ticket that is already settled.
    pub fn settled(outcome: Result<T, Failure>) -> Ticket<T> {
        let (promise, ticket) = promise();
        promise.settle(outcome);
        ticket
    }

    /// Marks the ticket as made inside a simulated world, where blocking would wait for ever.
    pub fn in_world(mut self, in_world: bool) -> Ticket<T> {
        self.in_world = in_world;
        self
    }

    /// Blocks until the request is settled.
    ///
    /// # Panics
    /// In a simulated world, where time moves only while the caller does not wait: use the world's `finish`.
    pub fn wait(self) -> Result<T, Failure> {
        self.assert_outside();
        self.receiver.recv().unwrap_or(Err(Failure::Unknown(Reason::Stopped)))
    }

    /// Blocks for at most `patience`. Running out of patience gives the ticket back and changes nothing about
    /// the request: it is not its deadline.
    ///
    /// # Panics
    /// In a simulated world, as [`Ticket::wait`].
    pub fn wait_timeout(self, patience: Duration) -> Result<Result<T, Failure>, Ticket<T>> {
        self.assert_outside();
        match self.receiver.recv_timeout(patience) {
            Ok(outcome) => Ok(outcome),
            Err(oneshot::RecvTimeoutError::Disconnected) => Ok(Err(Failure::Unknown(Reason::Stopped))),
            Err(oneshot::RecvTimeoutError::Timeout) => Err(self),
        }
    }

    /// The outcome, if it is there; else the ticket back.
    pub fn try_take(self) -> Result<Result<T, Failure>, Ticket<T>> {
        match self.receiver.try_recv() {
            Ok(outcome) => Ok(outcome),
            Err(oneshot::TryRecvError::Disconnected) => Ok(Err(Failure::Unknown(Reason::Stopped))),
            Err(oneshot::TryRecvError::Empty) => Err(self),
        }
    }

    /// Whether the outcome is there.
    pub fn is_settled(&self) -> bool {
        self.receiver.has_message() || self.receiver.is_closed()
    }

    fn assert_outside(&self) {
        assert!(
            !self.in_world || self.is_settled(),
            "a ticket of a simulated world is finished by the world, not waited for"
        );
    }
}

/// A ticket as a future, for any executor.
pub struct TicketFuture<T>(oneshot::AsyncReceiver<Result<T, Failure>>);

impl<T> Future for TicketFuture<T> {
    type Output = Result<T, Failure>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|got| got.unwrap_or(Err(Failure::Unknown(Reason::Stopped))))
    }
}

impl<T> IntoFuture for Ticket<T> {
    type Output = Result<T, Failure>;
    type IntoFuture = TicketFuture<T>;
    fn into_future(self) -> TicketFuture<T> {
        TicketFuture(self.receiver.into_future())
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_settled() { "Ticket(settled)" } else { "Ticket(open)" })
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_doubt { "Promise(in doubt)" } else { "Promise" })
    }
}

impl<T> fmt::Debug for TicketFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketFuture")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_promise_is_rejected_before_it_is_in_doubt_and_unknown_after() {
        let (promise, ticket) = super::promise::<u8>();
        drop(promise);
        assert_eq!(ticket.wait(), Err(Failure::Rejected(Reason::Stopped)));
        let (mut promise, ticket) = super::promise::<u8>();
        promise.mark_in_doubt();
        drop(promise);
        assert_eq!(ticket.wait(), Err(Failure::Unknown(Reason::Stopped)));
    }

    #[test]
    fn patience_gives_the_ticket_back() {
        let (promise, ticket) = super::promise();
        let ticket = ticket.wait_timeout(Duration::from_millis(1)).expect_err("nothing was answered");
        promise.done(5);
        assert_eq!(ticket.try_take().expect("answered"), Ok(5));
    }

    #[test]
    fn a_ticket_is_a_future() {
        let (promise, ticket) = super::promise();
        let mut future = std::pin::pin!(ticket.into_future());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        promise.done("yes");
        assert_eq!(future.as_mut().poll(&mut cx), Poll::Ready(Ok("yes")));
    }

    #[test]
    #[should_panic(expected = "finished by the world")]
    fn waiting_inside_a_world_is_a_bug() {
        let (_promise, ticket) = super::promise::<u8>();
        let _ = ticket.in_world(true).wait();
    }
}
