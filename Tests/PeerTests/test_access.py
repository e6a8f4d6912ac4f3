"""Tokens, tenants, TLS and host names, as foreign clients meet them."""
import hashlib
import re
import signal
import socket
import ssl
import subprocess
import time

import grpc
import pytest
import requests

from daemon import BIN, Daemon, crest, eventually
from otlp import request

SCOPES = ("ingest", "query", "scrape", "admin")
SECRET = "crst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def spans_body(service, trace_id):
    """One trace of that id, just now."""
    message, _ = request(1, service=service, base=time.time_ns() - 1_000_000_000)
    for span in message.resource_spans[0].scope_spans[0].spans:
        span.trace_id = bytes.fromhex(trace_id)
    return message.SerializeToString()


def line(name, token, scopes, tenant="default"):
    return f"name={name} scopes={scopes} tenant={tenant} sha256={hashlib.sha256(token.encode()).hexdigest()}\n"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    text = "".join(line(scope, f"crst_{scope}", scope) for scope in SCOPES)
    for tenant in ("a", "b"):
        text += line(f"tenant-{tenant}", f"crst_tenant-{tenant}", "ingest,query,admin", tenant)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Two authorities, a server's and a client's certificate of the first, another server's of the second."""
    folder = tmp_path_factory.mktemp("ca")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for ca in ("ca", "ca2"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name, ca in (("server", "ca"), ("client", "ca"), ("server2", "ca2"), ("stranger", "ca2")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                "-days", "30", "-out", f"{name}.pem", "-extfile", "names")
        (folder / f"{name}.key").chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, tokens):
    daemon = Daemon(tmp_path_factory.mktemp("guarded") / "data", f"--tokens-file={tokens}")
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def secure(tmp_path, tokens, authority):
    """A daemon on every address of this machine, with tokens and TLS."""
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_bytes((authority / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    daemon = Daemon(
        tmp_path / "data", "--http=0.0.0.0:0", "--otlp-http=0.0.0.0:0", "--zipkin=off", "--jaeger-http=off",
        f"--tokens-file={tokens}", f"--tls-cert={tmp_path / 'server.pem'}", f"--tls-key={tmp_path / 'server.key'}")
    yield daemon
    if daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait()


def port(daemon, listener="http"):
    return int(daemon.address[listener].rsplit(":", 1)[1])


ROUTES = [
    ("POST", "/v1/traces", "ingest"), ("POST", "/v1/metrics", "ingest"), ("POST", "/api/v2/spans", "ingest"),
    ("POST", "/api/traces", "ingest"), ("POST", "/api/v1/statsd", "ingest"), ("GET", "/api/services", "query"),
    ("GET", "/api/v2/services", "query"), ("GET", "/api/crest/v1/search", "query"),
    ("GET", "/api/crest/v1/ledger", "query"), ("GET", "/prometheus/api/v1/labels", "query"),
    ("GET", "/metrics", "scrape"), ("DELETE", "/api/crest/v1/traces/1", "admin"),
    ("GET", "/api/crest/v1/snapshots", "admin"), ("POST", "/-/reload", "admin"),
    ("GET", "/-/ready", None), ("GET", "/-/healthy", None),
]


def test_scopes_over_the_wire(guarded):
    for method, path, scope in ROUTES:
        for mine in SCOPES:
            reply = requests.request(method, guarded.url(path), headers=bearer(f"crst_{mine}"), timeout=10)
            refused = reply.status_code in (401, 403)
            assert refused == (scope is not None and mine != scope), (method, path, mine, reply.status_code)
        for headers in ({}, bearer(SECRET), {"Authorization": "Basic eDp5"}):
            reply = requests.request(method, guarded.url(path), headers=headers, timeout=10)
            # Unknown tokens are slowed down after ten of them.
            refusals = (401, 429) if headers else (401,)
            assert (reply.status_code in refusals) == (scope is not None), (method, path, reply.status_code)
            if scope:
                assert reply.status_code == 429 or reply.headers["www-authenticate"].startswith("Bearer ")
                assert SECRET not in reply.text


def test_401_before_the_body(guarded):
    host, number = guarded.address["http"].rsplit(":", 1)
    with socket.create_connection((host, int(number)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n"
            b"Content-Type: application/x-protobuf\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_tenants_see_only_their_own(guarded):
    for tenant in ("a", "b"):
        body = spans_body(service=f"service-{tenant}", trace_id="00000000000000000000000000abcd01")
        reply = guarded.post("/v1/traces", data=body, headers={
            **bearer(f"crst_tenant-{tenant}"), "Content-Type": "application/x-protobuf"})
        assert reply.status_code == 200
    for tenant, other in (("a", "b"), ("b", "a")):
        headers = bearer(f"crst_tenant-{tenant}")
        for path in (
            "/api/services", "/api/v2/services", "/api/crest/v1/services", "/api/crest/v1/search",
            "/api/traces/abcd01", "/api/crest/v1/traces/abcd01", "/api/v2/trace/000000000000abcd01",
            f"/api/traces?service=service-{tenant}", f"/api/v2/traces?serviceName=service-{tenant}",
        ):
            text = guarded.get(path, headers=headers).text
            assert f"service-{tenant}" in text and f"service-{other}" not in text, (path, text[:300])
        text = guarded.get(f"/api/traces?service=service-{other}", headers=headers).text
        assert "abcd01" not in text
        assert guarded.get(
            "/api/services", headers={**headers, "X-Scope-OrgID": other}).status_code == 403
        assert guarded.get("/api/crest/v1/ledger", headers=headers).status_code == 403
    assert "service-" not in guarded.get("/api/services", headers=bearer("crst_query")).text
    # Pins and deletions stay within the tenant as well.
    pin = "/api/crest/v1/traces/abcd01/pin"
    assert guarded.post(pin, headers=bearer("crst_tenant-a")).status_code == 200
    assert "abcd01" not in guarded.get("/api/crest/v1/pins", headers=bearer("crst_tenant-b")).text
    assert requests.delete(
        guarded.url("/api/crest/v1/traces/abcd01"), headers=bearer("crst_tenant-b"), timeout=10).status_code < 300
    assert guarded.get("/api/crest/v1/traces/abcd01", headers=bearer("crst_tenant-b")).status_code == 404
    assert guarded.get("/api/crest/v1/traces/abcd01", headers=bearer("crst_tenant-a")).status_code == 200


def test_the_crest_command_with_a_token(guarded, tmp_path):
    server = guarded.url("")
    assert crest("services", server=server, environment={"CREST_TOKEN": ""}).returncode == 4
    assert crest("services", server=server, environment={"CREST_TOKEN": "crst_query"}).returncode == 0
    file = tmp_path / "token"
    file.write_text("crst_query\n")
    assert crest("services", "--token-file", str(file), server=server).returncode == 0
    file.write_text(SECRET)

    def refused():
        answer = crest("services", "--token-file", str(file), server=server)
        return answer if answer.returncode == 4 else None

    # Other tests may have used up what unknown tokens are allowed.
    wrong = eventually(refused, pause=1)
    assert SECRET not in wrong.stderr + wrong.stdout


def test_a_new_token_counts_after_sighup(tmp_path, tokens):
    file = tmp_path / "tokens"
    file.write_text(tokens.read_text())
    daemon = Daemon(tmp_path / "data", f"--tokens-file={file}")
    try:
        made = crest("token", "new", "--name", "late", "--scopes", "query", "--add-to", str(file))
        token = made.stdout.strip()
        assert made.returncode == 0 and re.fullmatch(r"crst_[A-Za-z0-9_-]{43}", token)
        assert token not in file.read_text()
        assert daemon.get("/api/services", headers=bearer(token)).status_code == 401
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: daemon.get("/api/services", headers=bearer(token)).status_code == 200)
        # A file that is wrong changes nothing.
        file.write_text(token + "\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: any("not reloaded" in entry for entry in daemon.log))
        assert daemon.get("/api/services", headers=bearer(token)).status_code == 200
        assert token not in "".join(daemon.log)
    finally:
        assert daemon.stop() == 0


def test_tls_and_a_token_let_other_machines_in(secure, authority):
    for listener in ("http", "otlp-http"):
        url = f"https://localhost:{port(secure, listener)}/v1/traces"
        headers = {"Content-Type": "application/x-protobuf"}
        body = spans_body(service="tls", trace_id="00000000000000000000000000000077")
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(authority / "ca.pem")
            assert session.post(url, data=body, headers=headers, timeout=10).status_code == 401
            for _ in range(3):
                reply = session.post(url, data=body, headers={**headers, **bearer("crst_ingest")}, timeout=10)
                assert reply.status_code == 200
    session = requests.Session()
    session.trust_env = False
    session.verify = str(authority / "ca.pem")
    base = f"https://localhost:{port(secure)}"
    assert session.get(f"{base}/api/services", headers=bearer("crst_query"), timeout=10).json()["data"] == ["tls"]
    large = session.post(
        f"{base}/v1/traces", data=b"\x00" * (3 << 20), timeout=20,
        headers={"Content-Type": "application/x-protobuf", **bearer("crst_ingest")})
    assert large.status_code == 400
    session.close()
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(base + "/-/ready", verify=str(authority / "ca2.pem"), timeout=10)
    assert secure.stop() == 0


def handshake(daemon, authority, maximum=None, certificate=None, ciphers=None):
    context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    if maximum:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = maximum
    if ciphers:
        context.set_ciphers(ciphers)
    if certificate:
        context.load_cert_chain(authority / f"{certificate}.pem", authority / f"{certificate}.key")
    with socket.create_connection(("127.0.0.1", port(daemon)), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            connection.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            reply = connection.recv(4096)
            assert reply.startswith(b"HTTP/1.1 200 "), reply
            return connection.version(), connection.cipher()[0]


def metric(daemon, authority, name):
    text = requests.get(
        f"https://localhost:{port(daemon)}/metrics", verify=str(authority / "ca.pem"), headers=bearer("crst_scrape"),
        timeout=10).text
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", text, re.M))


def test_versions_and_ciphers_of_tls(secure, authority):
    assert handshake(secure, authority)[0] == "TLSv1.3"
    version, cipher = handshake(secure, authority, maximum=ssl.TLSVersion.TLSv1_2)
    assert version == "TLSv1.2" and cipher.startswith("ECDHE-")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(secure, authority, maximum=ssl.TLSVersion.TLSv1_1, ciphers="ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(secure, authority, maximum=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
    # Words in the clear get no answer in the clear.
    with socket.create_connection(("127.0.0.1", port(secure)), timeout=10) as raw:
        raw.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/1.1" not in raw.recv(4096)
    failures = 'crest_tls_handshake_failures_total{reason="refused"}'
    eventually(lambda: metric(secure, authority, failures) >= 3)
    with socket.create_connection(("127.0.0.1", port(secure)), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01")
    reasons = ("refused", "closed", "timeout")
    eventually(lambda: sum(
        metric(secure, authority, f'crest_tls_handshake_failures_total{{reason="{reason}"}}') for reason in reasons) >= 4)
    assert metric(secure, authority, "crest_tls_certificate_expiry_timestamp_seconds") > time.time()


def test_a_new_certificate_counts_after_sighup(secure, authority, tmp_path):
    context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    raw = socket.create_connection(("127.0.0.1", port(secure)), timeout=10)
    open_before = context.wrap_socket(raw, server_hostname="localhost")
    # A key of another certificate is refused and the old pair stays.
    (tmp_path / "server.pem").write_bytes((authority / "server2.pem").read_bytes())
    secure.process.send_signal(signal.SIGHUP)
    eventually(lambda: any("not reloaded" in entry for entry in secure.log))
    handshake(secure, authority)
    (tmp_path / "server.key").write_bytes((authority / "server2.key").read_bytes())
    secure.process.send_signal(signal.SIGHUP)

    def is_new():
        return requests.get(
            f"https://localhost:{port(secure)}/-/ready", verify=str(authority / "ca2.pem"), timeout=10).ok

    eventually(is_new)
    open_before.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert open_before.recv(4096).startswith(b"HTTP/1.1 200 ")
    open_before.close()


def test_only_clients_with_a_certificate(tmp_path, tokens, authority):
    daemon = Daemon(
        tmp_path / "data", f"--tokens-file={tokens}", f"--tls-cert={authority / 'server.pem'}",
        f"--tls-key={authority / 'server.key'}", f"--tls-client-ca={authority / 'ca.pem'}")
    try:
        handshake(daemon, authority, certificate="client")
        handshake(daemon, authority, certificate="client", maximum=ssl.TLSVersion.TLSv1_2)
        for certificate in (None, "stranger"):
            for maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    handshake(daemon, authority, certificate=certificate, maximum=maximum)
    finally:
        assert daemon.stop() == 0


def test_foreign_host_names_are_refused(daemon):
    for host, status in (("localhost", 200), ("127.0.0.1:1", 200), ("[::1]", 200), ("evil.example", 421)):
        for path in ("/-/ready", "/api/services", "/metrics"):
            assert daemon.get(path, headers={"Host": host}).status_code == status, (host, path)
    assert daemon.post("/v1/traces", data=b"x", headers={"Host": "evil.example:8400"}).status_code == 421


def test_protective_headers(daemon):
    for path in ("/", "/metrics", "/api/services", "/nothing", "/api/crest/v1/search?limit=x", "/-/ready"):
        headers = daemon.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "access-control-allow-origin" not in headers


def crestd(*arguments, environment=None):
    return subprocess.run(
        [str(BIN / "crestd"), *arguments], capture_output=True, text=True, timeout=30, env=environment)


def test_reach_needs_tls_and_tokens(tokens, authority):
    tls = [f"--tls-cert={authority / 'server.pem'}", f"--tls-key={authority / 'server.key'}"]
    secret = [f"--tokens-file={tokens}"]
    for listener in ("http", "otlp-http", "otlp-grpc", "zipkin", "jaeger-http"):
        for given, code in (([], 78), (tls, 78), (secret, 78), (tls + secret, 0), (["--insecure-bind"], 0)):
            assert crestd("--check-config", f"--{listener}=0.0.0.0:0", *given).returncode == code, (listener, given)
    for listener in ("statsd", "jaeger-udp"):
        assert crestd("--check-config", f"--{listener}=0.0.0.0:0", *tls, *secret).returncode == 78
    assert crestd("--check-config", tls[0]).returncode == 78
    assert crestd("--check-config", tls[0], f"--tls-key={authority / 'client.key'}").returncode == 78


def test_secrets_are_shown_nowhere(tmp_path, tokens, authority):
    config = tmp_path / "crest.yaml"
    config.write_text(
        f"tokens-file: {tokens}\ntls-cert: {authority / 'server.pem'}\ntls-key: {authority / 'server.key'}\n"
        "allow-host: [crest.example.org]\n")
    printed = crestd("--config", str(config), "--print-config")
    again = tmp_path / "again.yaml"
    again.write_text(printed.stdout)
    assert printed.returncode == 0 and crestd("--config", str(again), "--check-config").returncode == 0
    key = (authority / "server.key").read_text().splitlines()[1]
    digest = hashlib.sha256(b"crst_query").hexdigest()
    assert key not in printed.stdout and digest not in printed.stdout
    # A token where a path belongs is not repeated.
    for flag in ("--tokens-file", "--tls-key", "--data-dir", "--http"):
        for mode in ("--check-config", "--print-config"):
            reply = crestd(flag, SECRET, mode)
            assert SECRET not in reply.stdout + reply.stderr, flag
    (tmp_path / "bad").write_text(f"name=x scopes=query token={SECRET}\n")
    reply = crestd("--tokens-file", str(tmp_path / "bad"), "--check-config")
    assert reply.returncode == 78 and "line 1" in reply.stderr and SECRET not in reply.stderr
    (tmp_path / "open.key").write_bytes((authority / "server.key").read_bytes())
    (tmp_path / "open.key").chmod(0o644)
    reply = crestd(
        f"--tls-cert={authority / 'server.pem'}", f"--tls-key={tmp_path / 'open.key'}", "--check-config")
    assert reply.returncode == 78 and "chmod 600" in reply.stderr


def test_grpc_asks_for_the_same_tokens(tmp_path, tokens):
    daemon = Daemon(tmp_path / "data", f"--tokens-file={tokens}")
    collector = "/opentelemetry.proto.collector."
    traces, metrics = f"{collector}trace.v1.TraceService/Export", f"{collector}metrics.v1.MetricsService/Export"
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    body = spans_body("svc", trace_id)

    def call(method, message, token=None):
        metadata = [("authorization", f"Bearer {token}")] if token else []
        with grpc.insecure_channel(daemon.address["otlp-grpc"]) as channel:
            try:
                channel.unary_unary(method)(message, timeout=10, metadata=metadata)
                return "OK"
            except grpc.RpcError as error:
                return error.code().name

    try:
        assert call(traces, body) == call(traces, body, "crst_nobody") == "UNAUTHENTICATED"
        assert call(traces, body, "crst_query") == "PERMISSION_DENIED"
        assert call(traces, body, "crst_tenant-a") == "OK"
        assert call(metrics, b"", "crst_query") == "PERMISSION_DENIED"
        assert call(metrics, b"", "crst_tenant-a") == call(metrics, b"", "crst_ingest") == "OK"
        assert call("/grpc.health.v1.Health/Check", b"") == "OK"
        read = {token: daemon.get(f"/api/traces/{trace_id}", headers=bearer(f"crst_{token}")).status_code
                for token in ("tenant-a", "tenant-b", "query")}
        assert read == {"tenant-a": 200, "tenant-b": 404, "query": 404}
    finally:
        assert daemon.stop() == 0
