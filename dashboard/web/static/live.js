// Keeps the page up to date: the server says which parts have changed, and only what differs is touched,
// so that what a person has focused, selected or opened stays so.
"use strict";

const SAY_MILLISECONDS = 30000; // between two summaries for screen readers
const SILENCE_MILLISECONDS = 15000; // without a sign of life: the stream is no more
const AGAIN_MILLISECONDS = 2000;

const page = { stream: null, paused: false, heardAt: 0, saidAt: 0, said: "", waiting: new Map() };

// -- one part

function sameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);
}

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function takeOver(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value && !(name === "open")) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  takeOverChildren(old, fresh);
}

function takeOverChildren(old, fresh) {
  const keyed = new Map([...old.children].filter((child) => key(child)).map((child) => [key(child), child]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = key(wanted) ? keyed.get(key(wanted)) : place;
    if (known && sameKind(known, wanted)) {
      if (known === place) place = place.nextSibling;
      else old.insertBefore(known, place);
      takeOver(known, wanted);
    } else {
      old.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function show(name, text) {
  const part = document.getElementById(`part-${name}`);
  if (!part) return;
  const fresh = new DOMParser().parseFromString(text, "text/html").body;
  takeOverChildren(part, fresh);
}

// -- the stream

function heard() {
  page.heardAt = Date.now();
}

function changed(event) {
  heard();
  const news = JSON.parse(event.data);
  for (const [name, text] of Object.entries(news.parts)) page.waiting.set(name, text);
  if (!page.paused) showWaiting();
  say(news.said);
}

function showWaiting() {
  for (const [name, text] of page.waiting) show(name, text);
  page.waiting.clear();
}

function say(text) {
  if (page.paused || text === page.said || Date.now() - page.saidAt < SAY_MILLISECONDS) return;
  if (page.said) document.getElementById("said").textContent = text;
  page.said = text;
  page.saidAt = Date.now();
}

function connect() {
  heard();
  page.stream = new EventSource(document.body.dataset.live);
  page.stream.addEventListener("parts", changed);
  page.stream.addEventListener("pulse", heard);
  page.stream.addEventListener("full", () => {
    page.stream.close();
    page.stream = null;
    lost("too many pages are open: this one stands still");
  });
  page.stream.addEventListener("error", () => lost("the monitor does not answer"));
}

function lost(reason) {
  if (page.paused) return;
  const pill = document.createElement("span");
  const sign = document.createElement("span");
  pill.className = "pill old";
  sign.className = "sign";
  sign.setAttribute("aria-hidden", "true");
  sign.textContent = "!";
  const time = document.querySelector("#part-state time");
  pill.append(sign, time ? `old: ${time.textContent}, ${reason}` : reason);
  document.getElementById("part-state").replaceChildren(pill);
}

function watch() {
  const closed = page.stream && page.stream.readyState === EventSource.CLOSED;
  if (!page.stream || (!closed && Date.now() - page.heardAt < SILENCE_MILLISECONDS)) return;
  page.stream.close();
  if (!closed) lost("the monitor does not answer");
  connect();
}

// -- the person

function pause(button) {
  page.paused = !page.paused;
  button.setAttribute("aria-pressed", String(page.paused));
  button.textContent = page.paused ? "Go on" : "Pause";
  document.body.classList.toggle("paused", page.paused);
  if (!page.paused) showWaiting();
}

const button = document.getElementById("pause");
button.hidden = false;
button.addEventListener("click", () => pause(button));
window.addEventListener("pagehide", () => page.stream && page.stream.close());
window.addEventListener("pageshow", (event) => event.persisted && connect());
connect();
setInterval(watch, AGAIN_MILLISECONDS);
