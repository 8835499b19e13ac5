/**
 * npm run chaos: kills the program at every failpoint, its database and its connections while calls come in and callers
 * reply. Then it compares both ends: was anything lost or sent twice?
 */
import { parseArgs } from 'node:util'
import { type Plan, print, run, writeReport } from './chaos/run.ts'

const HELP = `Usage: npm run chaos [-- options]

Starts a Postgres of its own, two instances of the program and a fake WhatsApp on this machine, and posts call records
to them. Meanwhile it kills the program at every failpoint, Postgres, and the connections between them. Prints a ledger;
exit code 1 if a promise was not kept.

  --long               the long run: 10,000 records, 300 kills, about half an hour; without it 3 minutes
  --seed N             repeats the traffic and the faults of an earlier run, as far as timing allows
  --cdrs N             the number of call records
  --kills N            the number of kills of the program at failpoints
  --postgres-kills N   the number of kills of Postgres
  --cuts N             the number of cut, half-open or slow connections
  --seconds N          the time over which the records are spread
  --minutes N          the time after which the run gives up
  --report FILE        writes the figures into this file, between its marks
  --keep               keeps the folder with the logs
  --help               this text`

const main = async (): Promise<number> => {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    options: {
      long: flag,
      seed: text,
      cdrs: text,
      kills: text,
      'postgres-kills': text,
      cuts: text,
      seconds: text,
      minutes: text,
      report: text,
      keep: flag,
      help: { ...flag, short: 'h' },
    },
  })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const number = (name: keyof typeof values, usual: number): number => {
    const given = values[name] ?? String(usual)
    if (typeof given === 'string' && /^\d+$/.test(given)) return Number(given)
    console.error(`--${name}: expected a whole number\n\n${HELP}`)
    process.exit(2)
  }
  const long = values.long === true
  const plan: Plan = {
    long,
    seed: number('seed', Math.floor(Math.random() * 2 ** 31)),
    cdrs: number('cdrs', long ? 10_000 : 800),
    kills: number('kills', long ? 300 : 48),
    burstKillsAtEach: long ? 5 : 1,
    postgresKills: number('postgres-kills', long ? 20 : 2),
    cuts: number('cuts', long ? 50 : 6),
    stalls: long ? [5, 75, 10, 65] : [4],
    burstShare: long ? 0.4 : 0.2,
    seconds: number('seconds', long ? 1100 : 90),
    minutes: number('minutes', long ? 60 : 8),
  }

  const started = Date.now()
  const say = (text: string) =>
    console.log(`${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`)
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      say('interrupted: cleaning up')
      interruption.abort()
    })
  const cleanUps: (() => Promise<void>)[] = []
  const onCleanUp = (task: () => Promise<void>) => void cleanUps.push(task)

  say(`seed ${plan.seed}`)
  try {
    const report = await run(plan, interruption.signal, say, onCleanUp, values.keep === true)
    console.log(`\n${print(report)}`)
    if (values.report) await writeReport(values.report, report)
    return report.violations.length > 0 ? 1 : 0
  } catch (error) {
    if (!interruption.signal.aborted) console.error(error)
    return 1
  } finally {
    for (const task of cleanUps.toReversed())
      await task().catch((error: unknown) => console.error('clean-up failed:', error))
  }
}

process.exit(await main())
