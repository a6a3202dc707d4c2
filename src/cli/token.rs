//! `hairpin token`: the tokens of the page, for who may look on and for who may command.

use std::path::PathBuf;

use super::out;
use crate::config;
use crate::emit::token::{TokenError, Tokens};
use crate::failure::{Failure, OrFail, Status};

#[derive(clap::Args)]
pub struct Args {
    /// The configuration; else HAIRPIN_CONFIG, /etc/hairpin/hairpin.toml or config/hairpin.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only the token of those who look on
    #[arg(long)]
    view: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let path = super::find_config(args.config.as_deref())?;
    let config = config::load(&path).or_fail(Status::Config)?;
    let page = config.emit.page.as_ref();
    let Some(file) = page.and_then(|page| page.token.as_deref()) else {
        let message = format!("{} names no token file: set token in [emit.page]", path.display());
        return Err(Failure::new(Status::Config, message));
    };
    let tokens = Tokens::at(file).map_err(|error| {
        let status = match &error {
            TokenError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => Status::Denied,
            TokenError::Io { .. } => Status::Io,
            TokenError::Open { .. } | TokenError::Garbled { .. } => Status::Config,
        };
        Failure::new(status, error)
    })?;
    if args.view {
        return out::line(&tokens.view);
    }
    out::line(format!("to look on:  {}", tokens.view))?;
    out::line(format!("to command:  {}", tokens.command))?;
    let scheme = if page.is_some_and(|page| page.tls.is_some()) { "https" } else { "http" };
    match (config.emit.http, page.and_then(|page| page.hosts.first())) {
        (Some(address), Some(host)) => out::line(format!("open {scheme}://{host}:{}/#token=TOKEN", address.port())),
        (Some(address), None) => out::line(format!("open {scheme}://{address}/#token=TOKEN")),
        (None, _) => Ok(()),
    }
}
