//! The server's side of SASL exchanges.

use crate::Knobs;
use mail_wire::Secret;
use mail_wire::sasl::{
    Answer, ChannelBinding, ChannelBindingKind, Decoy, Mechanism, Nonce, Question, Server, ServerParams,
    Step, Stored, TokenError, wire,
};

const PASSWORD: &str = "correct horse";

/// Says lines of `data` to a server. Nobody gets in whom the answers did not let in, and the exchange ends.
pub fn check(data: &[u8]) {
    let (mut knobs, data) = Knobs::split(data);
    let mechanism = Mechanism::ALL[knobs.below(Mechanism::ALL.len())];
    let mut params = ServerParams::new(
        Nonce::from_random([7; 18]),
        Decoy::new(Secret::new(vec![9; 32])).with_iterations(1),
    )
    .with_cram_stamp("mx.example", 1)
    .with_data_with_success(knobs.one_in(2));
    if knobs.one_in(2) {
        params = params.with_channel_binding(ChannelBinding::new(ChannelBindingKind::TlsExporter, [3; 32]));
    }
    let mut server = Server::new(mechanism, params);
    let mut lines = data.split(|b| *b == b'\n');
    let mut step =
        if knobs.one_in(2) { server.step(None) } else { server.step(Some(lines.next().unwrap_or_default())) };
    // What was answered that lets somebody in.
    let mut granted = false;
    for round in 0.. {
        assert!(round <= 8, "an exchange that does not end");
        step = match step {
            Step::Challenge(challenge) => {
                let line = wire::encode(&challenge);
                assert_eq!(wire::decode_challenge(line.expose(), wire::MAX_LINE).as_ref(), Ok(&challenge));
                server.step(Some(lines.next().unwrap_or_default()))
            }
            Step::Ask(question) => {
                let (answer, grants) = answer(&question, &mut knobs);
                granted |= grants;
                server.answer(answer)
            }
            Step::Success { identity, .. } => {
                assert!(granted, "{identity:?} got in unasked");
                assert_eq!(identity.mechanism, mechanism);
                assert!(!identity.authcid.is_empty() && !identity.authcid.contains('\0'));
                assert!(!identity.authzid.contains('\0'));
                // Nothing forges a proof without the password.
                assert!(!mechanism.is_scram() && mechanism != Mechanism::CramMd5);
                break;
            }
            Step::Failed(failure) => {
                assert!(!failure.to_string().contains(char::is_control));
                break;
            }
        };
    }
    // What is over stays over.
    assert!(matches!(server.step(Some(b"x")), Step::Failed(_)));
    assert!(matches!(server.answer(Answer::Accepted), Step::Failed(_)));
}

/// An answer, and whether it may let the client in.
fn answer(question: &Question, knobs: &mut Knobs) -> (Answer, bool) {
    if knobs.one_in(4) {
        return match knobs.below(4) {
            0 => (Answer::Rejected, false),
            1 => (Answer::Unavailable, false),
            2 => (Answer::Stored(Stored::Unknown), false),
            _ => (Answer::RejectedToken(TokenError::new("insufficient_scope")), false),
        };
    }
    match question {
        Question::VerifyPassword { password, authcid, .. } => {
            assert!(!authcid.is_empty() && !authcid.contains('\0'));
            assert_eq!(format!("{password:?}"), "Secret(..)");
            let right = password == &Secret::new(PASSWORD);
            if knobs.one_in(2) {
                (Answer::Stored(Stored::Plain(Secret::new(PASSWORD))), true)
            } else {
                (if right { Answer::Accepted } else { Answer::Rejected }, right)
            }
        }
        Question::Credentials { authcid, .. } => {
            assert!(!authcid.is_empty() && !authcid.contains('\0'));
            (Answer::Stored(Stored::Plain(Secret::new(PASSWORD))), true)
        }
        _ => (Answer::AcceptedAs("somebody".to_owned()), true),
    }
}
