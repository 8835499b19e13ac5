/**
 * npm run chaos: kills the program at every failpoint, its database and its connections while calls come in and callers
 * reply. Then it compares both ends: was anything lost or sent twice?
 */
import { printFailovers, runFailovers, writeFailovers } from './chaos/failover.ts'
import { print, run, writeReport } from './chaos/run.ts'
import { interruption, newProgress } from './processes.ts'
import { processFlags } from './tenant/terminal.ts'

const HELP = `Usage: npm run chaos [-- options]

Starts a Postgres of its own, two instances of the program and a fake WhatsApp on this machine, and posts call records
to them. Meanwhile it kills the program at every failpoint, Postgres, and the connections between them. Prints a ledger;
exit code 1 if a promise was not kept.

  --long         the long run: 10,000 records, 300 kills, about half an hour; without it 3 minutes
  --failover     loses the primary of two Postgres servers six times, under load: at most ten minutes
  --json         with --failover: the last line of stdout is the result as JSON
  --seed N       repeats the traffic and the faults of an earlier run, as far as timing allows
  --report FILE  writes the figures into this file, between its marks
  --keep         keeps the folder with the logs
  --help         this text`

const SHORT = {
  long: false,
  cdrs: 800,
  seconds: 90,
  kills: 55,
  burstKillsAtEach: 1,
  postgresKills: 2,
  cuts: 6,
  stalls: [4],
  burstShare: 0.2,
  minutes: 8,
}
const LONG = {
  long: true,
  cdrs: 10_000,
  seconds: 1100,
  kills: 300,
  burstKillsAtEach: 5,
  postgresKills: 20,
  cuts: 50,
  stalls: [5, 75, 10, 65],
  burstShare: 0.4,
  minutes: 60,
}

const FAILOVER = { cdrs: 3300, seconds: 300, failovers: 6, minutes: 9.5 }

const main = async (): Promise<number> => {
  const values = processFlags('chaos', HELP, {
    long: { type: 'boolean', default: false },
    failover: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    report: { type: 'string' },
    keep: { type: 'boolean', default: false },
  })
  if (!/^\d+$/.test(values.seed)) {
    console.error(`--seed: expected a whole number\n\n${HELP}`)
    return 2
  }
  const seed = Number(values.seed)
  const plan = { seed, ...(values.long ? LONG : SHORT) }

  const say = newProgress(console.log)
  const interrupted = interruption(say)
  const cleanUps: (() => Promise<void>)[] = []
  let lastLine = ''
  const onCleanUp = (task: () => Promise<void>) => void cleanUps.push(task)

  say(`seed ${seed}`)
  try {
    if (values.failover) {
      const failoverPlan = { seed, ...FAILOVER }
      const report = await runFailovers(failoverPlan, interrupted, say, onCleanUp, values.keep)
      console.log(`\n${printFailovers(report)}`)
      if (values.report) await writeFailovers(values.report, report)
      if (values.json) lastLine = JSON.stringify(report.result)
      return report.violations.length > 0 ? 1 : 0
    }
    const report = await run(plan, interrupted, say, onCleanUp, values.keep)
    console.log(`\n${print(report)}`)
    if (values.report) await writeReport(values.report, report)
    return report.violations.length > 0 ? 1 : 0
  } catch (error) {
    if (!interrupted.aborted) console.error(error)
    return 1
  } finally {
    for (const task of cleanUps.toReversed())
      await task().catch((error: unknown) => console.error('clean-up failed:', error))
    // After the lines of the clean-up.
    if (lastLine) console.log(lastLine)
  }
}

process.exit(await main())
