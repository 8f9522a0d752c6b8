"""The operator's commands: `flask --app run users|posts|cache|outbox|import|seed|doctor …`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo, with_appcontext
from marshmallow import ValidationError, fields, validate
from sqlalchemy.exc import SQLAlchemyError

from app import doctor, relay
from app.caching import cache, inspection, triggers
from app.errors import Problem
from app.extensions import db
from app.models.base import now
from app.schemas.base import BIGGEST_ID, Schema, Text
from app.services import imports, outbox, posts, users
from app.services.atomic import atomic
from app.services.manuscripts import Unfit


@contextmanager
def faults_as_a_line() -> Iterator[None]:
    """Faults of a command are a line on standard error and exit status 1."""
    try:
        yield
    except Problem as problem:
        details = "; ".join(f"{e.field}: {e.message}" for e in problem.errors)
        raise click.ClickException(details or problem.message) from None
    except ValidationError as error:
        details = "; ".join(f"{field}: {' '.join(said)}" for field, said in error.normalized_messages().items())
        raise click.ClickException(details) from None
    except (OSError, Unfit) as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise click.ClickException(f"the database says: {reason} (is DATABASE_URL right? migrated?)") from None


class Command(click.Command):
    """A command whose faults are a line, and that ends when what it has written shows on every host."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with faults_as_a_line():
            result = super().invoke(ctx)
        _settle(ctx)
        return result


class Commands(AppGroup):
    """Commands like `Command`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        with faults_as_a_line():
            result = super().invoke(ctx)
        _settle(ctx)
        return result


def _settle(ctx: click.Context) -> None:
    ctx.ensure_object(ScriptInfo).load_app().extensions["coherence"].settle()


users_group = Commands("users", help="Accounts.")
posts_group = Commands("posts", help="Posts.")
cache_group = Commands("cache", help="The cache and what keeps it coherent.")
outbox_group = Commands("outbox", help="What waits to be delivered.")


class NewUser(Schema):
    """What an operator may give; names and passwords have more rules, which are the service's."""

    username = Text(low=1, high=80, required=True)
    password = Text(low=8, high=128, required=True)
    email = fields.Email(allow_none=True, validate=validate.Length(max=254))


@users_group.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="With the role `admin`.")
@click.option("--email", help="Where to send mail.")
def create_user(name: str, admin: bool, email: str | None) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    data = NewUser().load({"username": name, "password": _password(), "email": email})
    with atomic():
        user = users.register(None, **data)
        if admin:
            users.promote(user.username)
    click.echo(f"{user.role} {user.username} has id {user.id}")


@users_group.command("promote")
@click.argument("name")
@click.option("--role", type=click.Choice(["admin", "user"]), default="admin", show_default=True)
def promote_user(name: str, role: str) -> None:
    """Give an account a role."""
    users.promote(name, role)
    click.echo(f"{name} is {role} now")


@users_group.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Shut an account; its sessions end at once."""
    users.set_disabled(name, True)
    click.echo(f"{name} is disabled")


@users_group.command("enable")
@click.argument("name")
def enable_user(name: str) -> None:
    """Open an account again."""
    users.set_disabled(name, False)
    click.echo(f"{name} is enabled")


@cache_group.command("check")
def check_triggers() -> None:
    """Compare the installed triggers with `app/caching/dependencies.py`."""
    with db.engine.connect() as connection:
        faults = triggers.faults(connection)
    if faults:
        raise click.ClickException("\n".join(faults))
    click.echo("the database moves the generations of all that becomes stale")


@cache_group.command("install")
def install_triggers() -> None:
    """Make the triggers anew (every migration does)."""
    with db.engine.begin() as connection:
        triggers.install(connection)
    click.echo("the triggers are as the page says")


@cache_group.command("rebase")
def rebase() -> None:
    """Give every slot a new generation, so that every entry is stale: after a restore from a dump."""
    with db.engine.begin() as connection:
        triggers.rebase(connection)
    click.echo("every cached answer is stale now")


@cache_group.command("show")
def show_cache() -> None:
    """How the cache is doing: mode, lease, far cache, hits by route."""
    state = inspection.overview(cache)
    routes, faults = state.pop("routes"), state.pop("faults")
    state.pop("near")  # this process's, which keeps nothing
    for name, value in state.items():
        said = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        click.echo(f"{name:6} {'-' if said is None else said}")
    for route in routes:
        click.echo(f"{route['hit_ratio']:7.2%} of {route['requests']:>9,} {route['route']}")
    for fault in faults:
        click.echo(f"fault  {fault}")


@cache_group.command("effects")
@click.argument("table")
@click.argument("event", type=click.Choice(["insert", "update", "delete"]), default="update")
@click.option("--column", "columns", multiple=True, help="That an update changes; none: all.")
@click.option("--id", type=click.IntRange(1), help="Of the row.")
def show_effects(table: str, event: str, columns: tuple[str, ...], id: int | None) -> None:
    """What a write would make stale, without doing it."""
    effects = inspection.effects(table, event, columns, id)
    for name, of in effects.items():
        for one in of:
            click.echo(f"{name:6} {one}")
    if not effects["tags"]:
        click.echo("nothing")


@cache_group.command("purge")
@click.argument("tags", nargs=-1, required=True)
def purge_cache(tags: tuple[str, ...]) -> None:
    """Make stale what depends on these tags: posts, post:17, user:42 …"""
    click.echo(f"{inspection.purge(tags)['slots']} slots have moved")


@outbox_group.command("relay")
def run_relay() -> None:
    """Publish the outbox to the broker until told to stop."""
    relay.run()


@outbox_group.command("status")
def outbox_status() -> None:
    """How many messages wait, are done, are given up, and for how long the oldest waits."""
    for state, count in outbox.counts().items():
        click.echo(f"{state:8} {count}")
    click.echo(f"{'oldest':8} {outbox.oldest_seconds():.0f} s")


@outbox_group.command("dead")
def list_dead() -> None:
    """What was given up: id, event, subscriber, attempts, and what went wrong last."""
    place = None
    while page := outbox.listed("dead", 100, place, False):
        for message in page.items:
            said = (message.last_error or "its worker died").replace("\n", " ")
            click.echo(f"{message.id} {message.event} {message.subscriber} {message.attempts} {said}")
        if page.next is None:
            break
        place = page.next["cursor"]


@outbox_group.command("replay")
@click.argument("ids", nargs=-1, type=click.IntRange(1, BIGGEST_ID))
def replay_outbox(ids: tuple[int, ...]) -> None:
    """Try anew what was given up, once its cause is mended: these, or all."""
    click.echo(f"{sum(outbox.replay(id) for id in ids or (None,))} messages begin anew")


@outbox_group.command("discard")
@click.argument("ids", nargs=-1, type=click.IntRange(1, BIGGEST_ID))
@click.option("--all", "everything", is_flag=True, help="Whatever was given up.")
def discard_outbox(ids: tuple[int, ...], everything: bool) -> None:
    """Delete what was given up: nobody will hear of it."""
    if bool(ids) == everything:
        raise click.UsageError("Which? Give ids, or --all.")
    click.echo(f"{sum(outbox.discard(id) for id in ids or (None,))} messages are discarded")


@posts_group.command("restore")
@click.option("--hours", type=click.IntRange(1, 720), default=720, show_default=True, help="Deleted in the last …")
def restore_posts(hours: int) -> None:
    """Bring posts back from the trash, but for those whose authors are gone."""
    click.echo(f"{posts.restore_since(now() - timedelta(hours=hours))} posts are back")


@click.command("import", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--as", "name", required=True, help="The user whose posts they become.")
@with_appcontext
def import_posts(paths: tuple[Path, ...], name: str) -> None:
    """Take Markdown files with YAML or TOML front matter as posts; a second run changes nothing."""
    user_id, outcomes = imports.author(name).id, []
    files = list(imports.found(paths))
    with click.progressbar(files, label="importing", file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
        for path, place in shown:
            outcomes.append(imports.take(user_id, path, place))
    for outcome in outcomes:
        if outcome.remark:
            click.echo(f"{outcome.state:9} {outcome.place}: {outcome.remark}")
    states = Counter(outcome.state for outcome in outcomes)
    click.echo(", ".join(f"{states[state]} {state}" for state in imports.STATES))


@click.command("seed", cls=Command)
@click.option("--posts", type=click.IntRange(0, 1_000_000), default=1000, show_default=True)
@click.option("--users", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed, the same content.")
@with_appcontext
def seed(posts: int, users: int, seed: int) -> None:
    """Make believable content for a development machine."""
    from app.services import seeds  # faker is not installed where nobody seeds

    with click.progressbar(length=posts, label="seeding", file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
        seeds.sow(posts, users, seed, shown.update)
    click.echo(f"{posts} posts of {users} users; their passwords nobody knows")


@click.command("doctor", cls=Command)
@with_appcontext
def examine() -> None:
    """Examine all that Broadsheet stands on; where anything is BAD the exit status is 1."""
    ill = False
    for is_bad, line in doctor.examine():
        click.echo(line)
        ill |= is_bad
    raise SystemExit(int(ill))


def init_app(app: Flask) -> None:
    """Register the commands."""
    for command in (users_group, posts_group, cache_group, outbox_group, import_posts, seed, examine):
        app.cli.add_command(command)


def _password() -> str:
    """Typed twice at a terminal; else the first line of standard input."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("password: is not UTF-8") from None
