// An editor saves itself a moment after the last change: the element with `data-autosave` sends its form and says how that
// went. What is changed meanwhile is sent next. A button that is pressed meanwhile waits for the answer, which brings the
// signs that its own request goes by; from then on, and once a colleague is in the way, nothing is sent by itself.
const status = document.querySelector("[data-autosave]");
const form = status?.closest("form");
const FOR_GOOD = [401, 403, 404, 409];
let changes = 0;
let sent = 0; // how many of them are in what was sent last
let isBusy = false;
let isOver = false;
let pressed = null;

const tellLost = () => (status.textContent = status.dataset.autosave);

// What was refused before is right now; a field that is kept apart is not part of it.
const clean = () => {
  document.querySelectorAll("[data-until-kept]").forEach((one) => one.remove());
  form.querySelectorAll("[aria-invalid]:not([data-apart])").forEach((one) => {
    one.removeAttribute("aria-invalid");
    document.getElementById(`${one.id || one.name}-error`)?.remove();
  });
};

form?.addEventListener("input", ({ target }) => target !== form && (changes += 1));
status?.addEventListener("htmx:before:request", (event) => {
  if (isOver) return event.preventDefault();
  isBusy = true;
  sent = changes;
});
status?.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  isOver ||= FOR_GOOD.includes(ctx.response.status);
  if (![409, 422].includes(ctx.response.status)) tellLost();
});
status?.addEventListener("htmx:error", tellLost);
status?.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => ctx.response.status === 200 && clean());
status?.addEventListener("htmx:finally:request", () => {
  const [wasSent, button] = [isBusy, pressed];
  isBusy = false;
  pressed = null;
  if (button) {
    button.ariaBusy = null;
    form.requestSubmit(button);
  } else if (wasSent && changes !== sent) form.dispatchEvent(new Event("input"));
});

addEventListener("submit", (event) => {
  if (!form || event.target !== form) return;
  if (!isBusy) return void (isOver = true);
  event.preventDefault();
  event.stopImmediatePropagation();
  pressed = event.submitter;
  pressed.ariaBusy = "true";
}, true); // before the button is held
addEventListener("pageshow", (event) => event.persisted && (isOver = false));
