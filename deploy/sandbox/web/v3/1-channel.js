// How the script speaks with the sandbox's frames, and what all parts of it know.

const ORIGIN = new URL(document.currentScript.src).origin;
const DONE = ["succeeded", "processing", "requires_capture"];
const KINDS = {
  payment_intent: { path: "payment_intents", name: "paymentIntent", error: "last_payment_error" },
  setup_intent: { path: "setup_intents", name: "setupIntent", error: "last_setup_error" },
};
const AUTHENTICATION_FAILED =
  "We are unable to authenticate your payment method. Please choose a different payment method and try again.";

const UNREACHABLE = {
  type: "api_connection_error",
  message:
    "We are experiencing issues connecting to our payments provider. Please check your internet connection and try again.",
};
const LOAD_TIMEOUT = 15000;

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
