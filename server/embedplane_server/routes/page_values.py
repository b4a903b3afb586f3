"""What `page.html` says of the served model: the facts of `/info`, the engine's conformance and the routes, as HTML."""

import json
import shlex
from collections.abc import Mapping, Sequence
from html import escape

from embedplane_server import __version__
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.routes.offers import OFFERED
from embedplane_server.routes.operations import Operation
from embedplane_server.routes.page_kinds import (
    WORDS,
    example_request,
    first_numbers,
    is_from_0_to_1,
    model_facts,
    proven,
)
from embedplane_server.routes.page_pieces import codes, grouped, rows
from embedplane_server.schemas.info import Info

QUERY_PROMPTS = ("query",)
TEXTS_PROMPTS = ("document", "passage", "corpus")
"""Prompts that the box begins with, the first that the model has."""
KEY_VARIABLE = "EMBEDPLANE_API_KEY"
MEBIBYTE = 1024 * 1024


def page_values(
    info: Info, manifest: EngineManifest, operations: Sequence[Operation], *, has_keys: bool
) -> dict[str, str]:
    """Return the values of the template by their names."""
    kind, activation = manifest.description.kind, manifest.description.activation
    name, words = info.served_model_names[0], WORDS[kind]
    return {
        "title": escape(f"{info.model} \u2013 Embedplane"),
        "version": escape(__version__),
        "model": escape(info.model),
        "kind": kind,
        "name": escape(name),
        "what": words.what,
        "try_title": words.title,
        "try_button": words.button,
        "promise": words.promise,
        "numbers": rows(first_numbers(info, activation, manifest.conformance)),
        "similarity": escape(info.similarity or "none"),
        "scale": "0 to 1" if is_from_0_to_1(info, activation) else "own",
        "backend": escape(f"{info.backend} {info.backend_version}"),
        "precision": escape(info.precision),
        "space": escape(info.vector_space),
        "query_prompts": _options(info, QUERY_PROMPTS),
        "texts_prompts": _options(info, TEXTS_PROMPTS),
        **_examples(*example_request(kind, name), has_keys=has_keys),
        "python_name": escape(json.dumps(name), quote=False),
        "routes": rows(_routes(operations)),
        "groups": "".join(_group(heading, facts) for heading, facts in _groups(info, manifest).items()),
    }


def _examples(path: str, body: Mapping[str, object], *, has_keys: bool) -> dict[str, str]:
    header = f"""{{"Authorization": f"Bearer {{os.environ['{KEY_VARIABLE}']}}"}}"""
    return {
        "path": path,
        "curl_key": f'\n  -H "Authorization: Bearer ${KEY_VARIABLE}" \\' if has_keys else "",
        "curl_body": escape(shlex.quote(json.dumps(body)), quote=False),
        "python_import": "import os\n\n" if has_keys else "",
        "python_key": f'os.environ["{KEY_VARIABLE}"]' if has_keys else '"unused"',
        "python_headers": f"\n    headers={header}," if has_keys else "",
        "python_body": escape(json.dumps(body), quote=False),
    }


def _routes(operations: Sequence[Operation]) -> dict[str, str]:
    """Return what each route does that the model has: first those of its kind, then others that take something."""
    paths: dict[tuple[str, str], list[str]] = {}
    for operation in sorted(operations, key=lambda each: (each.path not in OFFERED, each.request is None)):
        if operation.is_offered:
            paths.setdefault((operation.method.upper(), operation.summary), []).append(operation.path)
    return {f"{method} {codes(found)}": escape(summary) for (method, summary), found in paths.items()}


def _groups(info: Info, manifest: EngineManifest) -> dict[str, dict[str, str]]:
    description = manifest.description
    return {
        "Model": {
            "Served names": codes(info.served_model_names),
            **model_facts(info, description.activation),
            "Commit": codes([info.commit]),
        },
        "Limits of a request": {
            "Texts": grouped(info.max_inputs),
            f"Tokens of {WORDS[description.kind].window}": grouped(info.max_sequence_length),
            "Longer texts": "are cut" if info.long_input == "Truncate" else "are refused",
            "Tokens": grouped(info.max_request_tokens),
            "Body": f"{info.max_request_bytes / MEBIBYTE:.3g} MiB",
            "Tokens that may wait, of all requests": grouped(info.max_queued_tokens),
        },
        "Engine": {
            "Backend": escape(f"{info.backend} {info.backend_version}"),
            "Precision": escape(info.precision),
            "Conformance": proven(description.activation, manifest.conformance),
            "Tokens of a batch": grouped(info.max_batch_tokens),
            "Built": f'<time datetime="{manifest.built_at.isoformat()}">{manifest.built_at:%Y-%m-%d %H:%M} UTC</time>',
        },
    }


def _group(heading: str, facts: Mapping[str, str]) -> str:
    return f'<div><h3>{heading}</h3><dl class="facts">{rows(facts)}</dl></div>'


def _options(info: Info, preferred: Sequence[str]) -> str:
    """Return the choices of a prompt; to choose none is to leave it to the model."""
    chosen = next((name for name in preferred if name in info.prompts), None)
    unnamed = f"default ({info.default_prompt})" if info.default_prompt else "none"
    options = [("", unnamed), *((name, name) for name in info.prompts)]
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value and value == chosen else ""}>{escape(text)}</option>'
        for value, text in options
    )
