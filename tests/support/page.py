"""The page of a server in a browser: how people use it, and what they see."""

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.browser import Browser
from tests.support.waiting import wait_for

RESULTS = """
return [...document.querySelectorAll(".results li")].map((item) => [
  item.querySelector("span").innerText,
  item.querySelector(".score").innerText,
  item.querySelector(".bar").style.width,
]);
"""
LEAST_CONTRAST = 4.5
"""What WCAG 2 asks of text, level AA."""


def find(browser: Browser, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def write(browser: Browser, selector: str, text: str) -> None:
    find(browser, selector).clear()
    find(browser, selector).send_keys(text)


def text(browser: Browser, selector: str) -> str:
    """Return what an element says now, in one step: the page may replace it at any moment."""
    said: str = browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    return said


def results(browser: Browser) -> list[tuple[str, float, float]]:
    """Return the text, the score and the length of the bar in per cent of each result, from top to bottom."""
    rows = wait_for("results", lambda: browser.execute_script(RESULTS), within=20)
    return [(text, float(score), float(width.removesuffix("%"))) for text, score, width in rows]
