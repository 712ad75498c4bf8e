const zone = (event) => event.target.closest?.("[data-drop]");

document.addEventListener("dragover", (event) => {
  if (!zone(event)) return;
  event.preventDefault();
  zone(event).classList.add("is-over");
});
document.addEventListener("dragleave", (event) => zone(event)?.classList.remove("is-over"));
document.addEventListener("drop", (event) => {
  const drop = zone(event);
  if (!drop) return;
  event.preventDefault();
  drop.classList.remove("is-over");
  const input = drop.querySelector("input");
  const files = new DataTransfer();
  [...event.dataTransfer.files].slice(0, input.multiple ? undefined : 1).forEach((file) => files.items.add(file));
  input.files = files.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});
document.addEventListener("change", (event) => {
  const names = [...(event.target.files ?? [])].map((file) => file.name);
  const drop = names.length && zone(event);
  if (!drop) return;
  drop.classList.remove("is-invalid");
  drop.querySelector("[data-drop-names]").textContent = names.join(", ");
});
document.addEventListener("change", (event) => {
  const form = event.target.files?.length && event.target.closest?.("form[data-send-on-choice]");
  if (form) form.requestSubmit(form.querySelector("[type=submit]"));
});
// Choosing sends, so the button is for choosing.
document.addEventListener("click", (event) => {
  const form = event.target.closest?.("form[data-send-on-choice] [type=submit]")?.form;
  const input = form?.querySelector("input[type=file]");
  if (!input || input.files.length) return;
  event.preventDefault();
  input.click();
});
