//! The options as clap knows them, for the manual and for completions; what is typed is read as getopt_long(3) does.

use clap::{Arg, ArgAction, Command};

use super::options::OPTIONS;

const EXAMPLES: &str = "\
Examples:
  pasta --config-net                                       a shell with the host's addresses
  pasta --config-net -t 8080:80 -- httpd -f -p 80
  pasta --config-net 4711                                  namespaces of a process; ready when it returns
  pasta --config-net --netns /run/user/1000/netns/blue -t none -u none -T none -U none

The name `pasta` (a link to rnet) and `rnet pasta` are the same. docs/compatibility.md says what differs from pasta.
Exit codes: the command's own, 128+N when signal N ended it; 0 when ready in the background; 1 for everything that is wrong.";

/// The subcommand.
pub(in crate::cli) fn command() -> Command {
    let mut command = Command::new(super::NAME)
        .about("Do what pasta does, by its command line")
        .override_usage("rnet pasta [OPTION]... [COMMAND [ARG]... | PID | --netns PATH|NAME]")
        .after_help(EXAMPLES)
        .disable_help_flag(true);
    for option in OPTIONS.iter().filter(|option| !option.help.is_empty()) {
        let arg = Arg::new(option.name).long(option.name).help(option.help.replace('\n', " "));
        let arg = match option.short {
            Some(letter) => arg.short(letter),
            None => arg,
        };
        command = command.arg(match option.value {
            Some(word) => arg.value_name(word).action(ArgAction::Append),
            None => arg.action(ArgAction::SetTrue),
        });
    }
    command.arg(Arg::new("command").value_name("COMMAND").num_args(0..).trailing_var_arg(true))
}
