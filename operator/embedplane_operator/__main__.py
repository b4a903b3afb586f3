"""`python -m embedplane_operator --config FILE`: reads the settings and runs until told to stop."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from embedplane_operator.errors import EmbedplaneError
from embedplane_operator.settings import SettingsError, load_settings
from embedplane_operator.startup import run

logger = logging.getLogger("embedplane_operator")

EXIT_LOST = 3


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 after SIGTERM, 2 for wrong settings, 3 when leadership or the watches were lost."""
    parser = argparse.ArgumentParser(prog="embedplane_operator", description="The Embedplane operator.")
    parser.add_argument("--config", type=Path, required=True, help="settings file, written by the Helm chart")
    try:
        settings = load_settings(parser.parse_args(arguments).config)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        asyncio.run(run(settings))
    except EmbedplaneError as error:
        logger.error("ending: %s", error)  # noqa: TRY400 -- the message says it all
        return EXIT_LOST
    return 0


if __name__ == "__main__":
    sys.exit(main())
