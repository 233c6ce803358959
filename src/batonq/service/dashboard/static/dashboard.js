/* Keeps a page up to date: the server sends the parts that changed, already escaped, as HTML. */
"use strict";
(function () {
  const box = document.querySelector("[data-stream]");
  if (!box || !window.EventSource) return;
  const words = box.querySelector("[role=status]");
  const button = box.querySelector("button");
  let source = null;
  let paused = false;
  let late = null;

  function say(text) {
    if (words.textContent !== text) words.textContent = text;
  }

  /* How to find an element again in the new copy of its part. */
  function handle(element) {
    if (element.id) return "#" + CSS.escape(element.id);
    if (element.tagName === "SUMMARY") return "#" + CSS.escape(element.parentElement.id) + " > summary";
    for (const name of ["data-key", "href", "aria-label"]) {
      const value = element.getAttribute(name);
      if (value) return "[" + name + "=\"" + CSS.escape(value) + "\"]";
    }
    return null;
  }

  /* News of parts that must not move now: by part, the latest. */
  const held = new Map();

  function release(part) {
    const html = held.get(part);
    held.delete(part);
    if (html !== undefined) replace(part, html);
  }

  function hold(part, html) {
    if (!held.has(part)) {
      part.addEventListener("focusout", () => setTimeout(() => release(part)), { once: true });
      part.addEventListener("mouseleave", () => release(part), { once: true });
    }
    held.set(part, html);
  }

  function replace(part, html) {
    const active = part.contains(document.activeElement) ? document.activeElement : null;
    const again = active && handle(active);
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    /* Not under the pointer where it matters, nor where what has the focus would be gone. */
    const pointed = part.hasAttribute("data-steady") && part.matches(":hover");
    const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
    const next = again && fresh.content.querySelector(again);
    const folded = next && next.tagName !== "SUMMARY" && next.closest("details");
    const lost = active && (!next || (folded && !open.includes(folded.id)));
    if (pointed || lost) {
      hold(part, html);
      return;
    }
    const scrolled = [...part.querySelectorAll(".scroll[aria-label]")]
      .filter((one) => one.scrollLeft > 0)
      .map((one) => [handle(one), one.scrollLeft]);
    held.delete(part);
    part.replaceChildren(fresh.content);
    for (const id of open) {
      const one = document.getElementById(id);
      if (one) one.open = true;
    }
    for (const [which, left] of scrolled) {
      const one = part.querySelector(which);
      if (one) one.scrollLeft = left;
    }
    if (next) next.focus({ preventScroll: true });
  }

  function heard() {
    say("live");
    clearTimeout(late);
    late = setTimeout(() => say("no news from the node"), 40000);
  }

  function connect() {
    source = new EventSource(box.dataset.stream);
    source.addEventListener("parts", (event) => {
      heard();
      for (const [name, html] of Object.entries(JSON.parse(event.data))) {
        const part = document.querySelector("[data-live=\"" + CSS.escape(name) + "\"]");
        if (part) replace(part, html);
      }
    });
    source.addEventListener("beat", heard);
    source.addEventListener("error", () => {
      clearTimeout(late);
      say("connection lost, trying again");
      if (source.readyState === EventSource.CLOSED) {
        /* The browser gives up on an error status: a session may have ended. */
        say("connection lost: load the page again");
      }
    });
  }

  function disconnect() {
    clearTimeout(late);
    if (source) source.close();
    source = null;
  }

  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume updates" : "Pause updates";
    if (paused) {
      disconnect();
      say("paused");
    } else {
      connect();
    }
  });
  /* A page that nobody sees asks for nothing. */
  document.addEventListener("visibilitychange", () => {
    if (paused) return;
    if (document.hidden) disconnect();
    else if (!source) connect();
  });
  box.hidden = false;
  say("connecting");
  connect();
})();
