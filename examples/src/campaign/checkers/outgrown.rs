use quorate::ScopeId;
use quorate::raft::{NotTaken, RaftNotice};
use quorate::sim::{Invariant, Touch, World};
use std::cell::Cell;
use std::rc::Rc;

/// While it is so the log stays whole.
pub const OUTGROWN: &str = "a state has outgrown what a snapshot may hold, and this is told";

/// Not a rule but a witness, as the paths of Raft: of what only a notice says.
struct Outgrown(Rc<Cell<u64>>);

/// Has it counted, for one scope.
pub fn watch_outgrown<A: 'static>(world: &mut World<A>, scope: ScopeId) {
    let told = Rc::new(Cell::new(0));
    let counted = Rc::clone(&told);
    world.watch(move |told| {
        if let Some(RaftNotice::NotTaken { why: NotTaken::TooLarge { .. }, .. }) = told.notice()
            && told.scope == scope
        {
            counted.set(counted.get() + 1);
        }
    });
    world.invariant(Box::new(Outgrown(told)));
}

impl<A> Invariant<A> for Outgrown {
    fn name(&self) -> &str {
        OUTGROWN
    }

    fn check(&mut self, world: &World<A>, _: Touch) -> Result<(), String> {
        (0..self.0.take()).for_each(|_| world.sometimes(OUTGROWN));
        Ok(())
    }
}
