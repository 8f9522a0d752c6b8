"""What a person does on /api/docs (a page object)."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Locator, Page, Request, expect

from tests.factories import PASSWORD


class DocsPage:
    """The docs in a tab."""

    def __init__(self, page: Page) -> None:
        self.tab = page
        header = page.get_by_role("banner")
        self.name = header.get_by_label("Name or mail")
        self.password = header.get_by_label("Password")
        self.log_in_button = header.get_by_role("button", name="Log in")
        self.log_out_button = header.get_by_role("button", name="Log out")
        self.message = header.get_by_role("alert")
        self.who = header.get_by_role("status")

    def open(self) -> None:
        """Go there, and wait until the operations are listed."""
        self.tab.goto("/api/docs")
        self.wait()

    def reload(self) -> None:
        """As F5 does."""
        self.tab.reload()
        self.wait()

    def wait(self) -> None:
        self.tab.locator(".opblock").first.wait_for()

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        """Fill in the form and press Enter."""
        self.name.fill(name)
        self.password.fill(password)
        self.tab.keyboard.press("Enter")

    def operation(self, tag: str, id: str) -> Locator:
        """The operation, unfolded."""
        block = self.tab.locator(f"#operations-{tag}-{id}")
        if "is-open" not in (block.get_attribute("class") or ""):
            block.locator(".opblock-summary-control").click()
        return block

    def execute(self, tag: str, id: str, body: dict[str, Any] | None = None) -> Request:
        """Press Execute, with this body or the example; the request, once its answer is shown."""
        block = self.operation(tag, id)
        if body is not None:
            block.locator("textarea").fill(json.dumps(body))
        if (clear := block.get_by_role("button", name="Clear")).is_visible():
            clear.click()
        version, _, resource = tag.partition("-")
        with self.tab.expect_request_finished(lambda r: r.url.endswith(f"/api/{version}/{resource}")) as finished:
            # By the keyboard: a click waits until two frames are drawn, and a headless Chromium may cease to draw any.
            block.get_by_role("button", name="Execute").press("Enter")
        expect(block.locator(".live-responses-table .response-col_status")).to_have_count(2)  # the head of it, and one
        return finished.value

    def status(self, tag: str, id: str) -> str:
        """The status that is shown."""
        return self.operation(tag, id).locator(".live-responses-table tbody .response-col_status").inner_text().strip()

    def authorize(self, value: str) -> None:
        """Paste into Swagger UI's own dialog."""
        self.tab.get_by_role("button", name="Authorize").first.click()
        dialog = self.tab.locator(".dialog-ux")
        dialog.locator("input").fill(value)
        dialog.get_by_role("button", name="Authorize").click()
        dialog.get_by_role("button", name="Close").last.click()
