//! What engines ask and are answered: as recorded or documented, with broken questions, and at random.

mod contract;
mod guests;
mod random;
mod refusals;
mod shipped;
mod world;
