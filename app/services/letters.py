"""What mails say: the subject and the sentence of each kind of notification, and the letters made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import current_app, render_template

from app import tokens
from app.services.preferences import EVERY_KIND, SECURITY

MOST_LISTED = 100  # in one digest: who follows very many need not get a mail of megabytes
WORDS: dict[str, tuple[str, str]] = {
    "post_published": ("Your post is published: {title}", "Your post «{title}» is published."),
    "new_post": ("A new post: {title}", "{author} has published «{title}»."),
    "post_deleted": (
        "Your post was deleted: {title}",
        "An admin has put your post «{title}» into the trash, where it stays for 30 days.",
    ),
    "welcome": ("Welcome, {name}", "Your account is ready."),
    "new_follower": ("{actor} follows you", "{actor} follows you now."),
    "todo_due": ("Due: {task}", "Your todo «{task}» is due at {due}."),
    "password_changed": (
        "Your password was changed",
        "Your account has a new password, and its other sessions have ended. "
        "If that was not you, tell an admin at once.",
    ),
}


@dataclass(frozen=True)
class Letter:
    """A mail's subject and its two bodies. `unsubscribe`: where such mails can be switched off, if anywhere."""

    subject: str
    text: str
    html: str
    unsubscribe: str | None


def notice(user_id: int, kind: str, words: dict[str, str]) -> Letter:
    """The letter about one thing. `words`: `name`, and what the kind's sentence speaks of."""
    subject, sentence = (said.format(**words) for said in WORDS[kind])
    return _letter("notice", user_id, kind, subject, name=words["name"], sentence=sentence)


def digest(user_id: int, name: str, things: list[tuple[str, dict[str, str]]], total: int) -> Letter:
    """The letter about so many things, of which it lists these: each kind, and its words."""
    sentences = [WORDS[kind][1].format(**words) for kind, words in things]
    subject = f"{total} notifications" if total > 1 else sentences[0]
    more = total - len(sentences)
    return _letter("digest", user_id, EVERY_KIND, subject, name=name, sentences=sentences, more=more)


def _letter(template: str, user_id: int, kind: str, subject: str, **words: Any) -> Letter:
    url = None if kind in SECURITY else _unsubscribe_url(user_id, kind)
    text, html = (
        render_template(f"mail/{template}.{form}", subject=subject, unsubscribe=url, **words)
        for form in ("txt", "html")
    )
    return Letter(subject, text, html, url)


def _unsubscribe_url(user_id: int, kind: str) -> str | None:
    if not (public := current_app.config["PUBLIC_URL"]):
        return None
    routes = current_app.url_map.bind("")  # the routes say where it is: nothing below them knows
    return str(public).rstrip("/") + routes.build("unsubscribe", {"token": tokens.mint_unsubscribe(user_id, kind)})
