/** The resident memory of web and worker in one process under full load, looked at every second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import { startRingback } from './contender.ts'
import { CONNECTIONS } from './ingest.ts'
import { drive } from './load.ts'
import { ACCESS_TOKEN, PHONE_NUMBER_ID } from './postgres.ts'
import { median, most, type Section } from './result.ts'
import { doorOf, envOf, type Stage } from './stage.ts'

const SHORT_SECONDS = 60
const LONG_SECONDS = 600
/** Until then the heap fills up for the first time, which is no slope. */
const SETTLED_AFTER = 1 / 3
const SAY_EVERY_SECONDS = 10

export const memory = async (stage: Stage): Promise<Section> => {
  const { postgres, say, signal } = stage
  const seconds = stage.long ? LONG_SECONDS : SHORT_SECONDS
  const database = await postgres.newDatabase('contender')
  // In a long run messages fall due, and are sent.
  const fake = await startFakeWhatsApp()
  fake.addNumber({ phoneNumberId: PHONE_NUMBER_ID, token: ACCESS_TOKEN })
  fake.setStatuses([])
  const ringback = await startRingback('all', {
    ...envOf(stage, database.url),
    WHATSAPP_GRAPH_URL: fake.url,
  })
  const samples: number[] = []
  try {
    const atRest = await ringback.residentMb()
    const door = doorOf(stage, ringback.url)
    const driven = drive(door, { connections: CONNECTIONS, seconds, signal })
    let over = false
    // Whatever became of it is told below, where it is awaited.
    const done = driven.then(
      () => void (over = true),
      () => void (over = true),
    )
    while (!over) {
      await Promise.race([sleep(1000), done])
      const now = await ringback.residentMb()
      if (now === null) break
      samples.push(now)
      if (samples.length % SAY_EVERY_SECONDS === 0)
        say(`  ${samples.length} of ${seconds} s: ${now.toFixed(0)} MB`)
    }
    const load = await driven
    const part = (from: number, to: number) =>
      median(samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)))
    const [first, last] = [part(0, SETTLED_AFTER), part(1 - SETTLED_AFTER, 1)]
    const wrong = load.wrong + load.failed
    return {
      section: 'memory',
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
        ...(wrong ? [`INVALID: ${wrong} requests were not acknowledged`] : []),
        ...(samples.length ? [] : ['The system does not tell how much memory a process has.']),
        'Thirds are medians. The goal is at most 300 MB, and flat.',
      ],
    }
  } finally {
    await ringback.stop()
    await fake.close()
    await postgres.dropDatabase('contender')
  }
}
