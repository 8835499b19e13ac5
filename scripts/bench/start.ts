/** How long the program takes to start on a database that is there, until /readyz says 200. */
import { startRingback } from './contender.ts'
import type { Section } from './result.ts'
import { interleaved } from './rounds.ts'
import { envOf, type Stage } from './stage.ts'

const TIMES = 5

export const start = async (stage: Stage): Promise<Section> => {
  const database = await stage.postgres.newDatabase('contender')
  const { rows, notes } = await interleaved(
    (['all', 'web'] as const).map(role => ({
      name: `ringback ${role}`,
      take: async () => {
        const from = performance.now()
        const contender = await startRingback(role, envOf(stage, database.url))
        const ready = performance.now() - from
        const cpu = await contender.cpuSeconds()
        const resident = await contender.residentMb()
        await contender.stop()
        return { 'ms until ready': ready, 'CPU ms': cpu && cpu * 1000, 'MB when ready': resident }
      },
    })),
    { ...stage, rounds: TIMES },
  )
  return {
    section: 'start',
    title: 'Start on an existing database, until /readyz says 200',
    rows,
    notes: [...notes, 'The goal is less than 2,000 ms.'],
  }
}
