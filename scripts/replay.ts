/** npm run replay: what other settings would have done with the calls there were; and judging calls again. */
import { run as apply } from './replay/apply.ts'
import { run as whatIf } from './replay/what_if.ts'
import { fail, readFlags } from './replay/flags.ts'

const asked = readFlags(process.argv.slice(2))
const { tenant, since, file } = asked
if (!asked.apply && !tenant) fail('--tenant: whose calls? Give the id of a business')
if (!asked.apply && !since && !file)
  fail('--since: from when on? Give a date, "30 days", or --file with records of your own')

try {
  await (asked.apply ? apply : whatIf)(asked)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
