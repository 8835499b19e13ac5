import { HELP, readFlags, UsageError } from './flags.ts'
import { reclassifyUndecided } from './reclassify.ts'
import { whatIf } from './what_if.ts'

/** Where a command prints: the console, or an array in a test. */
export type Output = Pick<Console, 'log' | 'error'>

/** @returns the exit code: 1 for a failure, 2 for wrong flags */
export const replayCommand = async (args: string[], output: Output = console): Promise<number> => {
  if (args.includes('--help') || args.includes('-h')) {
    output.log(HELP)
    return 0
  }
  try {
    const flags = readFlags(args)
    await (flags.apply ? reclassifyUndecided(flags, output) : whatIf(flags, output))
    return 0
  } catch (error) {
    output.error(error instanceof Error ? error.message : error)
    if (!(error instanceof UsageError)) return 1
    output.error('See: npm run replay -- --help')
    return 2
  }
}
