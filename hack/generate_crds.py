#!/usr/bin/env python3
"""Write the CRDs from the models in operator/embedplane_operator/api: to crds/, and into the chart.

Usage: hack/generate_crds.py [--check]    --check writes nothing and fails when a file is not current
"""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "operator"))  # runs from a checkout, installed or not

from embedplane_operator.crd import custom_resource_definition  # noqa: E402 -- needs the path above

HEADER = "# Written by hack/generate_crds.py from operator/embedplane_operator/api; edit those models, not this file.\n"
CONTENT = "embedplane.io/content"


class Dumper(yaml.SafeDumper):
    """YAML without anchors: the API server knows none in a CRD."""

    def ignore_aliases(self, data: object) -> bool:
        """No anchors, ever."""
        return True


def main() -> int:
    """Write the files, or check that they are current."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not current")
    arguments = parser.parse_args()
    stale = [path for path, text in wanted_files().items() if not path.exists() or path.read_text() != text]
    if arguments.check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not current: run hack/generate_crds.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted_files()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def wanted_files() -> dict[Path, str]:
    """Return what each generated file should hold."""
    definition = custom_resource_definition()
    content = hashlib.sha256(dump(definition).encode()).hexdigest()[:20]
    name = definition["spec"]["names"]["plural"]
    return {
        ROOT / "crds" / f"{name}.yaml": HEADER + dump(annotated(definition, {CONTENT: content})),
        ROOT / "charts/embedplane/templates" / f"crd-{name}.yaml": chart_template(definition, content),
    }


def annotated(definition: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    """Return the CRD with annotations."""
    return definition | {"metadata": definition["metadata"] | {"annotations": annotations}}


def chart_template(definition: dict[str, Any], content: str) -> str:
    """Return the CRD as a template: it can be switched off, survives an uninstall, and yields to another release's."""
    body = dump(annotated(definition, {CONTENT: content, "helm.sh/resource-policy": "keep"}))
    if "{{" in body:
        raise SystemExit("the CRD holds '{{', which Helm would take for a template: reword the description")
    arguments = f'(dict "root" . "name" "{definition["metadata"]["name"]}" "content" "{content}")'
    return f'{{{{- if include "embedplane.bringsCrd" {arguments} }}}}\n{HEADER}{body}{{{{- end }}}}\n'


def dump(document: dict[str, Any]) -> str:
    """Return YAML with long lines, in the order of the models."""
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    raise SystemExit(main())
