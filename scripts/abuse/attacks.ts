/** What somebody sends who has no token and no secret, and would like to be let in. */
import { createHash, createHmac } from 'node:crypto'
import { push } from '../demo/cdr.ts'
import type { Random } from '../chaos/random.ts'
import type { Letter } from './wire.ts'

export type Attack = Letter & {
  kind: string
  /** The answers that fit. */
  fits: number[]
}

/** What an attacker may know, or have seen once; never the whole of a valid credential. */
export type Loot = {
  token: string
  revoked: string
  otherToken: string
  appSecret: string
  verifyToken: string
  line: string
  phoneNumberId: string
}

const CDR = '/webhooks/voicenter/cdr'
const WHATSAPP = '/webhooks/whatsapp'
const JSON_TYPE = { 'content-type': 'application/json' }
/** Too many of them from one address hear 429. */
const NO_TOKEN = [401, 429]
const NO_SIGNATURE = [401]
const HARMLESS = [200, 308, 400, 401, 403, 404, 405, 429, 431]

/** In every body, so that it is found wherever it might end. */
export const INTRUDER = 'intruder'

const record = ({ line }: Loot, random: Random) =>
  Buffer.from(
    JSON.stringify(
      push({
        did: line,
        caller: '0528765432',
        ivruniqueid: `${INTRUDER}${random.int(0, 2 ** 40)}`,
      }),
    ),
  )

const webhook = ({ phoneNumberId }: Loot, random: Random) => {
  const message = {
    id: `wamid.${INTRUDER}${random.int(0, 2 ** 40)}`,
    from: '972528765432',
    type: 'text',
    text: { body: 'הסר' },
  }
  const value = { metadata: { phone_number_id: phoneNumberId }, messages: [message] }
  return Buffer.from(
    JSON.stringify({ entry: [{ id: '1', changes: [{ field: 'messages', value }] }] }),
  )
}

const hmac = (bytes: Buffer | string, secret: string): string =>
  createHmac('sha256', secret).update(bytes).digest('hex')
const basic = (password: string) => `Basic ${Buffer.from(`u:${password}`).toString('base64')}`
const changed = (token: string, random: Random): string => {
  const at = random.int(0, token.length - 1)
  return `${token.slice(0, at)}${token[at] === 'x' ? 'y' : 'x'}${token.slice(at + 1)}`
}

/** Every way to show a token, and every token that is none: [in the query, in the header]. */
type Shown = { query?: string; authorization?: string; headers?: Record<string, string> }
const TOKENS: Record<string, (loot: Loot, random: Random) => Shown> = {
  'no token': () => ({}),
  'a wrong token': (_, random) => ({ query: `token=${random.int(0, 2 ** 40)}` }),
  'a token with one character changed': ({ token }, random) => ({
    query: `token=${changed(token, random)}`,
  }),
  'a token that is one short': ({ token }) => ({ query: `token=${token.slice(0, -1)}` }),
  'a token that is one long': ({ token }) => ({ query: `token=${token}A` }),
  'a token in the other case': ({ token }) => ({
    query: `token=${token.toLowerCase() === token ? token.toUpperCase() : token.toLowerCase()}`,
  }),
  'a token with a space or a NUL': ({ token }, random) => ({
    query: `token=${token}${random.pick(['%20', '%00', '%0a'])}`,
  }),
  'an empty token': () => ({ query: 'token=' }),
  'a revoked token': ({ revoked }, random) =>
    random.pick([
      { query: `token=${revoked}` },
      { authorization: basic(revoked) },
      { authorization: `Bearer ${revoked}` },
    ]),
  'two tokens that differ': ({ token, otherToken }) => ({
    query: `token=${token}&token=${otherToken}`,
  }),
  'a token and a wrong one': ({ token }, random) => ({
    query: `token=${token}`,
    authorization: random.pick([basic('x'), 'Bearer x', 'Bearer ']),
  }),
  'a wrong password': (_, random) => ({ authorization: basic(String(random.next())) }),
  'a token as the user': ({ token }) => ({
    authorization: `Basic ${Buffer.from(`${token}:`).toString('base64')}`,
  }),
  'a wrong bearer': ({ token }, random) => ({ authorization: `Bearer ${changed(token, random)}` }),
  'another scheme': ({ token }) => ({ authorization: `Digest ${token}` }),
  'the hash of the token': ({ token }, random) => ({
    query: `token=${createHash('sha256')
      .update(token)
      .digest(random.pick(['hex', 'base64url']))}`,
  }),
  'a token under another name': ({ token }, random) =>
    random.pick<Shown>([
      { query: `Token=${token}` },
      { query: `token[]=${token}` },
      { query: `token%00=${token}` },
      { headers: { cookie: `token=${token}` } },
      { headers: { 'x-api-key': token, token } },
    ]),
  'SQL for a token': () => ({
    query: `token=${encodeURIComponent("' or tenant_id is not null --")}`,
  }),
  'bytes for a token': (_, random) => ({
    query: `token=%${random.pick(['ff', 'fe%fe', '', 'zz'])}`,
  }),
  'ten thousand characters': (_, random) => ({
    query: `token=${'x'.repeat(random.int(9000, 10_000))}`,
  }),
}

/** A signature for these bytes that is none, or one of other bytes: [header, bytes]. */
type Signed = { signature?: string | string[]; body: Buffer }
const SIGNATURES: Record<string, (body: Buffer, loot: Loot, random: Random) => Signed> = {
  'no signature': body => ({ body }),
  'a wrong signature': (body, _, random) => ({
    body,
    signature: `sha256=${hmac(body, String(random.next()))}`,
  }),
  'signed with the verify token': (body, { verifyToken }) => ({
    body,
    signature: `sha256=${hmac(body, verifyToken)}`,
  }),
  'signed with nothing': body => ({ body, signature: `sha256=${hmac(body, '')}` }),
  'one byte changed': (body, { appSecret }, random) => {
    const other = Buffer.from(body)
    const at = random.int(0, other.length - 1)
    other[at] = (other[at] ?? 0) ^ 1
    return { body: other, signature: `sha256=${hmac(body, appSecret)}` }
  },
  'written again': (body, { appSecret }) => ({
    body: Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1)),
    signature: `sha256=${hmac(body, appSecret)}`,
  }),
  'cut short': (body, { appSecret }) => ({
    body: body.subarray(0, -1),
    signature: `sha256=${hmac(body, appSecret)}`,
  }),
  'in capitals': (body, { appSecret }) => ({
    body,
    signature: `sha256=${hmac(body, appSecret)
      .toUpperCase()
      .replace(/^[^A-F]*$/, 'A')}`,
  }),
  'another hash': (body, { appSecret }) => ({
    body,
    signature: `sha1=${createHmac('sha1', appSecret).update(body).digest('hex')}`,
  }),
  'half a signature': (body, { appSecret }, random) => ({
    body,
    signature: `sha256=${hmac(body, appSecret).slice(0, random.int(0, 63))}`,
  }),
  'a signature and more': (body, { appSecret }) => ({
    body,
    signature: `sha256=${hmac(body, appSecret)}00`,
  }),
  'a signature without its name': (body, { appSecret }) => ({
    body,
    signature: hmac(body, appSecret),
  }),
  'two signatures': (body, { appSecret }) => ({
    body,
    signature: [`sha256=${hmac(body, appSecret)}`, `sha256=${'0'.repeat(64)}`],
  }),
}

const VERIFICATIONS: ((loot: Loot, random: Random) => string)[] = [
  ({ verifyToken }, random) =>
    `hub.mode=subscribe&hub.verify_token=${changed(verifyToken, random)}&hub.challenge=1`,
  ({ verifyToken }) => `hub.mode=subscribe&hub.verify_token[]=${verifyToken}&hub.challenge=1`,
  ({ verifyToken }) => `hub.mode=unsubscribe&hub.verify_token=${verifyToken}&hub.challenge=1`,
  ({ verifyToken }) => `hub.mode=subscribe&hub.verify_token=${verifyToken}`,
  () => 'hub.mode=subscribe&hub.verify_token=&hub.challenge=<script>',
  () => '',
]

const PATHS =
  `/ //webhooks/voicenter/cdr /webhooks/voicenter/cdr/ /Webhooks/Voicenter/CDR /webhooks/voicenter/%63dr
   /webhooks%2fvoicenter%2fcdr /webhooks/./voicenter/cdr /webhooks/x/../voicenter/cdr /webhooks/voicenter/cdr%00
   /webhooks/voicenter/cdr;a=b /webhooks/whatsapp/ /webhooks /ops /ops/ /metrics /healthz /.env /.git/config
   /admin /graphql /__proto__ /constructor /%c0%ae%c0%ae/etc/passwd /%ff`.split(/\s+/)
const METHODS = ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'POST', 'PROPFIND']

const address = (random: Random): string =>
  Array.from({ length: 4 }, () => random.int(1, 254)).join('.')
/** The router in front appends the true address last; what comes before it is made up. */
const from = (random: Random): Record<string, string> =>
  random.pick([
    {},
    { 'x-forwarded-for': '203.0.113.7' },
    { 'x-forwarded-for': `${address(random)}, 127.0.0.1, 203.0.113.7` },
    { 'x-forwarded-for': address(random), 'x-real-ip': '127.0.0.1', forwarded: 'for=127.0.0.1' },
  ])

/** One request that must not be let in. */
export const attack = (loot: Loot, random: Random): Attack => {
  const door = random.next()
  const headers = { ...JSON_TYPE, ...from(random) }
  if (door < 0.55) {
    const kind = random.pick(Object.keys(TOKENS))
    const { query, authorization, headers: others } = TOKENS[kind]?.(loot, random) ?? {}
    return {
      kind,
      path: query ? `${CDR}?${query}` : CDR,
      headers: { ...headers, ...others, ...(authorization && { authorization }) },
      body: record(loot, random),
      fits: NO_TOKEN,
    }
  }
  if (door < 0.85) {
    const kind = random.pick(Object.keys(SIGNATURES))
    const body = webhook(loot, random)
    const made = SIGNATURES[kind]?.(body, loot, random) ?? { body }
    return {
      kind,
      path: WHATSAPP,
      headers: { ...headers, ...(made.signature && { 'x-hub-signature-256': made.signature }) },
      body: made.body,
      fits: NO_SIGNATURE,
    }
  }
  if (door < 0.9)
    return {
      kind: 'a wrong verification',
      method: 'GET',
      path: `${WHATSAPP}?${random.pick(VERIFICATIONS)(loot, random)}`,
      headers,
      fits: [403],
    }
  const method = random.pick(METHODS)
  return {
    kind: 'another path or method',
    method,
    path: random.pick([...PATHS, CDR, WHATSAPP]),
    headers,
    // Without a credential; a body all the same, where it may have one.
    ...(['POST', 'PUT', 'PATCH'].includes(method) && { body: record(loot, random) }),
    fits: HARMLESS,
  }
}
