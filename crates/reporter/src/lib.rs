//! Writes one small JSON health file for a service.
