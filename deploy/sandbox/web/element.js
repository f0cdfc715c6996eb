// The frame that holds the payment fields. It speaks only with the page that put it there.
"use strict";
(() => {
  const PARENT = decodeURIComponent(location.hash.slice(1));
  const $ = (id) => document.getElementById(id);
  const LABELS = {
    card: "Card", paypal: "PayPal", ideal: "iDEAL", bancontact: "Bancontact", eps: "EPS", p24: "Przelewy24",
    sepa_debit: "Bank debit", us_bank_account: "Bank account",
  };
  const HINTS = {
    card: "Card 4242 4242 4242 4242, any future date and security code.",
    sepa_debit: "IBAN AT61 1904 3002 3457 3201 is good, AT86 1904 3002 3547 3202 fails.",
    us_bank_account: "Routing number 110000000; account 000123456789 is good, 000222222227 fails.",
  };
  const VARIABLES = {
    colorPrimary: "--primary", colorBackground: "--background", colorText: "--text", colorTextSecondary: "--quiet",
    colorDanger: "--danger", fontFamily: "--font", fontSizeBase: "--size", borderRadius: "--radius",
  };
  const FIELDS = { card: ["number", "expiry", "cvc"], sepa_debit: ["iban"], us_bank_account: ["routing", "account"] };
  let state = { options: {}, methods: ["card"], access: {} };
  let chosen = "card";
  let configured = false;

  const tell = (message) => window.parent.postMessage(message, PARENT);
  const say = (name, detail) => tell({ type: "event", name, detail });

  // fields

  const number = () => Card.digits($("number").value);
  const CHECKS = {
    number: () => Card.numberError(number()),
    expiry: () => Card.expiryError($("expiry").value),
    cvc: () => Card.cvcError($("cvc").value, number()),
    iban: () => (/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(iban()) ? null : ["invalid_iban", "The IBAN you entered is invalid."]),
    routing: () => (/^\d{9}$/.test($("routing").value) ? null : ["invalid_routing", "Your routing number is incomplete."]),
    account: () => (/^\d{4,17}$/.test($("account").value) ? null : ["invalid_account", "Your account number is incomplete."]),
  };
  const iban = () => $("iban").value.replace(/\s/g, "").toUpperCase();
  const fields = () => FIELDS[chosen] || [];

  function show(field, problem) {
    $(`${field}-error`).textContent = problem ? problem[1] : "";
    if (problem) $(field).setAttribute("aria-invalid", "true");
    else $(field).removeAttribute("aria-invalid");
  }

  function validate() {
    const problems = fields().map((field) => [field, CHECKS[field]()]);
    for (const [field, problem] of problems) show(field, problem);
    const first = problems.find(([, problem]) => problem);
    if (!first) return { selected: chosen };
    $(first[0]).focus();
    return { error: { type: "validation_error", code: first[1][0], message: first[1][1] } };
  }

  function changed() {
    const complete = fields().every((field) => !CHECKS[field]());
    const empty = fields().every((field) => !$(field).value);
    say("change", { complete, empty: empty && chosen === "card", collapsed: false, value: { type: chosen } });
  }

  // Writes the value as cards are written, and keeps the caret behind the same digit.
  function rewrite(input, text) {
    const caret = input.selectionStart ?? input.value.length;
    const before = Card.digits(input.value.slice(0, caret)).length;
    const atEnd = caret === input.value.length;
    input.value = text;
    if (atEnd || document.activeElement !== input) return;
    let place = 0;
    for (let seen = 0; seen < before && place < text.length; place++) if (/\d/.test(text[place])) seen++;
    input.setSelectionRange(place, place);
  }

  const WRITERS = {
    number: (input) => {
      rewrite(input, Card.format(number()));
      const brand = Card.brand(number());
      $("brand").replaceChildren(brandMark(brand.name));
      $("brand").setAttribute("aria-label", brand.label);
      $("cvc").maxLength = brand.cvc;
    },
    expiry: (input, erasing) => rewrite(input, Card.formatExpiry(input.value, erasing)),
    cvc: (input) => rewrite(input, Card.digits(input.value).slice(0, 4)),
    iban: (input) => {
      if (input.selectionStart === input.value.length) input.value = iban().replace(/(.{4})(?=.)/g, "$1 ");
    },
    routing: (input) => rewrite(input, Card.digits(input.value).slice(0, 9)),
    account: (input) => rewrite(input, Card.digits(input.value).slice(0, 17)),
  };
  const NEXT = { number: "expiry", expiry: "cvc", routing: "account" };

  for (const [field, write] of Object.entries(WRITERS)) {
    const input = $(field);
    input.addEventListener("input", (event) => {
      write(input, event.inputType?.startsWith("delete"));
      const problem = CHECKS[field]();
      if (!problem) show(field, null);
      if (!problem && NEXT[field] && input.selectionStart === input.value.length && event.isTrusted) $(NEXT[field]).focus();
      changed();
    });
    input.addEventListener("blur", () => input.value && show(field, CHECKS[field]()));
    input.addEventListener("focus", () => say("focus", {}));
    input.addEventListener("keydown", (event) => event.key === "Escape" && say("escape", {}));
  }
  $("payment").addEventListener("submit", (event) => event.preventDefault());

  // pictures, drawn here: small marks, no trade mark's own artwork

  function svg(markup) {
    const parsed = new DOMParser().parseFromString(`<svg xmlns="http://www.w3.org/2000/svg" ${markup}</svg>`, "image/svg+xml");
    parsed.documentElement.setAttribute("aria-hidden", "true");
    return document.importNode(parsed.documentElement, true);
  }
  const MARKS = {
    visa: ["#1a3fae", "VISA"], amex: ["#0a5fa8", "AMEX"], discover: ["#a4460a", "DISC"], jcb: ["#0b6b3a", "JCB"],
    diners: ["#3c4b66", "DC"], unionpay: ["#0d5560", "UP"],
  };
  function brandMark(name) {
    const box = 'viewBox="0 0 38 24"><rect x=".5" y=".5" width="37" height="23" rx="4"';
    if (name === "mastercard")
      return svg(`${box} fill="#fff" stroke="#c3cad5"/><circle cx="15.5" cy="12" r="7" fill="#d81f26"/><circle cx="22.5" cy="12" r="7" fill="#f4a11d" fill-opacity=".9"/>`);
    const mark = MARKS[name];
    if (!mark) return svg(`${box} fill="none" stroke="#7d8899"/><path d="M0 7h38v4H0z" fill="#7d8899"/>`);
    return svg(`${box} fill="${mark[0]}"/><text x="19" y="16" text-anchor="middle" font-family="Arial, sans-serif" font-size="11" font-weight="700" fill="#fff">${mark[1]}</text>`);
  }
  const ICON = 'viewBox="0 0 24 20" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">';
  const ICONS = {
    card: `${ICON}<rect x="2" y="3" width="20" height="14" rx="2.5"/><path d="M2 8h20M6 13h4"/>`,
    sepa_debit: `${ICON}<path d="M2 8 12 2l10 6M4 8v8M9.3 8v8M14.7 8v8M20 8v8M2 18h20"/>`,
    us_bank_account: `${ICON}<path d="M2 8 12 2l10 6M4 8v8M9.3 8v8M14.7 8v8M20 8v8M2 18h20"/>`,
    other: `${ICON}<path d="M9 4H4a2 2 0 0 0-2 2v9a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3M13 2h8v8M21 2l-9 9"/>`,
  };

  // what the page asked for

  function choose(method) {
    chosen = method;
    $("card").hidden = method !== "card";
    $("bank").hidden = method !== "sepa_debit";
    $("us").hidden = method !== "us_bank_account";
    $("hint").hidden = !HINTS[method];
    $("hint-words").textContent = HINTS[method] || "";
    $("elsewhere").hidden = Boolean(FIELDS[method]);
    $("elsewhere").textContent = `You will go on to ${LABELS[method] || method} to approve the payment, and come back here.`;
    terms();
  }

  function terms() {
    const merchant = state.options.business?.name || "this merchant";
    const wanted = state.saves && state.options.terms?.card !== "never" && Boolean(FIELDS[chosen]);
    $("terms").hidden = !wanted;
    $("terms").textContent = `Your details are saved with the payment provider, so that ${merchant} can offer them for your future payments.`;
  }

  function option(method) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "method", value: method });
    const face = document.createElement("span");
    label.className = "method";
    input.checked = method === chosen;
    input.addEventListener("change", () => (choose(method), changed()));
    face.append(svg(ICONS[method] || ICONS.other), LABELS[method] || method);
    label.append(input, face);
    return label;
  }

  function dress({ theme, variables = {} } = {}) {
    const root = document.documentElement;
    for (const [name, property] of Object.entries(VARIABLES)) {
      if (variables[name]) root.style.setProperty(property, variables[name]);
      else root.style.removeProperty(property);
    }
    const dark = variables.colorBackground ? isDark(variables.colorBackground) : theme === "night" || isDark(state.surface);
    root.style.backgroundColor = state.surface;
    root.dataset.scheme = dark ? "dark" : "light";
    tell({ type: "scheme", scheme: root.dataset.scheme });
  }

  function isDark(color) {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = color;
    const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    probe.remove();
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110;
  }

  function configure(message) {
    state = message;
    if (!state.methods.includes(chosen)) chosen = state.methods[0];
    dress(state.options.appearance);
    $("methods").replaceChildren(...state.methods.map(option));
    $("choice").hidden = state.methods.length < 2;
    choose(chosen);
    $("payment").hidden = false;
    if (configured) return;
    configured = true;
    WRITERS.number($("number"));
    new ResizeObserver(() => tell({ type: "height", height: document.body.scrollHeight })).observe(document.body);
    say("ready", {});
  }

  // the payment method, made here so that no card number reaches the page

  function details() {
    if (chosen === "card") {
      const [month, year] = Card.expiry($("expiry").value);
      return { "card[number]": number(), "card[exp_month]": month, "card[exp_year]": year, "card[cvc]": $("cvc").value };
    }
    if (chosen === "us_bank_account") {
      return {
        "us_bank_account[routing_number]": $("routing").value, "us_bank_account[account_number]": $("account").value,
        "us_bank_account[account_holder_type]": "individual",
      };
    }
    return chosen === "sepa_debit" ? { "sepa_debit[iban]": iban() } : {};
  }

  async function createMethod(extra) {
    const invalid = validate();
    if (invalid.error) return invalid;
    const form = new URLSearchParams({ type: chosen, ...details(), ...flat(extra, "billing_details"), ...state.access });
    try {
      const answer = await (await fetch("/v1/payment_methods", { method: "POST", body: form })).json();
      return answer.error ? { error: answer.error } : { method: answer.id };
    } catch {
      return { error: { type: "api_connection_error", message: "We could not reach the payment provider. Please try again." } };
    }
  }

  function flat(value, name) {
    if (!value) return {};
    if (typeof value !== "object") return { [name]: value };
    return Object.assign({}, ...Object.entries(value).map(([key, inner]) => flat(inner, `${name}[${key}]`)));
  }

  const ANSWERS = {
    validate: () => validate(),
    "create-method": (message) => createMethod(message.details),
  };
  window.addEventListener("message", async (event) => {
    if (event.source !== window.parent || event.origin !== PARENT || !event.data) return;
    const { type, id } = event.data;
    if (type === "configure") configure(event.data);
    else if (type === "focus") (document.querySelector(".panel:not([hidden]) input") || $("methods").querySelector("input"))?.focus();
    else if (ANSWERS[type]) tell({ answers: id, ...(await ANSWERS[type](event.data)) });
  });
  tell({ type: "loaded" });
})();
