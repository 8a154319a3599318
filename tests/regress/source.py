# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL's suites: the source of the server's own minor release, and what is built from it.

Everything comes from the package sources that apt uses, by lists of our own: nothing is installed and
apt's configuration stays as it is. If the installed release's source is not to be had, an older one is
taken, and the server and psql of that release are unpacked beside the installed ones.
"""
import dataclasses
import pathlib
import re
import shutil
import subprocess

MAJOR = "15"
APT_SOURCES = pathlib.Path("/etc/apt")
PREFIX = pathlib.Path("usr/lib/postgresql") / MAJOR
PATHS = "".join(f'#define {name} ""\n' for name in ("PGBINDIR", "LIBDIR", "PKGLIBDIR", "PGSHAREDIR"))


@dataclasses.dataclass
class Suites:
    version: str  # of the Debian package
    tests: pathlib.Path  # src/test of the source
    built: pathlib.Path  # regress.so, isolationtester, pg_isolation_regress
    root: pathlib.Path  # where the server's files are: / or a folder of unpacked packages

    @property
    def bin(self):
        return self.root / PREFIX / "bin"

    @property
    def pg_regress(self):
        return self.root / PREFIX / "lib/pgxs/src/test/regress/pg_regress"

    @property
    def libraries(self):
        return self.root / PREFIX / "lib"


def call(*command, cwd=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"regress: {command[0]}: exit {done.returncode}: {done.stderr.strip()[-1500:]}")
    return done.stdout


class Apt:
    """apt with the machine's own package sources, their source packages too, and lists of its own."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial", "sources"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for file in APT_SOURCES.glob("sources.list.d/*.sources"):
            text = re.sub(r"(?m)^Types:.*$", "Types: deb deb-src", file.read_text())
            (folder / "sources" / file.name).write_text(text)
        for file in [APT_SOURCES / "sources.list", *APT_SOURCES.glob("sources.list.d/*.list")]:
            if file.exists():
                lines = [line for line in file.read_text().splitlines() if line.startswith("deb ")]
                lines += ["deb-src " + line[len("deb "):] for line in lines]
                (folder / "sources" / file.name).with_suffix(".list").write_text("\n".join(lines) + "\n")

    def __call__(self, command, *arguments):
        options = {"Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": self.folder / "sources",
                   "Dir::State::Lists": self.folder / "lists", "Dir::Cache": self.folder / "cache",
                   "Acquire::Retries": "3", "APT::Sandbox::User": "root"}
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return call(command, "-q", *given, *arguments, cwd=self.folder)

    def source_versions(self):
        """Newest first."""
        self("apt-get", "update")
        found = re.findall(r"(?m)^Version: (\S+)$", self("apt-cache", "showsrc", f"postgresql-{MAJOR}"))
        return sorted(set(found), key=lambda v: [int(n) for n in re.findall(r"\d+", v)], reverse=True)


def installed_version():
    return call("dpkg-query", "-W", "-f", "${Version}", f"postgresql-{MAJOR}")


def unpack(apt, into, version, packages):
    into.mkdir(exist_ok=True)
    for package in packages:
        apt("apt-get", "download", f"{package}={version}")
        [file] = apt.folder.glob(f"{package}_{version.replace(':', '%3a')}_*.deb")
        call("dpkg-deb", "-x", file, into)


def fetch(folder):
    apt = Apt(folder)
    installed = installed_version()
    versions = apt.source_versions()
    # Another release's files do not match: its own server comes along then.
    for version in sorted(versions, key=lambda v: v != installed):
        try:
            apt("apt-get", "source", "--download-only", f"postgresql-{MAJOR}={version}")
            break
        except SystemExit:
            print(f"the source of {version} is not to be had")
    else:
        raise SystemExit("regress: no source package of PostgreSQL to be had")
    [description] = folder.glob(f"postgresql-{MAJOR}_{version}.dsc")
    call("dpkg-source", "--no-check", "-x", description, folder / "source", cwd=folder)
    unpack(apt, folder / "headers", version, [f"postgresql-server-dev-{MAJOR}", "libpq-dev"])
    if version != installed:
        unpack(apt, folder / "server", version, [f"postgresql-{MAJOR}", f"postgresql-client-{MAJOR}"])
    (folder / "version").write_text(version)


def build(folder):
    """regress.so, and the two programs of the isolation suite; pg_regress is packaged."""
    tests, built = folder / "source/src/test", folder / "built"
    include, library = folder / "headers/usr/include/postgresql", folder / "headers" / PREFIX / "lib"
    built.mkdir(exist_ok=True)
    (built / "pg_config_paths.h").write_text(PATHS)
    folders = [built, include / MAJOR / "server", include / "internal", include, tests / "regress"]
    gcc = ["gcc", "-O2", "-w", *(f"-I{path}" for path in folders)]
    static = [library / "libpgcommon.a", library / "libpgport.a", "-lm"]
    triplet = call("gcc", "-dumpmachine").strip()
    call(*gcc, "-shared", "-fPIC", tests / "regress/regress.c", "-o", built / "regress.so")
    call(*gcc, tests / "isolation/isolationtester.c", tests / "isolation/specparse.c", "-lpq", *static,
         "-o", built / "isolationtester")
    call(*gcc, f'-DHOST_TUPLE="{triplet}"', '-DSHELLPROG="/bin/sh"', tests / "regress/pg_regress.c",
         tests / "isolation/isolation_main.c", *static, "-o", built / "pg_isolation_regress")


def obtain(folder):
    """The suites in a folder that is kept from run to run, as long as the installed server is the same."""
    complete, installed = folder / "complete", installed_version()
    if not complete.exists() or complete.read_text() != installed:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print("== obtaining PostgreSQL's source")
        fetch(folder)
        build(folder)
        complete.write_text(installed)
    root = folder / "server" if (folder / "server").exists() else pathlib.Path("/")
    return Suites((folder / "version").read_text(), folder / "source/src/test", folder / "built", root)
