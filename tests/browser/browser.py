"""Headless Chromium, as a person sees it: visible text, clicks, pictures, and what the page complained about."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 30  # seconds for something to appear
NOT_YET = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
BANNER = re.compile(r"[^\n]*(?:went wrong|not found|failed to|unable to|does not exist)[^\n]*", re.IGNORECASE)
# MLflow asks who is logged in also where nobody can be; Chromium reports a late layout as an error
HARMLESS = ("/mlflow/users/current", "ResizeObserver loop completed")
OWN = ("chrome:", "chrome-untrusted:", "data:", "blob:")  # of the browser itself, or inside the page


class Browser:
    """One window of Chromium with a fresh profile; pictures go to `pictures`."""

    def __init__(self, profile: Path, pictures: Path) -> None:
        self.pictures = pictures
        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium")
        for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        # the driver's path is given: selenium would look for one on the network
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(_program("chromedriver")))
        self.sit_down()

    def sit_down(self) -> None:
        """A desk in daylight."""
        self.resize(1280, 900)
        self.prefer("light")

    def resize(self, width: int, height: int) -> None:
        """Give the page this many pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Ask for `light` or `dark` pages."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def until(self, condition: Callable[[], object], what: str) -> object:
        """Wait until `condition` holds, and return what it gave."""
        wait = WebDriverWait(self.driver, PATIENCE, 0.1, NOT_YET)
        return wait.until(lambda _: condition(), f"{what} did not appear in {PATIENCE} s at {self.driver.current_url}")

    def see(self, text: str) -> WebElement:
        """The innermost visible element whose own text has `text`, as soon as there is one."""
        path = f'//body//*[text()[contains(normalize-space(.), "{text}")]]'
        return self.until(lambda: next(filter(WebElement.is_displayed, self._all(path)), None), repr(text))

    def click(self, path: str) -> None:
        """Click on the first visible element of this XPath, as soon as it takes clicks."""
        self.until(lambda: any(item.click() is None for item in self._all(path) if item.is_displayed()), path)

    def choose(self, text: str, role: str = "*") -> None:
        """Click on what says exactly `text`: a link, a tab (`*[@role='tab']`), a button."""
        self.click(f'//{role}[normalize-space()="{text}"]')

    def run(self, script: str, *arguments: object) -> object:
        """What JavaScript returns."""
        return self.driver.execute_script(script, *arguments)

    def picture(self, name: str) -> None:
        """Keep what is seen now."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    def banner(self) -> str | None:
        """A visible message that something is amiss."""
        found = BANNER.search(self.driver.find_element(By.TAG_NAME, "body").text)
        return found[0] if found else None

    def complaints(self) -> list[str]:
        """Errors in the console since the last call: of scripts, and of requests that failed."""
        entries = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [message for message in entries if not any(harmless in message for harmless in HARMLESS)]

    def requests(self) -> list[str]:
        """Addresses asked for since the last call, without those inside the browser."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [url for item in sent if not (url := item["request"]["url"]).startswith(OWN)]

    def _all(self, path: str) -> list[WebElement]:
        return self.driver.find_elements(By.XPATH, path)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.fail(
            f"there is no {name}: the browser tests need it; on Debian `apt-get install chromium chromium-driver`."
        )
    return path
