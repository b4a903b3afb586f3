"""An engine that servers cannot load: when it is built again, and when that is over. Pure.

Once for each kind of machine, since another build would end as the first one did. `stages.py` runs the steps.
"""

from datetime import datetime

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.repair import Lack, Repair
from embedplane_operator.servers import Servers
from embedplane_operator.status import Finding, Outlook


def needed_repair(servers: Servers) -> Repair:
    """The record of the engine that serves, with what its servers lack now."""
    known = servers.repair
    if servers.is_whole:
        return known.mended()
    new = next((lack for lack in servers.lacks if lack.machine not in known.done), None)
    return known.needs(new) if new and known.lack is None else known


def finished_repair(repair: Repair, engine: str, now: datetime) -> Repair | None:
    """The record once an engine is known that counts; None when it is another one, which never failed."""
    return repair.built(now) if repair.engine == engine else None


def in_vain(lack: Lack | None, finding: Finding) -> Finding:
    """What a failed build says: one for a kind of machine is the answer to why nothing fits that."""
    if lack is None or not lack.machine or finding.outlook is not Outlook.STALLED:
        return finding
    words = f"{lack.message} Building it failed ({finding.reason}): {finding.message}"
    return Finding("False", Reason.ENGINE_INCOMPATIBLE, words, Outlook.STALLED)
