"""Alembic's scripts, inside the wheel; applied by `endcap.events.sqlite.migrate` on opening."""
