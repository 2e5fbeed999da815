// Two clients with one face: the official one, and frames of version 1.0.0 written by hand.
//
// connect(token, url) -> { join(topic), presence(channel), close() }
// join(topic) -> { reply, push(event, payload), next(event, test) }; a refusal is an Error with the server's reason.

import { Presence, Socket } from "phoenix";
import WebSocket from "ws";
import { Inbox, untilPresent, within } from "./steps.mjs";

const REPLY_MILLISECONDS = 4000;

function refusal(what, response) {
  return new Error(`${what} was refused: ${response?.reason ?? JSON.stringify(response)}`);
}

export class StockClient {
  #options;
  #keepsUrl = false;

  /** `options` makes the Socket's options of a token. */
  constructor(name, options) {
    this.name = name;
    this.#options = options;
  }

  /** The same client, handed join's `websocket_url` as it is: it appends its own path to it, as in Voki's sample. */
  atTheUrlAsGiven() {
    const other = new StockClient(`${this.name}, doubled path`, this.#options);
    other.#keepsUrl = true;
    return other;
  }

  async connect(token, url) {
    const endpoint = this.#keepsUrl ? url : url.replace(/\/websocket$/, "");
    const socket = new Socket(endpoint, { transport: WebSocket, timeout: REPLY_MILLISECONDS, ...this.#options(token) });
    const opened = new Promise((resolve, reject) => {
      socket.onOpen(resolve);
      socket.onError((error) => reject(new Error(`${this.name} cannot connect: ${error?.message ?? error}`)));
    });
    socket.connect();
    await within(opened, `${this.name} connecting`);
    return {
      join: (topic) => joinStock(socket, topic),
      presence: (channel) => channel.presence,
      close: () => socket.disconnect(),
    };
  }
}

async function joinStock(socket, topic) {
  const channel = socket.channel(topic, {});
  const inbox = new Inbox();
  const pushed = channel.onMessage;
  // Stock channels tell of the events one names; the test wants to see whatever comes.
  channel.onMessage = (event, payload, ref) => {
    if (!event.startsWith("phx_") && !event.startsWith("chan_reply_")) inbox.put(event, payload);
    return pushed.call(channel, event, payload, ref);
  };
  const watchers = new Set();
  const list = topic.startsWith("presence:") ? new Presence(channel) : undefined;
  list?.onSync(() => watchers.forEach((look) => look()));
  const answered = (push, what) =>
    within(
      new Promise((resolve, reject) => {
        push
          .receive("ok", resolve)
          .receive("error", (response) => reject(refusal(what, response)))
          .receive("timeout", () => reject(new Error(`${what}: no reply`)));
      }),
      what,
    );
  let reply;
  try {
    reply = await answered(channel.join(), `joining ${topic}`);
  } catch (error) {
    // The stock client would try again for ever.
    channel.leave();
    throw error;
  }
  return {
    reply,
    push: (event, payload) => answered(channel.push(event, payload), `${event} on ${topic}`),
    next: (event, test) => inbox.next(event, test),
    presence: list && {
      until: (key, test, what) =>
        untilPresent((key) => list.state[key]?.metas, (look) => watchers.add(look), key, test, what),
    },
  };
}

export class HandMadeClient {
  async connect(token, url) {
    const socket = new WebSocket(`${url}?token=${token}&vsn=1.0.0`);
    const replies = new Map();
    const inboxes = new Map();
    const metas = {};
    const watchers = new Set();
    let lastRef = 0;
    await within(
      new Promise((resolve, reject) => {
        socket.on("open", resolve);
        socket.on("error", (error) => reject(new Error(`by hand cannot connect: ${error.message}`)));
      }),
      "by hand connecting",
    );
    socket.on("message", (data) => {
      const frame = JSON.parse(data.toString());
      const { topic, event, payload, ref } = frame;
      if (Array.isArray(frame) || typeof topic !== "string" || typeof event !== "string") {
        throw new Error(`not a frame of version 1.0.0: ${data}`);
      }
      if (event === "phx_reply") {
        replies.get(ref)?.(payload);
        replies.delete(ref);
        return;
      }
      if (event === "presence_state") Object.assign(metas, payload);
      if (event === "presence_diff") applyDiff(metas, payload);
      watchers.forEach((look) => look());
      inboxes.get(topic)?.put(event, payload);
    });
    const send = (topic, event, payload) => {
      const ref = String(++lastRef);
      const answer = new Promise((resolve, reject) => {
        replies.set(ref, ({ status, response }) =>
          status === "ok" ? resolve(response) : reject(refusal(`${event} on ${topic}`, response)),
        );
      });
      socket.send(JSON.stringify({ topic, event, payload, ref }));
      return within(answer, `${event} on ${topic}`);
    };
    await send("phoenix", "heartbeat", {});
    return {
      join: async (topic) => {
        const inbox = new Inbox();
        inboxes.set(topic, inbox);
        const reply = await send(topic, "phx_join", {});
        return {
          reply,
          push: (event, payload) => send(topic, event, payload),
          next: (event, test) => inbox.next(event, test),
        };
      },
      presence: () => ({
        until: (key, test, what) =>
          untilPresent((key) => metas[key]?.metas, (look) => watchers.add(look), key, test, what),
      }),
      close: () => socket.close(),
    };
  }
}

/** Phoenix's own rule, spelled out: joins are added, then the metas of leaves are taken away by their `phx_ref`. */
function applyDiff(state, { joins, leaves }) {
  for (const [key, { metas }] of Object.entries(joins)) {
    const refs = metas.map((meta) => meta.phx_ref);
    const others = (state[key]?.metas ?? []).filter((meta) => !refs.includes(meta.phx_ref));
    state[key] = { metas: [...others, ...metas] };
  }
  for (const [key, { metas }] of Object.entries(leaves)) {
    const refs = metas.map((meta) => meta.phx_ref);
    const left = (state[key]?.metas ?? []).filter((meta) => !refs.includes(meta.phx_ref));
    if (left.length > 0) state[key] = { metas: left };
    else delete state[key];
  }
}
