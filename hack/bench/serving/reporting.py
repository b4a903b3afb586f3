"""Results as JSON and as tables."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hack.bench.serving.contenders import OURS
from hack.bench.serving.floors import floors
from hack.bench.serving.measuring import BARE, Results, median_ratio
from hack.bench.serving.published import THREADS


def document(results: list[Results], load_averages: tuple[float, float]) -> dict[str, Any]:
    """Return everything that was measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "threads": THREADS,
        "python": f"{platform.python_version()} of {sys.base_prefix}",
        "loadAverage": {"before": round(load_averages[0], 2), "after": round(load_averages[1], 2)},
        "models": {each.model.name: _model(each) for each in results},
    }


def table(results: Results) -> str:
    """Return speeds, ratios to ours, what else counts, and which floors are met, as text."""
    servers = list(results.starts)
    rows = [["tokens/s (ours is so many times as fast; per CPU second)", *servers, BARE, "limit"]]
    for workload in results.workloads:
        ours = results.speed(workload.name, OURS)
        limit = results.limit(workload)
        cells = [_cell(results, workload.name, each) for each in servers]
        bare, of_bare = results.speed(workload.name, BARE), results.ratio(workload.name, BARE)
        rows.append([workload.name, *cells, f"{bare:.0f} ({of_bare:.2f})", f"{limit:.0f} ({ours / limit:.2f})"])
    rows.append(["lone short text, ms", *(f"{results.lone.get(each, 0):.2f}" for each in [*servers, BARE]), ""])
    rows.append(["start, s", *(f"{results.starts[each]:.1f}" for each in servers), "", ""])
    rows.append(["memory, MB", *(f"{results.megabytes[each]:.0f}" for each in servers), "", ""])
    if results.verified:
        rows.append(["least cosine", *(f"{results.verified[each].minimum_cosine:.5f}" for each in servers), "", ""])
    return "\n".join([_aligned(rows), "", *map(str, floors(results))])


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cell(results: Results, workload: str, server: str) -> str:
    ratio = results.ratio(workload, server)
    cheaper = median_ratio(results.tokens_a_cpu_second[workload], server)
    return f"{results.speed(workload, server):.0f} ({ratio:.2f}; {cheaper:.2f})"


def _model(results: Results) -> dict[str, Any]:
    return {
        "bf16Gigaflops": [round(each, 1) for each in results.gigaflops],
        "startSeconds": results.starts,
        "residentMegabytes": results.megabytes,
        "loneMilliseconds": {name: round(value, 3) for name, value in results.lone.items()},
        "minimumCosine": {name: round(each.minimum_cosine, 6) for name, each in results.verified.items()},
        "floors": [
            {"what": each.what, "measured": round(each.measured, 5), "bound": each.bound, "met": each.is_met}
            for each in floors(results)
        ],
        "workloads": {
            workload.name: {
                "tokens": workload.tokens,
                "texts": len(workload.texts),
                "limit": round(results.limit(workload)),
                "tokensPerSecond": _rounded(results.speeds[workload.name]),
                "tokensPerCpuSecond": _rounded(results.tokens_a_cpu_second[workload.name]),
                "ratio": _ratios(results.speeds[workload.name], list(results.starts)),
                "ratioPerCpuSecond": _ratios(results.tokens_a_cpu_second[workload.name], list(results.starts)),
            }
            for workload in results.workloads
        },
    }


def _ratios(of_servers: dict[str, list[float]], servers: list[str]) -> dict[str, float]:
    return {name: round(median_ratio(of_servers, name), 3) for name in servers}


def _rounded(speeds: dict[str, list[float]]) -> dict[str, list[int]]:
    return {name: [round(speed) for speed in each] for name, each in speeds.items()}


def _cpu() -> str:
    fields = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    known = {name.strip(): value.strip() for name, _, value in fields if value}
    return f"{known['model name']}, family {known.get('cpu family', '?')}, {os.cpu_count()} cores"
