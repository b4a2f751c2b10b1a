"""Our estimate beside the broker's own answer, line by line (`upstox.md` 2.9)."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.charges.estimate import Charges
from tradetui.domain.inquiry import ChargesAnswer
from tradetui.domain.money import PAISA, SCALE, Money, format_rupees


@dataclass(frozen=True, slots=True)
class Difference:
    """One line that is not the same, in 1/10,000 rupee.

    Attributes:
        line: ``brokerage``, ``STT``, ``exchange``, ``SEBI``, ``GST``, ``stamp``, ``total``.
        words: What it probably is.
    """

    line: str
    ours: Money
    theirs: Money
    words: str = ""

    @property
    def text(self) -> str:
        """For people."""
        said = f"{self.line}: ours {format_rupees(self.ours)}, the broker's {format_rupees(self.theirs)}"
        return f"{said} ({self.words})" if self.words else said


def differences(ours: Charges, theirs: ChargesAnswer) -> tuple[Difference, ...]:
    """Lines that differ by a paisa or more, in the order of a contract note; then the total.

    The broker adds up clearing and IPFT by themselves, which are in our exchange line; its answer knows no
    depository charge, which is left out of our total here.
    """
    exchange = Money(theirs.transaction + theirs.clearing + theirs.ipft)
    lines = [
        ("brokerage", ours.brokerage, theirs.brokerage, "another plan? see account.plan"),
        ("STT", ours.stt, theirs.stt, _rounded(ours.stt, theirs.stt)),
        ("exchange", ours.exchange_txn, exchange, "transaction, clearing and IPFT together"),
        ("SEBI", ours.sebi, theirs.sebi, ""),
        ("GST", ours.gst, theirs.gst, "follows the lines it is levied on"),
        ("stamp", ours.stamp, theirs.stamp, _rounded(ours.stamp, theirs.stamp)),
        ("total", Money(ours.total - ours.dp), theirs.total, ""),
    ]
    return tuple(
        Difference(name, mine, said, words) for name, mine, said, words in lines if abs(mine - said) >= PAISA
    )


def _rounded(ours: int, theirs: int) -> str:
    """Whether two lines are the same but for rounding to the rupee."""
    near = abs(ours - theirs) <= SCALE // 2
    return (
        "one of them is rounded to the rupee" if near and (ours % SCALE == 0) != (theirs % SCALE == 0) else ""
    )
