//! How many descriptors this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than anything here needs. Beyond it, old programs that are started from here and close each descriptor they
/// could have would take long for that.
const ENOUGH: u64 = 65_536;

/// Raises the soft limit of open descriptors towards the hard one, and returns the soft one that is in force then.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let possible = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if current.is_some_and(|current| current < possible) {
        // Where it is not allowed, fewer are looked at at once.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_what_the_hard_one_allows() {
        let before = getrlimit(Resource::Nofile);
        let raised = raise_descriptor_limit();
        assert!(raised >= before.current.unwrap_or(u64::MAX));
        assert!(raised >= before.maximum.unwrap_or(u64::MAX).min(ENOUGH));
        assert_eq!(raise_descriptor_limit(), raised);
    }
}
