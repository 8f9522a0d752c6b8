// The main job, as a frontend in TypeScript does it with the client that swagger-typescript-api makes from the
// description. test_typescript.py compiles it with `tsc --strict`, runs it, and reads what it prints.

import { Api, type HttpResponse, type PostV1, type PostV2, type ProblemV2, type TodoV2 } from "./api.js";

declare const process: { argv: string[] };

const baseUrl: string = given(process.argv[2]);
const person = { username: "alice", password: "correct horse battery" };

/** The value, which must be there. */
function given<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) {
    throw new Error("nothing was given");
  }
  return value;
}

/** A client that shows this token. */
function speakingAs(token: string): Api<string> {
  const api = new Api<string>({
    baseUrl,
    securityWorker: (token) => ({ headers: { Authorization: `Bearer ${given(token)}` } }),
  });
  api.setSecurityData(token);
  return api;
}

/** The error of a call that must fail. */
async function errorOf<T, E>(call: Promise<HttpResponse<T, E>>): Promise<E> {
  try {
    await call;
  } catch (response) {
    return (response as HttpResponse<T, E>).error;
  }
  throw new Error("it did not fail");
}

async function withV1(): Promise<object> {
  const stranger = new Api({ baseUrl });
  const account = (await stranger.v1.createUser({ ...person, role: "user", info: { age: 33, birth: null } })).data;
  const mobile: string | null | undefined = account.mobile;
  const login = (await stranger.v1.loginUser(person)).data;

  const alice = speakingAs(given(login.token));
  const post: PostV1 = (await alice.v1.createPost({ title: "Hello", content: "Words." })).data;
  const id: number = given(post.id);
  const listed: PostV1[] = (await alice.v1.listPosts({ user_id: account.id, per_page: 5 })).data;
  const changed = (await alice.v1.updatePost(id, { title: "Bye" })).data;
  const deleted = (await alice.v1.deletePost(id)).data;
  const gone = await errorOf(alice.v1.getPost(id));
  await alice.v1.logoutUser();
  const refused = await errorOf(alice.v1.createPost({ title: "Hello", content: "Words." }));
  return {
    mobile,
    listed: listed.map((each) => each.title),
    changed: [changed.title, changed.content],
    deleted: deleted.message,
    gone: gone.message,
    refused: refused.code,
  };
}

async function withV2(): Promise<object> {
  const stranger = new Api({ baseUrl });
  const login = (await stranger.v2.loginV2(person)).data;
  const fresh = (await stranger.v2.refreshV2({ refresh_token: given(login.refresh_token) })).data;

  const alice = speakingAs(given(fresh.access_token));
  const me = (await alice.v2.updateMeV2({ display_name: "Alice L." })).data;
  const posts: PostV2[] = [];
  for (const title of ["One", "Two", "Three"]) {
    posts.push((await alice.v2.createPostV2({ title, content: "Words.", tags: ["Python"] })).data);
  }
  const first = (await alice.v2.listPostsV2({ author: me.id, limit: 2, total: true, include: "author" })).data;
  const cursor: string = given(first.page?.next);
  const second = (await alice.v2.listPostsV2({ author: me.id, limit: 2, cursor })).data;
  const id: number = given(posts[0]?.id);
  const changed = (await alice.v2.updatePostV2(id, { title: "Uno" })).data;
  await alice.v2.deletePostV2(id);
  const trash = (await alice.v2.listTrashV2()).data;
  const gone: ProblemV2 = await errorOf(alice.v2.getPostV2(id));
  const todo: TodoV2 = (await alice.v2.createTodoV2({ task: "Buy ink", due_at: null })).data;
  const wrong: ProblemV2 = await errorOf(alice.v2.createTodoV2({ task: " " }));
  await alice.v2.logoutV2();
  return {
    author: first.items?.[0]?.author?.display_name,
    listed: [...(first.items ?? []), ...(second.items ?? [])].map((each) => each.title),
    total: first.page?.total,
    changed: [changed.title, changed.tags],
    trash: trash.items?.map((each) => [each.title, typeof each.deleted_at]),
    gone: [gone.status, gone.code],
    todo: [todo.task, todo.done, todo.due_at],
    wrong: wrong.errors?.map((each) => [each.field, each.code]),
  };
}

console.log(JSON.stringify({ v1: await withV1(), v2: await withV2() }));
