//! The store against a model that keeps every state it ever had.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use proptest::{collection::vec, prelude::*};

use super::{state::Compacted, *};

#[derive(Debug, Clone)]
enum Action {
    Put { key: u8, text: u8, stale: bool },
    Delete { key: u8, stale: bool },
    Compact { back: u8 },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..6u8, any::<u8>(), prop::bool::weighted(0.2)).prop_map(|(key, text, stale)| Action::Put { key, text, stale }),
        3 => (0..6u8, prop::bool::weighted(0.2)).prop_map(|(key, stale)| Action::Delete { key, stale }),
        1 => (0..20u8).prop_map(|back| Action::Compact { back }),
    ]
}

fn draft(text: &str) -> Draft {
    Draft {
        bytes: format!("[{text}:]").into_bytes(),
        version_at: Some(text.len() + 2),
        encoding: 0,
        labels: Arc::new([]),
        fields: Arc::new([]),
    }
}

type Model = BTreeMap<String, (String, u64)>;

fn shown(objects: &Objects) -> Vec<(String, String)> {
    objects
        .iter()
        .map(|(k, o)| (k.to_string(), String::from_utf8_lossy(&o.bytes).into_owned()))
        .collect()
}

fn expected(model: &Model) -> Vec<(String, String)> {
    model
        .iter()
        .map(|(k, (text, revision))| (k.clone(), format!("[{text}:{revision}]")))
        .collect()
}

proptest! {
    #[test]
    fn every_kept_revision_reads_as_it_was(actions in vec(action(), 1..120), bound in 3..60usize) {
        let store = Arc::new(Store::new(Limits { changes_max: bound, bytes_max: 1 << 20 }));
        let name: Arc<str> = Arc::from("things");
        let mut model = Model::new();
        let mut states = vec![(store.revision(), model.clone())];
        let mut watch = Watch::after(store.clone(), name.clone(), store.revision()).unwrap();
        let mut replica: BTreeMap<String, String> = BTreeMap::new();
        let cx = Context::from_waker(Waker::noop());
        for action in actions {
            match action {
                Action::Put { key, text, stale } => {
                    let (key, text) = (format!("k{key}"), text.to_string());
                    let expect = match model.get(&key) {
                        Some((_, revision)) => Expect::Revision(if stale { revision - 1 } else { *revision }),
                        None if stale => Expect::Revision(1),
                        None => Expect::Absent,
                    };
                    let result = store.put(&name, &key, expect, draft(&text));
                    if stale {
                        prop_assert!(matches!(result, Err(Refused::Absent | Refused::Changed)));
                        continue;
                    }
                    model.insert(key, (text, result.unwrap().revision));
                }
                Action::Delete { key, stale } => {
                    let key = format!("k{key}");
                    let Some((_, revision)) = model.get(&key) else {
                        prop_assert_eq!(store.delete(&name, &key, 5), Err(Refused::Absent));
                        continue;
                    };
                    if stale {
                        prop_assert_eq!(store.delete(&name, &key, revision - 1), Err(Refused::Changed));
                        continue;
                    }
                    store.delete(&name, &key, *revision).unwrap();
                    model.remove(&key);
                }
                Action::Compact { back } => store.compact(store.revision().saturating_sub(u64::from(back))),
            }
            if states.last().unwrap().0 != store.revision() {
                prop_assert_eq!(states.last().unwrap().0 + 1, store.revision());
                states.push((store.revision(), model.clone()));
            }
            // A reader that reads at every step misses nothing, whatever is compacted behind it.
            if let Poll::Ready(Ok(changes)) = watch.poll_changes(&cx) {
                for change in changes {
                    match change.new {
                        Some(object) => replica.insert(change.key.to_string(), String::from_utf8_lossy(&object.bytes).into_owned()),
                        None => replica.remove(&*change.key),
                    };
                }
            }
            let now: Vec<_> = replica.clone().into_iter().collect();
            prop_assert_eq!(&now, &expected(&model));
            prop_assert_eq!(&now, &shown(&store.objects(&name).0));
        }
        for (revision, model) in &states {
            match store.objects_at(&name, *revision) {
                Ok(objects) => prop_assert_eq!(shown(&objects), expected(model)),
                Err(compacted) => prop_assert!(*revision < compacted.oldest),
            }
            let watch = Watch::after(store.clone(), name.clone(), *revision);
            prop_assert_eq!(watch.is_err(), *revision < store.oldest());
            if let Ok(mut watch) = watch {
                let mut replay: BTreeMap<_, _> = expected(model).into_iter().collect();
                while let Poll::Ready(Ok(changes)) = watch.poll_changes(&cx) {
                    for change in changes {
                        match change.new {
                            Some(object) => replay.insert(change.key.to_string(), String::from_utf8_lossy(&object.bytes).into_owned()),
                            None => replay.remove(&*change.key),
                        };
                    }
                }
                prop_assert_eq!(replay.into_iter().collect::<Vec<_>>(), shown(&store.objects(&name).0));
            }
        }
    }
}

#[test]
fn a_watcher_that_never_reads_is_cut_off_and_holds_nothing() {
    let store = Arc::new(Store::new(Limits {
        changes_max: 10,
        bytes_max: 1 << 20,
    }));
    let name: Arc<str> = Arc::from("things");
    let mut watch = Watch::after(store.clone(), name.clone(), 1).unwrap();
    for n in 0..20 {
        store
            .put(&name, &format!("k{n}"), Expect::Absent, draft("x"))
            .unwrap();
    }
    let cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        watch.poll_changes(&cx),
        Poll::Ready(Err(Compacted { oldest: 11 }))
    ));
}

#[test]
fn what_is_gone_can_be_shown_at_the_revision_of_its_end() {
    let store = Store::new(Limits::default());
    let name: Arc<str> = Arc::from("things");
    let object = store.put(&name, "a", Expect::Absent, draft("x")).unwrap();
    assert_eq!(&object.bytes[..], b"[x:2]");
    assert_eq!(&object.bytes_at(1234)[..], b"[x:1234]");
    assert!(object.same_as(&draft("x")) && !object.same_as(&draft("y")));
}
