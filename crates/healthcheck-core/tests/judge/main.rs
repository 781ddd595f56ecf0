//! The judge from outside: each row of the table of causes, and what must hold over any sequence of observations.

#![expect(clippy::unwrap_used, reason = "this is a test, its helpers included")]

mod aftermath;
mod bounds;
mod causes;
mod clocks;
mod ends;
mod expectations;
mod gaps;
mod homes;
mod hosts;
mod looks;
mod loops;
mod properties;
mod returns;
mod runs;
mod snapshots;
mod thresholds;
mod unusable;
mod world;
