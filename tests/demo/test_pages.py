"""What holds for every page of the demo, in a real browser and for other clients."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest

import hyperws.demo

from .conftest import Demo, Visitors

PATHS = [  # every application adds its page's
    "/", "/data", "/echo", "/mux", "/broadcast", "/game/arena", "/trading", "/chat/lobby", "/collab/notes",
    "/resilience",
]  # fmt: skip

TIMEOUT = 5  # seconds


def ask(demo: Demo, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        *((path, "text/html; charset=utf-8") for path in PATHS),
        ("/shared/style.css", "text/css; charset=utf-8"),
        ("/shared/icon.svg", "image/svg+xml"),
        ("/hyperws.js", "text/javascript; charset=utf-8"),
    ],
)
def test_files_have_a_type_and_a_policy(demo: Demo, path: str, content_type: str) -> None:
    response, body = ask(demo, path)
    assert response.status == 200
    assert body
    assert response.headers["content-type"] == content_type
    assert response.headers["content-security-policy"].startswith("default-src 'self';")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_page_answers_head_without_a_body(demo: Demo) -> None:
    response, body = ask(demo, "/", "HEAD")
    assert (response.status, body) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/../__init__.py", "/shared/..%2f__init__.py", "/pages/chat/__init__.py", "//etc/passwd"]
)
def test_nothing_else_can_be_asked_for(demo: Demo, path: str) -> None:
    response, _ = ask(demo, path)
    assert response.status in (400, 404)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_page_fits_a_narrow_screen(visitors: Visitors, demo: Demo, path: str, width: int) -> None:
    page = visitors.visit(demo, path, wait=path != "/", viewport={"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("path", PATHS)
def test_every_control_has_a_name_and_is_reached_by_keyboard(
    visitors: Visitors, demo: Demo, path: str
) -> None:
    page = visitors.visit(demo, path, wait=path != "/")
    controls = page.evaluate("""() =>
        [...document.querySelectorAll(
            'a[href], button, input, select, textarea, [contenteditable], [tabindex]'
        )].filter(one => one.checkVisibility() && !one.disabled)
        .map(one => {
            const name = one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent;
            return [one.tagName, name.trim(), one.tabIndex];
        })""")
    assert controls
    for tag, name, index in controls:
        assert name, f"a {tag} has no name"
        assert index >= 0, f"{name} can't be reached"


def test_the_front_page_leads_to_every_application(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/", wait=False)
    links = page.locator("a.card")
    paths: list[Any] = [links.nth(each).get_attribute("href") for each in range(links.count())]
    folders = {page.parent.name for page in Path(hyperws.demo.__file__).parent.glob("*/page")}
    assert len(set(paths)) == len(folders - {"front"})
    for path in paths:
        assert ask(demo, path)[0].status == 200
