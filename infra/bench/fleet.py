"""Many machines on one etcd, and heartbeats of many services from one process: `fleet.py BINARIES [quick] [PART…]`."""

import concurrent.futures
import contextlib
import datetime
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from monitor import BIN, Monitor, Used, boottime, in_memory, quick, row, tally

SERVICES, DYING = 100, 1000
HERE = os.path.dirname(os.path.realpath(__file__))
# A publisher as S3 wrote them: one process a service, each with a client, a lease and a thread of its own.
PYTHON = (
    "import etcd3,json,sys,time\n"
    "client = etcd3.client(host='127.0.0.1', port=int(sys.argv[1]))\n"
    "lease, count = client.lease(30), 0\n"
    "while True:\n"
    "    count += 1\n"
    "    value = {'namespace': sys.argv[2], 'status': 'healthy', 'timestamp': time.time(), 'heartbeat_count': count}\n"
    "    client.put(f'/peer/{sys.argv[2]}/health', json.dumps(value), lease=lease)\n"
    "    lease.refresh()\n"
    "    time.sleep(10)\n"
)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def etcd(dir):
    """One member with its data in memory, and its port."""
    port, peer = free_port(), f"http://127.0.0.1:{free_port()}"
    url = f"http://127.0.0.1:{port}"
    command = ["etcd", "--data-dir", f"{dir}/etcd", "--name", "one", "--listen-client-urls", url, "--advertise-client-urls", url,
               "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}",
               "--quota-backend-bytes", str(4 << 30)]
    with ended(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)) as process:
        while not answers(port):
            time.sleep(0.05)
        yield process.pid, port


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        kib = {line.split()[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
    return kib["Rss:"] / 1024, kib["Pss:"] / 1024, kib["Private_Dirty:"] / 1024


def mib(pid):
    rss, pss, own = memory(pid)
    return f"{rss:.1f} MiB, {pss:.1f} its share, {own:.1f} its own"


# Heartbeats.

def publish():
    seconds = quick(20, 60)
    with in_memory() as dir, etcd(dir) as (_, port):
        os.makedirs(f"{dir}/capabilities")
        os.makedirs(f"{dir}/health")
        for n in range(SERVICES):
            with open(f"{dir}/capabilities/{n}.yaml", "w") as file:
                file.write(f"metadata:\n  namespace: ns-{n}\nchora_service:\n  name: service-{n}\n")
            with open(f"{dir}/health/service-{n}.json", "w") as file:
                json.dump({"overall_status": "healthy"}, file)
        command = [f"{BIN}/healthcheck", "publish", "--etcd-port", str(port), "--etcd-host", "127.0.0.1", "--auto-discover",
                   "--capabilities", f"{dir}/capabilities", "--interval", "10", "--ttl", "30"]
        env = dict(os.environ, HEALTH_DIR=f"{dir}/health", STATE_DIRECTORY=f"{dir}/state", RUNTIME_DIRECTORY=f"{dir}/run")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with ended(subprocess.Popen(command, env=env, cwd=dir, **quiet)) as ours:
            until_there(port, "/chora/capabilities/", SERVICES)
            used = Used(ours.pid, seconds)
            cost = f"{used.cpu*100:.2f} % of a core, {mib(ours.pid)}"
        peer = python_publishers(port, seconds)
        row(f"{SERVICES} services published each 10 s, {seconds} s", cost, peer, "S3: 50 %, 800 MB", "≤ 2 %, ≤ 40 MiB")


def python_publishers(port, seconds, count=10):
    if subprocess.run([sys.executable, "-c", "import etcd3"], capture_output=True, check=False).returncode:
        return "no etcd3 for Python here"
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(ended(subprocess.Popen([sys.executable, "-c", PYTHON, str(port), f"peer-{n}"])))
                 for n in range(count)]
        until_there(port, "/peer/", count)
        before, at = [tally(it.pid)[0] for it in peers], boottime()
        time.sleep(seconds)
        used = sum(tally(it.pid)[0] for it in peers) - sum(before)
        scale = SERVICES / count
        share, sizes = used / (boottime() - at) * scale, [memory(it.pid) for it in peers]
        rss, pss, own = (sum(size[n] for size in sizes) * scale for n in range(3))
        return (f"Python with etcd3, {count} processes of one service, times {scale:.0f}: {share*100:.1f} % of a core, "
                f"{rss:.0f} MiB, {pss:.0f} their share, {own:.0f} their own")


def count_below(port, prefix):
    command = ["etcdctl", "--endpoints", f"127.0.0.1:{port}", "get", "--prefix", "--keys-only", prefix]
    said = subprocess.run(command, env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True, check=True).stdout
    return len(said.split())


def until_there(port, prefix, count):
    end = boottime() + 60
    while count_below(port, prefix) < count:
        if boottime() > end:
            raise SystemExit(f"there are not {count} keys below {prefix}")
        time.sleep(0.1)


# Machines.

class Load:
    """The machines, in another process."""

    def __init__(self, port, hosts):
        command = [sys.executable, f"{HERE}/fleet_load.py", str(port), str(hosts)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def does(self, words):
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Watching(Monitor):
    """A watcher, and when each machine of a story was told of."""

    def hosts_until(self, status, hosts, timeout=120):
        """When a transition of each to this status was judged, and when it was read."""
        missing, judged, read = set(hosts), {}, {}
        end = boottime() + timeout
        while missing:
            at, lines = self.lines(5)
            for line in lines:
                if b'"kind":"host"' not in line or not line.startswith(b'{"type":"transition"'):
                    continue
                said = json.loads(line)
                if said["to"] == status and said["subject"] in missing:
                    missing.discard(said["subject"])
                    wall = datetime.datetime.fromisoformat(said["at"]).timestamp()
                    judged[said["subject"]], read[said["subject"]] = wall - time.time() + boottime(), at
            if boottime() > end:
                raise SystemExit(f"{len(missing)} machines are not {status}")
        return judged, read


def configuration(port, dir):
    return (f'[fleet.etcd]\nendpoints = ["http://127.0.0.1:{port}"]\nwatch = true\n[alerts]\ngrace = "0s"\ncooldown = "0s"\n'
            f'[channels.log]\nkind = "log"\npath = "{dir}/notices"\n')


def notices(dir):
    with contextlib.suppress(FileNotFoundError), open(f"{dir}/notices") as file:
        return [json.loads(line) for line in file]
    return []


def machines():
    hosts, seconds = quick(1000, 10_000), quick(20, 30)
    dying = min(DYING, hosts // 2)
    with in_memory() as dir, etcd(dir) as (server, port), ended_load(Load(port, hosts)) as load:
        put = load.does(f"live 0 {hosts}")
        alone = Used(server, quick(10, 20))
        row(f"{hosts} machines and {3*hosts} services put into one etcd", f"{put['took']:.1f} s", "", "", "")
        row(f"… their leases renewed each 10 s ({hosts//10} renewals a second), nobody watches: etcd",
            f"{alone.cpu*100:.1f} % of a core, {mib(server)}", "", "", "")
        began = boottime()
        with Watching(dir, dir, configuration(port, dir)) as watcher:
            ready = boottime() - began
            names = {f"sim-{n:05}" for n in range(hosts)}
            _, read = watcher.hosts_until("healthy", names)
            listed = max(read.values()) - began
            row("a watcher begins: until it is ready, and until it has told of each machine",
                f"{ready:.2f} s, {listed:.2f} s; {mib(watcher.pid)}", "", "", "")
            watcher.quieten()
            idle = Used(watcher.pid, seconds)
            drain(watcher)
            row(f"… in peace, {seconds} s", f"{idle.cpu*100:.2f} % of a core, {mib(watcher.pid)}", "", "", "")
            for again in range(quick(1, 2)):
                die(watcher, load, server, dying, dir, again)
        row("etcd afterwards", mib(server), "", "", "")


@contextlib.contextmanager
def ended_load(load):
    with ended(load.process):
        yield load


def drain(watcher):
    while watcher.lines(0)[1]:
        pass


def die(watcher, load, server, dying, dir, again):
    """So many at once, and all of them back."""
    told = len(notices(dir))
    before = tally(watcher.pid)[0], tally(server)[0]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        dies = pool.submit(load.does, f"die 0 {dying}")
        _, read = watcher.hosts_until("error", {f"sim-{n:05}" for n in range(dying)})
        died = dies.result()
    spent = tally(watcher.pid)[0] - before[0], tally(server)[0] - before[1]
    late = sorted(read[host] - at for host, at in died["each"].items())
    last = max(read.values()) - died["began"]
    first_told = until_told(dir, told, dying, "error")
    sent = notices(dir)[told:]
    row(f"{dying} machines die at once ({died['took']:.2f} s), time {again+1}: lease revoked → transition read",
        f"p50 {statistics.median(late)*1e3:.1f} ms, p99 {late[len(late)*99//100]*1e3:.1f} ms, max {late[-1]*1e3:.1f} ms; "
        f"all after {last:.2f} s", "", f"watcher {spent[0]:.2f} s of a core, etcd {spent[1]:.2f} s", "")
    row("… notices at the channel, and after which time",
        f"{len(sent)}: {', '.join(str(len(it['items'])) for it in sent)} machines; {first_told - died['began']:.1f} s; {mib(watcher.pid)}",
        "", "", "1")
    told = len(notices(dir))
    back = load.does(f"live 0 {dying}")
    watcher.hosts_until("healthy", died["each"])
    until_told(dir, told, dying, "healthy")
    sent = notices(dir)[told:]
    row("… and are back", f"{back['took']:.2f} s; {len(sent)} notices: {', '.join(str(len(it['items'])) for it in sent)}", "", "", "1")


def until_told(dir, told, count, status):
    """When notices named each machine."""
    end = boottime() + 120
    while sum(item["status"] == status for it in notices(dir)[told:] for item in it["items"]) < count:
        if boottime() > end:
            raise SystemExit(f"only {[len(it['items']) for it in notices(dir)[told:]]} were told of")
        time.sleep(0.05)
    return boottime()


def main():
    """All, or only those that are named."""
    parts = {"publish": publish, "machines": machines}
    for name in [name for name in sys.argv[2:] if name != "quick"] or parts:
        parts[name]()
        print(f"load {os.getloadavg()[0]:.1f} after {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
