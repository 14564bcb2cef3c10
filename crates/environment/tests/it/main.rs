//! Parts as real processes of this machine.

mod part;
