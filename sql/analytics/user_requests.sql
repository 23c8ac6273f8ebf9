-- How the bot is used: groups, commands, users. Days are those of UTC.

CREATE OR REPLACE VIEW {analytics}.busiest_groups AS
SELECT chat_id, count(*) AS requests, count(DISTINCT user_id) AS users, {analytics}.moment(max(minute) * 60) AS last_request
FROM (
    SELECT chat_id, user_id, minute FROM {mirrors}.user_requests WHERE minute BETWEEN 0 AND 4223371680
    UNION ALL
    SELECT chat_id, user_id, minute FROM {mirrors}.command_requests WHERE minute BETWEEN 0 AND 4223371680
) AS requests
GROUP BY chat_id;
COMMENT ON VIEW {analytics}.busiest_groups IS 'Requests for gifts and commands by chat; the bot keeps one row for each user and gift or command.';

CREATE OR REPLACE VIEW {analytics}.busiest_commands AS
SELECT command_name, count(*) AS requests, count(DISTINCT user_id) AS users, count(DISTINCT chat_id) AS groups,
    {analytics}.moment(nullif(max(timestamp), 0)) AS last_request
FROM {mirrors}.command_requests
GROUP BY command_name;
COMMENT ON VIEW {analytics}.busiest_commands IS 'Commands by how many users in how many chats have used them.';

CREATE OR REPLACE VIEW {analytics}.active_users_by_day AS
SELECT ({analytics}.moment(seconds) AT TIME ZONE 'UTC')::date AS day, count(DISTINCT user_id) AS users, count(*) AS actions
FROM (
    SELECT user_id, minute * 60 AS seconds FROM {mirrors}.user_requests WHERE minute BETWEEN 0 AND 4223371680
    UNION ALL
    SELECT user_id, minute * 60 FROM {mirrors}.command_requests WHERE minute BETWEEN 0 AND 4223371680
    UNION ALL
    SELECT user_id, timestamp FROM {mirrors}.message_owners
) AS actions
GROUP BY day;
COMMENT ON VIEW {analytics}.active_users_by_day IS 'Users with a request, a command or a message that the bot still remembers, by day.';
