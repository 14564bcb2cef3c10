//! Content negotiation: what a client accepts, and what its body is.

use crate::status::Status;

/// Serializations upstream names in refusals.
const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Yaml,
}

/// What an object is turned into on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it is.
    Object,
    /// `meta.k8s.io/v1` Table.
    Table,
    /// `meta.k8s.io/v1` PartialObjectMetadata, or its list.
    Partial,
}

/// The outcome of the negotiation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) encoding: Encoding,
    pub(crate) shape: Shape,
    /// The `Content-Type` of the answer.
    pub(crate) content_type: String,
}

/// One clause of an `Accept` header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clause {
    pub(crate) media: String,
    pub(crate) params: Vec<(String, String)>,
}

impl Clause {
    pub(crate) fn param(&self, key: &str) -> &str {
        self.params
            .iter()
            .find(|(name, _)| name == key)
            .map_or("", |(_, value)| value)
    }
}

/// The clauses of a header, best first.
pub(crate) fn clauses(header: &str) -> Vec<Clause> {
    let mut out: Vec<(f32, Clause)> = header
        .split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let media = pieces.next().unwrap_or("").to_ascii_lowercase();
            let params: Vec<(String, String)> = pieces
                .filter_map(|piece| piece.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
                .collect();
            let clause = Clause { media, params };
            let quality = clause.param("q").parse().unwrap_or(1.0);
            (quality, clause)
        })
        .collect();
    out.sort_by(|a, b| b.0.total_cmp(&a.0));
    out.into_iter().map(|(_, clause)| clause).collect()
}

fn encoding_of(media: &str) -> Option<Encoding> {
    match media {
        "application/json" | "*/*" | "application/*" => Some(Encoding::Json),
        "application/yaml" => Some(Encoding::Yaml),
        _ => None,
    }
}

fn media_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "application/json",
        Encoding::Yaml => "application/yaml",
    }
}

/// Chooses for an object or a list. `shapes` is false where only plain objects are served.
pub(crate) fn negotiate(header: &str, shapes: bool) -> Result<Accepted, Status> {
    let plain = |encoding| Accepted {
        encoding,
        shape: Shape::Object,
        content_type: media_type(encoding).to_owned(),
    };
    let all = clauses(header);
    if all.is_empty() {
        return Ok(plain(Encoding::Json));
    }
    for clause in &all {
        let Some(encoding) = encoding_of(&clause.media) else {
            continue;
        };
        let as_kind = clause.param("as");
        if as_kind.is_empty() {
            return Ok(plain(encoding));
        }
        let group_fits = clause.param("g") == "meta.k8s.io" && matches!(clause.param("v"), "v1" | "v1beta1");
        if !shapes || !group_fits {
            continue;
        }
        let shape = match as_kind {
            "Table" => Shape::Table,
            "PartialObjectMetadata" | "PartialObjectMetadataList" => Shape::Partial,
            _ => continue,
        };
        return Ok(Accepted {
            encoding,
            shape,
            content_type: media_type(encoding).to_owned(),
        });
    }
    Err(Status::not_acceptable(ACCEPTED))
}

/// The media type of a body, without its parameters.
pub(crate) fn content_type(header: &str) -> &str {
    header.split(';').next().unwrap_or("").trim()
}

/// How a request's object is written; JSON if it is not said.
pub(crate) fn body_encoding(header: &str) -> Result<Encoding, Status> {
    match content_type(header) {
        "" | "application/json" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        _ => Err(Status::unsupported_media_type(ACCEPTED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_possible_clause_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(kubectl, true).unwrap().shape, Shape::Table);
        assert_eq!(negotiate(kubectl, false).unwrap().shape, Shape::Object);
        assert_eq!(
            negotiate("application/vnd.kubernetes.protobuf,application/json", true)
                .unwrap()
                .encoding,
            Encoding::Json
        );
        assert_eq!(
            negotiate("application/json;q=0.1,application/yaml", true)
                .unwrap()
                .encoding,
            Encoding::Yaml
        );
        assert_eq!(negotiate("text/html", true).unwrap_err().code, 406);
        assert_eq!(negotiate("", true).unwrap().content_type, "application/json");
    }
}
