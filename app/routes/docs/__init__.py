"""The docs at /api/docs: Swagger UI, as RESTX ships it, in a page of our own that logs in."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, make_response, redirect, render_template, url_for
from flask_restx import Api
from werkzeug.wrappers import Response as WSGIResponse

docs = Blueprint(
    "docs", __name__, static_folder="static", static_url_path="/api/docs/static", template_folder="templates"
)


def init_app(app: Flask, api: Api) -> None:
    """Show the API's description in our page, and send who opens the root there."""
    app.register_blueprint(docs)

    def page() -> Response:
        """Swagger UI with a login; no script or style stands in it, so the policy needs no exception for any."""
        response = make_response(render_template("docs.html", title=api.title, description=api.specs_url))
        response.headers["Cache-Control"] = "no-cache"
        return response

    api.documentation(page)


@docs.route("/")
def root() -> WSGIResponse:
    """Nothing else is at the root."""
    return redirect(url_for("doc"))
