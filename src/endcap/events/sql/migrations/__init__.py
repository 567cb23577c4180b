"""Alembic's scripts, inside the wheel; applied by `endcap.events.sql.migrate` on opening."""
