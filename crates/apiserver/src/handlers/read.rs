//! `get`.

use super::call::{Call, parse_revision};
use crate::{api, reply::Reply, status::Status};

/// One object.
pub(crate) async fn get(call: &Call) -> Result<Reply, Status> {
    let accepted = call.negotiate()?;
    if let Some(text) = call.query.get("resourceVersion") {
        let revision = parse_revision(text).map_err(Status::unclassified)?;
        call.wait_for(revision).await?;
    }
    let object = call.stored()?;
    call.object_reply(200, &accepted, api::render(&object, &call.resource))
}
