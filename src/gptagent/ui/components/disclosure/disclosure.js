// Buttons that fold or unfold all disclosures of a part together. Without a script they are not shown.
for (const button of document.querySelectorAll("[data-fold]")) button.hidden = false;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fold]");
  if (!button) return;
  for (const one of button.closest("[data-folds]").querySelectorAll("details")) one.open = button.dataset.fold === "open";
});
