-- What the bot earns: subscriptions, revenue in Telegram stars, refunds. Days and months are those of UTC.

CREATE OR REPLACE VIEW {analytics}.active_subscriptions AS
SELECT id, owner_id, group_id, stars_amount, {analytics}.moment(created_at) AS created_at, {analytics}.moment(expires_at) AS expires_at,
    ceil(extract(epoch FROM {analytics}.moment(expires_at) - now()) / 86400)::int AS days_left
FROM {mirrors}.premium_subscriptions
WHERE coalesce(is_active, true) AND (expires_at IS NULL OR {analytics}.moment(expires_at) > now());
COMMENT ON VIEW {analytics}.active_subscriptions IS 'Subscriptions that are switched on and have not expired; one without expires_at never does.';

CREATE OR REPLACE VIEW {analytics}.expiring_subscriptions AS
SELECT * FROM {analytics}.active_subscriptions WHERE expires_at < now() + interval '7 days';
COMMENT ON VIEW {analytics}.expiring_subscriptions IS 'Active subscriptions that expire within 7 days.';

CREATE OR REPLACE VIEW {analytics}.revenue_by_day AS
SELECT ({analytics}.moment(created_at) AT TIME ZONE 'UTC')::date AS day, count(*) AS payments, sum(stars_amount)::bigint AS stars,
    count(DISTINCT owner_id) AS payers
FROM {mirrors}.payment_history
WHERE status = 'completed'
GROUP BY day;
COMMENT ON VIEW {analytics}.revenue_by_day IS 'Completed payments by day, in Telegram stars.';

CREATE OR REPLACE VIEW {analytics}.revenue_by_month AS
SELECT date_trunc('month', day)::date AS month, sum(payments)::bigint AS payments, sum(stars)::bigint AS stars
FROM {analytics}.revenue_by_day
GROUP BY 1;
COMMENT ON VIEW {analytics}.revenue_by_month IS 'Completed payments by month, in Telegram stars.';

CREATE OR REPLACE VIEW {analytics}.refund_rate AS
SELECT month, coalesce(paid.payments, 0) AS payments, coalesce(back.refunds, 0) AS refunds, coalesce(back.stars, 0) AS stars_refunded,
    round(100.0 * coalesce(back.refunds, 0) / nullif(paid.payments, 0), 1) AS percent
FROM {analytics}.revenue_by_month AS paid
FULL JOIN (
    SELECT date_trunc('month', {analytics}.moment(refunded_at) AT TIME ZONE 'UTC')::date AS month, count(*) AS refunds,
        sum(stars_amount)::bigint AS stars
    FROM {mirrors}.refunds GROUP BY 1
) AS back USING (month);
COMMENT ON VIEW {analytics}.refund_rate IS 'Refunds as a percentage of the completed payments of the same month.';
