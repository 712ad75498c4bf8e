// What somebody asked for, and waits for a while, shows its shape: the skeleton lies over the part (`data-part`), which
// keeps its height. A part that comes anew by itself keeps what it has.
const PATIENCE = 300;
const shape = document.querySelector("template[data-shape]");
const timers = new WeakMap();
const waits = new WeakMap(); // by part: the request that counts, the last one

const uncover = (part) => {
  clearTimeout(timers.get(part));
  part.removeAttribute("aria-busy");
  part.querySelector(":scope > [data-covers]")?.remove();
};

const cover = (part) => {
  part.setAttribute("aria-busy", "true");
  part.append(shape.content.cloneNode(true));
};

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const part = ctx.target;
  if (!shape || !part?.matches?.("[data-part]")) return;
  uncover(part);
  waits.set(part, ctx);
  timers.set(part, setTimeout(cover, PATIENCE, part));
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
  if (waits.get(ctx.target) === ctx) uncover(ctx.target);
});
