//! What is refused before a byte is sent, and what is left out, because the server does not offer it.

#[cfg(test)]
mod client_support;

use client_support::*;
use smtp_proto::client::*;
use smtp_proto::types::*;

/// The transaction is refused with this text, nothing is sent, and the connection goes on.
fn refused(extensions: &[&str], transaction: Transaction, why: &str) {
    let script = greeted(extensions) + "= refused: " + why + "\nC: NOOP\nS: 250 ok\n= NOOP: 250 ok";
    play(&config(), &[Action::Send(transaction, Vec::new()), Action::Call(Client::noop)], &script);
}

/// The transaction is sent with this MAIL and RCPT.
fn sent(extensions: &[&str], transaction: Transaction, events: &[&str], mail: &str, rcpt: &str) {
    let mut script = greeted(extensions);
    for event in events {
        script.push_str(&format!("= {event}\n"));
    }
    script.push_str(&format!("C: MAIL FROM:<a@c>{mail}\nS: 250 ok\nC: RCPT TO:<b@mx>{rcpt}"));
    play(&config(), &[Action::Send(transaction, Vec::new())], &script);
}

fn mail(change: impl FnOnce(&mut MailParams)) -> Transaction {
    let mut transaction = to(&["b@mx"]);
    change(&mut transaction.params);
    transaction
}

fn rcpt(change: impl FnOnce(&mut RcptParams)) -> Transaction {
    let mut params = RcptParams::new();
    change(&mut params);
    to(&[]).to_with(mailbox("b@mx"), params)
}

#[test]
fn a_message_over_the_limit_is_not_sent() {
    let why = "the message has 1001 bytes, the server takes 1000";
    refused(&["SIZE 1000"], to(&["b@mx"]).with_size(1001), why);
    sent(&["SIZE 1000"], to(&["b@mx"]).with_size(1000), &[], " SIZE=1000", "");
    sent(&["SIZE 0"], to(&["b@mx"]).with_size(1001), &[], " SIZE=1001", "");
    sent(&["SIZE"], to(&["b@mx"]).with_size(1001), &[], " SIZE=1001", "");
    sent(&[], to(&["b@mx"]).with_size(1001), &[], "", "");
}

#[test]
fn eight_bit_and_binary_messages_need_their_extensions() {
    let body = |body| to(&["b@mx"]).with_body(body);
    sent(&[], body(Body::SevenBit), &[], "", "");
    sent(&["8BITMIME"], body(Body::SevenBit), &[], " BODY=7BIT", "");
    sent(&["8BITMIME"], body(Body::EightBitMime), &[], " BODY=8BITMIME", "");
    refused(
        &["SMTPUTF8"],
        body(Body::EightBitMime),
        "the server does not offer 8BITMIME, needed for a message with 8-bit bytes",
    );
    refused(
        &["8BITMIME", "CHUNKING"],
        body(Body::BinaryMime),
        "the server does not offer BINARYMIME, needed for a binary message",
    );
    refused(
        &["8BITMIME", "BINARYMIME"],
        body(Body::BinaryMime),
        "the server does not offer CHUNKING, needed for a binary message",
    );
    let script = greeted(&["CHUNKING", "BINARYMIME"])
        + "= refused: the server does not offer CHUNKING, needed for a binary message";
    let never = config().with_chunking(Chunking::Never);
    play(&never, &[Action::Send(body(Body::BinaryMime), Vec::new())], &script);
}

#[test]
fn utf8_in_addresses_or_header_needs_smtputf8() {
    let header = to(&["b@mx"]).with_utf8_header();
    sent(&["SMTPUTF8"], header.clone(), &[], " SMTPUTF8", "");
    refused(&[], header, "the server does not offer SMTPUTF8, needed for a header beyond ASCII");

    let why = "the server does not offer SMTPUTF8, needed for an address beyond ASCII";
    refused(&[], to(&["bücher@mx"]), why);
    refused(&[], to(&["b@mx", "b@bücher.example"]), why);
    refused(&[], Transaction::new(mailbox("ä@c")).to(mailbox("b@mx")), why);
    let script = greeted(&["SMTPUTF8"])
        + "C: MAIL FROM:<ä@c> SMTPUTF8
           S: 250 ok
           C: RCPT TO:<bücher@mx>";
    let transaction = Transaction::new(mailbox("ä@c")).to(mailbox("bücher@mx"));
    play(&config(), &[Action::Send(transaction, Vec::new())], &script);
}

#[test]
fn a_transaction_needs_a_recipient() {
    refused(&[], to(&[]), "expected at least one recipient");
}

#[test]
fn the_limits_of_the_server_are_kept() {
    refused(
        &["LIMITS RCPTMAX=1"],
        to(&["b@mx", "d@mx"]),
        "2 recipients, the server takes 1 in a transaction",
    );
    refused(
        &["LIMITS RCPTDOMAINMAX=1"],
        to(&["b@mx", "d@other"]),
        "the server takes 1 recipient domains in a session: reconnect, or send to fewer",
    );
    let greeted = greeted(&["LIMITS MAILMAX=1 RCPTMAX=2 RCPTDOMAINMAX=1", "PIPELINING"]);
    let script = greeted
        + "C: MAIL FROM:<a@c>
           C: RCPT TO:<b@mx>
           C: RCPT TO:<d@MX>
           C: DATA
           S: 450 no
           S: 503 no
           S: 503 no
           S: 503 no
           = sent | not 450 no (in the reply to MAIL) | not 450 no (in the reply to MAIL)
           = refused: the server takes 1 messages in a session: reconnect";
    play(&config(), &[message(&["b@mx", "d@MX"], ""), message(&["b@mx"], "")], &script);
    assert!(SendError::SessionSpent { limit: 1 }.needs_reconnect());
    assert!(!SendError::NoRecipients.needs_reconnect());
}

#[test]
fn domains_are_counted_over_the_session() {
    let script = greeted(&["LIMITS RCPTDOMAINMAX=1", "PIPELINING"])
        + "C: MAIL FROM:<a@c>
           C: RCPT TO:<b@mx>
           C: DATA
           S: 450 no
           S: 503 no
           S: 503 no
           = sent | not 450 no (in the reply to MAIL)
           = refused: the server takes 1 recipient domains in a session: reconnect, or send to fewer
           C: MAIL FROM:<a@c>
           C: RCPT TO:<d@mx>
           C: DATA";
    let actions = [message(&["b@mx"], ""), message(&["b@other"], ""), message(&["d@mx"], "")];
    play(&config(), &actions, &script);
}

#[test]
fn reports_are_left_to_the_sender_where_the_server_knows_none() {
    let transaction = || {
        let mut transaction = mail(|params| {
            params.ret = Some(Ret::Full);
            params.envid = Some(Xtext::new("id").unwrap());
        });
        transaction.recipients[0].1.notify = Some(Notify::Never);
        transaction
    };
    sent(&["DSN"], transaction(), &[], " RET=FULL ENVID=id", " NOTIFY=NEVER");
    sent(&[], transaction(), &["dropped DsnOfMessage", "dropped DsnOfRecipient(0)"], "", "");
}

#[test]
fn a_deadline_is_dropped_or_insisted_on_as_its_mode_says() {
    let by = |seconds, mode| mail(|params| params.by = Some(DeliverBy { seconds, mode, trace: false }));
    sent(&["DELIVERBY"], by(60, ByMode::Return), &[], " BY=60;R", "");
    sent(&["DELIVERBY 60"], by(60, ByMode::Return), &[], " BY=60;R", "");
    sent(&["DELIVERBY 60"], by(59, ByMode::Notify), &[], " BY=59;N", "");
    sent(&[], by(60, ByMode::Notify), &["dropped DeliverBy"], "", "");
    refused(
        &["DELIVERBY 60"],
        by(59, ByMode::Return),
        "delivery within 59 s demanded, the server promises no less than 60 s",
    );
    refused(
        &[],
        by(60, ByMode::Return),
        "the server does not offer DELIVERBY, needed for a message that must be delivered in time or returned",
    );
}

#[test]
fn a_hold_is_insisted_on() {
    let hold = |seconds| mail(|params| params.hold = Some(Hold::For(seconds)));
    sent(&["FUTURERELEASE 600 2030-01-01T00:00:00Z"], hold(600), &[], " HOLDFOR=600", "");
    sent(&["FUTURERELEASE"], hold(601), &[], " HOLDFOR=601", "");
    refused(
        &["FUTURERELEASE 600 2030-01-01T00:00:00Z"],
        hold(601),
        "a hold of 601 s demanded, the server holds messages for 600 s",
    );
    refused(
        &[],
        hold(1),
        "the server does not offer FUTURERELEASE, needed for a message that must not be released before its time",
    );
}

#[test]
fn priority_and_submitter_may_be_lost() {
    sent(&["MT-PRIORITY"], mail(|p| p.mt_priority = Some(3)), &[], " MT-PRIORITY=3", "");
    sent(&[], mail(|p| p.mt_priority = Some(3)), &["dropped MtPriority"], "", "");
    sent(&["AUTH PLAIN"], mail(|p| p.auth = Some(MailAuth::Unknown)), &[], " AUTH=<>", "");
    sent(&[], mail(|p| p.auth = Some(MailAuth::Unknown)), &["dropped Auth"], "", "");
}

#[test]
fn requiretls_is_insisted_on() {
    let transaction = || mail(|params| params.requiretls = true);
    refused(&["REQUIRETLS"], transaction(), "REQUIRETLS demanded on a connection without TLS");
    let tls = config().with_tls(TlsPolicy::Implicit);
    let actions = [Action::Send(transaction(), Vec::new())];
    let why = "the server does not offer REQUIRETLS, needed for a message that requires TLS";
    play(&tls, &actions, &format!("TLS\n{}= refused: {why}", greeted(&[])));
    let script = format!("TLS\n{}C: MAIL FROM:<a@c> REQUIRETLS", greeted(&["REQUIRETLS"]));
    play(&tls, &actions, &script);
}

#[test]
fn a_recipient_whose_mailbox_changed_hands_is_the_senders_choice() {
    let since = DateTime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let rrvs = |action| rcpt(|params| params.rrvs = Some(Rrvs { since, action }));
    sent(&["RRVS"], rrvs(RrvsAction::Reject), &[], "", " RRVS=2026-01-01T00:00:00Z;R");
    sent(&[], rrvs(RrvsAction::Continue), &["dropped Rrvs(0)"], "", "");
    refused(
        &[],
        rrvs(RrvsAction::Reject),
        "the server does not offer RRVS, needed for a recipient whose mailbox must not have changed hands",
    );
}

#[test]
fn parameters_unknown_here_go_as_they_are() {
    let transaction = mail(|params| params.other.push(Parameter::new("X-FOO", Some("bar")).unwrap()));
    sent(&["X-FOO"], transaction, &[], " X-FOO=bar", "");
}

#[test]
fn one_thing_at_a_time() {
    let mut embedder = Embedder::new(config(), &[]);
    let send = |embedder: &mut Embedder| embedder.client.send(to(&["b@mx"]));
    assert_eq!(send(&mut embedder), Err(SendError::Busy), "before the greeting");
    embedder.feed(b"220 mx\r\n", 100);
    assert_eq!(embedder.client.quit(), Err(SendError::Busy), "before EHLO is answered");
    embedder.feed(b"250 mx\r\n", 100);
    assert_eq!(embedder.client.write_body(b"x"), Err(BodyError::NotNow));
    assert_eq!(embedder.client.finish_body(), Err(BodyError::NotNow));
    assert_eq!(embedder.client.abort(), Err(BodyError::NotNow));
    assert_eq!(send(&mut embedder), Ok(Vec::new()));
    assert_eq!(send(&mut embedder), Err(SendError::Busy));
    assert_eq!(embedder.client.noop(), Err(SendError::Busy));
    assert_eq!(embedder.client.write_body(b"x"), Err(BodyError::NotNow), "the server has not asked");
}
