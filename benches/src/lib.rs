//! The benches are in `benches/`, the load tests of whole servers in `load/`.
