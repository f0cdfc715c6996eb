// The sandbox's stand-in for Stripe.js: the same names and promises for what a payment page needs.
// Card fields never live in the page: they stand in a frame of the sandbox's own origin.
(() => {
  "use strict";
  const ORIGIN = new URL(document.currentScript.src).origin;
  const DONE = ["succeeded", "processing", "requires_capture"];
  const KINDS = {
    payment_intent: { path: "payment_intents", name: "paymentIntent", error: "last_payment_error" },
    setup_intent: { path: "setup_intents", name: "setupIntent", error: "last_setup_error" },
  };
  const AUTHENTICATION_FAILED =
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.";

  class IntegrationError extends Error {
    constructor(message) {
      super(message);
      this.name = "IntegrationError";
    }
  }

  function flatten(value, name, into) {
    if (value === undefined || value === null) return into;
    if (typeof value !== "object") into.append(name, String(value));
    else for (const [key, inner] of Object.entries(value)) flatten(inner, name ? `${name}[${key}]` : key, into);
    return into;
  }

  // Talks to one of our frames; hears only that frame, and only from the sandbox's origin.
  class Channel {
    constructor(frame, onMessage) {
      this.frame = frame;
      this.asked = new Map();
      this.listener = (event) => {
        if (event.origin !== ORIGIN || event.source !== frame.contentWindow || !event.data) return;
        const waiting = this.asked.get(event.data.answers);
        if (!waiting) return onMessage(event.data);
        this.asked.delete(event.data.answers);
        waiting(event.data);
      };
      window.addEventListener("message", this.listener);
    }
    send(message) {
      this.frame.contentWindow?.postMessage(message, ORIGIN);
    }
    ask(message) {
      const id = crypto.randomUUID();
      return new Promise((resolve) => {
        this.asked.set(id, resolve);
        this.send({ ...message, id });
      });
    }
    close() {
      window.removeEventListener("message", this.listener);
    }
  }

  function makeFrame(url, title) {
    const frame = document.createElement("iframe");
    frame.src = url;
    frame.title = title;
    Object.assign(frame.style, { border: "0", width: "100%", display: "block", background: "transparent" });
    return frame;
  }

  // The colour that the page has behind the element: the frame is given the same.
  function surface(place) {
    for (let node = place; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (!/^rgba\(.*, 0\)$|^transparent$/.test(color)) return color;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark")
      ? "#121212"
      : "#ffffff";
  }

  class PaymentElement {
    constructor(elements, options) {
      this.elements = elements;
      this.options = options || {};
      this.handlers = new Map();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.configure());
    }
    mount(target) {
      const place = typeof target === "string" ? document.querySelector(target) : target;
      if (!place) throw new IntegrationError(`Invalid DOM element: ${target} was not found.`);
      this.unmount();
      this.place = place;
      place.classList.add("StripeElement");
      this.frame = makeFrame(`${ORIGIN}/v3/element.html#${encodeURIComponent(location.origin)}`, "Secure payment details");
      Object.assign(this.frame.style, { height: "300px", margin: "-4px", width: "calc(100% + 8px)" });
      this.channel = new Channel(this.frame, (message) => this.hear(message));
      this.frame.addEventListener("error", () => this.emit("loaderror", { error: { type: "api_connection_error" } }));
      place.replaceChildren(this.frame);
      return this;
    }
    unmount() {
      this.channel?.close();
      this.frame?.remove();
      this.place?.classList.remove("StripeElement");
      this.frame = this.channel = this.place = undefined;
      return this;
    }
    destroy() {
      this.unmount();
      this.elements.forget(this);
    }
    update(options) {
      Object.assign(this.options, options);
      this.configure();
    }
    configure() {
      const { mode, amount, currency, appearance, locale, business } = this.elements.options;
      this.channel?.send({
        type: "configure",
        options: { mode, amount, currency, appearance, locale, business, ...this.options },
        methods: this.elements.methods(),
        saves: mode === "setup" || Boolean(this.elements.options.setupFutureUsage),
        surface: surface(this.place),
        access: this.elements.stripe.access,
      });
    }
    hear(message) {
      if (message.type === "loaded") this.configure();
      else if (message.type === "height") this.frame.style.height = `${message.height}px`;
      else if (message.type === "scheme") this.frame.style.colorScheme = message.scheme;
      else if (message.type === "event") {
        if (message.name === "change") this.elements.submitted = false;
        this.emit(message.name, { elementType: "payment", ...message.detail });
      }
    }
    on(name, handler) {
      this.handlers.set(name, [...(this.handlers.get(name) || []), handler]);
      return this;
    }
    once(name, handler) {
      const once = (event) => (this.off(name, once), handler(event));
      return this.on(name, once);
    }
    off(name, handler) {
      this.handlers.set(name, handler ? (this.handlers.get(name) || []).filter((h) => h !== handler) : []);
      return this;
    }
    emit(name, detail) {
      for (const handler of this.handlers.get(name) || []) handler(detail);
    }
    focus() {
      this.frame?.focus();
      this.channel?.send({ type: "focus" });
    }
    blur() {
      this.frame?.blur();
    }
    collapse() {}
    ask(type, extra) {
      if (!this.channel) throw new IntegrationError("The Payment Element is not mounted.");
      return this.channel.ask({ type, ...extra });
    }
  }

  class Elements {
    constructor(stripe, options) {
      this.stripe = stripe;
      this.options = { ...options };
      this.submitted = false;
    }
    methods() {
      const { paymentMethodTypes, mode, currency } = this.options;
      if (paymentMethodTypes) return paymentMethodTypes;
      const anyRedirect = "aud cad chf czk dkk eur gbp hkd nok nzd pln sek sgd usd".split(" ");
      return mode !== "setup" && (!currency || anyRedirect.includes(currency.toLowerCase())) ? ["card", "paypal"] : ["card"];
    }
    create(type, options) {
      if (type !== "payment") throw new IntegrationError(`The sandbox has no element of type ${type}.`);
      if (this.element) throw new IntegrationError("Can only create one Element of type payment.");
      this.element = new PaymentElement(this, options);
      return this.element;
    }
    getElement(type) {
      return (type === "payment" && this.element) || null;
    }
    forget() {
      this.element = undefined;
    }
    update(options) {
      Object.assign(this.options, options);
      this.submitted = false;
      this.element?.configure();
    }
    async fetchUpdates() {
      return {};
    }
    async submit() {
      if (!this.element) throw new IntegrationError("Elements has no Payment Element.");
      const { error, selected } = await this.element.ask("validate");
      this.submitted = !error;
      return error ? { error } : { selectedPaymentMethod: selected };
    }
  }

  // 3-D Secure in a modal dialogue over the page; answers once the payer has decided or closed it.
  function challenge(url) {
    return new Promise((resolve) => {
      const before = document.activeElement;
      const dialog = document.createElement("dialog");
      const frame = makeFrame(url, "Confirm it is you: your bank's check");
      dialog.setAttribute("aria-label", "Your bank asks you to confirm this payment");
      Object.assign(dialog.style, {
        position: "fixed", inset: "0", width: "100vw", height: "100dvh", maxWidth: "none", maxHeight: "none",
        border: "0", margin: "0", padding: "16px", boxSizing: "border-box", background: "rgba(16, 24, 40, 0.55)",
        display: "grid", placeItems: "center", overflow: "auto",
      });
      Object.assign(frame.style, {
        width: "min(440px, 100%)", height: "min(520px, calc(100dvh - 32px))", borderRadius: "12px",
        background: "#fff", colorScheme: "light", boxShadow: "0 24px 64px rgba(16, 24, 40, 0.35)",
      });
      const finish = () => {
        channel.close();
        dialog.close();
        dialog.remove();
        before?.focus?.();
        resolve();
      };
      const channel = new Channel(frame, (message) => message.type === "challenge-done" && finish());
      dialog.addEventListener("cancel", async (event) => {
        event.preventDefault();
        await fetch(url, { method: "POST", mode: "no-cors", body: new URLSearchParams({ outcome: "failed", framed: "1" }) });
        finish();
      });
      frame.addEventListener("load", () => frame.focus());
      dialog.append(frame);
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  const never = () => new Promise(() => {});

  class StripeSandbox {
    constructor(key, options) {
      if (!/^pk_/.test(key || "")) throw new IntegrationError("Please call Stripe() with your publishable key.");
      this.access = { key, ...(options?.stripeAccount ? { _stripe_account: options.stripeAccount } : {}) };
      this.locale = options?.locale;
    }
    async call(method, path, params) {
      const form = flatten({ ...params, ...this.access }, "", new URLSearchParams());
      const url = `${ORIGIN}/v1/${path}`;
      try {
        const answer = await (method === "GET" ? fetch(`${url}?${form}`) : fetch(url, { method, body: form }));
        return await answer.json();
      } catch {
        const message = "We are experiencing issues connecting to our payments provider. Please check your internet connection and try again.";
        return { error: { type: "api_connection_error", message } };
      }
    }
    elements(options) {
      return new Elements(this, { locale: this.locale, ...options });
    }
    retrievePaymentIntent(clientSecret) {
      return this.retrieve("payment_intent", clientSecret);
    }
    retrieveSetupIntent(clientSecret) {
      return this.retrieve("setup_intent", clientSecret);
    }
    confirmPayment(options) {
      return this.confirm("payment_intent", options);
    }
    confirmSetup(options) {
      return this.confirm("setup_intent", options);
    }
    async handleNextAction({ clientSecret }) {
      const kind = clientSecret.startsWith("seti_") ? "setup_intent" : "payment_intent";
      const answer = await this.call("GET", intentPath(kind, clientSecret), { client_secret: clientSecret });
      return answer.error ? answer : this.follow(kind, answer, { redirect: "if_required" });
    }
    async retrieve(kind, clientSecret) {
      const answer = await this.call("GET", intentPath(kind, clientSecret), { client_secret: clientSecret });
      return answer.error ? { error: answer.error } : { [KINDS[kind].name]: answer };
    }
    async confirm(kind, { elements, clientSecret, confirmParams = {}, redirect = "always" }) {
      const secret = clientSecret || elements?.options.clientSecret;
      if (!secret) throw new IntegrationError("A client secret is needed to confirm.");
      if (redirect !== "if_required" && !confirmParams.return_url) throw new IntegrationError("confirmParams.return_url is required.");
      const params = { ...confirmParams, client_secret: secret, use_stripe_sdk: true };
      if (elements) {
        const refused = (await this.check(kind, elements, secret)) || (await this.fill(elements, params));
        if (refused) return { error: refused };
      }
      const answer = await this.call("POST", `${intentPath(kind, secret)}/confirm`, params);
      return answer.error ? { error: answer.error } : this.follow(kind, answer, { redirect, returnUrl: params.return_url });
    }
    // As Stripe.js does when the intent is made after the form: what the form promised must be what is charged.
    async check(kind, elements, secret) {
      const { mode, amount, currency, setupFutureUsage, clientSecret } = elements.options;
      if (clientSecret) return undefined;
      if (!elements.submitted) throw new IntegrationError("elements.submit() must be called before stripe.confirmPayment().");
      if (kind !== "payment_intent" || mode !== "payment") return undefined;
      const intent = await this.call("GET", intentPath(kind, secret), { client_secret: secret });
      if (intent.error) return intent.error;
      const facts = { amount, currency: currency?.toLowerCase(), setup_future_usage: setupFutureUsage || null };
      const wrong = Object.keys(facts).find((name) => facts[name] !== intent[name]);
      return wrong && {
        type: "invalid_request_error",
        message: `The provided ${wrong} (${intent[wrong]}) does not match the expected ${wrong} (${facts[wrong]}). Try confirming with a Payment Intent that is configured to use the same parameters as Stripe Elements.`,
      };
    }
    async fill(elements, params) {
      const { error, method } = await elements.element.ask("create-method", {
        details: params.payment_method_data?.billing_details,
      });
      delete params.payment_method_data;
      params.payment_method = method;
      return error;
    }
    async follow(kind, intent, { redirect, returnUrl }) {
      const action = intent.next_action;
      if (action?.type === "redirect_to_url") {
        window.location.assign(action.redirect_to_url.url);
        return never();
      }
      if (action?.type === "use_stripe_sdk") {
        await challenge(action.use_stripe_sdk.stripe_js);
        intent = await this.call("GET", intentPath(kind, intent.client_secret), { client_secret: intent.client_secret });
      }
      if (!DONE.includes(intent.status)) return { error: failure(kind, intent) };
      if (redirect === "if_required" || !returnUrl) return { [KINDS[kind].name]: intent };
      window.location.assign(wayBack(kind, intent, returnUrl));
      return never();
    }
  }

  const intentPath = (kind, secret) => `${KINDS[kind].path}/${encodeURIComponent(secret.split("_secret_")[0])}`;

  function failure(kind, intent) {
    const error = intent[KINDS[kind].error] || intent.error || { type: "api_error", message: "The payment could not be finished." };
    const message = error.code?.endsWith("authentication_failure") ? AUTHENTICATION_FAILED : error.message;
    return { ...error, message, [kind]: intent };
  }

  function wayBack(kind, intent, returnUrl) {
    const url = new URL(returnUrl, location.href);
    url.searchParams.set(kind, intent.id);
    url.searchParams.set(`${kind}_client_secret`, intent.client_secret);
    url.searchParams.set("redirect_status", intent.status === "processing" ? "pending" : "succeeded");
    return url;
  }

  window.Stripe = (key, options) => new StripeSandbox(key, options);
  window.Stripe.version = "sandbox";
})();
