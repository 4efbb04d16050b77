"""The demo as people meet it: its process, its chat page in a browser, one incident from the card to its end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
START_LIMIT_S, END_LIMIT_S = 60, 20
SOON_MS, STORY_MS = 20_000, 60_000


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """The address that `infraguardian demo` prints; the program must end by itself when it is told to."""
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    environment = {
        **inherited,
        "INFRAGUARDIAN_DATA_DIR": str(tmp_path / "data"),
        "INFRAGUARDIAN_PLAYGROUND__PORT": "0",
        "INFRAGUARDIAN_WEB__PORT": "0",
    }
    with (tmp_path / "log.txt").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", "demo", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=log
        )
        try:
            yield await asyncio.wait_for(_printed_address(process), START_LIMIT_S)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), END_LIMIT_S) == 0
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


async def _printed_address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    printed = ""
    while line := (await process.stdout.readline()).decode():
        printed += line
        if found := re.search(r"http://127\.0\.0\.1:\d+/chat\S*", line):
            return found[0]
    raise AssertionError(f"the demo ended without an address: {printed}")


@asynccontextmanager
async def opened(address: str, chromium_path: str, *, is_phone: bool) -> AsyncIterator[Page]:
    """The page, opened by its address; nothing may go wrong in its console."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        window = await browser.new_context(
            viewport={"width": 390, "height": 844} if is_phone else {"width": 1280, "height": 860},
            is_mobile=is_phone,
            has_touch=is_phone,
            color_scheme="dark" if is_phone else "light",
        )
        page = await window.new_page()
        page.set_default_timeout(SOON_MS)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(address)
        yield page
        await browser.close()
    assert complaints == []


async def _say(page: Page, words: str) -> None:
    await page.locator("#input").fill(words)
    await page.keyboard.press("Enter")


async def _become(page: Page, name: str, *, is_phone: bool) -> None:
    if is_phone:
        await page.locator("#me").click()
    await page.locator("#people").get_by_role("button", name=name).click()


@pytest.mark.parametrize("is_phone", [True, False], ids=["phone", "desktop"])
async def test_the_demo_from_the_card_to_its_end(
    address: str, chromium_path: str, tmp_path: Path, *, is_phone: bool
) -> None:
    async with opened(address, chromium_path, is_phone=is_phone) as page:
        card = page.locator(".message").filter(has_text="Cause:").first
        approve = page.get_by_role("button", name=re.compile("Approve all"))
        await expect(approve).to_be_visible(timeout=STORY_MS)
        for words in ("granada/api was killed (out of memory)", "bulk insert", "SIMULATED", "granada/frontend"):
            await expect(card).to_contain_text(words)
        await page.screenshot(path=tmp_path / "asks.png")
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

        await approve.click()
        await expect(card).to_contain_text("Approved by Ada")
        await expect(page.get_by_role("button", name=re.compile("Approve"))).to_have_count(0)
        await expect(card).to_contain_text("Resolved after", timeout=STORY_MS)
        await expect(page.locator(".other").filter(has_text="resolved.")).to_have_count(1)
        await page.screenshot(path=tmp_path / "resolved.png")

        await _say(page, "/status")
        await expect(page.locator(".other").last).to_contain_text("All good: 8 services in 2 stacks")
        await _say(page, "¿Por qué se cayó Granada?")
        await expect(page.locator(".other").last).to_contain_text("Resolved after")
        await page.screenshot(path=tmp_path / "answered.png")

        await _become(page, "Mallory", is_phone=is_phone)
        await _say(page, "/restart granada api")
        await expect(page.locator(".other").last).to_contain_text(re.compile("bot is private|bot es privado"))
        await page.screenshot(path=tmp_path / "stranger.png")
