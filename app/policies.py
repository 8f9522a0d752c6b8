"""Who may do what: pure functions (actor, thing) -> bool. This page answers «who may …?»"""

from __future__ import annotations

from app.models import Post, User, Webhook


def can_edit_post(actor: User, post: Post) -> bool:
    """Its author, and admins."""
    return actor.is_admin or post.user_id == actor.id


def can_see_trash(actor: User, post: Post) -> bool:
    """Its author, and admins."""
    return actor.is_admin or post.user_id == actor.id


def can_restore_post(actor: User, post: Post) -> bool:
    """Who put it into the trash, if it is his own; what somebody else put there, only admins bring back."""
    return actor.is_admin or (post.user_id == actor.id and post.deleted_by == actor.id)


def can_empty_blog(actor: User) -> bool:
    """Admins."""
    return actor.is_admin


def can_edit_user(actor: User, user: User) -> bool:
    """Oneself, and admins."""
    return actor.is_admin or user.id == actor.id


def can_delete_user(actor: User) -> bool:
    """Admins."""
    return actor.is_admin


def can_administer_users(actor: User) -> bool:
    """Admins."""
    return actor.is_admin


def can_refresh_statistics(actor: User) -> bool:
    """Admins."""
    return actor.is_admin


def can_edit_webhook(actor: User, webhook: Webhook) -> bool:
    """Its owner, and admins."""
    return actor.is_admin or webhook.user_id == actor.id


def can_hear_of_all(owner: User) -> bool:
    """Webhooks of admins."""
    return owner.is_admin


def can_give_role(actor: User | None, role: str) -> bool:
    """Anyone may be a user; only an admin makes admins."""
    return role == "user" or (actor is not None and actor.is_admin)


def can_set_password_freely(actor: User, user: User) -> bool:
    """An admin may set another's password without knowing the old one; his own he must know."""
    return actor.is_admin and actor.id != user.id
