"""What can be typed."""

import argparse
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

WITHOUT = ["pasta", "pasta+wmem", "slirp4netns", "rootlesskit", "aardvark-dns", "veth", "threads"]

EXAMPLES = """\
examples:
  compare --install                          install what is missing (apt), build, and do the full run
  compare --quick                            under two minutes; shorter samples, one round
  compare --quick --rows 'tcp-(out|in)-1$'   only these; `--list` names them all
  compare --pasta /usr/bin/pasta --pasta /opt/passt/pasta --rounds 9 --write-results
  compare --rnet-variant '--busy-poll 50'    the same rnet once more, with these options

All traffic stays in network namespaces that the driver makes; they and everything in them end with the driver, however it ends.
exit codes: 0 measured; 1 something could not be measured that should have been; 2 wrong options or missing programs."""


def pattern(text):
    """A regular expression, or a usage error."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error


def count(text):
    """A number above zero."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return int(text)


def parse(typed):
    """The options; exits with usage on wrong ones."""
    parser = argparse.ArgumentParser(
        prog="compare",
        description="Measures rnet side by side with pasta, slirp4netns and a bare veth.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="under two minutes: one round of short samples")
    parser.add_argument("--rounds", type=count, metavar="N", help="samples of each row [5; with --quick 1]; some rows take fewer")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of a sample [1; with --quick 0.4]")
    parser.add_argument("--rows", type=pattern, metavar="REGEX", help="only measurements whose name matches")
    parser.add_argument("--list", action="store_true", help="name the measurements, and end")
    parser.add_argument("--rnet", type=Path, metavar="PATH", help="this rnet [built from this checkout]")
    parser.add_argument("--rnet-variant", action="append", default=[], metavar="OPTIONS", help="also rnet with OPTIONS; may be repeated")
    parser.add_argument("--pasta", type=Path, action="append", default=[], metavar="PATH", help="a pasta [that from PATH, and the one that --install fetched]; may be repeated")
    parser.add_argument("--slirp4netns", type=Path, metavar="PATH", help="a slirp4netns [from PATH]")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", choices=WITHOUT, help=f"leave out a contender or column: {', '.join(WITHOUT)}")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "target" / "compare", metavar="DIR", help="where results.json and ratios.svg go [target/compare]")
    parser.add_argument("--write-results", action="store_true", help="also write RESULTS.md and ratios.svg beside this program")
    parser.add_argument("--profile", action="store_true", help="also write what perf says of each proxy to DIR/profiles (slower)")
    parser.add_argument("--install", action="store_true", help="install missing programs with apt-get first, and fetch Debian's newest pasta to DIR/peers")
    options = parser.parse_args(typed)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = min(options.seconds or (0.4 if options.quick else 1.0), 60.0)
    return options
