"""The arguments of `compare` and `reembed`; `running.py` carries them out."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from embedplane_server.migration.columns import Columns


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    parser.set_defaults(run=_compare)
    parser.description = (
        "Say how differently two vector spaces rank the same texts: the overlap of what is found first, and Spearman's "
        "correlation of the whole order. A side is the URL of a served model, or an index export with ids and vectors."
    )
    for side in ("a", "b"):
        parser.add_argument(side, metavar=side.upper(), help="a URL such as http://minilm.search, or a file")
    parser.add_argument("--texts", type=Path, metavar="FILE", help=".txt, .jsonl or .parquet; joined by ids")
    parser.add_argument(
        "--queries", type=Path, metavar="FILE", help="what is searched for (default: each text in turn)"
    )
    parser.add_argument("--similarity", default="cosine", help="of vectors in files (%(default)s)")
    parser.add_argument("--limit", type=int, default=2000, help="documents at most (%(default)s), spread over the file")
    parser.add_argument("--depth", type=int, default=10, help="results that count as found first (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_common(parser)


def add_reembed(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `reembed`."""
    parser.set_defaults(run=_reembed)
    parser.description = (
        "Embed a corpus again: records in, parts of vectors with the name of their space out. Run again, it goes on "
        "where it stopped. It uses the server's bulk lane, so users' requests go ahead of it."
    )
    parser.add_argument("url", metavar="URL", help="of the served model, such as http://minilm-candidate.search")
    parser.add_argument("input", type=Path, metavar="INPUT", help=".jsonl, .parquet, or .txt (one text a line)")
    parser.add_argument("output", type=Path, metavar="FOLDER", help="for the parts; of this input and space only")
    parser.add_argument("--vector-space", metavar="ID", help="stop unless this one is served (default: what is served)")
    parser.add_argument("--input-type", default="document", help="for the model's prompt (%(default)s)")
    parser.add_argument("--form", choices=("jsonl", "parquet"), help="of the parts (default: as the input)")
    parser.add_argument("--part-records", type=int, default=10_000, help="records of a part (%(default)s)")
    parser.add_argument("--metrics-port", type=int, help="answer /metrics on this port")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for a server (%(default)s)")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    names = Columns()
    parser.add_argument("--id-field", default=names.id, help="(%(default)s)")
    parser.add_argument("--text-field", default=names.text, help="(%(default)s)")
    parser.add_argument("--vector-field", default=names.vector, help="(%(default)s)")
    parser.add_argument("--truncate", action="store_true", help="cut texts longer than the model's window")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="holds the key of the servers")


def _compare(arguments: argparse.Namespace, _: Mapping[str, str]) -> int:
    from embedplane_server.migration import running  # noqa: PLC0415 -- heavy, by need

    return running.compare_spaces(arguments)


def _reembed(arguments: argparse.Namespace, _: Mapping[str, str]) -> int:
    from embedplane_server.migration import running  # noqa: PLC0415 -- heavy, by need

    return running.reembed_corpus(arguments)
