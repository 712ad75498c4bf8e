// An answer in the making: its words are shown while they come, and the finished thread takes their place. What is lost is
// said beside the words, and is asked for until it is there.
const listen = (part) => {
  if (part.dataset.streamOn) return;
  part.dataset.streamOn = "yes";
  const words = part.querySelector("[data-stream-text]");
  let source = null;
  let missed = 0;
  let isOver = false;
  const tell = (isLost) => part.querySelectorAll("[data-stream-lost]").forEach((lost) => (lost.hidden = !isLost));
  const comeAgain = () => {
    source.close();
    missed += 1;
    tell(true);
    setTimeout(open, Math.min(30_000, 1000 * 2 ** missed));
  };
  function open() {
    if (!part.isConnected) return;
    source = new EventSource(part.dataset.stream);
    source.addEventListener("open", () => {
      if (isOver) return; // what is lost is the finished thread
      missed = 0;
      tell(false);
    });
    source.addEventListener("error", () => {
      // The server ends each stream after a while, and the browser comes again: only what keeps failing is lost.
      if (source.readyState === EventSource.CLOSED) comeAgain();
      else if ((missed += 1) >= 3) tell(true);
    });
    source.addEventListener("draft", (event) => {
      words.textContent = JSON.parse(event.data).text;
    });
    source.addEventListener("over", () => {
      source.close();
      isOver = true;
      const thread = document.getElementById(part.dataset.streamTarget);
      htmx.ajax("GET", part.dataset.streamPart, { target: thread }).then(() => {
        if (part.isConnected) comeAgain(); // it could not be fetched
        else thread.querySelector("textarea")?.focus();
      });
    });
  }
  open();
  const leave = () => {
    source.close();
    delete part.dataset.streamOn; // a page that is brought back listens again
  };
  addEventListener("pagehide", leave, { once: true });
};
const listenAll = () => document.querySelectorAll("[data-stream]").forEach(listen);
document.addEventListener("htmx:after:swap", listenAll);
addEventListener("pageshow", listenAll);
listenAll();
