//! What a path means: upstream's `RequestInfo`.

use percent_encoding::percent_decode_str;

/// A request for a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// `/apis/G/V/watch/...`
    pub(crate) watch_prefix: bool,
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/G`
    Group(String),
    /// `/apis/G/V`, or `/api/V`
    GroupVersion(String, String),
    /// A resource.
    Resource(Target),
    /// Anything else.
    Other(String),
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Reads a path.
pub(crate) fn route(path: &str) -> Route {
    let mut parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    if parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    let (group, rest) = match parts.first().map(String::as_str) {
        Some("api") => (String::new(), &parts[1..]),
        Some("apis") => match parts.get(1) {
            None => return Route::Groups,
            Some(group) => (group.clone(), &parts[2..]),
        },
        _ => return Route::Other(path.to_owned()),
    };
    let Some((version, rest)) = rest.split_first() else {
        return if group.is_empty() {
            Route::CoreVersions
        } else {
            Route::Group(group)
        };
    };
    let version = version.clone();
    if rest.is_empty() {
        return Route::GroupVersion(group, version);
    }
    let watch_prefix = rest[0] == "watch" && rest.len() > 1;
    let rest = if watch_prefix { &rest[1..] } else { rest };
    let mut target = Target {
        group,
        version,
        watch_prefix,
        ..Target::default()
    };
    let rest = match rest {
        // `namespaces/N` alone, and its subresources, are the namespace itself.
        [first, name, more @ ..]
            if first == "namespaces"
                && !more.is_empty()
                && !(target.group.is_empty() && is_namespace_subresource(&more[0])) =>
        {
            target.namespace = Some(name.clone());
            more
        }
        all => all,
    };
    let [plural, rest @ ..] = rest else {
        return Route::Other(path.to_owned());
    };
    target.plural = plural.clone();
    target.name = rest.first().cloned();
    target.subresource = rest.get(1).cloned();
    if rest.len() > 2 && target.subresource.as_deref() != Some("proxy") {
        return Route::Other(path.to_owned());
    }
    Route::Resource(target)
}

fn is_namespace_subresource(word: &str) -> bool {
    matches!(word, "status" | "finalize")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        match route(path) {
            Route::Resource(target) => target,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths() {
        assert_eq!(route("/api"), Route::CoreVersions);
        assert_eq!(route("/apis/"), Route::Groups);
        assert_eq!(route("/apis/a.dev/"), Route::Group("a.dev".into()));
        assert_eq!(route("/api/v1"), Route::GroupVersion(String::new(), "v1".into()));
        let one = target("/apis/a.dev/v1/namespaces/n/widgets/w%20x/status");
        assert_eq!(
            (
                one.namespace.as_deref(),
                one.name.as_deref(),
                one.subresource.as_deref()
            ),
            (Some("n"), Some("w x"), Some("status"))
        );
        let namespace = target("/api/v1/namespaces/n");
        assert_eq!(
            (
                namespace.plural.as_str(),
                namespace.name.as_deref(),
                namespace.namespace
            ),
            ("namespaces", Some("n"), None)
        );
        assert_eq!(
            target("/api/v1/namespaces/n/finalize").subresource.as_deref(),
            Some("finalize")
        );
        assert!(target("/apis/a.dev/v1/watch/namespaces/n/widgets").watch_prefix);
        assert_eq!(target("/api/v1/namespaces").name, None);
        assert_eq!(route("/healthz"), Route::Other("/healthz".into()));
    }
}
