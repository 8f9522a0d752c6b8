"""Debian's Chromium, driven by Playwright, on the docs of a real server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, sync_playwright

from tests.browser.docs_page import DocsPage
from tests.conftest import BACKEND
from tests.servers import WebServer

CHROMIUM = ["--no-sandbox", "--disable-gpu"]
SCREENSHOTS = Path(__file__).parent / "screenshots"  # not in git: look at them after a change of the page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, until the file's end: Playwright's event loop would be in the way of others."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium-headless-shell"), args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def errors() -> list[str]:
    """What the console has called an error; a test that means one takes it out."""
    return []


@pytest.fixture
def context(browser: Browser, server: WebServer, errors: list[str]) -> Iterator[BrowserContext]:
    """A fresh profile. In the end no error is on a console, and no other host was asked for anything."""
    context, asked = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900}), []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} {message.location['url']}")

    context.on("console", note)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    yield context
    context.close()
    assert asked
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
    assert errors == []


@pytest.fixture
def page(context: BrowserContext) -> DocsPage:
    """The docs, opened."""
    page = DocsPage(context.new_page())
    page.open()
    return page


@pytest.fixture
def keep(page: DocsPage) -> Callable[..., None]:
    """keep(name, part): a screenshot, once this part of the page is in view."""

    def shoot(name: str, part: str = "header") -> None:
        page.tab.locator(part).first.evaluate("part => part.scrollIntoView()")
        path = SCREENSHOTS / f"{name}-{BACKEND}.png"
        page.tab.screenshot(path=path)
        print(f"screenshot: {path}")

    return shoot
