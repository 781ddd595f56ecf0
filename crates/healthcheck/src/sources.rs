//! Whatever can be looked at: each source turns what it sees into observations, and judges nothing.

#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod command;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod connect;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod containers;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod file_age;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod http;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod limits;
pub(crate) mod machine;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod matching;
pub(crate) mod processes;
pub(crate) mod reports;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod systemd;
#[cfg_attr(not(test), expect(dead_code, reason = "no command looks from outside yet"))]
pub(crate) mod zmq;
