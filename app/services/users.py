"""Users: register, change, delete, list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import exc, func, or_, select, update

from app import policies
from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, Taken, TryAgain, Unauthorized
from app.events import PasswordChanged, UserRegistered, emit
from app.extensions import db
from app.models import Follow, Post, User
from app.models.base import now
from app.services import passwords, sessions, usernames
from app.services.atomic import atomic, end_read
from app.services.page import Page, Place

Check = Callable[[Any], None]
LIVE = User.deleted_at.is_(None)
PASSWORD = frozenset({"password"})


def listed(page: int, per_page: int) -> Page:
    """All users, oldest first: two statements."""
    total = db.session.scalar(select(func.count()).select_from(User).where(LIVE)) or 0
    rows = select(User).where(LIVE).order_by(User.id).limit(per_page).offset((page - 1) * per_page)
    return Page.numbered(list(db.session.scalars(rows)), total, page, per_page)


def searched(
    actor: User, limit: int, cursor: Place | None, total: bool, role: str | None, disabled: bool | None
) -> Page:
    """All users with their data, oldest first, for admins: one statement, and one for the total.

    :raises Forbidden:
    """
    if not policies.can_administer_users(actor):
        raise Forbidden("Admin access required")
    rows = select(User).where(LIVE)
    if role is not None:
        rows = rows.where(User.role == role)
    if disabled is not None:
        rows = rows.where(User.disabled_at.is_not(None) if disabled else User.disabled_at.is_(None))
    return Page.placed(rows, [(User.id, False)], limit=limit, cursor=cursor, total=total)


def account(actor: User, user_id: int) -> User:
    """The user of this id with his data, for admins.

    :raises Forbidden, NotFound:
    """
    if not policies.can_administer_users(actor):
        raise Forbidden("Admin access required")
    return one(user_id)


def one(user_id: int) -> User:
    """The user of this id.

    :raises NotFound: there is none, or it was deleted.
    """
    user: User | None = db.session.scalar(select(User).where(User.id == user_id, LIVE))
    if user is None:
        raise NotFound("User not found")
    return user


def still_here(actor: User, *, alone: bool = False) -> None:
    """Hold the actor's row until the commit, so that he cannot be deleted while something is made in his name.

    :param alone: whoever else asks for this waits: of two requests that would make the same, one comes first.
    :raises Unauthorized: he was deleted or disabled since the guard let him in.
    """
    living = select(User.id).where(User.id == actor.id, LIVE, User.disabled_at.is_(None))
    if db.session.scalar(living.with_for_update(read=not alone, key_share=True)) is None:
        raise Unauthorized("Token has been revoked", code="revoked_token")


def hold(user_id: int) -> None:
    """Hold this user's row until the commit, so that he cannot be deleted meanwhile.

    :raises NotFound: there is none, or it was deleted.
    """
    living = select(User.id).where(User.id == user_id, LIVE)
    if db.session.scalar(living.with_for_update(read=True, key_share=True)) is None:
        raise NotFound("User not found")


def register(
    actor: User | None, *, username: str, password: str, role: str = "user", easy: bool = False, **data: Any
) -> User:
    """Make an account. `easy` lets a password pass that is easy to guess.

    :raises Forbidden: `role` is more than the actor may give.
    :raises Invalid: the name or the password is not good enough.
    :raises Taken: the name is in use.
    """
    _check_role(actor, role)
    name = _name(username)
    _check_password(password, name, easy)
    if usernames.owner(name):
        raise Taken("username", "Username already exists")
    end_read()
    password_hash = passwords.hash_of(password)
    with atomic():
        _check_role(actor, role)  # who was an admin before the hash was made
        user = User(username=name, username_key=usernames.key(name), password_hash=password_hash, role=role, **data)
        db.session.add(user)
        _flush_name()
        emit(UserRegistered(user.id))
    return user


def change(
    actor: User,
    user_id: int,
    check: Check,
    *,
    session_id: str | None,
    easy: bool = False,
    guarded: frozenset[str] = PASSWORD,
    **data: Any,
) -> User:
    """Change what is given of `username`, `password`, `role`, the personal data and the profile.

    `check` is given the user before. What is `guarded` needs `current_password` too. A new password ends the user's
    sessions other than `session_id`; `easy` lets it be easy to guess.

    :raises Forbidden, NotFound, Invalid, Taken, Conflict: the last admin cannot be demoted. And what `check` raises.
    """
    password_hash, known = _confirmed(actor, user_id, easy, guarded, data)
    with atomic():
        admins = _held_admins() if "role" in data else []
        user = _held(actor, user_id)
        if not policies.can_edit_user(actor, user):
            raise Forbidden("You can only edit your own account unless you are an admin")
        check(user)
        if known not in (None, user.password_hash):
            raise TryAgain  # another new password came first: `current_password` was checked against the old one
        if "role" in data:
            _change_role(actor, user, data.pop("role"), admins)
        if "username" in data:
            user.username = _name(data.pop("username"))
            user.username_key = usernames.key(user.username)
            _flush_name()
        for name, value in data.items():
            setattr(user, name, value)
        if password_hash is not None:
            user.password_hash = password_hash
            sessions.revoke_all(user.id, keep=session_id if actor.id == user.id else None)
            emit(PasswordChanged(user.id))
    return user


def delete(actor: User, user_id: int, check: Check) -> None:
    """Delete an account: it and its posts go to the trash, its sessions end, its name is free again.

    :raises Forbidden, NotFound, Conflict: the last admin cannot be deleted. And what `check` raises.
    """
    with atomic():
        admins = _held_admins()
        user = _held(actor, user_id)
        if not policies.can_delete_user(actor):
            raise Forbidden("Admin access required")
        check(user)
        _keep_one_admin(user, admins)
        user.deleted_at = now()
        user.username_key = None
        trash = update(Post).where(Post.user_id == user.id, Post.deleted_at.is_(None))
        db.session.execute(trash.values(deleted_at=user.deleted_at, deleted_by=actor.id))
        either = or_(Follow.follower_id == user.id, Follow.followed_id == user.id)
        db.session.execute(delete_rows(Follow).where(either))
        sessions.revoke_all(user.id)


def promote(username: str, role: str = "admin") -> User:
    """Give a user a role, from the command line.

    :raises NotFound, Conflict: the last admin cannot be demoted.
    """
    with atomic():
        admins = _held_admins()
        user = _named(username)
        if role != "admin":
            _keep_one_admin(user, admins)
        user.role = role
    return user


def set_disabled(username: str, disabled: bool) -> User:
    """Shut an account, which ends its sessions at once, or open it again; from the command line.

    :raises NotFound, Conflict: the last admin cannot be shut out.
    """
    with atomic():
        admins = _held_admins()
        user = _named(username)
        _set_disabled(user, disabled, admins)
    return user


def administer(
    actor: User, user_id: int, check: Check, *, role: str | None = None, disabled: bool | None = None
) -> User:
    """Give a user a role, shut his account or open it again. `check` is given the user before.

    :raises Forbidden, NotFound, Conflict: the last admin can be neither demoted nor shut out. And what `check` raises.
    """
    with atomic():
        admins = _held_admins()
        user = _held(actor, user_id)
        if not policies.can_administer_users(actor):
            raise Forbidden("Admin access required")
        check(user)
        if role is not None:
            _change_role(actor, user, role, admins)
        if disabled is not None:
            _set_disabled(user, disabled, admins)
    return user


def _named(username: str) -> User:
    user = usernames.owner(username)
    if user is None:
        raise NotFound("User not found")
    return user


def _set_disabled(user: User, disabled: bool, admins: list[int]) -> None:
    if not disabled:
        user.disabled_at = None
    elif user.disabled_at is None:
        _keep_one_admin(user, admins)
        user.disabled_at = now()
        sessions.revoke_all(user.id)


def _name(username: str) -> str:
    try:
        name = usernames.enforce(username)
        usernames.key(name)
    except ValueError:
        message = f"At most {usernames.LONGEST} letters, digits and -_.@+ in any script, without spaces"
        raise Invalid("Invalid username", errors=(FieldError("username", "invalid", message),)) from None
    return name


def _check_password(password: str, username: str, easy: bool) -> None:
    if not easy and (fault := passwords.fault(password, username)):
        raise Invalid("Password too weak", errors=(FieldError("password", "too_weak", f"The password {fault}"),))


def _flush_name() -> None:
    """Let the database say whether the name is taken, whoever registers it at the same time."""
    try:
        db.session.flush()
    except exc.IntegrityError as error:
        if "username_key" in str(error.orig):
            raise Taken("username", "Username already exists") from error
        raise


def _confirmed(
    actor: User, user_id: int, easy: bool, guarded: frozenset[str], data: dict[str, Any]
) -> tuple[str | None, str | None]:
    """Check `current_password` and hash the new one: before the transaction, since bcrypt takes a while.

    What is guarded and is the same as it was is not written, and needs nothing.

    :return: the new hash, and the old one that the check was made against; None where there is none.
    """
    given = guarded & data.keys()
    current, password = data.pop("current_password", None), data.pop("password", None)
    if not given:
        return None, None
    user = one(user_id)
    if not policies.can_edit_user(actor, user):
        raise Forbidden("You can only edit your own account unless you are an admin")
    same = {name for name in given - PASSWORD if getattr(user, name) == data[name]}
    for name in same:
        del data[name]
    if given == same:
        return None, None
    if password is not None:
        _check_password(password, data.get("username", user.username), easy)
    free, known = policies.can_set_password_freely(actor, user), user.password_hash
    end_read()
    if not free and not passwords.matches(current or "", known):
        wrong = FieldError("current_password", "wrong", "The current password is needed, and right")
        raise Invalid("Current password is wrong", errors=(wrong,))
    return passwords.hash_of(password) if password is not None else None, known


def _check_role(actor: User | None, role: str) -> None:
    if not policies.can_give_role(actor, role):
        raise Forbidden("Admin access required")


def _change_role(actor: User, user: User, role: str, admins: list[int]) -> None:
    if role == user.role:
        return
    _check_role(actor, role)
    if role != "admin":
        _keep_one_admin(user, admins)
    user.role = role


def _held(actor: User, user_id: int) -> User:
    """The user, held until the commit. Only then is the actor read: of two who shut each other out, one comes first."""
    user: User | None = db.session.scalar(select(User).where(User.id == user_id, LIVE).with_for_update())
    if actor.deleted_at or actor.disabled_at:
        raise Unauthorized("Token has been revoked", code="revoked_token")
    if user is None:
        raise NotFound("User not found")
    return user


def _held_admins() -> list[int]:
    """The living admins' ids. Held first and in their order, so that two who demote each other meet here."""
    living = select(User.id).where(User.role == "admin", LIVE, User.disabled_at.is_(None))
    return list(db.session.scalars(living.order_by(User.id).with_for_update()))


def _keep_one_admin(user: User, admins: list[int]) -> None:
    if admins == [user.id]:
        raise Conflict("The last admin cannot be deleted, demoted or disabled", code="last_admin")
