-- Tables of both database files. Times are TIMESTAMPTZ (UTC); a `_ns` column beside one is the exact instant.
-- Money and prices of the ledger are BIGINT in 1/10,000 rupee; market columns are DOUBLE in rupees.
-- Every row of the ledger names the journal record it comes from: (journal_day, journal_number).

-- database: ledger

CREATE TABLE intents (
    tag VARCHAR PRIMARY KEY,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    instrument_key VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    qty BIGINT NOT NULL,
    product VARCHAR NOT NULL,
    order_type VARCHAR NOT NULL,
    price BIGINT NOT NULL,
    trigger_price BIGINT NOT NULL,
    validity VARCHAR NOT NULL,
    disclosed_qty BIGINT NOT NULL,
    protection_pct INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    stop BIGINT NOT NULL,
    target BIGINT NOT NULL,
    client_id VARCHAR NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL
);
COMMENT ON TABLE intents IS 'Orders as they were about to be sent; written to the journal before any byte left';
COMMENT ON COLUMN intents.qty IS 'units';
COMMENT ON COLUMN intents.price IS 'limit price, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.trigger_price IS 'trigger price, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.stop IS 'protective stop, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.target IS 'profit target, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.t_ns IS 'engine time, UTC ns';

CREATE TABLE orders (
    tag VARCHAR PRIMARY KEY,
    status VARCHAR NOT NULL,
    created TIMESTAMPTZ NOT NULL,
    updated TIMESTAMPTZ NOT NULL,
    created_ns BIGINT NOT NULL,
    updated_ns BIGINT NOT NULL,
    broker_id VARCHAR NOT NULL,
    exchange_id VARCHAR NOT NULL,
    instrument_key VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    qty BIGINT NOT NULL,
    product VARCHAR NOT NULL,
    order_type VARCHAR NOT NULL,
    price BIGINT NOT NULL,
    trigger_price BIGINT NOT NULL,
    validity VARCHAR NOT NULL,
    disclosed_qty BIGINT NOT NULL,
    protection_pct INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    stop BIGINT NOT NULL,
    target BIGINT NOT NULL,
    client_id VARCHAR NOT NULL,
    filled_qty BIGINT NOT NULL,
    average_price BIGINT NOT NULL,
    raw_status VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    "foreign" BOOLEAN NOT NULL,
    cancel_pending BOOLEAN NOT NULL,
    modify_pending BOOLEAN NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL
);
COMMENT ON TABLE orders IS 'Each order in its last known state';
COMMENT ON COLUMN orders.qty IS 'units';
COMMENT ON COLUMN orders.filled_qty IS 'units';
COMMENT ON COLUMN orders.price IS 'limit price, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN orders.trigger_price IS 'trigger price, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN orders.stop IS 'protective stop, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN orders.target IS 'profit target, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN orders.average_price IS 'average price of the fills, 1/10,000 rupee';
COMMENT ON COLUMN orders."foreign" IS 'placed elsewhere (phone, web) and adopted here';

CREATE TABLE fills (
    trade_id VARCHAR NOT NULL,
    broker_id VARCHAR NOT NULL,
    tag VARCHAR NOT NULL,
    instrument_key VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    qty BIGINT NOT NULL,
    price BIGINT NOT NULL,
    product VARCHAR NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    multiplier INTEGER NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    PRIMARY KEY (trade_id, broker_id)
);
COMMENT ON TABLE fills IS 'Trades of ours, each booked once';
COMMENT ON COLUMN fills.qty IS 'units';
COMMENT ON COLUMN fills.price IS 'price of this fill, 1/10,000 rupee';
COMMENT ON COLUMN fills.t IS 'when it traded at the exchange';
COMMENT ON COLUMN fills.multiplier IS 'money per point and unit';

CREATE TABLE openings (
    instrument_key VARCHAR NOT NULL,
    product VARCHAR NOT NULL,
    qty BIGINT NOT NULL,
    average_price BIGINT NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    multiplier INTEGER NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    PRIMARY KEY (journal_day, journal_number)
);
COMMENT ON TABLE openings IS 'Positions that were there before the first fill we know of';
COMMENT ON COLUMN openings.qty IS 'net units; negative is short';
COMMENT ON COLUMN openings.average_price IS 'average price, 1/10,000 rupee';

CREATE TABLE signals (
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    id VARCHAR,
    strategy VARCHAR,
    instrument_key VARCHAR,
    side VARCHAR,
    score DOUBLE,
    data JSON NOT NULL,
    PRIMARY KEY (journal_day, journal_number)
);
COMMENT ON TABLE signals IS 'Suggestions of strategies; data holds every vote. A score is no probability and no advice';

CREATE TABLE decisions (
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    tag VARCHAR,
    words VARCHAR,
    data JSON NOT NULL,
    PRIMARY KEY (journal_day, journal_number)
);
COMMENT ON TABLE decisions IS 'What risk refused, and changes of the risk state';

CREATE TABLE journal (
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    data JSON NOT NULL,
    meta JSON NOT NULL,
    PRIMARY KEY (journal_day, journal_number)
);
COMMENT ON TABLE journal IS 'Copy of the journal file, which remains the truth';
COMMENT ON COLUMN journal.t_ns IS 'engine time, UTC ns';

-- The same fold as tradetui/domain/position.py: average cost, a cost total so that nothing is rounded away.
-- `//` of SQL cuts towards zero, Python's rounds down; the remainder term makes it round down too.
CREATE VIEW positions AS
WITH steps AS (
    SELECT instrument_key, product, multiplier, t, journal_day, journal_number,
           CASE side WHEN 'BUY' THEN 1 ELSE -1 END AS sign, qty, price
    FROM fills
    UNION ALL
    SELECT instrument_key, product, multiplier, t, journal_day, journal_number,
           CASE WHEN qty > 0 THEN 1 ELSE -1 END, abs(qty), average_price
    FROM openings
),
folded AS (
    SELECT instrument_key, product, arg_max(multiplier, (journal_day, journal_number)) AS multiplier,
           max(t) AS updated,
           list_reduce(
               list({'sign': sign::HUGEINT, 'q': qty::HUGEINT, 'p': (price * multiplier)::HUGEINT,
                     'qty': 0::HUGEINT, 'cost': 0::HUGEINT, 'realised': 0::HUGEINT,
                     'buy_qty': 0::HUGEINT, 'sell_qty': 0::HUGEINT,
                     'buy_value': 0::HUGEINT, 'sell_value': 0::HUGEINT}
                    ORDER BY journal_day, journal_number),
               LAMBDA a, f: {
                   'sign': f.sign, 'q': f.q, 'p': f.p,
                   'qty': a.qty + f.sign * f.q,
                   'cost': CASE
                       WHEN a.qty * f.sign >= 0 THEN a.cost + f.sign * f.q * f.p
                       WHEN f.q > abs(a.qty) THEN f.sign * (f.q - abs(a.qty)) * f.p
                       WHEN f.q = abs(a.qty) THEN 0::HUGEINT
                       ELSE a.cost - (a.cost * f.q
                           - ((a.cost * f.q) % abs(a.qty) + abs(a.qty)) % abs(a.qty)) // abs(a.qty)
                   END,
                   'realised': CASE
                       WHEN a.qty * f.sign >= 0 THEN a.realised
                       WHEN f.q >= abs(a.qty) THEN a.realised - a.cost - f.sign * abs(a.qty) * f.p
                       ELSE a.realised - f.sign * f.q * f.p - (a.cost * f.q
                           - ((a.cost * f.q) % abs(a.qty) + abs(a.qty)) % abs(a.qty)) // abs(a.qty)
                   END,
                   'buy_qty': a.buy_qty + CASE WHEN f.sign > 0 THEN f.q ELSE 0::HUGEINT END,
                   'sell_qty': a.sell_qty + CASE WHEN f.sign < 0 THEN f.q ELSE 0::HUGEINT END,
                   'buy_value': a.buy_value + CASE WHEN f.sign > 0 THEN f.q * f.p ELSE 0::HUGEINT END,
                   'sell_value': a.sell_value + CASE WHEN f.sign < 0 THEN f.q * f.p ELSE 0::HUGEINT END
               },
               {'sign': 0::HUGEINT, 'q': 0::HUGEINT, 'p': 0::HUGEINT,
                'qty': 0::HUGEINT, 'cost': 0::HUGEINT, 'realised': 0::HUGEINT,
                'buy_qty': 0::HUGEINT, 'sell_qty': 0::HUGEINT,
                'buy_value': 0::HUGEINT, 'sell_value': 0::HUGEINT}
           ) AS s
    FROM steps
    GROUP BY instrument_key, product
)
SELECT instrument_key, product,
       s.qty::BIGINT AS qty,
       CASE WHEN s.qty = 0 THEN 0
            ELSE ((2 * abs(s.cost) + abs(s.qty) * multiplier) // (2 * abs(s.qty) * multiplier))::BIGINT
       END AS average_price,
       s.cost::BIGINT AS cost,
       s.realised::BIGINT AS realised,
       s.buy_qty::BIGINT AS buy_qty,
       s.sell_qty::BIGINT AS sell_qty,
       s.buy_value::BIGINT AS buy_value,
       s.sell_value::BIGINT AS sell_value,
       multiplier, updated
FROM folded;
COMMENT ON VIEW positions IS 'Fold of fills over openings; flat positions are kept for their realised profit';
COMMENT ON COLUMN positions.qty IS 'net units; negative is short';
COMMENT ON COLUMN positions.average_price IS 'average price of the net quantity, 1/10,000 rupee; 0 when flat';
COMMENT ON COLUMN positions.cost IS 'signed cost of the net quantity, 1/10,000 rupee';
COMMENT ON COLUMN positions.realised IS 'profit booked by reducing, gross of charges, 1/10,000 rupee';
COMMENT ON COLUMN positions.buy_value IS '1/10,000 rupee';
COMMENT ON COLUMN positions.sell_value IS '1/10,000 rupee';

-- database: market

CREATE TABLE instruments (
    instrument_id INTEGER PRIMARY KEY,
    key VARCHAR NOT NULL,
    expiry DATE,
    first_seen TIMESTAMPTZ NOT NULL,
    last_seen TIMESTAMPTZ NOT NULL,
    symbol VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    segment VARCHAR NOT NULL,
    exchange VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    series VARCHAR NOT NULL,
    lot_size BIGINT NOT NULL,
    tick_size BIGINT NOT NULL,
    freeze_qty BIGINT NOT NULL,
    strike BIGINT,
    underlying_key VARCHAR NOT NULL,
    isin VARCHAR NOT NULL,
    exchange_token VARCHAR NOT NULL,
    multiplier INTEGER NOT NULL
);
COMMENT ON TABLE instruments IS 'Exchanges reuse tokens, so stored rows name an instrument_id: one key with one expiry';
COMMENT ON COLUMN instruments.first_seen IS 'engine time of the first stored row';
COMMENT ON COLUMN instruments.last_seen IS 'engine time of the first stored row of the last run that saw it';
COMMENT ON COLUMN instruments.tick_size IS '1/10,000 rupee';
COMMENT ON COLUMN instruments.strike IS '1/10,000 rupee';

CREATE TABLE ticks (
    instrument_id INTEGER NOT NULL,
    ts TIMESTAMPTZ,
    server_ts TIMESTAMPTZ,
    engine_ts TIMESTAMPTZ NOT NULL,
    kind TINYINT NOT NULL,
    mask INTEGER NOT NULL,
    ltp DOUBLE,
    ltq BIGINT,
    vtt BIGINT,
    oi DOUBLE,
    atp DOUBLE,
    prev_close DOUBLE,
    iv DOUBLE,
    tbq DOUBLE,
    tsq DOUBLE,
    bid1_px DOUBLE, bid1_qty DOUBLE, ask1_px DOUBLE, ask1_qty DOUBLE,
    bid2_px DOUBLE, bid2_qty DOUBLE, ask2_px DOUBLE, ask2_qty DOUBLE,
    bid3_px DOUBLE, bid3_qty DOUBLE, ask3_px DOUBLE, ask3_qty DOUBLE,
    bid4_px DOUBLE, bid4_qty DOUBLE, ask4_px DOUBLE, ask4_qty DOUBLE,
    bid5_px DOUBLE, bid5_qty DOUBLE, ask5_px DOUBLE, ask5_qty DOUBLE,
    delta DOUBLE, gamma DOUBLE, theta DOUBLE, vega DOUBLE, rho DOUBLE,
    iep DOUBLE, reference_price DOUBLE, ieq DOUBLE, imbalance DOUBLE, imbalance_market DOUBLE
);
COMMENT ON TABLE ticks IS 'One row is one instrument in one frame. NULL: the frame did not carry the field, or carried zero';
COMMENT ON COLUMN ticks.ts IS 'last trade time at the exchange';
COMMENT ON COLUMN ticks.server_ts IS 'clock of the sender when the frame was made';
COMMENT ON COLUMN ticks.engine_ts IS 'engine time of the frame, cut to microseconds';
COMMENT ON COLUMN ticks.kind IS '0 snapshot (answer to a subscription), 1 change';
COMMENT ON COLUMN ticks.mask IS 'groups of fields in the frame: 1 last price, 2 depth, 4 Greeks, 8 day bar, 16 minute bar, 32 full, 64 auction, 128 index';
COMMENT ON COLUMN ticks.ltp IS 'rupees';
COMMENT ON COLUMN ticks.ltq IS 'units';
COMMENT ON COLUMN ticks.vtt IS 'volume traded today, units';
COMMENT ON COLUMN ticks.oi IS 'open interest, units';
COMMENT ON COLUMN ticks.atp IS 'average traded price of the day, rupees';
COMMENT ON COLUMN ticks.iv IS 'implied volatility as a fraction';
COMMENT ON COLUMN ticks.iep IS 'indicative equilibrium price of an auction, rupees; never a last traded price';

CREATE TABLE bars (
    instrument_id INTEGER NOT NULL,
    "interval" VARCHAR NOT NULL,
    start TIMESTAMPTZ NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    oi DOUBLE NOT NULL,
    source VARCHAR NOT NULL,
    gap BOOLEAN NOT NULL
);
COMMENT ON TABLE bars IS 'Finished bars, named by their start. At most one of our own (ticks, merged) and one of the broker for each instrument, interval and start';
COMMENT ON COLUMN bars."interval" IS '1m, 5m, 15m, 1h, 1d ...';
COMMENT ON COLUMN bars.session IS 'IST date of the start';
COMMENT ON COLUMN bars.open IS 'rupees';
COMMENT ON COLUMN bars.volume IS 'units';
COMMENT ON COLUMN bars.oi IS 'open interest at the end, units';
COMMENT ON COLUMN bars.source IS 'ticks: from trades seen here; broker: the broker''s own; merged: from finer bars, some of them the broker''s';
COMMENT ON COLUMN bars.gap IS 'the feed was down for part of the bar';

CREATE TABLE day_stats (
    instrument_id INTEGER NOT NULL,
    session DATE NOT NULL,
    prev_close DOUBLE,
    official_close DOUBLE,
    atp DOUBLE,
    volume BIGINT,
    oi DOUBLE
);
COMMENT ON TABLE day_stats IS 'What a session ended with; one row for each instrument and session';
COMMENT ON COLUMN day_stats.official_close IS 'price after continuous trading ended, rupees; never part of a bar';
COMMENT ON COLUMN day_stats.volume IS 'units, all phases';
