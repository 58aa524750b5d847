//! `smtp-send`: sends a message by SMTP or LMTP, or many. See `smtp-send --help`.

mod content;
mod exit;
mod load;
mod message;
mod options;
mod report;
mod session;
mod transcript;

use std::io::Write;
use std::process::ExitCode;

use mailwright::client::exit::{Exit, Failure};
use smtp_proto::client::Outcome;

use message::Message;
use options::Options;
use session::{Delivery, Route, Session};

fn main() -> ExitCode {
    mailwright::client::exit::main("smtp-send", run)
}

fn run(options: &Options) -> Result<Exit, Failure> {
    let message = Message::of(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::OsErr, error))?;
    let route = runtime.block_on(Route::of(options))?;
    if options.is_single() {
        runtime.block_on(send(options, &route, &message))
    } else {
        load::run(options, route, message)
    }
}

/// Sends one message and tells what became of it.
async fn send(options: &Options, route: &Route, message: &Message) -> Result<Exit, Failure> {
    let mut session = Session::open(route).await?;
    let outcome = match session.deliver(message).await {
        Ok(Delivery::Done(outcome)) => outcome,
        Ok(Delivery::Spent) => return Err(Failure::new(Exit::TempFail, "the server takes no message")),
        Err(failure) => {
            session.close().await;
            return Err(failure);
        }
    };
    session.close().await;
    tell(options, &outcome);
    Ok(exit::worst(&outcome).map_or(Exit::Ok, |(exit, _)| exit))
}

fn tell(options: &Options, outcome: &Outcome) {
    for (to, result) in options.to.iter().zip(outcome.results()) {
        match result {
            Ok(reply) if !options.quiet => {
                // The message is accepted whether or not anybody reads this.
                let _ = writeln!(std::io::stdout(), "accepted {to}: {reply}");
            }
            Ok(_) => {}
            Err(rejection) => eprintln!("smtp-send: {to} refused: {rejection}"),
        }
    }
}
