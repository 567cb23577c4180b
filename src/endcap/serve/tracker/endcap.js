/* Endcap for the browser: what shoppers do goes to the shop's own engine, and slates come back.
 * No dependency, no cookie. It never throws into the page and never sends without consent. */
(function (root) {
  "use strict";

  const EVENTS = "/v1/events/batch";
  const BATCH = 50; // events in a request: well below the 64 KiB of a request that outlives its page
  const ROOM = 500; // events kept while the shop cannot be reached; the oldest go first
  const BYTES = 50000;
  const SESSION_MS = 1800000; // a pause this long ends a session
  const SEEN_MS = 1000; // half of an item in view for this long is an impression
  const GA4 = {
    view_item: "view", select_item: "click", add_to_cart: "cart", remove_from_cart: "uncart",
    add_to_wishlist: "wish", purchase: "purchase", refund: "refund", search: "search",
    view_search_results: "search", view_item_list: "impression",
  };

  let options = {}, mine = [], held = [], userId = null, timer = 0, failures = 0, busy = false;
  let ready = false, session = null, eyes = null, looks = 0;
  const shown = new Map(); // what the page shows -> the address at which that was a view

  const quietly = (work, otherwise) => (...args) => {
    try { return work(...args); } catch (error) {
      if (options.debug) console.warn("endcap:", error);
      return otherwise;
    }
  };
  const store = {
    get: quietly((key) => JSON.parse(localStorage.getItem("endcap." + key)), null),
    set: quietly((key, value) => localStorage.setItem("endcap." + key, JSON.stringify(value))),
    drop: quietly((key) => localStorage.removeItem("endcap." + key)),
  };
  const fresh = () => root.crypto && crypto.randomUUID ? crypto.randomUUID()
    : Array.from({ length: 4 }, () => Math.random().toString(36).slice(2, 10)).join("-");
  const allowed = () => ready && options.consent === true;

  function visitor() {
    let id = options.visitorId || store.get("visitor");
    if (!id) store.set("visitor", (id = fresh()));
    options.visitorId = id;
    return id;
  }

  function sessionId() {
    const now = Date.now(), last = store.get("session") || session;
    session = { id: last && now - last.at < SESSION_MS ? last.id : fresh(), at: now };
    store.set("session", session);
    return session.id;
  }

  /* What is to be sent: said by this page, or left in the store by others. */
  function waiting() {
    const stored = [].concat(store.get("queue") || []).filter((event) => event && event.event_id);
    const ids = new Set(stored.map((event) => event.event_id));
    return stored.concat(mine.filter((event) => !ids.has(event.event_id)))
      .sort((a, b) => (a.time > b.time) - (a.time < b.time)).slice(-ROOM);
  }

  function track(kind, fields) {
    if (!ready || options.consent === false) return;
    const event = { event_id: fresh(), kind: kind, time: new Date().toISOString(), ...fields };
    if (!allowed()) { held = held.concat(event).slice(-ROOM); return; } // until they say yes or no
    event.visitor_id = visitor();
    event.session_id = sessionId();
    if (userId) event.user_id = userId;
    mine = mine.concat(event).slice(-ROOM);
    store.set("queue", waiting());
    soon(options.flushMs);
  }

  function soon(wait) {
    if (!timer) timer = setTimeout(() => { timer = 0; flush(); }, wait);
  }

  function portion() {
    const events = waiting().slice(0, BATCH);
    while (events.length > 1 && new Blob([JSON.stringify(events)]).size > BYTES) events.length >>= 1;
    return events;
  }

  const body = (events) => JSON.stringify({ sent_at: new Date().toISOString(), events: events });

  function forget(events) {
    const ids = new Set(events.map((event) => event.event_id));
    const stays = (event) => !ids.has(event.event_id);
    const left = waiting().filter(stays);
    mine = mine.filter(stays);
    if (allowed()) store.set("queue", left); // they may have said no meanwhile
    return left.length;
  }

  // An event has its id before it is first sent, so that sending it again stores nothing twice.
  function flush() {
    const events = allowed() && !busy && navigator.onLine !== false ? portion() : [];
    if (!events.length) return Promise.resolve();
    busy = true;
    return request(EVENTS, { method: "POST", body: body(events), keepalive: true })
      .then((answer) => {
        busy = false;
        if (answer.ok || (answer.status < 500 && ![401, 403, 408, 409, 429].includes(answer.status))) {
          failures = 0;
          // Stored, or such that it never will be.
          if (forget(events)) return flush();
        } else retry(Number(answer.headers.get("Retry-After")) * 1000);
      })
      .catch(() => { busy = false; retry(0); });
  }

  function retry(wait) {
    failures += 1;
    const patience = Math.min(60000, 500 * 2 ** Math.min(failures, 7)) * (0.5 + Math.random());
    soon(Math.max(wait || 0, patience));
  }

  // The page goes: a request that outlives it. It stays queued, for nobody hears what became of it.
  // A beacon can carry no key, and to another origin its preflight would come too late; what `flush`
  // sends has been allowed before.
  const leave = quietly(() => {
    const events = allowed() ? portion() : [];
    if (!events.length) return;
    store.set("queue", waiting()); // whatever another page wrote at the same moment
    const text = body(events);
    if (options.key || !navigator.sendBeacon) {
      request(EVENTS, { method: "POST", body: text, keepalive: true }).catch(() => {});
    } else navigator.sendBeacon(options.url + EVENTS, new Blob([text], { type: "application/json" }));
  });

  function request(path, more) {
    const headers = { "Content-Type": "application/json" };
    if (options.key) headers.Authorization = "Bearer " + options.key;
    return fetch(options.url + path, { credentials: "omit", headers: headers, ...more });
  }

  function recommend(ask) {
    if (!ready) return Promise.reject(new Error("endcap.init first"));
    const who = allowed() ? { visitor_id: visitor(), ...(userId && { user_id: userId }) } : {};
    return flush()
      .then(() => request("/v1/recommendations", {
        method: "POST", body: JSON.stringify({ ...who, ...ask }),
      }))
      .then((answer) => {
        if (!answer.ok) throw new Error("endcap: " + answer.status);
        return answer.json();
      });
  }

  const filled = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) =>
    ![undefined, null, "", NaN, "(not set)"].includes(value)));

  const itemOf = (node) => filled({
    item_id: node.dataset.endcapItem,
    request_id: node.dataset.endcapRequest,
    position: parseInt(node.dataset.endcapPosition),
    placement: node.dataset.endcapPlacement,
  });

  /* Elements with data-endcap-item are watched: in view, and clicked. */
  function watch(within) {
    const nodes = (within || document).querySelectorAll("[data-endcap-item]");
    if (!eyes && root.IntersectionObserver) {
      const waits = new WeakMap();
      eyes = new IntersectionObserver((entries) => entries.forEach(quietly((entry) => {
        clearTimeout(waits.get(entry.target));
        if (!entry.isIntersecting) return;
        waits.set(entry.target, setTimeout(quietly(() => {
          eyes.unobserve(entry.target);
          track("impression", itemOf(entry.target));
        }), SEEN_MS));
      })), { threshold: 0.5 });
    }
    nodes.forEach((node) => {
      const what = node.dataset.endcapItem + " " + node.dataset.endcapRequest;
      if (node.endcapWatched === what) return;
      node.endcapWatched = what; // a page may put another item into the same element
      if (eyes) { eyes.unobserve(node); eyes.observe(node); }
    });
  }

  /* A page says what it shows: data-endcap-view holds the id of its product, a view when it appears.
   * What stays while the address changes is none: a route may still be loading. `anew` forgets what
   * is gone even at the same address, `again` counts what has stayed at another. */
  function look(anew, again) {
    if (!ready) return;
    const here = location.href, ids = new Set();
    document.querySelectorAll("[data-endcap-view]").forEach((node) => ids.add(node.dataset.endcapView));
    shown.forEach((where, id) => {
      if (ids.has(id) ? again && where !== here : anew || where !== here) shown.delete(id);
    });
    ids.forEach((id) => {
      if (!id || shown.has(id)) return;
      shown.set(id, here);
      track("view", { item_id: id });
    });
    watch();
  }

  function later() { // the address changes before the page or after it, in one go
    if (!looks) looks = setTimeout(quietly(() => { looks = 0; look(); }));
  }

  function follow() {
    ["pushState", "replaceState"].forEach((name) => {
      const go = history[name];
      history[name] = function (...where) {
        const gone = go.apply(this, where);
        later();
        return gone;
      };
    });
    addEventListener("popstate", later);
    new MutationObserver(later).observe(document, {
      childList: true, subtree: true, attributeFilter: ["data-endcap-view", "data-endcap-item"],
    });
  }

  /* data-endcap-cart names a product, or means the item around it, or the page's. */
  function put(node) {
    const around = node.closest("[data-endcap-item]");
    const from = around ? itemOf(around) : {};
    const page = document.querySelector("[data-endcap-view]");
    const id = node.dataset.endcapCart || from.item_id || (page && page.dataset.endcapView);
    const { quantity } = node.elements || (node.form || {}).elements || {};
    if (id) track("cart", filled({
      ...(id === from.item_id && from), item_id: id,
      quantity: parseInt(node.dataset.endcapQuantity || (quantity && quantity.value)),
    }));
  }

  function purchase(order) {
    (order.items || []).forEach((item) => track("purchase", {
      order_id: order.order_id, currency: order.currency, ...item,
    }));
  }

  /* What the shop already tells Google Analytics 4. */
  const heard = quietly((entry) => {
    const name = entry && (entry[0] === "event" ? entry[1] : entry.event);
    if (name === "page_view") return look(true);
    const kind = Object.hasOwn(GA4, name) ? GA4[name] : null;
    if (!kind) return;
    const data = (entry[0] === "event" ? entry[2] : entry.ecommerce || entry) || {};
    if (kind === "search") return track("search", { query: String(data.search_term || "") });
    (data.items || []).forEach((item) => {
      const either = (key) => item[key] || data[key];
      const event = filled({
        item_id: item.item_id || item.item_name,
        variant_id: item.item_variant,
        quantity: parseInt(item.quantity) || "",
        price: parseFloat(item.price),
        currency: either("currency"),
        order_id: data.transaction_id,
        placement: either("item_list_id") || either("item_list_name"),
        request_id: either("request_id"),
        position: parseInt(item.index ?? item.item_list_index),
      });
      // A list is an impression where it names its slate, not the shop's own.
      if (event.item_id && (kind !== "impression" || event.request_id)) track(kind, event);
    });
  });

  function listen(name) {
    const layer = (root[name] = root[name] || []);
    const push = layer.push;
    layer.push = function (...entries) {
      const length = push.apply(layer, entries);
      entries.forEach(heard);
      return length;
    };
    layer.slice().forEach(heard);
  }

  function begin() {
    const said = held;
    held = [];
    sessionId();
    said.forEach(({ kind, ...fields }) => track(kind, fields));
    soon(options.flushMs);
  }

  function consent(yes) {
    options.consent = yes;
    if (allowed()) begin();
    else if (yes === false) {
      held = mine = [];
      session = options.visitorId = null;
      ["queue", "visitor", "session"].forEach(store.drop);
    }
  }

  function init(given) {
    if (ready || typeof document !== "object") return; // a shop's server runs the same code
    options = { consent: true, flushMs: 300, ...given };
    options.url = String(options.url || "").replace(/\/+$/, "");
    userId = options.userId || null;
    ready = true;
    if (allowed()) begin();
    addEventListener("online", quietly(flush));
    addEventListener("pagehide", leave);
    addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
    document.addEventListener("click", quietly((event) => {
      const cart = event.target.closest("[data-endcap-cart]");
      if (cart) return cart.submit || put(cart); // a form counts when it is sent
      const node = event.target.closest("[data-endcap-item]");
      if (node) track("click", itemOf(node));
    }), true);
    document.addEventListener("submit", quietly((event) => {
      if (event.target.matches("[data-endcap-cart]")) put(event.target);
    }), true);
    if (options.dataLayer) listen(options.dataLayer === true ? "dataLayer" : options.dataLayer);
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", quietly(() => look()));
    else look();
    follow();
  }

  const api = {
    init: quietly(init), track: quietly(track), purchase: quietly(purchase),
    identify: quietly((id) => { userId = id || null; }), consent: quietly(consent),
    page: quietly(() => look(true, true)), watch: quietly(watch),
    flush: quietly(flush, Promise.resolve()), recommend: recommend,
  };
  if (typeof module === "object" && module.exports) module.exports = api;
  root.endcap = api;
  const tag = typeof document === "object" && document.currentScript;
  if (tag && tag.dataset.url !== undefined) {
    const { url, key, user, consent: said, layer } = tag.dataset;
    api.init({
      url: url || new URL(tag.src).origin, key: key, userId: user, dataLayer: layer === "" || layer,
      consent: said === "wait" ? null : said !== "no",
    });
  }
})(typeof window === "undefined" ? globalThis : window);
