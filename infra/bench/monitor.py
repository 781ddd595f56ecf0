"""The monitor beside its peers, in the same run: `monitor.py BINARIES [quick] [PART…]`."""

import contextlib
import datetime
import fcntl
import json
import os
import random
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BIN = os.path.realpath(sys.argv[1])
IS_QUICK = "quick" in sys.argv[2:]
with open("/proc/sys/kernel/random/boot_id") as file:
    BOOT_ID = file.read().strip()
# Between two deaths, seconds: the journal is looked into for the one before.
PACE = 0.04
# A process that owns the victims, so that the monitor is not their parent, and nobody's zombie is left.
OWNER = (
    "import os,signal,sys\n"
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    "for _ in range(int(sys.argv[1])):\n"
    "    print(os.posix_spawn('/bin/sleep', ['sleep', '3600'], os.environ, setsigdef=[signal.SIGCHLD]), flush=True)\n"
    "sys.stdin.read()\n"
)


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def quick(few, many):
    return few if IS_QUICK else many


def row(what, ours, limit, peers, goal):
    print(f"| {what} | {ours} | {limit} | {peers} | {goal} |", flush=True)


def ms(seconds):
    return f"{seconds*1e3:.2f} ms"


def spread(seconds):
    """The median, the 99th of a hundred, and the worst."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {ms(statistics.median(ordered))}, p99 {ms(p99)}, max {ms(ordered[-1])}"


@contextlib.contextmanager
def folder(parent):
    made = tempfile.mkdtemp(dir=parent, prefix="healthcheck-bench-")
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def in_memory():
    return folder("/dev/shm")


def on_disk():
    return folder(os.path.dirname(BIN))


class Flushes:
    """What it costs alone to append as much as a commit of one transition does, and to have it on the disk."""

    PAGES, PAGE = 5, b"x" * 4120

    def __init__(self, dir):
        self.file = os.open(f"{dir}/flushed", os.O_WRONLY | os.O_CREAT, 0o600)
        self.took = []

    def again(self):
        began = boottime()
        for _ in range(self.PAGES):
            os.write(self.file, self.PAGE)
        os.fdatasync(self.file)
        self.took.append(boottime() - began)


@contextlib.contextmanager
def victims(count):
    """Processes that live until they are killed, with when they were started, in ticks."""
    command = [sys.executable, "-c", OWNER, str(count)]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pids = [int(owner.stdout.readline()) for _ in range(count)]
    try:
        yield [(pid, start_ticks(pid)) for pid in pids]
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        owner.communicate()


def start_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


class Desk:
    """Where services put their reports."""

    def __init__(self, path):
        self.path = path
        self.staging = f"{path}/.staging-{os.getuid()}"
        os.makedirs(self.staging, mode=0o700, exist_ok=True)

    def write(self, name, process, **more):
        """Puts a report in place, as the reporter does; returns when the rename returned, in boot time."""
        stage = f"{self.staging}/{name}"
        with open(stage, "w") as file:
            file.write(report(name, process, **more))
        os.rename(stage, f"{self.path}/{name}.json")
        return boottime()


def report(name, process, status="healthy", deadline=3600.0, **more):
    checks = [{"name": f"check-{n}", "status": "healthy", "message": "as it should be"} for n in range(6)]
    told = {
        "schema_version": 1,
        "service_name": name,
        "service_type": name,
        "overall_status": status,
        "state": "running",
        "checks": checks,
        "interval_s": 10,
        "deadline_s": deadline,
        "boot_id": BOOT_ID,
        "written_boottime_s": boottime(),
        "pid": process[0],
        "pid_start_ticks": process[1],
        "heartbeat_count": 1,
        **more,
    }
    return json.dumps(told, separators=(",", ":"))


class Monitor:
    """A running `healthcheck monitor`, and what it says."""

    def __init__(self, dir, state, config=""):
        os.makedirs(f"{dir}/health", exist_ok=True)
        self.desk = Desk(f"{dir}/health")
        with open(f"{dir}/healthcheck.toml", "w") as file:
            file.write(config)
        self.command = [f"{BIN}/healthcheck", "monitor", "--config", f"{dir}/healthcheck.toml", "--log-level", "error"]
        self.env = dict(os.environ, HEALTH_DIR=f"{dir}/health", STATE_DIRECTORY=f"{state}/state", RUNTIME_DIRECTORY=f"{dir}/run")
        self.waiting = b""

    def __enter__(self):
        self.process = subprocess.Popen(self.command, env=self.env, stdout=subprocess.PIPE)
        # Whoever is behind with reading must not make it wait.
        fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, 1 << 20)
        self.until(lambda line: b'"type":"started"' in line)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        while os.read(self.process.stdout.fileno(), 1 << 16):
            pass
        self.process.wait()

    @property
    def pid(self):
        return self.process.pid

    def lines(self, timeout):
        """What is there, or comes within so many seconds, and when it was read."""
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            return boottime(), []
        read = os.read(self.process.stdout.fileno(), 1 << 16)
        at = boottime()
        *lines, self.waiting = (self.waiting + read).split(b"\n")
        return at, lines

    def until(self, is_it, timeout=30):
        """When a line was read, in boot time, and the line."""
        end = boottime() + timeout
        while boottime() < end:
            at, lines = self.lines(end - boottime())
            for line in filter(is_it, lines):
                return at, line
        raise SystemExit("the monitor did not say what was waited for")

    def until_told(self, name):
        """When the next transition of a service was judged, and when it was read."""
        key = b'{"type":"transition"', f'"subject":"{name}","kind":"service"'.encode()
        read, line = self.until(lambda line: line.startswith(key[0]) and key[1] in line)
        judged = datetime.datetime.fromisoformat(json.loads(line)["at"]).timestamp()
        return judged - time.time() + boottime(), read

    def until_known(self, names):
        """Waits until each of them was told of."""
        missing = set(names)
        while missing:
            _, lines = self.lines(30)
            if not lines:
                raise SystemExit(f"{len(missing)} services are not told of")
            missing -= {json.loads(line).get("subject") for line in lines}
        self.quieten()

    def quieten(self):
        while self.lines(0.5)[1]:
            pass


class Monit:
    """The peer, in the foreground."""

    def __init__(self, dir, seconds, checks=""):
        self.path = f"{dir}/monitrc"
        with open(self.path, "w") as file:
            file.write(f"set daemon {seconds}\nset pidfile {dir}/monit.pid\nset idfile {dir}/monit.id\n")
            file.write(f"set statefile {dir}/monit.state\nset log {dir}/monit.log\n{checks}")
        os.chmod(self.path, 0o600)
        self.log = f"{dir}/monit.log"

    def __enter__(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["monit", "-I", "-c", self.path], **quiet)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    @property
    def pid(self):
        return self.process.pid


class KernelLog:
    """What the kernel says meanwhile, each line of which wakes up who listens for deaths by memory."""

    def __init__(self):
        self.log = None
        with contextlib.suppress(OSError):
            self.log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self.log, 0, os.SEEK_END)

    def lines(self):
        count = 0
        with contextlib.suppress(OSError, TypeError):
            while os.read(self.log, 1 << 14):
                count += 1
        return count


class Used:
    """What a process took between two instants."""

    def __init__(self, pid, seconds):
        kernel, before, at = KernelLog(), tally(pid), boottime()
        time.sleep(seconds)
        after, span = tally(pid), boottime() - at
        self.kernel_lines = kernel.lines() * 60 / span
        self.cpu = (after[0] - before[0]) / span
        self.wakes = (after[1] - before[1]) * 60 / span
        with open(f"/proc/{pid}/smaps_rollup") as file:
            kib = {line.split()[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
        self.rss = kib["Rss:"]
        # Beside the pages of its program, which are the file's.
        self.own = kib["Private_Dirty:"]


def tally(pid):
    """Seconds of processor and voluntary switches of all threads."""
    cpu, wakes = 0.0, 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                cpu += int(file.read().split()[0]) / 1e9
            with open(f"/proc/{pid}/task/{thread}/status") as file:
                wakes += next(int(line.split()[1]) for line in file if line.startswith("voluntary"))
    return cpu, wakes


def calls(pid, seconds):
    """System calls in so many seconds, and the most frequent of them."""
    with tempfile.NamedTemporaryFile("r") as counts:
        strace = subprocess.Popen(["strace", "-q", "-c", "-f", "-p", str(pid), "-o", counts.name], stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        strace.send_signal(signal.SIGINT)
        strace.wait()
        rows = [line.split() for line in counts.read().splitlines() if line and line[-1].isalpha()]
    each = {row[-1]: int(row[3]) for row in rows if row[3].isdigit()}
    total = each.pop("total", 0)
    most = sorted(each.items(), key=lambda it: -it[1])[:6]
    return total, ", ".join(f"{name} {count}" for name, count in most)


# Waits for the end of processes and does nothing else.
WAITER = (
    "import os,select,sys,time\n"
    "ends, pids = select.epoll(), [int(pid) for pid in sys.argv[1:]]\n"
    "handles = [os.pidfd_open(pid) for pid in pids]\n"
    "[ends.register(handle, select.EPOLLIN) for handle in handles]\n"
    "print(flush=True)\n"
    "while handles:\n"
    "    for handle, _ in ends.poll():\n"
    "        at = time.clock_gettime(time.CLOCK_BOOTTIME)\n"
    "        ends.unregister(handle)\n"
    "        handles.remove(handle)\n"
    "        print(at, flush=True)\n"
)


def ends_alone(count, pace):
    """How long it takes from a kill until another process that waits for just that is woken up, at the same pace."""
    with victims(count) as processes:
        pids = [str(pid) for pid, _ in processes]
        waiter = subprocess.Popen([sys.executable, "-c", WAITER, *pids], stdout=subprocess.PIPE, text=True)
        waiter.stdout.readline()
        took = []
        for pid, _ in processes:
            time.sleep(pace)
            killed = boottime()
            os.kill(pid, signal.SIGKILL)
            took.append(float(waiter.stdout.readline()) - killed)
        waiter.wait()
    return took


def deaths():
    """kill -9 of distinct services whose parent the monitor is not."""
    peer = monit_deaths(quick(6, 20))
    for pace, words in ((PACE, "one each 40 ms"), (0.0, "one after another")):
        alone = ends_alone(quick(100, 300), pace)
        for where, place in (("tmpfs", in_memory), ("ext4", on_disk)):
            told, judged, flushes = deaths_at(pace, place)
            what = f"kill -9 → transition printed, {len(told):,} services, {words}, `state.db` on {where}"
            ours = f"{spread(told)}; judged after {spread(judged)}"
            limit = f"an end alone {spread(alone)}; a flush alone {spread(flushes)}"
            row(what, ours, limit, f"Monit each 1 s: {peer}", "p50 ≤ 0.8 ms, p99 ≤ 10 ms")


def deaths_at(pace, place):
    """How long it takes until each is told, and is judged, and a flush meanwhile."""
    count = quick(200, 1000)
    with victims(count) as processes, in_memory() as dir, place() as state, Monitor(dir, state) as monitor:
        names = [f"victim-{n:04}" for n in range(count)]
        for name, process in zip(names, processes):
            monitor.desk.write(name, process)
        monitor.until_known(names)
        judged, told, flushes = [], [], Flushes(state)
        for name, (pid, _) in zip(names, processes):
            killed = boottime()
            os.kill(pid, signal.SIGKILL)
            each = monitor.until_told(name)
            judged.append(each[0] - killed)
            told.append(each[1] - killed)
            time.sleep(pace)
            flushes.again()
    return told, judged, flushes.took


def monit_deaths(count):
    """The same for Monit, each at another instant of its cycle."""
    took = []
    with victims(count) as processes, in_memory() as dir:
        checks = ""
        for pid, _ in processes:
            with open(f"{dir}/{pid}.pid", "w") as file:
                file.write(f"{pid}\n")
            checks += f"check process victim-{pid} with pidfile {dir}/{pid}.pid\n  if not exist then alert\n"
        with Monit(dir, 1, checks) as monit:
            time.sleep(4)
            for pid, _ in processes:
                time.sleep(random.random())
                killed = boottime()
                os.kill(pid, signal.SIGKILL)
                while f"'victim-{pid}' process is not running" not in log_of(monit):
                    if boottime() - killed > 30:
                        raise SystemExit("Monit did not tell of a death")
                    time.sleep(0.001)
                took.append(boottime() - killed)
    return f"p50 {statistics.median(took)*1e3:.0f} ms, max {max(took)*1e3:.0f} ms"


def log_of(monit):
    try:
        with open(monit.log, errors="replace") as log:
            return log.read()
    except FileNotFoundError:
        return ""


def hangs():
    """Processes that are stopped, and loops that fall silent."""
    count = quick(20, 50)
    with victims(count) as processes, in_memory() as dir, on_disk() as state, Monitor(dir, state) as monitor:
        due = {}
        for n, process in enumerate(processes):
            name, deadline = f"frozen-{n:02}", 3.0 + n * 0.021
            due[name] = boottime() + deadline
            monitor.desk.write(name, process, deadline=deadline, written_boottime_s=due[name] - deadline)
            os.kill(process[0], signal.SIGSTOP)
        off = told_hung(monitor, due)
    row(
        f"SIGSTOP → `hung` after its deadline, {count} at once",
        f"{min(off)*1e3:+.2f} to {max(off)*1e3:+.2f} ms, p50 {ms(statistics.median(off))}",
        "",
        "",
        "± 20 ms",
    )
    silent_loops(quick(10, 30))


def told_hung(monitor, due):
    """How much later than due each was told to be hung."""
    off = {}
    while len(off) < len(due):
        at, lines = monitor.lines(30)
        if not lines:
            raise SystemExit(f"{len(due) - len(off)} hangs are not told")
        for line in lines:
            told = json.loads(line)
            if told["type"] == "transition" and told["subject"] in due and told["cause"] == "hung":
                off[told["subject"]] = at - due[told["subject"]]
    return list(off.values())


def silent_loops(count):
    """Real reporters, each of which has a loop that beats once and never again."""
    program = f"{BIN}/examples/fault_target"
    with in_memory() as dir, on_disk() as state, Monitor(dir, state) as monitor:
        due, targets = {}, []
        for n in range(count):
            name, limit = f"looping-{n:02}", 1500 + n * 21
            command = [program, monitor.desk.path, f"service={name}", "interval_ms=60000"]
            target = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            tell(target, f"watch main {limit}")
            tell(target, "beat main")
            due[name] = boottime() + limit / 1000
            targets.append(target)
        off = told_hung(monitor, due)
        for target in targets:
            target.kill()
            target.communicate()
    ours = f"{min(off)*1e3:+.2f} to {max(off)*1e3:+.2f} ms, p50 {ms(statistics.median(off))}"
    row(f"watched loop silent → `hung` after its limit, {count} reporters", ours, "", "", "≤ 50 ms")


def tell(target, line):
    target.stdin.write(f"{line}\n")
    target.stdin.flush()
    if not (answer := target.stdout.readline()).startswith("ok"):
        raise SystemExit(f"fault_target: {line}: {answer}")


def reports():
    """Heartbeats that change the status, each of another service."""
    count = quick(200, 1000)
    for where, place in (("tmpfs", in_memory), ("ext4", on_disk)):
        with victims(10) as processes, in_memory() as dir, place() as state, Monitor(dir, state) as monitor:
            names = [f"reporter-{n:04}" for n in range(count)]
            for n, name in enumerate(names):
                monitor.desk.write(name, processes[n % 10])
            monitor.until_known(names)
            judged, told, flushes = [], [], Flushes(state)
            for status in ("warning", "healthy"):
                for n, name in enumerate(names):
                    renamed = monitor.desk.write(name, processes[n % 10], status=status)
                    each = monitor.until_told(name)
                    judged.append(each[0] - renamed)
                    told.append(each[1] - renamed)
                    flushes.again()
                    time.sleep(0.003)
        what = f"report renamed → transition printed, {2*count:,} heartbeats, `state.db` on {where}"
        ours = f"{spread(told)}; judged after {spread(judged)}"
        row(what, ours, f"a flush alone {spread(flushes.took)}", "", "judged ≤ 0.2 ms, printed ≤ 0.5 ms")


def idle():
    """Nothing to watch."""
    span = quick(60, 120)
    with in_memory() as dir, on_disk() as state, Monitor(dir, state) as monitor:
        # The second look at the machine, after which its processors have a number, too.
        time.sleep(40)
        ours = at_rest(monitor.pid, span)
    peers = []
    for seconds in (30, 1):
        with in_memory() as dir, Monit(dir, seconds) as monit:
            time.sleep(10)
            peers.append(f"Monit each {seconds} s: {at_rest(monit.pid, span if seconds == 30 else 30)}")
    row("idle, nothing to watch", ours, "2.0 MiB, 0 wake-ups", "; ".join(peers), "≤ 12 MiB, ≤ 4 MiB private, ≤ 12 wake-ups a minute")


def at_rest(pid, span):
    used = Used(pid, span)
    total, most = calls(pid, 60)
    memory = f"{used.rss/1024:.1f} MiB, {used.own/1024:.1f} MiB of it its own"
    wakes = f"{used.wakes:.0f} wake-ups a minute ({used.kernel_lines:.0f} lines of the kernel's log in it)"
    return f"{memory}, {wakes}, {total} system calls a minute ({most}), {used.cpu*100:.3f} % CPU"


class Beats:
    """A thousand services of a hundred processes, each of which beats every ten seconds."""

    COUNT = 1000

    def __init__(self, desk, processes):
        self.desk, self.processes = desk, processes
        self.names = [f"service-{n:04}" for n in range(self.COUNT)]
        self.is_over = threading.Event()
        self.written = 0

    def first(self):
        for n in range(self.COUNT):
            self.beat(n)

    def beat(self, n):
        process = self.processes[n % len(self.processes)]
        self.desk.write(self.names[n], process, deadline=30.0, heartbeat_count=self.written)
        self.written += 1

    def go_on(self):
        due = time.monotonic()
        while not self.is_over.is_set():
            self.beat(self.written % self.COUNT)
            due += 10 / self.COUNT
            time.sleep(max(0.0, due - time.monotonic()))

    def __enter__(self):
        self.thread = threading.Thread(target=self.go_on)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def thousand():
    """1,000 services at a heartbeat of 10 s."""
    span = quick(20, 60)
    with victims(100) as processes, in_memory() as dir:
        with on_disk() as state, Monitor(dir, state) as monitor:
            empty = Used(monitor.pid, 3).rss
            beats = Beats(monitor.desk, processes)
            beats.first()
            monitor.until_known(beats.names)
            with beats:
                time.sleep(12)
                used = Used(monitor.pid, span)
                before = beats.written
                # A whole round of what is done each minute.
                total, most = calls(monitor.pid, 60)
                each = total / (beats.written - before)
        peers = []
        for seconds in (1, 30):
            with beats_again(beats), Monit(dir, seconds, monit_checks(dir, processes, beats.names)) as monit:
                time.sleep(10)
                peer = Used(monit.pid, span if seconds == 1 else max(60, span))
                peers.append(f"Monit each {seconds} s: {peer.cpu*100:.2f} % CPU, {peer.rss/1024:.1f} MiB")
    memory = f"{used.rss/1024:.1f} MiB ({(used.rss-empty)/Beats.COUNT:.1f} KiB a service)"
    ours = f"{used.cpu*100:.2f} % of a core, {each:.1f} system calls a beat ({most} in 60 s), {memory}"
    row("1,000 services at a heartbeat of 10 s", ours, "0.30 % of a core, 2.2 MiB", "; ".join(peers), "≤ 0.7 %, ≤ 16 calls, ≤ 8 KiB")


def beats_again(beats):
    beats.is_over.clear()
    return beats


def monit_checks(dir, processes, names):
    checks = ""
    for pid, _ in processes:
        with open(f"{dir}/{pid}.pid", "w") as file:
            file.write(f"{pid}\n")
        checks += f"check process process-{pid} with pidfile {dir}/{pid}.pid\n  if not exist then alert\n"
    for name in names:
        path = f"{dir}/health/{name}.json"
        checks += f"check file {name} with path {path}\n  if timestamp > 1 minutes then alert\n"
    return checks


FLOOD = (
    "import os,sys,time\n"
    "folder, text, path = sys.argv[1], sys.argv[2].encode(), sys.argv[1] + '/flooding.json'\n"
    "stage = f'{folder}/.staging-{os.getuid()}/flooding'\n"
    "began, written = time.monotonic(), 0\n"
    "while True:\n"
    "    for _ in range(50):\n"
    "        file = os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)\n"
    "        os.write(file, text)\n"
    "        os.close(file)\n"
    "        os.rename(stage, path)\n"
    "    written += 50\n"
    "    os.pwrite(1, b'%012d' % written, 0)\n"
    "    time.sleep(max(0, began + written / 10_000 - time.monotonic()))\n"
)


def flood():
    """One that writes as fast as it can, among others."""
    span, count = quick(20, 300), 50
    with victims(count + 1) as processes, in_memory() as dir, on_disk() as state, Monitor(dir, state) as monitor:
        names = [f"victim-{n:02}" for n in range(count)]
        for name, process in zip(names, processes):
            monitor.desk.write(name, process)
        monitor.until_known(names)
        with open(f"{dir}/written", "w+b") as written:
            text = report("flooding", processes[count])
            writer = subprocess.Popen([sys.executable, "-c", FLOOD, monitor.desk.path, text], stdout=written)
            time.sleep(1)
            began, before, first = boottime(), tally(monitor.pid)[0], replaced(written)
            took = []
            for name, (pid, _) in zip(names, processes):
                time.sleep(span / count)
                killed = boottime()
                os.kill(pid, signal.SIGKILL)
                took.append(monitor.until_told(name)[1] - killed)
            lasted = boottime() - began
            cpu, rate = (tally(monitor.pid)[0] - before) / lasted, (replaced(written) - first) / lasted
            writer.kill()
            writer.wait()
    what = f"one writer at {rate:,.0f} replaces a second for {span} s, {count} deaths among the others"
    row(what, f"{cpu*100:.1f} % of a core; told after {spread(took)}", "", "", "bounded; p99 ≤ 10 ms")


def replaced(written):
    return int(os.pread(written.fileno(), 12, 0) or 0)


def main():
    """All, or only those that are named."""
    parts = {"deaths": deaths, "hangs": hangs, "reports": reports, "idle": idle, "thousand": thousand, "flood": flood}
    for name in [name for name in sys.argv[2:] if name != "quick"] or parts:
        parts[name]()
        print(f"load {os.getloadavg()[0]:.1f} after {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
