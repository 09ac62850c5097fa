"""Takes values out of the database's error texts: errors are logged, and values are data."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine

# Classes of SQLSTATE whose message names tables, constraints and our own triggers' sentences only.
NAMING_CLASSES: Final = ("23", "25", "40", "42", "53", "55", "57", "P0")
HIDDEN: Final = "the database refused a value; its words are left out, since they repeat it"


def hide_values(engine: AsyncEngine) -> None:
    """Keep rows and parameters out of every error that this engine raises.

    The engine must be made with `hide_parameters=True`, which covers what SQLAlchemy itself adds.
    What stays is the statement, the SQLSTATE's class of error and the names in it.
    """
    event.listen(engine.sync_engine, "handle_error", _redact)


def _redact(context: ExceptionContext) -> None:
    wrapper, adapted = context.sqlalchemy_exception, context.original_exception
    if wrapper is None:
        return
    state = getattr(adapted, "sqlstate", None) or ""
    cause = adapted.__cause__
    # asyncpg's own error is the cause; the adapter only repeats it.
    source = adapted if cause is None else cause
    message = str(source.args[0]) if source.args else ""
    if not state.startswith(NAMING_CLASSES) and not context.is_disconnect:
        message = HIDDEN
    text = f"{type(source).__name__}{f' {state}' if state else ''}: {message}"
    wrapper.args = adapted.args = (text,)
    if cause is not None:
        cause.args = (message,)
        # asyncpg prints these after the message, and they hold whole rows and keys.
        for extra in ("detail", "hint"):
            setattr(cause, extra, None)
