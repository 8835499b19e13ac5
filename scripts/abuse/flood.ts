/** The flood: requests without a valid credential, while a real sender goes on. */
import { callBackPush } from '../demo/cdr.ts'
import { attack, INTRUDER, type Loot } from './attacks.ts'
import { count, doorOf, JSON_TYPE, REAL, realSender, seconds, told } from './sender.ts'
import type { Plan } from '../abuse.ts'
import { seeded } from '../chaos/random.ts'
import { tablesWithout } from './tables.ts'
import type { Shop, Target } from '../chaos/target.ts'
import { abreast, newWire } from './wire.ts'

/** Nobody without a credential is let in, and none of them leaves a trace. */
export const flood = async (target: Target, loot: Loot, real: Shop, plan: Plan) => {
  const wrong: string[] = []
  const program = await target.start('web')
  const wire = newWire(target.port, plan.connections)
  const senders = newWire(target.port, 2)
  const random = seeded(plan.seed)
  // The queue learns a task's name with its first job.
  await senders.send({
    path: doorOf(real),
    headers: JSON_TYPE,
    body: Buffer.from(
      JSON.stringify(callBackPush({ caller: real.line, ivruniqueid: `${REAL}first` })),
    ),
  })
  const before = await tablesWithout(target.query, REAL)
  const sender = realSender(senders, real)
  const answers = new Map<string, number>()
  const kinds = new Map<string, number>()
  const started = performance.now()
  await abreast(plan.unauthorised, plan.connections, async () => {
    const { kind, fits, ...letter } = attack(loot, random)
    const { status } = await wire.send(letter)
    count(answers, status)
    count(kinds, kind)
    if (!fits.includes(status))
      wrong.push(`${kind}: ${letter.method ?? 'POST'} was answered ${status}`)
  })
  const took = seconds(started)
  const heard = await sender.stop()
  const after = await tablesWithout(target.query, REAL)
  for (const [table, hash] of Object.entries(after))
    if (hash !== before[table]) wrong.push(`${table} has changed`)
  const [stored] = await target.query<{ real: number; intruders: number }>(`
    select count(*) filter (where call_id like '${REAL}%')::int as real,
           count(*) filter (where body::text like '%${INTRUDER}%' or call_id like '${INTRUDER}%')::int as intruders
    from raw_cdrs`)
  const expected = heard.posts + 1
  if (stored?.real !== expected)
    wrong.push(`of ${expected} records of the real sender ${stored?.real} are stored`)
  if (stored?.intruders) wrong.push(`${stored.intruders} records of intruders are stored`)
  wrong.push(...heard.wrong)
  if (!program.isAlive()) wrong.push('the program has ended')
  const memory = await program.mostMemory()
  senders.close()
  wire.close()
  if ((await program.stop()) !== 0) wrong.push('the program did not end in order')
  console.log(`without a credential   ${plan.unauthorised} requests of ${kinds.size} kinds in ${took}, ${plan.connections} connections
  by answer            ${told(answers)}
  tables compared      ${Object.keys(after).length}, changed: ${Object.entries(after).filter(([t, h]) => h !== before[t]).length}
  real sender          ${heard.line}
  memory, at most      ${memory} MB`)
  return wrong
}
