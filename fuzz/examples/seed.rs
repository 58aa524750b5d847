//! Writes the seeds: `cargo run --example seed -- corpus`.

fn main() -> std::io::Result<()> {
    let corpus = std::env::args_os().nth(1).unwrap_or_else(|| "corpus".into());
    let count = mailwright_fuzz::seeds::write(corpus.as_ref())?;
    println!("{count} seeds in {}", corpus.display());
    Ok(())
}
