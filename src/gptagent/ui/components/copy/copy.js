document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  source.select();
  // The clipboard is closed to pages on plain http; the selected text can still be copied by hand.
  await navigator.clipboard?.writeText(source.value);
  const label = button.querySelector(".btn__label");
  const before = label.textContent;
  label.textContent = button.dataset.done;
  setTimeout(() => (label.textContent = before), 2000);
});
