"""What does the endpoint do that a team writes first: one row a request, with an ORM?

FastAPI validates the event, SQLAlchemy inserts it and commits, with the same durability as ours:
SQLite in WAL mode with full synchronisation. `python -m benchmarks.plain_server FILE PORT`.
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """Of the one table."""


class Row(Base):
    """An event as it came."""

    __tablename__ = "events"

    message_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    type: Mapped[str]
    name: Mapped[str]
    timestamp: Mapped[str]
    properties: Mapped[dict[str, Any]] = mapped_column(JSON)
    context: Mapped[dict[str, Any]] = mapped_column(JSON)


class Track(BaseModel):
    """A call of a tracking client."""

    messageId: str  # noqa: N815  # Segment's names
    userId: str  # noqa: N815
    type: str
    event: str
    timestamp: str
    properties: dict[str, Any]
    context: dict[str, Any]


def served(file: str) -> FastAPI:
    """The endpoint on an empty database."""
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    Base.metadata.create_all(engine)
    app = FastAPI()

    # One after the other: threads that wait for SQLite's lock would only be slower.
    @app.post("/v1/track")
    async def track(call: Track) -> dict[str, bool]:
        with Session(engine) as session:
            session.add(
                Row(
                    message_id=call.messageId,
                    user_id=call.userId,
                    type=call.type,
                    name=call.event,
                    timestamp=call.timestamp,
                    properties=call.properties,
                    context=call.context,
                )
            )
            session.commit()
        return {"success": True}

    return app


if __name__ == "__main__":
    uvicorn.run(served(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
