"""What `page.html` says of the served model: the facts of `/info` and the engine's conformance, as HTML."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from embedplane_server import __version__
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.schemas.info import Info

QUERY_PROMPTS = ("query",)
TEXTS_PROMPTS = ("document", "passage", "corpus")
"""Prompts that the box begins with, the first that the model has."""
KEY_VARIABLE = "EMBEDPLANE_API_KEY"
MEBIBYTE = 1024 * 1024


def page_values(info: Info, manifest: EngineManifest, *, has_keys: bool) -> dict[str, str]:
    """Return the values of the template by their names."""
    name = info.served_model_names[0]
    body = shlex.quote(json.dumps({"model": name, "input": ["first text", "second text"]}))
    return {
        "title": escape(f"{info.model} \u2013 Embedplane"),
        "version": escape(__version__),
        "model": escape(info.model),
        "name": escape(name),
        "dimensions": str(info.dimensions),
        "window": _number(info.max_sequence_length),
        "similarity": escape(info.similarity or "none"),
        "backend": escape(f"{info.backend} {info.backend_version}"),
        "precision": escape(info.precision),
        "cosine": _floor(manifest.conformance.minimum_cosine),
        "space": escape(info.vector_space),
        "query_prompts": _options(info, QUERY_PROMPTS),
        "texts_prompts": _options(info, TEXTS_PROMPTS),
        "curl_key": f'\n  -H "Authorization: Bearer ${KEY_VARIABLE}" \\' if has_keys else "",
        "curl_body": escape(body, quote=False),
        "python_import": "import os\n\n" if has_keys else "",
        "python_key": f'os.environ["{KEY_VARIABLE}"]' if has_keys else '"unused"',
        "python_name": escape(json.dumps(name), quote=False),
        "groups": "".join(_group(heading, facts) for heading, facts in _groups(info, manifest).items()),
    }


def _groups(info: Info, manifest: EngineManifest) -> dict[str, dict[str, str]]:
    proof = manifest.conformance
    return {
        "Model": {
            "Served names": _codes(info.served_model_names),
            "Prompts": _codes(info.prompts) if info.prompts else "none",
            "Default prompt": _codes([info.default_prompt]) if info.default_prompt else "none",
            "Dimensions": ", ".join(map(str, info.allowed_dimensions)),
            "Pooling": f"{escape(info.pooling or 'none')}{', normalised' if info.normalized else ''}",
            "Commit": _codes([info.commit]),
        },
        "Limits of a request": {
            "Texts": _number(info.max_inputs),
            "Tokens of one text": _number(info.max_sequence_length),
            "Longer texts": "are cut" if info.long_input == "Truncate" else "are refused",
            "Tokens": _number(info.max_request_tokens),
            "Body": f"{info.max_request_bytes / MEBIBYTE:.3g} MiB",
            "Tokens that may wait, of all requests": _number(info.max_queued_tokens),
        },
        "Engine": {
            "Backend": escape(f"{info.backend} {info.backend_version}"),
            "Precision": escape(info.precision),
            "Conformance": f"cosine {_floor(proof.minimum_cosine)} at least, {_floor(proof.mean_cosine)} on average, "
            f"to sentence-transformers over {proof.texts} texts{_own(proof.own_texts)}",
            "Tokens of a batch": _number(info.max_batch_tokens),
            "Built": f'<time datetime="{manifest.built_at.isoformat()}">{manifest.built_at:%Y-%m-%d %H:%M} UTC</time>',
        },
    }


def _own(texts: int | None) -> str:
    return f", {texts} of them your own" if texts else ""


def _group(heading: str, facts: Mapping[str, str]) -> str:
    rows = "".join(f"<div><dt>{name}</dt><dd>{html}</dd></div>" for name, html in facts.items())
    return f'<div><h3>{heading}</h3><dl class="facts">{rows}</dl></div>'


def _options(info: Info, preferred: Sequence[str]) -> str:
    """Return the choices of a prompt; to choose none is to leave it to the model."""
    chosen = next((name for name in preferred if name in info.prompts), None)
    unnamed = f"default ({info.default_prompt})" if info.default_prompt else "none"
    options = [("", unnamed), *((name, name) for name in info.prompts)]
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value and value == chosen else ""}>{escape(text)}</option>'
        for value, text in options
    )


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"<code>{escape(text)}</code>" for text in texts)


def _number(value: int) -> str:
    return f"{value:,}"


def _floor(cosine: float) -> str:
    """Return a cosine rounded down: it must not look better than it is."""
    return f"{int(cosine * 100_000) / 100_000:.5f}"
