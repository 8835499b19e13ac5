/** How much memory Ringback needs under full load, and how long it takes to start. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import { ACCESS_TOKEN, type Environment, PHONE_NUMBER_ID } from './environment.ts'
import { CONNECTIONS, drive } from './load.ts'
import { startRingback } from './processes.ts'
import { interleave, INVALID, median, most, type Section } from './results.ts'

const DATABASE = 'bench_process'
const SHORT_SECONDS = 60
const LONG_SECONDS = 600
const REPORT_EVERY_SECONDS = 10
const STARTS = 5

/** Reads the resident memory every second. */
export const memory = async (environment: Environment): Promise<Section> => {
  const { postgres, long, say, signal } = environment
  const seconds = long ? LONG_SECONDS : SHORT_SECONDS
  const database = await postgres.newDatabase(DATABASE)
  // In a long run messages become due and are sent.
  const fake = await startFakeWhatsApp()
  fake.addNumber({ phoneNumberId: PHONE_NUMBER_ID, token: ACCESS_TOKEN })
  fake.setStatuses([])
  const ringback = await startRingback('all', {
    ...postgres.envFor(database.url),
    WHATSAPP_GRAPH_URL: fake.url,
  })
  const samples: number[] = []
  try {
    const atRest = await ringback.residentMb()
    const over = new AbortController()
    const url = postgres.webhookUrl(ringback.url)
    const driven = drive(url, CONNECTIONS, seconds, signal).finally(() => over.abort())
    // A failure is thrown below, where the result is awaited.
    driven.catch(() => {})
    while (!over.signal.aborted) {
      await sleep(1000, undefined, { signal: over.signal }).catch(() => {})
      const now = await ringback.residentMb()
      if (now === null) break
      samples.push(now)
      if (samples.length % REPORT_EVERY_SECONDS === 0)
        say(`  ${samples.length} of ${seconds} s: ${now.toFixed(0)} MB`)
    }
    const load = await driven
    // During the first third the heap fills up for the first time. Growth after it would be a leak.
    const third = (n: number) =>
      median(samples.slice((samples.length * n) / 3, Math.ceil((samples.length * (n + 1)) / 3)))
    const [first, last] = [third(0), third(2)]
    const wrong = load.wrong + load.failed
    return {
      title: `Resident memory of ROLE=all at ${CONNECTIONS} connections over ${seconds} s`,
      rows: [
        {
          name: 'ringback all',
          figures: {
            'requests/s': [load.requests / load.seconds],
            'MB at rest': [atRest],
            'MB most': [most(samples)],
            'MB first third': [first],
            'MB last third': [last],
            'MB grown': [first === null || last === null ? null : last - first],
            'MB every second': samples,
          },
        },
      ],
      notes: [
        ...(wrong ? [`${INVALID}: ${wrong} requests were not acknowledged`] : []),
        ...(samples.length ? [] : ['This system does not report the memory of a process.']),
        'Thirds are medians. The goal is at most 300 MB without growth.',
      ],
    }
  } finally {
    await ringback.stop()
    await fake.close()
    await postgres.dropDatabase(DATABASE)
  }
}

export const start = async (environment: Environment): Promise<Section> => {
  const { postgres } = environment
  const database = await postgres.newDatabase(DATABASE)
  const turns = (['all', 'web'] as const).map(role => ({
    name: `ringback ${role}`,
    take: async () => {
      const from = performance.now()
      const program = await startRingback(role, postgres.envFor(database.url))
      const ready = performance.now() - from
      const cpu = await program.cpuSeconds()
      const resident = await program.residentMb()
      await program.stop()
      return { 'ms until ready': ready, 'CPU ms': cpu && cpu * 1000, 'MB when ready': resident }
    },
  }))
  const { rows, notes } = await interleave(turns, { ...environment, rounds: STARTS })
  return {
    title: 'Start on an existing database, until /readyz says 200',
    rows,
    notes: [...notes, 'The goal is less than 2,000 ms.'],
  }
}
