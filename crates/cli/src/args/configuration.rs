//! Where settings come from besides flags.

use clap::Args;

/// Where settings come from besides flags.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigurationArgs {
    /// Use the settings of this name in `profiles:` of seatrial.yaml; flags win over them
    #[arg(long, env = "SEATRIAL_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
}
