"""What the paper broker asks of the calendar."""

from __future__ import annotations

from tradetui.domain.calendar import Calendar, ist_date, segment_of
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.instrument import Instrument
from tradetui.exchange.sessions import PhaseOf, phase_word


def paper_phase(calendar: Calendar) -> PhaseOf:
    """Phase word of an instrument at an instant; a year without calendar data counts as closed."""

    def phase(instrument: Instrument, t_ns: int) -> str:
        try:
            return phase_word(calendar.phase(segment_of(calendar, instrument, ist_date(t_ns)), t_ns))
        except (CalendarUnknown, ValueError):
            return "CLOSED"

    return phase
