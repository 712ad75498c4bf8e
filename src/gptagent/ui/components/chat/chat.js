// An answer in the making: its words are shown while they come, and the finished thread takes their place.
const listen = (part) => {
  if (part.dataset.streamOn) return;
  part.dataset.streamOn = "yes";
  const words = part.querySelector("[data-stream-text]");
  const source = new EventSource(part.dataset.stream);
  source.addEventListener("draft", (event) => {
    words.textContent = JSON.parse(event.data).text;
  });
  source.addEventListener("over", () => {
    source.close();
    const thread = document.getElementById(part.dataset.streamTarget);
    htmx.ajax("GET", part.dataset.streamPart, { target: thread }).then(() => thread.querySelector("textarea")?.focus());
  });
  addEventListener("pagehide", () => source.close());
};
const listenAll = () => document.querySelectorAll("[data-stream]").forEach(listen);
document.addEventListener("htmx:after:swap", listenAll);
addEventListener("pageshow", listenAll);
listenAll();
