//! What a finished TLS session tells: names for trace fields, channel bindings for SCRAM, the peer's identity for
//! EXTERNAL.

use mail_wire::TlsInfo;
use mail_wire::sasl::{ChannelBinding, ChannelBindingKind};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConnection, CommonState, ProtocolVersion, ServerConnection};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

pub(super) fn of_server(session: &ServerConnection, end_point: Option<&ChannelBinding>) -> TlsInfo {
    let mut info = common(session);
    info.server_name = session.server_name().map(str::to_owned);
    info.peer_identity = session.peer_certificates().and_then(|chain| chain.first()).and_then(identity);
    let mut exported = [0; 32];
    if session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && session.export_keying_material(&mut exported, EXPORTER_LABEL, Some(&[])).is_ok()
    {
        info.channel_bindings.push(ChannelBinding::new(ChannelBindingKind::TlsExporter, exported));
    }
    info.channel_bindings.extend(end_point.cloned());
    info
}

pub(super) fn of_client(session: &ClientConnection) -> TlsInfo {
    let mut info = common(session);
    let mut exported = [0; 32];
    if session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && session.export_keying_material(&mut exported, EXPORTER_LABEL, Some(&[])).is_ok()
    {
        info.channel_bindings.push(ChannelBinding::new(ChannelBindingKind::TlsExporter, exported));
    }
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    info.channel_bindings.extend(certificate.and_then(|certificate| end_point(certificate)));
    info
}

fn common(session: &CommonState) -> TlsInfo {
    let mut info = TlsInfo::new();
    info.version = session.protocol_version().map(|version| match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
        other => format!("{other:?}"),
    });
    info.cipher = session.negotiated_cipher_suite().map(|suite| {
        let name = suite.suite().as_str().unwrap_or("unknown");
        // rustls calls the suites of TLS 1.3 by a prefix of its own; the registered names say `TLS_`.
        name.strip_prefix("TLS13_").map_or_else(|| name.to_owned(), |rest| format!("TLS_{rest}"))
    });
    info
}

/// `tls-server-end-point` (RFC 5929 §4.1): the certificate's hash by the hash function of its signature, SHA-256 in
/// place of MD5 and SHA-1. `None` where the signature names no single hash function, for which nothing is defined.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<ChannelBinding> {
    const SHA256: &[&str] = &[
        "1.2.840.113549.1.1.4",  // md5WithRSAEncryption
        "1.2.840.113549.1.1.5",  // sha1WithRSAEncryption
        "1.2.840.10045.4.1",     // ecdsa-with-SHA1
        "1.2.840.113549.1.1.11", // sha256WithRSAEncryption
        "1.2.840.10045.4.3.2",   // ecdsa-with-SHA256
    ];
    const SHA384: &[&str] = &["1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"];
    const SHA512: &[&str] = &["1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"];

    let oid = Certificate::from_der(certificate).ok()?.signature_algorithm().oid;
    let is =
        |list: &[&str]| list.iter().any(|name| ObjectIdentifier::new(name).is_ok_and(|listed| listed == oid));
    let hash = if is(SHA256) {
        Sha256::digest(certificate).to_vec()
    } else if is(SHA384) {
        Sha384::digest(certificate).to_vec()
    } else if is(SHA512) {
        Sha512::digest(certificate).to_vec()
    } else {
        return None;
    };
    Some(ChannelBinding::new(ChannelBindingKind::TlsServerEndPoint, hash))
}

/// Whom a verified client certificate names: the first mail address of its alternative names, else its common name.
fn identity(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let tbs = certificate.tbs_certificate();
    if let Ok(Some((_, names))) = tbs.get_extension::<SubjectAltName>() {
        let address = names.0.iter().find_map(|name| match name {
            GeneralName::Rfc822Name(address) => Some(address.as_str().to_owned()),
            _ => None,
        });
        if address.is_some() {
            return address;
        }
    }
    let name = tbs.subject().common_name().ok().flatten()?;
    Some(name.value().to_string())
}
