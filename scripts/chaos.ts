/**
 * npm run chaos: kills the program at every step, its database and its connections, while calls come in and
 * customers answer; then counts at both ends whether anything was lost or sent twice.
 */
import { parseArgs } from 'node:util'

const HELP = `Usage: npm run chaos [-- options]

Starts a Postgres of its own, two copies of the program and a fake WhatsApp on this machine, drives call records
through them, and meanwhile kills the program at every named step, Postgres, and the connections between them. Prints
a ledger; exit code 1 if a promise was not kept.

  --long               the long run: 10,000 records, 300 kills, about half an hour; without it 3 minutes
  --seed N             repeats the traffic and the faults of an earlier run, as far as timing allows
  --cdrs N             how many call records
  --kills N            how many kills of the program at named points
  --postgres-kills N   how many kills of Postgres
  --cuts N             how many cut, half-open or slow connections
  --seconds N          over how many seconds all this is spread
  --minutes N          gives up after so many
  --report FILE        writes the figures into this file, between its marks
  --keep               leaves the folder with the logs and the database
  --help               this text`

const { values: flags } = parseArgs({
  options: {
    long: { type: 'boolean' },
    seed: { type: 'string' },
    cdrs: { type: 'string' },
    kills: { type: 'string' },
    'postgres-kills': { type: 'string' },
    cuts: { type: 'string' },
    seconds: { type: 'string' },
    minutes: { type: 'string' },
    report: { type: 'string' },
    keep: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (flags.help) {
  console.log(HELP)
  process.exit()
}

const { LONG, SHORT } = await import('./chaos/plan.ts')
const { run } = await import('./chaos/run.ts')
const { missedGoals, print } = await import('./chaos/ledger.ts')

const number = (name: keyof typeof flags): number | undefined => {
  const value = flags[name]
  if (value === undefined) return undefined
  if (typeof value === 'string' && /^\d+$/.test(value)) return Number(value)
  console.error(`--${name}: expected a whole number\n\n${HELP}`)
  process.exit(2)
}
const usual = flags.long ? LONG : SHORT
const plan = {
  ...usual,
  seed: number('seed') ?? Math.floor(Math.random() * 2 ** 31),
  cdrs: number('cdrs') ?? usual.cdrs,
  kills: number('kills') ?? usual.kills,
  postgresKills: number('postgres-kills') ?? usual.postgresKills,
  cuts: number('cuts') ?? usual.cuts,
  seconds: number('seconds') ?? usual.seconds,
  minutes: number('minutes') ?? usual.minutes,
}

const started = Date.now()
const say = (text: string) =>
  console.log(`${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`)

const cleanUps: (() => Promise<void>)[] = []
const cleanUp = async () => {
  for (const task of cleanUps.splice(0).toReversed())
    await task().catch((error: unknown) => console.error('left behind:', error))
}
const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    say('interrupted: cleaning up')
    interrupted.abort()
  })

say(`seed ${plan.seed}`)
try {
  const ledger = await run(plan, {
    say,
    onCleanUp: task => void cleanUps.push(task),
    keep: flags.keep === true,
    signal: interrupted.signal,
  })
  console.log(print(ledger))
  const failed = ledger.violations.length > 0 || missedGoals(ledger).length > 0
  if (flags.report) {
    const { writeReport } = await import('./chaos/report.ts')
    await writeReport(flags.report, ledger)
  }
  process.exitCode = failed ? 1 : 0
} catch (error) {
  if (!interrupted.signal.aborted) console.error(error)
  process.exitCode = 1
}
await cleanUp()
process.exit()
