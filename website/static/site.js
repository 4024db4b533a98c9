// Cards of terms: the sentence that defines a term, where it is used.
(() => {
  "use strict";

  // Excerpts of search results are fetched, which a page opened from disk may not do.
  if (typeof DOCUMENTATION_OPTIONS !== "undefined" && location.protocol === "file:") {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  }

  let card = null;

  const close = () => {
    card?.remove();
    card = null;
  };

  const open = (link) => {
    close();
    const entry = window.sparclTerms?.[decodeURIComponent(link.hash.slice(1))];
    if (!entry) return;
    card = document.createElement("div");
    card.className = "term-card";
    card.id = "term-card";
    card.setAttribute("role", "tooltip");
    card.innerHTML = entry.words;
    const where = document.createElement("p");
    where.className = "term-where";
    where.textContent = entry.where;
    card.append(where);
    document.body.append(card);
    link.setAttribute("aria-describedby", card.id);
    const place = () => {
      if (!card) return;
      const at = link.getClientRects()[0];
      const left = Math.min(at.left, document.documentElement.clientWidth - card.offsetWidth - 8);
      const below = at.bottom + card.offsetHeight + 8 < window.innerHeight;
      card.style.left = `${Math.max(8, left)}px`;
      card.style.top = `${below ? at.bottom + 4 : at.top - card.offsetHeight - 4}px`;
    };
    place();
    window.MathJax?.typesetPromise?.([card]).then(place);
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const word of document.querySelectorAll("a span.term")) {
      const link = word.closest("a");
      link.classList.add("term-link");
      link.addEventListener("mouseenter", () => open(link));
      link.addEventListener("focus", () => open(link));
      link.addEventListener("mouseleave", close);
      link.addEventListener("blur", close);
    }
    document.addEventListener("keydown", (event) => event.key === "Escape" && close());
    document.addEventListener("scroll", close, { passive: true });
  });
})();
