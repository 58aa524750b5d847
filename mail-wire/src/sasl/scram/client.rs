//! The client's side of SCRAM.

use core::ops::RangeInclusive;

use subtle::ConstantTimeEq;

use super::message::{self, ServerFinal, ServerFirst};
use super::{Hash, xor};
use crate::Secret;
use crate::sasl::{ClientError, Failure};

/// A client that has made its first message.
pub(in crate::sasl) struct Begun {
    pub(in crate::sasl) hash: Hash,
    /// The password, prepared.
    pub(in crate::sasl) password: Secret,
    pub(in crate::sasl) gs2_header: String,
    /// Empty where the channel is not bound.
    pub(in crate::sasl) binding_data: Vec<u8>,
    /// The user name, prepared.
    pub(in crate::sasl) username: String,
    pub(in crate::sasl) nonce: String,
    pub(in crate::sasl) iterations: RangeInclusive<u32>,
}

/// A client that has sent its proof and awaits the server's.
pub(in crate::sasl) struct Proving {
    expected_signature: Secret,
}

impl Begun {
    /// `client-first-message`
    pub(in crate::sasl) fn first_message(&self) -> Secret {
        Secret::new(self.gs2_header.clone() + &self.bare())
    }

    /// Takes the server's first message and makes the client's final one.
    pub(in crate::sasl) fn respond(self, challenge: &[u8]) -> Result<(Secret, Proving), ClientError> {
        let challenge = text(challenge)?;
        if let Ok(ServerFinal::Refused(refusal)) = ServerFinal::parse(challenge) {
            return Err(ClientError::Refused(refusal));
        }
        let first = ServerFirst::parse(challenge).map_err(malformed)?;
        // RFC 5802 §5.1: the client MUST verify that the nonce begins with its own.
        if first.nonce.len() <= self.nonce.len() || !first.nonce.starts_with(&self.nonce) {
            return Err(ClientError::Nonce);
        }
        if !self.iterations.contains(&first.iterations) {
            let (least, most) = (*self.iterations.start(), *self.iterations.end());
            return Err(ClientError::Iterations { least, most, found: first.iterations });
        }

        // RFC 5802 §3
        let salted_password = self.hash.salted_password(&self.password, &first.salt, first.iterations);
        let client_key = self.hash.client_key(&salted_password);
        let stored_key = self.hash.digest(client_key.expose());
        let server_key = self.hash.server_key(&salted_password);
        let binding_input = [self.gs2_header.as_bytes(), &self.binding_data].concat();
        let without_proof = message::client_final_without_proof(&binding_input, first.nonce);
        let auth_message = format!("{},{challenge},{without_proof}", self.bare());
        let client_signature = self.hash.hmac(stored_key.expose(), auth_message.as_bytes());
        let proof = xor(client_key.expose(), client_signature.expose());

        let expected_signature = self.hash.hmac(server_key.expose(), auth_message.as_bytes());
        let response = without_proof + &message::proof(proof.expose());
        Ok((Secret::new(response), Proving { expected_signature }))
    }

    fn bare(&self) -> String {
        message::client_first_bare(&self.username, &self.nonce)
    }
}

impl Proving {
    /// Takes the server's final message: its proof, or its refusal.
    pub(in crate::sasl) fn verify(self, challenge: &[u8]) -> Result<(), ClientError> {
        match ServerFinal::parse(text(challenge)?).map_err(malformed)? {
            ServerFinal::Refused(refusal) => Err(ClientError::Refused(refusal)),
            // RFC 5802 §5: a different signature MUST count as failure.
            ServerFinal::Signature(found) if bool::from(self.expected_signature.expose().ct_eq(&found)) => {
                Ok(())
            }
            ServerFinal::Signature(_) => Err(ClientError::ServerSignature),
        }
    }
}

fn text(challenge: &[u8]) -> Result<&str, ClientError> {
    message::text(challenge).map_err(malformed)
}

fn malformed(failure: Failure) -> ClientError {
    let expected = match failure {
        Failure::Malformed { expected } => expected,
        _ => "a SCRAM message",
    };
    ClientError::MalformedChallenge { expected }
}
