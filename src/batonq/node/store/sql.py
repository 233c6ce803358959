"""SQL: every statement that reads or writes a store, but for its schema."""

from __future__ import annotations

from typing import Final

APPEND: Final = (
    "INSERT INTO event(seq, at, open, kind, agent, handoff_id, once, digest, link, salt, body)"
    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# Which handoffs are open: see `openness`.
OPENED: Final = "SELECT upto, oldest FROM opened"
SET_OPENED: Final = "UPDATE opened SET upto=?, count=?, oldest=?"
CLOSED_SINCE: Final = "SELECT handoff_id, seq FROM event WHERE seq>? AND open=-1"
MARK: Final = "SELECT open FROM event WHERE once=?"
UNMARK: Final = "UPDATE event SET open=NULL WHERE once=?"
MARKED: Final = (
    "SELECT seq, handoff_id FROM event WHERE seq>=? AND seq<=? AND open=1 ORDER BY seq LIMIT ?"
)
COUNT_OPEN: Final = (
    "SELECT count + (SELECT coalesce(sum(open), 0) FROM event WHERE seq>upto) FROM opened"
)
FIND: Final = "SELECT kind, agent, handoff_id, once, at, body, seq FROM event WHERE once=?"
BETWEEN: Final = (
    "SELECT kind, agent, handoff_id, once, at, body, seq FROM event "
    "WHERE once>? AND once<? ORDER BY seq"
)
AFTER: Final = (
    "SELECT kind, agent, handoff_id, once, at, body, seq FROM event"
    " WHERE seq>? ORDER BY seq LIMIT ?"
)
AFTER_OF_AGENT: Final = (
    "SELECT kind, agent, handoff_id, once, at, body, seq FROM event"
    " WHERE seq>? AND agent=? ORDER BY seq LIMIT ?"
)
ROWS: Final = (
    "SELECT seq, at, kind, agent, handoff_id, once, body, salt, digest, link FROM event"
    " WHERE seq>? ORDER BY seq LIMIT ?"
)
LATEST: Final = "SELECT seq, at, link FROM event ORDER BY seq DESC LIMIT 1"
TIME: Final = "SELECT at FROM event WHERE seq=?"
TO_SEND: Final = (
    "INSERT INTO outbox(handoff_id, receiver, artifact) VALUES(?, ?, ?)"
    " ON CONFLICT(handoff_id) DO UPDATE SET receiver=excluded.receiver, artifact=excluded.artifact"
)
SENT: Final = "DELETE FROM outbox WHERE handoff_id=?"
UNSENT: Final = "SELECT handoff_id, receiver, artifact FROM outbox ORDER BY place LIMIT ?"
KEEP_STATE: Final = (
    "INSERT INTO state(name, seq, body) VALUES(?, ?, ?)"
    " ON CONFLICT(name) DO UPDATE SET seq=excluded.seq, body=excluded.body"
)
STATE: Final = "SELECT seq, body FROM state WHERE name=?"
STATES: Final = "SELECT name FROM state ORDER BY name"
FORGET_CLOSED: Final = (
    "UPDATE event SET body=NULL, salt=NULL WHERE body IS NOT NULL AND seq<=?"
    " AND handoff_id<>'' AND handoff_id NOT IN (SELECT handoff_id FROM event WHERE open=1"
    " EXCEPT SELECT handoff_id FROM event WHERE open=-1)"
    " AND handoff_id NOT IN (SELECT handoff_id FROM event WHERE seq>?)"
)
CHOSEN: Final = "CREATE TEMP TABLE chosen(handoff_id TEXT PRIMARY KEY)"
CHOOSE: Final = "INSERT OR IGNORE INTO temp.chosen VALUES(?)"
FORGET_CHOSEN: Final = (
    "UPDATE event SET body=NULL, salt=NULL WHERE body IS NOT NULL AND seq<=?"
    " AND handoff_id IN (SELECT handoff_id FROM temp.chosen)"
)
CHOSEN_NO_MORE: Final = "DROP TABLE temp.chosen"
FORGET_UNSENT: Final = (
    "DELETE FROM outbox WHERE EXISTS(SELECT 1 FROM event"
    " WHERE once='decision:' || outbox.handoff_id AND body IS NULL)"
)
