//! The state behind the lock: persistent maps, the log, revisions and compaction.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    task::Waker,
};

use rpds::RedBlackTreeMapSync;

use super::object::{Draft, Object};

/// All objects of a collection at one revision. A clone costs one reference count.
pub(crate) type Objects = RedBlackTreeMapSync<Arc<str>, Arc<Object>>;

/// What must be true of a key for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing is there.
    Absent,
    /// The version that this revision wrote is there.
    Revision(u64),
}

/// Why a write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Something is there already.
    #[error("the key exists")]
    Exists,
    /// Nothing is there.
    #[error("the key is absent")]
    Absent,
    /// Another version is there.
    #[error("the key holds another version")]
    Changed,
}

/// The log does not reach back to the revision asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the revision is compacted, the oldest kept one is {oldest}")]
pub(crate) struct Compacted {
    /// The oldest revision that can still be read.
    pub(crate) oldest: u64,
}

/// How much history is kept. What is exceeded first compacts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Number of changes.
    pub(crate) changes_max: usize,
    /// Bytes of the versions that the log alone holds.
    pub(crate) bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            changes_max: 100_000,
            bytes_max: 48 << 20,
        }
    }
}

/// One entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// When, in the total order.
    pub(crate) revision: u64,
    /// What.
    pub(crate) key: Arc<str>,
    /// The version that was there before.
    pub(crate) old: Option<Arc<Object>>,
    /// The version that is there since; `None` is a deletion.
    pub(crate) new: Option<Arc<Object>>,
}

/// See the [module](super).
#[derive(Debug, Default)]
pub(crate) struct Store {
    state: RwLock<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) revision: u64,
    /// Changes up to this revision are gone.
    pub(super) compacted: u64,
    limits: Limits,
    collections: HashMap<Arc<str>, Collection>,
    /// Every kept change in order: which collection's log begins with it.
    order: VecDeque<(Arc<str>, usize)>,
    history_bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Collection {
    pub(super) objects: Objects,
    pub(super) log: VecDeque<Change>,
    /// The newest change that left this log.
    pub(super) lost: u64,
    wakers: Mutex<HashMap<u64, Waker>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            // Revision 1 is what an empty etcd has: a list of nothing still has a version, and 0 means "any".
            revision: 1,
            compacted: 0,
            limits: Limits::default(),
            collections: HashMap::new(),
            order: VecDeque::new(),
            history_bytes: 0,
        }
    }
}

impl Collection {
    pub(super) fn wakers(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn collection(&self, collection: &str) -> Option<&Collection> {
        self.collections.get(collection)
    }

    fn compact_to(&mut self, revision: u64) {
        while let Some((collection, weight)) = self.order.front() {
            let Some(entry) = self.collections.get_mut(collection) else {
                break;
            };
            if entry.log.front().is_none_or(|change| change.revision > revision) {
                break;
            }
            if let Some(change) = entry.log.pop_front() {
                entry.lost = change.revision;
                self.compacted = self.compacted.max(change.revision);
            }
            self.history_bytes -= weight;
            self.order.pop_front();
        }
        self.compacted = self.compacted.max(revision.min(self.revision));
    }

    fn bound(&mut self) {
        while self.order.len() > self.limits.changes_max || self.history_bytes > self.limits.bytes_max {
            let Some(oldest) = self.order.front().and_then(|(collection, _)| {
                self.collections
                    .get(collection)?
                    .log
                    .front()
                    .map(|change| change.revision)
            }) else {
                return;
            };
            self.compact_to(oldest);
        }
    }
}

impl Store {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            state: RwLock::new(State {
                limits,
                ..State::default()
            }),
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.read().revision
    }

    /// The newest version of one object.
    pub(crate) fn get(&self, collection: &str, key: &str) -> Option<Arc<Object>> {
        self.read().collection(collection)?.objects.get(key).cloned()
    }

    /// All objects of a collection and the revision at which that is so.
    pub(crate) fn objects(&self, collection: &str) -> (Objects, u64) {
        let state = self.read();
        let objects = state
            .collection(collection)
            .map(|c| c.objects.clone())
            .unwrap_or_default();
        (objects, state.revision)
    }

    /// All objects as they were at `revision`. The cost grows with the changes since.
    pub(crate) fn objects_at(&self, collection: &str, revision: u64) -> Result<Objects, Compacted> {
        let (mut objects, undo) = {
            let state = self.read();
            if revision < state.compacted {
                return Err(Compacted {
                    oldest: state.compacted,
                });
            }
            let Some(collection) = state.collection(collection) else {
                return Ok(Objects::default());
            };
            let from = collection
                .log
                .partition_point(|change| change.revision <= revision);
            let undo: Vec<Change> = collection.log.range(from..).cloned().collect();
            (collection.objects.clone(), undo)
        };
        for change in undo.into_iter().rev() {
            match change.old {
                Some(old) => objects.insert_mut(change.key, old),
                None => {
                    objects.remove_mut(&change.key);
                }
            }
        }
        Ok(objects)
    }

    /// Writes a version.
    pub(crate) fn put(
        &self,
        collection: &Arc<str>,
        key: &str,
        expect: Expect,
        draft: Draft,
    ) -> Result<Arc<Object>, Refused> {
        let state = self.locked();
        let old = state
            .collection(collection)
            .and_then(|c| c.objects.get_key_value(key));
        let old = old.map(|(key, object)| (key.clone(), object.clone()));
        match (expect, &old) {
            (Expect::Absent, Some(_)) => return Err(Refused::Exists),
            (Expect::Revision(_), None) => return Err(Refused::Absent),
            (Expect::Revision(revision), Some((_, object))) if object.revision != revision => {
                return Err(Refused::Changed);
            }
            _ => {}
        }
        let revision = state.revision + 1;
        let object = Arc::new(draft.commit(revision));
        let (key, old) = match old {
            Some((key, old)) => (key, Some(old)),
            None => (Arc::from(key), None),
        };
        self.append(
            state,
            collection,
            Change {
                revision,
                key,
                old,
                new: Some(object.clone()),
            },
        );
        Ok(object)
    }

    /// Removes the version that `revision` wrote. Returns the revision of the deletion.
    pub(crate) fn delete(&self, collection: &Arc<str>, key: &str, revision: u64) -> Result<u64, Refused> {
        let state = self.locked();
        let Some((key, old)) = state
            .collection(collection)
            .and_then(|c| c.objects.get_key_value(key))
        else {
            return Err(Refused::Absent);
        };
        if old.revision != revision {
            return Err(Refused::Changed);
        }
        let (key, old) = (key.clone(), old.clone());
        let revision = state.revision + 1;
        self.append(
            state,
            collection,
            Change {
                revision,
                key,
                old: Some(old),
                new: None,
            },
        );
        Ok(revision)
    }

    fn append(&self, mut state: RwLockWriteGuard<'_, State>, collection: &Arc<str>, change: Change) {
        let inner = &mut *state;
        let entry = inner.collections.entry(collection.clone()).or_default();
        match &change.new {
            Some(object) => entry.objects.insert_mut(change.key.clone(), object.clone()),
            None => {
                entry.objects.remove_mut(&change.key);
            }
        }
        let weight = 64 + change.old.as_ref().map_or(0, |old| old.weight());
        inner.revision = change.revision;
        inner.history_bytes += weight;
        inner.order.push_back((collection.clone(), weight));
        entry.log.push_back(change);
        let wakers = std::mem::take(&mut *entry.wakers());
        inner.bound();
        drop(state);
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    /// Forgets the history up to `revision`: it can no longer be read or watched from.
    pub(crate) fn compact(&self, revision: u64) {
        self.locked().compact_to(revision);
    }

    /// Makes the collection's log exist, so that a watcher has a place to wait at.
    pub(super) fn ensure(&self, collection: &Arc<str>) -> u64 {
        let mut state = self.locked();
        state.collections.entry(collection.clone()).or_default();
        state.compacted
    }

    /// The oldest revision that can still be read.
    #[cfg(test)]
    pub(crate) fn oldest(&self) -> u64 {
        self.read().compacted
    }
}
