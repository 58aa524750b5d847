//! OAUTHBEARER (RFC 7628) and XOAUTH2.

/// Why a server refuses a token (RFC 7628 §3.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenError {
    /// The OAuth error code, such as `invalid_token`; XOAUTH2 servers put an HTTP status there, such as `401`.
    pub status: String,
    /// A scope with which a token would do.
    pub scope: Option<String>,
    /// Where the provider's OpenID configuration lies.
    pub openid_configuration: Option<String>,
    /// Token types taken, such as `bearer`.
    pub schemes: Option<String>,
}

impl TokenError {
    /// An error of that code and nothing else.
    pub fn new(status: impl Into<String>) -> Self {
        Self { status: status.into(), scope: None, openid_configuration: None, schemes: None }
    }
}
