"""What an index holds, what it has learned, and how its router is."""

from __future__ import annotations

from fingerpost.index.epoch import LESSON, Epoch, mapping, parsed
from fingerpost.index.rooms import Rooms
from fingerpost.route import drift
from fingerpost.text.counts import counted

Facts = dict[str, int | float | str]


def status(rooms: Rooms) -> Facts:
    """Counts, versions, what was learned, the router's health."""
    found: Facts = dict(rooms.store.status())
    epoch = rooms.epoch(rooms.store.snapshot())
    found["router"] = "none" if epoch.router is None else "trained" if epoch.router.trained else "untrained"
    weighed = "weighed by generated questions" if epoch.judges.balance.questions else "untrained"
    found["fusion"] = weighed if epoch.judges.forest is None else "learned"
    found["query_encoder"] = "untouched" if epoch.tuned is None else "trained"
    found["dsi"] = "none" if epoch.dsi is None else "trained"
    found["taught_documents"] = 0 if epoch.judges.memory is None else len(epoch.judges.memory.keys)
    chunks = int(found["chunks"])
    audit, target = rooms.audit(epoch, anew=True), rooms.settings.route.recall
    found["router_health"] = health(rooms, epoch, chunks)
    newer = _newer(rooms)
    advised = drift.advice(newer=newer or 0, chunks=chunks, audit=audit, target=target)
    late = rooms.store.desk.n_fresh if newer is None else newer
    found["newer_share"] = round(late / chunks, 4) if chunks else 0.0
    found["audits"], found["audit_recall"] = audit.queries, round(audit.recall, 4)
    found["fold"] = rooms.beside.state
    found["advice"] = "; ".join(advised.notes)
    return found


def _newer(rooms: Rooms) -> int | None:
    """How many chunks came after the lesson that serves; None without one."""
    lesson = rooms.store.desk.artifact(LESSON)
    newest = None if lesson is None else parsed(LESSON, lesson, mapping).get("newest")
    return None if newest is None else int((rooms.store.live().keys > newest).sum())


def health(rooms: Rooms, epoch: Epoch, chunks: int) -> str:
    """Whether queries are routed now, by what, and what audits say; or why everything is searched."""
    router, audit, settings = epoch.router, rooms.audit(epoch), rooms.settings.route
    if router is None:
        return f"full search: {epoch.unfit or 'nothing is folded yet'}"
    if off := audit.verdict(settings.recall) or router.resting(settings, chunks):
        return f"full search: {off}"
    known = router.calibration
    needs = f"needs {known.needed_share:.1%} of the chunks for recall {settings.recall}"
    low, high = audit.bounds()
    told = f"{counted(audit.queries, 'audit')}, recall {audit.recall:.2f} ({low:.2f} to {high:.2f})"
    parts = (
        f"routes among {counted(router.n_leaves, 'leaf', 'leaves')}",
        needs if known.needed_share else "not calibrated: run `fingerpost learn`",
        told if audit.queries else "no audit yet" if settings.audit else "audits are off",
        f"audits are not kept: {unkept}" if (unkept := rooms.audits.unkept) else "",
    )
    return " · ".join(filter(None, parts))
