"""Whole processes beside each other, in turns: `healthcheck`, the least that it could cost, and what people use."""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BIN = sys.argv[1]
ROUNDS = {10: 41, 1_000: 21, 10_000: 9}
PYTHON = os.path.realpath(sys.executable)
PEER = (
    "import glob,json,sys\n"
    "for path in glob.glob(sys.argv[1] + '/*.json'):\n"
    "    with open(path) as file: report = json.load(file)\n"
    "    print(report['service_name'], report['overall_status'], report['pid'], report['written_boottime_s'])\n"
)
# For each endpoint a socket and its monitor, all at once: what pyzmq offers to see that somebody shakes hands.
PYZMQ = (
    "import sys,zmq\n"
    "from zmq.utils.monitor import recv_monitor_message\n"
    "context, poller, open = zmq.Context(), zmq.Poller(), {}\n"
    "for endpoint in sys.argv[1:]:\n"
    "    socket = context.socket(zmq.SUB)\n"
    "    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)\n"
    "    open[monitor] = (socket, endpoint)\n"
    "    poller.register(monitor, zmq.POLLIN)\n"
    "    socket.connect('tcp://' + endpoint)\n"
    "while open:\n"
    "    for monitor, _ in poller.poll(1000):\n"
    "        recv_monitor_message(monitor)\n"
    "        poller.unregister(monitor)\n"
    "        print(open.pop(monitor)[1], 'alive')\n"
    "context.destroy(linger=0)\n"
)
# The same looks as a script of one's own makes them, with the reports: all at once, in threads.
SCRIPT = (
    "import concurrent.futures,glob,json,os,socket,subprocess,sys,urllib.request\n"
    "folder, port = sys.argv[1], int(sys.argv[2])\n"
    "def tcp(_): socket.create_connection(('127.0.0.1', port), 1).close()\n"
    "def web(_): urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=5).read()\n"
    "def run(_): subprocess.run(['true'], timeout=5, check=True)\n"
    "for path in glob.glob(folder + '/*.json'):\n"
    "    with open(path) as file: print(json.load(file)['overall_status'])\n"
    "print(os.getloadavg(), open('/proc/meminfo').read(), os.statvfs('/'))\n"
    "with concurrent.futures.ThreadPoolExecutor(30) as pool:\n"
    "    looks = [pool.submit(look, n) for look in (tcp, web, run) for n in range(10)]\n"
    "    print([look.result() for look in looks])\n"
)
JQ = '"\\(.service_name) \\(.overall_status) \\(.pid) \\(.written_boottime_s)"'


def once(command):
    """Seconds and seconds of processor of one run."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return took, usage.ru_utime + usage.ru_stime


def peak_kib(command):
    """The most that was resident, as of the last piece of output."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = 0
    while os.read(process.stdout.fileno(), 4096):
        with open(f"/proc/{process.pid}/status") as status:
            lines = [line for line in status if line.startswith("VmHWM")]
        peak = int(lines[0].split()[1]) if lines else peak
    process.wait()
    return peak


def in_mib(kib):
    """Nothing where a process had so little to say that it was gone before anybody could look at it."""
    return f", {kib/1024:.1f} MiB" if kib else ""


def commands(folder):
    healthcheck = [f"{BIN}/healthcheck", "--direct", "--health-dir", folder, "--format"]
    paths = [f"{folder}/{name}" for name in sorted(os.listdir(folder)) if name.endswith(".json")]
    return {
        "limit": [f"{BIN}/examples/limit", folder],
        "json": healthcheck + ["json"],
        "table": healthcheck + ["table"],
        "python": [PYTHON, "-c", PEER, folder],
        "jq": ["jq", "-r", JQ, *paths],
    }


def measure(each, rounds):
    runs = {name: [] for name in each}
    for _ in range(rounds):
        for name, command in each.items():
            runs[name].append(once(command))
    median = lambda runs, at: statistics.median(run[at] for run in runs)
    return {name: (median(of, 0), median(of, 1)) for name, of in runs.items()}


def row(what, ours, limit, peers, goal):
    print(f"| {what} | {ours} | {limit} | {peers} | {goal} |", flush=True)


def reports(pids, goals):
    for count, rounds in ROUNDS.items():
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            size = subprocess.check_output([f"{BIN}/examples/reports", folder, str(count), *pids], text=True)
            took = measure(commands(folder), rounds)
            limit = took["limit"][0]
            peers = f"Python {took['python'][0]*1e3:.1f} ms, jq {took['jq'][0]*1e3:.1f} ms"
            for name in ("json", "table"):
                wall, cpu = took[name]
                kib = peak_kib(commands(folder)[name])
                what = f"`healthcheck --direct --format {name}`, {count:,} reports of {size.strip()} bytes"
                ours = f"{wall*1e3:.1f} ms ({wall/limit:.1f} ×), {cpu*1e3:.1f} ms CPU{in_mib(kib)}"
                row(what, ours, f"{limit*1e3:.1f} ms", peers, goals[count])


def zmq_endpoints():
    """100 publishers of libzmq, looked at once."""
    program = [f"{BIN}/examples/zmq_endpoints", "100", "0"]
    peers = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        addresses = [line.strip() for line in iter(peers.stdout.readline, "ready\n")]
        with open(f"{folder}/healthcheck.toml", "w") as config:
            for number, address in enumerate(addresses):
                config.write(f'[zmq.publisher-{number}]\nendpoint = "tcp://{address}"\nsocket = "PUB"\n')
        healthcheck = [f"{BIN}/healthcheck", "--direct", "--health-dir", folder]
        ours = [*healthcheck, "--config", f"{folder}/healthcheck.toml", "--format", "json"]
        each = {
            "ours": ours,
            "without": [*healthcheck, "--format", "json"],
            "limit": [f"{BIN}/examples/zmq_limit", *addresses],
            "pyzmq": [PYTHON, "-c", PYZMQ, *addresses],
        }
        took = measure(each, 41)
        (wall, cpu), limit, without = took["ours"], took["limit"][0], took["without"][0]
        rest = f"{cpu*1e3:.1f} ms CPU{in_mib(peak_kib(ours))}, without the endpoints {without*1e3:.1f} ms"
        row(
            "`healthcheck --direct --format json`, 100 ZMQ endpoints",
            f"{wall*1e3:.1f} ms ({wall/limit:.1f} ×), {rest}",
            f"{limit*1e3:.1f} ms",
            f"pyzmq {took['pyzmq'][0]*1e3:.1f} ms",
            "≤ 15 ms",
        )
    peers.communicate()


def everything():
    """Ten reports, ten ports, ten pages, ten commands and the resources, looked at once."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        subprocess.check_output([f"{BIN}/examples/reports", folder, "10", str(os.getpid())])
        with open(f"{folder}/healthcheck.toml", "w") as config:
            for number in range(10):
                config.write(f'[probes.port-{number}]\nkind = "tcp"\naddress = "127.0.0.1:{port}"\n')
                config.write(f'[probes.page-{number}]\nkind = "http"\nurl = "http://127.0.0.1:{port}/"\n')
                config.write(f'[probes.command-{number}]\nkind = "command"\ncommand = ["true"]\n')
        server = subprocess.Popen([f"{BIN}/examples/web", str(port)], stdin=subprocess.PIPE, **quiet)
        healthcheck = [f"{BIN}/healthcheck", "--direct", "--health-dir", folder, "--format", "json"]
        ours = [*healthcheck, "--config", f"{folder}/healthcheck.toml"]
        each = {"ours": ours, "python": [PYTHON, "-c", SCRIPT, folder, str(port)]}
        took = measure(each, 41)
        wall, cpu = took["ours"]
        what = "`healthcheck --direct --format json`, 10 reports, 10 ports, 10 pages, 10 commands, resources"
        ours = f"{wall*1e3:.1f} ms, {cpu*1e3:.1f} ms CPU{in_mib(peak_kib(ours))}"
        row(what, ours, "", f"the same as a Python script {took['python'][0]*1e3:.1f} ms", "")
        server.communicate()


def hostile(what, names, text):
    """A directory of `names` reports that are one file: as expensive as strangers can make it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        with open(f"{folder}/.one", "w") as file:
            file.write(text)
        for number in range(names):
            os.link(f"{folder}/.one", f"{folder}/stranger-{number:06}.json")
        command = [f"{BIN}/healthcheck", "--direct", "--health-dir", folder, "--format", "json"]
        wall = statistics.median(once(command)[0] for _ in range(3))
        kib = max(peak_kib(command) for _ in range(2))
        row(what, f"{wall*1e3:.0f} ms{in_mib(kib)}", "", "", "≤ 1 s, ≤ 64 MiB")


def full_of(key, entries):
    report = {"overall_status": "warning", "current_task": "x" * 1024, key: entries}
    return json.dumps(report, ensure_ascii=False, separators=(",", ":"))


def hostile_directories():
    check = lambda n, **more: {"name": f"{n:03}" + "n" * 125, "status": "error", "message": "é" * 512, **more}
    metadata = {"metadata": {f"k{n}": "m" * 20 for n in range(1000)}}
    error = {"message": "panicked at " + "x" * 1000, "timestamp": "2025-06-01T12:00:00Z", "check": "c" * 128}
    hostile("100,000 small reports", 100_000, '{"overall_status":"healthy"}')
    hostile("20,000 reports of 1 MiB", 20_000, full_of("junk", ["x" * 60_000] * 17))
    hostile("20,000 reports with 128 full checks", 20_000, full_of("checks", [check(n) for n in range(128)]))
    few = [check(n, **metadata) for n in range(18)]
    hostile("20,000 reports with as much metadata as fits", 20_000, full_of("checks", few))
    hostile("20,000 reports of 20,000 values", 20_000, full_of("junk", [0] * 19_000))
    hostile("20,000 reports with 256 errors", 20_000, full_of("recent_errors", [error] * 256))
    # All that is read of so many: 64 MiB.
    hostile("20,000 reports of 3.3 KiB with 2 full checks", 20_000, full_of("checks", [check(n) for n in range(2)]))
    hostile("20,000 reports of 3.3 KiB with 1,000 values", 20_000, full_of("junk", [0] * 600 + [{}] * 300))
    dead = {"overall_status": "healthy", "pid": 4_194_302, "pid_start_ticks": 1}
    hostile("20,000 small reports of one dead process", 20_000, json.dumps(dead))
    names = ["d" * 120 + f"{n:03}" for n in range(256)]
    hostile("20,000 reports with 256 dependencies", 20_000, full_of("depends_on", names))


def reports_of_all_sizes():
    constant = "≤ 1.5 × the limit + the constant part"
    sleepers = [subprocess.Popen(["sleep", "3600"]) for _ in range(100)]
    try:
        goals = {10: "≤ 4 ms", 1_000: constant, 10_000: "≤ 70 ms"}
        reports([str(sleeper.pid) for sleeper in sleepers], goals)
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def main():
    """All, or only those that are named."""
    parts = {"reports": reports_of_all_sizes, "everything": everything, "zmq": zmq_endpoints, "hostile": hostile_directories}
    for name in sys.argv[2:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
