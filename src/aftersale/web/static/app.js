// What saves steps on pages that work without it: search everywhere, keys, choices that go at once.
(() => {
  // A field of a dialog that has just closed keeps the focus until the next frame.
  const typing = () => document.activeElement.matches("input:not([type=checkbox]), select, textarea") && document.activeElement.checkVisibility();
  const on = () => localStorage.getItem("keys") !== "off";
  const make = (tag, given = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), given);
    made.append(...inside);
    return made;
  };
  const goTo = path => () => {
    const link = [...document.querySelectorAll(".menu a")].find(a => a.pathname === path);
    if (link) link.click();
  };

  // --- search -----------------------------------------------------------------------------
  let palette, input, list, asked = 0;
  const rows = () => [...list.querySelectorAll("a")];
  const mark = next => {
    rows().forEach((row, n) => row.setAttribute("aria-selected", n === next));
    const row = rows()[next];
    input.setAttribute("aria-activedescendant", row ? row.id : "");
    if (row) row.scrollIntoView({ block: "nearest" });
  };
  const look = async () => {
    const mine = ++asked;
    const answer = await fetch("/search.json?q=" + encodeURIComponent(input.value));
    if (!answer.ok || mine !== asked) return;
    const { found } = await answer.json();
    list.replaceChildren(...found.map((one, n) => make("a",
      { href: one.address, id: "hit" + n, role: "option" },
      make("b", { textContent: one.title }), make("small", { textContent: one.kind + (one.text ? " · " + one.text : "") }))));
    list.hidden = !found.length;
    mark(0);
  };
  const open = () => {
    if (!palette) {
      input = make("input", { type: "search", autocomplete: "off", placeholder: "Search customers, orders, journeys, pages" });
      list = make("div", { id: "hits", hidden: true });
      list.setAttribute("role", "listbox");
      list.setAttribute("aria-label", "Found");
      for (const [key, value] of [["role", "combobox"], ["aria-label", "Search everything"], ["aria-controls", "hits"], ["aria-expanded", "true"]]) input.setAttribute(key, value);
      palette = make("dialog", { className: "palette" }, input, list);
      palette.setAttribute("aria-label", "Search");
      document.body.append(palette);
      input.addEventListener("input", look);
      input.addEventListener("keydown", event => {
        const at = rows().findIndex(row => row.getAttribute("aria-selected") === "true");
        const moves = { ArrowDown: at + 1, ArrowUp: at - 1 };
        if (event.key === "Escape") { event.preventDefault(); palette.close(); }
        if (event.key in moves) { event.preventDefault(); mark(Math.max(0, Math.min(moves[event.key], rows().length - 1))); }
        if (event.key === "Enter" && rows()[at]) { event.preventDefault(); rows()[at].click(); }
      });
      palette.addEventListener("click", event => { if (event.target === palette) palette.close(); });
    }
    input.value = "";
    palette.showModal();
    look();
  };

  // --- keys -------------------------------------------------------------------------------
  const KEYS = [
    ["?", "these keys", () => help()],
    ["/", "to the filter of the page, else to the search", () => (document.querySelector("main input[type=search]") || document.getElementById("q")).focus()],
    ["x", "compare, or not", () => { const s = document.getElementById("compare"); if (s) { s.value = s.value === "none" ? "previous" : "none"; s.form.submit(); } }],
    ["t", "light or dark", () => { const b = document.getElementById("theme"); if (b) b.click(); }],
    ["g o", "overview", goTo("/")],
    ["g c", "customers", goTo("/customers")],
    ["g s", "segments", goTo("/segments")],
    ["g j", "journeys", goTo("/journeys")],
    ["g m", "mailbox", goTo("/mailbox")],
    ["g h", "health", goTo("/health")],
  ];
  let shown;
  const help = () => {
    if (!shown) {
      const off = make("input", { type: "checkbox", checked: on() });
      off.addEventListener("change", () => localStorage.setItem("keys", off.checked ? "on" : "off"));
      const close = make("button", { className: "button", textContent: "Close" });
      close.addEventListener("click", () => shown.close());
      shown = make("dialog", { className: "keys" }, make("h2", { textContent: "Keys" }),
        make("dl", {}, ...[["Ctrl K", "search everything"], ["Esc", "close"], ...KEYS].flatMap(([key, words]) =>
          [make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: words })])),
        make("label", {}, off, " Keys of one letter are on"), close);
      shown.setAttribute("aria-label", "Keys");
      document.body.append(shown);
    }
    shown.showModal();
  };
  let before = "";
  document.addEventListener("keydown", event => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !on() || typing() || document.querySelector("dialog[open]")) return;
    const key = before ? before + " " + event.key : event.key;
    before = "";
    const found = KEYS.find(one => one[0] === key);
    if (found) { event.preventDefault(); found[2](); } else if (event.key === "g") before = "g";
  });

  // --- choices that go at once, and numbers that come while one writes -----------------------
  document.querySelectorAll("select[data-go]").forEach(select => select.addEventListener("change", () => select.form.submit()));
  document.querySelectorAll("[data-live]").forEach(field => {
    const target = document.getElementById(field.dataset.live);
    let wait, mine = 0;
    field.addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(async () => {
        const number = ++mine;
        const data = new URLSearchParams(new FormData(field.form));
        const answer = await fetch(field.form.action + "?" + data, { headers: { Accept: "text/html" } });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(target.id);
        if (number === mine && fresh) target.replaceChildren(...fresh.childNodes);
      }, 250);
    });
  });
  document.querySelectorAll("[data-poll]").forEach(box => {
    const again = async () => {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(box.id);
      if (!fresh) return;
      const said = document.getElementById(box.dataset.poll), now = page.getElementById(box.dataset.poll);
      if (said && now && said.textContent !== now.textContent) said.textContent = now.textContent;
      if (!box.contains(document.activeElement) || !fresh.dataset.poll) box.replaceChildren(...fresh.childNodes);
      else for (const part of ["progress", ".small"]) {
        const old = box.querySelector(part), other = fresh.querySelector(part);
        if (old && other) old.replaceWith(other);
      }
      if (fresh.dataset.poll) setTimeout(again, 1000);
    };
    setTimeout(again, 1000);
  });
})();
