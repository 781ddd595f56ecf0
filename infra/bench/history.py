"""Ten million heartbeats in each store, beside S2's own table in the same engine: `history.py BINARIES [sqlite] [postgres]`.

116 services, one heartbeat a minute for sixty days, fifty changes each."""

import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

BIN = sys.argv[1] if len(sys.argv) > 1 else "target/release"
PARTS = sys.argv[2:] or ["sqlite", "postgres"]
SERVICES, MINUTES = 116, 60 * 24 * 60
PROGRAMS = "/usr/lib/postgresql/15/bin"
ONE = "SELECT avg(status = 'healthy') FROM plain WHERE service_name = 'service-57' AND heartbeat_timestamp > "
ALL = "SELECT service_name, avg(status = 'healthy') FROM plain WHERE heartbeat_timestamp > %s GROUP BY service_name"


def test_binary():
    """The program's own tests, optimised: they know how to fill a store."""
    command = ["cargo", "test", "--release", "--quiet", "-p", "healthcheck", "--bin", "healthcheck", "--no-run",
               "--message-format=json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    built = (json.loads(line) for line in lines if line.startswith("{"))
    return [it["executable"] for it in built if it.get("executable") and it.get("profile", {}).get("test")][-1]


def ours(binary, url, record):
    """Fills a store; bytes each, a second, and how long it takes to say how all were judged in thirty days."""
    command = [binary, "ten_million_heartbeats", "--ignored", "--nocapture", "--test-threads=1"]
    env = {**os.environ, "HISTORY_URL": url, "HISTORY_RECORD": record}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
    found = re.search(r"at (\d+)/s, ([\d.]+) bytes each; 30 days of one in (\d+) µs, of all in (\d+) µs", said)
    return [float(number) for number in found.groups()]


def command(root, url, *words):
    """The median of a whole command, in milliseconds."""
    with open(f"{root}/healthcheck.toml", "w") as file:
        file.write(f'[history]\nurl = "{url}"\n')
    call = [os.path.abspath(f"{BIN}/healthcheck"), "uptime", *words, "--host", "deimos", "--since", "30d", "--format", "json"]
    took = []
    for _ in range(21):
        begun = time.monotonic()
        subprocess.run(call, check=True, capture_output=True, cwd=root)
        took.append((time.monotonic() - begun) * 1e3)
    return statistics.median(took)


def timed(ask, times):
    took = []
    for _ in range(times):
        begun = time.monotonic()
        ask()
        took.append((time.monotonic() - begun) * 1e3)
    return statistics.median(took)


def row(name, record, numbers, one, every):
    rate, each, store_one, store_all = numbers
    print(f"| {name}, `{record}` | {each:.3f} | {rate:,.0f}/s | {store_one / 1e3:.3f} / {store_all / 1e3:.2f} ms "
          f"| {one:.1f} / {every:.1f} ms |", flush=True)


def plain_row(name, each, rate, one, every):
    print(f"| {name}, S2's table | {each:.0f} | {rate:,.0f}/s | {one:.1f} / {every:.0f} ms | |", flush=True)


def with_sqlite(binary):
    for record in ["changes", "heartbeats"]:
        with tempfile.TemporaryDirectory(dir="target") as root:
            url = f"sqlite:{os.path.abspath(root)}/history.db"
            numbers = ours(binary, url, record)
            row("SQLite", record, numbers, command(root, url, "service-57"), command(root, url))
    with tempfile.TemporaryDirectory(dir="target") as root:
        plain_sqlite(f"{root}/plain.db")


def plain_sqlite(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, service_name TEXT, status TEXT, current_task TEXT, "
               "heartbeat_timestamp TEXT, created_at TEXT)")
    db.execute("CREATE INDEX of_service ON plain (service_name, heartbeat_timestamp DESC)")
    first = time.time() - MINUTES * 60
    begun = time.monotonic()
    for minute in range(MINUTES):
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(first + minute * 60))
        db.executemany("INSERT INTO plain (service_name, status, current_task, heartbeat_timestamp, created_at) "
                       "VALUES (?, 'healthy', 'indexing 2025', ?, ?)",
                       [(f"service-{service}", at, at) for service in range(SERVICES)])
        if minute % 100 == 99:
            db.commit()
    db.commit()
    rate = SERVICES * MINUTES / (time.monotonic() - begun)
    since = "datetime('now', '-30 days')"
    one = timed(lambda: db.execute(ONE + since).fetchall(), 5)
    every = timed(lambda: db.execute(ALL % since).fetchall(), 3)
    plain_row("SQLite", os.path.getsize(path) / (SERVICES * MINUTES), rate, one, every)


class Postgres:
    def __init__(self, root):
        self.root = root
        shutil.chown(root, "postgres")
        self.run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={root} -c shared_buffers=512MB -c max_wal_size=4GB"
        self.run("pg_ctl", "-w", "-l", f"{root}/log", "-o", options, "start")
        self.url = f"postgres://postgres@{root.replace('/', '%2F')}/postgres"

    def run(self, program, *words):
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        call = [*user, f"{PROGRAMS}/{program}", "-D", f"{self.root}/data", *words]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, cwd=self.root)

    def sql(self, statement):
        call = ["psql", "-X", "-q", "-A", "-t", "-U", "postgres", "-h", self.root, "-c", statement]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()

    def timed(self, statement, times):
        """The server's own time: psql's start is no part of it."""
        said = [self.sql(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}") for _ in range(times)]
        return statistics.median(float(re.search(r"Execution Time: ([\d.]+)", text).group(1)) for text in said)

    def stop(self):
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")


def with_postgres(binary):
    for record in ["changes", "heartbeats", None]:
        root = tempfile.mkdtemp(dir="/var/tmp")
        postgres = Postgres(root)
        try:
            if record:
                numbers = ours(binary, postgres.url, record)
                with tempfile.TemporaryDirectory() as here:
                    times = command(here, postgres.url, "service-57"), command(here, postgres.url)
                row("PostgreSQL", record, numbers, *times)
            else:
                plain_postgres(postgres)
        finally:
            postgres.stop()
            shutil.rmtree(root)


def plain_postgres(postgres):
    postgres.sql("CREATE TABLE plain (id BIGSERIAL PRIMARY KEY, service_name VARCHAR(64), status VARCHAR(16), "
                 "current_task TEXT, heartbeat_timestamp TIMESTAMPTZ, created_at TIMESTAMPTZ DEFAULT now()); "
                 "CREATE INDEX ON plain (service_name, heartbeat_timestamp DESC)")
    begun = time.monotonic()
    postgres.sql(f"INSERT INTO plain (service_name, status, current_task, heartbeat_timestamp) "
                 f"SELECT 'service-' || service, 'healthy', 'indexing 2025', now() - interval '60 days' "
                 f"+ minute * interval '1 minute' FROM generate_series(0, {MINUTES - 1}) minute, "
                 f"generate_series(0, {SERVICES - 1}) service")
    rate = SERVICES * MINUTES / (time.monotonic() - begun)
    postgres.sql("VACUUM ANALYZE plain")
    size = float(postgres.sql("SELECT pg_total_relation_size('plain')"))
    ask = lambda text: text.replace("avg(status = 'healthy')", "avg((status = 'healthy')::int)")
    since = "now() - interval '30 days'"
    one, every = postgres.timed(ask(ONE + since), 5), postgres.timed(ask(ALL % since), 3)
    plain_row("PostgreSQL", size / (SERVICES * MINUTES), rate, one, every)


if __name__ == "__main__":
    print("| ten million heartbeats | bytes each | filled at | 30-day uptime of one / of 116, in the store | whole command |")
    print("|---|---|---|---|---|")
    built = test_binary()
    if "sqlite" in PARTS:
        with_sqlite(built)
    if "postgres" in PARTS:
        with_postgres(built)
