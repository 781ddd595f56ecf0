"""Machines that only exist in etcd: `fleet_load.py PORT HOSTS`. Each has a lease that is renewed each ten seconds, a host
key and three of services, as `healthcheck monitor` puts them. It obeys lines of its standard input, `die FIRST COUNT` and
`live FIRST COUNT`, and answers each with one line of JSON."""

import asyncio
import base64
import json
import os
import sys
import time

PORT, HOSTS = int(sys.argv[1]), int(sys.argv[2])
INTERVAL, TTL, LINES = 10.0, 30, 48
SERVICES = ("camera", "core", "db")
MESSAGE = "last frame 12 ms ago, 30 frames a second, none lost since it began"


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def name(number):
    return f"sim-{number:05}"


def put(key, value, lease):
    return {"request_put": {"key": encoded(key), "value": encoded(json.dumps(value)), "lease": lease}}


def keys(host, lease):
    now = "2026-11-22T10:00:00Z"
    about = {"host": host, "hostname": f"{host}.lan", "description": "rack 2", "version": "0.1.0", "status": "healthy",
             "services": 3, "ttl_s": TTL, "interval_s": INTERVAL, "started": now, "timestamp": now}
    service = {"status": "healthy", "cause": "self_reported", "message": MESSAGE, "since": now}
    services = [put(f"/health/services/{host}/{it}", service, lease) for it in SERVICES]
    return {"compare": [], "failure": [], "success": [put(f"/health/hosts/{host}", about, lease), *services]}


class Line:
    """One connection to etcd, with one question at a time."""

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", PORT)
        return self

    async def ask(self, path, question):
        body = json.dumps(question, separators=(",", ":")).encode()
        self.writer.write(b"POST /v3/%s HTTP/1.1\r\nHost: etcd\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
        head = await self.reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        if b"chunked" in lower:
            read = await self.chunks()
        else:
            read = await self.reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"etcd: {read.decode()}")
        return read

    async def chunks(self):
        read = b""
        while size := int(await self.reader.readline(), 16):
            read += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return read


class Fleet:
    def __init__(self):
        self.lines = asyncio.Queue()
        self.leases = {}
        self.late = 0.0

    async def ask(self, path, question):
        line = await self.lines.get()
        try:
            return await line.ask(path, question)
        finally:
            self.lines.put_nowait(line)

    async def live(self, number):
        lease = str(json.loads(await self.ask("lease/grant", {"TTL": TTL}))["ID"])
        await self.ask("kv/txn", keys(name(number), lease))
        self.leases[number] = lease

    async def die(self, number):
        lease = self.leases.pop(number)
        await self.ask("lease/revoke", {"ID": lease})
        return name(number), boottime()

    async def renew(self):
        """Each of them once in ten seconds, evenly."""
        number, due = 0, boottime()
        while True:
            due += INTERVAL / HOSTS
            number = (number + 1) % HOSTS
            if lease := self.leases.get(number):
                asyncio.ensure_future(self.ask("lease/keepalive", {"ID": lease}))
            self.late = max(self.late, boottime() - due)
            if due > boottime() + 0.002:
                await asyncio.sleep(due - boottime())
            elif number % 64 == 0:
                await asyncio.sleep(0)

    async def obey(self, word, first, count):
        numbers = range(int(first), int(first) + int(count))
        began = boottime()
        done = await asyncio.gather(*(getattr(self, word)(number) for number in numbers))
        return {"began": began, "took": boottime() - began, "each": dict(filter(None, done)), "late": self.late}


async def main():
    fleet = Fleet()
    for _ in range(LINES):
        fleet.lines.put_nowait(await Line().open())
    stdin = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    renewing = None
    while words := (await stdin.readline()).decode().split():
        print(json.dumps(await fleet.obey(*words)), flush=True)
        fleet.late = 0.0
        renewing = renewing or asyncio.ensure_future(fleet.renew())
    os._exit(0)


asyncio.run(main())
