"""Connections through a proxy, and secured ones, against real local servers."""

from __future__ import annotations

import datetime
import ipaddress
import select
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smallenough.errors import ModelTimeout, ModelUnavailable
from smallenough.models import wire
from smallenough.records import Request, replace
from tests.models.conftest import Connect
from tests.servers.faulty import Answer, FaultyServer


class Relay:
    """Passes bytes on to a server, as a proxy or, where it has a certificate, as the server's TLS end."""

    def __init__(self, target: str, tls: ssl.SSLContext | None = None) -> None:
        self._target = int(target.rpartition(":")[2])
        self._tls = tls
        self.heads: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Relay:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        if self._tls is not None:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:
                client.close()
                return
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            head = client.recv(65536)
            self.heads.append(head)
            if head.startswith(b"CONNECT"):
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                server.sendall(head.replace(b"http://ollama.example", b"", 1))
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's end with a certificate for 127.0.0.1 and ollama.example, which lies at tmp_path/trusted.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ollama.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    hosts = [x509.DNSName("ollama.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (tmp_path / "trusted.pem").write_bytes(signed.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "trusted.pem", tmp_path / "key.pem")
    return context


@pytest.fixture
def unproxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("unproxied")
def test_a_proxy_of_the_environment_is_used_for_servers_elsewhere(
    server: FaultyServer, connect: Connect, hello: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Relay(server.url) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:se%20cret@127.0.0.1:{proxy.port}")
        client = connect("http://ollama.example", retries=0)
        assert client.generate(hello).text == "Hello there"
        client.close()
    assert proxy.heads[0].startswith(b"POST http://ollama.example/api/chat HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2UgY3JldA==\r\n" in proxy.heads[0]


@pytest.mark.usefixtures("unproxied")
def test_a_secured_server_is_reached_through_a_proxy_s_tunnel(
    server: FaultyServer,
    connect: Connect,
    hello: Request,
    certificate: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    with Relay(server.url, certificate) as secured, Relay(f":{secured.port}") as proxy:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
        client = connect("https://ollama.example", retries=0)
        assert client.generate(hello).text == "Hello there"
        client.close()
    assert proxy.heads[0].startswith(b"CONNECT ollama.example:443 HTTP/1.")


@pytest.mark.usefixtures("unproxied")
def test_a_secured_server_is_held_to_the_deadline_too(
    server: FaultyServer,
    connect: Connect,
    hello: Request,
    certificate: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    with Relay(server.url, certificate) as secured:
        client = connect(f"https://127.0.0.1:{secured.port}", retries=0)
        server.program(Answer("Hello", fault="hang midway"))
        with pytest.raises(ModelTimeout):
            client.generate(replace(hello, deadline=0.4))
        server.program(Answer("Hello", fault="hang midway"))
        with pytest.raises(ModelUnavailable, match="cancelled"):
            client.generate(hello, client.cancel)
        assert client.generate(hello).text == "Hello there"
        client.close()


@pytest.mark.usefixtures("unproxied")
def test_a_certificate_that_is_not_trusted_is_told(
    server: FaultyServer, connect: Connect, hello: Request, certificate: ssl.SSLContext
) -> None:
    with Relay(server.url, certificate) as secured:
        with pytest.raises(ModelUnavailable, match=r"no Ollama server answers .*CERTIFICATE_VERIFY_FAILED"):
            connect(f"https://127.0.0.1:{secured.port}", retries=0).generate(hello)
        assert not secured.heads


@pytest.mark.usefixtures("unproxied")
def test_a_server_that_does_not_secure_holds_no_one_up(
    connect: Connect, hello: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"https://127.0.0.1:{silent.getsockname()[1]}", retries=0)
        with pytest.raises(ModelTimeout):
            client.generate(replace(hello, deadline=0.3))


def test_nobody_listening_does_not_outlast_the_deadline(
    connect: Connect, hello: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A full queue of connections, to which the system adds no more: connecting hangs.
    monkeypatch.setattr(wire, "_CONNECT_SECONDS", 0.3)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            client = connect(f"127.0.0.1:{listener.getsockname()[1]}", retries=0)
            with pytest.raises(ModelUnavailable, match="no Ollama server answers"):
                client.generate(replace(hello, deadline=None))
