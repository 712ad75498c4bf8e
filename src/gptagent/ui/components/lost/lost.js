// A part that has words for it says that it could not be fetched, until it is: `data-live-lost`, hidden at first, with a
// button that asks once more, `data-live-again`.
const tellLost = ({ target }) => {
  if (!target.matches?.("[data-live-topic]")) return;
  target.querySelectorAll("[data-live-lost]").forEach((lost) => (lost.hidden = false));
};
document.addEventListener("htmx:response:error", tellLost);
document.addEventListener("htmx:error", tellLost);
document.addEventListener("click", (event) => {
  const part = event.target.closest("[data-live-again]")?.closest("[data-live-topic]");
  if (part) document.dispatchEvent(new CustomEvent("live:told", { detail: part.dataset.liveTopic.split(" ")[0] }));
});
