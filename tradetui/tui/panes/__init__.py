"""Panes: each is a pure function from a frame to lines of styled text."""

from __future__ import annotations

from tradetui.tui.panes import chart, depth, log, orders, positions, risk, signals, watchlist

SPECS = (
    watchlist.SPEC,
    chart.SPEC,
    depth.SPEC,
    positions.SPEC,
    orders.SPEC,
    signals.SPEC,
    risk.SPEC,
    log.SPEC,
)
"""Every numbered pane."""
