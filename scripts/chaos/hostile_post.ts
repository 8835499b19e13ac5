/** Bodies that no exchange should send, each with the answer that fits and what must be kept of it. */
import { push } from '../demo/cdr.ts'
import type { Business } from './businesses.ts'
import type { Random } from './random.ts'
import type { Post } from './stories.ts'

const TAKEN = [200]
const REFUSED = [400]
/** 429 once there were too many of them from one address. */
const SHUT_OUT = [401, 429]

type Body = { body: string | Buffer; fits: number[]; parts?: Post['parts']; token?: string }

/** A good record from nobody, so that nothing follows from it. */
const good = (business: Business, id: string) =>
  push({ caller: 'anonymous', did: business.line, ivruniqueid: id })

const kept = (kept: 'raw' | 'rejected', text: string | Buffer): Post['parts'][number] => ({
  bytes: Buffer.from(text),
  kept,
})
const taken = (body: string): Body => ({ body, fits: TAKEN, parts: [kept('raw', body)] })

const BODIES: [what: string, make: (business: Business, id: string) => Body][] = [
  ['cut off', (_, id) => ({ body: `{"ivruniqueid":"${id}","status":"NOANSWER"`, fits: REFUSED })],
  [
    'no number dialled',
    (_, id) => ({
      body: JSON.stringify({ ivruniqueid: id, status: 'NOANSWER', caller: '0501112222' }),
      fits: REFUSED,
    }),
  ],
  [
    'NUL in the call id',
    (business, id) => ({ body: JSON.stringify(good(business, `${id}\0`)), fits: REFUSED }),
  ],
  [
    'call id too long',
    (business, id) => ({
      body: JSON.stringify(good(business, id.padEnd(129, 'x'))),
      fits: REFUSED,
    }),
  ],
  ['empty array', () => ({ body: '[]', fits: REFUSED })],
  ['empty body', () => ({ body: '', fits: REFUSED })],
  [
    'nested 10,000 deep',
    (_, id) => ({ body: `${'{"a":'.repeat(10_000)}"${id}"${'}'.repeat(10_000)}`, fits: REFUSED }),
  ],
  [
    'not UTF-8',
    (_, id) => ({
      body: Buffer.concat([Buffer.from(id), Buffer.from([0xff, 0xfe, 0xc3])]),
      fits: REFUSED,
    }),
  ],
  ['HTML', (_, id) => ({ body: `<?xml version="1.0"?><html>${id}</html>`, fits: REFUSED })],
  [
    'a bad one in an array',
    (business, id) => {
      const record = JSON.stringify(good(business, id))
      const wrong = JSON.stringify({ nothing: id })
      return {
        body: `[${record},${wrong}]`,
        fits: REFUSED,
        parts: [kept('raw', record), kept('rejected', wrong)],
      }
    },
  ],
  [
    'half a character',
    (business, id) =>
      taken(JSON.stringify({ ...good(business, id), representative_name: '\ud800 \0' })),
  ],
  [
    '__proto__',
    (business, id) =>
      taken(
        JSON.stringify(good(business, id)).replace(
          '{',
          '{"__proto__":{"admin":true},"status":"ANSWER",',
        ),
      ),
  ],
  [
    'a time that is none',
    (business, id) =>
      taken(
        JSON.stringify({
          ...good(business, id),
          time: 'infinity',
          queuename: "'; drop table raw_cdrs; --",
        }),
      ),
  ],
  [
    'an IVR asking',
    (_, id) => ({
      body: JSON.stringify({ METHOD: 'IVR_LAYER_INPUT', DATA: { IVR_UNIQUE_ID: id } }),
      fits: TAKEN,
    }),
  ],
  [
    'wrong token',
    (business, id) => ({
      body: JSON.stringify(good(business, id)),
      fits: SHUT_OUT,
      parts: [],
      token: 'somebody-elses-guess',
    }),
  ],
]

export const hostilePost = (business: Business, id: string, random: Random): Post => {
  const [what, make] = random.pick(BODIES)
  const { body, fits, parts, token } = make(business, id)
  const bytes = Buffer.from(body)
  return {
    what: `hostile: ${what}`,
    business,
    ...(token && { token }),
    body: bytes,
    contentType: 'application/json',
    parts: parts ?? [kept('rejected', bytes)],
    fits,
    atOnce: 1,
    afterMs: 0,
  }
}
