#!/usr/bin/env node
// A peer in JavaScript, with mqtt.js 5 (npm install mqtt).
//
//     node mqttjs_peer.mjs ws://127.0.0.1:8080/mqtt lobby alice      MQTT 5.0 over WebSocket
//     node mqttjs_peer.mjs mqtt://127.0.0.1:1883 lobby bob 3.1.1     MQTT 3.1.1 over TCP
//
// Who has a user name and a password, or a token, puts them into MQTT_USER and MQTT_PASSWORD.
//
// It joins the room and goes through one call, as the first peer or the second, whichever it
// turns out to be; a third is told that the room is full. There is no media in it: the
// descriptions and candidates are the ones of nobody. Enter ends the call of the first. Whatever
// should not happen ends it with an exception, and so does waiting in vain.

import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { createRequire } from 'node:module';

// Elsewhere: import mqtt from 'mqtt';
const mqtt = createRequire(new URL('../../../web/package.json', import.meta.url))('mqtt');

const PATIENCE = 20_000; // milliseconds
const CANDIDATE = { candidate: 'candidate:1 1 udp 2122260223 192.0.2.1 9 typ host', sdpMid: '0', sdpMLineIndex: 0 };

const [url, room, me, version = '5.0'] = process.argv.slice(2);

async function inTime(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const client = mqtt.connect(url, {
  clientId: me,
  username: process.env.MQTT_USER, // a user and its password, or any name and a token
  password: process.env.MQTT_PASSWORD,
  protocolVersion: { '3.1.1': 4, '5.0': 5 }[version],
  reconnectPeriod: 0,
});
const inbox = on(client, 'message');
await inTime(once(client, 'connect'), 'the connection');
// First the inbox, then the room: what comes from now on is heard.
await inTime(client.subscribeAsync(`rooms/+/${me}/+`, { qos: 1 }), 'the subscription');

async function send(to, message) {
  console.log('->', message.type, to);
  await inTime(client.publishAsync(`rooms/${room}/${to}/${me}`, JSON.stringify(message), { qos: 1 }), 'PUBACK');
}

/** The next message, which must be of one of these types, and, if one is named, from this sender. */
async function expect(types, sender) {
  const [topic, payload] = (await inTime(inbox.next(), types.join(' or '))).value;
  const message = JSON.parse(payload);
  const [, where, , from] = topic.split('/');
  console.log('<-', message.type, from);
  assert.equal(where, room);
  assert.ok(types.includes(message.type), `${payload} in place of ${types}`);
  assert.equal(from, sender);
  return message;
}

/** Whoever receives `ready` makes the offer. */
async function beFirst() {
  const arrived = await expect(['arrived'], 'agent');
  const other = arrived.peer.id;
  await expect(['ready'], other);
  await send(other, { type: 'offer', sdp: 'v=0\r\n' });
  assert.equal((await expect(['answer'], other)).sdp, 'v=0\r\n');
  assert.deepEqual((await expect(['candidate'], other)).candidate, CANDIDATE);
  await send(other, { type: 'candidate', candidate: CANDIDATE });
  for await (const _enter of process.stdin) break;
  await send(other, { type: 'bye' });
  const left = await expect(['left'], 'agent');
  assert.deepEqual([left.peer, left.reason], [other, 'left']);
  await send('agent', { type: 'leave' });
}

async function beSecond(other) {
  await send(other, { type: 'ready' });
  assert.equal((await expect(['offer'], other)).sdp, 'v=0\r\n');
  await send(other, { type: 'answer', sdp: 'v=0\r\n' });
  await send(other, { type: 'candidate', candidate: CANDIDATE });
  assert.deepEqual((await expect(['candidate'], other)).candidate, CANDIDATE);
  await expect(['bye'], other);
  await send('agent', { type: 'leave' });
}

await send('agent', { type: 'join', info: { kind: 'script' } });
const answer = await expect(['created', 'joined', 'full'], 'agent');
if (answer.type === 'created') await beFirst();
if (answer.type === 'joined') await beSecond(answer.peer.id);
await client.endAsync();
