-- The mirrors of user_requests.db: who asked for what, and which message belongs to whom.
-- Same tables, columns, keys and constraints as in SQLite. `minute` and `timestamp` are Unix minutes and seconds.
-- `rowid` is SQLite's hidden row number: these tables have no integer primary key, and a restore brings it back too.
-- fillfactor leaves 2 % of each page free: most updated rows stay on their page, and no index is written.
-- Applied with search_path set to the source's schema, so nothing here is qualified.

CREATE TABLE IF NOT EXISTS user_requests (
    user_id         bigint NOT NULL,
    chat_id         bigint NOT NULL,
    gift_name       text COLLATE "C" NOT NULL,
    minute          bigint NOT NULL,
    rowid           bigint NOT NULL,
    PRIMARY KEY (user_id, chat_id, gift_name)
) WITH (fillfactor = 98);

CREATE TABLE IF NOT EXISTS command_requests (
    user_id         bigint NOT NULL,
    chat_id         bigint NOT NULL,
    command_name    text COLLATE "C" NOT NULL,
    minute          bigint NOT NULL,
    timestamp       bigint NOT NULL DEFAULT 0,
    rowid           bigint NOT NULL,
    PRIMARY KEY (user_id, chat_id, command_name)
) WITH (fillfactor = 98);

-- Rows older than some hours are deleted all the time.
CREATE TABLE IF NOT EXISTS message_owners (
    message_id      bigint NOT NULL,
    chat_id         bigint NOT NULL,
    user_id         bigint NOT NULL,
    timestamp       bigint NOT NULL,
    rowid           bigint NOT NULL,
    PRIMARY KEY (message_id, chat_id)
) WITH (fillfactor = 98);

-- The bot creates this table when it is first needed. user_id and timestamp may be NULL.
CREATE TABLE IF NOT EXISTS linked_messages (
    original_message_id bigint NOT NULL,
    chat_id             bigint NOT NULL,
    linked_message_id   bigint NOT NULL,
    user_id             bigint,
    timestamp           bigint,
    rowid               bigint NOT NULL,
    PRIMARY KEY (original_message_id, chat_id, linked_message_id)
) WITH (fillfactor = 98);
