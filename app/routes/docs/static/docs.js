// Swagger UI as a client of both versions, with a login on top that fills it.

const main = document.getElementById("swagger-ui");
const form = document.getElementById("login");
const AUTH = new URL("v2/auth/", new URL(main.dataset.description, location.href));
const SCHEME = "jwt"; // its name in the description

// Swagger UI keeps the access token in localStorage under this name. It lives 15 minutes.
const AUTHORIZED = "authorized";
const LOGIN = "broadsheet.login"; // localStorage too: whose token that is and when it ends; nothing, if it was pasted
// The refresh token lives 30 days. sessionStorage ends with its tab and is shared with no other, so that the token is
// not left behind on a machine of many, nor used by two tabs, which the API would take for theft.
const REFRESH = "broadsheet.refresh_token";

const stored = (name) => JSON.parse(localStorage.getItem(name) ?? "null");
const token = () => stored(AUTHORIZED)?.[SCHEME]?.value;
const bearer = (value) => `Bearer ${value.trim().replace(/^bearer\s+/i, "")}`;
const hasExpired = () => Date.now() >= (stored(LOGIN)?.expires_at ?? Infinity);
const isIn = () => Boolean(token()) && !(hasExpired() && !sessionStorage.getItem(REFRESH));

function say(text) {
  document.getElementById("message").textContent = text;
}

function show() {
  const login = stored(LOGIN);
  form.hidden = isIn();
  document.getElementById("in").hidden = !isIn();
  document.getElementById("who").textContent = login ? `Logged in as ${login.name}` : "With a pasted token";
}

function post(name, body, authorization) {
  const headers = { "Content-Type": "application/json", ...(authorization && { Authorization: authorization }) };
  return fetch(new URL(name, AUTH), { method: "POST", headers, body: body && JSON.stringify(body) });
}

// Who is in is forgotten first by every change of the token, then told anew where it is our own login.
function enter(name, { access_token, expires_in, refresh_token }) {
  const schema = ui.specSelectors.securityDefinitions().get(SCHEME);
  ui.authActions.authorizeWithPersistOption({ [SCHEME]: { name: SCHEME, schema, value: access_token } });
  localStorage.setItem(LOGIN, JSON.stringify({ name, expires_at: Date.now() + expires_in * 1000 }));
  sessionStorage.setItem(REFRESH, refresh_token);
  show();
}

function forget() {
  localStorage.removeItem(LOGIN);
  sessionStorage.removeItem(REFRESH);
}

async function logIn(event) {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(form));
  const button = form.querySelector("button");
  button.disabled = true;
  say("");
  const answer = await post("login", { username, password }).catch(() => null);
  const content = await answer?.json().catch(() => null); // a proxy's own error is no JSON
  button.disabled = false;
  if (answer?.ok && content) {
    enter(username, content);
    form.reset();
    document.getElementById("logout").focus();
  } else {
    say(content?.detail ?? "The server does not answer.");
    form.elements.password.select();
  }
}

// Ends the session that this page began; a token that was pasted belongs to somebody else and is only forgotten.
async function endSession() {
  if (!stored(LOGIN)) return;
  let last = token();
  const expired = hasExpired();
  const refresh_token = sessionStorage.getItem(REFRESH);
  forget();
  try {
    if (expired && refresh_token) {
      const answer = await post("refresh", { refresh_token });
      if (answer.ok) last = bearer((await answer.json()).access_token);
    }
    await post("logout", undefined, last);
  } catch {
    say("Logged out here, but the server does not answer: there the session goes on.");
  }
}

async function refresh() {
  const refresh_token = sessionStorage.getItem(REFRESH);
  const answer = refresh_token && (await post("refresh", { refresh_token }));
  if (sessionStorage.getItem(REFRESH) !== refresh_token) return; // logged out meanwhile
  if (answer?.ok) return enter(stored(LOGIN).name, await answer.json());
  if (answer && (answer.status >= 500 || answer.status === 429)) return; // it may work the next time
  sessionStorage.removeItem(REFRESH);
  show();
  say("Your session has ended: log in again.");
}

let refreshing = null; // one at a time: a refresh token is good for one use

async function withLivingToken(request) {
  if (request.headers?.Authorization && hasExpired()) {
    refreshing ??= refresh().finally(() => (refreshing = null));
    await refreshing;
    request.headers.Authorization = token() ?? request.headers.Authorization;
  }
  return request;
}

const METHODS = ["get", "post", "put", "patch", "delete"];

// The description's own order differs from one start of the server to the next.
function byPathAndMethod(one, other) {
  const rank = (operation) => `${operation.get("path")} ${METHODS.indexOf(operation.get("method"))}`;
  return rank(one) < rank(other) ? -1 : 1;
}

const following = {
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (authorize) => (given) => {
          const value = given[SCHEME]?.value?.trim();
          if (!value) return;
          forget();
          say("");
          authorize({ ...given, [SCHEME]: { ...given[SCHEME], value: bearer(value) } });
        },
        logout: (logout) => (names) => {
          endSession();
          logout(names);
        },
        persistAuthorizationIfNeeded: (persist) => () => {
          persist();
          show();
        },
      },
    },
  },
};

const ui = SwaggerUIBundle({
  domNode: main,
  url: main.dataset.description,
  validatorUrl: null, // the default is another host
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [following],
  onComplete: show, // not before: to log in needs the description
  requestInterceptor: withLivingToken,
  persistAuthorization: true,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  operationsSorter: byPathAndMethod,
  showCommonExtensions: true,
  tryItOutEnabled: true,
});

form.addEventListener("submit", logIn);
document.getElementById("logout").addEventListener("click", () => {
  ui.authActions.logoutWithPersistOption([SCHEME]);
  form.elements.username.focus();
});

// Another tab has logged in, refreshed or logged out: its refresh token is the one that counts.
addEventListener("storage", ({ key }) => {
  if (key === AUTHORIZED) {
    sessionStorage.removeItem(REFRESH);
    ui.authActions.restoreAuthorization({ authorized: stored(AUTHORIZED) ?? {} });
  }
  show();
});
