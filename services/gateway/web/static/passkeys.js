// Passkeys: the browser makes one or uses one, and the form sends its answer. Without this file, and in a browser that has
// none, the forms stay hidden, and all other ways to log in are there.
(() => {
  'use strict';

  if (!window.isSecureContext || !window.PublicKeyCredential) return;

  const WORDS = {
    InvalidStateError: 'This device has a passkey for your login already.',
    NotAllowedError: 'No passkey was used. Try again, or log in another way.',
  };

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const known = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));

  async function create(given) {
    const publicKey = {
      ...given,
      challenge: bytes(given.challenge),
      user: { ...given.user, id: bytes(given.user.id) },
      excludeCredentials: known(given.excludeCredentials),
    };
    const { id, rawId, type, response } = await navigator.credentials.create({ publicKey });
    const { clientDataJSON, attestationObject } = response;
    return { id, rawId: text(rawId), type, response: { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject) } };
  }

  async function get(given) {
    const publicKey = { ...given, challenge: bytes(given.challenge), allowCredentials: known(given.allowCredentials) };
    const { id, rawId, type, response } = await navigator.credentials.get({ publicKey });
    const { clientDataJSON, authenticatorData, signature, userHandle } = response;
    return {
      id,
      rawId: text(rawId),
      type,
      response: {
        clientDataJSON: text(clientDataJSON),
        authenticatorData: text(authenticatorData),
        signature: text(signature),
        userHandle: userHandle ? text(userHandle) : null,
      },
    };
  }

  // A challenge works once, so each press asks for one of its own.
  async function challenge(address) {
    const token = document.querySelector('meta[name="csrf-token"]').content;
    const answer = await fetch(address, { method: 'POST', headers: { Accept: 'application/json', 'x-csrftoken': token } });
    if (!answer.ok) throw new Error(answer.status === 429 ? 'Too many tries. Please wait a few minutes.' : '');
    return answer.json();
  }

  async function answered(form) {
    if (form.dataset.passkey === 'create') return create(JSON.parse(form.dataset.options));
    return get(await challenge(form.dataset.challenge));
  }

  for (const form of document.querySelectorAll('form[data-passkey]')) {
    const error = form.querySelector('[data-passkey-error]');
    const button = form.querySelector('button');
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      error.textContent = '';
      button.setAttribute('aria-disabled', 'true');
      try {
        form.elements.credential.value = JSON.stringify(await answered(form));
        form.submit();
      } catch (fault) {
        button.setAttribute('aria-disabled', 'false');
        const plain = fault instanceof DOMException ? WORDS[fault.name] : fault.message;
        error.textContent = plain || 'That did not work. Try again, or log in another way.';
      }
    });
    form.hidden = false;
  }
  for (const each of document.querySelectorAll('[data-passkey-without]')) each.hidden = true;
})();
