//! Each seed, and what is cut out of it, passes the check it is for. So the checks are known to hold without a fuzzer.

use mailwright_fuzz::{CHECKS, seeds};

#[test]
fn every_seed_passes_its_check() {
    let seeds = seeds::all().expect("the transcripts can be read");
    for (target, check) in CHECKS {
        let of_target: Vec<_> = seeds.iter().filter(|(name, ..)| name == target).collect();
        assert!(!of_target.is_empty(), "no seeds for {target}");
        for (_, name, bytes) in of_target {
            println!("{target}/{name}");
            check(bytes);
        }
    }
}

#[test]
fn every_seed_cut_short_passes_its_check() {
    for (target, name, bytes) in seeds::all().expect("the transcripts can be read") {
        let (_, check) =
            CHECKS.iter().find(|(known, _)| *known == target).expect("seeds are for known targets");
        println!("{target}/{name}");
        for cut in [0, 1, 3, 5, bytes.len() / 3, bytes.len() * 2 / 3, bytes.len().saturating_sub(1)] {
            check(&bytes[..cut.min(bytes.len())]);
        }
    }
}
