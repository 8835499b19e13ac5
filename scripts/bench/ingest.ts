/** How many calls a second each of them takes in at 64 connections, with every one on the disk. */
import { burst } from './burst.ts'
import { entrants } from './contenders.ts'
import { ratios, type Section } from './result.ts'
import { interleaved, type Turn } from './rounds.ts'
import type { Stage } from './stage.ts'
import { straight } from './straight_turn.ts'

export const CONNECTIONS = 64

export const ingest = async (stage: Stage): Promise<Section> => {
  const { entrants: all, missing } = entrants(stage)
  for (const line of missing) stage.say(`  ${line}`)
  const turns: Turn[] = all.map(({ name, start }) => ({
    name,
    take: async () => {
      const atWork = await start()
      try {
        return await burst(stage, atWork, CONNECTIONS)
      } finally {
        await atWork.end()
      }
    },
  }))
  turns.push(
    straight(stage, 'straight, one a statement', { clients: CONNECTIONS, records: 1 }),
    straight(stage, 'straight, combined', { clients: 2, records: 128 }),
  )
  const { rows, notes } = await interleaved(turns, stage)

  const speed = (name: string) => rows.find(row => row.name === name)?.figures['requests/s'] ?? []
  const compared = rows.map(({ name, figures }) => ({
    name,
    figures: {
      ...figures,
      'x bullmq': ratios(speed(name), speed('bullmq')),
      'x one by one': ratios(speed(name), speed('one by one')),
      'share of floor': ratios(speed(name), speed('floor')),
    },
  }))
  return {
    section: 'ingest',
    title: `Ingest at ${CONNECTIONS} connections, every call on the disk before its 200`,
    rows: compared,
    notes: [...missing, ...notes],
  }
}
