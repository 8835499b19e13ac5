/**
 * Attacks on the program in production: hostile bodies with a valid credential, and a flood without one. Each body must
 * be answered correctly and be stored or rejected, no job may fail, and memory stays bounded. SEED=... repeats a run.
 */
import { createHash, createHmac, randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, type OutgoingHttpHeaders, request } from 'node:http'
import fc from 'fast-check'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { callBackPush, push } from '../../scripts/demo/cdr.ts'
import { IN_ORDER, startProcess } from '../support/process.ts'
import {
  APP_SECRET,
  business,
  contents,
  customer,
  db,
  fake,
  VERIFY_TOKEN,
  webhookToken,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { contacted, hmac } from '../support/whatsapp.ts'
import { CDRS, fresh, type Hostile, isJson, type Known, mobile, WEBHOOKS } from './hostile.ts'

const seed = Number(process.env['SEED']) || randomInt(2 ** 31)
t.comment(`SEED=${seed}`)
/** Bodies of each kind, and requests of the flood. */
const BODIES = 60
const FLOOD = 6000
const CONNECTIONS = 24
const MOST_MEMORY_MB = 300

const CDR = '/webhooks/voicenter/cdr'
const WHATSAPP = '/webhooks/whatsapp'
const program = startProcess({ ROLE: 'web' })
await program.running()
const url = await program.url()
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS + 1 })
t.teardown(() => agent.destroy())

type Letter = {
  method?: string
  path: string
  headers?: OutgoingHttpHeaders
  body?: Buffer | string
}
/** Sends it as it is; fetch would correct it. Status 0: the connection ended without an answer. */
const send = ({ method = 'POST', path, headers = {}, body }: Letter) =>
  new Promise<{ status: number; text: string }>(resolve => {
    const { port, hostname: host } = new URL(url)
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const options = { host, port, agent, method, path, headers: { ...headers, ...length } }
    const req = request(options, res => {
      let text = ''
      res.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
      res.on('close', () => resolve({ status: res.statusCode ?? 0, text }))
    })
    req.on('error', () => resolve({ status: 0, text: '' }))
    req.end(body)
  })
const inParallel = async <Item>(items: Item[], work: (item: Item) => Promise<void>) => {
  const left = items.values()
  const one = async () => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, one))
}
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes)
const query = async <Row>(text: string): Promise<Row[]> =>
  (await sql<Row>`${sql.raw(text)}`.execute(db)).rows
const column = async (text: string): Promise<Set<string>> =>
  new Set((await query<{ found: string }>(text)).map(({ found }) => found))
const hashes = (from: string) => column(`select encode(sha256(body), 'hex') as found from ${from}`)

const isUnharmed = (t: Test) => {
  t.ok(program.isAlive())
  if (process.platform !== 'linux') return
  const status = readFileSync(`/proc/${program.pid}/status`, 'utf8')
  const peak = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024)
  t.ok(peak < MOST_MEMORY_MB, `${peak} MB at most`)
}

/** Posts bodies of every kind, and checks the answers. */
const attack = async <Target>(
  t: Test,
  table: Record<string, (target: Target) => fc.Arbitrary<Hostile>>,
  target: Target,
  path: string,
  headersOf: (body: Hostile) => OutgoingHttpHeaders,
) => {
  const posts: (Hostile & { status: number; text: string })[] = []
  for (const [kind, make] of Object.entries(table)) {
    const answers: Record<number, number> = {}
    const wrong: string[] = []
    await inParallel(fc.sample(make(target), { seed, numRuns: BODIES }), async hostile => {
      const { status, text } = await send({
        path,
        headers: headersOf(hostile),
        body: hostile.bytes,
      })
      answers[status] = (answers[status] ?? 0) + 1
      if (!hostile.answers.includes(status))
        wrong.push(`${status} ${text} for ${hostile.bytes.toString().slice(0, 500)}`)
      posts.push({ ...hostile, status, text })
    })
    t.strictSame(wrong, [], `${kind}: ${JSON.stringify(answers)}`)
  }
  return posts
}

/** Runs all jobs. A failed job is retried, because it may have conflicted with another. @returns what still fails */
const failedJobs = async () => {
  for (let round = 0; round < 4; round++) {
    await work()
    await query(`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
                 from graphile_worker.jobs where last_error is not null having count(*) > 0`)
  }
  return query(
    `select task_identifier, last_error from graphile_worker.jobs where last_error is not null`,
  )
}

const TYPES = [
  'application/json',
  'application/json',
  'application/x-www-form-urlencoded',
  'text/xml',
  'text/plain; charset=utf-7',
  'a/b; charset=iso-8859-8',
  'x'.repeat(1000),
]

await t.test('hostile CDRs are stored or rejected, and classified', async t => {
  const { tenantId, token, did } = await business({ columns: { contact_foreign: true } })
  let n = 0
  const posts = await attack(t, CDRS, did, `${CDR}?token=${token}`, ({ contentType }) => ({
    'content-type': contentType ?? TYPES[n++ % TYPES.length],
  }))
  const stored = await hashes('raw_cdrs')
  const rejected = await hashes(`rejected_deliveries where source = 'voicenter'`)
  const misplaced = posts.filter(({ status, text, bytes, parts = [bytes] }) => {
    const found = parts.map(part => sha256(part).digest('hex'))
    const isRejected = rejected.has(sha256(bytes).digest('hex'))
    // A request of Voicenter's IVR is rejected, and answered so that the IVR continues.
    if (status === 200)
      return !(text === '{"STATUS":1}' ? isRejected : found.every(hash => stored.has(hash)))
    const areKept = found.every(hash => stored.has(hash) || rejected.has(hash))
    return !isRejected && !(areKept && found.some(hash => rejected.has(hash)))
  })
  t.strictSame(misplaced, [])

  t.strictSame(await failedJobs(), [])
  t.strictSame(await query('select id from raw_cdrs where verdict is null'), [])
  const due = `outreach_due_at between now() and now() + interval '2 minutes'`
  t.strictSame(await query(`select outreach_due_at from missed_calls where not ${due}`), [])
  const scheduled = `from missed_calls where outreach_state = 'scheduled' and tenant_id = ${tenantId}`
  const tooOld = `called_at not between now() - interval '2 hours' and now()`
  t.strictSame(await query(`select called_at ${scheduled} and ${tooOld}`), [])
  const calls = await query(`select id ${scheduled}`)
  t.ok(calls.length > 50, `${calls.length} of them are missed calls`)
  await workAsIfDue()
  t.strictSame(await failedJobs(), [])
  t.equal(fake.accepted().length, calls.length, 'each caller is written to')
  t.notOk('admin' in {}, 'no prototype has changed')
  isUnharmed(t)
})

await t.test('hostile webhooks are stored or rejected, and handled', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const people = [await contacted(shop), await contacted(shop), await contacted(shop)]
  const known: Known = {
    phoneNumberId: shop.phoneNumberId,
    wamids: people.map(({ wamid }) => wamid),
    waIds: people.map(({ e164 }) => e164.slice(1)),
  }
  const posts = await attack(t, WEBHOOKS, known, WHATSAPP, ({ bytes }) => ({
    'content-type': 'application/json',
    'x-hub-signature-256': `sha256=${hmac(bytes)}`,
  }))
  const rejected = await hashes(`rejected_deliveries where source = 'whatsapp'`)
  const found = await column(
    `select m[1] as found from whatsapp_events, regexp_matches(payload::text, 'mark[0-9a-z]+', 'g') m`,
  )
  const misplaced = posts.filter(
    ({ bytes, marks = [] }) =>
      !rejected.has(sha256(bytes).digest('hex')) &&
      !(isJson(bytes) && marks.every(mark => found.has(mark))),
  )
  t.strictSame(misplaced, [])
  t.strictSame(await failedJobs(), [])
  const absurd = `due_at not between now() - interval '1 hour' and now() + interval '25 hours'`
  t.strictSame(await query(`select id, due_at from messages where ${absurd}`), [])
  t.notOk('admin' in {}, 'no prototype has changed')
  isUnharmed(t)
})

/** What an attacker may have seen; never a whole valid credential. */
type Loot = { token: string; revoked: string; line: string; phoneNumberId: string }
/** In every body of the flood, so that it is found in any table. */
const INTRUDER = 'intruder'
const pick = <T>(...list: T[]): T => list[randomInt(list.length)] ?? pick(...list)

/** Invalid credentials. test/web/auth.test.ts has more. */
const TOKENS: Record<string, (loot: Loot) => { query?: string; headers?: OutgoingHttpHeaders }> = {
  none: () => ({}),
  wrong: () => ({ query: `token=${fresh()}` }),
  'followed by a space, a NUL or a line feed': ({ token }) => ({
    query: `token=${token}${pick('%20', '%00', '%0a')}`,
  }),
  'revoked, in the URL': ({ revoked }) => ({ query: `token=${revoked}` }),
  'revoked, as a password': ({ revoked }) => ({
    headers: { authorization: `Basic ${Buffer.from(`u:${revoked}`).toString('base64')}` },
  }),
  'revoked, as a bearer': ({ revoked }) => ({ headers: { authorization: `Bearer ${revoked}` } }),
  'in another scheme': ({ token }) => ({ headers: { authorization: `Digest ${token}` } }),
  'its hash': ({ token }) => ({ query: `token=${sha256(token).digest(pick('hex', 'base64url'))}` }),
  'under another name': ({ token }) => ({
    query: `${pick('Token', 'token[]', 'token%00')}=${token}`,
  }),
  'in other headers': ({ token }) => ({
    headers: { cookie: `token=${token}`, 'x-api-key': token, token },
  }),
  'a broken escape': () => ({ query: `token=%${pick('ff', 'fe%fe', '', 'zz')}` }),
  'from a forged address': () => ({
    query: `token=${fresh()}`,
    headers: {
      'x-forwarded-for': `127.0.0.1, 203.0.113.${randomInt(255)}`,
      'x-real-ip': '127.0.0.1',
    },
  }),
}
const sign = (bytes: Buffer, secret: string, algorithm = 'sha256') =>
  createHmac(algorithm, secret).update(bytes).digest('hex')
/** Invalid signatures. test/web/whatsapp.test.ts has more. */
const SIGNATURES: Record<string, (bytes: Buffer) => string | string[]> = {
  'of another secret': bytes => `sha256=${sign(bytes, fresh())}`,
  'of the verify token': bytes => `sha256=${sign(bytes, VERIFY_TOKEN)}`,
  'of an empty secret': bytes => `sha256=${sign(bytes, '')}`,
  'of other bytes': bytes => `sha256=${sign(bytes.subarray(1), APP_SECRET)}`,
  'with SHA-1': bytes => `sha1=${sign(bytes, APP_SECRET, 'sha1')}`,
  'two of them': bytes => [`sha256=${sign(bytes, APP_SECRET)}`, `sha256=${'0'.repeat(64)}`],
}
const PATHS =
  `/ /webhooks /webhooks/voicenter/cdr/ /Webhooks/Voicenter/CDR /webhooks/voicenter/%63dr /webhooks/whatsapp/ /ops
   /ops/ /metrics /healthz /.env /.git/config /admin /graphql /__proto__ /constructor /%c0%ae%c0%ae/etc/passwd /%ff
   /webhooks/voicenter/cdr /webhooks/whatsapp`.split(/\s+/)
const METHODS = ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'POST', 'PROPFIND']

/** One request of each kind, with the answers that are correct. After a hundred wrong tokens the answer is 429. */
const intruders = (loot: Loot): [kind: string, answers: number[], letter: Letter][] => {
  const cdr = push({ did: loot.line, caller: mobile(), ivruniqueid: INTRUDER + fresh() })
  const id = `wamid.${INTRUDER}${fresh()}`
  const message = { id, from: '972528765432', type: 'text', text: { body: 'הסר' } }
  const value = { metadata: { phone_number_id: loot.phoneNumberId }, messages: [message] }
  const entry = [{ id: '1', changes: [{ field: 'messages', value }] }]
  const webhook = Buffer.from(JSON.stringify({ entry }))
  const method = pick(...METHODS)
  const query = 'hub.mode=subscribe&hub.verify_token=&hub.challenge=<script>'
  return [
    ...Object.entries(TOKENS).map(([kind, make]): [string, number[], Letter] => {
      const { query = '', headers } = make(loot)
      const path = `${CDR}?${query}`
      return [
        `a token ${kind}`,
        [401, 429],
        { path, body: JSON.stringify(cdr), ...(headers && { headers }) },
      ]
    }),
    ...Object.entries(SIGNATURES).map(([kind, make]): [string, number[], Letter] => {
      const headers = { 'x-hub-signature-256': make(webhook) }
      return [`a signature ${kind}`, [401], { path: WHATSAPP, headers, body: webhook }]
    }),
    ['a wrong verification', [403], { method: 'GET', path: `${WHATSAPP}?${query}` }],
    [
      'another method or path',
      [200, 302, 308, 400, 401, 403, 404, 405, 429],
      {
        method,
        path: pick(...PATHS),
        ...(['POST', 'PUT', 'PATCH'].includes(method) && { body: JSON.stringify(cdr) }),
      },
    ],
  ]
}

await t.test('a flood without a credential changes nothing, and Voicenter is served', async t => {
  const { tenantId, token, did, phoneNumberId } = await business()
  const revoked = await webhookToken(tenantId)
  await query(`update webhook_tokens set revoked_at = now() where hash = sha256('${revoked}')`)
  const loot = { token, revoked, line: did, phoneNumberId }
  const voicenterPosts = async (record: object) =>
    (await send({ path: `${CDR}?token=${token}`, body: JSON.stringify(record) })).status

  // The checklist shows that Meta's requests were refused. These two tables note it, and nothing else of them may change.
  const NOTES = ['public.whatsapp_connections', 'public.whatsapp_verification']
  const connections = () =>
    column(
      `select (to_jsonb(c) - 'wrong_signature_at')::text as found from whatsapp_connections c order by id`,
    )
  const connectionsBefore = await connections()
  const before = await contents()
  const wrong = new Set<string>()
  const rounds = Array.from({ length: Math.ceil(FLOOD / intruders(loot).length) }, (_, n) => n)
  let isOver = false
  const flood = inParallel(rounds, async () => {
    for (const [kind, answers, letter] of intruders(loot)) {
      const { status } = await send(letter)
      if (!answers.includes(status))
        wrong.add(`${kind}: ${letter.method ?? ''} ${letter.path} ${status}`)
    }
  }).finally(() => (isOver = true))
  const ids: string[] = []
  const answers = new Set<number>()
  while (!isOver) {
    // A call back, which causes no message.
    const cdr = callBackPush({ caller: did })
    ids.push(cdr.ivruniqueid)
    answers.add(await voicenterPosts(cdr))
  }
  await flood
  t.strictSame([...wrong], [])
  t.strictSame([...answers], [200], `${ids.length} posts of Voicenter`)
  const stored = await column(
    `select call_id as found from raw_cdrs where tenant_id = ${tenantId} or call_id like '${INTRUDER}%'`,
  )
  t.strictSame([...stored].toSorted(), ids.toSorted())
  const after = await contents()
  for (const [table, hash] of Object.entries(before))
    if (table.startsWith('public.') && ![...NOTES, 'public.raw_cdrs'].includes(table))
      t.equal(after[table], hash, `${table} is unchanged`)
  t.strictSame(await connections(), connectionsBefore)
  isUnharmed(t)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
