/** What is done to Postgres, to the network and to a copy as a whole, one after the other, while copies are killed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { FAILPOINTS } from '../../app/failpoints.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Stage } from './stage.ts'
import type { Fault } from './times.ts'

const SECOND = 1000

export type Deed = { kind: string; do: () => Promise<void> }

/** All deeds of a run, in an order of chance. */
export const newDeeds = (stage: Stage, plan: Plan, random: Random): Deed[] => {
  const { cluster, proxies, absences, database } = stage

  /** While this runs, what the program needs is not there. */
  const away = async (work: () => Promise<void>) => {
    const end = absences.begin()
    try {
      await work()
    } finally {
      end()
    }
  }
  const postgres: Deed[] = [
    {
      kind: 'Postgres: kill -9',
      do: () =>
        away(async () => {
          await cluster.kill()
          await sleep(random.int(0, 3) * SECOND)
          await cluster.start()
        }),
    },
    {
      kind: 'Postgres: stopped at once (as a power cut)',
      do: () =>
        away(async () => {
          await cluster.stopAtOnce()
          await sleep((plan.long && random.chance(0.15) ? 30 : random.int(0, 4)) * SECOND)
          await cluster.start()
        }),
    },
    {
      kind: 'Postgres: kill -9 of one of its processes',
      do: () =>
        away(async () => {
          const { rows } = await database.query<{ pid: number }>(
            `select pid from pg_stat_activity where usename = 'ringback' order by random() limit 1`,
          )
          if (rows[0]) cluster.killBackend(rows[0].pid)
          await sleep(100)
          await cluster.back()
        }),
    },
  ]

  const every = async (work: (proxy: (typeof proxies)[number]) => unknown) => {
    for (const proxy of proxies) await work(proxy)
  }
  const one = () => random.pick(proxies)
  const cuts: Deed[] = [
    { kind: 'database connections cut', do: async () => void one().cut() },
    {
      kind: 'database connections reset',
      do: () => every(proxy => proxy.reset()),
    },
    { kind: 'database connections half-open', do: async () => void one().silence() },
    {
      kind: 'database connections terminated by Postgres',
      do: async () => {
        await database.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ringback'`,
        )
      },
    },
    ...['commit', 'raw_cdrs', 'graphile_worker', 'whatsapp_events'].map(text => ({
      kind: `answer lost: ${text}`,
      do: async () => {
        const proxy = one()
        proxy.dropAnswerTo(text)
        await sleep(2 * SECOND)
        proxy.dropAnswerTo(null)
      },
    })),
    {
      kind: 'database connections refused',
      do: () =>
        away(async () => {
          await every(proxy => {
            proxy.refuse()
            proxy.cut()
          })
          await sleep(random.int(1, 4) * SECOND)
          await every(proxy => proxy.accept())
        }),
    },
    {
      kind: 'database slow',
      do: () =>
        away(async () => {
          const ms = random.pick([50, 300, 1000])
          await every(proxy => proxy.delay(ms))
          await sleep(4 * SECOND)
          await every(proxy => proxy.delay(0))
        }),
    },
    { kind: 'web connections reset', do: async () => void stage.router.reset() },
    {
      kind: 'Graph API refuses connections',
      do: () => stage.fake.refuseConnections(random.int(1, 3) * SECOND),
    },
  ]

  const stalls = plan.stalls.map((seconds, n): Deed => ({
    kind: `program stopped (SIGSTOP) for ${seconds} s`,
    do: async () => {
      const copy = random.pick(stage.copies)
      const life = copy.starts()
      // Every second one at the most delicate moment: it has claimed a message, and has not sent it.
      if (n % 2 === 1) {
        const points = FAILPOINTS.filter(name => /:(claimed|sending)$/.test(name))
        copy.arm({ points, action: 'stop', skip: 0, afterMs: 0 })
        await sleep(3 * SECOND)
      } else copy.freeze()
      await away(() => sleep(seconds * SECOND))
      if (copy.starts() === life) copy.thaw()
    },
  }))

  const taken = (deeds: Deed[], count: number) =>
    Array.from({ length: count }, (_, n) => deeds[n % deeds.length]).filter(
      deed => deed !== undefined,
    )
  return random.shuffled([
    ...taken(random.shuffled(postgres), plan.postgresKills),
    ...taken(random.shuffled(cuts), plan.cuts),
    ...stalls,
  ])
}

/** Does one, and writes into the stage's book when it happened. */
export const doDeed = async ({ kind, do: deed }: Deed, stage: Stage): Promise<Fault> => {
  const fault = { kind, point: null, at: Date.now(), back: Infinity, storm: stage.weather.storm }
  stage.faults.push(fault)
  await deed()
  fault.back = Date.now()
  return fault
}

/**
 * Does them one after the other, with pauses, until the signal aborts.
 *
 * @returns what was not done
 */
export const doDeeds = async (
  deeds: Deed[],
  stage: Stage,
  pauseMs: number,
  signal: AbortSignal,
): Promise<Deed[]> => {
  for (const [n, deed] of deeds.entries()) {
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return deeds.slice(n)
    await doDeed(deed, stage)
  }
  return []
}

/** Nothing is in the way any more. */
export const endFaults = async ({ proxies, copies, cluster, fake }: Stage): Promise<void> => {
  for (const proxy of proxies) {
    proxy.dropAnswerTo(null)
    proxy.delay(0)
    await proxy.accept()
  }
  for (const copy of copies) {
    copy.arm(null)
    copy.thaw()
  }
  await cluster.start()
  await fake.acceptConnections()
}
