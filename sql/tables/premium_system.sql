-- The mirrors of premium_system.db: subscriptions, payments and refunds of the bot.
-- Same tables, columns, keys and constraints as in SQLite. Times are Unix seconds, prices are Telegram stars.
-- fillfactor leaves 2 % of each page free: most updated rows stay on their page, and no index is written.
-- Applied with search_path set to the source's schema, so nothing here is qualified.

-- Written with INSERT OR REPLACE: a renewed subscription gets a new id for the same (owner_id, group_id). Hence the
-- unique constraint is deferred to the end of the run, when the old row is gone.
CREATE TABLE IF NOT EXISTS premium_subscriptions (
    id                          bigint PRIMARY KEY,
    owner_id                    bigint NOT NULL,
    group_id                    bigint NOT NULL,
    payment_id                  text NOT NULL,
    telegram_payment_charge_id  text NOT NULL,
    stars_amount                bigint NOT NULL,
    mrkt_link                   text,
    palace_link                 text,
    tonnel_link                 text,
    portal_link                 text,
    created_at                  bigint NOT NULL,
    expires_at                  bigint,
    is_active                   boolean DEFAULT true,
    UNIQUE (owner_id, group_id) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 98);

CREATE TABLE IF NOT EXISTS payment_history (
    id              bigint PRIMARY KEY,
    owner_id        bigint NOT NULL,
    payment_id      text NOT NULL,
    stars_amount    bigint NOT NULL,
    status          text NOT NULL,
    created_at      bigint NOT NULL
) WITH (fillfactor = 98);

-- subscription_id refers to premium_subscriptions(id) in SQLite, where it is not enforced: orphans are normal.
CREATE TABLE IF NOT EXISTS refunds (
    id              bigint PRIMARY KEY,
    subscription_id bigint NOT NULL,
    owner_id        bigint NOT NULL,
    group_id        bigint NOT NULL,
    payment_id      text NOT NULL,
    stars_amount    bigint NOT NULL,
    refund_reason   text,
    refunded_at     bigint NOT NULL,
    status          text DEFAULT 'pending',
    processed_by    text
) WITH (fillfactor = 98);

CREATE TABLE IF NOT EXISTS refunded_groups (
    id              bigint PRIMARY KEY,
    group_id        bigint NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED,
    owner_id        bigint NOT NULL,
    refunded_at     bigint NOT NULL,
    reason          text
) WITH (fillfactor = 98);

-- Rows live for 30 minutes, until the payment is confirmed or given up.
CREATE TABLE IF NOT EXISTS pending_payments (
    id              bigint PRIMARY KEY,
    owner_id        bigint NOT NULL,
    payment_id      text NOT NULL,
    stars_amount    bigint NOT NULL,
    created_at      bigint NOT NULL,
    expires_at      bigint NOT NULL
) WITH (fillfactor = 98);
