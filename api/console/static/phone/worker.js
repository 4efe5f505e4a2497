// Keeps the shell of the phone pages, so that they open without a network. The server writes two lines before this:
// `SHELL` (what belongs to it, with the version in each address) and `VERSION` (over all of it).
// It also shows what is pushed: the words come ready, under a tag by which repeats of one thing are shown once.
// Answers of the interface are never kept: they hold people's places and alarms.
/* global SHELL, VERSION */
const NAME = `phone-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(NAME);
    await Promise.all(SHELL.map(async ([address, versioned]) => {
      const answer = await fetch(versioned, { cache: "no-cache", credentials: "omit" });
      if (!answer.ok) throw new Error(`${versioned}: ${answer.status}`);
      await cache.put(address, answer);
    }));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("phone-") && name !== NAME) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const where = new URL(event.request.url);
  if (event.request.method !== "GET" || where.origin !== self.location.origin || where.pathname.startsWith("/api/")) return;
  if (where.pathname.startsWith("/phone/c/")) { // a checkpoint's code: without a network, the guard's page takes it
    event.respondWith(fetch(event.request).catch(async () => (await (await caches.open(NAME)).match("/phone/guard")) ?? Response.error()));
    return;
  }
  if (!SHELL.some(([address]) => address === where.pathname)) return;
  event.respondWith((async () => {
    const kept = await (await caches.open(NAME)).match(where.pathname);
    return kept ?? fetch(event.request);
  })());
});

self.addEventListener("push", (event) => {
  let told = null;
  try { told = event.data?.json(); } catch { /* not of our station */ }
  const zh = told?.language !== "en";
  event.waitUntil(self.registration.showNotification(told?.title ?? (zh ? "守望" : "Shouwang"), {
    body: told?.body ?? (zh ? "打开页面查看。" : "Open the page."),
    tag: told?.tag ?? "shouwang", renotify: true, lang: zh ? "zh-Hans" : "en",
    data: { to: told?.to ?? "/phone/" }, requireInteraction: true, vibrate: [200, 100, 200],
  }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const to = new URL(event.notification.data?.to ?? "/phone/", self.location.origin);
  if (to.origin !== self.location.origin || !to.pathname.startsWith("/phone")) return;
  event.waitUntil((async () => {
    const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const same = open.find((one) => new URL(one.url).pathname === to.pathname);
    if (!same) return self.clients.openWindow(to.href);
    if (new URL(same.url).hash !== to.hash) await same.navigate(to.href).catch(() => {});
    return same.focus();
  })());
});
