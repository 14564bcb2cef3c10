//! Images: there already, or pulled with the registry's own words where that fails.

use std::{collections::HashMap, str::FromStr};

use bollard::{errors::Error, query_parameters::CreateImageOptionsBuilder};
use futures_util::StreamExt;

use super::{
    address::Surroundings,
    credentials::{self, CredentialError},
    engine::Engine,
    part::words,
};

/// An image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The engine cannot say whether it is there.
    #[error("the engine cannot say whether {image} is there")]
    Inspect {
        /// The image.
        image: String,
        /// Its words.
        #[source]
        source: Error,
    },
    /// It cannot be pulled.
    #[error("{image} cannot be pulled: {reason}")]
    Pull {
        /// The image.
        image: String,
        /// The registry's, or the engine's, words.
        reason: String,
    },
    /// Credentials are configured and cannot be had.
    #[error("{image} cannot be pulled")]
    Credentials {
        /// The image.
        image: String,
        /// Why.
        #[source]
        source: CredentialError,
    },
    /// A platform is written wrongly.
    #[error("`{0}` is no platform such as linux/amd64 or linux/arm64/v8")]
    Platform(String),
}

/// For which kind of machine an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform(String);

impl Platform {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Platform {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let pieces: Vec<&str> = text.split('/').collect();
        let well_formed = (2..=3).contains(&pieces.len()) && pieces.iter().all(|piece| !piece.is_empty());
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(ImageError::Platform(text.to_owned()))
        }
    }
}

/// Pulls an image if it is not there. `progress` is told how far it is, in a line, now and then.
///
/// # Errors
/// When it is not there and cannot be pulled.
pub async fn ensure_image(
    engine: &Engine,
    image: &str,
    platform: Option<&Platform>,
    mut progress: impl FnMut(String),
) -> Result<(), ImageError> {
    match engine.client.inspect_image(image).await {
        Ok(_) => return Ok(()),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
        Err(source) => {
            return Err(ImageError::Inspect {
                image: image.to_owned(),
                source,
            });
        }
    }
    let credentials = match Surroundings::of_this_process().config_dir {
        Some(dir) => credentials::lookup(&dir, registry_of(image))
            .await
            .map_err(|source| ImageError::Credentials {
                image: image.to_owned(),
                source,
            })?,
        None => None,
    };
    let mut options = CreateImageOptionsBuilder::default().from_image(&with_tag(image));
    if let Some(platform) = platform {
        options = options.platform(platform.as_str());
    }
    let mut pulling = engine
        .client
        .create_image(Some(options.build()), None, credentials);
    let mut layers = Layers::default();
    while let Some(told) = pulling.next().await {
        let told = told.map_err(|error| ImageError::Pull {
            image: image.to_owned(),
            reason: words(error),
        })?;
        let detail = told.progress_detail.unwrap_or_default();
        if let (Some(layer), Some(current), Some(total)) = (told.id, detail.current, detail.total) {
            progress(format!("pulling {image}: {}", layers.saw(layer, current, total)));
        }
    }
    Ok(())
}

/// How far the layers of a pull are. Each is told by itself, and a person wants one line.
#[derive(Default)]
struct Layers(HashMap<String, (i64, i64)>);

impl Layers {
    fn saw(&mut self, layer: String, current: i64, total: i64) -> String {
        self.0.insert(layer, (current, total));
        let (current, total) = self.0.values().fold((0, 0), |(current, total), layer| {
            (current + layer.0, total + layer.1)
        });
        let mebibytes = |bytes: i64| bytes as f64 / f64::from(1 << 20);
        format!(
            "{:.1} of {:.1} MiB in {} layers",
            mebibytes(current),
            mebibytes(total),
            self.0.len()
        )
    }
}

/// The engine pulls every tag of a name without one; the `docker` command means `latest`.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// The registry that an image's name leads to. The first piece is one only if it looks like a host, as in upstream's
/// reference grammar; all else is on Docker Hub.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_name_tells_its_registry_and_tag() {
        for (image, registry, tagged) in [
            ("nginx", "docker.io", "nginx:latest"),
            ("library/nginx:1", "docker.io", "library/nginx:1"),
            ("localhost/app", "localhost", "localhost/app:latest"),
            (
                "127.0.0.1:5000/app",
                "127.0.0.1:5000",
                "127.0.0.1:5000/app:latest",
            ),
            ("quay.io/a/b@sha256:aa", "quay.io", "quay.io/a/b@sha256:aa"),
        ] {
            assert_eq!(
                (registry_of(image), with_tag(image).as_str()),
                (registry, tagged),
                "{image}"
            );
        }
    }

    #[test]
    fn a_platform_has_two_or_three_pieces() {
        assert!("linux/arm64/v8".parse::<Platform>().is_ok());
        for wrong in ["linux", "linux/", "a/b/c/d", ""] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }
}
