"""From a death to the phone, beside Monit in the same run: `telling.py BINARIES [quick] [PART…]`."""

import os
import queue
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

from monitor import BIN, Monit, Monitor, boottime, in_memory, on_disk, quick, row, spread, victims

ANSWER = b'{"id":"x","event":"message"}'
# A channel is told twenty times in ten minutes at once; what is more is gathered. So there are several.
OF_ONE_CHANNEL = 20


class Phone:
    """A server after ntfy's publish API, which notes when it has all of a message."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.received = queue.SimpleQueue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            stream, _ = self.listener.accept()
            threading.Thread(target=self.take, args=(stream,), daemon=True).start()

    def take(self, stream):
        with stream:
            read = b""
            while not is_whole(read):
                more = stream.recv(1 << 16)
                if not more:
                    return
                read += more
            at = boottime()
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))
            self.received.put((at, read))

    def until(self, name):
        """When the message that names it was there."""
        while True:
            at, read = self.received.get(timeout=60)
            if name.encode() in read:
                return at


def is_whole(read):
    head, end, body = read.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0] if lengths else 0)


def configuration(phone, count):
    told = '[alerts]\ngrace = "0s"\ngroup_wait = "0s"\nrestart_wait = "0s"\n'
    for group in range(-(-count // OF_ONE_CHANNEL)):
        told += f'[channels.phone{group}]\nkind = "ntfy"\nserver = "http://127.0.0.1:{phone.port}"\ntopic = "phone{group}"\n'
        told += f'[[routes]]\nsubjects = ["group{group}-*"]\nchannels = ["phone{group}"]\n'
    return told


def one_by_one(phone, names, processes, pause=0.04):
    """How long it takes from each death to its receipt."""
    took = []
    for name, (pid, _) in zip(names, processes):
        # The journal is looked into for the one before.
        time.sleep(pause() if callable(pause) else pause)
        killed = boottime()
        os.kill(pid, signal.SIGKILL)
        took.append(phone.until(name) - killed)
    return took


def ours(count, place):
    phone = Phone()
    names = [f"group{n // OF_ONE_CHANNEL}-victim-{n:03}" for n in range(count)]
    with victims(count) as processes, in_memory() as dir, place() as state:
        with Monitor(dir, state, configuration(phone, count)) as monitor:
            for name, process in zip(names, processes):
                monitor.desk.write(name, process)
            monitor.until_known(names)
            reader = threading.Thread(target=lambda: [None for _ in iter(lambda: monitor.lines(1)[1], None)], daemon=True)
            reader.start()
            return one_by_one(phone, names, processes)


def bare(count):
    """Whoever only waits for the ends and posts their numbers."""
    phone = Phone()
    with victims(count) as processes:
        pids = [str(pid) for pid, _ in processes]
        program = [f"{BIN}/examples/telling_limit", f"127.0.0.1:{phone.port}", *pids]
        limit = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        limit.stdout.readline()
        took = one_by_one(phone, [f"<{pid}>" for pid in pids], processes)
        limit.wait()
    return took


def monits(count):
    """Monit each second, which lets curl post; each death at another instant of its cycle."""
    phone = Phone()
    with victims(count) as processes, in_memory() as dir:
        checks = ""
        for pid, _ in processes:
            with open(f"{dir}/{pid}.pid", "w") as file:
                file.write(f"{pid}\n")
            post = f"/usr/bin/curl -s -o /dev/null -d <{pid}> http://127.0.0.1:{phone.port}/phone"
            checks += f'check process victim-{pid} with pidfile {dir}/{pid}.pid\n  if not exist then exec "{post}"\n'
        with Monit(dir, 1, checks):
            time.sleep(4)
            return one_by_one(phone, [f"<{pid}>" for pid, _ in processes], processes, pause=random.random)


def deaths():
    count = 200
    alone = bare(quick(50, count))
    peer = monits(quick(6, 50))
    for where, place in (("tmpfs", in_memory), ("ext4", on_disk)):
        took = ours(quick(100, count), place)
        times = statistics.median(took) / statistics.median(alone)
        row(
            f"kill -9 → receipt at an ntfy server, {len(took)} services, no waits, `state.db` on {where}",
            f"{spread(took)} ({times:.1f} ×)",
            spread(alone),
            f"Monit each 1 s, with curl: {spread(peer)}",
            "p50 ≤ 20 ms",
        )


def main():
    """All, or only those that are named."""
    parts = {"deaths": deaths}
    for name in [name for name in sys.argv[2:] if name != "quick"] or parts:
        parts[name]()
        print(f"load {os.getloadavg()[0]:.1f} after {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
