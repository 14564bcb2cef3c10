//! What surrounds the steps: parts, blocks, conditions, retries, defined steps, fixtures, builds, the end.
