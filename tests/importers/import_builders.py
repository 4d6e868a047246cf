"""Small stores of every variant, built by code: the shapes of claude-flow, none of its data."""

import base64
import gzip
import hashlib
import json
import shutil
from pathlib import Path

import apsw

NOW_MS = 1_760_000_000_000
T_S = 1_750_000_000  # 2025-06-15 15:06:40 UTC
T_MS = T_S * 1000
T_TEXT = "2025-06-15 15:06:40"
T_ISO = "2025-06-15T15:06:40.000Z"

DDL_A = """
CREATE TABLE memory_entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, value TEXT NOT NULL,
  namespace TEXT NOT NULL DEFAULT 'default', metadata TEXT,
  created_at INTEGER DEFAULT (strftime('%s','now')),
  updated_at INTEGER DEFAULT (strftime('%s','now')),
  accessed_at INTEGER DEFAULT (strftime('%s','now')),
  access_count INTEGER DEFAULT 0, ttl INTEGER, expires_at INTEGER, UNIQUE(key, namespace));
CREATE INDEX idx_memory_namespace ON memory_entries(namespace);
CREATE INDEX idx_memory_expires ON memory_entries(expires_at) WHERE expires_at IS NOT NULL;
"""
DDL_A2 = (
    DDL_A
    + """
CREATE TABLE session_state (session_id TEXT PRIMARY KEY, state TEXT, last_activity INTEGER);
CREATE TABLE training_data (
  id INTEGER PRIMARY KEY AUTOINCREMENT, pattern_type TEXT, input_context TEXT,
  success_score REAL, timestamp INTEGER DEFAULT (strftime('%s','now')));
CREATE TABLE mcp_tool_usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT, tool_name TEXT NOT NULL, timestamp INTEGER);
"""
)
DDL_B = (
    DDL_A
    + """
CREATE TABLE patterns (
  id TEXT PRIMARY KEY, type TEXT NOT NULL, pattern_data TEXT NOT NULL,
  confidence REAL NOT NULL DEFAULT 0.5, usage_count INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, last_used TEXT);
CREATE TABLE pattern_embeddings (
  id TEXT PRIMARY KEY, model TEXT NOT NULL, dims INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE TABLE pattern_links (
  src_id TEXT NOT NULL, dst_id TEXT NOT NULL, relation TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (src_id, dst_id, relation));
CREATE TABLE metrics_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT, metric_name TEXT NOT NULL, value REAL NOT NULL,
  timestamp TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
"""
)
DDL_H1 = """
CREATE TABLE swarms (id TEXT PRIMARY KEY, name TEXT NOT NULL, objective TEXT,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME);
CREATE TABLE agents (id TEXT PRIMARY KEY, swarm_id TEXT, name TEXT NOT NULL, type TEXT NOT NULL,
  capabilities TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE messages (id TEXT PRIMARY KEY, swarm_id TEXT, agent_id TEXT, content TEXT NOT NULL,
  timestamp DATETIME DEFAULT CURRENT_TIMESTAMP);
"""
_DDL_HIVE = """
CREATE TABLE swarms (id TEXT PRIMARY KEY, name TEXT NOT NULL, objective TEXT,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME);
CREATE TABLE agents (id TEXT PRIMARY KEY, swarm_id TEXT NOT NULL, name TEXT NOT NULL,
  capabilities TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE collective_memory (id TEXT PRIMARY KEY, swarm_id TEXT, key TEXT NOT NULL, value TEXT,
  type TEXT DEFAULT 'knowledge', confidence REAL DEFAULT 1.0, created_by TEXT,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP, accessed_at DATETIME,
  access_count INTEGER DEFAULT 0, compressed INTEGER DEFAULT 0, size INTEGER DEFAULT 0);
CREATE TABLE session_checkpoints (id TEXT PRIMARY KEY, session_id TEXT NOT NULL,
  checkpoint_name TEXT NOT NULL, checkpoint_data TEXT,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE session_logs (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL,
  timestamp DATETIME DEFAULT CURRENT_TIMESTAMP, message TEXT, data TEXT);
"""
DDL_H2 = _DDL_HIVE + "CREATE UNIQUE INDEX idx_memory ON collective_memory(swarm_id, key);"
DDL_H3 = (
    _DDL_HIVE
    + """
CREATE TABLE knowledge_base (id TEXT PRIMARY KEY, swarm_id TEXT, title TEXT NOT NULL,
  content TEXT NOT NULL, tags TEXT DEFAULT '[]', source_agent_id TEXT,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE performance_metrics (id TEXT PRIMARY KEY, metric_name TEXT NOT NULL,
  metric_value REAL NOT NULL, timestamp DATETIME DEFAULT CURRENT_TIMESTAMP);
"""
)
DDL_M = """
CREATE TABLE memories (id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL,
  key TEXT NOT NULL, value TEXT NOT NULL, type TEXT DEFAULT 'knowledge',
  timestamp INTEGER NOT NULL, created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
  UNIQUE(namespace, key));
"""
DDL_R3 = """
CREATE TABLE memory_entries (id TEXT PRIMARY KEY, key TEXT NOT NULL,
  namespace TEXT DEFAULT 'default', content TEXT NOT NULL, type TEXT DEFAULT 'semantic',
  embedding TEXT, embedding_model TEXT DEFAULT 'local', embedding_dimensions INTEGER, tags TEXT,
  metadata TEXT, owner_id TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  expires_at INTEGER, last_accessed_at INTEGER, access_count INTEGER DEFAULT 0,
  status TEXT DEFAULT 'active', UNIQUE(namespace, key));
CREATE TABLE sessions (id TEXT PRIMARY KEY, state TEXT NOT NULL, created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, expires_at INTEGER);
CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at INTEGER);
"""
DDL_R3A = (
    DDL_R3
    + """
CREATE TABLE episodes (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER NOT NULL,
  session_id TEXT NOT NULL, task TEXT NOT NULL, metadata JSON, created_at INTEGER NOT NULL);
CREATE TABLE episode_embeddings (episode_id INTEGER PRIMARY KEY, embedding BLOB NOT NULL);
CREATE TABLE facts (id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER);
"""
)
DDL_S = """
CREATE TABLE memory_entries (id INTEGER PRIMARY KEY AUTOINCREMENT,
  memory_key TEXT UNIQUE NOT NULL, category TEXT NOT NULL, swarm_id TEXT, agent_name TEXT,
  session_id TEXT, data_hash TEXT NOT NULL, compressed_data BLOB, metadata TEXT,
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  expires_at TIMESTAMP, access_count INTEGER DEFAULT 0, last_accessed TIMESTAMP);
CREATE TABLE memory_operations (id INTEGER PRIMARY KEY AUTOINCREMENT,
  operation_type TEXT NOT NULL, memory_key TEXT, agent_name TEXT, operation_data TEXT,
  timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, success BOOLEAN DEFAULT TRUE);
"""


def connect(path: Path) -> apsw.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    return apsw.Connection(str(path))


def build(path: Path, ddl: str, rows: dict[str, list[dict]] | None = None) -> Path:
    """Make a database with these rows by table, without a WAL."""
    connection = connect(path)
    connection.execute(ddl)
    insert(connection, rows or {})
    connection.close()
    return path


def insert(connection: apsw.Connection, rows: dict[str, list[dict]]) -> None:
    with connection:
        for table, found in rows.items():
            for row in found:
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("?" for _ in row)
                connection.execute(
                    f'INSERT INTO "{table}" ({names}) VALUES ({marks})',  # noqa: S608 (our own names)
                    tuple(row.values()),
                )


def build_in_wal(path: Path, ddl: str, rows: dict[str, list[dict]]) -> Path:
    """Make a database of which everything but the empty header is in the `-wal`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    live = path.with_name("being-built.db")
    connection = apsw.Connection(str(live))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(ddl)
    insert(connection, rows)
    shutil.copy(live, path)
    shutil.copy(f"{live}-wal", f"{path}-wal")
    connection.close()
    live.unlink()
    return path


def entry(key: str, value: str = "text", namespace: str = "default", **columns: object) -> dict:
    """Return a row of A's memory_entries."""
    row = {"key": key, "value": value, "namespace": namespace}
    return {**row, "created_at": T_S, "updated_at": T_S + 60, **columns}


def entry_v3(
    key: str, content: str = "text", namespace: str = "default", **columns: object
) -> dict:
    """Return a row of R3's memory_entries."""
    row = {"id": f"entry_{namespace}_{key}", "key": key, "content": content}
    row |= {"namespace": namespace, "created_at": T_MS, "updated_at": T_MS + 60_000}
    return {**row, **columns}


def entry_python(key: str, data: object, **columns: object) -> dict:
    """Return a row of S's memory_entries."""
    text = json.dumps(data, default=str)
    return {
        "memory_key": key,
        "category": key.split("/")[0],
        "data_hash": hashlib.sha256(text.encode()).hexdigest(),
        "compressed_data": gzip.compress(text.encode()),
        "created_at": T_TEXT,
        "updated_at": T_TEXT,
        **columns,
    }


def compressed(value: object) -> str:
    return "__compressed__" + base64.b64encode(json.dumps(value).encode()).decode()


def tree(path: Path) -> dict[str, bytes]:
    """Return every file below `path` with its bytes."""
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }
