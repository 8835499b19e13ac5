/** npm run bench: how much the machine can durably hold, beside others and beside what it could hold at most. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from './bench/machine.ts'
import { loadGenerator, NO_WRK } from './bench/load.ts'
import { HOME, startPostgres } from './bench/postgres.ts'
import { print } from './bench/print.ts'
import { summary } from './bench/result.ts'
import { sections } from './bench/sections.ts'

const HELP = `Usage: npm run bench [-- options]

Measures Ringback as it runs in production, in processes of its own over real HTTP, on a Postgres of the run's own
with fsync on, beside what it is to be compared with. Rounds are interleaved; figures are medians, in brackets the
lowest and the highest round. The whole run takes about a quarter of an hour on two cores; nothing else should run meanwhile.

  --only A,B     only these sections: ${Object.keys(sections).join(', ')}
  --rounds N     rounds of each contender; default 5 (fewer where a round is long)
  --seconds S    how long each burst is measured; default 3
  --json FILE    where every single round is written; default .data/bench/<time>.json
  --long         watches the memory for 10 minutes instead of one; takes about 10 GB of disk
  --help         this text

The peers (BullMQ on Redis, pg-boss) are installed once by: npm ci --prefix scripts/bench/peers
The load generator is wrk (Debian and Ubuntu: apt-get install wrk redis-server), else autocannon, from the peers.`

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    json: { type: 'string' },
    long: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  },
})
if (flags.help) {
  console.log(HELP)
  process.exit()
}
const wrong = (text: string): never => {
  console.error(`${text}\n\n${HELP}`)
  process.exit(2)
}
const whole = (name: 'rounds' | 'seconds'): number =>
  /^[1-9]\d{0,3}$/.test(flags[name])
    ? Number(flags[name])
    : wrong(`--${name}: expected a whole number from 1`)
const [rounds, seconds] = [whole('rounds'), whole('seconds')]
const wanted = flags.only?.split(',') ?? Object.keys(sections)
for (const name of wanted) if (!(name in sections)) wrong(`--only: there is no section ${name}`)

if (!loadGenerator()) wrong(NO_WRK)

/** Whatever hangs. */
const LIMIT_MS = 60 * 60_000

const started = performance.now()
const say = (text: string) =>
  console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`)
const cleanUps: (() => Promise<void>)[] = []
const onCleanUp = (task: () => Promise<void>) => void cleanUps.push(task)
const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    say('interrupted: cleaning up')
    interrupted.abort()
  })

try {
  say('making a Postgres with fsync on')
  const postgres = await startPostgres(onCleanUp)
  const found = await describeMachine(postgres)
  const { machine, versions } = found
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.system}; one fsync ${machine.fsyncMs?.toFixed(2)} ms`,
  )
  console.log(
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version ?? '-'}`)
      .join(', '),
  )

  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(LIMIT_MS)])
  const stage = { postgres, rounds, seconds, long: flags.long, say, signal, onCleanUp }
  const results = []
  const file = flags.json ?? join(HOME, `${found.at.replaceAll(':', '.')}.json`)
  await mkdir(dirname(file), { recursive: true })
  for (const [name, measure] of Object.entries(sections)) {
    if (!wanted.includes(name)) continue
    signal.throwIfAborted()
    say(name)
    const result = await measure(stage)
    results.push(result)
    console.log(print(result))
    // After each section, so that what was measured is kept whatever comes.
    await writeFile(
      file,
      `${JSON.stringify({ ...found, rounds, seconds, sections: results.map(summary) }, null, 1)}\n`,
    )
  }
  say(`every round is in ${file}`)
  if (results.some(({ notes }) => notes.some(note => note.startsWith('INVALID'))))
    process.exitCode = 1
} catch (error) {
  if (!interrupted.signal.aborted) console.error(error)
  process.exitCode = 1
}
for (const task of cleanUps.splice(0).toReversed())
  await task().catch((error: unknown) => console.error('left behind:', error))
process.exit()
