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
    group_label VARCHAR NOT NULL,
    trail JSON,
    time_exit_s INTEGER NOT NULL,
    overnight BOOLEAN NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL
);
COMMENT ON TABLE intents IS 'Orders as they were about to be sent; written to the journal before any byte left';
COMMENT ON COLUMN intents.qty IS 'units';
COMMENT ON COLUMN intents.price IS 'limit price, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.trigger_price IS 'trigger price, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.stop IS 'protective stop, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.target IS 'profit target, 1/10,000 rupee; 0 for none';
COMMENT ON COLUMN intents.group_label IS 'parent order or basket that it is part of; empty for none';
COMMENT ON COLUMN intents.time_exit_s IS 'second of the day, IST, at which the position shall be closed; 0 for none';
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
    group_label VARCHAR NOT NULL,
    trail JSON,
    time_exit_s INTEGER NOT NULL,
    overnight BOOLEAN NOT NULL,
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
COMMENT ON COLUMN orders.group_label IS 'parent order or basket that it is part of; empty for none';
COMMENT ON COLUMN orders.time_exit_s IS 'second of the day, IST, at which the position shall be closed; 0 for none';
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

CREATE TABLE positions (
    day DATE NOT NULL,
    instrument_key VARCHAR NOT NULL,
    product VARCHAR NOT NULL,
    qty BIGINT NOT NULL,
    average_price BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    realised BIGINT NOT NULL,
    buy_qty BIGINT NOT NULL,
    sell_qty BIGINT NOT NULL,
    buy_value BIGINT NOT NULL,
    sell_value BIGINT NOT NULL,
    opening_qty BIGINT NOT NULL,
    opening_cost BIGINT NOT NULL,
    multiplier INTEGER NOT NULL,
    updated TIMESTAMPTZ NOT NULL,
    updated_ns BIGINT NOT NULL,
    PRIMARY KEY (day, instrument_key, product)
);
COMMENT ON TABLE positions IS 'Positions day by day: one row for each day on which something changed. Flat ones are kept for their realised profit';
COMMENT ON COLUMN positions.day IS 'IST date';
COMMENT ON COLUMN positions.qty IS 'net units at the end of what is known of the day; negative is short';
COMMENT ON COLUMN positions.average_price IS 'average price of the net quantity, 1/10,000 rupee; 0 when flat';
COMMENT ON COLUMN positions.cost IS 'signed cost of the net quantity, 1/10,000 rupee';
COMMENT ON COLUMN positions.realised IS 'profit booked on that day by reducing, gross of charges, 1/10,000 rupee';
COMMENT ON COLUMN positions.buy_value IS '1/10,000 rupee';
COMMENT ON COLUMN positions.sell_value IS '1/10,000 rupee';
COMMENT ON COLUMN positions.opening_qty IS 'net units when the day began';
COMMENT ON COLUMN positions.opening_cost IS 'their signed cost, 1/10,000 rupee';

CREATE TABLE multipliers (
    instrument_key VARCHAR PRIMARY KEY,
    multiplier INTEGER NOT NULL
);
COMMENT ON TABLE multipliers IS 'Money per point and unit where it is not 1: kept for contracts that have left the instrument list';

CREATE TABLE gtts (
    tag VARCHAR PRIMARY KEY,
    gtt_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    instrument_key VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    qty BIGINT NOT NULL,
    product VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    rules JSON NOT NULL,
    source VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    "foreign" BOOLEAN NOT NULL,
    cancel_pending BOOLEAN NOT NULL,
    modify_pending BOOLEAN NOT NULL,
    created TIMESTAMPTZ NOT NULL,
    updated TIMESTAMPTZ NOT NULL,
    created_ns BIGINT NOT NULL,
    updated_ns BIGINT NOT NULL,
    expires_ns BIGINT NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL
);
COMMENT ON TABLE gtts IS 'Each GTT in its last known state';
COMMENT ON COLUMN gtts.qty IS 'units';
COMMENT ON COLUMN gtts.kind IS 'SINGLE or MULTIPLE';
COMMENT ON COLUMN gtts.rules IS 'what the broker says about each rule, or what was asked for before it said anything; prices in 1/10,000 rupee';
COMMENT ON COLUMN gtts.expires_ns IS 'when the broker drops it, UTC ns; 0 when not said';

CREATE TABLE groups (
    journal_day DATE NOT NULL,
    label VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    words VARCHAR NOT NULL,
    parts INTEGER NOT NULL,
    tags JSON NOT NULL,
    data JSON NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    journal_number BIGINT NOT NULL,
    PRIMARY KEY (journal_day, label)
);
COMMENT ON TABLE groups IS 'Parent orders in their last state: slices of one large order, legs of one basket';
COMMENT ON COLUMN groups.tags IS 'orders placed so far, in order';

CREATE TABLE plans (
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    instrument_key VARCHAR NOT NULL,
    product VARCHAR NOT NULL,
    what VARCHAR NOT NULL,
    data JSON NOT NULL,
    PRIMARY KEY (journal_day, journal_number)
);
COMMENT ON TABLE plans IS 'Every change of how a position is to be left; the newest row of a position and kind is in force';
COMMENT ON COLUMN plans.what IS 'managed: its exit plan (null: none any more); closing: it is being closed; gap_ns: how long it was without a stop';

CREATE TABLE limits (
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    old DOUBLE,
    new DOUBLE,
    reason VARCHAR NOT NULL,
    PRIMARY KEY (journal_day, journal_number)
);
COMMENT ON TABLE limits IS 'Risk limits changed while running, with the reason that was typed';
COMMENT ON COLUMN limits.old IS 'in the unit of the limit''s name; money limits in rupees';

CREATE TABLE conversions (
    tag VARCHAR PRIMARY KEY,
    status VARCHAR NOT NULL,
    instrument_key VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    qty BIGINT NOT NULL,
    old VARCHAR NOT NULL,
    new VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    "foreign" BOOLEAN NOT NULL,
    created TIMESTAMPTZ NOT NULL,
    updated TIMESTAMPTZ NOT NULL,
    created_ns BIGINT NOT NULL,
    updated_ns BIGINT NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL
);
COMMENT ON TABLE conversions IS 'Units moved from one product to another, each in its last known state';
COMMENT ON COLUMN conversions.qty IS 'units';

CREATE TABLE order_times (
    tag VARCHAR PRIMARY KEY,
    instrument_key VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    decided TIMESTAMPTZ NOT NULL,
    decided_ns BIGINT NOT NULL,
    decided_mid BIGINT NOT NULL,
    decided_spread BIGINT NOT NULL,
    sent_ns BIGINT NOT NULL,
    sent_mid BIGINT NOT NULL,
    acked_ns BIGINT NOT NULL,
    acked_mid BIGINT NOT NULL,
    answer VARCHAR NOT NULL,
    first_fill_ns BIGINT NOT NULL,
    first_fill_mid BIGINT NOT NULL,
    last_fill_ns BIGINT NOT NULL,
    filled_qty BIGINT NOT NULL,
    filled_value BIGINT NOT NULL,
    slippage BIGINT NOT NULL,
    tick_size BIGINT NOT NULL,
    multiplier INTEGER NOT NULL,
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL
);
COMMENT ON TABLE order_times IS 'Where the market stood when an order was decided (key press), sent, answered and filled. 0: not yet, or not known';
COMMENT ON COLUMN order_times.decided_ns IS 'engine time, UTC ns, as in every _ns column here';
COMMENT ON COLUMN order_times.decided_mid IS 'middle of best bid and ask (the last price where a side is missing), 1/10,000 rupee, as in every _mid column';
COMMENT ON COLUMN order_times.decided_spread IS 'best ask less best bid, 1/10,000 rupee; 0 when a side was missing';
COMMENT ON COLUMN order_times.answer IS 'accepted, refused or unknown';
COMMENT ON COLUMN order_times.filled_value IS 'units times price, 1/10,000 rupee, without the multiplier';
COMMENT ON COLUMN order_times.slippage IS 'against the middle at the decision, 1/10,000 rupee; positive is a cost';
COMMENT ON COLUMN order_times.tick_size IS '1/10,000 rupee';

CREATE TABLE risk (
    journal_day DATE NOT NULL,
    journal_number BIGINT NOT NULL,
    t TIMESTAMPTZ NOT NULL,
    t_ns BIGINT NOT NULL,
    state VARCHAR,
    reason VARCHAR,
    data JSON NOT NULL,
    PRIMARY KEY (journal_day, journal_number)
);
COMMENT ON TABLE risk IS 'Changes of the risk state: halts and releases, breakers, arming, locks';
COMMENT ON COLUMN risk.state IS 'active, reducing only or halted; NULL when something else changed';

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

CREATE TABLE history_asked (
    instrument_id INTEGER NOT NULL,
    "interval" VARCHAR NOT NULL,
    session DATE NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    bars INTEGER NOT NULL
);
COMMENT ON TABLE history_asked IS 'Past days for which the broker has fewer bars than the session has intervals: they are settled, and not asked for again';
COMMENT ON COLUMN history_asked.session IS 'IST date of the bars'' start';
COMMENT ON COLUMN history_asked.bars IS 'how many the broker had';

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

-- since market layout 3

CREATE TABLE IF NOT EXISTS archive_files (
    path VARCHAR PRIMARY KEY,
    kind VARCHAR NOT NULL,
    session DATE NOT NULL,
    segment VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    written TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE archive_files IS 'Parquet files that hold rows which have left this file; what is not named here does not count';
COMMENT ON COLUMN archive_files.path IS 'below the folder archive beside this file';
COMMENT ON COLUMN archive_files.kind IS 'ticks or bars';
COMMENT ON COLUMN archive_files.session IS 'IST date';
COMMENT ON COLUMN archive_files.sha256 IS 'of the file''s bytes';

CREATE TABLE IF NOT EXISTS superseded_bars (
    instrument_id INTEGER NOT NULL,
    "interval" VARCHAR NOT NULL,
    start TIMESTAMPTZ NOT NULL,
    from_broker BOOLEAN NOT NULL
);
COMMENT ON TABLE superseded_bars IS 'Bars of the archive that a newer bar in this file stands for; cleared when the day is archived again';

CREATE SCHEMA IF NOT EXISTS whole;

CREATE OR REPLACE VIEW whole.ticks AS
SELECT *, DATE '1970-01-01' + ((epoch_us(engine_ts) + 19800000000) // 86400000000)::INTEGER AS session FROM main.ticks;
COMMENT ON VIEW whole.ticks IS 'Ticks of this file and of the archive, with the IST date of engine_ts as session: name it, and only that day''s files are read';

CREATE OR REPLACE VIEW whole.bars AS SELECT * FROM main.bars;
COMMENT ON VIEW whole.bars IS 'Bars of this file and of the archive';
