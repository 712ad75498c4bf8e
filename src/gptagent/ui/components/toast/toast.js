// Messages go away after a while, not while they are read. When an answer cannot speak for itself, a template does.
const LIFETIME = 4000;
const LIMIT = 5;
const corner = document.getElementById("toasts");

const start = (toast) => {
  if (toast.dataset.toast === "stay") return;
  let timer = setTimeout(() => toast.remove(), LIFETIME);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => (timer = setTimeout(() => toast.remove(), LIFETIME)));
};

const failed = (name) => {
  const template =
    document.querySelector(`[data-failure="${name}"]`) ?? (name >= 500 && document.querySelector("[data-failure='500']"));
  if (template) corner.append(template.content.cloneNode(true));
};

corner.querySelectorAll("[data-toast]").forEach(start);
new MutationObserver((changes) => {
  changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.dataset?.toast !== undefined).forEach(start);
  while (corner.children.length > LIMIT) corner.firstElementChild.remove();
}).observe(corner, { childList: true });

document.addEventListener("click", (event) => event.target.closest("[data-toast-close]")?.closest("[data-toast]").remove());
// A part that already says in its place that it is lost needs no message: see lost.js.
const isTold = ({ target, response }) =>
  target?.querySelector?.(":scope > [data-lost], [data-stream-lost]:not([hidden])") ||
  (target?.matches?.("[data-autosave]") && !(response?.status < 429));
document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => isTold(ctx) || failed(ctx.response.status));
document.addEventListener("htmx:error", ({ detail: { ctx } }) => ctx && !isTold(ctx) && failed("network"));
