"""The exception tree.

Refusals by risk or by a broker are events the user can read, never exceptions. Exceptions mean a bug,
bad input, or an outside thing that is broken or gone::

    TradeTuiError
    ├── UsageError            wrong input from the user: exit code 2
    │   ├── ConfigError       a setting is wrong, unknown or out of range
    │   └── UnknownInstrument no such symbol or instrument key
    ├── AuthError             no token, expired token, refused credentials
    ├── TransportError        the network failed before an answer could be judged
    │   └── OutcomeUnknown    a write was sent and its answer never came or made no sense
    ├── BrokerError           the broker answered with an error envelope
    │   └── RateLimited       too many requests (HTTP 429)
    ├── FeedError             the market data stream cannot go on
    ├── StorageError          a database or journal file is locked, damaged or full
    │   └── JournalDamaged    the journal fails its checks; says where
    ├── CalendarUnknown       the calendar has no data for the asked year
    ├── RateUnknown           no rate of a charge is known for that venue, kind and date
    └── DomainError           a value that must never exist (a bug or corrupt data)
"""

from __future__ import annotations


class TradeTuiError(Exception):
    """Base of all our errors.

    Args:
        message: What is wrong, in one line.
        remedy: How to mend it, in one line; empty when there is nothing the user can do.
    """

    exit_code = 1
    """Exit code of a command that ends with this error."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class UsageError(TradeTuiError):
    """Wrong input from the user."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is wrong, unknown or out of range."""


class UnknownInstrument(UsageError):
    """No such symbol or instrument key."""


class AuthError(TradeTuiError):
    """No token, an expired token, or refused credentials."""


class TransportError(TradeTuiError):
    """The network failed before an answer could be judged."""


class OutcomeUnknown(TransportError):
    """A write was sent, and its answer never came or made no sense: only broker evidence can tell."""


class BrokerError(TradeTuiError):
    """The broker answered with an error envelope.

    Args:
        message: The broker's own words.
        code: The broker's error code, such as ``UDAPI100050``; empty if it gave none.
        status: HTTP status of the answer.
        remedy: How to mend it.
    """

    def __init__(self, message: str, code: str = "", status: int = 0, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code
        self.status = status


class RateLimited(BrokerError):
    """The broker refused because of too many requests (HTTP 429)."""


class FeedError(TradeTuiError):
    """The market data stream cannot go on."""


class StorageError(TradeTuiError):
    """A database or journal file is locked, damaged or full."""


class JournalDamaged(StorageError):
    """The journal fails its checks. The message says at which record and byte.

    Args:
        message: What is wrong, and where.
        remedy: How to mend it.
        file: Name of the file.
        number: Number of the first record that cannot be trusted, from 1; 0 when the file's first bytes are wrong.
        offset: Byte at which it begins.
    """

    def __init__(
        self, message: str, remedy: str = "", *, file: str = "", number: int = 0, offset: int = 0
    ) -> None:
        super().__init__(message, remedy)
        self.file = file
        self.number = number
        self.offset = offset


class CalendarUnknown(TradeTuiError):
    """The calendar has no data for the asked year: weekdays are never assumed to be trading days."""


class RateUnknown(TradeTuiError):
    """No rate of a charge is known for that venue, kind of trade and date: none is made up."""


class DomainError(TradeTuiError):
    """A value that must never exist: a bug or corrupt data."""
