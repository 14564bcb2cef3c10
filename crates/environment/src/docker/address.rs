//! Where the container engine is: looked for as the `docker` command does, in its order.
//!
//! `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the current context of `config.json`, then the sockets at which engines
//! listen by default. The first that is *configured* counts, whether it works or not: a wrong `DOCKER_HOST` is to be
//! told, not to be papered over by another engine that happens to run. Of the default sockets the first that exists
//! counts.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// Which engine is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// Docker.
    Docker,
    /// Podman, by its Docker-compatible socket.
    Podman,
}

impl Flavor {
    /// Its name, as `--on` and `--require` have it.
    pub fn name(self) -> &'static str {
        match self {
            Flavor::Docker => "docker",
            Flavor::Podman => "podman",
        }
    }
}

/// Where an engine is, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub host: Host,
    /// How it is known: `DOCKER_HOST`, `context colima`, `default`.
    pub source: String,
}

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// At a Unix socket.
    Unix(PathBuf),
    /// At a TCP address, in clear text or with client certificates.
    Tcp {
        /// `host:port`.
        authority: String,
        /// The certificates; `None` for clear text.
        tls: Option<TlsFiles>,
    },
}

/// What TLS to an engine needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate authority.
    pub ca: PathBuf,
    /// The client's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl TlsFiles {
    fn in_directory(dir: &Path) -> Self {
        Self {
            ca: dir.join("ca.pem"),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }
}

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// Nothing is configured, and none of the default sockets is there.
    #[error("no {} socket at {}", flavor.name(), looked_at(places))]
    NoSocket {
        /// Which engine was looked for.
        flavor: Flavor,
        /// Where.
        places: Vec<PathBuf>,
    },
    /// A context is chosen that does not exist.
    #[error("there is no docker context `{name}` ({source_name} names it)")]
    NoContext {
        /// Its name.
        name: String,
        /// What names it.
        source_name: String,
    },
    /// A file of docker's configuration cannot be understood.
    #[error("{} is not understood: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An address of a kind that is not served.
    #[error("`{host}` ({source_name}) is no address that seatrial can use: unix:// and tcp:// are")]
    Unsupported {
        /// The address.
        host: String,
        /// What names it.
        source_name: String,
    },
}

fn looked_at(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(" or ")
}

/// What of the machine decides where an engine is looked for; apart, so that it can be another one in a test.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_TLS_VERIFY` is set to something.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// `CONTAINER_HOST`, Podman's own.
    pub container_host: Option<String>,
    /// Docker's configuration directory: `DOCKER_CONFIG` or `~/.docker`.
    pub config_dir: Option<PathBuf>,
    /// `~`.
    pub home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The root of the file system, for `/var/run`.
    pub root: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name| text(name).map(PathBuf::from);
        let home = path("HOME");
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
            cert_path: path("DOCKER_CERT_PATH"),
            container_host: text("CONTAINER_HOST"),
            config_dir: path("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker"))),
            home,
            runtime_dir: path("XDG_RUNTIME_DIR"),
            root: PathBuf::from("/"),
        }
    }

    /// Where the engine is.
    ///
    /// # Errors
    /// When nothing is configured and no socket is there, or what is configured cannot be used.
    pub fn find(&self, flavor: Flavor) -> Result<Address, NotFound> {
        match flavor {
            Flavor::Docker => self.find_docker(),
            Flavor::Podman => match &self.container_host {
                Some(host) => self.parse(host, "CONTAINER_HOST", None),
                None => self.default_socket(flavor, self.podman_sockets()),
            },
        }
    }

    fn find_docker(&self) -> Result<Address, NotFound> {
        if let Some(host) = &self.docker_host {
            let tls_dir = self
                .cert_path
                .as_ref()
                .or(self.config_dir.as_ref())
                .filter(|_| self.tls_verify);
            return self.parse(
                host,
                "DOCKER_HOST",
                tls_dir.map(|dir| TlsFiles::in_directory(dir)),
            );
        }
        let chosen = match &self.docker_context {
            Some(name) => Some((name.clone(), "DOCKER_CONTEXT".to_owned())),
            None => self.current_context()?,
        };
        match chosen {
            Some((name, source)) if name != "default" => self.context(&name, &source),
            _ => self.default_socket(Flavor::Docker, self.docker_sockets()),
        }
    }

    fn current_context(&self) -> Result<Option<(String, String)>, NotFound> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Config {
            current_context: Option<String>,
        }
        let Some(path) = self.config_dir.as_ref().map(|dir| dir.join("config.json")) else {
            return Ok(None);
        };
        let config: Option<Config> = read_json(&path)?;
        let name = config
            .and_then(|config| config.current_context)
            .filter(|name| !name.is_empty());
        Ok(name.map(|name| (name, path.display().to_string())))
    }

    /// A context's metadata lies in a directory named by a hash of its name; the name is in it.
    fn context(&self, name: &str, source: &str) -> Result<Address, NotFound> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Meta {
            name: String,
            #[serde(default)]
            endpoints: Endpoints,
        }
        #[derive(Default, Deserialize)]
        struct Endpoints {
            docker: Option<Endpoint>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Endpoint {
            host: Option<String>,
        }
        let missing = || NotFound::NoContext {
            name: name.to_owned(),
            source_name: source.to_owned(),
        };
        let contexts = self.config_dir.as_ref().ok_or_else(missing)?.join("contexts");
        let entries = fs::read_dir(contexts.join("meta")).map_err(|_| missing())?;
        for entry in entries.flatten() {
            let path = entry.path().join("meta.json");
            let meta: Option<Meta> = read_json(&path)?;
            let Some(meta) = meta.filter(|meta| meta.name == name) else {
                continue;
            };
            let host = meta
                .endpoints
                .docker
                .and_then(|endpoint| endpoint.host)
                .ok_or(NotFound::Config {
                    path,
                    reason: "it has no docker endpoint".into(),
                })?;
            let tls = contexts.join("tls").join(entry.file_name()).join("docker");
            let tls = tls.is_dir().then(|| TlsFiles::in_directory(&tls));
            return self.parse(&host, &format!("context {name}"), tls);
        }
        Err(missing())
    }

    fn parse(&self, host: &str, source: &str, tls: Option<TlsFiles>) -> Result<Address, NotFound> {
        let source_name = source.to_owned();
        let unsupported = || NotFound::Unsupported {
            host: host.to_owned(),
            source_name: source_name.clone(),
        };
        let host = match host.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Host::Unix(PathBuf::from(path)),
            Some(("tcp" | "http" | "https", authority)) if !authority.is_empty() => Host::Tcp {
                authority: authority.trim_end_matches('/').to_owned(),
                tls,
            },
            _ => return Err(unsupported()),
        };
        Ok(Address {
            host,
            source: source.to_owned(),
        })
    }

    fn docker_sockets(&self) -> Vec<PathBuf> {
        let of_machine = Some(self.root.join("var/run/docker.sock"));
        let rootless = self.runtime_dir.as_ref().map(|dir| dir.join("docker.sock"));
        let desktop = self.home.iter().flat_map(|home| {
            [
                home.join(".docker/run/docker.sock"),
                home.join(".docker/desktop/docker.sock"),
            ]
        });
        of_machine.into_iter().chain(rootless).chain(desktop).collect()
    }

    fn podman_sockets(&self) -> Vec<PathBuf> {
        let rootless = self
            .runtime_dir
            .as_ref()
            .map(|dir| dir.join("podman/podman.sock"));
        rootless
            .into_iter()
            .chain([self.root.join("run/podman/podman.sock")])
            .collect()
    }

    fn default_socket(&self, flavor: Flavor, places: Vec<PathBuf>) -> Result<Address, NotFound> {
        match places.iter().find(|place| place.exists()) {
            Some(place) => Ok(Address {
                host: Host::Unix(place.clone()),
                source: "default".into(),
            }),
            None => Err(NotFound::NoSocket { flavor, places }),
        }
    }
}

/// A file that is not there is no error: nothing is configured then.
fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, NotFound> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(None);
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| NotFound::Config {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        dir: tempfile::TempDir,
        surroundings: Surroundings,
    }

    impl Machine {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let surroundings = Surroundings {
                config_dir: Some(dir.path().join("home/.docker")),
                home: Some(dir.path().join("home")),
                runtime_dir: Some(dir.path().join("run/user/1000")),
                root: dir.path().to_owned(),
                ..Surroundings::default()
            };
            Self { dir, surroundings }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        #[track_caller]
        fn check(&self, flavor: Flavor, expected: &str) {
            let found = match self.surroundings.find(flavor) {
                Ok(Address {
                    host: Host::Unix(path),
                    source,
                }) => format!("unix {} by {source}", path.display()),
                Ok(Address {
                    host: Host::Tcp { authority, tls },
                    source,
                }) => {
                    let tls = tls.map_or("clear".into(), |tls| tls.ca.display().to_string());
                    format!("tcp {authority} {tls} by {source}")
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(
                found.replace(&self.dir.path().display().to_string(), ""),
                expected
            );
        }
    }

    #[test]
    fn with_nothing_configured_the_default_sockets_are_tried_in_order() {
        let machine = Machine::new();
        machine.check(
            Flavor::Docker,
            "no docker socket at /var/run/docker.sock or /run/user/1000/docker.sock or \
             /home/.docker/run/docker.sock or /home/.docker/desktop/docker.sock",
        );
        machine.write("home/.docker/desktop/docker.sock", "");
        machine.check(
            Flavor::Docker,
            "unix /home/.docker/desktop/docker.sock by default",
        );
        machine.write("run/user/1000/docker.sock", "");
        machine.check(Flavor::Docker, "unix /run/user/1000/docker.sock by default");
        machine.write("var/run/docker.sock", "");
        machine.check(Flavor::Docker, "unix /var/run/docker.sock by default");
        machine.check(
            Flavor::Podman,
            "no podman socket at /run/user/1000/podman/podman.sock or /run/podman/podman.sock",
        );
    }

    #[test]
    fn docker_host_wins_over_all_and_takes_its_certificates_from_the_cert_path() {
        let mut machine = Machine::new();
        machine.write("var/run/docker.sock", "");
        machine.surroundings.docker_context = Some("colima".into());
        machine.surroundings.docker_host = Some("unix:///elsewhere.sock".into());
        machine.check(Flavor::Docker, "unix /elsewhere.sock by DOCKER_HOST");
        machine.surroundings.docker_host = Some("tcp://box:2375".into());
        machine.check(Flavor::Docker, "tcp box:2375 clear by DOCKER_HOST");
        machine.surroundings.tls_verify = true;
        machine.surroundings.cert_path = Some("/certs".into());
        machine.check(Flavor::Docker, "tcp box:2375 /certs/ca.pem by DOCKER_HOST");
        machine.surroundings.docker_host = Some("ssh://box".into());
        machine.check(
            Flavor::Docker,
            "`ssh://box` (DOCKER_HOST) is no address that seatrial can use: unix:// and tcp:// are",
        );
    }

    #[test]
    fn a_context_is_found_by_its_name_and_a_missing_one_is_told() {
        let mut machine = Machine::new();
        machine.write("var/run/docker.sock", "");
        machine.write(
            "home/.docker/config.json",
            r#"{"currentContext": "colima", "auths": {}}"#,
        );
        machine.check(
            Flavor::Docker,
            "there is no docker context `colima` (/home/.docker/config.json names it)",
        );
        let meta = |name: &str, host: &str| {
            format!(
                r#"{{"Name": "{name}", "Metadata": {{}}, "Endpoints": {{"docker": {{"Host": "{host}"}}}}}}"#
            )
        };
        machine.write(
            "home/.docker/contexts/meta/aa/meta.json",
            &meta("other", "unix:///o"),
        );
        machine.write(
            "home/.docker/contexts/meta/bb/meta.json",
            &meta("colima", "tcp://c:1"),
        );
        machine.check(Flavor::Docker, "tcp c:1 clear by context colima");
        machine.write("home/.docker/contexts/tls/bb/docker/ca.pem", "");
        machine.check(
            Flavor::Docker,
            "tcp c:1 /home/.docker/contexts/tls/bb/docker/ca.pem by context colima",
        );
        machine.surroundings.docker_context = Some("default".into());
        machine.check(Flavor::Docker, "unix /var/run/docker.sock by default");
    }

    #[test]
    fn a_broken_configuration_is_told_and_not_passed_over() {
        let machine = Machine::new();
        machine.write("home/.docker/config.json", "{");
        machine.check(
            Flavor::Docker,
            "/home/.docker/config.json is not understood: EOF while parsing an object at line 1 column 1",
        );
    }
}
