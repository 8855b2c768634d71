"""A Ray dashboard in headless Chromium, reached as `sojourn dashboard` reaches it: through a port that is forwarded."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from e2e.clusters.access import Cluster

PICTURES = Path(__file__).parent / "out"
SECONDS = 60
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--window-size=1500,900",
)


def missing() -> str:
    """What this machine lacks to open a page, or ""."""
    return ", ".join(name for name in ("chromium", "chromedriver") if shutil.which(name) is None)


class DashboardPage:
    """The dashboard's pages, by what a reader sees on them."""

    def __init__(self, driver: WebDriver, url: str) -> None:
        self._driver = driver
        self._url = url

    def sign_in(self, token: str) -> None:
        """Answer the page's question for the token."""
        self._driver.get(f"{self._url}/#/jobs")
        self._wait_for("Authentication Token Required")
        self._driver.find_element(By.CSS_SELECTOR, "input[type=password]").send_keys(token)
        next(button for button in self._driver.find_elements(By.TAG_NAME, "button") if button.text == "SUBMIT").click()

    def read(self, page: str, wanted: str, picture: Path) -> str:
        """The text of a page (such as "jobs") once `wanted`, a regular expression, is on it; keeps a picture of it."""
        self._driver.get(f"{self._url}/#/{page}")
        text = self._wait_for(wanted)
        picture.parent.mkdir(exist_ok=True)
        self._driver.save_screenshot(str(picture))
        return text

    def _wait_for(self, wanted: str) -> str:
        def text(driver: WebDriver) -> str:
            found = driver.find_element(By.TAG_NAME, "body").text
            return found if re.search(wanted, found) else ""

        return WebDriverWait(self._driver, SECONDS).until(text, f"no {wanted!r} on {self._driver.current_url}")


@contextmanager
def open_dashboard(cluster: Cluster, namespace: str, job: str) -> Iterator[DashboardPage]:
    """A job's dashboard, signed in with the token from the job's Secret."""
    secret = cluster.get("secret", f"{job}-ray-token", namespace)["data"]
    (token,) = (base64.b64decode(value).decode() for value in secret.values())
    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    with _forwarded(cluster, namespace, f"service/{job}-dashboard", 8265) as url:
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            page = DashboardPage(driver, url)
            page.sign_in(token)
            yield page
        finally:
            driver.quit()


@contextmanager
def _forwarded(cluster: Cluster, namespace: str, target: str, port: int) -> Iterator[str]:
    command = [cluster.kubectl_path, f"--kubeconfig={cluster.kubeconfig}", f"--namespace={namespace}"]
    with subprocess.Popen([*command, "port-forward", target, f":{port}"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found is not None, f"nothing is forwarded to {target}"
            yield f"http://127.0.0.1:{found.group(1)}"
        finally:
            process.terminate()
