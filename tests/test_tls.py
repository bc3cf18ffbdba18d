"""TLS: https and wss, the certificate and its reloading, and peers that speak something else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys

import pytest
import trustme
from websockets.asyncio.client import connect

from hyperws import ConfigurationError, Limits, Server, UsageError

from .conftest import Serving
from .test_bodies import soon
from .test_http import get

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the portable driver is tested on Unix so far")


@pytest.fixture
def portable(monkeypatch):
    """TLS takes the portable driver, whatever the test runs under."""
    monkeypatch.delenv("HYPERWS_DRIVER", raising=False)


def make_server(**options):
    server = Server(port=0, **options)

    @server.route("/")
    async def handler(ctx):
        if ctx.is_websocket:
            async for message in ctx:
                await ctx.send(message)
        else:
            await ctx.json({"scheme": ctx.scheme})

    @server.route("/slow")
    async def slow(ctx):
        async for _ in ctx.body():
            await asyncio.Event().wait()

    return server


def issue(authority, folder, *names):
    """Have the authority sign a certificate, and write it where the server looks for it."""
    issued = authority.issue_cert(*names)
    folder.mkdir(exist_ok=True)
    issued.cert_chain_pems[0].write_to_path(folder / "chain.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return folder / "chain.pem", folder / "key.pem"


async def shown(server, context, **options):
    """(the names in the certificate that the server shows, the protocol that is agreed on)"""
    _, writer = await asyncio.open_connection(*server.address, ssl=context, **options)
    connection = writer.get_extra_info("ssl_object")
    certificate = connection.getpeercert()
    names = [value for _, value in certificate["subjectAltName"]]
    writer.close()
    return names, connection.selected_alpn_protocol()


async def test_https_and_wss(certificate, authority, portable):
    server = make_server().tls(*certificate)
    async with server:
        running = Serving(server, authority.trusting)
        answer = await soon(running.exchange(get("/", "Connection: close")))
        assert answer.endswith(b'{"scheme":"https"}')
        async with connect(running.ws(), ssl=running.ssl) as websocket:
            for message in ("text", b"bytes", b"x" * 300_000):
                await websocket.send(message)
                assert await websocket.recv() == message
            await websocket.close(4000, "enough")
        names, protocol = await shown(server, authority.trusting)
        assert (names, protocol) == (["127.0.0.1", "localhost"], "http/1.1")


async def test_a_browsers_page_of_this_host_may_connect(certificate, authority, portable):
    async with make_server().tls(*certificate) as server:
        running = Serving(server, authority.trusting)
        async with connect(running.ws(), ssl=running.ssl, origin=running.http("").rstrip("/")):
            pass


async def test_the_certificate_is_read_again_without_a_restart(authority, tmp_path, portable):
    server = make_server().tls(issue(authority, tmp_path, "127.0.0.1", "first.example"))
    async with server:
        running = Serving(server, authority.trusting)
        async with connect(running.ws(), ssl=running.ssl) as websocket:
            assert "first.example" in (await shown(server, authority.trusting))[0]
            issue(authority, tmp_path, "127.0.0.1", "second.example")
            assert "first.example" in (await shown(server, authority.trusting))[0]
            server.reload_tls()
            assert "second.example" in (await shown(server, authority.trusting))[0]
            (tmp_path / "key.pem").write_text("spoilt")
            with pytest.raises(ConfigurationError, match=r"chain\.pem"):
                server.reload_tls()
            issue(trustme.CA(), tmp_path / "other", "127.0.0.1")
            (tmp_path / "key.pem").write_bytes((tmp_path / "other" / "key.pem").read_bytes())
            with pytest.raises(ConfigurationError):     # a key that belongs to another certificate
                server.reload_tls()
            assert "second.example" in (await shown(server, authority.trusting))[0]
            await websocket.send("still open")
            assert await websocket.recv() == "still open"


async def test_names_are_left_to_the_applications_context(authority, tmp_path, portable):
    """SNI: a certificate for each name."""
    contexts = {}
    for name in ("one.example", "two.example"):
        context = contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*issue(authority, tmp_path / name, name))

    def choose(connection, name, context):
        connection.context = contexts.get(name, context)

    contexts["one.example"].sni_callback = choose
    server = make_server().tls(contexts["one.example"])
    async with server:
        for name in contexts:
            assert (await shown(server, authority.trusting, server_hostname=name))[0] == [name]
        with pytest.raises(UsageError, match="load_cert_chain"):
            server.reload_tls()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x00\x05rubbish", b""])
async def test_peers_that_speak_no_tls_are_closed(certificate, authority, said, portable):
    server = make_server(limits=Limits(handshake_timeout=0.3)).tls(*certificate)
    async with server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in await soon(reader.read())
        writer.close()
        running = Serving(server, authority.trusting)
        assert (await soon(running.exchange(get("/", "Connection: close")))).startswith(b"HTTP/1.1 200 ")


async def test_peers_that_shake_hands_count_for_the_limits(certificate, authority, portable):
    server = make_server(limits=Limits(max_connections_per_address=3)).tls(*certificate)
    async with server:
        running = Serving(server, authority.trusting)
        silent = [await asyncio.open_connection(*server.address) for _ in range(3)]
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await soon(running.raw())
        for _, writer in silent:
            writer.close()
        for _ in range(4):      # their places are free again, and stay so
            async with asyncio.timeout(20):
                while True:
                    with contextlib.suppress(ConnectionError, ssl.SSLError):
                        answer = await running.exchange(get("/", "Connection: close"))
                        if answer.startswith(b"HTTP/1.1 200 "):
                            break


async def test_a_body_that_nobody_takes_is_held_back(certificate, authority, portable):
    server = make_server(limits=Limits(max_body_size=None, receive_queue=10_000)).tls(*certificate)
    size = 100_000_000

    def send():
        plain = socket.create_connection(server.address, timeout=1)
        sent = 0
        with authority.trusting.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
            peer.sendall(get("/slow", f"Content-Length: {size}", method="POST"))
            with pytest.raises(TimeoutError):
                while sent < size:
                    sent += peer.send(b"x" * 65536)
        return sent

    async with server:
        assert await soon(asyncio.to_thread(send)) < size / 2
        await server.stop(grace=0.1)


async def test_stopping_lets_peers_shake_hands_that_have_just_come(authority, certificate, portable):
    server = make_server().tls(*certificate)
    await server.start()
    peers = [socket.create_connection(server.address, timeout=20) for _ in range(10)]
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    for peer in peers:
        secured = asyncio.open_connection(sock=peer, ssl=authority.trusting, server_hostname="127.0.0.1")
        reader, writer = await soon(secured)
        writer.write(get("/"))
        assert (await soon(reader.read())).startswith(b"HTTP/1.1 200 ")
        writer.close()
    await soon(stopping)


async def test_stopping_while_peers_shake_hands(certificate, portable):
    server = make_server().tls(*certificate)
    await server.start()
    reader, writer = await asyncio.open_connection(*server.address)
    await asyncio.sleep(0)
    await soon(server.stop(grace=5))
    with contextlib.suppress(ConnectionError):
        assert await soon(reader.read()) == b""
    writer.close()


@pytest.mark.parametrize(
    ("configure", "fix"),
    [
        (lambda server, paths: server.tls("/nothing.pem", "/nothing.key"), r"can't use '/nothing\.pem'"),
        (lambda server, paths: server.tls(paths[0]), "can't use"),
        (lambda server, paths: server.tls(paths[1], paths[0]), "can't use"),
        (lambda server, paths: server.tls(ssl.create_default_context(), "key"), "SSLContext alone"),
        (lambda server, paths: server.tls(5), "can't use"),
    ],
)
def test_certificates_that_can_not_be_used(certificate, configure, fix):
    with pytest.raises(ConfigurationError, match=fix):
        configure(Server(), certificate)


def test_as_an_option_and_without(certificate):
    assert Server(tls=certificate).certificate.files == certificate
    with pytest.raises(UsageError, match=r"by tls\(certfile, keyfile\)"):
        Server().reload_tls()


def test_the_reactor_has_no_tls(certificate, monkeypatch):
    monkeypatch.delenv("HYPERWS_DRIVER", raising=False)
    with pytest.raises(ConfigurationError, match="leave the driver"):
        asyncio.run(make_server(driver="reactor", tls=certificate).start())


SCRIPT = """
import logging, sys
from hyperws import Server
logging.basicConfig(level=logging.INFO)
server = Server(port=0, tls=(sys.argv[1], sys.argv[2]))

@server.route("/")
async def handler(ctx):
    await ctx.text("page")

server.run(on_listening=lambda: print(server.address[1], flush=True))
"""


def test_sighup_reads_the_certificate_again(authority, tmp_path, monkeypatch):
    monkeypatch.delenv("HYPERWS_DRIVER", raising=False)
    paths = issue(authority, tmp_path, "127.0.0.1", "first.example")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        port = int(process.stdout.readline())

        def names():
            with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
                with authority.trusting.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
                    return [value for _, value in peer.getpeercert()["subjectAltName"]]

        def said(text):
            while text not in (line := process.stderr.readline()):
                assert line, f"it ended without saying {text!r}"

        assert "first.example" in names()
        issue(authority, tmp_path, "127.0.0.1", "second.example")
        process.send_signal(signal.SIGHUP)
        said("has been read again")
        assert "second.example" in names()
        (tmp_path / "key.pem").write_text("spoilt")
        process.send_signal(signal.SIGHUP)
        said("stays the one it is")
        assert "second.example" in names()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
