//! Where connections come in, and what must hold before any of it is bound.

use super::{ConfigError, Layers, parse};
use crate::listen::http::Origin;
use crate::listen::tls::Files;
use std::net::SocketAddr;
use std::time::Duration;

/// Where connections come in. What is `None` is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// MQTT over TCP.
    pub mqtt: Option<SocketAddr>,
    /// MQTT over TLS; with `tls`.
    pub mqtts: Option<SocketAddr>,
    /// HTTP.
    pub http: Option<SocketAddr>,
    /// HTTPS; with `tls`.
    pub https: Option<SocketAddr>,
    /// Figures for those who can reach the address.
    pub admin: Option<SocketAddr>,
    /// The certificate, if one is needed.
    pub tls: Option<Files>,
    /// Whose pages may open a WebSocket, besides our own.
    pub origins: Vec<Origin>,
    /// For how long browsers shall ask over HTTPS only; zero says nothing.
    pub hsts: Duration,
}

impl Listeners {
    /// Whether others than this machine can reach one for peers.
    pub fn is_open(&self) -> bool {
        let mut peers = [self.mqtt, self.mqtts, self.http, self.https].into_iter().flatten();
        peers.any(|address| !address.ip().is_loopback())
    }
}

impl Layers {
    pub(super) fn listeners(&self) -> Result<Listeners, ConfigError> {
        let listeners = Listeners {
            mqtt: self.value("mqtt", parse::listener)?,
            mqtts: self.value("mqtts", parse::listener)?,
            http: self.value("http", parse::listener)?,
            https: self.value("https", parse::listener)?,
            admin: self.value("admin", parse::listener)?,
            tls: self.certificate()?,
            origins: self.value("origins", parse::origins)?,
            hsts: self.value("hsts", parse::long_duration)?,
        };
        let is_guarded = self.value("allow-anonymous", parse::switch)? || self.asks();
        let peers = [
            ("mqtt", listeners.mqtt),
            ("mqtts", listeners.mqtts),
            ("http", listeners.http),
            ("https", listeners.https),
        ];
        for (key, address) in peers {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback() && !is_guarded) {
                return Err(ConfigError::Open { key, address, origin: self.origin(key) });
            }
        }
        let allow_admin = self.value("allow-remote-admin", parse::switch)?;
        if let Some(address) = listeners.admin.filter(|address| !address.ip().is_loopback() && !allow_admin) {
            return Err(ConfigError::OpenAdmin { address, origin: self.origin("admin") });
        }
        Ok(listeners)
    }

    /// Whether somebody who connects has a way to say who it is, and must: a users file, keys for
    /// tokens, or client certificates.
    pub(super) fn asks(&self) -> bool {
        let is_set = |key| self.values.get(key).is_some_and(|given| !given.text.is_empty());
        ["users", "jwt-secret", "jwt-key", "jwks", "client-ca"].into_iter().any(is_set)
    }

    fn certificate(&self) -> Result<Option<Files>, ConfigError> {
        let text = |key| self.values.get(key).map_or("", |given| &*given.text);
        let (certificate, key, client_ca) = (text("certificate"), text("key"), text("client-ca"));
        let listener = ["mqtts", "https"].into_iter().find(|listener| !matches!(text(listener), "" | "off"));
        let lacks = |given: &'static str, lacking: &'static str| {
            let (value, origin) = (text(given).to_owned(), self.origin(given));
            Err(ConfigError::Lacks { key: given, value, origin, lacking })
        };
        match (listener, certificate, key) {
            (Some(listener), "", _) => lacks(listener, "--certificate FILE and --key FILE"),
            (_, "", key) if !key.is_empty() => lacks("key", "--certificate FILE, to which it belongs"),
            (_, certificate, "") if !certificate.is_empty() => lacks("certificate", "--key FILE, its private key"),
            (None, ..) if !certificate.is_empty() => lacks("certificate", "--mqtts ADDR or --https ADDR, which use it"),
            (None, ..) if !client_ca.is_empty() => lacks("client-ca", "--mqtts ADDR or --https ADDR, which use it"),
            (None, ..) => Ok(None),
            (Some(_), ..) => Ok(Some(Files {
                certificate: certificate.into(),
                key: key.into(),
                client_ca: Some(client_ca).filter(|path| !path.is_empty()).map(Into::into),
            })),
        }
    }
}
