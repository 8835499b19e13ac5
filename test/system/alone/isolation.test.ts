/**
 * Two businesses: an attacker with a valid token, and a quiet one. During each attack (isolation_attacks.ts) the calls of
 * the quiet one are stored at once, its messages leave when they are due, an opt-out is read, and the pages answer.
 * ATTACK=... runs only the attacks with this text in their names.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { availableParallelism, loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { sql } from 'kysely'
import { hashPassword } from '../../../app/tenants/credentials.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { IN_ORDER, startProcess, waitUntil } from '../../support/process.ts'
import { business, customer, db, fake } from '../../support/ringback.ts'
import { change, envelope, hmac } from '../../support/whatsapp.ts'
import { ATTACKS, type Target } from './isolation_attacks.ts'

t.setTimeout(900_000)

/** Begins when an attack has run for 1.5 seconds, so it contains the time in which slow bodies fill the memory. */
const SECONDS = 2.5
const CALLS_EVERY_MS = 50
const EVENTS_EVERY_MS = 200
const PAGES_EVERY_MS = 500
const MESSAGES = 3
const GIVE_UP_AFTER = 20
const MOST_MEMORY_MB = 450
/** How many processes wait for each core because of others. On a busy machine everything takes longer. */
const BUSY = (loadavg()[0] ?? 0) / availableParallelism()

const program = startProcess({ OPS_PASSWORD: 'a long password of the operator' })
const url = await program.url()
await program.running()
const columns = { outreach_delay: '1 second' }
const quiet = await business({ columns })
const attacker = await business({ columns })

/** Voicenter's address, Meta's, and the owner's. */
const [VOICENTER, META, OWNER] = ['198.51.100.1', '198.51.100.2', '198.51.100.3']

/** An idle server in a process of its own. Its answers show how busy the machine is. */
const control = spawn(process.execPath, [
  '--eval',
  `const server = require('node:http').createServer((_, res) => res.end())
   server.listen(0, '127.0.0.1', () => console.log('http://127.0.0.1:' + server.address().port))`,
])
t.teardown(() => control.kill('SIGKILL'))
const [controlUrl] = await once(createInterface(control.stdout), 'line')

const agent = new Agent({ keepAlive: true })
type Answer = { status: number; ms: number }
const ask = (
  path: string,
  address: string,
  { body, headers = {} }: { body?: string; headers?: Record<string, string> } = {},
  base = url,
) =>
  new Promise<Answer>(resolve => {
    const started = performance.now()
    const done = (status: number) => resolve({ status, ms: performance.now() - started })
    const req = request(new URL(path, base), {
      agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'x-forwarded-for': address, 'x-forwarded-proto': 'https', ...headers },
    })
    req.on('response', res => void res.resume().on('end', () => done(res.statusCode ?? 0)))
    req.on('error', () => done(0))
    req.end(body)
  })

const call = (caller: string) =>
  ask(`/webhooks/voicenter/cdr?token=${quiet.token}`, VOICENTER, {
    body: JSON.stringify(push({ caller, did: quiet.did })),
  })
let messages = 0
const event = (value: Record<string, unknown>) => {
  const body = JSON.stringify(envelope(change(quiet.phoneNumberId, value)))
  const headers = { 'x-hub-signature-256': `sha256=${hmac(body)}` }
  return ask('/webhooks/whatsapp', META, { body, headers })
}
const writes = (from: string, body: string) =>
  event({
    messages: [
      { id: `wamid.quiet${messages++}`, from: from.slice(1), type: 'text', text: { body } },
    ],
  })
/** The owner of the quiet business has signed in. */
const signIn = async (): Promise<string> => {
  const password = 'a long password of the owner'
  await db
    .updateTable('tenants')
    .set({ ops_password: await hashPassword(password) })
    .where('id', '=', quiet.tenantId)
    .execute()
  const answer = await fetch(`${url}/ops/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ name: quiet.tenantId, password }),
    headers: { 'x-forwarded-for': OWNER, 'x-forwarded-proto': 'https' },
    redirect: 'manual',
  })
  return answer.headers
    .getSetCookie()
    .map(line => line.split(';')[0])
    .join('; ')
}
const cookie = await signIn()
const page = () => ask('/ops', OWNER, { headers: { cookie } })

/** Asks at a steady rate, however long the answers take. */
const steadily = async (everyMs: number, make: () => Promise<Answer>, signal: AbortSignal) => {
  const asked: Promise<Answer>[] = []
  while (!signal.aborted) {
    asked.push(make())
    await sleep(everyMs)
  }
  return Promise.all(asked)
}

/** Repeats a webhook until it is accepted, as Voicenter and Meta do. @returns the seconds that this took */
const untilAccepted = async (make: () => Promise<Answer>): Promise<number> => {
  const from = performance.now()
  while ((await make()).status !== 200 && seconds(from) < GIVE_UP_AFTER) await sleep(500)
  return seconds(from)
}
const seconds = (from: number) => (performance.now() - from) / 1000
/** @returns after how many seconds it is true */
const when = async (isTrue: () => boolean | Promise<boolean>): Promise<number> => {
  const from = performance.now()
  while (!(await isTrue())) {
    if (seconds(from) > GIVE_UP_AFTER) return Infinity
    await sleep(50)
  }
  return seconds(from)
}

/** Misses calls of people, and waits for their messages. @returns how late the latest one was, in seconds */
const lateness = async (): Promise<number> => {
  const people = Array.from({ length: MESSAGES }, () => customer())
  for (const { local } of people) await untilAccepted(() => call(local))
  const sent = await when(() => people.every(({ e164 }) => fake.inbox(e164).length > 0))
  if (sent === Infinity) return Infinity
  const { rows } = await sql<{ phone: string; due: Date }>`
    select caller_phone as phone, outreach_due_at as due from missed_calls
    where tenant_id = ${quiet.tenantId} and caller_phone = any(${people.map(({ e164 }) => e164)})`.execute(
    db,
  )
  const late = rows.map(
    ({ phone, due }) => Date.parse(fake.inbox(phone)[0]?.acceptedAt ?? '') - due.getTime(),
  )
  return Math.max(...late) / 1000
}

/** @returns after how many seconds the opt-out of this person was read */
const optOut = async (phone: string): Promise<number> => {
  const isRead = async () => {
    const row = db.selectFrom('opt_outs').select('phone').where('tenant_id', '=', quiet.tenantId)
    return (await row.where('phone', '=', phone).execute()).length > 0
  }
  return (await untilAccepted(() => writes(phone, 'הסר'))) + (await when(isRead))
}

const figures = (answers: Answer[]) => {
  const times = answers.map(({ ms }) => ms).toSorted((a, b) => a - b)
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0
  const statuses: Record<number, number> = {}
  for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1
  return { p50: at(0.5), p99: at(0.99), statuses: JSON.stringify(statuses) }
}

/** What the quiet business sees within a few seconds. */
const observe = async (customerWhoLeaves: string) => {
  const signal = AbortSignal.timeout(SECONDS * 1000)
  const [idle, calls, events, pages, late, optedOut] = await Promise.all([
    steadily(CALLS_EVERY_MS, () => ask('/', META, {}, String(controlUrl)), signal),
    steadily(CALLS_EVERY_MS, () => call('anonymous'), signal),
    steadily(EVENTS_EVERY_MS, () => writes(customer().e164, 'שלום'), signal),
    steadily(PAGES_EVERY_MS, page, signal),
    lateness(),
    sleep(SECONDS * 200).then(() => optOut(customerWhoLeaves)),
  ])
  return {
    idle: figures(idle),
    calls: figures(calls),
    events: figures(events),
    pages: figures(pages),
    late,
    optedOut,
  }
}
type Observed = Awaited<ReturnType<typeof observe>>

const describe = (
  name: string,
  { idle, calls, events, pages, late, optedOut }: Observed,
  attack = '',
) => {
  const one = (what: string, { p50, p99, statuses }: Observed['calls']) =>
    `${what} p50 ${p50.toFixed(0)} p99 ${p99.toFixed(0)} ms ${statuses}`
  return [
    name,
    `an idle server p99 ${idle.p99.toFixed(0)} ms`,
    one('calls', calls),
    one('events', events),
    one('pages', pages),
    `message ${late.toFixed(1)} s late`,
    `opt-out read in ${optedOut.toFixed(1)} s`,
    attack && `the attacker got ${attack}`,
  ]
    .filter(Boolean)
    .join(' | ')
}

/** Runs the attack in its own process while `work` runs. @returns the answers that the attacker got */
const during = async <T>(t: Test, name: string, work: () => Promise<T>) => {
  const target: Target = { url, ...attacker }
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('isolation_attacks.ts', import.meta.url)), name, JSON.stringify(target)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const lines: string[] = []
  createInterface(child.stdout).on('line', line => lines.push(line))
  await waitUntil('the attack has begun', () => lines.includes('attacking'))
  await sleep(1500)
  const result = await work()
  child.kill('SIGTERM')
  await Promise.race([ended, sleep(3000)])
  return { result, answers: lines[1] ?? 'no answer' }
}

/** One person for each attack, who opts out during it, and one for the time without an attack. */
const people = [null, ...Object.keys(ATTACKS)].map(() => customer())
const leaving = people.values()
const nextToLeave = () => leaving.next().value?.e164 ?? ''
await t.test('without an attack', async t => {
  for (const { local } of people) t.match(await call(local), { status: 200 })
  await waitUntil('everybody got a message', () =>
    people.every(({ e164 }) => fake.inbox(e164).length > 0),
  )
  t.comment(describe('no attack', await observe(nextToLeave())))
})

for (const name of Object.keys(ATTACKS).filter(name => name.includes(process.env['ATTACK'] ?? '')))
  await t.test(name, async t => {
    const { result: seen, answers } = await during(t, name, () => observe(nextToLeave()))
    t.comment(describe(name, seen, answers))
    const slack = Math.max(1, seen.idle.p99 / 30, BUSY)
    t.match(seen.calls.statuses, /^\{"200":\d+\}$/, 'every call is stored')
    t.match(seen.events.statuses, /^\{"200":\d+\}$/, 'every update of WhatsApp is stored')
    t.match(seen.pages.statuses, /^\{"200":\d+\}$/, 'the pages answer')
    t.ok(seen.calls.p99 < 500 * slack, `calls: p99 ${seen.calls.p99.toFixed(0)} ms`)
    t.ok(seen.events.p99 < 500 * slack, `updates: p99 ${seen.events.p99.toFixed(0)} ms`)
    // Of a handful of requests, so it is the slowest. Passwords are checked by the same two cores.
    t.ok(seen.pages.p99 < 5000 * slack, `pages: p99 ${seen.pages.p99.toFixed(0)} ms`)
    t.ok(seen.late < 5 * slack, `messages: ${seen.late.toFixed(1)} s after due`)
    t.ok(seen.optedOut < 2 * slack, `opt-out: read in ${seen.optedOut.toFixed(1)} s`)
    t.ok(program.isAlive())
  })

await t.test('memory stays bounded, and the program stops in order', async t => {
  if (process.platform === 'linux') {
    const status = readFileSync(`/proc/${program.pid}/status`, 'utf8')
    const peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
    t.ok(peak < MOST_MEMORY_MB, `${peak.toFixed(0)} MB resident at most`)
  }
  agent.destroy()
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
