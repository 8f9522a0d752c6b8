"""What mails say: the subject and the text of each kind of notification."""

WORDS: dict[str, tuple[str, str]] = {
    "post_published": (
        "Your post is published: {title}",
        "Hello {name},\n\nyour post «{title}» is published.\n",
    ),
    "new_post": (
        "A new post: {title}",
        "Hello {name},\n\n{author} has published «{title}».\n",
    ),
    "post_deleted": (
        "Your post was deleted: {title}",
        "Hello {name},\n\nan admin has put your post «{title}» into the trash, where it stays for 30 days.\n",
    ),
    "welcome": (
        "Welcome, {name}",
        "Hello {name},\n\nyour account is ready.\n",
    ),
    "todo_due": (
        "Due: {task}",
        "Hello {name},\n\nyour todo «{task}» is due at {due}.\n",
    ),
    "password_changed": (
        "Your password was changed",
        "Hello {name},\n\nyour account has a new password, and its other sessions have ended.\n"
        "If that was not you, tell an admin at once.\n",
    ),
}
