import { createHmac } from 'node:crypto';

/**
 * A token as a service signs it that knows who may go where (RFC 7519, HS256).
 *
 * @param {string} sub
 * @param {string} room
 * @param {string} secret
 */
export function signed(sub, room, secret) {
  const claims = { sub, rooms: [room], aud: 'duet', exp: Math.floor(Date.now() / 1000) + 3600 };
  const [head, body] = [{ alg: 'HS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  return `${head}.${body}.${createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')}`;
}
