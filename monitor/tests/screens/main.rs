//! The screens as an operator sees them: keys are pressed, screens are read.

mod agents;
mod behaviour;
mod header;
mod replay;
mod scene;
mod snapshots;
mod stage;
