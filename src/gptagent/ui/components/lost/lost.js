// A part that could not be fetched says so in its place until it is. It asks once more by its button, and by itself as soon
// as the connection is back. Such a part is a live one, or has `data-part`: somebody asked for it, and what was typed stays.
const words = document.querySelector("template[data-lost-words]");
const asked = new WeakMap(); // by notice: how its part was asked for
const isPart = (part) => part?.matches?.("[data-live-topic], [data-part]");
const noticeIn = (part) => part.querySelector(":scope > [data-lost]");
// What is refused is not lost: toast.js has the words.
const isBroken = (response) => !response || response.status === 429 || response.status >= 500;

const tell = ({ detail: { ctx } }) => {
  const part = ctx?.target;
  if (!words || !isPart(part)) return;
  const before = noticeIn(part);
  const hadFocus = before?.contains(document.activeElement);
  before?.remove();
  if (!isBroken(ctx.response)) return;
  const notice = words.content.firstElementChild.cloneNode(true);
  asked.set(notice, { ...ctx }); // as it is now: what is not swapped in is marked as such in it
  part.prepend(notice);
  if (hadFocus) notice.querySelector("button").focus();
};

const askAgain = (notice) => {
  const part = notice.parentElement;
  const { request: { method, action }, sourceElement: source, swap } = asked.get(notice);
  const button = notice.querySelector("button");
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  if (part.dataset.liveTopic) part.dispatchEvent(new Event("live"));
  else htmx.ajax(method, action, { source, target: part, swap });
};
const heal = () => document.querySelectorAll("[data-lost]").forEach(askAgain);

document.addEventListener("htmx:response:error", tell);
document.addEventListener("htmx:error", tell);
addEventListener("online", heal);
document.addEventListener("live:up", heal);
document.addEventListener("click", ({ target }) => {
  const notice = target.closest("[data-again]")?.closest("[data-lost]");
  if (notice) askAgain(notice);
});
