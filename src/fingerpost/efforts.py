"""What an effort (1 fastest … 5 best) sets, for who does not know the keys that trade quality for time."""

from __future__ import annotations

from collections.abc import Mapping

EFFORTS: Mapping[int, Mapping[str, Mapping[str, object]]] = {
    1: {
        "store": {"late": False},
        "retrieve": {"depth": 50},
        "rerank": {"read": 10, "skip": 0.2, "unread": 0.3},
        "route": {"budget": 0.02},
    },
    2: {
        "retrieve": {"depth": 50},
        "rerank": {"depth": 50, "read": 10, "skip": 0.2, "unread": 0.3},
        "route": {"budget": 0.03},
    },
    3: {},
    4: {
        "retrieve": {"depth": 200},
        "rerank": {"depth": 200, "read": 50, "skip": 0.01, "unread": 0.02},
        "route": {"budget": 0.1},
    },
    5: {
        "retrieve": {"depth": 400},
        "rerank": {"depth": 400, "read": 100, "skip": 0.0, "unread": 0.0},
        "route": {"budget": 0.2},
    },
}
"""What each effort sets where the file does not say otherwise; 3 is what ``Settings`` has."""
