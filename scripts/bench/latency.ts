/** How long one request takes while nobody else asks for anything: what Ringback adds to its parts. */
import { burst } from './burst.ts'
import { entrants } from './contenders.ts'
import { ratios, type Section } from './result.ts'
import { interleaved, type Turn } from './rounds.ts'
import type { Stage } from './stage.ts'
import { straight } from './straight_turn.ts'

const P50 = 'p50 ms'
/** Ten seconds each, and one connection at a time is calm. */
const MOST_ROUNDS = 3
const TAKE_PART = ['floor', 'ringback web', 'ringback all', 'bullmq']

export const latency = async (stage: Stage): Promise<Section> => {
  const { entrants: all, missing } = entrants(stage)
  const turns: Turn[] = all
    .filter(({ name }) => TAKE_PART.includes(name))
    .map(({ name, start }) => ({
      name,
      take: async () => {
        const atWork = await start()
        try {
          return await burst(stage, atWork, 1)
        } finally {
          await atWork.end()
        }
      },
    }))
  turns.push(straight(stage, 'statement', { clients: 1, records: 1 }))
  const { rows, notes } = await interleaved(turns, {
    ...stage,
    rounds: Math.min(stage.rounds, MOST_ROUNDS),
  })

  const p50 = (name: string) => rows.find(row => row.name === name)?.figures[P50] ?? []
  const statements = p50('statement')
  const parts = p50('floor').map((floor, round) => {
    const statement = statements[round] ?? null
    return floor === null || statement === null ? null : floor + statement
  })
  return {
    section: 'latency',
    title: 'Latency at one connection',
    rows: [
      ...rows.map(({ name, figures }) => ({
        name,
        figures: { ...figures, 'x (statement + floor)': ratios(figures[P50] ?? [], parts) },
      })),
      { name: 'statement + floor', figures: { [P50]: parts } },
    ],
    notes: [
      ...missing,
      ...notes,
      'statement: what Ringback sends for one call, straight on Postgres over one connection. The goal for ringback web is 1.3.',
    ],
  }
}
