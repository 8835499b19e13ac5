/** npm run replay: what other settings would have done with past calls; and classifying calls again. */
import { closeDatabase } from '../app/db/kysely.ts'
import { HELP, type Output, readFlags, UsageError } from './replay/flags.ts'
import { reclassifyUndecided } from './replay/reclassify.ts'
import { asJson, asText } from './replay/report.ts'
import { readSnapshot } from './replay/snapshot.ts'
import { compareVerdicts, printVerdicts } from './replay/verdicts.ts'
import { makeReport } from './replay/what_if.ts'

/** @returns the exit code: 1 for a failure, 2 for wrong flags */
export const replayCommand = async (args: string[], output: Output = console): Promise<number> => {
  if (args.includes('--help') || args.includes('-h')) {
    output.log(HELP)
    return 0
  }
  try {
    const flags = readFlags(args)
    if (flags.apply) await reclassifyUndecided(flags, output)
    else if (flags.verdicts)
      printVerdicts(await readSnapshot(trx => compareVerdicts(trx, flags)), flags, output)
    else {
      const report = await readSnapshot(trx => makeReport(trx, flags, output))
      output.log(asText(report))
      if (flags.json) output.log(JSON.stringify(asJson(report)))
    }
    return 0
  } catch (error) {
    output.error(error instanceof Error ? error.message : error)
    if (!(error instanceof UsageError)) return 1
    output.error('See: npm run replay -- --help')
    return 2
  }
}

if (import.meta.main) {
  process.exitCode = await replayCommand(process.argv.slice(2))
  await closeDatabase()
}
