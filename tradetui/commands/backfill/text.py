"""A backfill's end, and the answer of its check, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SHOWN: Final = 3
_MOST_ROWS: Final = 40
_MOST_DAYS: Final = 6
_MOST_RANGES: Final = 4


def summary_lines(data: Mapping[str, Any]) -> list[str]:
    """What a backfill came to; ``data`` is `Summary.as_data`."""
    rows = data["instruments"]
    worth = [row for row in rows if _noteworthy(row)]
    quiet = [row for row in rows if not _noteworthy(row)]
    lines = [_row_line(row) for row in quiet] if len(rows) <= _MOST_ROWS else []
    if len(rows) > _MOST_ROWS:
        lines.append(f"{len(quiet)} of {len(rows)} instruments are complete without anything to tell")
    for row in worth:
        lines += _row_lines(row)
    lines += [f"not asked for: {words}" for words in data["unknown"]]
    seconds = float(data["seconds"])
    rate = data["bars"] / seconds if seconds else 0.0
    again = f" ({data['retries']:,} of them repeated)" if data["retries"] else ""
    lines.append(
        f"{data['from']} to {data['to']}, {data['interval']}: {data['inserted']:,} new bars in "
        f"{data['requests']:,} requests{again}, {seconds:.1f} s ({rate:,.0f} bars/s), into {data['account']}"
    )
    if data["halted"]:
        lines.append(f"not complete: {data['halted']}; what came is stored, call it again to go on")
    elif data["stopped"]:
        lines.append("stopped; what came is stored, call it again to go on")
    elif not data["complete"]:
        lines.append("not complete: see above; what came is stored, call it again to go on")
    return lines


def _noteworthy(row: Mapping[str, Any]) -> bool:
    return bool(not row["complete"] or row["different"] or row["troubles"])


def _row_line(row: Mapping[str, Any]) -> str:
    words = f"{row['symbol']:<24} {row['inserted']:>9,} new  {row['same']:>9,} as stored"
    if row["settled_before"]:
        words += f"  ({row['settled_before']} of {row['sessions']} days were settled)"
    return words


def _row_lines(row: Mapping[str, Any]) -> list[str]:
    lines = [_row_line(row)]
    if row["different"]:
        done = (
            "and were replaced"
            if row["replaced"]
            else "and were left as they are (--replace takes the broker's)"
        )
        lines.append(f"  {row['different']:,} stored bars differ from the broker's {done}:")
        lines += [f"    {_difference(one)}" for one in row["differences"][:_SHOWN]]
    if row["troubles"]:
        most = sorted(row["troubles"].items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]
        lines.append(
            f"  asked again {row['retries']}x: " + "; ".join(f"{why} ({count}x)" for why, count in most)
        )
    if not row["complete"]:
        lines.append(f"  not complete: {row['error']}")
    return lines


def _difference(one: Mapping[str, Any]) -> str:
    ours, theirs = one["stored"], one["broker"]
    parts = [
        f"{name} {ours[name]:,g} stored, {theirs[name]:,g} at the broker"
        for name in ours
        if ours[name] != theirs[name]
    ]
    return f"{one['start'][:16].replace('T', ' ')} {'; '.join(parts)}"


def check_lines(data: Mapping[str, Any]) -> list[str]:
    """What is missing; ``data`` is the answer of `Backfiller.check`."""
    lines = [f"not looked at: {words}" for words in data["unknown"]]
    for row in data["instruments"]:
        words = f"{row['symbol']:<24} {row['full']:>5} of {row['sessions']} days full"
        if row["not_traded"]:
            words += f"; {row['not_traded']:,} bars on {len(row['thin_days'])} days were not traded, says the broker"
        if not row["holes"]:
            lines.append(words)
            continue
        lines.append(f"{words}; {row['missing']:,} bars missing on {len(row['holes'])} days:")
        lines += [f"    {_hole(day)}" for day in row["holes"][:_MOST_DAYS]]
        if len(row["holes"]) > _MOST_DAYS:
            lines.append(f"    and {len(row['holes']) - _MOST_DAYS} more days")
    if data["complete"]:
        lines.append(f"{data['from']} to {data['to']}, {data['interval']}: no holes")
    else:
        lines.append(
            f"{data['from']} to {data['to']}, {data['interval']}: {data['missing']:,} bars missing; "
            "`tradetui backfill` with the same words asks for them"
        )
    return lines


def _hole(day: Mapping[str, Any]) -> str:
    if day["expected"] is None:
        return f"{day['day']}: nobody knows the hours of that day; {day['stored']} bars stored"
    if day["missing"] == day["expected"]:
        return f"{day['day']}: all {day['expected']}"
    parts = [
        low if count == 1 else f"{low}-{high} ({count})" for low, high, count in day["ranges"][:_MOST_RANGES]
    ]
    more = len(day["ranges"]) - _MOST_RANGES + day["more_ranges"]
    return f"{day['day']}: {day['missing']} of {day['expected']}: {', '.join(parts)}" + (
        f" and {more} more stretches" if more > 0 else ""
    )
