//! Panics in tests: they are how `assert!` speaks, so they become failures with their place, and nothing is
//! printed by the default hook into the middle of the screen.

use std::{
    any::Any,
    panic,
    path::PathBuf,
    sync::{Arc, Mutex, Once, PoisonError},
};

use crate::test::SourceLocation;

tokio::task_local! {
    static PLACE: PanicPlace;
}

/// Where the body of a test panicked, if it did.
#[derive(Clone, Default)]
pub(super) struct PanicPlace(Arc<Mutex<Option<SourceLocation>>>);

impl PanicPlace {
    pub(super) fn take(&self) -> Option<SourceLocation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs a test's body so that a panic in it notes its place.
pub(super) async fn noting<T>(place: PanicPlace, body: impl Future<Output = T>) -> T {
    PLACE.scope(place, body).await
}

/// Puts a hook before the one that is there: it keeps quiet about panics in tests, and leaves all others to it.
pub(super) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let noted = PLACE.try_with(|place| {
                let at = info.location().map(|location| SourceLocation {
                    file: PathBuf::from(location.file()),
                    line: location.line(),
                });
                *place.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
            });
            if noted.is_err() {
                others(info);
            }
        }));
    });
}

/// The text of a panic.
pub(super) fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is no text".to_owned()
    }
}
