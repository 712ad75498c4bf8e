// A single key takes the cursor to the button that names it, unless somebody types or the cursor is outside of the
// page's main part; Enter presses it. What a button is for may have changed a moment ago, so one key does nothing that
// cannot be undone. A link is followed, and pressed is a button that only puts words into a field. A summary unfolds, and its first field takes the cursor.
const typing = "input, textarea, select, [contenteditable], dialog, [popover]";
const isFree = () => {
  const at = document.activeElement;
  return at === document.body || (at.closest("#main") && !at.closest(typing));
};

document.addEventListener("keydown", (event) => {
  const field = event.key === "Escape" && document.querySelector("[data-keys-help]") && document.activeElement;
  if (field && field.matches("#main :is(textarea, input)")) field.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !isFree()) return;
  if (event.key === "?") return document.querySelector("[data-keys-help]")?.click();
  if (event.shiftKey) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.code)}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("a, [data-key-presses]")) return target.click();
  if (!target.matches("summary")) return target.focus();
  target.click();
  target.closest("details[open]")?.querySelector("textarea, input:not([type=hidden])")?.focus();
});
