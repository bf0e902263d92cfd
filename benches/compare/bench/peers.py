"""Builds of pasta: those at hand, and the newest from Debian's archive.

The newest needs a newer C library than the system's. Both packages are unpacked, never installed, and apt is given a
configuration, lists and a cache of its own: nothing of the system's changes. So that the program finds its C library wherever
it is copied to, its interpreter and search path are set anew (patchelf).
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .contenders import first_line

SUITE = "sid"
# How long apt may take for one thing; a mirror that does not answer must not hold up the run for long.
PATIENCE = 300
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Signatures are checked. Dates are not: a mirror that is behind gives an older pasta, and the version is told.
CONFIGURATION = """\
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{0}/lists";
Dir::Cache "{0}/cache";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "1";
Acquire::http::Timeout "20";
APT::Sandbox::User "root";
"""


def archive():
    """Where this machine installs Debian's packages from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE).stdout.split()
    found = next((where for where in listed if "security" not in where), None)
    if not found:
        raise Unusable("apt knows no archive to fetch it from: run apt-get update")
    return found


class Unusable(Exception):
    """A build that cannot be had or made to run, and why."""


@dataclass(frozen=True)
class Build:
    """A pasta, its version in words, and the folder of the C library that it needs, if it is not the system's."""

    path: Path
    version: str
    libraries: Path | None = None

    @property
    def date(self):
        """The day of its source, as pasta's makers write it; or its path."""
        date = re.search(r"(20\d\d)_?(\d\d)_?(\d\d)", self.version)
        return "_".join(date.groups()) if date else str(self.path)


def builds(options):
    """Those that were asked for; else that of the system and those that were fetched."""
    if options.pasta:
        return [Build(path, _version(path)) for path in options.pasta]
    paths = [Path(path) for path in [shutil.which("pasta")] if path]
    return [Build(path, _version(path)) for path in paths] + _fetched(folder(options))


def folder(options):
    """Where fetched builds are kept."""
    return options.output.resolve() / "peers"


def _version(path):
    """Debian 12's pasta does not know its version; its package does."""
    said = first_line(path, "--version")
    package = first_line("dpkg-query", "--show", "--showformat", "${Version}", "passt") if "unknown" in said else ""
    return f"{said}; package passt {package}" if package and Path(path).resolve() == Path("/usr/bin/passt") else said


def _fetched(directory):
    found = []
    for path in sorted(directory.glob("*/usr/bin/passt")):
        loaders = sorted(path.parents[2].glob("libc/usr/lib*/**/ld-linux*.so*"))
        if loaders:
            found.append(Build(path, f"pasta, Debian's passt {path.parents[2].name}", loaders[0].parent))
    return found


def copy(build, directory):
    """A copy that everybody can execute, called pasta: it is what its name says. The C library that it needs goes with it."""
    directory.mkdir(parents=True)
    source = build.path.resolve()
    # pasta continues as the second one where the processor can.
    programs = [(source, directory / "pasta"), (source.with_name(source.name + ".avx2"), directory / "pasta.avx2")]
    programs = [(theirs, ours) for theirs, ours in programs if theirs.exists()]
    for theirs, ours in programs:
        shutil.copy(theirs, ours)
        ours.chmod(0o755)
    if build.libraries:
        if not shutil.which("patchelf"):
            raise Unusable("patchelf is missing")
        loader = next(build.libraries.glob("ld-linux*.so*")).name
        for name in (loader, "libc.so.6"):
            shutil.copy(build.libraries / name, directory / name)
            (directory / name).chmod(0o755)
        for _, ours in programs:
            _run("patchelf", "--set-interpreter", directory / loader, "--set-rpath", directory, ours)
    if not first_line(directory / "pasta", "--version"):
        raise Unusable("it does not run here")
    return directory / "pasta"


def fetch(directory):
    """Gets the newest pasta that Debian has, unless it is there; its folder."""
    if not shutil.which("apt-get") or not KEYS.exists():
        raise Unusable("this is no Debian")
    apt = directory / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(f"deb [signed-by={KEYS}] {archive()} {SUITE} main\n")
    (apt / "apt.conf").write_text(CONFIGURATION.format(apt))
    environment = {"APT_CONFIG": str(apt / "apt.conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    _run("apt-get", "--quiet", "update", env=environment)
    policy = _run("apt-cache", "show", "--no-all-versions", f"passt/{SUITE}", env=environment)
    version = re.search(r"^Version: ([\w.+~-]+)$", policy, re.MULTILINE)
    if not version:
        raise Unusable(f"{SUITE} has no package passt")
    place = directory / version[1]
    if not (place / "usr/bin/passt").exists():
        for package, target in (("passt", place), ("libc6", place / "libc")):
            _run("apt-get", "--quiet", "download", f"{package}/{SUITE}", env=environment, cwd=apt)
            for file in apt.glob(f"{package}_*.deb"):
                _run("dpkg-deb", "--extract", file, target)
                file.unlink()
    return place


def _run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=PATIENCE, **more)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Unusable(f"{command[0]}: {(lines or ['failed'])[-1]}")
    return done.stdout
