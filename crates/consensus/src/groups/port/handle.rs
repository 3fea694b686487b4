//! What the application holds: a typed way to a scope of groups, made before the node runs.

use super::ask::{Ask, GroupsStatus};
use crate::groups::{GroupId, GroupStatus, group_of_key};
use crate::raft::{Founding, RaftHandle};
use quorate_core::{AnyAsk, Door, Promise, ScopeId, StateMachine, Ticket, promise};
use std::fmt;
use std::marker::PhantomData;

/// A handle to the groups of one node. Cheap to clone; may outlive the node, and then every request is Rejected.
pub struct GroupsHandle<S> {
    door: Door,
    scope: ScopeId,
    of: PhantomData<fn() -> S>,
}

impl<S: StateMachine> GroupsHandle<S> {
    /// The handle of this scope on the node behind this door.
    pub fn new(door: Door, scope: ScopeId) -> Self {
        GroupsHandle { door, scope, of: PhantomData }
    }

    /// The scope it speaks to.
    pub fn scope(&self) -> ScopeId {
        self.scope
    }

    /// The handle of one group: proposes, reads, hands over and changes voters as that of a scope of one group. It may be
    /// made before the group is. A group that sleeps wakes for whatever is asked of it, a local read too.
    ///
    /// # Errors
    /// Each request as [`RaftHandle`] says; and Rejected if the group is not on this node.
    pub fn group(&self, group: impl Into<GroupId>) -> RaftHandle<S> {
        let wrap = |group, ask| -> AnyAsk { Box::new(Ask::Of { group: GroupId(group), ask }) };
        RaftHandle::within(self.door.clone(), self.scope, group.into().0, wrap)
    }

    /// The handle of the group that a key belongs to, where the application numbers its groups from 0 to below `groups`;
    /// see [`group_of_key`].
    pub fn for_key(&self, key: &[u8], groups: u64) -> RaftHandle<S> {
        self.group(group_of_key(key, groups))
    }

    /// Has this node be a member of a group from now on. To be asked on every founder, with the same voters, and on whoever
    /// joins. Settles once it is on disk here; the group works once all founders have met, as a scope of one group. Asked
    /// again for the same it is done.
    ///
    /// # Errors
    /// Rejected, and nothing changed: the group was removed here, is here founded otherwise, or has no voters; or this
    /// node has as many as it may. Unknown if the node stops meanwhile.
    pub fn create(&self, group: impl Into<GroupId>, founding: Founding) -> Ticket<()> {
        let group = group.into();
        self.ask(|promise| Ask::Create { group, founding, promise })
    }

    /// Has this node be a member of a group no more, and never again: what it promised there is forgotten, so its name is
    /// not to be used again on this disk. Its requests end; others go on without it, as without a voter that is away. To
    /// end a group as a whole, on each member; to leave one, change its voters first.
    ///
    /// # Errors
    /// Unknown if the node stops meanwhile.
    pub fn remove(&self, group: impl Into<GroupId>) -> Ticket<()> {
        let group = group.into();
        self.ask(|promise| Ask::Remove { group, promise })
    }

    /// How many groups there are here, how many sleep, how many this node leads. Takes a look at each.
    pub fn status(&self) -> Ticket<GroupsStatus> {
        self.ask(|promise| Ask::Status { promise })
    }

    /// How groups stand here, from this one on, in order, so many at most. Wakes none.
    pub fn groups(&self, from: impl Into<GroupId>, most: usize) -> Ticket<Vec<GroupStatus>> {
        let from = from.into();
        self.ask(|promise| Ask::Look { from, most, promise })
    }

    fn ask<R>(&self, make: impl FnOnce(Promise<R>) -> Ask) -> Ticket<R> {
        let (promise, ticket) = promise();
        match self.door.enter() {
            Ok(place) => place.put(self.scope, Box::new(make(promise))),
            Err(why) => promise.reject(why),
        }
        ticket.in_world(self.door.is_in_world())
    }
}

impl<S> Clone for GroupsHandle<S> {
    fn clone(&self) -> Self {
        GroupsHandle { door: self.door.clone(), scope: self.scope, of: PhantomData }
    }
}

impl<S> fmt::Debug for GroupsHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupsHandle({})", self.scope)
    }
}
