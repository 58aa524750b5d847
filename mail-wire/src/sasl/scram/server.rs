//! The server's side of SCRAM.

use subtle::ConstantTimeEq;

use super::Hash;
use super::message::{self, ClientFinal, ClientFirst};
use crate::sasl::gs2::Flag;
use crate::sasl::{Failure, Mechanism, ScramKeys, ServerParams};

/// A server that has read the client's first message and needs the user's keys.
pub(in crate::sasl) struct Named {
    pub(in crate::sasl) hash: Hash,
    pub(in crate::sasl) username: String,
    authzid: Option<String>,
    client_first_bare: String,
    client_nonce: String,
    /// What the client's `c` attribute must be.
    binding_input: Vec<u8>,
}

/// A server that awaits the client's proof.
pub(in crate::sasl) struct Challenging {
    keys: ScramKeys,
    /// Whether the keys are those of a user at all.
    known: bool,
    username: String,
    authzid: Option<String>,
    nonce: String,
    /// The first two parts of the `AuthMessage`, each with its comma.
    auth_message: String,
    binding_input: Vec<u8>,
}

/// A client that has proved itself.
pub(in crate::sasl) struct Proved {
    pub(in crate::sasl) username: String,
    pub(in crate::sasl) authzid: Option<String>,
    pub(in crate::sasl) final_message: Vec<u8>,
}

impl Named {
    /// Reads `client-first-message`.
    pub(in crate::sasl) fn parse(
        hash: Hash,
        mechanism: Mechanism,
        params: &ServerParams,
        message: &[u8],
    ) -> Result<Self, Failure> {
        let first = ClientFirst::parse(message)?;
        let mut binding_input = first.header.text.as_bytes().to_vec();
        match (first.header.flag, mechanism.uses_channel_binding()) {
            (Flag::Bound(name), true) => {
                let mut bindings = params.channel_bindings.iter();
                let binding = bindings.find(|binding| binding.kind().name() == name);
                // RFC 5802 §6: a type the server does not support MUST fail.
                binding_input.extend_from_slice(binding.ok_or(Failure::ChannelBinding)?.data());
            }
            // RFC 5802 §6: the client thinks that the server cannot bind, but it can: a downgrade, MUST fail.
            (Flag::NotOffered, false) if !params.channel_bindings.is_empty() => {
                return Err(Failure::ChannelBinding);
            }
            (Flag::NotOffered | Flag::Unsupported, false) => {}
            (Flag::Bound(_), false) => return Err(Failure::Malformed { expected: "the flag n or y" }),
            (Flag::NotOffered | Flag::Unsupported, true) => {
                return Err(Failure::Malformed { expected: "the flag p" });
            }
        }
        Ok(Self {
            hash,
            client_first_bare: first.header.rest.to_owned(),
            client_nonce: first.nonce.to_owned(),
            username: first.username,
            authzid: first.header.authzid,
            binding_input,
        })
    }

    /// Makes `server-first-message` out of the user's keys, or of a decoy where `known` is false.
    pub(in crate::sasl) fn challenge(
        self,
        keys: ScramKeys,
        known: bool,
        params: &ServerParams,
    ) -> (Vec<u8>, Challenging) {
        let nonce = self.client_nonce + params.nonce.as_str();
        let challenge = message::server_first(&nonce, keys.salt(), keys.iterations());
        let auth_message = format!("{},{challenge},", self.client_first_bare);
        let challenging = Challenging {
            keys,
            known,
            username: self.username,
            authzid: self.authzid,
            nonce,
            auth_message,
            binding_input: self.binding_input,
        };
        (challenge.into_bytes(), challenging)
    }
}

impl Challenging {
    /// Reads `client-final-message` and makes `server-final-message`.
    pub(in crate::sasl) fn verify(self, mechanism: Mechanism, message: &[u8]) -> Result<Proved, Failure> {
        let last = ClientFinal::parse(message)?;
        // RFC 5802 §5.1: the server MUST verify that the nonce is the one it sent.
        if last.nonce != self.nonce {
            return Err(Failure::Malformed { expected: "the nonce of the challenge" });
        }
        // RFC 5802 §6: the server MUST always validate "c=".
        if !bool::from(self.binding_input.ct_eq(&last.binding_input)) {
            return Err(match mechanism.uses_channel_binding() {
                true => Failure::ChannelBinding,
                false => Failure::Malformed { expected: "the GS2 header of the first message" },
            });
        }
        let auth_message = self.auth_message + last.without_proof;
        // Verified first, so that an unknown user takes as long as a known one.
        let proved = self.keys.verify_proof(auth_message.as_bytes(), &last.proof);
        if !(proved && self.known) {
            return Err(Failure::Credentials);
        }
        let signature = self.keys.sign(auth_message.as_bytes());
        let final_message = message::server_final(signature.expose()).into_bytes();
        Ok(Proved { username: self.username, authzid: self.authzid, final_message })
    }
}
