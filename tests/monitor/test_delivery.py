"""Alerts are told to the log, to an agent, and to one webhook that is what it seems to be."""

import http.server
import json
import logging
import socket
import ssl
import subprocess
import threading

import pytest

from swarm_memory.config import load_config
from swarm_memory.errors import ConfigError
from swarm_memory.monitor import webhook as hooks
from swarm_memory.monitor.delivery import CHANGES_MAX, Change, Delivery, _batches
from swarm_memory.monitor.webhook import WebhookError, addresses_of, is_public, post, webhook_of

HOOK = {
    "alert_webhook": "https://hooks.example.com/a?b=c",
    "alert_hosts": ["hooks.example.com"],
}


def config_of(**settings):
    config = load_config()
    for name, value in settings.items():
        object.__setattr__(config, name, value)
    return config


def break_something(swarm):
    swarm.messages.send("poison", topic="t", attempts_max=1)
    swarm.messages.claim("t")[0].nack(reason="cannot")


def mend(swarm):
    swarm.messages.revive(swarm.messages.dead()[0].message_id)


class Told:
    """Stands at the other end, and fails as often as it is told to."""

    def __init__(self, failures=0):
        self.failures = failures
        self.requests = []

    def __call__(self, webhook, told):
        if self.failures:
            self.failures -= 1
            raise WebhookError("it answered 500")
        self.requests.append([(a["change"], a["rule"]) for a in told["alerts"]])


def delivery(swarm, told):
    return Delivery(swarm, swarm._engine, send=told)


# --- the log and the agent ---


def test_alerts_are_logged_whoever_took_the_sample(store, minute, caplog):
    swarm = store.open()
    delivering = swarm.monitor.delivery()
    break_something(swarm)
    minute(store.open("b"))
    with caplog.at_level(logging.INFO, "swarm_memory.alerts"):
        delivering.deliver()
        delivering.deliver()
        mend(swarm)
        minute(swarm)
        delivering.deliver()

    assert [logging.WARNING, logging.INFO] == [record.levelno for record in caplog.records]
    assert "dead_letters raised" in caplog.text
    assert "dead_letters resolved" in caplog.text


def test_a_command_and_a_hook_log_nothing(store, minute, caplog):
    swarm = store.open()
    break_something(swarm)
    store.clock.advance(60)
    with caplog.at_level(logging.INFO, "swarm_memory.alerts"):
        swarm.tick()

    assert 1 == len(swarm.alerts.list())
    assert [] == caplog.records


def test_an_agent_is_sent_each_change_if_it_is_named(store, minute):
    swarm = store.open(settings={"settings": {"alert_agent": "boss"}})
    break_something(swarm)
    minute(swarm, 3)
    mend(swarm)
    minute(swarm)

    letters = swarm.as_agent("boss").messages.claim(limit=10)
    assert [("alert", "open"), ("alert", "resolved")] == [
        (letter.type, letter.body["state"]) for letter in letters
    ]


def test_nobody_is_sent_anything_by_default(store, minute):
    swarm = store.open()
    break_something(swarm)
    minute(swarm)

    assert (0, 1) == (swarm.messages.counts().ready, swarm.messages.counts().dead)


# --- the webhook's turn ---


def test_a_change_is_posted_once_by_whatever_process(store, minute):
    swarm, other = (
        store.open(settings={"settings": HOOK}),
        store.open("b", settings={"settings": HOOK}),
    )
    told = Told()
    deliveries = [delivery(swarm, told), delivery(other, told)]
    break_something(swarm)
    for _ in range(3):
        minute(swarm)
        for each in deliveries:
            each.deliver()
    mend(swarm)
    minute(swarm)
    for each in deliveries:
        each.deliver()

    assert [[("raised", "dead_letters")], [("resolved", "dead_letters")]] == told.requests


def test_what_could_not_be_posted_is_posted_by_the_next_tick(store, minute, caplog):
    swarm = store.open(settings={"settings": HOOK})
    told = Told(failures=2)
    delivering = delivery(swarm, told)
    break_something(swarm)
    for _ in range(4):
        minute(swarm)
        delivering.deliver()

    assert [[("raised", "dead_letters")]] == told.requests
    assert 2 == caplog.text.count("it answered 500")


def test_after_a_day_a_change_is_given_up_and_that_is_logged(store, minute, caplog):
    swarm = store.open(settings={"settings": HOOK})
    told = Told(failures=2)
    delivering = delivery(swarm, told)
    delivering.deliver()  # the cursor begins here
    break_something(swarm)
    minute(swarm)
    delivering.deliver()
    store.clock.advance(86_400)
    delivering.deliver()
    told.failures = 0
    store.clock.advance(60)
    delivering.deliver()

    assert [] == told.requests
    assert 1 == caplog.text.count("1 changes of alerts could not be posted for a day")


def test_changes_of_one_moment_stay_in_one_request():
    changes = [Change(at_ms, "raised", None) for at_ms in range(CHANGES_MAX - 1)]
    changes += [Change(10**6, "raised", None)] * 3 + [Change(10**7, "raised", None)]

    assert [CHANGES_MAX + 2, 1] == [len(batch) for batch in _batches(changes)]


# --- where it leads ---


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://other.example.com/",
        "https://hooks.example.com.evil.com/",
        "https:///path",
        "https://hooks.example.com:x/",
        "https://hooks.example.com/ä",
        "https://hooks.example.com/#part",
    ],
)
def test_a_webhook_that_may_not_be_asked_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError) as refused:
        webhook_of(config_of(alert_webhook=url, alert_hosts=("hooks.example.com",)))

    assert url not in str(refused.value)


def test_a_store_is_not_opened_with_a_webhook_that_is_not_allowed(store):
    with pytest.raises(ConfigError):
        store.open(settings={"settings": HOOK | {"alert_hosts": []}})


def test_hosts_are_allowed_by_patterns():
    found = webhook_of(
        config_of(alert_webhook=HOOK["alert_webhook"], alert_hosts=("*.example.com",))
    )

    assert ("hooks.example.com", 443, "/a?b=c", False) == found


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:8.8.8.8", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_public_addresses_are(address):
    assert is_public(address)


def test_a_host_of_a_private_network_is_refused_unless_allowed():
    hook = hooks.Webhook("localhost", 443, "/", False)
    with pytest.raises(WebhookError, match="private"):
        addresses_of(hook)

    assert addresses_of(hook._replace(private=True))


# --- a real server ---


class Answering(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.bodies.append((self.path, json.loads(self.rfile.read(length))))
        self.send_response(self.server.status)
        self.send_header("Location", "https://127.0.0.1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def https(tmp_path, monkeypatch):
    """A server with a certificate for localhost, which this process trusts."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True,
    )  # fmt: skip
    assert 0 == made.returncode, made.stderr
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.bodies, server.status = [], 204
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    monkeypatch.setattr(socket, "getaddrinfo", _only_ipv4(socket.getaddrinfo))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _only_ipv4(resolve):
    return lambda host, port, *_, **options: resolve(host, port, socket.AF_INET, **options)


def hook_to(server, host="localhost"):
    return hooks.Webhook(host, server.server_address[1], "/in?a=b", True)


def test_a_webhook_is_posted_over_tls(https):
    post(hook_to(https), {"swarm": "s", "alerts": []})

    assert [("/in?a=b", {"swarm": "s", "alerts": []})] == https.bodies


def test_a_redirect_is_not_followed(https):
    https.status = 307
    with pytest.raises(WebhookError, match="307"):
        post(hook_to(https), {"swarm": "s", "alerts": []})

    assert 1 == len(https.bodies)


def test_a_certificate_of_another_name_is_refused(https):
    with pytest.raises(WebhookError, match="CERTIFICATE"):
        post(hook_to(https, "127.0.0.1"), {"swarm": "s", "alerts": []})

    assert [] == https.bodies


def test_a_server_that_says_nothing_is_not_waited_for(https, monkeypatch):
    monkeypatch.setattr(hooks, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(WebhookError):
        hook = hook_to(https)._replace(port=silent.getsockname()[1])
        post(hook, {"swarm": "s", "alerts": []})


def test_a_server_that_trickles_is_not_waited_for_either(https, monkeypatch):
    monkeypatch.setattr(hooks, "TIMEOUT_S", 0.5)
    ended = threading.Event()

    def trickle(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nA: ")
        while not ended.wait(0.05):
            handler.wfile.write(b"a")

    monkeypatch.setattr(Answering, "do_POST", trickle)
    try:
        with pytest.raises(WebhookError):
            post(hook_to(https), {"swarm": "s", "alerts": []})
    finally:
        ended.set()


def test_a_large_report_is_cut_to_what_names_the_alerts(https):
    alert = {"at_ms": 1, "change": "raised", "alert_id": "a", "rule": "r", "text": "x" * 300_000}

    post(hook_to(https), {"swarm": "s", "alerts": [alert]})

    ((_, told),) = https.bodies
    assert [{"at_ms": 1, "change": "raised", "alert_id": "a", "rule": "r"}] == told["alerts"]
