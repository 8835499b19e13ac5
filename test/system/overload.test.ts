/** More requests than the program can take: some are answered with 503 or 429, memory and storage stay limited. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { newCallId, push } from '../../scripts/demo/cdr.ts'
import { IN_ORDER, startProcess, waitUntil } from '../support/process.ts'
import { business, contents, db, rejectedOf, webhookToken } from '../support/ringback.ts'
import { hmac } from '../support/whatsapp.ts'

const LIMIT = 5 * 1024 * 1024
const program = startProcess({ ROLE: 'web' })
await program.running()
const url = await program.url()

/** The highest memory use so far, in MB. Only Linux tells it. */
const peakMemory = (): number => {
  if (process.platform !== 'linux') return 0
  const status = readFileSync(`/proc/${program.pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
}
const post = async (token: string, body: string, from = '203.0.113.1') => {
  const response = await fetch(`${url}/webhooks/voicenter/cdr?token=${token}`, {
    method: 'POST',
    body,
    headers: { 'x-forwarded-for': from },
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    text: await response.text(),
  }
}
const callIdsOf = async (tenantId: string) => {
  const rows = db.selectFrom('raw_cdrs').select('call_id').where('tenant_id', '=', tenantId)
  return (await rows.execute()).map(({ call_id }) => call_id)
}

await t.test('fifty bodies near the size limit: each is stored or answered with 503', async t => {
  const { tenantId, token } = await business()
  const bodies = Array.from({ length: 50 }, (_, n) =>
    JSON.stringify(
      push({ ivruniqueid: `${newCallId(new Date())}${n}`, transcript: 'x'.repeat(LIMIT - 1000) }),
    ),
  )
  const answers = await Promise.all(bodies.map(body => post(token, body)))
  const stored = answers.filter(({ status }) => status === 200).length
  t.ok(stored > 0 && stored < 50, `${stored} of 50 are stored`)
  t.equal((await callIdsOf(tenantId)).length, stored)
  for (const { status, retryAfter, text } of answers)
    if (status !== 200) {
      t.strictSame([status, retryAfter], [503, '5'])
      t.match(text, /"Err":2/)
    }
  t.match(await post(token, JSON.stringify(push())), { status: 200 }, 'a small one is stored')
  for (const [i, { status }] of answers.entries())
    if (status === 503 && i % 10 === 0) t.match(await post(token, bodies[i] ?? ''), { status: 200 })
  t.ok(peakMemory() < 350, `${peakMemory()} MB at most`)
})

await t.test('large bodies with a wrong signature do not keep CDRs out', async t => {
  const { token } = await business()
  const event = async (body: Buffer, signature: string) => {
    const headers = { 'x-hub-signature-256': `sha256=${signature}` }
    return (await fetch(`${url}/webhooks/whatsapp`, { method: 'POST', body, headers })).status
  }
  const large = Buffer.alloc(4_000_000, 'x')
  let ended = false
  const flood = Promise.all(Array.from({ length: 40 }, () => event(large, '0'.repeat(64)))).finally(
    () => {
      ended = true
    },
  )
  const cdr = () => JSON.stringify(push({ transcript: 'x'.repeat(100_000) }))
  for (let sent = 0; !ended || sent < 10; sent++) t.match(await post(token, cdr()), { status: 200 })
  for (const status of await flood) t.ok([401, 503].includes(status), String(status))
  t.ok(peakMemory() < 350, `${peakMemory()} MB at most`)

  const signed = Buffer.from('{"entry":[]}')
  t.equal(await event(signed, hmac(signed)), 200)
})

await t.test('five megabytes of tiny values are refused quickly', async t => {
  const token = await webhookToken(null)
  const bodies = [
    `{"a":[${Array.from({ length: 2_500_000 }, () => 1).join()}]}`,
    `[${Array.from({ length: 1_700_000 }, () => '{}').join()}]`,
    Array.from({ length: 1_200_000 }, () => 'a=1').join('&'),
    '['.repeat(LIMIT),
    `{"a":[${Array.from({ length: 1_000_000 }, () => -1.5).join()}]}`,
    `a=${'%D7%90'.repeat(LIMIT / 6)}`,
    `a=${'='.repeat(LIMIT - 2)}`,
  ]
  for (const body of bodies) {
    const started = performance.now()
    const { status, text } = await post(token, body)
    t.equal(status, 400)
    t.match(text, /more than|deeper than|is missing/)
    t.ok(performance.now() - started < 5000)
  }
  t.ok(program.isAlive())
})

await t.test('10,000 wrong tokens from the address of a valid sender', async t => {
  const { tenantId, token } = await business()
  const before = await contents()
  const wrong: Record<number, number> = {}
  let ended = false
  const attack = Promise.all(
    Array.from({ length: 50 }, async (_, client) => {
      for (let n = 0; n < 200; n++) {
        const body = JSON.stringify(push())
        // No token contains a tilde. Digits alone could by chance complete the valid token.
        const { status } = await post(`${token.slice(0, -2)}~${client}${n}`, body, '203.0.113.7')
        wrong[status] = (wrong[status] ?? 0) + 1
      }
    }),
  ).finally(() => {
    ended = true
  })
  const callIds: string[] = []
  while (!ended) {
    const cdr = push()
    callIds.push(cdr.ivruniqueid)
    t.match(await post(token, JSON.stringify(cdr), '203.0.113.7'), { status: 200 })
  }
  await attack
  t.equal((wrong[401] ?? 0) + (wrong[429] ?? 0), 10_000, JSON.stringify(wrong))
  // The limit is a hundred a minute, and the attack may last several minutes.
  t.ok((wrong[429] ?? 0) > 9000, JSON.stringify(wrong))
  t.ok(callIds.length > 5, `${callIds.length} are stored meanwhile`)
  t.strictSame((await callIdsOf(tenantId)).toSorted(), callIds.toSorted(), 'no others')
  const after = await contents()
  for (const [table, hash] of Object.entries(before))
    if (table.startsWith('public.') && table !== 'public.raw_cdrs')
      t.equal(after[table], hash, `${table} is unchanged`)
})

const logged = (message: RegExp) => program.lines.filter(line => message.test(line))
const REJECTED = /delivery rejected/

await t.test('the first rejected delivery of each sender is logged once', async t => {
  const { tenantId, token } = await business()
  const other = await business()
  const before = logged(REJECTED).length
  for (let i = 0; i < 3; i++) t.match(await post(token, `{"test":${i}}`), { status: 400 })
  t.match(await post(other.token, '{}'), { status: 400 })
  await waitUntil('logged', () => logged(REJECTED).length >= before + 2)
  const lines = logged(REJECTED).slice(before)
  t.equal(lines.length, 2)
  t.match(lines[0], `"tenantId":"${tenantId}"`)
  t.notMatch(lines.join(), /"test"/)
})

await t.test(
  'of one sender 100,000 rejected deliveries a day are kept, more are counted',
  async t => {
    const ENOUGH = /counted, not kept/
    const { tenantId, token } = await business()
    const rows = async () => {
      const count = db
        .selectFrom('rejected_deliveries')
        .select(({ fn }) => fn.countAll<string>().as('count'))
        .where('tenant_id', '=', tenantId)
      return Number((await count.executeTakeFirstOrThrow()).count)
    }
    /** An array of ten thousand invalid CDRs. */
    const invalid = (n: number) =>
      `[${Array.from({ length: 10_000 }, (_, i) => n * 10_000 + i).join()}]`
    for (let n = 0; n < 10; n++) t.match(await post(token, invalid(n)), { status: 400 })
    t.equal(await rows(), 100_000)
    await waitUntil('logged', () => logged(ENOUGH).length > 0)

    t.match(await post(token, invalid(10)), { status: 400 })
    t.match(await post(token, '{"test":true}'), { status: 400 })
    t.equal(await rows(), 100_001)
    const counted = db.selectFrom('rejected_deliveries').select(['body', 'deliveries', 'reason'])
    t.match(await counted.where('tenant_id', '=', tenantId).where('body', 'is', null).execute(), [
      { deliveries: 10_001, reason: /counted, not kept/ },
    ])
    t.equal(logged(ENOUGH).length, 1, 'logged once')

    t.match(await post(token, JSON.stringify([push(), 1])), { status: 400 })
    t.equal((await callIdsOf(tenantId)).length, 1, 'a valid CDR is stored')
    const other = await business()
    t.match(await post(other.token, '{"a":1}'), { status: 400 })
    t.match(await rejectedOf(other.tenantId), [{ deliveries: 1 }], 'each sender has its own limit')
  },
)

await t.test('the program still stops in order', async t => {
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
