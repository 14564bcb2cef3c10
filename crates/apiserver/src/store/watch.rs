//! A cursor into the log of one collection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use super::state::{Change, Compacted, Store};

/// At most this many changes per step: a reader that is far behind holds the lock for a short time only.
const BATCH_MAX: usize = 256;

/// Changes of a collection after a revision, in order, none left out.
#[derive(Debug)]
pub(crate) struct Watch {
    store: Arc<Store>,
    collection: Arc<str>,
    seen: u64,
    id: u64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Watch {
    /// Changes after `revision`. One that lies in the future delivers nothing until it is reached.
    pub(crate) fn after(store: Arc<Store>, collection: Arc<str>, revision: u64) -> Result<Self, Compacted> {
        let oldest = store.ensure(&collection);
        if revision < oldest {
            return Err(Compacted { oldest });
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            store,
            collection,
            seen: revision,
            id,
        })
    }

    /// The revision up to which everything was delivered.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// The next changes, at least one.
    pub(crate) fn poll_changes(&mut self, cx: &Context<'_>) -> Poll<Result<Vec<Change>, Compacted>> {
        let state = self.store.read();
        if let Some(collection) = state.collection(&self.collection) {
            if self.seen < collection.lost {
                return Poll::Ready(Err(Compacted {
                    oldest: state.compacted,
                }));
            }
            let from = collection
                .log
                .partition_point(|change| change.revision <= self.seen);
            let batch: Vec<Change> = collection.log.range(from..).take(BATCH_MAX).cloned().collect();
            if let Some(last) = batch.last() {
                self.seen = last.revision;
                return Poll::Ready(Ok(batch));
            }
            // Nothing can be appended while the read lock is held, so no wake-up is lost.
            self.seen = self.seen.max(state.revision);
            collection.wakers().insert(self.id, cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(collection) = self.store.read().collection(&self.collection) {
            collection.wakers().remove(&self.id);
        }
    }
}
