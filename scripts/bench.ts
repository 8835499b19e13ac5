/** npm run bench: measures Ringback and the programs it is compared with, section by section. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { drain } from './bench/drain.ts'
import { type Environment, startPostgres } from './bench/environment.ts'
import { ingest, latency } from './bench/ingest.ts'
import { lateness } from './bench/lateness.ts'
import { wrkVersion } from './bench/load.ts'
import { describeMachine, HOME } from './bench/machine.ts'
import { memory, start } from './bench/memory.ts'
import { pages } from './bench/pages.ts'
import { redisVersion, whyNoBullmq } from './bench/peers.ts'
import { INVALID, print, type Section, summary } from './bench/results.ts'
import { scale } from './bench/scale.ts'
import { trips } from './bench/trips.ts'
import { interruption, newProgress } from './processes.ts'
import { processFlags } from './tenant/terminal.ts'

const sections: Record<string, (environment: Environment) => Promise<Section>> = {
  ingest,
  latency,
  drain,
  lateness,
  scale,
  memory,
  start,
  trips,
  pages,
}

const HELP = `Usage: npm run bench [-- options]

Measures Ringback as it runs in production and compares it with other programs. Every program is a process of its own,
gets real HTTP requests, and stores in a new Postgres with fsync on. The programs take turns in every round. A figure is
the median; the lowest and the highest round follow in brackets. A whole run takes about 25 minutes on two
cores. Run nothing else meanwhile.

  --only A,B     only these sections: ${Object.keys(sections).join(', ')}
  --rounds N     rounds per section; default 5 (fewer where a round is long)
  --seconds S    how long each burst is measured; default 3
  --json FILE    where every round is written; default .data/bench/<time>.json
  --pictures DIR saves pictures of the pages: phone and desktop, English and Hebrew (with --only pages)
  --long         measures the memory for 10 minutes instead of one; needs about 10 GB of disk
  --help         this text

Install the peers (BullMQ on Redis, pg-boss) once: npm ci --prefix scripts/bench/peers
The load generator is wrk (Debian and Ubuntu: apt-get install wrk redis-server).`

const LIMIT_MS = 60 * 60_000
/** The sections that send requests as fast as they are answered. */
const LOADED = ['ingest', 'latency', 'scale', 'memory', 'trips']

const flags = processFlags('bench', HELP, {
  only: { type: 'string' },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  json: { type: 'string' },
  pictures: { type: 'string' },
  long: { type: 'boolean', default: false },
})
const exitWithHelp = (text: string): never => {
  console.error(`${text}\n\n${HELP}`)
  process.exit(2)
}
const wholeNumber = (name: 'rounds' | 'seconds'): number =>
  /^[1-9]\d{0,3}$/.test(flags[name])
    ? Number(flags[name])
    : exitWithHelp(`--${name}: expected a whole number from 1`)
const [rounds, seconds] = [wholeNumber('rounds'), wholeNumber('seconds')]
const wanted = flags.only?.split(',') ?? Object.keys(sections)
for (const name of wanted)
  if (!(name in sections)) exitWithHelp(`--only: there is no section ${name}`)
if (!wrkVersion() && wanted.some(name => LOADED.includes(name)))
  exitWithHelp(`These sections need wrk (apt-get install wrk): ${LOADED.join(', ')}`)

const say = newProgress(console.error)
const interrupted = interruption(say)

try {
  say('starting a Postgres with fsync on')
  await using postgres = await startPostgres()
  const tools = { postgres: postgres.version, redis: redisVersion(), wrk: wrkVersion() }
  const { at, machine, versions, ...source } = await describeMachine(tools)
  const fsync = `one fsync ${machine.fsyncMs?.toFixed(2)} ms`
  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.system}; ${fsync}`)
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version ?? '-'}`)
  console.log(list.join(', '))
  const missing = whyNoBullmq()
  if (missing) console.log(missing)

  const signal = AbortSignal.any([interrupted, AbortSignal.timeout(LIMIT_MS)])
  const environment = {
    postgres,
    rounds,
    seconds,
    long: flags.long,
    pictures: flags.pictures,
    say,
    signal,
  }
  const results = []
  const file = flags.json ?? join(HOME, `${at.replaceAll(':', '.')}.json`)
  await mkdir(dirname(file), { recursive: true })
  for (const [section, measure] of Object.entries(sections)) {
    if (!wanted.includes(section)) continue
    signal.throwIfAborted()
    say(section)
    const result = await measure(environment)
    console.log(print(result))
    results.push({ section, ...result, rows: summary(result.rows) })
    // After every section, so that a later failure loses nothing.
    const report = { at, ...source, machine, versions, rounds, seconds, sections: results }
    await writeFile(file, `${JSON.stringify(report, null, 1)}\n`)
  }
  say(`every round is in ${file}`)
  if (results.some(({ notes }) => notes.some(note => note.startsWith(INVALID))))
    process.exitCode = 1
} catch (error) {
  if (!interrupted.aborted) console.error(error)
  process.exitCode = 1
}
process.exit()
