"use strict";
// Keeps a part of the page up to date. What the server sends is parsed as a page of its own, in which no script runs.
(() => {
  const pause = document.getElementById("pause");
  let paused = false;
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.textContent = paused ? "Go on with updates" : "Pause updates";
    });
  }

  async function fetched(url) {
    const answer = await fetch(url, { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }

  for (const box of document.querySelectorAll("[data-poll]")) {
    const again = async () => {
      if (!paused && !document.hidden) {
        try {
          const text = await (await fetched(box.dataset.poll)).text();
          if (!paused && text !== box.lastText) {
            const active = document.activeElement;
            const href = box.contains(active) ? active.getAttribute("href") : null;
            box.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
            box.lastText = text;
            if (href) {
              const same = [...box.querySelectorAll("a")].find((link) => link.getAttribute("href") === href);
              if (same) same.focus({ preventScroll: true });
            }
          }
          box.removeAttribute("data-lost");
        } catch {
          box.dataset.lost = "yes";
        }
      }
      setTimeout(again, Number(box.dataset.every) || 2000);
    };
    setTimeout(again, Number(box.dataset.every) || 2000);
  }

  for (const mark of document.querySelectorAll("[data-reload]")) {
    setInterval(async () => {
      if (paused || document.hidden) return;
      try {
        const state = await (await fetched(mark.dataset.reload)).json();
        const open = document.querySelector("details[open]") || document.querySelector("figure :focus");
        if (String(state.facts) !== mark.dataset.now && !open) location.reload();
      } catch { /* the server has ended; what is drawn stays */ }
    }, 8000);
  }
})();
