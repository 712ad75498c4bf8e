// A switch that acts at once: busy while the server decides, back where it was when the server refuses.
const control = (event) => event.target.closest?.("[data-switch-form]")?.querySelector(".switch");
const wait = (event) => control(event)?.setAttribute("aria-busy", "true");
const undo = (event) => {
  const input = control(event);
  if (input) input.checked = !input.checked;
};
document.addEventListener("htmx:before:request", wait);
document.addEventListener("htmx:finally:request", (event) => control(event)?.removeAttribute("aria-busy"));
document.addEventListener("htmx:response:error", undo);
document.addEventListener("htmx:error", undo);
