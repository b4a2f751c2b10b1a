"""The commands about instruments and trading days: names and flags. Bodies are imported when they run."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

Home = Annotated[
    str | None, typer.Option("--home", help="Directory for settings and data.", envvar="TRADETUI_HOME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a head.")]
UrlMain = Annotated[
    str | None, typer.Option("--url-main", help="Base URL of REST.", envvar="TRADETUI_URL_MAIN")
]
UrlOrder = Annotated[
    str | None, typer.Option("--url-order", help="Base URL of the order host.", envvar="TRADETUI_URL_ORDER")
]
UrlFeed = Annotated[
    str | None, typer.Option("--url-feed", help="Base URL of the feeds.", envvar="TRADETUI_URL_FEED")
]
UrlAssets = Annotated[
    str | None,
    typer.Option("--url-assets", help="Base URL of instrument files.", envvar="TRADETUI_URL_ASSETS"),
]
_DAY = ["%Y-%m-%d"]
On = Annotated[
    datetime | None,
    typer.Option("--on", formats=_DAY, help="Contracts alive on this day; default today in India."),
]

instruments_app = typer.Typer(
    help="The instrument list: sync, search, show, chain.", no_args_is_help=True, rich_markup_mode=None
)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment is not None else None


@instruments_app.command("sync")
def instruments_sync(
    force: Annotated[
        bool, typer.Option("--force", help="Take a list that differs much from the last good one.")
    ] = False,
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
) -> None:
    """Fetch today's list if it has changed; a list that cannot be right leaves the last good one in place."""
    from tradetui.commands.instruments import Where, run_sync

    where = Where(home, (url_main, url_order, url_feed, url_assets))
    raise SystemExit(run_sync(where, force=force, as_json=as_json))


@instruments_app.command("search")
def instruments_search(
    words: Annotated[list[str], typer.Argument(help="Words in any order: nifty 24350 ce, reliance fut nov.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most results.")] = 20,
    segment: Annotated[str, typer.Option("--segment", help="Only there: NSE_EQ, NSE_FO, MCX_FO ...")] = "",
    at: Annotated[
        float | None, typer.Option("--at", help="Price of the underlying: strikes near it come first.")
    ] = None,
    on: On = None,
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Find instruments in the last good list; works without network, and while `run` is active."""
    from tradetui.commands.instruments import Where, run_search

    where = Where(home, (url_main, url_order, url_feed, url_assets), _day(on), as_json, as_csv)
    raise SystemExit(run_search(where, " ".join(words), limit, segment, at))


@instruments_app.command("show")
def instruments_show(
    words: Annotated[list[str], typer.Argument(help="Symbol or instrument key; NIFTY FUT is the nearest.")],
    on: On = None,
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Every term of one instrument, its marks, and what the lists of earlier days said of it."""
    from tradetui.commands.instruments import Where, run_show

    where = Where(home, (url_main, url_order, url_feed, url_assets), _day(on), as_json, as_csv)
    raise SystemExit(run_show(where, " ".join(words)))


@instruments_app.command("chain")
def instruments_chain(
    underlying: Annotated[list[str], typer.Argument(help="Symbol or key of the underlying.")],
    expiry: Annotated[
        datetime | None, typer.Option("--expiry", formats=_DAY, help="Default the nearest.")
    ] = None,
    on: On = None,
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Strikes of one expiry with the keys of calls and puts."""
    from tradetui.commands.instruments import Where, run_chain

    where = Where(home, (url_main, url_order, url_feed, url_assets), _day(on), as_json, as_csv)
    raise SystemExit(run_chain(where, " ".join(underlying), _day(expiry)))


def calendar(
    day: Annotated[
        datetime | None, typer.Argument(formats=_DAY, help="A day; default today in India.")
    ] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last day.")] = None,
    segment: Annotated[
        str, typer.Option("--segment", help="EQ, FNO, CDS, COM; NSE_FO and the like; or a class.")
    ] = "",
    differences: Annotated[
        bool, typer.Option("--differences", help="Only what differs from the shipped calendar.")
    ] = False,
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Trading days and hours: shipped, the broker's word over them, your own over both."""
    from tradetui.commands.calendar import CalendarOptions, run_calendar

    raise SystemExit(
        run_calendar(
            CalendarOptions(
                day=_day(day),
                first=_day(first),
                last=_day(last),
                segment=segment,
                differences=differences,
                home=home,
                urls=(url_main, url_order, url_feed, url_assets),
                as_json=as_json,
                as_csv=as_csv,
            )
        )
    )


def add_to(app: typer.Typer) -> None:
    """Put these commands into the command table."""
    app.add_typer(instruments_app, name="instruments")
    app.command()(calendar)
