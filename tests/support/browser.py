"""Debian's Chromium, driven like a person's: `python -m hack.browser` installs it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Of every element with text of its own: the text, and how its colour contrasts with what is behind it (WCAG 2, 1.4.3).
CONTRASTS = """
const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const weights = [0.2126, 0.7152, 0.0722];
const luminance = (color) => weights.reduce((sum, weight, i) => sum + weight * linear(color[i] / 255), 0);
const rgba = (color) => color.match(/[\\d.]+/g).map(Number);
function behind(element) {
  for (let each = element; each; each = each.parentElement) {
    const color = rgba(getComputedStyle(each).backgroundColor);
    if (color[3] !== 0) return color;
  }
}
return [...document.body.querySelectorAll("*")].filter((element) => element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())).map((element) => {
  const [a, b] = [rgba(getComputedStyle(element).color), behind(element)].map(luminance);
  return [element.textContent.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
});
"""


class Browser(webdriver.Chrome):
    """A browser whose screen a test may change."""

    def prefer(self, color_scheme: str) -> None:
        """Ask pages for `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": color_scheme}]
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def be_wide(self, pixels: int) -> None:
        """Give pages so much room."""
        size = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": pixels < 600}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run_scripts(self, wanted: bool) -> None:
        """Switch the scripts of pages that are opened from now on."""
        self.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not wanted})

    def complaints(self) -> list[str]:
        """Return what the console says that it has not said before."""
        return [entry["message"] for entry in self.get_log("browser")]

    def contrasts(self) -> list[tuple[str, float]]:
        """Return each visible text and the contrast of its colours."""
        return [(text, ratio) for text, ratio in self.execute_script(CONTRASTS)]


@contextmanager
def running_browser(profile: Path) -> Iterator[Browser]:
    """Run a browser that knows nothing yet; `profile` is an empty folder."""
    driver = shutil.which("chromedriver")
    assert driver, "there is no chromedriver: run `.venv/bin/python -m hack.browser`"
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Browser(options, webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()
