// A form is sent once; its button says so. Focus goes to the first wrong field. Ctrl+S saves.
const release = (button) => {
  button.removeAttribute("aria-busy");
  button.style.minInlineSize = "";
  const label = button.querySelector(".btn__label");
  if (label && button.dataset.idle) label.textContent = button.dataset.idle;
};

const hold = (button) => {
  const label = button.querySelector(".btn__label");
  button.style.minInlineSize = `${button.offsetWidth}px`;
  button.setAttribute("aria-busy", "true");
  if (!label || !button.dataset.busy) return;
  button.dataset.idle = label.textContent;
  label.textContent = button.dataset.busy;
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if ([...form.elements].some((one) => one.matches("button[aria-busy=true]"))) {
    event.preventDefault();
    event.stopImmediatePropagation();
  } else if (event.submitter?.matches(".btn") && form.method === "post") {
    hold(event.submitter);
  }
}, true);

const releaseAll = (root) => root.querySelectorAll?.("button[aria-busy=true]").forEach(release);
document.addEventListener("htmx:finally:request", (event) => releaseAll(event.target));
// A page brought back by the browser's own cache still shows the button as it was left.
addEventListener("pageshow", (event) => event.persisted && releaseAll(document));

const focusFirstWrong = (root) => root.querySelector?.("[aria-invalid=true]")?.focus();
focusFirstWrong(document);
document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx.request?.method === "POST") focusFirstWrong(event.target);
});

document.addEventListener("keydown", (event) => {
  const save = document.querySelector("[data-save]");
  if (!save || event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  save.form.requestSubmit(save);
});

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.("[data-send-on-enter]") || event.key !== "Enter") return;
  if (event.shiftKey || event.isComposing) return;
  event.preventDefault();
  const { form, dataset } = event.target; // the button named, or the form's first one
  const send = document.getElementById(dataset.sendOnEnter) ?? form.querySelector("[type=submit]");
  if (!send.disabled) form.requestSubmit(send);
});
