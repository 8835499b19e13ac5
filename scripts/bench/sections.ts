/** All there is to measure, in the order in which it is measured. */
import { drain } from './drain.ts'
import { ingest } from './ingest.ts'
import { measureLateness } from './lateness.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import type { Section } from './result.ts'
import { scale } from './scale.ts'
import type { Stage } from './stage.ts'
import { start } from './start.ts'
import { trips } from './trips.ts'

const lateness = async ({ postgres, say }: Stage): Promise<Section> => {
  const { lateness, idle } = await measureLateness(postgres, text => say(`  ${text}`))
  return {
    section: 'lateness',
    title: 'How late messages start while 100,000 others wait, and what waiting costs',
    rows: [
      ...lateness.map(({ name, n, p50, p99, max }) => ({
        name,
        figures: { messages: [n], 'p50 ms': [p50], 'p99 ms': [p99], 'most ms': [max] },
      })),
      {
        name: `idle for ${idle.seconds} s`,
        figures: {
          'database CPU': [idle.databaseCpu],
          'without us': [idle.databaseCpuWithoutUs],
          'own CPU': [idle.ownCpu],
          'transactions/s': [idle.transactionsPerSecond],
        },
      },
    ],
    notes: ['CPU in seconds a second. The goal is a p99 of at most 500 ms.'],
  }
}

export const sections: Record<string, (stage: Stage) => Promise<Section>> = {
  ingest,
  latency,
  drain: stage => drain(stage),
  lateness,
  scale,
  memory,
  start,
  trips,
}
