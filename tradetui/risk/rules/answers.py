"""The three answers a rule can give."""

from __future__ import annotations

from functools import cache

from tradetui.domain.view import Check, Verdict


@cache
def ok(rule: str) -> Check:
    """Nothing to say: made once for each rule, since most rules of most orders answer so."""
    return Check(rule, Verdict.PASS)


def noted(rule: str, words: str) -> Check:
    """The order may go; the words tell what is not known, or what will happen to it."""
    return Check(rule, Verdict.PASS, words)


def warn(rule: str, words: str) -> Check:
    """A person is asked to look again; a strategy's order goes."""
    return Check(rule, Verdict.WARN, words)


def block(rule: str, words: str) -> Check:
    """The order is not sent."""
    return Check(rule, Verdict.BLOCK, words)
