"""A server spoken to line by line, for what a well-behaved client does not do."""

import json
import subprocess

from mcp_place import COMMAND

WAIT_S = 120
VERSION = "2025-11-25"


class RawServer:
    """A server process and the lines that it writes."""

    def __init__(self, place, *arguments, **environment):
        self.process = subprocess.Popen(
            [COMMAND, "mcp", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=place.environment(**environment),
        )
        self._ids = 0

    def write(self, line):
        self.process.stdin.write(line + b"\n")

    def send(self, method, params, request_id=None):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if request_id is not None:
            message["id"] = request_id
        self.write(json.dumps(message).encode())

    def read(self):
        """Return the next message; whatever else it writes is no JSON and fails here."""
        line = b""
        while not line.endswith(b"\n"):
            octet = self.process.stdout.read(1)
            if not octet:
                return None
            line += octet
        message = json.loads(line)
        assert "2.0" == message["jsonrpc"]
        return message

    def ask(self, method, params):
        self._ids += 1
        self.send(method, params, self._ids)
        while True:
            message = self.read()
            if message.get("id") == self._ids:
                return message

    def begin(self):
        client = {"name": "raw", "version": "1"}
        params = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client}
        answer = self.ask("initialize", params)
        self.send("notifications/initialized", {})
        return answer["result"]

    def call(self, tool, **arguments):
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments})
        return answer["result"]["structuredContent"]

    def end(self):
        """Close its input; return how it ended and the rest of its output."""
        self.process.stdin.close()
        rest = self.process.stdout.read()
        status = self.process.wait(WAIT_S)
        self.close()
        return status, rest

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
