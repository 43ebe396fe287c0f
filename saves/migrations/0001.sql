-- Sessions, their turn trees, and example lines with vectors.
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  story TEXT NOT NULL,
  name TEXT NOT NULL DEFAULT '',
  seed TEXT NOT NULL,              -- uint64 in decimal
  branch TEXT NOT NULL,            -- the branch being played
  created INTEGER NOT NULL,        -- microseconds since 1970
  played INTEGER NOT NULL
) STRICT;

CREATE TABLE nodes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session INTEGER NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
  parent INTEGER REFERENCES nodes(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  speaker TEXT NOT NULL,
  text TEXT NOT NULL,
  state TEXT NOT NULL,             -- JSON
  reply TEXT,                      -- JSON: candidates with rewards, blend, seed
  created INTEGER NOT NULL
) STRICT;
CREATE INDEX nodes_below ON nodes(session, parent);
CREATE INDEX nodes_parent ON nodes(parent);

CREATE TABLE branches (
  session INTEGER NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  head INTEGER NOT NULL REFERENCES nodes(id),
  PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX branches_head ON branches(head);

CREATE TABLE examples (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  model TEXT NOT NULL,             -- hash of the weights that made the vectors
  persona TEXT NOT NULL,
  you TEXT NOT NULL,
  says TEXT NOT NULL,
  common TEXT NOT NULL,
  place TEXT NOT NULL,
  origin TEXT NOT NULL,
  heldout INTEGER NOT NULL,
  borrow INTEGER NOT NULL,
  vectors BLOB NOT NULL            -- response, voice, line: float32, little-endian
) STRICT;
CREATE INDEX examples_model ON examples(model);
