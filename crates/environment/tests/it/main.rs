//! Parts as real processes of this machine.

mod fixture;
mod group;
mod leftovers;
mod logs;
mod network;
mod part;
mod targets;
