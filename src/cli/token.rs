//! `headcount token`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{DataArgs, Outcome};
use crate::server::tokens::{Role, create_token, list_tokens, revoke_token};

/// Arguments of `token`.
#[derive(Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it once; only its hash is kept
    Create {
        /// What it may do
        #[arg(long, value_enum)]
        role: Role,
        /// A name to know it by
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Spaces it may touch; all unless said
        #[arg(long, value_name = "SPACE,…", value_delimiter = ',')]
        spaces: Vec<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// List tokens by name
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Take a token back; a running server notices within seconds
    Revoke {
        /// Its name
        #[arg(long, value_name = "NAME")]
        name: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// Creates, lists or revokes.
pub(super) fn run(args: &TokenArgs) -> Outcome {
    match &args.command {
        TokenCommand::Create { role, name, spaces, data } => {
            println!("{}", create_token(&data.data, *role, spaces, name)?);
        }
        TokenCommand::List { data } => {
            for token in list_tokens(&data.data)? {
                println!("{token}");
            }
        }
        TokenCommand::Revoke { name, data } => revoke_token(&data.data, name)?,
    }
    Ok(ExitCode::SUCCESS)
}
