"""Bad days of restarts (R) that are about time: breakers that must hold, logins that end, positions over night."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.processes import exchange, run, settings
from tests.fixtures.program import told
from tests.fixtures.scripted_world import DAY, Market, scripted_market
from tests.fixtures.workstation import KEY, PLACE, Workstation, running
from tests.unit.exchange.support import CALL
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import FeedState, OperatorKind
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderStatus, Product, Side
from tradetui.risk.facts import RiskState
from tradetui.runtime import core
from tradetui.simulator.tokens import USER_ID

NEXT_DAY, MONDAY = date(2026, 11, 21), date(2026, 11, 23)
LEVELS: dict[str, Any] = {"source": "vote", "stop": to_price(98), "target": to_price(110)}


# --- R2 -----------------------------------------------------------------------------------------------


def test_r2_the_second_start_on_one_data_directory_says_who_holds_it_and_ends(tmp_path: Path) -> None:
    """The program is started a second time while it runs.

    Seen: "the data directory ... is in use by tradetui run (process 1234 ...)", exit code 1; the first goes on.
    """
    settings(tmp_path, '[watch]\nsymbols = ["RELIANCE"]\n')
    with exchange() as sim, run(tmp_path, sim) as first:
        code, _, errors = told(tmp_path, "run", "--headless", "--for", "1s")
        assert code == 1
        assert "in use by" in errors
        assert str(first.process.pid) in errors
        beats = first.seen().beats
        assert sim.working() == []
        code, out, _ = told(tmp_path, "status", "--json")
        assert code == 0, out
        assert first.process.poll() is None
        assert first.seen().beats > beats


# --- R4 -----------------------------------------------------------------------------------------------


async def test_r4_the_loss_of_the_day_holds_over_a_restart_and_a_flat_book(tmp_path: Path) -> None:
    """The loss of the day reaches its limit, the position is closed, and the program is started anew.

    Seen: "loss of the day ... has reached the limit" before and after; new orders are refused, until somebody resumes
      with a typed reason.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            await w.hold(200)
            await w.price(91.0)
            await w.until(lambda: w.runtime.engine.desk.books.state is not RiskState.ACTIVE)
            w.ask(OperatorKind.EXIT, instrument_key=KEY)
            await w.until(lambda: not w.held())
            entries = w.runtime.engine.desk.books.entries_today
            assert entries == 1
        for _ in range(2):
            async with running(market, tmp_path) as w:
                desk = w.runtime.engine.desk
                assert not w.held(), "the book is flat"
                assert desk.books.state is not RiskState.ACTIVE
                assert desk.books.entries_today == entries
                refused = w.orders[w.send(price=91.0)]
                assert refused.status is OrderStatus.REFUSED
                assert "loss" in refused.message
        async with running(market, tmp_path) as w:
            w.ask(OperatorKind.RESUME, note="looked at it, the reason is gone")
            assert w.runtime.engine.desk.books.state is RiskState.ACTIVE


async def test_r4_a_cooldown_and_the_count_of_the_day_hold_over_a_restart(tmp_path: Path) -> None:
    """A strategy's order ends, the program is started anew, and the strategy wants in again at once.

    Seen: "cooldown" in the refusal, as without the restart; after five minutes its order goes.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            tag = w.send(**LEVELS)
            await w.until_order(tag, OrderStatus.OPEN)
            w.ask(OperatorKind.CANCEL, tag=tag)
            await w.until_order(tag, OrderStatus.CANCELLED)
        async with running(market, tmp_path) as w:
            assert w.runtime.engine.desk.books.entries_today == 1
            assert "cooldown" in w.orders[w.send(qty=9, **LEVELS)].message
            await w.pass_time(301)
            await w.price(100.0)
            await w.until_order(w.send(qty=9, **LEVELS), OrderStatus.OPEN)
            assert w.runtime.engine.desk.books.entries_today == 2


# --- R7 -----------------------------------------------------------------------------------------------


class Keyring:
    """Where a run looks for the next login; empty until somebody has logged in."""

    def __init__(self, w: Workstation) -> None:
        login = w.runtime.parts.login
        assert login is not None
        self._market = w.market
        self._found: AccessToken | None = None
        login._find = self._find

    async def _find(self) -> AccessToken | None:
        return self._found

    def log_in(self) -> None:
        """As `tradetui auth` does in another terminal."""
        self._found = self._market.token()


async def until_said(w: Workstation, caplog: pytest.LogCaptureFixture, words: str) -> None:
    """Wait, while time beats, until the log has these words."""
    await w.until(lambda: words in caplog.text)


async def not_tried(w: Workstation) -> None:
    """An order without a login ends here: by the gate, or before any byte of it has left."""
    tag = w.send(amo=True)
    await w.until(lambda: w.orders[tag].status in (OrderStatus.REFUSED, OrderStatus.REJECTED))
    assert "tradetui auth" in w.orders[tag].message or "05:30" in w.orders[tag].message
    assert w.market.asked(PLACE) == 0, "no order is tried"


async def to(w: Workstation, day: date, clock: str) -> None:
    """Go on to a time of a day; the feed may be down."""
    await w.market.sim.jump(ns(day, clock))
    await w.market.publish()


async def test_r7_across_half_past_three_the_run_asks_for_a_login_and_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on over night, and the token ends at 03:30.

    Seen: "the login ends in 5 minutes" before; then "log in in another terminal: tradetui auth" while everything stays
      on the screen; after the login the run goes on by itself.
    """
    monkeypatch.setattr(core, "_LOGIN_EVERY_S", 0.02)
    async with scripted_market() as market:
        market.normal(KEY)
        with caplog.at_level(logging.WARNING):
            async with running(market, tmp_path) as w:
                keyring = Keyring(w)
                await to(w, NEXT_DAY, "03:25")
                await until_said(w, caplog, "the login ends in")
                await to(w, NEXT_DAY, "03:31")
                await until_said(w, caplog, "log in in another terminal: tradetui auth")
                await not_tried(w)
                keyring.log_in()
                await until_said(w, caplog, "logged in again")
                await w.until(lambda: not w.runtime.login_trouble)
                await to(w, MONDAY, "03:25")
                await to(w, MONDAY, "03:31")
                keyring.log_in()
                await to(w, MONDAY, "10:00")
                market.normal(KEY)
                await market.publish()
                await w.until(lambda: w.runtime.engine.feed.state is FeedState.UP)
                await w.until(lambda: not w.runtime.engine.desk.manager.account_trouble)
                await w.price(100.0)
                await w.until_order(w.send(), OrderStatus.OPEN)


async def test_r7_started_five_minutes_before_the_token_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The program is started at 03:25.

    Seen: "the login ends in ..." at once, and at 03:30 the words that ask for a login; no order is tried.
    """
    monkeypatch.setattr(core, "_LOGIN_EVERY_S", 0.02)
    async with scripted_market() as market:
        market.normal(KEY)
        await market.sim.jump(ns(NEXT_DAY, "03:25"))
        market.normal(KEY)
        await market.publish()
        with caplog.at_level(logging.WARNING):
            async with running(market, tmp_path) as w:
                Keyring(w)
                await until_said(w, caplog, "the login ends in")
                await to(w, NEXT_DAY, "03:31")
                await until_said(w, caplog, "log in in another terminal: tradetui auth")
                await not_tried(w)


# --- R8 -----------------------------------------------------------------------------------------------


async def carried(market: Market, w: Workstation) -> None:
    """A position in options that was bought at two prices."""
    for price in (100.3, 102.3):
        market.normal(CALL.key, price - 0.3)
        await w.price(price - 0.3, CALL.key)
        tag = w.send(Side.BUY, 65, price, key=CALL.key, product=Product.DELIVERY)
        await w.until_order(tag, OrderStatus.FILLED)
    await w.until(lambda: w.runtime.engine.desk.portfolio.qty(CALL.key, Product.DELIVERY) == 130)


def position(w: Workstation) -> tuple[int, int]:
    """Units and average price."""
    (one,) = w.runtime.engine.desk.portfolio.open_positions()
    assert (one.instrument_key, one.product) == (CALL.key, Product.DELIVERY)
    return one.qty, one.average_price


@pytest.mark.parametrize("restart", [False, True])
async def test_r8_a_position_over_night_keeps_its_average_and_its_product(
    tmp_path: Path, restart: bool
) -> None:
    """A position is carried over a week-end, with the run going on, or started anew on Monday.

    Seen: the same units, product and average price as on Friday; today's profit counts from Friday's close.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        market.normal(CALL.key)
        async with running(market, tmp_path, also=[CALL]) as w:
            await carried(market, w)
            before = position(w)
            if not restart:
                await over_the_week_end(w)
                assert position(w) == before
        if restart:
            await market.sim.jump(ns(MONDAY, "09:30"))
            market.normal(KEY)
            market.normal(CALL.key, 105.0)
            await market.publish()
            for _ in range(2):
                async with running(market, tmp_path, also=[CALL]) as w:
                    await w.polls()
                    assert position(w) == before
        async with running(market, tmp_path, also=[CALL]) as w:
            assert position(w) == before


@pytest.mark.parametrize("restart", [False, True])
async def test_r8_the_gtt_of_shares_rests_on_when_they_have_gone_into_the_demat_account(
    tmp_path: Path, restart: bool
) -> None:
    """Shares with a stop that outlives the day are held over a week-end; the broker lists them as holdings by then.

    Seen: the position and its stop stand as on Friday; when the stop fires, the position is flat and nothing is left.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            await w.hold(10, product=Product.DELIVERY, stop=to_price(95), overnight=True)
            await w.until(lambda: not w.shown().naked)
            if not restart:
                await over_the_week_end(w)
                await fires(w)
        if restart:
            await market.sim.jump(ns(MONDAY, "09:30"))
            market.normal(KEY)
            await market.publish()
            async with running(market, tmp_path) as w:
                await fires(w)
        async with running(market, tmp_path) as w:
            await w.polls(2)
            assert (w.held(Product.DELIVERY), w.working(), w.exits()) == (0, [], [])
            assert w.runtime.engine.desk.manager.positions.differences == {}


async def fires(w: Workstation) -> None:
    """On Monday: the shares are holdings, the GTT rests, and then it fires."""
    await w.polls(2)
    venue = w.market.venue
    (holding,) = (one for one in venue.exchange.holdings(USER_ID) if one.instrument_key == KEY)
    assert (holding.t1_qty, w.held(Product.DELIVERY)) == (10, 10)
    (gtt,) = (one for one in w.gtts.values() if one.status.working)
    assert not w.shown().naked
    w.market.normal(KEY, 94.0)
    await w.market.publish()
    await w.until(lambda: w.held(Product.DELIVERY) == 0)
    await w.until(lambda: not w.gtts[gtt.tag].status.working)
    await w.polls(2)
    assert w.runtime.engine.desk.manager.positions.differences == {}
    assert w.runtime.engine.desk.protection.plans == {}


async def over_the_week_end(w: Workstation) -> None:
    """From Friday to Monday, with its midnights and token changes, step by step."""
    for day, clock in ((NEXT_DAY, "00:10"), (NEXT_DAY, "04:00"), (MONDAY, "04:00"), (MONDAY, "09:30")):
        await to(w, day, clock)
        if CALL.key in w.runtime.engine.universe.slots:
            w.market.normal(CALL.key, 105.0)
        else:
            w.market.normal(KEY)
        await w.market.publish()
    await w.until(lambda: w.runtime.engine.feed.state is FeedState.UP)
    await w.polls()


assert ns(DAY, "10:00") < ns(NEXT_DAY, "03:25") < ns(MONDAY, "09:30")
