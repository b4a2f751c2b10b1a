"""Companies and indices of the synthetic market.

Names, ISINs, exchange tokens, lots and freeze quantities are facts of the exchange's lists of December 2025;
prices, volumes, betas and weights are round numbers of that time's order. Nothing here is a recorded price.
"""

from __future__ import annotations

from dataclasses import dataclass

NIFTY = "NSE_INDEX|Nifty 50"
BANKNIFTY = "NSE_INDEX|Nifty Bank"
VIX = "NSE_INDEX|India VIX"


@dataclass(frozen=True, slots=True)
class Company:
    """A share of the synthetic market.

    Attributes:
        symbol: Trading symbol.
        isin: ISIN; the instrument key is ``NSE_EQ|`` with it.
        token: Exchange token.
        name: As in the instrument file.
        short_name: As in the instrument file.
        price: Level around which the price wanders, rupees.
        beta: Sensitivity to the market.
        own_vol: Daily standard deviation of what the market does not explain.
        daily_qty: Usual volume of a day, units.
        weight: Weight in the index, percent of what is listed here; 0 for outsiders.
        bank_weight: Weight in the bank index.
        lot: Lot of its futures; 0 where it has no derivatives.
        freeze: Freeze quantity of its futures, units.
        series: NSE series.
    """

    symbol: str
    isin: str
    token: str
    name: str
    short_name: str
    price: float
    beta: float
    own_vol: float
    daily_qty: int
    weight: float
    bank_weight: float = 0.0
    lot: int = 0
    freeze: float = 0.0
    series: str = "EQ"

    @property
    def key(self) -> str:
        """Instrument key."""
        return f"NSE_EQ|{self.isin}"


# fmt: off
COMPANIES: tuple[Company, ...] = (
    Company("RELIANCE", "INE002A01018", "2885", "RELIANCE INDUSTRIES LTD", "Reliance", 1500, 1.05, 0.010, 10_000_000, 12.0, 0, 500, 15000),
    Company("HDFCBANK", "INE040A01034", "1333", "HDFC BANK LTD", "HDFC Bank", 990, 1.00, 0.008, 16_000_000, 15.0, 30, 550, 27500),
    Company("ICICIBANK", "INE090A01021", "4963", "ICICI BANK LTD.", "ICICI Bank", 1360, 1.05, 0.009, 9_000_000, 11.0, 26, 700, 21000),
    Company("INFY", "INE009A01021", "1594", "INFOSYS LIMITED", "Infosys", 1600, 0.85, 0.011, 7_000_000, 6.5, 0, 400, 16000),
    Company("TCS", "INE467B01029", "11536", "TATA CONSULTANCY SERV LT", "TCS", 3200, 0.80, 0.010, 2_500_000, 4.5, 0, 175, 7000),
    Company("ITC", "INE154A01025", "1660", "ITC LTD", "ITC", 402, 0.60, 0.009, 12_000_000, 4.5, 0, 1600, 64000),
    Company("LT", "INE018A01030", "11483", "LARSEN & TOUBRO LTD.", "Larsen & Toubro", 4050, 1.15, 0.010, 2_000_000, 5.0, 0, 175, 7000),
    Company("SBIN", "INE062A01020", "3045", "STATE BANK OF INDIA", "SBI", 960, 1.15, 0.010, 12_000_000, 4.5, 22, 750, 30000),
    Company("AXISBANK", "INE238A01034", "5900", "AXIS BANK LIMITED", "Axis Bank", 1270, 1.15, 0.011, 7_000_000, 4.0, 16, 625, 18750),
    Company("BHARTIARTL", "INE397D01024", "10604", "BHARTI AIRTEL LIMITED", "Bharti Airtel", 2080, 0.90, 0.010, 5_000_000, 6.0, 0, 475, 14250),
    Company("HINDUNILVR", "INE030A01027", "1394", "HINDUSTAN UNILEVER LTD.", "Hindustan Unilever", 2300, 0.50, 0.009, 1_500_000, 3.0, 0, 300, 9000),
    Company("BAJFINANCE", "INE296A01032", "317", "BAJAJ FINANCE LIMITED", "Bajaj Finance", 1010, 1.30, 0.012, 6_000_000, 3.0, 0, 750, 22500),
    Company("MARUTI", "INE585B01010", "10999", "MARUTI SUZUKI INDIA LTD.", "Maruti Suzuki", 16_200, 0.90, 0.010, 400_000, 2.5, 0, 50, 1500),
    Company("M&M", "INE101A01026", "2031", "MAHINDRA & MAHINDRA LTD", "Mahindra & Mahindra", 3650, 1.10, 0.012, 2_500_000, 3.5, 0, 200, 6000),
    Company("SUNPHARMA", "INE044A01036", "3351", "SUN PHARMACEUTICAL IND L", "Sun Pharmaceutical Industries", 1800, 0.60, 0.010, 2_200_000, 2.5, 0, 350, 14000),
    Company("NTPC", "INE733E01010", "11630", "NTPC LTD", "NTPC", 324, 0.85, 0.010, 11_000_000, 2.5, 0, 1500, 75000),
    Company("TITAN", "INE280A01028", "3506", "TITAN COMPANY LIMITED", "Titan Company", 3850, 0.90, 0.011, 1_000_000, 2.5, 0, 175, 7000),
    Company("TATASTEEL", "INE081A01020", "3499", "TATA STEEL LIMITED", "Tata Steel", 161, 1.25, 0.013, 28_000_000, 2.0, 0, 5500, 165000),
    Company("WIPRO", "INE075A01022", "3787", "WIPRO LTD", "Wipro", 259, 0.85, 0.011, 9_000_000, 1.5, 0, 3000, 90000),
    Company("YESBANK", "INE528G01035", "11915", "YES BANK LIMITED", "YES Bank", 22.6, 1.20, 0.014, 90_000_000, 0, 6, 31100, 933000),
    Company("BCONCEPTS", "INE977Y01011", "7783", "BRAND CONCEPTS LIMITED", "Brand Concepts", 302, 0.70, 0.022, 40_000, 0, 0, 0, 0, "BE"),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Index:
    """An index of the synthetic market, with the terms of its derivatives (`india-markets.md` 2.3).

    Attributes:
        key: Instrument key.
        symbol: Trading symbol; also what its derivatives are named after.
        name: As in the instrument file.
        token: Exchange token.
        level: Level that its members' usual prices amount to.
        lot: Lot of its derivatives; 0 where there are none.
        freeze: Freeze quantity, units.
        strike_step: Distance of strikes, rupees.
    """

    key: str
    symbol: str
    name: str
    token: str
    level: float
    lot: int = 0
    freeze: float = 0.0
    strike_step: int = 0


INDICES: tuple[Index, ...] = (
    Index(NIFTY, "NIFTY", "Nifty 50", "26000", 25_900.0, 65, 1800.0, 50),
    Index(BANKNIFTY, "BANKNIFTY", "Nifty Bank", "26009", 58_600.0, 30, 600.0, 100),
    Index(VIX, "INDIA VIX", "India VIX", "26017", 13.0),
)

STOCK_FUTURES = ("RELIANCE", "HDFCBANK", "ICICIBANK", "SBIN", "TCS")
"""Shares whose near-month future is listed."""


def cash_tick(price: float) -> float:
    """Tick of a share at a price level, rupees (NSE, in force since 15 Apr 2025)."""
    for bound, tick in ((250, 0.01), (1000, 0.05), (5000, 0.10), (10_000, 0.50), (20_000, 1.00)):
        if price <= bound:
            return tick
    return 5.00


def index_future_tick(level: float) -> float:
    """Tick of an index future at an index level, rupees (NSE, in force since 15 Apr 2025)."""
    return 0.05 if level <= 15_000 else 0.10 if level <= 30_000 else 0.20
