// Stripe(key): confirm, 3-D Secure, redirects.

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
      width: "min(440px, 100%)", height: "min(460px, calc(100dvh - 32px))", borderRadius: "12px",
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
      return { error: UNREACHABLE };
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
    const { error, method } = await elements.element.answer("create-method", {
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
