/** How much memory Ringback needs under full load, and how long it takes to start. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startRingback } from '../processes.ts'
import { type Environment, startWhatsApp } from './environment.ts'
import { CONNECTIONS, drive } from './load.ts'
import { interleave, INVALID, median, most, type Section } from './results.ts'

const DATABASE = 'bench_process'
const SHORT_SECONDS = 60
const LONG_SECONDS = 600
const STARTS = 5
/** By then the idle program has given memory back (app/idle_memory.ts). */
const AT_REST_AFTER_MS = 25_000

export const memory = async (environment: Environment): Promise<Section> => {
  const { postgres, long, signal } = environment
  const seconds = long ? LONG_SECONDS : SHORT_SECONDS
  await using database = await postgres.newDatabase(DATABASE)
  // In a long run messages become due and are sent.
  await using fake = await startWhatsApp()
  const env = { ...postgres.envFor(database.url), WHATSAPP_GRAPH_URL: fake.url }
  await using ringback = await startRingback('all', env)
  await sleep(AT_REST_AFTER_MS, undefined, { signal })
  const atRest = await ringback.residentMb()
  const over = new AbortController()
  const url = postgres.webhookUrl(ringback.url)
  const driven = drive(url, CONNECTIONS, seconds, signal).finally(() => over.abort())
  driven.catch(() => {}) // It is thrown below.
  const samples: number[] = []
  while (!over.signal.aborted) {
    await sleep(1000, undefined, { signal: over.signal }).catch(() => {})
    const now = await ringback.residentMb()
    if (now === null) break
    samples.push(now)
  }
  const load = await driven
  // During the first third the heap fills up for the first time. Growth after it would be a leak.
  const third = (n: number) =>
    median(samples.slice((samples.length * n) / 3, Math.ceil((samples.length * (n + 1)) / 3)))
  const [first, last] = [third(0), third(2)]
  const figures = {
    'requests/s': [load.requests / load.seconds],
    'MB at rest': [atRest],
    'MB most': [most(samples)],
    'MB first third': [first],
    'MB last third': [last],
    'MB grown': [first === null || last === null ? null : last - first],
    'MB every second': samples,
  }
  return {
    title: `Resident memory of ROLE=all at ${CONNECTIONS} connections over ${seconds} s`,
    rows: [{ name: 'ringback all', figures }],
    notes: [
      ...(load.failed ? [`${INVALID}: ${load.failed} requests were not acknowledged`] : []),
      ...(samples.length ? [] : ['This system does not report the memory of a process.']),
      'Thirds are medians. The goal is at most 300 MB without growth.',
    ],
  }
}

export const start = async (environment: Environment): Promise<Section> => {
  const { postgres } = environment
  await using database = await postgres.newDatabase(DATABASE)
  const env = postgres.envFor(database.url)
  const turns = (['all', 'web'] as const).map(role => ({
    name: `ringback ${role}`,
    take: async () => {
      const from = performance.now()
      await using program = await startRingback(role, env)
      const ready = performance.now() - from
      const cpu = await program.cpuSeconds()
      const resident = await program.residentMb()
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
