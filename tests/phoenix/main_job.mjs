// The main job of Vez, lived through the official Phoenix client as a browser would: two customers, one agent, over
// real sockets. Three rounds do the same: the stock client with its token in the query, frames of version 1.0.0
// written by hand, and the stock client with `authToken`.
//
//   node main_job.mjs path/to/demo.json [base_url]
//
// Prints one line a step; exits 0, or 1 with what went wrong.

import { readFileSync } from "node:fs";
import { HandMadeClient, StockClient } from "./clients.mjs";
import { check, step, within } from "./steps.mjs";

const [demoPath, baseUrlArgument] = process.argv.slice(2);
if (!demoPath) {
  console.error("usage: node main_job.mjs path/to/demo.json [base_url]");
  process.exit(1);
}
const demo = JSON.parse(readFileSync(demoPath, "utf8"));
const baseUrl = (baseUrlArgument ?? demo.base_url).replace(/\/$/, "");
const socketUrl = baseUrl.replace(/^http/, "ws") + "/socket";

async function rest(method, path, { token, body, expect = 200 } = {}) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await within(
    fetch(baseUrl + path, { method, headers, body: body && JSON.stringify(body) }),
    `${method} ${path}`,
  );
  const text = await answer.text();
  check(answer.status === expect, `${method} ${path} answered ${answer.status} instead of ${expect}: ${text}`);
  return text ? JSON.parse(text).data : undefined;
}

function login(user) {
  const { email, password } = user;
  return rest("POST", "/api/auth/login", { body: { email, password, tenant: demo.tenant } });
}

/** A customer who has joined through the link and listens on his call's topic. */
async function customer(client, link, name, expectedPosition) {
  const joined = await rest("POST", `/api/v1/call/${link.token}/join`, { body: { name } });
  check(joined.status === "queued", `${name} is ${joined.status} after joining, not queued`);
  check(joined.position === expectedPosition, `${name} has position ${joined.position}, not ${expectedPosition}`);
  const socket = await client.connect(joined.websocket_token, joined.websocket_url);
  const channel = await socket.join(`call:${joined.call_id}`);
  check(channel.reply.status === "queued", `the call's channel says ${channel.reply.status}, not queued`);
  check(Number.isInteger(channel.reply.protocol), "the call's channel tells no protocol number");
  step(`${name} joined through the link at position ${joined.position} and opened a socket`);
  return { ...joined, name, socket, channel };
}

/** The agent does the whole call of the customer whose offer comes next; `meanwhile` runs once it is accepted. */
async function serve(agent, presence, somebody, meanwhile) {
  const offer = await agent.channel.next("call_offered", (payload) => payload.call_id === somebody.call_id);
  check(offer.customer.name === somebody.name, `the offer names ${offer.customer?.name}`);
  check(Date.parse(offer.expires_at) > Date.now() - 1000, "the offer had expired when it came");
  step(`the agent got call_offered for ${somebody.name}`);

  await meanwhile?.before();
  const accepted = await agent.channel.push("accept", { offer_id: offer.offer_id });
  check(accepted.call.id === somebody.call_id, "the accept's reply is of another call");
  check(accepted.topic === `call:${somebody.call_id}`, `the accept's reply names topic ${accepted.topic}`);
  const assigned = await somebody.channel.next("call_assigned");
  check(assigned.agent_name === agent.user.name, `call_assigned names ${assigned.agent_name}`);
  step(`accepted; ${somebody.name} saw call_assigned by ${assigned.agent_name}`);
  await meanwhile?.after();
  const again = await agent.channel.push("accept", { offer_id: offer.offer_id });
  check(again.call.id === somebody.call_id, "accepting twice did not give the same call");

  await agent.channel.push("start", { call_id: somebody.call_id });
  const started = await somebody.channel.next("call_started");
  check(!Number.isNaN(Date.parse(started.started_at)), "call_started has no time");
  step(`started; ${somebody.name} saw call_started`);
  await presence.until(agent.user.id, (meta) => meta.activity === "in_call", "in_call");
  step("Presence shows the agent in a call");

  await agent.channel.push("complete", { call_id: somebody.call_id });
  const ended = await somebody.channel.next("call_ended");
  check(ended.status === "completed", `call_ended says ${ended.status}`);
  check(ended.can_evaluate === true, "call_ended does not let the customer rate");
  step(`completed; ${somebody.name} saw call_ended`);
  await agent.channel.next("wrap_up", (payload) => payload.call_id === somebody.call_id);
  await agent.channel.push("wrap_up_end", { call_id: somebody.call_id });
  step("the agent ended the wrap-up");
}

async function round(name, agentClient, customerClients) {
  step(`-- ${name}`);
  const user = demo.users.find((user) => user.role === "attendant" && user.department_ids.length > 0);
  const link = demo.links.find((link) => user.department_ids.includes(link.department_id));
  const session = await login(user);

  const socket = await agentClient.connect(session.access_token, `${socketUrl}/websocket`);
  const agent = { user: { ...user, id: session.user.id }, socket };
  agent.channel = await socket.join(`notification:${agent.user.id}`);
  check(Array.isArray(agent.channel.reply.offers), "the notification topic's join reply has no offers");
  const presenceChannel = await socket.join(`presence:${link.department_id}`);
  const presence = socket.presence(presenceChannel);
  await presenceChannel.push("set_status", { status: "available" });
  await presence.until(agent.user.id, (meta) => meta.status === "available", "available");
  step(`${user.name} is online; Presence shows him available`);

  const first = await customer(customerClients[0], link, `Ana ${name}`, 1);
  let second;
  await serve(agent, presence, first, {
    before: async () => {
      second = await customer(customerClients[1], link, `Bruno ${name}`, 2);
    },
    after: async () => {
      await second.channel.next("queue_position", (payload) => payload.position === 1);
      step(`${second.name} saw queue_position with 1`);
    },
  });
  await serve(agent, presence, second);

  for (const [somebody, rating] of [[first, 5], [second, 4]]) {
    const path = `/api/v1/call/evaluate/${somebody.call_id}`;
    const body = { rating };
    await rest("POST", path, { body, token: somebody.websocket_token });
    await rest("POST", path, { body: { rating: 1 }, token: somebody.websocket_token, expect: 422 });
    const call = await rest("GET", `/api/v1/calls/${somebody.call_id}`, { token: session.access_token });
    check(call.status === "completed", `the call is ${call.status}`);
    check(call.rating === rating, `the call's rating is ${call.rating}, not ${rating}`);
    step(`${somebody.name} rated ${rating} by REST, once`);
  }

  const refused = await socket.join(`notification:${crypto.randomUUID()}`).then(() => undefined, (error) => error);
  check(refused && /unauthorized/.test(refused.message), `somebody else's topic answered ${refused?.message}`);
  step("somebody else's topic is unauthorized");
  await presenceChannel.push("set_status", { status: "offline" });
  for (const opened of [socket, first.socket, second.socket]) opened.close();
}

try {
  const inQuery = new StockClient("token in the query", (token) => ({ params: { token } }));
  const authToken = new StockClient("authToken", (authToken) => ({ authToken }));
  const byHand = new HandMadeClient();
  await round("stock", inQuery, [inQuery, inQuery.atTheUrlAsGiven()]);
  await round("by hand", byHand, [byHand, byHand]);
  await round("authToken", authToken, [authToken, authToken]);
  step("done");
  process.exit(0);
} catch (error) {
  console.error(`FAILED: ${error.message}`);
  if (process.env.VERBOSE) console.error(error.stack);
  process.exit(1);
}
