//! Credentials for a registry, from where `docker login` put them.
//!
//! `config.json` names a credential helper for one registry (`credHelpers`), one for all (`credsStore`), or holds the
//! credentials themselves (`auths`). They are looked up in this order, as the `docker` command does.

use std::{collections::HashMap, io, path::Path, process::Stdio, time::Duration};

use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// What Docker Hub is called in `config.json`, for reasons of history.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// How long a credential helper may take; some ask a key ring that asks a person.
const HELPER_MAX: Duration = Duration::from_secs(30);

/// Credentials are configured and cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The configuration cannot be read.
    #[error("{path} is not understood: {reason}")]
    Config {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The helper cannot be run.
    #[error("the credential helper {helper} cannot be run")]
    Run {
        /// Its program.
        helper: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The helper says no.
    #[error("the credential helper {helper} has nothing for {registry}: {reason}")]
    Helper {
        /// Its program.
        helper: String,
        /// The registry.
        registry: String,
        /// Its own words.
        reason: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: HashMap<String, Auth>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The credentials for a registry (`localhost:5000`, `docker.io`); `None` where none are configured.
pub(super) async fn lookup(
    config_dir: &Path,
    registry: &str,
) -> Result<Option<DockerCredentials>, CredentialError> {
    let path = config_dir.join("config.json");
    let Ok(text) = tokio::fs::read_to_string(&path).await else {
        return Ok(None);
    };
    let config: Config = serde_json::from_str(&text).map_err(|error| CredentialError::Config {
        path: path.display().to_string(),
        reason: error.to_string(),
    })?;
    let keys = keys(registry);
    let stored = keys.iter().find_map(|key| config.auths.get(key));
    let own_helper = keys.iter().find_map(|key| config.cred_helpers.get(key));
    // A store that serves all registries is asked for those only that were logged in to; it has nothing for others.
    let store = config.creds_store.as_ref().filter(|_| stored.is_some());
    if let Some(helper) = own_helper.or(store) {
        return ask(helper, &keys[0], registry).await.map(Some);
    }
    Ok(stored.cloned().map(|auth| DockerCredentials {
        username: auth.username,
        password: auth.password,
        auth: auth.auth,
        identitytoken: auth.identitytoken.filter(|token| !token.is_empty()),
        registrytoken: auth.registrytoken,
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    }))
}

/// The names under which a registry may stand in the configuration.
fn keys(registry: &str) -> Vec<String> {
    if matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        return vec![DOCKER_HUB.into(), "docker.io".into(), "index.docker.io".into()];
    }
    vec![
        registry.into(),
        format!("https://{registry}"),
        format!("http://{registry}"),
    ]
}

/// The protocol of credential helpers: `get`, the registry on the standard input, JSON on the standard output, and the
/// reason there too where there is none.
async fn ask(helper: &str, key: &str, registry: &str) -> Result<DockerCredentials, CredentialError> {
    let helper = format!("docker-credential-{helper}");
    let run = |source| CredentialError::Run {
        helper: helper.clone(),
        source,
    };
    let refused = |reason: String| CredentialError::Helper {
        helper: helper.clone(),
        registry: registry.to_owned(),
        reason,
    };
    let mut child = Command::new(&helper)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(run)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that ends without reading says why on its output.
        let _ = stdin.write_all(key.as_bytes()).await;
    }
    let output = match timeout(HELPER_MAX, child.wait_with_output()).await {
        Ok(output) => output.map_err(run)?,
        Err(_) => {
            return Err(refused(format!(
                "it did not answer within {} s",
                HELPER_MAX.as_secs()
            )));
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        return Err(refused(text));
    }
    let answer: Answer =
        serde_json::from_str(&text).map_err(|error| refused(format!("its answer: {error}")))?;
    let mut credentials = DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    };
    // This name says that the secret is no password.
    if answer.username == "<token>" {
        credentials.identitytoken = Some(answer.secret);
    } else {
        credentials.username = Some(answer.username);
        credentials.password = Some(answer.secret);
    }
    Ok(credentials)
}
