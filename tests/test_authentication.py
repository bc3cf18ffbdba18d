"""Who is let in by a password or a token, and what the others are told."""

import base64
import hmac

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hyperws import BasicAuth, BearerAuth, ConfigurationError, Server

from .core.pieces import examples
from .stand_in import passed_through

BASIC = 'Basic realm="hyperws", charset="UTF-8"'
BEARER = 'Bearer realm="hyperws"'


def basic(text):
    return "Basic " + base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def sent(auth, *values, query=""):
    """The context of a request with these Authorization headers."""
    return passed_through(auth, *(("Authorization", value) for value in values), query=query)


def let_in(context, user):
    return not context.aborted and context.state == {"user": user}


def refused(context, status, challenge):
    """Whether a request was refused so, with one sentence."""
    response = context.response
    return (
        context.aborted
        and context.state == {}
        and response.status == status
        and response.headers == {"www-authenticate": challenge}
        and response.body.count(b".") == 1
        and response.body.endswith(b".\n")
    )


# ---------------------------------------------------------------------------------------- basic


@pytest.mark.parametrize(
    ("user", "password", "header"),
    [
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),   # RFC 7617, section 2
        ("test", "123\u00a3", "Basic dGVzdDoxMjPCow=="),                     # section 2.1
        ("Aladdin", "open sesame", "bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("user", "a:b:", basic("user:a:b:")),
        ("user", "", basic("user:")),
    ],
)
def test_a_password_that_is_right(user, password, header):
    assert let_in(sent(BasicAuth({user: password}), header), user)


@pytest.mark.parametrize(
    "header",
    [
        basic("alice:wrong"),
        basic("alice:"),
        basic("alice:secrets"),
        basic("alice:secre"),
        basic("bob:secret"),
        basic("bob:"),
        basic("Alice:secret"),
        basic("alicesecret"),
        basic("alice:secret\0"),
        basic("alice:\xe9".encode("latin-1")),
        basic(""),
        basic("eve:secret").rstrip("="),
        basic("eve:secret") + "=",
        basic("alice:secret") + " x",
        basic("alice:secret").replace("Basic ", "Basic\t"),
        basic("alice:secret").replace("Basic ", "Bearer "),
        "Basic \xe9\xe9\xe9\xe9",
        "Basic ====",
        "Basic",
        "",
    ],
)
def test_a_password_that_is_wrong_or_malformed(header):
    assert refused(sent(BasicAuth({"alice": "secret", "eve": "secret"}), header), 401, BASIC)


def test_no_password_and_two():
    auth = BasicAuth({"alice": "secret"})
    assert refused(sent(auth), 401, BASIC)
    assert refused(sent(auth, basic("alice:secret"), basic("alice:secret")), 401, BASIC)


def test_the_realm_is_told():
    assert refused(sent(BasicAuth({}, realm="The shop")), 401, 'Basic realm="The shop", charset="UTF-8"')


def test_unknown_users_take_the_same_comparison(monkeypatch):
    compared = []

    def compare_digest(known, given):
        compared.append((known, given))
        return hmac_compare_digest(known, given)

    hmac_compare_digest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    auth = BasicAuth({"alice": "s\xe9cret"})
    for user in ("alice", "bob"):
        sent(auth, basic(f"{user}:gu\xe9ss"))
    assert compared == [("s\xe9cret".encode(), "gu\xe9ss".encode()), (b"", "gu\xe9ss".encode())]


def test_passwords_are_those_at_the_start():
    passwords = {"alice": "secret"}
    auth = BasicAuth(passwords)
    passwords["bob"] = "other"
    assert sent(auth, basic("bob:other")).aborted


def check_password(user, password):
    return {"name": user} if password == "secret" else None


async def check_password_later(user, password):
    return check_password(user, password)


@pytest.mark.parametrize("check", [check_password, check_password_later])
def test_a_function_checks_the_password(check):
    auth = BasicAuth(check)
    assert let_in(sent(auth, basic("alice:secret")), {"name": "alice"})
    assert refused(sent(auth, basic("alice:wrong")), 401, BASIC)


@pytest.mark.parametrize("nobody", [None, False, ""])
def test_a_function_lets_nobody_in(nobody):
    assert refused(sent(BasicAuth(lambda user, password: nobody), basic("alice:secret")), 401, BASIC)


@pytest.mark.parametrize("text", ["alice", "alice:secret\n", "al\x7fice:secret"])
def test_a_function_is_not_asked_about_what_is_malformed(text):
    assert refused(sent(BasicAuth(lambda *given: given), basic(text)), 401, BASIC)


def test_a_function_that_raises_lets_nobody_in():
    def check(user, password):
        raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"):
        sent(BasicAuth(check), basic("alice:secret"))


WRITTEN = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


@examples(200)
@given(WRITTEN.filter(lambda user: ":" not in user), WRITTEN)
def test_what_a_client_writes_is_read(user, password):
    request = httpx.Request("GET", "http://a/")
    next(httpx.BasicAuth(user, password).auth_flow(request))
    assert let_in(sent(BasicAuth(lambda *given: given), request.headers["authorization"]), (user, password))


@examples(300)
@given(st.text(st.characters(max_codepoint=255)))
def test_nothing_that_is_sent_raises(text):
    for auth in (BasicAuth({"alice": "secret"}), BearerAuth(lambda token: None, query="access_token")):
        for scheme in ("Basic ", "Bearer ", ""):
            assert sent(auth, scheme + text, query=f"access_token={text}").aborted


# --------------------------------------------------------------------------------------- bearer


TOKEN = "mF_9.B5f-4.1JqM"   # RFC 6750, section 2.1


def check_token(token):
    return "alice" if token == TOKEN else None


async def check_token_later(token):
    return check_token(token)


@pytest.mark.parametrize("check", [check_token, check_token_later])
def test_a_token(check):
    auth = BearerAuth(check)
    for header in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
        context = sent(auth, header)
        assert let_in(context, "alice")
        assert context.response.headers == {}
    assert refused(sent(auth, f"Bearer {TOKEN}x"), 401, f'{BEARER}, error="invalid_token"')


def test_every_character_of_a_token():
    token = "azAZ09-._~+/=="
    assert let_in(sent(BearerAuth(lambda given: given), f"Bearer {token}"), token)


@pytest.mark.parametrize("headers", [[], [basic("alice:secret")], [f"Bearer{TOKEN}"], [""]])
def test_without_a_token_no_error_is_told(headers):
    assert refused(sent(BearerAuth(check_token), *headers), 401, BEARER)


@pytest.mark.parametrize(
    "headers",
    [
        ["Bearer"],
        ["Bearer "],
        [f"Bearer {TOKEN} {TOKEN}"],
        [f"Bearer {TOKEN}, Bearer {TOKEN}"],
        [f'Bearer "{TOKEN}"'],
        ["Bearer =="],
        ["Bearer a=b"],
        ["Bearer \xe9"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        [f"Bearer {TOKEN}", basic("alice:secret")],
    ],
)
def test_a_token_that_is_malformed_or_comes_twice(headers):
    context = sent(BearerAuth(check_token), *headers)
    assert refused(context, 400, f'{BEARER}, error="invalid_request"')


def test_a_token_in_the_url():
    auth = BearerAuth(check_token, query="access_token")
    for headers in ([], [basic("alice:secret")]):
        context = sent(auth, *headers, query=f"a=b&access_token={TOKEN}&c=d")
        assert let_in(context, "alice")
        assert context.response.headers == {"cache-control": "private"}
    assert let_in(sent(auth, f"Bearer {TOKEN}", query="a=b"), "alice")
    assert refused(sent(auth, query="access_token=x"), 401, f'{BEARER}, error="invalid_token"')
    assert refused(sent(auth, query="a=b"), 401, BEARER)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([f"Bearer {TOKEN}"], f"access_token={TOKEN}"),
        ([], f"access_token={TOKEN}&access_token={TOKEN}"),
        ([], "access_token="),
        ([], "access_token=a+b"),
    ],
)
def test_a_token_in_the_url_that_is_malformed_or_comes_twice(headers, query):
    context = sent(BearerAuth(check_token, query="access_token"), *headers, query=query)
    assert refused(context, 400, f'{BEARER}, error="invalid_request"')


def test_a_url_is_not_looked_at_by_default():
    assert refused(sent(BearerAuth(check_token), query=f"access_token={TOKEN}"), 401, BEARER)
    assert let_in(sent(BearerAuth(check_token), f"Bearer {TOKEN}", query="access_token=x"), "alice")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: BasicAuth(None), "check"),
        (lambda: BasicAuth(lambda token: token), "check"),
        (lambda: BasicAuth({"alice": b"secret"}), "str"),
        (lambda: BasicAuth({"a:b": "secret"}), "colon"),
        (lambda: BasicAuth({"": "secret"}), "empty"),
        (lambda: BasicAuth({"alice": "a\nb"}), "control"),
        (lambda: BasicAuth({}, realm='a"b'), "realm"),
        (lambda: BasicAuth({}, realm="a\r\nb"), "realm"),
        (lambda: BasicAuth({}, realm=None), "realm"),
        (lambda: BearerAuth({"token": "alice"}), "check"),
        (lambda: BearerAuth(lambda: True), "check"),
        (lambda: BearerAuth(check_token, query=True), "query"),
        (lambda: BearerAuth(check_token, query=""), "query"),
        (lambda: BearerAuth(check_token, realm="\xe9"), "realm"),
    ],
)
def test_what_can_not_work_is_told(make, told):
    with pytest.raises(ConfigurationError, match=told):
        make()


# ---------------------------------------------------------------------------------- on a server


def guarded(register, auth):
    """A server where `auth` is registered by the method of that name."""
    server = Server()
    getattr(server, register)(auth)

    @server.route("/")
    async def who(ctx):
        await ctx.send(f"hello {ctx.state['user']}")

    return server


async def test_requests_with_a_password(serving):
    server = guarded("request_middleware", BasicAuth({"alice": "secret"}))
    async with serving(server) as running, httpx.AsyncClient() as client:
        answer = await client.get(running.http(), auth=("alice", "secret"))
        assert (answer.status_code, answer.text) == (200, "hello alice")
        for path in ("/", "/none"):
            answer = await client.get(running.http(path), auth=("alice", "wrong"))
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == BASIC
            assert "hello" not in answer.text


@pytest.mark.parametrize("register", ["request_middleware", "pre_ws_upgrade"])
async def test_sockets_with_a_password(serving, register):
    async with serving(guarded(register, BasicAuth({"alice": "secret"}))) as running:
        url = running.ws()
        async with connect(url.replace("://", "://alice:secret@")) as websocket:
            assert await websocket.recv() == "hello alice"
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url.replace("://", "://alice:wrong@"))
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.headers["www-authenticate"] == BASIC


@pytest.mark.parametrize("register", ["request_middleware", "pre_ws_upgrade"])
async def test_sockets_with_a_token(serving, register):
    auth = BearerAuth(check_token_later, query="access_token")
    async with serving(guarded(register, auth)) as running:
        async with connect(running.ws(f"/?access_token={TOKEN}")) as websocket:
            assert await websocket.recv() == "hello alice"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with connect(running.ws(), additional_headers=headers) as websocket:
            assert await websocket.recv() == "hello alice"
        for path, status in (("/", 401), ("/?access_token=x", 401), ("/?access_token=", 400)):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(running.ws(path))
            assert refusal.value.response.status_code == status


async def test_a_check_that_raises_is_an_error_of_the_server(serving, caplog):
    def check(token):
        raise RuntimeError("no database")

    server = guarded("request_middleware", BearerAuth(check))
    async with serving(server) as running, httpx.AsyncClient() as client:
        answer = await client.get(running.http(), headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 500
    assert "no database" in caplog.text
    caplog.clear()
