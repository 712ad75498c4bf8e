// A switch that acts at once: busy while the server decides, back where it was when the server refuses. Its part of the page
// may come anew meanwhile, which changes nothing of it.
const before = new WeakMap(); // by switch: how it stood
const control = (event) => event.target.closest?.("[data-switch-form]")?.querySelector(".switch");
const wait = (event) => {
  const input = control(event);
  if (!input) return;
  before.set(input, !input.checked);
  input.setAttribute("aria-busy", "true");
  input.setAttribute("hx-morph-skip", "");
};
const settle = (event) => {
  const input = control(event);
  input?.removeAttribute("aria-busy");
  input?.removeAttribute("hx-morph-skip");
};
const undo = (event) => {
  const input = control(event);
  if (input) input.checked = before.get(input);
};
document.addEventListener("htmx:before:request", wait);
document.addEventListener("htmx:finally:request", settle);
document.addEventListener("htmx:response:error", undo);
document.addEventListener("htmx:error", undo);
