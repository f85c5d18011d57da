"""The clients of ``scripts/bench api``, in a process of their own: so many requests a second, come what may.

Requests leave at their appointed times and are timed from then on, so that a service that stands still is seen (an
open loop; a client that waits for the answer before it asks again would spare it).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

CONNECTIONS = 32

KINDS = (
    ("overview", 200, "/api/v1/overview"),
    ("nodes page", 200, "/api/v1/nodes?limit=60&offset={offset}&sort={node_sort}"),
    ("jobs page", 150, "/api/v1/jobs?limit=60&offset={offset}&sort={job_sort}&state=pending,running"),
    ("node", 100, "/api/v1/nodes/{node}"),
    ("job", 50, "/api/v1/jobs/{job}"),
    ("resources", 80, "/api/v1/resources"),
    ("events", 60, "/api/v1/events?limit=50"),
    ("history", 50, "/api/v1/history"),
    ("status", 50, "/api/v1/status"),
    ("search", 20, "/api/v1/nodes?q={digit}&limit=60"),
    ("error list", 10, "/workernode?state=4"),
    ("hold", 3, "/api/v1/nodes/{node}/hold"),
    ("unhold", 3, "/api/v1/nodes/{node}/unhold"),
    ("health", 24, "/healthz"),
)
"""Name, share in thousandths, path. What a handful of dashboards ask for, with scripts and watchers beside them. A
change is a decision of its own: one or two are asked for each second.
"""

NODE_SORTS = ("node_id", "-state_since_at", "host_name", "-used_cores")
JOB_SORTS = ("job_id", "-submitted_at", "user")


class Client:
    """One connection that is kept."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, verb: str, path: str, tag: str) -> tuple[int, str, int]:
        """Status, ETag, size."""
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{verb} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self.token}"]
        lines += [f"If-None-Match: {tag}"] if tag else []
        lines += ["Content-Length: 0"] if verb == "POST" else []
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:]}
        size = int(headers.get("content-length", "0"))
        if headers.get("transfer-encoding") == "chunked":
            while length := int((await self.reader.readline()), 16):
                size += len(await self.reader.readexactly(length + 2)) - 2
            await self.reader.readline()
        elif size:
            await self.reader.readexactly(size)
        return int(head[0].split()[1]), headers.get("etag", ""), size


async def load(port: int, token: str, rate: float, seconds: float) -> dict[str, object]:
    rng = random.Random(1)
    free: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(Client(port, token))
    nodes, jobs = await names(port, token)
    tags: dict[str, str] = {}
    taken: dict[str, list[float]] = {}
    statuses: dict[int, int] = {}
    size = 0

    async def one(name: str, path: str, due_s: float) -> None:
        nonlocal size
        client = await free.get()
        try:
            verb = "POST" if name in ("hold", "unhold") else "GET"
            status, tag, length = await client.ask(verb, path, tags.get(path, ""))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            client.writer, status, tag, length = None, 0, "", 0
        finally:
            free.put_nowait(client)
        if tag:
            tags[path] = tag
        size += length
        statuses[status] = statuses.get(status, 0) + 1
        taken.setdefault(name, []).append(time.perf_counter() - due_s)

    loop, began_s = asyncio.get_running_loop(), time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        due_s = began_s + number / rate
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        (name, _, path) = rng.choices(KINDS, [kind[1] for kind in KINDS])[0]
        filled = path.format(
            offset=60 * rng.randrange(80),
            node_sort=rng.choice(NODE_SORTS),
            job_sort=rng.choice(JOB_SORTS),
            node=rng.choice(nodes),
            job=rng.choice(jobs),
            digit=rng.randrange(10),
        )
        tasks.append(loop.create_task(one(name, filled, due_s)))
    await asyncio.gather(*tasks)
    return {"taken": taken, "statuses": statuses, "bytes": size, "seconds": time.perf_counter() - began_s}


async def names(port: int, token: str) -> tuple[list[str], list[str]]:
    """Some nodes and jobs that there are."""
    found = []
    for path, field, key in (("/api/v1/nodes", "nodes", "node_id"), ("/api/v1/jobs", "jobs", "job_id")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET {path}?limit=1000 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        body = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        found.append([row[key] for row in json.loads(body)[field]])
    return found[0], found[1]


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    print(json.dumps(asyncio.run(load(told["port"], told["token"], told["rate"], told["seconds"]))))
