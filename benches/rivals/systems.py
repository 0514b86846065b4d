"""The systems that `run` compares: how each is found, started, measured and stopped.

A system has a name, a version() and measure(seconds), which yields (row, way, figures) for each
measurement: the row of the comparison that it counts for, how it was done, and what came out, with
`events_per_s` in it. A system's server runs only while it is measured.
"""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
TARGET = PROJECT / "target" / "rivals"

UMADB_VERSION = "0.7.8"

# The load program's manifest. It isn't part of the project, whose one crate depends on no rival.
MANIFEST = f"""\
[package]
name = "rivals-load"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[[bin]]
name = "rivals-load"
path = "{HERE}/load.rs"

[features]
postgres = ["dep:tokio-postgres"]
umadb = ["dep:umadb-client", "dep:umadb-dcb"]

[dependencies]
futures-util = "0.3"
tokio = {{ version = "1", features = ["rt", "net", "time"] }}
tokio-postgres = {{ version = "0.7", features = ["with-uuid-1"], optional = true }}
umadb-client = {{ version = "={UMADB_VERSION}", optional = true }}
umadb-dcb = {{ version = "={UMADB_VERSION}", optional = true }}
uuid = {{ version = "1", features = ["v4", "fast-rng"] }}
"""

# PostgreSQL as someone sets it up who wants speed and loses nothing: what makes a commit durable
# is on, and what would disturb a short measurement (checkpoints, autovacuum) stays out of it.
POSTGRESQL_SETTINGS = """
listen_addresses = ''
max_connections = 300
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = minimal
max_wal_senders = 0
shared_buffers = 1GB
min_wal_size = 2GB
max_wal_size = 16GB
checkpoint_timeout = 1h
autovacuum = off
"""

# UmaDB's fastest settings on the machine that this was written on; none bears on durability.
UMADB_SETTINGS = ["--read-method", "mmap", "--zero-fill-pages", "false"]


class Failed(Exception):
    """A system failed; the others go on."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(*command, **options):
    """What a command prints; what it says of a failure goes to standard error."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            printed, _ = process.communicate()
        finally:
            # Where this run ends early: not killed, so that it can end what it has started.
            if process.returncode is None:
                process.terminate()
    if process.returncode != 0:
        raise Failed(" ".join(map(str, command)))
    return printed.strip()


def prepare(folder, arguments):
    """The systems that are here, built and filled; a line for each that is missing."""
    wanted = arguments.only or ["casetrail", "postgresql", "umadb"]
    postgresql = "postgresql" in wanted and postgresql_programs()
    umadb = "umadb" in wanted and umadb_program()
    load = build_load(postgresql, umadb) if postgresql or umadb else None
    found = []
    if "casetrail" in wanted and (program := casetrail_program(arguments)):
        found.append(lambda: Casetrail(program, folder / "casetrail", arguments.events))
    if postgresql:
        found.append(lambda: PostgreSql(postgresql, load, folder / "postgresql", arguments.events))
    if umadb:
        found.append(lambda: UmaDb(umadb, load, folder / "umadb", arguments.events))
    systems = []
    for system in found:
        try:
            systems.append(system())
        except Failed as failed:
            say(f"left out: {failed}")
    if not systems:
        sys.exit("nothing to measure")
    return systems


def casetrail_program(arguments):
    program = arguments.casetrail
    if program is None:
        say("building casetrail")
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=PROJECT, check=True)
        program = PROJECT / "target" / "release" / "casetrail"
    if subprocess.run([program, "bench", "--help"], capture_output=True, check=False).returncode:
        say(f"casetrail is left out: {program} has no `bench`")
        return None
    return program.resolve()


def postgresql_programs():
    """The folder with the newest server's programs."""
    found = sorted(
        pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda program: int(program.parts[-3]),
    )
    if found:
        return found[-1].parent
    if initdb := shutil.which("initdb"):
        return pathlib.Path(initdb).resolve().parent
    say("PostgreSQL is missing: apt-get install postgresql")
    return None


def umadb_program():
    program = TARGET / "umadb" / "bin" / "umadb"
    program = program if program.exists() else shutil.which("umadb")
    has_protoc = shutil.which("protoc")
    if not has_protoc:
        say("UmaDB's client needs protoc: apt-get install protobuf-compiler")
    if not program:
        root = TARGET.relative_to(PROJECT) / "umadb"
        install = f"cargo install umadb --version {UMADB_VERSION} --locked --root {root}"
        say(f"UmaDB is missing: {install} (some minutes; needs protoc)")
    return program if program and has_protoc else None


def build_load(postgresql, umadb):
    say("building the load program")
    folder = TARGET / "load"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Cargo.toml").write_text(MANIFEST, encoding="utf-8")
    features = ["postgres"] * bool(postgresql) + ["umadb"] * bool(umadb)
    command = ["cargo", "build", "--release", "--quiet", "--features", ",".join(features)]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(folder / "target")}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder / "target" / "release" / "rivals-load"


@contextlib.contextmanager
def running(command, port, log):
    """A server that listens on `port`, ended by SIGTERM."""
    with open(log, "ab") as messages:
        server = subprocess.Popen(command, stdout=messages, stderr=messages)
    try:
        ends = time.monotonic() + 60
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            if server.poll() is not None or time.monotonic() > ends:
                raise Failed(f"{command[0]} did not start: {log.read_text(errors='replace')}")
            time.sleep(0.02)
        yield
    finally:
        server.terminate()
        server.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def each(events):
    return "" if events == 1 else f", {events} events each"


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


class Casetrail:
    """Through `casetrail bench`, which starts a server in a fresh folder for each commit load."""

    name = "casetrail"

    def __init__(self, program, folder, events):
        self.program, self.folder = program, folder
        folder.mkdir()
        say(f"filling casetrail with {events} events")
        with self.history() as server:
            self.bench("replay", "--server", server, "--events", events)

    def version(self):
        version = output(self.program, "--version").split()[-1]
        if self.program.is_relative_to(PROJECT):
            return f"{version} ({output('git', 'describe', '--always', '--dirty', cwd=PROJECT)})"
        return f"{version} ({self.program})"

    def measure(self, seconds):
        measured = ["--folder", self.folder, "--seconds", seconds]
        yield "disk", "300 bytes appended, fdatasync", self.bench("disk", "--batch", 1, *measured)
        for row, mode, clients, in_flight, events in [
            ("single-1", "unary", 1, 1, 1),
            ("single-16", "unary", 1, 16, 1),
            ("single-64", "unary", 1, 64, 1),
            ("single-64", "unary", 4, 16, 1),
            ("single-256", "unary", 4, 64, 1),
            ("single-more", "stream", 4, 512, 1),
            ("single-more", "stream", 4, 1024, 1),
            ("batch-64", "unary", 4, 16, 64),
            ("batch-64", "stream", 4, 16, 64),
            ("batch-large", "stream", 4, 16, 100),
        ]:
            load = ["--mode", mode, "--clients", clients, "--in-flight", in_flight]
            figures = self.bench("commit", *load, "--events", events, *measured)
            yield row, f"{mode}, {clients} x {in_flight} in flight{each(events)}", figures
        with self.history() as server:
            stored = ["--server", server, "--events", 0, "--rounds", 3]
            yield "read", "records", self.bench("replay", "--decode", "records", *stored)
            yield "read-raw", "blocks", self.bench("replay", "--decode", "blocks", *stored)

    def bench(self, *words):
        """The last line: the only round, or the medians of several."""
        command = [self.program, "bench", *map(str, words), "--json"]
        return json.loads(output(*command).splitlines()[-1])

    @contextlib.contextmanager
    def history(self):
        """A server with all that is read back."""
        port = free_port()
        listen = f"127.0.0.1:{port}"
        command = [self.program, "serve", "--listen", listen, "--data", self.folder / "history"]
        with running(command, port, self.folder / "log"):
            yield f"http://{listen}"


class PostgreSql:
    """A cluster of its own, on a Unix socket, under an account that is not root's."""

    name = "PostgreSQL"

    def __init__(self, programs, load, folder, events):
        self.programs, self.load, self.folder = programs, load, folder
        self.account = postgresql_account()
        folder.mkdir()
        if self.account:
            shutil.chown(folder, self.account["user"], self.account["group"])
        if subprocess.run(["test", "-w", folder], check=False, **self.account).returncode:
            who = pwd.getpwuid(self.account["user"]).pw_name if self.account else "you"
            raise Failed(f"PostgreSQL runs as {who}, who can't enter {folder}: give another --dir")
        self.call("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres")
        with open(folder / "data" / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(POSTGRESQL_SETTINGS)
        say(f"filling PostgreSQL with {events} events")
        with self.server() as connection:
            self.output_of_load("create", connection, events)

    def version(self):
        return output(self.programs / "postgres", "--version").split()[2]

    def measure(self, seconds):
        with self.server() as connection:
            # A delay (in microseconds) lets more commits share a sync, where many are under way.
            for row, connections, in_flight, delay in [
                ("single-1", 1, 1, 0),
                ("single-16", 16, 1, 0),
                ("single-64", 64, 1, 0),
                ("single-64", 64, 1, 1000),
                ("single-64", 16, 4, 0),
                ("single-256", 256, 1, 1000),
                ("single-256", 64, 4, 0),
                ("single-256", 64, 4, 1000),
                ("single-256", 32, 8, 300),
                ("single-more", 64, 16, 1000),
            ]:
                way = f"INSERT, {connections} x {in_flight} in flight, commit_delay {delay}"
                delayed = f"{connection} options='-c commit_delay={delay}'"
                yield row, way, self.commits(delayed, "insert", connections, in_flight, 1, seconds)
            for row, connections, events in [("batch-64", 16, 64), ("batch-large", 8, 1000)]:
                way = f"INSERT from arrays, {connections} x 1 in flight{each(events)}"
                yield row, way, self.commits(connection, "insert", connections, 1, events, seconds)
                way = f"binary COPY, {connections} x 1 in flight{each(events)}"
                yield row, way, self.commits(connection, "copy", connections, events, seconds)
            for row, action, way in [
                ("read", "read-rows", "prepared SELECT"),
                ("read-raw", "read-copy", "binary COPY"),
            ]:
                yield row, way, json.loads(self.output_of_load(action, connection, seconds))

    def commits(self, connection, action, *words):
        self.output_of_load("empty", connection)
        return json.loads(self.output_of_load(action, connection, *words))

    def output_of_load(self, action, connection, *words):
        return output(self.load, "postgres", action, connection, *map(str, words))

    @contextlib.contextmanager
    def server(self):
        # A socket's path must be short, so it isn't made in the data folder.
        with tempfile.TemporaryDirectory(prefix="rivals-") as sockets:
            if self.account:
                shutil.chown(sockets, self.account["user"], self.account["group"])
            log = self.folder / "log"
            self.call("pg_ctl", "start", f"--options=-k {sockets}", f"--log={log}", "--silent")
            try:
                yield f"host={sockets} user=postgres dbname=postgres"
            finally:
                self.call("pg_ctl", "stop", "--mode=fast", "--silent")

    def call(self, program, *words):
        data = f"--pgdata={self.folder / 'data'}"
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        with open(self.folder / "calls", "ab") as messages:
            options = {"stdout": messages, "stderr": messages, "env": environment}
            command = [self.programs / program, *words, data]
            ended = subprocess.run(command, check=False, cwd=self.folder, **options, **self.account)
        if ended.returncode:
            told = [self.folder / name for name in ["calls", "log"]]
            text = "".join(one.read_text(errors="replace") for one in told if one.exists())
            raise Failed(f"{program}: {text}")


def postgresql_account():
    """PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody`."""
    if os.geteuid() != 0:
        return {}
    for name in ["postgres", "nobody"]:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise Failed("PostgreSQL doesn't run as root, and there is neither `postgres` nor `nobody`")


class UmaDb:
    """Its server on a loopback port, driven through its own client."""

    name = "UmaDB"

    def __init__(self, program, load, folder, events):
        self.program, self.load, self.folder = program, load, folder
        folder.mkdir()
        (folder / "history").mkdir()
        say(f"filling UmaDB with {events} events")
        with self.server("history") as url:
            self.output_of_load("fill", url, events)

    def version(self):
        return output(self.program, "--version").split()[-1]

    def measure(self, seconds):
        for row, in_flight, events in [
            ("single-1", 1, 1),
            ("single-16", 16, 1),
            ("single-64", 64, 1),
            ("single-256", 256, 1),
            ("single-more", 1024, 1),
            ("batch-64", 16, 64),
            ("batch-64", 64, 64),
            ("batch-large", 8, 1000),
        ]:
            fresh(self.folder / "commits")
            with self.server("commits") as url:
                figures = json.loads(self.output_of_load("append", url, in_flight, events, seconds))
            yield row, f"{in_flight} in flight{each(events)}", figures
        with self.server("history") as url:
            yield "read", "one stream", json.loads(self.output_of_load("read", url, seconds))

    def output_of_load(self, action, url, *words):
        return output(self.load, "umadb", action, url, *map(str, words))

    @contextlib.contextmanager
    def server(self, data):
        port = free_port()
        listen = f"127.0.0.1:{port}"
        command = [self.program, "--listen", listen, "--db-path", self.folder / data]
        with running(command + UMADB_SETTINGS, port, self.folder / "log"):
            yield f"http://{listen}"
