//! The application's half of many groups: a [`RaftPort`] for each that is awake, and its state machine for each that sleeps.
//!
//! **Invariants.** A port is called with its replica, so what comes for a group that sleeps waits until it is awake. Each
//! group's jobs are one at a time, as its state machine travels with them; different groups' run side by side.

mod ask;
mod handle;
mod jobs;
mod leftovers;
mod member;

pub use ask::{GroupsNotice, GroupsStatus};
pub use handle::GroupsHandle;

use super::agenda::Agenda;
use super::ids::scramble;
use super::{Cmd, Event, GroupId, Groups, NotCreated};
use crate::raft::{self, Raft, RaftConfig, RaftNotice, guarded};
use ask::Ask;
use jobs::Jobs;
use leftovers::Leftovers;
use member::{Awake, Member, Thing};
use quorate_core::{
    Answer, Job, JobPanic, Notice, Port, PortCx, Promise, Reason, ScopeId, StateMachine, Time,
};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Groups whose turn comes in one wake.
const GROUPS_PER_WAKE: usize = 256;

type Make<S> = Box<dyn FnMut(GroupId) -> S + Send>;

/// Holds the state machines of many groups behind [`Groups`].
pub struct GroupsPort<S: StateMachine> {
    make: Make<S>,
    scope: ScopeId,
    config: Arc<RaftConfig>,
    members: BTreeMap<GroupId, Member<S>>,
    agenda: Agenda,
    jobs: Jobs,
    /// Those that were removed, and whose objects are to go.
    leftovers: Leftovers,
    /// Who waits for a group to be created, in the order in which they asked, or removed, on disk.
    creating: BTreeMap<GroupId, VecDeque<Promise<()>>>,
    removing: BTreeMap<GroupId, Vec<Promise<()>>>,
    /// Reused: what one port asks and tells.
    commands: Vec<raft::Cmd>,
    notices: Vec<Box<dyn Notice>>,
}

impl<S: StateMachine> GroupsPort<S> {
    /// A port that makes the first state of each group by this function. A group for which it panics is poisoned.
    pub fn new(make: impl FnMut(GroupId) -> S + Send + 'static, config: &super::GroupsConfig) -> Self {
        GroupsPort {
            make: Box::new(make),
            scope: ScopeId(0),
            config: Arc::new(config.raft.clone()),
            members: BTreeMap::new(),
            agenda: Agenda::default(),
            jobs: Jobs::new(config.jobs_max),
            leftovers: Leftovers::default(),
            creating: BTreeMap::new(),
            removing: BTreeMap::new(),
            commands: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The state of a group and the last entry applied to it, unless a job has it at the moment.
    pub fn state(&self, group: GroupId) -> Option<(&S, raft::LogId)> {
        match self.members.get(&group)? {
            Member::Awake(awake) => awake.port.state(),
            Member::Asleep(folded) => Some(folded.state()),
        }
    }

    /// Why a group takes nothing any more on this node, if it does not.
    pub fn poisoned(&self, group: GroupId) -> Option<&str> {
        match self.members.get(&group)? {
            Member::Awake(awake) => awake.port.poisoned(),
            Member::Asleep(_) => None,
        }
    }

    /// A group is here, and may not have started yet.
    fn open(&mut self, group: GroupId) {
        if !self.members.contains_key(&group) {
            let state = guarded(|| (self.make)(group));
            let scope = self.scope_of(group);
            self.members.insert(group, Member::new(state, &self.config, scope));
        }
    }

    /// Each group's objects are apart from those of others.
    fn scope_of(&self, group: GroupId) -> ScopeId {
        ScopeId(scramble(self.scope.0 ^ scramble(group.0)))
    }

    /// Whether there is such a group, or is about to be.
    fn is_here(&self, group: GroupId, groups: &Groups) -> bool {
        self.members.contains_key(&group) || groups.has(group) || groups.is_to_begin(group)
    }

    /// Has something come to a group's port. While its replica sleeps it waits.
    fn give(&mut self, group: GroupId, thing: Thing<S>, cx: &mut PortCx<'_, Groups>) {
        if let Some(Member::Asleep(_)) = self.members.get(&group)
            && let Some(member) = self.members.remove(&group)
        {
            self.members.insert(group, Member::Awake(member.unfold(&self.config)));
        }
        let Some(Member::Awake(awake)) = self.members.get_mut(&group) else { return thing.refuse() };
        let Some(raft) = cx.protocol.raft(group) else {
            let is_ask = matches!(thing, Thing::Ask(_));
            match is_ask && awake.waiting.len() >= self.config.promises_max {
                true => thing.refuse_as(Reason::Busy),
                false => awake.waiting.push_back(thing),
            }
            return cx.command(Cmd::Wake { group });
        };
        let mut inner = PortCx::new(cx.now, cx.wall, cx.rng, raft, &mut self.commands, &mut self.notices);
        while let Some(earlier) = awake.waiting.pop_front() {
            earlier.give(&mut awake.port, &mut inner);
        }
        thing.give(&mut awake.port, &mut inner);
        self.told(group, cx);
    }

    /// What came while the replica slept.
    fn give_waiting(&mut self, group: GroupId, cx: &mut PortCx<'_, Groups>) {
        let (Some(Member::Awake(awake)), Some(raft)) =
            (self.members.get_mut(&group), cx.protocol.raft(group))
        else {
            return;
        };
        let mut inner = PortCx::new(cx.now, cx.wall, cx.rng, raft, &mut self.commands, &mut self.notices);
        while let Some(earlier) = awake.waiting.pop_front() {
            earlier.give(&mut awake.port, &mut inner);
        }
        self.told(group, cx);
    }

    /// Passes on what a port asked and told, and plans its next turn.
    fn told(&mut self, group: GroupId, cx: &mut PortCx<'_, Groups>) {
        for cmd in self.commands.drain(..) {
            cx.command(Cmd::Of { group, cmd });
        }
        for notice in self.notices.drain(..) {
            let notice: Box<dyn Any> = notice;
            if let Ok(notice) = notice.downcast::<RaftNotice>() {
                cx.notice(GroupsNotice { group, notice: *notice });
            }
        }
        if let Some(Member::Awake(awake)) = self.members.get_mut(&group) {
            let Awake { port, place, jobs, .. } = awake.as_mut();
            self.agenda.plan(group, place, Port::<Raft>::wake_at(port), cx.now);
            self.jobs.may_have_one(group, jobs);
        }
    }

    /// The replica sleeps. A port that has something to do does not let it.
    fn doze(&mut self, group: GroupId, cx: &mut PortCx<'_, Groups>) {
        if cx.protocol.raft(group).is_some() {
            return;
        }
        let Some(Member::Awake(awake)) = self.members.get_mut(&group) else { return };
        if !awake.is_idle() {
            return cx.command(Cmd::Wake { group });
        }
        self.agenda.forget(group, &mut awake.place);
        if let Some(Member::Awake(awake)) = self.members.remove(&group) {
            self.members.insert(group, awake.fold());
        }
    }

    /// Whom the next answer is for: answers come in the order in which a group was asked for.
    fn next_creating(&mut self, group: GroupId) -> Option<Promise<()>> {
        let waiting = self.creating.get_mut(&group)?;
        let promise = waiting.pop_front();
        if waiting.is_empty() {
            self.creating.remove(&group);
        }
        promise
    }

    fn close(&mut self, group: GroupId) {
        if let Some(Member::Awake(mut awake)) = self.members.remove(&group) {
            self.agenda.forget(group, &mut awake.place);
            Port::<Raft>::stop(&mut awake.port);
            awake.waiting.into_iter().for_each(Thing::refuse);
        }
    }
}

impl<S: StateMachine> Port<Groups> for GroupsPort<S> {
    type Ask = Ask;

    fn placed(&mut self, scope: ScopeId) {
        self.scope = scope;
    }

    fn ask(&mut self, ask: Ask, cx: &mut PortCx<'_, Groups>) {
        match ask {
            Ask::Of { group, ask } => match ask.downcast::<raft::Ask<S, quorate_core::NoDecider>>() {
                Ok(ask) if self.is_here(group, cx.protocol) => {
                    self.open(group);
                    self.give(group, Thing::Ask(ask), cx);
                }
                Ok(ask) => Thing::<S>::Ask(ask).refuse(),
                // A handle of another type of state: its promises answer when they are dropped.
                Err(_) => {}
            },
            Ask::Create { group, founding, mut promise } => {
                promise.mark_in_doubt();
                self.creating.entry(group).or_default().push_back(promise);
                cx.command(Cmd::Create { group, founding });
            }
            Ask::Remove { group, mut promise } => {
                promise.mark_in_doubt();
                self.removing.entry(group).or_default().push(promise);
                cx.command(Cmd::Remove { group });
            }
            Ask::Status { promise } => promise.done(GroupsStatus::of(cx.protocol)),
            Ask::Look { from, most, promise } => {
                promise.done(cx.protocol.look_from(from).take(most).collect());
            }
        }
    }

    fn event(&mut self, event: Event, cx: &mut PortCx<'_, Groups>) {
        match event {
            Event::Of { group, event } => self.give(group, Thing::Event(event), cx),
            Event::Opened { group } => self.open(group),
            Event::Closed { group } => self.close(group),
            Event::Woken { group } => self.give_waiting(group, cx),
            Event::Asleep { group } => self.doze(group, cx),
            Event::Created { group } => {
                if let Some(promise) = self.next_creating(group) {
                    promise.done(());
                }
            }
            Event::NotCreated { group, why } => {
                if let Some(promise) = self.next_creating(group) {
                    promise.reject(reason(&why));
                }
            }
            Event::Removed { group } => {
                self.leftovers.of(group);
                let waiting = self.removing.remove(&group).unwrap_or_default();
                waiting.into_iter().for_each(|promise| promise.done(()));
            }
        }
    }

    fn job(&mut self, groups: &Groups) -> Option<Job> {
        if self.jobs.has_room()
            && let Some(gone) = self.leftovers.next(groups)
        {
            let scopes = gone.iter().map(|group| self.scope_of(*group)).collect();
            return Some(self.jobs.begin(gone[0], leftovers::removal(scopes)));
        }
        while let Some(group) = self.jobs.next() {
            let Some(Member::Awake(awake)) = self.members.get_mut(&group) else { continue };
            awake.jobs.looked_at();
            let Some(raft) = groups.raft(group) else { continue };
            if let Some(job) = awake.port.job(raft) {
                if awake.port.holds_view() {
                    self.jobs.goes_first(group);
                }
                self.jobs.may_have_one(group, &mut awake.jobs);
                return Some(self.jobs.begin(group, job));
            }
        }
        None
    }

    fn done(&mut self, answer: Result<Answer, JobPanic>, cx: &mut PortCx<'_, Groups>) {
        let Some((group, answer)) = self.jobs.end(answer) else { return };
        if !self.members.contains_key(&group) {
            return self.leftovers.job_ended(group, &answer);
        }
        self.give(group, Thing::Done(answer), cx);
        if let Some(Member::Awake(awake)) = self.members.get(&group)
            && awake.port.holds_view()
        {
            self.jobs.goes_first(group);
        }
    }

    fn wake_at(&self) -> Time {
        self.agenda.wake_at()
    }

    fn wake(&mut self, cx: &mut PortCx<'_, Groups>) {
        while let Some(group) = self.agenda.ripe(cx.now) {
            // A timer is of one that is awake.
            let Some(Member::Awake(awake)) = self.members.get_mut(&group) else { break };
            self.agenda.ring(group, &mut awake.place);
        }
        for _ in 0..self.agenda.due().min(GROUPS_PER_WAKE) {
            let Some(group) = self.agenda.next() else { break };
            let Some(Member::Awake(awake)) = self.members.get_mut(&group) else { continue };
            if !awake.place.begin() {
                continue;
            }
            match Port::<Raft>::wake_at(&awake.port) <= cx.now {
                true => self.give(group, Thing::Wake, cx),
                false => self.told(group, cx),
            }
        }
    }

    fn stop(&mut self) {
        let groups: Vec<GroupId> = self.members.keys().copied().collect();
        groups.into_iter().for_each(|group| self.close(group));
        for promise in std::mem::take(&mut self.creating).into_values().flatten() {
            promise.fail(Reason::Stopped);
        }
        for promise in std::mem::take(&mut self.removing).into_values().flatten() {
            promise.fail(Reason::Stopped);
        }
    }
}

fn reason(why: &NotCreated) -> Reason {
    match why {
        NotCreated::TooMany => Reason::Busy,
        why => Reason::Refused(why.to_string()),
    }
}

impl<S: StateMachine> std::fmt::Debug for GroupsPort<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GroupsPort({} groups)", self.members.len())
    }
}
