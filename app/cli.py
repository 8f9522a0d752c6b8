"""The operator's commands: `flask --app run users|cache|outbox …`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
from flask import Flask
from flask.cli import AppGroup

from app import relay
from app.caching import triggers
from app.errors import Problem
from app.extensions import db
from app.services import outbox, users
from app.services.atomic import atomic

users_group = AppGroup("users", help="Accounts.")
cache_group = AppGroup("cache", help="The cache and what keeps it coherent.")
outbox_group = AppGroup("outbox", help="What waits to be delivered.")


class Fault(click.ClickException):
    """One line on standard error, exit status 1."""

    def __init__(self, problem: Problem) -> None:
        details = "; ".join(f"{e.field}: {e.message}" for e in problem.errors)
        super().__init__(f"{problem.message}{': ' + details if details else ''}")


@users_group.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="With the role `admin`.")
@click.option("--email", help="Where to send mail.")
def create_user(name: str, admin: bool, email: str | None) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not 8 <= len(password) <= 128:
        raise click.ClickException("password: 8 to 128 characters")
    try:
        with atomic():
            user = users.register(None, username=name, password=password, email=email)
            if admin:
                users.promote(name)
    except Problem as problem:
        raise Fault(problem) from None
    click.echo(f"{'admin' if admin else 'user'} {user.username} has id {user.id}")


@users_group.command("promote")
@click.argument("name")
@click.option("--role", type=click.Choice(["admin", "user"]), default="admin", show_default=True)
def promote_user(name: str, role: str) -> None:
    """Give an account a role."""
    _set(lambda: users.promote(name, role), f"{name} is {role} now")


@users_group.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Shut an account; its sessions end at once."""
    _set(lambda: users.set_disabled(name, True), f"{name} is disabled")


@users_group.command("enable")
@click.argument("name")
def enable_user(name: str) -> None:
    """Open an account again."""
    _set(lambda: users.set_disabled(name, False), f"{name} is enabled")


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


@cache_group.command("rebase")
def rebase() -> None:
    """Give every slot a new generation, so that every entry is stale: after a restore from a dump."""
    with db.engine.begin() as connection:
        triggers.rebase(connection)
    click.echo("every cached answer is stale now")


@outbox_group.command("relay")
def run_relay() -> None:
    """Publish the outbox to the broker until told to stop."""
    relay.run()


@outbox_group.command("status")
def outbox_status() -> None:
    """How many messages wait, are done, are given up."""
    for state, count in outbox.counts().items():
        click.echo(f"{state:8} {count}")


def _set(change: Callable[[], object], done: str) -> None:
    try:
        change()
    except Problem as problem:
        raise Fault(problem) from None
    click.echo(done)


def init_app(app: Flask) -> None:
    """Register the commands."""
    for group in (users_group, cache_group, outbox_group):
        app.cli.add_command(group)
