//! TLS for the HTTP server, from configured files: a connection is plain, or still greets, or is encrypted.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::net::EmitError;

/// Two files in PEM form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The certificate, and those between it and the root.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What greets clients.
#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

impl Tls {
    pub fn load(files: &Files) -> Result<Self, EmitError> {
        let chain = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| wrong("tls.certificate", &files.certificate, &e))?;
        if chain.is_empty() {
            return Err(wrong("tls.certificate", &files.certificate, &"it holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong("tls.key", &files.key, &e))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|e: rustls::Error| wrong("tls", &files.certificate, &e))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

fn wrong(key: &str, path: &Path, why: &dyn std::fmt::Display) -> EmitError {
    let path = path.display();
    EmitError::Settings(format!("page.{key}: {path} cannot be used: {why}: give a certificate and its key in PEM form"))
}

/// A connection. The greeting of an encrypted one is part of its first reading or writing, so that a client which
/// does not greet holds up nobody.
pub(super) enum Wire {
    Plain(TcpStream),
    Greeting(Box<Accept<TcpStream>>),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub fn new(conn: TcpStream, tls: Option<&Tls>) -> Self {
        match tls {
            None => Self::Plain(conn),
            Some(Tls(acceptor)) => Self::Greeting(Box::new(acceptor.accept(conn))),
        }
    }

    fn poll_greeted(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Greeting(accept) = self {
            let stream = ready!(Pin::new(accept.as_mut()).poll(cx))?;
            *self = Self::Encrypted(Box::new(stream));
        }
        Poll::Ready(Ok(()))
    }
}

const NOT_GREETED: io::ErrorKind = io::ErrorKind::NotConnected;

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_greeted(cx))?;
        match &mut *self {
            Self::Plain(conn) => Pin::new(conn).poll_read(cx, buf),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Greeting(_) => Poll::Ready(Err(NOT_GREETED.into())),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_greeted(cx))?;
        match &mut *self {
            Self::Plain(conn) => Pin::new(conn).poll_write(cx, bytes),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Self::Greeting(_) => Poll::Ready(Err(NOT_GREETED.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(conn) => Pin::new(conn).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Greeting(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(conn) => Pin::new(conn).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Greeting(_) => Poll::Ready(Ok(())),
        }
    }
}
