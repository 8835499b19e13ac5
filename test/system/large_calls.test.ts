/**
 * One business with a valid token posts calls with far more, or far larger, CDRs than a phone system sends. The program
 * stores and classifies them all within its memory, also after it was killed on the way, and others do not wait.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { CDR_JOB } from '../../app/voicenter/ingest.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { IN_ORDER, type Process, startProcess, waitUntil } from '../support/process.ts'
import { business, customer, db, jobs } from '../support/ringback.ts'

const MB = 1024 * 1024
const [hostile, quiet] = [await business(), await business()]

/** The highest memory use so far, in MB. Only Linux tells it. */
const peakMemory = ({ pid }: Process): number => {
  if (process.platform !== 'linux') return 0
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
const post = async (program: Process, token: string, body: unknown): Promise<number> => {
  const url = `${await program.url()}/webhooks/voicenter/cdr?token=${token}`
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
  await response.arrayBuffer()
  return response.status
}
const unclassified = async (callId?: string): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from raw_cdrs
    where verdict is null and (${callId ?? null}::text is null or call_id = ${callId ?? null})`.execute(
    db,
  )
  return rows[0]?.count ?? 0
}
const verdicts = async (rootCallId: string) => {
  const { rows } = await sql`
    select verdict, count(*)::int from raw_cdrs where root_call_id = ${rootCallId} group by verdict`.execute(
    db,
  )
  return rows
}

const caller = customer().local
const leg = (rootCallId: string, n: number, fields: object = {}) =>
  push({ caller, did: hostile.did, OriginalIvrUniqueID: rootCallId, queueid: n, ...fields })
const ANSWERED = { status: 'ANSWER', targetextension: 'SIP1', duration: 20 }

/** 'x' is compressed on the disk. In the memory of the program it is as large as any other text. */
const large = (size: number) => ({ aiData: { transcript: 'x'.repeat(size) } })

/** Stores copies of this CDR with their jobs. This is much faster than the webhook. */
const copy = async (callId: string, of: 'same call' | 'other calls', from: number, to: number) => {
  await sql`
    with copies as (
      insert into raw_cdrs (token_tenant_id, tenant_id, call_id, root_call_id, payload, body, facts, content_hash)
      select token_tenant_id, tenant_id, copy, case ${of}::text when 'same call' then root_call_id else copy end,
             payload, body, facts, sha256(copy::bytea)
      from raw_cdrs, generate_series(${from}::int, ${to}::int) n, lateral (select call_id || '-' || n as copy) c
      where call_id = ${callId}
      returning call_id
    )
    select graphile_worker.add_jobs(array_agg(${CDR_JOB} order by call_id)) from copies`.execute(db)
}

await t.test('the attacks are stored while no worker runs', async t => {
  const program = startProcess({ ROLE: 'web' })
  await program.running()
  const long = Array.from({ length: 20 }, (_, n) => leg('large', n, large(4.5 * MB)))
  const other = push({ did: hostile.did, ...large(2 * MB) })
  for (const cdr of [...long, other]) t.equal(await post(program, hostile.token, cdr), 200)
  const legs = Array.from({ length: 10_000 }, (_, n) => leg('many', n))
  t.equal(await post(program, hostile.token, legs), 200)
  t.ok(peakMemory(program) < 400, `${peakMemory(program)} MB`)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)

  for (const { ivruniqueid } of long.slice(0, 10)) await copy(ivruniqueid, 'same call', 1, 5)
  for (let n = 1; n < 150; n += 10) await copy(other.ivruniqueid, 'other calls', n, n + 9)
  for (const { ivruniqueid } of legs.slice(0, 10)) await copy(ivruniqueid, 'same call', 1, 5000)
})

await t.test(
  'a worker that is killed in the middle of this starts again and finishes it',
  async t => {
    const first = startProcess()
    await first.running()
    const all = await unclassified()
    await waitUntil('some are classified', async () => (await unclassified()) < all * 0.8)
    t.ok(peakMemory(first) < 400, `${peakMemory(first)} MB`)
    first.signal('SIGKILL')
    await first.ended()
    t.ok((await unclassified()) > all / 4, 'many are left')

    const program = startProcess()
    await program.running()
    const waits: number[] = []
    let isDone = false
    const quietCalls = async () => {
      while (!isDone) {
        const call = push({ caller: customer().local, did: quiet.did })
        t.equal(await post(program, quiet.token, call), 200)
        const id = call.ivruniqueid
        waits.push(await waitUntil('it is classified', async () => (await unclassified(id)) === 0))
        await sleep(200)
      }
    }
    const classifying = quietCalls()
    t.comment(await waitUntil('all are classified', async () => (await unclassified()) === 0), 's')
    // One answer changes the verdict on all.
    for (const id of ['many', 'large'])
      t.equal(
        await post(program, hostile.token, leg(id, -1, { ...ANSWERED, ...large(4 * MB) })),
        200,
      )
    await waitUntil('the answered legs are classified', async () => (await unclassified()) === 0)
    isDone = true
    await classifying
    t.strictSame(await verdicts('many'), [{ verdict: 'answered', count: 60_001 }])
    t.strictSame(await verdicts('large'), [{ verdict: 'answered', count: 71 }])
    t.ok(waits.length > 5 && Math.max(...waits) < 3, `the quiet one waits ${waits.join()}`)
    t.ok(peakMemory(program) < 400, `${peakMemory(program)} MB`)
    await waitUntil('no job is left', async () => (await jobs('voicenter_cdr')).length === 0)
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
  },
)
