-- Whoever learns here: one row.
CREATE TABLE learner (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  state TEXT NOT NULL              -- JSON: mastery by skill, pace, lessons finished
) STRICT;
