/**
 * Stops the program again and again while it works: `node scripts/stops.ts --times 50`.
 *
 * Each time the real program is started, calls come in, and messages go out to a WhatsApp that is now quick, now slow
 * and now silent; at some moment SIGTERM comes, as it does once a day. The program must end by itself within 25 s with
 * exit code 0, leave no job held that it has finished, and have stored every call that it acknowledged. In the end
 * nobody may have got a message twice. Exit code 1 if anything was otherwise.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { push } from './demo/cdr.ts'
import { seeded } from './chaos/random.ts'
import { setTarget, type Shop, type Target } from './chaos/target.ts'
import { wholeNumber } from './flag_number.ts'

const ALLOWED_SECONDS = 25
const CLIENTS = 8
/** How long WhatsApp thinks, by the last digits of the number. */
const SLOW = { '0': 500, '1': 2000, '42': 8000 }
/** It takes the message, and never answers. */
const SILENT = '77'
/** The calls that came before are all dealt with so long after the last start. */
const DONE_WITHIN_MS = 300_000

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help) {
  console.log(`Usage: node scripts/stops.ts [--times N] [--seed N]

Stops the program with SIGTERM, 50 times or --times, while calls come in and messages go out, and checks that it ends in
time and in order. Exit code 1 if it did not.`)
  process.exit()
}
const times = wholeNumber('times', values.times)
const random = seeded(wholeNumber('seed', values.seed))

type Stop = { seconds: number; code: number | null; acknowledged: number; refused: number }

/** The last number that a call came from; each comes from its own. */
let caller = 0

/** Calls come in at every client until its connection is refused. Their ids, by what was answered. */
const calls = async (target: Target, { token, line }: Shop) => {
  const door = `http://127.0.0.1:${target.port}/webhooks/voicenter/cdr?token=${token}`
  const answered: { callId: string; status: number }[] = []
  const client = async () => {
    for (;;) {
      const record = push({ caller: `052${String(2_000_000 + ++caller)}`, did: line })
      const body = JSON.stringify(record)
      const response = await fetch(door, { method: 'POST', body }).catch(() => null)
      if (!response) return
      await response.arrayBuffer().catch(() => null)
      answered.push({ callId: record.ivruniqueid, status: response.status })
      await sleep(random.int(100, 600))
    }
  }
  const over = Promise.all(Array.from({ length: CLIENTS }, client))
  return { answered, over }
}

/** What is held although nobody lives any more, and how much of it had been done. */
const LEFT_BEHIND = `
  select count(*)::int as held, count(*) filter (where done)::int as finished from (
    select case j.task_identifier
      when 'voicenter_cdr' then not exists (
        select from raw_cdrs r where 'voicenter_cdr:' || r.call_id = j.key and r.verdict is null)
      when 'lead_outreach' then exists (
        select from missed_calls m where 'lead_outreach:' || m.id = j.key and m.outreach_state not in ('scheduled', 'sending'))
      else true end as done
    from graphile_worker.jobs j where locked_at is not null) as left_behind`

const problems: string[] = []
const acknowledged: string[] = []
const found = { held: 0, finished: 0 }

const stopOnce = async (target: Target, shop: Shop): Promise<Stop> => {
  const program = await target.start('all')
  const { answered, over } = await calls(target, shop)
  await sleep(random.int(200, 4000))
  const from = performance.now()
  const code = await program.stop()
  const seconds = (performance.now() - from) / 1000
  await over
  const ids = answered.filter(({ status }) => status === 200).map(({ callId }) => callId)
  acknowledged.push(...ids)
  return { seconds, code, acknowledged: ids.length, refused: answered.length - ids.length }
}

const check = async (target: Target, stop: Stop): Promise<string> => {
  const { seconds, code } = stop
  if (code !== 0) problems.push(`exit code ${code}`)
  if (seconds >= ALLOWED_SECONDS) problems.push(`it took ${seconds.toFixed(1)} s`)
  const [left] = await target.query<{ held: number; finished: number }>(LEFT_BEHIND)
  found.held += left?.held ?? 0
  found.finished += left?.finished ?? 0
  if (left?.finished) problems.push(`${left.finished} finished jobs are still held`)
  const missing = await missingOf(target, acknowledged.slice(-stop.acknowledged || Infinity))
  if (missing) problems.push(`${missing} acknowledged calls are not stored`)
  return `${seconds.toFixed(1).padStart(5)} s, exit code ${code}, ${stop.acknowledged} calls acknowledged, ${stop.refused} refused, ${left?.held} jobs cut in the middle`
}

const missingOf = async (target: Target, callIds: string[]): Promise<number> => {
  const known = await target.query<{ call_id: string }>('select call_id from raw_cdrs')
  const stored = new Set(known.map(({ call_id }) => call_id))
  return callIds.filter(callId => !stored.has(callId)).length
}

/** What keeps a call from its end, and what its job says. */
const STILL_OPEN = `
  select open.what, j.attempts, j.run_at - now() as runs_in, j.locked_by is not null as held, j.last_error
  from (
    select 'record not judged' as what, 'voicenter_cdr:' || call_id as key from raw_cdrs where verdict is null
    union all
    select outreach_state || ' ' || outreach_reason, 'lead_outreach:' || id from missed_calls
    where outreach_state in ('scheduled', 'sending')) as open
  left join graphile_worker.jobs j on j.key = open.key limit 20`

/** Lets the program do what is left, and looks at what people have got. */
const settle = async (target: Target): Promise<void> => {
  const program = await target.start('all')
  const open = `
    select (select count(*) from raw_cdrs where verdict is null)::int
         + (select count(*) from missed_calls where outreach_state in ('scheduled', 'sending'))::int as open`
  const until = Date.now() + DONE_WITHIN_MS
  while ((await target.query<{ open: number }>(open))[0]?.open)
    if (Date.now() > until) {
      const left = await target.query(STILL_OPEN)
      problems.push(`not all was done in the end: ${JSON.stringify(left)}`)
      break
    } else await sleep(500)
  await program.stop()
  const missing = await missingOf(target, acknowledged)
  if (missing) problems.push(`${missing} acknowledged calls are missing in the end`)
  const got = target.fake.accepted().map(({ to }) => to)
  const twice = got.length - new Set(got).size
  if (twice) problems.push(`${twice} people got their message twice`)
  const [row] = await target.query<{ unknown: number }>(
    `select count(*)::int as unknown from messages where state = 'unknown'`,
  )
  console.log(
    `\ncalls acknowledged ${acknowledged.length}, missing ${missing} | messages accepted ${got.length}, sent twice ${twice}, unknown ${row?.unknown}`,
  )
}

const target = await setTarget()
const lasted: number[] = []
try {
  const shop = await target.addShop('Noa', '0722770000')
  await target.query(`update tenants set outreach_delay = interval '0 seconds'`)
  target.fake.setStatuses([])
  for (const [toSuffix, delayMs] of Object.entries(SLOW))
    target.fake.script({ toSuffix, times: 'always', outcome: { kind: 'accept', delayMs } })
  target.fake.script({ toSuffix: SILENT, times: 'always', outcome: { kind: 'hang', accept: true } })

  for (let time = 1; time <= times; time++) {
    const before = problems.length
    const stop = await stopOnce(target, shop)
    const told = await check(target, stop)
    lasted.push(stop.seconds)
    const wrong = problems.slice(before).map(problem => `, ${problem}`)
    console.log(`stop ${String(time).padStart(2)}: ${told}${wrong.join('')}`)
  }
  await settle(target)
} finally {
  await target.clear()
}

const sorted = lasted.toSorted((a, b) => a - b)
const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]?.toFixed(1)
console.log(
  `${times} stops: min ${at(0)} s, p50 ${at(0.5)} s, max ${at(1)} s | jobs cut in the middle ${found.held - found.finished}, finished jobs left held ${found.finished}`,
)
for (const problem of problems) console.error(problem)
process.exitCode = problems.length ? 1 : 0
