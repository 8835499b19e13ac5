/** More at once than the program has room for: some are told to come again, and the memory stays. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { business, db, webhookToken } from '../support/ringback.ts'
import { hmac } from '../support/whatsapp.ts'
import { newCallId, push } from '../../scripts/demo/cdr.ts'
import { program } from './support.ts'

const LIMIT = 5 * 1024 * 1024
const app = await program()
const CDR = `${app.url}/webhooks/voicenter/cdr`

/** The most memory it has ever had, in MB; only Linux tells. */
const peak = (): number => {
  if (process.platform !== 'linux') return 0
  const status = readFileSync(`/proc/${app.child.pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
}
const send = async (token: string, body: string) => {
  const response = await fetch(`${CDR}?token=${token}`, { method: 'POST', body })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    text: await response.text(),
  }
}
const storedOf = async (tenantId: string) =>
  (await db.selectFrom('raw_cdrs').select('id').where('tenant_id', '=', tenantId).execute()).length

await t.test(
  'of fifty bodies near the limit at once each is stored, or told to come again',
  async t => {
    const { tenantId, token } = await business()
    const bodies = Array.from({ length: 50 }, (_, n) =>
      JSON.stringify(
        push({ ivruniqueid: `${newCallId(new Date())}${n}`, transcript: 'x'.repeat(LIMIT - 1000) }),
      ),
    )
    const answers = await Promise.all(bodies.map(body => send(token, body)))
    const stored = answers.filter(({ status }) => status === 200).length
    t.ok(stored > 0, `${stored} of 50 were stored`)
    t.equal(await storedOf(tenantId), stored)
    for (const { status, retryAfter, text } of answers)
      if (status !== 200) {
        t.strictSame([status, retryAfter], [503, '5'])
        t.match(text, /"Err":2/)
      }
    t.ok(stored < 50, 'there is no room for all of them')

    t.match(
      await send(token, JSON.stringify(push())),
      { status: 200 },
      'a small one is not held up',
    )
    for (const [i, { status }] of answers.entries())
      if (status === 503 && i % 10 === 0)
        t.match(await send(token, bodies[i] ?? ''), { status: 200 })
    t.ok(peak() < 350, `${peak()} MB at most`)
  },
)

await t.test(
  'rubbish that claims to be from WhatsApp takes no room from the call records',
  async t => {
    const { token } = await business()
    const body = Buffer.alloc(4_000_000, 'x')
    const headers = { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }
    let over = false
    const rubbish = Promise.all(
      Array.from({ length: 40 }, async () => {
        const { status } = await fetch(`${app.url}/webhooks/whatsapp`, {
          method: 'POST',
          body,
          headers,
        })
        return status
      }),
    ).finally(() => {
      over = true
    })
    let sent = 0
    while (!over || sent < 10) {
      t.match(await send(token, JSON.stringify(push({ transcript: 'x'.repeat(100_000) }))), {
        status: 200,
      })
      sent++
    }
    for (const status of await rubbish) t.ok([401, 503].includes(status), String(status))
    t.ok(peak() < 350, `${peak()} MB at most`)

    const signed = Buffer.from('{"entry":[]}')
    const response = await fetch(`${app.url}/webhooks/whatsapp`, {
      method: 'POST',
      body: signed,
      headers: { 'x-hub-signature-256': `sha256=${hmac(signed)}` },
    })
    t.equal(response.status, 200, 'and Meta is heard afterwards')
  },
)

await t.test('five megabytes of nothing but values are refused in no time', async t => {
  const token = await webhookToken(null)
  const bodies = [
    `{"a":[${Array.from({ length: 2_500_000 }, () => 1).join()}]}`,
    `[${Array.from({ length: 1_700_000 }, () => '{}').join()}]`,
    Array.from({ length: 1_200_000 }, () => 'a=1').join('&'),
    '['.repeat(LIMIT),
  ]
  for (const body of bodies) {
    const started = performance.now()
    const { status, text } = await send(token, body)
    t.equal(status, 400)
    t.match(text, /more than|deeper than/)
    t.ok(performance.now() - started < 5000)
  }
})
